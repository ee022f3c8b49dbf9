"""The knee is found from stages, however disturbed some of them are."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_stages import RATES, capacity, invented

from mcp_workbench.load.capacities.knee import find_knee


@settings(max_examples=10)
@given(most=st.floats(60, 180), repeats=st.integers(1, 3))
def test_the_knee_lies_where_throughput_stops_following_and_within_its_band(most: float, repeats: int) -> None:
    knee = find_knee([invented(rate, most) for rate in RATES for _ in range(repeats)])
    assert knee.rate is not None
    # The 5 % that are tolerated, and what lies between two rates.
    last = max(rate for rate in RATES if rate <= most * 1.053)
    following = min(rate for rate in RATES if rate > last)
    assert last <= knee.rate <= following
    assert knee.criterion == "throughput"
    assert (knee.low, knee.high) == (last, following)


def test_the_latency_that_is_demanded_ends_it_where_it_is_left_first() -> None:
    stages = [invented(rate, 150, p95_ms=rate / 4) for rate in RATES]
    found = capacity(stages, 26)
    assert found.knee is not None
    assert 98 <= found.knee <= 110
    assert found.reason == "beyond it p95 is above the 26 ms that are demanded"
    assert capacity(stages, 100).found.criterion == "throughput"
    assert capacity(stages).found.criterion == "throughput"


def test_one_disturbed_stage_does_not_move_the_knee_but_many_that_agree_do() -> None:
    calm = [invented(rate, 120) for rate in RATES for _ in range(3)]
    disturbed = [*calm, invented(70, 30)]
    assert find_knee(disturbed).rate == pytest.approx(find_knee(calm).rate, rel=0.02)
    assert (find_knee([*disturbed, *[invented(70, 30)] * 20]).rate or 0.0) < 98


def test_stages_that_contradict_each_other_widen_the_band() -> None:
    sure = find_knee([invented(rate, 120) for rate in RATES for _ in range(2)])
    unsure = find_knee([invented(rate, most) for rate in RATES for most in (80, 170)])
    assert sure.low is not None
    assert sure.high is not None
    assert (unsure.low or 0.0) < sure.low
    assert (unsure.high or math.inf) > sure.high


def test_what_surely_holds_is_what_nearly_all_draws_say_and_not_the_estimate() -> None:
    # At 98 three of four stages hold: the knee lies beyond, and a fourth of the draws below.
    disputed = [invented(98, most) for most in (1_000, 1_000, 1_000, 80)]
    knee = find_knee([*[invented(rate, 80) for rate in RATES if rate != 98 for _ in range(4)], *disputed])
    assert 98 < (knee.rate or 0.0) < 110
    assert (knee.low, knee.high) == (70, 110)


def test_a_server_that_holds_all_that_was_asked_has_no_end_and_one_that_holds_nothing_no_knee() -> None:
    all_hold = capacity([invented(rate, 1_000) for rate in RATES])
    assert (all_hold.knee, all_hold.band) == (192, (192, None))
    assert capacity([invented(rate, 10_000) for rate in (1_000, 1_464)]).reason.startswith(
        "all rates hold, up to 1,460 "
    )
    assert all_hold.reason == "all rates hold, up to 192 calls/s, the most that was asked"
    none = capacity([invented(rate, 10) for rate in RATES])
    assert (none.knee, none.band, none.ok) == (None, (None, 50), False)
    assert none.reason == "not even 50 calls/s hold (falls behind)"


def test_calls_that_fail_or_are_dropped_are_not_served_and_the_reason_says_so() -> None:
    failing = capacity([invented(rate, 1_000, failed=round(rate) if rate > 100 else 0) for rate in RATES])
    assert failing.knee is not None
    assert failing.knee < 110
    assert "50% of the calls fail" in failing.reason
    dropping = capacity([invented(rate, 1_000, dropped=round(rate) if rate > 100 else 0) for rate in RATES])
    assert "50% are dropped" in dropping.reason


def test_a_generator_that_is_the_bottleneck_first_makes_it_void() -> None:
    found = capacity([*[invented(rate, 1_000) for rate in RATES], invented(270, 200, share=0.97)])
    assert not found.ok
    assert "void, the generator was the bottleneck at 270 calls/s" in found.headline()
    assert "at least 192 calls/s" in found.headline()
    assert found.frame["verdict"].tolist()[-1] == "void: the generator was the bottleneck"
    # Once the server was seen to be the bottleneck, what comes above does not matter.
    assert capacity([*found.stages, invented(240, 200)]).ok
