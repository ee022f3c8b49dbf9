"""The engine over a wire of this process: operations begin when they should, and the books are right."""

import asyncio
import json
import math
import selectors
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_wires import LoopWire

from mcp_workbench.load.generator import engine as engine_module
from mcp_workbench.load.generator.answers import OK, OUTCOMES, TRANSPORT_ERROR
from mcp_workbench.load.generator.call import Call, Request
from mcp_workbench.load.generator.engine import BlockBooks, Engine
from mcp_workbench.load.generator.ledger import Ledger
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step
from mcp_workbench.load.plan import Wire as WirePlan

Answering = Callable[[dict[str, Any]], tuple[float | None, int, str, Any]]
"""What a wire does with the arguments of a call: after how many seconds it ends (``None``: never), and how."""
BEFORE_SENT = -1.0
"""For a wire: the call has ended before whoever sends it goes on."""


class InventedTime(selectors.SelectSelector):
    """Time that jumps to what is due next: a machine that pauses, or is slow, takes none of it."""

    TURN_NS = 1_000

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 1_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left to happen"
        # Each turn of the loop takes some time, or a loop that asks again and again would stand still.
        self.now_ns += max(self.TURN_NS, math.ceil(timeout * 1e9))
        return super().select(0)


class InventedLoop(asyncio.SelectorEventLoop):
    """A loop whose timers go by the invented time."""

    def __init__(self, invented: InventedTime) -> None:
        self._invented = invented
        super().__init__(invented)

    def time(self) -> float:
        return self._invented.now_ns / 1e9


@pytest.fixture
def invented_time(monkeypatch: pytest.MonkeyPatch) -> InventedTime:
    invented = InventedTime()
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(monotonic_ns=invented.monotonic_ns))
    return invented


class AskedWire(LoopWire):
    """A wire that keeps what it was asked, and answers as it is told."""

    def __init__(self, answering: Answering) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []
        self.given_up: list[int] = []
        self.came_late = 0
        self._answering = answering

    def send(self, call: Call, request: Request) -> None:
        assert self.engine is not None
        arguments = json.loads(request[1])
        self.asked.append(arguments)
        after_s, outcome, code, result = self._answering(arguments)
        message = {"id": call.id, "result": {"structuredContent": result}}
        if after_s == BEFORE_SENT:
            self.engine.ended(call, outcome, code, b"{}", message)
        elif after_s is not None:
            asyncio.get_running_loop().call_later(after_s, self._answer, call, outcome, code, message)

    def give_up(self, call: Call) -> None:
        self.given_up.append(call.id)

    def _answer(self, call: Call, outcome: int, code: str, message: dict[str, Any]) -> None:
        assert self.engine is not None
        self.came_late += call.id in self.given_up
        self.engine.ended(call, outcome, code, b"{}", message)


class Made:
    """What a load has made: the ledger's columns, and the books."""

    def __init__(self, ledger: Ledger, books: list[BlockBooks], wire: AskedWire) -> None:
        self.column = {name: np.array(column) for name, column in ledger.columns.items()}
        self.codes = list(ledger.codes)
        self.books = books
        self.wire = wire

    def __len__(self) -> int:
        return len(self.column["outcome"])

    def outcomes(self) -> dict[str, int]:
        return dict(Counter(OUTCOMES[number].value for number in self.column["outcome"]))

    def in_flight_ns(self) -> int:
        return int((self.column["end_ns"] - self.column["start_ns"]).sum())


def at_once(_: dict[str, Any]) -> tuple[float | None, int, str, Any]:
    return 0.0, OK, "", {"made": "thing", "number": 7}


def never(_: dict[str, Any]) -> tuple[float | None, int, str, Any]:
    return None, OK, "", None


def single(name: str = "make", weight: float = 1.0, **arguments: Any) -> Operation:
    return Operation(name, weight, (Step(name, (arguments,)),))


def load(
    answering: Answering,
    *blocks: Block,
    operations: tuple[Operation, ...] = (single(),),
    invented: InventedTime | None = None,
    **more: Any,
) -> Made:
    async def made() -> Made:
        wire, ledger = AskedWire(answering), Ledger(0)
        arms = (Arm("x", WirePlan("stdio", "2026-07-28"), operations),) * (1 + max(block.arm for block in blocks))
        engine = wire.engine = Engine(Plan(arms, blocks, **more), [wire] * len(arms), ledger)
        await engine.run(lambda _: None)
        return Made(ledger, engine.books, wire)

    factory = None if invented is None else lambda: InventedLoop(invented)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(made())


@settings(max_examples=10)
@given(st.sampled_from([100.0, 250.0, 1_000.0]), st.sampled_from([0.02, 0.04]))
def test_constant_arrivals_are_meant_at_even_distances(rate: float, seconds: float) -> None:
    made = load(at_once, Block(0, seconds, rate, None), arrivals="constant")
    meant_ns = made.column["intended_ns"]
    assert len(made) == made.books[0].offered == round(rate * seconds)
    assert np.abs(np.diff(meant_ns) - 1e9 / rate).max() <= 1
    assert meant_ns[0] == pytest.approx(made.books[0].begun_ns, abs=1e4)
    assert (made.column["start_ns"] >= meant_ns).all()


def test_constant_arrivals_go_on_in_an_arms_next_block_where_they_were() -> None:
    turns = (Block(0, 0.01, 148.0, None), Block(1, 0.01, 72.0, None)) * 20
    made = load(at_once, *turns, arrivals="constant")
    for arm, rate in ((0, 148.0), (1, 72.0)):
        assert sum(book.offered for book in made.books[arm::2]) == math.ceil(rate * 0.2)
        begun_ns = np.array([book.begun_ns for book in made.books])
        block = made.column["block"]
        within_ns = made.column["intended_ns"] - begun_ns[block] + block // 2 * 10_000_000
        assert np.abs(np.diff(within_ns[block % 2 == arm]) - 1e9 / rate).max() <= 2


def test_constant_arrivals_go_on_at_the_next_blocks_own_rate() -> None:
    made = load(at_once, Block(0, 0.015, 100.0, None), Block(0, 0.02, 200.0, None), arrivals="constant")
    since_ns = made.column["intended_ns"] - np.array([book.begun_ns for book in made.books])[made.column["block"]]
    # Half a gap was left.
    assert (since_ns / 1e6).round(3).tolist() == [0.0, 10.0, 2.5, 7.5, 12.5, 17.5]


def test_constant_arrivals_may_begin_later() -> None:
    made = load(at_once, Block(0, 0.03, 100.0, None), arrivals="constant", first_after=0.25)
    assert ((made.column["intended_ns"] - made.books[0].begun_ns) / 1e6).round(3).tolist() == [2.5, 12.5, 22.5]


def test_random_arrivals_are_as_many_as_they_should_and_the_same_for_the_same_seed() -> None:
    def gaps_ns(seed: int) -> Any:
        made = load(at_once, Block(0, 0.1, 4_000.0, None), seed=seed)
        return np.diff(made.column["intended_ns"] - made.books[0].begun_ns)

    gaps = gaps_ns(3)
    # Exponential gaps: as many as 4 standard errors allow, and as wide as they are long.
    assert abs(len(gaps) - 400) < 80
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.25)
    assert np.abs(gaps_ns(3)[: len(gaps)] - gaps).max() <= 2
    assert not np.array_equal(gaps_ns(4)[:50], gaps[:50])


def test_what_would_begin_beyond_the_bound_is_dropped_and_counted() -> None:
    made = load(never, Block(0, 0.05, 1_000.0, None), max_in_flight=8, timeout_s=0.2, arrivals="constant")
    book = made.books[0]
    assert (book.offered, book.dropped, book.peak_in_flight) == (50, 42, 8)
    assert made.outcomes() == {"timeout": 8}
    assert len(made.wire.given_up) == 8


def test_only_calls_without_an_answer_are_dropped_for_not_users_who_think() -> None:
    made = load(
        lambda _: (BEFORE_SENT, OK, "", {"made": "thing", "number": 7}),
        Block(0, 0.04, 250.0, None),
        operations=(FLOW,),
        arrivals="constant",
        max_in_flight=1,
    )
    book = made.books[0]
    assert (book.offered, book.dropped, book.peak_in_flight) == (10, 0, 1)
    assert (made.column["step"] == 2).sum() == 10


def test_a_call_without_an_answer_is_given_up_after_the_timeout_and_not_before() -> None:
    made = load(never, Block(0, 0.02, 200.0, None), timeout_s=0.06)
    service_ns = made.column["end_ns"] - made.column["start_ns"]
    assert (service_ns >= 0.06e9).all()
    assert made.books[0].ended_ns >= made.books[0].meant_end_ns
    assert {*made.outcomes()} == {"timeout"}


def test_an_answer_that_comes_after_the_timeout_counts_for_nothing(invented_time: InventedTime) -> None:
    made = load(lambda _: (0.08, OK, "", None), Block(0, 0.15, None, 1), timeout_s=0.03, invented=invented_time)
    assert made.outcomes() == {"timeout": len(made.wire.asked)}
    # Answers to the first calls came while later ones were waited for.
    assert 0 < made.wire.came_late < len(made)


def test_each_user_of_a_closed_load_waits_for_its_answer(invented_time: InventedTime) -> None:
    made = load(lambda _: (0.004, OK, "", None), Block(0, 0.05, None, 5), invented=invented_time)
    assert made.books[0].peak_in_flight == 5
    # At 0, 4, ..., 48 ms.
    assert len(made) == 5 * 13
    assert (made.column["end_ns"] - made.column["start_ns"] >= 0.004e9).all()


def test_users_whose_server_is_gone_take_a_breath(invented_time: InventedTime) -> None:
    gone = (0.0, TRANSPORT_ERROR, "connection_refused", None)
    made = load(lambda _: gone, Block(0, 0.12, None, 4), invented=invented_time)
    assert len(made) == 4 * 3
    assert {*made.outcomes()} == {"transport_error"}


def test_the_books_hold_the_time_that_all_calls_took() -> None:
    made = load(lambda _: (0.003, OK, "", None), Block(0, 0.03, 500.0, None), Block(0, 0.03, None, 3))
    kept = sum(book.in_flight_ns for book in made.books)
    assert kept == pytest.approx(made.in_flight_ns(), rel=0.2)
    assert [int(number) for number in np.unique(made.column["block"])] == [0, 1]
    assert made.books[1].begun_ns >= made.books[0].ended_ns


def test_operations_are_drawn_by_their_shares() -> None:
    mix = (single("one", 3.0), single("two", 1.0))
    made = load(at_once, Block(0, 0.1, 6_000.0, None), operations=mix, arrivals="constant", max_in_flight=5_000)
    share = float((made.column["operation"] == 0).mean())
    assert share == pytest.approx(0.75, abs=0.08)


FLOW = Operation(
    "flow",
    1.0,
    (
        Step("open", ({"name": "${unique}"},), keep="opened"),
        Step("read", ({"id": "${opened.number}", "note": "of ${opened.made}"},), think_s=0.01),
        Step("close", ({"id": "${opened.number}"},)),
    ),
)


def test_the_steps_of_a_flow_use_what_earlier_ones_answered() -> None:
    made = load(at_once, Block(0, 0.03, 100.0, None), operations=(FLOW,), arrivals="constant")
    asked = made.wire.asked
    assert [step for step in made.column["step"].tolist() if step == 2] == [2] * 3
    assert asked.count({"id": 7, "note": "of thing"}) == 3
    assert asked.count({"id": 7}) == 3
    assert len({each["name"] for each in asked if "name" in each}) == 3


def test_think_time_is_no_latency() -> None:
    made = load(at_once, Block(0, 0.01, 100.0, None), operations=(FLOW,), arrivals="constant")
    opened, read = (made.column["step"] == number for number in (0, 1))
    assert made.column["intended_ns"][read][0] - made.column["end_ns"][opened][0] == pytest.approx(0.01e9, abs=1_000)


def test_a_flow_ends_where_an_answer_lacks_what_it_needs() -> None:
    made = load(lambda _: (0.0, OK, "", {"other": 1}), Block(0, 0.03, 100.0, None), operations=(FLOW,))
    codes = {made.codes[number] for number in made.column["code"]}
    assert codes == {"", "nothing_kept"}
    assert not (made.column["step"] == 2).any()


def test_a_flow_that_cannot_begin_does_not_spin(invented_time: InventedTime) -> None:
    lost = Operation("lost", 1.0, (Step("make", ({"id": "${unique.number}"},)),))
    made = load(at_once, Block(0, 0.12, None, 2), operations=(lost,), invented=invented_time)
    assert len(made) == 2 * 3
    assert made.wire.asked == []


def test_a_load_that_is_stopped_begins_nothing_more_and_says_what_it_left() -> None:
    async def stopped() -> tuple[AskedWire, Ledger, int]:
        wire, ledger = AskedWire(never), Ledger(0)
        arms = (Arm("x", WirePlan("stdio", "2026-07-28"), (single(),)),)
        engine = wire.engine = Engine(Plan(arms, (Block(0, 60.0, None, 4),) * 2), [wire], ledger)
        running = asyncio.create_task(engine.run(lambda _: None))
        await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})
        return wire, ledger, len(engine.books)

    wire, ledger, blocks = asyncio.run(stopped())
    assert len(wire.asked) == 4
    assert [OUTCOMES[number].value for number in ledger.columns["outcome"]] == ["cancelled"] * 4
    assert blocks == 1


def test_a_server_that_stopped_to_answer_costs_no_timeout_for_each_block(invented_time: InventedTime) -> None:
    blocks = (Block(0, 0.01, 100.0, None),) * 30
    made = load(never, *blocks, timeout_s=0.04, arrivals="constant", invented=invented_time)
    waited_ns = np.cumsum([book.ended_ns - book.meant_end_ns for book in made.books])
    # 30 ms or a little more after each block, until it is more than the 300 ms that were planned.
    assert 7 <= len(made.books) <= 10
    assert waited_ns[-2] <= 0.3e9 < waited_ns[-1]


def test_what_a_warm_up_waits_for_leaves_out_no_measured_block(invented_time: InventedTime) -> None:
    warm_ups = (Block(0, 0.01, 100.0, None, "warm-up"),) * 6
    measured = (Block(0, 0.01, 100.0, None),) * 10
    made = load(never, *warm_ups, *measured, timeout_s=0.04, arrivals="constant", invented=invented_time)
    assert len(warm_ups) < len(made.books) < 16


def test_users_who_think_wait_for_no_answer() -> None:
    thinking = Operation("thinking", 1.0, (Step("one", ({},)), Step("two", ({},), think_s=0.05)))
    blocks = (Block(0, 0.01, 100.0, None),) * 10
    made = load(at_once, *blocks, operations=(thinking,), timeout_s=0.1, arrivals="constant")
    # Longer than the limit in all: three timeouts.
    assert sum(book.ended_ns - book.meant_end_ns for book in made.books) > 0.3e9
    assert len(made.books) == len(blocks)
