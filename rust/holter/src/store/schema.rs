//! The names in all files, and the version of the format.

/// The format version that this code writes. It reads this version and all earlier ones.
pub const FORMAT_VERSION: u64 = 1;

/// Names of the files in a run's directory.
pub mod file {
    /// The manifest.
    pub const MANIFEST: &str = "run.json";
    /// The database.
    pub const DATABASE: &str = "metrics.sqlite";
    /// The directory of Parquet parts.
    pub const PARQUET: &str = "parquet";
    /// The summary: a flat JSON object per line, one for every so many steps.
    pub const SUMMARY: &str = "summary.jsonl";
    /// The alerts: a JSON object per line.
    pub const EVENTS: &str = "events.jsonl";
    /// The points that are not in the sinks yet.
    pub const JOURNAL: &str = "journal.holter";

    /// The directory of a rank other than 0, as in `rank-00001`.
    pub fn rank_dir(rank: u32) -> String {
        format!("rank-{rank:05}")
    }
}

/// Names of the sinks, as users select them.
pub mod sink {
    /// The database.
    pub const SQLITE: &str = "sqlite";
    /// The Parquet parts.
    pub const PARQUET: &str = "parquet";
    /// The summary.
    pub const SUMMARY: &str = "summary";
    /// All sinks, in the order of preference for the primary one.
    pub const ALL: [&str; 3] = [SQLITE, PARQUET, SUMMARY];
}

/// Parquet columns in order, and the keys of the metadata.
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
    /// When the point was logged, in microseconds since the Unix epoch.
    pub const TIMESTAMP: &str = "timestamp";

    /// The schema. Table formats such as Iceberg find columns by their field ids, 1 to 6.
    pub const MESSAGE: &str = "
        message holter {
            REQUIRED BYTE_ARRAY run (STRING) = 1;
            REQUIRED INT32 rank = 2;
            REQUIRED BYTE_ARRAY name (STRING) = 3;
            REQUIRED INT64 step = 4;
            REQUIRED DOUBLE value = 5;
            REQUIRED INT64 timestamp (TIMESTAMP(MICROS,true)) = 6;
        }";

    /// Metadata: the format version.
    pub const KEY_FORMAT_VERSION: &str = "holter.format_version";
    /// Metadata: the id of the journal that the rows come from, in hexadecimal.
    pub const KEY_JOURNAL_ID: &str = "holter.journal_id";
    /// Metadata: the first sequence number in that journal.
    pub const KEY_SEQUENCE_START: &str = "holter.sequence_start";
    /// Metadata: one past the last sequence number in that journal.
    pub const KEY_SEQUENCE_END: &str = "holter.sequence_end";
    /// Metadata: the numbers of the parts that this part replaces.
    pub const KEY_REPLACES: &str = "holter.replaces";
    /// Metadata: the position among the parts, if it is not the number of the part.
    pub const KEY_ORDER: &str = "holter.order";
}

/// The tables of the database.
pub mod sql {
    /// `PRAGMA application_id`: "HOLT". `file` prints it.
    pub const APPLICATION_ID: u32 = 0x484F_4C54;

    /// Creates the tables. The view is separate because it contains the start of the run as a literal.
    ///
    /// `timestamp_millis` counts from the start of the run (`meta.started_micros`), since SQLite stores small integers
    /// in fewer bytes. `value` is NULL only for NaN. The extremes are those of the finite values, NULL if there are none.
    /// `underived_step` is the smallest step that a derived sink may lack, NULL if there is none.
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
            min_value REAL,
            min_step INTEGER,
            max_value REAL,
            max_step INTEGER,
            underived_step INTEGER
        );
        CREATE TABLE IF NOT EXISTS points (
            series_id INTEGER NOT NULL,
            step INTEGER NOT NULL,
            value REAL,
            timestamp_millis INTEGER NOT NULL,
            PRIMARY KEY (series_id, step)
        ) WITHOUT ROWID;";

    /// Finds objects that run code when the tables are read or written: triggers, and views or virtual tables in place
    /// of tables.
    pub const PROGRAMS: &str = "
        SELECT type, name FROM sqlite_schema
        WHERE lower(tbl_name) IN ('meta', 'series', 'points', 'rollups')
            AND (type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%')";

    /// Creates the view that users query, with four columns.
    ///
    /// CROSS JOIN makes `series` the outer loop, so that a query by name, step or range of steps searches the primary
    /// key and never scans all points.
    pub fn view(started_micros: i64) -> String {
        format!(
            "CREATE VIEW IF NOT EXISTS metrics (step, name, value, timestamp) AS
             SELECT points.step, series.name, points.value,
                    strftime('%Y-%m-%dT%H:%M:%fZ', (points.timestamp_millis * 1000 + {started_micros}) / 1e6, 'unixepoch')
             FROM series CROSS JOIN points ON points.series_id = series.id;"
        )
    }

    /// The table of the rollups, which is optional.
    pub const ROLLUPS: &str = "rollups";

    /// Creates the table of the rollups, a cache of `points` (see [`rollup`](crate::rollup)).
    ///
    /// The key starts with the step because all series pass the same steps at the same time: a commit then adds its
    /// rows to few pages. With the series first, each row would be on another page.
    pub const ROLLUPS_TABLE: &str = "
        CREATE TABLE IF NOT EXISTS rollups (
            level INTEGER NOT NULL,
            start INTEGER NOT NULL,
            series_id INTEGER NOT NULL,
            buckets BLOB NOT NULL,
            PRIMARY KEY (level, start, series_id)
        ) WITHOUT ROWID;";

    /// `meta`: the format version.
    pub const KEY_FORMAT_VERSION: &str = "format_version";
    /// `meta`: the start of the run, in microseconds since the Unix epoch.
    pub const KEY_STARTED_MICROS: &str = "started_micros";
    /// `meta`: the id of the journal of the last commit.
    pub const KEY_JOURNAL_ID: &str = "journal_id";
    /// `meta`: one past the last committed sequence number of that journal.
    pub const KEY_JOURNAL_CURSOR: &str = "journal_cursor";
}
