"""A candidate compared with a baseline of another day, or of another machine: each beside the same calibration server.

Milliseconds of two days cannot be compared. What is compared is how many times as long the target takes as the
calibration server, which ran in the blocks beside the target's: the mean over the pairs of blocks of the ratio's
logarithm. What two runs of the same code still differ by is a term of its own, ``run_sd``, once for each run; and what
other programs did beside one run and not beside the other is another, ``foreign_sd``: work that takes processors away
slows a server that others wait for more than the calibration server.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from mcp_workbench.errors import UsageError
from mcp_workbench.load.baselines.baseline import Baseline
from mcp_workbench.load.baselines.pairs import Pairs
from mcp_workbench.load.comparisons.comparison import Comparison, refuse_other_population
from mcp_workbench.load.comparisons.findings import Finding, judged_errors, judged_ratio, p50_bounds
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.statistics import (
    ErrorDifference,
    LogRatio,
    exact_chance,
    mean_log_ratio,
    newcombe_interval,
)
from mcp_workbench.records import Outcome
from mcp_workbench.untrusted import one_line

TRUST_STORED: Final = ""
"""How often comparisons with a stored baseline were right, in words; from ``benchmarks/RESULTS.md``."""


def compare_stored(
    baseline: Baseline,
    candidate: Baseline,
    *,
    settings: GateSettings | None = None,
    names: tuple[str, str] = ("baseline", "candidate"),
) -> Comparison:
    """Compare two loads that were measured at different times, each beside the calibration server.

    The slow end is not judged: how far two days differ in it, the calibration server does not say.

    Args:
        baseline: the one, with its calibration.
        candidate: the other.
        settings: between what is judged; the defaults if left out.
        names: what they are called in words.

    Raises:
        UsageError: they were measured under different conditions, without a calibration server, or with another one.
    """
    refuse_other_population(baseline.conditions, candidate.conditions)
    before, after = _pairs(baseline, names[0]), _pairs(candidate, names[1])
    _refuse_other_calibration(baseline, candidate)
    gate = settings or GateSettings()
    other_work = baseline.honesty.foreign_share - candidate.honesty.foreign_share
    bounds = p50_bounds(gate, math.hypot(gate.run_sd * math.sqrt(2), gate.foreign_sd * other_work))
    calls = min(_well(baseline), _well(candidate))
    seconds = min(baseline.whole.seconds, candidate.whole.seconds)
    findings = (
        *(
            replace(
                judged_ratio(measure, _ratio(before, after, measure), calls, seconds, bounds, decides=measure == "p50"),
                unit="calibrations",
            )
            for measure in ("p50", "p25")
        ),
        _errors(baseline, candidate, seconds, gate),
    )
    mine, theirs = baseline.whole.outcomes, candidate.whole.outcomes
    return Comparison(
        findings,
        gate,
        (baseline.conditions, candidate.conditions),
        (baseline.processes, candidate.processes),
        seconds,
        names,
        void=tuple(dict.fromkeys((*baseline.void, *candidate.void))),
        outcomes=tuple(
            (each, mine[each], theirs[each])
            for each in Outcome
            if each is not Outcome.OK and (mine[each] or theirs[each])
        ),
        trust=TRUST_STORED,
    )


def _pairs(stored: Baseline, name: str) -> Pairs:
    if stored.pairs is None or stored.calibration is None:
        raise UsageError(
            f"{one_line(name, 80)} was measured without the calibration server, and milliseconds of another time "
            "cannot be compared; measure it again with calibration, or compare the targets live"
        )
    return stored.pairs


def _refuse_other_calibration(baseline: Baseline, candidate: Baseline) -> None:
    assert baseline.calibration is not None
    assert candidate.calibration is not None
    for what in ("identity", "python"):
        mine, theirs = getattr(baseline.calibration, what), getattr(candidate.calibration, what)
        if mine != theirs:
            word = "Python" if what == "python" else "version"
            raise UsageError(
                f"the calibration servers differ ({word} {one_line(mine, 60)!r} against {one_line(theirs, 60)!r}), so "
                "that nothing can be related to them; measure the baseline again with this one"
            )


def _ratio(before: Pairs, after: Pairs, percentile: str) -> LogRatio | None:
    """Return how much slower the candidate is in units of the calibration server; its figures are such units, too."""
    means, errors = [], []
    for pairs in (before, after):
        target, calibration = (
            np.array(getattr(pairs, f"{whose}_{percentile}_ms"), dtype=np.float64)
            for whose in ("target", "calibration")
        )
        known = (target > 0) & (calibration > 0)
        mean, error = mean_log_ratio(np.log(target[known] / calibration[known]))
        if not math.isfinite(mean):
            return None
        means.append(mean)
        errors.append(error)
    count = min(len(before), len(after))
    return LogRatio(math.exp(means[0]), math.exp(means[1]), means[1] - means[0], math.hypot(*errors), count)


def _errors(baseline: Baseline, candidate: Baseline, seconds: float, settings: GateSettings) -> Finding:
    """Judge the errors call by call: which block they fell into is not kept."""
    confidence = settings.error_confidence
    (errors, calls), (more_errors, more_calls) = (
        (each.whole.errors, each.whole.calls) for each in (baseline, candidate)
    )
    if not calls or not more_calls:
        return judged_errors(None, seconds, settings, confidence)
    interval = newcombe_interval(errors, calls, more_errors, more_calls, confidence)
    chance = exact_chance(errors, calls, more_errors, more_calls)
    found = ErrorDifference(errors, calls, more_errors, more_calls, interval, chance)
    return judged_errors(found, seconds, settings, confidence)


def _well(stored: Baseline) -> int:
    return stored.whole.outcomes[Outcome.OK]
