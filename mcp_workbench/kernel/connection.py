"""One connection to one target: entered and left by a holder task of its own on the background loop.

Everything here runs on the loop. :class:`~mcp_workbench.kernel.session.Session` is the side that callers see.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import METHOD_NOT_FOUND
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from mcp_workbench.errors import (
    CallTimeoutError,
    ClosedError,
    ConnectionLostError,
    ProtocolError,
    WorkbenchError,
)
from mcp_workbench.kernel.calls import PendingCall, answered
from mcp_workbench.kernel.failures import Evidence, is_connection_loss, leaves, lost, unreachable
from mcp_workbench.kernel.hosting import HostedServer
from mcp_workbench.kernel.leash import leash
from mcp_workbench.kernel.loop import background, sdk_log
from mcp_workbench.kernel.results import CallResult
from mcp_workbench.kernel.stderr import StderrTail
from mcp_workbench.kernel.targets import (
    CommandTarget,
    ServerTarget,
    Target,
    UrlTarget,
    find_program,
    search_path,
)
from mcp_workbench.records import Arguments, CallLog, Purpose

T = TypeVar("T")

MODES = ("auto", "legacy", *MODERN_PROTOCOL_VERSIONS)
"""The ways in which the protocol version can be found: probe first, handshake only, or one fixed version."""

Listing = Literal["tools", "resources", "resource_templates", "prompts"]

_LISTED_PAGES = 100
_LISTED_ITEMS = 10_000
_CLOSE_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection bears.

    Attributes:
        timeout_s: seconds for connecting, and for each request.
        result_bytes: the greatest size of one result, as JSON.
        mode: how the protocol version is found: one of :data:`MODES`.
    """

    timeout_s: float = 30.0
    result_bytes: int = 10_000_000
    mode: str = "auto"


class Connection:
    """A connection from :meth:`open` to :meth:`close`; not opened again afterwards.

    Args:
        target: what to connect to.
        limits: timeouts and sizes.
        log: where the record of each call goes.

    Attributes:
        listed: the names of the tools that the server listed last.
        lost: whether the server is gone.
        closed_why: why the connection was left; ``None`` while it is open.
    """

    def __init__(self, target: Target, limits: Limits, log: CallLog) -> None:
        self.target = target
        self.limits = limits
        self.log = log
        self.lost = False
        self.closed_why: str | None = None
        self.connect_ms = 0.0
        self.evidence = Evidence()
        self.listed: frozenset[str] = frozenset()
        self._client: Client | None = None
        self._holder: asyncio.Task[None] | None = None
        self._scope = anyio.CancelScope()
        self._leave = asyncio.Event()
        self._stderr: StderrTail | None = None
        self._opened_s = time.monotonic()
        # Calls that were given up and have not ended yet; kept so that their tasks are not collected.
        self.under_way: set[PendingCall] = set()
        self._given_up: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect, and list the tools as the proof that a server is there.

        Raises:
            UnreachableError: the command cannot be started, or no MCP server answered within the timeout; what was
                begun is being ended.
        """
        start = time.perf_counter()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holder = asyncio.create_task(self._hold(ready), name=f"hold {self.target.name}")
        background().on_exit(self.close)
        # The SDK loads it for the first structured result, and would bill a second or more to that call.
        loading = asyncio.get_running_loop().run_in_executor(None, importlib.import_module, "jsonschema")
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                await asyncio.shield(ready)
                self.connect_ms = (time.perf_counter() - start) * 1e3
                await asyncio.shield(loading)
        except BaseException as error:
            self._scope.cancel()
            if self._stderr is not None:
                self.evidence.said = self._stderr.text()
            if not isinstance(error, Exception):
                raise
            raise unreachable(self.target, error, self.evidence, self.limits.timeout_s) from None
        self.evidence.connected = True

    async def close(self, why: str | None = None) -> None:
        """Leave the connection and wait until its process or server has ended, which is bounded."""
        self.closed_why = self.closed_why or why or "it was closed"
        for pending in list(self.under_way):
            pending.close(ClosedError(f"the call was given up: {self.target.name!r} was closed under way"))
        self._leave.set()
        if self._holder is not None and not self._holder.done():
            _, late = await asyncio.wait({self._holder}, timeout=_CLOSE_LIMIT_S)
            if late:
                self._scope.cancel()
        background().not_on_exit(self.close)

    @property
    def client(self) -> Client:
        """The SDK's client.

        Raises:
            ClosedError: the connection was closed.
            ConnectionLostError: the server is gone.
        """
        if self.closed_why is not None:
            raise ClosedError(f"{self.target.name!r} cannot be called: {self.closed_why}; reconnect() opens it again")
        if self.lost or self._client is None:
            raise ConnectionLostError(lost(self.target, self.said()))
        return self._client

    def garbage(self) -> str:
        """Return the sentence about lines on standard output that are no messages; empty if there were none."""
        return self.evidence.told_garbage() if self.evidence.garbage is not None else ""

    @property
    def said_bytes(self) -> int:
        """How many bytes the server has written on standard error so far."""
        return self._stderr.position if self._stderr is not None else 0

    def said(self, since: int = 0, since_s: float | None = None) -> str:
        """Return the last that the server wrote on standard error; for one in this process, what the SDK logged."""
        if self._stderr is not None:
            return self._stderr.text(since)
        if isinstance(self.target, ServerTarget):
            return "\n".join(sdk_log().since(self._opened_s if since_s is None else since_s))
        return ""

    async def call(
        self,
        tool: str,
        arguments: Arguments,
        *,
        timeout_s: float | None = None,
        purpose: Purpose = "call",
        traced: bool = False,
    ) -> CallResult:
        """Call a tool once, record it, and return what the server answered, be it good or bad.

        Raises:
            CallTimeoutError: no answer within the timeout.
            ConnectionLostError: the server is gone.
            ClosedError: the connection was closed before.
        """
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending = PendingCall(self, tool, arguments, timeout_s=timeout_s, purpose=purpose, traced=traced)
        pending.start(lambda: None if ended.done() else ended.set_result(None))
        try:
            await ended
        except asyncio.CancelledError:
            pending.cancel()
            raise
        return pending.outcome()

    async def list_all(self, kind: Listing) -> list[Any]:
        """Return all that the server lists of one kind, page by page; nothing where it has no such listing.

        Raises:
            ProtocolError: the server answers with an error, or its pages never end.
        """
        return await self.ask(self._pages(kind), f"listing the {kind.replace('_', ' ')}")

    async def ask(self, request: Coroutine[Any, Any, T], what: str) -> T:
        """Await a request that is no tool call, within the timeout, with every failure as one plain error.

        Args:
            request: the SDK's coroutine.
            what: what is being done, for the error, as in "listing the tools".

        Raises:
            CallTimeoutError: no answer within the timeout.
            ConnectionLostError: the server is gone.
            ProtocolError: the server answered with an error, or with what the protocol does not know.
        """
        task = asyncio.create_task(request)
        try:
            await asyncio.wait({task}, timeout=self.limits.timeout_s)
        except asyncio.CancelledError:
            self.give_up(task)
            raise
        if not task.done():
            self.give_up(task)
            raise CallTimeoutError(
                f"{what} at {self.target} took more than {self.limits.timeout_s:g} s and was cancelled; "
                "raise the timeout, or look at what the server waits for"
            )
        try:
            return task.result()
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - whatever it is becomes one error
            failure = next(leaves(raised))
            if isinstance(failure, WorkbenchError):
                raise failure from None
            if isinstance(failure, asyncio.CancelledError) or is_connection_loss(failure):
                raise await self.lose() from None
            _, code, words = answered(failure)
            raise ProtocolError(f"{what} at {self.target} failed: {words} (code {code})") from None

    async def _pages(self, kind: Listing) -> list[Any]:
        client = self.client
        ask = {
            "tools": client.list_tools,
            "resources": client.list_resources,
            "resource_templates": client.list_resource_templates,
            "prompts": client.list_prompts,
        }[kind]
        found: list[Any] = []
        cursor: str | None = None
        for _ in range(_LISTED_PAGES):
            try:
                page = await ask(cursor=cursor)
            except MCPError as error:
                # The capability is not there: a server without resources lists none.
                if error.code == METHOD_NOT_FOUND and kind != "tools":
                    return []
                raise
            found += getattr(page, kind)
            cursor = page.next_cursor
            if cursor is None:
                if kind == "tools":
                    self.listed = frozenset(tool.name for tool in found)
                return found
            if len(found) > _LISTED_ITEMS:
                break
        raise ProtocolError(
            f"{self.target} lists {kind} without end (over {_LISTED_PAGES} pages or {_LISTED_ITEMS:,} entries); "
            "its paging never gives an empty cursor"
        )

    async def _hold(self, ready: asyncio.Future[None]) -> None:
        """Enter the connection, prove it, keep it, leave it: all in this one task, as anyio demands."""
        try:
            with self._scope:
                async with AsyncExitStack() as stack:
                    transport = await self._transport(stack)
                    self._client = await stack.enter_async_context(
                        Client(transport, mode=self.limits.mode, cache=None, message_handler=self._message)
                    )
                    # A pinned mode connects to anything: only an answer proves a server.
                    await self._pages("tools")
                    if not ready.done():
                        ready.set_result(None)
                    await self._leave.wait()
        except BaseException as error:
            if isinstance(error, Exception) and self._stderr is not None and not ready.done():
                await self._stderr.drained()
            if not ready.done():
                ready.set_exception(error)
                # Nobody may be waiting any more.
                ready.exception()
            elif not isinstance(error, Exception):
                raise
        finally:
            background().not_on_exit(self.close)
            self.lost = self.closed_why is None
            if self._stderr is not None:
                self._stderr.close()

    async def _transport(self, stack: AsyncExitStack) -> Any:
        target = self.target
        if isinstance(target, ServerTarget):
            if target.transport == "in-process":
                return target.server
            hosted = HostedServer(target.server)
            stack.push_async_callback(hosted.aclose)
            await hosted.start()
            return await self._url(UrlTarget(hosted.url, target.name), stack)
        if isinstance(target, CommandTarget):
            return await self._command(target, stack)
        return await self._url(target, stack)

    async def _command(self, target: CommandTarget, stack: AsyncExitStack) -> Any:
        program = find_program(target)
        self._stderr = StderrTail()
        errlog = await self._stderr.open()
        mark = leash().take()
        stack.callback(leash().drop)
        parameters = StdioServerParameters(
            command=program,
            args=list(target.arguments),
            # Wide and plain, so that what it writes on standard error is not broken into frames.
            env={"PATH": search_path(), "COLUMNS": "200", "NO_COLOR": "1"} | dict(target.environment) | mark,
            cwd=target.folder,
            encoding_error_handler="replace",
        )
        streams = await stack.enter_async_context(stdio_client(parameters, errlog=errlog))
        self._stderr.handed_over()
        return contextlib.nullcontext(streams)

    async def _url(self, target: UrlTarget, stack: AsyncExitStack) -> Any:
        async def note(response: httpx2.Response) -> None:
            self.evidence.http_status = response.status_code
            self.evidence.content_type = response.headers.get("content-type", "")

        client = httpx2.AsyncClient(
            headers=dict(target.headers),
            # Our own deadline rules; a pool that is full waits, and is no reason to give the connection up.
            timeout=None,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
            event_hooks={"response": [note]},
        )
        await stack.enter_async_context(client)
        return streamable_http_client(target.url, http_client=client, max_sse_event_size=None)

    async def _message(self, message: object) -> None:
        # A line on standard output that is no message reaches us as the error that parsing it gave.
        if isinstance(message, ValidationError) and self.evidence.garbage is None:
            self.evidence.garbage = str(message.errors()[0]["input"])[:400]

    async def lose(self) -> ConnectionLostError:
        """Note that the server is gone, and return the error that says so."""
        self.lost = True
        if self._stderr is not None:
            await self._stderr.drained()
        return ConnectionLostError(lost(self.target, self._stderr.text() if self._stderr is not None else ""))

    def give_up(self, request: asyncio.Task[Any]) -> None:
        """Cancel a request without waiting: a synchronous tool in this process runs on in its thread."""
        request.cancel()
        self._given_up.add(request)
        request.add_done_callback(self._forget)

    def _forget(self, request: asyncio.Task[Any]) -> None:
        self._given_up.discard(request)
        if not request.cancelled():
            # Looked at, so that asyncio does not report it as never retrieved: its caller gave it up.
            request.exception()
