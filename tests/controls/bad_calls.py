"""A hardened server, and a bad call of it for each cause of a failure; run as a script, it speaks stdio or HTTP.

``python bad_calls.py stdio`` or ``python bad_calls.py http``, which prints its port.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rfc8785
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from mcp_workbench.contracts.model import ContractBook, FailureCase, ServerIdentity, ToolContract
from mcp_workbench.controls import Failure, Settings, harden

SECRET = "correct-horse-battery-staple"  # a secret that has no shape: only its variable's name tells
VARIABLE = "BAD_CALLS_API_TOKEN"
PLACES = 20
DEADLINE_MS = 200
PRIVATE_PATH = "/srv/private/customers.sqlite"

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown tool": ("no_such_tool", {}),
    "wrong type": ("find", {"name": ["not", "a", "text"], "limit": "many"}),
    "missing": ("find", {"limit": 3}),
    "unknown argument": ("find", {"name": "x", "colour": 1, "size": 2, "weight": 3}),
    "too large": ("find", {"name": "x" * 5_000}),
    "not found": ("find", {"name": "nobody"}),
    "with details": ("detailed", {}),
    "on purpose": ("refuse", {}),
    "crash": ("crash", {}),
    "invalid result": ("wrong", {}),
    "result too large": ("large", {}),
    "timeout": ("slow", {}),
}
"""Causes that one call is enough for."""

MODES = ("auto", "legacy")
"""How a client chooses the protocol: the newest version, or by the handshake of the older ones."""

OVERLOAD = "overload"
"""The cause that needs other calls to be under way."""

NOT_BEGUN = "timeout before the tool began"
"""The cause that only a busy machine brings about."""


def make_server() -> MCPServer:
    """Return a fresh server, hardened."""
    os.environ[VARIABLE] = SECRET
    server = MCPServer("bad calls", log_level="CRITICAL")
    freed = asyncio.Event()

    @server.tool()
    def find(name: str, limit: int = 10) -> str:
        raise Failure("not_found", f"there is nobody of that name in {PRIVATE_PATH}; list the names first")

    @server.tool()
    def detailed() -> str:
        # The order of a set differs from process to process.
        names = {"anna", "berta", "clara", "dora"}
        details = {"names": names, "file": PRIVATE_PATH, "at": {"token": SECRET, "line": 3}}
        raise Failure("locked", f"the key {SECRET} is in use", retry_after_ms=20, details=details)

    @server.tool()
    def refuse() -> str:
        raise ToolError(f"the token {SECRET} does not open {PRIVATE_PATH}")

    @server.tool()
    def crash() -> str:
        raise RuntimeError(f"cannot open {PRIVATE_PATH} with {SECRET} at {object()!r}")

    @server.tool()
    def wrong() -> dict[str, Any]:
        return {"count": -1, "name": SECRET, "b": 1, "a": 2}

    @server.tool()
    def large() -> str:
        return SECRET * 1_000

    @server.tool()
    async def slow() -> str:
        await asyncio.sleep(30)
        return "done"

    @server.tool()
    async def hold() -> str:
        await freed.wait()
        return "done"

    @server.tool()
    async def free() -> str:
        freed.set()
        freed.clear()
        return "done"

    counted = {
        "type": "object",
        "properties": {"count": {"type": "integer", "minimum": 0}, "name": {"type": "integer"}},
        "additionalProperties": False,
    }
    contracts = (
        ToolContract(name="find", failures=(FailureCase(code="not_found"),)),
        ToolContract(name="detailed", failures=(FailureCase(code="locked", retryable=True),), idempotency="none"),
        ToolContract(name="wrong", output_schema=counted),
        ToolContract(name="slow", deadline_ms=DEADLINE_MS),
    )
    book = ContractBook(server=ServerIdentity(name="bad calls"), tools=contracts)
    settings = Settings(max_argument_bytes=4_000, max_result_bytes=4_000, concurrency_per_tool=PLACES, queue=0)
    harden(server, book, settings)
    return server


def targets(folder: Path, modes_of_each_process: tuple[tuple[str, ...], ...]) -> Iterator[tuple[str, Any, str]]:
    """Yield name, what a client connects to, and mode: this process, processes of their own over stdio, one over HTTP.

    Args:
        folder: where each other process over stdio runs.
        modes_of_each_process: one process over stdio for each, with another hash seed, and the modes to speak with it.
    """
    for mode in MODES:
        yield f"in process, {mode}", make_server(), mode
    for seed, modes in enumerate(modes_of_each_process, 1):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        for mode in modes:
            command = StdioServerParameters(
                command=sys.executable, args=[__file__, "stdio"], env=environment, cwd=folder if seed % 2 else None
            )
            yield f"stdio, {mode}, hash seed {seed}", command, mode
    with http_server() as url:
        for mode in MODES:
            yield f"http, {mode}", url, mode


@contextmanager
def http_server() -> Iterator[str]:
    """Run the server in a process of its own, at an address."""
    command = [sys.executable, __file__, "http"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
        finally:
            process.kill()


async def error_objects(target: Any, mode: Any, times: int) -> dict[str, list[bytes]]:
    """Make each bad call a number of times, and return its error objects as canonical bytes (RFC 8785)."""
    found: dict[str, list[bytes]] = defaultdict(list)
    async with Client(target, mode=mode) as client:
        for cause, (tool, arguments) in CALLS.items():
            # As many at once as have a place: the timeouts wait together.
            for first in range(0, times, PLACES):
                calls = [client.call_tool(tool, arguments) for _ in range(min(PLACES, times - first))]
                found[cause] += map(canonical, await asyncio.gather(*calls))
        # One more than there are places: the first answer is the refusal.
        held = {asyncio.ensure_future(client.call_tool("hold")) for _ in range(PLACES + 1)}
        refused, held = await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        found[OVERLOAD] += [canonical(call.result()) for call in refused]
        while len(found[OVERLOAD]) < times:
            found[OVERLOAD].append(canonical(await client.call_tool("hold")))
        await client.call_tool("free")
        assert not any(call.result().is_error for call in (await asyncio.wait(held))[0])
    # On a machine that stands still for so long a deadline is over before the tool has begun, which is another cause,
    # and the only one that is worth trying again.
    for each in [each for each in found["timeout"] if b'"retryable":true' in each]:
        found["timeout"].remove(each)
        found[NOT_BEGUN].append(each)
    return found


def canonical(result: Any) -> bytes:
    """Return the error object of a result, the correlation id aside."""
    assert result.is_error, result
    told = dict(result.structured_content)
    assert len(told.pop("correlation_id")) == 32
    return rfc8785.dumps(told)


if __name__ == "__main__":
    served = make_server()
    if sys.argv[1:] == ["http"]:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        # From now on connections wait in the queue instead of being refused.
        listening.listen()
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(served.streamable_http_app(), log_level="critical")
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
    else:
        served.run()
