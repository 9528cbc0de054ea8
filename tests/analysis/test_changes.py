"""Changes of level are found at their steps, and none in noise or in a smooth decay."""

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
    """A rise from 0 to 1; position and length are shares of the run."""
    return np.where(at <= T, 1.0, 0.0) if not length else np.clip((T - at) / length + 0.5, 0, 1)


def found(values, **options):
    return analysis.change_points(np.arange(len(values)) * 5, values, **options)


def noise(kind, seed, n=N):
    return training_noise.series(kind, n, seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["white", "AR(0.5)", "Student t, 2 degrees", "lognormal", "size jumps to five times"])
@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_jump_is_found_within_one_percent_of_run(kind, seed, at):
    """The jump is three standard deviations (or interquartile ranges) high; with a varying scale, five times that."""
    height = 3 if kind != "size jumps to five times" else 15
    (change,) = found(noise(kind, seed) - height * jump(at))
    assert abs(change.step - 5 * N * at) <= 0.01 * 5 * N
    assert change.width <= 0.03 * 5 * N
    assert change.after - change.before == pytest.approx(-height, abs=0.35 * height)
    assert change.confidence >= 0.95


@pytest.mark.parametrize("seed", range(3))
def test_clear_jump_is_found_at_exact_step(seed):
    (change,) = found(100 + noise("white", seed) + 20 * jump(0.6127))
    assert change.width == 0
    assert change.step == 5 * math.ceil(N * 0.6127)
    assert change.before == pytest.approx(100, abs=0.5)
    assert change.after == pytest.approx(120, abs=0.5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [0.04, 0.1])
def test_ramp_is_one_change_with_middle_and_width(length, seed):
    (change,) = found(noise("AR(0.5)", seed) + 6 * jump(0.4, length=length))
    assert abs(change.step - 5 * N * 0.4) <= 0.5 * length * 5 * N
    assert 0.4 * length <= change.width / (5 * N) <= 2 * length
    assert (change.before, change.after) == (pytest.approx(0, abs=1.5), pytest.approx(6, abs=1.5))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("places", [(0.3, 0.7), (0.2, 0.45, 0.75), (0.15, 0.35, 0.55, 0.75)])
@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (1, -1, 1, -1)], ids=["stairs", "up and down"])
def test_every_one_of_several_jumps_is_found(places, signs, seed):
    """Includes alternating jumps, which mask each other in a search for one at a time."""
    levels = sum(sign * jump(place) for sign, place in zip(signs, places, strict=False))
    changes = found(noise("white", seed) + 4 * levels)
    assert [change.step for change in changes] == pytest.approx([5 * N * place for place in places], abs=0.01 * 5 * N)
    assert [np.sign(change.after - change.before) for change in changes] == list(signs[: len(places)])


@pytest.mark.parametrize("seed", range(5))
def test_drop_in_decaying_loss_is_phase_transition(seed):
    """The loss decays, and falls again by three times its noise between steps 3,000 and 4,000."""
    steps = np.arange(10_000)
    loss = 4 + 6 * np.exp(-steps / 800) + 2 * (1 + steps / 100) ** -0.3
    loss -= 0.3 / (1 + np.exp(-(steps - 3500) / 120))
    loss += 0.1 * noise("AR(0.5)", seed, 10_000)
    change = analysis.phase_transition(steps, loss)
    assert 3200 <= change.step <= 3800
    assert change.before > change.after
    assert len(analysis.change_points(steps, loss)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_irregular_steps_and_nonfinite_values(seed):
    random = np.random.default_rng(seed)
    steps = np.sort(random.choice(100_000, 3000, replace=False)) - 50_000
    values = noise("white", seed, 3000) + 3 * (steps >= 10_000)
    values[random.choice(3000, 900, replace=False)] = math.nan
    values[random.choice(3000, 50, replace=False)] = math.inf
    (change,) = analysis.change_points(steps, values)
    assert abs(change.step - 10_000) <= 1000
    assert change.step in steps


def test_obvious_jump_in_short_series_is_found():
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
def test_noise_has_at_most_5_false_alarms_in_100_seeds(kind, n, decay, size):
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
def test_smooth_curve_has_no_changes(name, size):
    curve = SMOOTH[name]
    assert found(curve + size * np.ptp(curve) * noise("white", 3)) == []


def test_single_spike_is_not_a_change():
    values = noise("white", 5)
    values[N // 2] += 1e6
    assert found(values) == []


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e307])
def test_changes_are_independent_of_scale(scale):
    values = noise("white", 2) + 5 * jump(0.5)
    assert [change.step for change in found(scale * values)] == [change.step for change in found(values)] != []


def test_number_of_changes_falls_with_confidence():
    values = noise("AR(0.5)", 8) + 1.2 * jump(0.5)
    numbers = [len(found(values, min_confidence=least)) for least in (0, 0.5, 0.95, 0.999)]
    assert numbers == sorted(numbers, reverse=True)
    assert all(change.confidence >= 0.5 for change in found(values, min_confidence=0.5))
    assert found(values, min_confidence=1) == []  # nothing is certain


def test_max_points_limits_changes():
    values = noise("white", 1) + 8 * (jump(0.3) + jump(0.6))
    assert len(found(values, max_points=1)) == 1
    assert len(found(values, max_points=2)) == 2


def test_phase_transition_is_most_significant_change():
    change = analysis.phase_transition(range(N), noise("white", 1) + 3 * jump(0.3) - 9 * jump(0.7))
    assert change.step == pytest.approx(0.7 * N, abs=10)
    assert analysis.phase_transition(range(N), noise("white", 1)) is None


def test_family_mean_reveals_change_hidden_in_layers():
    layers = [(np.arange(400), noise("white", seed, 400) + seed + 1.0 * (np.arange(400) >= 200)) for seed in range(24)]
    change = analysis.phase_transition(*analysis.family_mean(layers))
    assert change.step == pytest.approx(200, abs=4)


def test_result_is_deterministic_and_keeps_numpy_random_state():
    values = noise("white", 4) + 3 * jump(0.5)
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    first = found(values)
    assert np.random.random() == expected  # noqa: NPY002
    assert found(values) == first


def test_few_points_have_no_changes():
    for n in (0, 1, 2, 19):
        assert analysis.change_points(range(n), np.arange(n) >= n // 2) == []
    assert analysis.change_points(range(40), np.full(40, math.nan)) == []


def test_long_series_takes_little_cpu_time():
    values = noise("white", 1, 200_000)
    found(values)  # the first call imports ruptures
    seconds = []
    for _ in range(3):
        start = time.process_time()  # independent of other load
        found(values)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1  # 0.05 s


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_points": 0}, "max_points must be at least 1"),
        ({"min_confidence": 1.5}, "min_confidence must be between 0 and 1"),
        ({"min_confidence": math.nan}, "min_confidence must be between 0 and 1"),
    ],
)
def test_invalid_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        found(np.zeros(30), **options)


def test_missing_ruptures_raises(monkeypatch):
    monkeypatch.setitem(sys.modules, "ruptures", None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[analysis\]'"):
        found(np.zeros(30))


def test_analysis_imports_no_heavy_modules():
    heavy = {"ruptures", "scipy", "pandas", "plotly", "pyarrow", "torch", "matplotlib"}
    program = f"import sys, holter.analysis; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
