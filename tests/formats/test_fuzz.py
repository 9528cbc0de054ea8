"""Any file of another recorder is either read to its end or rejected with an error that names it.

`tests/fuzz/corpus/formats` has files that failed in the past; the last test reads them.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holter
from holter.formats import find_sources, tfevents
from mutations import damaged

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "formats"
WIDE = b"step,epoch,loss,acc,time\n0,0,1.5,,1700000000\n1,0,nan,0.5,1700000001\n2,1,-inf,1e308,\n"
LONG = b'run,rank,name,step,value\nr,0,loss,0,1.5\nr,0,"a,""b""",1,-0.0\nr,0,loss,9223372036854775807,inf\n'
LINES = b'{"step": 0, "loss": 1.5, "x": NaN}\n{"name": "a/b", "step": 1, "value": "inf"}\n{"_step": 2, "t": {"u": 1}}\n'
SEEDS = {"wide.csv": WIDE, "long.csv": LONG, "lines.jsonl": LINES}
FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read_bytes(folder: Path, name: str, data: bytes) -> None:
    """Read the whole file; an error must name it."""
    path = folder / name
    path.write_bytes(data)
    try:
        for source in find_sources(path):
            source.config()
            for batch in source.read():
                for point in batch.points:
                    assert [type(part) for part in point] == [str, int, float]
                assert all(fault.reason.isprintable() for fault in batch.faults), "reasons are printed on terminals"
    except (ValueError, OSError) as error:
        assert type(error) in (ValueError, OSError, FileNotFoundError)
        assert name in str(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A directory in which each example replaces the file of the last one."""
    return tmp_path_factory.mktemp("import")


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> bytes:
    """An event file."""
    folder = tmp_path_factory.mktemp("events")
    with holter.Logger(folder / "run", journal_points=1 << 10) as logger:
        for step in range(20):
            logger.log_many(step, {"loss": 1.0 / (step + 1), "ä": np.nan})
    tfevents.write(holter.open_run(folder / "run"), folder / "logs")
    (path,) = (folder / "logs").rglob("*tfevents*")
    return path.read_bytes()


@pytest.mark.parametrize("name", SEEDS)
@FUZZ
@given(data=st.data())
def test_damaged_text_files(name, data, folder):
    read_bytes(folder, name, data.draw(damaged(SEEDS[name])))


@FUZZ
@given(data=st.data())
def test_damaged_event_files(events, data, folder):
    read_bytes(folder, "events.out.tfevents.1.host", data.draw(damaged(events)))


@pytest.fixture(scope="module")
def parquet(tmp_path_factory) -> bytes:
    """A file with the required columns of neptune-exporter, and one for settings."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    path = tmp_path_factory.mktemp("neptune") / "part.parquet"
    columns = {
        "project_id": ["p"] * 3,
        "run_id": ["r"] * 3,
        "attribute_path": ["loss", "loss", "lr"],
        "attribute_type": ["float_series", "float_series", "float"],
        "step": pa.array([0, 1, None], pa.decimal128(18, 6)),
        "float_value": [1.5, float("nan"), 0.1],
        "string_value": pa.array([None, None, "x"]),
    }
    parquet.write_table(pa.table(columns), path, compression="snappy")
    return path.read_bytes()


@FUZZ
@given(data=st.data())
def test_damaged_parquet(parquet, data, folder):
    read_bytes(folder, "part.parquet", data.draw(damaged(parquet)))


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_corpus(path, folder):
    read_bytes(folder, path.name, path.read_bytes())
