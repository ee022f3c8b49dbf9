"""One error object for every failure, and the exception that carries it through the stages.

The error object has six fields, always all of them: ``code``, ``message``, ``retryable``, ``retry_after_ms``,
``details``, ``correlation_id``. The same cause gives the same object, the correlation id aside. Codes are those of the
tool's contract, and the few of :data:`OWN_CODES`.
"""

from __future__ import annotations

import re
from typing import Any, Final

import pydantic_core
from mcp.server.mcpserver.exceptions import ToolError

from mcp_workbench.controls.call import Call, current_call
from mcp_workbench.untrusted import one_line

OWN_CODES: Final = {
    "unknown_tool": "The server has no tool of that name.",
    "invalid_arguments": "The arguments are not what the input schema says; nothing was run.",
    "arguments_too_large": "The arguments are larger, or nested deeper, than the server takes; nothing was run.",
    "denied": "The policy does not let this caller make this call; nothing was run.",
    "overloaded": "No place to run became free; nothing was run.",
    "timeout": "The call was not done by its deadline.",
    "tool_error": "The tool failed on purpose, with a failure that its contract does not name.",
    "internal": "The tool failed unexpectedly, or its result did not fit its own return type; the log has the story.",
    "invalid_result": "The tool's result is not what the output schema says, and was held back.",
    "result_too_large": "The tool's result is larger than the server sends, and was held back.",
}
"""The codes of the controls themselves, and when they are used."""

_CODE: Final = re.compile("[a-z][a-z0-9_]{0,59}")
_STRUCTURED_SINCE: Final = "2025-06-18"


class Failure(ToolError):  # noqa: N818 - a tool's failure is no error of the server
    """A failure with a code: raise it in a tool to fail with one of the codes of the tool's contract.

    Make it where it is raised, in the call: one that is made elsewhere keeps its text, and loses its details.
    On a server without controls its text, ``code: message``, is what the client sees.

    Args:
        code: one of the failures of the contract, such as ``not_found``. If the contract lists its failures and this is
            none of them, callers get ``tool_error``.
        message: one sentence for the caller: what was wrong, and what to do.
        retryable: whether the same call may succeed later; what the contract says of the code comes first.
        retry_after_ms: how long to wait before that, in milliseconds.
        details: more for programs: a small JSON object.

    Raises:
        ValueError: the code is no code.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after_ms: int | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"{code[:40]!r} can be no code; write small letters, digits and _, such as not_found")
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.details = details or {}
        # The SDK keeps only the text of what a tool raises; the rest is found again here.
        if (call := current_call()) is not None:
            call.told = self


def no_such_tool(name: str) -> Failure:
    """Return the failure of a call of a tool that the server does not have."""
    return Failure("unknown_tool", f'there is no tool "{one_line(name, 60)}"; list the tools to see which there are')


def error_object(failure: Failure, correlation_id: str) -> dict[str, Any]:
    """Return the error object of a failure."""
    return {
        "code": failure.code,
        "message": failure.message,
        "retryable": failure.retryable,
        "retry_after_ms": failure.retry_after_ms,
        "details": failure.details,
        "correlation_id": correlation_id,
    }


def error_result(failure: Failure, call: Call, *, structured: bool = True) -> dict[str, Any]:
    """Return a failure as the result of a tool call, as it goes over the wire.

    Args:
        failure: what happened.
        call: the call that is answered.
        structured: whether the error object is the structured content, or a second block of text.
    """
    told = error_object(failure, call.correlation_id)
    content = [{"type": "text", "text": str(failure)}]
    result: dict[str, Any] = {"content": content, "isError": True}
    if structured and call.protocol_version >= _STRUCTURED_SINCE:
        result["structuredContent"] = told
    else:
        content.append({"type": "text", "text": pydantic_core.to_json(told).decode()})
    return result
