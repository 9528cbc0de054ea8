"""Parquet of neptune-exporter: files with its schema, in parts, with projects, settings and fractional steps."""

import datetime as dt
from decimal import Decimal

import pytest

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

from pyarrow import parquet  # noqa: E402

import holter  # noqa: E402
from holter.formats import find_sources, import_source  # noqa: E402

# https://github.com/neptune-ai/neptune-exporter, README, "Parquet schema".
SCHEMA = pa.schema(
    [
        ("project_id", pa.string()),
        ("run_id", pa.string()),
        ("attribute_path", pa.string()),
        ("attribute_type", pa.string()),
        ("step", pa.decimal128(18, 6)),
        ("timestamp", pa.timestamp("ms", tz="UTC")),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("string_value", pa.string()),
        ("bool_value", pa.bool_()),
        ("datetime_value", pa.timestamp("ms", tz="UTC")),
        ("string_set_value", pa.list_(pa.string())),
        ("file_value", pa.struct([("path", pa.string())])),
        (
            "histogram_value",
            pa.struct([("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64()))]),
        ),
    ]
)
WHEN = dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)
PROJECT = "team/project"


def row(run, path, kind, **more):
    return {"project_id": PROJECT, "run_id": run, "attribute_path": path, "attribute_type": kind, **more}


def point(run, path, step, value):
    return row(run, path, "float_series", step=Decimal(step), float_value=value, timestamp=WHEN)


def write(path, rows, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="snappy", **options)
    return path


def run_of(directory, path, **options):
    faults = []
    (source,) = find_sources(path)
    done = import_source(source, directory, on_fault=faults.append, **options)
    return holter.open_run(directory), faults, done


def test_series_become_points_and_single_values_the_config(tmp_path):
    path = write(
        tmp_path / "data" / "project_ab12" / "RUN-1_part_0.parquet",
        [
            row("RUN-1", "config/lr", "float", float_value=3e-4),
            row("RUN-1", "config/layers", "int", int_value=6),
            row("RUN-1", "sys/name", "string", string_value="prose"),
            row("RUN-1", "sys/trashed", "bool", bool_value=False),
            row("RUN-1", "sys/creation_time", "datetime", datetime_value=WHEN),
            row("RUN-1", "sys/tags", "string_set", string_set_value=["a", "b"]),
            point("RUN-1", "metrics/loss", "0", 2.5),
            point("RUN-1", "metrics/loss", "1", float("nan")),
            point("RUN-1", "metrics/loss", "-3", float("-inf")),
            point("RUN-1", "metrics/loss", "999999999999", 1 / 3),
            point("RUN-1", "metrics/loss", "4", None),
            row("RUN-1", "log", "string_series", step=Decimal(1), string_value="x"),
            row("RUN-1", "h", "histogram_series", step=Decimal(1)),
            row("RUN-1", "f", "file", file_value={"path": "a"}),
        ],
    )
    run, faults, done = run_of(tmp_path / "run", tmp_path / "data")
    assert run.name == "RUN-1"
    series = run.series("metrics/loss")
    assert list(zip(series.steps.tolist(), map(repr, series.values.tolist()), strict=True)) == [
        (-3, "-inf"), (0, "2.5"), (1, "nan"), (999_999_999_999, repr(1 / 3))
    ]  # fmt: skip
    assert run.names() == ["metrics/loss"]
    assert (faults, done.skipped) == ([], {"texts": 1, "histograms": 1, "files": 1})
    config = run.config
    assert config.pop("imported") == {"format": "neptune", "files": [str(path)]}
    assert config == {
        "config/lr": 3e-4,
        "config/layers": 6,
        "sys/name": "prose",
        "sys/trashed": False,
        "sys/creation_time": "2025-01-02 03:04:05+00:00",
        "sys/tags": ["a", "b"],
    }


def test_invalid_rows_are_reported(tmp_path):
    path = write(
        tmp_path / "x.parquet",
        [
            point("other", "a", "0", 1.0),
            point("r", "a", "1", 1.0),
            point("r", "a", "1.5", 2.0),
            {**point("r", "a", "2", 3.0), "step": None},
            point("r", "", "3", 4.0),
            point("r", "a", "-0.000001", 4.0),
        ],
    )
    sources = {source.name: source for source in find_sources(path)}
    assert list(sources) == ["other", "r"]
    faults = []
    done = import_source(sources["r"], tmp_path / "run", on_fault=faults.append)
    assert (done.num_points, done.num_faults) == (1, 4)
    assert sorted(map(str, faults)) == [
        f"{path}, row 3: the step must be an integer",
        f"{path}, row 4: the point has no step",
        f"{path}, row 5: the name is empty",
        f"{path}, row 6: the step must be an integer",
    ]


def test_parts_are_read_in_order_and_names_include_projects(tmp_path):
    for part in (0, 1, 10, 2):
        rows = [
            point("R", "last_part", "0", float(part)),
            *(point("R", "loss", str(part * 100 + n), 1.0) for n in range(9)),
        ]
        write(tmp_path / "data" / "p" / f"R_part_{part}.parquet", rows, row_group_size=4)
    (source,) = find_sources(tmp_path / "data")
    assert [path.name for path in source.paths] == [f"R_part_{part}.parquet" for part in (0, 1, 2, 10)]
    progress = []
    import_source(source, tmp_path / "run", on_progress=progress.append)
    run = holter.open_run(tmp_path / "run")
    assert (run.series("last_part").last, len(run.series("loss"))) == (10.0, 36)
    assert progress == sorted(progress)
    assert progress[-1] == source.num_bytes
    write(tmp_path / "data" / "q" / "R_part_0.parquet", [{**point("R", "loss", "0", 1.0), "project_id": "team/q"}])
    assert [source.name for source in find_sources(tmp_path / "data")] == ["team/project/R", "team/q/R"]


def test_other_parquet_is_skipped_or_rejected(tmp_path):
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    assert find_sources(tmp_path) == []
    with pytest.raises(
        ValueError, match="not a file of neptune-exporter: it lacks the columns attribute_path, attribute_type"
    ):
        find_sources(tmp_path / "other.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert find_sources(tmp_path) == []
    with pytest.raises(ValueError, match=r".+"):
        find_sources(tmp_path / "broken.parquet")


def test_other_decimal_types_are_read(tmp_path):
    table = pa.Table.from_pylist([point("R", "a", "5", 1.0), point("R", "a", "6.5", 1.0)], schema=SCHEMA)
    wide = table.set_column(4, "step", table["step"].cast(pa.decimal128(38, 10)))
    parquet.write_table(wide, tmp_path / "x.parquet")
    run, faults, _ = run_of(tmp_path / "run", tmp_path / "x.parquet")
    assert run.series("a").steps.tolist() == [5]
    assert len(faults) == 1
