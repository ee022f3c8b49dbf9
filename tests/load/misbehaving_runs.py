"""Loads on misbehaving servers, and what may be left of them: nothing. For the tests and the long proof."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil

from mcp_workbench.kernel.leash import leash
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step, Wire
from mcp_workbench.load.run import Run

SERVER = str(Path(__file__).with_name("misbehaving_server.py"))
# Isolated and without site packages: it starts in a few hundredths of a second.
COMMAND = (sys.executable, "-I", "-S", SERVER)
OPERATIONS = (Operation("make", 1.0, (Step("make", ({"a": 1},)),)),)
MODERN = "2026-07-28"


def over_http(way: str, port: int, protocol: str = MODERN) -> Arm:
    return Arm(way, Wire("http", protocol, url=f"http://127.0.0.1:{port}/{way}"), OPERATIONS)


def over_stdio(way: str, after: int = 3, protocol: str = MODERN, *, late_s: float = 0.5) -> Arm:
    command = (*COMMAND, "stdio", way, "--after", str(after), "--late", str(late_s))
    return Arm(way, Wire("stdio", protocol, command=command), OPERATIONS)


@contextlib.contextmanager
def listening(after: int = 3) -> Iterator[int]:
    """Start a server that misbehaves over HTTP, and yield its port."""
    command = [*COMMAND, "http", "--after", str(after)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def marked(mark: str = "") -> list[str]:
    """Return the processes that carry the mark of a kernel, this one if left out: its loads and their servers."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (mark or leash().mark) in process.environ().values():
                found.append(" ".join(process.cmdline()))
    return found


def open_files() -> int:
    return psutil.Process().num_fds()


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("mcp-workbench-load-*"))


def late_s(run: Run, block: int) -> float:
    """Return how long after the meant end of a block its last call ended."""
    return (run.books[block].ended_ns - run.books[block].meant_end_ns) / 1e9


def starved_s(run: Run, block: int) -> float:
    """Return for how long the generator waited for a processor while a block lasted; 0 if the system does not tell."""
    return sum(
        (after.waited_ns - before.waited_ns) / 1e9
        for before, after in pairwise(run.beats)
        if block in (before.block, after.block) and before.waited_ns is not None and after.waited_ns is not None
    )


def counted(run: Run, arm: int) -> dict[str, int]:
    """Return how many calls of an arm ended how, each with its code where it has one."""
    calls = run.calls(arm)
    told = {outcome.value: number for outcome, number in calls.outcomes().items()}
    for (_, code), number in calls.codes.items():
        told[code] = told.get(code, 0) + number
    return told


def plan_of(arms: list[Arm], blocks: list[tuple[float | None, int | None]], seconds: float, timeout_s: float) -> Plan:
    """Return the plan that calls each arm in each of ``blocks``: a rate, or a number of users."""
    each = tuple(Block(arm, seconds, rate, users) for arm in range(len(arms)) for rate, users in blocks)
    return Plan(tuple(arms), each, timeout_s=timeout_s, arrivals="constant")
