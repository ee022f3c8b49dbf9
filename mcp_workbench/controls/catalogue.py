"""What the chain knows of each tool: its contract, and the two schemas that hold for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp_types import PaginatedRequestParams

from mcp_workbench.controls.answers import wire
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from mcp_workbench.contracts.model import ContractBook, ToolContract

_LOG: Final = logging.getLogger("mcp_workbench.controls")
_MOST_PAGES: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class ToolEntry:
    """One tool of the server.

    Attributes:
        name: its name.
        contract: what is promised of it; ``None`` if nothing is.
        input_schema: the schema of its arguments: the contract's, or else what the server lists.
        output_schema: the schema of its structured result, in the same order; ``None`` without one.
    """

    name: str
    contract: ToolContract | None
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None


class Catalogue:
    """The tools of one server, as they were last listed.

    Args:
        server: the server.
        book: the contracts of its tools, if there are any.
    """

    def __init__(self, server: MCPServer[Any] | Server[Any], book: ContractBook | None) -> None:
        self._server = server
        self._contracts = {} if book is None else {tool.name: tool for tool in book.tools}
        self._entries: dict[str, ToolEntry] = {}

    async def find(self, name: str, ctx: ServerRequestContext[Any, Any]) -> ToolEntry | None:
        """Return what is known of a tool; ``None`` if the server has none of that name.

        Args:
            name: the tool's name, as the caller wrote it.
            ctx: the request; a low-level server lists its tools for it.
        """
        entry = self._entries.get(name)
        if entry is None:
            # Servers may add tools while they run: look once more before saying no.
            await self._list(ctx)
            entry = self._entries.get(name)
        return entry

    def known(self, name: str) -> ToolEntry | None:
        """Return what is known of a tool without asking the server."""
        return self._entries.get(name)

    def note(self, tools: list[dict[str, Any]]) -> None:
        """Take over tools as they go over the wire; those that are as before keep their entry."""
        for tool in tools:
            self._note(tool["name"], tool.get("inputSchema") or {}, tool.get("outputSchema"))

    async def _list(self, ctx: ServerRequestContext[Any, Any]) -> None:
        if isinstance(self._server, MCPServer):
            tools = [wire(tool) for tool in await self._server.list_tools()]
        else:
            tools = await _listed(self._server, ctx)
        # Removed tools are forgotten here, so that their names are unknown again.
        for gone in self._entries.keys() - {tool["name"] for tool in tools}:
            del self._entries[gone]
        self.note(tools)

    def _note(self, name: str, input_schema: Mapping[str, Any], output_schema: Mapping[str, Any] | None) -> None:
        contract = self._contracts.get(name)
        if contract is not None and name not in self._entries:
            _warn_of_drift(contract, input_schema, output_schema)
        if contract is not None:
            input_schema = contract.input_schema if contract.input_schema is not None else input_schema
            output_schema = contract.output_schema if contract.output_schema is not None else output_schema
        known = self._entries.get(name)
        if known is None or (known.input_schema, known.output_schema) != (input_schema, output_schema):
            self._entries[name] = ToolEntry(name, contract, input_schema, output_schema)


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


async def _listed(server: Server[Any], ctx: ServerRequestContext[Any, Any]) -> list[dict[str, Any]]:
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
