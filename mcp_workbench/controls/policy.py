"""Stage 3, policy: whether this caller may make this call.

Its place is between valid arguments and their execution: a policy decides over a call that could be carried out, and
nothing is carried out before it has decided. There is no policy yet, so it allows every call.

Success: the call is allowed. Failure: none, as long as there is no policy.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mcp_workbench.controls.call import current_call

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext


class PolicyStage:
    """Holds the place of the policy, and allows everything."""

    def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Awaitable[HandlerResult]:
        """Allow the call, and go on."""
        started_ns = time.perf_counter_ns()
        call = current_call()
        assert call is not None
        call.mark("policy", started_ns, note="no policy: everything is allowed")
        return call_next(ctx)
