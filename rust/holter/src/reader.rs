//! Read-only view of a run: beside a live writer, after a close, or after a crash nobody recovered.
//!
//! A reader takes no lock that a writer waits for, and creates or changes no file. What the sinks do not
//! have yet it reads in the journal: it sees a point at once, or half a second after its log where very
//! many wait in the journal.

mod buckets;
mod database;
pub(crate) mod glob;
mod list;
mod pending;
mod ranks;
mod revision;
mod view;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

pub use self::buckets::{Names, SeriesBuckets};
pub use self::list::{Runs, list_runs};
use self::pending::Pending;
pub use self::ranks::{open_rank, ranks};
use self::revision::{JournalEnd, JournalPlace};
use self::view::Committed;
pub(crate) use self::view::View;
use crate::alert;
use crate::downsample;
use crate::error::{Error, Result};
use crate::files;
use crate::journal::{Records, Snapshot};
use crate::parts;
pub use crate::parts::Columns;
use crate::point::{Step, Timestamp};
use crate::run_dir::RunDir;
use crate::schema::{manifest, sink};
use crate::table::Table;

/// How often a read is begun again because the run's journal was replaced meanwhile.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);
/// A journal with fewer points is read again whenever it has changed.
const QUICK_POINTS: usize = 1 << 14;
/// One with more is left alone for so long for each point: about ten times what reading it takes, so
/// that who asks for one series after the other does not spend the time on that.
const AGE_NANOS_PER_POINT: u64 = 500;
/// And none goes unread for longer than this.
const MAX_AGE: Duration = Duration::from_millis(500);

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
    /// What was last read of the journal.
    pending: Mutex<Option<Recent>>,
    journal_place: Mutex<Option<JournalPlace>>,
    /// What [`Reader::revision`] told of: reads that come later have seen it.
    promised: Mutex<Option<JournalEnd>>,
}

#[derive(Debug)]
struct Recent {
    pending: Arc<Pending>,
    /// Where the journal lay.
    path: Arc<Path>,
    read_at: Instant,
    max_age: Duration,
}

impl Recent {
    /// Whether it need not be read again yet.
    fn is_young(&self, promised: Option<JournalEnd>) -> bool {
        self.read_at.elapsed() < self.max_age && promised.is_none_or(|promised| self.pending.has_seen(promised))
    }
}

/// What there is to know of a series without its points.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesFacts {
    /// Its name.
    pub name: String,
    /// How many points it has; never 0.
    pub count: u64,
    /// How many of them are NaN or infinite.
    pub nonfinite_count: u64,
    /// The smallest step.
    pub first_step: Step,
    /// The largest step.
    pub last_step: Step,
    /// The value at the largest step.
    pub last_value: f64,
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
        let manifest = dir.read_manifest()?;
        let missing = |key: &str| Error::damaged(dir.manifest(), format!("it has no proper {key:?}"));
        let text = |key: &str| manifest.get(key).and_then(Value::as_str).ok_or_else(|| missing(key));
        let name = text(manifest::NAME)?.to_owned();
        let rank = manifest.get(manifest::RANK).and_then(Value::as_u64).and_then(|rank| u32::try_from(rank).ok());
        let started = manifest.get(manifest::STARTED_MICROS).and_then(Value::as_i64);
        let sinks = manifest.get(manifest::SINKS).and_then(Value::as_array);
        let inner = Inner {
            name,
            rank: rank.ok_or_else(|| missing(manifest::RANK))?,
            started: Timestamp::from_micros(started.ok_or_else(|| missing(manifest::STARTED_MICROS))?),
            has_database: sinks.ok_or_else(|| missing(manifest::SINKS))?.iter().any(|name| name == sink::SQLITE),
            dir,
            pending: Mutex::new(None),
            journal_place: Mutex::new(None),
            promised: Mutex::new(None),
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
        self.manifest()?;
        let path = self.inner.dir.manifest();
        // The text itself: numbers that no machine type holds are to arrive as they were written.
        let text = files::read(&path, manifest::MAX_BYTES).map_err(Error::io("read", &path))?;
        String::from_utf8(text).map_err(|error| Error::damaged(&path, error.to_string()))
    }

    /// The whole lines of the run's events file; none if no rule has said anything.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read.
    pub fn event_lines(&self) -> Result<Vec<String>> {
        alert::events::read_lines(&self.inner.dir.events())
    }

    /// How the run stands: "running", "finished", "failed" or "crashed".
    ///
    /// A run that says that it is running, and that no process writes to, has crashed.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn status(&self) -> Result<String> {
        let mut status = self.noted_status()?;
        // Twice, for the run may have been closed, or gone on with, between one look and the other.
        for _ in 0..2 {
            if status != manifest::status::RUNNING || self.is_live() {
                return Ok(status);
            }
            status = self.noted_status()?;
        }
        Ok(if status == manifest::status::RUNNING { manifest::status::CRASHED.to_owned() } else { status })
    }

    /// Whether a living process writes to the run.
    pub fn is_live(&self) -> bool {
        self.inner.dir.is_live()
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
    /// [`downsample::downsample`].
    ///
    /// # Errors
    ///
    /// As [`Reader::series`].
    pub fn downsample(&self, name: &str, points: usize, start: Option<Step>, stop: Option<Step>) -> Result<Columns> {
        Ok(downsample::downsample(self.series(name, start, stop)?, points))
    }

    /// The points of all series that match `pattern`, in the order of their names: faster than
    /// [`Reader::series`] for each of them, and like [`Table`] beside a live writer.
    ///
    /// # Errors
    ///
    /// As [`Reader::names`].
    pub fn all_series(&self, pattern: Option<&str>) -> Result<Vec<(String, Columns)>> {
        self.table(pattern)?.into_series()
    }

    /// The points of all series that match `pattern` as a stream of Arrow record batches.
    ///
    /// # Errors
    ///
    /// As [`Reader::names`].
    pub fn table(&self, pattern: Option<&str>) -> Result<Table> {
        Ok(Table::new(self.clone(), self.names(pattern)?))
    }

    /// Calls `action` with the run as it is at one moment; perhaps several times, of which the last
    /// one counts.
    pub(crate) fn view<T>(&self, mut action: impl FnMut(&View<'_>) -> Result<T>) -> Result<T> {
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
        // The journal first: what leaves it from now on is in the truth when that is read.
        let (pending, path) = self.pending(is_fresh)?;
        let mut look = |committed: Committed<'_>, committed_until: Option<u64>| {
            let cursor = match (pending.journal_id, committed_until) {
                (None, _) => 0,
                (Some(_), Some(cursor)) => cursor,
                // The truth has nothing of this journal yet if it is the run's journal still. Else it
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

    /// What the journal holds, read now or a moment ago, and where it lies.
    fn pending(&self, is_fresh: bool) -> Result<(Arc<Pending>, Arc<Path>)> {
        let mut recent = self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = *self.inner.promised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = recent.as_ref().filter(|_| !is_fresh)
            && (recent.is_young(promised) || recent.pending.is_current(&recent.path)?)
        {
            return Ok((Arc::clone(&recent.pending), Arc::clone(&recent.path)));
        }
        let read_at = Instant::now();
        let path: Arc<Path> = self.inner.dir.own_journal_of(&self.manifest()?).into();
        // A journal whose process is dead changes no more: whatever its counters say, each slot that
        // holds a point counts, as it does for recovery.
        let was_live = self.is_live();
        let mut pending = Pending::read(&path, if was_live { Records::Pending } else { Records::All })?;
        if !was_live && self.is_live() {
            pending = Pending::read(&path, Records::Pending)?;
        }
        let pending = Arc::new(pending);
        let max_age = match pending.len() {
            quick if quick < QUICK_POINTS => Duration::ZERO,
            slow => Duration::from_nanos(slow as u64 * AGE_NANOS_PER_POINT).min(MAX_AGE),
        };
        *recent = Some(Recent { pending: Arc::clone(&pending), path: Arc::clone(&path), read_at, max_age });
        Ok((pending, path))
    }

    fn manifest(&self) -> Result<Map<String, Value>> {
        self.inner.dir.read_manifest()
    }

    fn noted_status(&self) -> Result<String> {
        let manifest = self.manifest()?;
        let status = manifest.get(manifest::STATUS).and_then(Value::as_str);
        status.map(str::to_owned).ok_or_else(|| {
            Error::damaged(self.inner.dir.manifest(), format!("it has no proper {:?}", manifest::STATUS))
        })
    }
}
