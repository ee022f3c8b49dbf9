"""The call under way: what the stages know of it, and what a tool may ask."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcp_workbench.stages import CALL_META, StageTime

if TYPE_CHECKING:
    from mcp_workbench.controls.catalogue import ToolEntry
    from mcp_workbench.controls.failures import Failure

_CURRENT: ContextVar[Call | None] = ContextVar("mcp_workbench_call", default=None)


@dataclass(slots=True, eq=False)
class Call:
    """One call of a tool, from its arrival at the server to its answer.

    Attributes:
        tool: the tool's name.
        correlation_id: 32 hexadecimal digits: the trace id of the caller's W3C trace context, or one of our own.
        protocol_version: the version that the client speaks.
        caller: who calls, as the transport verified it; ``None`` if it verified nobody.
        wished_ms: the deadline that the caller asked for, in milliseconds after the arrival.
        deadline_ms: the deadline that holds, in milliseconds after the arrival; ``None`` without one.
        attempt: which run of the tool this is, from 1; 0 before the first.
        defaults: the arguments that were filled in, and their values.
        traced: whether the caller asked for the times of the stages.
        failure: in what the call ended, if it failed.
        told: the last :class:`Failure` that the tool itself made.
        began_ns: when it arrived, by ``time.perf_counter_ns``.
        began_at_ns: when it arrived, in nanoseconds since 1970.
        entry: what the chain knows of the tool, once the inputs stage has looked; for the stages after it.
    """

    tool: str
    correlation_id: str
    protocol_version: str
    caller: str | None = None
    wished_ms: int | None = None
    deadline_ms: int | None = None
    attempt: int = 0
    defaults: dict[str, Any] = field(default_factory=dict)
    traced: bool = False
    failure: Failure | None = None
    told: Failure | None = None
    began_ns: int = field(default_factory=time.perf_counter_ns)
    began_at_ns: int = field(default_factory=time.time_ns)
    entry: ToolEntry | None = None
    _marks: list[tuple[str, int, int, str | None, str]] = field(default_factory=list)

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the call arrived."""
        return (time.perf_counter_ns() - self.began_ns) / 1e6

    @property
    def remaining_ms(self) -> float | None:
        """Milliseconds until the deadline, 0 after it; ``None`` without one."""
        return None if self.deadline_ms is None else max(0.0, self.deadline_ms - self.elapsed_ms)

    def mark(self, stage: str, started_ns: int, failure: Failure | None = None, note: str = "") -> None:
        """Note that a stage ended now.

        Args:
            stage: its name.
            started_ns: when it began, by ``time.perf_counter_ns``.
            failure: in what it ended; ``None`` if it succeeded.
            note: what it did, in a few words.
        """
        code = None if failure is None else failure.code
        self._marks.append((stage, started_ns, time.perf_counter_ns(), code, note))

    def stages(self) -> tuple[StageTime, ...]:
        """Return the stages that ended so far."""
        return tuple(
            StageTime(stage, (start_ns - self.began_ns) / 1e6, (end_ns - start_ns) / 1e6, code, note)
            for stage, start_ns, end_ns, code, note in self._marks
        )

    def story(self) -> dict[str, Any] | None:
        """Return what the result's ``_meta`` says about the call; ``None`` if there is nothing to say."""
        if not (self.traced or self.defaults or self.attempt > 1):
            return None
        # No more than there is to say: each word is written by the server and read by the client, for every such call.
        told: dict[str, Any] = {}
        if self.attempt > 1:
            told["attempts"] = self.attempt
        if self.defaults:
            told["defaults"] = self.defaults
        if self.traced:
            told["correlation_id"] = self.correlation_id
            told["stages"] = [stage.told() for stage in self.stages()]
        return {CALL_META: told}


def current_call() -> Call | None:
    """Return the call that is being answered here, in a tool or in what it calls; ``None`` outside of a hardened call.

    It is known in the tool's worker thread, too, and in tasks and threads that the tool starts with its context.
    """
    return _CURRENT.get()


def entered(call: Call | None) -> None:
    """Make ``call`` the current one of this task."""
    _CURRENT.set(call)
