"""Figures of a load: right for no call and for many, and merged without loss."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from example_servers import MARKUP
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_arms import arm, columns

from mcp_workbench.load.baselines.figures import (
    ALL_TOOLS,
    MOST_CODES,
    MOST_SLICES,
    ToolFigures,
    figures_of,
    over_time_of,
)
from mcp_workbench.load.comparisons.error_rates import wilson_interval
from mcp_workbench.load.measured import OUTCOMES, Calls
from mcp_workbench.records import Outcome


def calls_of(*latency_ms: float, at_s: float = 0.0) -> Calls:
    made = columns(np.array(latency_ms), np.zeros(len(latency_ms), int), 1)
    return replace(made, at_s=np.full(len(latency_ms), at_s))


def only(calls: Calls) -> ToolFigures:
    (found,) = figures_of(calls)
    return found


def test_counts_rate_and_latency_of_one_tool() -> None:
    found = only(arm(1, failing=0.1))
    assert (found.tool, found.calls, found.seconds) == ("add", 600, pytest.approx(3.0))
    assert found.errors == found.outcomes[Outcome.TOOL_ERROR] > 0
    assert found.error_rate == found.errors / 600
    interval = wilson_interval(found.errors, 600)
    assert found.error_interval == (interval.low, interval.high)
    assert found.throughput == pytest.approx(200)
    assert 1.8 < (found.percentile_ms(50) or 0) < 2.2
    assert found.service_percentile_ms(50) == found.percentile_ms(50)


def test_several_tools_have_a_row_each_and_one_of_all() -> None:
    found = figures_of(arm(1, tools=("add", "read")))
    assert [(each.tool, each.calls) for each in found] == [("add", 300), ("read", 300), (ALL_TOOLS, 600)]
    assert found[0].latency.merged(found[1].latency) == found[2].latency


def test_without_calls_nothing_is_said() -> None:
    found = only(calls_of())
    assert (found.calls, found.errors, found.error_rate, found.error_interval) == (0, 0, 0.0, (0.0, 1.0))
    assert (found.percentile_ms(50), found.max_ms, found.throughput) == (None, None, 0.0)
    assert over_time_of(calls_of()).slices[0].calls == 0
    assert replace(found, seconds=0.0).throughput == 0.0


def test_a_percentile_that_is_only_the_slowest_call_is_left_out() -> None:
    assert only(calls_of(1.0)).percentile_ms(50) is None
    assert only(calls_of(1.0, 2.0)).percentile_ms(50) == pytest.approx(1.0, rel=1e-3)
    assert only(calls_of(*range(1, 100))).percentile_ms(99) is None
    assert only(calls_of(*range(1, 101))).percentile_ms(99) == pytest.approx(99.0, rel=1e-3)
    assert only(calls_of(*range(1, 1_001))).percentile_ms(99.9) == pytest.approx(999.0, rel=1e-3)


def test_what_the_caller_gave_up_is_no_error_of_the_server() -> None:
    calls = replace(calls_of(1.0, 2.0), outcome=np.full(2, OUTCOMES.index(Outcome.CANCELLED), np.uint8))
    assert (only(calls).calls, only(calls).errors) == (2, 0)
    assert over_time_of(calls).slices[0].failed == 0


def test_what_was_never_sent_failed_and_has_no_latency() -> None:
    made = arm(1, failing=0.1)
    unsent = np.arange(600) < 100
    outcome = np.where(unsent, OUTCOMES.index(Outcome.INVALID_OUTPUT), made.outcome).astype(np.uint8)
    latency_ms, service_ms = (np.where(unsent, ms, made.latency_ms) for ms in (0.3, 0.0))
    calls = replace(made, outcome=outcome, latency_ms=latency_ms, service_ms=service_ms)
    found, rest = only(calls), only(made.where(~unsent))
    assert (found.latency, found.service) == (rest.latency, rest.service)
    assert found.throughput == rest.throughput
    assert (found.calls, found.errors) == (600, rest.errors + 100)
    slices, others = over_time_of(calls).slices, over_time_of(made).slices
    assert [each.calls for each in slices] == [each.calls for each in others]
    assert all((each.failed, each.p50_ms, each.max_ms) == (each.calls, None, None) for each in slices[:3])


def test_what_failed_after_it_was_sent_keeps_its_latency() -> None:
    calls = replace(calls_of(1.0, 2.0), outcome=np.full(2, OUTCOMES.index(Outcome.INVALID_OUTPUT), np.uint8))
    assert only(calls).latency.count == only(calls).service.count == 2


def test_names_and_codes_of_a_hostile_server_are_bounded_and_safe_to_print() -> None:
    made = arm(1, tools=(MARKUP + "\x1b[2J\n" + "x" * 9_000,))
    codes = Counter({(made.tools[0], f"E{at}\x1b[31m" + "y" * 9_000): at + 1 for at in range(500)})
    found = only(replace(made, codes=codes))
    assert "\x1b" not in found.tool
    assert len(found.tool) <= 200
    assert len(found.codes) == MOST_CODES + 1
    assert found.codes.total() == codes.total()
    assert found.codes["(other codes)"] == sum(range(1, 451))
    assert all("\x1b" not in code and len(code) <= 200 for code in found.codes)


def test_codes_belong_to_their_tool() -> None:
    made = replace(arm(1, tools=("add", "read")), codes=Counter({("add", "BUSY"): 2, ("read", "BUSY"): 3}))
    assert [each.codes["BUSY"] for each in figures_of(made)] == [2, 3, 5]


def test_over_time_a_stall_is_where_it_was() -> None:
    at_s = np.arange(600) / 100
    made = replace(arm(1, seconds=6, rate=100), at_s=at_s, latency_ms=np.where((at_s >= 3) & (at_s < 3.5), 300.0, 2.0))
    found = over_time_of(made)
    assert found.slice_s == 0.1
    stalled = [each.at_s for each in found.slices if (each.p50_ms or 0) > 100]
    assert stalled == [3.0, 3.1, 3.2, 3.3, 3.4]
    assert sum(each.calls for each in found.slices) == 600


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 1e7), st.floats(0.01, 1e6))
def test_slices_are_few_and_hold_every_call(at_s: float, block_s: float) -> None:
    found = over_time_of(replace(calls_of(1.0, at_s=at_s), block_s=np.array([block_s])))
    assert 1 <= len(found.slices) <= MOST_SLICES
    assert sum(each.calls for each in found.slices) == 1
