"""One run of a tool in a task of its own, that can be stopped, and that is known to have ended or not.

The run is stopped by an anyio scope and never by ``Task.cancel``. A scope reaches asynchronous code at its next
``await``, and waits for a worker thread of anyio instead of leaving it: so "ended" is the truth about the tool's own
task, the tasks of its anyio groups and the thread in which the SDK runs it. A native cancel would leave the thread, and
nobody would know how long it works on.

What a tool starts beside that is not known here, and may go on after its end: threads of ``asyncio.to_thread`` or an
executor, tasks of ``asyncio.create_task`` or behind ``asyncio.shield``, processes.

A scope cancels at every ``await`` until the run has ended. So a tool that catches each ``CancelledError`` and goes on
keeps a core busy until it gives in, as it does in the SDK alone; others are served, about a quarter fewer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from mcp_workbench.controls.call import Call


class Attempt:
    """A run of a tool that has just been started.

    Args:
        call: the call; it is not run any more after its deadline.
        ctx: the request.
        call_next: what runs the tool.

    Attributes:
        begun: whether the tool was run at all.
        ended: whether it has ended.
        late: whether it ended after the deadline, as it does if it holds up the loop until then.
        result: what it returned.
        error: what it raised; an interrupt or ``SystemExit`` stays here, too, and ends no server.
    """

    __slots__ = ("_loop", "_scope", "_task", "_waiter", "begun", "ended", "error", "late", "result")

    def __init__(self, call: Call, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> None:
        self.begun = self.ended = self.late = False
        self.result: HandlerResult = None
        self.error: BaseException | None = None
        self._scope = anyio.CancelScope()
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._task = self._loop.create_task(self._run(call, ctx, call_next))

    @property
    def was_stopped(self) -> bool:
        """Whether being stopped ended it, before it could return or fail."""
        return self._scope.cancelled_caught or (
            self._scope.cancel_called and isinstance(self.error, asyncio.CancelledError)
        )

    @property
    def was_given_up(self) -> bool:
        """Whether its task was cancelled natively, as a loop does that ends: a thread of it may still run."""
        return isinstance(self.error, asyncio.CancelledError) and self._task.cancelling() > 0

    async def ended_within(self, seconds: float | None) -> bool:
        """Wait until the run has ended, at most for ``seconds``, and say whether it has.

        It may be cancelled, which does not stop the run.
        """
        if self.ended:
            return True
        waiter = self._waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._wake)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
        return self.ended

    async def stopped_within(self, seconds: float) -> bool:
        """Stop the run, wait for its end at most for ``seconds``, and say whether it has ended."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self.ended_within(seconds)
        return self.ended

    def when_ended(self, then: Callable[[], None]) -> None:
        """Have ``then`` called when the run has ended."""
        self._task.add_done_callback(lambda _: then())

    async def _run(self, call: Call, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> None:
        try:
            with self._scope:
                # Stopped or too late before its first step: code up to the tool's first await would still run.
                if not self._scope.cancel_called and call.remaining_ms != 0:
                    self.begun = True
                    call.attempt += 1
                    # What an earlier attempt told is not what this one tells.
                    call.told = None
                    self.result = await call_next(ctx)
        except BaseException as error:  # noqa: BLE001 - SystemExit in a task would end the server's loop
            self.error = error
        self.ended = True
        self.late = call.remaining_ms == 0
        self._wake()

    def _wake(self) -> None:
        # The loop is closed when a run is only collected: nobody waits any more.
        if self._waiter is not None and not self._waiter.done() and not self._loop.is_closed():
            self._waiter.set_result(None)
