"""A server object called in the generator's own loop: what a call costs without a wire, and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.generator.answers import NUMBER, PROTOCOL_ERROR, judged
from mcp_workbench.load.generator.call import Call, Ended, Request
from mcp_workbench.load.plan import Wire as WirePlan
from mcp_workbench.untrusted import one_line


class InProcessWire:
    """A server of a file or a module, in this process; its work is the generator's own.

    Args:
        told: the plan's words for the target.
        ended: told of each call that ends.
    """

    def __init__(self, told: WirePlan, ended: Ended) -> None:
        self.pid: int | None = None
        self.reopened = 0
        self.ended = ended
        self._told = told
        self._client: Any = None
        self._leave = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None

    async def open(self, users: int) -> None:  # noqa: ARG002 - one line carries all calls
        """Load the server, and connect to it.

        Raises:
            UnreachableError: it cannot be loaded, or its lifespan fails.
        """
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Entered and left by one task, as anyio demands.
        self._holder = asyncio.create_task(self._hold(ready))
        await ready

    async def _hold(self, ready: asyncio.Future[None]) -> None:
        from mcp import Client

        from mcp_workbench.kernel.targets import ServerTarget, read_target

        try:
            target = read_target(self._told.word)
            assert isinstance(target, ServerTarget)
            mode: Any = self._told.protocol if self._told.protocol.startswith("2026") else "legacy"
            async with Client(target.server, mode=mode, cache=None) as self._client:
                await self._client.list_tools()
                ready.set_result(None)
                await self._leave.wait()
        except Exception as error:  # noqa: BLE001 - a file and a lifespan may raise anything
            if not ready.done():
                ready.set_exception(
                    UnreachableError(f"{one_line(self._told.word, 80)!r} cannot be connected: {one_line(error, 200)}")
                )

    async def close(self) -> None:
        """Leave the server."""
        self._leave.set()
        if self._holder is not None:
            await asyncio.wait({self._holder}, timeout=5.0)

    def request(self, tool: str, arguments: dict[str, Any]) -> Request:
        """Return the arguments as JSON; the SDK makes the rest."""
        return tool.encode(), json.dumps(arguments).encode()

    def send(self, call: Call, request: Request) -> None:
        """Send ``call``."""
        call.carrier = asyncio.ensure_future(self._call(call, json.loads(request[1])))

    def give_up(self, call: Call) -> None:
        """Cancel ``call``."""
        call.carrier.cancel()

    async def _call(self, call: Call, arguments: dict[str, Any]) -> None:
        from mcp_workbench.kernel.calls import answered

        try:
            result = await self._client.call_tool(call.tool, arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes one outcome
            outcome, code, _ = answered(error)
            self.ended(call, NUMBER.get(outcome, PROTOCOL_ERROR), code)
            return
        message = {"id": call.id, "result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}
        self.ended(call, *judged(message, call.id), b"", message)
