"""The chain: six stages in one order, around calls only, in both protocol eras."""

import asyncio
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.server import Server
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

from mcp_workbench.controls import Failure, Settings, current_call, harden, soften
from mcp_workbench.stages import CALL_META, STAGES, TRACE_META

ERAS = ["auto", "legacy"]


def lamp(settings: Settings | None = None) -> MCPServer:
    """A hardened server with tools that succeed, fail and look around."""
    server = MCPServer("lamp", version="1.2.3", log_level="CRITICAL")

    @server.tool()
    async def add(a: int, b: int = 1) -> int:
        """Add two whole numbers."""
        return a + b

    @server.tool()
    async def broken() -> str:
        """Fail on purpose."""
        raise Failure("no_light", "the lamp is broken; buy another one", details={"watt": 40})

    @server.tool()
    def who() -> dict[str, Any]:
        """Say what is known of the call, from a worker thread."""
        call = current_call()
        assert call is not None
        return {"tool": call.tool, "id": call.correlation_id, "attempt": call.attempt}

    @server.resource("lamp://state")
    def state() -> str:
        return "off" if current_call() is None else "inside a call"

    harden(server, settings=settings)
    return server


def answer(server: MCPServer[Any] | Server[Any], tool: str, arguments: dict[str, Any], **more: Any) -> Any:
    mode = more.pop("mode", "auto")

    async def asked() -> Any:
        async with Client(server, mode=mode) as client:
            return await client.call_tool(tool, arguments, **more)

    return asyncio.run(asked())


def stages_of(result: CallToolResult) -> list[str]:
    assert result.meta is not None
    return [stage["stage"] for stage in result.meta[CALL_META]["stages"]]


@pytest.mark.parametrize("mode", ERAS)
def test_the_stages_work_in_their_order(mode: str) -> None:
    result = answer(lamp(), "add", {"a": 1}, meta={TRACE_META: True}, mode=mode)
    assert result.structured_content == {"result": 2}
    assert stages_of(result) == list(STAGES)
    stages = result.meta[CALL_META]["stages"]
    ends = [stage["start_ms"] + stage["duration_ms"] for stage in stages]
    # Each begins after the one before it has ended: rounding to a tenth of a microsecond aside.
    assert all(stage["start_ms"] >= end - 0.001 for stage, end in zip(stages[1:], ends, strict=False))


@pytest.mark.parametrize("off", [frozenset(), *(frozenset({stage}) for stage in STAGES), frozenset(STAGES)])
def test_each_stage_can_be_off_and_the_server_still_answers(off: frozenset[Any]) -> None:
    server = lamp(Settings(off=off))
    result = answer(server, "add", {"a": 1}, meta={TRACE_META: True})
    assert result.structured_content == {"result": 2}
    if "context" not in off:  # who reads that the caller asks
        assert stages_of(result) == [stage for stage in STAGES if stage not in off]
    failed = answer(server, "broken", {})
    assert failed.is_error
    assert "no_light: the lamp is broken; buy another one" in failed.content[0].text


@pytest.mark.parametrize("mode", ERAS)
def test_a_failure_is_answered_with_the_whole_error_object_and_the_servers_name(mode: str) -> None:
    result = answer(lamp(), "broken", {}, mode=mode)
    assert result.is_error
    told = dict(result.structured_content)
    assert len(told.pop("correlation_id")) == 32
    assert told == {
        "code": "no_light",
        "message": "the lamp is broken; buy another one",
        "retryable": False,
        "retry_after_ms": None,
        "details": {"watt": 40},
    }
    if mode == "auto":
        assert result.meta["io.modelcontextprotocol/serverInfo"] == {"name": "lamp", "version": "1.2.3"}


def test_a_failure_that_inputs_find_still_passes_outputs_and_telemetry() -> None:
    result = answer(lamp(), "add", {"a": "1"}, meta={TRACE_META: True})
    codes = {stage["stage"]: stage["code"] for stage in result.meta[CALL_META]["stages"]}
    assert list(codes) == ["context", "inputs", "outputs", "telemetry"]
    assert codes["inputs"] == "invalid_arguments"


def test_the_error_object_can_be_text_for_clients_that_check_it_as_a_result() -> None:
    result = answer(lamp(Settings(structured_errors=False)), "broken", {})
    assert result.structured_content is None
    assert '"code":"no_light"' in result.content[1].text


def test_a_tool_knows_its_call_in_its_worker_thread_too() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    result = answer(lamp(), "who", {}, meta={"traceparent": f"00-{trace}-b7ad6b7169203331-00"})
    assert result.structured_content == {"tool": "who", "id": trace, "attempt": 1}


def test_nothing_is_known_of_a_call_outside_of_one() -> None:
    async def read() -> str:
        async with Client(lamp()) as client:
            await client.call_tool("add", {"a": 1})
            return (await client.read_resource("lamp://state")).contents[0].text  # type: ignore[union-attr]

    assert asyncio.run(read()) == "off"
    assert current_call() is None


def test_a_call_inside_a_call_is_a_call_of_its_own() -> None:
    inner, outer = lamp(), MCPServer("outer", log_level="CRITICAL")

    @outer.tool()
    async def around() -> list[str]:
        """Call another hardened server in the same task."""
        mine = current_call()
        async with Client(inner) as client:
            await client.call_tool("add", {"a": 1})
        assert mine is not None
        now = current_call()
        assert now is not None
        return [mine.tool, now.tool]

    harden(outer)
    assert answer(outer, "around", {}).structured_content == {"result": ["around", "around"]}


def test_what_is_no_call_passes() -> None:
    async def looked() -> tuple[list[str], str]:
        async with Client(lamp()) as client:
            tools = (await client.list_tools()).tools
            with pytest.raises(MCPError) as refused:
                await client.read_resource("lamp://nothing")
            return [tool.name for tool in tools], str(refused.value)

    tools, refused = asyncio.run(looked())
    assert tools == ["add", "broken", "who"]
    assert "lamp://nothing" in refused


def low_level() -> tuple[Server[Any], list[Any]]:
    """A server without MCPServer, whose listing has two pages."""
    reached: list[Any] = []
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}}

    async def list_tools(ctx: Any, params: Any) -> ListToolsResult:
        cursor = None if params is None else params.cursor
        name, following = ("first", "more") if cursor is None else ("second", None)
        return ListToolsResult(tools=[Tool(name=name, input_schema=schema)], next_cursor=following)

    async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
        reached.append((params.name, params.arguments))
        return CallToolResult(content=[TextContent(type="text", text="done")])

    return Server("low", on_list_tools=list_tools, on_call_tool=call_tool), reached


@pytest.mark.parametrize("tool", ["first", "second"])
def test_a_low_level_server_is_hardened_as_well_on_every_page_of_its_listing(tool: str) -> None:
    server, reached = low_level()
    harden(server)
    assert answer(server, tool, {}).content[0].text == "done"
    refused = answer(server, tool, {"n": "7"})
    assert refused.structured_content["code"] == "invalid_arguments"
    assert reached == [(tool, {"n": 7})]


def test_a_tool_that_is_added_later_is_hardened_and_one_that_is_removed_is_unknown() -> None:
    server = lamp()

    async def changed() -> list[Any]:
        async with Client(server) as client:
            before = await client.call_tool("late", {"n": 1})

            @server.tool()
            async def late(n: int) -> int:
                """Come late."""
                return n

            strict = await client.call_tool("late", {"n": "1"})
            good = await client.call_tool("late", {"n": 1})
            server.remove_tool("late")
            gone = await client.call_tool("late", {"n": 1})
            return [before, strict, good, gone]

    before, strict, good, gone = asyncio.run(changed())
    assert before.structured_content["code"] == "unknown_tool"
    assert strict.structured_content["code"] == "invalid_arguments"
    assert good.structured_content == {"result": 1}
    assert gone.structured_content["code"] == "unknown_tool"


def test_a_softened_server_answers_as_before() -> None:
    server = lamp()
    soften(server)
    result = answer(server, "add", {"a": "1", "unknown": True})
    assert result.structured_content == {"result": 2}


def test_progress_and_the_sdks_context_work_inside_the_stages() -> None:
    server = MCPServer("steps", log_level="CRITICAL")

    @server.tool()
    async def climb(ctx: Context) -> str:  # type: ignore[type-arg]
        """Report each step."""
        for step in range(3):
            await ctx.report_progress(step, 3)
        return "there"

    harden(server)
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    assert answer(server, "climb", {}, progress_callback=note).content[0].text == "there"
    assert seen == [0, 1, 2]
