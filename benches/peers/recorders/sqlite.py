"""A plain SQLite table, filled with Python's `sqlite3`."""

import datetime as dt
import pathlib
import sqlite3
from collections.abc import Mapping, Sequence

from peers.recorder import Recorder, Way

TABLE = "CREATE TABLE metrics (step INTEGER, name TEXT, value REAL, timestamp TEXT, PRIMARY KEY (step, name))"
INSERT = "INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)"


class PlainSqlite(Recorder):
    """One row per point, one transaction per step."""

    title = "plain sqlite3"
    settings = (
        "Table `metrics(step, name, value, timestamp)`; WAL and `synchronous=NORMAL`, as SQLite's documentation "
        "recommends for many small transactions; one commit per step"
    )
    durable = "the step's `commit` has returned, and a final checkpoint, which syncs"
    reader = "`SELECT step, value FROM metrics WHERE name = ?`"
    ways = (
        Way("log", '`execute("INSERT …")`', "pairs"),
        Way("log_many", '`executemany("INSERT …")`', "mapping"),
    )

    def prepare(self, path: pathlib.Path) -> None:
        del path

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        self._num_names, self._num_pending = len(names), 0
        self._database = sqlite3.connect(path / "metrics.sqlite")
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(TABLE)
        self._database.commit()

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        execute, utc = self._database.execute, dt.timezone.utc
        for name, value in pairs:
            execute(INSERT, (step, name, value, dt.datetime.now(utc).isoformat()))
        self._num_pending += len(pairs)
        if self._num_pending >= self._num_names:
            self._database.commit()
            self._num_pending = 0

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        now = dt.datetime.now(dt.timezone.utc).isoformat()
        self._database.executemany(INSERT, [(step, name, value, now) for name, value in values.items()])
        self._database.commit()

    def flush(self) -> None:
        self._database.commit()
        self._database.execute("PRAGMA wal_checkpoint(FULL)")

    def close(self) -> None:
        self._database.close()

    def open_reader(self, path: pathlib.Path) -> None:
        self._database = sqlite3.connect(f"file:{path / 'metrics.sqlite'}?mode=ro", uri=True)

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        rows = self._database.execute("SELECT step, value FROM metrics WHERE name = ?", [name]).fetchall()
        return [step for step, _ in rows], [value for _, value in rows]

    def count(self, names: Sequence[str]) -> int:
        del names
        return int(self._database.execute("SELECT count(*) FROM metrics").fetchone()[0])
