"""One id a call: in our records, in the server's log and error objects, and in the traces of OpenTelemetry."""

from __future__ import annotations

import contextvars
import os
from typing import Any, Final, NamedTuple

from opentelemetry.context import attach
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, get_current_span, get_tracer, set_span_in_context

_TRACER: Final = get_tracer("mcp_workbench")


class Correlation(NamedTuple):
    """Under which id a call is known, and to whom.

    Attributes:
        correlation_id: 32 hexadecimal digits, for this call alone.
        meta: the W3C trace context of the call (https://www.w3.org/TR/trace-context/), for the request's ``_meta``.
        trace_id: the trace of the caller's own span, if there is one: by it the server knows the call.
        span: the span that was made for the call, and is to be ended with it.
        context: the context in which the request is to be made; ``None`` for the one that is there.
    """

    correlation_id: str
    meta: dict[str, Any]
    trace_id: str | None = None
    span: Span | None = None
    context: contextvars.Context | None = None


def correlate(name: str, *, sampled: bool) -> Correlation:
    """Choose the id of a call that is about to be made in the current context.

    Args:
        name: what is called, for the name of a span.
        sampled: whether servers that follow their callers are to record the call. A call that somebody looks at is
            worth it; calls that measure are not, because recording costs more than many a call.
    """
    around = get_current_span().get_span_context()
    if around.is_valid:
        # The trace of the caller goes on. It may hold many calls, so the record names both ids.
        meta: dict[str, Any] = {}
        inject(meta)
        return Correlation(os.urandom(16).hex(), meta, f"{around.trace_id:032x}")
    span = _TRACER.start_span(f"call {name[:80]}")
    made = span.get_span_context()
    if made.is_valid:
        # There is an OpenTelemetry SDK, and the MCP SDK would begin a trace of its own: it is to be part of this one.
        context = contextvars.copy_context()
        context.run(attach, set_span_in_context(span))
        meta = {}
        context.run(inject, meta)
        return Correlation(f"{made.trace_id:032x}", meta, None, span, context)
    # Nobody traces here, and the MCP SDK leaves as it is what it is given. The parent is a span that nobody records.
    drawn = os.urandom(16).hex()
    return Correlation(drawn, {"traceparent": f"00-{drawn}-{drawn[:16]}-{'01' if sampled else '00'}"})
