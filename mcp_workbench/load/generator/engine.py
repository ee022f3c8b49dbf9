"""The engine: begins operations when it is their time, ends calls whose time is over, and keeps the books.

Made of callbacks, not of tasks: a task and a future for each call would cost as much as the call itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_workbench.load.generator.answers import CANCELLED, INVALID_OUTPUT, OK, TIMEOUT, TRANSPORT_ERROR
from mcp_workbench.load.generator.call import FIRST_ID, Call, Request, Wire
from mcp_workbench.load.generator.ledger import Ledger
from mcp_workbench.load.generator.references import UNIQUE, fill, references
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step

_SWEEP_S: Final = 0.02
_TIMEOUTS_WAITED: Final = 3
# A user of a closed loop whose server is gone tries again after this long, not at once: millions of refused connections
# would say no more.
_BREATH_S: Final = 0.05


@dataclass(slots=True)
class BlockBooks:
    """What is counted of one block, in nanoseconds of the engine's clock."""

    begun_ns: int = 0
    meant_end_ns: int = 0
    ended_ns: int = 0
    offered: int = 0
    dropped: int = 0
    peak_in_flight: int = 0
    in_flight_ns: int = 0
    """The number of calls in flight, summed over time."""
    under_way_ns: int = 0
    """How long operations took that have ended, those among them whose user thought, summed over operations."""


@dataclass(slots=True)
class _Prepared:
    """A step, with its requests built."""

    step: Step
    requests: list[Request]
    # Arguments that speak of earlier steps are filled in at run time.
    templates: list[dict[str, Any]] = field(default_factory=list)


class _User:
    """One operation under way: what it has kept, and at which step it is."""

    __slots__ = ("again", "begun_ns", "kept", "prepared", "step")

    def __init__(self, prepared: list[_Prepared], begun_ns: int, again: Callable[[int], None] | None) -> None:
        self.prepared = prepared
        self.begun_ns = begun_ns
        self.step = 0
        self.kept: dict[str, Any] = {}
        self.again = again


class Engine:
    """Makes the load of a plan over wires that are open.

    Args:
        plan: what is done.
        wires: one for each arm of the plan.
        ledger: where calls are written.

    Attributes:
        books: one for each block that was begun.
        stopped: set when no more is to be begun.
    """

    def __init__(self, plan: Plan, wires: Sequence[Wire], ledger: Ledger) -> None:
        self.plan = plan
        self.books: list[BlockBooks] = []
        self.stopped = asyncio.Event()
        self._wires = wires
        self._ledger = ledger
        self._random = random.Random(plan.seed)  # noqa: S311 - arrivals and arguments, no secret
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(FIRST_ID)
        # Unlike all that is drawn, no two runs have this one: what they write must not meet.
        self._run = uuid.uuid4().hex
        self._in_flight: dict[int, Call] = {}
        # Users in the middle of an operation: those that think have no call in flight.
        self._under_way = 0
        self._changed_ns = 0
        self._drained: asyncio.Event = asyncio.Event()
        self._arms = [_Mix(arm, wire, self._random) for arm, wire in zip(plan.arms, wires, strict=True)]
        self._mix = self._arms[0]
        self._wire = wires[0]
        self._book = BlockBooks()
        self._number = -1
        self._timeout_ns = round(plan.timeout_s * 1e9)
        planned_ns = round(sum(block.seconds for block in plan.blocks) * 1e9)
        self._most_waiting_ns = max(planned_ns, _TIMEOUTS_WAITED * self._timeout_ns)
        self._open_until_ns = 0
        self._waiting = False
        self._waited_ns = 0
        # For each arm, when its next constant arrival is due: how many gaps after the begin of its next block.
        self._next_after = [plan.first_after] * len(plan.arms)

    @property
    def in_flight(self) -> int:
        """How many calls are unanswered now."""
        return len(self._in_flight)

    async def run(self, told: Callable[[int], None]) -> None:
        """Do all blocks, one after the other; ``told`` is called with each block's number before it begins.

        Blocks are left out if more time than planned was spent on waiting for answers after the meant ends of measured
        blocks: a server that has stopped to answer would otherwise cost a timeout for each block.
        """
        sweeping = asyncio.create_task(self._sweep())
        # What ends it ends the run: without it, no call's time would ever be over.
        sweeping.add_done_callback(lambda ended: None if ended.cancelled() else ended.result())
        try:
            for number, block in enumerate(self.plan.blocks):
                if self.stopped.is_set():
                    break
                told(number)
                await self._block(number, block)
                if self._waited_ns > self._most_waiting_ns:
                    self.stopped.set()
        finally:
            self.stopped.set()
            sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeping
            for call in list(self._in_flight.values()):
                self.ended(call, CANCELLED, "stopped")

    async def _block(self, number: int, block: Block) -> None:
        self._number = number
        self._mix, self._wire = self._arms[block.arm], self._wires[block.arm]
        self._ledger.begin(number, block.arm, measured=block.phase == "measured")
        begun_ns = self._changed_ns = time.monotonic_ns()
        until_ns = self._open_until_ns = begun_ns + round(block.seconds * 1e9)
        self._book = BlockBooks(begun_ns, until_ns)
        self.books.append(self._book)
        self._drained.clear()
        if block.rate is not None:
            await self._open_load(block.arm, block.rate, begun_ns, until_ns)
        else:
            for _ in range(block.users or 1):
                self._next_of_user(begun_ns)
            await self._stopped_or(block.seconds)
        self._open_until_ns = 0
        self._account(time.monotonic_ns())
        # A warm-up costs a target that hangs one timeout, and a flow that thinks waits for no answer.
        self._waiting = block.phase == "measured"
        while self._under_way and not self.stopped.is_set():
            self._drained.clear()
            await self._drained.wait()
        self._book.ended_ns = time.monotonic_ns()
        self._account(self._book.ended_ns)
        self._waiting = False

    async def _stopped_or(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopped.wait()

    async def _open_load(self, arm: int, rate: float, begun_ns: int, until_ns: int) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        gap_ns = 1e9 / rate
        constant = self.plan.arrivals == "constant"
        draw = self._random.expovariate
        # The loop's clock and ours are one clock, in seconds and in nanoseconds.
        next_ns = begun_ns + (self._next_after[arm] if constant else draw(1.0)) * gap_ns

        def due() -> None:
            nonlocal next_ns
            if done.done():
                return
            now_ns = time.monotonic_ns()
            while next_ns <= now_ns and next_ns < until_ns:
                self._begin(int(next_ns), None)
                next_ns += gap_ns if constant else draw(1.0) * gap_ns
            if next_ns >= until_ns or self.stopped.is_set():
                done.set_result(None)
            else:
                self._loop.call_at(next_ns / 1e9, due)

        due()
        await done
        # Else each block would begin with an arrival, and short ones would make more of them than was asked for.
        self._next_after[arm] = max(0.0, (next_ns - until_ns) / gap_ns)
        await self._stopped_or(max(0.0, (until_ns - time.monotonic_ns()) / 1e9))

    def _next_of_user(self, now_ns: int) -> None:
        if now_ns < self._open_until_ns and not self.stopped.is_set():
            self._begin(now_ns, self._next_of_user)

    def _begin(self, intended_ns: int, again: Callable[[int], None] | None) -> None:
        book = self._book
        book.offered += 1
        if len(self._in_flight) >= self.plan.max_in_flight:
            book.dropped += 1
            return
        prepared, number = self._mix.draw()
        self._under_way += 1
        user = _User(prepared, intended_ns, again)
        user.kept[UNIQUE] = f"{self._run}-{book.offered}-{self._number}"
        self._send(user, number, intended_ns)

    def _send(self, user: _User, operation: int, intended_ns: int) -> None:
        prepared = user.prepared[user.step]
        call = Call(next(self._ids), (operation, user.step), prepared.step.tool, intended_ns, user)
        requests = prepared.requests
        if prepared.templates:
            template = prepared.templates[self._random.randrange(len(prepared.templates))]
            try:
                request = self._wire.request(call.tool, fill(template, user.kept))
            except KeyError:
                # What an earlier step answered is not what the flow needs: it ends here.
                call.start_ns = time.monotonic_ns()
                self._write(call, INVALID_OUTPUT, "nothing_kept", call.start_ns, 0)
                # Not at once: a flow that cannot even begin would fill memory with its failures.
                self._loop.call_later(_BREATH_S, self._user_ended, user, call.start_ns + round(_BREATH_S * 1e9))
                return
        else:
            request = requests[0] if len(requests) == 1 else requests[self._random.randrange(len(requests))]
        now_ns = call.start_ns = time.monotonic_ns()
        self._account(now_ns)
        self._in_flight[call.id] = call
        if len(self._in_flight) > self._book.peak_in_flight:
            self._book.peak_in_flight = len(self._in_flight)
        self._wire.send(call, request)

    def ended(self, call: Call, outcome: int, code: str, answer: bytes = b"", message: Any = None) -> None:
        """Note how ``call`` ended; told by its wire, or by the engine when its time is over."""
        now_ns = time.monotonic_ns()
        self._account(now_ns)
        if self._in_flight.pop(call.id, None) is None:
            return
        self._write(call, outcome, code, now_ns, len(answer))
        if answer:
            self._ledger.keep(call.tool, answer)
        user: _User = call.user
        if outcome == OK and user.step + 1 < len(user.prepared):
            self._go_on(user, call, message, now_ns)
        else:
            self._user_ended(user, now_ns, pause=outcome == TRANSPORT_ERROR)

    def _go_on(self, user: _User, call: Call, message: Any, now_ns: int) -> None:
        if name := user.prepared[user.step].step.keep:
            user.kept[name] = (message or {}).get("result", {}).get("structuredContent")
        user.step += 1
        think_s = user.prepared[user.step].step.think_s
        if self.stopped.is_set():
            self._user_ended(user, now_ns)
        elif think_s:
            intended_ns = now_ns + round(think_s * 1e9)
            self._loop.call_at(intended_ns / 1e9, self._send, user, call.place[0], intended_ns)
        else:
            self._send(user, call.place[0], now_ns)

    def _user_ended(self, user: _User, now_ns: int, *, pause: bool = False) -> None:
        self._under_way -= 1
        self._book.under_way_ns += now_ns - user.begun_ns
        if user.again is not None:
            if pause:
                self._loop.call_later(_BREATH_S, self._breathed, user.again, self._number)
            else:
                user.again(now_ns)
        if not self._under_way:
            self._drained.set()

    def _breathed(self, again: Callable[[int], None], number: int) -> None:
        if number == self._number:
            again(time.monotonic_ns())

    def _account(self, now_ns: int) -> None:
        spent_ns = now_ns - self._changed_ns
        self._book.in_flight_ns += len(self._in_flight) * spent_ns
        if self._waiting and self._in_flight:
            self._waited_ns += spent_ns
        self._changed_ns = now_ns

    def _write(self, call: Call, outcome: int, code: str, end_ns: int, size: int) -> None:
        operation, step = call.place
        self._ledger.write(self._number, operation, step, outcome, code, call.intended_ns, call.start_ns, end_ns, size)

    async def _sweep(self) -> None:
        """Give up what has waited too long; calls are in flight in the order in which they were sent."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self.plan.timeout_s / 4))
            late_ns = time.monotonic_ns() - self._timeout_ns
            while self._in_flight:
                call = next(iter(self._in_flight.values()))
                if call.start_ns > late_ns:
                    break
                self._wire.give_up(call)
                self.ended(call, TIMEOUT, "")
            if self.stopped.is_set():
                self._drained.set()


class _Mix:
    """The operations of one arm, with their requests built, and the dice."""

    def __init__(self, arm: Arm, wire: Wire, dice: random.Random) -> None:
        self._operations = [self._prepare(operation, wire) for operation in arm.operations]
        self._bounds = list(itertools.accumulate(operation.weight for operation in arm.operations))
        self._dice = dice

    @staticmethod
    def _prepare(operation: Operation, wire: Wire) -> list[_Prepared]:
        prepared = []
        for step in operation.steps:
            if any(references(arguments) for arguments in step.arguments):
                prepared.append(_Prepared(step, [], list(step.arguments)))
            else:
                prepared.append(_Prepared(step, [wire.request(step.tool, arguments) for arguments in step.arguments]))
        return prepared

    def draw(self) -> tuple[list[_Prepared], int]:
        """Return the next operation, and its number."""
        if len(self._operations) == 1:
            return self._operations[0], 0
        at = self._dice.random() * self._bounds[-1]
        # Rounding can make it the sum of all shares.
        number = next((number for number, bound in enumerate(self._bounds) if at < bound), len(self._bounds) - 1)
        return self._operations[number], number
