"""What an answer means: whether it is one to the question that was asked, and how the call ended."""

from __future__ import annotations

import json
from typing import Any, Final

from mcp_workbench.records import Outcome

OUTCOMES: Final = tuple(Outcome)
NUMBER: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}
"""What stands for an outcome in the columns of calls."""

OK: Final = NUMBER[Outcome.OK]
TOOL_ERROR: Final = NUMBER[Outcome.TOOL_ERROR]
INVALID_OUTPUT: Final = NUMBER[Outcome.INVALID_OUTPUT]
DECLINED: Final = NUMBER[Outcome.DECLINED]
PROTOCOL_ERROR: Final = NUMBER[Outcome.PROTOCOL_ERROR]
TIMEOUT: Final = NUMBER[Outcome.TIMEOUT]
CANCELLED: Final = NUMBER[Outcome.CANCELLED]
TRANSPORT_ERROR: Final = NUMBER[Outcome.TRANSPORT_ERROR]

GENERATOR_NO_SOCKETS: Final = "generator_no_sockets"
"""The code of a call that the generator itself could not send: it had no descriptor, port or memory for a socket."""
NAME_NOT_FOUND: Final = "name_not_found"
"""The code of a call whose server's name was not found."""

MOST_ANSWER_BYTES: Final = 32_000_000
_CODE_CHARACTERS = 60

Message = dict[str, Any]


def read_message(text: bytes | bytearray) -> Message | None:
    """Return a JSON-RPC message; ``None`` for what is no JSON object."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def judged(message: Message | None, asked_id: int) -> tuple[int, str]:
    """Return how a call ended, and why it failed.

    Args:
        message: what came as the answer.
        asked_id: the id of the request.

    Returns:
        The number of the outcome, and the server's code or our own; an empty one for a call that ended well.
    """
    if message is None:
        return INVALID_OUTPUT, "not_json"
    number = message.get("id")
    # For Python, 1.0 and 1 are equal, and so are true and 1.
    if number != asked_id or number.__class__ is not int:
        if number is None and isinstance(message.get("error"), dict):
            # What a server answers if it could not even read the id of the question, as JSON-RPC 2.0 demands.
            return PROTOCOL_ERROR, _code(message["error"])
        return INVALID_OUTPUT, "wrong_id"
    result = message.get("result")
    if result.__class__ is dict:
        assert result is not None
        if not result.get("isError"):
            if result.get("resultType", "complete") == "complete":
                return (OK, "") if "content" in result else (INVALID_OUTPUT, "malformed_result")
            # The server asks the user something (2026-07-28), and nobody is there to answer.
            return DECLINED, "input_required"
        return TOOL_ERROR, _code(result.get("structuredContent"))
    error = message.get("error")
    if isinstance(error, dict):
        return PROTOCOL_ERROR, _code(error)
    return INVALID_OUTPUT, "malformed_result"


def _code(told: object) -> str:
    code = told.get("code") if isinstance(told, dict) else None
    # Half of a surrogate pair is none that can be written to a file.
    return str(code)[:_CODE_CHARACTERS].encode(errors="replace").decode() if isinstance(code, str | int) else ""
