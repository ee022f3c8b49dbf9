"""CPU time a call of several servers in this process, measured in turns.

The servers take turns of a few calls, each time in another order (shuffled, the same in each run). So a machine that
gets busy for a while meets all of them alike, and none always comes after the same other one, whose code is what the
processor's caches hold. Each is connected once, with the in-process client of the SDK and nothing else around it.

What is measured is the CPU time of the whole process, not of the loop's thread: the SDK runs ordinary tools in worker
threads, and that is part of what a call costs. The other threads of a notebook's kernel are all but idle meanwhile. The
garbage collector is held off during a turn, and each turn ends with a collection of the young objects, on its own bill.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from mcp import Client, MCPError
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp_types import TextContent

from mcp_workbench.errors import UsageError
from mcp_workbench.kernel.failures import Evidence, unreachable
from mcp_workbench.kernel.targets import ServerTarget
from mcp_workbench.progress import Progress
from mcp_workbench.records import read_arguments
from mcp_workbench.untrusted import one_line

AnyServer = MCPServer[Any] | Server[Any]

# Short enough that a disturbance meets several servers, long enough that the clock itself costs nothing.
_TURN_CALLS: Final = 20
_WARM_UP_CALLS: Final = 5
_MOST: Final = 1_000_000
_LEAST_ROUNDS: Final = 3
_FIRST_ANSWER_S: Final = 30.0
# Whatever draws the progress bar in another thread gets this long before the clock runs again.
_DRAWING_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Turns:
    """What is called, and how often.

    Attributes:
        tool: the tool to call.
        arguments: the same for each call.
        calls: how many calls of each server make a round.
        rounds: how many rounds; below three nothing could be said about noise.

    Raises:
        UsageError: a number that makes no measurement, or arguments that are no JSON object.
    """

    tool: str
    arguments: dict[str, Any] | None
    calls: int
    rounds: int

    def __post_init__(self) -> None:
        """Refuse what makes no measurement."""
        for name, value, least in (("calls", self.calls, 1), ("rounds", self.rounds, _LEAST_ROUNDS)):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
                raise UsageError(f"{name}={value!r} makes no measurement; give a whole number from {least} up")
        object.__setattr__(self, "arguments", read_arguments(self.arguments).values)


async def cpu_in_turns(
    servers: Sequence[tuple[str, AnyServer]], turns: Turns, progress: Progress | None = None
) -> list[tuple[float, ...]]:
    """Return, for each server and round, the CPU microseconds of a call; the caller is on the background loop.

    Args:
        servers: each with the words for where a tool failed, such as ``on the bare server``.
        turns: what is called, and how often.
        progress: told after each round.

    Raises:
        UsageError: the tool fails.
        UnreachableError: a server cannot be connected, or does not answer its first call in time.
    """
    target = ServerTarget(servers[0][1], "")
    try:
        async with AsyncExitStack() as stack:
            clients = []
            for place, server in servers:
                async with asyncio.timeout(_FIRST_ANSWER_S):
                    client = await stack.enter_async_context(Client(server, cache=None))
                    await client.list_tools()
                    await _turn(client, turns, 1, place)
                await _turn(client, turns, _WARM_UP_CALLS, place)
                clients.append(client)
            return await _rounds([place for place, _ in servers], clients, turns, progress)
    except Exception as error:  # noqa: BLE001 - a server's lifespan may raise anything, and task groups wrap it
        raise unreachable(target, error, Evidence(), _FIRST_ANSWER_S) from None


async def _rounds(
    places: Sequence[str], clients: Sequence[Client], turns: Turns, progress: Progress | None
) -> list[tuple[float, ...]]:
    spent_us: list[list[float]] = [[] for _ in clients]
    order = list(range(len(clients)))
    shuffled = random.Random(0)  # noqa: S311 - an order, no secret
    for done in range(1, turns.rounds + 1):
        spent_ns = [0] * len(clients)
        for begun in range(0, turns.calls, _TURN_CALLS):
            shuffled.shuffle(order)
            for at in order:
                spent_ns[at] += await _turn(clients[at], turns, min(_TURN_CALLS, turns.calls - begun), places[at])
        for at, nanoseconds in enumerate(spent_ns):
            spent_us[at].append(nanoseconds / turns.calls / 1e3)
        if progress is not None:
            progress(done, turns.rounds)
            await asyncio.sleep(_DRAWING_S)
    return [tuple(rounds) for rounds in spent_us]


async def _turn(client: Client, turns: Turns, calls: int, place: str) -> int:
    """Make some calls, one after the other, and return the nanoseconds of CPU time that they took."""
    failed: str | None = None
    collecting = gc.isenabled()
    gc.disable()
    try:
        begun_ns = time.process_time_ns()
        for _ in range(calls):
            result = await client.call_tool(turns.tool, turns.arguments)
            if result.is_error:
                failed = " ".join(block.text for block in result.content if isinstance(block, TextContent))
        gc.collect(0)
        spent_ns = time.process_time_ns() - begun_ns
    except (MCPError, RuntimeError) as error:
        # RuntimeError: how the SDK's client says that a result breaks its output schema.
        failed = str(error)
    finally:
        if collecting:
            gc.enable()
    if failed is not None:
        raise UsageError(
            f"the tool {one_line(turns.tool, 60)!r} failed {place}: {one_line(failed, 300)}; "
            "give arguments with which it succeeds each time"
        )
    return spent_ns
