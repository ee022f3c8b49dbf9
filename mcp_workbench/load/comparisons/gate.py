"""The gate: what counts as a regression, and limits that hold whatever was measured before; a file that people edit."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mcp_workbench.documents.checking import checked
from mcp_workbench.documents.parsing import read_document
from mcp_workbench.errors import UsageError
from mcp_workbench.junit import Case, junit_xml
from mcp_workbench.load.comparisons.verdicts import PASSED, UNDECIDED, Verdict, exit_code, worst
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line
from mcp_workbench.workbook import shipped

_PERCENTILES: Final = {"max_p50_ms": 50.0, "max_p95_ms": 95.0, "max_p99_ms": 99.0}
# Beyond this share of failed calls, how long calls take and how many end says nothing of what was asked for.
_MANY_FAILED: Final = 0.05
# A rate is told from the limit if its interval reaches no farther than this to both sides: from 385 calls on.
_WIDEST_RATE: Final = 0.1
_RATE_CONFIDENCE: Final = 0.95
_TOOL_CHARACTERS: Final = 200
_SHOWN_TOOLS: Final = 12

_Ratio = Annotated[float, Field(strict=True, ge=1, le=100)]
_Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_Above = Annotated[float, Field(strict=True, gt=0, le=1e9)]
_Sd = Annotated[float, Field(strict=True, ge=0, le=1)]
_Confidence = Annotated[float, Field(strict=True, ge=0.5, le=0.9999)]
_Count = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]


class _Part(BaseModel):
    # Frozen and closed: a misspelt limit is an error with a name, not a limit that nothing is held against.
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Part):
    """Limits that hold whatever was measured before; those that are ``None`` limit nothing."""

    max_p50_ms: _Above | None = Field(default=None, description="Half of the calls take no longer, in milliseconds.")
    max_p95_ms: _Above | None = Field(default=None, description="95 of 100 calls take no longer, in milliseconds.")
    max_p99_ms: _Above | None = Field(default=None, description="99 of 100 calls take no longer, in milliseconds.")
    max_error_rate: _Share | None = Field(
        default=None, description="The greatest share of calls that fail, 0 to 1; 0: none does."
    )
    min_rate: _Above | None = Field(default=None, description="At least so many calls a second end.")


class GateSettings(_Part):
    """What a comparison calls a regression, and the limits of a gate.

    The defaults hold both kinds of mistakes low on a noisy machine; ``benchmarks/RESULTS.md`` has the figures.

    Attributes, with their defaults:
        p50_margin: the ratio of p50 that is tolerated; its interval must lie above it for a regression (1.03).
        p50_found: the ratio of p50 that "no regression" rules out (1.20).
        tail_margin: the same as ``p50_margin`` for the slow end, p97 to p99 (1.08).
        tail_found: the same as ``p50_found`` for the slow end (1.50).
        error_margin: the measured share of the candidate's failed calls may be greater by so much; a difference by luck
            alone is none (0.005).
        errors_found: how much greater a share "no regression" rules out (0.02).
        stall_margin: for how much longer a candidate may keep calls waiting after its turns, as a share of their time;
            nothing arrives meanwhile, so that latencies do not show it (0.10).
        confidence: of the intervals of latencies: the upper bound, on which "no regression" rests, holds with half of
            the doubt (0.90).
        alarm_confidence: the same of the lower bound, on which a regression rests where two targets take turns: several
            measures may raise an alarm (0.95).
        error_confidence: of the intervals of error rates (0.95).
        process_sd: the standard deviation between processes of the same code, for as long as they live, as the
            logarithm of p50 (0.05); it is assumed, and mended by what the processes do differ by.
        quick_process_sd: the same for the quick calls, p10 of the service time (0.03).
        tail_process_sd: the same for the slow end (0.04).
        run_sd: of two runs of one process each at different times, after division by the calibration server's, as the
            logarithm of a latency (0.08); it is divided by the root of the number of processes.
        foreign_sd: the same for each core that other programs were busy on during a run, for p50 (0.4): the
            calibration server makes up for a part of it only.
        quick_foreign_sd: the same for the quick calls (0.05).
        speed_sd: the same for the logarithm of how much faster the calibration server was in one of the runs (0.25):
            what of a server's time is waiting does not follow the machine.
        judge_tail: ``when possible`` (the slow end may find a regression; calls too few for it hold up no verdict),
            ``always`` (without calls enough for it nothing is decided) or ``never``.
        least_pairs: fewer pairs of blocks decide nothing (8).
        least_calls: fewer calls of an arm decide nothing (100).
        tail_least_calls: fewer calls of an arm decide nothing about the slow end (800).
        on_not_enough: whether "not enough data" ends a command as a failure of its own, 4, or as a pass (fail); a void
            run always ends with 4.
        limits: of all calls together: ``max_p50_ms``, ``max_p95_ms``, ``max_p99_ms``, ``max_error_rate`` (0 to 1; with
            0 no call may fail), ``min_rate`` (calls a second); one that is left out limits nothing.
        tools: the same of single tools, by name; each of them has to be measured.

    As a file: ``data/gates/default.yaml`` has all of it, with the reasons.
    """

    p50_margin: _Ratio = Field(default=1.03, description="The ratio of p50 that is tolerated.")
    p50_found: _Ratio = Field(default=1.20, description="The ratio of p50 that no regression rules out.")
    tail_margin: _Ratio = Field(default=1.08, description="The ratio of the slow end that is tolerated.")
    tail_found: _Ratio = Field(default=1.50, description="The ratio of the slow end that no regression rules out.")
    error_margin: _Share = Field(
        default=0.005, description="By how much the measured share of failed calls may be greater."
    )
    errors_found: _Share = Field(default=0.02, description="The greater share that no regression rules out.")
    stall_margin: _Share = Field(default=0.10, description="The longer share of waiting after turns that is tolerated.")
    confidence: _Confidence = Field(default=0.90, description="Of the upper bounds of latencies, 0.5 to 0.9999.")
    alarm_confidence: _Confidence = Field(default=0.95, description="Of their lower bounds, 0.5 to 0.9999.")
    error_confidence: _Confidence = Field(default=0.95, description="Of the intervals of error rates, 0.5 to 0.9999.")
    process_sd: _Sd = Field(default=0.05, description="What processes of the same code differ by, as a logarithm.")
    quick_process_sd: _Sd = Field(default=0.03, description="The same for the quick calls.")
    tail_process_sd: _Sd = Field(default=0.04, description="The same for the slow end.")
    run_sd: _Sd = Field(default=0.08, description="What runs at different times differ by, as a logarithm.")
    foreign_sd: _Sd = Field(default=0.4, description="The same for a core of other work beside a run, for p50.")
    quick_foreign_sd: _Sd = Field(default=0.05, description="The same for the quick calls.")
    speed_sd: _Sd = Field(default=0.25, description="The same for a machine that was faster beside one run.")
    judge_tail: Literal["when possible", "always", "never"] = Field(
        default="when possible", description="Whether the slow end decides: when possible, always or never."
    )
    least_pairs: _Count = Field(default=8, description="Fewer pairs of blocks decide nothing.")
    least_calls: _Count = Field(default=100, description="Fewer calls of an arm decide nothing.")
    tail_least_calls: _Count = Field(default=800, description="Fewer calls decide nothing about the slow end.")
    on_not_enough: Literal["fail", "pass"] = Field(
        default="fail", description="How a command ends if it cannot be decided: fail (4) or pass (0)."
    )
    limits: Limits = Field(default=Limits(), description="Limits of all calls together.")
    tools: dict[str, Limits] = Field(default={}, description="Limits of single tools, by name.")

    @model_validator(mode="after")
    def _ordered(self) -> GateSettings:
        for found, margin in (
            ("p50_found", "p50_margin"),
            ("tail_found", "tail_margin"),
            ("errors_found", "error_margin"),
        ):
            if getattr(self, found) <= getattr(self, margin):
                raise ValueError(f"{found}: is not above {margin}, {getattr(self, margin):g}; give a greater number")
        return self

    def exit_code(self, verdict: Verdict, *, void: bool = False) -> int:
        """Return how a command ends: 0 pass, 1 regression, 4 not enough data, which ``on_not_enough`` may let pass.

        Args:
            verdict: of the whole.
            void: whether the figures mean nothing: nothing lets that pass.
        """
        if void:
            return UNDECIDED
        if verdict is Verdict.NOT_ENOUGH and self.on_not_enough == "pass":
            return PASSED
        return exit_code(verdict)


def read_gate(path: Path | str | None = None) -> GateSettings:
    """Read the settings of a gate from a YAML file; without one, those that come with the package.

    Raises:
        FileError: it cannot be read, or is no gate; the sentence names file, line and field.
    """
    file = Path(path) if path is not None else shipped("data") / "gates" / "default.yaml"
    return checked(read_document(file), GateSettings)


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
