"""A target made ready to be loaded: how the generator speaks to it, where it runs, and which process it is."""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import psutil
from mcp.client.stdio import get_default_environment
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PARAM_HEADER_PREFIX,
    encode_header_value,
    x_mcp_header_map,
)
from mcp_types import Tool

from mcp_workbench.kernel.connection import Connection
from mcp_workbench.kernel.hosting import HostedServer
from mcp_workbench.kernel.targets import CommandTarget, ServerTarget, UrlTarget, find_program, search_path
from mcp_workbench.load.baselines.conditions import Placement
from mcp_workbench.load.generator.speaking import is_modern
from mcp_workbench.load.plan import Wire
from mcp_workbench.records import Transport


@dataclass(frozen=True, slots=True)
class Prepared:
    """A target that the generator can be pointed at.

    Attributes:
        name: the target's name.
        transport: how it is spoken to.
        placement: where it runs.
        wire: the same for the generator.
        tools: what it lists.
        server: its process, where it is known before the load begins.
    """

    name: str
    transport: Transport
    placement: Placement
    wire: Wire
    tools: tuple[Tool, ...]
    server: int | None

    @property
    def starts_processes(self) -> bool:
        """Whether each arm gets a process of its own."""
        return self.wire.kind == "stdio"


@contextlib.asynccontextmanager
async def prepared(connection: Connection) -> AsyncIterator[Prepared]:
    """Make the target of an open connection ready for the generator; the caller is on the background loop.

    A server object that lives in this process only is hosted over loopback HTTP for as long as the block lasts.

    Raises:
        UnreachableError: the server object cannot be hosted.
        ProtocolError: its tools cannot be listed.
    """
    target = connection.target
    tools = tuple(await connection.list_all("tools"))
    protocol = connection.client.protocol_version
    if isinstance(target, CommandTarget):
        environment = {**get_default_environment(), "PATH": search_path(), "COLUMNS": "200", "NO_COLOR": "1"}
        wire = Wire(
            "stdio",
            protocol,
            command=(find_program(target), *target.arguments),
            environment=environment | dict(target.environment),
            folder=str(target.folder) if target.folder is not None else None,
        )
        yield Prepared(target.name, "stdio", "own process", wire, tools, None)
    elif isinstance(target, UrlTarget):
        wire = _http(target.url, dict(target.headers), protocol, tools)
        yield Prepared(target.name, "http", "own process", wire, tools, _listener(target.url))
    elif target.word and target.transport == "in-process":
        wire = Wire("in-process", protocol, word=target.word)
        yield Prepared(target.name, "in-process", "in the generator", wire, tools, None)
    else:
        assert isinstance(target, ServerTarget)
        hosted = HostedServer(target.server)
        await hosted.start()
        try:
            # A server that is called directly speaks the newest version; over HTTP it does so, too.
            wire = _http(hosted.url, {}, protocol, tools)
            with _HEAP.set_aside():
                yield Prepared(target.name, "in-kernel-http", "in the kernel", wire, tools, os.getpid())
        finally:
            await hosted.aclose()


class _Heap:
    """What this process holds: not the server's, and to search all of it for garbage stops the server for 0.2 s."""

    def __init__(self) -> None:
        self._loads = 0
        self._mine = False

    @contextlib.contextmanager
    def set_aside(self) -> Iterator[None]:
        """Keep the garbage collector from what is there now, for as long as a load lasts; on one thread only."""
        if not self._loads and not gc.get_freeze_count():
            # Of what is young only: what is old has been searched before, and will be again.
            gc.collect(1)
            gc.freeze()
            self._mine = True
        self._loads += 1
        try:
            yield
        finally:
            self._loads -= 1
            if self._mine and not self._loads:
                gc.unfreeze()
                self._mine = False


_HEAP: Final = _Heap()


def _http(url: str, headers: dict[str, str], protocol: str, tools: tuple[Tool, ...]) -> Wire:
    if not is_modern(protocol):
        return Wire("http", protocol, url=url, headers=headers)
    named = {
        tool.name: {MCP_METHOD_HEADER: "tools/call", MCP_NAME_HEADER: encode_header_value(tool.name)} for tool in tools
    }
    # The SDK's client lists no tool whose schema asks for headers in a wrong way.
    repeated = {
        tool.name: {f"{MCP_PARAM_HEADER_PREFIX}{token}": list(path) for path, token in asked_for.items()}
        for tool in tools
        if (asked_for := x_mcp_header_map(tool.input_schema))
    }
    return Wire("http", protocol, url=url, headers=headers, tool_headers=named, argument_headers=repeated)


def _listener(url: str) -> int | None:
    """Return the process that listens at a loopback address; ``None`` where it cannot be seen."""
    parts = urlsplit(url)
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return None
    if not loopback:
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # Processes of other users, and systems that tell nothing of sockets.
    with contextlib.suppress(psutil.Error, OSError):
        for socket in psutil.net_connections(kind="tcp"):
            if socket.status == psutil.CONN_LISTEN and socket.laddr and socket.laddr.port == port and socket.pid:
                return socket.pid
    return None
