"""Times as callers write them, RFC 3339 with an offset, and as the desk keeps them: seconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from mcp_workbench.controls.failures import Failure
from mcp_workbench.untrusted import one_line

# datetime.fromisoformat() takes much that RFC 3339, section 5.6, does not.
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,20})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_time(text: str, field: str) -> float:
    """Return a caller's time in seconds since 1970.

    Args:
        text: the time.
        field: the argument that it came in, for the sentence.

    Raises:
        Failure: ``bad_time``, if it is no time, or has no offset.
    """
    try:
        if not _RFC_3339.fullmatch(text):
            raise ValueError
        return (datetime.fromisoformat(text.upper()) - _EPOCH).total_seconds()
    except ValueError:
        raise Failure(
            "bad_time",
            f"{field} is {one_line(text, 40)!r}; send a time with an offset, such as 2026-06-01T00:00:00+00:00",
        ) from None


def write_time(seconds: int) -> str:
    """Return a time as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
