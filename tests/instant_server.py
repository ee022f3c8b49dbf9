"""A server that answers before anything else could be the bottleneck; of the standard library alone.

``python instant_server.py`` prints its port, and serves one tool without arguments at any path of it.
"""

import asyncio
import json
import re
from typing import Any

FRESH = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
RESULTS: dict[str, dict[str, Any]] = {
    "server/discover": {"capabilities": {"tools": {}}, "supportedVersions": ["2026-07-28"], **FRESH},
    "tools/list": {"tools": [{"name": "nothing", "inputSchema": {"type": "object"}}], **FRESH},
}
CALLED = b'{"content":[],"isError":false,"resultType":"complete"}'
NUMBER = re.compile(rb'"id": ?("[^"]*"|\d+)')
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.read += data
        while (at := self.read.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self.read, 0, at)
            end = at + 4 + int(length[1] if length else 0)
            if len(self.read) < end:
                return
            body, self.read = self.read[at + 4 : end], self.read[end:]
            if b'"tools/call"' in body:
                number = NUMBER.search(body)
                assert number is not None
                told = b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (number[1], CALLED)
            else:
                asked = json.loads(body)
                answer = {"jsonrpc": "2.0", "id": asked.get("id"), "result": RESULTS.get(asked["method"], {})}
                told = json.dumps(answer).encode()
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(told)
            self.transport.write(head + told)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
