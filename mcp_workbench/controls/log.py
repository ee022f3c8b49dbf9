"""The log: one line for each failed call, under the correlation id that its caller was given.

It is for the people who run the server and holds what callers are not told: what a tool said in full, the exception of
a crash. What came from others is written as Python writes a string, so that nobody can begin a new line. The traceback
of a crash follows its line as loggers write it.

Levels: ``INFO`` for failures on purpose, ``WARNING`` for those that somebody should look at, ``ERROR`` for crashes.
"""

from __future__ import annotations

import logging
import textwrap
import traceback
from typing import Final

from mcp_workbench.controls.call import Call, current_call
from mcp_workbench.controls.failures import Failure
from mcp_workbench.untrusted import SHOWN_CHARACTERS, plain

_LOGGER: Final = logging.getLogger("mcp_workbench.controls")
# What a crash of a tool was, only the SDK knows; this is where it says so.
_OF_THE_SDK: Final = logging.getLogger("mcp.server.mcpserver.server")
# Of each exception in a chain, the innermost.
_FRAMES: Final = 20

_LEVELS: Final = {
    "internal": logging.ERROR,
    "invalid_result": logging.WARNING,
    "overloaded": logging.WARNING,
    "result_too_large": logging.WARNING,
    "timeout": logging.WARNING,
}


def log_failure(failure: Failure, call: Call) -> None:
    """Write how a call failed, in full, on one line.

    Args:
        failure: in what it ended; its cause is what callers are not told.
        call: the call.
    """
    level = _LEVELS.get(failure.code, logging.INFO)
    if not _LOGGER.isEnabledFor(level):
        return
    cause = failure.__cause__
    _LOGGER.log(
        level,
        "tool %s failed with %s (correlation id %s, caller %s): %s%s",
        ascii(call.tool[:200]),
        failure.code,
        call.correlation_id,
        "not known" if call.caller is None else ascii(call.caller[:200]),
        ascii(failure.message),
        "" if cause is None else f" from {type(cause).__name__}: {_said_by(cause)}",
        # What was only read from a text was never raised.
        exc_info=cause if level == logging.ERROR and cause is not None and cause.__traceback__ is not None else None,
    )


def _said_by(cause: BaseException) -> str:
    try:
        return ascii(str(cause)[:SHOWN_CHARACTERS])
    except Exception:  # noqa: BLE001 - a foreign exception's __str__ may do anything
        return "it cannot be shown"


class _Story(logging.Filter):
    """Adds the correlation id of the call under way to what the SDK logs of it, and lets everything pass.

    A traceback is made text here. The SDK's own handler would draw it with rich, and that takes a quarter of a second
    or more of the server's loop: a caller who finds arguments that crash a tool could hold the server up with them.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        call = current_call()
        if call is not None and not hasattr(record, "correlation_id"):
            record.correlation_id = call.correlation_id
            if record.name == _OF_THE_SDK.name:
                # It is made of hexadecimal digits: nothing in it is taken for a place of an argument.
                record.msg = f"{record.msg} (correlation id {call.correlation_id})"
            if record.exc_info and (crash := record.exc_info[1]) is not None:
                # The SDK's own frames say nothing of what went wrong in the tool.
                record.exc_text = _traceback(crash.__cause__ or crash)
                record.exc_info = None
        return True


_STORY: Final = _Story()


def correlate_crashes() -> None:
    """See to it that the log of a crash names the correlation id, and is cheap; once is enough."""
    _OF_THE_SDK.addFilter(_STORY)
    _LOGGER.addFilter(_STORY)


def _traceback(crash: BaseException) -> str:
    try:
        told = "".join(traceback.format_exception(crash, limit=-_FRAMES))[-SHOWN_CHARACTERS:].rstrip()
        # What the exception says may hold line ends: no line of it begins as one of the log's own.
        return textwrap.indent(plain(told), "  | ", lambda _: True)
    except Exception:  # noqa: BLE001 - a foreign exception's __str__ may do anything
        return f"{type(crash).__name__}, whose traceback cannot be shown"
