"""How well a model explains a curve, when its noise is autocorrelated and may have spikes.

The residuals are taken for an autoregression of at most three terms. Its innovations' variance, with all beyond three
standard deviations cut off there, gives the likelihood. A single innovation explains a spike that dies out, but no
change of level that lasts.
"""

import math

import numpy as np

from holter.analysis._points import FloatArray

CHANGE_PARAMETERS = 3
"""A change's: its place, its height, and its length."""
_TERM_PRICE = 2.0
_MAX_TERMS = 3
_CUT = 3.0
_MAD_TO_STD = 1.4826
_MAX_PERSISTENCE = 0.98


def autoregression(residuals: FloatArray, num_parameters: float) -> FloatArray:
    """Return the coefficients of the autoregression that the residuals of a fit follow, at most three.

    They are those of Levinson and Durbin with the number of terms by Akaike's criterion, and the first is raised: by
    the bias that a fit of so many parameters gives the estimate, and by a standard error. Too little persistence
    in the noise is what would make changes out of it.
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
    """Return minus twice the log-likelihood, plus the price of the parameters; smaller is better.

    A change costs log n for its place, its height and its length each (Schwarz, 1978), a trend's term only 2 (Akaike,
    1974): a trend that is bent too much is no harm, a change that is none is.

    Args:
        residuals: Of the fit, in units of the noise's size.
        coefficients: The noise's autoregression.
        num_terms: Of the fit's trend.
        num_changes: Of the fit.
        floor: A variance that the innovations have at least: no model is taken to be better than that.
    """
    count = len(residuals)
    order = len(coefficients)
    innovations = residuals[order:].copy()
    for lag, coefficient in enumerate(coefficients, 1):
        innovations -= coefficient * residuals[order - lag : count - lag]
    sizes = np.abs(innovations)
    limit = _CUT * _MAD_TO_STD * _median_size(sizes)
    variance = 0.0
    for _ in range(3):  # the cut from the variance, the variance from what is cut
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
