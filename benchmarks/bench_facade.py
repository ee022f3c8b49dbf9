"""What the facade adds to an in-process ``Client.call_tool``: ratio of medians, measured in turns; bound 2 x.

``python benchmarks/bench_facade.py [--rounds 20] [--processes 7]``: prints the ratios, exits 1 if the bound is broken.

An ordinary tool is a ``def``, which the SDK runs in a worker thread. An ``async def`` that awaits nothing is the least
that a tool can cost, and so the hardest case: there the way to another thread and back weighs most. How much that is
differs between processes on one machine (where the system puts the threads), so the figure is the median of several.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

from mcp import Client
from mcp.server.mcpserver import MCPServer

from mcp_workbench import Workbench

BOUND = 2.0
CALLS_A_TURN = 50
TOOLS = ("ordinary", "least")
ARGUMENTS = {"a": 1, "b": 2}


def make_server() -> MCPServer:
    server = MCPServer("bench", log_level="ERROR")

    @server.tool()
    def ordinary(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def least(a: int, b: int) -> int:
        """Add two numbers, without a thread."""
        return a + b

    return server


async def measure(bench: Workbench, tool: str, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Return the microseconds of each call: bare client, blocking call of the facade, latency recorded by a sample."""
    bare_us: list[float] = []
    blocking_us: list[float] = []
    sampled_us: list[float] = []
    async with Client(make_server()) as client:
        await client.list_tools()
        for turn in range(rounds + 1):
            if turn == 1:
                # The first turn warmed everything up.
                del bare_us[:], blocking_us[:], sampled_us[:]
            for _ in range(CALLS_A_TURN):
                start = time.perf_counter()
                await client.call_tool(tool, ARGUMENTS)
                bare_us.append((time.perf_counter() - start) * 1e6)
            for _ in range(CALLS_A_TURN):
                start = time.perf_counter()
                bench.call(tool, ARGUMENTS)
                blocking_us.append((time.perf_counter() - start) * 1e6)
            summary = bench.sample(tool, ARGUMENTS, calls=CALLS_A_TURN, warm_up=0, progress=False)
            sampled_us.extend(1e3 * each for each in summary.tools[0].latencies_ms)
    return bare_us, blocking_us, sampled_us


def measure_here(rounds: int) -> None:
    """Measure in this process and print the ratios as JSON."""
    ratios = {}
    for tool in TOOLS:
        with Workbench(make_server()) as bench:
            base, blocking, sampled = map(statistics.median, asyncio.run(measure(bench, tool, rounds)))
        ratios[tool] = {"bare_us": base, "wb.call": blocking / base, "wb.sample": sampled / base}
    print(json.dumps(ratios))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=7)
    parser.add_argument("--here", action="store_true", help="measure in this process only, and print JSON")
    options = parser.parse_args()
    if options.here:
        measure_here(options.rounds)
        return 0
    command = [sys.executable, __file__, "--here", f"--rounds={options.rounds}"]
    runs = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(options.processes)
    ]
    calls = options.rounds * CALLS_A_TURN
    print(f"{len(runs)} processes, {calls} calls of each kind, in turns; load {os.getloadavg()[0]:.1f}")
    failed = False
    for tool in TOOLS:
        for figure in ("bare_us", "wb.call", "wb.sample"):
            values = sorted(run[tool][figure] for run in runs)
            median = statistics.median(values)
            unit = "us" if figure == "bare_us" else "x bare"
            print(f"{tool} {figure}: median {median:.2f} {unit}, from {values[0]:.2f} to {values[-1]:.2f}")
            failed |= figure == "wb.call" and median > BOUND
    print(f"bound for wb.call: {BOUND} x")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
