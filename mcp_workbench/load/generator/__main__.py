"""``python -m mcp_workbench.load.generator FOLDER``: the process that makes a load.

It reads a plan as one line of JSON on standard input, and writes lines of JSON on standard output: that all targets are
connected, when each block begins, how it goes, that it is done. The columns of calls go to FOLDER. When its standard
input closes, whoever asked for the load is gone: it ends, and the servers that it has started end with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

from mcp_workbench.errors import WorkbenchError
from mcp_workbench.load.generator.call import Wire
from mcp_workbench.load.generator.clock import cpu_ns, precise_loop, waited_ns
from mcp_workbench.load.generator.engine import Engine
from mcp_workbench.load.generator.http_wire import HttpWire
from mcp_workbench.load.generator.ledger import Ledger, opened
from mcp_workbench.load.generator.stdio_wire import StdioWire
from mcp_workbench.load.plan import Arm, Plan

_TELL_S: Final = 0.25
_PULSE_S: Final = 0.1
_MOST_OPENED: Final = 64


def main() -> None:
    """Make the load that standard input asks for."""
    _output()
    folder = Path(sys.argv[1])
    plan = Plan.from_json(sys.stdin.buffer.readline().decode())
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(_generate(plan, folder))


@functools.cache
def _output() -> int:
    """Return standard output under another number; what a server in this process prints goes to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept


def _tell(event: str, **facts: Any) -> None:
    # Whoever listens may be busy, and the load waits for nobody.
    if event == "live" and not select.select([], [_output()], [], 0)[1]:
        return
    # Whoever listens may be gone; then standard input says so, too.
    with contextlib.suppress(BrokenPipeError):
        os.write(_output(), json.dumps({"event": event, **facts}).encode() + b"\n")


async def _generate(plan: Plan, folder: Path) -> None:
    ledger = Ledger(plan.samples)
    loop = asyncio.get_running_loop()
    leaving = asyncio.Event()
    loop.add_reader(0, lambda: leaving.set() if not os.read(0, 65_536) else None)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.set)
    wires: list[Wire] = []
    load = asyncio.create_task(_load(plan, ledger, wires, folder))
    left = asyncio.create_task(leaving.wait())
    failures: list[BaseException] = []

    def failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A callback of the engine or of a wire: what it should have done nobody does, and the run would never end.
        if {"handle", "protocol"} & context.keys() and "exception" in context and not in_process:
            failures.append(context["exception"])
            leaving.set()
        loop.default_exception_handler(context)

    in_process = _any_in_process(plan)
    loop.set_exception_handler(failed)
    await asyncio.wait({load, left}, return_when=asyncio.FIRST_COMPLETED)
    if not load.done():
        load.cancel()
    await asyncio.wait({load})
    left.cancel()
    await asyncio.gather(*(wire.close() for wire in wires), return_exceptions=True)
    error = failures[0] if failures else None if load.cancelled() else load.exception()
    if isinstance(error, WorkbenchError):
        _tell("failed", words=str(error))
    elif error is not None:
        raise error
    elif not load.cancelled():
        _tell("done")


async def _load(plan: Plan, ledger: Ledger, wires: list[Wire], folder: Path) -> None:
    engine: Engine | None = None
    files = opened(folder)

    def ended(*told: Any) -> None:
        assert engine is not None
        engine.ended(*told)

    wires.extend(_wire(arm, ended) for arm in plan.arms)
    users = [_users(plan, number) for number in range(len(plan.arms))]
    await _opened(wires, users)
    engine = Engine(plan, wires, ledger)
    _tell("ready", pids=[wire.pid for wire in wires])
    if not _any_in_process(plan):
        # No cycles are made while the load lasts, and a collection would be billed to the server.
        gc.collect()
        gc.freeze()
        gc.disable()
    pulse = _Pulse(plan, engine, ledger, wires)
    beating = asyncio.create_task(pulse.beat())
    try:
        await engine.run(pulse.block)
    finally:
        beating.cancel()
        await asyncio.wait({beating})
    _tell("measured")
    pulse.look()
    ledger.save(
        files,
        {
            "books": [
                [
                    book.begun_ns,
                    book.meant_end_ns,
                    book.ended_ns,
                    book.offered,
                    book.dropped,
                    book.peak_in_flight,
                    book.in_flight_ns,
                    book.under_way_ns,
                ]
                for book in engine.books
            ],
            "pulse": pulse.beats,
            "reconnected": [wire.reopened - before for wire, before in zip(wires, pulse.reopened, strict=True)],
        },
    )


async def _opened(wires: list[Wire], users: list[int]) -> None:
    opening = [asyncio.ensure_future(wire.open(most)) for wire, most in zip(wires, users, strict=True)]
    try:
        await asyncio.gather(*opening)
    finally:
        # If one has failed, no other may start a server that nobody will end.
        for each in opening:
            each.cancel()
        await asyncio.gather(*opening, return_exceptions=True)


def _wire(arm: Arm, ended: Any) -> Wire:
    if arm.wire.kind == "http":
        return HttpWire(arm.wire, ended)
    if arm.wire.kind == "stdio":
        return StdioWire(arm.wire, ended)
    from mcp_workbench.load.generator.in_process import InProcessWire

    return InProcessWire(arm.wire, ended)


def _any_in_process(plan: Plan) -> bool:
    return any(arm.wire.kind == "in-process" for arm in plan.arms)


def _users(plan: Plan, arm: int) -> int:
    """Return how many calls will be under way at once, as far as one can tell before."""
    mine = [block for block in plan.blocks if block.arm == arm]
    guess = max((block.users or min(16, round((block.rate or 0) / 20)) for block in mine), default=1)
    return max(1, min(guess, plan.max_in_flight, _MOST_OPENED))


class _Pulse:
    """Looks at the clocks ten times a second, and tells how it goes four times a second.

    Attributes:
        beats: what the clocks said.
        reopened: for each wire, how many connections were opened again before anything was measured.
    """

    def __init__(self, plan: Plan, engine: Engine, ledger: Ledger, wires: list[Wire]) -> None:
        self.beats: list[tuple[int, int, int, int | None]] = []
        self.reopened = [wire.reopened for wire in wires]
        self._plan = plan
        self._engine = engine
        self._ledger = ledger
        self._wires = wires
        self._measuring = False
        self._block = 0
        self._told_ns = 0
        self._total_s = sum(block.seconds for block in plan.blocks)

    def block(self, number: int) -> None:
        """Note that a block begins."""
        self.look()
        before = self._plan.blocks[number - 1].phase if number else None
        phase = self._plan.blocks[number].phase
        self._block = number
        if not self._measuring:
            self.reopened = [wire.reopened for wire in self._wires]
            self._measuring = phase == "measured"
        if phase != before:
            _tell("phase", phase=phase, at_ns=time.monotonic_ns())
        if number:
            # Between blocks nobody waits for an answer.
            gc.collect(0)

    async def beat(self) -> None:
        """Go on until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_PULSE_S)

    def look(self) -> None:
        """Look once, and tell if it is time."""
        now_ns = time.monotonic_ns()
        self.beats.append((now_ns, self._block, cpu_ns(), waited_ns()))
        if now_ns - self._told_ns >= _TELL_S * 1e9:
            recent = sorted(self._ledger.recent_ns)
            self._ledger.recent_ns.clear()
            over_s = max((now_ns - self._told_ns) / 1e9, _TELL_S) if self._told_ns else _TELL_S
            self._told_ns = now_ns
            done_s = sum(block.seconds for block in self._plan.blocks[: self._block])
            if self._engine.books:
                book, block = self._engine.books[-1], self._plan.blocks[self._block]
                done_s += min(block.seconds, (now_ns - book.begun_ns) / 1e9)
            _tell(
                "live",
                done_s=round(done_s, 3),
                total_s=round(self._total_s, 3),
                calls=len(self._ledger),
                failed=self._ledger.failed,
                in_flight=self._engine.in_flight,
                rate=len(recent) / over_s,
                p50_ms=recent[len(recent) // 2] / 1e6 if recent else None,
            )


if __name__ == "__main__":
    main()
