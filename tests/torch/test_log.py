"""`Watch.log`: scalars of the training loop, recorded with the current step without waiting."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import holter  # noqa: E402
from holter.torch import watch  # noqa: E402


def test_loss_and_perplexity_are_recorded_with_the_current_step(recorder, two_layers):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1)
    losses = []
    with watch(two_layers, recorder, optimizer, attention=None) as handle:
        for _ in range(3):
            loss = two_layers(torch.randn(4, 6)).square().mean()
            losses.append(loss.item())
            handle.log("train/loss", loss)
            handle.log("train/ppl", loss, transform="exp")
            handle.log("train/rate", 0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert recorder["train/loss"] == pytest.approx(dict(enumerate(losses)))
    assert recorder["train/ppl"] == pytest.approx({step: math.exp(loss) for step, loss in enumerate(losses)})
    assert recorder["train/rate"] == dict.fromkeys(range(3), 0.1)


def test_micro_batches_are_averaged_before_the_transform(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        for value in (torch.tensor(1.0), torch.tensor([2.0], dtype=torch.bfloat16), 6):
            handle.log("loss", value)
            handle.log("ppl", value, transform="exp")
        handle.log("other", torch.tensor(5.0))
        handle.commit(4)
        handle.commit(5)
    assert recorder["loss"] == {4: 3.0}
    assert recorder["ppl"] == {4: pytest.approx(math.exp(3.0))}
    assert recorder["other"] == {4: 5.0}


def test_logged_loss_does_not_keep_its_graph(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        loss = two_layers(torch.randn(4, 6)).square().mean()
        handle.log("loss", loss)
        assert not any(
            tensor.requires_grad for values in handle._recording.scalars._values.values() for tensor in values
        )


@pytest.mark.parametrize(
    ("value", "error"),
    [(torch.zeros(2), ValueError), (torch.zeros(0), ValueError), ("3", TypeError), (None, TypeError)],
)
def test_value_that_is_not_a_number_raises(recorder, two_layers, value, error):
    with watch(two_layers, recorder, attention=None) as handle:
        with pytest.raises(error, match="must be"):
            handle.log("loss", value)
        with pytest.raises(ValueError, match="transform must be"):
            handle.log("loss", 1.0, transform="sine")


def test_closed_watch_ignores_calls(recorder, two_layers):
    handle = watch(two_layers, recorder, attention=None)
    handle.close()
    handle.log("loss", 1.0)
    handle.commit()
    assert recorder.names() == []


def same_as_logger():
    return [
        np.float32(2),
        np.float16(0.5),
        np.int64(3),
        np.bool_(True),
        np.array(1.5),
        np.array([2.5]),
        True,
        7,
        Fraction(1, 4),
        Decimal("0.125"),
        torch.tensor(4),
        torch.tensor([5.0], dtype=torch.bfloat16),
        torch.tensor(2.0).neg(),
    ]


@pytest.mark.parametrize("value", same_as_logger(), ids=repr)
def test_log_accepts_every_number_that_the_logger_accepts(tmp_path, two_layers, value):
    with holter.Logger(tmp_path / "run") as logger, watch(two_layers, logger, attention=None) as handle:
        logger.log(0, "by_logger", value)
        handle.log("by_watch", value)
        handle.commit(0)
    run = holter.open_run(tmp_path / "run")
    assert (
        run.series("by_watch").values[0]
        == run.series("by_logger").values[0]
        == float(value.item() if hasattr(value, "item") else value)
    )


@pytest.mark.parametrize(
    "value", [np.ma.masked, np.complex64(1 + 2j), np.zeros(2), "3", None, [1.0], object()], ids=repr
)
def test_log_rejects_what_the_logger_rejects(tmp_path, two_layers, value):
    with holter.Logger(tmp_path / "run") as logger, watch(two_layers, logger, attention=None) as handle:
        with pytest.raises((TypeError, ValueError), match="must be") as of_logger:
            logger.log(0, "loss", value)
        with pytest.raises(of_logger.type, match="must be"):
            handle.log("loss", value)


def test_log_complex_value_is_an_error(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle, pytest.raises(TypeError, match="real number"):
        handle.log("loss", torch.tensor(1.0 + 2.0j))


def test_log_array_records_masked_elements_as_nan(tmp_path):
    with holter.Logger(tmp_path / "run") as logger:
        logger.log_array(0, ["a", "b"], np.ma.array([1.0, 2.0], mask=[False, True]))
    run = holter.open_run(tmp_path / "run")
    assert run.series("a").values[0] == 1.0
    assert np.isnan(run.series("b").values[0])
