"""A session: one target seen from any thread or loop, with blocking and awaitable names side by side."""

from __future__ import annotations

import asyncio
import concurrent.futures
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp_types import Prompt, Resource, ResourceTemplate, Tool

from mcp_workbench.errors import ClosedError
from mcp_workbench.kernel.calls import PendingCall
from mcp_workbench.kernel.connection import Connection, Limits
from mcp_workbench.kernel.loop import background
from mcp_workbench.kernel.rerun import replace_earlier
from mcp_workbench.kernel.results import CallResult
from mcp_workbench.kernel.targets import Target
from mcp_workbench.kernel.tracing import Trace
from mcp_workbench.records import CallLog, now_ns, read_arguments

T = TypeVar("T")


class Session:
    """A connected target. What the server answers to a call is returned, good or bad; what prevents an answer raises.

    Args:
        target: what to connect to, as :func:`~mcp_workbench.kernel.targets.read_target` gives it.
        limits: timeouts and sizes.

    Attributes:
        log: the records of all calls, across reconnections.
    """

    def __init__(self, target: Target, limits: Limits | None = None) -> None:
        self.target = target
        self.limits = limits or Limits()
        self.log = CallLog()
        self._connection: Connection | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._forget: Callable[[], None] = lambda: None
        # Opening, closing and reconnecting take turns, or a server would be left that nobody knows of.
        self._turn = asyncio.Lock()

    # The same names twice: blocking, and with an "a" before them to be awaited.

    def open(self) -> Session:
        """Connect.

        Raises:
            UnreachableError: the target is not there, or no MCP server answered within the timeout.
        """
        background().run(self._open())
        return self

    async def aopen(self) -> Session:
        """Connect, as :meth:`open` does."""
        await background().arun(self._open())
        return self

    def close(self) -> None:
        """Leave the server; one that was started is ended. Closing twice is no error."""
        background().run(self._close())

    async def aclose(self) -> None:
        """Leave the server, as :meth:`close` does."""
        await background().arun(self._close())

    def reconnect(self) -> None:
        """Leave the server, if it is still there, and connect again; the records stay."""
        background().run(self._reconnect())

    async def areconnect(self) -> None:
        """Connect again, as :meth:`reconnect` does."""
        await background().arun(self._reconnect())

    def call(self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None) -> CallResult:
        """Call a tool once; the interrupt button cancels the call.

        Args:
            tool: the tool's name, sent as it is.
            arguments: a JSON object.
            timeout: seconds for this call; the session's own if ``None``.

        Returns:
            What the server answered: ``ok``, ``text``, ``structured``, or the ``error``.

        Raises:
            ArgumentsError: the arguments are no JSON object; nothing was sent.
            CallTimeoutError: no answer within the timeout; the call was cancelled.
            ConnectionLostError: the server is gone; ``reconnect()`` opens a new connection.
            ClosedError: the session was closed.
        """
        __tracebackhide__ = True
        pending = PendingCall(self.connection, tool, read_arguments(arguments), timeout_s=timeout)
        background().wait(pending.start, pending.cancel)
        return pending.outcome()

    async def acall(
        self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> CallResult:
        """Call a tool once, as :meth:`call` does; cancelling the await cancels the call."""
        return await background().arun(self._call(tool, arguments, timeout))

    def submit(
        self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> concurrent.futures.Future[CallResult]:
        """Start a call and return at once; cancelling the future cancels the call. Errors are in the future."""
        return background().submit(self._call(tool, arguments, timeout))

    def trace(self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None) -> Trace:
        """Call a tool once, as :meth:`call` does, and return where the time went."""
        __tracebackhide__ = True
        called_ns = now_ns()
        pending = PendingCall(self.connection, tool, read_arguments(arguments), timeout_s=timeout, traced=True)
        background().wait(pending.start, pending.cancel)
        return Trace(pending.outcome(), called_ns, now_ns())

    async def atrace(
        self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> Trace:
        """Call a tool once, as :meth:`trace` does; cancelling the await cancels the call."""
        called_ns = now_ns()
        result = await background().arun(self._call(tool, arguments, timeout, traced=True))
        return Trace(result, called_ns, now_ns())

    def tools(self) -> list[Tool]:
        """Return the tools that the server lists now."""
        return background().run(self._list(Tool))

    async def atools(self) -> list[Tool]:
        """Return the tools, as :meth:`tools` does."""
        return await background().arun(self._list(Tool))

    def resources(self) -> list[Resource]:
        """Return the resources that the server lists now; none if it has no such capability."""
        return background().run(self._list(Resource))

    async def aresources(self) -> list[Resource]:
        """Return the resources, as :meth:`resources` does."""
        return await background().arun(self._list(Resource))

    def resource_templates(self) -> list[ResourceTemplate]:
        """Return the resource templates that the server lists now; none if it has no such capability."""
        return background().run(self._list(ResourceTemplate))

    async def aresource_templates(self) -> list[ResourceTemplate]:
        """Return the resource templates, as :meth:`resource_templates` does."""
        return await background().arun(self._list(ResourceTemplate))

    def prompts(self) -> list[Prompt]:
        """Return the prompts that the server lists now; none if it has no such capability."""
        return background().run(self._list(Prompt))

    async def aprompts(self) -> list[Prompt]:
        """Return the prompts, as :meth:`prompts` does."""
        return await background().arun(self._list(Prompt))

    @property
    def connection(self) -> Connection:
        """The connection that is open now.

        Raises:
            ClosedError: the session was not opened.
        """
        if self._connection is None:
            raise ClosedError(f"{self.target.name!r} is not open yet; open() it first")
        return self._connection

    @property
    def stderr(self) -> str:
        """The last of what the server wrote on its standard error, or logged, if it lives in this process."""
        return "" if self._connection is None else self._connection.said()

    async def _open(self) -> None:
        async with self._turn:
            # The same server called directly and over HTTP are two things to compare, not one run again.
            key = f"{self.target.name} {self.target.transport} {self.target}"
            self._forget = await replace_earlier("session", key, self._replaced())
            try:
                await self._connect()
            except BaseException:
                self._forget()
                raise

    async def _close(self, why: str | None = None) -> None:
        async with self._turn:
            self._forget()
            await self._leave_connection(why)

    async def _reconnect(self) -> None:
        async with self._turn:
            await self._leave_connection(None)
            await self._connect()

    async def _connect(self) -> None:
        connection = Connection(self.target, self.limits, self.log)
        await connection.open()
        self._connection = connection
        # A session that nobody holds any more leaves its server; at the interpreter's end the loop does that itself.
        self._finalizer = weakref.finalize(self, _leave, connection)
        self._finalizer.atexit = False

    async def _leave_connection(self, why: str | None) -> None:
        if self._connection is not None:
            await self._connection.close(why)
        if self._finalizer is not None:
            self._finalizer.detach()

    def _replaced(self) -> Callable[[], Awaitable[None]]:
        """Return what closes this session when a later cell opens the same target, without keeping it alive."""
        weakly = weakref.ref(self)

        async def close() -> None:
            if (session := weakly()) is not None:
                await session._close("a later cell opened the same target again; to keep both, give one a name=...")

        return close

    async def _call(
        self, tool: str, arguments: dict[str, Any] | None, timeout_s: float | None, *, traced: bool = False
    ) -> CallResult:
        return await self.connection.call(tool, read_arguments(arguments), timeout_s=timeout_s, traced=traced)

    async def _list(self, kind: type[T]) -> list[T]:
        listing = {Tool: "tools", Resource: "resources", ResourceTemplate: "resource_templates", Prompt: "prompts"}
        return await self.connection.list_all(listing[kind])  # type: ignore[index, arg-type]


def _leave(connection: Connection) -> None:
    """Close a connection from wherever the garbage collector runs."""
    loop = background()
    if loop.running:
        # The loop may end at this very moment; then it closes the connection itself.
        work = connection.close("nobody held it any more")
        try:
            loop.submit(work)
        except RuntimeError:
            work.close()
