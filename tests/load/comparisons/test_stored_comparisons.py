"""Comparisons of stored loads: what the machine did to both is not held against the candidate."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from invented_arms import CONDITIONS, HONESTY, arm, finding

from mcp_workbench.errors import UsageError
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.stored import compare_stored
from mcp_workbench.load.comparisons.verdicts import Verdict

VOID = replace(HONESTY, void=("the generator was the bottleneck",))


def stored(seed: int, machine: float = 1.0, *, identity: str = "one", **told: Any) -> Baseline:
    """Return a load on a machine that takes ``machine`` times as long for everything."""
    target = arm(seed, factor=machine * told.pop("factor", 1.0), **told)
    calibration = arm(seed + 1_000, factor=machine / 4)
    quiet = replace(HONESTY, foreign_share=0.0)
    turns = (target, calibration)
    return baseline_of(target, CONDITIONS, quiet, turns=turns, calibration_identity=identity, processes=3)


def test_a_slower_machine_is_no_regression_where_the_calibration_server_is_slower_too() -> None:
    found = compare_stored(stored(1), stored(2, machine=1.2))
    assert found.ok
    assert finding(found, "p50").baseline == pytest.approx(4, rel=0.1)
    assert list(found.frame["measure"]) == ["p10 calibrations", "p50 calibrations", "tail calibrations", "errors %"]
    assert found.headline().endswith("; the tail was not judged: two days are not compared by it; compare the two live")


def test_a_slower_server_on_a_faster_machine_is_a_regression() -> None:
    found = compare_stored(stored(1), stored(2, machine=0.8, factor=1.35))
    assert found.verdict is Verdict.REGRESSION
    assert "p10 is 1.3" in found.headline()
    assert "p50 is 1.3" in found.headline()


def test_a_slow_end_that_became_much_longer_holds_up_the_verdict_on_stored_loads() -> None:
    steady = arm(2)
    stalling = replace(steady, latency_ms=np.where(steady.block % 15 < 3, steady.latency_ms + 200, steady.latency_ms))
    turns = (steady, arm(1_002, factor=0.25))
    quiet = replace(HONESTY, foreign_share=0.0)
    held = baseline_of(stalling, CONDITIONS, quiet, turns=turns, calibration_identity="one", processes=3)
    found = compare_stored(stored(1), held)
    assert (found.verdict, found.exit_code) == (Verdict.NOT_ENOUGH, 4)
    assert "tail: the slow end is " in found.headline()
    assert finding(found, "tail").decides
    assert compare_stored(held, stored(1)).ok


def test_a_gate_that_always_judges_the_tail_decides_nothing_about_stored_loads() -> None:
    always, never = (
        compare_stored(stored(1), stored(2), settings=GateSettings(judge_tail=how))
        for how in ("always", "never")  # type: ignore[arg-type]
    )
    assert (always.verdict, never.verdict) == (Verdict.NOT_ENOUGH, Verdict.NO_REGRESSION)
    assert "compare the two live" in always.headline()
    assert "tail" not in str(never.frame)


def test_operations_that_a_stored_load_dropped_hold_up_the_verdict() -> None:
    whole, dropping = stored(1), stored(2)
    found = compare_stored(whole, replace(dropping, honesty=replace(dropping.honesty, dropped=200, offered=600)))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert "33.3% of the operations never began" in found.headline()


def test_a_stored_load_that_was_too_short_is_named() -> None:
    found = compare_stored(stored(1, seconds=0.5), stored(2, factor=2), names=("old.json", "new"))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert "of too few calls: measure old.json again, for longer" in found.headline()
    assert found.needed_s is None


def test_errors_of_stored_loads_are_compared_too() -> None:
    found = compare_stored(stored(1), stored(2, failing=0.03))
    assert (found.verdict, finding(found, "errors").verdict) == (Verdict.REGRESSION, Verdict.REGRESSION)


def test_runs_that_differ_by_more_than_can_be_known_decide_nothing() -> None:
    found = compare_stored(stored(1), stored(2, factor=1.1), settings=GateSettings(run_sd=0.2))
    assert found.verdict is Verdict.NOT_ENOUGH


def test_without_the_same_calibration_server_stored_loads_are_not_compared() -> None:
    alone = baseline_of(arm(1), CONDITIONS, HONESTY)
    with pytest.raises(UsageError, match="the candidate was measured without the calibration server"):
        compare_stored(stored(1), alone, names=("the baseline", "the candidate"))
    with pytest.raises(UsageError, match=r"the calibration servers differ \(version 'one' against 'two'\)"):
        compare_stored(stored(1), stored(2, identity="two"))
    other = stored(2)
    assert other.calibration is not None
    newer = replace(other, calibration=replace(other.calibration, python="3.99"))
    with pytest.raises(UsageError, match=r"Python '3.* against '3.99'"):
        compare_stored(stored(1), newer)


def test_a_void_stored_load_decides_nothing() -> None:
    found = compare_stored(replace(stored(1), honesty=VOID), stored(2, factor=2))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert math.isfinite(found.seconds)


def test_other_work_beside_a_stored_run_hides_what_p50_says_and_not_the_quick_calls() -> None:
    before, after = stored(1), stored(2, factor=1.3)
    busy = replace(after, honesty=replace(after.honesty, foreign_share=1.1))
    quiet, disturbed = compare_stored(before, after), compare_stored(before, busy)
    assert [finding(quiet, each).verdict for each in ("p10", "p50")] == [Verdict.REGRESSION] * 2
    assert [finding(disturbed, each).verdict for each in ("p10", "p50")] == [Verdict.REGRESSION, Verdict.NOT_ENOUGH]
    assert disturbed.verdict is Verdict.REGRESSION
    same = replace(stored(2), honesty=busy.honesty)
    assert compare_stored(before, same).verdict is Verdict.NOT_ENOUGH


def test_runs_of_one_process_decide_less_than_those_of_three() -> None:
    single = [replace(stored(seed, factor=factor), processes=1) for seed, factor in ((1, 1.0), (2, 1.22))]
    assert compare_stored(stored(1), stored(2, factor=1.22)).verdict is Verdict.REGRESSION
    assert compare_stored(*single).verdict is Verdict.NOT_ENOUGH


def test_a_slower_machine_makes_a_regression_harder_to_tell_from_a_slow_one() -> None:
    assert compare_stored(stored(1), stored(2, factor=1.25)).verdict is Verdict.REGRESSION
    assert compare_stored(stored(1), stored(2, factor=1.25, machine=2.5)).verdict is Verdict.NOT_ENOUGH


def test_one_slow_tool_of_a_stored_mix_is_found_and_named() -> None:
    tools = ("add", "read", "find", "list", "drop")
    before, mix = stored(1, seconds=12, tools=tools), arm(2, seconds=12, tools=tools)
    slow = np.where(mix.tool == 2, 3, 1)
    target = replace(mix, service_ms=mix.service_ms * slow, latency_ms=mix.latency_ms * slow)
    after = baseline_of(
        target,
        CONDITIONS,
        before.honesty,
        turns=(target, arm(1_002, factor=0.25)),
        calibration_identity="one",
        processes=3,
    )
    found = compare_stored(before, after)
    assert found.verdict is Verdict.REGRESSION
    assert [each.tool for each in found.findings if each.tool and each.verdict is Verdict.REGRESSION] == ["find"]
    assert "p10 of find is" in found.headline()


def test_what_other_work_does_to_the_quick_calls_is_what_the_settings_say() -> None:
    before, after = stored(1), stored(2, factor=1.3)
    busy = replace(after, honesty=replace(after.honesty, foreign_share=1.1))
    careful = GateSettings(quick_foreign_sd=0.3)
    assert finding(compare_stored(before, busy), "p10").verdict is Verdict.REGRESSION
    assert finding(compare_stored(before, busy, settings=careful), "p10").verdict is Verdict.NOT_ENOUGH
    assert finding(compare_stored(before, after, settings=careful), "p10").verdict is Verdict.REGRESSION


def test_other_work_beside_the_baseline_counts_as_much_as_beside_the_candidate() -> None:
    quiet = (stored(1), stored(2, factor=1.2))
    busy = [replace(each, honesty=replace(each.honesty, foreign_share=1.1)) for each in quiet]
    assert finding(compare_stored(busy[0], quiet[1]), "p50").verdict is Verdict.NOT_ENOUGH
    first, second, both = (
        finding(compare_stored(*pair), "p50").change for pair in ((busy[0], quiet[1]), (quiet[0], busy[1]), busy)
    )
    assert first is not None
    assert second is not None
    assert both is not None
    assert (first.low, first.high) == (pytest.approx(second.low), pytest.approx(second.high))
    assert both.low < first.low
    assert both.high > first.high


def test_what_other_work_does_to_the_quick_calls_of_a_tool_is_what_the_settings_say() -> None:
    tools = ("add", "find")
    before, after = stored(1, seconds=6, tools=tools), stored(2, seconds=6, factor=1.4, tools=tools)
    busy = replace(after, honesty=replace(after.honesty, foreign_share=1.1))
    careful = GateSettings(quick_foreign_sd=0.3)
    assert finding(compare_stored(before, busy), "p10", "find").verdict is Verdict.REGRESSION
    assert finding(compare_stored(before, busy, settings=careful), "p10", "find").verdict is not Verdict.REGRESSION


def test_a_regression_beside_much_other_work_says_so() -> None:
    before, after = stored(1), stored(2, factor=1.5)
    assert "busy" not in compare_stored(before, after).headline()
    busy = replace(after, honesty=replace(after.honesty, foreign_share=1.3, cores=2))
    told = compare_stored(before, busy, names=("1.0", "2.0")).headline()
    assert "others kept 1.3 of 2 cores beside 2.0 busy: measure again on a quieter machine to be sure" in told
    half = replace(after, honesty=replace(after.honesty, foreign_share=0.5, cores=2))
    assert "busy" not in compare_stored(before, half).headline()
