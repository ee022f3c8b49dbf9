"""From what the SDK raises to one plain sentence: what was tried, what happened, what to do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED
from pydantic import ValidationError

from mcp_workbench.errors import UnreachableError, WorkbenchError
from mcp_workbench.kernel.targets import CommandTarget, Target
from mcp_workbench.untrusted import one_line, plain

_SAID_LINES = 12


@dataclass(slots=True)
class Evidence:
    """What was seen of a server while it was being connected.

    Attributes:
        garbage: the first line on its standard output that is no MCP message.
        http_status: the last HTTP status.
        content_type: the last HTTP content type.
        said: its last words on standard error.
        connected: whether it had answered before.
    """

    garbage: str | None = None
    http_status: int | None = None
    content_type: str = ""
    said: str = ""
    connected: bool = field(default=False)

    def told_garbage(self) -> str:
        """Return the sentence about lines on standard output that are no messages."""
        return (
            f"it prints lines that are no MCP messages, the first one {one_line(self.garbage or '', 80)!r}; "
            "a stdio server may write only messages to standard output: send its logs to standard error"
        )


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors inside nested groups, cancellations last, since they are rarely the cause."""
    if isinstance(error, BaseExceptionGroup):
        found = [leaf for inner in error.exceptions for leaf in leaves(inner)]
        yield from sorted(found, key=lambda leaf: isinstance(leaf, asyncio.CancelledError))
    else:
        yield error


def unreachable(target: Target, error: BaseException, evidence: Evidence, timeout_s: float) -> WorkbenchError:
    """Return the error that says why ``target`` could not be connected."""
    cause = next(leaves(error))
    if isinstance(cause, WorkbenchError):
        return cause
    if isinstance(cause, FileNotFoundError | PermissionError | NotADirectoryError) and isinstance(
        target, CommandTarget
    ):
        return UnreachableError(f"{target} cannot be started: {cause.strerror}; check its path and permissions")
    sentence = f"no MCP server at {target}: {_why(target, cause, evidence, timeout_s)}"
    return UnreachableError(sentence + said(evidence.said))


_ERROR_LINE = re.compile(r"^[\s│|]*((?:[\w.]+\.)?[A-Z]?\w*(?:Error|Exception|Warning|Exit)\b:? .+?)[\s│|]*$")


def telling(words: str) -> str:
    """Return what is worth reading of a server's standard error: the lines that name an error, then the last lines.

    Servers frame their tracebacks, and put the cause in the middle of them.
    """
    lines = plain(words, 64_000).splitlines()
    last = lines[-_SAID_LINES:]
    named = [match[1] for line in lines[:-_SAID_LINES] if (match := _ERROR_LINE.match(line))]
    return "\n".join([*dict.fromkeys(named[-_SAID_LINES:]), *last])


def said(words: str) -> str:
    """Return the last lines of a server's standard error as an addition to a sentence; empty if there are none."""
    if not words.strip():
        return ""
    return "\nThe server's last words:\n" + "\n".join(f"  {one_line(line)}" for line in telling(words).splitlines())


def lost(target: Target, words: str = "") -> str:
    """Return the sentence for a connection that is gone."""
    what = "its process ended" if isinstance(target, CommandTarget) else "the server is gone, or closed the connection"
    return f"the connection to {target} is lost: {what}; reconnect() opens a new one{said(words)}"


def is_connection_loss(error: BaseException) -> bool:
    """Whether ``error`` means that no further call can succeed on this connection."""
    return any(
        isinstance(leaf, httpx2.TransportError | ConnectionError)
        or type(leaf).__name__ in ("ClosedResourceError", "BrokenResourceError", "EndOfStream")
        or (isinstance(leaf, MCPError) and leaf.code == CONNECTION_CLOSED and leaf.message == "Connection closed")
        for leaf in leaves(error)
    )


def _why(target: Target, cause: BaseException, evidence: Evidence, timeout_s: float) -> str:
    command = isinstance(target, CommandTarget)
    if evidence.garbage is not None:
        return evidence.told_garbage()
    if isinstance(cause, TimeoutError):
        if command:
            return f"it did not answer within {timeout_s:g} s; check that it speaks MCP on stdio, or raise the timeout"
        return f"it did not answer within {timeout_s:g} s; check the address, or raise the timeout"
    if isinstance(cause, httpx2.ConnectError):
        return f"nothing answers there ({one_line(cause, 100)}); start the server, or check host and port"
    if isinstance(cause, httpx2.TransportError | httpx2.InvalidURL):
        return f"{one_line(cause, 160)}; check the address, and that a Streamable HTTP server runs there"
    if command and is_connection_loss(cause):
        advice = "mend what it says" if evidence.said.strip() else "run it in a terminal to see why"
        return f"the command ended, or closed its output, before it answered; {advice}"
    if evidence.http_status is not None and evidence.http_status >= 300:
        return f"it answered HTTP {evidence.http_status}; {_status_advice(evidence.http_status, cause)}"
    if evidence.content_type and not evidence.content_type.startswith(("application/json", "text/event-stream")):
        return (
            f"it answered with {one_line(evidence.content_type, 60)}, so it is a web page or another service; "
            "check the path (MCP servers usually listen at /mcp)"
        )
    if isinstance(cause, ValidationError):
        return f"its answer is not what the protocol says ({cause.title}: {one_line(cause.errors()[0]['msg'], 160)})"
    if isinstance(cause, MCPError):
        return f"it answered {one_line(cause.message, 300)!r} (code {cause.code}); check that it is an MCP server"
    return f"{type(cause).__name__}: {one_line(cause, 200)}; check the target"


def _status_advice(status: int, cause: BaseException) -> str:
    if status in (401, 403):
        return "it may want credentials (give them as 'headers' in a configuration entry), or be no MCP server"
    if status in (404, 405):
        return "check the path (MCP servers usually listen at /mcp)"
    if 300 <= status < 400:
        return f"{one_line(cause, 200)}"
    return "look into the server's own log"
