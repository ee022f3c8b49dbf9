"""Stage 5, outputs: what leaves of a call.

A result leaves if it is what the output schema says and not larger than the server sends. A failure leaves as one error
object, whatever form it had; what a tool says of it is scrubbed, and its full story goes to the log. A result that is a
success is *not* scrubbed: what is a secret in it, nobody but the tool can know.

Results of another kind than "complete" (a question to the user, what an extension defines) pass unchanged.

Success: the result is as the tool made it. Failure: ``invalid_result``, ``result_too_large``; and, if the execution
stage is off, whatever the tool failed with.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pydantic_core

from mcp_workbench.controls.answers import failure_from, failure_in, passes, wire
from mcp_workbench.controls.call import Call, current_call
from mcp_workbench.controls.catalogue import Catalogue, ToolEntry
from mcp_workbench.controls.compiling import UncompilableError
from mcp_workbench.controls.failures import Failure, error_result
from mcp_workbench.controls.faults import MOST_FAULTS, Fault, pointer, told
from mcp_workbench.controls.locating import Check
from mcp_workbench.controls.log import correlate_crashes, log_failure
from mcp_workbench.controls.per_tool import PerTool
from mcp_workbench.controls.scrubbing import read_environment
from mcp_workbench.controls.settings import Settings

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_BROKEN: Final = "is not what the output schema says"
_HELD_BACK: Final = "it was held back; tell the people who run the server"


class OutputsStage:
    """Checks results, and gives every failure its one form.

    Args:
        catalogue: the tools and their output schemas.
        settings: the greatest size, whether results are checked, and where the error object stands.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._checks = PerTool(_check)
        read_environment()
        correlate_crashes()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Go on, then let out what may leave."""
        call = current_call()
        assert call is not None
        try:
            result = await call_next(ctx)
            entry = call.entry or await self._catalogue.find(call.tool, ctx)
        except Exception as error:
            if passes(error):
                raise
            started_ns = time.perf_counter_ns()
            known = self._catalogue.known(call.tool)
            failure = failure_from(error, None if known is None else known.contract, call)
            return self._failed(failure, call, started_ns, ended=failure is error)
        started_ns = time.perf_counter_ns()
        answer = wire(result)
        if answer.get("resultType", "complete") != "complete":
            call.mark("outputs", started_ns, note="not a final result: not checked")
            return result
        fault = failure_in(answer, None if entry is None else entry.contract, call)
        size = 0
        if fault is None:
            size, fault = self._held(answer, entry)
        if fault is not None:
            return self._failed(fault, call, started_ns)
        call.mark("outputs", started_ns, note=f"{size:,} bytes")
        return result

    def _failed(self, failure: Failure, call: Call, started_ns: int, *, ended: bool = False) -> dict[str, Any]:
        """Return the error object of a failure; ``ended`` says that another stage ended the call with it."""
        call.failure = failure
        log_failure(failure, call)
        result = error_result(failure, call, structured=self._settings.structured_errors)
        call.mark("outputs", started_ns, None if ended else failure, note="the error object")
        return result

    def _held(self, answer: Mapping[str, Any], entry: ToolEntry | None) -> tuple[int, Failure | None]:
        """Return a result's size, and why it must not leave."""
        try:
            text = pydantic_core.to_json(answer)
        except ValueError as error:
            return 0, _invalid("holds a value that is no JSON", error)
        limit = self._settings.max_result_bytes
        if limit is not None and len(text) > limit:
            return len(text), _too_large(len(text), limit)
        if entry is None or entry.output_schema is None or not self._settings.check_results:
            return len(text), None
        return len(text), self._against_schema(answer, entry)

    def _against_schema(self, answer: Mapping[str, Any], entry: ToolEntry) -> Failure | None:
        check = self._checks.of(entry)
        if isinstance(check, UncompilableError):
            return _invalid("has an output schema against which no result can be held", check)
        if "structuredContent" not in answer:
            return _invalid("has no structured content, though its output schema asks for it")
        content = answer["structuredContent"]
        try:
            return None if check.allows(content) else _against(check, content)
        except ValueError as error:
            return _invalid("is nested too deep to be held against its output schema", error)


def _check(entry: ToolEntry) -> Check | UncompilableError:
    assert entry.output_schema is not None
    try:
        return Check(entry.output_schema)
    except UncompilableError as error:
        return error


def _against(check: Check, content: object) -> Failure:
    """Return the failure that names where the result is not what the schema says, without its values."""
    errors = check.errors(content)
    if errors is None:
        found = check.first_faults(content)
        places = {Fault(fault.at, fault.rule, _BROKEN) for fault in found}
        story = "; ".join(f"{fault.at}: {fault.problem}" for fault in found[:MOST_FAULTS])
    else:
        places = {Fault.at_place(error.instance_path, error.kind.name, _BROKEN) for error in errors}
        story = "; ".join(f"{pointer(error.instance_path)}: {error.message}" for error in errors[:MOST_FAULTS])
    faults = sorted(places)
    first = faults[0]
    return _invalid(
        f"breaks {first.rule!r} of its output schema at {first.at or 'the top'}", ValueError(story), told(faults)
    )


def _invalid(how: str, cause: Exception | None = None, details: dict[str, Any] | None = None) -> Failure:
    failure = Failure("invalid_result", f"the tool's result {how}; {_HELD_BACK}", details=details)
    failure.__cause__ = cause
    return failure


def _too_large(size: int, limit: int) -> Failure:
    failure = Failure(
        "result_too_large",
        f"the tool's result is larger than the {limit:,} bytes that the server sends; ask for less, such as a smaller "
        "page or a narrower filter",
        details={"limit_bytes": limit},
    )
    failure.__cause__ = ValueError(f"{size:,} bytes")
    return failure
