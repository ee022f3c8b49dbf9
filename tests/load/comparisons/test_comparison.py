"""Comparisons: what is slower is called so, what is not is not, and what cannot be said is said to be open."""

import json
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import junitparser
import numpy as np
import pytest
from invented_arms import CONDITIONS, HONESTY, arm, columns, finding

from mcp_workbench.errors import UsageError
from mcp_workbench.load.comparisons.comparison import Comparison, compare_calls
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.verdicts import Verdict, worst
from mcp_workbench.load.measured import Calls

VOID = replace(HONESTY, void=("the generator was the bottleneck",))


def compared(baseline: Calls, candidate: Calls, **told: Any) -> Comparison:
    return compare_calls(baseline, candidate, conditions=(CONDITIONS, CONDITIONS), **told)


def test_the_same_server_twice_is_no_regression_in_either_direction() -> None:
    verdicts = Counter(compared(arm(at), arm(at + 100)).verdict for at in range(8))
    assert verdicts == {Verdict.NO_REGRESSION: 8}


def test_quick_calls_that_take_longer_are_found_where_p50_is_noise() -> None:
    noisy = np.exp(np.random.default_rng(3).normal(0, 0.4, 30))
    arms = [arm(1), arm(2, factor=1.2)]
    disturbed = [replace(each, latency_ms=each.latency_ms * noisy[each.block]) for each in arms]
    found = compared(*disturbed)
    assert (finding(found, "p10").verdict, found.verdict) == (Verdict.REGRESSION, Verdict.REGRESSION)
    assert compared(disturbed[0], disturbed[0]).verdict is not Verdict.REGRESSION


def test_calls_that_take_a_fifth_longer_are_a_regression_with_its_size() -> None:
    found = [compared(arm(at), arm(at + 100, factor=1.2), processes=(3, 3)) for at in range(8)]
    assert Counter(each.verdict for each in found) == {Verdict.REGRESSION: 8}
    assert not found[0].ok
    assert found[0].exit_code == 1
    assert found[0].headline().startswith("regression: p50 is 1.2")
    assert " x the baseline's (1." in found[0].headline()
    # Of one process each p50 cannot tell so little from luck, and the quick calls can.
    alone = compared(arm(0), arm(100, factor=1.16))
    assert alone.headline().startswith("regression: p10 is 1.1")


def test_an_alarm_needs_to_be_surer_than_an_all_clear() -> None:
    arms = arm(1), arm(2, factor=1.11)
    careful, hasty = (compared(*arms, settings=GateSettings(alarm_confidence=sure)) for sure in (0.9999, 0.6))
    assert [finding(each, "p50").verdict for each in (careful, hasty)] == [Verdict.NOT_ENOUGH, Verdict.REGRESSION]
    changes = [finding(each, "p50").change for each in (careful, hasty)]
    assert changes[0] is not None
    assert changes[1] is not None
    assert changes[0].low < changes[1].low
    assert changes[0].high == changes[1].high


def test_a_slower_tail_is_found_where_p50_is_the_same() -> None:
    found = compared(arm(1, seconds=10), arm(2, seconds=10, slow=1.5))
    assert finding(found, "p50").verdict is Verdict.NO_REGRESSION
    assert finding(found, "tail").decides
    assert found.verdict is Verdict.REGRESSION
    assert found.headline().startswith("regression: tail is 1.")


def test_a_tail_of_too_few_calls_is_not_judged_unless_it_has_to_be() -> None:
    few = (arm(1), arm(2, slow=3))
    found = compared(*few)
    assert (found.verdict, finding(found, "tail").verdict) == (Verdict.NO_REGRESSION, Verdict.NOT_ENOUGH)
    assert found.headline().endswith("; the tail was not judged: about 1 s more of each would do")
    assert (found.tail_judged, compared(arm(1, seconds=10), arm(2, seconds=10)).tail_judged) == (False, True)
    always = compared(*few, settings=GateSettings(judge_tail="always"))
    assert (always.verdict, always.exit_code) == (Verdict.NOT_ENOUGH, 4)
    never = compared(*few, settings=GateSettings(judge_tail="never"))
    assert (never.verdict, [each.measure for each in never.findings]) == (
        Verdict.NO_REGRESSION,
        ["p50", "p10", "p25", "p75-90", "errors"],
    )


def test_two_of_a_hundred_calls_that_fail_are_a_regression() -> None:
    found = compared(arm(1), arm(2, failing=0.02))
    assert found.verdict is Verdict.REGRESSION
    assert found.headline().startswith("regression: errors ")
    assert found.facts()["failed"]["tool_error"][0] == 0


def with_failures(calls: Calls, failing: list[int]) -> Calls:
    """Return the calls with the first one of these blocks failed, for each time that a block is named."""
    failed = np.zeros(len(calls), dtype=bool)
    for block, times in Counter(failing).items():
        failed[np.flatnonzero(calls.block == block)[:times]] = True
    return replace(calls, outcome=np.where(failed, 1, calls.outcome).astype(np.uint8))


@pytest.mark.parametrize(
    ("failing", "regression"),
    [
        ([1, 5, 9, 13, 17], False),
        ([1, 5, 9, 13, 17, 21, 25, 29], True),
        ([3] * 10, False),
        ([3] * 5 + [20] * 5, False),
        ([13] * 5 + [14] * 5 + [15] * 5 + [16] * 5, False),
    ],
)
def test_failures_are_a_regression_if_they_are_many_and_in_several_blocks(failing: list[int], regression: bool) -> None:
    found = finding(compared(arm(1), with_failures(arm(2), failing)), "errors")
    assert (found.verdict is Verdict.REGRESSION) is regression
    assert found.candidate == pytest.approx(len(failing) / 600)


def test_as_many_more_failures_as_are_tolerated_are_no_regression() -> None:
    lenient = GateSettings(error_margin=0.05, errors_found=0.1)
    found = compared(arm(1), arm(2, failing=0.03), settings=lenient)
    assert finding(found, "errors").verdict is Verdict.NO_REGRESSION


def test_a_server_that_answers_nothing_well_is_a_regression_and_not_a_fast_one() -> None:
    found = compared(arm(1), arm(2, factor=0.1, failing=1.0))
    assert found.verdict is Verdict.REGRESSION
    assert finding(found, "p50").words == "p50: one of the two has no calls that ended well"


def test_as_many_failures_on_both_sides_are_no_regression_of_errors() -> None:
    found = compared(arm(1, seconds=20, failing=0.05), arm(2, seconds=20, failing=0.05))
    assert finding(found, "errors").verdict is Verdict.NO_REGRESSION


def test_a_moment_is_not_enough_and_it_says_how_much_is() -> None:
    found = compared(arm(1, seconds=0.2), arm(2, seconds=0.2))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert found.exit_code == 4
    assert found.needed_s is not None
    assert found.needed_s > 0.2
    assert "s more of each would do" in found.headline()
    assert compared(*(arm(at, seconds=0.2 + found.needed_s) for at in (1, 2))).ok


def test_many_calls_in_few_blocks_are_not_enough() -> None:
    found = compared(*(arm(at, rate=2_000, block_s=0.5) for at in (1, 2)))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert found.needed_s == pytest.approx(1)


def test_where_only_more_processes_would_do_it_says_so() -> None:
    found = compared(arm(1), arm(2, factor=1.1), settings=GateSettings(process_sd=0.2))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert found.needed_s is None
    # A server at an address is started by nobody here.
    assert "more seconds would not do: start both again and compare again" in found.headline()
    commands = replace(CONDITIONS, transport="stdio")
    settings = GateSettings(process_sd=0.2)
    started = compare_calls(arm(1), arm(2, factor=1.1), conditions=(commands, commands), settings=settings)
    assert "more seconds would not do: measure with more processes of each" in started.headline()
    more = compared(arm(1), arm(2, factor=1.1), settings=GateSettings(process_sd=0.2), processes=(400, 400))
    assert more.verdict is not Verdict.NOT_ENOUGH


def test_servers_of_one_process_have_no_luck_that_tells_them_apart() -> None:
    apart, together = (
        compare_calls(arm(1), arm(2), conditions=(conditions, conditions))
        for conditions in (CONDITIONS, replace(CONDITIONS, placement="in the kernel"))
    )
    changes = [finding(each, "p50").change for each in (apart, together)]
    assert changes[0] is not None
    assert changes[1] is not None
    assert changes[1].high < changes[0].high - 0.05


def test_a_faster_candidate_is_no_regression_and_is_called_faster() -> None:
    found = compared(arm(1), arm(2, factor=0.7))
    assert found.verdict is Verdict.NO_REGRESSION
    assert ": faster" in found.headline()


def test_a_void_run_decides_nothing_whatever_it_shows() -> None:
    found = compared(arm(1), arm(2, factor=3), honesty=[HONESTY, VOID])
    assert (found.verdict, found.exit_code) == (Verdict.NOT_ENOUGH, 4)
    assert found.headline() == "not enough data: the run is void, the generator was the bottleneck"
    assert finding(found, "p50").verdict is Verdict.REGRESSION


def test_other_populations_are_refused_by_what_differs() -> None:
    other = replace(CONDITIONS, rate=300.0, transport="stdio", target="another shop")
    with pytest.raises(UsageError, match=r"transport 'http' against 'stdio'; rate 200.0 against 300.0") as caught:
        compare_calls(arm(1), arm(2), conditions=(CONDITIONS, other))
    assert "another shop" not in str(caught.value)


def test_what_only_the_slower_half_of_the_calls_shows_is_found() -> None:
    def layered(seed: int, third_ms: float) -> Calls:
        made = arm(seed, seconds=10)
        class_ms = np.random.default_rng(seed).choice([2.0, third_ms, 100.0], len(made), p=[0.57, 0.385, 0.045])
        return replace(made, latency_ms=class_ms * made.latency_ms / 2)

    found = compared(layered(1, 3), layered(2, 30))
    assert [finding(found, measure).verdict for measure in ("p50", "tail")] == [Verdict.NO_REGRESSION] * 2
    assert (finding(found, "p75-90").verdict, found.verdict) == (Verdict.REGRESSION, Verdict.REGRESSION)
    assert compared(layered(1, 3), layered(2, 3)).ok


@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_a_quick_tool_and_a_slow_one_in_equal_parts_are_judged_each_by_itself(factor: float) -> None:
    def mixed(seed: int, slower: float) -> Calls:
        made = arm(seed, seconds=10, tools=("quick", "slow"))
        return replace(made, latency_ms=made.latency_ms * np.where(made.tool == 1, 10 * slower, 1))

    found = compared(mixed(1, 1), mixed(2, factor))
    assert found.verdict is (Verdict.NO_REGRESSION if factor == 1 else Verdict.REGRESSION)
    change = finding(found, "p50").change
    assert change is not None
    assert change.estimate == pytest.approx(math.sqrt(factor), rel=0.03)


def test_a_picture_of_ratios_shows_no_shares() -> None:
    waits = [replace(each, waited_s=np.full(each.blocks, wait_s)) for each, wait_s in ((arm(1), 0.0), (arm(2), 0.05))]
    found = compared(*waits)
    assert finding(found, "stalls").verdict is Verdict.REGRESSION
    drawn = [text.get_text() for text in found.plot().figure.axes[0].get_yticklabels()]
    assert drawn == ["p50", "p10", "p25", "p75-90", "tail"]


def test_one_slow_tool_among_others_is_found_and_named() -> None:
    tools = ("add", "<b>list</b>", "find")
    baseline, candidate = arm(1, seconds=6, tools=tools), arm(2, seconds=6, tools=tools)
    slower = replace(candidate, latency_ms=candidate.latency_ms * np.where(candidate.tool == 1, 1.5, 1.0))
    found = compared(baseline, slower)
    assert [each.tool for each in found.findings if each.decides and each.verdict is Verdict.REGRESSION][-1:] == [
        tools[1]
    ]
    assert finding(found, "p50", "find").verdict is not Verdict.REGRESSION
    # Three tools have three chances to be called slower by accident.
    confidences = [each.change.confidence for each in found.findings if each.tool and each.change is not None]
    assert confidences == pytest.approx([1 - 0.075 / 3, 1 - 0.05 / 3] * 3)
    assert "<b>" not in found._repr_html_()


def test_a_tool_with_few_calls_does_not_keep_the_others_from_a_verdict() -> None:
    baseline, candidate = (replace(arm(at), tools=("add", "rare")) for at in (1, 2))
    for calls in (baseline, candidate):
        calls.tool[:3] = 1
    found = compared(baseline, candidate)
    assert finding(found, "p50", "rare").verdict is Verdict.NOT_ENOUGH
    assert found.ok


def test_blocks_that_only_one_arm_has_are_left_out() -> None:
    longer = arm(2, seconds=6)
    late = longer.block >= 30
    slow_later = replace(longer, latency_ms=np.where(late, 100.0, longer.latency_ms))
    assert compared(arm(1, seconds=3), slow_later).ok


def test_the_report_is_a_table_json_junit_and_a_picture() -> None:
    found = compared(arm(1), arm(2, factor=1.3), names=("1.0", "2.0 <x>"))
    rows = found.frame
    assert list(rows["measure"]) == ["p50 ms", "p10 ms", "p25 ms", "p75-90 ms", "tail ms", "errors %"]
    told = json.loads(found.to_json())
    assert (told["verdict"], told["ok"], told["rows"][0]["verdict"]) == ("regression", False, "regression")
    suite = next(iter(junitparser.JUnitXml.fromstring(found.to_junit().encode())))
    assert {case.name: case.is_passed for case in suite} == {
        "p50": False,
        "p10": False,
        "p25": True,
        "p75-90": False,
        "tail": True,
        "errors": True,
    }
    assert suite.name == "2.0 <x> against 1.0"
    axes = found.plot().figure.axes[0]
    assert "candidate / baseline" in axes.get_xlabel()
    assert "regression" in repr(found.plot())
    assert found.plot().png().startswith(b"\x89PNG")


def test_not_enough_data_fails_junit_unless_it_is_let_pass() -> None:
    arms = (arm(1, seconds=0.2), arm(2, seconds=0.2))
    failing, passing = (
        compared(*arms, settings=GateSettings(on_not_enough=how))
        for how in ("fail", "pass")  # type: ignore[arg-type]
    )
    counts = [
        next(iter(junitparser.JUnitXml.fromstring(each.to_junit().encode()))).failures for each in (failing, passing)
    ]
    assert counts == [2, 0]
    assert (failing.exit_code, passing.exit_code) == (4, 0)


def test_an_interval_without_bounds_can_be_drawn_and_written() -> None:
    found = compared(arm(1, seconds=0.1), arm(2, seconds=0.1))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert "inf" not in found.headline()
    assert json.loads(found.to_json())["ok"] is False
    assert found.plot().png().startswith(b"\x89PNG")


def test_arms_without_any_calls_are_not_enough() -> None:
    nothing = arm(1).where(np.zeros(600, dtype=bool))
    found = compared(nothing, nothing)
    assert found.verdict is Verdict.NOT_ENOUGH
    assert len(found.frame) == 6


def test_one_regression_outweighs_what_is_open_and_that_what_is_well() -> None:
    assert worst(Verdict) is Verdict.REGRESSION
    assert worst([Verdict.NO_REGRESSION, Verdict.NOT_ENOUGH]) is Verdict.NOT_ENOUGH
    assert worst([]) is Verdict.NO_REGRESSION


# What no latency shows.


def test_a_candidate_that_answers_nothing_is_a_regression_however_few_turns_there_were() -> None:
    hanging = columns(np.full(40, 2_000.0), np.zeros(40, dtype=int), 1, np.ones(40, dtype=bool))
    found = compared(arm(1, seconds=0.1, rate=400), hanging)
    assert finding(found, "errors").verdict is Verdict.REGRESSION
    assert compared(hanging, hanging).verdict is Verdict.NOT_ENOUGH


@pytest.mark.parametrize(
    ("stalled", "verdict"),
    [(0, Verdict.NO_REGRESSION), (1, Verdict.NOT_ENOUGH), (8, Verdict.REGRESSION)],
)
def test_turns_that_end_late_are_a_stall_that_no_latency_shows(stalled: int, verdict: Verdict) -> None:
    late = np.where(np.arange(30) % 4 == 1, 1.0, 0.0) * (np.cumsum(np.arange(30) % 4 == 1) <= stalled)
    baseline, candidate = (replace(arm(seed), waited_s=np.zeros(30)) for seed in (1, 2))
    found = compared(baseline, replace(candidate, waited_s=late))
    assert found.verdict is verdict
    assert ("waited for answers after its turns" in found.headline()) == bool(stalled)
    assert compared(replace(baseline, waited_s=late), candidate).verdict is Verdict.NO_REGRESSION


def test_operations_that_never_began_keep_it_from_being_no_regression() -> None:
    candidate = replace(arm(2), dropped=60)
    found = compared(arm(1), candidate)
    assert found.verdict is Verdict.NOT_ENOUGH
    assert "10.0% of the operations never began, against 0.0%" in found.headline()
    assert compared(arm(1), replace(arm(2, factor=2), dropped=60)).verdict is Verdict.REGRESSION


def test_a_comparison_says_how_the_load_of_both_sides_was_made() -> None:
    found = compared(arm(1), arm(2), honesty=[HONESTY, replace(HONESTY, notes=("<b>late</b>",))])
    assert list(found.honesty_frame.columns) == ["fact", "baseline", "candidate"]
    assert "How it was measured" in str(found)
    assert "<b>late" not in found._repr_html_()
    assert found.facts()["honesty"][0]["cores"] == HONESTY.cores


def test_what_processes_differ_by_in_the_slow_end_is_what_the_settings_say() -> None:
    arms = (arm(1, seconds=10), arm(2, seconds=10, slow=1.5))
    assert finding(compared(*arms), "tail").verdict is Verdict.REGRESSION
    careful = GateSettings(tail_process_sd=0.3)
    assert finding(compared(*arms, settings=careful), "tail").verdict is Verdict.NOT_ENOUGH
    assert compared(*arms, settings=careful).verdict is not Verdict.REGRESSION
