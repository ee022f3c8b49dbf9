"""A dependency that fails every other time gets at most 1.2 times the load when its calls are tried again.

``python benchmarks/proof_retry_budget.py [--calls 2000]``: calls a tool that fails half of the time, 16 calls at a
time, with the default budget, with one that lets every failure be tried again, and a tool that is not idempotent.
Prints runs for each call, exits 1 if the first is above 1.2 or the last is not 1.
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
BOUND = 1.2


async def runs_per_call(contract: ToolContract, settings: Settings, calls: int) -> tuple[float, float]:
    """Return how often the tool was run for each call, and which share of the calls succeeded."""
    server = MCPServer("shaky", log_level="CRITICAL")
    dice = random.Random(4)
    runs = good = 0

    @server.tool()
    async def ask() -> str:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if dice.random() < 0.5:
            raise Failure("busy", "the dependency is busy; try again")
        return "an answer"

    harden(server, ContractBook(server=ServerIdentity(name="shaky"), tools=(contract,)), settings)
    left = iter(range(calls))

    async with Client(server) as client:

        async def worker() -> None:
            nonlocal good
            for _ in left:
                result = await client.call_tool("ask", {})
                # Only now: `good += await ...` would read it before the other workers write.
                good += not result.is_error

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return runs / calls, good / calls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    calls = parser.parse_args().calls
    busy = FailureCase(code="busy", when="the dependency is busy", retryable=True, caller="try again")
    natural = ToolContract(name="ask", effects="write", idempotency="natural", failures=(busy,))
    never = natural.model_copy(update={"idempotency": "none"})
    quick = Settings(backoff_ms=1, max_backoff_ms=2)
    found = {}
    for name, contract, settings in (
        ("default budget", natural, quick),
        ("a retry for each call", natural, quick.model_copy(update={"retry_budget": 1.0})),
        ("not idempotent", never, quick),
    ):
        found[name], good = asyncio.run(runs_per_call(contract, settings, calls))
        print(f"{name}: {found[name]:.3f} runs a call, {good:.1%} of {calls:,} calls succeeded", flush=True)
    return int(found["default budget"] > BOUND or found["not idempotent"] != 1)


if __name__ == "__main__":
    sys.exit(main())
