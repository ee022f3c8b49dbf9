"""The six stages of a call, and what client and server tell each other about them beside arguments and results.

What goes beside them goes as ``_meta``, under names of our own (MCP specification, basic protocol, ``_meta``): a server
or a client that does not know them ignores them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from mcp_workbench.untrusted import one_line

STAGES: Final = ("context", "inputs", "policy", "execution", "outputs", "telemetry")
"""The stages in the order in which they work, which is never another one."""

DEADLINE_META: Final = "workbench/deadline_ms"
"""In a request: the milliseconds after which its caller wants no answer any more; it shortens, never lengthens."""

TRACE_META: Final = "workbench/trace"
"""In a request: ``True`` asks for the times of the stages."""

CALL_META: Final = "workbench/call"
"""In a result: what the server says about the call, as :class:`CallStory` reads it."""

_MOST_ATTEMPTS: Final = 1_000
_MOST_DEFAULTS: Final = 100
_MOST_MS: Final = 86_400_000.0


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage of one call.

    Attributes:
        stage: its name, one of :data:`STAGES`.
        start_ms: when it began, in milliseconds after the call reached the server.
        duration_ms: how long it worked.
        code: the code of the failure in which it ended; ``None`` if it succeeded.
        note: what it did, in a few words.
    """

    stage: str
    start_ms: float
    duration_ms: float
    code: str | None = None
    note: str = ""

    def told(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "stage": self.stage,
            "start_ms": round(self.start_ms, 4),
            "duration_ms": round(self.duration_ms, 4),
            "code": self.code,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class CallStory:
    """What a hardened server says about one call.

    Attributes:
        correlation_id: under which the server's log knows a call whose stages are told.
        attempts: how often the tool was run, if it was more than once.
        defaults: the arguments that were filled in, and their values.
        stages: the times of the stages that were switched on, if they were asked for.
    """

    correlation_id: str = ""
    attempts: int = 1
    defaults: dict[str, Any] | None = None
    stages: tuple[StageTime, ...] = ()


def read_story(meta: object) -> CallStory | None:
    """Return what a result's ``_meta`` says about its call, bounded; ``None`` if it says nothing that can be read.

    Args:
        meta: the ``_meta`` of a result, as a server sent it.
    """
    told = meta.get(CALL_META) if isinstance(meta, dict) else None
    if not isinstance(told, dict):
        return None
    attempts = told.get("attempts")
    fits = isinstance(attempts, int) and not isinstance(attempts, bool) and 0 <= attempts <= _MOST_ATTEMPTS
    defaults = told.get("defaults")
    stages = told.get("stages")
    return CallStory(
        correlation_id=one_line(told.get("correlation_id") or "", 64),
        attempts=attempts if fits else 1,  # type: ignore[arg-type]
        defaults=dict(list(defaults.items())[:_MOST_DEFAULTS]) if isinstance(defaults, dict) else None,
        stages=_stages(stages) if isinstance(stages, list) else (),
    )


def _stages(told: list[Any]) -> tuple[StageTime, ...]:
    """Return the stages that can be read: each once, in their order."""
    found: dict[str, StageTime] = {}
    for each in told[: 2 * len(STAGES)]:
        if not isinstance(each, dict) or each.get("stage") not in STAGES:
            continue
        start_ms, duration_ms = _milliseconds(each.get("start_ms")), _milliseconds(each.get("duration_ms"))
        if start_ms is None or duration_ms is None:
            continue
        code = each.get("code")
        found[each["stage"]] = StageTime(
            each["stage"],
            start_ms,
            duration_ms,
            one_line(code, 60) if code is not None else None,
            one_line(each.get("note") or "", 200),
        )
    return tuple(found[stage] for stage in STAGES if stage in found)


def _milliseconds(value: object) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared before it is made a float: a whole number may be too large for one.
    if not number or not 0 <= value <= _MOST_MS:  # type: ignore[operator]
        return None
    seconds = float(value)  # type: ignore[arg-type]
    return seconds if math.isfinite(seconds) else None
