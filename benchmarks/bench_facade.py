"""What the facade adds to an in-process ``Client.call_tool``: ratio of medians, measured in turns; bound 2 x.

``python benchmarks/bench_facade.py [--rounds 40]``: prints the ratios, exits 1 if the bound is not held.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time

from mcp import Client
from mcp.server.mcpserver import MCPServer

from mcp_workbench import Workbench

BOUND = 2.0
CALLS_A_TURN = 50


def make_server() -> MCPServer:
    server = MCPServer("bench", log_level="ERROR")

    @server.tool()
    async def add(a: int, b: int) -> int:
        """Add two numbers, without a thread: the least that a tool can cost."""
        return a + b

    return server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    bare_us: list[float] = []
    blocking_us: list[float] = []
    sampled_us: list[float] = []
    arguments = {"a": 1, "b": 2}

    async def bare(client: Client) -> None:
        for _ in range(CALLS_A_TURN):
            start = time.perf_counter()
            await client.call_tool("add", arguments)
            bare_us.append((time.perf_counter() - start) * 1e6)

    async def with_client(work: list[int]) -> None:
        async with Client(make_server()) as client:
            await client.list_tools()
            for _ in range(20):
                await client.call_tool("add", arguments)
            for _ in work:
                await bare(client)
                for _ in range(CALLS_A_TURN):
                    start = time.perf_counter()
                    bench.call("add", arguments)
                    blocking_us.append((time.perf_counter() - start) * 1e6)
                summary = bench.sample("add", arguments, calls=CALLS_A_TURN, warm_up=0, progress=False)
                sampled_us.extend(1e3 * each for each in summary.tools[0].latencies_ms)

    with Workbench(make_server()) as bench:
        bench.sample("add", arguments, calls=50, progress=False)
        asyncio.run(with_client(list(range(rounds))))
    base = statistics.median(bare_us)
    ratio = statistics.median(blocking_us) / base
    sample_ratio = statistics.median(sampled_us) / base
    load = os.getloadavg()[0]
    print(f"bare Client.call_tool: {base:.0f} us; {rounds * CALLS_A_TURN} calls each, in turns; load {load:.1f}")
    print(f"wb.call / bare: {ratio:.2f} x (bound {BOUND} x)")
    print(f"latency recorded by wb.sample / bare: {sample_ratio:.2f} x")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
