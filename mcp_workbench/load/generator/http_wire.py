"""HTTP without a library in between: one connection a call in flight, bytes that were put together beforehand.

An HTTP client that can do everything costs a millisecond of CPU a call, and bills it to the server. This one can do
what Streamable HTTP needs of a client that calls tools: it posts, it reads JSON or a stream of events, it keeps
connections open, and it checks that the answer is the answer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.generator.answers import (
    GENERATOR_NO_SOCKETS,
    INVALID_OUTPUT,
    PROTOCOL_ERROR,
    TRANSPORT_ERROR,
    Message,
    judged,
    read_message,
)
from mcp_workbench.load.generator.call import FIRST_ID, Call, Ended, Request
from mcp_workbench.load.generator.http_address import Address, unconnected
from mcp_workbench.load.generator.http_answer import Answer, BadAnswerError, Head, take_event
from mcp_workbench.load.generator.speaking import (
    INITIALIZED,
    agreed,
    initialize,
    is_modern,
    list_tools,
    refusal,
    repeated,
    tool_call,
)
from mcp_workbench.load.plan import Wire as WirePlan

# Servers close connections that are idle (uvicorn after 5 s): one that has been for longer than this is not used again,
# or a call would meet the closing of it.
_IDLE_LIMIT_NS: Final = 3_000_000_000
_CONNECT_LIMIT_S: Final = 10.0
_OPENED_AT_ONCE: Final = 64
_ANSWERED: Final = 200
_LINGER_LIMIT_NS: Final = 1_000_000_000
_MOST_LINGERING: Final = 256
# Answers to a server's own questions each take a connection.
_MOST_TOLD_AT_ONCE: Final = 8
_ELSEWHERE: Final = (307, 308)
_MOST_HOPS: Final = 3


class HttpWire:
    """Connections to one address.

    Args:
        told: the plan's words for the target.
        ended: told of each call that ends.

    Attributes:
        reopened: how many connections took the place of one that was lost, closed by the server or given up.
    """

    def __init__(self, told: WirePlan, ended: Ended) -> None:
        self.pid: int | None = None
        self.reopened = 0
        self.ended = ended
        self._told = told
        self._address = address = Address(told.url)
        self._tls = ssl.create_default_context() if address.encrypted else None
        # As in the SDK's client, a user and password in the address outweigh a header.
        mine = {name: value for name, value in told.headers.items() if name.lower() != "authorization"}
        self._headers = {**mine, **address.authorization} if address.authorization else told.headers
        # IPv4 or IPv6, once a connection is there: of a name's addresses, those of the other may be nobody's.
        self._family = socket.AF_UNSPEC
        self._protocol = told.protocol
        self._session = ""
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        # How many connections were open at once, without those that were not used again.
        self._most_open = 0
        # Streams that have brought their answer and have not ended, the oldest first.
        self._lingering: dict[_Connection, None] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[None]] = set()

    async def open(self, users: int) -> None:
        """Shake hands where the era has it, and open as many connections as will be needed at once.

        Raises:
            UnreachableError: nothing listens there, or what does speaks no MCP.
        """
        if not is_modern(self._protocol):
            answer, session = await self._ask(initialize(self._protocol))
            self._protocol = agreed(answer, str(self._address))
            self._session = session
            await self._ask(INITIALIZED)
        else:
            # Without a handshake, only an answer proves that a server is there.
            answer, _ = await self._ask(b"%d".join(list_tools(self._protocol)) % FIRST_ID, {"Mcp-Method": "tools/list"})
            if answer is None:
                raise UnreachableError(f"{self._address} does not answer as MCP servers do; check the address")
        try:
            await asyncio.gather(*(self._connect(self._idle.append) for _ in range(min(users, _OPENED_AT_ONCE))))
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from None

    async def close(self) -> None:
        """Close all connections; a session that was begun is ended."""
        for task in (*self._opening, *self._telling):
            task.cancel()
        if self._session:
            await self._say_goodbye()
        for connection in list(self._all):
            connection.close()
        # One turn of the loop, in which the transports let go of their sockets.
        await asyncio.sleep(0)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._exchange(self._head("DELETE", b"", {}))
        except (UnreachableError, TimeoutError, OSError):
            return

    def request(self, tool: str, arguments: dict[str, Any]) -> Request:
        """Return the request that calls ``tool``: its head, and its body around the id."""
        before, after = tool_call(tool, arguments, self._protocol)
        headers = self._told.tool_headers.get(tool, {})
        if places := self._told.argument_headers.get(tool):
            headers = headers | repeated(places, arguments)
        return self._head("POST", before + b"#" * 9 + after, headers)[: -len(after) - 9], after

    def send(self, call: Call, request: Request) -> None:
        """Send ``call`` over a connection that is idle, or over a new one."""
        before, after = request
        data = b"%b%d%b" % (before, call.id, after)
        fresh_ns = call.start_ns - _IDLE_LIMIT_NS
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since_ns > fresh_ns:
                connection.ask(call, data)
                return
            connection.close()
            self._most_open -= 1
        call.carrier = task = asyncio.ensure_future(self._send_over_new(call, data))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def give_up(self, call: Call) -> None:
        """Close the connection over which ``call`` was sent: on HTTP that is how one leaves."""
        if isinstance(call.carrier, _Connection):
            call.carrier.call = None
            call.carrier.close()
        elif call.carrier is not None:
            call.carrier.cancel()

    async def _send_over_new(self, call: Call, data: bytes) -> None:
        try:
            await self._connect(lambda connection: connection.ask(call, data))
        except (OSError, TimeoutError) as error:
            call.carrier = None
            self.ended(call, TRANSPORT_ERROR, unconnected(error))

    async def _connect(self, use: Callable[[_Connection], None]) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            _, connection = await loop.create_connection(
                lambda: _Connection(self), self._address.host, self._address.port, ssl=self._tls, family=self._family
            )
        self._all.add(connection)
        if len(self._all) > self._most_open:
            self._most_open = len(self._all)
        else:
            self.reopened += 1
        use(connection)

    def free(self, connection: _Connection) -> None:
        """Take back a connection that has done its work."""
        connection.idle_since_ns = time.monotonic_ns()
        self._lingering.pop(connection, None)
        self._idle.append(connection)

    def linger(self, connection: _Connection) -> None:
        """Wait for the end of a stream whose answer is there; a server that ends none may not hold them all open."""
        now_ns = connection.idle_since_ns = time.monotonic_ns()
        self._lingering[connection] = None
        oldest = next(iter(self._lingering))
        if oldest.idle_since_ns < now_ns - _LINGER_LIMIT_NS or len(self._lingering) > _MOST_LINGERING:
            oldest.close()

    def forget(self, connection: _Connection) -> None:
        """Let go of a connection that is closed."""
        self._all.discard(connection)
        self._lingering.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)

    def asked(self, message: Message) -> None:
        """Answer a server that asks something while a call is under way: nobody is here who could."""
        if "id" in message and len(self._telling) < _MOST_TOLD_AT_ONCE:
            task = asyncio.ensure_future(self._tell(refusal(message["id"])))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, body: bytes) -> None:
        try:
            await self._ask(body)
        except UnreachableError:
            # The call that waits for it ends in its own time.
            return

    async def _ask(self, body: bytes, headers: dict[str, str] | None = None) -> tuple[Message | None, str]:
        """Post a message over a connection of its own; return the answer and the session that it names."""
        for hops_left in reversed(range(_MOST_HOPS + 1)):
            answer = await self._exchange(self._head("POST", body, headers or {}))
            head = answer.head
            if (
                head is None
                or head.status not in _ELSEWHERE
                or not hops_left
                or not self._address.goes_on_at(head.location)
            ):
                break
        assert head is not None
        if head.status >= 300:
            raise UnreachableError(f"{self._address} answered with HTTP {head.status}; look at what it logs")
        return _first_answer(answer) if head.events else read_message(answer.body), head.session

    async def _exchange(self, data: bytes) -> Answer:
        answer = Answer()
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_CONNECT_LIMIT_S):
                reader, writer = await asyncio.open_connection(
                    self._address.host, self._address.port, ssl=self._tls, family=self._family
                )
                self._family = writer.get_extra_info("socket").family
                writer.write(data)
                while not answer.ended and _first_answer(answer) is None:
                    if not (arrived := await reader.read(65_536)):
                        if not answer.closed():
                            raise UnreachableError(f"{self._address} closed the connection; look at what it logs")
                        break
                    answer.feed(arrived)
        except BadAnswerError:
            raise UnreachableError(f"{self._address} does not answer as HTTP servers do; check the address") from None
        # A name that cannot be one of a host is a UnicodeError.
        except (OSError, TimeoutError, UnicodeError) as error:
            raise self._unreachable(error) from None
        finally:
            if writer is not None:
                writer.close()
        return answer

    def _unreachable(self, error: Exception) -> UnreachableError:
        if isinstance(error, OSError) and unconnected(error) == GENERATOR_NO_SOCKETS:
            return UnreachableError(
                f"the load generator has no socket left to reach {self._address} ({error.strerror}); "
                "lower the rate, or allow more open files (ulimit -n)"
            )
        if isinstance(error, ssl.SSLError):
            why = getattr(error, "verify_message", "") or error.reason or type(error).__name__
            return UnreachableError(
                f"{self._address} and the load generator agree on no encryption ({why}); a certificate of your own is "
                "trusted if the variable SSL_CERT_FILE names its file"
            )
        return UnreachableError(
            f"{self._address} cannot be reached by the load generator ({type(error).__name__}); is it still there?"
        )

    def _head(self, method: str, body: bytes, more: dict[str, str]) -> bytes:
        mine = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": self._protocol,
            **({"Mcp-Session-Id": self._session} if self._session else {}),
            **more,
            "Content-Length": str(len(body)),
        }
        if body.startswith(b'{"jsonrpc":"2.0","id":1,"method":"initialize"'):
            del mine["MCP-Protocol-Version"]
        # As in the SDK's client, what the protocol demands outweighs the user's headers, and these outweigh the host.
        taken = {name.lower() for name in mine}
        theirs = {name: value for name, value in self._headers.items() if name.lower() not in taken}
        host = {} if "host" in map(str.lower, theirs) else {"Host": self._address.authority}
        headers = {**host, **mine, **theirs}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {self._address.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def _first_answer(answer: Answer) -> Message | None:
    """Return the first message of a stream of events that is an answer; ``None`` if there is none yet."""
    if answer.head is None or not answer.head.events:
        return None
    left = bytearray(answer.body)
    while (event := take_event(left)) is not None:
        if (message := read_message(event)) is not None and "method" not in message:
            return message
    return None


class _Connection(asyncio.Protocol):
    """One connection: idle, or with one call on it."""

    __slots__ = ("_answer", "_searched", "_transport", "_wire", "call", "idle_since_ns")

    def __init__(self, wire: HttpWire) -> None:
        self.call: Call | None = None
        self.idle_since_ns = time.monotonic_ns()
        self._wire = wire
        self._answer: Answer | None = None
        self._searched = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, call: Call, data: bytes) -> None:
        """Send a request."""
        self.call = call
        call.carrier = self
        self._answer = Answer()
        self._searched = 0
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection at once."""
        self._wire.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            # Nobody asked: what a server says then cannot be an answer.
            self.close()
            return
        try:
            answer.feed(data)
        except BadAnswerError as bad:
            self.close()
            self._end(INVALID_OUTPUT, str(bad))
            return
        head = answer.head
        if head is None:
            return
        if head.events:
            if self.call is None:
                # What comes after the answer is nobody's.
                answer.body = bytearray()
            else:
                self._take_events(answer, head)
        if answer.ended and self._answer is answer:
            self._answered(answer, head.closing)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.forget(self)
        answer = self._answer
        if self.call is not None and answer is not None and exc is None and answer.closed():
            self._answered(answer, closing=True)
        elif self.call is not None:
            self._end(TRANSPORT_ERROR, "connection_closed" if exc is None else "connection_reset")

    def eof_received(self) -> bool:
        # The connection is lost in the loop's next turn; no call may take it in this one.
        if self.call is None:
            self._wire.forget(self)
        return False

    def _take_events(self, answer: Answer, head: Head) -> None:
        if not isinstance(answer.body, bytearray):
            answer.body = bytearray(answer.body)
        body = answer.body
        while self.call is not None and (event := take_event(body, self._searched)) is not None:
            self._searched = 0
            message = read_message(event) if event else None
            if message is not None and "method" in message:
                self._wire.asked(message)
            elif event:
                call, self.call = self.call, None
                if answer.ended:
                    self._finish(head.closing)
                else:
                    self._wire.linger(self)
                self._wire.ended(call, *judged(message, call.id), event, message)
                return
        self._searched = len(body)

    def _answered(self, answer: Answer, closing: bool) -> None:
        head, call = answer.head, self.call
        assert head is not None
        body = bytes(answer.body)
        # Before the engine is told, which may at once want a connection: then it is this one, still warm.
        self._finish(closing)
        if call is None:
            # Its answer was an event, and here is the end of the stream.
            return
        if head.events:
            self._wire.ended(call, INVALID_OUTPUT, "no_answer")
            return
        message = read_message(body)
        outcome, code = judged(message, call.id)
        if head.status == _ANSWERED:
            self._wire.ended(call, outcome, code, body, message)
        elif outcome == PROTOCOL_ERROR:
            self._wire.ended(call, outcome, code)
        else:
            self._wire.ended(call, TRANSPORT_ERROR, f"http_{head.status}")

    def _finish(self, closing: bool) -> None:
        self.call = self._answer = None
        if closing:
            self.close()
        else:
            self._wire.free(self)

    def _end(self, outcome: int, code: str) -> None:
        call, self.call = self.call, None
        if call is not None:
            self._wire.ended(call, outcome, code)
