"""Curves with known changes: noise like that of training curves, and smooth decays without a change.

`python tests/support/training_noise.py 100` prints the tables of docs/analysis.md: the number of series out of 16 in
which a jump is found, and the number of series out of 100 with a false alarm, for each kind of noise.
"""

import sys

import numpy as np


def autoregressive(innovations: np.ndarray, persistence: float) -> np.ndarray:
    """Return a stationary AR(1) process, scaled to the size of the innovations."""
    out, level = [], 0.0
    for innovation in innovations.tolist():
        level = persistence * level + innovation
        out.append(level)
    return np.array(out) * np.sqrt(1 - persistence**2)


def _ar(persistence, draw):
    return lambda random, n: autoregressive(draw(random, n + 200), persistence)[200:]


def _normal(random, n):
    return random.normal(size=n)


NOISES = {
    "white": _normal,
    "AR(0.5)": _ar(0.5, _normal),
    "AR(0.8)": _ar(0.8, _normal),
    "AR(0.95)": _ar(0.95, _normal),
    "AR(0.95) and white": lambda random, n: _ar(0.95, _normal)(random, n) + random.normal(size=n),
    "Student t, 2 degrees": lambda random, n: random.standard_t(2, n),
    "Cauchy": lambda random, n: random.standard_cauchy(n),
    "lognormal": lambda random, n: random.lognormal(size=n),
    "AR(0.8) of Student t, 3 degrees": _ar(0.8, lambda random, n: random.standard_t(3, n)),
    "AR(0.8) of lognormal": _ar(0.8, lambda random, n: random.lognormal(size=n)),
    "size falls to a twentieth": lambda random, n: random.normal(size=n) * np.exp(-3 * np.arange(n) / n),
    "size jumps to five times": lambda random, n: random.normal(size=n) * np.where(np.arange(n) < n // 2, 1, 5),
}

DECAYS = {
    "exponential": lambda t: 3 * np.exp(-4 * t),
    "power -0.3": lambda t: 4 * (1 + 1000 * t) ** -0.3,
    "power -0.08": lambda t: 10 * (1 + 10000 * t) ** -0.08,
    "logarithm": lambda t: -np.log(1 + 100 * t),
    "cosine": lambda t: 2 * np.cos(np.pi * t),
    "square root": lambda t: 5 * np.sqrt(t),
}


def series(noise: str, n: int, seed: int, decay: str | None = None, size: float = 1.0) -> np.ndarray:
    """Return `n` values of a kind of noise, around a decay if given."""
    values = size * NOISES[noise](np.random.default_rng(seed), n)
    return values if decay is None else values + DECAYS[decay](np.arange(n) / n)


def false_alarms(num_seeds: int, noise: str, n: int, decay: str | None = None, size: float = 1.0) -> int:
    """Count the series in which a change is found."""
    from holter import analysis

    seeds = range(9000, 9000 + num_seeds)
    return sum(bool(analysis.change_points(np.arange(n), series(noise, n, seed, decay, size))) for seed in seeds)


def hits(num_seeds: int, noise: str, n: int, height: float) -> int:
    """Count the series in which a jump in the middle is the only change found, within 2 % of the run."""
    from holter import analysis

    count = 0
    for seed in range(num_seeds):
        found = analysis.change_points(range(n), series(noise, n, seed) + height * (np.arange(n) >= n / 2))
        count += len(found) == 1 and abs(found[0].step - n / 2) <= 0.02 * n
    return count


if __name__ == "__main__":
    num = int(sys.argv[1])
    heights = (2, 3, 4, 5, 6, 8)
    print("| jump in |", " | ".join(map(str, heights)), "|")
    for kind, n in [("white", 100), ("white", 200), ("AR(0.5)", 200), ("AR(0.8)", 200), ("AR(0.8)", 2000)]:
        print(
            f"| {kind}, {n} points |", " | ".join(str(hits(16, kind, n, height)) for height in heights), "|", flush=True
        )
    lengths = (30, 60, 100, 1000)
    print("| noise |", " | ".join(f"{n} points" for n in lengths), "|")
    for kind in NOISES:
        print(f"| {kind} |", " | ".join(str(false_alarms(num, kind, n)) for n in lengths), "|", flush=True)
    cases = [(n, size) for n in (60, 1000) for size in (0.3, 0.03, 0.001)]
    print("| AR(0.5) around |", " | ".join(f"{n} points, {size}" for n, size in cases), "|")
    for kind in DECAYS:
        counts = [false_alarms(num, "AR(0.5)", n, kind, size) for n, size in cases]
        print(f"| {kind} |", " | ".join(map(str, counts)), "|", flush=True)
