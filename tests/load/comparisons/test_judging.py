"""Judging: limits that are kept, broken, or open."""

import json
from pathlib import Path
from typing import Literal

import junitparser
import numpy as np
import pytest
from invented_arms import CONDITIONS, HONESTY, arm, columns

from mcp_workbench.errors import UsageError
from mcp_workbench.load.baselines.baseline import baseline_of
from mcp_workbench.load.baselines.figures import ToolFigures, figures_of
from mcp_workbench.load.comparisons.gate import GateSettings, Limits, read_gate
from mcp_workbench.load.comparisons.judging import GateResult, Held, judge
from mcp_workbench.load.comparisons.verdicts import Verdict


def judged(**limits: float) -> GateResult:
    return judge(figures_of(arm(1, seconds=10)), GateSettings(limits=Limits(**limits)))


def test_limits_are_kept_or_broken() -> None:
    kept = judged(max_p50_ms=3, max_p95_ms=20, max_p99_ms=100, max_error_rate=0.01, min_rate=150)
    assert (kept.ok, kept.exit_code, kept.headline()) == (True, 0, "passed: 5 limits kept")
    broken = judged(max_p50_ms=1.5, max_error_rate=0.01)
    assert (broken.verdict, broken.exit_code) == (Verdict.REGRESSION, 1)
    assert broken.headline().startswith("failed: max_p50_ms of (all): 2.")
    assert broken.headline().endswith("the limit is 1.5")
    assert judged(min_rate=250).exit_code == 1


def test_a_limit_between_the_bounds_of_what_was_measured_is_open() -> None:
    (held,) = judged(max_p50_ms=3).held
    assert held.measured is not None
    assert held.low is not None
    assert held.high is not None
    assert held.low < held.measured < held.high
    for limit in (held.measured * 1.0001, held.measured * 0.9999):
        assert judged(max_p50_ms=limit).exit_code == 4


def test_too_few_calls_keep_no_limit() -> None:
    few = judge(figures_of(arm(1, seconds=0.2)), GateSettings(limits=Limits(max_p99_ms=1e6, max_error_rate=0.01)))
    assert [each.verdict for each in few.held] == [Verdict.NOT_ENOUGH] * 2
    assert few.headline().startswith("not enough data: max_p99_ms of (all): there are not calls enough to measure it")
    assert judge([], GateSettings(limits=Limits(min_rate=1))).exit_code == 4


def taking(ms: float, calls: int, *, failing: int = 0, seconds: float = 10.0) -> tuple[ToolFigures, ...]:
    """Return the figures of calls that all take as long."""
    failed = np.arange(calls) < failing
    return figures_of(columns(np.full(calls, ms), np.zeros(calls), 1, failed, block_s=seconds))


def held(figures: tuple[ToolFigures, ...], **limits: float) -> Held:
    (found,) = judge(figures, GateSettings(limits=Limits(**limits))).held
    return found


@pytest.mark.parametrize(
    "limits", [{"max_p50_ms": 50.0}, {"max_p95_ms": 50.0}, {"max_p99_ms": 50.0}, {"min_rate": 90.0}]
)
def test_quick_failures_keep_no_limit_of_latencies_or_of_the_rate(limits: dict[str, float]) -> None:
    assert held(taking(0.5, 1_000, failing=50), **limits).verdict is Verdict.NO_REGRESSION
    found = held(taking(0.5, 1_000, failing=400), **limits)
    assert found.verdict is Verdict.NOT_ENOUGH
    assert found.words.endswith(
        "40% of the calls failed, so that their "
        + ("rate says nothing" if "min_rate" in limits else "latencies say nothing")
    )


def test_failures_that_break_a_limit_break_it() -> None:
    assert held(taking(100, 1_000, failing=1_000), max_p95_ms=50).verdict is Verdict.REGRESSION
    assert held(taking(100, 1_000, failing=1_000), max_error_rate=0.01).verdict is Verdict.REGRESSION
    assert held(taking(100, 1_000, failing=1_000), min_rate=200).verdict is Verdict.REGRESSION


@pytest.mark.parametrize(("failing", "verdict"), [(0, Verdict.NO_REGRESSION), (1, Verdict.REGRESSION)])
def test_where_no_call_may_fail_one_that_does_breaks_the_limit(failing: int, verdict: Verdict) -> None:
    for calls in (2, 1_000, 100_000):
        found = held(taking(1, calls, failing=failing), max_error_rate=0)
        assert found.verdict is verdict
        assert found.words.startswith(
            f"max_error_rate of (all): {failing or 'none'} of {calls:,} calls failed (a share of "
        )
        assert found.words.endswith("; the limit is 0: no call may fail")


def test_where_no_call_may_fail_there_must_be_calls_all_the_same() -> None:
    (found,) = judge([], GateSettings(limits=Limits(max_error_rate=0))).held
    assert found.verdict is Verdict.NOT_ENOUGH
    assert "there are not calls enough to measure it; the limit is 0" in found.words


@pytest.mark.parametrize(("calls", "rule"), [(300, "max_p99_ms"), (60, "max_p99_ms"), (60, "max_p95_ms")])
def test_a_limit_is_broken_however_slow_the_slowest_calls_may_be(calls: int, rule: str) -> None:
    found = held(taking(1_000, calls), **{rule: 50})
    assert (found.verdict, found.high) == (Verdict.REGRESSION, None)
    assert "1000 or more" in found.words
    assert held(taking(10, calls), **{rule: 50}).verdict is Verdict.NOT_ENOUGH


def test_a_percentile_lies_between_the_ranks_that_the_binomial_distribution_says() -> None:
    figures = figures_of(columns(np.arange(1.0, 1_001.0), np.zeros(1_000), 1))
    found = held(figures, max_p95_ms=2_000)
    # Of 1,000 calls 937 or fewer lie below p95 in less than 5 of 100 cases, and 962 or more, too.
    assert (found.low, found.high) == (pytest.approx(938, abs=1), pytest.approx(962, abs=1))


def test_a_limit_that_holds_is_broken_by_chance_no_more_often_than_is_said() -> None:
    # 1 of 100 calls takes longer than the limit, and the limit is on p99: it is just kept.
    random = np.random.default_rng(1)
    broken = 0
    for _ in range(400):
        slow = random.random(60) < 0.01
        figures = figures_of(columns(np.where(slow, 1_000.0, 10.0), np.zeros(60), 1, block_s=1.0))
        broken += held(figures, max_p99_ms=50).verdict is Verdict.REGRESSION
    assert broken <= 20


def test_a_load_that_is_offered_at_the_least_rate_passes() -> None:
    counts = np.random.default_rng(1).poisson(2_000, 200)
    verdicts = [held(taking(1, int(count)), min_rate=200).verdict for count in counts]
    assert sum(each is Verdict.NO_REGRESSION for each in verdicts) >= 190
    assert held(taking(1, 2_000), min_rate=220).verdict is Verdict.REGRESSION
    found = held(taking(1, 2_000), min_rate=200)
    assert (found.low, found.high) == (pytest.approx(191.2, abs=0.1), pytest.approx(208.8, abs=0.1))


def test_a_rate_that_may_as_well_be_less_keeps_no_limit() -> None:
    # 84 a second, 100 calls: 68 to 100 would be in the interval.
    assert held(taking(1, 100, seconds=100 / 84), min_rate=100).verdict is Verdict.NOT_ENOUGH
    assert held(taking(1, 384, seconds=1), min_rate=384).verdict is Verdict.NOT_ENOUGH
    assert held(taking(1, 385, seconds=1), min_rate=385).verdict is Verdict.NO_REGRESSION
    # No more than a tenth of what was measured is ever missing.
    assert held(taking(1, 385, seconds=1), min_rate=424).verdict is Verdict.REGRESSION


def test_few_calls_are_no_rate() -> None:
    assert held(taking(1, 20), min_rate=2).verdict is Verdict.NOT_ENOUGH
    assert held(taking(1, 20), min_rate=1).verdict is Verdict.NO_REGRESSION
    assert held(taking(1, 20), min_rate=3).verdict is Verdict.REGRESSION


def test_each_tool_is_held_to_its_own_limits() -> None:
    figures = figures_of(arm(1, seconds=20, tools=("add", "find")))
    settings = GateSettings(
        limits=Limits(min_rate=150),
        tools={"add": Limits(min_rate=150), "find": Limits(min_rate=90)},
    )
    found = judge(figures, settings)
    assert {each.tool: each.verdict for each in found.held} == {
        "(all)": Verdict.NO_REGRESSION,
        "add": Verdict.REGRESSION,
        "find": Verdict.NO_REGRESSION,
    }


@pytest.mark.parametrize(
    ("tools", "misspelt", "hint"),
    [
        (("add", "find"), "ad", "did you mean 'add'?"),
        (("add", "find"), "remove", "measured: add, find"),
        (("add",), "remove", "measured: add"),
        (tuple(f"tool-{at}" for at in range(14)), "remove", "tool-10, tool-11 and 2 more"),
    ],
)
def test_a_tool_that_was_not_measured_is_named_and_never_let_pass(
    tools: tuple[str, ...], misspelt: str, hint: str
) -> None:
    figures = figures_of(arm(1, tools=tools))
    settings = GateSettings(on_not_enough="pass", tools={misspelt: Limits(max_p50_ms=1)})
    for void in ((), ("the generator was too slow",)):
        with pytest.raises(UsageError) as caught:
            judge(figures, settings, void=void)
        assert str(caught.value).startswith(f"the gate has limits of the tool {misspelt!r}, which was not measured (")
        assert f"{hint}); mend its name below 'tools:', take it out, or measure a load that calls it" in str(
            caught.value
        )


def test_a_baseline_names_the_file_whose_tool_was_not_measured(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text("tools:\n  ad:\n    max_p50_ms: 5\n")
    measured = baseline_of(arm(1), CONDITIONS, HONESTY)
    for limits, name in ((file, repr(str(file))), (read_gate(file), "the gate")):
        with pytest.raises(UsageError) as caught:
            measured.judge(limits)
        assert str(caught.value).startswith(
            f"{name} has limits of the tool 'ad', which was not measured (did you mean 'add'?)"
        )


def test_a_tool_that_was_not_measured_has_a_harmless_name() -> None:
    settings = GateSettings(tools={"\x1b[2J" + "x" * 1_000_000: Limits(min_rate=1)})
    with pytest.raises(UsageError) as caught:
        judge(figures_of(arm(1)), settings)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_void_figures_keep_no_limit() -> None:
    found = judge(figures_of(arm(1)), GateSettings(limits=Limits(min_rate=1)), void=["the generator was too slow"])
    assert (found.ok, found.exit_code) == (False, 4)
    assert found.headline() == "not enough data: the run is void, the generator was too slow"


@pytest.mark.parametrize("on_not_enough", ["fail", "pass"])
@pytest.mark.parametrize("limits", [Limits(max_p50_ms=0.1), Limits(max_p50_ms=100)], ids=["broken", "kept"])
def test_nothing_lets_a_void_run_pass(on_not_enough: Literal["fail", "pass"], limits: Limits) -> None:
    settings = GateSettings(on_not_enough=on_not_enough, limits=limits)
    found = judge(figures_of(arm(1)), settings, void=["the generator was too slow"])
    assert (found.exit_code, json.loads(found.to_json())["exit_code"]) == (4, 4)
    (suite,) = junitparser.JUnitXml.fromstring(found.to_junit().encode())
    assert {case.name: not case.is_passed for case in suite} == {"run": True, "(all): max_p50_ms": False}
    assert found.held[0].words in found.to_junit()
    assert [settings.exit_code(verdict, void=True) for verdict in Verdict] == [4, 4, 4]


def test_what_is_open_may_be_let_pass_and_what_is_broken_never() -> None:
    lenient = GateSettings(on_not_enough="pass", limits=Limits(max_p99_ms=1e6))
    open_one = judge(figures_of(arm(1, seconds=0.2)), lenient)
    assert (open_one.verdict, open_one.exit_code) == (Verdict.NOT_ENOUGH, 0)
    assert failures(open_one) == 0
    broken = judge(figures_of(arm(1)), lenient.model_copy(update={"limits": Limits(max_p50_ms=0.1)}))
    assert (broken.exit_code, failures(broken)) == (1, 1)


def failures(result: GateResult) -> int:
    return int(next(iter(junitparser.JUnitXml.fromstring(result.to_junit().encode()))).failures)


def test_the_report_is_a_table_and_json_and_shows_hostile_names_harmless() -> None:
    few = figures_of(arm(1, seconds=0.5, tools=("add\x1b[2J<script>", "find")))
    hostile = few[0].tool
    assert "<script>" in hostile
    found = judge(few, GateSettings(limits=Limits(min_rate=1), tools={hostile: Limits(max_p99_ms=1e6)}))
    assert list(found.frame["verdict"]) == ["kept", "not enough data"]
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in str(found) + found.headline() + found.to_junit()
    assert json.loads(found.to_json())["exit_code"] == 4
