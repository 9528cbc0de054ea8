"""Environment variables provide defaults for the arguments of `Logger`."""

from pathlib import Path

import pytest

import holter
import run_files

VARIABLES = ("HOLTER_MODE", "HOLTER_DIR", "HOLTER_NAME", "HOLTER_RESUME", "HOLTER_TAGS")


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def log_one(*arguments, **settings) -> Path:
    with holter.Logger(*arguments, journal_points=1 << 10, **settings) as logger:
        logger.log(0, "loss", 0.5)
    return Path(logger.path)


def test_runs_without_a_path_get_unique_directories() -> None:
    paths = {log_one() for _ in range(5)}
    assert len(paths) == 5
    for path in paths:
        assert path.parent == Path("runs")
        assert run_files.manifest(path)["name"] == path.name
        assert len(run_files.sqlite_points(path)) == 1


def test_directory_and_name_are_defaults_for_the_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLTER_DIR", str(tmp_path / "elsewhere"))
    assert log_one().parent == tmp_path / "elsewhere"
    monkeypatch.setenv("HOLTER_NAME", "named outside")
    path = log_one()
    assert path == tmp_path / "elsewhere" / "named outside"
    assert run_files.manifest(path)["name"] == "named outside"
    path = log_one(tmp_path / "by argument")
    assert path == tmp_path / "by argument"
    assert run_files.manifest(path)["name"] == "named outside"
    path = log_one(name="named inside")
    assert path == tmp_path / "elsewhere" / "named inside"
    assert run_files.manifest(path)["name"] == "named inside"


def test_resume_is_a_default_for_the_argument_and_is_validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLTER_RESUME", "must")
    with pytest.raises(FileNotFoundError):
        log_one(tmp_path / "run")
    log_one(tmp_path / "run", resume="never")
    assert log_one(tmp_path / "run") == tmp_path / "run"
    monkeypatch.setenv("HOLTER_RESUME", "never")
    with pytest.raises(FileExistsError):
        log_one(tmp_path / "run")
    log_one(tmp_path / "run", resume="allow")
    monkeypatch.setenv("HOLTER_RESUME", "sometimes")
    with pytest.raises(ValueError, match="sometimes"):
        log_one(tmp_path / "run")


def test_tags_are_added_to_the_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLTER_TAGS", "a,b,,c d")
    assert run_files.manifest(log_one(tmp_path / "run", tags=("e",)))["tags"] == ["a", "b", "c d", "e"]


def test_a_disabled_logger_validates_arguments_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import array

    monkeypatch.setenv("HOLTER_MODE", "disabled")
    with holter.Logger("run", config={"lr": 1.0}) as logger:
        logger.log(0, "loss", 0.5)
        logger.log_many(0, {"loss": 0.5})
        logger.metric("loss").log(0, 0.5)
        logger.log_array(0, logger.metrics(["a", "b"]), array.array("d", [1, 2]))
        logger.flush()
        assert logger.health.accepted == 0
        for bad in (("loss", 0, 0.5), (0, "", 0.5), (0, "loss", None), (0, 1.0, 1.0)):
            with pytest.raises((TypeError, ValueError)):
                logger.log(*bad)
    logger.close()
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="sinks"):
        holter.Logger("run", sinks=("csv",))
    monkeypatch.setenv("HOLTER_MODE", "off")
    with pytest.raises(ValueError, match="HOLTER_MODE must be 'on' or 'disabled', got 'off'"):
        holter.Logger("run")
    for mode in ("on", ""):
        monkeypatch.setenv("HOLTER_MODE", mode)
        assert len(run_files.sqlite_points(log_one(f"run {mode}"))) == 1


def test_a_run_can_start_in_a_deleted_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The git commit of the working directory cannot be read there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    path = log_one(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert run_files.manifest(path)["git"] is None
    assert len(run_files.sqlite_points(path)) == 1
