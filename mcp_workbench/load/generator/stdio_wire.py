"""A server spoken to over its standard input and output: a process that the generator starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import tempfile
from typing import Any, Final

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.generator.answers import (
    MOST_ANSWER_BYTES,
    TRANSPORT_ERROR,
    Message,
    judged,
    read_message,
)
from mcp_workbench.load.generator.call import FIRST_ID, Call, Ended, Request
from mcp_workbench.load.generator.speaking import (
    INITIALIZED,
    agreed,
    cancelled,
    initialize,
    is_modern,
    list_tools,
    refusal,
    tool_call,
)
from mcp_workbench.load.plan import Wire as WirePlan
from mcp_workbench.untrusted import one_line

_START_LIMIT_S: Final = 30.0
_LEAVE_LIMIT_S: Final = 2.0
_TERMINATE_LIMIT_S: Final = 1.0
_SAID_BYTES: Final = 2_000
_SAID_CHARACTERS: Final = 300
_MOST_SAID_BYTES: Final = 8_000_000
_LOOK_S: Final = 0.25
_MOST_UNREAD_BYTES: Final = 16_000_000
_ID_DIGITS: Final = 20


class Said:
    """What a process says on its standard error, of which the last words are kept.

    It is a file, so that the process never waits for a reader; now and then it is cut, so that it does not fill the
    disk. Made on a running loop.
    """

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        # Else a process would go on where it was, and a cut file would be as long as before.
        fcntl.fcntl(self.file, fcntl.F_SETFL, fcntl.fcntl(self.file, fcntl.F_GETFL) | os.O_APPEND)
        self._loop = asyncio.get_running_loop()
        self._next_look = self._loop.call_later(_LOOK_S, self._look)

    def last_words(self) -> bytes:
        """Return the last of what was said."""
        number = self.file.fileno()
        return os.pread(number, _SAID_BYTES, max(0, os.fstat(number).st_size - _SAID_BYTES))

    def close(self) -> None:
        """Let go of the file; a process that still has it may go on."""
        self._next_look.cancel()
        self.file.close()

    def _look(self) -> None:
        self._next_look = self._loop.call_later(_LOOK_S, self._look)
        if os.fstat(self.file.fileno()).st_size > _MOST_SAID_BYTES:
            kept = self.last_words()
            self.file.truncate(0)
            # A disk that somebody else has filled is no reason to end a load.
            with contextlib.suppress(OSError):
                self.file.write(kept)


class StdioWire:
    """One process, with all calls on its one line.

    Args:
        told: the plan's words for the target.
        ended: told of each call that ends.
    """

    def __init__(self, told: WirePlan, ended: Ended) -> None:
        self.pid: int | None = None
        self.reopened = 0
        self.ended = ended
        self._told = told
        self._protocol = told.protocol
        self._calls: dict[int, Call] = {}
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._buffer = bytearray()
        self._searched = 0
        self._transport: asyncio.SubprocessTransport | None = None
        self._input: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()
        self._exited = asyncio.Event()
        self._unread = False
        self._said: Said | None = None

    async def open(self, users: int) -> None:  # noqa: ARG002 - one line carries all calls
        """Start the process, and shake hands where the era has it.

        Raises:
            UnreachableError: it cannot be started, or what is started speaks no MCP.
        """
        loop = asyncio.get_running_loop()
        # Closed with the wire: the server goes on to say something as long as it is called.
        said = self._said = Said()
        try:
            self._transport, _ = await loop.subprocess_exec(
                lambda: _Lines(self),
                *self._told.command,
                env=self._told.environment,
                cwd=self._told.folder,
                stderr=said.file,
                start_new_session=True,
            )
            self.pid = self._transport.get_pid()
            self._input = self._transport.get_pipe_transport(0)  # type: ignore[assignment]
            assert self._input is not None
            self._input.set_write_buffer_limits(_MOST_UNREAD_BYTES)
            async with asyncio.timeout(_START_LIMIT_S):
                await self._greet()
        except (OSError, TimeoutError, UnreachableError) as error:
            words = one_line(said.last_words().decode(errors="replace").strip()[-_SAID_CHARACTERS:], _SAID_CHARACTERS)
            await self.close()
            raise UnreachableError(
                f"the load generator started {one_line(self._told.command[0], 80)!r}, and no MCP server answered"
                f" ({one_line(error, 120) or type(error).__name__})" + (f"; it said: {words}" if words else "")
            ) from None
        except asyncio.CancelledError:
            await self.close()
            raise

    async def _greet(self) -> None:
        if is_modern(self._protocol):
            before, after = list_tools(self._protocol)
            await self._answer_to(FIRST_ID, b"%b%d%b" % (before, FIRST_ID, after))
        else:
            answer = await self._answer_to(1, initialize(self._protocol))
            self._protocol = agreed(answer, "the server")
            self._write(INITIALIZED)

    async def _answer_to(self, number: int, message: bytes) -> Message:
        answered: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[number] = answered
        self._write(message)
        return await answered

    async def close(self) -> None:
        """Close the server's input, and end the process and its children if that does not."""
        try:
            await self._end()
        finally:
            if self._said is not None:
                self._said.close()

    async def _end(self) -> None:
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._input is not None:
            self._input.close()
        for limit_s, number in ((_LEAVE_LIMIT_S, signal.SIGTERM), (_TERMINATE_LIMIT_S, signal.SIGKILL)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self._exited.wait()
                    break
            self._signal(transport, number)
        # Children that outlive their parent are of its group.
        self._signal(transport, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TERMINATE_LIMIT_S):
                await self._exited.wait()
        transport.close()

    @staticmethod
    def _signal(transport: asyncio.SubprocessTransport, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), number)

    def request(self, tool: str, arguments: dict[str, Any]) -> Request:
        """Return the line that calls ``tool``, around its id."""
        before, after = tool_call(tool, arguments, self._protocol)
        return before, after + b"\n"

    def send(self, call: Call, request: Request) -> None:
        """Send ``call``."""
        if self._unread or self._gone.is_set() or self._input is None or self._input.is_closing():
            code = "requests_unread" if self._unread else "connection_closed"
            asyncio.get_running_loop().call_soon(self.ended, call, TRANSPORT_ERROR, code)
            return
        self._calls[call.id] = call
        self._input.write(b"%b%d%b" % (request[0], call.id, request[1]))

    def give_up(self, call: Call) -> None:
        """Tell the server that nobody waits for ``call`` any more."""
        if self._calls.pop(call.id, None) is not None:
            self._write(cancelled(call.id))

    def _write(self, message: bytes) -> None:
        if self._input is not None and not self._unread and not self._input.is_closing():
            self._input.write(message + b"\n")

    def received(self, data: bytes) -> None:
        """Take what the server has written."""
        buffer = self._buffer
        if not buffer and data.endswith(b"\n") and data.count(b"\n") == 1:
            self._line(data)
            return
        buffer += data
        end = buffer.rfind(b"\n", self._searched)
        if end < 0:
            self._searched = len(buffer)
            if len(buffer) > MOST_ANSWER_BYTES:
                # A line without an end: nothing that comes after could be told from it, and it is read no more.
                buffer.clear()
                self.lost("line_too_long")
            return
        whole = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._searched = 0
        for line in whole.split(b"\n"):
            if line:
                self._line(line)

    def _line(self, line: bytes) -> None:
        message = read_message(line)
        if message is None:
            # Servers print on standard output what they should not; no call is answered by it.
            return
        number = message.get("id")
        if "method" in message:
            if number is not None:
                self._write(refusal(number))
            return
        if number.__class__ is not int:
            number = _meant(number)
        if (call := self._calls.pop(number, None)) is not None:
            self.ended(call, *judged(message, number), line, message)
        elif (asked := self._asked.pop(number, None)) is not None and not asked.done():
            asked.set_result(message)

    def is_unread(self, unread: bool) -> None:
        """Note whether so much waits for the server to read it that no more is written."""
        self._unread = unread

    def exited(self) -> None:
        """Note that the process has ended."""
        self._exited.set()
        self.lost()

    def lost(self, code: str = "connection_closed") -> None:
        """Note that no answer comes any more: the process has closed its output or ended, or is not listened to."""
        if not self._gone.is_set():
            self._gone.set()
            if self._transport is not None and (output := self._transport.get_pipe_transport(1)) is not None:
                output.close()
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(UnreachableError("it ended"))
            calls, self._calls = self._calls, {}
            for call in calls.values():
                self.ended(call, TRANSPORT_ERROR, code)


class _Lines(asyncio.SubprocessProtocol):
    def __init__(self, wire: StdioWire) -> None:
        self._wire = wire

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - there is one
        self._wire.received(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - lost is lost
        if fd == 1:
            self._wire.lost()

    def pause_writing(self) -> None:
        self._wire.is_unread(True)

    def resume_writing(self) -> None:
        self._wire.is_unread(False)

    def process_exited(self) -> None:
        self._wire.exited()


def _meant(number: object) -> int:
    """Return the id that a server may have meant with one of another type, for which its answer is refused; else -1."""
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return int(number) if isinstance(number, str) and number.isdecimal() and len(number) < _ID_DIGITS else -1
