"""A server for the proofs of the gate: its one tool computes for a while, and can be made slower, uneven, or faulty.

``python gate_server.py UNITS [--slower FACTOR] [--slow-share SHARE --slow-ms WAIT] [--errors SHARE] [--http]``
"""

import argparse
import random
import socket

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def work_units(count: float) -> int:
    """Do so much work: some 6 us a unit. An amount of work and not of time, so that a slow machine takes longer."""
    found = 0
    for unit in range(round(count)):
        texts = sorted(str(number * 7_919 % 1_009) for number in range(unit % 2, 40))
        found += len({text[-1]: text for text in texts})
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("units", type=float)
    parser.add_argument("--slower", type=float, default=1.0)
    parser.add_argument("--slow-share", type=float, default=0.0)
    parser.add_argument("--slow-ms", type=float, default=0.0)
    parser.add_argument("--errors", type=float, default=0.0)
    parser.add_argument("--http", action="store_true")
    chosen = parser.parse_args()
    dice = random.Random()
    server = MCPServer("gate", log_level="ERROR")

    @server.tool()
    async def work() -> str:
        """Compute."""
        if chosen.slow_share and dice.random() < chosen.slow_share:
            # As for what is in no cache: the call waits, and others do not.
            await anyio.sleep(chosen.slow_ms / 1e3)
        work_units(chosen.units * chosen.slower)
        if chosen.errors and dice.random() < chosen.errors:
            raise ToolError("planted")
        return "done"

    if not chosen.http:
        server.run()
        return
    import uvicorn

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(server.streamable_http_app(), log_level="critical")
    anyio.run(lambda: uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
