"""Stage 6, telemetry: the call as the traces see it.

It adds to the one span that the SDK makes for the request: correlation id, attempts, and the code of a failure. For
sampled calls it makes a span for each stage, afterwards, from the stages' marks: a span for each stage of each call
would cost more than the call (measured: 2.8 times the bare call).

Success: the call's span says how it went. Failure: none; telemetry never fails a call.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import Span, StatusCode, get_current_span, get_tracer

from mcp_workbench.controls.call import Call, current_call
from mcp_workbench.controls.failures import Failure

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_TRACER: Final = get_tracer("mcp_workbench.controls")
# The random part of a trace id that samplers look at (W3C Trace Context level 2, random trace id flag).
_RANDOM_BITS: Final = (1 << 56) - 1


class TelemetryStage:
    """Tells the traces how the call went.

    Args:
        sample_spans: the share of the recorded traces whose calls get a span for each stage, from 0 to 1.
    """

    def __init__(self, *, sample_spans: float = 0.01) -> None:
        self._bound = round(sample_spans * (_RANDOM_BITS + 1))

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Go on, then tell how it went."""
        call = current_call()
        assert call is not None
        span = get_current_span()
        try:
            result = await call_next(ctx)
        except Failure as failure:
            self._tell(span, call, failure)
            raise
        self._tell(span, call, call.failure)
        return result

    def _tell(self, span: Span, call: Call, failure: Failure | None) -> None:
        started_ns = time.perf_counter_ns()
        if span.is_recording():
            span.set_attribute("mcp_workbench.correlation_id", call.correlation_id)
            span.set_attribute("mcp_workbench.attempts", call.attempt)
            if failure is not None:
                span.set_attribute("mcp_workbench.error.code", failure.code)
            if call.traced or (span.get_span_context().trace_id & _RANDOM_BITS) < self._bound:
                _stage_spans(call)
        call.mark("telemetry", started_ns)


def _stage_spans(call: Call) -> None:
    """Make a child span for each stage that ended, at the times of its marks."""
    for stage in call.stages():
        begin_ns = call.began_at_ns + round(stage.start_ms * 1e6)
        child = _TRACER.start_span(f"stage {stage.stage}", start_time=begin_ns)
        if stage.note:
            child.set_attribute("mcp_workbench.note", stage.note)
        if stage.code is not None:
            child.set_attribute("mcp_workbench.error.code", stage.code)
            child.set_status(StatusCode.ERROR)
        child.end(end_time=begin_ns + round(stage.duration_ms * 1e6))
