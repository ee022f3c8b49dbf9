"""One call under way: its request, its deadline, its record, and the one end that it comes to.

Made of callbacks instead of tasks that wait for each other: a blocking call in a notebook costs one task, and the way
to the loop's thread and back.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from mcp import MCPError
from mcp_types import CallToolResult
from pydantic import ValidationError

from mcp_workbench.errors import CallTimeoutError, UsageError, WorkbenchError
from mcp_workbench.kernel.correlation import correlate
from mcp_workbench.kernel.failures import is_connection_loss, leaves, telling
from mcp_workbench.kernel.results import CallResult, error_text
from mcp_workbench.records import Arguments, CallRecord, Outcome, Purpose, now_ns
from mcp_workbench.stages import DEADLINE_META, TRACE_META, read_story
from mcp_workbench.untrusted import one_line, plain

if TYPE_CHECKING:
    from mcp_workbench.kernel.connection import Connection

# What hardened servers take; without a wish their own deadline holds.
_LONGEST_WISH_MS: Final = 86_400_000


class PendingCall:
    """A call of one tool; made anywhere, then started and ended on the background loop.

    Args:
        connection: the connection that it goes over.
        tool: the tool's name, sent as it is.
        arguments: as :func:`~mcp_workbench.records.read_arguments` gives them.
        timeout_s: seconds until it is given up; the connection's own limit if ``None``.
        purpose: why the call is made.
        intended_start_ns: when it was meant to start; when it did if ``None``.
        traced: whether the server is asked for the times of its stages.
    """

    __slots__ = (
        "_arguments",
        "_connection",
        "_correlation",
        "_deadline",
        "_end_ns",
        "_ended",
        "_error",
        "_intended_start_ns",
        "_limit_s",
        "_purpose",
        "_request",
        "_result",
        "_said_before",
        "_start_ns",
        "_start_s",
        "_tool",
        "_traced",
    )

    def __init__(
        self,
        connection: Connection,
        tool: str,
        arguments: Arguments,
        *,
        timeout_s: float | None = None,
        purpose: Purpose = "call",
        intended_start_ns: int | None = None,
        traced: bool = False,
    ) -> None:
        if not isinstance(tool, str):
            raise UsageError(f"the name of a tool is text; this is a {type(tool).__name__}")
        number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
        if timeout_s is not None and not (number and 0 < timeout_s < float("inf")):
            raise UsageError(f"timeout={timeout_s!r} is no positive number of seconds; give one, or leave it out")
        self._connection = connection
        self._tool = tool
        self._arguments = arguments
        self._limit_s = connection.limits.timeout_s if timeout_s is None else timeout_s
        self._purpose = purpose
        self._intended_start_ns = intended_start_ns
        self._traced = traced
        self._ended: Callable[[], None] | None = None
        self._result: CallResult | None = None
        self._error: WorkbenchError | None = None
        self._start_ns = self._end_ns = 0

    def start(self, ended: Callable[[], None]) -> None:
        """Send the request; ``ended`` is called once, when there is a result or an error, however it comes to it."""
        self._ended = ended
        try:
            client = self._connection.client
        except WorkbenchError as error:
            self._end(error=error)
            return
        self._connection.under_way.add(self)
        loop = asyncio.get_running_loop()
        chosen = self._correlation = correlate(self._tool, sampled=self._purpose == "call")
        meta = chosen.meta
        # The whole timeout, not a little less: with every server it is our own timeout that ends the call, and what
        # the server is told matters where cancelling does not reach it.
        wish_ms = self._limit_s * 1e3
        if wish_ms <= _LONGEST_WISH_MS:
            meta[DEADLINE_META] = math.ceil(wish_ms)
        if self._traced:
            meta[TRACE_META] = True
        self._said_before = self._connection.said_bytes
        self._start_s = time.monotonic()
        self._deadline = loop.call_later(self._limit_s, self._expire)
        self._start_ns = now_ns()
        request = client.call_tool(self._tool, self._arguments.values, meta=meta)  # type: ignore[arg-type]  # an open map
        self._request = loop.create_task(self._run(request), context=chosen.context)

    def cancel(self) -> None:
        """Give the call up."""
        self.close(None)

    def close(self, error: WorkbenchError | None) -> None:
        """Give the call up because its connection is being closed; ``error`` is what its caller is told."""
        if self._ended is not None:
            record = self._record(Outcome.CANCELLED)
            if error is not None:
                error.record = record
            self._end(error=error)
            self._connection.give_up(self._request)

    def outcome(self) -> CallResult:
        """Return what the server answered, or raise what prevented an answer; asked after the end."""
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    async def _run(self, request: Awaitable[CallToolResult]) -> None:
        try:
            answer = await request
        except BaseException as raised:  # noqa: BLE001 - also a tool's sys.exit(): whatever it is becomes one outcome
            self._end_ns = now_ns()
            # Without an end to come to, it was given up, and nobody asks any more.
            if self._ended is not None:
                await self._failed(next(leaves(raised)))
            return
        self._end_ns = now_ns()
        if self._end_ns - self._start_ns > self._limit_s * 1e9:
            # The loop was held up by the tool itself, so that the deadline could not be noticed in time.
            self._expire()
        elif self._ended is not None:
            try:
                result = self._accepted(answer)
            except Exception as error:  # noqa: BLE001 - what pydantic cannot write again, such as half a character
                words = f"the result cannot be written as JSON: {one_line(error, 200)}"
                result = CallResult(self._record(Outcome.INVALID_OUTPUT, "malformed_result"), None, words)
            self._end(result)

    async def _failed(self, failure: BaseException) -> None:
        # A request that ends cancelled, though nobody cancelled it, lost its connection under way.
        if isinstance(failure, asyncio.CancelledError) or is_connection_loss(failure):
            # Taken before anything is awaited: a deadline that passes meanwhile is no second end.
            ended, self._ended = self._ended, None
            self._deadline.cancel()
            record = self._record(Outcome.TRANSPORT_ERROR)
            error = await self._connection.lose()
            error.record = record
            self._ended = ended
            self._end(error=error)
            return
        outcome, code, words = answered(failure)
        said = telling(self._connection.said(self._said_before, self._start_s))
        self._end(CallResult(self._record(outcome, code), None, words, said))

    def _accepted(self, answer: CallToolResult) -> CallResult:
        size = len(answer.model_dump_json(by_alias=True, exclude_none=True))
        most = self._connection.limits.result_bytes
        if size > most:
            words = (
                f"the result of {one_line(self._tool, 80)!r} has {size / 1e6:.1f} MB, above the limit of "
                f"{most / 1e6:g} MB; ask the tool for less, or raise max_result_mb"
            )
            return CallResult(self._record(Outcome.INVALID_OUTPUT, "result_too_large", size), None, words)
        story = read_story(answer.meta)
        # A call that was refused before its tool ran was tried once all the same.
        attempt = 1 if story is None else max(1, story.attempts)
        if answer.is_error:
            said = telling(self._connection.said(self._said_before, self._start_s))
            record = self._record(Outcome.TOOL_ERROR, _error_code(answer), size, attempt)
            return CallResult(record, answer, error_text(answer), said)
        return CallResult(self._record(Outcome.OK, None, size, attempt), answer)

    def _expire(self) -> None:
        if self._ended is None:
            return
        self._end_ns = now_ns()
        error = CallTimeoutError(
            f"{one_line(self._tool, 80)!r} did not answer within {self._limit_s:g} s and was cancelled; "
            "raise the timeout, or look at what the tool waits for"
            + (f"; {garbage}" if (garbage := self._connection.garbage()) else "")
        )
        error.record = self._record(Outcome.TIMEOUT)
        self._end(error=error)
        self._connection.give_up(self._request)

    def _end(self, result: CallResult | None = None, error: WorkbenchError | None = None) -> None:
        ended, self._ended = self._ended, None
        if ended is None:
            return
        if self._start_ns:
            self._deadline.cancel()
            if self._correlation.span is not None:
                self._correlation.span.end()
        self._connection.under_way.discard(self)
        self._result, self._error = result, error
        ended()

    def _record(self, outcome: Outcome, code: str | None = None, size: int = 0, attempt: int = 1) -> CallRecord:
        target = self._connection.target
        start_ns = self._start_ns
        record = CallRecord(
            self._correlation.correlation_id,
            target.name,
            target.transport,
            self._tool,
            self._arguments.digest,
            start_ns if self._intended_start_ns is None else self._intended_start_ns,
            start_ns,
            self._end_ns or now_ns(),
            outcome,
            code,
            self._arguments.size_bytes,
            size,
            attempt,
            self._purpose,
            self._correlation.trace_id,
        )
        self._connection.log.append(record)
        return record


def answered(failure: BaseException) -> tuple[Outcome, str, str]:
    """Return outcome, code and words for an answer that the SDK turned into an exception."""
    if isinstance(failure, MCPError):
        return Outcome.PROTOCOL_ERROR, str(failure.code), plain(failure.message, 4_000)
    if isinstance(failure, ValidationError):
        problem = one_line(failure.errors()[0]["msg"], 200)
        return Outcome.INVALID_OUTPUT, "malformed_result", f"the answer is not what the protocol says: {problem}"
    words = plain(failure, 4_000) or type(failure).__name__
    # The SDK checks results against the output schema, and says so with nothing but a RuntimeError.
    told = isinstance(failure, RuntimeError) and re.match("Invalid (structured|schema)|.* has an output schema", words)
    if told or isinstance(failure, RecursionError):
        return Outcome.INVALID_OUTPUT, "output_schema", words
    return Outcome.PROTOCOL_ERROR, type(failure).__name__, words


def _error_code(answer: CallToolResult) -> str | None:
    """Return the code that the server's error object names, if it has one."""
    told = answer.structured_content
    code = told.get("code") if isinstance(told, dict) else None
    return one_line(code, 60) if isinstance(code, str | int) else None
