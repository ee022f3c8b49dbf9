"""What the six stages cost: in process as CPU time (bound 1.5 x the bare call), over HTTP as p50 (bound 1.1 x).

``python benchmarks/bench_controls.py [--rounds 40] [--blocks 400]``: prints the price lists and the ratios, exits 1 if
a bound is broken. The policy is on and allows everything.

In process: the least tool there is, an ``async def`` that awaits nothing and so the hardest case, and ``get_incident``
of the incident desk. Over HTTP: both again, on servers in processes of their own; one client calls them in turns of
short blocks. The p50 of a block is held against that of the bare server's block of the same turn, since the
machine is not the same all the time; a second bare server shows what such a figure is worth.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from functools import partial

import numpy as np
from mcp import Client
from mcp.server.mcpserver import MCPServer

from mcp_workbench import ContractBook, ToolContract, serve
from mcp_workbench.contracts.model import ServerIdentity
from mcp_workbench.controls import harden
from mcp_workbench.desk import contract_file, incident_desk
from mcp_workbench.load.samples.prices import price_list

HTTP_BOUND = 1.10
CALLS_A_BLOCK = 10
ARGUMENTS = {"a": 1}
CALLED = {"add": ARGUMENTS, "get_incident": {"incident_id": "INC-0001"}}
BOOK = ContractBook(
    server=ServerIdentity(name="bench"),
    tools=(
        ToolContract.model_validate(
            {
                "name": "add",
                "effects": "read",
                "idempotency": "natural",
                "deadline_ms": 5_000,
                "input_schema": {
                    "type": "object",
                    "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 1}},
                    "required": ["a"],
                },
                "output_schema": {
                    "type": "object",
                    "properties": {"result": {"type": "integer"}},
                    "required": ["result"],
                },
                "failures": [{"code": "busy", "retryable": True}],
            }
        ),
    ),
)


def make_server() -> MCPServer:
    server = MCPServer("bench", log_level="ERROR")

    @server.tool()
    async def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    return server


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def in_process(rounds: int) -> bool:
    """Print the price lists; return whether the bound is kept."""
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        desk = partial(incident_desk, folder, "read-only")
        lists = (
            price_list(make_server, "add", ARGUMENTS, contract=BOOK, rounds=rounds),
            price_list(desk, "get_incident", {"incident_id": "INC-0001"}, contract=contract_file(), rounds=rounds),
        )
    for prices in lists:
        facts = prices.facts()
        print(prices)
        print(
            f"{prices.tool}: all six stages {prices.ratio:.3f} x bare (bound {prices.bound} x), "
            f"{facts['bare_us']:.0f} us bare, {facts['hardened_us']:.0f} us hardened; "
            f"{facts['rounds']} rounds of {facts['calls']} calls; {load()}\n",
            flush=True,
        )
        kept &= prices.ok
    return kept


async def latencies_us(client: Client, tool: str) -> list[float]:
    """Return the latency of each call of one block."""
    found = []
    for _ in range(CALLS_A_BLOCK):
        start = time.perf_counter()
        await client.call_tool(tool, CALLED[tool])
        found.append((time.perf_counter() - start) * 1e6)
    return found


async def over_http(tool: str, urls: list[str], blocks: int) -> bool:
    """Print the ratios of the p50s and their spread; return whether the bound is kept."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(url)) for url in urls]
        for client in clients:
            await client.list_tools()
            for _ in range(10):
                await latencies_us(client, tool)
        found: list[list[list[float]]] = [[] for _ in clients]
        order, shuffled = list(range(len(clients))), random.Random(0)
        for _ in range(blocks):
            shuffled.shuffle(order)
            for at in order:
                found[at].append(await latencies_us(clients[at], tool))
    bare_us, hardened_us, again_us = np.median(np.array(found), axis=2)
    ratio, low, high = spread(hardened_us / bare_us)
    same, same_low, same_high = spread(again_us / bare_us)
    print(
        f"{tool} over HTTP: p50 hardened {ratio:.3f} x bare (bound {HTTP_BOUND} x), "
        f"95 % interval {low:.3f} to {high:.3f}; "
        f"a second bare server {same:.3f} x, {same_low:.3f} to {same_high:.3f};\n"
        f"{np.median(bare_us):.0f} us bare; {blocks} blocks of {CALLS_A_BLOCK} calls; {load()}"
    )
    return ratio <= HTTP_BOUND


def spread(ratios: np.ndarray) -> tuple[float, float, float]:
    """Return the median of the blocks' ratios, and its 95 % interval by bootstrap."""
    chosen = np.random.default_rng(1).integers(0, len(ratios), (2_000, len(ratios)))
    low, high = np.percentile(np.median(ratios[chosen], axis=1), (2.5, 97.5))
    return float(np.median(ratios)), float(low), float(high)


def serve_until_left(arm: str, tool: str) -> None:
    """Serve over HTTP until standard input ends."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = make_server() if tool == "add" else incident_desk(folder, "read-only")
        if arm == "hardened":
            harden(server, BOOK if tool == "add" else contract_file())
        hosted = stack.enter_context(serve(server))
        print(hosted.url, flush=True)
        sys.stdin.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--blocks", type=int, default=400)
    parser.add_argument("--serve", nargs=2, metavar=("ARM", "TOOL"), help="be one of the servers: bare, hardened")
    options = parser.parse_args()
    if options.serve:
        serve_until_left(*options.serve)
        return 0
    kept = in_process(options.rounds)
    for tool in CALLED:
        with ExitStack() as running:
            urls = []
            for arm in ("bare", "hardened", "bare"):
                command = [sys.executable, __file__, "--serve", arm, tool]
                server = running.enter_context(
                    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
                assert server.stdout is not None
                urls.append(server.stdout.readline().strip())
            # Leaving a Popen closes its standard input, and so ends the server.
            kept &= asyncio.run(over_http(tool, urls, options.blocks))
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
