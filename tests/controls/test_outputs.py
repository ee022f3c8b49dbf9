"""Stage 5: only what the output schema says leaves, not more than the server sends, and no secret in a failure."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import bad_calls
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListToolsResult,
    TextContent,
    Tool,
)

from mcp_workbench import serve
from mcp_workbench.contracts.model import ContractBook, ServerIdentity, ToolContract
from mcp_workbench.controls import Settings, harden
from mcp_workbench.stages import CALL_META, TRACE_META

ERAS = ["auto", "legacy"]
COUNTED = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    # Tracebacks are costly to write, and nobody reads them here.
    caplog.set_level(logging.CRITICAL + 1)


async def listed(ctx: Any, params: Any) -> ListToolsResult:
    """List one tool, without an output schema: the SDK's client checks those, too."""
    return ListToolsResult(tools=[Tool(name="t", input_schema={"type": "object"})])


def answering(result: Any, schema: dict[str, Any] | None = None, **settings: Any) -> Server[Any]:
    """A hardened low-level server whose one tool answers with this result, and has this output schema by contract."""

    async def answered(ctx: Any, params: CallToolRequestParams) -> Any:
        return result

    server = Server("answering", on_list_tools=listed, on_call_tool=answered)
    contract = ToolContract(name="t", output_schema=schema)
    book = ContractBook(server=ServerIdentity(name="answering"), tools=(contract,))
    harden(server, book, Settings(**settings))
    return server


def result_of(server: Server[Any] | MCPServer, tool: str = "t", mode: Any = "auto", **more: Any) -> CallToolResult:
    async def asked() -> CallToolResult:
        async with Client(server, mode=mode) as client:
            return await client.call_tool(tool, **more)

    return asyncio.run(asked())


def told(structured: Any, schema: dict[str, Any] | None = None, **settings: Any) -> Any:
    return result_of(answering(CallToolResult(content=[], structured_content=structured), schema, **settings))


@pytest.mark.parametrize("mode", ERAS)
def test_a_result_that_the_schema_allows_leaves_as_it_is(mode: str) -> None:
    answer = CallToolResult(content=[TextContent(text="one")], structured_content={"n": 1, "file": "/srv/x"})
    result = result_of(answering(answer, COUNTED), mode=mode)
    assert not result.is_error
    # A success is not scrubbed.
    assert (result.structured_content, result.content) == ({"n": 1, "file": "/srv/x"}, answer.content)


@pytest.mark.parametrize("mode", ERAS)
def test_a_result_that_the_schema_does_not_allow_is_held_back(mode: str) -> None:
    answer = CallToolResult(content=[TextContent(text="hunter2")], structured_content={"n": "hunter2", "m": 1})
    result = result_of(answering(answer, {**COUNTED, "additionalProperties": False}), mode=mode)
    assert result.is_error
    assert result.structured_content is not None
    assert result.structured_content["code"] == "invalid_result"
    assert result.structured_content["details"] == {
        "faults": [
            {"at": "", "rule": "additionalProperties", "problem": "is not what the output schema says"},
            {"at": "/n", "rule": "type", "problem": "is not what the output schema says"},
        ]
    }
    assert "hunter2" not in result.model_dump_json()


def test_many_faults_are_counted() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    details = told({f"n{number:02}": "x" for number in range(20)}, schema).structured_content["details"]
    assert [fault["at"] for fault in details["faults"]] == [f"/n{number:02}" for number in range(8)]
    assert details["more"] == 12


def test_of_many_wrong_items_in_a_wide_union_the_first_is_named() -> None:
    models = [
        {"type": "object", "required": [f"f{model}_{field}" for field in range(15)], "title": f"M{model}"}
        for model in range(8)
    ]
    schema = {"type": "object", "properties": {"items": {"type": "array", "items": {"anyOf": models}}}}
    # A list of all errors would have 6,000,000.
    refused = told({"items": [{}] * 50_000}, schema).structured_content
    assert refused["details"] == {
        "faults": [{"at": "/items/0", "rule": "anyOf", "problem": "is not what the output schema says"}]
    }
    assert "breaks 'anyOf' of its output schema at /items/0" in refused["message"]


def test_a_result_without_structured_content_is_held_back_where_a_schema_asks_for_it() -> None:
    answer = CallToolResult(content=[TextContent(text="9")])
    result = result_of(answering(answer, COUNTED))
    assert result.structured_content is not None
    assert result.structured_content["code"] == "invalid_result"
    assert not result_of(answering(answer)).is_error


def test_the_contracts_schema_comes_before_the_listed_one() -> None:
    server = MCPServer("counting", log_level="CRITICAL")

    @server.tool()
    def count(n: int) -> dict[str, Any]:
        return {"n": n}

    contract = ToolContract(name="count", output_schema=COUNTED)
    harden(server, ContractBook(server=ServerIdentity(name="counting"), tools=(contract,)))
    assert not result_of(server, "count", arguments={"n": 9}).is_error
    assert (result_of(server, "count", arguments={"n": 10}).structured_content or {})["code"] == "invalid_result"


def test_against_a_schema_that_is_none_no_result_is_proven() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "no such type"}}}
    assert told({"n": 1}, schema).structured_content["code"] == "invalid_result"
    assert not told({"n": 1}, schema, check_results=False).is_error


def test_a_schema_that_changes_while_the_server_runs_holds_from_the_next_listing() -> None:
    limits = iter([9, 99])
    schema: dict[str, Any] = {}

    async def listed(ctx: Any, params: Any) -> ListToolsResult:
        schema.update(type="object", properties={"n": {"maximum": next(limits)}})
        return ListToolsResult(tools=[Tool(name="t", input_schema={"type": "object"}, output_schema={**schema})])

    async def answered(ctx: Any, params: Any) -> CallToolResult:
        return CallToolResult(content=[], structured_content={"n": 50})

    server = Server("changing", on_list_tools=listed, on_call_tool=answered)
    harden(server)

    async def asked() -> list[bool]:
        async with Client(server) as client:
            first = await client.call_tool("t")
            await client.list_tools()
            return [first.is_error, (await client.call_tool("t")).is_error]

    assert asyncio.run(asked()) == [True, False]


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("characters", [2_000, 2_000_000])
def test_a_result_that_is_too_large_is_held_back_and_says_what_to_do(mode: str, characters: int) -> None:
    answer = CallToolResult(content=[TextContent(text="x" * characters)])
    result = result_of(answering(answer, max_result_bytes=2_000), mode=mode)
    assert result.structured_content is not None
    assert result.structured_content["code"] == "result_too_large"
    assert result.structured_content["details"] == {"limit_bytes": 2_000}
    assert "2,000 bytes" in result.structured_content["message"]
    assert not result_of(answering(answer, max_result_bytes=None), mode=mode).is_error


def test_a_number_that_json_does_not_have_is_held_against_the_schema_as_the_null_that_would_leave() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}}
    assert told({"n": float("nan")}, schema).structured_content["code"] == "invalid_result"


def test_a_text_that_json_does_not_have_does_not_leave() -> None:
    assert told({"n": "\ud800"}).structured_content["code"] == "invalid_result"


def test_a_question_to_the_user_passes_unchanged_and_the_result_after_it_is_checked() -> None:
    asked_for = {"type": "object", "properties": {"name": {"type": "string"}}}
    question = ElicitRequest(params=ElicitRequestFormParams(message="Who?", requested_schema=asked_for))

    async def answered(ctx: Any, params: CallToolRequestParams) -> Any:
        if params.input_responses is None:
            return InputRequiredResult(input_requests={"who": question}, request_state="not yet")
        return CallToolResult(content=[], structured_content={"n": "no number"})

    async def answer(context: Any, params: Any) -> ElicitResult:
        seen.append(params.message)
        return ElicitResult(action="accept", content={"name": "Ada"})

    server = Server("asking", on_list_tools=listed, on_call_tool=answered)
    contract = ToolContract(name="t", output_schema=COUNTED)
    harden(server, ContractBook(server=ServerIdentity(name="asking"), tools=(contract,)))

    async def asked() -> Any:
        async with Client(server, elicitation_callback=answer) as client:
            return (await client.call_tool("t")).structured_content

    seen: list[str] = []
    assert asyncio.run(asked())["code"] == "invalid_result"
    assert seen == ["Who?"]


def test_an_error_object_can_be_a_second_block_of_text() -> None:
    result = result_of(answering(CallToolResult(content=[], is_error=True), structured_errors=False))
    assert result.structured_content is None
    first, second = (block.text for block in result.content if isinstance(block, TextContent))
    assert first.startswith("tool_error: ")
    assert json.loads(second)["code"] == "tool_error"


def marks(**settings: Any) -> dict[str, Any]:
    result = result_of(answering(CallToolResult(content=[]), COUNTED, **settings), meta={TRACE_META: True})
    assert result.meta is not None
    return {stage["stage"]: stage["code"] for stage in result.meta[CALL_META]["stages"]}


def test_the_stage_that_held_a_result_back_is_the_one_that_failed() -> None:
    assert marks()["outputs"] == "invalid_result"
    assert marks()["execution"] is None
    assert marks(check_results=False)["outputs"] is None


def test_a_failure_of_the_tool_is_the_execution_stages_and_not_the_outputs() -> None:
    result = result_of(answering(CallToolResult(content=[], is_error=True)), meta={TRACE_META: True})
    assert result.meta is not None
    found = {stage["stage"]: stage["code"] for stage in result.meta[CALL_META]["stages"]}
    assert (found["execution"], found["outputs"]) == ("tool_error", None)


class _Recorded(httpx2.AsyncByteStream):
    """A body that is read by a client, and kept."""

    def __init__(self, body: Any, seen: list[bytes]) -> None:
        self._body = body
        self._seen = seen

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._seen.append(piece)
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


class _Recording(httpx2.AsyncHTTPTransport):
    """Keeps every byte of every answer, headers included."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        self.seen.append(repr(response.headers.raw).encode())
        return httpx2.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=_Recorded(response.stream, self.seen),
            extensions=response.extensions,
        )


@pytest.mark.parametrize("mode", ERAS)
def test_no_byte_of_a_failure_over_http_holds_a_secret_or_a_path(mode: Any) -> None:
    hosted = serve(bad_calls.make_server())
    recording = _Recording()

    async def asked() -> int:
        async with (
            httpx2.AsyncClient(transport=recording) as http,
            Client(streamable_http_client(hosted.url, http_client=http), mode=mode) as client,
        ):
            results = [await client.call_tool(tool, arguments) for tool, arguments in bad_calls.CALLS.values()]
            return sum(result.is_error for result in results)

    try:
        assert asyncio.run(asked()) == len(bad_calls.CALLS)
    finally:
        hosted.close()
    body = b"".join(recording.seen)
    assert body.count(b"correlation_id") >= len(bad_calls.CALLS)
    for leak in (bad_calls.SECRET, bad_calls.PRIVATE_PATH, "Traceback", "customers", str(Path(__file__).parent)):
        assert leak.encode() not in body
