"""Opening and closing leaks nothing. The small version; the full one is ``benchmarks/proof_leaks.py``."""

import gc
import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from mcp_workbench import Workbench


def held() -> dict[str, int]:
    """Return how many of each this process holds."""
    gc.collect()
    process = psutil.Process()
    return {
        "threads": threading.active_count(),
        "sockets": len(process.net_connections()),
        "processes": len(process.children(recursive=True)),
        "descriptors": process.num_fds(),
    }


def cycle(target: Any, options: dict[str, Any]) -> None:
    with Workbench(target, **options) as bench:
        assert bench.call("add", {"a": 1}).ok


@pytest.mark.parametrize("kind", ["in-process", "in-kernel-http", "stdio", "http"])
def test_cycles_of_opening_and_closing_leak_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    fixture = {"stdio": "command", "http": "http_server"}.get(kind, "server")
    target = request.getfixturevalue(fixture)
    target = getattr(target, "url", target)
    options = {"transport": "http"} if kind == "in-kernel-http" else {}
    # The first cycle starts the loop and its threads, which stay.
    cycle(target, options)
    before = held()
    for _ in range(3 if kind == "stdio" else 10):
        cycle(target, options)
    assert held() == before


@pytest.mark.parametrize("kind", ["command", "url"])
def test_failed_openings_leak_nothing(kind: str) -> None:
    target: Any = ["false"] if kind == "command" else "http://127.0.0.1:9/mcp"

    def fail() -> None:
        with pytest.raises(Exception, match="no MCP server"):
            Workbench(target)

    assert_level(fail)


def assert_level(work: Callable[[], None]) -> None:
    work()
    settle()
    before = held()
    for _ in range(5):
        work()
    settle()
    assert held() == before


def settle() -> None:
    """Wait until the processes of refused targets have ended."""
    psutil.wait_procs(psutil.Process().children(recursive=True), timeout=10)
