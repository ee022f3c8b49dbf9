"""Two targets that run, compared live: verdicts that no noise can change, and what processes differ by."""

import shlex
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.mcpserver import MCPServer

from mcp_workbench import Workbench
from mcp_workbench.load.compare import compare
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.verdicts import Verdict

# Of so short a run only what is not to be explained by any luck.
BRIEF = GateSettings(least_pairs=2, least_calls=10, judge_tail="never", stall_margin=1.0)
SLEEPING = """
import asyncio, sys
from pathlib import Path
from mcp.server.mcpserver import MCPServer

server = MCPServer("sleeping", log_level="ERROR")
for number in range(100):
    try:
        Path(f"{sys.argv[3]}-{number}").touch(exist_ok=False)
        break
    except FileExistsError:
        continue
seconds = float(sys.argv[1 + number % 2])

@server.tool()
async def sleep() -> None:
    await asyncio.sleep(seconds)

server.run()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "sleeping.py"
    file.write_text(SLEEPING)
    return file


def sleeping(script: Path, one_s: float, other_s: float, name: str) -> str:
    """Return a command whose processes sleep in each call: every second one for so long, and the others for so long."""
    words = [sys.executable, str(script), str(one_s), str(other_s), str(script.with_name(name))]
    return shlex.join(words)


def test_a_candidate_that_is_many_times_as_slow_ends_the_command_with_1(run: Any, script: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate.yaml"
    gate.write_text("least_pairs: 2\nleast_calls: 10\njudge_tail: never\n")
    quick, slow = sleeping(script, 0.001, 0.001, "quick"), sleeping(script, 0.05, 0.05, "slow")
    words = ("--tool", "sleep", "--concurrency", "2", "--duration", "0.6", "--warm-up", "0.05", "--starts", "1")
    code, out, err = run("compare", quick, slow, *words, "--gate", str(gate))
    assert (code, err) == (1, "")
    assert out.startswith("regression: p50 is ")
    assert "1 process against 1; stdio, own process" in out
    assert "How it was measured" in out


def test_a_process_that_is_slower_than_its_sister_is_luck_and_not_the_servers_change(script: Path) -> None:
    steady, torn = sleeping(script, 0.004, 0.004, "steady"), sleeping(script, 0.004, 0.04, "torn")
    found = compare(
        steady, torn, tool="sleep", users=2, duration=1, warm_up=0.05, starts=2, settings=BRIEF, progress=False
    )
    (change,) = [each.change for each in found.findings if each.measure == "p50"]
    assert found.verdict is not Verdict.REGRESSION
    assert change is not None
    assert change.high / change.low > 2


def test_a_server_that_stalls_after_its_turns_is_a_regression_that_no_latency_shows() -> None:
    server = MCPServer("stalling", log_level="ERROR")
    calls = 0

    @server.tool()
    async def look() -> None:
        nonlocal calls
        calls += 1
        await anyio.sleep(0.2 if calls % 40 == 0 else 0.001)

    steady = MCPServer("steady", log_level="ERROR")

    @steady.tool(name="look")
    async def quick() -> None:
        await anyio.sleep(0.001)

    settings = GateSettings(least_pairs=2, least_calls=10, p50_margin=50, p50_found=100, tail_margin=50, tail_found=100)
    with Workbench(steady) as first, Workbench(server) as second:
        found = compare(
            first, second, tool="look", rate=200, duration=1, warm_up=0.05, settings=settings, progress=False
        )
    stalls = [each for each in found.findings if each.measure == "stalls"]
    assert [each.verdict for each in stalls] == [Verdict.REGRESSION]
    assert found.verdict is Verdict.REGRESSION
