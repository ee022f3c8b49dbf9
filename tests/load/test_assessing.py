"""The honesty block: what a run that is known says of how its load was made."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
from invented_arms import CONDITIONS
from mcp_types import Tool

from mcp_workbench.load.assessing import assess
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.baselines.honesty_words import honesty_words
from mcp_workbench.load.generator.answers import GENERATOR_NO_SOCKETS
from mcp_workbench.load.generator.ledger import COLUMNS
from mcp_workbench.load.measured import OUTCOMES
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step, Wire
from mcp_workbench.load.run import Beat, Books, Run, ServerCpu
from mcp_workbench.records import Outcome

MS = 1_000_000
CORES = psutil.cpu_count() or 1
ADD = Tool(
    name="add",
    input_schema={"type": "object"},
    output_schema={"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]},
)
RIGHT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"sum":3},"isError":false}}'
WRONG = b'{"jsonrpc":"2.0","id":2,"result":{"content":[],"structuredContent":{"sum":"3"},"isError":false}}'
SHAPELESS = b'{"jsonrpc":"2.0","id":3,"result":{"content":7}}'


def run_of(
    *,
    calls: int = 100,
    late_ms: float = 0.0,
    service_ms: float = 2.0,
    dropped: int = 0,
    generator: float = 0.1,
    waiting: float = 0.0,
    server_s: float | None = 0.4,
    busy_s: float = 0.7,
    samples: Sequence[bytes] = (),
    kind: Any = "http",
    in_flight: float = 1.0,
    users: int | None = None,
) -> Run:
    """Return a run of one second against one target, in which a call was meant to begin every 1 / ``calls`` s.

    Args:
        calls: how many calls there were.
        late_ms: how long after its intended start each was sent.
        service_ms: how long each took from its sending.
        dropped: how many operations more were meant to begin.
        generator: the generator's CPU, as a share of the second.
        waiting: how long it waited for a processor, as a share of the second.
        server_s: CPU time of the server.
        busy_s: CPU time of everything.
        samples: answers that were kept.
        kind: how the target was spoken to.
        in_flight: what was counted as calls in flight, in what it should be.
        users: of a closed load; an open one without.
    """
    operations = (Operation("add", 1.0, (Step("add", ("{}",)),)),)
    block = Block(0, 1.0, None if users else float(calls), users)
    plan = Plan((Arm("shop", Wire(kind, "2026-07-28"), operations),), (block,))
    columns = {name: np.zeros(calls, dtype=type_) for name, type_ in COLUMNS.items()}
    columns["intended_ns"] = np.arange(calls) * (1_000 * MS // calls)
    columns["start_ns"] = columns["intended_ns"] + round(late_ms * MS)
    columns["end_ns"] = columns["start_ns"] + round(service_ms * MS)
    in_flight_ns = round(in_flight * calls * service_ms * MS)
    books = Books(0, 1_000 * MS, 1_000 * MS, calls + dropped, dropped, 3, in_flight_ns)
    beats = [
        Beat(at * 100 * MS, 0, round(at * 100 * MS * generator), round(at * 100 * MS * waiting)) for at in range(11)
    ]
    cpu = ServerCpu((server_s,), busy_s)
    return Run(plan, columns, (books,), tuple(beats), ("",), tuple((0, "add", each) for each in samples), (0,), cpu)


def honesty_of(**told: Any) -> Honesty:
    run = run_of(**told)
    return assess(run, [0], run.calls(0), [ADD])


def test_a_run_that_had_time_to_spare_is_told_as_it_was() -> None:
    found = honesty_of(late_ms=0.5)
    assert (found.void, found.notes) == ((), ())
    assert (found.generator_share, found.waiting_share, found.worst_share) == pytest.approx((0.1, 0.0, 0.1))
    assert (found.server_share, found.generator_us) == pytest.approx((0.4, 1_000))
    assert (found.slip_p50_ms, found.slip_p99_ms) == pytest.approx((0.5, 0.5))
    assert (found.offered, found.achieved, found.rate, found.little) == (100, 100, pytest.approx(100), pytest.approx(1))


def test_what_neither_the_server_nor_the_generator_did_is_foreign() -> None:
    assert honesty_of(generator=0.1, server_s=0.4, busy_s=0.7).foreign_share == pytest.approx(0.2)
    assert honesty_of(generator=0.1, server_s=0.4, busy_s=0.3).foreign_share == 0
    unseen = honesty_of(server_s=None)
    assert (unseen.server_share, unseen.foreign_share) == (None, pytest.approx(0.6))


def test_a_server_that_cannot_be_seen_is_no_other_program() -> None:
    unseen = honesty_of(server_s=None, busy_s=0.5 + CORES)
    words = "everything but the generator, the server among it if it runs on this machine, kept"
    assert unseen.notes == (
        f"{words} {CORES + 0.4:.1f} of {CORES} cores busy: what that does to the figures is in them",
    )
    rows = dict(honesty_words(unseen, CONDITIONS))
    assert rows["server"] == "cannot be seen"
    assert rows["everything else"].endswith("cores, the server among it if it runs on this machine")
    assert dict(honesty_words(honesty_of(), CONDITIONS))["everything else"] == f"20% of a core, of {CORES} cores"
    within = honesty_of(server_s=None, busy_s=0.5 + CORES, kind="in-process")
    assert any(note.startswith("other programs kept") for note in within.notes)
    said = dict(honesty_words(within, replace(CONDITIONS, placement="in the generator")))
    assert (said["server"], said["everything else"][-5:]) == ("in the generator's figures", "cores")


def beside(run: Run, servers_s: tuple[float | None, ...], pids: tuple[int | None, ...]) -> Run:
    """Return the run with as many arms as there are servers, each measured for a second."""
    count = len(servers_s)
    blocks = tuple(replace(run.plan.blocks[0], arm=arm) for arm in range(count))
    return replace(
        run,
        plan=replace(run.plan, arms=run.plan.arms * count, blocks=blocks),
        books=run.books * count,
        reconnected=(0,) * count,
        server_cpu=ServerCpu(servers_s, 1.0, pids),
    )


def test_servers_in_one_process_have_no_share_of_their_own_and_are_counted_once() -> None:
    run = beside(run_of(), (0.6, 0.6, 0.2), (7, 7, 8))
    found = [assess(run, [arm], run.calls(arm), [ADD]) for arm in range(3)]
    assert [each.server_share for each in found] == [None, None, pytest.approx(0.2)]
    # Of 1.0 s, 0.8 were the servers', and 0.1 the generator's.
    assert [each.foreign_share for each in found] == pytest.approx([0.1] * 3)
    words = dict(honesty_words(found[0], replace(CONDITIONS, placement="in the kernel")))
    assert words["server"] == "in one process with the other server"


def test_arms_of_one_target_in_one_process_have_its_share() -> None:
    run = beside(run_of(), (0.6, 0.6, None), (7, 7, None))
    assert assess(run, [0, 1], run.calls(0, 1), [ADD]).server_share == pytest.approx(0.3)
    assert assess(run, [2], run.calls(2), [ADD]).server_share is None


@pytest.mark.parametrize(("generator", "waiting"), [(0.97, 0.0), (0.5, 0.46)])
def test_a_generator_without_time_to_spare_makes_it_void(generator: float, waiting: float) -> None:
    assert "the generator was the bottleneck" in honesty_of(generator=generator, waiting=waiting).void[0]
    assert honesty_of(generator=0.5, waiting=0.2).void == ()


def test_blocks_of_other_figures_do_not_hide_a_generator_that_was_busy_in_these() -> None:
    run = run_of(generator=0.98)
    idle = [Beat(1_000 * MS + at * 100 * MS, 1, 980 * MS, 0) for at in range(1, 91)]
    rest = Books(1_000 * MS, 10_000 * MS, 10_000 * MS, 0, 0, 0, 0)
    both = replace(
        run,
        plan=replace(run.plan, blocks=run.plan.blocks * 2),
        books=(*run.books, rest),
        beats=(*run.beats, *idle),
    )
    assert assess(both, [0], both.calls(0), [ADD]).void == ()
    assert assess(both, [0], both.calls(0, blocks=[0]), [ADD], blocks=[0]).void


def test_waiting_for_a_call_that_hangs_does_not_hide_a_generator_that_was_busy() -> None:
    run = run_of(generator=1.0)
    waiting = [Beat(1_000 * MS + at * 100 * MS, 0, 1_000 * MS + at * MS, 0) for at in range(1, 101)]
    hung = replace(run, books=(replace(run.books[0], ended_ns=11_000 * MS),), beats=(*run.beats, *waiting))
    found = assess(hung, [0], hung.calls(0), [ADD])
    assert "the generator was the bottleneck" in found.void[0]
    assert (found.generator_share, found.worst_share) == pytest.approx((1.0, 1.0))
    # What it cost is all that it cost.
    assert found.generator_us == pytest.approx(1e6 * 1.1 / 100)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"dropped": 7}, "7 operations never began, because too many calls were unanswered"),
        ({"late_ms": 5.0}, "1 of 100 calls was sent 5.0 ms late or later"),
        ({"generator": 0.85}, "the generator was 85% busy in the busiest fifth"),
        ({"in_flight": 0.8}, "Little's law does not hold (0.80 instead of 1)"),
        ({"samples": [RIGHT, WRONG, SHAPELESS]}, "2 of 3 answers, checked in full, are not what was promised"),
        ({"busy_s": 0.5 + CORES}, f"other programs kept {CORES:.1f} of {CORES} cores busy"),
        ({"kind": "in-process"}, "the server ran in the loop of the generator"),
    ],
)
def test_what_a_reader_should_know_is_a_note(told: dict[str, Any], words: str) -> None:
    found = honesty_of(**told)
    assert any(words in note for note in found.notes), found.notes
    assert found.void == ()


def test_calls_that_were_never_sent_are_told_with_what_they_had_needed() -> None:
    run = run_of()
    steps = (Step("find", ({},), keep="found"), Step("read", ({"id": "${found.hits.0.id}", "key": "${unique}"},)))
    flow = Operation("find and read", 1.0, steps)
    arms = (replace(run.plan.arms[0], operations=(flow,)),)
    second = np.arange(100) >= 60
    columns = run.columns | {
        "step": second.astype(np.uint16),
        "outcome": np.where(second, OUTCOMES.index(Outcome.INVALID_OUTPUT), run.columns["outcome"]),
        "end_ns": np.where(second, run.columns["start_ns"], run.columns["end_ns"]),
    }
    lacking = replace(run, plan=replace(run.plan, arms=arms), columns=columns)
    assert assess(lacking, [0], lacking.calls(0), [ADD]).notes[0] == (
        "40 calls of read were never sent: step 2 of 'find and read' takes ${found.hits.0.id}, which is not in the "
        "structured content of an earlier step; see what that tool answers"
    )


def test_answers_that_were_promised_are_checked_and_no_note() -> None:
    found = honesty_of(samples=[RIGHT, RIGHT])
    assert (found.sampled, found.sampled_wrong, found.notes) == (2, 0, ())


def test_answers_are_held_against_the_promises_of_the_arm_that_gave_them() -> None:
    run = run_of(samples=[RIGHT, RIGHT])
    # The same server as three arms: one more release, and one that only warms up.
    arms = (*run.plan.arms, *run.plan.arms)
    blocks = (*run.plan.blocks, replace(run.plan.blocks[0], arm=1), replace(run.plan.blocks[0], phase="warm-up"))
    both = replace(
        run,
        plan=replace(run.plan, arms=arms, blocks=blocks),
        books=run.books * 3,
        samples=(*run.samples, (1, "add", WRONG), (2, "add", WRONG)),
        reconnected=(0, 0),
        server_cpu=ServerCpu((0.4, 0.4), 0.7),
    )
    found = [assess(both, [arm], both.calls(arm), [ADD]) for arm in (0, 1)]
    assert [(each.sampled, each.sampled_wrong) for each in found] == [(2, 0), (1, 1)]


def test_a_server_in_the_generators_loop_is_void_once_its_queue_is_the_generators_own() -> None:
    assert honesty_of(kind="in-process", generator=0.99).void == ()
    assert "did not keep up" in honesty_of(kind="in-process", late_ms=50.0).void[0]
    assert "did not keep up" in honesty_of(kind="in-process", dropped=1).void[0]
    assert honesty_of(kind="in-process", users=4, late_ms=50.0).void == ()


def test_calls_for_which_the_generator_had_no_socket_are_not_the_servers() -> None:
    run = run_of()
    run.columns["outcome"][:3] = 1
    run.columns["code"][:3] = 1
    lacking = replace(run, codes=("", GENERATOR_NO_SOCKETS))
    found = assess(lacking, [0], lacking.calls(0), [ADD])
    assert found.void[0].startswith("the generator had no socket left for 3 calls")
