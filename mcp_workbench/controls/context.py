"""Stage 1, context: who calls, under which id, until when.

Success: the call has a correlation id, and whatever the transport and the request say of caller and deadline.
Failure: ``invalid_arguments``, if the request asks for a deadline that is no positive number of milliseconds.
"""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any, Final

from mcp.server.auth.middleware.auth_context import get_access_token
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mcp_workbench.controls.call import current_call
from mcp_workbench.controls.failures import Failure
from mcp_workbench.stages import DEADLINE_META, TRACE_META

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_LONGEST_MS: Final = 86_400_000
_HEADERS: Final = TraceContextTextMapPropagator()


class ContextStage:
    """Reads what is around the call: trace context, verified caller, wished deadline.

    Args:
        show_stages: whether a caller who asks is told the times of the stages.
    """

    def __init__(self, *, show_stages: bool = True) -> None:
        self._show_stages = show_stages

    def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        """Fill in the call's context, then go on."""
        started_ns = time.perf_counter_ns()
        call = current_call()
        assert call is not None
        call.correlation_id = _trace_id(ctx) or call.correlation_id
        token = get_access_token()
        call.caller = None if token is None else token.client_id
        meta: Any = ctx.meta or {}
        call.traced = self._show_stages and meta.get(TRACE_META) is True
        try:
            call.wished_ms = _wished_ms(meta.get(DEADLINE_META))
        except Failure as failure:
            call.mark("context", started_ns, failure)
            raise
        call.mark("context", started_ns)
        return call_next(ctx)


def new_correlation_id() -> str:
    """Return an id for a call that has no trace context: 32 hexadecimal digits, as a trace id has them."""
    return os.urandom(16).hex()


def _trace_id(ctx: ServerRequestContext[Any, Any]) -> str | None:
    """Return the trace id of the caller's W3C trace context.

    The SDK reads it from the request's ``_meta`` and makes it the current span, with or without an OpenTelemetry SDK.
    Clients that know only HTTP send it as a header.
    """
    span = get_current_span().get_span_context()
    if not span.is_valid:
        headers = getattr(ctx.request, "headers", None)
        if headers is None or "traceparent" not in headers:
            return None
        span = get_current_span(_HEADERS.extract({"traceparent": headers["traceparent"]})).get_span_context()
    return format(span.trace_id, "032x") if span.is_valid else None


def _wished_ms(value: object) -> int | None:
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # A whole number may be too large for a float: compared first.
    if number and 0 < value <= _LONGEST_MS:  # type: ignore[operator]
        return math.ceil(value)  # type: ignore[call-overload, no-any-return]
    raise Failure(
        "invalid_arguments",
        f"{DEADLINE_META} in the request's _meta must be a number of milliseconds above 0 and at most {_LONGEST_MS}; "
        "give one, or leave it out",
    )
