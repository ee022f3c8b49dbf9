"""Wires of the engine's tests that end at the test's own loop."""

import json
from typing import Any

from mcp_workbench.load.generator.call import Call, Request
from mcp_workbench.load.generator.engine import Engine


class LoopWire:
    """A wire without a server; those that inherit from it say what becomes of a call."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.reopened = 0
        self.engine: Engine | None = None

    async def open(self, users: int) -> None: ...

    async def close(self) -> None: ...

    def request(self, tool: str, arguments: dict[str, Any]) -> Request:
        return tool.encode(), json.dumps(arguments).encode()

    def send(self, call: Call, request: Request) -> None:
        raise NotImplementedError

    def give_up(self, call: Call) -> None: ...
