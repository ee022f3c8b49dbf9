"""Which calls may run now: places for the server and for each tool, and one bounded queue in the order of arrival."""

from __future__ import annotations

import asyncio
import math


class Admission:
    """The places of one server, on one event loop.

    A place that becomes free goes at once to the first call in the queue that may have it. So a call that arrives never
    overtakes one that could run, and calls that wait for a place of their own tool hold up no other tool.

    Args:
        total: how many calls run at once; ``None`` for no limit.
        per_tool: how many calls of one tool run at once; ``None`` for no limit.
        queue: how many calls may wait, of all tools together.
    """

    def __init__(self, *, total: int | None, per_tool: int | None, queue: int) -> None:
        self._total = math.inf if total is None else total
        self._per_tool = math.inf if per_tool is None else per_tool
        self._longest = queue
        self._running: dict[str, int] = {}
        self._taken = 0
        # In the order of arrival; each future tells its call whether it got a place.
        self._waiting: dict[asyncio.Future[bool], str] = {}

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._waiting)

    @property
    def queue_is_full(self) -> bool:
        """Whether one more call may not even wait."""
        return len(self._waiting) >= self._longest

    def running(self, tool: str) -> int:
        """Return how many places the calls of a tool have."""
        return self._running.get(tool, 0)

    def take(self, tool: str) -> bool:
        """Take a place if there is one, and say whether."""
        # No queue has to be looked at: who waits there was found no place when the last one became free.
        running = self._running.get(tool, 0)
        if self._taken >= self._total or running >= self._per_tool:
            return False
        self._taken += 1
        self._running[tool] = running + 1
        return True

    async def wait(self, tool: str, seconds: float | None) -> bool:
        """Wait in the queue for a place, and say whether there was one in time.

        Args:
            tool: whose call it is.
            seconds: how long to wait at most; ``None`` for as long as it takes.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting[turn] = tool
        timer = None if seconds is None else loop.call_later(seconds, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            # Cancelled after the place was handed over, but before this ran: nobody else would give it back.
            if turn.done() and not turn.cancelled() and turn.result():
                self.give_back(tool)
            raise
        finally:
            self._waiting.pop(turn, None)
            if timer is not None:
                timer.cancel()

    def give_back(self, tool: str) -> None:
        """Give a place back, and hand it to the first call that may have it."""
        self._taken -= 1
        left = self._running[tool] - 1
        if left:
            self._running[tool] = left
        else:
            # Names come from callers: none is kept that has no place.
            del self._running[tool]
        for turn, waiting in self._waiting.items():
            # A turn that is done was cancelled, and its call did not run since.
            if not turn.done() and self.take(waiting):
                del self._waiting[turn]
                turn.set_result(True)
                return

    def _give_up(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            del self._waiting[turn]
            turn.set_result(False)
