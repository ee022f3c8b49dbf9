"""What the engine's books say of operations under way, and its columns of calls that were never sent."""

import asyncio
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from loop_wires import LoopWire

from mcp_workbench.load.baselines.figures import figures_of
from mcp_workbench.load.generator.answers import OK
from mcp_workbench.load.generator.call import Call, Request
from mcp_workbench.load.generator.engine import BlockBooks, Engine
from mcp_workbench.load.generator.ledger import Ledger
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step
from mcp_workbench.load.plan import Wire as WirePlan
from mcp_workbench.load.run import Books, Run, ServerCpu

ANSWER_S = 0.004
THINKING = Operation("flow", 1.0, (Step("one", ({},)), Step("two", ({},), think_s=0.03)))


class AnsweringWire(LoopWire):
    """A wire that answers every call of an arm with the arm's name, after a while."""

    def __init__(self, name: str, result: dict[str, Any]) -> None:
        super().__init__()
        self._name = name
        self._result = result

    def send(self, call: Call, request: Request) -> None:
        assert self.engine is not None
        message = {"result": {"structuredContent": self._result}}
        answer = f"{self._name} {call.tool}".encode()
        asyncio.get_running_loop().call_later(ANSWER_S, self.engine.ended, call, OK, "", answer, message)


def load(
    *blocks: Block, operations: tuple[Operation, ...], samples: int = 0, **result: Any
) -> tuple[Ledger, list[BlockBooks]]:
    async def made() -> tuple[Ledger, list[BlockBooks]]:
        ledger = Ledger(samples)
        wires = [AnsweringWire(f"arm {at}", result) for at in range(1 + max(block.arm for block in blocks))]
        arms = tuple(Arm("x", WirePlan("stdio", "2026-07-28"), operations) for _ in wires)
        engine = Engine(Plan(arms, blocks), wires, ledger)
        for wire in wires:
            wire.engine = engine
        await engine.run(lambda _: None)
        return ledger, engine.books

    return asyncio.run(made())


def test_the_books_hold_how_long_operations_took_thinking_among_it() -> None:
    ledger, (book,) = load(Block(0, 0.05, None, 3), operations=(THINKING,))
    column = {name: np.array(values) for name, values in ledger.columns.items()}
    first, last = (column["step"] == number for number in (0, 1))
    took_ns = column["end_ns"][last].sum() - column["intended_ns"][first].sum()
    assert book.under_way_ns == pytest.approx(took_ns, rel=1e-3)
    in_flight_ns = int((column["end_ns"] - column["start_ns"]).sum())
    thought_ns = int(column["intended_ns"][last].sum() - column["end_ns"][first].sum())
    assert book.under_way_ns >= in_flight_ns + thought_ns > book.in_flight_ns


def test_a_call_that_lacks_what_it_needs_is_a_failure_without_latency() -> None:
    lost = Operation("lost", 1.0, (Step("one", ({},), keep="made"), Step("two", ({"id": "${made.number}"},))))
    ledger, (book,) = load(Block(0, 0.05, 200.0, None), operations=(lost,), other=1)
    plan = Plan((Arm("x", WirePlan("stdio", "2026-07-28"), (lost,)),), (Block(0, 0.05, 200.0, None),))
    columns = {name: np.array(values) for name, values in ledger.columns.items()}
    kept = Books(*astuple(book))
    calls = Run(plan, columns, (kept,), (), tuple(ledger.codes), (), (0,), ServerCpu()).calls(0)
    one, two, whole = figures_of(calls)
    assert one.calls == two.calls == one.latency.count > 0
    assert (two.latency.count, two.service.count, two.throughput, two.percentile_ms(50)) == (0, 0, 0.0, None)
    assert (two.errors, two.codes["nothing_kept"]) == (two.calls, two.calls)
    assert whole.throughput == one.throughput
