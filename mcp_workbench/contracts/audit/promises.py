"""Audit: what a contract leaves unsaid of a tool's behaviour, and where its own parts contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mcp_workbench.contracts.audit.findings import Fault, Rules, Severity, Subject, counted, named
from mcp_workbench.contracts.audit.tool_words import word_set, words_of_name, words_of_text
from mcp_workbench.untrusted import one_line

THIN_PURPOSE_BYTES: Final = 10
"""A purpose that is shorter says nothing; bytes of UTF-8, because four Chinese characters say a lot."""

_NAME_CHARACTERS = 60
_NOTHING_DONE: Final = re.compile(r"\bnothing\b|\bunchanged\b|\bno changes?\b|\bbefore any")
_FILLERS: Final = word_set("a an the this tool to of")


def purpose_missing(tool: Subject) -> Iterator[Fault]:
    """A tool says what it is for. Source: the build sequence's contract template; a model chooses by this text."""
    if not (tool.contract.purpose or "").strip():
        yield Fault(
            "purpose",
            "the purpose is not said",
            Severity.ERROR,
            "a model chooses tools by this text: it calls the wrong one, or none",
            "write what the tool is for in a sentence or two; in Python: the function's docstring",
        )


def purpose_thin(tool: Subject) -> Iterator[Fault]:
    """A purpose says more than the name does. Source: the same."""
    purpose = (tool.contract.purpose or "").strip()
    if not purpose:
        return
    repeats = set(words_of_text(purpose[:500])) - _FILLERS <= set(words_of_name(tool.contract.name))
    if repeats or len(purpose.encode(errors="replace")) < THIN_PURPOSE_BYTES:
        yield Fault(
            "purpose",
            f"the purpose {one_line(purpose, _NAME_CHARACTERS)!r} says no more than the name",
            Severity.WARNING,
            "a model cannot tell when this tool is the right one",
            "say what comes back, and when to call this tool rather than another",
        )


def effects_unsaid(tool: Subject) -> Iterator[Fault]:
    """A tool says what it changes: nothing (read), something (write), or beyond repair (destructive).

    Source: the build sequence's contract template; MCP specification, ``ToolAnnotations``.
    """
    if tool.contract.effects is None:
        yield Fault(
            "effects",
            "the effects are not said",
            Severity.ERROR,
            "a host cannot tell whether a person must confirm a call",
            "write effects: read, write or destructive; in the server: readOnlyHint and destructiveHint",
        )


def idempotency_unsaid(tool: Subject) -> Iterator[Fault]:
    """A tool that may change something says whether the same call twice is as good as once.

    Source: the build sequence's contract template; RFC 9110, section 9.2.2, on which methods may be retried.
    """
    if tool.contract.idempotency is None and tool.contract.effects != "read":
        yield Fault(
            "idempotency",
            "idempotency is not said",
            Severity.WARNING,
            "after a timeout nobody knows whether to try again: the thing is done twice, or not at all",
            "write idempotency: none, natural, or by key; in the server: idempotentHint",
        )


def idempotency_key(tool: Subject) -> Iterator[Fault]:
    """Idempotency "by key" names an argument that is in the input schema, and required.

    Source: the contract model; the key is what tells a retry from a second request.
    """
    contract, key = tool.contract, tool.contract.idempotency_key
    why = "without the key a retry cannot be told from a second request: it is done twice"
    if contract.idempotency != "by key":
        if key is not None:
            yield Fault(
                "idempotency",
                f"the key {one_line(key, _NAME_CHARACTERS)!r} is named, yet idempotency is not by key",
                Severity.WARNING,
                "readers of the contract send a key that nobody honours, or none where it is needed",
                'write idempotency: "by key", or take the key away',
            )
        return
    if key is None:
        yield Fault(
            "idempotency",
            "idempotency is by key, and no key is named",
            Severity.ERROR,
            why,
            "write idempotency_key: the name of the argument that holds the key",
        )
        return
    whole = tool.places[0] if tool.places else None
    if whole is None or any(leaf.opaque for leaf in whole.leaves()):
        return
    shown = one_line(key, _NAME_CHARACTERS)
    if not any(key in names for names in whole.said("properties") if isinstance(names, dict)):
        finding, mend = "is no argument of the input schema", f"add {shown} to the properties and to required"
    elif key not in whole.required_names():
        finding, mend = "may be left out", f"add {shown} to required"
    else:
        return
    yield Fault("idempotency", f"the idempotency key {shown!r} {finding}", Severity.ERROR, why, mend)


def failures_unsaid(tool: Subject) -> Iterator[Fault]:
    """A tool says in which ways it fails. Source: the build sequence's contract template (failure taxonomy)."""
    if tool.contract.failures is None:
        yield Fault(
            "failures",
            "no failure cases are said",
            Severity.ERROR,
            "callers retry what cannot succeed, and give up on what could",
            "list each failure with code, when, retryable and caller (an empty list if there is none); the tool "
            'reports one by raise ToolError("not_found: ..."), or by "code" in the structured content',
        )


def failure_incomplete(tool: Subject) -> Iterator[Fault]:
    """A failure case says when it happens, whether a retry helps, and what to do. Source: the same."""
    gaps = []
    for failure in tool.contract.failures or ():
        lacks = [part for part in ("when", "retryable", "caller") if getattr(failure, part) in (None, "")]
        if lacks:
            gaps.append(f"{failure.code} ({', '.join(lacks)})")
    if gaps:
        yield Fault(
            f"failures: {named(gaps)}",
            f"{counted(len(gaps), 'failure case')} {'is' if len(gaps) == 1 else 'are'} said in part",
            Severity.WARNING,
            "anyone who gets this failure does not know what it means, or what to do next",
            "write the missing parts: when it happens, whether the same call may succeed later, what to do",
        )


def failures_denied(tool: Subject) -> Iterator[Fault]:
    """A tool that takes arguments can be given wrong ones, so "never fails" is hardly true.

    Source: the build sequence's contract template; MCP specification, tools, error handling (``isError``).
    """
    if tool.contract.failures == () and len(tool.places) > 1:
        yield Fault(
            "failures",
            "the tool says that it never fails, and it takes arguments",
            Severity.WARNING,
            "an argument can be valid and still name nothing: callers have no plan for that answer",
            "list what happens for arguments that fit the schema and lead nowhere, such as not_found",
        )


def retry_repeats(tool: Subject) -> Iterator[Fault]:
    """A failure that may be retried belongs to a call that may be repeated, or says that nothing was done.

    Source: RFC 9110, section 9.2.2: what is not idempotent is not retried unless it is known not to have been applied.
    """
    contract = tool.contract
    codes = [
        failure.code
        for failure in contract.failures or ()
        if failure.retryable and not _NOTHING_DONE.search(f"{failure.when} {failure.caller}".lower())
    ]
    if codes and contract.idempotency == "none" and contract.effects in ("write", "destructive"):
        yield Fault(
            f"failures: {named(codes)}",
            "a retry is allowed, and the same call twice is not as good as once",
            Severity.WARNING,
            "a call that took effect before it failed takes effect again",
            'make the tool idempotent by key; or, where it is so, write "nothing was changed" under when',
        )


def open_world_unsaid(tool: Subject) -> Iterator[Fault]:
    """A tool says whether it reaches things outside of the server. Source: MCP specification, ``openWorldHint``."""
    if tool.contract.open_world is None:
        yield Fault(
            "open_world",
            "it is not said whether the tool reaches things outside of the server",
            Severity.NOTE,
            "what comes from outside may carry instructions for the model; hosts guard against that if they know",
            "write open_world: true or false; in the server: openWorldHint",
        )


RULES: Final[Rules] = {
    "purpose-missing": purpose_missing,
    "purpose-thin": purpose_thin,
    "effects-unsaid": effects_unsaid,
    "idempotency-unsaid": idempotency_unsaid,
    "idempotency-key": idempotency_key,
    "failures-unsaid": failures_unsaid,
    "failure-incomplete": failure_incomplete,
    "failures-denied": failures_denied,
    "retry-repeats": retry_repeats,
    "open-world-unsaid": open_world_unsaid,
}
"""The rules on what a contract promises."""
