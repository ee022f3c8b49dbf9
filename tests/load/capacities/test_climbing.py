"""A ramp asks for the rates that find the knee; the calls are those of a queue that is computed, not waited for."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from invented_stages import RATES, READY, TAKE, WIRE, invented

from mcp_workbench import UsageError
from mcp_workbench.load.capacities.capacity import capacity_of
from mcp_workbench.load.capacities.capacity_prices import CapacityPrices
from mcp_workbench.load.capacities.climbing import read_bursts, read_stages, unfinished, wanted_next
from mcp_workbench.load.capacities.ramp import Ramp, RampSettings
from mcp_workbench.load.measured import OUTCOMES
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step
from mcp_workbench.load.run import Books, Run, ServerCpu
from mcp_workbench.load.workloads.resolving import Resolved
from mcp_workbench.records import Outcome

WORK_S = 0.002
ALONE = Block(0, 0.3, None, 1, "warm-up")
CROWD = Block(0, 1.0, None, 16)


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
