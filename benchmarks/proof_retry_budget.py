"""A dependency that fails every other time gets at most 1.2 times the load when its calls are tried again.

``python benchmarks/proof_retry_budget.py [--calls 2000]``: calls a tool that fails half of the time, 16 calls at a
time, with the default budget, with one that lets every failure be tried again, and a tool that is not idempotent. Then
200 callers at once where there are places for 16 and a queue for 32, until as many calls were served: those that are
refused are no load, and may pay for none. Prints runs for each call that was served, exits 1 if one with the default
budget is above 1.2, or the tool that is not idempotent is not at 1.
"""

import argparse
import asyncio
import random
import sys

from mcp import Client
from mcp.server.mcpserver import MCPServer

from mcp_workbench.contracts.model import ContractBook, FailureCase, ServerIdentity, ToolContract
from mcp_workbench.controls import Failure, Settings, harden

AT_ONCE = 16
CROWD = 200
PAUSE_S = 0.05
BOUND = 1.2


async def load(contract: ToolContract, settings: Settings, calls: int, at_once: int) -> tuple[int, int, int, int]:
    """Return how often the tool was run, and how many calls were served, succeeded and were refused."""
    server = MCPServer("shaky", log_level="CRITICAL")
    dice = random.Random(4)
    runs = good = served = refused = 0

    @server.tool()
    async def ask() -> str:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if dice.random() < 0.5:
            raise Failure("busy", "the dependency is busy; try again")
        return "an answer"

    harden(server, ContractBook(server=ServerIdentity(name="shaky"), tools=(contract,)), settings)

    async with Client(server) as client:

        async def worker() -> None:
            nonlocal good, served, refused
            while served < calls:
                result = await client.call_tool("ask", {})
                # Only now: `good += await ...` would read it before the other workers write.
                good += not result.is_error
                if (result.structured_content or {}).get("code") == "overloaded":
                    refused += 1
                    await asyncio.sleep(PAUSE_S)
                else:
                    served += 1

        await asyncio.gather(*(worker() for _ in range(at_once)))
    return runs, served, good, refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    calls = parser.parse_args().calls
    busy = FailureCase(code="busy", when="the dependency is busy", retryable=True, caller="try again")
    natural = ToolContract(name="ask", effects="write", idempotency="natural", failures=(busy,))
    never = natural.model_copy(update={"idempotency": "none"})
    quick = Settings(backoff_ms=1, max_backoff_ms=2)
    found = {}
    for name, contract, settings, at_once in (
        ("default budget", natural, quick, AT_ONCE),
        ("a retry for each call", natural, quick.model_copy(update={"retry_budget": 1.0}), AT_ONCE),
        ("not idempotent", never, quick, AT_ONCE),
        ("overloaded", natural, quick.model_copy(update={"concurrency": 16, "queue": 32}), CROWD),
    ):
        runs, served, good, refused = asyncio.run(load(contract, settings, calls, at_once))
        found[name] = runs / served
        more = f", {refused:,} more refused" if refused else ""
        print(
            f"{name}: {found[name]:.3f} runs a call, {good / served:.1%} of {served:,} calls succeeded{more}",
            flush=True,
        )
    return int(max(found["default budget"], found["overloaded"]) > BOUND or found["not idempotent"] != 1)


if __name__ == "__main__":
    sys.exit(main())
