"""Records: what is kept of every call to a target. The one currency of the house: each table is made of them."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from mcp_workbench.errors import ArgumentsError
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.tables import Table

Transport = Literal["in-process", "in-kernel-http", "stdio", "http"]
"""How a target is spoken to. Figures of different transports are never mixed without saying so."""

Purpose = Literal["call", "sample", "warm-up"]
"""Why a call was made. Warm-up calls are in the records and in no figure."""

_DEEPEST = 100
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

_CLOCK_OFFSET_NS = time.time_ns() - time.perf_counter_ns()


class Outcome(StrEnum):
    """How a call ended; the same nine words everywhere."""

    OK = "ok"
    """The tool answered, and its result fits its output schema."""
    TOOL_ERROR = "tool_error"
    """The tool answered that it failed (``isError``)."""
    INVALID_OUTPUT = "invalid_output"
    """An answer came that cannot be accepted: it breaks the output schema, or is too large."""
    REJECTED = "rejected"
    """The server's policy refused the call."""
    DECLINED = "declined"
    """A person, or nobody, was asked to confirm, and the answer was no."""
    PROTOCOL_ERROR = "protocol_error"
    """The server answered with a JSON-RPC error."""
    TIMEOUT = "timeout"
    """No answer within the timeout."""
    CANCELLED = "cancelled"
    """The caller gave up before the answer."""
    TRANSPORT_ERROR = "transport_error"
    """The connection was lost."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What is kept of one call.

    Attributes:
        correlation_id: 32 hexadecimal digits, the form of a W3C trace id; one a call. A hardened server's log and error
            objects name it, unless there is a ``trace_id``.
        target: the name of the workbench or session that called.
        transport: how the target was spoken to.
        tool: the tool's name as called.
        arguments_digest: the first 16 hexadecimal digits of the SHA-256 of the arguments' canonical JSON.
        intended_start_ns: when the call was meant to start, in nanoseconds since the epoch.
        start_ns: when it started.
        end_ns: when its answer was there, or when it was given up. The three come from one monotonic clock.
        outcome: how it ended.
        error_code: the server's or the workbench's code for the failure; ``None`` if it went well.
        request_bytes: size of the arguments as JSON.
        result_bytes: size of the result as JSON; 0 if none came.
        attempt: how often the tool was tried before this answer came, as a hardened server says; 1 if nobody says.
        purpose: why the call was made.
        trace_id: the trace of the OpenTelemetry span in which the caller was, if there was one: servers know the call
            by it then. It may hold many calls.
    """

    correlation_id: str
    target: str
    transport: Transport
    tool: str
    arguments_digest: str
    intended_start_ns: int
    start_ns: int
    end_ns: int
    outcome: Outcome
    error_code: str | None = None
    request_bytes: int = 0
    result_bytes: int = 0
    attempt: int = 1
    purpose: Purpose = "call"
    trace_id: str | None = None

    @property
    def latency_ms(self) -> float:
        """Milliseconds from start to end."""
        return (self.end_ns - self.start_ns) / 1e6


_COLUMNS = [
    "start",
    "target",
    "transport",
    "tool",
    "outcome",
    "error_code",
    "latency_ms",
    "result_bytes",
    "purpose",
    "attempt",
    "request_bytes",
    "arguments_digest",
    "correlation_id",
    "trace_id",
]


class CallLog:
    """The records of one target, oldest first; bounded, and it says what it dropped.

    Args:
        capacity: the greatest number of records kept; beyond it the oldest go.
    """

    def __init__(self, capacity: int = 200_000) -> None:
        self._records: deque[CallRecord] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self.dropped = 0

    def append(self, record: CallRecord) -> None:
        """Keep ``record``."""
        with self._lock:
            if len(self._records) == self._records.maxlen:
                self.dropped += 1
            self._records.append(record)

    def __len__(self) -> int:
        """Return the number of records kept."""
        return len(self._records)

    def __iter__(self) -> Iterator[CallRecord]:
        """Iterate over a copy, so that calls may go on meanwhile."""
        with self._lock:
            return iter(list(self._records))

    def last(self, count: int) -> list[CallRecord]:
        """Return the newest ``count`` records, newest first."""
        with self._lock:
            return [self._records[-at] for at in range(1, min(count, len(self._records)) + 1)]

    @property
    def frame(self) -> Table:
        """The records as a table, one row a call."""
        return records_table(list(self))


def records_table(records: list[CallRecord]) -> Table:
    """Return ``records`` as a table, one row a call."""
    import pandas as pd

    from mcp_workbench.tables import table

    rows = [
        {
            "start": pd.Timestamp(record.start_ns, unit="ns", tz="UTC"),
            "target": record.target,
            "transport": record.transport,
            "tool": record.tool,
            "outcome": record.outcome.value,
            "error_code": record.error_code,
            "latency_ms": record.latency_ms,
            "result_bytes": record.result_bytes,
            "purpose": record.purpose,
            "attempt": record.attempt,
            "request_bytes": record.request_bytes,
            "arguments_digest": record.arguments_digest,
            "correlation_id": record.correlation_id,
            "trace_id": record.trace_id,
        }
        for record in records
    ]
    return table(rows, _COLUMNS)


def now_ns() -> int:
    """Return nanoseconds since the epoch from a clock that never goes back within this process."""
    return time.perf_counter_ns() + _CLOCK_OFFSET_NS


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a call as they go over the wire.

    Attributes:
        values: what JSON makes of them: the same for every transport.
        digest: the first 16 hexadecimal digits of the SHA-256 of the canonical JSON.
        size_bytes: the length of that JSON.
    """

    values: dict[str, Any]
    digest: str
    size_bytes: int


def read_arguments(arguments: object) -> Arguments:
    """Check that ``arguments`` are a JSON object and return them as JSON makes them.

    Raises:
        ArgumentsError: they are no mapping with text keys, or something in them is not JSON.
    """
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise ArgumentsError(
            f"arguments are a dict of name and value, as in {{'city': 'Bern'}}; this is a {type(arguments).__name__}"
        )
    if not _is_json(arguments):
        arguments = _plain_numbers(arguments)
        if not _is_json(arguments):
            raise ArgumentsError(_not_json(arguments))
    try:
        text = _ENCODER.encode(arguments)
        encoded = text.encode()
    except (ValueError, RecursionError) as error:
        # What is left are whole numbers of thousands of digits, and structures that contain themselves.
        raise ArgumentsError(
            f"the arguments cannot be written as JSON ({one_line(error)}); give plain values"
        ) from None
    values: dict[str, Any] = json.loads(text)
    return Arguments(values, hashlib.sha256(encoded).hexdigest()[:16], len(encoded))


def _is_json(value: object, depth: int = 0) -> bool:
    """Whether ``value`` is made of what JSON has, nested no deeper than its readers bear."""
    if isinstance(value, str):
        return value.isascii() or _is_text(value)
    if value is None or isinstance(value, int):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_text(key) and _is_json(item, depth + 1) for key, item in value.items())
    return isinstance(value, list | tuple) and all(_is_json(item, depth + 1) for item in value)


def _plain_numbers(value: Any, depth: int = 0) -> Any:
    """Return ``value`` with the numbers of numpy and pandas as Python's own: a column's value is an argument, too."""
    if isinstance(value, dict) and depth <= _DEEPEST:
        return {key: _plain_numbers(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth <= _DEEPEST:
        return [_plain_numbers(item, depth + 1) for item in value]
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_json(value: object, path: str = "", depth: int = 0) -> str:
    """Return the sentence that names the first thing in ``value`` that is not JSON; empty if all is."""
    where = f"argument {one_line(path, 80)}" if path else "the arguments"
    if isinstance(value, dict | list | tuple):
        if depth > _DEEPEST:
            return f"{where} is nested more than {_DEEPEST} deep, or contains itself; give plain JSON values"
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(value, dict) and not isinstance(key, str):
                return f"{where}: the key {one_line(repr(key), 40)} is no text; keys of JSON are text"
            if isinstance(key, str) and not _is_text(key):
                return f"{where}: the key {one_line(ascii(key), 40)} holds half a character; give whole text"
            inner = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else repr(key)
            if sentence := _not_json(item, inner, depth + 1):
                return sentence
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where} is {value}, which JSON cannot carry; give a finite number"
    if isinstance(value, str):
        return "" if _is_text(value) else f"{where} holds half a character (a lone surrogate); give whole text"
    if value is None or isinstance(value, int | float):
        return ""
    return (
        f"{where} is of type {_type_name(value)}, which is not JSON; "
        "give text, numbers, true or false, None, lists and dicts"
    )


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
