"""Stage 1: who calls, under which id, until when."""

import asyncio
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer

from mcp_workbench import ContractBook, serve
from mcp_workbench.controls import Settings, current_call, harden
from mcp_workbench.stages import CALL_META, DEADLINE_META, TRACE_META

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def telling(settings: Settings | None = None) -> MCPServer:
    """A server whose tool says what it knows of its call."""
    server = MCPServer("telling", log_level="CRITICAL")

    @server.tool()
    async def told() -> dict[str, Any]:
        """Say what is known of the call."""
        call = current_call()
        assert call is not None
        return {
            "id": call.correlation_id,
            "caller": call.caller,
            "version": call.protocol_version,
            "deadline_ms": call.deadline_ms,
            "remains": call.remaining_ms is not None and 0 < call.remaining_ms <= (call.deadline_ms or 0),
        }

    harden(server, settings=settings)
    return server


def told(meta: dict[str, Any], mode: str = "auto", settings: Settings | None = None) -> Any:
    async def asked() -> Any:
        async with Client(telling(settings), mode=mode) as client:
            return await client.call_tool("told", {}, meta=meta)

    return asyncio.run(asked())


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_correlation_id_is_the_callers_trace_id(mode: str) -> None:
    assert told({"traceparent": PARENT}, mode).structured_content["id"] == TRACE


@pytest.mark.parametrize(
    "parent",
    [None, 7, "", "00-0-0-0", f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{TRACE}-b7ad6b7169203331-01", "x" * 999],
)
def test_without_a_trace_that_is_one_each_call_gets_an_id_of_its_own(parent: object) -> None:
    meta = {} if parent is None else {"traceparent": parent}
    first, second = (told(meta).structured_content["id"] for _ in range(2))
    assert first != second
    for found in (first, second):
        assert len(found) == 32
        assert int(found, 16) > 0
        assert found != TRACE


def test_a_client_that_knows_only_http_sends_the_trace_as_a_header() -> None:
    hosted = serve(telling())
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "told", "arguments": {}}}
    headers = {
        "accept": "application/json, text/event-stream",
        "traceparent": PARENT,
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "told",
    }
    request["params"]["_meta"] = {  # type: ignore[index]
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    try:
        answer = httpx2.post(hosted.url, json=request, headers=headers)
    finally:
        hosted.close()
    assert f'"id":"{TRACE}"' in answer.text.replace(" ", "").replace("\\", "")


def test_arguments_that_are_no_object_are_the_sdks_to_refuse_if_the_inputs_stage_is_off() -> None:
    server = MCPServer("open", log_level="CRITICAL")

    @server.tool()
    async def half(n: int) -> int:
        """Return half of a number."""
        return n // 2

    busy = {"code": "busy", "when": "It is busy.", "retryable": True, "caller": "Ask again."}
    tool = {"name": "half", "effects": "read", "idempotency": "natural", "failures": [busy]}
    book = ContractBook.model_validate({"server": {"name": "open"}, "tools": [tool]})
    harden(server, book, Settings(off=frozenset({"inputs"})))
    hosted = serve(server)
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "half", "_meta": meta}}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "half",
    }
    try:
        for wrong in ([1], "n", 7):
            request["params"]["arguments"] = wrong  # type: ignore[index]
            assert '"code":-32602' in httpx2.post(hosted.url, json=request, headers=headers).text.replace(" ", "")
        request["params"]["arguments"] = {"n": 4}  # type: ignore[index]
        assert '"result":2' in httpx2.post(hosted.url, json=request, headers=headers).text.replace(" ", "")
    finally:
        hosted.close()


def test_a_caller_whom_the_transport_did_not_verify_is_nobody() -> None:
    claimed = {"io.modelcontextprotocol/clientInfo": {"name": "root", "version": "1"}}
    assert told(claimed).structured_content["caller"] is None


@pytest.mark.parametrize(
    ("wished", "holds"), [(500, 500), (0.5, 1), (10**6, 30_000), (None, 30_000), (86_400_000, 30_000)]
)
def test_a_caller_may_shorten_the_deadline_and_never_lengthen_it(wished: object, holds: int) -> None:
    meta = {} if wished is None else {DEADLINE_META: wished}
    seen = told(meta).structured_content
    # One millisecond may be over before the tool looks.
    if seen.get("code") == "timeout":
        assert holds == 1
    else:
        assert (seen["deadline_ms"], seen["remains"] or holds == 1) == (holds, True)


@pytest.mark.parametrize("wished", [0, -1, True, "500", [], {}, 86_400_001, 10**400])
def test_a_wished_deadline_that_is_none_is_refused(wished: object) -> None:
    refused = told({DEADLINE_META: wished})
    assert refused.is_error
    assert refused.structured_content["code"] == "invalid_arguments"
    assert DEADLINE_META in refused.structured_content["message"]


@pytest.mark.parametrize(("asked", "shown"), [(True, True), (False, False), (1, False), ("yes", False)])
def test_the_stages_are_told_to_a_caller_who_asks(asked: object, shown: bool) -> None:
    meta = told({TRACE_META: asked}).meta or {}
    assert (CALL_META in meta) is shown


def test_the_stages_are_told_to_nobody_if_they_are_not_to_be_shown() -> None:
    assert CALL_META not in (told({TRACE_META: True}, settings=Settings(show_stages=False)).meta or {})
