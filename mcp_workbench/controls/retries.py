"""Running a tool again: which calls may, after which failures, when, and how often for all calls of a tool together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import get_current_span
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    wait_random_exponential,
)

from mcp_workbench.controls.failures import OWN_CODES, Failure

if TYPE_CHECKING:
    from mcp.server.context import HandlerResult

    from mcp_workbench.contracts.model import ToolContract
    from mcp_workbench.controls.call import Call
    from mcp_workbench.controls.settings import Settings

_MOST_TOKENS: Final = 10.0


def may_run_again(contract: ToolContract | None, arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Return whether a second run of this call is as good as one.

    Only the contract says so: the tool is idempotent by nature; or by a key, and the caller sent one; or it only reads
    and nothing is said about idempotency. A tool that is said not to be idempotent is never run again.

    Args:
        contract: the tool's contract; without one nothing is promised.
        arguments: the arguments of the call.
        defaults: which of them were filled in, as :attr:`Call.defaults` has them: such a key is the same for all calls.
    """
    if contract is None:
        return False
    if contract.idempotency is None:
        return contract.effects == "read"
    if contract.idempotency == "by key":
        return contract.idempotency_key is not None and _has_key(contract.idempotency_key, arguments, defaults)
    return contract.idempotency == "natural"


def worth_retrying(failure: Failure, contract: ToolContract) -> bool:
    """Return whether the contract says that the same call may succeed after this failure.

    The codes of the controls are none of the tool's failures, even where a contract has one of the same name.
    """
    return failure.code in _codes_worth_retrying(contract)


class RetryBudget:
    """How many retries the calls of one tool may have together: a bucket of tokens, of which each retry takes one.

    A dependency in trouble is not helped by the same load once more. So retries are bounded by a share of the calls, as
    in Finagle's ``RetryBudget``, Envoy's ``retry_budget`` and the retry ratio of Google's "Site Reliability
    Engineering", chapter "Handling Overload". The bucket starts full, with 10, for tools that are rarely called; calls
    fill it only after those for which the first 10 stand. So there are at most ``1 + share`` runs for each call from
    the ``10 / share``-th call on, the 50th for a fifth, and for fewer calls at most 10 runs more than calls.

    Args:
        share: how many retries there are for each call, from 0 to 1.
    """

    __slots__ = ("_ahead", "_share", "_tokens")

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = _MOST_TOKENS if share else 0.0
        self._ahead = _MOST_TOKENS if share else 0.0

    def count_call(self) -> None:
        """Note a call that was run: it pays for a share of a retry. One that was refused is no load, and pays none."""
        if self._ahead > 0:
            self._ahead -= self._share
        else:
            self._tokens = min(_MOST_TOKENS, self._tokens + self._share)

    def take(self) -> bool:
        """Take a token, and say whether there was one."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Retries:
    """Runs tools again, within the attempts, the deadline and the budget.

    Args:
        settings: how often, how soon, and the budget of each tool.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._budgets: dict[str, RetryBudget] = {}
        # Full jitter: uniform between 0 and the bound that doubles (AWS Architecture Blog, "Exponential Backoff And
        # Jitter").
        self._backoff_s = wait_random_exponential(
            multiplier=settings.backoff_ms / 1e3, max=settings.max_backoff_ms / 1e3
        )

    def possible(self, contract: ToolContract) -> bool:
        """Return whether the settings and the contract leave room for a retry at all."""
        settings = self._settings
        return settings.attempts > 1 and settings.retry_budget > 0 and bool(_codes_worth_retrying(contract))

    def budget(self, contract: ToolContract) -> RetryBudget:
        """Return the budget of a tool."""
        found = self._budgets.get(contract.name)
        if found is None:
            found = self._budgets[contract.name] = RetryBudget(self._settings.retry_budget)
        return found

    async def after(
        self,
        failure: Failure,
        call: Call,
        contract: ToolContract,
        attempt: Callable[[], Awaitable[HandlerResult | Failure]],
    ) -> HandlerResult | Failure:
        """Run a tool again after its first failure, as often as it may, and return the last outcome.

        Args:
            failure: how the first run ended.
            call: the call, one that may be run again.
            contract: the tool's contract.
            attempt: runs the tool once, or returns the last failure if the deadline is over.
        """
        if not worth_retrying(failure, contract):
            return failure
        # The library comes in after the first run, so that calls without a failure cost nothing: it is told that one.
        ready: list[HandlerResult | Failure] = [failure]

        async def outcome() -> HandlerResult | Failure:
            return ready.pop() if ready else await attempt()

        def is_worth_it(last: HandlerResult | Failure) -> bool:
            return isinstance(last, Failure) and worth_retrying(last, contract)

        def is_enough(state: RetryCallState) -> bool:
            if state.attempt_number >= self._settings.attempts:
                return True
            # A call that waits keeps its place. Who is asked for more patience than that does better to come back.
            if (_last(state).retry_after_ms or 0) > self._settings.max_backoff_ms:
                return True
            if call.remaining_ms is not None and state.upcoming_sleep * 1e3 >= call.remaining_ms:
                return True
            # The budget comes last: a token is taken only for a retry that takes place.
            return not self.budget(contract).take()

        retrying = AsyncRetrying(
            retry=retry_if_result(is_worth_it),
            wait=self._wait_s,
            stop=is_enough,
            before_sleep=_tell_span,
            retry_error_callback=_last,
        )
        ended: HandlerResult | Failure = await retrying(outcome)
        return ended

    def _wait_s(self, state: RetryCallState) -> float:
        """Return how long to wait: at least as long as the tool asked for, which is no longer than the bound."""
        asked_ms = _last(state).retry_after_ms or 0
        return max(self._backoff_s(state), asked_ms / 1e3)


def _has_key(key: str, arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    value = arguments.get(key)
    said = value.strip() if isinstance(value, str) else value
    # Filled-in names are written as in a JSON Pointer, RFC 6901.
    return said not in (None, "", [], {}) and key.replace("~", "~0").replace("/", "~1") not in defaults


def _codes_worth_retrying(contract: ToolContract) -> list[str]:
    return [case.code for case in contract.failures or () if case.retryable is True and case.code not in OWN_CODES]


def _last(state: RetryCallState) -> Failure:
    assert state.outcome is not None
    failure = state.outcome.result()
    assert isinstance(failure, Failure)
    return failure


def _tell_span(state: RetryCallState) -> None:
    span = get_current_span()
    if span.is_recording():
        wait_ms = round(state.upcoming_sleep * 1e3, 3)
        span.add_event("retry", {"attempt": state.attempt_number + 1, "code": _last(state).code, "wait_ms": wait_ms})
