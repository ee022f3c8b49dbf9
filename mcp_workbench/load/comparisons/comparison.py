"""Two arms that were called in turns, compared: regression, no regression, or not enough data to say.

A verdict rests on measures of all calls together. p50 says whether calls are slower; so does p10 of the service time,
which other programs hardly change, and which can only add a regression; p75 to p90, and the slow end, p97 to p99,
whether the slower ones are, which p50 does not see; errors, whether more of them fail; stalls, whether the candidate
keeps calls waiting after its turns for longer: nothing arrives at it meanwhile, so that its latencies do not show it.
p25 is shown beside p50 and decides nothing. With several tools the percentiles up to p50 are those of each tool, of
which the geometric mean is taken; and each one's p50 and errors are judged too, at a confidence that makes up for their
number, and can only add a regression.

A regression needs an interval that lies wholly above a margin. What processes differ by for as long as they live is in
that interval: one over blocks alone is too narrow, and calls two processes of the same code a regression of each other.
How much that is, is assumed (``process_sd``) and mended by what the processes of each arm do differ by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_workbench.errors import UsageError
from mcp_workbench.junit import Case, junit_xml
from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.baselines.honesty_words import HONESTY_TITLE, honesty_words
from mcp_workbench.load.comparisons.error_rates import error_difference
from mcp_workbench.load.comparisons.findings import (
    MORE_PROCESSES,
    P10,
    P25,
    P50,
    SLOWER,
    TAIL,
    Bounds,
    Finding,
    judged_drops,
    judged_errors,
    judged_ratio,
    judged_stalls,
    needed_words,
    only_as_regression,
    p50_bounds,
    tail_bounds,
)
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.statistics import (
    LogRatio,
    Luck,
    bootstrap_ratios,
    process_luck,
    stall_difference,
)
from mcp_workbench.load.comparisons.verdicts import Verdict, worst
from mcp_workbench.load.measured import Calls
from mcp_workbench.records import Outcome
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import escaped, one_line

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart

TRUST_LIVE: Final = (
    "Live comparisons of a server with itself, 3 s of each, half of them beside other work: none of 60 was a false "
    "alarm, 9 said that there is not enough data; calls that took a fifth longer for one user, which made p50 under "
    "the load 1.30 x, were found 60 times of 60."
)
"""How often live comparisons were right, in words; from ``benchmarks/RESULTS.md``."""

_JUDGED_TOOLS: Final = 20
_STARTED_AGAIN: Final = "start both again and compare again, since one process of each may be lucky"
_COLUMNS = ["measure", "tool", "baseline", "candidate", "change", "from", "to", "verdict"]


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Report):
    """A candidate against a baseline.

    Attributes:
        findings: one a measure, those of all calls together first.
        settings: between what they were judged.
        conditions: under which both were measured: the baseline's, then the candidate's.
        processes: how many processes of the baseline, and of the candidate, were measured.
        seconds: how long each arm was measured.
        names: what the two are called.
        void: why the run means nothing; empty if it does.
        outcomes: for each outcome but ``ok`` that occurred, how many calls of the baseline and of the candidate.
        honesty: how the load of each was made; empty if that is not known.
        trust: how often such comparisons were right when that was measured, in words.
    """

    findings: tuple[Finding, ...]
    settings: GateSettings
    conditions: tuple[Conditions, Conditions]
    processes: tuple[int, int]
    seconds: float
    names: tuple[str, str] = ("baseline", "candidate")
    void: tuple[str, ...] = ()
    outcomes: tuple[tuple[Outcome, int, int], ...] = ()
    honesty: tuple[Honesty, ...] = ()
    trust: str = TRUST_LIVE

    @property
    def verdict(self) -> Verdict:
        """The verdict of the whole; a void run decides nothing."""
        return Verdict.NOT_ENOUGH if self.void else worst(each.verdict for each in self.findings if each.decides)

    @property
    def ok(self) -> bool:
        """Whether there is no regression, and data enough to say so."""
        return self.verdict is Verdict.NO_REGRESSION

    @property
    def tail_judged(self) -> bool:
        """Whether there were calls enough to say something about the slow end."""
        return any(each.measure == "tail" and each.verdict is not Verdict.NOT_ENOUGH for each in self.findings)

    @property
    def exit_code(self) -> int:
        """How a command ends: 0 for no regression, 1 for a regression, 4 if it cannot be decided."""
        return self.settings.exit_code(self.verdict, void=bool(self.void))

    @property
    def needed_s(self) -> float | None:
        """How many seconds more of each arm would do for a verdict; ``None`` if none are needed, or none would help."""
        if self.verdict is not Verdict.NOT_ENOUGH or self.void:
            return None
        open_ones = [each for each in self.findings if each.decides and each.verdict is Verdict.NOT_ENOUGH]
        needed = [each.needed_s for each in open_ones]
        return None if None in needed else max(seconds for seconds in needed if seconds is not None)

    @property
    def frame(self) -> Table:
        """One row a finding; latencies in milliseconds change by a factor, errors in percent of the calls by points."""
        return table([_row(each) for each in self.findings], _COLUMNS)

    @property
    def honesty_frame(self) -> Table:
        """How the load of each side was made: one row a fact."""
        sides = [
            dict(honesty_words(each, conditions))
            for each, conditions in zip(self.honesty, self.conditions, strict=False)
        ]
        facts = dict.fromkeys(fact for each in sides for fact in each)
        named = list(zip(("baseline", "candidate"), sides, strict=False))
        rows = [{"fact": fact, **{name: each.get(fact, "") for name, each in named}} for fact in facts]
        return table(rows, ["fact", "baseline", "candidate"])

    def __str__(self) -> str:
        """Return the headline, the table, and how the load was made, as plain text."""
        told = f"{self.headline()}\n{self.frame!r}"
        return f"{told}\n\n{HONESTY_TITLE}\n{self.honesty_frame!r}" if self.honesty else told

    def _repr_html_(self) -> str:
        told = f"<p>{escaped(self.headline(), 2_000)}</p>{self.frame._repr_html_()}"
        return f"{told}<p>{HONESTY_TITLE}</p>{self.honesty_frame._repr_html_()}" if self.honesty else told

    def headline(self) -> str:
        """Return the verdict and what it rests on."""
        if self.void:
            return f"{self.verdict}: the run is void, {'; '.join(self.void)}"
        chosen = [each for each in self.findings if each.decides and each.verdict is self.verdict]
        if self.verdict is Verdict.NO_REGRESSION:
            chosen = [each for each in chosen if each.measure in ("p10", "p50", "errors") and not each.tool]
        # Of several regressions the first is told in full; there may be dozens of tools.
        told = "; ".join(each.words for each in chosen[:3])
        if len(chosen) > 3:
            told += f" (and {len(chosen) - 3} more)"
        return f"{self.verdict}: {told}{self._tail_words()}"

    def _tail_words(self) -> str:
        for each in self.findings:
            if each.measure == "tail" and each.verdict is Verdict.NOT_ENOUGH and not each.decides:
                told = each.words.removeprefix("tail: ") if each.needed_s is None else needed_words(each.needed_s)
                return f"; the tail was not judged: {told}"
        return ""

    def facts(self) -> dict[str, Any]:
        """Return the verdict, what was compared, and how far that can be trusted."""
        return {
            "verdict": self.verdict.value,
            "needed_s": self.needed_s,
            "tail_judged": self.tail_judged,
            "baseline": one_line(self.names[0], 200),
            "candidate": one_line(self.names[1], 200),
            "conditions": self.conditions[0].words(),
            "workload": one_line(self.conditions[0].workload, 200),
            "seconds": self.seconds,
            "processes": list(self.processes),
            "confidence": self.settings.confidence,
            "alarm_confidence": self.settings.alarm_confidence,
            "failed": {outcome.value: [mine, theirs] for outcome, mine, theirs in self.outcomes},
            "words": [each.words for each in self.findings],
            "honesty": [each.to_dict() for each in self.honesty],
            "void": list(self.void),
            "trust": self.trust,
        }

    def to_junit(self) -> str:
        """Return JUnit XML with a test case per finding; "not enough data" fails one, too, unless it is let pass."""
        undecided_fails = self.settings.on_not_enough == "fail"
        cases = [Case("run", [self.headline()])] if self.void and undecided_fails else []
        for each in self.findings:
            fails = each.decides and not self.void
            if each.verdict is not Verdict.REGRESSION:
                fails = fails and each.verdict is Verdict.NOT_ENOUGH and undecided_fails
            line = f"{each.verdict}: {each.words}"
            cases.append(Case(each.title, *(([line], ()) if fails else ((), [line]))))
        suite = f"{one_line(self.names[1], 80)} against {one_line(self.names[0], 80)}"
        return junit_xml(suite, cases, {"verdict": self.verdict.value, "headline": self.headline()})

    def plot(self) -> Chart:
        """Return a picture of how much each latency changed, and between what that lies."""
        from mcp_workbench.load.comparisons.comparison_chart import comparison_chart

        return comparison_chart(self)


def _row(each: Finding) -> dict[str, Any]:
    # Shares as percent and points: 0.02 would be read as milliseconds.
    scale = 100 if each.unit == "%" else 1
    change = each.change
    told: dict[str, float | None] = {"baseline": each.baseline, "candidate": each.candidate}
    if change is not None:
        told |= {"change": change.estimate, "from": change.low, "to": change.high}
    return {
        "measure": f"{each.measure} {each.unit}",
        "tool": one_line(each.tool, 128) if each.tool else "(all)",
        **{name: None if value is None else scale * value for name, value in told.items()},
        "verdict": each.verdict.value + ("" if each.decides else ", not decisive"),
    }


def refuse_other_population(baseline: Conditions, candidate: Conditions) -> None:
    """Refuse to compare what was measured under different conditions.

    Raises:
        UsageError: the conditions differ; the sentence names how.
    """
    if differences := baseline.differences(candidate):
        told = "; ".join(one_line(each, 120) for each in differences)
        raise UsageError(f"these are different populations ({told}); measure both under the same conditions")


def compare_calls(
    baseline: Calls,
    candidate: Calls,
    *,
    conditions: tuple[Conditions, Conditions],
    honesty: Sequence[Honesty] = (),
    settings: GateSettings | None = None,
    processes: tuple[int, int] = (1, 1),
    names: tuple[str, str] = ("baseline", "candidate"),
    seed: int = 0,
) -> Comparison:
    """Compare two arms that were called in turns.

    Args:
        baseline: the calls of the one; its block ``i`` ran beside block ``i`` of the other.
        candidate: the calls of the other.
        conditions: under which each was measured.
        honesty: how the load was made: of the run, or of each arm.
        settings: between what is judged; the defaults if left out.
        processes: how many processes of each arm took turns, block by block.
        names: what they are called in words.
        seed: of the resampling.

    Raises:
        UsageError: they were measured under different conditions.
    """
    refuse_other_population(*conditions)
    gate = settings or GateSettings()
    # Two servers of one process have the same luck.
    alike = gate.model_copy(update={"process_sd": 0.0, "quick_process_sd": 0.0, "tail_process_sd": 0.0})
    together = all(each.placement == "in the kernel" for each in conditions)
    instead = MORE_PROCESSES if conditions[0].transport == "stdio" else _STARTED_AGAIN
    findings = tuple(_findings(baseline, candidate, alike if together else gate, processes, instead, seed))
    seconds = min(baseline.seconds, candidate.seconds)
    mine, theirs = baseline.outcomes(), candidate.outcomes()
    void = tuple(dict.fromkeys(reason for each in honesty for reason in each.void))
    return Comparison(
        findings, gate, conditions, processes, seconds, names, void, failed_of(mine, theirs), tuple(honesty)
    )


def failed_of(mine: Counter[Outcome], theirs: Counter[Outcome]) -> tuple[tuple[Outcome, int, int], ...]:
    """Return each outcome but ``ok`` that occurred, with how many calls of either side had it."""
    failed = [each for each in Outcome if each is not Outcome.OK and (mine[each] or theirs[each])]
    return tuple((each, mine[each], theirs[each]) for each in failed)


def _findings(
    baseline: Calls, candidate: Calls, settings: GateSettings, processes: tuple[int, int], instead: str, seed: int
) -> Iterator[Finding]:
    seconds = min(baseline.seconds, candidate.seconds)
    calls = min(_well(baseline), _well(candidate))
    served = [replace(each, latency_ms=each.service_ms) for each in (baseline, candidate)]
    judges_tail = settings.judge_tail != "never"
    p50, p25 = bootstrap_ratios(baseline, candidate, [P50, P25], by_tool=True, seed=seed)
    (p10,) = bootstrap_ratios(served[0], served[1], [P10], by_tool=True, seed=seed)
    slower, *tails = bootstrap_ratios(baseline, candidate, [SLOWER, *([TAIL] if judges_tail else [])], seed=seed)

    def luck(
        ratio: LogRatio | None,
        arms: Sequence[Calls],
        percentiles: Sequence[float],
        assumed_sd: float,
        *,
        by_tool: bool = True,
    ) -> Luck:
        error = 0.0 if ratio is None else ratio.standard_error
        how: Any = {"processes": processes, "assumed_sd": assumed_sd, "by_tool": by_tool}
        return process_luck(arms[0], arms[1], percentiles, error, **how)

    def median(luck: Luck) -> Bounds:
        return replace(p50_bounds(settings, luck), instead=instead)

    arms = (baseline, candidate)
    of_p50 = luck(p50, arms, P50, settings.process_sd)
    yield judged_ratio("p50", p50, calls, seconds, median(of_p50))
    of_p10 = luck(p10, served, P10, settings.quick_process_sd)
    yield only_as_regression(judged_ratio("p10", p10, calls, seconds, median(of_p10)))
    of_p25 = luck(p25, arms, P25, settings.process_sd)
    yield judged_ratio("p25", p25, calls, seconds, median(of_p25), decides=False)
    of_slower = luck(slower, arms, SLOWER, settings.process_sd, by_tool=False)
    limits = replace(median(of_slower), margin=settings.tail_margin, found=settings.tail_found)
    yield only_as_regression(judged_ratio("p75-90", slower, calls, seconds, limits))
    for tail in tails:
        of_tail = luck(tail, arms, TAIL, settings.tail_process_sd, by_tool=False)
        limits = replace(tail_bounds(settings, of_tail), instead=instead)
        found = judged_ratio("tail", tail, calls, seconds, limits)
        yield found if settings.judge_tail == "always" else only_as_regression(found)
    confidence = settings.error_confidence
    yield judged_errors(error_difference(baseline, candidate, confidence, seed=seed), seconds, settings, confidence)
    stalls = judged_stalls(stall_difference(baseline, candidate, confidence, seed=seed), seconds, settings)
    if stalls is not None:
        yield stalls
    drops = judged_drops((baseline.dropped, baseline.offered), (candidate.dropped, candidate.offered))
    if drops is not None:
        yield drops
    yield from _of_tools(baseline, candidate, settings, median(of_p50), seed)


def _of_tools(baseline: Calls, candidate: Calls, settings: GateSettings, whole: Bounds, seed: int) -> Iterator[Finding]:
    """Yield what was found of each tool, at a confidence that makes up for their number (Bonferroni)."""
    both = [name for name in baseline.tools if name in candidate.tools]
    if len(both) < 2:
        return
    frequent = sorted(both, key=lambda name: -int(np.count_nonzero(baseline.tool == baseline.tools.index(name))))
    judged = frequent[:_JUDGED_TOOLS]
    doubts = ("confidence", "alarm_confidence", "error_confidence")
    strict = settings.model_copy(update={name: 1 - (1 - getattr(settings, name)) / len(judged) for name in doubts})
    bounds = replace(whole, confidence=strict.confidence, alarm_confidence=strict.alarm_confidence)
    confidence = strict.error_confidence
    seconds = min(baseline.seconds, candidate.seconds)
    for name in judged:
        mine, theirs = baseline.of_tool(name), candidate.of_tool(name)
        (p50,) = bootstrap_ratios(mine, theirs, [P50], seed=seed)
        calls = min(_well(mine), _well(theirs))
        yield only_as_regression(judged_ratio("p50", p50, calls, seconds, bounds, tool=name))
        errors = error_difference(mine, theirs, confidence, seed=seed)
        yield only_as_regression(judged_errors(errors, seconds, settings, confidence, tool=name))


def _well(calls: Calls) -> int:
    """Return how many calls ended well."""
    return int(np.count_nonzero(~calls.failed))
