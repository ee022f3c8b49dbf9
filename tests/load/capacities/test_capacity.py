import asyncio
import json
import math

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from mcp_workbench import UsageError, Workbench
from mcp_workbench.load.capacities.capacity import Capacity
from mcp_workbench.load.capacities.capacity_prices import CapacityPrices, acapacity_prices, capacity_prices
from mcp_workbench.load.capacities.knee import SLICES, Stage, find_knee
from mcp_workbench.load.capacities.ramp import RampSettings

# A queue of one: 2 ms a call, and what the event loop adds.
WORK_S = 0.002
MOST = 1 / WORK_S


def queue_server(work_s: float = WORK_S) -> MCPServer:
    server = MCPServer("queue", log_level="ERROR")
    lock = anyio.Lock()

    @server.tool()
    async def take() -> str:
        async with lock:
            await anyio.sleep(work_s)
        return "done"

    @server.tool()
    async def refuse() -> str:
        raise ToolError("no")

    return server


def invented(
    rate: float, most: float, *, p95_ms: float = 5.0, dropped: int = 0, failed: int = 0, share: float = 0.1
) -> Stage:
    """Return a stage of two seconds against a server that does ``most`` operations a second."""
    tenth_s = 2 / SLICES
    well = min(rate, most) - failed / 2 - dropped / 2
    return Stage(
        rate=rate,
        seconds=2.0,
        offered=round(2 * rate),
        dropped=dropped,
        failed=failed,
        generator_share=share,
        void=share >= 0.95,
        arrived=np.full(SLICES, rate * tenth_s),
        done=np.full(SLICES, well * tenth_s),
        latency_ms=np.full(10 * SLICES, p95_ms),
        tenth=np.repeat(np.arange(SLICES), 10),
    )


RATES = (50.0, 70.0, 98.0, 110.0, 137.0, 192.0)


def capacity(stages: list[Stage], slo_p95_ms: float | None = None) -> Capacity:
    how = RampSettings(slo_p95_ms=slo_p95_ms)
    return Capacity("desk", "http, own process", "take", tuple(stages), find_knee(stages, slo_p95_ms), how)


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stage_s": 0}, "stage=0 makes no ramp"),
        ({"start_rate": -3}, "start_rate=-3 makes no ramp"),
        ({"slo_p95_ms": math.nan}, "slo_p95_ms=nan makes no ramp"),
        ({"start_rate": 50, "max_rate": 20}, "start_rate=50 lies above max_rate=20"),
        ({"max_in_flight": 0}, "max_in_flight=0 makes no ramp"),
    ],
)
def test_what_makes_no_ramp_is_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RampSettings(**options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def prices() -> CapacityPrices:
    """One ladder of a server whose capacity is known, in turns with one that takes a third of it."""

    async def measured() -> CapacityPrices:
        targets = {"bare": queue_server(), "<b>slow</b>": queue_server(3 * WORK_S)}
        return await acapacity_prices(targets, "take", stage=0.1, resolution=0.4, limit=1, progress=False)

    return asyncio.run(measured())


def test_the_knee_of_a_server_whose_capacity_is_known_is_found(prices: CapacityPrices) -> None:
    found = prices.capacities["bare"]
    assert found.ok
    assert found.knee is not None
    assert MOST / 8 < found.knee < 1.2 * MOST
    assert found.reason == "beyond it answers do not follow what is offered"
    low, high = found.band
    assert low is None or low <= found.knee
    assert high is None or high >= found.knee
    told = json.loads(found.to_json())
    assert (told["knee"], told["criterion"], len(told["rows"])) == (found.knee, "throughput", len(found.stages))
    assert "calls/s" in str(found)
    assert found.plot().png().startswith(b"\x89PNG")
    assert "beyond it" in repr(found.plot())


def test_a_search_ends_at_its_limit_and_says_so(prices: CapacityPrices) -> None:
    assert all(any("at its limit of 1 s" in note for note in each.notes) for each in prices.capacities.values())


def test_capacities_are_priced_against_the_first_one(prices: CapacityPrices) -> None:
    rows = prices.frame
    assert rows["target"].tolist() == ["bare", "<b>slow</b>"]
    ratio, low, high = prices.ratio("<b>slow</b>")
    assert ratio is not None
    assert 0.1 < ratio < 0.9
    assert low is None or high is None or low <= high
    assert prices.half_p50_ms["<b>slow</b>"] > prices.half_p50_ms["bare"]
    assert "bare takes" in prices.headline()
    assert "<b>slow" not in prices._repr_html_()
    assert prices.plot().png().startswith(b"\x89PNG")


def test_a_tool_that_always_fails_has_no_capacity() -> None:
    with Workbench(queue_server()) as wb:
        found = wb.capacity("refuse", start_rate=100, stage=0.1, progress=False)
    assert found.knee is None
    assert "calls fail" in found.reason
    assert any("the first call" in note for note in found.notes)


def test_what_cannot_be_priced_is_refused() -> None:
    with pytest.raises(UsageError, match="targets= takes 1 to 20 targets"):
        capacity_prices({}, "take", progress=False)
