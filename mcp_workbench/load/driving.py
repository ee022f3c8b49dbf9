"""Driving the generator: its process is started, listened to, and ended, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from mcp_workbench.errors import UnreachableError, WorkbenchError
from mcp_workbench.kernel.leash import MARK, end_marked, leash
from mcp_workbench.load.generator.stdio_wire import Said
from mcp_workbench.load.plan import Plan
from mcp_workbench.load.run import Run, ServerCpu, read_run
from mcp_workbench.progress import Progress
from mcp_workbench.untrusted import one_line

RUN_MARK: Final = "MCP_WORKBENCH_RUN"
"""The environment variable that marks what belongs to one run."""

_START_LIMIT_S: Final = 45.0
_LEAVE_LIMIT_S: Final = 10.0
_SPARE_S: Final = 10.0
_LINE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Live:
    """How a load goes at this moment.

    Attributes:
        done_s: seconds of load so far, warm-up among them.
        total_s: seconds in all.
        calls: calls that have ended so far.
        failed: how many of them failed.
        in_flight: calls that are unanswered now.
        rate: calls a second, in the last moments.
        p50_ms: their median latency; ``None`` if there were none.
    """

    done_s: float
    total_s: float
    calls: int
    failed: int
    in_flight: int
    rate: float
    p50_ms: float | None


Listener = Callable[[Live], None]


async def drive(
    plan: Plan,
    *,
    servers: Sequence[int | None] = (),
    progress: Progress | None = None,
    listener: Listener | None = None,
) -> Run:
    """Make the load of ``plan`` in a process of its own, and return what was measured.

    Args:
        plan: what is done.
        servers: for each arm, the process of its server, where it is known; those that the generator starts are known
            to it.
        progress: told of thousandths of the time.
        listener: told how it goes, four times a second.

    Raises:
        UnreachableError: a target is not there.
        WorkbenchError: the generator itself failed.
    """
    mark = uuid.uuid4().hex
    environment = {**os.environ, **leash().take(), RUN_MARK: mark}
    process: asyncio.subprocess.Process | None = None
    try:
        with tempfile.TemporaryDirectory(prefix="mcp-workbench-load-") as folder, contextlib.closing(Said()) as said:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "mcp_workbench.load.generator",
                    folder,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=said.file,
                    env=environment,
                    start_new_session=True,
                    limit=_LINE_BYTES,
                )
                watching = _Watching(plan, servers, progress, listener)
                await _listen(process, _marked(plan, environment), watching)
                if not watching.done:
                    raise watching.error or WorkbenchError(
                        f"the load generator ended before its time: {_last_line(said.last_words()) or 'no word'}"
                    )
                return await asyncio.to_thread(read_run, plan, Path(folder), watching.cpu())
            finally:
                # Before its folder goes, into which it may still write.
                if process is not None:
                    await _end(process)
    except OSError as error:
        raise WorkbenchError(
            f"the load generator cannot be started or told what to do ({one_line(error, 120)}); try again"
        ) from None
    finally:
        try:
            # Servers are ended by the generator. What has left its server's group, or was left by a generator that was
            # killed, is looked for; so is all after an interrupt.
            if process is None or process.returncode != 0 or any(arm.wire.kind != "http" for arm in plan.arms):
                await asyncio.to_thread(end_marked, mark, RUN_MARK)
        finally:
            leash().drop()


def _last_line(said: bytes) -> str:
    """Return the last line with words in it: of a traceback, what went wrong and not where."""
    lines = reversed(said.decode(errors="replace").splitlines())
    return one_line(next((line for line in lines if any(map(str.isalnum, line))), ""), 300)


def _marked(plan: Plan, environment: dict[str, str]) -> bytes:
    told = json.loads(plan.to_json())
    for arm in told["arms"]:
        if arm["wire"]["kind"] == "stdio":
            arm["wire"]["environment"] |= {name: environment[name] for name in (RUN_MARK, MARK)}
    return json.dumps(told).encode() + b"\n"


async def _listen(process: asyncio.subprocess.Process, plan: bytes, watching: _Watching) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(plan)
        await process.stdin.drain()
    limit_s = _START_LIMIT_S
    try:
        while not watching.done and watching.error is None:
            async with asyncio.timeout(limit_s):
                line = await process.stdout.readline()
            # The last line of a generator that was killed may lack its end.
            if not line.endswith(b"\n"):
                return
            limit_s = watching.heard(json.loads(line))
    except TimeoutError:
        watching.error = WorkbenchError("the load generator says nothing any more, and was ended; try again")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let the generator leave by itself, which closes its servers; then end it."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_LEAVE_LIMIT_S):
            await process.wait()
    except TimeoutError:
        await _kill(process)
    except BaseException:
        await _kill(process)
        raise


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


class _Watching:
    """What the generator has said so far, and what the processors did meanwhile."""

    def __init__(
        self,
        plan: Plan,
        servers: Sequence[int | None],
        progress: Progress | None,
        listener: Listener | None,
    ) -> None:
        self.done = False
        self.error: WorkbenchError | None = None
        self._plan = plan
        self._servers: list[int | None] = [*servers, *[None] * (len(plan.arms) - len(servers))]
        self._progress = progress
        self._listener = listener
        self._begun: tuple[list[float | None], float] | None = None
        self._ended: tuple[list[float | None], float] | None = None

    def heard(self, told: dict[str, Any]) -> float:
        """Take one line; return for how many seconds the next one is waited for."""
        event = told.pop("event")
        if event == "ready":
            self._servers = [mine or theirs for mine, theirs in zip(told["pids"], self._servers, strict=True)]
        elif event == "phase":
            if told["phase"] == "measured" and self._begun is None:
                self._begun = self._clocks()
        elif event == "live":
            live = Live(**told)
            if self._progress is not None and live.total_s:
                self._progress(min(round(1_000 * live.done_s / live.total_s), 1_000), 1_000)
            if self._listener is not None:
                self._listener(live)
        elif event == "measured":
            self._ended = self._clocks()
        elif event == "failed":
            self.error = UnreachableError(told["words"])
        elif event == "done":
            self.done = True
        return self._plan.timeout_s + _SPARE_S if self._begun is not None else _START_LIMIT_S

    def cpu(self) -> ServerCpu:
        """Return what the servers and all others did while it was measured."""
        if self._begun is None or self._ended is None:
            return ServerCpu((None,) * len(self._plan.arms))
        (before, busy_before), (after, busy_after) = self._begun, self._ended
        spent = tuple(
            None if first is None or last is None else max(0.0, last - first)
            for first, last in zip(before, after, strict=True)
        )
        return ServerCpu(spent, busy_after - busy_before, tuple(self._servers))

    def _clocks(self) -> tuple[list[float | None], float]:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # Guests are counted in user time already.
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return [_cpu_s(pid) for pid in self._servers], sum(times) - idle - twice


def _cpu_s(pid: int | None) -> float | None:
    """Return the CPU seconds of a process and its children so far; of this process without them.

    The children of this one are generators and calibration servers.
    """
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        total = 0.0
        children = [] if pid == os.getpid() else process.children(recursive=True)
        for each in [process, *children]:
            with contextlib.suppress(psutil.Error):
                times = each.cpu_times()
                total += times.user + times.system
    except psutil.Error:
        return None
    return total
