//! Read-only access to a run: while a writer is active, after a close, or after a crash without recovery.
//!
//! A reader does not block the writer, and does not create or change files. It reads points that are not yet in the
//! sinks from the journal, so a point is visible immediately, or within half a second if the journal contains very many
//! points.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holter_journal::{Snapshot, Step, Timestamp};

use super::committed::Committed;
use super::database;
use super::downsample::downsample;
use super::facts::SeriesFacts;
use super::journal::CachedJournal;
use super::scan::{Scan, Stretch};
use super::view::View;
use crate::error::{Error, Result};
use crate::points::Columns;
use crate::store::events;
use crate::store::manifest::{Manifest, Status};
use crate::store::parquet::parts;
use crate::store::run_dir::RunDir;
use crate::store::run_lock::is_live;
use crate::store::schema::sink;

/// Maximum attempts for a read if the run's journal is replaced during the read.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);

/// Reads one rank of a run, which is the complete run if it has only one. Cheap to clone; can be shared between
/// threads.
#[derive(Clone, Debug)]
pub struct Reader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: RunDir,
    name: String,
    rank: u32,
    started: Timestamp,
    has_database: bool,
    journal: CachedJournal,
}

impl Reader {
    /// Opens the run in the directory `path`.
    ///
    /// # Errors
    ///
    /// [`Error::NoRun`] if the directory has no run, [`Error::FormatVersion`] if a newer version of Holter wrote it,
    /// [`Error::Damaged`] if its manifest is invalid.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let dir = RunDir::new(path.as_ref());
        let manifest = Manifest::read(&dir)?;
        let inner = Inner {
            started: manifest.started(),
            has_database: manifest.sinks.iter().any(|name| name == sink::SQLITE),
            name: manifest.name,
            rank: manifest.rank,
            dir,
            journal: CachedJournal::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The run's directory.
    pub fn path(&self) -> &Path {
        self.inner.dir.path()
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The rank in a distributed run.
    pub fn rank_number(&self) -> u32 {
        self.inner.rank
    }

    /// When the run started.
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// Reads the current manifest: a JSON object.
    ///
    /// # Errors
    ///
    /// The errors of [`Reader::open`].
    pub fn manifest_json(&self) -> Result<String> {
        let path = self.inner.dir.manifest();
        // The unparsed text, which preserves numbers that do not fit any machine type.
        let text = Manifest::read_text(&self.inner.dir)?;
        Manifest::parse(&path, &text)?;
        String::from_utf8(text).map_err(|error| Error::damaged(&path, error.to_string()))
    }

    /// Returns the complete lines of the run's events file; empty if there are no events.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read.
    pub fn event_lines(&self) -> Result<Vec<String>> {
        events::read_lines(&self.inner.dir.events())
    }

    /// Returns the run's status.
    ///
    /// A run has crashed if its manifest has the status "running" but no process writes to it.
    ///
    /// # Errors
    ///
    /// The errors of [`Reader::open`].
    pub fn status(&self) -> Result<Status> {
        let mut status = self.manifest()?.status;
        // Check twice, because the run may be closed or resumed between the two checks.
        for _ in 0..2 {
            if status != Status::Running || self.is_live() {
                return Ok(status);
            }
            status = self.manifest()?.status;
        }
        Ok(if status == Status::Running { Status::Crashed } else { status })
    }

    /// Whether a live process writes to the run.
    pub fn is_live(&self) -> bool {
        is_live(&self.inner.dir)
    }

    /// Returns the names of the series that have a point, ascending by code point. `pattern` is a shell glob with `*`,
    /// `?`, `[abc]` and `[!abc]`, except that `*` also matches `/`.
    ///
    /// # Errors
    ///
    /// Any error that prevents reading the run.
    pub fn names(&self, pattern: Option<&str>) -> Result<Vec<String>> {
        self.view(|view| view.names(pattern.unwrap_or("*")))
    }

    /// Returns facts about the series that [`Reader::names`] returns, in the same order. If the run
    /// has a database, reads points only where pending points replace committed points.
    ///
    /// # Errors
    ///
    /// The errors of [`Reader::names`].
    pub fn series_facts(&self, pattern: Option<&str>) -> Result<Vec<SeriesFacts>> {
        self.view(|view| view.facts(pattern.unwrap_or("*")))
    }

    /// Returns the points of `name` with `start <= step < stop`, with strictly ascending steps.
    ///
    /// Values are as logged, including NaN and infinities, but the database returns -0.0 as 0.0.
    ///
    /// # Errors
    ///
    /// [`Error::NoSeries`] if the series does not exist; the errors of [`Reader::names`].
    pub fn series(&self, name: &str, start: Option<Step>, stop: Option<Step>) -> Result<Columns> {
        let start = start.unwrap_or(Step::MIN);
        // From an exclusive to an inclusive end; no step is below `Step::MIN`.
        let (steps, is_empty) = match stop {
            Some(Step::MIN) => (start..=start, true),
            Some(stop) => (start..=stop - 1, start >= stop),
            None => (start..=Step::MAX, false),
        };
        let found = self.view(|view| view.points(name, &steps))?;
        match found {
            Some(_) if is_empty => Ok(Columns::default()),
            Some(points) => Ok(points),
            None => Err(Error::NoSeries(name.to_owned())),
        }
    }

    /// Returns about `points` points of `name` with `start <= step < stop` that include the extremes; see
    /// [`downsample()`](super::downsample()).
    ///
    /// # Errors
    ///
    /// The errors of [`Reader::series`].
    pub fn downsample(&self, name: &str, points: usize, start: Option<Step>, stop: Option<Step>) -> Result<Columns> {
        Ok(downsample(self.series(name, start, stop)?, points))
    }

    /// Returns the points of all series that match `pattern`, ordered by name. Faster than [`Reader::series`] for each
    /// series. While a writer is active, the result is as consistent as a [`Table`](super::Table).
    ///
    /// # Errors
    ///
    /// The errors of [`Reader::names`].
    pub fn all_series(&self, pattern: Option<&str>) -> Result<Vec<(String, Columns)>> {
        let mut scan = Scan::new(self.names(pattern)?);
        let mut all: Vec<Stretch> = Vec::new();
        while !scan.is_done() {
            let (stretches, position) = self.view(|view| scan.read(view))?;
            scan.advance(position);
            for Stretch { series, points } in stretches {
                match all.last_mut() {
                    Some(last) if last.series == series => {
                        last.points.extend(&points.steps, &points.values, &points.times_micros);
                    }
                    _ => all.push(Stretch { series, points }),
                }
            }
        }
        let mut names = scan.into_names();
        Ok(all.into_iter().map(|stretch| (std::mem::take(&mut names[stretch.series]), stretch.points)).collect())
    }

    pub(super) fn dir(&self) -> &RunDir {
        &self.inner.dir
    }

    pub(super) fn journal(&self) -> &CachedJournal {
        &self.inner.journal
    }

    /// Calls `action` with a consistent view of the run. May call it several times; the last call counts.
    pub(super) fn view<T>(&self, mut action: impl FnMut(&View<'_>) -> Result<T>) -> Result<T> {
        for attempt in 0..ATTEMPTS {
            if let Some(result) = self.try_view(attempt > 0, &mut action)? {
                return Ok(result);
            }
            std::thread::sleep(PAUSE);
        }
        Err(Error::damaged(self.path(), "the journal is replaced faster than it can be read; try again"))
    }

    /// Makes one attempt of [`Reader::view`]; `None` if the journal was replaced during the read.
    fn try_view<T>(&self, is_fresh: bool, action: &mut impl FnMut(&View<'_>) -> Result<T>) -> Result<Option<T>> {
        // The journal first: points that leave it after this read are in the primary sink by the time it is read.
        let (pending, path) = self.inner.journal.pending(&self.inner.dir, is_fresh)?;
        let mut read = |committed: Committed<'_>, committed_until: Option<u64>| {
            let cursor = match (pending.journal_id, committed_until) {
                (None, _) => 0,
                (Some(_), Some(cursor)) => cursor,
                // If this is still the run's journal, the primary sink has none of its points yet. Otherwise the
                // sink has all of its points, and newer points.
                (Some(id), None) if Snapshot::extent(&path)?.is_some_and(|(origin, _)| origin.id == id) => 0,
                (Some(_), None) => return Ok(None),
            };
            action(&View::new(committed, &pending, cursor)).map(Some)
        };
        let id = pending.journal_id.unwrap_or_default();
        let dir = &self.inner.dir;
        // Read the parts if the run was copied without its database.
        if self.inner.has_database && (dir.database().exists() || !dir.parquet().is_dir()) {
            database::read(dir, |found| match found {
                Some(database) => read(Committed::Database(database), database.committed_until(id)),
                None => read(Committed::Nothing, None),
            })
        } else {
            parts::with_parts(&dir.parquet(), |parts| read(Committed::Parts(parts), parts::durable_until(parts, id)))
        }
    }

    fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.inner.dir)
    }
}
