"""System metrics: `system/*` series of CPU, memory, disk, network and GPUs.

The monitor reads the sensors in its own daemon thread, never in the training thread. Errors of sensors or of a closed
logger are never raised into the training. Requires the extra `system`.
"""

import contextlib
import importlib
import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import holter

__all__ = ["Monitor", "monitor"]

_GIGA = 1e9
_MEGA = 1e6
_ALWAYS_LOGGED = "system/cpu_percent"
"""The series that has a point for every reading."""
_CLOSE_SECS = 5.0  # the longest that a hanging driver may delay the end of a training

_Values = dict[str, float]


def monitor(logger: holter.Logger, every_secs: float = 10.0) -> "Monitor":
    """Create a monitor of this machine; a `with` block or `start()` starts it.

    Args:
        logger: Records the series. The monitor stops when the logger is closed.
        every_secs: Seconds between readings, above 0.

    Returns:
        The monitor. Its steps are whole seconds since its start, not training steps. In a resumed run they continue
        after the last step of the previous attempt.

    Raises:
        ImportError: If psutil is not installed.
        ValueError: If `every_secs` is not a positive number.
    """
    return Monitor(logger, every_secs)


class Monitor:
    """Logs the readings of the sensors at a fixed interval. See `monitor`."""

    def __init__(self, logger: holter.Logger, every_secs: float) -> None:
        if not (math.isfinite(every_secs) and every_secs > 0):
            raise ValueError(f"every_secs must be a positive number of seconds, got {every_secs}")
        try:
            psutil = importlib.import_module("psutil")
        except ImportError as error:
            message = "system metrics need psutil; install it with: pip install 'holter[system]'"
            raise ImportError(message) from error
        self._logger = logger
        self._every_secs = every_secs
        self._host = _Host(psutil, str(logger.path))
        self._process_id = os.getpid()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._errors = 0

    @property
    def errors(self) -> int:
        """The number of failed readings; the first failure raises a `HolterWarning`."""
        return self._errors

    def start(self) -> "Monitor":
        """Start the thread. Does nothing if it is already started, or in a forked child."""
        if self._thread is None and os.getpid() == self._process_id:
            self._thread = threading.Thread(target=self._watch, name="holter-system", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop the thread, waiting at most 5 seconds. Does nothing if called again, or in a forked child."""
        if os.getpid() != self._process_id:
            return
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECS)

    def __enter__(self) -> "Monitor":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            sensors = [*self._host.sensors()]
            with self._count_errors("the GPUs"):
                sensors += stack.enter_context(_gpu_sensors())
            first_step = 0
            with self._count_errors("the steps of the previous attempt"):
                first_step = _next_step(self._logger)
            last_step = first_step - 1
            while True:
                step = first_step + int(time.monotonic() - started)
                if step > last_step:  # one point a second at most, as the steps are whole seconds
                    if not self._read(step, sensors):
                        return
                    last_step = step
                if self._ended.wait(self._every_secs):
                    return

    def _read(self, step: int, sensors: list[tuple[str, Callable[[], _Values]]]) -> bool:
        """Log the values of all sensors; return whether the logger is still open."""
        values: _Values = {}
        for name, sensor in sensors:
            with self._count_errors(name):
                values.update(sensor())
        try:
            self._logger.log_many(step, {f"system/{name}": value for name, value in values.items()})
        except holter.RunClosedError:
            return False
        except Exception as error:  # noqa: BLE001 - must not reach the training
            self._count("the logger", error)
        return True

    @contextlib.contextmanager
    def _count_errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - drivers raise arbitrary exceptions
            self._count(name, error)

    def _count(self, name: str, error: Exception) -> None:
        self._errors += 1
        if self._errors == 1:
            message = f"holter.system could not read {name} ({error!r}): its series have gaps (warning once)"
            with contextlib.suppress(holter.HolterWarning):  # raised if warnings are errors
                warnings.warn(message, holter.HolterWarning, stacklevel=2)


class _Host:
    """Readings of the machine and of this process from psutil. Rates are averages since the previous reading."""

    def __init__(self, psutil: ModuleType, path: str) -> None:
        self._psutil = psutil
        self._path = path
        self._process = psutil.Process()
        self._counts: dict[str, tuple[float, int]] = {}
        self._process.cpu_percent()  # the first call of both returns a meaningless 0
        psutil.cpu_percent()

    def sensors(self) -> list[tuple[str, Callable[[], _Values]]]:
        return [
            ("the processor", lambda: {"cpu_percent": self._psutil.cpu_percent()}),
            ("the process", self._read_process),
            ("the memory", self._read_memory),
            ("the disk", self._read_disk),
            ("the network", self._read_network),
        ]

    def _read_process(self) -> _Values:
        memory = self._process.memory_info().rss / _GIGA
        return {"process_cpu_percent": self._process.cpu_percent(), "process_memory_gb": memory}

    def _read_memory(self) -> _Values:
        memory = self._psutil.virtual_memory()
        return {"memory_used_gb": (memory.total - memory.available) / _GIGA, "memory_percent": memory.percent}

    def _read_disk(self) -> _Values:
        values = {"disk_free_gb": self._psutil.disk_usage(self._path).free / _GIGA}
        counts = self._psutil.disk_io_counters()  # None in some containers
        if counts is not None:
            values |= self._rate("disk_read_mb_per_sec", counts.read_bytes)
            values |= self._rate("disk_write_mb_per_sec", counts.write_bytes)
        return values

    def _read_network(self) -> _Values:
        counts = self._psutil.net_io_counters()
        if counts is None:
            return {}
        sent = self._rate("network_sent_mb_per_sec", counts.bytes_sent)
        return sent | self._rate("network_received_mb_per_sec", counts.bytes_recv)

    def _rate(self, name: str, count: int) -> _Values:
        """Return megabytes per second since the previous count; empty at the first."""
        now = time.monotonic()
        before = self._counts.get(name)
        self._counts[name] = (now, count)
        if before is None or now <= before[0]:
            return {}
        return {name: (count - before[1]) / _MEGA / (now - before[0])}


def _next_step(logger: holter.Logger) -> int:
    """Return the step after the last reading of this rank; 0 if there is none."""
    try:
        run = holter.open_run(logger.path)
    except FileNotFoundError:  # a disabled logger writes no run
        return 0
    return max((series.last_step + 1 for series in run.facts(_ALWAYS_LOGGED)), default=0)


@contextlib.contextmanager
def _gpu_sensors() -> Iterator[list[tuple[str, Callable[[], _Values]]]]:
    """Yield four sensors for each GPU. A missing NVML, driver or GPU is not an error: there are no sensors then."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # noqa: BLE001 - without a driver, each release raises a different exception
        yield []
        return
    try:
        devices = [(num, nvml.nvmlDeviceGetHandleByIndex(num)) for num in range(nvml.nvmlDeviceGetCount())]
        yield [sensor for num, device in devices for sensor in _sensors_of_gpu(nvml, num, device)]
    finally:
        nvml.nvmlShutdown()


def _sensors_of_gpu(nvml: ModuleType, num: int, device: object) -> list[tuple[str, Callable[[], _Values]]]:
    """Return a sensor for each quantity, so that a GPU that lacks one still reports the others."""
    reads: dict[str, Callable[[], float]] = {
        "utilization_percent": lambda: nvml.nvmlDeviceGetUtilizationRates(device).gpu,
        "memory_used_gb": lambda: nvml.nvmlDeviceGetMemoryInfo(device).used / _GIGA,
        "temperature_celsius": lambda: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
        "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(device) / 1000,  # NVML reports milliwatts
    }

    def sensor(name: str, read: Callable[[], float]) -> Callable[[], _Values]:
        return lambda: {name: read()}

    return [(f"gpu_{num}/{name}", sensor(f"gpu_{num}/{name}", read)) for name, read in reads.items()]
