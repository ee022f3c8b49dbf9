"""HTTP answers put together from pieces, and events taken out of streams, however their bytes are cut."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.load.generator.answers import MOST_ANSWER_BYTES
from mcp_workbench.load.generator.http_answer import Answer, BadAnswerError, read_head, take_event

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
CUTS = st.lists(st.integers(0, 400), max_size=8)
BODIES = st.binary(max_size=60)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``data`` at these places; nothing of it is lost."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(places) if end > begin]


def fed(data: bytes, cuts: list[int]) -> Answer:
    answer = Answer()
    for piece in pieces(data, cuts):
        answer.feed(piece)
    return answer


def code_of(data: bytes, cuts: list[int]) -> str:
    """Return why ``data`` is refused, or nothing."""
    try:
        fed(data, cuts)
    except BadAnswerError as bad:
        return str(bad)
    return ""


def chunked(parts: list[bytes], trailer: bytes = b"") -> bytes:
    chunks = b"".join(b"%x;name=value\r\n%b\r\n" % (len(part), part) for part in parts if part)
    return chunks + b"0\r\n" + trailer + b"\r\n"


@given(BODIES, CUTS)
def test_an_answer_of_known_length_is_the_same_however_it_is_cut(body: bytes, cuts: list[int]) -> None:
    answer = fed(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body, cuts)
    assert answer.ended
    assert bytes(answer.body) == body


@given(st.lists(BODIES, max_size=4), st.sampled_from([b"", b"a: b\r\n", b"a: b\r\nc: d\r\n"]), CUTS)
def test_an_answer_in_chunks_is_the_same_however_it_is_cut(parts: list[bytes], trailer: bytes, cuts: list[int]) -> None:
    answer = fed(HEAD + b"Transfer-Encoding: Chunked\r\n\r\n" + chunked(parts, trailer), cuts)
    assert answer.ended
    assert bytes(answer.body) == b"".join(parts)


@given(BODIES, CUTS)
def test_an_answer_without_a_length_ends_with_its_connection(body: bytes, cuts: list[int]) -> None:
    answer = fed(HEAD + b"\r\n" + body, cuts)
    assert not answer.ended
    assert answer.closed()
    assert bytes(answer.body) == body


@given(BODIES, st.integers(1, 3), CUTS)
def test_what_only_announces_an_answer_is_skipped(body: bytes, times: int, cuts: list[int]) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * times
    answer = fed(early + HEAD + b"content-length: %d\r\n\r\n" % len(body) + body, cuts)
    assert answer.ended
    assert answer.head is not None
    assert (answer.head.status, bytes(answer.body)) == (200, body)


@given(st.binary(min_size=1, max_size=30), CUTS, st.integers(1, 400))
def test_an_answer_that_was_cut_short_has_not_ended(body: bytes, cuts: list[int], missing: int) -> None:
    for whole in (HEAD + b"content-length: %d\r\n\r\n" % len(body) + body, EVENTS + chunked([body])):
        answer = fed(whole[: -(missing % (len(whole) - 1) + 1)], cuts)
        assert not answer.ended
        assert not answer.closed()


@given(st.binary(max_size=80), CUTS)
def test_garbage_is_refused_or_waited_on_and_nothing_else(garbage: bytes, cuts: list[int]) -> None:
    assert code_of(garbage + b"\r\n\r\n", cuts) == "not_http"
    assert code_of(HEAD + b"transfer-encoding: chunked\r\n\r\n" + garbage, cuts) in ("", "not_http", "result_too_large")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK",
        b"HTTP/1.1 abc",
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1e3",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0000000000001",
    ],
)
def test_a_head_that_is_none_is_refused(head: bytes) -> None:
    with pytest.raises(BadAnswerError, match="not_http"):
        read_head(head)


@pytest.mark.parametrize("size", [b"", b"-1", b"+1", b"1_0", b"0x1", b"g", b"1 1"])
def test_a_size_of_a_chunk_that_is_none_is_refused(size: bytes) -> None:
    assert code_of(EVENTS + size + b"\r\nx\r\n", []) == "not_http"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 12_000, "not_http"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 12_000 + b"\r\n", "not_http"),
        (EVENTS + b"1" * 1_000, "not_http"),
        (EVENTS + b"0\r\n" + b"x: y\r\n" * 12_000, "not_http"),
        (EVENTS + b"ffffffffffffffffffffffff\r\n", "result_too_large"),
        (HEAD + b"content-length: %d\r\n\r\n" % (MOST_ANSWER_BYTES + 1), "result_too_large"),
    ],
)
def test_what_has_no_end_has_a_limit(data: bytes, code: str) -> None:
    assert code_of(data, [100, 5_000]) == code


def test_an_answer_without_a_length_has_a_limit() -> None:
    answer = fed(HEAD + b"\r\n", [])
    for _ in range(2):
        answer.feed(b"x" * (MOST_ANSWER_BYTES // 2))
    with pytest.raises(BadAnswerError, match="result_too_large"):
        answer.feed(b"x")


@pytest.mark.parametrize("length", [b"content-length: 2\r\n", b"transfer-encoding: chunked\r\n"])
def test_two_answers_to_one_question_are_refused(length: bytes) -> None:
    whole = HEAD + length + b"\r\n" + (b"{}" if b"content" in length else chunked([b"{}"]))
    assert code_of(whole, []) == ""
    assert code_of(whole * 2, []) == "not_http"


@pytest.mark.parametrize(
    ("head", "closing"),
    [
        (b"HTTP/1.1 200 OK", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close", True),
        (b"HTTP/1.0 200 OK", True),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive", False),
    ],
)
def test_a_head_says_whether_the_connection_closes(head: bytes, closing: bool) -> None:
    assert read_head(head).closing is closing


def test_an_answer_without_a_body_by_its_status_ends_at_once() -> None:
    assert fed(b"HTTP/1.1 204 No Content\r\n\r\n", []).ended


JSON_VALUES = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3)


@given(st.lists(JSON_VALUES, max_size=5), st.sampled_from(["\n", "\r\n"]), st.lists(st.text("ab: ", max_size=6)), CUTS)
def test_events_are_the_same_however_their_stream_is_cut(
    messages: list[Any], end: str, comments: list[str], cuts: list[int]
) -> None:
    written = "".join(f": {comment}{end}{end}" for comment in comments)
    for message in messages:
        # A message on several lines, as json.dumps with an indent has it.
        lines = json.dumps(message, indent=1).splitlines()
        written += f"event: message{end}id: 7{end}" + "".join(f"data: {line}{end}" for line in lines) + end
    body, searched, taken = bytearray(), 0, []
    for piece in pieces(written.encode(), cuts):
        body += piece
        while (event := take_event(body, searched)) is not None:
            searched = 0
            taken.append(event)
        searched = len(body)
    assert [json.loads(event) for event in taken if event] == messages
    assert take_event(body) is None


def test_events_whose_lines_end_in_different_ways_are_told_apart() -> None:
    body = bytearray(b"data:a\r\n\ndata: b\n\r\ndata:c\r\rdata: d\ndata:e\n\n: only a comment\n\ndata: f")
    assert [take_event(body) for _ in range(6)] == [b"a", b"b", b"c", b"d\ne", b"", None]
    assert body == b"data: f"
