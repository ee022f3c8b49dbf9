"""Loads on servers that misbehave: each call is counted, the run ends on time, nothing is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from misbehaving_runs import (
    OPERATIONS,
    counted,
    folders,
    late_s,
    listening,
    marked,
    open_files,
    over_http,
    over_stdio,
    plan_of,
    starved_s,
)

from mcp_workbench.errors import UnreachableError, WorkbenchError
from mcp_workbench.load.assessing import assess
from mcp_workbench.load.driving import Live, drive
from mcp_workbench.load.generator.answers import GENERATOR_NO_SOCKETS
from mcp_workbench.load.plan import Arm, Block, Plan, Wire
from mcp_workbench.load.run import Run
from mcp_workbench.records import Outcome

# Nobody waits that long unless something is wrong: slow machines answer within it.
PATIENT_S = 5.0
HANGING_S = 1.0
# How each way ends the calls that come after the first two.
HTTP = {
    "dies": "connection_refused",
    "refuses": "connection_refused",
    "unavailable": "http_503",
    "error": "-32603",
    "not-http": "not_http",
    "not-json": "not_json",
    "length-too-small": "not_http",
    "earlier-id": "wrong_id",
    "text-id": "wrong_id",
    "announces-too-much": "result_too_large",
    "endless-head": "not_http",
    "asks": "ok",
    "floods": "ok",
    "stream-without-end": "ok",
    "stream-without-answer": "no_answer",
    "until-closed": "ok",
    "closes-without": "connection_closed",
    "answers-twice": "not_http",
}
STDIO = {
    "dies": "connection_closed",
    "error": "-32603",
    "text-id": "wrong_id",
    "asks": "ok",
    "floods": "ok",
    "answers-twice": "ok",
    "closes-output": "connection_closed",
}
# Servers that do not leave when they should, or leave something behind, or answer at length.
STAYING = {"stays": "ok", "forks": "ok", "huge": "line_too_long"}
# Three timeouts at most in a run, or its last turns would be left out.
HANGING_HTTP = dict.fromkeys(("hangs", "length-too-large", "half-an-event"), "timeout")
# What comes late comes in the next one's time.
LATE = dict.fromkeys(("late", "hangs"), "timeout")
USELESS = dict.fromkeys(("not-json", "earlier-id"), "timeout")
Ways = dict[str, str]
# What is called by one generator: over HTTP, over stdio, with which timeout.
GROUPS: tuple[tuple[Ways, Ways, float], ...] = (
    (HTTP, STDIO, PATIENT_S),
    ({}, STAYING, PATIENT_S),
    (HANGING_HTTP, {}, HANGING_S),
    ({}, LATE, HANGING_S),
    ({}, USELESS, HANGING_S),
)


async def _runs() -> list[Run]:
    with listening(2) as port, listening(2) as dying, listening(2) as refusing:
        ports = {"dies": dying, "refuses": refusing}
        plans = []
        for http, stdio, limit_s in GROUPS:
            arms = [over_http(way, ports.get(way, port)) for way in http]
            arms += [over_stdio(way, 2, late_s=1.2 * HANGING_S) for way in stdio]
            plans.append(plan_of(arms, [(50.0, None)], 0.1, limit_s))
        return await asyncio.gather(*map(drive, plans))


@pytest.fixture(scope="module", autouse=True)
def _folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("loads")))
        yield


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    before = open_files(), folders()
    found = asyncio.run(_runs())
    assert marked() == []
    assert (open_files(), folders()) == before
    return found


@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_each_call_on_a_misbehaving_server_is_counted_by_how_it_ended(runs: list[Run], group: int) -> None:
    run, (http, stdio, _) = runs[group], GROUPS[group]
    for arm, (way, ending) in enumerate([*http.items(), *stdio.items()]):
        told = counted(run, arm)
        calls = run.calls(arm)
        assert len(calls) == calls.offered - calls.dropped == 5, way
        assert told["ok"] >= 2, (way, told)
        assert told.get(ending, 0) >= (len(calls) if ending == "ok" else 1), (way, told)
        assert ending == "timeout" or "timeout" not in told, (way, told)


@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_a_load_on_a_misbehaving_server_ends_on_time(runs: list[Run], group: int) -> None:
    run = runs[group]
    assert len(run.books) == len(run.plan.blocks)
    for at, block in enumerate(run.plan.blocks):
        # But for what a busy machine kept the generator from its processor.
        late = late_s(run, at) - starved_s(run, at)
        assert late <= run.plan.timeout_s + 1.0, run.plan.arms[block.arm].name


def test_a_load_whose_last_turns_were_left_out_says_so(runs: list[Run]) -> None:
    run = runs[0]
    longer = replace(run, plan=replace(run.plan, blocks=run.plan.blocks * 2))
    whole, cut = (assess(each, [0], each.calls(0), []).notes for each in (run, longer))
    assert not any("left out" in note for note in whole)
    assert any(f"{len(run.books)} of {2 * len(run.books)} turns were left out" in note for note in cut)


async def _ends(plan: Plan, signal_number: int | None) -> None:
    """Begin a load; once it is under way, kill its generator, or cancel the load where no signal is given."""
    under_way = asyncio.Event()

    def heard(live: Live) -> None:
        if live.calls:
            under_way.set()

    loading = asyncio.create_task(drive(plan, listener=heard))
    await under_way.wait()
    if signal_number is None:
        loading.cancel()
    else:
        (generator,) = (
            each for each in psutil.Process().children() if "mcp_workbench.load.generator" in each.cmdline()
        )
        generator.send_signal(signal_number)
    await loading


def test_a_load_that_is_cancelled_ends_its_generator_and_servers() -> None:
    before = open_files(), folders()
    plan = plan_of([over_stdio("answers-twice")], [(None, 2)], 60.0, 60.0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_ends(plan, None))
    assert marked() == []
    assert (open_files(), folders()) == before


def test_a_load_whose_generator_is_killed_ends_its_servers() -> None:
    before = open_files(), folders()
    plan = plan_of([over_stdio("forks")], [(None, 2)], 60.0, 60.0)
    with pytest.raises(WorkbenchError, match="ended before its time"):
        asyncio.run(_ends(plan, signal.SIGKILL))
    assert marked() == []
    assert (open_files(), folders()) == before


PARENT = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from misbehaving_runs import over_stdio, plan_of
from mcp_workbench.kernel.leash import leash
from mcp_workbench.load.driving import drive

said = []
def heard(live):
    if live.calls and not said:
        said.append(print(leash().mark, flush=True))

asyncio.run(drive(plan_of([over_stdio("hangs")], [(None, 2)], 60.0, 60.0), listener=heard))
"""


def test_a_load_whose_caller_is_killed_ends_by_itself(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, str(Path(__file__).parent)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as caller:
        assert caller.stdout is not None
        mark = caller.stdout.readline().strip()
        assert len(marked(mark)) >= 2
        caller.kill()
    until_s = time.monotonic() + 20
    while marked(mark) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert marked(mark) == []


def test_a_target_that_is_not_there_is_said_and_no_other_server_is_left() -> None:
    before = open_files(), folders()
    nowhere = Arm("nowhere", Wire("http", "2026-07-28", url="http://127.0.0.1:9/mcp"), OPERATIONS)
    plan = Plan((over_stdio("answers-twice"), nowhere), (Block(0, 0.1, 10.0, None), Block(1, 0.1, 10.0, None)))
    with pytest.raises(UnreachableError, match="cannot be reached"):
        asyncio.run(drive(plan))
    assert marked() == []
    assert (open_files(), folders()) == before


def test_a_generator_that_fails_says_so_in_one_line() -> None:
    arm = Arm("nameless", Wire("http", "2026-07-28", url="http:///mcp"), OPERATIONS)
    with pytest.raises(WorkbenchError, match=r"^the load generator ended before its time: AssertionError$"):
        asyncio.run(drive(plan_of([arm], [(10.0, None)], 0.1, 1.0)))


async def _without_files(plan: Plan) -> Run:
    """Make a load whose generator can open no file and no socket once it has begun."""

    def heard(_: Live) -> None:
        (generator,) = (
            each for each in psutil.Process().children() if "mcp_workbench.load.generator" in each.cmdline()
        )
        generator.rlimit(psutil.RLIMIT_NOFILE, (3, 3))

    return await drive(plan, listener=heard)


def test_a_generator_without_a_file_left_says_so_and_brings_back_what_it_measured() -> None:
    with listening(2) as port:
        run = asyncio.run(_without_files(plan_of([over_http("hangs", port)], [(40.0, None)], 1.0, 0.5)))
    told = counted(run, 0)
    assert len(run.calls(0)) == run.calls(0).offered == 40
    assert told["ok"] == 2
    assert told[GENERATOR_NO_SOCKETS] + told["timeout"] == 38


PRINTING = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("printing", log_level="ERROR")

@server.tool()
def make(a: int) -> int:
    print("{not a line of the generator's")
    return a
"""


def test_a_server_in_the_generator_may_print(tmp_path: Path) -> None:
    file = tmp_path / "printing.py"
    file.write_text(PRINTING)
    arm = Arm("printing", Wire("in-process", "2026-07-28", word=f"{file}:server"), OPERATIONS)
    run = asyncio.run(drive(plan_of([arm], [(50.0, None)], 0.1, 2.0)))
    assert run.calls(0).outcomes() == {Outcome.OK: 5}
