"""The dashboard on a run of 5,000 series: how soon it answers, what is on the screen when, and what it takes.

A real server in a process of its own, and a real Chromium. Beside it, on one set of data that all can hold,
TensorBoard and Trackio, each shown as its own documentation says; they are installed into an environment that is kept
in the user's cache.

    python benches/dashboard.py [--steps 100000] [--keep DIRECTORY]

With `--keep` the long run is recorded into that directory, or found there: at 100,000 steps it takes 14 GB.
"""

import argparse
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from playwright.sync_api import Page, expect, sync_playwright
from support import names, report, scratch, wait_for_room

import holter
from holter.formats import tfevents

SERIES, STEPS, SHARED_STEPS, TURNS, PEER_TURNS = 5_000, 100_000, 200, 5, 3
LAYERS = 24
CHROMIUM = shutil.which("chromium") or "chromium"
PEERS = ("tensorboard==2.21.0", "trackio==0.43.0")
JOURNAL_POINTS = 1 << 23
MILLIS = 1e3
CHART_OF_TENSORBOARD = "line-chart .series-view canvas"
CHART_OF_TRACKIO = "canvas.marks"
PATIENCE_MILLIS = 600_000
REDRAWN = """([key, draws]) =>
  [...document.querySelectorAll(".card")].find((card) => card.dataset.key === key).dataset.draws !== draws"""


# --- The data ---


def series_names() -> list[str]:
    """What a user of every probe has: losses, a family of layers, and thousands of gradient norms."""
    few = ["train/loss", "val/loss", "grad_norm_total", *(f"attention_entropy/layer_{i}" for i in range(LAYERS))]
    return few + names(SERIES - len(few))


def rows(num_steps: int) -> Iterator[np.ndarray]:
    """A step's values at a time: noise around a slow fall, and one spike."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((1000, SERIES)).astype(np.float32) * 0.1
    for step in range(num_steps):
        row = noise[step % 1000] + np.float32(2 + 3 * np.exp(-4 * step / num_steps))
        if step == num_steps // 3:
            row[0] = 50
        yield row


def record(path: pathlib.Path, num_steps: int) -> None:
    """Record the run, if it is not there."""
    if path.exists():
        return
    # A large journal makes large commits, which cost 5,000 series least; what is measured here is how they are read.
    with holter.Logger(path, sinks=("sqlite",), journal_points=JOURNAL_POINTS) as logger:
        metrics = logger.metrics(series_names())
        for step, row in enumerate(rows(num_steps)):
            if step % 100 == 0:
                wait_for_room(logger, JOURNAL_POINTS // 2)
            logger.log_array(step, metrics, row)
        logger.flush(timeout_secs=600)


# --- A server in a process of its own ---


@contextlib.contextmanager
def serving(command: Callable[[int], list[str]], ready: str, **environment: str) -> Iterator[tuple[int, float, int]]:
    """Start a server; give its port, the seconds until `ready` was answered, and its process's id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    server = subprocess.Popen(
        command(port), env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while status(port, ready) != http.client.OK:
            if server.poll() is not None or time.perf_counter() - began > 120:
                raise RuntimeError(f"{' '.join(command(port))} does not answer {ready}")
            time.sleep(0.002)
        yield port, time.perf_counter() - began, server.pid
    finally:
        server.terminate()
        server.wait(20)


def status(port: int, path: str) -> int | None:
    """The status that the server answers with, None while it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return None
    finally:
        connection.close()
    return answer.status


def peak_memory(pid: int) -> float:
    """The most memory in MB that the process and its children have had, each by itself."""
    peaks = 0.0
    for process in [pid, *children(pid)]:
        text = pathlib.Path(f"/proc/{process}/status").read_text("utf-8")
        peaks += int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024 / 1e6
    return peaks


def children(pid: int) -> list[int]:
    """The processes below a process."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


# --- Holter's page ---


def all_drawn(page: Page) -> None:
    """Wait until every chart that can be seen is drawn, and at least one can."""
    expect(page.locator('.card[data-state="drawn"]').first).to_be_visible(timeout=60_000)
    expect(page.locator('.card[data-state="loading"]')).to_have_count(0, timeout=60_000)


def first_screen(page: Page, port: int) -> float:
    """Seconds from the address to all visible charts."""
    began = time.perf_counter()
    page.goto(f"http://127.0.0.1:{port}/")
    all_drawn(page)
    return time.perf_counter() - began


def zoom(page: Page) -> tuple[float, float]:
    """Seconds from the end of a drag over a chart until it is drawn anew, and until all visible charts are."""
    key = page.locator('.card[data-kind="line"][data-state="drawn"]').first.get_attribute("data-key")
    chart = page.locator(f'.card[data-key="{key}"]').first
    area = chart.locator(".nsewdrag").first.bounding_box()
    middle = area["y"] + area["height"] / 2
    draws = chart.get_attribute("data-draws")
    page.mouse.move(area["x"] + area["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.43, middle, steps=4)
    began = time.perf_counter()
    page.mouse.up()
    page.wait_for_function(REDRAWN, arg=[key, draws], timeout=60_000)
    own = time.perf_counter() - began
    all_drawn(page)
    return own, time.perf_counter() - began


def holter_serves(runs: pathlib.Path) -> Callable[[int], list[str]]:
    """The command that serves a folder of runs."""
    return lambda port: [sys.executable, "-m", "holter.cli", "serve", str(runs), "--port", str(port)]


def measure_holter(page: Page, runs: pathlib.Path, what: str, key: str) -> None:
    """Measure server and page on the only run of a folder."""
    ready, listed, screens, zooms, own_zooms = [], [], [], [], []
    for _ in range(TURNS):
        with serving(holter_serves(runs), "/healthz") as (port, seconds, pid):
            ready.append(seconds * MILLIS)
            began = time.perf_counter()
            if status(port, "/api/v1/series?run=run") != http.client.OK:
                raise RuntimeError("the names of the series are not to be had")
            listed.append((time.perf_counter() - began) * MILLIS)
            screens.append(first_screen(page, port) * MILLIS)
            own, everything = zoom(page)
            own_zooms.append(own * MILLIS)
            zooms.append(everything * MILLIS)
            memory = peak_memory(pid)
    report(f"{key}.ready", f"{what}: the server answers after its start", ready, "ms")
    report(f"{key}.names", f"{what}: the names of all series", listed, "ms")
    report(f"{key}.screen", f"{what}: all charts of the first screen, of a server just started", screens, "ms")
    report(f"{key}.zoom", f"{what}: a zoom, the chart that was dragged over anew", own_zooms, "ms")
    report(f"{key}.zoom_all", f"{what}: a zoom, all visible charts anew", zooms, "ms")
    report(f"{key}.memory", f"{what}: the server's memory at its peak", memory, "MB")


# --- The peers ---


def peers_environment() -> pathlib.Path:
    """The directory of the programs of an environment with the peers."""
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "holter", "dashboards")
    if not (home / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "setuptools<81", *PEERS]
        subprocess.run(install, check=True)
        (home / "done").touch()
    return home / "bin"


def first_chart(page: Page, url: str, chart: str) -> float:
    """Seconds from the address to the first chart that is drawn."""
    began = time.perf_counter()
    page.goto(url, timeout=PATIENCE_MILLIS)
    expect(page.locator(chart).first).to_be_visible(timeout=PATIENCE_MILLIS)
    return time.perf_counter() - began


TRACKIO_WRITES = """
import sys, numpy, trackio
names, table = numpy.load(sys.argv[1]).values()
names = names.tolist()
trackio.init(project="bench", name="run")
for step, row in enumerate(table.tolist()):
    trackio.log(dict(zip(names, row)), step=step)
trackio.finish()
"""


def measure_tensorboard(page: Page, run: pathlib.Path, scratched: pathlib.Path) -> None:
    """TensorBoard, on the run exported as event files."""
    tfevents.write(holter.open_run(run), scratched / "tensorboard")
    program = str(peers_environment() / "tensorboard")
    screens, ready = [], []
    for _ in range(PEER_TURNS):
        command = [program, "--logdir", str(scratched / "tensorboard"), "--host", "127.0.0.1"]
        tags = "/data/plugin/timeseries/tags"
        with serving(lambda port: [*command, "--port", str(port)], tags) as (port, seconds, pid):  # noqa: B023
            ready.append(seconds * MILLIS)
            screens.append(first_chart(page, f"http://127.0.0.1:{port}/#timeseries", CHART_OF_TENSORBOARD) * MILLIS)
            memory = peak_memory(pid)
    report(
        "dashboard.tensorboard.ready", "TensorBoard: the names of all series are answered after its start", ready, "ms"
    )
    report("dashboard.tensorboard.screen", "TensorBoard: the first chart on the screen", screens, "ms")
    report("dashboard.tensorboard.memory", "TensorBoard: the servers' memory at its peak", memory, "MB")


def measure_trackio(page: Page, scratched: pathlib.Path) -> None:
    """Trackio, which records the same values by its own `log`."""
    python = str(peers_environment() / "python")
    data, values = scratched / "trackio", scratched / "values.npz"
    np.savez(values, names=np.array(series_names()), table=np.stack(list(rows(SHARED_STEPS))))
    environment = {"TRACKIO_DIR": str(data), "GRADIO_ANALYTICS_ENABLED": "False"}
    subprocess.run(
        [python, "-c", TRACKIO_WRITES, values], env=os.environ | environment, check=True, stdout=subprocess.DEVNULL
    )
    screens, ready = [], []
    for _ in range(PEER_TURNS):
        show = "trackio.show(project='bench', open_browser=False, block_thread=True, server_port=int(sys.argv[1]))"
        command = [python, "-c", f"import sys, trackio; {show}"]
        with serving(lambda port: [*command, str(port)], "/", **environment) as (port, seconds, pid):  # noqa: B023
            ready.append(seconds * MILLIS)
            screens.append(first_chart(page, f"http://127.0.0.1:{port}/?project=bench", CHART_OF_TRACKIO) * MILLIS)
            memory = peak_memory(pid)
    report("dashboard.trackio.ready", "Trackio: the server answers after its start", ready, "ms")
    report("dashboard.trackio.screen", "Trackio: the first chart on the screen", screens, "ms")
    report("dashboard.trackio.memory", "Trackio: the server's memory at its peak", memory, "MB")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS, help="of the long run (default: %(default)s)")
    parser.add_argument("--keep", type=pathlib.Path, help="where the long run is recorded, or is there from before")
    arguments = parser.parse_args()
    with scratch() as scratched, sync_playwright() as playwright:
        long = (arguments.keep or scratched / "long").absolute()
        record(long / "run", arguments.steps)
        shared = scratched / "shared"
        record(shared / "run", SHARED_STEPS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        measure_holter(page, long, f"{SERIES:,} × {arguments.steps:,}", "dashboard.long")
        measure_holter(page, shared, f"{SERIES:,} × {SHARED_STEPS:,}", "dashboard.shared")
        measure_tensorboard(page, shared / "run", scratched)
        measure_trackio(page, scratched)
        browser.close()


if __name__ == "__main__":
    main()
