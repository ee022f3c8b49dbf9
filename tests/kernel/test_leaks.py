"""Opening and closing leaks nothing. The small version; the full one is ``benchmarks/proof_leaks.py``."""

from collections.abc import Callable
from typing import Any

import psutil
import pytest
from held import cycle, held

from mcp_workbench import Workbench


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
