"""The figures of a load, per tool and in all, and how they went over time; what is kept when the calls are gone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from mcp_workbench.load.baselines.histograms import Histogram, histogram_of, rank
from mcp_workbench.load.comparisons.error_rates import wilson_interval
from mcp_workbench.load.measured import OUTCOMES, Calls
from mcp_workbench.records import Outcome
from mcp_workbench.untrusted import one_line

ALL_TOOLS: Final = "(all)"
"""The name of the row that stands for all tools; it is the last one, and there only if there are several."""
MOST_CODES: Final = 50
"""How many codes of failures are told apart; the rest are counted as one."""
MOST_SLICES: Final = 60

_CANCELLED: Final = OUTCOMES.index(Outcome.CANCELLED)
_OTHER_CODES: Final = "(other codes)"
_NAME_CHARACTERS: Final = 200
# A slice is as long as people count: 1, 2, 5, 10, ... seconds, or tenths of them.
_SLICES_S: Final = [digit * 10.0**power for power in range(-1, 7) for digit in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class ToolFigures:
    """The figures of one tool, or of all.

    Attributes:
        tool: the tool's name.
        seconds: how long was measured.
        outcomes: how many calls ended in each way.
        latency: how long all of these calls took, from when they were meant to begin; those that failed are in it, and
            those that were never sent, because an earlier answer lacked what they need, are not.
        service: the same from when they were sent.
        codes: how many calls failed with which code, the most frequent ones.
        answered_s: by what to divide the calls that were sent for the rate at which they were answered; 0 if that is
            ``seconds``.
    """

    tool: str
    seconds: float
    outcomes: Counter[Outcome]
    latency: Histogram
    service: Histogram
    codes: Counter[str]
    answered_s: float = 0.0

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self.outcomes.total()

    @property
    def errors(self) -> int:
        """How many of them did not end well; what the caller gave up is no failure of the server's."""
        return self.calls - self.outcomes[Outcome.OK] - self.outcomes[Outcome.CANCELLED]

    @property
    def error_rate(self) -> float:
        """The share of calls that did not end well, from 0 to 1; 0 without calls."""
        return self.errors / self.calls if self.calls else 0.0

    @property
    def error_interval(self) -> tuple[float, float]:
        """Where the error rate lies with a confidence of 95 %; without calls it may be anything."""
        interval = wilson_interval(self.errors, self.calls)
        return interval.low, interval.high

    @property
    def throughput(self) -> float:
        """Calls a second that were sent and ended, well or not, while calls were begun."""
        seconds = self.answered_s or self.seconds
        return self.latency.count / seconds if seconds else 0.0

    @property
    def max_ms(self) -> float | None:
        """The longest latency in milliseconds; ``None`` without calls."""
        return self.latency.max_ms

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile of the latency in milliseconds, by nearest rank.

        Returns:
            ``None`` if no call lies beyond it: it would be no more than another word for the slowest call.
        """
        return _carried_ms(self.latency, percent)

    def service_percentile_ms(self, percent: float) -> float | None:
        """Return a percentile of the time from when calls were sent, as :meth:`percentile_ms`."""
        return _carried_ms(self.service, percent)


def figures_of(calls: Calls) -> tuple[ToolFigures, ...]:
    """Return the figures of each tool and, if there are several, those of all as the last ones."""
    each = tuple(_figures(one_line(tool, _NAME_CHARACTERS), calls.of_tool(tool), tool) for tool in calls.tools)
    return each if len(each) == 1 else (*each, _figures(ALL_TOOLS, calls, None))


@dataclass(frozen=True, slots=True)
class Slice:
    """What was begun in a stretch of time, all tools together.

    Attributes:
        at_s: when it began, in seconds since the first block began.
        calls: how many calls were meant to begin in it.
        failed: how many of these did not end well.
        p50_ms: half of them took less than this; ``None`` if there are too few to say.
        p95_ms: the same for 95 of 100.
        max_ms: the longest; ``None`` without calls that were sent.
    """

    at_s: float
    calls: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class OverTime:
    """How a load went, slice by slice.

    Attributes:
        slice_s: how long each slice is, in seconds.
        slices: in their order, without gaps.
    """

    slice_s: float
    slices: tuple[Slice, ...]


def over_time_of(calls: Calls) -> OverTime:
    """Cut the calls into at most 60 slices of time, by when they were meant to begin."""
    begun_s = calls.at_s
    end_s = max(calls.seconds, float(begun_s.max()) if len(calls) else 0.0)
    slice_s = next((each for each in _SLICES_S if end_s < each * MOST_SLICES), end_s / (MOST_SLICES - 1))
    # Rounding may bring the end to where one slice more would begin.
    count = min(int(end_s / slice_s) + 1, MOST_SLICES)
    which = np.minimum((begun_s / slice_s).astype(np.int64), count - 1)
    # A call that the caller gave up is in no error rate, and in none here.
    failed = calls.failed & (calls.outcome != _CANCELLED)
    sent = calls.sent
    slices = []
    for at in range(count):
        chosen = which == at
        latency = np.sort(calls.latency_ms[chosen & sent])
        slices.append(
            Slice(
                round(at * slice_s, 6),
                int(chosen.sum()),
                int(failed[chosen].sum()),
                _sorted_percentile(latency, 50),
                _sorted_percentile(latency, 95),
                float(latency[-1]) if len(latency) else None,
            )
        )
    # A last slice that nothing fell into is the end of the one before.
    if len(slices) > 1 and not slices[-1].calls:
        slices.pop()
    return OverTime(slice_s, tuple(slices))


def _figures(name: str, calls: Calls, tool: str | None) -> ToolFigures:
    codes: Counter[str] = Counter()
    for (failing, code), count in calls.codes.items():
        if tool in (None, failing):
            codes[one_line(code, _NAME_CHARACTERS)] += count
    sent = calls.sent
    return ToolFigures(
        name,
        calls.seconds,
        calls.outcomes(),
        histogram_of(calls.latency_ms[sent]),
        histogram_of(calls.service_ms[sent]),
        _bounded(codes),
        calls.answered_s or calls.seconds,
    )


def _bounded(codes: Counter[str]) -> Counter[str]:
    """Return the most frequent codes, and the rest as one: a server may invent codes without end."""
    known = Counter({code: count for code, count in codes.items() if code != _OTHER_CODES})
    # By name where counts are equal, so that the same calls always give the same figures.
    ordered = sorted(known.items(), key=lambda item: (-item[1], item[0]))
    kept = Counter(dict(ordered[:MOST_CODES]))
    rest = codes.total() - kept.total()
    return kept + Counter({_OTHER_CODES: rest})


def _carried_ms(histogram: Histogram, percent: float) -> float | None:
    count = histogram.count
    return histogram.percentile_ms(percent) if count and rank(count, percent) < count else None


def _sorted_percentile(values: np.ndarray[tuple[int], np.dtype[np.float64]], percent: float) -> float | None:
    place = rank(len(values), percent)
    return float(values[place - 1]) if place < len(values) else None
