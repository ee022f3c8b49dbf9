"""A hardened server whose tools say when they were stopped; run as a script, it speaks stdio or HTTP.

``python stoppable_server.py stdio``, or ``python stoppable_server.py http``, which prints its address and listens until
its standard input is closed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import Context, MCPServer

from mcp_workbench.controls import Settings, current_call, harden
from mcp_workbench.stages import DEADLINE_META

FILE = Path(__file__)
LONG = Settings(deadline_ms=60_000)
_TRIES = 250


def make_server(settings: Settings = LONG) -> MCPServer:
    """Return a fresh server, hardened."""
    server = MCPServer("stoppable", log_level="CRITICAL")
    stopped: dict[str, tuple[int, float]] = {}

    def stop(number: int, note: str) -> None:
        """Keep when the run of a call was stopped, and by how much it was over its deadline."""
        call = current_call()
        over_ms = 0.0 if call is None or call.deadline_ms is None else call.elapsed_ms - call.deadline_ms
        stopped[str(number)] = (time.monotonic_ns(), over_ms)
        if note:
            Path(note).write_text("stopped", encoding="utf-8")

    @server.tool()
    async def nap(ctx: Context[Any, Any], seconds: float = 60, number: int = 0, note: str = "") -> str:
        """Sleep, and say when it begins."""
        try:
            await ctx.report_progress(0)
            await anyio.sleep(seconds)
        except asyncio.CancelledError:
            stop(number, note)
            raise
        return "slept"

    @server.tool()
    async def crowd(ctx: Context[Any, Any], number: int = 0) -> str:
        """Have three tasks sleep, and note each of them."""

        async def one(at: int) -> None:
            try:
                await anyio.sleep(60)
            finally:
                stop(number + at, "")

        async with anyio.create_task_group() as tasks:
            for at in range(3):
                tasks.start_soon(one, at)
            await ctx.report_progress(0)
        return "slept"

    @server.tool()
    def polite(number: int = 0) -> str:
        """Hold up a thread, and ask now and then whether it is still wanted."""
        try:
            for _ in range(2_000):
                time.sleep(0.005)
                anyio.from_thread.check_cancelled()
        finally:
            stop(number, "")
        return "done"

    free = threading.Event()

    @server.tool()
    def block() -> str:
        """Hold up a thread until somebody lets it go, whatever else happens."""
        free.wait(10)
        return "done"

    @server.tool()
    async def stubborn() -> str:
        """Take no notice of being cancelled until somebody lets it go."""
        while not free.is_set():
            try:
                await anyio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        return "done"

    @server.tool()
    async def let_go() -> str:
        """Let go what takes no notice of being cancelled."""
        free.set()
        return "done"

    @server.tool()
    async def stops() -> dict[str, tuple[int, float]]:
        """Return when which call was stopped, by the monotonic clock, and how many milliseconds over its deadline."""
        return stopped

    late_ms: list[float] = []
    tickers: list[asyncio.Task[None]] = []

    async def tick() -> None:
        while True:
            asked_s = time.monotonic()
            await asyncio.sleep(0.005)
            late_ms.append((time.monotonic() - asked_s - 0.005) * 1e3)

    @server.tool()
    async def loop_lag() -> dict[str, float]:
        """Begin to measure by how much a plain timer of this loop is late; asked again, return the worst, and end."""
        if tickers:
            tickers.pop().cancel()
        else:
            tickers.append(asyncio.ensure_future(tick()))
        worst_ms = max(late_ms, default=0.0)
        late_ms.clear()
        return {"worst_ms": worst_ms}

    @server.tool()
    async def held() -> dict[str, int]:
        """Return what the server's process holds."""
        process = psutil.Process()
        return {
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "descriptors": process.num_fds(),
            "connections": len(process.net_connections()),
        }

    harden(server, settings=settings)
    return server


def command() -> StdioServerParameters:
    """Return the command that speaks stdio."""
    return StdioServerParameters(command=sys.executable, args=[str(FILE), "stdio"])


@contextmanager
def listening() -> Iterator[str]:
    """Run the server in a process of its own, over HTTP, and give its address."""
    arguments = [sys.executable, str(FILE), "http"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


async def stop_by_client(client: Client, number: int, tool: str = "nap") -> int:
    """Make a call, cancel it when its tool has begun, and return when that was, by the monotonic clock."""
    cancelled_ns = 0
    with anyio.CancelScope() as scope:

        async def begun(*_: object) -> None:
            nonlocal cancelled_ns
            cancelled_ns = time.monotonic_ns()
            scope.cancel()

        await client.call_tool(tool, {"number": number}, progress_callback=begun)
    return cancelled_ns


async def stop_by_deadline(client: Client, number: int, deadline_ms: int = 60, tool: str = "nap") -> dict[str, Any]:
    """Make a call that is not done by its deadline, and return its error object."""
    result = await client.call_tool(tool, {"number": number}, meta={DEADLINE_META: deadline_ms})
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def told(client: Client, tool: str) -> dict[str, Any]:
    """Return the structured result of a tool without arguments."""
    result = await client.call_tool(tool, {})
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def stops_of(client: Client, numbers: list[int]) -> dict[str, tuple[int, float]]:
    """Return the stops as the server noted them, as soon as those of some calls are there, or after some seconds."""
    for _ in range(_TRIES):
        stops = await told(client, "stops")
        if stops.keys() >= set(map(str, numbers)):
            break
        await asyncio.sleep(0.02)
    return stops


async def left_behind(client: Client, before: dict[str, int]) -> dict[str, int]:
    """Return what the server's process holds more than before, as soon as that is nothing, or after some seconds."""
    for _ in range(_TRIES):
        now = await told(client, "held")
        # A closed connection is noticed a moment later. Less than before is no leak.
        left = {what: now[what] - before[what] for what in before if now[what] > before[what]}
        if not left:
            break
        await asyncio.sleep(0.02)
    return left


if __name__ == "__main__":
    if sys.argv[1:] == ["http"]:
        # Only here: over stdio it is a server as people run it, without the client's side of the package.
        from mcp_workbench.kernel.hosting import serve

        with serve(make_server()) as hosted:
            print(hosted.url, flush=True)
            sys.stdin.read()
    else:
        make_server().run()
