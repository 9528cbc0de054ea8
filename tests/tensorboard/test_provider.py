"""The data provider, queried over gRPC by TensorBoard's own client on real runs."""

import contextlib
import math
import os
import shutil
from pathlib import Path

import pytest

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
pytest.importorskip("tensorboard", reason="tensorboard is not installed")

from tensorboard import errors  # noqa: E402
from tensorboard.data import provider  # noqa: E402
from tensorboard.data.grpc_provider import GrpcDataProvider, make_stub  # noqa: E402

import holter  # noqa: E402
from holter.tensorboard import _folder, data_server  # noqa: E402

STEPS, SPIKE_STEP, SPIKE = 100_000, 54_321, 1e6


@pytest.fixture
def connect(monkeypatch):
    """A function that serves a folder, and returns TensorBoard's client and the list of reported problems."""
    monkeypatch.setattr(_folder, "_MAX_AGE_SECS", 0.0)
    monkeypatch.setattr(_folder, "_MIN_PAUSE_FACTOR", 0.0)
    with contextlib.ExitStack() as stack:

        def run(root):
            problems = []
            address = stack.enter_context(data_server(root, on_unreadable=lambda *problem: problems.append(problem)))
            channel = stack.enter_context(grpc.secure_channel(address, grpc.local_channel_credentials()))
            client = GrpcDataProvider(address, make_stub(channel))
            client.address = address
            return client, problems

        yield run


def scalars(client, downsample=1000, plugin="scalars", **selection):
    run_tag = provider.RunTagFilter(**selection) if selection else None
    options = {"experiment_id": "", "plugin_name": plugin}
    return client.read_scalars(None, **options, downsample=downsample, run_tag_filter=run_tag)


def listed(client, plugin="scalars"):
    return client.list_scalars(None, experiment_id="", plugin_name=plugin)


def names(client):
    return [run.run_name for run in client.list_runs(None, experiment_id="")]


def record(path, points, **settings):
    with holter.Logger(path, journal_points=1 << 17, **settings) as logger:
        for name, values in points.items():
            for step, value in values:
                logger.log(step, name, value)
    return holter.open_run(path)


@pytest.mark.parametrize("num_points", [1000, 100, 5])
def test_spike_of_one_step_is_in_the_sample(tmp_path, connect, num_points):
    values = ((step, SPIKE if step == SPIKE_STEP else math.sin(step / 500)) for step in range(STEPS))
    record(tmp_path / "run", {"loss": values}, sinks=["sqlite"])
    client, _ = connect(tmp_path)
    points = scalars(client, num_points)["run"]["loss"]
    assert len(points) <= num_points
    assert (SPIKE_STEP, SPIKE) in [(point.step, point.value) for point in points]
    steps = [point.step for point in points]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, STEPS - 1)


@pytest.mark.parametrize("num_points", [0, 1, 2, 4])
def test_small_samples_are_the_last_points(tmp_path, connect, num_points):
    record(tmp_path / "run", {"loss": [(step, step / 2) for step in range(5000)]})
    client, _ = connect(tmp_path)
    points = scalars(client, num_points)["run"]["loss"]
    assert len(points) == num_points
    assert [point.step for point in points[-1:]] == [4999] * min(num_points, 1)


def test_last_scalars_are_returned(tmp_path, connect):
    record(tmp_path / "run", {"a": [(1, 1.0), (2, 0.5)]})
    client, _ = connect(tmp_path)
    last = client.read_last_scalars(None, experiment_id="", plugin_name="scalars")
    assert (last["run"]["a"].step, last["run"]["a"].value) == (2, 0.5)


def test_nonfinite_values_are_returned(tmp_path, connect):
    values = [math.nan, math.inf, -math.inf, 1e39, -1e39, 1e-50, 0.1]
    run = record(tmp_path / "run", {"x": list(enumerate(values))})
    client, _ = connect(tmp_path)
    points = scalars(client)["run"]["x"]
    float32 = [math.nan, math.inf, -math.inf, math.inf, -math.inf, 0.0, 0.10000000149011612]
    assert [repr(point.value) for point in points] == [repr(value) for value in float32]
    assert [point.wall_time for point in points] == pytest.approx(
        run.series("x").timestamps.astype("<M8[us]").astype(int) / 1e6, abs=1e-6
    )


def test_runs_are_named_by_path_and_ranks_are_runs(tmp_path, connect):
    root = tmp_path / "runs"
    record(root / "b", {"x": [(1, 1.0)]})
    record(root / "deep" / "a", {"x": [(1, 1.0)], "y": [(2, 1.0)]})
    record(root / "b", {"x": [(1, 2.0)]}, rank=3)
    client, problems = connect(root)
    assert names(client) == ["b", "b/rank-00003", "deep/a"]
    found = listed(client)
    assert {run: sorted(tags) for run, tags in found.items()} == {
        "b": ["x"], "b/rank-00003": ["x"], "deep/a": ["x", "y"]
    }  # fmt: skip
    assert found["deep/a"]["y"].max_step == 2
    assert {run: list(tags) for run, tags in scalars(client, runs=["deep/a", "no"], tags=["y", "no"]).items()} == {
        "deep/a": ["y"]
    }
    assert scalars(client, tags=["no"]) == scalars(client, runs=[]) == {}
    assert client.experiment_metadata(None, experiment_id="").experiment_name == "runs"
    assert problems == []
    single, _ = connect(root / "deep" / "a")
    assert names(single) == ["a"]


def test_only_scalars_are_served(tmp_path, connect):
    record(tmp_path / "run", {"x": [(1, 1.0)]})
    client, _ = connect(tmp_path)
    assert client.list_plugins(None, experiment_id="") == ["scalars"]
    assert scalars(client, plugin="hparams") == listed(client, "images") == {}
    for kind in ("tensors", "blob_sequences"):
        options = {"experiment_id": "", "plugin_name": "images"}
        assert getattr(client, f"list_{kind}")(None, **options) == {}
        assert getattr(client, f"read_{kind}")(None, **options, downsample=1) == {}
    with pytest.raises(errors.NotFoundError, match="no blobs"):
        client.read_blob(None, "x")
    with pytest.raises(errors.InvalidArgumentError, match="must not be negative, got -1"):
        scalars(client, -1)


def test_live_run_grows(tmp_path, connect):
    client, problems = connect(tmp_path / "runs")
    assert names(client) == []
    with holter.Logger(tmp_path / "runs" / "live", journal_points=1 << 12) as logger:
        for step in range(10):
            logger.log(step, "loss", step / 2)
            points = scalars(client)["live"]["loss"]
            assert (len(points), points[-1].step, points[-1].value) == (step + 1, step, step / 2)
            assert listed(client)["live"]["loss"].max_step == step
        logger.log(0, "late", 1.0)
        assert list(scalars(client)["live"]) == ["late", "loss"]
    assert problems == []


def test_unreadable_runs_are_reported_once_and_skipped(tmp_path, connect):
    for name in ("a", "b", "c", "d"):
        record(tmp_path / name, {"x": [(1, 1.0)]})
    client, problems = connect(tmp_path)
    assert names(client) == ["a", "b", "c", "d"]
    (tmp_path / "b" / "metrics.sqlite").write_bytes(b"no database" * 1000)
    (tmp_path / "c" / "run.json").write_text("{")
    shutil.rmtree(tmp_path / "d")
    for _ in range(2):
        assert list(scalars(client)) == list(listed(client)) == ["a"]
    assert sorted(path.name for path, _ in problems) == ["b", "c"]
    assert "not a database" in {path.name: reason for path, reason in problems}["b"]


def test_replaced_run_is_read_again(tmp_path, connect):
    record(tmp_path / "a", {"x": [(1, 1.0)]})
    client, _ = connect(tmp_path)
    assert scalars(client)["a"]["x"][0].value == 1.0
    shutil.rmtree(tmp_path / "a")
    record(tmp_path / "a", {"x": [(1, 2.0)]})
    assert scalars(client)["a"]["x"][0].value == 2.0


def test_unusual_names_are_served(tmp_path, connect):
    tag = '<img src=x onerror="1">\x1b\u202e'
    record(tmp_path / "\x1b[31m", {tag: [(-5, 1.0)]})
    (tmp_path / "\x1b[31m").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff<b>"))
    client, _ = connect(tmp_path)
    assert names(client) == ["?<b>"]
    assert scalars(client)["?<b>"][tag][0].step == -5


def test_server_listens_only_on_loopback(tmp_path, connect):
    client, _ = connect(tmp_path)
    host, port = client.address.split(":")
    assert host == "127.0.0.1"
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        listening |= {row[1] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == int(port)}
    # The loopback address, or the IPv4-mapped IPv6 address that gRPC uses.
    addresses = {row.split(":")[0] for row in listening}
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert addresses


def test_listing_does_not_read_the_series(tmp_path, connect, monkeypatch):
    """Catches a read of every series, which takes seconds at each reload for all parameters of a model."""

    def fail(*_, **__):
        raise AssertionError("a series was read")

    with holter.Logger(tmp_path / "wide", sinks=["sqlite"]) as logger:
        logger.log_many(0, {f"grad_norm/{number}": number / 2 for number in range(5000)})
    client, _ = connect(tmp_path)
    for method in ("series", "downsample", "buckets"):
        monkeypatch.setattr(holter.Run, method, fail)
    assert len(listed(client)["wide"]) == 5000
