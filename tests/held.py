"""What this process holds, counted before and after: for the leak test, and for the proof in ``benchmarks``."""

import gc
import threading
from typing import Any

import psutil

from mcp_workbench import Workbench


def held() -> dict[str, int]:
    """Return how many threads, sockets, child processes and file descriptors this process holds.

    Without the threads of a loop's pool, which looks up host names: they are at most a few, and come when two are
    wanted at once.
    """
    gc.collect()
    process = psutil.Process()
    return {
        "threads": sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate()),
        "sockets": len(process.net_connections()),
        "processes": len(process.children(recursive=True)),
        "descriptors": process.num_fds(),
    }


def cycle(target: Any, options: dict[str, Any]) -> None:
    """Open a target, call it once, and close it."""
    with Workbench(target, **options) as bench:
        assert bench.call("add", {"a": 1}).ok
