"""Which runs of a folder are listed, nothing outside of it, and what the list contains."""

import shutil
from types import SimpleNamespace

import pytest

import holter
import sample_runs
from dashboard_client import RUNS, listed
from holter.dashboard.api._runs import RunFolder
from sample_runs import record_few

# --- Symlinks, ranks, and a root that is a run ---


def test_symlinks_out_of_the_folder_are_not_followed(root, tmp_path, open_client):
    record_few(tmp_path / "elsewhere" / "secret")
    record_few(root / "inside")
    (root / "link").symlink_to(tmp_path / "elsewhere" / "secret")
    (root / "links").symlink_to(tmp_path / "elsewhere")
    client = open_client(root)
    assert listed(client) == (["inside"], {})
    for run in ("link", "links/secret", "../elsewhere/secret", str(tmp_path / "elsewhere" / "secret")):
        assert client.get("/api/v1/series", params={"run": run}).status_code == 404


def test_run_whose_database_is_a_symlink_out_of_the_folder_is_rejected(root, tmp_path, open_client):
    record_few(tmp_path / "elsewhere" / "secret")
    record_few(root / "a")
    (root / "a" / "metrics.sqlite").unlink()
    (root / "a" / "metrics.sqlite").symlink_to(tmp_path / "elsewhere" / "secret" / "metrics.sqlite")
    runs, problems = listed(open_client(root))
    assert runs == []
    assert problems == {"a": "'metrics.sqlite' is a symlink that leads out of the served folder"}


def test_symlinks_within_the_folder_and_to_the_root_work(root, tmp_path, open_client):
    record_few(root / "a")
    (root / "a" / "summary.jsonl").rename(root / "kept.jsonl")
    (root / "a" / "summary.jsonl").symlink_to(root / "kept.jsonl")
    (tmp_path / "link").symlink_to(root)
    assert listed(open_client(tmp_path / "link")) == (["a"], {})


def test_root_that_is_a_run_lists_only_that_run(root, open_client):
    record_few(root / "a")
    record_few(root / "b")
    client = open_client(root / "a")
    assert listed(client)[0] == ["a"]
    assert client.get("/api/v1/series?run=a").status_code == 200
    assert client.get("/api/v1/series?run=b").status_code == 404
    assert client.get("/api/v1/series", params={"run": "../b"}).status_code == 404


def test_each_rank_is_listed(root, open_client):
    for rank in (0, 1, 11):
        with holter.Logger(root / "a", rank=rank) as logger:
            logger.log(rank, "loss", float(rank))
    client = open_client(root)
    runs = client.get(RUNS).json()["runs"]
    assert [(run["id"], run["name"], run["rank"]) for run in runs] == [
        ("a", "a", 0),
        ("a/rank-00001", "a rank 1", 1),
        ("a/rank-00011", "a rank 11", 11),
    ]
    assert client.get("/api/v1/series", params={"run": "a/rank-00011"}).json()["series"] == [
        ["loss", 1, 0, 11, 11, 11.0]
    ]


def test_ranks_beyond_the_limit_are_reported(root, open_client, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._runs.MAX_RANKS", 1)
    for rank in range(3):
        holter.Logger(root / "a", rank=rank).close()
    runs, problems = listed(open_client(root))
    assert runs == ["a", "a/rank-00001"]
    assert problems == {"a": "it has 2 more ranks; only the first 1 are shown"}


def test_runs_beyond_the_limit_are_reported(root, open_client, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._runs.MAX_LISTED", 2)
    for name in "abc":
        record_few(root / name)
    runs, problems = listed(open_client(root))
    assert runs == ["b", "c"]
    assert problems == {"runs": "it contains 3 runs; only the newest 2 are shown"}


# --- The list ---


def test_colors_follow_the_age_and_stay_the_same(root, open_client):
    for name in ("z", "m", "a"):
        record_few(root / name)
    client = open_client(root)

    def colors():
        return {run["id"]: run["color"] for run in client.get(RUNS).json()["runs"]}

    assert colors() == {"z": 0, "m": 1, "a": 2}
    shutil.rmtree(root / "z")
    record_few(root / "b")
    assert colors() == {"m": 1, "a": 2, "b": 3}


def test_requests_share_a_scan(sample_root, monkeypatch):
    scans = []
    real = holter.list_runs

    def counting(*arguments, **options):
        scans.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(holter, "list_runs", counting)
    folder = RunFolder(sample_root, max_age_secs=3600.0)
    for _ in range(50):
        folder.listing()
        folder.get("run-1")
    assert len(scans) == 1


def test_slow_scans_are_less_frequent(sample_root, monkeypatch):
    now = [100.0]
    scans = []
    real = holter.list_runs

    def slow(*arguments, **options):
        scans.append(now[0])
        now[0] += 3.0
        return real(*arguments, **options)

    monkeypatch.setattr(holter, "list_runs", slow)
    monkeypatch.setattr("holter.dashboard.api._runs.time", SimpleNamespace(monotonic=lambda: now[0]))
    folder = RunFolder(sample_root)
    for now[0] in (100.0, 104.0, 108.9, 109.1, 113.0):
        folder.listing()
    assert scans == [100.0, 109.1], "a scan of 3 s, then a rest of 6 s"


def test_unchanged_run_is_not_read_again(sample_root, monkeypatch):
    folder = RunFolder(sample_root, max_age_secs=0.0)
    first = folder.listing().entries
    monkeypatch.setattr("holter.dashboard.api._runs.describe", lambda run: pytest.fail("the run was read again"))
    assert folder.listing().entries == first


def test_list_has_the_summary_of_a_run(root, open_client):
    sample_runs.record(root / "run-1", config={"optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}})
    run = open_client(root).get(RUNS).json()["runs"][0]
    assert run["config"]["optimizer.lr"] == 0.1
    assert run["config"]["optimizer.betas"] == "[0.9, 0.99]"
    assert (run["status"], run["is_live"], run["last_step"], run["total_steps"]) == ("finished", False, 399, 400)
    assert run["nonfinite_series"] == 2
    assert run["tags"] == ["sample"]
    assert run["eta_seconds"] is None
    assert run["last_point_age_seconds"] >= 0
    assert run["host"]
    assert run["versions"]["holter"] == holter.__version__
    assert len(run["attempts"]) == 1


def test_speed_and_time_left_come_from_the_latest_points(root, open_client, monkeypatch):
    with holter.Logger(root / "a", config={"train": {"max_steps": 1000}}) as logger:
        for step in range(100):
            logger.log(step, "loss", 1.0)
        logger.flush()
        # Replace the recorded timestamps: ten steps per second.
        import numpy as np

        real = holter.Run.series

        def slow(run, name, start=None, stop=None):
            found = real(run, name, start, stop)
            times = np.datetime64("2100-01-01T00:00:00", "us") + found.steps * np.timedelta64(100_000, "us")
            return holter.Series(name, found.steps, found.values, times)

        monkeypatch.setattr(holter.Run, "series", slow)
        run = open_client(root).get(RUNS).json()["runs"][0]
    assert run["is_live"]
    assert run["steps_per_second"] == pytest.approx(10.0)
    assert run["eta_seconds"] == pytest.approx(90.0)
    assert run["last_point_age_seconds"] == 0.0, "the age is not negative if the other clock is ahead"


def test_speed_is_measured_since_the_last_restart(root, open_client):
    for _ in range(2):
        with holter.Logger(root / "a") as logger:
            logger.log(0, "loss", 1.0)
    assert open_client(root).get(RUNS).json()["runs"][0]["steps_per_second"] is None


def test_extreme_64_bit_steps_are_listed(root, open_client):
    with holter.Logger(root / "a") as logger:
        logger.log(-(1 << 63), "loss", 1.0)
        logger.log((1 << 63) - 1, "loss", float("inf"))
    client = open_client(root)
    assert client.get(RUNS).json()["runs"][0]["last_step"] == (1 << 63) - 1
    assert client.get("/api/v1/series?run=a").json()["series"] == [["loss", 2, 1, -(1 << 63), (1 << 63) - 1, "inf"]]
