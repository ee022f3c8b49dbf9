"""Generated malformed arguments against the incident desk: refused with an error object, and none reaches a tool."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from malformed import MalformedMaker
from mcp import Client
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from mcp_workbench.contracts.files import read_book
from mcp_workbench.desk import DATABASE, contract_file, digest, incident_desk

TOOLS = ["search_incidents", "get_incident", "list_services", "service_health", "incident_timeline"]
FIELDS = ["code", "message", "retryable", "retry_after_ms", "details", "correlation_id"]


class Beyond:
    """A middleware behind the six stages, which counts the calls that come so far."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Count the call, and go on."""
        if ctx.method == "tools/call":
            assert ctx.params is not None
            self.calls[ctx.params["name"]] += 1
        return await call_next(ctx)


@pytest.mark.parametrize("tool", TOOLS)
def test_malformed_arguments_are_refused_and_reach_no_tool(tool: str, tmp_path: Path) -> None:
    server, beyond = incident_desk(tmp_path), Beyond()
    server.middleware.append(beyond)
    contract = read_book(contract_file())[tool]
    valid = [example.arguments for example in contract.examples or () if example.outcome == "ok"]
    assert contract.input_schema is not None
    cases = list(itertools.islice(MalformedMaker(contract.input_schema, valid, seed=1), 300))
    before = digest(tmp_path / DATABASE)

    async def answers() -> Counter[str]:
        codes: Counter[str] = Counter()
        async with Client(server) as client:
            for case in cases:
                result = await client.call_tool(tool, case.arguments)
                assert result.is_error, case
                assert result.structured_content is not None
                assert list(result.structured_content) == FIELDS
                codes[result.structured_content["code"]] += 1
            assert beyond.calls[tool] == 0
            # The counter counts, and the server goes on.
            assert not (await client.call_tool(tool, valid[0])).is_error
        return codes

    codes = asyncio.run(answers())
    assert beyond.calls[tool] == 1
    assert set(codes) == {"invalid_arguments", "arguments_too_large"}
    assert digest(tmp_path / DATABASE) == before


# What no client of the SDK writes, with the place of the fault; without one where the SDK's parser drops the line.
WRITTEN = {
    '{"limit": 1e999}': "/limit",
    '{"limit": NaN}': "/limit",
    '{"limit": 1180591620717411303424}': "/limit",
    '{"limit": 5, "limit": "x"}': "/limit",
    "[]": "",
    '"x"': "",
    r'{"text": "\ud800"}': None,
    '{"limit": ' + "9" * 5_000 + "}": None,
    '{"text": ' + "[" * 5_000 + "]" * 5_000 + "}": None,
}


def test_a_server_survives_arguments_that_no_client_would_write(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcp_workbench.desk", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        lines = [json.dumps({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": told})]
        lines.append('{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        call = '{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"search_incidents","arguments":%s}}'
        lines += [call % (json.dumps(written), written) for written in WRITTEN if WRITTEN[written] is not None]
        lines += [call % (0, written) for written in WRITTEN if WRITTEN[written] is None]
        lines.append(call % ('"valid"', "{}"))
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        answers: dict[object, Any] = {}
        while answers.keys() != {"hello", "valid", *(each for each in WRITTEN if WRITTEN[each] is not None)}:
            answer = json.loads(process.stdout.readline())
            answers[answer["id"]] = answer["result"]
        process.stdin.close()
    for written, place in WRITTEN.items():
        if place is not None:
            assert answers[written]["structuredContent"]["details"]["faults"][0]["at"] == place
    assert not answers["valid"].get("isError")
    assert process.returncode == 0


def test_the_same_seed_makes_the_same_cases_of_every_family() -> None:
    schema = read_book(contract_file())["search_incidents"].input_schema
    assert schema is not None
    first, second = (list(itertools.islice(MalformedMaker(schema, [{}], seed=7), 300)) for _ in range(2))
    assert first == second
    assert len({case.family for case in first}) == 10
