"""A server that behaves for some calls, and then no more; of the standard library alone, so that it starts at once.

``python misbehaving_server.py stdio WAY`` or ``python misbehaving_server.py http``, which prints its port and serves
each way at a path of its own, such as ``/hangs``. ``--after`` is how many calls it behaves for, ``--late`` how many
seconds late an answer is that comes late.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

RESULT: dict[str, Any] = {"content": [], "structuredContent": {"made": "thing", "number": 7}}
FLOOD = 2_000
HUGE = 33_000_000
Write = Callable[[bytes], None]


def written(message: object) -> bytes:
    return json.dumps(message).encode()


def answer(number: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": RESULT}


def notification() -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 100}}


def question(number: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "elicitation/create", "params": {}}


def questions(number: int) -> list[dict[str, Any]]:
    """Return two questions, one of whose ids is half of a surrogate pair, and the answer."""
    return [question(1), question("\ud800"), answer(number)]


def lost(_: object) -> bytes:
    """Hang: nothing is answered, and nothing more is done with this call."""
    return b""


def never_end(write: Write, first: bytes, piece: bytes) -> None:
    write(first)
    while True:
        write(piece * 50)
        time.sleep(0.005)


class Served:
    """What both transports have in common: how many calls there were, and the ids of earlier ones."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.calls: Counter[str] = Counter()
        self.earlier: dict[str, int] = {}
        self.lock = threading.Lock()

    def misbehaves(self, way: str, number: int) -> tuple[bool, int]:
        """Count a call; return whether it is one to be answered badly, and the id of an earlier one."""
        with self.lock:
            self.calls[way] += 1
            earlier = self.earlier.get(way, number)
            self.earlier[way] = number
            return self.calls[way] > self.after, earlier


def greeting(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer to what comes before calls, if it is that."""
    if message.get("method") == "initialize":
        offered = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        return {"jsonrpc": "2.0", "id": message["id"], "result": offered}
    if message.get("method") == "tools/list":
        return {"jsonrpc": "2.0", "id": message["id"], "result": {"tools": [], "resultType": "complete"}}
    return None


# What is the same over both transports: the body of the answer.
BODIES: dict[str, Callable[[int, int], object]] = {
    "error": lambda number, _: {"jsonrpc": "2.0", "id": number, "error": {"code": -32603, "message": "no"}},
    "failing": lambda number, _: {**answer(number), "result": {**RESULT, "isError": True}},
    "no-result": lambda number, _: {"jsonrpc": "2.0", "id": number},
    "list-result": lambda number, _: {"jsonrpc": "2.0", "id": number, "result": []},
    "earlier-id": lambda _, earlier: answer(earlier),
    "unknown-id": lambda _, __: answer(7),
    "text-id": lambda number, _: answer(str(number)),
    "float-id": lambda number, _: answer(float(number)),
    "true-id": lambda _, __: answer(True),
    "no-object": lambda _, __: [1, 2],
    "huge": lambda number, _: {**answer(number), "more": "x" * HUGE},
}


# --- over HTTP ---


def whole(body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def stream(*messages: object) -> bytes:
    """Return the head of a stream and its events, without its end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(chunk(b"data: " + written(message) + b"\n\n") for message in messages)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"
# Ways of HTTP alone: all that is sent; the connection is closed afterwards where it is not whole.
SENT: dict[str, Callable[[int], bytes]] = {
    "hangs": lost,
    "unavailable": lambda _: whole(b"", "503 Service Unavailable"),
    "not-http": lambda _: b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "not-json": lambda _: whole(b"<html>"),
    "truncated": lambda number: whole(written(answer(number))[:-9]),
    "length-too-large": lambda number: whole(written(answer(number))).replace(b"Length: ", b"Length: 9"),
    "length-too-small": lambda number: whole(written(answer(number))).replace(b"Length: 1", b"Length: "),
    "announces-too-much": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{" % HUGE,
    "half-an-event": lambda number: stream() + chunk(b"data: " + written(answer(number))[:20]),
    "stream-without-end": lambda number: stream(answer(number)),
    "stream-without-answer": lambda number: stream(notification()) + END,
    "asks": lambda number: stream(*questions(number)) + END,
    "floods": lambda number: stream(*[notification()] * FLOOD, answer(number)) + END,
    "asks-on-and-on": lambda _: stream(*map(question, range(FLOOD))),
    "answers-twice": lambda number: whole(written(answer(number))) * 2,
    "until-closed": lambda number: whole(written(answer(number))).replace(b"Content-Length", b"X-Length"),
    "announces-first": lambda number: b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(written(answer(number))),
    "closes": lambda number: whole(written(answer(number))),
    "closes-without": lambda _: b"",
}
CLOSING = {"closes", "closes-without", "until-closed", "not-http"}
HTTP_WAYS = (*SENT, *BODIES, "endless-head", "endless-body", "dies", "refuses")


def serve_http(after: int) -> None:
    served = Served(after)
    listening = socket.create_server(("127.0.0.1", 0), backlog=200)
    print(listening.getsockname()[1], flush=True)
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            threading.Event().wait()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve_connection, args=(served, listening, connection), daemon=True).start()


def serve_connection(served: Served, listening: socket.socket, connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as arriving:
        try:
            while serve_request(served, listening, connection, arriving):
                pass
        except OSError:
            return


def serve_request(served: Served, listening: socket.socket, connection: socket.socket, arriving: Any) -> bool:
    line = arriving.readline()
    if not line:
        return False
    way = line.split()[1].decode().strip("/")
    length = 0
    while (header := arriving.readline().strip()) != b"":
        if header.lower().startswith(b"content-length:"):
            length = int(header.partition(b":")[2])
    message = json.loads(arriving.read(length) or b"{}")
    if message.get("method") != "tools/call":
        greeted = greeting(message)
        connection.sendall(whole(written(greeted)) if greeted else whole(b"", "202 Accepted"))
        return True
    number = message["id"]
    bad, earlier = served.misbehaves(way, number)
    if not bad:
        connection.sendall(whole(written(answer(number))))
    elif way == "dies":
        os._exit(3)
    elif way == "refuses":
        # Closing alone does not wake up the thread that accepts.
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        return False
    elif way in BODIES:
        connection.sendall(whole(written(BODIES[way](number, earlier))))
    elif way == "endless-head":
        never_end(connection.sendall, b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n")
    elif way == "endless-body":
        never_end(connection.sendall, stream(), chunk(b"data: " + written(notification()) + b"\n\n"))
    else:
        connection.sendall(SENT[way](number))
        return way not in CLOSING
    return True


# --- over stdio ---

LINES: dict[str, Callable[[int], bytes]] = {
    "hangs": lost,
    "not-json": lambda _: b"Traceback (most recent call last):\n",
    "truncated": lambda number: written(answer(number))[:-9] + b"\n",
    "half-a-line": lambda number: written(answer(number))[:20],
    "asks": lambda number: b"".join(written(message) + b"\n" for message in questions(number)),
    "floods": lambda number: (written(notification()) + b"\n") * FLOOD + written(answer(number)) + b"\n",
    "answers-twice": lambda number: (written(answer(number)) + b"\n") * 2,
    "carriage-returns": lambda number: written(answer(number)).replace(b" ", b"\r") + b"\r\n",
}
STDIO_WAYS = (
    *LINES,
    *BODIES,
    "dies",
    "endless-line",
    "late",
    "swaps",
    "closes-output",
    "stops-reading",
    "stays",
    "forks",
)


def serve_stdio(way: str, after: int, late_s: float) -> None:
    served = Served(after)
    held: list[int] = []

    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    if way == "stays":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if way == "forks":
        # Out of its group, out of its session, and with no end of its own.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message.get("method") != "tools/call":
            greeted = greeting(message)
            if greeted:
                write(written(greeted) + b"\n")
            continue
        number = message["id"]
        bad, earlier = served.misbehaves(way, number)
        if not bad or way in ("stays", "forks"):
            write(written(answer(number)) + b"\n")
        elif way == "dies":
            os._exit(3)
        elif way in BODIES:
            write(written(BODIES[way](number, earlier)) + b"\n")
        elif way == "endless-line":
            never_end(write, b"", b"x" * 10_000)
        elif way == "late":
            # Later than anybody waits, and once more.
            threading.Timer(late_s, write, [(written(answer(number)) + b"\n") * 2]).start()
        elif way == "swaps":
            held.append(number)
            if len(held) == 2:
                write(b"".join(written(answer(each)) + b"\n" for each in reversed(held)))
                held.clear()
        elif way == "closes-output":
            os.close(1)
            time.sleep(0.5)
        elif way == "stops-reading":
            time.sleep(600)
        else:
            write(LINES[way](number))
    if way == "stays":
        time.sleep(600)


if __name__ == "__main__":
    told = dict(zip(sys.argv, sys.argv[1:], strict=False))
    behaved = int(told.get("--after", 3))
    if sys.argv[1] == "http":
        serve_http(behaved)
    else:
        serve_stdio(sys.argv[2], behaved, float(told.get("--late", 0.5)))
