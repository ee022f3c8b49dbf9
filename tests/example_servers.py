"""A server with a tool for each way in which a call can end; run as a script, it speaks stdio or HTTP.

``python example_servers.py stdio`` or ``python example_servers.py http``, which prints its port.
"""

import base64
import os
import socket
import sys
import time

import anyio
from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

MARKUP = '<script>alert("x")</script><img src=x onerror=alert(1)>\x1b[31mred\x1b[0m $x^2$ \u202edesrever'
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def make_server(name: str = "example") -> MCPServer:
    """Return a fresh server."""
    server = MCPServer(name, log_level="ERROR")

    @server.tool()
    def add(a: int, b: int = 0) -> int:
        """Add two whole numbers."""
        return a + b

    @server.tool()
    def fail() -> str:
        """Fail, as a tool should."""
        raise ToolError("the lamp is broken")

    @server.tool()
    def crash() -> str:
        """Fail, as a tool should not."""
        raise ValueError("secret reason")

    @server.tool()
    async def slow(seconds: float, note: str = "") -> str:
        """Take its time; write into the file ``note`` whether it was cancelled."""
        try:
            await anyio.sleep(seconds)
        except BaseException:
            if note:
                with open(note, "w") as file:  # noqa: ASYNC230, PTH123 - the plainest way, in a test server
                    file.write("cancelled")
            raise
        return "done"

    @server.tool()
    def block(seconds: float) -> str:
        """Hold up a thread, as synchronous tools do."""
        time.sleep(seconds)
        return "done"

    @server.tool()
    def large(characters: int) -> str:
        """Return a long text."""
        return "x" * characters

    @server.tool()
    def picture() -> Image:
        """Return a PNG of one pixel."""
        return Image(data=PNG, format="png")

    @server.tool(structured_output=False)
    def quiet() -> None:
        """Return nothing."""

    @server.tool(name="markup", description=MARKUP)
    def markup(text: str = MARKUP) -> str:
        return text

    @server.tool()
    def complain(words: str) -> str:
        """Write on standard error, then fail."""
        print(words, file=sys.stderr, flush=True)
        raise ToolError("see standard error")

    @server.tool()
    def die() -> str:
        """End the server's process."""
        os._exit(3)

    @server.tool()
    def process_id() -> int:
        """Return the number of the server's process."""
        return os.getpid()

    @server.resource("note://today")
    def today() -> str:
        """Say what is on today."""
        return "nothing"

    @server.prompt()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Greet {name}."

    return server


server = make_server()

if __name__ == "__main__":
    if sys.argv[1:] == ["http"]:
        import uvicorn

        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        # From now on connections wait in the queue instead of being refused.
        listening.listen()
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(server.streamable_http_app(), log_level="critical")
        anyio.run(lambda: uvicorn.Server(config).serve(sockets=[listening]))
    else:
        server.run()
