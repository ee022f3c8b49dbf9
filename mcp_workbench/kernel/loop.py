"""The one background loop: a daemon thread with an asyncio loop that owns every server and client.

A notebook's own loop is busy running the cell, and a connection must be left by the task that entered it, so all
of that lives here. Callers block (:meth:`BackgroundLoop.run`), await (:meth:`BackgroundLoop.arun`) or submit.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from mcp_workbench.errors import LoopError

T = TypeVar("T")

_START_LIMIT_S = 10.0
_SETTLE_LIMIT_S = 2.0
_EXIT_LIMIT_S = 10.0
# Neither an awaiting cell nor a thread that waits for a lock is sure to be woken by an interrupt; a tick lets it in.
_TICK_S = 0.25

Closer = Callable[[], Awaitable[None]]


class BackgroundLoop:
    """A daemon thread with one asyncio loop; started on first use, stopped when the interpreter leaves."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._lock = threading.Lock()
        self._closers: set[Closer] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running asyncio loop; the first look starts the thread."""
        if self._loop is None:
            self._start()
        assert self._loop is not None
        return self._loop

    @property
    def running(self) -> bool:
        """Whether the thread has been started and not stopped."""
        return self._loop is not None

    def is_current(self) -> bool:
        """Whether the caller is on the loop's own thread, where blocking would hold up everything."""
        return self._thread is threading.current_thread()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start ``work`` on the loop and return at once with its future; cancelling the future cancels the work."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the loop and wait for its result; Ctrl-C or the interrupt button cancels the work.

        Raises:
            LoopError: asked from the loop's own thread.
        """
        __tracebackhide__ = True  # an interrupt in a cell shows the cell, not this
        box: list[asyncio.Task[T]] = []

        def start(ended: Callable[[], None]) -> None:
            box.append(self.loop.create_task(work))
            box[0].add_done_callback(lambda _: ended())

        try:
            # An interrupt may come before there is a task.
            self.wait(start, lambda: box[0].cancel() if box else work.close())
        except LoopError:
            work.close()
            raise
        return box[0].result()

    def wait(self, start: Callable[[Callable[[], None]], None], cancel: Callable[[], object]) -> None:
        """Have ``start`` called on the loop, and wait until it calls what it is given.

        The shortest way to the loop and back: a lock instead of two futures that are chained.

        Args:
            start: called on the loop with the function that ends the waiting.
            cancel: called on the loop when the waiting is interrupted.

        Raises:
            LoopError: asked from the loop's own thread.
        """
        if self.is_current():
            raise LoopError(
                "a blocking call was made from the workbench's own loop, where it would wait for itself; "
                "await the name that begins with 'a' instead (call -> acall)"
            )
        __tracebackhide__ = True
        ended = threading.Lock()
        ended.acquire()
        loop, thread = self.loop, self._thread
        try:
            loop.call_soon_threadsafe(start, ended.release)
            while not ended.acquire(timeout=_TICK_S):
                if thread is not None and not thread.is_alive():
                    raise LoopError("the workbench's background loop has stopped, because the process is ending")
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(cancel)
            self.settle()
            raise
        except RuntimeError as error:
            raise LoopError(f"the workbench's background loop takes no more work: {error}") from None

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the loop and await its result from any other loop; cancelling cancels the work."""
        if self.is_current():
            return await work
        waiting = asyncio.wrap_future(self.submit(work))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=_TICK_S)
        except BaseException:
            waiting.cancel()
            raise
        return waiting.result()

    def settle(self) -> None:
        """Let the loop finish what is ready, such as a cancellation that was just asked for."""

        async def turns() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        with contextlib.suppress(TimeoutError):
            self.submit(turns()).result(_SETTLE_LIMIT_S)

    def on_exit(self, closer: Closer) -> None:
        """Have ``closer`` awaited on the loop before it stops."""
        self._closers.add(closer)

    def not_on_exit(self, closer: Closer) -> None:
        """Forget ``closer``: what it closes is closed."""
        self._closers.discard(closer)

    def stop(self) -> None:
        """Close all that is open and stop the thread; the next use starts a new one."""
        with self._lock:
            loop, thread, stop = self._loop, self._thread, self._stop
            if loop is None or thread is None or stop is None:
                return
            # The thread may have ended, or the loop be held up by blocking code: then there is nobody to ask.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
            thread.join(_EXIT_LIMIT_S)
            self._loop = self._thread = self._stop = None

    def _start(self) -> None:
        with self._lock:
            if self._loop is not None:
                return
            started = threading.Event()
            thread = threading.Thread(target=self._live, args=(started,), name="mcp-workbench-loop", daemon=True)
            self._thread = thread
            thread.start()
            if not started.wait(_START_LIMIT_S):
                raise LoopError(f"the workbench's background thread did not start within {_START_LIMIT_S:.0f} s")
        _keep_sdk_logs()
        _watch_main_thread()

    def _live(self, started: threading.Event) -> None:
        # A root task, not run_forever: anyio ties its worker threads to it, so that they are kept for the next
        # call and ended with the loop.
        try:
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                asyncio.set_event_loop(loop)
                root = loop.create_task(self._root(loop, started))
                while not root.done():
                    # asyncio lets these two out of the loop; a tool that calls sys.exit() ends its call, not all of us.
                    with contextlib.suppress(SystemExit, KeyboardInterrupt):
                        loop.run_until_complete(root)
                loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            self._loop = self._stop = None

    async def _root(self, loop: asyncio.AbstractEventLoop, started: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._loop = loop
        started.set()
        await self._stop.wait()
        closing = [asyncio.ensure_future(closer()) for closer in self._closers]
        self._closers.clear()
        if closing:
            await asyncio.wait(closing, timeout=_EXIT_LIMIT_S - 2)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1.0)


@functools.cache
def background() -> BackgroundLoop:
    """Return the process's background loop, not yet started if nobody used it."""
    loop = BackgroundLoop()
    # A forked child has no copy of the thread: it begins with a loop of its own.
    os.register_at_fork(after_in_child=background.cache_clear)
    return loop


@functools.cache
def _watch_main_thread() -> threading.Thread:
    # atexit is too late: the interpreter first waits for worker threads, and those wait for this loop.
    def watch() -> None:
        threading.main_thread().join()
        background().stop()

    thread = threading.Thread(target=watch, name="mcp-workbench-exit", daemon=True)
    thread.start()
    return thread


class SdkLog(logging.Handler):
    """Keeps the last lines that the SDK and the controls logged, instead of letting them fill the notebook."""

    def __init__(self, lines: int = 500) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[tuple[float, str]] = deque(maxlen=lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line: level, message and the last line of the exception, if there is one."""
        line = f"{record.levelname} {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            error: BaseException = record.exc_info[1]
            while error.__cause__ is not None:
                error = error.__cause__
            line += f" ({type(error).__name__}: {error})"
        elif record.exc_text:
            line += f"\n{record.exc_text}"
        self._lines.append((time.monotonic(), line[:2_000]))

    def since(self, moment_s: float) -> list[str]:
        """Return the lines logged since ``moment_s`` (``time.monotonic``)."""
        return [line for at, line in list(self._lines) if at >= moment_s]


@functools.cache
def sdk_log() -> SdkLog:
    """Return the process's log of what the SDK said."""
    return SdkLog()


def _keep_sdk_logs() -> None:
    # MCPServer() configures the root logger, so each request would be a line of stderr in the notebook. A logger that
    # the user has given handlers is the user's.
    for name in ("mcp", "mcp_workbench.controls", "httpx2", "uvicorn"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(sdk_log())
            logger.propagate = False
