"""What is kept of a load: its figures, how it was made, and whether they can be believed."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mcp_workbench.errors import FileError, UsageError, VoidRunError
from mcp_workbench.load.baselines.bars import bars
from mcp_workbench.load.baselines.baseline_files import (
    BaselineFile,
    FiguresPart,
    content_of,
    file_text,
    parse_file,
    read_file,
    write_file,
)
from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.load.baselines.figures import OverTime, ToolFigures, figures_of, over_time_of
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.baselines.honesty_words import HONESTY_TITLE, failing_words, honesty_words
from mcp_workbench.load.baselines.pairs import Calibration, Pairs, pairs_of
from mcp_workbench.load.measured import OK, Calls
from mcp_workbench.records import Outcome
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import escaped, one_line

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart
    from mcp_workbench.load.comparisons.gate import GateSettings
    from mcp_workbench.load.comparisons.judging import GateResult

PERCENTILES: Final = (50, 90, 95, 99, 99.9)

T = TypeVar("T", Conditions, Honesty, Calibration)

_LABEL_CHARACTERS: Final = 200
_TEXT_CHARACTERS: Final = 500
_MOST_TEXTS: Final = 50
_BEFORE_OUTCOMES: Final = [
    "tool",
    "calls",
    "calls/s",
    "errors",
    "error rate",
    "lowest error rate",
    "highest error rate",
]
_AFTER_OUTCOMES: Final = [
    *(f"p{percent:g} ms" for percent in PERCENTILES),
    "max ms",
    "service p50 ms",
    "service p99 ms",
]


@dataclass(frozen=True, slots=True, repr=False)
class Baseline(Report):
    """The figures of one load, with all that is needed to compare others with it.

    Attributes:
        conditions: the population that the figures speak of.
        honesty: how the load was made.
        figures: one for each tool; with several tools, the last one is of all together.
        over_time: how it went.
        measured_at: when it began, with its time zone.
        processes: how many processes of the server the calls were spread over, one after the other or at once.
        label: what was measured, such as a release; may be empty.
        calibration: the fixed server that was called in turns with the target; ``None`` without one.
        pairs: target and calibration server block by block; ``None`` without one.
    """

    conditions: Conditions
    honesty: Honesty
    figures: tuple[ToolFigures, ...]
    over_time: OverTime
    measured_at: datetime
    processes: int = 1
    label: str = ""
    calibration: Calibration | None = None
    pairs: Pairs | None = None

    @property
    def whole(self) -> ToolFigures:
        """The figures of all tools together."""
        return self.figures[-1]

    @property
    def tools(self) -> tuple[ToolFigures, ...]:
        """The figures of each tool."""
        return self.figures if len(self.figures) == 1 else self.figures[:-1]

    @property
    def void(self) -> tuple[str, ...]:
        """Why the figures mean nothing; empty if they do."""
        return self.honesty.void

    @property
    def ok(self) -> bool:
        """Whether the figures mean something, there were calls, and each ended well."""
        return not self.void and bool(self.whole.calls) and not self.whole.errors

    @property
    def frame(self) -> Table:
        """One row a tool; a column for each outcome that occurred besides ``ok``."""
        occurred = [
            outcome
            for outcome in Outcome
            if outcome is not Outcome.OK and any(row.outcomes[outcome] for row in self.figures)
        ]
        columns = [*_BEFORE_OUTCOMES, *(outcome.value for outcome in occurred), *_AFTER_OUTCOMES]
        return table([_row(row, occurred) for row in self.figures], columns)

    @property
    def honesty_frame(self) -> Table:
        """How the load was made: one row a fact."""
        return table([{"fact": fact, "value": value} for fact, value in self._facts()], ["fact", "value"])

    def headline(self) -> str:
        """Return what was called and how, how long it took, how much failed, and whether all of it is void."""
        whole, count = self.whole, len(self.tools)
        of = f"{count} tools" if count > 1 else one_line(whole.tool, 60)
        named = " ".join(filter(None, (one_line(self.conditions.target, 60), self.label)))
        took = "".join(f"p{percent} {_ms(whole.percentile_ms(percent))}, " for percent in (50, 99))
        words = (
            f"{named}: {whole.calls:,} calls of {of} over {one_line(self.conditions.words())}: {took}"
            f"{whole.errors:,} failed ({whole.error_rate:.1%})"
            f"{failing_words(self.tools, self.honesty)}"
        )
        return words + (f"; VOID: {'; '.join(one_line(why) for why in self.void)}" if self.void else "")

    def __str__(self) -> str:
        """Return the headline, the table, and how the load was made, as plain text."""
        return f"{self.headline()}\n{self.frame!r}\n{self._little()}\n\n{HONESTY_TITLE}\n{self.honesty_frame!r}"

    def _repr_html_(self) -> str:
        return (
            f"<p>{escaped(self.headline(), 2_000)}</p>{self.frame._repr_html_()}<p>{escaped(self._little())}</p>"
            f"<p>{HONESTY_TITLE}</p>{self.honesty_frame._repr_html_()}"
        )

    def facts(self) -> dict[str, Any]:
        """Return the conditions, how the load was made, and what it was held against."""
        calibration = self.calibration
        return {
            "label": self.label,
            "measured_at": self.measured_at.isoformat(),
            "processes": self.processes,
            "conditions": self.conditions.to_dict(),
            "honesty": self.honesty.to_dict(),
            "calibration": None
            if calibration is None
            else {"identity": calibration.identity, "python": calibration.python, "p50_ms": calibration.p50_ms},
            "ratio_to_calibration": None if self.pairs is None else self.pairs.ratio,
            "codes": {row.tool: dict(row.codes) for row in self.tools if row.codes},
        }

    def judge(self, limits: GateSettings | Path | str | None = None) -> GateResult:
        """Hold the baseline against limits, as ``mcp-workbench gate`` does.

        Args:
            limits: what must hold, or its file; without it no more than 1 % of the calls may fail.

        Raises:
            FileError: the file is no gate, or limits nothing.
            UsageError: it has limits of a tool that was not measured.
        """
        from mcp_workbench.load.comparisons.gate import GateSettings, read_gate
        from mcp_workbench.load.comparisons.judging import judge

        settings = limits if isinstance(limits, GateSettings) else read_gate(limits)
        name = "the gate" if limits is None or isinstance(limits, GateSettings) else repr(one_line(limits, 200))
        found = judge(self.figures, settings, void=self.void, name=name)
        if not found.held:
            raise FileError(f"{name} limits nothing; write a limit below 'limits:', such as max_p95_ms: 50")
        return found

    def save(self, file: Path | str) -> Path:
        """Write the baseline to a file, all of it or nothing; a file that is there is replaced.

        Args:
            file: its name ends in ``.json``, by which ``compare`` knows it.

        Returns:
            The path.

        Raises:
            UsageError: the name ends otherwise.
            VoidRunError: its figures mean nothing.
            FileError: the file cannot be written.
        """
        if Path(file).suffix != ".json":
            raise UsageError(f"{one_line(file, 200)!r} does not end in .json, by which `compare` knows it; name it so")
        return write_file(self._content(), file)

    def to_text(self) -> str:
        """Return the text of the baseline's file; the same baseline is always the same text.

        Raises:
            VoidRunError: its figures mean nothing.
        """
        return file_text(self._content())

    @classmethod
    def load(cls, file: Path | str) -> Baseline:
        """Read a baseline from the file that :meth:`save` wrote.

        Raises:
            FileError: it cannot be read, or is no baseline; the sentence names file, line and field.
        """
        return _baseline(read_file(file))

    @classmethod
    def from_text(cls, text: str, name: str) -> Baseline:
        """Read a baseline from what :meth:`to_text` returned.

        Args:
            text: the text.
            name: what messages call it.

        Raises:
            FileError: it is no baseline; the sentence names the field.
        """
        return _baseline(parse_file(text, name))

    def plot(self) -> Chart:
        """Return a picture of the percentiles: how long all but the slowest calls took, to the end of the tail."""
        from mcp_workbench.load.baselines.baseline_charts import percentile_chart

        return percentile_chart(self)

    def plot_over_time(self) -> Chart:
        """Return a picture of how the load went: latency and failures, slice by slice."""
        from mcp_workbench.load.baselines.baseline_charts import over_time_chart

        return over_time_chart(self)

    def text_percentiles(self) -> str:
        """Return the percentiles of all tools together as bars of characters."""
        whole = self.whole
        rows = [(f"p{percent:g}", whole.percentile_ms(percent)) for percent in PERCENTILES]
        rows.append(("max", whole.max_ms))
        return bars("latency (ms)", [(name, value, _ms(value)) for name, value in rows])

    def text_over_time(self) -> str:
        """Return how the load went as bars of characters: the median latency, a line a slice."""
        over = self.over_time
        rows = [
            (
                f"{each.at_s:g} s",
                each.p50_ms,
                f"p50 {_ms(each.p50_ms)}, p95 {_ms(each.p95_ms)}, {each.calls:,} calls, {each.failed:,} failed",
            )
            for each in over.slices
        ]
        return bars(f"median latency, in slices of {over.slice_s:g} s", rows)

    def _content(self) -> BaselineFile:
        if self.void:
            why = "; ".join(one_line(each) for each in self.void)
            raise VoidRunError(
                f"the run is void ({why}), and no baseline can be made of it; "
                "measure again at a lower rate, or on a machine with less to do"
            )
        parts = tuple(
            FiguresPart(
                tool=row.tool,
                seconds=row.seconds,
                answered_s=row.answered_s or row.seconds,
                outcomes={outcome: row.outcomes[outcome] for outcome in Outcome if row.outcomes[outcome]},
                latency=row.latency,
                service=row.service,
                codes=dict(row.codes),
            )
            for row in self.figures
        )
        rest = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "figures"}
        return content_of({"figures": parts, **rest})

    def _little(self) -> str:
        told = "calls in flight as counted, divided by rate x mean time; 1 is right"
        return f"Little's law: {self.honesty.little:.2f} ({told})"

    def _facts(self) -> list[tuple[str, str]]:
        calibration = "none"
        if self.calibration is not None and self.pairs is not None:
            ratio = self.pairs.ratio
            calibration = f"p50 {_ms(self.calibration.p50_ms)}, {self.pairs.blocks:,} pairs of turns" + (
                "" if ratio is None else f", the target's p50 is {ratio:.2f} x"
            )
        return [
            ("measured at", self.measured_at.isoformat(" ", "seconds")),
            ("server processes", f"{self.processes:,}"),
            *honesty_words(self.honesty, self.conditions),
            ("calibration server", calibration),
        ]


def baseline_of(
    calls: Calls,
    conditions: Conditions,
    honesty: Honesty,
    *,
    turns: tuple[Calls, Calls] | None = None,
    calibration_identity: str = "",
    processes: int = 1,
    label: str = "",
    measured_at: datetime | None = None,
) -> Baseline:
    """Make the baseline of a target's calls.

    Args:
        calls: all measured calls of the target.
        conditions: under which they were made.
        honesty: how they were made.
        turns: calls of the target and of the calibration server, in neighbouring blocks; in no other figure.
        calibration_identity: the text that stands for that server's code and workload.
        processes: how many processes of the server the calls were spread over.
        label: what was measured, such as a release.
        measured_at: when it began, with its time zone; now, if nothing is said.

    Raises:
        UsageError: ``measured_at`` has no time zone.
    """
    at = measured_at or datetime.now(UTC)
    if at.tzinfo is None:
        raise UsageError(f"measured_at={at} has no time zone; give one, as in datetime.now(UTC)")
    found, pairs = None, None
    if turns is not None and (turns[1].outcome == OK).any():
        import numpy as np

        beside = turns[1]
        found = Calibration(
            one_line(calibration_identity, _TEXT_CHARACTERS),
            platform.python_version(),
            float(np.median(beside.latency_ms[beside.outcome == OK])),
        )
        pairs = pairs_of(*turns)
    return Baseline(
        _printable(conditions),
        _printable(honesty),
        figures_of(calls),
        over_time_of(calls),
        at.astimezone(UTC),
        processes,
        one_line(label, _LABEL_CHARACTERS),
        found,
        pairs,
    )


def _baseline(content: BaselineFile) -> Baseline:
    figures = tuple(
        ToolFigures(
            one_line(part.tool),
            part.seconds,
            Counter(part.outcomes),
            part.latency,
            part.service,
            Counter({one_line(code): count for code, count in part.codes.items()}),
            part.answered_s,
        )
        for part in content.figures
    )
    return Baseline(
        _printable(content.conditions),
        _printable(content.honesty),
        figures,
        content.over_time,
        content.measured_at,
        content.processes,
        one_line(content.label, _LABEL_CHARACTERS),
        None if content.calibration is None else _printable(content.calibration),
        content.pairs,
    )


def _printable(part: T) -> T:
    """Return the same with texts that are bounded and safe to print: some are a server's, some a file's."""
    return replace(part, **{field.name: _bounded(getattr(part, field.name)) for field in fields(part)})


def _bounded(value: Any) -> Any:
    match value:
        case str():
            return one_line(value, _TEXT_CHARACTERS)
        case tuple():
            return tuple(map(_bounded, value[:_MOST_TEXTS]))
        case dict():
            return {_bounded(name): _bounded(each) for name, each in list(value.items())[:_MOST_TEXTS]}
        case _:
            return value


def _row(row: ToolFigures, occurred: Sequence[Outcome]) -> dict[str, Any]:
    low, high = row.error_interval
    return {
        "tool": row.tool,
        "calls": row.calls,
        "calls/s": row.throughput,
        "errors": row.errors,
        "error rate": row.error_rate if row.calls else None,
        "lowest error rate": low,
        "highest error rate": high,
        **{outcome.value: row.outcomes[outcome] for outcome in occurred},
        **{f"p{percent:g} ms": row.percentile_ms(percent) for percent in PERCENTILES},
        "max ms": row.max_ms,
        "service p50 ms": row.service_percentile_ms(50),
        "service p99 ms": row.service_percentile_ms(99),
    }


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f} ms"
