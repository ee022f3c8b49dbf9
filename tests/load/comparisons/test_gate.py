"""The gate: a file that says what it means, and limits that are kept, broken, or open."""

import json
from pathlib import Path

import junitparser
import numpy as np
import pytest
from invented_arms import arm, columns

from mcp_workbench.errors import FileError
from mcp_workbench.load.baselines.figures import ToolFigures, figures_of
from mcp_workbench.load.comparisons.gate import GateResult, GateSettings, Held, Limits, judge, read_gate
from mcp_workbench.load.comparisons.verdicts import Verdict


def gate(tmp_path: Path, text: str) -> GateSettings:
    file = tmp_path / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    return read_gate(file)


def judged(**limits: float) -> GateResult:
    return judge(figures_of(arm(1, seconds=10)), GateSettings(limits=Limits(**limits)))


def test_the_file_that_comes_with_the_package_says_what_the_defaults_are() -> None:
    assert read_gate() == GateSettings(limits=Limits(max_error_rate=0.01))


def test_lines_may_be_left_out(tmp_path: Path) -> None:
    found = gate(tmp_path, "p50_margin: 1.1\ntools:\n  add:\n    max_p95_ms: 30\n")
    assert (found.p50_margin, found.p50_found, found.tools["add"].max_p95_ms) == (1.1, 1.2, 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p50_margn: 1.1", "gate.yaml, line 1, p50_margn: there is no such field; did you mean 'p50_margin'?"),
        ("p50_margin: 0.9", "line 1, p50_margin: should be greater than or equal to 1"),
        ("p50_margin: '1.1'", "line 1, p50_margin: should be a valid number"),
        ("tail_found: 1.05", "line 1, tail_found: is not above tail_margin, 1.08; give a greater number"),
        ("judge_tail: sometimes", "line 1, judge_tail: should be 'when possible', 'always' or 'never'"),
        ("limits:\n  max_p95: 3", "line 2, limits.max_p95: there is no such field; did you mean 'max_p95_ms'?"),
        (
            "tools:\n  add:\n    max_error_rate: 1.5",
            "line 3, tools.add.max_error_rate: should be less than or equal to 1",
        ),
        ("limits: 3", "line 1, limits: should be a mapping"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(FileError) as caught:
        gate(tmp_path, text)
    assert words in str(caught.value)


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


def test_few_calls_are_no_rate() -> None:
    assert held(taking(1, 20), min_rate=2).verdict is Verdict.NOT_ENOUGH
    assert held(taking(1, 20), min_rate=1).verdict is Verdict.NO_REGRESSION
    assert held(taking(1, 20), min_rate=3).verdict is Verdict.REGRESSION


def test_each_tool_is_held_to_its_own_limits() -> None:
    figures = figures_of(arm(1, seconds=20, tools=("add", "find")))
    settings = GateSettings(
        limits=Limits(min_rate=150),
        tools={"add": Limits(min_rate=150), "find": Limits(min_rate=90), "gone": Limits(min_rate=1)},
    )
    found = judge(figures, settings)
    assert {each.tool: each.verdict for each in found.held} == {
        "(all)": Verdict.NO_REGRESSION,
        "add": Verdict.REGRESSION,
        "find": Verdict.NO_REGRESSION,
        "gone": Verdict.NOT_ENOUGH,
    }


def test_void_figures_keep_no_limit() -> None:
    found = judge(figures_of(arm(1)), GateSettings(limits=Limits(min_rate=1)), void=["the generator was too slow"])
    assert (found.ok, found.exit_code) == (False, 4)
    assert found.headline() == "not enough data: the run is void, the generator was too slow"


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
    hostile = "add\x1b[2J<script>"
    found = judge(figures_of(arm(1)), GateSettings(limits=Limits(min_rate=1), tools={hostile: Limits(min_rate=1)}))
    assert list(found.frame["verdict"]) == ["kept", "not enough data"]
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in str(found) + found.headline() + found.to_junit()
    assert json.loads(found.to_json())["exit_code"] == 4
