"""The background loop, and what is left when a process leaves."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest

from mcp_workbench.errors import LoopError
from mcp_workbench.kernel.leash import MARK
from mcp_workbench.kernel.loop import BackgroundLoop, background, sdk_log

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from mcp.server.mcpserver import MCPServer
server = MCPServer("stubborn", log_level="ERROR")
@server.tool()
def hello() -> str:
    return "hello"
import anyio
async def main():
    try:
        await server.run_stdio_async()
    finally:
        time.sleep(600)
anyio.run(main)
"""

LEAVES = """
import os, sys, signal
from mcp_workbench import Workbench, serve
from example_servers import make_server
stubborn = Workbench([sys.executable, "stubborn.py"])
direct, hosted = Workbench(make_server()), serve(make_server("hosted"))
assert stubborn.call("hello").ok and direct.call("add", {"a": 1}).ok
print(os.getpid(), flush=True)
HOW
"""


def leave(how: str, folder: Path) -> tuple[int, set[int]]:
    """Run a program that opens one of each and leaves; return its exit code and the processes of its servers."""
    (folder / "stubborn.py").write_text(STUBBORN)
    tests = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ["PYTHONPATH"]])}
    program = subprocess.Popen(
        [sys.executable, "-c", LEAVES.replace("HOW", how)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline().strip() == str(program.pid)
        marked = {child.pid for child in psutil.Process(program.pid).children(recursive=True)}
        assert marked
        program.communicate("\n")
    return program.returncode, marked


def gone(processes: set[int]) -> bool:
    alive = [psutil.Process(each) for each in processes if psutil.pid_exists(each)]
    _, left = psutil.wait_procs(alive, timeout=20)
    return not left


Left: TypeAlias = dict[str, Future[tuple[int, set[int]]]]
ENDS = "input()"
FAILS = "input(); sys.exit(5)"
IS_KILLED = "input(); os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """Programs that leave in each way, at the same time: what ends a stubborn server waits for seconds."""
    with ThreadPoolExecutor() as pool:
        yield {how: pool.submit(leave, how, tmp_path_factory.mktemp("left")) for how in (ENDS, FAILS, IS_KILLED)}


def test_a_program_that_ends_leaves_no_server_behind(left: Left) -> None:
    code, processes = left[ENDS].result()
    assert code == 0
    assert gone(processes)


def test_a_program_that_fails_leaves_no_server_behind(left: Left) -> None:
    code, processes = left[FAILS].result()
    assert code == 5
    assert gone(processes)


def test_a_program_that_is_killed_leaves_no_server_behind_not_even_one_that_will_not_end(left: Left) -> None:
    code, processes = left[IS_KILLED].result()
    assert code == -signal.SIGKILL
    assert gone(processes)


def test_the_watching_process_ends_with_the_last_server(command: list[str]) -> None:
    from mcp_workbench import Workbench

    with Workbench(command), Workbench(command):
        watching = [each for each in psutil.Process().children() if "leash.py" in " ".join(each.cmdline())]
        assert len(watching) == 1
    assert not watching[0].is_running()


def test_servers_carry_the_mark_and_nothing_else_of_our_environment(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_workbench import Workbench

    monkeypatch.setenv("MY_SECRET", "hush")
    with Workbench(command) as bench:
        environment = psutil.Process(bench.call("process_id").value).environ()
        assert MARK in environment
        assert "MY_SECRET" not in environment


def test_a_stopped_loop_starts_again_at_the_next_use() -> None:
    loop = BackgroundLoop()

    async def answer() -> int:
        return 42

    assert loop.run(answer()) == 42
    thread = loop._thread
    assert thread is not None
    loop.stop()
    assert not loop.running
    assert not thread.is_alive()
    loop.stop()
    assert loop.run(answer()) == 42
    loop.stop()


def test_what_is_open_is_closed_before_the_loop_stops() -> None:
    loop, closed = BackgroundLoop(), []

    async def close() -> None:
        await asyncio.sleep(0)
        closed.append(True)

    loop.run(asyncio.sleep(0))
    loop.on_exit(close)
    loop.stop()
    assert closed == [True]


def test_an_error_of_the_work_reaches_the_caller_also_when_it_is_a_timeout() -> None:
    async def late() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        background().run(late())
    with pytest.raises(TimeoutError, match="mine"):
        asyncio.run(background().arun(late()))


def test_blocking_on_the_loops_own_thread_is_refused() -> None:
    async def inner() -> None:
        background().run(asyncio.sleep(0))

    with pytest.raises(LoopError, match="acall"):
        background().run(inner())


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    background().run(asyncio.sleep(0))
    script = (
        "import asyncio, os, warnings; warnings.simplefilter('ignore')\n"
        "from mcp_workbench.kernel.loop import background\n"
        "background().run(asyncio.sleep(0))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    background().run(asyncio.sleep(0)); os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "7", done.stderr


def test_a_server_that_configures_logging_does_not_fill_the_notebook() -> None:
    script = (
        "import json, sys\n"
        "from mcp.server.mcpserver import MCPServer\n"
        "server = MCPServer('loud')\n"
        "@server.tool()\n"
        "def crash() -> str:\n    raise ValueError('the reason')\n"
        "from mcp_workbench import Workbench\n"
        "with Workbench(server, transport='http') as bench:\n    result = bench.call('crash')\n"
        "print(json.dumps(result.server_said))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert "ValueError: the reason" in json.loads(done.stdout)


def test_the_sdk_log_is_bounded() -> None:
    import logging

    logger = logging.getLogger("mcp.test")
    background().run(asyncio.sleep(0))
    for at in range(600):
        logger.error("line %d %s", at, "x" * 5_000)
    lines = sdk_log().since(0)
    assert len(lines) == 500
    assert lines[-1].startswith("ERROR line 599")
    assert all(len(line) <= 2_000 for line in lines)
