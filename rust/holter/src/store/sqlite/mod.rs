//! Points in a database that a plain `sqlite3` shell can query while the run is being recorded.

mod connection;
mod cursor;
pub(crate) mod files;
pub(crate) mod foreign_schema;
mod insert;
mod open_blocks;
mod rewrite_wal;
mod rollups;
mod series_row;
mod sink;
mod wal_lock;

pub use connection::SqliteOptions;
pub use sink::SqliteSink;
