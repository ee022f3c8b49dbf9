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

from mcp_workbench import UnreachableError, UsageError, Workbench
from mcp_workbench.load.capacities import capacity_prices as capacity_prices_module
from mcp_workbench.load.capacities.capacity import Capacity, capacity_of
from mcp_workbench.load.capacities.capacity_prices import CapacityPrices, acapacity_prices, capacity_prices
from mcp_workbench.load.capacities.climbing import read_bursts, read_stages, unfinished, wanted_next
from mcp_workbench.load.capacities.knee import SLICES, Stage, find_knee
from mcp_workbench.load.capacities.ramp import Ramp, RampSettings
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
        ended_well=failed < 10 * SLICES,
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
    blocks: Sequence[Block],
    work_s: float = WORK_S,
    *,
    outcome: Outcome = Outcome.OK,
    begun: int | None = None,
    first_s: float = 0.0,
    away_s: float = 0.0,
) -> Run:
    """Return the run of servers that do one call after the other, which takes exactly as long.

    Args:
        blocks: what is planned.
        work_s: how long a call takes.
        outcome: how all calls end.
        begun: how many of the blocks; all if left out.
        first_s: how much longer the first call takes.
        away_s: how much longer each call takes, in which others are done meanwhile.
    """
    dice = np.random.default_rng(len(blocks))
    intended, end, number, books = [], [], [], []
    now_s = 0.0
    for at, block in enumerate(blocks[:begun]):
        begun_s = free_s = now_s
        if block.rate is not None:
            starts = list(np.sort(dice.uniform(0, block.seconds, dice.poisson(block.rate * block.seconds))) + begun_s)
        else:
            starts = [begun_s] * (block.users or 1)
        made = 0
        # The users of a closed loop begin again when their last call has ended.
        while made < len(starts):
            free_s = max(free_s, float(starts[made])) + work_s + (0.0 if end else first_s)
            intended.append(round(1e9 * starts[made]))
            end.append(round(1e9 * (free_s + away_s)))
            number.append(at)
            made += 1
            if block.users is not None and free_s + away_s < begun_s + block.seconds:
                starts.append(free_s + away_s)
        now_s = max(free_s + away_s, begun_s + block.seconds)
        meant = round(1e9 * (begun_s + block.seconds))
        books.append(Books(round(1e9 * begun_s), meant, round(1e9 * now_s), len(starts), 0, 1, 0))
    count = len(end)
    columns = {name: np.zeros(count, np.int64) for name in ("operation", "step", "code", "bytes")}
    columns |= {"block": np.array(number), "outcome": np.full(count, OUTCOMES.index(outcome))}
    columns |= {"intended_ns": np.array(intended), "start_ns": np.array(intended), "end_ns": np.array(end)}
    arms = 1 + max(block.arm for block in blocks)
    plan = Plan((Arm("desk", WIRE, TAKE),) * arms, tuple(blocks))
    return Run(plan, columns, tuple(books), (), ("",), (), (0,) * arms, ServerCpu((None,) * arms))


def searched(work_s: float, settings: RampSettings, *, first_s: float = 0.0, away_s: float = 0.0) -> Ramp:
    """Return a ramp that was offered to a computed server until its knee was found."""
    ramp = Ramp(READY, TAKE, settings)
    burst = computed([ALONE, ALONE, CROWD], work_s, first_s=first_s, away_s=away_s)
    wanted = ramp.first_rates(read_bursts(burst, {"desk": ramp})["desk"])
    for _ in range(9):
        stages = [Block(0, ramp.seconds(rate), rate, None) for rate in wanted]
        read_stages(computed([ALONE, *stages], work_s, first_s=first_s, away_s=away_s), {"desk": ramp})
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


@pytest.mark.parametrize("away_s", [1.5, 4.0])
def test_the_knee_of_a_tool_that_takes_longer_than_half_a_stage_is_that_of_its_server(away_s: float) -> None:
    found = searched(0.01, RampSettings(max_rate=200), away_s=away_s)
    knee = found.knee()
    assert all(stage.seconds > 5 * away_s for stage in found.stages)
    assert knee.criterion == "throughput"
    # What is tolerated, and the tenth of a stage that operations may take longer.
    assert 80 < (knee.rate or 0.0) < 100 * 1.1 * 1.06


@pytest.mark.parametrize("first_s", [0.0, 0.5])
def test_a_slow_first_call_of_a_fresh_process_does_not_raise_the_knee(first_s: float) -> None:
    found = searched(0.01, RampSettings(), first_s=first_s)
    assert found.alone_s == pytest.approx(0.01)
    assert 80 < (found.knee().rate or 0.0) < 110
    assert all(stage.verdict(None) != "holds" for stage in found.stages if stage.offered_rate > 120)


def test_of_operations_that_are_too_slow_for_any_stage_no_knee_is_invented() -> None:
    ramp = Ramp(READY, TAKE, RampSettings(limit_s=60))
    read_bursts(computed([ALONE, ALONE, CROWD], 0.01, away_s=4.0), {"desk": ramp})
    assert ramp.first_rates(4.0) == []
    found = capacity_of("desk", ramp, Resolved(TAKE, "0" * 16, "take"), [])
    words = (
        "an operation alone takes 4.01 s, and stages of 10 s are too short to tell whether answers follow; give stage="
    )
    assert (found.ok, found.knee, found.reason) == (False, None, f"{words}8")
    prices = CapacityPrices("take", {"desk": found}, None, {})
    assert prices.frame["ends it"].tolist() == ["too slow"]
    # What it says helps.
    longer = Ramp(READY, TAKE, RampSettings(limit_s=60, stage_s=8), kinds_alone_s=ramp.kinds_alone_s)
    assert longer.first_rates(4.0)


MIX = (
    Operation("take", 3.0, (Step("take", ({},)),)),
    Operation("flow", 1.0, (Step("take", ({},)), Step("take", ({},), think_s=3.0))),
)


def mixed(calls: Sequence[tuple[int, int, float, float]], block: Block) -> Run:
    """Return a run of one block; of each call its operation in the mix, step, begin and end."""
    run = computed([block])
    operation, step, begin_s, end_s = (np.array(column) for column in zip(*calls, strict=True))
    intended_ns = np.round(1e9 * begin_s).astype(np.int64)
    columns = {name: np.zeros(len(calls), np.int64) for name in run.columns}
    columns |= {"operation": operation, "step": step, "end_ns": np.round(1e9 * end_s).astype(np.int64)}
    columns |= {"intended_ns": intended_ns, "start_ns": intended_ns}
    books = (replace(run.books[0], offered=int((step == 0).sum())),)
    return replace(run, plan=replace(run.plan, arms=(Arm("desk", WIRE, MIX),)), columns=columns, books=books)


def test_how_long_an_operation_takes_alone_has_think_times_in_it_and_its_kinds_by_their_shares() -> None:
    ramp = Ramp(READY, MIX, RampSettings())
    # The first call is that of a fresh process.
    calls = [(0, 0, 0.0, 0.5), (0, 0, 0.5, 0.6), (1, 0, 0.6, 0.7), (1, 1, 3.7, 3.8)]
    ramp.heard(mixed(calls, ALONE), 0)
    assert ramp.kinds_alone_s == pytest.approx({0: 0.1, 1: 3.2})
    assert ramp.alone_s == pytest.approx((3 * 0.1 + 3.2) / 4)
    # What was not seen again is still known.
    ramp.heard(mixed([(0, 0, 0.0, 0.5), (0, 0, 0.5, 0.7)], ALONE), 0)
    assert ramp.kinds_alone_s == pytest.approx({0: 0.2, 1: 3.2})


def test_each_kind_of_a_mix_may_end_as_much_later_than_the_stage_as_it_takes() -> None:
    stage = Block(0, 5.0, 4.0, None)
    ramp = Ramp(READY, MIX, RampSettings(), kinds_alone_s={0: 0.1, 1: 3.2})
    flows = [(begin_s, step) for begin_s in (1.0, 2.0, 3.0, 4.0, 4.9) for step in (0, 1)]
    calls = [(1, step, begin_s + 3.1 * step, begin_s + 3.1 * step + 0.1) for begin_s, step in flows]
    calls += [(0, 0, at / 3, at / 3 + 0.1) for at in range(15)]
    read_stages(mixed(calls, stage), {"desk": ramp})
    assert ramp.stages[0].undone == 0.0
    assert ramp.stages[0].verdict(None) == "holds"
    # What is late for its own kind is not done, even if another kind may take so long.
    late = [(kind, step, begin_s, end_s + 2.0 * (kind == 0)) for kind, step, begin_s, end_s in calls]
    read_stages(mixed(late, stage), {"desk": ramp})
    assert ramp.stages[1].verdict(None) == "falls behind"


def test_calls_that_were_never_sent_are_in_no_latency_of_a_stage() -> None:
    stage = Block(0, 5.0, 4.0, None)
    calls = [(1, step, at / 4 + 0.2 * step, at / 4 + 0.2 + 0.1 * step) for at in range(18) for step in (0, 1)]
    run = mixed(calls, stage)
    second = run.columns["step"] == 1
    unsent = {
        "outcome": np.where(second, OUTCOMES.index(Outcome.INVALID_OUTPUT), OUTCOMES.index(Outcome.OK)),
        "end_ns": np.where(second, run.columns["start_ns"], run.columns["end_ns"]),
    }
    ramp = Ramp(READY, MIX, RampSettings())
    read_stages(replace(run, columns=run.columns | unsent), {"desk": ramp})
    (found,) = ramp.stages
    assert (found.failed, len(found.latency_ms), len(found.tenth)) == (18, 18, 18)
    assert found.percentile_ms(1) == pytest.approx(200.0)
    assert found.ended_well
    assert found.verdict(None) == "calls fail"


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


@pytest.mark.parametrize(
    ("ended", "words"),
    [(False, "no target answered at http://x; is it there?"), (True, "no target answers any more; see their logs")],
)
def test_targets_that_are_gone_after_the_search_cost_none_of_what_was_found(
    monkeypatch: pytest.MonkeyPatch, ended: bool, words: str
) -> None:
    async def found(connections: dict[str, object], *_: object, **__: object) -> dict[str, Capacity]:
        why = "it did not answer within 5 s" if ended else ""
        return {name: replace(measured(name, 120), ended=why) for name in connections}

    async def gone(*_: object, **__: object) -> Run:
        raise UnreachableError("no target answered at http://x; is it there?")

    monkeypatch.setattr(capacity_prices_module, "find_capacities", found)
    monkeypatch.setattr(capacity_prices_module, "drive", gone)
    prices = capacity_prices({"one": queue_server(), "two": queue_server()}, "take", progress=False)
    assert [each.knee is not None for each in prices.capacities.values()] == [True, True]
    assert (prices.half_p50_ms, prices.frame["p50 ms at half"].isna().all()) == ({}, True)
    assert prices.notes[-1].startswith(f"p50 at half of what the first one takes was not measured: {words}")
    assert prices.notes[-1] in str(prices)


def test_a_tool_that_always_fails_has_no_capacity() -> None:
    with Workbench(queue_server()) as wb:
        found = wb.capacity("refuse", start_rate=100, stage=0.1, progress=False)
    assert found.knee is None
    assert "calls fail" in found.reason
    assert any("the first call" in note for note in found.notes)


def test_a_real_tool_that_is_too_slow_for_any_stage_is_offered_none() -> None:
    with Workbench(queue_server(0.1)) as wb:
        found = wb.capacity("take", start_rate=20, stage=0.1, limit=1, progress=False)
    assert found.knee is None
    assert found.stages == ()
    assert found.reason.startswith("an operation alone takes")
    assert "no capacity was found; an operation alone takes" in found.headline()


def test_what_cannot_be_priced_is_refused() -> None:
    with pytest.raises(UsageError, match="targets= takes 1 to 20 targets"):
        capacity_prices({}, "take", progress=False)
