"""Changes of level are found where they are, and none is found in noise or in a smooth decay."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest

import training_noise
from holter import analysis

N = 2000
T = np.arange(N) / N


def jump(at, *, length=0.0):
    """From 0 to 1 at a part of the run, over a part of the run."""
    return np.where(at <= T, 1.0, 0.0) if not length else np.clip((T - at) / length + 0.5, 0, 1)


def found(values, **options):
    return analysis.change_points(np.arange(len(values)) * 5, values, **options)


def noise(kind, seed, n=N):
    return training_noise.series(kind, n, seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["white", "AR(0.5)", "Student t, 2 degrees", "lognormal", "size jumps to five times"])
@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_jump_is_found_within_one_percent_of_the_run(kind, seed, at):
    """Of three standard deviations (quartile ranges, where there is no such thing); the variance may be five times."""
    height = 3 if kind != "size jumps to five times" else 15
    (change,) = found(noise(kind, seed) - height * jump(at))
    assert abs(change.step - 5 * N * at) <= 0.01 * 5 * N
    assert change.width <= 0.03 * 5 * N
    assert change.after - change.before == pytest.approx(-height, abs=0.35 * height)
    assert change.confidence >= 0.95


@pytest.mark.parametrize("seed", range(3))
def test_a_clear_jump_is_found_to_the_step(seed):
    (change,) = found(100 + noise("white", seed) + 20 * jump(0.6127))
    assert change.width == 0
    assert change.step == 5 * math.ceil(N * 0.6127)
    assert change.before == pytest.approx(100, abs=0.5)
    assert change.after == pytest.approx(120, abs=0.5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [0.04, 0.1])
def test_a_ramp_is_one_change_with_its_middle_and_length(length, seed):
    (change,) = found(noise("AR(0.5)", seed) + 6 * jump(0.4, length=length))
    assert abs(change.step - 5 * N * 0.4) <= 0.5 * length * 5 * N
    assert 0.4 * length <= change.width / (5 * N) <= 2 * length
    assert (change.before, change.after) == (pytest.approx(0, abs=1.5), pytest.approx(6, abs=1.5))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("places", [(0.3, 0.7), (0.2, 0.45, 0.75), (0.15, 0.35, 0.55, 0.75)])
@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (1, -1, 1, -1)], ids=["stairs", "up and down"])
def test_several_jumps_are_found_each(places, signs, seed):
    """Also up and down in turns, where each hides the other from a search for one at a time."""
    levels = sum(sign * jump(place) for sign, place in zip(signs, places, strict=False))
    changes = found(noise("white", seed) + 4 * levels)
    assert [change.step for change in changes] == pytest.approx([5 * N * place for place in places], abs=0.01 * 5 * N)
    assert [np.sign(change.after - change.before) for change in changes] == list(signs[: len(places)])


@pytest.mark.parametrize("seed", range(5))
def test_the_drop_in_a_decaying_loss_is_the_phase_transition(seed):
    """The design note's: a loss that decays, and between 3K and 4K falls by three times its noise once more."""
    steps = np.arange(10_000)
    loss = 4 + 6 * np.exp(-steps / 800) + 2 * (1 + steps / 100) ** -0.3
    loss -= 0.3 / (1 + np.exp(-(steps - 3500) / 120))
    loss += 0.1 * noise("AR(0.5)", seed, 10_000)
    change = analysis.phase_transition(steps, loss)
    assert 3200 <= change.step <= 3800
    assert change.before > change.after
    assert len(analysis.change_points(steps, loss)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_irregular_steps_and_values_that_are_not_finite(seed):
    random = np.random.default_rng(seed)
    steps = np.sort(random.choice(100_000, 3000, replace=False)) - 50_000
    values = noise("white", seed, 3000) + 3 * (steps >= 10_000)
    values[random.choice(3000, 900, replace=False)] = math.nan
    values[random.choice(3000, 50, replace=False)] = math.inf
    (change,) = analysis.change_points(steps, values)
    assert abs(change.step - 10_000) <= 1000
    assert change.step in steps


def test_a_short_series_with_a_blatant_jump():
    values = np.r_[np.zeros(12), np.ones(12)] + 0.01 * noise("white", 1, 24)
    (change,) = analysis.change_points(range(24), values)
    assert change.step == 12


KINDS = [
    ("white", 2000, None, 1.0),
    ("AR(0.8)", 200, None, 1.0),
    ("AR(0.8) of Student t, 3 degrees", 150, None, 1.0),
    ("Cauchy", 100, None, 1.0),
    ("AR(0.5)", 120, "power -0.3", 0.1),
]


@pytest.mark.parametrize(("kind", "n", "decay", "size"), KINDS, ids=[f"{k}, {d}" for k, _, d, _ in KINDS])
def test_in_noise_nothing_is_found_in_at_least_95_of_100_seeds(kind, n, decay, size):
    assert training_noise.false_alarms(100, kind, n, decay, size) <= 5


SMOOTH = {
    "exponential": 3 * np.exp(-5 * T),
    "power": 5 * (1 + 1000 * T) ** -0.3,
    "perplexity": 20 * np.exp(6 * np.exp(-6 * T)),
    "line": 1 - T,
    "cosine": 1 + np.cos(np.pi * T),
    "hyperbola": 1 / (1 + 2000 * T),
    "parabola": (T - 0.4) ** 2,
    "constant": np.full(N, 0.1),
    "staircase of every bucket": np.floor(T * 125),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("size", [0, 1e-6, 0.002, 0.05])
def test_a_smooth_curve_has_no_changes(name, size):
    curve = SMOOTH[name]
    assert found(curve + size * np.ptp(curve) * noise("white", 3)) == []


def test_a_single_spike_is_no_change():
    values = noise("white", 5)
    values[N // 2] += 1e6
    assert found(values) == []


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e307])
def test_the_unit_does_not_matter(scale):
    values = noise("white", 2) + 5 * jump(0.5)
    assert [change.step for change in found(scale * values)] == [change.step for change in found(values)] != []


def test_more_confidence_gives_fewer_changes_and_less_gives_more():
    values = noise("AR(0.5)", 8) + 1.2 * jump(0.5)
    numbers = [len(found(values, min_confidence=least)) for least in (0, 0.5, 0.95, 0.999)]
    assert numbers == sorted(numbers, reverse=True)
    assert all(change.confidence >= 0.5 for change in found(values, min_confidence=0.5))
    assert found(values, min_confidence=1) == []  # nothing is certain


def test_at_most_so_many_are_returned():
    values = noise("white", 1) + 8 * (jump(0.3) + jump(0.6))
    assert len(found(values, max_points=1)) == 1
    assert len(found(values, max_points=2)) == 2


def test_the_phase_transition_is_the_change_that_stands_out_most():
    change = analysis.phase_transition(range(N), noise("white", 1) + 3 * jump(0.3) - 9 * jump(0.7))
    assert change.step == pytest.approx(0.7 * N, abs=10)
    assert analysis.phase_transition(range(N), noise("white", 1)) is None


def test_the_mean_of_the_layers_shows_what_no_layer_shows_alone():
    layers = [(np.arange(400), noise("white", seed, 400) + seed + 1.0 * (np.arange(400) >= 200)) for seed in range(24)]
    change = analysis.phase_transition(*analysis.family_mean(layers))
    assert change.step == pytest.approx(200, abs=4)


def test_the_result_is_the_same_each_time_and_numpys_random_numbers_are_left_alone():
    values = noise("white", 4) + 3 * jump(0.5)
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    first = found(values)
    assert np.random.random() == expected  # noqa: NPY002
    assert found(values) == first


def test_few_points_say_nothing():
    for n in (0, 1, 2, 19):
        assert analysis.change_points(range(n), np.arange(n) >= n // 2) == []
    assert analysis.change_points(range(40), np.full(40, math.nan)) == []


def test_a_long_series_is_fast():
    values = noise("white", 1, 200_000)
    found(values)  # the first call imports ruptures
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        found(values)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1  # 0.05 s


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_points": 0}, "max_points must be at least 1"),
        ({"min_confidence": 1.5}, "min_confidence must be between 0 and 1"),
        ({"min_confidence": math.nan}, "min_confidence must be between 0 and 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        found(np.zeros(30), **options)


def test_without_ruptures_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ruptures", None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[analysis\]'"):
        found(np.zeros(30))


def test_the_analysis_is_imported_without_what_few_need():
    heavy = {"ruptures", "scipy", "pandas", "plotly", "pyarrow", "torch", "matplotlib"}
    program = f"import sys, holter.analysis; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
