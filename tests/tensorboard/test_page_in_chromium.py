"""TensorBoard's page in a real Chromium, on a run that another process is recording."""

import re
import subprocess
import sys

import pytest

import browsers
from waiting import wait_until

pytest.importorskip("tensorboard", reason="tensorboard is not installed")
pytest.importorskip("grpc", reason="grpcio is not installed")

DEADLINE_SECS = 120.0
STEPS, MORE, SPIKE = 100_000, 20_000, 8.0
TRAINING = f"""
import math, sys, holter
with holter.Logger(sys.argv[1]) as logger:
    loss = logger.metric("train/loss")
    for step in range({STEPS}):
        loss.log(step, {SPIKE} if step == 54_321 else math.nan if step == 20_000 else 2 * math.exp(-step / 30_000))
    print("recorded", flush=True)
    sys.stdin.readline()
    for step in range({STEPS}, {STEPS + MORE}):
        loss.log(step, 0.1)
    print("recorded", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def page():
    with browsers.chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 700})
        page.set_default_timeout(DEADLINE_SECS * 1000)
        yield page


@pytest.fixture
def training(tmp_path):
    """A process that records a run and pauses after each batch of steps."""
    command = [sys.executable, "-c", TRAINING, str(tmp_path / "runs" / "live")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_live_run_grows_and_shows_its_spike(serve, page, training, tmp_path):
    # A proxy that does not exist: connections to this machine must not use it.
    serving = serve(tmp_path / "runs", "--port", 0, http_proxy="http://127.0.0.1:9", grpc_proxy="http://127.0.0.1:9")
    assert training.stdout.readline() == "recorded\n"
    page.goto(f"{serving.url}?smoothing=0")
    card = page.locator("scalar-card").first
    card.wait_for()

    def last_step():
        cells = re.findall(r"(?m)^\s*(\d{1,3}(?:,\d{3})+)\s*$", card.inner_text())
        return int(cells[-1].replace(",", "")) if cells else None

    wait_until(lambda: last_step() == STEPS - 1, DEADLINE_SECS)
    wait_until(lambda: "live" in page.locator("runs-data-table").inner_text(), DEADLINE_SECS)
    wait_until(lambda: "train/loss" in card.inner_text().replace("\n", ""), DEADLINE_SECS)

    training.stdin.write("\n")
    training.stdin.flush()
    assert training.stdout.readline() == "recorded\n"

    def has_grown():
        page.locator(".reload-button").click()
        return last_step() == STEPS + MORE - 1

    wait_until(has_grown, DEADLINE_SECS)

    # By default, TensorBoard excludes outliers from the scale.
    def largest_tick():
        ticks = card.locator(".y-axis").first.inner_text().split()
        return max((float(tick) for tick in ticks if re.fullmatch(r"-?[\d.]+", tick)), default=0.0)

    page.get_by_label("Ignore outliers in chart scaling").uncheck()
    wait_until(lambda: largest_tick() >= SPIKE - 1, DEADLINE_SECS)
    page.screenshot(path=tmp_path / "tensorboard.png")
    assert (tmp_path / "tensorboard.png").stat().st_size > 20_000
    assert training.poll() is None
