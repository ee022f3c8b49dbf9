"""What the chain knows of the tools: whose schema holds, and what the log says where two of them differ."""

import asyncio
import logging
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer

from mcp_workbench import ContractBook
from mcp_workbench.controls import harden

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


def test_a_tool_that_takes_more_than_its_contract_promises_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    narrow = {**NUMBER, "properties": {"n": {"type": "integer", "minimum": 0}}, "additionalProperties": False}
    asked(halving(promised(input_schema=narrow)), {"n": 4})
    assert warnings(caplog) == []
