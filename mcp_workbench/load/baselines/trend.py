"""One figure of a target over its releases: since when it is another one.

Two releases differ by chance; what a trend tells are steps that stand out from how much neighbouring releases differ
anyway. Where every baseline was measured beside the same calibration server, the figure is how many times as long the
target takes as that server, which survives a change of the machine; milliseconds do not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.errors import UsageError
from mcp_workbench.load.baselines.bars import bars
from mcp_workbench.load.baselines.baseline import Baseline
from mcp_workbench.load.baselines.figures import ToolFigures
from mcp_workbench.load.baselines.history import MOST_READ, History
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart

FEWEST: Final = 6
"""Below this many releases no step is looked for: how much they differ by chance is not known yet."""
ERROR_RATE: Final = "error rate"

_COLUMNS: Final = ["release", "measured at", "value", "unit", "change"]
_RATES: Final = (ERROR_RATE, "calls/s")
_SHORTEST: Final = 2
_OTHERS: Final = "another target"
_NAMED: Final = 3
# Least noise of two releases' logarithms: what repeats to less is not told apart by anybody.
_LEAST_NOISE: Final = 0.01
# Of normal noise: what neighbours differ by on average, in standard deviations (d2 of control charts for pairs).
_PAIR_RANGE: Final = 1.128
# Simulated with normal noise for 6 to 60 releases: a step is seen where there is none in 2 to 3 of 100 histories.
_PENALTY: Final = 12.0


@dataclass(frozen=True, slots=True)
class Point:
    """One release of a trend.

    Attributes:
        label: the release, or when it was measured if it has no name.
        measured_at: when it was measured, as ISO text in UTC.
        value: the figure; see :attr:`Trend.unit`.
    """

    label: str
    measured_at: str
    value: float


@dataclass(frozen=True, slots=True)
class Step:
    """A change that lasted.

    Attributes:
        at: the first release that has it, counted from 0.
        before: the figure between the step before and this one: the geometric mean; of rates the mean.
        after: the same from this step to the next one.
    """

    at: int
    before: float
    after: float


@dataclass(frozen=True, slots=True, repr=False)
class Trend(Report):
    """A figure over releases, and where it changed for longer than one of them.

    Attributes:
        measure: what the figure is, such as ``p50``.
        unit: ``ms``, ``calibrations`` (times the latency of the calibration server), ``calls/s`` or ``share``.
        points: the releases, the oldest first.
        steps: where it changed.
        left_out: why some baselines are not in it, and how many.
    """

    measure: str
    unit: str
    points: tuple[Point, ...]
    steps: tuple[Step, ...]
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are releases enough, and the last step, if there is one, was none to the worse."""
        if len(self.points) < FEWEST:
            return False
        return not self.steps or not self._is_worse(self.steps[-1])

    @property
    def frame(self) -> Table:
        """One row a release, the oldest first."""
        changes = {step.at: f"{self._words(step)} from here on" for step in self.steps}
        rows: list[dict[str, Any]] = [
            {
                "release": point.label,
                "measured at": point.measured_at,
                "value": f"{point.value:.2%}" if self.unit == "share" else point.value,
                "unit": self.unit,
                "change": changes.get(at, ""),
            }
            for at, point in enumerate(self.points)
        ]
        return table(rows, _COLUMNS)

    def headline(self) -> str:
        """Return the last step and how many there were, or that there was none, or that this cannot be said."""
        count = len(self.points)
        releases = f"{count:,} release{'s' * (count != 1)}"
        if count < FEWEST:
            words = f"too few to say: {releases}, and steps are looked for from {FEWEST} on"
        elif not self.steps:
            words = f"no step in {releases}"
        else:
            last = self.steps[-1]
            words = f"a step of {self._words(last)} at {self.points[last.at].label}, and none since"
            if len(self.steps) > 1:
                others = len(self.steps) - 1
                words += f" ({others} earlier step{'s' * (others != 1)})"
        gone = "".join(f"; {many:,} left out: {why}" for why, many in self.left_out)
        return f"{self.measure}: {words}{gone}"

    def facts(self) -> dict[str, Any]:
        """Return the measure, the steps and what was left out."""
        steps = [
            {"release": self.points[step.at].label, "before": step.before, "after": step.after} for step in self.steps
        ]
        return {"measure": self.measure, "unit": self.unit, "steps": steps, "left_out": dict(self.left_out)}

    def text_plot(self) -> str:
        """Return the releases as bars of characters."""
        starts = {step.at: f"  <- {self._words(step)} from here on" for step in self.steps}
        rows = [
            (point.label, point.value, f"{self._value(point.value)}{starts.get(at, '')}")
            for at, point in enumerate(self.points)
        ]
        return bars(f"{self.measure} ({self.unit})", rows)

    def plot(self) -> Chart:
        """Return a picture: the figure of each release, and the levels between the steps."""
        from mcp_workbench.load.baselines.trend_chart import trend_chart

        return trend_chart(self)

    def _is_worse(self, step: Step) -> bool:
        return (step.after < step.before) if self.unit == "calls/s" else (step.after > step.before)

    def _value(self, value: float) -> str:
        return f"{value:.2%}" if self.unit == "share" else f"{value:,.2f}"

    def _words(self, step: Step) -> str:
        if self.unit == "share" or step.before <= 0:
            return f"{self._value(step.before)} to {self._value(step.after)}"
        return f"{step.after / step.before:.2f} x"


def trend(
    baselines: History | Sequence[Baseline],
    measure: str = "p50 ms",
    tool: str | None = None,
    target: str | None = None,
) -> Trend:
    """Return how a figure went over the releases, and where it changed for good.

    Args:
        baselines: a history, or a list; the newest 1,000 of the target. Only those are taken that were measured as the
            newest one of them was: under the same conditions and, for latencies, beside the same calibration server if
            it was beside one.
        measure: ``p50 ms`` or another percentile, ``max ms``, ``error rate`` or ``calls/s``.
        tool: one tool; all together if left out.
        target: whose baselines; if left out, those of the newest one's target, and how many others there are is told.

    Raises:
        UsageError: there are no baselines, or none has this figure.
        FileError: the history cannot be read.

    Source:
        steps are found by PELT (Killick, Fearnhead and Eckley 2012) of ``ruptures`` in the values' logarithms, those of
        error rates in the arcsine of their roots. The noise is the mean difference of neighbouring releases (the moving
        range of control charts), so that a lasting step hardly adds to it. With 3 % of noise a step of 20 % in the
        middle of 30 releases is found in all of 400 simulated histories, and one where there is none in fewer than 5
        of 100.
    """
    read = _reader(measure)
    rate = measure in _RATES
    ordered, others = _of_target(baselines, target)
    newest = ordered[-1]
    left_out: dict[str, int] = {_OTHERS: others} if others else {}
    kept: list[tuple[Baseline, ToolFigures]] = []
    for each in ordered:
        row = next((row for row in each.figures if row.tool == tool), None) if tool is not None else each.whole
        why = _why_not(each, newest, rate=rate)
        if why is None and (row is None or read(row) is None):
            why = f"no {one_line(measure, 40)}" + (f" of {one_line(tool, 60)}" if tool is not None else "")
        if why is not None or row is None:
            left_out[why or ""] = left_out.get(why or "", 0) + 1
        else:
            kept.append((each, row))
    if not kept:
        told = "; ".join(left_out)
        raise UsageError(f"no baseline has the figure that is asked for ({told}); name another measure or tool")
    calibrated = not rate and _calibration(newest) is not None
    points = []
    for each, row in kept:
        value = read(row)
        assert value is not None
        if calibrated:
            value = _in_calibrations(each, value)
        label = each.label or f"{each.measured_at:%Y-%m-%d %H:%M}"
        points.append(Point(one_line(label, 60), each.measured_at.isoformat(" ", "seconds"), value))
    unit = "share" if measure == ERROR_RATE else "calls/s" if rate else "calibrations" if calibrated else "ms"
    steps = _steps(np.array([point.value for point in points]), [row.calls for _, row in kept], share=unit == "share")
    named = measure.removesuffix(" ms") + ("" if tool is None else f" of {one_line(tool, 60)}")
    return Trend(named, unit, tuple(points), steps, tuple(left_out.items()))


def _of_target(baselines: History | Sequence[Baseline], target: str | None) -> tuple[list[Baseline], int]:
    """Return the newest baselines of a target, the oldest first, and how many others there are, unless it is named."""
    # A history is asked for one target: those of others, however many and new, keep none of its own from being read.
    if isinstance(baselines, History):
        known = baselines.targets()
        chosen = target if target is not None else next(iter(known), "")
        whole: Sequence[Baseline] = baselines.baselines(chosen)
    else:
        whole = sorted(baselines, key=lambda each: each.measured_at)
        known = Counter(each.conditions.target for each in whole)
        chosen = target if target is not None else whole[-1].conditions.target if whole else ""
        whole = [each for each in whole if each.conditions.target == chosen][-MOST_READ:]
    if not known:
        raise UsageError("there is no baseline to make a trend of; add some to the history, or give a list of them")
    if not whole:
        named = ", ".join(repr(one_line(name, 60)) for name in list(known)[:_NAMED])
        raise UsageError(f"there is no baseline of {one_line(chosen, 60)!r}; name another target, such as {named}")
    return [*whole], 0 if target is not None else sum(known.values()) - known[chosen]


def _reader(measure: str) -> Callable[[ToolFigures], float | None]:
    """Return what reads a measure from a row of figures; ``None`` where the row does not carry it."""
    if measure == ERROR_RATE:
        return lambda row: row.error_rate if row.calls else None
    if measure == "calls/s":
        return lambda row: row.throughput or None
    if measure in ("max", "max ms"):
        return lambda row: row.max_ms or None
    found = re.fullmatch(r"p(\d{1,2}(?:\.\d{1,3})?)(?: ms)?", measure)
    if found is None or not (percent := float(found[1])):
        raise UsageError(
            f"measure={one_line(measure, 40)!r} is not known; give 'p50 ms' or another percentile, 'max ms', "
            f"'{ERROR_RATE}' or 'calls/s'"
        )
    return lambda row: row.percentile_ms(percent) or None


def _why_not(baseline: Baseline, newest: Baseline, *, rate: bool) -> str | None:
    if baseline.void:
        return "void"
    # The file of a history may hold others than it says.
    if baseline.conditions.target != newest.conditions.target:
        return _OTHERS
    differences = newest.conditions.differences(baseline.conditions)
    if differences:
        return f"measured otherwise ({one_line('; '.join(differences), 120)})"
    # Beside another calibration server they are figures in another unit.
    if not rate and _calibration(newest) not in (None, _calibration(baseline)):
        return "without the newest one's calibration server"
    return None


def _calibration(baseline: Baseline) -> tuple[str, str] | None:
    """Return what must be the same for ratios to be compared; ``None`` without a calibration that says anything."""
    if baseline.calibration is None or baseline.pairs is None or not baseline.pairs.ratio:
        return None
    return baseline.calibration.identity, baseline.calibration.python


def _in_calibrations(baseline: Baseline, value_ms: float) -> float:
    """Return a latency in those of the calibration server, as the neighbouring blocks saw it."""
    assert baseline.pairs is not None
    ratio, p50_ms = baseline.pairs.ratio, baseline.whole.percentile_ms(50)
    assert ratio is not None
    # The ratio of the pairs is free of what lasted minutes; other figures keep their proportion to the median.
    return value_ms / (p50_ms or value_ms) * ratio


def _steps(values: NDArray[np.float64], calls: Sequence[int], *, share: bool) -> tuple[Step, ...]:
    if len(values) < FEWEST:
        return ()
    from ruptures import KernelCPD

    scaled = np.arcsin(np.sqrt(values)) if share else np.log(values)
    # Shares of few calls differ by chance, even where neighbours happen to be alike.
    least = 1 / (2 * math.sqrt(float(np.median(calls)))) if share else _LEAST_NOISE
    noise = max(float(np.abs(np.diff(scaled)).mean()) / _PAIR_RANGE, least)
    search = KernelCPD(kernel="linear", min_size=_SHORTEST).fit(scaled.reshape(-1, 1))
    found = [int(end) for end in search.predict(pen=_PENALTY * noise**2)]
    ends = [0, *found]
    levels = [float(scaled[begin:end].mean()) for begin, end in pairwise(ends)]
    told = [math.sin(level) ** 2 if share else math.exp(level) for level in levels]
    return tuple(Step(at, told[index], told[index + 1]) for index, at in enumerate(found[:-1]))
