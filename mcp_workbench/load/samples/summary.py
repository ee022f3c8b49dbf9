"""The first table: per tool, how many calls, how many failed and how, and how long they took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_workbench.records import CallRecord, Outcome, Transport
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart

PERCENTILES = (50, 90, 95, 99)

_COLUMNS = ["tool", "transport", "calls", "errors", "error rate", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "max ms"]


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: a value that was really observed, never one in between.

    Args:
        sorted_values: at least one value, ascending.
        percent: above 0, at most 100.

    Source:
        the nearest-rank definition that HdrHistogram and wrk2 use.
    """
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class ToolSummary:
    """The figures of one tool over one transport.

    Attributes:
        tool: the tool's name.
        transport: how it was called.
        outcomes: how many calls ended in each way; warm-up calls are left out.
        latencies_ms: the latency of every call that was answered, ascending, in milliseconds; calls that timed out
            are in it with the time that was waited.
    """

    tool: str
    transport: Transport
    outcomes: Counter[Outcome]
    latencies_ms: tuple[float, ...]

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
        """The share of calls that did not end well, from 0 to 1."""
        return self.errors / self.calls

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latency in milliseconds, by nearest rank."""
        return percentile(self.latencies_ms, percent)

    def carried_percentile_ms(self, percent: float) -> float | None:
        """Return a percentile if there are calls enough for it to be more than the slowest call; else ``None``."""
        return self.percentile_ms(percent) if self.calls * (100 - percent) >= 100 else None


@dataclass(frozen=True, slots=True, repr=False)
class Summary(Report):
    """Count, error rate by outcome and latency percentiles, one row for each tool and transport.

    Attributes:
        tools: the rows, in the order in which the tools were first called.
        note: what a reader must know besides.
        cut_short: whether a sample ended before all its calls were made.
    """

    tools: tuple[ToolSummary, ...] = field(default=())
    note: str = ""
    cut_short: bool = False

    @property
    def ok(self) -> bool:
        """Whether there were calls, and each ended well."""
        return bool(self.tools) and not self.cut_short and all(row.errors == 0 for row in self.tools)

    @property
    def frame(self) -> Table:
        """One row a tool and transport; a column for each outcome that occurred besides ``ok``."""
        occurred = [
            outcome
            for outcome in Outcome
            if outcome is not Outcome.OK and any(row.outcomes[outcome] for row in self.tools)
        ]
        rows: list[dict[str, Any]] = [
            {
                "tool": row.tool,
                "transport": row.transport,
                "calls": row.calls,
                "errors": row.errors,
                "error rate": row.error_rate,
                **{outcome.value: row.outcomes[outcome] for outcome in occurred},
                **{f"p{percent} ms": row.carried_percentile_ms(percent) for percent in PERCENTILES},
                "max ms": row.latencies_ms[-1],
            }
            for row in self.tools
        ]
        at = _COLUMNS.index("p50 ms")
        return table(rows, [*_COLUMNS[:at], *(outcome.value for outcome in occurred), *_COLUMNS[at:]])

    def headline(self) -> str:
        """Return how many calls there were, and how many failed."""
        if not self.tools:
            return "no calls yet" + (f"; {self.note}" if self.note else "")
        calls, errors = sum(row.calls for row in self.tools), sum(row.errors for row in self.tools)
        spoken = ", ".join(dict.fromkeys(row.transport for row in self.tools))
        words = f"{calls:,} call{'s' * (calls != 1)} over {spoken}, {errors:,} failed ({errors / calls:.1%})"
        return words + (f"; {self.note}" if self.note else "")

    def __radd__(self, other: int) -> Summary:
        """Return this table itself: ``sum`` begins with 0."""
        return self if other == 0 else NotImplemented

    def __add__(self, other: Summary) -> Summary:
        """Return both tables in one; rows of the same tool and transport become one row."""
        merged = {(row.tool, row.transport): row for row in self.tools}
        for row in other.tools:
            key = (row.tool, row.transport)
            mine = merged.get(key, ToolSummary(*key, Counter(), ()))
            latencies_ms = tuple(sorted(mine.latencies_ms + row.latencies_ms))
            merged[key] = ToolSummary(*key, mine.outcomes + row.outcomes, latencies_ms)
        note = "; ".join(filter(None, (self.note, other.note)))
        return Summary(tuple(merged.values()), note, self.cut_short or other.cut_short)

    def plot(self) -> Chart:
        """Return a picture of the latency of each row: the share of calls that were answered within a time."""
        from mcp_workbench.load.samples.charts import latency_chart

        return latency_chart(self.tools)


def summarise(records: Iterable[CallRecord], *, note: str = "", cut_short: bool = False) -> Summary:
    """Make the table of ``records``; warm-up calls are left out.

    Args:
        records: of any number of tools and transports; figures of two transports are never put in one row.
        note: added to the headline.
        cut_short: whether more calls were meant to be made.
    """
    outcomes: dict[tuple[str, Transport], Counter[Outcome]] = {}
    latencies: dict[tuple[str, Transport], list[float]] = {}
    for record in records:
        if record.purpose != "warm-up":
            key = (record.tool, record.transport)
            outcomes.setdefault(key, Counter())[record.outcome] += 1
            latencies.setdefault(key, []).append(record.latency_ms)
    rows = (
        ToolSummary(tool, transport, outcomes[tool, transport], tuple(sorted(latencies[tool, transport])))
        for tool, transport in outcomes
    )
    return Summary(tuple(rows), note, cut_short)
