"""A candidate compared with a baseline of another day, or of another machine: each beside the same calibration server.

Milliseconds of two days cannot be compared. What is compared is how many times as long the target takes as the
calibration server, which ran in the blocks beside the target's. Two measures decide. p10 of the service time: the
quick calls, which other programs hardly change. And p50, from the intended start: what other programs do to it the
calibration server makes up for in part only, so that it decides little where they were busy (``foreign_sd``). What two
runs of the same code still differ by is a term of its own (``run_sd``), smaller with more processes; and so is how much
faster the machine was beside one of them (``speed_sd``): what of a server's time is waiting does not follow it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from mcp_workbench.errors import UsageError
from mcp_workbench.load.baselines.baseline import Baseline
from mcp_workbench.load.baselines.pairs import Pairs, Related
from mcp_workbench.load.comparisons.comparison import Comparison, failed_of, refuse_other_population
from mcp_workbench.load.comparisons.error_rates import ErrorDifference, exact_chance, newcombe_interval
from mcp_workbench.load.comparisons.findings import (
    Finding,
    judged_drops,
    judged_errors,
    judged_ratio,
    only_as_regression,
    p50_bounds,
)
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.statistics import LogRatio, Luck
from mcp_workbench.load.comparisons.verdicts import Verdict
from mcp_workbench.records import Outcome
from mcp_workbench.untrusted import one_line

TRUST_STORED: Final = (
    "Of runs of 6 s that were 20 minutes apart, one of each two beside other work, 1 of 60 of the same server was a "
    "false alarm, and a call that took a fifth longer was found 35 times of 60; all else was not enough data. This way "
    "finds regressions, greater ones more often; an all-clear needs a live comparison."
)
"""How often comparisons with a stored baseline were right, in words; from ``benchmarks/RESULTS.md``."""


_INSTEAD: Final = "compare the two live, or measure with more processes on a machine as fast and as quiet"
# Only a command is started by the workbench, as often as it takes.
_INSTEAD_OF_ONE: Final = "compare the two live"
_MUCH_ELSE: Final = 0.4
_TAIL: Final = "tail: two days are not compared by it; compare the two live"


def compare_stored(
    baseline: Baseline,
    candidate: Baseline,
    *,
    settings: GateSettings | None = None,
    names: tuple[str, str] = ("baseline", "candidate"),
) -> Comparison:
    """Compare two loads that were measured at different times, each beside the calibration server.

    The slow end is not judged: how far two days differ in it, the calibration server does not say. Where it has become
    much longer, in medians, nothing is decided; and neither by a gate that always judges it. Of each tool of several
    the quick calls are judged, and can only add a regression.

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
    luck_sd = math.hypot(
        gate.run_sd * math.sqrt(1 / baseline.processes + 1 / candidate.processes), gate.speed_sd * _speed(before, after)
    )
    other_work = math.hypot(baseline.honesty.foreign_share, candidate.honesty.foreign_share)
    seconds = min(baseline.whole.seconds, candidate.whole.seconds)
    count = min(before.blocks, after.blocks)
    instead = _INSTEAD if baseline.conditions.transport == "stdio" else _INSTEAD_OF_ONE
    short, crowded = _short((baseline, candidate), names, gate), _crowded((baseline, candidate), names)

    def judged(measure: str, pair: tuple[Related | None, Related | None], foreign_sd: float, tool: str = "") -> Finding:
        bounds = p50_bounds(gate if not tool else strict, Luck(math.hypot(luck_sd, foreign_sd * other_work)))
        # Its intervals are wide already: what runs of two days differ by is in them.
        bounds = replace(bounds, alarm_confidence=bounds.confidence, instead=instead, few=short)
        calls = min(_well(each, tool) for each in (baseline, candidate))
        found = judged_ratio(measure, _ratio(*pair, count), calls, seconds, bounds, tool=tool)
        if found.verdict is Verdict.REGRESSION and crowded:
            found = replace(found, words=f"{found.words}; {crowded}")
        return replace(found, unit="calibrations")

    tools = [name for name in before.tools if name in after.tools]
    # At a confidence that makes up for their number (Bonferroni).
    strict = gate.model_copy(update={"confidence": 1 - (1 - gate.confidence) / max(1, len(tools))})
    findings = (
        judged("p10", (before.quick, after.quick), gate.quick_foreign_sd),
        judged("p50", (before.p50, after.p50), gate.foreign_sd),
        *_tail(baseline, candidate, gate),
        _errors(baseline, candidate, seconds, gate),
        *filter(
            None, [judged_drops(*((each.honesty.dropped, each.honesty.offered) for each in (baseline, candidate)))]
        ),
        *(
            only_as_regression(judged("p10", (before.tools[name], after.tools[name]), gate.quick_foreign_sd, name))
            for name in tools
        ),
    )
    return Comparison(
        findings,
        gate,
        (baseline.conditions, candidate.conditions),
        (baseline.processes, candidate.processes),
        seconds,
        names,
        void=tuple(dict.fromkeys((*baseline.void, *candidate.void))),
        outcomes=failed_of(baseline.whole.outcomes, candidate.whole.outcomes),
        honesty=(baseline.honesty, candidate.honesty),
        trust=TRUST_STORED,
    )


def _tail(baseline: Baseline, candidate: Baseline, settings: GateSettings) -> tuple[Finding, ...]:
    """Return that the slow end is not judged; it holds up a verdict where it has to be, or has become much longer."""
    if settings.judge_tail == "never":
        return ()
    mine, theirs = (_slow_end(each) for each in (baseline, candidate))
    longer = mine is not None and theirs is not None and theirs > mine * settings.tail_found
    words = _TAIL
    if longer:
        words = f"tail: the slow end is {theirs:.1f} x p50, and was {mine:.1f} x; compare the two live"
    decides = longer or settings.judge_tail == "always"
    return (Finding("tail", "", None, None, None, Verdict.NOT_ENOUGH, decides, words, unit="calibrations"),)


def _slow_end(stored: Baseline) -> float | None:
    """Return p99, or p95 of fewer calls, in medians: of the load without a pause, in which stalls show."""
    p50_ms = stored.whole.percentile_ms(50)
    slow_ms = stored.whole.percentile_ms(99) or stored.whole.percentile_ms(95)
    return slow_ms / p50_ms if p50_ms and slow_ms else None


def _short(sides: tuple[Baseline, Baseline], names: tuple[str, str], settings: GateSettings) -> str:
    """Return which of the two would have to be measured again: a stored one does not become longer."""
    found = [
        one_line(name, 60)
        for name, side in zip(names, sides, strict=True)
        if (side.pairs is not None and side.pairs.blocks < settings.least_pairs)
        or _well(side, "") < settings.least_calls
    ]
    return f"of too few calls: measure {' and '.join(found or ['both'])} again, for longer"


def _crowded(sides: tuple[Baseline, Baseline], names: tuple[str, str]) -> str:
    """Return beside which of the two others kept much of the machine busy: what was measured of trust had less."""
    told = [
        f"{side.honesty.foreign_share:.1f} of {side.honesty.cores} cores beside {one_line(name, 60)}"
        for name, side in zip(names, sides, strict=True)
        if side.honesty.foreign_share > _MUCH_ELSE * side.honesty.cores
    ]
    return f"others kept {' and '.join(told)} busy: measure again on a quieter machine to be sure" if told else ""


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


def _speed(before: Pairs, after: Pairs) -> float:
    """Return the logarithm of how much faster or slower the calibration server was, as its quick calls say."""
    if before.quick is None or after.quick is None:
        return 0.0
    return math.log(after.quick.calibration_ms / before.quick.calibration_ms)


def _ratio(before: Related | None, after: Related | None, pairs: int) -> LogRatio | None:
    """Return how much slower the candidate is in units of the calibration server; its figures are such units, too."""
    if before is None or after is None:
        return None
    errors = [math.inf if each.error is None else each.error for each in (before, after)]
    change = math.log(after.ratio / before.ratio)
    return LogRatio(before.ratio, after.ratio, change, math.hypot(*errors), pairs)


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


def _well(stored: Baseline, tool: str) -> int:
    """Return how many calls of a tool ended well; of all, if it has no name."""
    rows = [row for row in stored.tools if row.tool == tool] if tool else [stored.whole]
    return sum(row.outcomes[Outcome.OK] for row in rows)
