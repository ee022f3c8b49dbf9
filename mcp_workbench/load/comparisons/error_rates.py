"""How often calls fail: of one arm, and how much more often of another one, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.load.comparisons.statistics import RESAMPLES, Interval, draws
from mcp_workbench.load.measured import Calls

_MOST_CALLS: Final = 1e9


@dataclass(frozen=True, slots=True)
class ErrorDifference:
    """How many more of the candidate's calls failed, as a share of its calls.

    Attributes:
        baseline_errors: how many of the baseline's calls failed.
        baseline_calls: how many it had.
        candidate_errors: how many of the candidate's calls failed.
        candidate_calls: how many it had.
        interval: the difference of the shares, candidate less baseline: the wider of what single calls and of what
            stretches of neighbouring blocks allow for, so that one burst of errors is no trend.
        chance: the probability of so many errors, or more, at the candidate, if both failed alike.
    """

    baseline_errors: int
    baseline_calls: int
    candidate_errors: int
    candidate_calls: int
    interval: Interval
    chance: float


def error_difference(
    baseline: Calls, candidate: Calls, confidence: float, *, resamples: int = RESAMPLES, seed: int = 0
) -> ErrorDifference | None:
    """Compare how many calls failed in two arms that were called in turns; ``None`` if an arm has no calls.

    Args:
        baseline: its block ``i`` ran beside block ``i`` of the candidate.
        candidate: the other arm.
        confidence: of the interval, above 0 and below 1.
        resamples: how often stretches of blocks are drawn: as many blocks each as there are stretches, since an outage
            lasts for several blocks (Künsch 1989).
        seed: of the draws.
    """
    pairs = min(baseline.blocks, candidate.blocks)
    counted = [_errors_by_block(calls, pairs) for calls in (baseline, candidate)]
    (errors, calls), (more_errors, more_calls) = ((int(e.sum()), int(c.sum())) for e, c in counted)
    if not calls or not more_calls:
        return None
    stretches = np.arange(0, pairs, math.isqrt(pairs))
    counted = [(np.add.reduceat(e, stretches), np.add.reduceat(c, stretches)) for e, c in counted]
    single = newcombe_interval(errors, calls, more_errors, more_calls, confidence)
    drawn = []
    for weights in draws(len(stretches), resamples, seed):
        with np.errstate(invalid="ignore"):
            shares = [(weights @ e) / (weights @ c) for e, c in counted]
        drawn.append(shares[1] - shares[0])
    differences = np.concatenate(drawn)
    differences = differences[np.isfinite(differences)]
    low, high = (
        np.quantile(differences, ((1 - confidence) / 2, (1 + confidence) / 2)) if len(stretches) > 1 else (-1.0, 1.0)
    )
    whole = Interval(single.estimate, min(single.low, float(low)), max(single.high, float(high)), confidence)
    chance = exact_chance(errors, calls, more_errors, more_calls)
    return ErrorDifference(errors, calls, more_errors, more_calls, whole, chance)


def _errors_by_block(calls: Calls, pairs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    inside = calls.block < pairs
    block = calls.block[inside].astype(np.int64)
    counts = [
        np.bincount(chosen, minlength=pairs).astype(np.float64) for chosen in (block[calls.failed[inside]], block)
    ]
    return counts[0], counts[1]


def wilson_interval(errors: int, calls: int, confidence: float = 0.95) -> Interval:
    """Return the share of calls that failed, and between what it lies; from 0 to 1 if there were no calls.

    Source:
        Wilson 1927, the score interval; it holds for few errors, and for none.
    """
    if calls == 0:
        return Interval(math.nan, 0.0, 1.0, confidence)
    z = _normal_quantile(confidence)
    share, scale = errors / calls, 1 + z * z / calls
    middle = (share + z * z / (2 * calls)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / calls + z * z / (4 * calls * calls))
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)), confidence)


def newcombe_interval(errors: int, calls: int, more_errors: int, more_calls: int, confidence: float) -> Interval:
    """Return the difference of two shares of failed calls, second less first, and between what it lies.

    Source:
        Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
    """
    first, second = wilson_interval(errors, calls, confidence), wilson_interval(more_errors, more_calls, confidence)
    difference = second.estimate - first.estimate
    low = difference - math.hypot(second.estimate - second.low, first.high - first.estimate)
    high = difference + math.hypot(second.high - second.estimate, first.estimate - first.low)
    return Interval(difference, low, high, confidence)


def exact_chance(errors: int, calls: int, more_errors: int, more_calls: int) -> float:
    """Return how probable ``more_errors`` or more are in the second arm, if errors fall on calls of both alike.

    Source:
        Fisher's exact test, one-sided.
    """
    from scipy.special import gammaln

    def log_ways(whole: int, part: NDArray[np.float64] | float) -> NDArray[np.float64]:
        ways: NDArray[np.float64] = (
            gammaln(whole + 1) - gammaln(np.add(part, 1)) - gammaln(np.subtract(whole, part) + 1)
        )
        return ways

    both = errors + more_errors
    counts = np.arange(more_errors, min(both, more_calls) + 1, dtype=np.float64)
    logs = log_ways(more_calls, counts) + log_ways(calls, both - counts) - log_ways(calls + more_calls, both)
    return min(1.0, float(np.exp(logs).sum()))


def _normal_quantile(confidence: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + confidence) / 2)


def needed_calls(errors: ErrorDifference, bound: float, confidence: float) -> float | None:
    """Return how many calls each arm would need for the difference's upper bound to fall below ``bound``.

    Args:
        errors: what was found; that errors go on as they came is assumed.
        bound: a share from 0 to 1.
        confidence: of the interval.

    Returns:
        The number of calls; ``None`` if more calls do not help: the difference itself is above the bound.
    """
    shares = errors.baseline_errors / errors.baseline_calls, errors.candidate_errors / errors.candidate_calls
    calls = float(min(errors.baseline_calls, errors.candidate_calls))
    while shares[1] - shares[0] < bound and calls < _MOST_CALLS:
        calls *= 1.1
        count = math.ceil(calls)
        first, second = (round(share * count) for share in shares)
        if newcombe_interval(first, count, second, count, confidence).high < bound:
            return calls
    return None
