"""Stage 2, inputs: only arguments that the schema allows reach the tool.

Strict JSON types, whatever the tool's own model would make of others: no ``"5"`` for 5, no ``true`` for 1; 5.0 is an
integer, as JSON Schema has it. Formats are asserted, so a ``date-time`` without an offset is refused here. Names that
the schema does not know are refused. Missing optional arguments get their defaults, and the call tells which.

Success: the arguments are JSON of a size and depth that the server takes, valid, and complete with defaults.
Failure: ``unknown_tool``; ``arguments_too_large``; ``invalid_arguments`` with the place, the rule and the problem of
each fault; ``internal`` if the schema itself cannot be used: what cannot be checked is not run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_workbench.controls.arguments import checked
from mcp_workbench.controls.call import Call, current_call
from mcp_workbench.controls.closing import closed
from mcp_workbench.controls.compiling import UncompilableError
from mcp_workbench.controls.defaults import Defaults, defaults_of
from mcp_workbench.controls.failures import Failure, no_such_tool
from mcp_workbench.controls.faults import Fault, refusal
from mcp_workbench.controls.locating import Check
from mcp_workbench.controls.per_tool import PerTool
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from mcp_workbench.controls.catalogue import Catalogue, ToolEntry
    from mcp_workbench.controls.settings import Settings

_LOG: Final = logging.getLogger("mcp_workbench.controls")
# An HTTP client repeats the arguments that have it as headers, and the SDK's server looks for these headers by the
# tool's own schema (MCP specification 2026-07-28, transports).
_HEADER: Final = "x-mcp-header"


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """What is made once for a tool, until it changes.

    Attributes:
        schema: the schema that holds for its arguments.
        check: that schema, made ready; ``None`` if it cannot be used.
        defaults: what is filled in.
    """

    schema: dict[str, Any]
    check: Check | None
    defaults: Defaults


class InputsStage:
    """Checks and completes the arguments of each call.

    Args:
        catalogue: the tools of the server.
        settings: the limits, and what becomes of unknown and of missing arguments.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._ready = PerTool(self._made)

    def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        """Go on with arguments that are valid; end the call otherwise."""
        started_ns = time.perf_counter_ns()
        call = current_call()
        assert call is not None
        call.entry = self._catalogue.known(call.tool)
        if call.entry is None:
            return self._found(ctx, call_next, call, started_ns)
        self._let_in(ctx, call, call.entry, started_ns)
        return call_next(ctx)

    async def _found(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext, call: Call, started_ns: int
    ) -> HandlerResult:
        """Go on with a tool that the server has to be asked for."""
        try:
            call.entry = await self._catalogue.find(call.tool, ctx)
            if call.entry is None:
                raise no_such_tool(call.tool)
        except Failure as failure:
            call.mark("inputs", started_ns, failure)
            raise
        self._let_in(ctx, call, call.entry, started_ns)
        return await call_next(ctx)

    def _let_in(self, ctx: ServerRequestContext[Any, Any], call: Call, entry: ToolEntry, started_ns: int) -> None:
        assert ctx.params is not None
        sent = ctx.params.get("arguments")
        try:
            arguments = self._valid(self._ready.of(entry), call, sent)
        except Failure as failure:
            call.mark("inputs", started_ns, failure)
            raise
        if arguments is not sent:
            # In place: a copy of the context with other parameters would cost as much as all the rest of this stage.
            ctx.params = {**ctx.params, "arguments": arguments}
        call.mark("inputs", started_ns, note=f"{len(call.defaults)} filled in" if call.defaults else "")

    def listed(self, tool: dict[str, Any]) -> dict[str, Any]:
        """Return a tool as it is listed: with the schema that holds for its arguments.

        Args:
            tool: the tool as it goes over the wire; it is not changed.
        """
        entry = self._catalogue.as_listed(tool["name"])
        own = tool.get("inputSchema")
        if entry is None:
            return tool
        schema = _with_headers(self._ready.of(entry).schema, own)
        return tool if schema == own else {**tool, "inputSchema": schema}

    def _made(self, entry: ToolEntry) -> _Prepared:
        refuse = self._settings.unknown_arguments == "refuse"
        schema = closed(entry.input_schema) if refuse else dict(entry.input_schema)
        try:
            check = Check(schema)
        except UncompilableError as error:
            _LOG.error("no call of the tool %r is let through: its input schema: %s", one_line(entry.name, 60), error)
            return _Prepared(schema, None, Defaults())
        defaults = defaults_of(schema) if self._settings.fill_defaults else Defaults()
        return _Prepared(schema, check, defaults)

    def _valid(self, ready: _Prepared, call: Call, sent: Any) -> dict[str, Any]:
        """Return arguments that are valid and complete."""
        check = ready.check
        if check is None:
            raise Failure(
                "internal",
                "the tool cannot be called: the schema of its arguments cannot be used; tell the server's people",
            )
        arguments = {} if sent is None else sent
        if type(arguments) is not dict:
            raise refusal(call.tool, [Fault("", "type", "must be an object")])
        limits = self._settings
        checked(call.tool, arguments, max_bytes=limits.max_argument_bytes, max_depth=limits.max_argument_depth)
        if ready.defaults:
            filled: dict[str, Any] = {}
            complete = ready.defaults.fill(arguments, filled)
            if check.allows(complete):
                call.defaults.update(filled)
                return complete
            if not filled:
                raise refusal(call.tool, check.faults(arguments))
        # Without defaults: they are no reason to refuse what is valid.
        if check.allows(arguments):
            return arguments
        raise refusal(call.tool, check.faults(arguments))


def _with_headers(schema: dict[str, Any], own: Any) -> dict[str, Any]:
    """Return a schema with the header annotations of the tool's own."""
    before = own.get("properties") if isinstance(own, Mapping) else None
    properties = schema.get("properties")
    if not isinstance(before, Mapping) or not isinstance(properties, Mapping):
        return schema
    marked = {
        name: {**properties[name], _HEADER: each[_HEADER]}
        for name, each in before.items()
        if isinstance(each, Mapping) and _HEADER in each and _may_be_header(properties.get(name))
    }
    return {**schema, "properties": {**properties, **marked}} if marked else schema


def _may_be_header(schema: Any) -> bool:
    """Return whether a property may be a header; clients leave out a tool that says so of another one."""
    return isinstance(schema, Mapping) and schema.get("type") in ("integer", "string", "boolean")
