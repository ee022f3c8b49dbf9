"""Ratios of latencies and differences of error rates: right where the truth is known, sure only where data say so."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_arms import arm, columns
from scipy import stats

from mcp_workbench.load.comparisons.error_rates import (
    error_difference,
    exact_chance,
    needed_calls,
    newcombe_interval,
    wilson_interval,
)
from mcp_workbench.load.comparisons.statistics import (
    LogRatio,
    Luck,
    bootstrap_ratios,
    needed_seconds,
    process_luck,
)
from mcp_workbench.load.measured import Calls

RATES = st.tuples(st.integers(0, 400), st.integers(1, 400)).map(lambda pair: (min(pair), max(pair)))


def ratio_of(baseline_ms: list[float], candidate_ms: list[float], percent: float = 50) -> LogRatio | None:
    arms = [columns(np.array(each), np.arange(len(each)), len(each)) for each in (baseline_ms, candidate_ms)]
    return bootstrap_ratios(*arms, [(percent,)], resamples=50)[0]


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=30), st.sampled_from([1, 25, 50, 95, 99, 100]))
@settings(max_examples=50)
def test_the_figures_are_nearest_rank_percentiles(values: list[float], percent: float) -> None:
    found = ratio_of(values, values, percent)
    assert found is not None
    expected = sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]
    assert found.baseline_ms == pytest.approx(expected)
    assert found.log_ratio == 0


def test_several_percentiles_make_their_geometric_mean() -> None:
    values = [float(number) for number in range(1, 101)]
    calls = columns(np.array(values), np.arange(100), 100)
    (found,) = bootstrap_ratios(calls, calls, [(10, 40)], resamples=10)
    assert found is not None
    assert found.candidate_ms == pytest.approx(20)


def test_of_many_calls_the_grid_moves_a_percentile_by_less_than_a_thousandth_of_them() -> None:
    latency_ms = np.random.default_rng(1).permutation(np.arange(1.0, 100_001.0))
    calls = columns(latency_ms, np.arange(100_000) % 40, 40)
    p50, p99 = bootstrap_ratios(calls, calls, [(50,), (99,)], resamples=2)
    assert p50 is not None
    assert p99 is not None
    assert abs(p50.baseline_ms - 50_000) <= 101
    assert abs(p99.baseline_ms - 99_000) <= 101


def test_the_standard_error_is_that_of_the_ratio_over_many_repetitions() -> None:
    found = [bootstrap_ratios(arm(2 * at), arm(2 * at + 1), [(50,)], resamples=100)[0] for at in range(60)]
    ratios = [each.log_ratio for each in found if each is not None]
    errors = [each.standard_error for each in found if each is not None]
    assert np.mean(errors) / np.std(ratios) == pytest.approx(1, abs=0.3)


def test_few_blocks_do_not_make_the_standard_error_too_small() -> None:
    few = np.array([1.0, 2.0, 4.0])
    # One call a block, and all three ranks: the geometric mean of what was drawn, whose standard error is known.
    steady, varied = (columns(values, np.arange(3), 3) for values in (np.ones(3), few))
    (found,) = bootstrap_ratios(steady, varied, [(33, 66, 100)], resamples=4_000)
    assert found is not None
    assert found.standard_error == pytest.approx(np.log(few).std(ddof=1) / math.sqrt(3), rel=0.05)


def test_noise_that_both_blocks_of_a_pair_share_makes_no_ratio_unsure() -> None:
    shared = np.exp(np.random.default_rng(3).normal(0, 0.5, 30))
    alone = np.exp(np.random.default_rng(4).normal(0, 0.5, 30))
    block = np.repeat(np.arange(30), 20)
    calm = np.exp(np.random.default_rng(5).normal(0, 0.1, (2, 600)))
    first, beside, elsewhere = (
        columns(noise[block] * own, block, 30)
        for noise, own in ((shared, calm[0]), (shared, calm[1]), (alone, calm[1]))
    )
    paired, unpaired = (bootstrap_ratios(first, other, [(50,)])[0] for other in (beside, elsewhere))
    assert paired is not None
    assert unpaired is not None
    assert paired.standard_error < unpaired.standard_error / 3


def test_calls_that_failed_are_in_no_latency() -> None:
    latency_ms, block = np.array([1.0, 50.0, 50.0]), np.arange(3)
    fast_failure = columns(latency_ms, block, 3, np.array([True, False, False]))
    (found,) = bootstrap_ratios(fast_failure, fast_failure, [(1,)], resamples=10)
    assert found is not None
    assert found.baseline_ms == pytest.approx(50)


def test_an_arm_without_calls_that_ended_well_has_no_ratio() -> None:
    good = arm(1)
    assert bootstrap_ratios(good, arm(2, failing=1.0), [(50,), (25,)]) == [None, None]
    assert bootstrap_ratios(good, good.where(np.zeros(len(good), dtype=bool)), [(50,)]) == [None]
    assert bootstrap_ratios(good, replace(good, blocks=0), [(50,)]) == [None]


def test_latencies_of_no_time_at_all_have_no_ratio() -> None:
    assert ratio_of([0.0, 0.0], [1.0, 1.0]) is None


def test_of_one_pair_nothing_is_sure() -> None:
    found = ratio_of([1.0], [2.0])
    assert found is not None
    interval = found.interval(0.9)
    assert (interval.estimate, interval.low) == (pytest.approx(2), 0)
    assert interval.high > 1e300


def test_what_blocks_cannot_show_makes_the_interval_wider() -> None:
    ratio = LogRatio(1.0, 1.1, math.log(1.1), 0.03, 30)
    known, guessed = ratio.spread(0.9, Luck(0.04)), ratio.spread(0.9, Luck(0.04, 4))
    assert ratio.spread(0.9) == pytest.approx(stats.t.ppf(0.95, 29) * 0.03)
    # Welch's test of two samples whose means have these standard errors and degrees of freedom.
    for spread, count in ((known, 1_000_000), (guessed, 5)):
        welch = stats.ttest_ind_from_stats(
            0, 0.03 * math.sqrt(30), 30, spread, 0.04 * math.sqrt(count), count, equal_var=False
        )
        assert welch.pvalue == pytest.approx(0.1, rel=1e-3)


def test_processes_that_differ_make_a_ratio_less_sure_than_blocks_alone() -> None:
    def of(luck: tuple[float, float, float]) -> Calls:
        calls = arm(1)
        return replace(calls, latency_ms=calls.latency_ms * np.array(luck)[calls.block % 3])

    alike, unlike = of((1, 1, 1)), of((0.8, 1, 1.25))
    how: dict[str, Any] = {"processes": (3, 3), "assumed_sd": 0.02}
    calm, wild = (process_luck(alike, each, (50.0,), 0.02, **how) for each in (alike, unlike))
    assert calm.degrees == wild.degrees == 8
    assert calm.sd < 0.03 < 0.08 < wild.sd < 0.2
    # Of one process each nothing is seen, and what is assumed holds.
    alone = process_luck(alike, unlike, (50.0,), 0.02, processes=(1, 1), assumed_sd=0.02)
    assert (alone.sd, alone.degrees > 1_000) == (pytest.approx(0.02 * math.sqrt(2)), True)


def test_two_servers_whose_processes_have_luck_of_their_own_are_rarely_called_different() -> None:
    random = np.random.default_rng(4)
    alarms = 0
    for number in range(100):
        arms = []
        for side in (0, 1):
            calls = arm(2 * number + side, seconds=3)
            luck = np.exp(random.normal(0, 0.07, 3))
            arms.append(replace(calls, latency_ms=calls.latency_ms * luck[calls.block % 3]))
        (ratio,) = bootstrap_ratios(*arms, [(50.0,)], resamples=100)
        assert ratio is not None
        luck = process_luck(*arms, (50.0,), ratio.standard_error, processes=(3, 3), assumed_sd=0.05)
        interval = ratio.interval(0.9, luck)
        alarms += interval.low > 1.03 or interval.high < 1 / 1.03
    assert alarms <= 8


def test_the_same_seed_gives_the_same_interval() -> None:
    first, again, other = (bootstrap_ratios(arm(1), arm(2), [(50,)], seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other


@given(RATES, RATES)
def test_the_exact_chance_is_fishers(one: tuple[int, int], two: tuple[int, int]) -> None:
    (errors, calls), (more, more_calls) = one, two
    expected = stats.hypergeom.sf(more - 1, calls + more_calls, errors + more, more_calls)
    assert exact_chance(errors, calls, more, more_calls) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(RATES, st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=50)
def test_a_rate_lies_in_wilsons_interval(rate: tuple[int, int], confidence: float) -> None:
    errors, calls = rate
    found = wilson_interval(errors, calls, confidence)
    expected = stats.binomtest(errors, calls).proportion_ci(confidence, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_without_calls_a_rate_may_be_anything() -> None:
    nothing = wilson_interval(0, 0)
    assert (nothing.low, nothing.high, math.isnan(nothing.estimate)) == (0, 1, True)


def test_the_difference_of_two_rates_is_that_of_newcombes_example() -> None:
    # Table II of the paper, line (a), method 10: 56/70 and 48/80.
    found = newcombe_interval(48, 80, 56, 70, 0.95)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_one_burst_of_errors_is_no_trend_and_the_same_number_spread_out_is() -> None:
    good = arm(1)
    in_burst = good.block == 7
    spread = np.zeros(len(good), dtype=bool)
    spread[:: len(good) // int(in_burst.sum())] = True
    burst, trend = (
        error_difference(good, replace(good, outcome=failed.astype(np.uint8)), 0.9) for failed in (in_burst, spread)
    )
    assert burst is not None
    assert trend is not None
    assert burst.chance < 0.01
    assert burst.interval.low <= 0 < trend.interval.low


def test_errors_of_an_arm_without_calls_are_not_compared() -> None:
    good = arm(1)
    assert error_difference(good, good.where(np.zeros(len(good), dtype=bool)), 0.9) is None


@given(st.floats(0.001, 0.5), st.floats(0.02, 0.2))
@settings(max_examples=50)
def test_after_the_needed_seconds_the_interval_has_room(error: float, room: float) -> None:
    ratio = LogRatio(1.0, 1.0, 0.0, error, 1_000)
    more_s = needed_seconds(ratio, 2.0, room, 0.9, Luck(0.01))
    assert more_s is not None
    longer = replace(ratio, standard_error=error * math.sqrt(2 / (2 + more_s)))
    assert longer.spread(0.9, Luck(0.01)) <= room * 1.0001


def test_seconds_do_not_help_against_what_lasts_as_long_as_a_process() -> None:
    ratio = LogRatio(1.0, 1.0, 0.0, 0.01, 30)
    assert needed_seconds(ratio, 2.0, 0.05, 0.9, Luck(0.05)) is None


def test_after_the_needed_calls_the_difference_is_bounded() -> None:
    few = error_difference(arm(1, seconds=0.2), arm(2, seconds=0.2), 0.9)
    assert few is not None
    needed = needed_calls(few, 0.02, 0.9)
    assert needed is not None
    assert newcombe_interval(0, math.ceil(needed), 0, math.ceil(needed), 0.9).high < 0.02
    assert needed_calls(replace(few, candidate_errors=few.candidate_calls), 0.02, 0.9) is None
