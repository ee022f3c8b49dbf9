"""A candidate compared with a baseline of another day, or of another machine: each beside the same calibration server.

Milliseconds of two days cannot be compared. What is compared is how many times as long the target takes as the
calibration server, which ran in the blocks beside the target's. Two measures decide. p10 of the service time: the
quick calls, which other programs hardly change. And p50, from the intended start: what other programs do to it the
calibration server makes up for in part only, so that it decides little where they were busy (``foreign_sd``). What two
runs of the same code still differ by is a term of its own (``run_sd``), smaller with more processes.
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
    luck_sd = gate.run_sd * math.sqrt(1 / baseline.processes + 1 / candidate.processes)
    other_work = math.hypot(baseline.honesty.foreign_share, candidate.honesty.foreign_share)
    calls = min(_well(baseline), _well(candidate))
    seconds = min(baseline.whole.seconds, candidate.whole.seconds)
    measures = (
        ("p10", _quick_ratio(before, after), gate.quick_foreign_sd),
        ("p50", _ratio(before, after), gate.foreign_sd),
    )
    latencies = [
        judged_ratio(measure, ratio, calls, seconds, p50_bounds(gate, math.hypot(luck_sd, foreign_sd * other_work)))
        for measure, ratio, foreign_sd in measures
    ]
    findings = (
        *(replace(each, unit="calibrations") for each in latencies),
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


def _ratio(before: Pairs, after: Pairs) -> LogRatio | None:
    """Return how much slower p50 of the candidate is in units of the calibration server; its figures are such units."""
    means, errors = [], []
    for pairs in (before, after):
        target, calibration = np.array(pairs.target_p50_ms), np.array(pairs.calibration_p50_ms)
        mean, error = mean_log_ratio(np.log(target / calibration))
        if not math.isfinite(mean):
            return None
        means.append(mean)
        errors.append(error)
    count = min(len(before), len(after))
    return LogRatio(math.exp(means[0]), math.exp(means[1]), means[1] - means[0], math.hypot(*errors), count)


def _quick_ratio(before: Pairs, after: Pairs) -> LogRatio | None:
    """Return the same of the quick calls."""
    if before.quick is None or after.quick is None:
        return None
    mine, theirs = (each.target_ms / each.calibration_ms for each in (before.quick, after.quick))
    errors = [math.inf if each.error is None else each.error for each in (before.quick, after.quick)]
    return LogRatio(mine, theirs, math.log(theirs / mine), math.hypot(*errors), min(len(before), len(after)))


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
