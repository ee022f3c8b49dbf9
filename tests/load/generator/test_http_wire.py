"""The wire over HTTP, against small servers of this loop: where its requests go, and what it says of lost ones."""

import asyncio
import contextlib
import errno
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.generator.answers import GENERATOR_NO_SOCKETS, NAME_NOT_FOUND
from mcp_workbench.load.generator.call import Call
from mcp_workbench.load.generator.http_wire import HttpWire, unconnected
from mcp_workbench.load.plan import Wire

Leading = Callable[[str], str | None]
"""Where a server sends a client that asks for a path; ``None`` if it answers there."""


async def _asked(path: str, leading: Leading) -> list[str]:
    """Open a wire at ``path`` and send one call; return which paths were asked for."""
    paths: list[str] = []
    serving: set[Any] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                paths.append(line.decode("ascii").split(" ")[1])
                length = 0
                while (header := (await reader.readline()).strip().lower()) != b"":
                    if header.startswith(b"content-length:"):
                        length = int(header.split()[1])
                number = json.loads(await reader.readexactly(length))["id"]
                body = json.dumps({"jsonrpc": "2.0", "id": number, "result": {"content": [], "tools": []}})
                to = leading(paths[-1])
                head = "200 OK" if to is None else f"307 Temporary Redirect\r\nLocation: {to}"
                writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        ended = asyncio.Event()

        def told(*_: Any) -> None:
            ended.set()

        port = server.sockets[0].getsockname()[1]
        wire = HttpWire(Wire("http", "2026-07-28", url=f"http://127.0.0.1:{port}{path}"), told)
        try:
            await wire.open(1)
            wire.send(Call(100_000_000, (0, 0), "a", 0, None), wire.request("a", {}))
            async with asyncio.timeout(10):
                await ended.wait()
        finally:
            await wire.close()
            await asyncio.gather(*serving)
    return paths


def asked(path: str, leading: Leading = lambda _: None) -> list[str]:
    return asyncio.run(_asked(path, leading))


@pytest.mark.parametrize("location", ["/mcp/?key=1", "mcp/?key=1"])
def test_a_redirect_keeps_the_query_that_it_names(location: str) -> None:
    paths = asked("/mcp?key=1", lambda path: location if path == "/mcp?key=1" else None)
    assert paths == ["/mcp?key=1", "/mcp/?key=1", "/mcp/?key=1"]


def test_three_redirects_are_followed_and_no_more() -> None:
    def onwards(last: int) -> Leading:
        return lambda path: f"/{int(path[1:]) + 1}" if int(path[1:]) < last else None

    assert asked("/0", onwards(3)) == ["/0", "/1", "/2", "/3", "/3"]
    with pytest.raises(UnreachableError, match="HTTP 307"):
        asked("/0", onwards(4))


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/x", "http://other:1/x", "http://127.0.0.1:99999999/x", "http://["]
)
def test_a_redirect_to_another_server_is_not_followed(location: str) -> None:
    with pytest.raises(UnreachableError, match="HTTP 307"):
        asked("/mcp", lambda _: location)


def test_an_address_in_any_script_is_asked_for_in_ascii() -> None:
    assert asked("/wärme%20x/☃?q=ü&r=a b") == ["/w%C3%A4rme%20x/%E2%98%83?q=%C3%BC&r=a%20b"] * 2
    assert asked("/mcp", lambda path: "/wärme" if path == "/mcp" else None)[-1] == "/w%C3%A4rme"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((OSError(number, "x"), GENERATOR_NO_SOCKETS) for number in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)),
        (OSError(errno.ENOBUFS, "x"), GENERATOR_NO_SOCKETS),
        (socket.gaierror(socket.EAI_NONAME, "x"), NAME_NOT_FOUND),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection_refused"),
        (OSError("Multiple exceptions: x, y"), "connection_refused"),
        (TimeoutError(), "connect_timeout"),
    ],
)
def test_what_prevents_a_connection_is_told_apart(error: OSError, code: str) -> None:
    assert unconnected(error) == code
