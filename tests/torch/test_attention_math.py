"""Statistics of one attention call against weights materialized in float64, for every kind of mask."""

import pytest

torch = pytest.importorskip("torch")

from attention_reference import (  # noqa: E402
    attention_scores,
    attention_weights,
    entropy_and_sparsity,
    row_entropy,
)
from holter.torch._attention_call import AttentionCall  # noqa: E402
from holter.torch._attention_math import (  # noqa: E402
    exact,
    fused_entropy,
    sampled,
    stratified_rows,
    stratum_offset,
)

THRESHOLD = 0.1


def reference(call: AttentionCall) -> tuple[float, float, float]:
    """Compute entropy, sparsity and largest logit by definition."""
    scores = scores_of(call)
    return *entropy_and_sparsity(attention_weights(scores), THRESHOLD), float(scores.amax())


def scores_of(call: AttentionCall):
    return attention_scores(
        call.query,
        call.key,
        mask=call.mask,
        is_causal=call.is_causal,
        scale=call.scale,
        softcap=call.softcap,
        window=call.window,
    )


def tensors(*, heads=4, key_heads=4, queries=40, keys=40, width=16, gain=2.0):
    return torch.randn(2, heads, queries, width) * gain, torch.randn(2, key_heads, keys, width)


def padding():
    mask = torch.ones(2, 1, 1, 40, dtype=torch.bool)
    mask[0, ..., 30:] = False
    return mask


CALLS = {
    "plain": lambda: AttentionCall(*tensors()),
    "causal": lambda: AttentionCall(*tensors(), is_causal=True),
    "scale": lambda: AttentionCall(*tensors(), is_causal=True, scale=0.7),
    "grouped queries": lambda: AttentionCall(*tensors(heads=8, key_heads=2), is_causal=True),
    "padding": lambda: AttentionCall(*tensors(), mask=padding()),
    "padding and causal": lambda: AttentionCall(*tensors(), mask=padding() & torch.ones(40, 40).tril().bool()),
    "additive mask": lambda: AttentionCall(*tensors(), mask=torch.randn(40, 40)),
    "additive minimum": lambda: AttentionCall(
        *tensors(), mask=torch.zeros(2, 1, 40, 40).masked_fill(~padding(), torch.finfo(torch.float32).min)
    ),
    "sliding window": lambda: AttentionCall(*tensors(), is_causal=True, window=7),
    "soft cap": lambda: AttentionCall(*tensors(gain=8.0), is_causal=True, softcap=3.0),
    "cross attention": lambda: AttentionCall(*tensors(queries=24, keys=56)),
    "fully masked rows": lambda: AttentionCall(
        *tensors(), mask=torch.ones(40, 40).bool().index_fill(0, torch.tensor([3, 5]), value=False)
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_exact_statistics_match_definition(name):
    call = CALLS[name]()
    entropy, share, largest = reference(call)
    for numbers in (exact(call, THRESHOLD), sampled(call, rows=64, offset=0.0, threshold=THRESHOLD)):
        assert float(numbers[0]) == pytest.approx(entropy, abs=1e-5)
        assert float(numbers[1]) == pytest.approx(share, abs=1e-7)
        assert float(numbers[2]) == pytest.approx(largest, abs=1e-5)
        assert numbers[3:].tolist() == [0.0, 0.0]


def test_exact_statistics_do_not_depend_on_chunk_size(monkeypatch):
    call = CALLS["causal"]()
    whole = exact(call, THRESHOLD)
    monkeypatch.setattr("holter.torch._attention_math._CHUNK_ELEMENTS_CPU", 1000)
    assert torch.allclose(exact(call, THRESHOLD), whole, atol=1e-6)


@pytest.mark.parametrize("name", ["plain", "causal", "scale", "padding", "cross attention", "fully masked rows"])
def test_fused_entropy_matches_definition(name):
    call = CALLS[name]()
    far = AttentionCall(call.query, call.key + 50.0, call.mask, call.is_causal, call.scale)
    for each in (call, far):
        entropy, normalizer = fused_entropy(each)
        expected = row_entropy(attention_weights(scores_of(each)))
        assert torch.allclose(entropy.double(), expected, atol=2e-5)
        assert normalizer.shape == entropy.shape
    assert float(exact(far, THRESHOLD)[1]) == pytest.approx(reference(far)[1], abs=1e-5)


@pytest.mark.parametrize("name", ["soft cap", "additive mask", "sliding window"])
def test_fused_entropy_is_none_for_bias_cap_and_window(name):
    assert fused_entropy(CALLS[name]()) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_exact_entropy_of_half_precision_inputs(dtype):
    query, key = tensors()
    call = AttentionCall(query.to(dtype), key.to(dtype), is_causal=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        numbers = exact(call, THRESHOLD)
    assert float(numbers[0]) == pytest.approx(reference(call)[0], abs=1e-5)


@pytest.mark.parametrize("name", ["causal", "padding", "grouped queries"])
def test_sampled_statistics_are_unbiased_with_valid_standard_errors(name):
    call = CALLS[name]()
    entropy, share, _ = reference(call)
    draws = [sampled(call, rows=10, offset=stratum_offset(step), threshold=THRESHOLD) for step in range(200)]
    draws = torch.stack(draws).double()
    means, spreads = draws.mean(dim=0), draws.std(dim=0)
    assert float(means[0]) == pytest.approx(entropy, abs=0.02)
    assert float(means[1]) == pytest.approx(share, rel=0.03)
    assert 0.4 * spreads[0] < means[3] < 3.0 * spreads[0]
    assert 0.4 * spreads[1] < means[4] < 3.0 * spreads[1]


@pytest.mark.parametrize(("queries", "rows"), [(40, 10), (41, 10), (33, 32), (8, 32), (1, 32), (1000, 7)])
def test_sample_has_one_row_per_stratum_and_covers_all_rows_over_time(queries, rows):
    seen = set()
    for step in range(300):
        chosen = stratified_rows(queries, rows, stratum_offset(step), torch.device("cpu")).tolist()
        assert len(chosen) == min(rows, queries)
        assert all(0 <= row < queries for row in chosen)
        if rows < queries:
            assert all(int(i * queries / rows) <= row <= (i + 1) * queries / rows for i, row in enumerate(chosen))
        seen.update(chosen)
    assert seen == set(range(queries))


def left_padding(kind):
    """Return a causal mask with left padding, as a bool mask or an additive one: queries 0 to 9 see no key."""
    visible = torch.ones(40, 40).tril().bool() & torch.ones(40).bool().index_fill(0, torch.arange(10), value=False)
    if kind == "bool":
        return visible
    return torch.zeros(1, 1, 40, 40).masked_fill(~visible, kind)


@pytest.mark.parametrize("kind", ["bool", torch.finfo(torch.float32).min, -float("inf"), -1e9, -1e4])
@pytest.mark.parametrize("how", ["exact", "all rows", "some rows"])
def test_attention_means_are_over_the_queries_that_see_a_key(kind, how):
    query, key = tensors(gain=0.5)
    call = AttentionCall(query, key, mask=left_padding(kind))
    of_real = AttentionCall(query[..., 10:, :], key[..., 10:, :], is_causal=True)
    entropy, share, largest = reference(of_real)
    if how == "exact":
        numbers = exact(call, THRESHOLD)
    elif how == "all rows":
        numbers = sampled(call, rows=40, offset=0.0, threshold=THRESHOLD)
    else:
        draws = [sampled(call, rows=10, offset=stratum_offset(step), threshold=THRESHOLD) for step in range(200)]
        numbers = torch.stack(draws).mean(dim=0)
    tolerance = 0.02 if how == "some rows" else 1e-5
    assert float(numbers[0]) == pytest.approx(entropy, abs=tolerance)
    assert float(numbers[1]) == pytest.approx(share * 30 / 40, abs=tolerance)  # of all positions of these queries
    if how != "some rows":
        assert float(numbers[2]) == pytest.approx(largest, abs=1e-5)


@pytest.mark.parametrize("bad", ["NaN query", "NaN key", "infinite score"])
@pytest.mark.parametrize("mask", [None, "causal", "bool", "window"])
@pytest.mark.parametrize("how", ["exact", "sampled"])
def test_attention_with_nan_or_infinite_scores_is_nan(bad, mask, how):
    query, key = tensors()
    if bad == "NaN query":
        query[0, 1, 20] = float("nan")
    elif bad == "NaN key":
        key[0, 1, 2, 3] = float("nan")
    else:
        query[0, 1, 20], key[0, 1, 2] = 1e25, 1e25
    options = {"causal": {"is_causal": True}, "bool": {"mask": padding()}, "window": {"is_causal": True, "window": 30}}
    call = AttentionCall(query, key, **options.get(mask, {}))
    numbers = exact(call, THRESHOLD) if how == "exact" else sampled(call, 64, 0.0, THRESHOLD)
    assert numbers[0].isnan()
    assert numbers[1].isnan()
    assert not numbers[2].isfinite()
