"""What a tool's answer means: a result, or a failure with a code.

A tool fails in many ways: it raises :class:`~mcp_workbench.controls.failures.Failure`, another ``ToolError``, anything
else, or answers with ``isError``. The SDK turns most of them into text before any middleware sees them
(``mcp.server.mcpserver``: ``Tool.run`` and ``MCPServer._handle_call_tool``), so they are read from it again here.

Which code it is: that of a ``Failure``, else ``code`` in the structured content, else a code of the contract at the
beginning of the text, as ``ToolContract.outcome_of`` reads it. If the contract states its failures, only
those count. Whatever else a tool says becomes ``tool_error``, a crash ``internal``. Messages and
details that come from the tool are scrubbed; what it said in full is the failure's cause (``__cause__``), for the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    URL_ELICITATION_REQUIRED,
)
from pydantic import BaseModel, ValidationError

from mcp_workbench.controls.failures import OWN_CODES, Failure, no_such_tool
from mcp_workbench.controls.faults import Fault, told
from mcp_workbench.controls.scrubbing import scrubbed, scrubbed_details
from mcp_workbench.untrusted import SHOWN_CHARACTERS

if TYPE_CHECKING:
    from mcp.server.context import HandlerResult

    from mcp_workbench.contracts.model import ToolContract
    from mcp_workbench.controls.call import Call

_CODE: Final = re.compile("[a-z][a-z0-9_]{0,59}")
_LONGEST_WAIT_MS: Final = 86_400_000
# As much of a text as `ToolContract.outcome_of` looks at, and as many of its parts.
_HEAD: Final = 500
_PARTS: Final = 3

# The SDK's own words stand before the tool's. A crash has none of its own; that of a nested tool or resource neither.
_PREFIX: Final = "Error executing tool "
_CRASH_WITHIN: Final = re.compile(
    r"(?:Error executing tool [^:\n]{1,200}: ){0,20}"
    r"(?:Error executing tool [^:\n]{1,200}|Error reading resource \S{1,2000})"
)
# A function's arguments are a model that is named after it (`func_metadata`); in `str` of pydantic's error the place
# stands at the margin, and what is wrong below it, indented.
_REFUSED: Final = re.compile(r"\d{1,9} validation errors? for \w{1,200}Arguments\n")
_PLACE: Final = re.compile(r"^([\w.$@-]{1,200})\n  \S", re.MULTILINE)

_UNEXPECTED: Final = "the tool failed unexpectedly; the server's log has the story under the correlation id"
_SILENT: Final = "the tool failed, and says no more"


def failure_in(result: Mapping[str, Any], contract: ToolContract | None, call: Call) -> Failure | None:
    """Return the failure that a tool's result tells of; ``None`` if it is a success.

    Args:
        result: the result as it goes over the wire.
        contract: what is promised of the tool; ``None`` if nothing is.
        call: the call that is answered.
    """
    if result.get("isError") is not True:
        return None
    text = _text(result)
    made = call.told if call.told is not None and text.endswith(str(call.told)) else None
    if made is not None and _counts(made.code, contract):
        return _as_made(made, contract)
    structured = result.get("structuredContent")
    if isinstance(structured, dict) and (failure := _structured(structured, text, contract)) is not None:
        return failure
    return _in_text(text, contract, call, made or ToolError(text))


def failure_from(error: Exception, contract: ToolContract | None, call: Call) -> Failure:
    """Return the failure that an exception of the tool amounts to.

    A ``Failure`` in which a stage has ended the call is that one. A protocol error that a tool raises is what the tool
    says of its failure, but for JSON-RPC's "internal error", which is a crash.

    Args:
        error: what was raised; not one of those that pass (:func:`passes`).
        contract: what is promised of the tool; ``None`` if nothing is.
        call: the call that is answered.
    """
    if isinstance(error, Failure):
        ended = call.stages()
        if ended and ended[-1].code == error.code:
            return error
        if _counts(error.code, contract):
            return _as_made(error, contract)
    crashed = isinstance(error, MCPError) and error.code == INTERNAL_ERROR
    if isinstance(error, UnexpectedToolError) or crashed or not isinstance(error, ToolError | MCPError):
        return _in_own_words("internal", _UNEXPECTED, error)
    return _in_text(str(error), contract, call, error)


def passes(error: BaseException) -> bool:
    """Return whether an exception is no failure of the tool, but is to go on to the SDK as it is.

    These are: cancellation and what ends the process; the protocol errors with which clients are asked for something
    (URL elicitation, a missing capability); and those about the request itself, which is malformed, comes too early, or
    has no method.

    Args:
        error: what came out of the rest of the chain.
    """
    if not isinstance(error, Exception):
        return True
    if isinstance(error, ValidationError):
        # The SDK's own reading of the request; any other of pydantic's errors is a crash of the tool.
        return error.title.startswith("CallToolRequest")
    if not isinstance(error, MCPError):
        return False
    if error.code in (URL_ELICITATION_REQUIRED, MISSING_REQUIRED_CLIENT_CAPABILITY):
        return True
    # To the letter, with nothing beside them: a tool may raise such an error, too, with whatever in it.
    early = (INVALID_PARAMS, "Invalid request parameters", "")
    no_method = (METHOD_NOT_FOUND, "Method not found", "tools/call")
    return (error.code, error.message, error.error.data) in (early, no_method)


def wire(result: HandlerResult) -> dict[str, Any]:
    """Return a result as the object that goes over the wire."""
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return dict(result or {})


def _text(result: Mapping[str, Any]) -> str:
    content = result.get("content")
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


def _counts(code: str, contract: ToolContract | None) -> bool:
    """Return whether a tool may fail with a code: the contract's if it states them, else any but the controls' own."""
    if contract is None or contract.failures is None:
        return code not in OWN_CODES
    return any(failure.code == code for failure in contract.failures)


def _structured(structured: dict[str, Any], text: str, contract: ToolContract | None) -> Failure | None:
    code, message = structured.get("code"), structured.get("message")
    if not isinstance(code, str) or not _CODE.fullmatch(code) or not _counts(code, contract):
        return None
    stated = contract is not None and contract.failures is not None
    if not isinstance(message, str):
        if not stated:
            return None
        message = text
    return _of_tool(
        code,
        message,
        contract,
        ToolError(text),
        retryable=structured.get("retryable"),
        retry_after_ms=structured.get("retry_after_ms"),
        details=structured.get("details"),
    )


def _in_text(text: str, contract: ToolContract | None, call: Call, cause: Exception) -> Failure:
    """Return the failure that is told by words alone."""
    said = text.removeprefix(f"{_PREFIX}{call.tool}").removeprefix(": ")
    if (text and not said) or _CRASH_WITHIN.fullmatch(said):
        return _in_own_words("internal", _UNEXPECTED, cause)
    if _REFUSED.match(said):
        return _refusal(said, cause)
    if said == f"Unknown tool: {call.tool}":
        missing = no_such_tool(call.tool)
        missing.__cause__ = cause
        return missing
    if contract is not None and contract.failures is not None:
        parts = text[:_HEAD].split(": ")[:_PARTS]
        for at, part in enumerate(parts):
            if _counts(part, contract):
                message = text[len(": ".join(parts[: at + 1])) :].removeprefix(": ")
                return _of_tool(part, message, contract, cause)
    # What remains of a Failure whose code does not count is its sentence.
    return _of_tool("tool_error", cause.message if isinstance(cause, Failure) else said, contract, cause)


def _refusal(said: str, cause: Exception) -> Failure:
    """Return the failure of arguments that the schema allows and the tool's own types do not."""
    places = _PLACE.findall(said[said.index("\n") + 1 : SHOWN_CHARACTERS])
    faults = sorted(
        {Fault.at_place(place.split("."), "tool", "is a value that the tool does not accept") for place in places}
    )
    where = f" at {faults[0].at}" if faults else ""
    sentence = f"the tool does not accept what it was given{where}; give what its description asks for"
    return _in_own_words("invalid_arguments", sentence, cause, told(faults))


def _as_made(made: Failure, contract: ToolContract | None) -> Failure:
    """Return a failure that the tool itself made."""
    return _of_tool(
        made.code,
        made.message,
        contract,
        made,
        retryable=made.retryable,
        retry_after_ms=made.retry_after_ms,
        details=made.details,
    )


def _of_tool(
    code: str,
    message: object,
    contract: ToolContract | None,
    cause: Exception,
    *,
    retryable: object = False,
    retry_after_ms: object = None,
    details: object = None,
) -> Failure:
    """Return a failure that the tool told, scrubbed; what the contract says of retrying comes first."""
    case = next((each for each in (contract and contract.failures) or () if each.code == code), None)
    failure = Failure(
        code,
        scrubbed(str(message)) or _SILENT,
        retryable=(retryable if case is None else case.retryable) is True,
        retry_after_ms=_wait_ms(retry_after_ms),
        details=scrubbed_details(details),
    )
    failure.__cause__ = cause
    return failure


def _in_own_words(code: str, message: str, cause: Exception, details: dict[str, Any] | None = None) -> Failure:
    failure = Failure(code, message, details=details)
    failure.__cause__ = cause
    return failure


def _wait_ms(told: object) -> int | None:
    whole = isinstance(told, int) and not isinstance(told, bool)
    return told if whole and 0 <= told <= _LONGEST_WAIT_MS else None  # type: ignore[return-value,operator]  # an int
