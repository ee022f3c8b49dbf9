"""The calibration server: a fixed piece of work behind MCP, so that a target is measured in it and not in milliseconds.

``python -P -m mcp_workbench.load.calibration stdio|http`` runs it; on HTTP its first line of output is its port. It
ends when its standard input closes. It is made of the standard library alone: a new release of a library must not
change what all others are measured by.

It is to be called under the target's load. A server that is called 200 times a second sleeps in between, and how long
it takes to wake up differs from run to run more than its work does; one that is called in a closed loop never sleeps.
:func:`calibration_block` sees to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import json
import os
import platform
import re
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Literal

from mcp_workbench.errors import WorkbenchError
from mcp_workbench.kernel.leash import leash
from mcp_workbench.load.calibration_work import CALIBRATION_VERSION, reference
from mcp_workbench.load.plan import Arm, Block, Operation, Step, Wire
from mcp_workbench.untrusted import one_line

Kind = Literal["stdio", "http"]

TOOL: Final = "reference"
"""The one tool; it takes no arguments."""

MOST_RATE: Final = 500.0
"""Calls a second, above which the calibration server itself would be at its limit on a slow machine."""

_PROTOCOL: Final = "2026-07-28"
_HANDSHAKE_PROTOCOLS: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
_START_LIMIT_S: Final = 20.0
_LEAVE_LIMIT_S: Final = 2.0
_MOST_BYTES: Final = 1_000_000


async def _answer(text: bytes) -> bytes | None:
    """Return the answer to a message, as JSON on one line; ``None`` for one that wants none."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return _said(None, error={"code": -32700, "message": "this is no JSON"})
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _said(None, error={"code": -32600, "message": "this is no request"})
    if "id" not in message:
        return None
    number, told = message["id"], message.get("params")
    params = told if isinstance(told, dict) else {}
    match message["method"]:
        case "tools/call" if params.get("name") == TOOL:
            result = await reference()
            content = [{"type": "text", "text": json.dumps(result)}]
            return _said(number, {"content": content, "structuredContent": result, "isError": False})
        case "tools/call":
            return _said(number, error={"code": -32602, "message": f"there is one tool: {TOOL}"})
        case "tools/list":
            listed = {"name": TOOL, "description": "Do the fixed work.", "inputSchema": {"type": "object"}}
            return _said(number, {"tools": [listed], "ttlMs": 0, "cacheScope": "public"})
        case "server/discover":
            named = {"io.modelcontextprotocol/serverInfo": _server_info()}
            found = {"supportedVersions": [_PROTOCOL], "capabilities": {"tools": {}}, "_meta": named}
            return _said(number, {**found, "ttlMs": 0, "cacheScope": "public"})
        case "initialize":
            asked = params.get("protocolVersion")
            agreed = asked if asked in _HANDSHAKE_PROTOCOLS else _HANDSHAKE_PROTOCOLS[0]
            return _said(
                number, {"protocolVersion": agreed, "capabilities": {"tools": {}}, "serverInfo": _server_info()}
            )
        case "ping":
            return _said(number, {})
        case _:
            return _said(number, error={"code": -32601, "message": "this method is not known here"})


def _server_info() -> dict[str, str]:
    return {"name": "calibration", "version": CALIBRATION_VERSION}


def _said(number: Any, result: dict[str, Any] | None = None, error: dict[str, Any] | None = None) -> bytes:
    told = {"error": error} if result is None else {"result": {"resultType": "complete", **result}}
    return json.dumps({"jsonrpc": "2.0", "id": number, **told}, separators=(",", ":")).encode()


class _Connection(asyncio.Protocol):
    """One HTTP connection, whose requests are answered in their order."""

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - lost is lost
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        if self._answering is None:
            self._next()
        elif len(self._arrived) > _MOST_BYTES:
            self._refuse(b"413 Content Too Large")

    def _next(self) -> None:
        head, whole, rest = bytes(self._arrived).partition(b"\r\n\r\n")
        if whole and not head.startswith(b"POST "):
            # Clients of the handshake ask for a stream of events, or end their session: there is neither.
            self._refuse(b"405 Method Not Allowed")
            return
        length = re.search(rb"(?i)\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?:\r|$)", head)
        if whole and length is None:
            self._refuse(b"411 Length Required")
            return
        wanted = int(length[1]) if length is not None else 0
        if len(self._arrived) > _MOST_BYTES or wanted > _MOST_BYTES:
            self._refuse(b"413 Content Too Large")
        elif whole and len(rest) >= wanted:
            self._arrived = bytearray(rest[wanted:])
            self._answering = asyncio.create_task(self._serve(rest[:wanted]))

    async def _serve(self, body: bytes) -> None:
        answer = await _answer(body)
        status = b"200 OK" if answer is not None else b"202 Accepted"
        self._write(status, answer or b"")
        self._answering = None
        if self._arrived:
            self._next()

    def _refuse(self, status: bytes) -> None:
        self._write(status, b"", b"connection: close\r\n")
        if self._transport is not None:
            self._transport.close()

    def _write(self, status: bytes, body: bytes, more: bytes = b"") -> None:
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(head % (status, len(body), more) + body)


async def _over_http(standard_input: asyncio.StreamReader) -> None:
    # Without the protocol number the socket is not known as TCP, and asyncio leaves Nagle's delay on: 44 ms a call.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.bind(("127.0.0.1", 0))
    await asyncio.get_running_loop().create_server(_Connection, sock=listening)
    os.write(1, b"%d\n" % listening.getsockname()[1])
    while await standard_input.read(65_536):
        continue


async def _over_stdio(standard_input: asyncio.StreamReader) -> None:
    async def answer(line: bytes) -> None:
        if (said := await _answer(line)) is not None:
            # A client that is gone has closed standard input, too.
            with contextlib.suppress(BrokenPipeError):
                os.write(1, said + b"\n")

    async with asyncio.TaskGroup() as answering:
        # The end of the input, or a line without an end: nothing that comes after it could be told from it.
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                answering.create_task(answer(await standard_input.readuntil()))


async def _serve(kind: Kind) -> None:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=_MOST_BYTES)
    try:
        # Whether it can be waited for at all; asyncio itself would find out too late to say so.
        loop.add_reader(0, lambda: None)
        loop.remove_reader(0)
    except OSError:
        sys.exit("the calibration server ends with its standard input; give it a pipe or a terminal, and no file")
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # What is loaded is never looked through again for garbage: only what calls leave is.
    gc.collect()
    gc.freeze()
    await {"http": _over_http, "stdio": _over_stdio}[kind](reader)


def calibration_identity() -> str:
    """Return what must be the same for two baselines to be compared by it, such as ``1, CPython 3.11``."""
    major, minor, *_ = sys.version_info
    return f"{CALIBRATION_VERSION}, {platform.python_implementation()} {major}.{minor}"


def calibration_command(kind: Kind) -> tuple[str, ...]:
    """Return the program and the arguments that start the calibration server."""
    return (sys.executable, "-P", "-m", "mcp_workbench.load.calibration", kind)


def calibration_block(block: Block, arm: int) -> Block:
    """Return the calibration server's turn beside a turn of the target: as long, and under the same load.

    Args:
        block: the target's turn.
        arm: the calibration server's place among the arms.
    """
    return dataclasses.replace(block, arm=arm, rate=None if block.rate is None else min(block.rate, MOST_RATE))


def arm(kind: Kind, url: str = "") -> Arm:
    """Return the calibration server as an arm of a plan.

    Args:
        kind: how it is spoken to; on ``stdio`` the generator starts it.
        url: of ``http``: where it listens.
    """
    if kind == "stdio":
        wire = Wire("stdio", _PROTOCOL, command=calibration_command(kind), environment=_environment())
    else:
        named = {TOOL: {"Mcp-Method": "tools/call", "Mcp-Name": TOOL}}
        wire = Wire("http", _PROTOCOL, url=url, tool_headers=named)
    return Arm("the calibration server", wire, (Operation(TOOL, 1.0, (Step(TOOL, ({},)),)),))


@contextlib.asynccontextmanager
async def calibration_server(
    kind: Literal["stdio", "http", "in-process"], *, started: Callable[[int], None] | None = None
) -> AsyncIterator[Arm]:
    """Have the calibration server run for as long as the block lasts.

    Args:
        kind: how the target is spoken to; beside a target in process it speaks stdio.
        started: told of its process, where one is started here; the generator tells of those that it starts.

    Raises:
        WorkbenchError: it does not start.
    """
    if kind != "http":
        yield arm("stdio")
        return
    process: asyncio.subprocess.Process | None = None
    environment = _environment() | leash().take()
    try:
        with tempfile.TemporaryFile() as said:
            process = await asyncio.create_subprocess_exec(
                *calibration_command("http"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=said,
                env=environment,
                start_new_session=True,
            )
            assert process.stdout is not None
            line = b""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_START_LIMIT_S):
                    line = await process.stdout.readline()
            if not line.strip().isdigit():
                said.seek(0)
                words = one_line(said.read(2_000).decode(errors="replace"), 300)
                raise WorkbenchError(f"the calibration server did not start: {words or 'no word'}")
            if started is not None:
                started(process.pid)
            yield arm("http", f"http://127.0.0.1:{int(line)}/mcp")
    finally:
        if process is not None:
            await _end(process)
        leash().drop()


def _environment() -> dict[str, str]:
    """Return ours, without what makes Python slower or faster; texts have the same hashes in each process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") or name == "PYTHONPATH"}
    return kept | {"PYTHONHASHSEED": "0"}


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_LEAVE_LIMIT_S):
            await process.wait()
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if not isinstance(error, TimeoutError):
            raise
        await process.wait()


if __name__ == "__main__":
    if sys.argv[1:] not in (["http"], ["stdio"]):
        sys.exit("say how it is to be spoken to: stdio or http")
    # Somebody who runs it by hand ends it so.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve("http" if sys.argv[1] == "http" else "stdio"))
