"""The likelihood of a model of a curve whose noise is autocorrelated and may have spikes.

The residuals are modeled as an autoregression of at most three terms. The likelihood follows from the variance of its
innovations, clipped at three standard deviations. A single innovation explains a spike that decays, but not a lasting
change of level.
"""

import math

import numpy as np

from holter.analysis._points import FloatArray

CHANGE_PARAMETERS = 3
"""Parameters of a change: place, height and length."""
_TERM_PRICE = 2.0
_MAX_TERMS = 3
_CUT = 3.0
_MAD_TO_STD = 1.4826
_MAX_PERSISTENCE = 0.98


def autoregression(residuals: FloatArray, num_parameters: float) -> FloatArray:
    """Return the coefficients, at most three, of the autoregression of a fit's residuals.

    Uses the Levinson-Durbin recursion with the order chosen by Akaike's criterion. Raises the first coefficient by the
    bias due to a fit with `num_parameters` parameters and by one standard error, because underestimating the
    persistence of the noise produces false changes.
    """
    count = len(residuals)
    limit = _CUT * _MAD_TO_STD * _median_size(np.abs(residuals))
    cut = np.minimum(np.maximum(residuals, -limit), limit)
    covariances = [float(cut[: count - lag] @ cut[lag:]) / count for lag in range(_MAX_TERMS + 1)]
    best = _by_levinson(covariances, count)
    total = float(best.sum())
    raised = num_parameters / count * (1 + total) + math.sqrt(max(1 - total * total, 0.02) / count)
    coefficients = best if len(best) else np.zeros(1)
    coefficients[0] += min(raised, max(0.0, _MAX_PERSISTENCE - total))
    return coefficients


def cost(residuals: FloatArray, coefficients: FloatArray, num_terms: int, num_changes: int, floor: float) -> float:
    """Return minus twice the log-likelihood plus the penalty for the parameters; smaller is better.

    A change costs log n for each of its place, height and length (Schwarz, 1978), a trend's term only 2 (Akaike,
    1974), because a trend that overfits does no harm and a false change does.

    Args:
        residuals: Residuals of the fit, in units of the noise scale.
        coefficients: The autoregression of the noise.
        num_terms: Number of terms of the fit's trend.
        num_changes: Number of changes of the fit.
        floor: Added to the variance of the innovations, so that an exact fit has a finite likelihood.
    """
    count = len(residuals)
    order = len(coefficients)
    innovations = residuals[order:].copy()
    for lag, coefficient in enumerate(coefficients, 1):
        innovations -= coefficient * residuals[order - lag : count - lag]
    sizes = np.abs(innovations)
    limit = _CUT * _MAD_TO_STD * _median_size(sizes)
    variance = 0.0
    for _ in range(3):  # the clipping limit depends on the variance of the clipped values
        cut = np.minimum(sizes, limit)
        variance = float(cut @ cut) / len(cut)
        limit = _CUT * math.sqrt(variance)
    price = math.log(count) * (CHANGE_PARAMETERS * num_changes + order) + _TERM_PRICE * num_terms
    return count * math.log(variance + floor) + price


def _median_size(sizes: FloatArray) -> float:
    middle = len(sizes) // 2
    return float(np.partition(sizes, middle)[middle])


def _by_levinson(covariances: list[float], count: int) -> FloatArray:
    coefficients = best = np.zeros(0)
    variance = covariances[0]
    if variance <= 0:
        return best
    least = count * math.log(variance)
    for order in range(1, len(covariances)):
        past = np.array(covariances[order - 1 : 0 : -1])
        reflection = (covariances[order] - float(coefficients @ past)) / variance
        coefficients = np.append(coefficients - reflection * coefficients[::-1], reflection)
        variance *= 1 - reflection * reflection
        if variance <= 1e-12 * covariances[0]:
            break
        criterion = count * math.log(variance) + 2 * order
        if criterion < least:
            least, best = criterion, coefficients
    return best.copy()
