"""`Watch.log`: scalars of the training loop, recorded with the current step without waiting."""

import math

import pytest

torch = pytest.importorskip("torch")

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
        with pytest.raises(error, match="value must be"):
            handle.log("loss", value)
        with pytest.raises(ValueError, match="transform must be"):
            handle.log("loss", 1.0, transform="sine")


def test_closed_watch_ignores_calls(recorder, two_layers):
    handle = watch(two_layers, recorder, attention=None)
    handle.close()
    handle.log("loss", 1.0)
    handle.commit()
    assert recorder.names() == []
