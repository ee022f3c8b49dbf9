"""A server for the proofs of the gate: its one tool spins for a while, and can be made slower, uneven, or faulty.

``python gate_server.py BASE_MS [--slower FACTOR] [--slow-share SHARE --slow-factor FACTOR] [--errors SHARE] [--http]``
"""

import argparse
import random
import socket
import time

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base_ms", type=float)
    parser.add_argument("--slower", type=float, default=1.0)
    parser.add_argument("--slow-share", type=float, default=0.0)
    parser.add_argument("--slow-factor", type=float, default=1.0)
    parser.add_argument("--errors", type=float, default=0.0)
    parser.add_argument("--http", action="store_true")
    chosen = parser.parse_args()
    dice = random.Random()
    server = MCPServer("gate", log_level="ERROR")

    @server.tool()
    async def work() -> str:
        """Spin, as a tool that computes does."""
        factor = chosen.slower
        if chosen.slow_share and dice.random() < chosen.slow_share:
            factor *= chosen.slow_factor
        until = time.perf_counter() + chosen.base_ms * factor / 1e3
        while time.perf_counter() < until:
            pass
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
