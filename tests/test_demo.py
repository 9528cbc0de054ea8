"""The demo: a real training in its own process, and the contents of its run."""

import contextlib
import math
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="the demo trains with PyTorch, which is not installed")

from holter.demo.data import CORPUS_BYTES, load_corpus, streams  # noqa: E402
from waiting import wait_until  # noqa: E402

STEPS = 30
LAYERS = 4
DEADLINE_SECS = 240.0

AT_EVERY_STEP = [
    "grad_norm/embedding",
    "grad_norm_total",
    "train/loss",
    "train/ppl",
    *(
        name.format(layer=layer)
        for layer in range(LAYERS)
        for name in (
            "grad_norm/blocks.{layer}.M_init",
            "grad_norm/blocks.{layer}.attention.qkv.weight",
            "attention_entropy/layer_{layer}",
            "attention_sparsity/layer_{layer}",
            "memory_read_norm/layer_{layer}",
            "memory_write_norm/layer_{layer}",
            "memory_rw_ratio/layer_{layer}",
            "m3_alpha/layer_{layer}",
            "m3_alpha_grad/layer_{layer}",
        )
    ),
]
EVERY_FEW_STEPS = ["val/loss", "val/ppl", *(f"effective_rank/layer_{layer}" for layer in range(LAYERS))]


def demo(*arguments, cwd) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "holter.demo", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )


def series(run, name) -> dict[int, float]:
    with sqlite3.connect(f"file:{run / 'metrics.sqlite'}?mode=ro", uri=True) as connection:
        return dict(connection.execute("SELECT step, value FROM metrics WHERE name = ?", (name,)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A complete short demo: its run's directory and its output."""
    folder = tmp_path_factory.mktemp("demo")
    process = demo("--steps", str(STEPS), "--out", "run", cwd=folder)
    output, _ = process.communicate(timeout=DEADLINE_SECS)
    assert process.returncode == 0, output
    return folder / "run", output


def test_every_metric_is_recorded_at_every_step(finished):
    run, _ = finished
    steps = set(range(STEPS))
    assert {name for name in AT_EVERY_STEP if set(series(run, name)) != steps} == set()
    assert {name for name in EVERY_FEW_STEPS if 0 not in series(run, name)} == set()


def test_every_parameter_has_its_gradient_norm(finished):
    from holter.demo.model import AtlasLanguageModel, ModelConfig

    run, _ = finished
    names = [name for name, _ in AtlasLanguageModel(ModelConfig()).named_parameters()]
    assert {name for name in names if len(series(run, f"grad_norm/{name}")) != STEPS} == set()


def test_values_are_consistent(finished):
    run, _ = finished
    total = series(run, "grad_norm_total")
    with sqlite3.connect(run / "metrics.sqlite") as connection:
        squares = dict(
            connection.execute(
                "SELECT step, sum(value * value) FROM metrics WHERE name LIKE 'grad\\_norm/%' ESCAPE '\\' GROUP BY step"
            )
        )
    for step in range(STEPS):
        assert total[step] == pytest.approx(math.sqrt(squares[step]), rel=1e-5)
        ratio = series(run, "memory_read_norm/layer_0")[step] / series(run, "memory_write_norm/layer_0")[step]
        assert series(run, "memory_rw_ratio/layer_0")[step] == pytest.approx(ratio, rel=1e-5)
        assert series(run, "train/ppl")[step] == pytest.approx(math.exp(series(run, "train/loss")[step]), rel=1e-5)
        assert 0.0 < series(run, "m3_alpha/layer_0")[step] < 1.0
    entropies = series(run, "attention_entropy/layer_0").values()
    assert all(0.0 < entropy < math.log(128) for entropy in entropies)


def test_the_loss_falls(finished):
    run, _ = finished
    loss = series(run, "train/loss")
    assert loss[STEPS - 1] < loss[0] - 1.0
    perplexity = series(run, "val/ppl")
    assert perplexity[STEPS] < perplexity[0]


def test_output_shows_the_result_the_series_and_next_steps(finished):
    _, output = finished
    assert f"step    {STEPS} of {STEPS}" in output
    assert "Perplexity per byte of held-out text" in output
    assert "grad_norm/*" in output
    query = "SELECT step, value FROM metrics WHERE name='grad_norm/blocks.0.M_init'"
    assert f'sqlite3 run/metrics.sqlite "{query}"' in output
    assert 'ds.dataset("run/parquet")' in output


def test_existing_run_is_not_overwritten(finished):
    run, _ = finished
    process = demo("--steps", "1", "--out", str(run), cwd=run.parent)
    output, _ = process.communicate(timeout=DEADLINE_SECS)
    assert process.returncode == 1
    assert "already contains a run" in output
    assert len(series(run, "train/loss")) == STEPS


def test_interrupt_ends_the_run_cleanly(tmp_path):
    process = demo("--steps", "100000", "--data", "code", cwd=tmp_path)
    run = tmp_path / "runs" / "code"

    def has_loss():
        with contextlib.suppress(sqlite3.OperationalError):  # the database is created before its tables
            if series(run, "train/loss"):
                return True
        return process.poll() is not None

    wait_until(has_loss, DEADLINE_SECS)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=DEADLINE_SECS)
    assert process.returncode == 130, output
    assert "Stopped after" in output
    assert "Traceback" not in output
    done = int(output.split("Stopped after ")[1].split()[0])
    assert done - 1 in series(run, "train/loss")
    assert done in series(run, "val/ppl")


def test_help_describes_the_options():
    result = subprocess.run(
        [sys.executable, "-m", "holter.demo", "--help"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECS,
        check=True,
    )
    for word in ("--steps", "--data", "--seed", "--out", "prose|code", "gradient norm", "Examples"):
        assert word in result.stdout


def test_missing_torch_is_reported_with_a_hint():
    hidden = "import sys; sys.modules['torch'] = None; from holter.demo.__main__ import main; main(['--steps', '1'])"
    result = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, timeout=DEADLINE_SECS, check=False
    )
    assert result.returncode == 1
    assert "pip install 'holter[torch]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["prose", "code"])
def test_corpora_are_large_enough_and_deterministic(name):
    corpus = load_corpus(name)
    assert CORPUS_BYTES // 2 < len(corpus.train) + len(corpus.held_out) <= CORPUS_BYTES
    assert torch.equal(load_corpus(name).train, corpus.train)
    text = bytes(corpus.train.tolist()).decode(errors="ignore")
    assert ("def " if name == "code" else " the ") in text
    assert 15.0 < corpus.unigram_perplexity() < 45.0


def test_held_out_prose_is_not_in_the_training_text():
    corpus = load_corpus("prose")
    train, held_out = (bytes(part.tolist()) for part in (corpus.train, corpus.held_out))
    paragraphs = [paragraph for paragraph in held_out.split(b"\n\n") if len(paragraph) > 200]
    assert paragraphs
    assert not [paragraph for paragraph in paragraphs if paragraph in train]


def test_unknown_corpus_is_rejected():
    with pytest.raises(ValueError, match="'prose' or 'code'"):
        load_corpus("poetry")


def test_streams_are_contiguous_and_wrap_around():
    text = torch.arange(23)
    windows = streams(text, batch=2, context=4)
    first, second = next(windows), next(windows)
    assert first[0].tolist() == [[0, 1, 2, 3], [11, 12, 13, 14]]
    assert torch.equal(first[1], first[0] + 1)
    assert second[0][0].tolist() == [4, 5, 6, 7]
    for _ in range(20):
        inputs, targets = next(windows)
        assert ((targets - inputs == 1) | (inputs == 22)).all()
