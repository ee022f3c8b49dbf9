"""The generator's event loop: one that wakes up when it was asked to, not up to a millisecond later."""

from __future__ import annotations

import asyncio
import select
import selectors
import time
from pathlib import Path

_COARSE_S = 0.002
_SCHEDSTAT = Path("/proc/self/schedstat")


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop whose timers are exact to about a tenth of a millisecond, without spinning.

    Where the system's selector takes only whole milliseconds (epoll), asyncio rounds up, and a call would be sent 0.6
    ms late on average: half the latency of a fast server. ``select`` takes microseconds, and an epoll object can be
    waited for as any other file.
    """
    if not hasattr(select, "epoll"):
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(_PreciseEpoll())


if hasattr(select, "epoll"):

    class _PreciseEpoll(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > _COARSE_S:
                # Far away: one call, in whole milliseconds, that ends before the time; the rest is waited for below.
                return super().select(timeout - _COARSE_S / 2)
            if timeout is not None and timeout > 0:
                select.select([self.fileno()], [], [], timeout)
                timeout = 0
            return super().select(timeout)


def waited_ns() -> int | None:
    """Return how long this process was ready to run and had no processor, in nanoseconds; ``None`` if nobody tells.

    Source:
        the second number of ``/proc/PID/schedstat``, in the kernel's ``Documentation/scheduler/sched-stats.rst``.
    """
    try:
        return int(_SCHEDSTAT.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def cpu_ns() -> int:
    """Return the CPU time of this process, in nanoseconds."""
    return time.process_time_ns()
