"""A sample: one tool called over and over, one call after the other, on the background loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcp_workbench.errors import CallTimeoutError, ConnectionLostError, UsageError
from mcp_workbench.kernel.connection import Connection
from mcp_workbench.load.samples.summary import Summary, summarise
from mcp_workbench.progress import Progress
from mcp_workbench.records import CallRecord, Purpose, read_arguments

_MOST_CALLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sample does.

    Attributes:
        tool: the tool to call.
        arguments: the same for each call.
        calls: how many calls are measured.
        warm_up: how many go before; the first calls pay for imports, connections and caches.
    """

    tool: str
    arguments: dict[str, Any]
    calls: int = 100
    warm_up: int = 3

    def __post_init__(self) -> None:
        """Refuse numbers that make no sample."""
        for name, value, least in (("calls", self.calls, 1), ("warm_up", self.warm_up, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST_CALLS:
                raise UsageError(f"{name}={value!r} is no number of calls; give a whole number from {least} up")


async def sample(connection: Connection, plan: Plan, progress: Progress | None = None) -> Summary:
    """Call the tool ``plan.calls`` times, one after the other, and return the table of just these calls.

    A closed loop with one caller: it answers "how long does a call take when nothing else is going on", not how the
    server behaves under load.

    Args:
        connection: an open connection; the caller is on the background loop.
        plan: which tool, how often.
        progress: told after each call.

    Returns:
        The figures of the measured calls. A lost connection ends the sample early, and its note says so; a timeout
        counts as a failed call.
    """
    arguments = read_arguments(plan.arguments)
    measured: list[CallRecord] = []

    async def once(purpose: Purpose) -> CallRecord | None:
        try:
            return (await connection.call(plan.tool, arguments, purpose=purpose)).record
        except CallTimeoutError as error:
            return error.record

    note = ""
    try:
        for _ in range(plan.warm_up):
            await once("warm-up")
        for done in range(1, plan.calls + 1):
            if (record := await once("sample")) is not None:
                measured.append(record)
            if progress is not None:
                progress(done, plan.calls)
    except ConnectionLostError as error:
        if error.record is not None and error.record.purpose == "sample":
            measured.append(error.record)
        note = f"cut short after {len(measured)} of {plan.calls} calls: the connection was lost; reconnect() and repeat"
    return summarise(measured, note=note, cut_short=bool(note))
