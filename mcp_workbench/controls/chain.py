"""The chain: six stages around every call of a tool, in one order.

::

    context -> inputs -> policy -> execution -> outputs -> telemetry

is the order in which they work. Outputs and telemetry work after the tool has run, so they stand around the others: a
call that inputs or the policy refuses still gets its error object, and its place in the telemetry.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types import SERVER_INFO_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_workbench.controls.answers import failure_from, wire
from mcp_workbench.controls.call import Call, current_call, entered
from mcp_workbench.controls.catalogue import Catalogue
from mcp_workbench.controls.context import ContextStage, new_correlation_id
from mcp_workbench.controls.execution import ExecutionStage
from mcp_workbench.controls.failures import Failure, error_result
from mcp_workbench.controls.inputs import InputsStage
from mcp_workbench.controls.log import log_failure
from mcp_workbench.controls.outputs import OutputsStage
from mcp_workbench.controls.policy import PolicyStage
from mcp_workbench.controls.settings import Settings
from mcp_workbench.controls.telemetry import TelemetryStage

if TYPE_CHECKING:
    from mcp_workbench.contracts.model import ContractBook


class _Stage(Protocol):
    """A middleware of the SDK; one that only works before the tool runs need be no coroutine, which is cheaper."""

    def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]: ...


# From the outside in: who stands outside works last after the call.
_NESTING: Final = ("context", "telemetry", "outputs", "inputs", "policy", "execution")


class Chain:
    """The six stages of one server, as one middleware of the SDK; made by :func:`~mcp_workbench.controls.harden`.

    Args:
        server: the server in which it is installed.
        book: the contracts of the server's tools; ``None`` if there are none.
        settings: what each control does, and which stages are off.
    """

    def __init__(self, server: MCPServer[Any] | Server[Any], book: ContractBook | None, settings: Settings) -> None:
        self.settings = settings
        catalogue = Catalogue(server, book, settings.deadline_ms)
        self._catalogue = catalogue
        self._inputs = InputsStage(catalogue, settings)
        stages: dict[str, _Stage] = {
            "context": ContextStage(show_stages=settings.show_stages),
            "inputs": self._inputs,
            "policy": PolicyStage(),
            "execution": ExecutionStage(catalogue, settings),
            "outputs": OutputsStage(catalogue, settings),
            "telemetry": TelemetryStage(sample_spans=settings.sample_spans),
        }
        self._inward = [stages[name] for name in reversed(_NESTING) if name not in settings.off]
        # The SDK stamps what handlers return, not what a middleware answers by itself.
        self._lowlevel = server._lowlevel_server if isinstance(server, MCPServer) else server

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Take a call through the stages; let every other message pass."""
        if ctx.request_id is None or (ctx.params is None and ctx.method != "tools/list"):
            return await call_next(ctx)
        if ctx.method == "tools/list":
            return self._listed(ctx, await call_next(ctx))
        # A request whose tool has no name is no call: the SDK says so.
        if ctx.method != "tools/call" or not isinstance(name := ctx.params.get("name"), str):  # type: ignore[union-attr]
            return await call_next(ctx)
        outer = current_call()
        call = Call(name, new_correlation_id(), ctx.protocol_version)
        entered(call)
        try:
            result = await self._through(call_next)(ctx)
        except Failure as raised:
            # One that came past the outputs, or all the way from the tool because stages are off.
            entry = self._catalogue.known(name)
            call.failure = failure = failure_from(raised, None if entry is None else entry.contract, call)
            log_failure(failure, call)
            result = error_result(failure, call, structured=self.settings.structured_errors)
        finally:
            entered(outer)
        return self._finished(result, call)

    def _through(self, call_next: CallNext) -> CallNext:
        for stage in self._inward:
            call_next = partial(stage, call_next=call_next)
        return call_next

    def _listed(self, ctx: ServerRequestContext[Any, Any], result: HandlerResult) -> HandlerResult:
        """Note the tools as the server lists them, and list what the inputs stage makes of their schemas."""
        told = wire(result)
        tools = told.get("tools")
        if not isinstance(tools, list):
            return told
        first = ctx.params is None or ctx.params.get("cursor") is None
        self._catalogue.note(tools, all_of_them=first and not told.get("nextCursor"))
        if "inputs" in self.settings.off:
            return told
        return {**told, "tools": [self._inputs.listed(tool) for tool in tools]}

    def _finished(self, result: HandlerResult, call: Call) -> HandlerResult:
        """Put the call's story, and the envelope of an error, around a result."""
        story = call.story()
        if call.failure is None and story is None:
            return result
        told = wire(result)
        meta = told.get("_meta") or {}
        if call.failure is not None and call.protocol_version in MODERN_PROTOCOL_VERSIONS:
            told.setdefault("resultType", "complete")
            meta = {SERVER_INFO_META_KEY: self._lowlevel.server_info_stamp, **meta}
        meta = {**meta, **(story or {})}
        return {**told, "_meta": meta} if meta else told
