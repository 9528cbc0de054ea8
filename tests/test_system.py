"""System metrics: the host's real sensors, a fake NVML, and errors that must not reach the training."""

import os
import sys
import types
import warnings
from pathlib import Path

import pytest

import holter
from holter import system
from waiting import wait_until


def fake_nvml(monkeypatch: pytest.MonkeyPatch, *, power_fails: bool = False) -> list[str]:
    """Replace NVML with a fake that has one GPU; return the list in which it records its shutdown."""
    calls: list[str] = []

    def power(_: object) -> int:
        if power_fails:
            message = "no power sensor"
            raise RuntimeError(message)
        return 250_500

    fake = types.SimpleNamespace(
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: calls.append("shutdown"),
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda num: num,
        nvmlDeviceGetUtilizationRates=lambda _: types.SimpleNamespace(gpu=87),
        nvmlDeviceGetMemoryInfo=lambda _: types.SimpleNamespace(used=3_000_000_000),
        nvmlDeviceGetTemperature=lambda _device, _sensor: 61,
        nvmlDeviceGetPowerUsage=power,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return calls


def psutil_or_skip() -> None:
    pytest.importorskip("psutil", reason="psutil is not installed")


def test_records_host_and_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil_or_skip()
    calls = fake_nvml(monkeypatch)
    with holter.Logger(tmp_path / "run") as logger, system.monitor(logger, every_secs=0.1) as monitor:
        wait_until(lambda: logger.health.accepted >= 18, secs=60)  # two readings, as rates need
    run = holter.open_run(tmp_path / "run")
    assert monitor.errors == 0
    assert run.series("system/gpu_0/power_watts").values[0] == 250.5
    assert run.series("system/gpu_0/memory_used_gb").values[0] == 3.0
    assert run.series("system/memory_used_gb").values[0] > 0
    assert run.series("system/process_memory_gb").values[0] > 0
    steps = run.series("system/cpu_percent").steps.tolist()
    assert 0 <= steps[0] < steps[1] < 100
    assert calls == ["shutdown"]


def test_resumed_run_continues_after_its_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches steps that restart at 0, which replaces earlier points, or that continue after those of rank 0."""
    psutil_or_skip()
    fake_nvml(monkeypatch)
    with holter.Logger(tmp_path / "run", rank=1) as logger:
        logger.log(41, "system/cpu_percent", 12.5)
    with holter.Logger(tmp_path / "run") as lowest:
        lowest.log(1000, "system/cpu_percent", 1.0)
    resumed = holter.Logger(tmp_path / "run", rank=1, resume="allow")
    with resumed as logger, system.monitor(logger, every_secs=0.1) as monitor:
        wait_until(lambda: logger.health.accepted >= 9, secs=60)
    points = holter.open_run(tmp_path / "run").series("system/cpu_percent", rank=1)
    assert points.steps[0] == 41
    assert 42 <= points.steps[1] < 141
    assert points.values[0] == 12.5
    assert monitor.errors == 0


def test_unreadable_previous_steps_do_not_stop_the_monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil_or_skip()
    fake_nvml(monkeypatch)

    def damaged(_: object) -> holter.Run:
        raise holter.StoreError("the database is damaged")

    with holter.Logger(tmp_path / "run") as logger, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with monkeypatch.context() as opening:
            opening.setattr(holter, "open_run", damaged)
            with system.monitor(logger, every_secs=0.1) as monitor:
                wait_until(lambda: logger.health.accepted >= 9, secs=60)
    assert monitor.errors == 1
    assert ["the steps of the previous attempt" in str(warning.message) for warning in caught] == [True]
    assert holter.open_run(tmp_path / "run").series("system/cpu_percent").steps[0] < 100


def test_disabled_logger_starts_at_step_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    with holter.Logger(tmp_path / "run") as logger:
        assert system._next_step(logger) == 0


def test_failing_sensor_is_counted_and_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil_or_skip()
    fake_nvml(monkeypatch, power_fails=True)
    with warnings.catch_warnings(record=True) as caught, holter.Logger(tmp_path / "run") as logger:
        warnings.simplefilter("always")
        with system.monitor(logger, every_secs=0.1) as monitor:
            wait_until(lambda: monitor.errors >= 2, secs=60)
    assert len([warning for warning in caught if "power_watts" in str(warning.message)]) == 1
    assert holter.open_run(tmp_path / "run").series("system/gpu_0/temperature_celsius").values[0] == 61


def test_ends_with_the_logger(tmp_path: Path) -> None:
    psutil_or_skip()
    logger = holter.Logger(tmp_path / "run")
    monitor = system.monitor(logger, every_secs=0.1).start()
    logger.close()
    thread = monitor._thread
    assert thread is not None
    wait_until(lambda: not thread.is_alive(), secs=60)


def test_does_nothing_in_a_forked_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil_or_skip()
    with holter.Logger(tmp_path / "run") as logger:
        monitor = system.monitor(logger)
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            monitor.start()
            monitor.close()
        assert monitor._thread is None


def test_missing_psutil_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with holter.Logger(tmp_path / "run") as logger, pytest.raises(ImportError, match=r"holter\[system\]"):
        system.monitor(logger)


@pytest.mark.parametrize("secs", [0.0, -1.0, float("nan"), float("inf")])
def test_invalid_interval_is_rejected(tmp_path: Path, secs: float) -> None:
    with holter.Logger(tmp_path / "run") as logger, pytest.raises(ValueError, match="every_secs"):
        system.monitor(logger, secs)
