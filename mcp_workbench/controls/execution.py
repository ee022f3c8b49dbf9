"""Stage 4, execution: the tool runs, if there is a place, until its deadline, again if that is allowed.

The deadline is that of the tool's contract, or else the setting; a caller may shorten it. It counts from the arrival of
the call and covers the queue, all attempts and the waits between them. A call that is over its deadline, or that its
client cancelled or left, is stopped: asynchronous code at its next ``await``. A synchronous tool runs in a worker
thread, which nobody can stop unless it asks ``anyio.from_thread.check_cancelled()`` now and then. Then the answer says
so, and the run keeps its place until it has really ended. A call keeps its place while it waits for its next attempt,
too. Whatever a tool brings after the deadline is a ``timeout`` as well.

``details.stopped`` of a ``timeout`` says whether the tool's own run has ended; threads, tasks and processes that it
started besides are not known (``attempt.py``). A place is no thread: anyio has 40 worker threads for each loop
(``anyio.to_thread.current_default_thread_limiter``), so where more synchronous tools than that may run at once, some
wait for a thread with their place. If that takes until their deadline, they count as stopped, though they never ran.

When a client is gone, its calls are cancelled: at once in process, over stdio, and over HTTP since 2026-07-28, where
closing the connection cancels. Before that version a client that disconnects does not cancel (specification 2025-11-25,
Streamable HTTP): there the deadline is what bounds the call.

It needs asyncio, as the SDK's own servers have it; on trio each call is refused.

Success: the tool's result, or the question that it has for the client. Failure: ``overloaded`` without a place in time,
``timeout``, ``internal`` if the tool crashes, or the failure that the tool itself tells.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, ref

from mcp_workbench.controls.admission import Admission
from mcp_workbench.controls.answers import failure_from, failure_in, passes, wire
from mcp_workbench.controls.attempt import Attempt
from mcp_workbench.controls.call import Call, current_call
from mcp_workbench.controls.failures import Failure
from mcp_workbench.controls.retries import Retries, may_run_again
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from mcp_workbench.contracts.model import ToolContract
    from mcp_workbench.controls.catalogue import Catalogue
    from mcp_workbench.controls.settings import Settings

_LOG: Final = logging.getLogger("mcp_workbench.controls")


class ExecutionStage:
    """Runs tools within limits; one stage serves one server, on one event loop after the other.

    Args:
        catalogue: the server's tools and their contracts.
        settings: deadline, limits and retries.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._retries = Retries(settings)
        # Places are waited for with futures, which belong to a loop: each loop has places of its own.
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, Admission] = WeakKeyDictionary()
        # Nearly always the same: a look-up by weak keys costs ten times as much.
        self._last_loop: ref[asyncio.AbstractEventLoop] | None = None
        self._last_places: Admission
        self._left_behind: set[Attempt] = set()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Run the tool, and return its result."""
        started_ns = time.perf_counter_ns()
        call = current_call()
        assert call is not None
        try:
            entry = call.entry or await self._catalogue.find(call.tool, ctx)
        except Failure as failure:
            call.mark("execution", started_ns, failure)
            raise
        contract = None if entry is None else entry.contract
        call.deadline_ms = _deadline_ms(call, contract, self._settings.deadline_ms)
        execution = _Execution(call, contract, ctx, call_next, self._settings.stop_grace_ms / 1e3)
        again = execution.may_run_again and contract is not None and self._retries.possible(contract)
        if again:
            execution.keep_request()
        places, waited = self._admission(call, started_ns), False
        if not places.take(call.tool):
            waited = await self._wait_for_place(places, call, started_ns)
        try:
            outcome = await execution.once()
            if again and call.attempt:
                assert contract is not None
                self._retries.budget(contract).count_call()
                if isinstance(outcome, Failure):
                    outcome = await self._retries.after(outcome, call, contract, execution.once)
        finally:
            attempt = execution.attempt
            if attempt is None or attempt.ended:
                places.give_back(call.tool)
            else:
                self._leave_behind(attempt, call, places)
        note = "waited for a place" if waited else ""
        if call.attempt > 1:
            note = f"{call.attempt} attempts" + (f", {note}" if note else "")
        if isinstance(outcome, Failure):
            call.mark("execution", started_ns, outcome, note)
            raise outcome
        call.mark("execution", started_ns, note=note)
        return outcome

    @property
    def left_behind(self) -> int:
        """How many runs go on although their calls are over; of those whose event loop has ended nothing is known."""
        return len(self._left_behind)

    def _admission(self, call: Call, started_ns: int) -> Admission:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            failure = Failure("internal", "the controls of this server need asyncio; run the server on it, not on trio")
            call.mark("execution", started_ns, failure)
            raise failure from None
        if self._last_loop is not None and self._last_loop() is loop:
            return self._last_places
        places = self._places.get(loop)
        if places is None:
            settings = self._settings
            places = self._places[loop] = Admission(
                total=settings.concurrency, per_tool=settings.concurrency_per_tool, queue=settings.queue
            )
        self._last_loop, self._last_places = ref(loop), places
        return places

    async def _wait_for_place(self, places: Admission, call: Call, started_ns: int) -> bool:
        waited = not places.queue_is_full
        if waited:
            remaining_ms = call.remaining_ms
            if await places.wait(call.tool, None if remaining_ms is None else remaining_ms / 1e3):
                return True
        after_ms = self._settings.retry_after_ms
        what = "no place to run became free in time" if waited else "all places to run and to wait are taken"
        failure = Failure(
            "overloaded",
            f"{what}; nothing was run; try again after {after_ms} ms",
            retryable=True,
            retry_after_ms=after_ms,
            details={"waited": waited},
        )
        call.mark("execution", started_ns, failure)
        raise failure

    def _leave_behind(self, attempt: Attempt, call: Call, places: Admission) -> None:
        """Let a run that cannot be stopped go on: it keeps its place, and the log tells of it."""
        self._left_behind.add(attempt)
        named = f"{one_line(call.tool, 100)!r}, correlation id {call.correlation_id}"
        _LOG.warning("a run of %s could not be stopped and goes on", named)
        attempt.when_ended(partial(self._came_home, attempt, call.tool, places, named))

    def _came_home(self, attempt: Attempt, tool: str, places: Admission, named: str) -> None:
        self._left_behind.discard(attempt)
        places.give_back(tool)
        if attempt.was_given_up:
            _LOG.warning(
                "the run that could not be stopped was given up with its event loop; a thread of it may still run: %s",
                named,
            )
            return
        how = "returned" if attempt.error is None else f"raised {type(attempt.error).__name__}"
        _LOG.warning("the run that could not be stopped has ended now, it %s: %s", how, named)


class _Execution:
    """One call's way through this stage, once it has its place."""

    __slots__ = (
        "_arguments",
        "_call",
        "_call_next",
        "_contract",
        "_ctx",
        "_failure",
        "_grace_s",
        "_kept",
        "attempt",
        "may_run_again",
    )

    def __init__(
        self,
        call: Call,
        contract: ToolContract | None,
        ctx: ServerRequestContext[Any, Any],
        call_next: CallNext,
        grace_s: float,
    ) -> None:
        self._grace_s = grace_s
        self._call = call
        self._contract = contract
        self._ctx = ctx
        self._call_next = call_next
        arguments = (ctx.params or {}).get("arguments")
        # If the inputs stage is off, arguments are whatever the caller sent.
        self._arguments: dict[str, Any] = arguments if isinstance(arguments, dict) else {}
        self.may_run_again = may_run_again(contract, self._arguments, call.defaults)
        self._kept: Mapping[str, Any] | None = None
        self._failure: Failure | None = None
        self.attempt: Attempt | None = None

    def keep_request(self) -> None:
        """Keep the request as it is before the first run: a tool may change the lists and objects that it is given."""
        params, arguments = self._ctx.params or {}, self._arguments
        for value in arguments.values():
            if isinstance(value, dict | list):
                self._kept = _copied(params)
                return
        # As most are: nothing in it can be changed but itself.
        self._kept = {**params, "arguments": dict(arguments)} if arguments else params

    async def once(self) -> HandlerResult | Failure:
        """Run the tool once."""
        call, grace_s = self._call, self._grace_s
        if self.attempt is not None:
            self._ctx.params = _copied(self._kept)
        remaining_ms = call.remaining_ms
        attempt = self.attempt = Attempt(call, self._ctx, self._call_next)
        try:
            in_time = await attempt.ended_within(None if remaining_ms is None else remaining_ms / 1e3)
        except asyncio.CancelledError:
            # The client cancelled, or has gone: there is nobody to tell, but the tool is stopped all the same.
            await attempt.stopped_within(grace_s)
            raise
        if not in_time:
            await attempt.stopped_within(grace_s)
            return self._timeout(attempt)
        if not attempt.begun:
            # Before the first attempt that is the deadline, later it is the failure of the last one.
            return self._failure or self._timeout(attempt)
        if attempt.late:
            return self._timeout(attempt)
        self._failure = self._failed(attempt)
        return self._failure or attempt.result

    def _failed(self, attempt: Attempt) -> Failure | None:
        error = attempt.error
        if error is None:
            result = attempt.result
            told = result if isinstance(result, dict) else wire(result)
            return failure_in(told, self._contract, self._call)
        # As in `_timeout`: no circle.
        attempt.error = None
        if not isinstance(error, Exception):
            # `sys.exit()` in a tool, or a CancelledError of its own making, since nobody has cancelled the call.
            crash = RuntimeError(f"the tool raised {type(error).__name__}")
            crash.__cause__ = error
            return failure_from(crash, self._contract, self._call)
        if passes(error):
            raise error
        return failure_from(error, self._contract, self._call)

    def _timeout(self, attempt: Attempt) -> Failure:
        changes = self._contract is None or self._contract.effects != "read"
        if not attempt.begun:
            what = "nothing was run; allow more time"
        elif not attempt.ended:
            what = "the tool cannot be stopped and runs on"
            what += ", and may still take effect; look what it did before you try again" if changes else ""
        elif attempt.was_stopped:
            what = "the tool was stopped, but " + ("may have taken effect in part, and " if changes else "")
            what += "threads, tasks or processes that it started may go on; ask for less, or allow more time"
        else:
            advice = (
                ", and may have taken effect; look what it did before you try again" if changes else "; ask for less"
            )
            what = f"the tool ended too late{advice}"
        failure = Failure(
            "timeout",
            f"the call was not done by its deadline of {self._call.deadline_ms} ms; {what}",
            retryable=self.may_run_again or not attempt.begun,
            details={"deadline_ms": self._call.deadline_ms, "stopped": attempt.ended},
        )
        # The traceback leads back to the attempt: a circle that would have to wait for the collector.
        failure.__cause__, attempt.error = attempt.error, None
        return failure


def _deadline_ms(call: Call, contract: ToolContract | None, default_ms: int | None) -> int | None:
    own_ms = default_ms if contract is None or contract.deadline_ms is None else contract.deadline_ms
    if own_ms is None or call.wished_ms is None:
        return call.wished_ms if own_ms is None else own_ms
    return min(own_ms, call.wished_ms)


def _copied(value: Any) -> Any:
    """Return a copy of JSON in which nothing is shared that could be changed."""
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value
