"""A call that is cancelled, late or left by its client has stopped, and the truth is told where it has not."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from stoppable_server import (
    FILE,
    LONG,
    command,
    left_behind,
    listening,
    make_server,
    stop_by_client,
    stop_by_deadline,
    stops_of,
    told,
)

from mcp_workbench.controls import Settings
from mcp_workbench.stages import DEADLINE_META

PATIENT = LONG.model_copy(update={"stop_grace_ms": 5_000})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return the address of a server over HTTP that the tests of this file share."""
    with listening() as address:
        yield address


# `benchmarks/proof_cancellation.py` has both eras on each transport, and more calls.
@pytest.mark.parametrize(
    ("transport", "mode"), [("in process", "auto"), ("in process", "legacy"), ("stdio", "auto"), ("HTTP", "auto")]
)
def test_cancelled_and_late_calls_have_stopped_and_leave_nothing_behind(
    transport: str, mode: str, request: pytest.FixtureRequest
) -> None:
    async def story(server: Any) -> None:
        async with Client(server, mode=mode) as client:
            await stop_by_client(client, 0)
            await stop_by_deadline(client, 1)
            earlier = set(await stops_of(client, [0, 1]))
            before = await told(client, "held")
            for number in range(10, 13):
                await stop_by_client(client, number)
                failure = await stop_by_deadline(client, number + 10)
                assert (failure["code"], failure["details"]) == ("timeout", {"deadline_ms": 60, "stopped": True})
            numbers = [*range(10, 13), *range(20, 23)]
            assert set(await stops_of(client, numbers)) - earlier == set(map(str, numbers))
            assert await left_behind(client, before) == {}

    if transport == "HTTP":
        asyncio.run(story(request.getfixturevalue("url")))
    else:
        asyncio.run(story(make_server() if transport == "in process" else command()))


def test_a_call_that_its_task_is_cancelled_for_has_stopped() -> None:
    async def story() -> None:
        async with Client(make_server()) as client:
            begun = asyncio.Event()

            async def progress(*_: object) -> None:
                begun.set()

            call = asyncio.ensure_future(client.call_tool("nap", {"number": 7}, progress_callback=progress))
            await begun.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert "7" in await told(client, "stops")

    asyncio.run(story())


@pytest.mark.parametrize("by", ["client", "deadline"])
def test_the_tasks_of_a_tool_stop_with_it(by: str) -> None:
    async def story() -> set[str]:
        async with Client(make_server()) as client:
            await (stop_by_client if by == "client" else stop_by_deadline)(client, 10, tool="crowd")
            return set(await told(client, "stops"))

    assert asyncio.run(story()) == {"10", "11", "12"}


def test_a_synchronous_tool_that_asks_whether_it_is_wanted_is_stopped() -> None:
    async def story() -> None:
        async with Client(make_server(PATIENT)) as client:
            failure = await stop_by_deadline(client, 3, tool="polite")
            assert (failure["code"], failure["details"]["stopped"]) == ("timeout", True)
            assert "the tool was stopped" in failure["message"]
            assert "3" in await told(client, "stops")

    asyncio.run(story())


@pytest.mark.parametrize("tool", ["block", "stubborn"])
def test_a_tool_that_cannot_be_stopped_is_told_of_and_keeps_its_place_until_it_ends(
    tool: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(deadline_ms=10_000, stop_grace_ms=10, concurrency_per_tool=1, queue=1)
    caplog.set_level("WARNING", logger="mcp_workbench.controls")

    async def story() -> None:
        async with Client(make_server(settings)) as client:
            late = await client.call_tool(tool, {}, meta={DEADLINE_META: 100})
            assert late.structured_content is not None
            assert late.structured_content["details"] == {"deadline_ms": 100, "stopped": False}
            assert "cannot be stopped" in late.structured_content["message"]
            refused = await client.call_tool(tool, {}, meta={DEADLINE_META: 20})
            assert refused.structured_content is not None
            assert refused.structured_content["code"] == "overloaded"
            after = asyncio.ensure_future(client.call_tool(tool, {}))
            await client.call_tool("let_go", {})
            assert (await after).structured_content == {"result": "done"}

    asyncio.run(story())
    told_in_log = [record.getMessage() for record in caplog.records if "could not be stopped" in record.getMessage()]
    assert [("goes on" in words, "has ended now" in words) for words in told_in_log] == [(True, False), (False, True)]
    assert all(repr(tool) in words for words in told_in_log)


def test_a_tool_that_may_clean_up_does_so_before_the_caller_is_answered() -> None:
    server = make_server(PATIENT)
    cleaned = []

    @server.tool()
    async def careful() -> str:
        try:
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
                cleaned.append("tidy")
        return "done"

    async def story() -> dict[str, Any]:
        async with Client(server) as client:
            result = await client.call_tool("careful", {}, meta={DEADLINE_META: 60})
            assert isinstance(result.structured_content, dict)
            return result.structured_content

    assert asyncio.run(story())["details"]["stopped"] is True
    assert cleaned == ["tidy"]


# Makes clients that can be killed. It imports once, and then each client is a fork of it.
CLIENTS = """
import asyncio, json, os, signal, sys
import mcp.client.stdio, mcp.client.streamable_http
from mcp import Client, StdioServerParameters

async def begun(*_):
    print(os.getpid(), flush=True)

async def call(target, mode, note, meta):
    stdio = StdioServerParameters(command=sys.executable, args=[target, "stdio"])
    server = target if target.startswith("http") else stdio
    async with Client(server, mode=mode) as client:
        await client.call_tool("nap", {"note": note, "number": 5}, progress_callback=begun, meta=meta)

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if not os.fork():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            asyncio.run(call(*json.loads(line)))
        finally:
            print("not killed", flush=True)
            os._exit(1)
"""

KillAClient = Callable[..., None]


@pytest.fixture(scope="module")
def kill_a_client() -> Iterator[KillAClient]:
    """Return what has another process call, and kills it when the tool has begun."""
    words = [sys.executable, "-c", CLIENTS]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as clients:

        def kill(target: str, mode: str, note: Path, meta: dict[str, Any] | None = None) -> None:
            assert clients.stdin is not None
            assert clients.stdout is not None
            print(json.dumps([target, mode, str(note), meta]), file=clients.stdin, flush=True)
            begun = clients.stdout.readline().strip()
            assert begun.isdigit(), begun
            os.kill(int(begun), signal.SIGKILL)

        yield kill


def appears(note: Path) -> bool:
    """Return whether a file is there, at least after some seconds."""
    return any(note.exists() or time.sleep(0.02) for _ in range(500))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_on_stdio_that_is_killed_takes_its_calls_with_it(
    mode: str, kill_a_client: KillAClient, tmp_path: Path
) -> None:
    kill_a_client(str(FILE), mode, tmp_path / "note")
    assert appears(tmp_path / "note")


def test_over_http_a_client_that_is_killed_cancels_at_once_and_before_2026_its_calls_end_at_their_deadline(
    kill_a_client: KillAClient, url: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with Client(url) as client:
            kill_a_client(url, "auto", tmp_path / "now")
            assert appears(tmp_path / "now")
            # That call had no deadline but the server's, a minute: it was the connection that ended it.
            assert (await told(client, "stops"))["5"][1] < 0
            kill_a_client(url, "legacy", tmp_path / "then", {DEADLINE_META: 400})
            assert appears(tmp_path / "then")
            assert (await told(client, "stops"))["5"][1] >= 0

    asyncio.run(story())
