"""What the chain knows of each tool: its contract, and the two schemas that hold for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp_types import PaginatedRequestParams

from mcp_workbench.controls.answers import wire
from mcp_workbench.controls.call import current_call
from mcp_workbench.controls.failures import Failure
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from mcp_workbench.contracts.model import ContractBook, ToolContract

_LOG: Final = logging.getLogger("mcp_workbench.controls")
_MOST_PAGES: Final = 100
_BELIEVED_S: Final = 10.0
_METHODS: Final = (MCPServer.list_tools, MCPServer.call_tool)


@dataclass(frozen=True, slots=True, eq=False)
class ToolEntry:
    """One tool of the server.

    Attributes:
        name: its name.
        contract: what is promised of it; ``None`` if nothing is.
        input_schema: the schema of its arguments: the contract's, or else what the server lists.
        output_schema: the schema of its structured result, in the same order; ``None`` without one.
        source: the tool itself, where the server is an ``MCPServer``.
    """

    name: str
    contract: ToolContract | None
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    source: object = None


class Catalogue:
    """The tools of one server.

    An ``MCPServer`` is asked for the tool itself at each call. Any other server is asked for its list, which is
    believed for ten seconds; one that lists a tool with other schemas for other callers needs a contract of that tool.

    Args:
        server: the server.
        book: the contracts of its tools, if there are any.
        deadline_ms: how long a call may wait for a list; ``None`` for as long as it takes.
    """

    def __init__(
        self, server: MCPServer[Any] | Server[Any], book: ContractBook | None, deadline_ms: int | None
    ) -> None:
        self._server = server
        self._contracts = {} if book is None else {tool.name: tool for tool in book.tools}
        self._deadline_ms = deadline_ms
        self._entries: dict[str, ToolEntry] = {}
        self._asked_s = -_BELIEVED_S
        self._asking = anyio.Lock()
        self._warned = False
        # A subclass that lists or calls tools of its own is asked, too.
        plain = isinstance(server, MCPServer) and (type(server).list_tools, type(server).call_tool) == _METHODS
        self._registry = server._tool_manager if plain else None  # type: ignore[union-attr]  # plain: an MCPServer

    async def find(self, name: str, ctx: ServerRequestContext[Any, Any]) -> ToolEntry | None:
        """Return what is known of a tool; ``None`` if the server has none of that name.

        Args:
            name: the tool's name, as the caller wrote it.
            ctx: the request; a low-level server lists its tools for it.

        Raises:
            Failure: ``timeout``, if the server does not list its tools by the deadline.
        """
        entry = self.known(name)
        if entry is not None or self._registry is not None:
            return entry
        arrived_s = time.monotonic()
        limit_ms = self._limit_ms()
        with anyio.move_on_after(None if limit_ms is None else limit_ms / 1e3) as scope:
            # One list at a time: who waited for it, and came before it was asked for, takes it over.
            async with self._asking:
                if self._asked_s < arrived_s:
                    asked_s = time.monotonic()
                    self._take_over(await self._listed(ctx))
                    # Only now: a list that did not come says nothing of any tool, also to those who waited for it.
                    self._asked_s = asked_s
        if scope.cancelled_caught:
            raise Failure(
                "timeout",
                "the server did not list its tools by the call's deadline; nothing was run; allow more time",
                retryable=True,
            )
        return self._entries.get(name)

    def known(self, name: str) -> ToolEntry | None:
        """Return what is known of a tool without asking for a list."""
        entry = self._entries.get(name)
        if self._registry is None:
            return entry if time.monotonic() - self._asked_s < _BELIEVED_S else None
        tool = self._registry.get_tool(name)
        if entry is not None and entry.source is tool:
            return entry
        self._entries.pop(name, None)
        return None if tool is None else self._note(name, tool.parameters, tool.output_schema, tool)

    def as_listed(self, name: str) -> ToolEntry | None:
        """Return what is known of a tool that has just been listed, be it on a page of a long list."""
        return self._entries.get(name) if self._registry is None else self.known(name)

    def note(self, tools: list[dict[str, Any]], *, all_of_them: bool) -> None:
        """Take over tools as they go over the wire to a client.

        Args:
            tools: what the server lists.
            all_of_them: whether these are all, and not a page of them.
        """
        if self._registry is None:
            for tool in tools:
                self._note(tool["name"], tool.get("inputSchema") or {}, tool.get("outputSchema"))
            if all_of_them:
                self._asked_s = time.monotonic()
        if all_of_them and not self._warned:
            self._warned = True
            missing = sorted(self._contracts.keys() - {tool["name"] for tool in tools})
            if missing:
                _LOG.info("the contract names tools that the server does not list: %s", ascii(missing[:20]))

    def _limit_ms(self) -> float | None:
        call = current_call()
        wished_ms = None if call is None else call.wished_ms
        limits = [each for each in (self._deadline_ms, wished_ms) if each is not None]
        if not limits:
            return None
        return max(0.0, min(limits) - (0.0 if call is None else call.elapsed_ms))

    async def _listed(self, ctx: ServerRequestContext[Any, Any]) -> list[dict[str, Any]]:
        if isinstance(self._server, MCPServer):
            return [wire(tool) for tool in await self._server.list_tools()]
        return await _pages(self._server, ctx)

    def _take_over(self, tools: list[dict[str, Any]]) -> None:
        # Removed tools are forgotten here, so that their names are unknown again.
        for gone in self._entries.keys() - {tool["name"] for tool in tools}:
            del self._entries[gone]
        for tool in tools:
            self._note(tool["name"], tool.get("inputSchema") or {}, tool.get("outputSchema"))

    def _note(
        self,
        name: str,
        input_schema: Mapping[str, Any],
        output_schema: Mapping[str, Any] | None,
        source: object = None,
    ) -> ToolEntry:
        contract = self._contracts.get(name)
        known = self._entries.get(name)
        if contract is not None:
            if known is None:
                _warn_of_drift(contract, input_schema, output_schema)
            input_schema = contract.input_schema if contract.input_schema is not None else input_schema
            output_schema = contract.output_schema if contract.output_schema is not None else output_schema
        # What is as before keeps its entry, and with it what the stages have made of it.
        if known is None or (known.input_schema, known.output_schema) != (input_schema, output_schema):
            known = self._entries[name] = ToolEntry(name, contract, input_schema, output_schema, source)
        return known


def _warn_of_drift(contract: ToolContract, own_input: Mapping[str, Any], own_output: Mapping[str, Any] | None) -> None:
    """Log where a tool breaks its contract: from now on the contract's schemas hold, and hide the tool's own."""
    from mcp_workbench.contracts.schemas.changes import Side, Verdict, compare_schemas

    sides: tuple[tuple[Side, Any, Any], ...] = (
        ("input", contract.input_schema, own_input),
        ("output", contract.output_schema, own_output),
    )
    for side, promised, own in sides:
        changes = compare_schemas(promised, own, side=side) if promised is not None else ()
        broken = [change for change in changes if change.verdict is Verdict.BREAKING]
        if broken:
            where = one_line(broken[0].where or "the schema", 80)
            _LOG.warning(
                "the tool %s does not keep its contract: %s of its %s schema: %s; calls will fail there. Hold the "
                "server against the contract before it is hardened: Workbench(server).check(contract)",
                ascii(contract.name),
                ascii(where),
                side,
                ascii(one_line(broken[0].what, 200)),
            )


async def _pages(server: Server[Any], ctx: ServerRequestContext[Any, Any]) -> list[dict[str, Any]]:
    entry = server.get_request_handler("tools/list")
    if entry is None:
        return []
    tools: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = wire(await entry.handler(ctx, PaginatedRequestParams(cursor=cursor)))
        tools += page["tools"]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    return tools
