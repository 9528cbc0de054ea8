"""What of a folder is shown: runs and their ranks, never what lies outside, and of each run what it is."""

import shutil
from types import SimpleNamespace

import pytest

import holter
import sample_runs
from dashboard_client import RUNS, listed
from holter.dashboard.api._runs import RunFolder
from sample_runs import record_few

# --- Links, ranks, and a root that is a run ---


def test_links_out_of_the_folder_are_not_followed(root, tmp_path, open_client):
    record_few(tmp_path / "elsewhere" / "secret")
    record_few(root / "inside")
    (root / "link").symlink_to(tmp_path / "elsewhere" / "secret")
    (root / "links").symlink_to(tmp_path / "elsewhere")
    client = open_client(root)
    assert listed(client) == (["inside"], {})
    for run in ("link", "links/secret", "../elsewhere/secret", str(tmp_path / "elsewhere" / "secret")):
        assert client.get("/api/v1/series", params={"run": run}).status_code == 404


def test_a_run_whose_database_is_a_link_out_of_the_folder_is_not_served(root, tmp_path, open_client):
    record_few(tmp_path / "elsewhere" / "secret")
    record_few(root / "a")
    (root / "a" / "metrics.sqlite").unlink()
    (root / "a" / "metrics.sqlite").symlink_to(tmp_path / "elsewhere" / "secret" / "metrics.sqlite")
    runs, problems = listed(open_client(root))
    assert runs == []
    assert problems == {"a": "'metrics.sqlite' is a link to outside of the folder that is served"}


def test_links_within_the_folder_are_fine_and_so_is_a_root_that_is_one(root, tmp_path, open_client):
    record_few(root / "a")
    (root / "a" / "summary.jsonl").rename(root / "kept.jsonl")
    (root / "a" / "summary.jsonl").symlink_to(root / "kept.jsonl")
    (tmp_path / "link").symlink_to(root)
    assert listed(open_client(tmp_path / "link")) == (["a"], {})


def test_a_root_that_is_a_run_is_served_as_that_run_alone(root, open_client):
    record_few(root / "a")
    record_few(root / "b")
    client = open_client(root / "a")
    assert listed(client)[0] == ["a"]
    assert client.get("/api/v1/series?run=a").status_code == 200
    assert client.get("/api/v1/series?run=b").status_code == 404
    assert client.get("/api/v1/series", params={"run": "../b"}).status_code == 404


def test_each_rank_is_an_entry_of_its_own(root, open_client):
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


def test_ranks_beyond_what_is_shown_are_told(root, open_client, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._runs.MAX_RANKS", 1)
    for rank in range(3):
        holter.Logger(root / "a", rank=rank).close()
    runs, problems = listed(open_client(root))
    assert runs == ["a", "a/rank-00001"]
    assert problems == {"a": "it has 2 more ranks; the first 1 of them are shown"}


def test_runs_beyond_what_is_shown_are_told(root, open_client, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._runs.MAX_LISTED", 2)
    for name in "abc":
        record_few(root / name)
    runs, problems = listed(open_client(root))
    assert runs == ["b", "c"]
    assert problems == {"runs": "it holds 3 runs; the newest 2 are shown"}


# --- What is shown of them ---


def test_colours_follow_the_age_and_stay(root, open_client):
    for name in ("z", "m", "a"):
        record_few(root / name)
    client = open_client(root)

    def colours():
        return {run["id"]: run["color"] for run in client.get(RUNS).json()["runs"]}

    assert colours() == {"z": 0, "m": 1, "a": 2}
    shutil.rmtree(root / "z")
    record_few(root / "b")
    assert colours() == {"m": 1, "a": 2, "b": 3}


def test_the_folder_is_scanned_once_for_many_requests(sample_root, monkeypatch):
    scans = []
    real = holter.list_runs

    def counted(*arguments, **options):
        scans.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(holter, "list_runs", counted)
    folder = RunFolder(sample_root, max_age_secs=3600.0)
    for _ in range(50):
        folder.listing()
        folder.get("run-1")
    assert len(scans) == 1


def test_a_slow_disk_is_given_a_rest(sample_root, monkeypatch):
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
    assert scans == [100.0, 109.1], "3 s of looking, then 6 s of rest"


def test_a_run_that_did_not_change_is_not_read_again(sample_root, monkeypatch):
    folder = RunFolder(sample_root, max_age_secs=0.0)
    first = folder.listing().entries
    monkeypatch.setattr("holter.dashboard.api._runs.describe", lambda run: pytest.fail("it is read again"))
    assert folder.listing().entries == first


def test_the_list_says_what_a_run_is(root, open_client):
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


def test_speed_and_time_left_follow_from_the_latest_points(root, open_client, monkeypatch):
    with holter.Logger(root / "a", config={"train": {"max_steps": 1000}}) as logger:
        for step in range(100):
            logger.log(step, "loss", 1.0)
        logger.flush()
        # What the clock said is in the points; here it says ten steps a second.
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
    assert run["last_point_age_seconds"] == 0.0, "a clock that is ahead of ours is no age below zero"


def test_speed_begins_anew_with_each_attempt(root, open_client):
    for _ in range(2):
        with holter.Logger(root / "a") as logger:
            logger.log(0, "loss", 1.0)
    assert open_client(root).get(RUNS).json()["runs"][0]["steps_per_second"] is None


def test_steps_at_both_ends_of_64_bits_are_listed(root, open_client):
    with holter.Logger(root / "a") as logger:
        logger.log(-(1 << 63), "loss", 1.0)
        logger.log((1 << 63) - 1, "loss", float("inf"))
    client = open_client(root)
    assert client.get(RUNS).json()["runs"][0]["last_step"] == (1 << 63) - 1
    assert client.get("/api/v1/series?run=a").json()["series"] == [["loss", 2, 1, -(1 << 63), (1 << 63) - 1, "inf"]]
