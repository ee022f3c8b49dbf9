"""What the chain knows of the tools: whose schema holds, and what the log says where two of them differ."""

import asyncio
import logging
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

from mcp_workbench import ContractBook
from mcp_workbench.controls import Settings, harden
from mcp_workbench.controls.catalogue import Catalogue

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    # A server made with another level may have set the root logger's.
    caplog.set_level(logging.WARNING, "mcp_workbench.controls")


def promised(**schemas: Any) -> ContractBook:
    """A contract of the tool ``half`` with these schemas."""
    tool = {"name": "half", **schemas}
    return ContractBook.model_validate({"server": {"name": "maths"}, "tools": [tool]})


def halving(book: ContractBook | None) -> MCPServer:
    server = MCPServer("maths", log_level="CRITICAL")

    @server.tool()
    async def half(n: int) -> int:
        """Return half of a number."""
        return n // 2

    harden(server, book)
    return server


def asked(server: MCPServer, arguments: dict[str, Any]) -> Any:
    async def ask() -> Any:
        async with Client(server) as client:
            listed = (await client.list_tools()).tools[0]
            return listed.input_schema, await client.call_tool("half", arguments)

    return asyncio.run(ask())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_contracts_schema_holds_and_is_listed() -> None:
    bounded = {**NUMBER, "properties": {"n": {"type": "integer", "maximum": 10}}}
    listed, result = asked(halving(promised(input_schema=bounded)), {"n": 12})
    assert result.structured_content["details"]["faults"][0]["rule"] == "maximum"
    assert listed == {**bounded, "additionalProperties": False}


def test_without_a_contract_the_servers_own_schema_holds(caplog: pytest.LogCaptureFixture) -> None:
    listed, result = asked(halving(None), {"n": "12"})
    assert result.structured_content["details"]["faults"][0]["rule"] == "type"
    assert listed["additionalProperties"] is False
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("schemas", "told"),
    [
        ({"input_schema": {**NUMBER, "properties": {"n": {"type": ["integer", "null"]}}}}, "input"),
        ({"input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}, "input"),
        (
            {"output_schema": {"type": "object", "properties": {"half": {"type": "integer"}}, "required": ["half"]}},
            "output",
        ),
    ],
)
def test_a_tool_that_breaks_its_contract_is_named_in_the_log_once(
    caplog: pytest.LogCaptureFixture, schemas: dict[str, Any], told: str
) -> None:
    server = halving(promised(**schemas))
    asked(server, {"n": 4})
    asked(server, {"n": 4})
    [line] = [each for each in warnings(caplog) if "contract" in each]
    assert line.startswith("the tool 'half' does not keep its contract: ")
    assert f"of its {told} schema" in line


def test_a_tool_that_was_replaced_is_held_to_its_new_schema_at_once() -> None:
    server = MCPServer("changing", log_level="CRITICAL")

    def old(a: int) -> str:
        return f"old {a}"

    def new(b: str) -> str:
        return f"new {b}"

    server.add_tool(old, name="x")
    harden(server)

    async def ask() -> list[Any]:
        async with Client(server) as client:
            before = await client.call_tool("x", {"a": 1})
            server.remove_tool("x")
            server.add_tool(new, name="x")
            refused = await client.call_tool("x", {"a": 1})
            good = await client.call_tool("x", {"b": "y"})
            server.remove_tool("x")
            gone = await client.call_tool("x", {"b": "y"})
            never = await client.call_tool("z", {})
        return [before, refused, good, gone, never]

    before, refused, good, gone, never = asyncio.run(ask())
    assert (before.content[0].text, good.content[0].text) == ("old 1", "new y")
    assert [fault["rule"] for fault in refused.structured_content["details"]["faults"]] == [
        "additionalProperties",
        "required",
    ]
    # The same cause, the same sentence, whether it was ever there or not.
    assert gone.structured_content["message"].replace('"x"', '"z"') == never.structured_content["message"]


def lazy(listings: list[float], seconds: float) -> Server[Any]:
    """A low-level server that takes its time to list its tool."""

    async def list_tools(ctx: Any, params: Any) -> ListToolsResult:
        listings.append(seconds)
        await anyio.sleep(seconds)
        return ListToolsResult(tools=[Tool(name="half", input_schema=NUMBER)])

    async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text="done")])

    return Server("lazy", on_list_tools=list_tools, on_call_tool=call_tool)


def at_once(server: Server[Any], names: list[str]) -> list[str]:
    """Call tools of these names all at once; return how each call ended."""
    ended: dict[int, str] = {}

    async def ask() -> None:
        async with Client(server) as client, anyio.create_task_group() as group:

            async def one(at: int, name: str) -> None:
                result = await client.call_tool(name, {"n": 1})
                told = result.structured_content
                ended[at] = told["code"] if told else "ok"

            for at, name in enumerate(names):
                group.start_soon(one, at, name)

    asyncio.run(ask())
    return [ended[at] for at in range(len(names))]


def test_calls_that_come_together_share_the_list_of_a_low_level_server() -> None:
    listings: list[float] = []
    server = lazy(listings, 0.05)
    harden(server)
    assert at_once(server, ["half", *(f"no{at}" for at in range(40)), "half"]) == ["ok", *["unknown_tool"] * 40, "ok"]
    assert len(listings) <= 3


def test_a_list_that_does_not_come_is_waited_for_until_the_deadline_only() -> None:
    server = lazy([], 60)
    harden(server, settings=Settings(deadline_ms=80))
    assert at_once(server, ["half", "other"]) == ["timeout", "timeout"]


def test_who_waited_for_a_list_that_did_not_come_asks_again() -> None:
    listings: list[str] = []
    held = anyio.Event()

    async def list_tools(ctx: Any, params: Any) -> ListToolsResult:
        listings.append("asked")
        if len(listings) == 1:
            await held.wait()
        if len(listings) < 3:
            raise RuntimeError("no list today")
        return ListToolsResult(tools=[Tool(name="half", input_schema=NUMBER)])

    catalogue = Catalogue(Server("moody", on_list_tools=list_tools), None, None)
    found: list[str] = []

    async def find() -> None:
        ctx: Any = None
        try:
            entry = await catalogue.find("half", ctx)
        except RuntimeError as error:
            found.append(str(error))
        else:
            found.append("unknown" if entry is None else entry.name)

    async def ask() -> None:
        async with anyio.create_task_group() as group:
            # The first is at the list while the other two come.
            for _ in range(3):
                group.start_soon(find)
            await anyio.wait_all_tasks_blocked()
            held.set()

    anyio.run(ask)
    assert found == ["no list today", "no list today", "half"]


def test_tools_that_only_the_contract_has_are_named_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mcp_workbench.controls")
    server = MCPServer("empty", log_level="CRITICAL")
    harden(server, promised(input_schema=NUMBER))

    async def look() -> None:
        async with Client(server) as client:
            await client.list_tools()
            await client.list_tools()

    asyncio.run(look())
    told = [record.getMessage() for record in caplog.records if "does not list" in record.getMessage()]
    assert told == ["the contract names tools that the server does not list: ['half']"]


def test_a_tool_that_takes_more_than_its_contract_promises_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    narrow = {**NUMBER, "properties": {"n": {"type": "integer", "minimum": 0}}, "additionalProperties": False}
    asked(halving(promised(input_schema=narrow)), {"n": 4})
    assert warnings(caplog) == []
