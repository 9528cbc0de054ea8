//! Every name that Holter writes to disk, and the version of the format.

/// The version of the format that this code writes; it reads this one and all before it.
pub const FORMAT_VERSION: u64 = 1;

/// Names of the files in a run's directory.
pub mod file {
    /// The manifest.
    pub const MANIFEST: &str = "run.json";
    /// The database.
    pub const DATABASE: &str = "metrics.sqlite";
    /// The folder of Parquet parts.
    pub const PARQUET: &str = "parquet";
    /// One flat JSON line every so many steps.
    pub const SUMMARY: &str = "summary.jsonl";
    /// What the rules of the alerts said, one JSON line each.
    pub const EVENTS: &str = "events.jsonl";
    /// What has not reached the sinks yet.
    pub const JOURNAL: &str = "journal.holter";

    /// The directory of a further process of a distributed run, as in `rank-00001`.
    pub fn rank_dir(rank: u32) -> String {
        format!("rank-{rank:05}")
    }
}

/// Names of the sinks, as users choose them.
pub mod sink {
    /// The database.
    pub const SQLITE: &str = "sqlite";
    /// The Parquet parts.
    pub const PARQUET: &str = "parquet";
    /// The JSON lines.
    pub const SUMMARY: &str = "summary";
    /// All of them, the primary sink first.
    pub const ALL: [&str; 3] = [SQLITE, PARQUET, SUMMARY];
}

/// Parquet columns, in their order, and the keys of a file's metadata.
pub mod parquet {
    /// The run's name, the same in every row.
    pub const RUN: &str = "run";
    /// The rank, the same in every row.
    pub const RANK: &str = "rank";
    /// The series' name.
    pub const NAME: &str = "name";
    /// The step.
    pub const STEP: &str = "step";
    /// The value.
    pub const VALUE: &str = "value";
    /// When it was logged: microseconds, UTC.
    pub const TIMESTAMP: &str = "timestamp";

    /// The file's schema.
    pub const MESSAGE: &str = "
        message holter {
            REQUIRED BYTE_ARRAY run (STRING);
            REQUIRED INT32 rank;
            REQUIRED BYTE_ARRAY name (STRING);
            REQUIRED INT64 step;
            REQUIRED DOUBLE value;
            REQUIRED INT64 timestamp (TIMESTAMP(MICROS,true));
        }";

    /// Metadata: the format's version.
    pub const KEY_FORMAT_VERSION: &str = "holter.format_version";
    /// Metadata: the id of the journal that the rows came through, in hexadecimal.
    pub const KEY_JOURNAL_ID: &str = "holter.journal_id";
    /// Metadata: the first sequence number in that journal.
    pub const KEY_SEQUENCE_START: &str = "holter.sequence_start";
    /// Metadata: one past the last sequence number in that journal.
    pub const KEY_SEQUENCE_END: &str = "holter.sequence_end";
    /// Metadata: the numbers of the parts whose rows are all in this one.
    pub const KEY_REPLACES: &str = "holter.replaces";
    /// Metadata: where the part stands among the others, when not by its own number.
    pub const KEY_ORDER: &str = "holter.order";
}

/// The tables of the database.
pub mod sql {
    /// Creates the tables. The view is apart, because the run's start is a literal in it.
    ///
    /// `timestamp_millis` counts from the start of the run (`meta.started_micros`), since SQLite stores small integers
    /// in fewer bytes. `value` is NULL only for NaN. `underived_step` is the smallest step that a derived sink may lack,
    /// NULL if there is none.
    pub const TABLES: &str = "
        CREATE TABLE IF NOT EXISTS meta (
            key TEXT PRIMARY KEY,
            value NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS series (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            count INTEGER NOT NULL DEFAULT 0,
            nonfinite_count INTEGER NOT NULL DEFAULT 0,
            first_step INTEGER,
            last_step INTEGER,
            last_value REAL,
            underived_step INTEGER
        );
        CREATE TABLE IF NOT EXISTS points (
            series_id INTEGER NOT NULL,
            step INTEGER NOT NULL,
            value REAL,
            timestamp_millis INTEGER NOT NULL,
            PRIMARY KEY (series_id, step)
        ) WITHOUT ROWID;";

    /// Finds what would run when our tables are read or written: a view or a virtual table in the place of one, a trigger.
    pub const PROGRAMS: &str = "
        SELECT type, name FROM sqlite_schema
        WHERE lower(tbl_name) IN ('meta', 'series', 'points', 'rollups')
            AND (type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%')";

    /// Creates the view with the four columns that users query.
    ///
    /// CROSS JOIN keeps `series` the outer loop, so that a name, a step or a range of steps is always
    /// a search of the key and never a scan of all points.
    pub fn view(started_micros: i64) -> String {
        format!(
            "CREATE VIEW IF NOT EXISTS metrics (step, name, value, timestamp) AS
             SELECT points.step, series.name, points.value,
                    strftime('%Y-%m-%dT%H:%M:%fZ', (points.timestamp_millis * 1000 + {started_micros}) / 1e6, 'unixepoch')
             FROM series CROSS JOIN points ON points.series_id = series.id;"
        )
    }

    /// The table of the rollups, which a database of the same version may lack.
    pub const ROLLUPS: &str = "rollups";

    /// Creates the table of the rollups, a cache of `points`: see [`rollup`](crate::rollup).
    ///
    /// The key begins with the step: series move past the same steps at the same time, so that a commit
    /// adds its rows to a few pages. By series there would be a page to write for each row.
    pub const ROLLUPS_TABLE: &str = "
        CREATE TABLE IF NOT EXISTS rollups (
            level INTEGER NOT NULL,
            start INTEGER NOT NULL,
            series_id INTEGER NOT NULL,
            buckets BLOB NOT NULL,
            PRIMARY KEY (level, start, series_id)
        ) WITHOUT ROWID;";

    /// `meta`: the format's version.
    pub const KEY_FORMAT_VERSION: &str = "format_version";
    /// `meta`: the run's start, microseconds since the Unix epoch.
    pub const KEY_STARTED_MICROS: &str = "started_micros";
    /// `meta`: the id of the journal that the last commit came from.
    pub const KEY_JOURNAL_ID: &str = "journal_id";
    /// `meta`: one past the last sequence number of that journal which is committed.
    pub const KEY_JOURNAL_CURSOR: &str = "journal_cursor";
}
