"""Judging: the limits of a gate, held against the figures of one load: kept, broken, or not enough data to say."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, Protocol

from mcp_workbench.errors import UsageError
from mcp_workbench.junit import Case, junit_xml
from mcp_workbench.load.comparisons.gate import GateSettings, Limits
from mcp_workbench.load.comparisons.verdicts import PASSED, Verdict, worst
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line

_PERCENTILES: Final = {"max_p50_ms": 50.0, "max_p95_ms": 95.0, "max_p99_ms": 99.0}
# Beyond this share of failed calls, how long calls take and how many end says nothing of what was asked for.
_MANY_FAILED: Final = 0.05
# A rate is told from the limit if its interval reaches no farther than this to both sides: from 385 calls on.
_WIDEST_RATE: Final = 0.1
_RATE_CONFIDENCE: Final = 0.95
_TOOL_CHARACTERS: Final = 200
_SHOWN_TOOLS: Final = 12


class Figures(Protocol):
    """What a gate asks of the figures of one tool, or of all."""

    @property
    def tool(self) -> str: ...  # noqa: D102
    @property
    def calls(self) -> int: ...  # noqa: D102
    @property
    def errors(self) -> int: ...  # noqa: D102
    @property
    def error_rate(self) -> float: ...  # noqa: D102
    @property
    def error_interval(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def throughput(self) -> float: ...  # noqa: D102
    def percentile_ms(self, percent: float) -> float | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Held:
    """One limit, held against what was measured.

    Attributes:
        tool: the tool's name, or ``(all)``.
        rule: which limit.
        limit: its value.
        measured: what was measured; ``None`` if it could not be.
        low: the lower bound of what was measured.
        high: the upper bound.
        verdict: whether it is kept; ``not enough data`` if the limit lies between the bounds.
        words: the same in a sentence.
    """

    tool: str
    rule: str
    limit: float
    measured: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True, repr=False)
class GateResult(Report):
    """Limits, held against the figures of one load.

    Attributes:
        held: each limit.
        settings: where they come from.
        void: why the figures mean nothing; empty if they do.
    """

    held: tuple[Held, ...]
    settings: GateSettings
    void: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict of the whole: void figures decide nothing."""
        return Verdict.NOT_ENOUGH if self.void else worst(each.verdict for each in self.held)

    @property
    def ok(self) -> bool:
        """Whether every limit is kept."""
        return self.verdict is Verdict.NO_REGRESSION

    @property
    def exit_code(self) -> int:
        """How a command ends: 0 if every limit is kept, 1 if one is not, 4 if that cannot be said."""
        return self.settings.exit_code(self.verdict, void=bool(self.void))

    @property
    def frame(self) -> Table:
        """One row a limit."""
        rows = [
            {
                "tool": one_line(each.tool, 128),
                "rule": each.rule,
                "limit": each.limit,
                "measured": each.measured,
                "from": each.low,
                "to": each.high,
                "verdict": _KEPT[each.verdict],
            }
            for each in self.held
        ]
        return table(rows, ["tool", "rule", "limit", "measured", "from", "to", "verdict"])

    def headline(self) -> str:
        """Return whether the limits are kept, and what is wrong first."""
        if self.void:
            return f"{Verdict.NOT_ENOUGH}: the run is void, {'; '.join(self.void)}"
        if not self.held:
            return "passed: the gate has no limits"
        wrong = [each for each in self.held if each.verdict is self.verdict]
        count = f"{len(self.held)} limit{'s' * (len(self.held) != 1)}"
        if self.ok:
            return f"passed: {count} kept"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"{_KEPT[self.verdict]}: {wrong[0].words}{more}"

    def facts(self) -> dict[str, Any]:
        """Return the verdict and how a command ends."""
        return {"verdict": self.verdict.value, "exit_code": self.exit_code, "void": list(self.void)}

    def to_junit(self) -> str:
        """Return JUnit XML with a test case per limit; what cannot be decided fails unless it is let pass.

        Of a void run the case ``run`` fails, and what became of the limits is told as notes.
        """
        cases = [Case("run", [self.headline()])] if self.void else []
        for each in self.held:
            fails = not self.void and self.settings.exit_code(each.verdict) != PASSED
            told = ([each.words], ()) if fails else ((), [each.words])
            cases.append(Case(f"{one_line(each.tool, 128)}: {each.rule}", *told))
        return junit_xml("gate", cases, {"verdict": self.verdict.value})


_KEPT: Final = {Verdict.NO_REGRESSION: "kept", Verdict.REGRESSION: "failed", Verdict.NOT_ENOUGH: "not enough data"}


def judge(
    figures: Sequence[Figures], settings: GateSettings, *, void: Sequence[str] = (), name: str = "the gate"
) -> GateResult:
    """Hold the limits of a gate against the figures of one load.

    Args:
        figures: of each tool and, if there are several, of all as the last ones.
        settings: the gate.
        void: why the figures mean nothing, if they do not.
        name: what messages call the gate.

    Returns:
        For each limit whether it is kept. A limit of latencies or failures is only then kept, or broken, if the whole
        interval of what was measured says so; ``max_error_rate: 0`` is kept if no call failed. ``min_rate`` is broken
        if the whole interval lies below it; it is kept if the whole interval lies above it, and also if the limit lies
        within an interval that reaches no farther than a tenth to both sides: a load that is offered at the limit
        itself is to pass. Where more than 5 % of the calls failed, neither latencies nor the rate keep a limit:
        failures may be quick. They may break it all the same.

    Raises:
        UsageError: the gate has limits of a tool that was not measured.

    Source:
        percentiles: the ranks between which a percentile lies whatever the distribution, by the binomial distribution
        (Conover 1999, "Practical nonparametric statistics", 3.2); rates: calls of a Poisson load are a Poisson count,
        whose standard deviation is its root.
    """
    by_tool: dict[str, Figures] = {each.tool: each for each in figures}
    held = list(_held("(all)", figures[-1] if figures else None, settings.limits, settings.confidence))
    for tool, limits in settings.tools.items():
        if tool not in by_tool:
            single = figures if len(figures) == 1 else figures[:-1]
            raise UsageError(_not_measured(name, tool, [each.tool for each in single]))
        held += _held(tool, by_tool[tool], limits, settings.confidence)
    return GateResult(tuple(held), settings, tuple(void))


def _not_measured(name: str, tool: str, measured: Sequence[str]) -> str:
    """Return the sentence about a tool that has limits and no figures, with the one that may be meant."""
    if near := difflib.get_close_matches(tool[:_TOOL_CHARACTERS], measured, n=1):
        hint = f"did you mean {one_line(near[0], 80)!r}?"
    else:
        shown = ", ".join(one_line(each, 60) for each in measured[:_SHOWN_TOOLS]) or "no tool at all"
        more = len(measured) - _SHOWN_TOOLS
        hint = f"measured: {shown}" + (f" and {more} more" if more > 0 else "")
    return (
        f"{name} has limits of the tool {one_line(tool, 80)!r}, which was not measured ({hint}); "
        "mend its name below 'tools:', take it out, or measure a load that calls it"
    )


def _held(tool: str, figures: Figures | None, limits: Limits, confidence: float) -> Iterator[Held]:
    for rule, limit in limits:
        if limit is None:
            continue
        measured, low, high = _bounds(rule, figures, confidence)
        if rule == "max_error_rate" and limit == 0 and figures is not None and figures.calls:
            words = _sentence_of_none(tool, figures)
        else:
            words = _sentence(tool, rule, limit, measured, low, high)
        verdict = _verdict(rule, limit, measured, low, high)
        failed = figures.error_rate if figures is not None else 0.0
        if verdict is Verdict.NO_REGRESSION and rule != "max_error_rate" and failed > _MANY_FAILED:
            verdict = Verdict.NOT_ENOUGH
            what = "rate says" if rule == "min_rate" else "latencies say"
            words = f"{words}; {failed:.0%} of the calls failed, so that their {what} nothing"
        yield Held(tool, rule, limit, measured, low, high, verdict, words)


def _verdict(rule: str, limit: float, measured: float | None, low: float | None, high: float | None) -> Verdict:
    """Return what the bounds say; one of them is enough for a limit that is broken."""
    if rule == "min_rate":
        broken = high is not None and high < limit
        narrow = low is not None and high is not None and high - low <= _WIDEST_RATE * (high + low)
        kept = low is not None and (low >= limit or narrow)
    else:
        broken = low is not None and low > limit
        # However many calls there are, an upper bound of 0 is never reached: that none failed is all there is to ask.
        none_failed = rule == "max_error_rate" and limit == 0 and measured == 0
        kept = none_failed or (high is not None and high <= limit)
    return Verdict.REGRESSION if broken else Verdict.NO_REGRESSION if kept else Verdict.NOT_ENOUGH


def _bounds(rule: str, figures: Figures | None, confidence: float) -> tuple[float | None, float | None, float | None]:
    """Return what was measured, and between what it lies."""
    if figures is None or figures.calls == 0:
        return None, None, None
    if rule == "max_error_rate":
        return figures.error_rate, *figures.error_interval
    if rule == "min_rate":
        rate = figures.throughput
        reach = NormalDist().inv_cdf((1 + _RATE_CONFIDENCE) / 2) / math.sqrt(figures.calls)
        return rate, max(rate * (1 - reach), 0.0), rate * (1 + reach)
    percent = _PERCENTILES[rule]
    low, high = (
        # Half a rank less, so that rounding cannot make it the next one.
        figures.percentile_ms(100 * (rank - 0.5) / figures.calls) if 1 <= rank <= figures.calls else None
        for rank in _ranks(percent / 100, figures.calls, confidence)
    )
    return figures.percentile_ms(percent), low, high


def _ranks(share: float, calls: int, confidence: float) -> tuple[int, int]:
    """Return the ranks between which a percentile lies, counted from 1; 0 and ``calls`` + 1 are none of the calls."""
    from scipy.special import bdtrik

    # Each bound misses it with half of the doubt at most: how many calls lie below the percentile is binomial.
    doubt = (1 - confidence) / 2
    low, high = (math.ceil(round(float(bdtrik(at, calls, share)), 9)) for at in (doubt, 1 - doubt))
    return low, high + 1


def _sentence_of_none(tool: str, figures: Figures) -> str:
    failed = f"{figures.errors:,}" if figures.errors else "none"
    low, high = figures.error_interval
    of = f"max_error_rate of {one_line(tool, 60)}: {failed} of {figures.calls:,} calls failed"
    return f"{of} (a share of {low:.4g} to {high:.4g}); the limit is 0: no call may fail"


def _sentence(tool: str, rule: str, limit: float, measured: float | None, low: float | None, high: float | None) -> str:
    where = f"{rule} of {one_line(tool, 60)}"
    few = "there are not calls enough to measure it"
    found = few if measured is None else f"{measured:.4g} was measured"
    if low is not None and high is not None:
        found = f"{found} ({low:.4g} to {high:.4g})"
    elif low is not None:
        # What cannot be told may still be told to lie above the limit.
        found = f"{found}, but it is {low:.4g} or more" if measured is None else f"{found} ({low:.4g} or more)"
    elif measured is not None:
        found = f"{found}, of too few calls to be sure"
    return f"{where}: {found}; the limit is {limit:g}"
