"""The output of `plot`, `report` and `serve`: valid, complete, and without network access."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_chart_file_has_the_format_of_its_suffix(suffix, runs, invoke):
    result = invoke("plot", "prose", "attention_entropy/*", "--band", "std", "-o", f"band.{suffix}")
    assert result.status == 0, result
    assert result.stdout == ""
    assert f"band.{suffix}: 12 series" in result.stderr
    assert Path(f"band.{suffix}").read_bytes().startswith(MAGIC[suffix])
    assert sorted(path.name for path in Path.cwd().iterdir()) == [f"band.{suffix}", "runs"]
    again = invoke("plot", "prose", "train/loss", "-o", f"band.{suffix}")
    assert again.status == 1
    assert "already exists" in again.stderr
    assert invoke("plot", "prose", "train/loss", "-o", f"band.{suffix}", "--force").status == 0


def loads_nothing(page: str) -> bool:
    """Return whether no element of a page refers to another file; the text of scripts is the library's."""
    elements = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    return not re.search(r"<(script|img|iframe|link|object)[^>]*\s(src|href)=", elements + page[:2000])


def test_an_html_chart_needs_no_network(runs, invoke):
    result = invoke("plot", "prose", "train/loss", "--out", "loss.html")
    assert result.status == 0, result
    page = Path("loss.html").read_text()
    assert "plotly.js v" in page
    assert not re.search(r"<script[^>]+src=", page)
    assert loads_nothing(page)


def test_a_report_needs_no_network_and_escapes_names(runs, invoke):
    import holter

    with holter.Logger(runs / "bad", name="<script>alert(1)</script>", journal_points=1 << 10) as logger:
        logger.log(0, "train/<img src=x onerror=alert(1)>", 1.0)
        logger.log(1, "train/loss", 1.0)
    result = invoke("report", "prose", "bad", "-o", "both.html", "--title", "Prose & <b>code</b>")
    assert result.status == 0, result
    assert result.stdout == ""
    assert re.search(r"both\.html: \d+\.\d MB", result.stderr)
    page = Path("both.html").read_text()
    assert loads_nothing(page)
    for markup in ("<script>alert(1)", "<img src=x", "<b>code</b>"):
        assert markup not in page
    assert "train/loss" in page
    assert "Prose &amp; &lt;b&gt;code" in page


@pytest.mark.parametrize("missing", ["plotly", "matplotlib"])
def test_a_missing_library_is_reported_with_its_extra(missing, runs, invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    for name in [name for name in sys.modules if name.startswith(f"{missing}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    suffix, extra = {"plotly": ("html", "serve"), "matplotlib": ("png", "plot")}[missing]
    result = invoke("plot", "prose", "train/loss", "-o", f"loss.{suffix}")
    assert result.status == 1
    assert f"pip install 'holter[{extra}]'" in result.stderr
    assert missing in result.stderr
    assert [path.name for path in Path.cwd().iterdir()] == ["runs"]


def test_the_dashboard_is_served_at_the_printed_address(runs):
    command = [sys.executable, "-W", "error", "-m", "holter.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        url = server.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        with urllib.request.urlopen(f"{url}api/v1/runs", timeout=30) as answer:
            listed = json.load(answer)
        assert {run["name"] for run in listed["runs"]} == {"prose", "code"}
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
        assert server.stdout.read() == ""
        assert server.stderr.read() == ""


def test_a_missing_folder_is_reported_and_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-W", "error", "-m", "holter.cli", "serve", "later", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        assert server.stderr.readline() == "folder 'later' does not exist yet; runs will appear once recorded\n"
        assert server.stdout.readline().startswith("http://127.0.0.1:")
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in (0, -signal.SIGTERM)


def test_a_port_in_use_is_reported(runs, invoke):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke("serve", "--port", str(port))
    assert result.status == 1
    assert f"port {port} on 127.0.0.1 is already in use" in result.stderr
    assert "omit --port to use the next free one" in result.stderr


def test_a_public_host_gets_a_token(runs):
    command = [sys.executable, "-W", "error", "-m", "holter.cli", "serve", "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert re.search(r"\?token=[\w.~-]{16,}$", server.stdout.readline().strip())
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
