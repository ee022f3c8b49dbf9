"""The workbench: what a notebook holds, pointed at one target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mcp_workbench.errors import UsageError
from mcp_workbench.kernel.connection import MODES, Limits
from mcp_workbench.kernel.loop import background
from mcp_workbench.kernel.results import CallResult
from mcp_workbench.kernel.session import Session
from mcp_workbench.kernel.targets import read_target
from mcp_workbench.kernel.tracing import Trace
from mcp_workbench.load.measurable import Measurable
from mcp_workbench.untrusted import escaped, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_workbench.contracts.audit.report import Audit
    from mcp_workbench.contracts.drift import Drift
    from mcp_workbench.contracts.model import ContractBook
    from mcp_workbench.tables import Table
    from mcp_workbench.widgets.explorer import Explorer


class Workbench(Measurable):
    """A target, connected: look at it, call it, measure it.

    It connects when it is made, and stays connected across cells until it is closed, used up by a ``with``, or the
    kernel ends. A later cell that opens the same target under the same name replaces it. What the server answers is
    returned, good or bad; what prevents an answer is raised as one plain sentence.

    Args:
        target: a server object, a command, a URL, ``"file.py:attribute"``, ``"module:attribute"`` or
            ``"file.json#entry"`` of a client configuration.
        name: what it is called in tables and messages; made from the target if left out.
        timeout: seconds for connecting, and for each call.
        transport: ``"http"`` hosts a server object over loopback HTTP instead of calling it directly.
        mode: how the protocol version is found: ``"auto"``, ``"legacy"`` (handshake) or a version.
        max_result_mb: the greatest size of one result, in megabytes of JSON.

    Raises:
        TargetError: the target cannot be understood.
        UnreachableError: the target is not there, or no MCP server answered within the timeout.
    """

    def __init__(
        self,
        target: object,
        *,
        name: str | None = None,
        timeout: float = 30.0,
        transport: Literal["http"] | None = None,
        mode: str = "auto",
        max_result_mb: float = 10.0,
    ) -> None:
        self.session = _session(target, name, timeout, transport, mode, max_result_mb)
        self.session.open()

    @classmethod
    async def aopen(
        cls,
        target: object,
        *,
        name: str | None = None,
        timeout: float = 30.0,
        transport: Literal["http"] | None = None,
        mode: str = "auto",
        max_result_mb: float = 10.0,
    ) -> Workbench:
        """Make a workbench without blocking the caller's loop; the arguments are those of the class."""
        bench = cls.__new__(cls)
        bench.session = _session(target, name, timeout, transport, mode, max_result_mb)
        await bench.session.aopen()
        return bench

    @property
    def name(self) -> str:
        """What the workbench is called in tables and messages."""
        return self.session.target.name

    @property
    def tools(self) -> Table:
        """The tools that the server lists now: purpose, arguments, whether results have a schema, the four hints."""
        from mcp_workbench.kernel.listings import tools_table

        return tools_table(self.session.tools())

    @property
    def resources(self) -> Table:
        """The resources and resource templates that the server lists now."""
        from mcp_workbench.kernel.listings import resources_table

        return resources_table(self.session.resources(), self.session.resource_templates())

    @property
    def prompts(self) -> Table:
        """The prompts that the server lists now."""
        from mcp_workbench.kernel.listings import prompts_table

        return prompts_table(self.session.prompts())

    @property
    def records(self) -> Table:
        """One row for each call made through this workbench, oldest first."""
        return self.session.log.frame

    @property
    def stderr(self) -> str:
        """The last of what the server wrote on its standard error, or logged, if it lives in this process."""
        return self.session.stderr

    def call(self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None) -> CallResult:
        """Call a tool once; the interrupt button cancels the call.

        Args:
            tool: one of the tools that the server lists.
            arguments: a dict of JSON values.
            timeout: seconds for this call; the workbench's own if left out.

        Returns:
            What the server answered: ``.ok``, ``.value``, ``.text``, ``.structured``, or the ``.error``.

        Raises:
            UnknownToolError: the server lists no such tool; nothing was called.
            ArgumentsError: the arguments are no JSON object; nothing was sent.
            CallTimeoutError: no answer within the timeout; the call was cancelled.
            ConnectionLostError: the server is gone; ``reconnect()`` opens a new connection.
            ClosedError: the workbench was closed or replaced.
        """
        __tracebackhide__ = True
        if not self._listed(tool):
            background().run(self._known(tool))
        return self.session.call(tool, arguments, timeout=timeout)

    async def acall(
        self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> CallResult:
        """Call a tool once, as :meth:`call` does; cancelling the await cancels the call."""
        if not self._listed(tool):
            await background().arun(self._known(tool))
        return await self.session.acall(tool, arguments, timeout=timeout)

    def trace(self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None) -> Trace:
        """Call a tool once, and show where the time went and in which stage the call ended.

        A server that was hardened tells of its six stages; of any other one, this is what the client can see. The
        arguments are those of :meth:`call`, and it raises what :meth:`call` raises.

        Returns:
            A table (``.frame``) and a picture (``.plot()``) of the call, its ``.outcomes`` without times, and the
            ``.result``.
        """
        __tracebackhide__ = True
        if not self._listed(tool):
            background().run(self._known(tool))
        return self.session.trace(tool, arguments, timeout=timeout)

    async def atrace(
        self, tool: str, arguments: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> Trace:
        """Call a tool once, as :meth:`trace` does; cancelling the await cancels the call."""
        if not self._listed(tool):
            await background().arun(self._known(tool))
        return await self.session.atrace(tool, arguments, timeout=timeout)

    def explore(self, tool: str | None = None) -> Explorer:
        """Return the explorer: choose a tool, fill in its form, run it, read the result and the last calls.

        Args:
            tool: the tool to begin with; the first one if left out.
        """
        from mcp_workbench.widgets.explorer import Explorer

        return Explorer(self.session, tool=tool)

    def draft(self) -> ContractBook:
        """Return the contract that the server's listing amounts to; what it does not say is left as a gap.

        Raises:
            ContractError: the listing cannot be a contract; the sentence names the tool.
        """
        return background().run(self._draft())

    async def adraft(self) -> ContractBook:
        """Return what :meth:`draft` returns."""
        return await background().arun(self._draft())

    def audit(self) -> Audit:
        """Return what is incomplete or contradicts itself in what the server lists, with why it hurts and the mend."""
        from mcp_workbench.contracts.audit.report import audit_book

        return audit_book(self.draft())

    async def aaudit(self) -> Audit:
        """Return what :meth:`audit` returns."""
        from mcp_workbench.contracts.audit.report import audit_book

        return audit_book(await self.adraft())

    def check(self, contract: ContractBook | Path | str) -> Drift:
        """Hold a contract against the server as it is now: every difference, classed by what it breaks.

        Args:
            contract: a contract, or the path of its file.

        Raises:
            FileError: the file is no contract; the sentence names line and field.
        """
        from mcp_workbench.contracts.drift import check_book

        return check_book(_book(contract), self.draft())

    async def acheck(self, contract: ContractBook | Path | str) -> Drift:
        """Return what :meth:`check` returns."""
        from mcp_workbench.contracts.drift import check_book

        return check_book(_book(contract), await self.adraft())

    def reconnect(self) -> Workbench:
        """Connect again, after the server was lost or to start it afresh; the records stay."""
        self.session.reconnect()
        return self

    async def areconnect(self) -> Workbench:
        """Connect again, as :meth:`reconnect` does."""
        await self.session.areconnect()
        return self

    def close(self) -> None:
        """Leave the server, and end it if it was started here. The records stay; closing twice is no error."""
        self.session.close()

    async def aclose(self) -> None:
        """Leave the server, as :meth:`close` does."""
        await self.session.aclose()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Workbench:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        """Return name, transport and protocol version."""
        return f"<Workbench {self.name!r} over {self.session.target.transport}, {self._state()}>"

    def _repr_html_(self) -> str:
        return (
            f"<p><b>{escaped(self.name, 80)}</b>: {escaped(self.session.target, 300)}, "
            f"over {self.session.target.transport}, {escaped(self._state(), 400)}</p>"
        )

    def _state(self) -> str:
        connection = self.session.connection
        if connection.closed_why is not None:
            return "closed"
        if connection.lost:
            return "connection lost"
        state = f"protocol {one_line(connection.client.protocol_version, 40)}"
        garbage = connection.evidence.garbage is not None
        return f"{state}; {connection.evidence.told_garbage()}" if garbage else state

    async def _draft(self) -> ContractBook:
        from mcp_workbench.contracts.draft import draft_book

        tools = await self.session.connection.list_all("tools")
        told = self.session.connection.client.server_info
        # Servers of 2026-07-28 need not name themselves.
        name, version = (told.name, told.version) if told is not None else ("", None)
        return draft_book(name or self.name, version, tools)


def _book(contract: ContractBook | Path | str) -> ContractBook:
    from mcp_workbench.contracts.files import read_book
    from mcp_workbench.contracts.model import ContractBook

    return contract if isinstance(contract, ContractBook) else read_book(contract)


def _session(
    target: object, name: str | None, timeout_s: float, transport: str | None, mode: str, max_result_mb: float
) -> Session:
    if transport not in (None, "http"):
        raise UsageError(f"transport={transport!r} is not known; leave it out, or give 'http' to host a server object")
    for word, value in (("timeout", timeout_s), ("max_result_mb", max_result_mb)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise UsageError(f"{word}={value!r} is no positive number; give one, or leave it out")
    if mode not in MODES:
        raise UsageError(f"mode={mode!r} is not known; give one of {', '.join(MODES)}")
    read = read_target(target, name=name, over_http=transport == "http")
    return Session(read, Limits(timeout_s, int(max_result_mb * 1e6), mode))
