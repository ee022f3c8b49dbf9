"""What a comparison found of one measure: how much it changed, how sure that is, and the verdict on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from mcp_workbench.load.comparisons.error_rates import ErrorDifference, needed_calls
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.statistics import (
    Interval,
    LogRatio,
    Luck,
    needed_seconds,
)
from mcp_workbench.load.comparisons.verdicts import Verdict
from mcp_workbench.untrusted import one_line

MORE_PROCESSES: Final = "measure with more processes of each"

Unit = Literal["ms", "%", "calibrations"]
"""Of a measure: milliseconds, percent of the calls, or as many times as long as the calibration server took."""

P50: Final = (50.0,)
P10: Final = (10.0,)
P25: Final = (25.0,)
SLOWER: Final = (75.0, 80.0, 85.0, 90.0)
"""The slower calls, but for the slowest: the geometric mean of these percentiles."""
TAIL: Final = tuple(97 + step / 4 for step in range(9))
"""The slow end: the geometric mean of the percentiles from 97 to 99. Above them is what the machine does now and then.
Below them, a class of slow calls that is 5 % of all would come and go with its share in the sample: in simulation the
mean from p95 to p99 had 1.4 to 1.9 times the standard deviation."""


_DROPPED: Final = 0.01

_CERTAIN: Final = 0.001
"""The chance of one-sided luck below which a candidate that answers nothing well needs no more calls."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one measure.

    Attributes:
        measure: ``p10``, ``p25``, ``p50``, ``p75-90``, ``tail``, ``errors``, ``stalls`` or ``drops``.
        tool: the tool's name; empty for all calls together.
        baseline: the baseline's figure, errors as a share of the calls; ``None`` without calls.
        candidate: the candidate's.
        change: the ratio of the latencies, or the difference of the shares, and between what it lies.
        verdict: the verdict on this measure alone.
        decides: whether the verdict of the whole depends on it.
        words: the finding in words.
        needed_s: how many seconds more of each arm would do; ``None`` if none are needed, or none would help.
        unit: of the figures, as tables show them.
    """

    measure: str
    tool: str
    baseline: float | None
    candidate: float | None
    change: Interval | None
    verdict: Verdict
    decides: bool
    words: str
    needed_s: float | None = None
    unit: Unit = "ms"

    @property
    def title(self) -> str:
        """The measure, and the tool's name as it may be shown."""
        return f"{self.measure} of {one_line(self.tool, 60)}" if self.tool else self.measure


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what a measure is judged.

    Attributes:
        margin: what is tolerated.
        found: what "no regression" rules out.
        luck: what the blocks cannot show.
        confidence: of the interval's upper bound, with half of the doubt: "no regression" rests on it.
        alarm_confidence: the same of the lower bound, on which a regression rests.
        least_calls: fewer calls of an arm decide nothing.
        least_pairs: fewer pairs of blocks decide nothing.
        instead: what to do where more seconds would not help, in words.
        few: what to do where there are too few calls or pairs, in words; how many seconds more if empty.
    """

    margin: float
    found: float
    luck: Luck
    confidence: float
    alarm_confidence: float
    least_calls: int
    least_pairs: int
    instead: str = MORE_PROCESSES
    few: str = ""


def p50_bounds(settings: GateSettings, luck: Luck) -> Bounds:
    """Return between what p50 and p25 are judged.

    Args:
        settings: the gate.
        luck: what the blocks of both arms cannot show.
    """
    return Bounds(
        settings.p50_margin,
        settings.p50_found,
        luck,
        settings.confidence,
        settings.alarm_confidence,
        settings.least_calls,
        settings.least_pairs,
    )


def tail_bounds(settings: GateSettings, luck: Luck) -> Bounds:
    """Return between what the slow end is judged; see :func:`p50_bounds`."""
    return Bounds(
        settings.tail_margin,
        settings.tail_found,
        luck,
        settings.confidence,
        settings.alarm_confidence,
        settings.tail_least_calls,
        settings.least_pairs,
    )


def judged_ratio(
    measure: str,
    ratio: LogRatio | None,
    calls: int,
    seconds: float,
    bounds: Bounds,
    *,
    tool: str = "",
    decides: bool = True,
) -> Finding:
    """Judge the ratio of two latencies.

    Args:
        measure: what it is a ratio of.
        ratio: what was found; ``None`` if an arm has no calls that ended well.
        calls: how many calls ended well, of the arm that has fewer.
        seconds: how long each arm was measured.
        bounds: between what it is judged.
        tool: the tool's name; empty for all calls together.
        decides: whether the verdict of the whole depends on it.
    """
    if ratio is None:
        words = f"{measure}: one of the two has no calls that ended well"
        return Finding(measure, tool, None, None, None, Verdict.NOT_ENOUGH, decides, words)
    change = ratio.interval(bounds.confidence, bounds.luck, bounds.alarm_confidence)
    few = max(bounds.least_calls / max(calls, 1), bounds.least_pairs / ratio.pairs)
    needed_s: float | None = None
    margin, found = math.log(bounds.margin), math.log(bounds.found)
    if few > 1:
        verdict, needed_s = Verdict.NOT_ENOUGH, seconds * (few - 1)
    elif change.low > bounds.margin:
        verdict = Verdict.REGRESSION
    elif change.high < bounds.found:
        verdict = Verdict.NO_REGRESSION
    else:
        verdict = Verdict.NOT_ENOUGH
        ways = (
            (found - ratio.log_ratio, bounds.confidence),
            (ratio.log_ratio - margin, bounds.alarm_confidence),
        )
        more_s = [needed_seconds(ratio, seconds, room, level, bounds.luck) for room, level in ways if room > 0]
        needed_s = min((each for each in more_s if each is not None), default=None)
    needed = needed_words(needed_s, bounds.instead)
    if few > 1 and bounds.few:
        needed, needed_s = bounds.few, None
    words = _ratio_words(measure, tool, change, verdict, needed)
    return Finding(measure, tool, ratio.baseline_ms, ratio.candidate_ms, change, verdict, decides, words, needed_s)


def _ratio_words(measure: str, tool: str, change: Interval, verdict: Verdict, needed: str) -> str:
    of = f"{measure} of {one_line(tool, 60)}" if tool else measure
    whose = " the baseline's" if verdict is Verdict.REGRESSION else ""
    words = f"{of} is {change.estimate:.2f} x{whose}"
    if math.isfinite(change.high) and change.low > 0:
        words += f" ({change.low:.2f} to {change.high:.2f})"
    if verdict is Verdict.NOT_ENOUGH:
        return f"{words}, {needed}"
    return f"{words}: faster" if change.high < 1 else words


def only_as_regression(found: Finding) -> Finding:
    """Return a finding that the whole depends on only if it is a regression: it may add one, and never blocks."""
    return replace(found, decides=found.verdict is Verdict.REGRESSION)


def needed_words(needed_s: float | None, instead: str = MORE_PROCESSES) -> str:
    """Return what would have to be measured for a verdict, in words; ``instead`` where seconds do not help."""
    if needed_s is None:
        return f"and more seconds would not do: {instead}"
    seconds = max(1, math.ceil(needed_s))
    return f"about {seconds:,} s more of each would do"


def judged_errors(
    errors: ErrorDifference | None, seconds: float, settings: GateSettings, confidence: float, *, tool: str = ""
) -> Finding:
    """Judge how many more calls failed.

    A regression needs three things: more failures than is tolerated, a difference that stretches of blocks drawn again
    do not make go away (one burst is no trend), and Fisher's exact test. A candidate that answers nothing well needs
    the last one only: when all calls hang there are few blocks.

    Args:
        errors: what was found; ``None`` if an arm has no calls.
        seconds: how long each arm was measured.
        settings: the gate.
        confidence: of the interval.
        tool: the tool's name; empty for all calls together.
    """
    if errors is None:
        words = "errors: one of the two has no calls"
        return Finding("errors", tool, None, None, None, Verdict.NOT_ENOUGH, True, words, unit="%")
    change = errors.interval
    baseline = errors.baseline_errors / errors.baseline_calls
    candidate = errors.candidate_errors / errors.candidate_calls
    needed_s: float | None = None
    calls = min(errors.baseline_calls, errors.candidate_calls)
    answers_nothing = baseline < 1 and candidate == 1 and errors.chance < _CERTAIN
    trend = change.estimate > settings.error_margin and change.low > 0 and errors.chance < (1 - confidence) / 2
    if trend or answers_nothing:
        verdict = Verdict.REGRESSION
    elif change.high < settings.errors_found:
        verdict = Verdict.NO_REGRESSION
    else:
        verdict = Verdict.NOT_ENOUGH
        needed = needed_calls(errors, settings.errors_found, confidence)
        needed_s = None if needed is None else seconds * max(needed / calls - 1, 0.1)
    of = f"errors of {one_line(tool, 60)}" if tool else "errors"
    words = f"{of} {100 * candidate:.1f} % against {100 * baseline:.1f} %"
    if verdict is Verdict.NOT_ENOUGH:
        more = (
            needed_words(needed_s) if needed_s is not None else "in too few blocks to be called a trend; measure longer"
        )
        words += f" ({100 * change.low:+.1f} to {100 * change.high:+.1f} points), {more}"
    return Finding("errors", tool, baseline, candidate, change, verdict, True, words, needed_s, "%")


def judged_stalls(
    found: tuple[float, float, Interval] | None, seconds: float, settings: GateSettings
) -> Finding | None:
    """Judge for how much longer the candidate kept calls waiting after the ends of its turns.

    It says nothing of a candidate that does so about as long as the baseline: by less than the margin and half of the
    baseline's own share longer, which slower calls explain. One that does so for longer is a
    regression if turns drawn again do not make it go away; else there are too few turns to tell a server that stalls
    now and then from a machine that did something else.

    Args:
        found: what :func:`~mcp_workbench.load.comparisons.statistics.stall_difference` returned.
        seconds: how long each arm was measured.
        settings: the gate.

    Returns:
        The finding; ``None`` if there is nothing to say.
    """
    if found is None:
        return None
    mine, theirs, change = found
    if change.estimate <= settings.stall_margin + mine / 2:
        return None
    verdict = Verdict.REGRESSION if change.low > 0 else Verdict.NOT_ENOUGH
    words = f"waited for answers after its turns for {theirs:.0%} of their time, against {mine:.0%}"
    needed_s = None
    if verdict is Verdict.NOT_ENOUGH:
        needed_s = seconds
        words += f", in too few turns to be called a trend; {needed_words(needed_s)}"
    return Finding("stalls", "", mine, theirs, change, verdict, True, words, needed_s, "%")


def judged_drops(baseline: tuple[int, int], candidate: tuple[int, int]) -> Finding | None:
    """Say that operations never began because too many calls were unanswered: no latency tells of them.

    Args:
        baseline: how many of the one were dropped, and how many were offered.
        candidate: the same of the other.

    Returns:
        The finding, which no "no regression" outweighs; ``None`` where hardly any were dropped.
    """
    mine, theirs = (dropped / max(1, offered) for dropped, offered in (baseline, candidate))
    if max(mine, theirs) <= _DROPPED:
        return None
    words = (
        f"{theirs:.1%} of the operations never began, against {mine:.1%}, because too many calls were unanswered; "
        "lower the rate, or allow more calls in flight"
    )
    return Finding("drops", "", mine, theirs, None, Verdict.NOT_ENOUGH, True, words, unit="%")
