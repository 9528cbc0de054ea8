//! Read-only view of a run: beside a live writer, after a close, or after a crash nobody recovered.
//!
//! A reader takes no lock that a writer waits for, and creates or changes no file. What the sinks do not
//! have yet it reads in the journal: it sees a point at once, or half a second after its log where very
//! many wait in the journal.

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

/// How often a read is begun again because the run's journal was replaced meanwhile.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);
/// One rank of a run to be read: all of the run where it has no others. Cheap to clone, and free to be shared between threads.
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
    /// [`Error::Damaged`] if its manifest lacks what a manifest has.
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

    /// The name that users know the run by.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The process of a distributed run.
    pub fn rank_number(&self) -> u32 {
        self.inner.rank
    }

    /// When the run was begun.
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// The manifest as it is now: a JSON object.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn manifest_json(&self) -> Result<String> {
        let path = self.inner.dir.manifest();
        // The text itself: numbers that no machine type holds must arrive as they were written.
        let text = Manifest::read_text(&self.inner.dir)?;
        Manifest::parse(&path, &text)?;
        String::from_utf8(text).map_err(|error| Error::damaged(&path, error.to_string()))
    }

    /// The whole lines of the run's events file; none if no rule has said anything.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read.
    pub fn event_lines(&self) -> Result<Vec<String>> {
        events::read_lines(&self.inner.dir.events())
    }

    /// The run's status.
    ///
    /// A run whose manifest says that it is running, and that no process writes to, has crashed.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn status(&self) -> Result<Status> {
        let mut status = self.manifest()?.status;
        // Twice, for the run may have been closed, or resumed, between the two looks.
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

    /// The names of the series that have a point, ascending by code point. `pattern` is as a shell's,
    /// but `*` also matches `/`: `*`, `?`, `[abc]`, `[!abc]`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the run from being read.
    pub fn names(&self, pattern: Option<&str>) -> Result<Vec<String>> {
        self.view(|view| view.names(pattern.unwrap_or("*")))
    }

    /// The facts of the series that [`Reader::names`] gives, in the same order. No point is read for
    /// it, unless the run has no database.
    ///
    /// # Errors
    ///
    /// As [`Reader::names`].
    pub fn series_facts(&self, pattern: Option<&str>) -> Result<Vec<SeriesFacts>> {
        self.view(|view| view.facts(pattern.unwrap_or("*")))
    }

    /// The points of `name` with `start <= step < stop`, steps strictly ascending.
    ///
    /// NaN and infinities are as they were logged; the database gives -0.0 back as 0.0.
    ///
    /// # Errors
    ///
    /// [`Error::NoSeries`] if no series has this name; or as [`Reader::names`].
    pub fn series(&self, name: &str, start: Option<Step>, stop: Option<Step>) -> Result<Columns> {
        let start = start.unwrap_or(Step::MIN);
        // Exclusive to inclusive; below the smallest step there is none.
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
    /// As [`Reader::series`].
    pub fn downsample(&self, name: &str, points: usize, start: Option<Step>, stop: Option<Step>) -> Result<Columns> {
        Ok(downsample(self.series(name, start, stop)?, points))
    }

    /// The points of all series that match `pattern`, in the order of their names: faster than
    /// [`Reader::series`] for each of them, and like [`Table`](super::Table) beside a live writer.
    ///
    /// # Errors
    ///
    /// As [`Reader::names`].
    pub fn all_series(&self, pattern: Option<&str>) -> Result<Vec<(String, Columns)>> {
        let mut scan = Scan::new(self.names(pattern)?);
        let mut all: Vec<Stretch> = Vec::new();
        while !scan.is_over() {
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

    /// Calls `action` with the run as it is at one moment; perhaps several times, of which the last
    /// one counts.
    pub(super) fn view<T>(&self, mut action: impl FnMut(&View<'_>) -> Result<T>) -> Result<T> {
        for attempt in 0..ATTEMPTS {
            if let Some(seen) = self.try_view(attempt > 0, &mut action)? {
                return Ok(seen);
            }
            std::thread::sleep(PAUSE);
        }
        Err(Error::damaged(self.path(), "its journal is replaced faster than it can be read"))
    }

    /// As [`Reader::view`]; `None` if the journal was replaced meanwhile.
    fn try_view<T>(&self, is_fresh: bool, action: &mut impl FnMut(&View<'_>) -> Result<T>) -> Result<Option<T>> {
        // The journal first: what leaves it from now on is in the primary sink when that is read.
        let (pending, path) = self.inner.journal.pending(&self.inner.dir, is_fresh)?;
        let mut look = |committed: Committed<'_>, committed_until: Option<u64>| {
            let cursor = match (pending.journal_id, committed_until) {
                (None, _) => 0,
                (Some(_), Some(cursor)) => cursor,
                // The primary sink has nothing of this journal yet if it is the run's journal still. Else it
                // has all of it, and newer points, too.
                (Some(id), None) if Snapshot::extent(&path)?.is_some_and(|(origin, _)| origin.id == id) => 0,
                (Some(_), None) => return Ok(None),
            };
            action(&View::new(committed, &pending, cursor)).map(Some)
        };
        let id = pending.journal_id.unwrap_or_default();
        let dir = &self.inner.dir;
        // The parts also when somebody took them along without the database.
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
