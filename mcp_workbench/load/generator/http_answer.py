"""Answers as HTTP carries them: of known length or in chunks, as JSON or as a stream of events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mcp_workbench.load.generator.answers import MOST_ANSWER_BYTES

_HEAD_END: Final = b"\r\n\r\n"
_MOST_HEAD_BYTES: Final = 64_000
_MOST_LINE_BYTES: Final = 1_000
# Lines end with CR, LF or both; of CR LF CR LF, this finds the last three.
_EVENT_END: Final = re.compile(rb"\n\r?\n|\r\r")
_LONGEST_EVENT_END: Final = 3
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]+")
_CONTINUE: Final = 100
_SUCCESS: Final = 200
_REMEMBERED: Final = 256


class BadAnswerError(Exception):
    """What came is no HTTP answer, or too large; its text is the code under which the call is counted."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of an answer says.

    Attributes:
        status: the HTTP status.
        length: of the body in bytes; ``None`` if it comes in chunks, or ends with the connection.
        chunked: whether it comes in chunks.
        events: whether it is a stream of events.
        closing: whether the server closes the connection after it.
        session: the session that the server names; empty if it names none.
        location: where else the server sends its client; empty if nowhere.
    """

    status: int
    length: int | None
    chunked: bool
    events: bool
    closing: bool
    session: str = ""
    location: str = ""


# Servers send the same head again and again: for a second, until its date changes.
_heads: dict[bytes, Head] = {}


def read_head(data: bytes) -> Head:
    """Return what the head of an answer says.

    Raises:
        BadAnswerError: it is none.
    """
    known = _heads.get(data)
    if known is not None:
        return known
    lines = data.split(b"\r\n")
    version, _, rest = lines[0].partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not rest[:3].isdigit():
        raise BadAnswerError("not_http")
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    length: int | None = None
    chunked = b"chunked" in headers.get(b"transfer-encoding", b"").lower()
    if not chunked and (said := headers.get(b"content-length")) is not None:
        if not said.isdigit() or len(said) > 12:
            raise BadAnswerError("not_http")
        length = int(said)
        if length > MOST_ANSWER_BYTES:
            raise BadAnswerError("result_too_large")
    status = int(rest[:3])
    if status in (204, 304):
        length, chunked = 0, False
    connection = headers.get(b"connection", b"").lower()
    head = Head(
        status,
        length,
        chunked,
        headers.get(b"content-type", b"").lower().startswith(b"text/event-stream"),
        b"close" in connection or (version == b"HTTP/1.0" and b"keep-alive" not in connection),
        headers.get(b"mcp-session-id", b"").decode("latin-1")[:1_000],
        headers.get(b"location", b"").decode("latin-1")[:1_000],
    )
    if len(_heads) >= _REMEMBERED:
        _heads.clear()
    _heads[data] = head
    return head


class Answer:
    """One answer, put together as its bytes arrive.

    Attributes:
        head: what its head says; ``None`` until that is there.
        body: what is there of its body.
        ended: whether all of it is there.
    """

    __slots__ = ("_left", "_raw", "_read_until_closed", "body", "ended", "head")

    def __init__(self) -> None:
        self.head: Head | None = None
        self.body: bytes | bytearray = b""
        self.ended = False
        self._raw = bytearray()
        self._left = -1
        self._read_until_closed = False

    def feed(self, data: bytes) -> None:
        """Take what has arrived.

        Raises:
            BadAnswerError: it is no HTTP answer, or too large.
        """
        if self.head is None:
            if not self._raw and self._whole(data):
                return
            self._raw += data
            self._take_head()
            if self.head is None:
                return
        else:
            self._raw += data
        self._take()
        if len(self.body) + len(self._raw) > MOST_ANSWER_BYTES:
            raise BadAnswerError("result_too_large")

    def closed(self) -> bool:
        """Note that the connection was closed; return whether that was the end of the answer."""
        self.ended = self.ended or (self._read_until_closed and self.head is not None)
        return self.ended

    def _whole(self, data: bytes) -> bool:
        """Take an answer that has arrived in one piece: nearly all do."""
        end = data.find(_HEAD_END)
        if end < 0:
            return False
        head = read_head(data[:end])
        if head.length is None or len(data) != end + 4 + head.length or head.status < _SUCCESS:
            return False
        self.head, self.body, self.ended = head, data[end + 4 :], True
        return True

    def _take_head(self) -> None:
        raw = self._raw
        while self.head is None:
            end = raw.find(_HEAD_END)
            if end > _MOST_HEAD_BYTES or (end < 0 and len(raw) > _MOST_HEAD_BYTES):
                raise BadAnswerError("not_http")
            if end < 0:
                return
            head = read_head(bytes(raw[:end]))
            del raw[: end + 4]
            if not _CONTINUE <= head.status < _SUCCESS:
                self.head = head
                self.body = bytearray()
                self._left = -1 if head.length is None else head.length
                self._read_until_closed = head.length is None and not head.chunked
            # Else it only announces another one.

    def _take(self) -> None:
        assert self.head is not None
        assert isinstance(self.body, bytearray)
        if self.head.chunked:
            self._take_chunks(self.body)
            return
        self.body += self._raw
        if self.head.length is not None:
            # Events are taken out of the body meanwhile: its size says nothing.
            self._left -= len(self._raw)
            if self._left < 0:
                raise BadAnswerError("not_http")
            self.ended = not self._left
        self._raw.clear()

    def _take_chunks(self, body: bytearray) -> None:
        raw = self._raw
        while not self.ended:
            if self._left < 0:
                end = raw.find(b"\r\n", 0, _MOST_LINE_BYTES)
                if end < 0:
                    if len(raw) >= _MOST_LINE_BYTES:
                        raise BadAnswerError("not_http")
                    return
                size = bytes(raw[:end]).partition(b";")[0].strip()
                if _CHUNK_SIZE.fullmatch(size) is None:
                    raise BadAnswerError("not_http")
                self._left = int(size, 16)
                if self._left > MOST_ANSWER_BYTES:
                    raise BadAnswerError("result_too_large")
                del raw[: end + 2]
            if self._left == 0:
                # The last chunk, then trailers, which nobody needs, and an empty line.
                if raw[:2] == b"\r\n":
                    del raw[:2]
                elif (end := raw.find(_HEAD_END, 0, _MOST_HEAD_BYTES)) >= 0:
                    del raw[: end + 4]
                elif len(raw) >= _MOST_HEAD_BYTES:
                    raise BadAnswerError("not_http")
                else:
                    return
                if raw:
                    raise BadAnswerError("not_http")
                self.ended = True
                return
            if len(raw) < self._left + 2:
                return
            body += memoryview(raw)[: self._left]
            if raw[self._left : self._left + 2] != b"\r\n":
                raise BadAnswerError("not_http")
            del raw[: self._left + 2]
            self._left = -1


def take_event(body: bytearray, searched: int = 0) -> bytes | None:
    """Take the first whole event out of ``body`` and return its data; ``None`` if there is none yet.

    Args:
        body: what has arrived and was not taken.
        searched: how many bytes of it are known to end no event.

    Source:
        the event stream format of the HTML standard, section 9.2.6.
    """
    # An end may have begun in what was searched.
    begin = max(0, searched - _LONGEST_EVENT_END)
    end = _EVENT_END.search(body, begin)
    if end is None:
        return None
    event = bytes(body[: end.start()])
    del body[: end.end()]
    return b"\n".join(line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:"))
