import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import replace

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_arms import HONESTY
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from mcp_workbench import UsageError, Workbench
from mcp_workbench.load.capacities.capacity import Capacity, capacity_of
from mcp_workbench.load.capacities.capacity_prices import CapacityPrices, acapacity_prices, capacity_prices
from mcp_workbench.load.capacities.knee import SLICES, Stage, find_knee
from mcp_workbench.load.capacities.ramp import Ramp, RampSettings, read_bursts, read_stages, unfinished, wanted_next
from mcp_workbench.load.measured import OUTCOMES
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step, Wire
from mcp_workbench.load.preparing import Prepared
from mcp_workbench.load.run import Books, Run, ServerCpu
from mcp_workbench.load.workloads.resolving import Resolved
from mcp_workbench.records import Outcome

SILENT_S = 3_600.0


def queue_server(work_s: float = 0.002) -> MCPServer:
    """Return a server that does one call after the other, which takes as long."""
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


# A search, without the time that one takes: the calls are those of a queue that is computed.

WIRE = Wire("http", "2026-07-28", url="http://127.0.0.1:1/mcp")
READY = Prepared("desk", "http", "own process", WIRE, (), None)
TAKE = (Operation("take", 1.0, (Step("take", ({},)),)),)
WORK_S = 0.002
ALONE = Block(0, 0.3, None, 1, "warm-up")
CROWD = Block(0, 1.0, None, 16)


def computed(
    blocks: Sequence[Block], work_s: float = WORK_S, *, outcome: Outcome = Outcome.OK, begun: int | None = None
) -> Run:
    """Return the run of servers that do one call after the other, which takes exactly as long.

    Args:
        blocks: what is planned.
        work_s: how long a call takes.
        outcome: how all calls end.
        begun: how many of the blocks; all if left out.
    """
    dice = np.random.default_rng(len(blocks))
    intended, end, number, books = [], [], [], []
    now_s = 0.0
    for at, block in enumerate(blocks[:begun]):
        begun_s = free_s = now_s
        if block.rate is not None:
            starts = np.sort(dice.uniform(0, block.seconds, dice.poisson(block.rate * block.seconds))) + begun_s
        else:
            # Users of a closed loop: each begins again when its last call ended, so that the queue never is empty.
            calls = math.ceil(block.seconds / work_s)
            waiting = work_s * (block.users or 1)
            starts = begun_s + np.maximum(0.0, (np.arange(calls) + 1) * work_s - waiting)
        for start_s in starts:
            free_s = max(free_s, float(start_s)) + work_s
            intended.append(round(1e9 * start_s))
            end.append(round(1e9 * free_s))
            number.append(at)
        now_s = max(free_s, begun_s + block.seconds)
        meant = round(1e9 * (begun_s + block.seconds))
        books.append(Books(round(1e9 * begun_s), meant, round(1e9 * now_s), len(starts), 0, 1, 0))
    count = len(end)
    columns = {name: np.zeros(count, np.int64) for name in ("operation", "step", "code", "bytes")}
    columns |= {"block": np.array(number), "outcome": np.full(count, OUTCOMES.index(outcome))}
    columns |= {"intended_ns": np.array(intended), "start_ns": np.array(intended), "end_ns": np.array(end)}
    arms = 1 + max(block.arm for block in blocks)
    plan = Plan((Arm("desk", WIRE, TAKE),) * arms, tuple(blocks))
    return Run(plan, columns, tuple(books), (), ("",), (), (0,) * arms, ServerCpu((None,) * arms))


def searched(work_s: float, settings: RampSettings) -> Ramp:
    """Return a ramp that was offered to a computed server until its knee was found."""
    ramp = Ramp(READY, TAKE, settings)
    wanted = ramp.first_rates(read_bursts(computed([ALONE, CROWD], work_s), {"desk": ramp})["desk"])
    for _ in range(9):
        stages = [Block(0, settings.seconds(rate), rate, None) for rate in wanted]
        read_stages(computed([ALONE, *stages], work_s), {"desk": ramp})
        if not (wanted := ramp.next_rates()):
            return ramp
    raise AssertionError("nine runs were not enough")


@pytest.mark.parametrize("work_s", [0.0005, 0.002, 0.01])
def test_the_knee_of_a_server_whose_capacity_is_known_is_found(work_s: float) -> None:
    knee = searched(work_s, RampSettings()).knee()
    assert knee.criterion == "throughput"
    # What is tolerated, and what chance does to stages of 2 s.
    assert 0.8 / work_s < (knee.rate or 0.0) < 1.1 / work_s
    assert knee.low is not None
    assert knee.high is not None
    assert knee.low <= (knee.rate or 0.0) <= knee.high
    assert knee.high / knee.low < 1.5


def test_the_knee_under_an_objective_lies_where_the_queue_becomes_too_long() -> None:
    knee = searched(WORK_S, RampSettings(slo_p95_ms=8)).knee()
    assert knee.criterion == "latency"
    # By the formulas of such a queue (M/D/1) p95 is 8 ms at some 70 % of what it can do.
    assert 0.5 / WORK_S < (knee.rate or 0.0) < 0.85 / WORK_S


def test_what_a_burst_achieves_is_what_ended_well() -> None:
    ramp = Ramp(READY, TAKE, RampSettings())
    assert read_bursts(computed([ALONE, CROWD]), {"desk": ramp}) == {"desk": pytest.approx(1 / WORK_S, rel=0.01)}
    assert not ramp.ended
    assert read_bursts(computed([ALONE, CROWD], outcome=Outcome.TIMEOUT), {"desk": ramp}) == {"desk": 0}
    assert ramp.ended


@pytest.mark.parametrize("begun", [1, 2, 3])
def test_a_target_whose_turn_never_came_is_not_called_silent(begun: int) -> None:
    # One target hangs, and the generator gives up before all is done.
    ramps = {name: Ramp(READY, TAKE, RampSettings()) for name in ("hangs", "behind")}
    second = [replace(block, arm=1) for block in (ALONE, CROWD)]
    run = computed([ALONE, CROWD, *second], outcome=Outcome.TIMEOUT, begun=begun)
    assert read_bursts(run, ramps) == {"hangs": 0}
    assert [bool(ramp.ended) for ramp in ramps.values()] == [True, False]

    ramps = {name: Ramp(READY, TAKE, RampSettings()) for name in ("hangs", "behind")}
    stages = [Block(arm, 0.3, 100.0, None) for arm in (0, 1)]
    run = computed([ALONE, second[0], *stages], outcome=Outcome.TIMEOUT, begun=begun)
    read_stages(run, ramps)
    assert [len(ramp.stages) for ramp in ramps.values()] == [int(begun > 2), 0]
    assert [bool(ramp.ended) for ramp in ramps.values()] == [True, begun > 1]


def test_a_target_whose_turn_never_came_is_asked_again_once_the_silent_one_is_out() -> None:
    ramps = {name: Ramp(READY, TAKE, RampSettings()) for name in ("hangs", "behind")}
    asked = {"hangs": [100.0], "behind": [200.0]}
    # Nobody is known to be silent: it was something else, and would be so again.
    assert wanted_next(ramps, asked, ["behind"]) == {"hangs": [], "behind": []}
    ramps["hangs"].ended = "it did not answer"
    assert wanted_next(ramps, asked, ["behind"]) == {"hangs": [], "behind": [200.0]}
    assert wanted_next(ramps, asked, ["hangs", "behind"]) == {"hangs": [], "behind": [200.0]}
    ramps["behind"].stages += [invented(rate, 1_000) for rate in RATES]
    assert min(wanted_next(ramps, asked, [])["behind"]) > max(RATES)


@pytest.mark.parametrize("outcome", [Outcome.TOOL_ERROR, Outcome.TIMEOUT])
def test_a_target_without_any_answer_is_asked_for_nothing_more_and_one_that_refuses_is(outcome: Outcome) -> None:
    ramp = Ramp(READY, TAKE, RampSettings())
    ramp.stages += [invented(rate, 1_000) for rate in RATES]
    ramp.heard(computed([Block(0, 0.3, None, 1, "warm-up")], outcome=outcome), 0)
    silent = outcome is Outcome.TIMEOUT
    assert (ramp.ended, not ramp.next_rates()) == ("it did not answer within 5 s" if silent else "", silent)
    notes = capacity_of("desk", ramp, Resolved(TAKE, "0" * 16, "take"), []).notes
    assert any("after some stages it did not answer" in note for note in notes) is silent


def test_a_search_that_had_no_time_to_end_and_one_that_contradicts_itself_are_told_apart() -> None:
    slow, torn = Ramp(READY, TAKE, RampSettings()), Ramp(READY, TAKE, RampSettings())
    slow.stages += [invented(rate, 1_000) for rate in RATES]
    assert slow.next_rates()
    (words,) = unfinished([slow])
    assert words.startswith("the search ended after 9 runs, which were not enough")
    torn.stages += [*[invented(rate, 1_000) for rate in RATES], invented(270, 100)]
    assert max(torn.next_rates()) == 270
    torn.stages += [invented(rate, 1_000) for rate in (200.0, 230.0, 270.0) for _ in range(3)]
    assert min(torn.next_rates()) > 270
    (words,) = unfinished([slow, torn])
    assert words.endswith("because its stages contradict each other")
    assert unfinished([]) == []


# The reports.


def measured(name: str, most: float, notes: Sequence[str] = ()) -> Capacity:
    """Return the capacity of an invented server, with all that a real one has."""
    ramp = Ramp(READY, TAKE, RampSettings(), [invented(rate, most) for rate in RATES], HONESTY)
    return capacity_of(name, ramp, Resolved(TAKE, "0" * 16, "take <it>"), list(notes))


def test_a_capacity_shows_notes_and_honesty_in_text_on_a_page_and_in_json() -> None:
    found = measured("desk", 120, ["first", "<script>alert(1)</script>\x1b[2J"])
    told = json.loads(found.to_json())
    assert (told["knee"], told["criterion"], len(told["rows"])) == (found.knee, "throughput", len(RATES))
    assert told["honesty"]["foreign_share"] == HONESTY.foreign_share
    facts = dict(zip(found.honesty_frame["fact"], found.honesty_frame["value"], strict=True))
    assert facts["conditions"] == "http, own process, open (poisson), protocol 2026-07-28"
    assert facts["void"] == "no"
    assert facts["most in flight"] == "3 of 512 allowed"
    text, page = str(found), found._repr_html_()
    for words in ("first", "alert(1)", "How the last run was measured", "everything else", "take"):
        assert words in text
        assert words in page
    assert "calls/s" in text
    assert ("\x1b" in text + page, "<script>" in page, "<it>" in page) == (False, False, False)
    assert found.plot().png().startswith(b"\x89PNG")
    assert "beyond it" in repr(found.plot())


def test_what_is_void_about_all_stages_is_void_in_the_honesty_block() -> None:
    ramp = Ramp(READY, TAKE, RampSettings(), [invented(50, 1_000), invented(70, 60, share=0.99)], HONESTY)
    found = capacity_of("desk", ramp, Resolved(TAKE, "0" * 16, "take"), [])
    assert found.honesty_frame["value"][0] == found.void != ""


def test_without_a_run_there_is_nothing_to_be_honest_about() -> None:
    none = capacity([])
    assert len(none.honesty_frame) == 0
    assert none.reason == "nothing was measured"
    assert "no capacity was found" in none._repr_html_()


def test_capacities_are_priced_against_the_first_one() -> None:
    slow = measured("<b>slow</b>", 80, ["of all", "of <b>one</b>"])
    found = CapacityPrices(
        "take",
        {"bare": measured("bare", 160, ["of all"]), "<b>slow</b>": slow},
        80.0,
        {"bare": 2.0, "<b>slow</b>": 4.0},
    )
    assert found.ok
    assert found.frame["target"].tolist() == ["bare", "<b>slow</b>"]
    assert found.frame["ends it"].tolist() == ["throughput"] * 2
    ratio, low, high = found.ratio("<b>slow</b>")
    assert ratio == pytest.approx(0.5, rel=0.1)
    assert (low, high) == (pytest.approx(ratio, rel=0.1), pytest.approx(ratio, rel=0.1))
    assert "bare takes" in found.headline()
    assert {"of all", "<b>slow</b>: of <b>one</b>"} <= set(found.notes)
    assert found.honesty_frame["target"].unique().tolist() == ["bare", "<b>slow</b>"]
    page = found._repr_html_()
    assert ("<b>" in page, "of all" in page, "Little" in page, "of all" in str(found), "Little" in str(found)) == (
        False,
        *(True,) * 4,
    )
    assert found.plot().png().startswith(b"\x89PNG")


# Real servers. What this machine does with them is no claim of these tests.


@pytest.fixture(scope="module")
def prices() -> CapacityPrices:
    """One ladder of two servers, which ends at the limit of the search."""

    async def measured() -> CapacityPrices:
        targets = {"one": queue_server(), "two": queue_server()}
        return await acapacity_prices(targets, "take", start_rate=400, stage=0.1, limit=1, progress=False)

    return asyncio.run(measured())


def test_real_servers_are_offered_the_same_rates_in_turns(prices: CapacityPrices) -> None:
    for each in prices.capacities.values():
        assert [stage.rate for stage in each.stages] == [400.0, 560.0, 784.0, 1_100.0]
        assert all(stage.offered and len(stage.latency_ms) for stage in each.stages)
        assert any(stage.ended_well for stage in each.stages)
        # A call takes 2 ms, and no two are made at once; after a stage of 0.1 s the last may take 0.05 s at most.
        assert all(stage.achieved < 800 for stage in each.stages)
        assert each.honesty is not None
        assert len(each.honesty_frame) >= 16
    assert set(prices.half_p50_ms) <= set(prices.capacities)


def test_a_search_ends_at_its_limit_and_says_so(prices: CapacityPrices) -> None:
    assert any("at its limit of 1 s" in note for note in prices.notes)


def test_a_target_that_does_not_answer_is_named_and_keeps_no_other_from_being_measured() -> None:
    targets = {"hangs": queue_server(SILENT_S), "answers": queue_server(0.0)}
    found = capacity_prices(targets, "take", timeout=0.4, stage=0.1, max_rate=50, limit=1, progress=False)
    silent = found.capacities["hangs"]
    assert (silent.ok, silent.knee, silent.reason) == (False, None, "it did not answer within 0.4 s")
    assert found.frame["ends it"][0] == "no answer"
    assert found.headline().endswith("it did not answer within 0.4 s")
    assert found.capacities["answers"].stages


def test_a_tool_that_always_fails_has_no_capacity() -> None:
    with Workbench(queue_server()) as wb:
        found = wb.capacity("refuse", start_rate=100, stage=0.1, progress=False)
    assert found.knee is None
    assert "calls fail" in found.reason
    assert any("the first call" in note for note in found.notes)


def test_what_cannot_be_priced_is_refused() -> None:
    with pytest.raises(UsageError, match="targets= takes 1 to 20 targets"):
        capacity_prices({}, "take", progress=False)
