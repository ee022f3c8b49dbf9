"""Hosting a server object of this process over loopback HTTP, on the background loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import anyio
from mcp.server import Server
from mcp.server.mcpserver import MCPServer

from mcp_workbench.errors import UnreachableError, UsageError
from mcp_workbench.kernel.failures import said
from mcp_workbench.kernel.loop import background, sdk_log
from mcp_workbench.kernel.rerun import replace_earlier
from mcp_workbench.untrusted import escaped, one_line

_HOST = "127.0.0.1"
_START_LIMIT_S = 10.0
_STOP_LIMIT_S = 5.0


class HostedServer:
    """A server object that listens on a loopback address; made by :func:`serve`.

    Attributes:
        name: the server's name.
        url: where it listens, as ``http://127.0.0.1:PORT/mcp``.
    """

    def __init__(self, server: MCPServer[Any] | Server[Any]) -> None:
        self.name = one_line(server.name, 60)
        self.url = ""
        self._server = server
        self._running: asyncio.Task[None] | None = None
        self._uvicorn: Any = None
        self.forget: Callable[[], None] = lambda: None

    async def start(self, port: int = 0) -> None:
        """Listen on ``port``, or on a free one; awaited on the background loop."""
        import uvicorn

        # Without the protocol number the socket is not known as TCP, and asyncio leaves Nagle's delay on: 44 ms a call.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_HOST, port))
        except OSError as error:
            listening.close()
            raise UnreachableError(
                f"cannot listen on {_HOST}:{port}: {error.strerror}; stop what uses that port, or leave the port out"
            ) from None
        app = self._server.streamable_http_app(host=_HOST)
        config = uvicorn.Config(
            app, log_config=None, log_level="error", access_log=False, lifespan="on", timeout_graceful_shutdown=1
        )
        self._uvicorn = uvicorn.Server(config)
        self._running = asyncio.create_task(self._serve(listening), name=f"host {self.name}")
        begun_s = time.monotonic()
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                while not self._uvicorn.started:
                    if self._running.done():
                        raise UnreachableError(
                            f"the server {self.name!r} ended while it was being started over HTTP; mend its lifespan"
                            + said("\n".join(sdk_log().since(begun_s)))
                        )
                    await asyncio.sleep(0.002)
        except BaseException as error:
            # Also when the caller gave up: nothing may go on listening.
            with anyio.CancelScope(shield=True):
                await self._aclose()
            if isinstance(error, TimeoutError):
                sentence = f"the server {self.name!r} did not start over HTTP within {_START_LIMIT_S:.0f} s"
                raise UnreachableError(f"{sentence}; look at what its lifespan waits for") from None
            raise
        background().on_exit(self.aclose)
        self.url = f"http://{_HOST}:{listening.getsockname()[1]}/mcp"

    async def _serve(self, listening: socket.socket) -> None:
        try:
            await self._uvicorn.serve(sockets=[listening])
        except SystemExit:
            # How uvicorn says that the server's lifespan failed.
            return
        finally:
            listening.close()

    async def aclose(self) -> None:
        """Stop listening; what is still being answered gets a second."""
        await background().arun(self._aclose())

    async def _aclose(self) -> None:
        background().not_on_exit(self.aclose)
        self.forget()
        running, self._running = self._running, None
        if running is None:
            return
        self._uvicorn.should_exit = True
        _, late = await asyncio.wait({running}, timeout=_STOP_LIMIT_S)
        if late:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    def close(self) -> None:
        """Stop listening, and wait until the port is free."""
        background().run(self._aclose())

    def __enter__(self) -> HostedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        """Return name and state, without the port, which differs from run to run."""
        return f"<HostedServer {self.name!r}, {'listening' if self._running is not None else 'closed'}>"

    def _repr_html_(self) -> str:
        return f"<p>{escaped(self.name, 60)} listens at <code>{escaped(self.url)}</code></p>"


def serve(server: MCPServer[Any] | Server[Any], *, port: int = 0) -> HostedServer:
    """Host ``server`` over Streamable HTTP on the loopback address, in this process.

    Running the cell again replaces the server that it started before.

    Args:
        server: the server object.
        port: the port to listen on; 0 takes a free one.

    Returns:
        The hosted server, with its ``url``; ``close()`` it, use it in a ``with``, or leave it to the kernel's end.

    Raises:
        UnreachableError: the port is taken, or the server did not start.
    """
    return background().run(_aserve(server, port))


async def aserve(server: MCPServer[Any] | Server[Any], *, port: int = 0) -> HostedServer:
    """Host ``server`` as :func:`serve` does, without blocking the caller's loop."""
    return await background().arun(_aserve(server, port))


async def _aserve(server: MCPServer[Any] | Server[Any], port: int) -> HostedServer:
    if not isinstance(server, MCPServer | Server):
        raise UsageError(f"a {type(server).__name__} cannot be served; give an MCPServer (or Server) object")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise UsageError(f"port={port!r} is no port; give a whole number up to 65535, or leave it out")
    hosted = HostedServer(server)
    hosted.forget = await replace_earlier("server", hosted.name, hosted.aclose)
    await hosted.start(port)
    return hosted
