//! Reads a run: beside a live writer, after a close, or after a crash.
//!
//! A reader takes no lock that a writer waits for, and neither creates nor changes a file. It reads points that are not in
//! the sinks from the journal, so it finds a point immediately after it was logged, or up to half a second later if the
//! journal is very full.

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

/// How often a read is retried if the journal is replaced during it.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);

/// Reads one rank of a run, which is the whole run if it is not distributed. Cheap to clone; can be shared between threads.
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
    /// [`Error::NoRun`] if there is no run, [`Error::FormatVersion`] if a newer Holter wrote it,
    /// [`Error::Damaged`] if its manifest is not valid.
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

    /// The directory.
    pub fn path(&self) -> &Path {
        self.inner.dir.path()
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The rank.
    pub fn rank_number(&self) -> u32 {
        self.inner.rank
    }

    /// When the run began.
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// The current manifest, a JSON object.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`].
    pub fn manifest_json(&self) -> Result<String> {
        let path = self.inner.dir.manifest();
        // The original text, since numbers may exceed every machine type.
        let text = Manifest::read_text(&self.inner.dir)?;
        Manifest::parse(&path, &text)?;
        String::from_utf8(text).map_err(|error| Error::damaged(&path, error.to_string()))
    }

    /// The complete lines of the events file; empty if there are no events.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read.
    pub fn event_lines(&self) -> Result<Vec<String>> {
        events::read_lines(&self.inner.dir.events())
    }

    /// The run's status.
    ///
    /// A run with the status `running` in its manifest has crashed if no process writes to it.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`].
    pub fn status(&self) -> Result<Status> {
        let mut status = self.manifest()?.status;
        // Twice, because the run may be closed or resumed between the two checks.
        for _ in 0..2 {
            if status != Status::Running || self.is_live() {
                return Ok(status);
            }
            status = self.manifest()?.status;
        }
        Ok(if status == Status::Running { Status::Crashed } else { status })
    }

    /// Whether a living process writes to the run.
    pub fn is_live(&self) -> bool {
        is_live(&self.inner.dir)
    }

    /// The names of the series that have a point, ascending by code point. `pattern` is a shell pattern whose
    /// `*` also matches `/`: `*`, `?`, `[abc]`, `[!abc]`.
    ///
    /// # Errors
    ///
    /// Any error that prevents reading the run.
    pub fn names(&self, pattern: Option<&str>) -> Result<Vec<String>> {
        self.view(|view| view.names(pattern.unwrap_or("*")))
    }

    /// The facts of the series of [`Reader::names`], in the same order. No points are read, unless the run has no
    /// database, or pending points replace an extreme.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::names`].
    pub fn series_facts(&self, pattern: Option<&str>) -> Result<Vec<SeriesFacts>> {
        self.view(|view| view.facts(pattern.unwrap_or("*")))
    }

    /// The points of `name` with `start <= step < stop`, steps strictly ascending.
    ///
    /// NaN and infinities are returned as logged; the database returns 0.0 for -0.0.
    ///
    /// # Errors
    ///
    /// [`Error::NoSeries`] if no series has this name; otherwise those of [`Reader::names`].
    pub fn series(&self, name: &str, start: Option<Step>, stop: Option<Step>) -> Result<Columns> {
        let start = start.unwrap_or(Step::MIN);
        // From exclusive to inclusive; there is nothing below the smallest step.
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

    /// About `points` points of `name` with `start <= step < stop` that keep the extremes: see
    /// [`downsample()`](super::downsample()).
    ///
    /// # Errors
    ///
    /// Those of [`Reader::series`].
    pub fn downsample(&self, name: &str, points: usize, start: Option<Step>, stop: Option<Step>) -> Result<Columns> {
        Ok(downsample(self.series(name, start, stop)?, points))
    }

    /// The points of all series that match `pattern`, in the order of their names: faster than
    /// [`Reader::series`] for each. Beside a live writer it behaves like [`Table`](super::Table).
    ///
    /// # Errors
    ///
    /// Those of [`Reader::names`].
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

    /// Calls `action` with a consistent view of the run. It may call `action` several times, and returns the last result.
    pub(super) fn view<T>(&self, mut action: impl FnMut(&View<'_>) -> Result<T>) -> Result<T> {
        for attempt in 0..ATTEMPTS {
            if let Some(result) = self.try_view(attempt > 0, &mut action)? {
                return Ok(result);
            }
            std::thread::sleep(PAUSE);
        }
        Err(Error::damaged(self.path(), "its journal is replaced faster than it can be read; try again"))
    }

    /// As [`Reader::view`]; `None` if the journal was replaced during the read.
    fn try_view<T>(&self, is_fresh: bool, action: &mut impl FnMut(&View<'_>) -> Result<T>) -> Result<Option<T>> {
        // The journal first: points that leave it from now on are in the primary sink when that is read.
        let (pending, path) = self.inner.journal.pending(&self.inner.dir, is_fresh)?;
        let mut look = |committed: Committed<'_>, committed_until: Option<u64>| {
            let cursor = match (pending.journal_id, committed_until) {
                (None, _) => 0,
                (Some(_), Some(cursor)) => cursor,
                // If this is still the journal of the run, the primary sink has none of its points. Otherwise it has
                // all of them, and newer points.
                (Some(id), None) if Snapshot::extent(&path)?.is_some_and(|(origin, _)| origin.id == id) => 0,
                (Some(_), None) => return Ok(None),
            };
            action(&View::new(committed, &pending, cursor)).map(Some)
        };
        let id = pending.journal_id.unwrap_or_default();
        let dir = &self.inner.dir;
        // Parts are also read if a run was copied without its database.
        if self.inner.has_database && (dir.database().exists() || !dir.parquet().is_dir()) {
            database::read(dir, |found| match found {
                Some(database) => look(Committed::Database(database), database.committed_until(id)),
                None => look(Committed::Nothing, None),
            })
        } else {
            parts::with_parts(&dir.parquet(), |parts| look(Committed::Parts(parts), parts::durable_until(parts, id)))
        }
    }

    fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.inner.dir)
    }
}
