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
    MODERN,
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
from mcp_workbench.load.driving import Live, _cpu_s, drive
from mcp_workbench.load.generator import stdio_wire
from mcp_workbench.load.generator.answers import GENERATOR_NO_SOCKETS, OK
from mcp_workbench.load.generator.call import Call
from mcp_workbench.load.generator.stdio_wire import StdioWire
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


def test_connections_to_a_server_that_drops_none_are_never_opened_again() -> None:
    with listening(10**9) as port:
        run = asyncio.run(drive(plan_of([over_http("hangs", port)], [(None, 2), (None, 100)], 0.2, PATIENT_S)))
    assert run.calls(0).outcomes() == {Outcome.OK: len(run.calls(0))}
    assert run.books[1].peak_in_flight == 100
    assert run.reconnected == (0,)


def test_each_measured_call_opens_a_connection_again_where_the_server_closes_each() -> None:
    with listening(0) as port:
        plan = plan_of([over_http("until-closed", port)], [(None, 2), (None, 2)], 0.2, PATIENT_S)
        warming, measured = plan.blocks
        run = asyncio.run(drive(replace(plan, blocks=(replace(warming, phase="warm-up"), measured))))
    assert run.calls(0).outcomes() == {Outcome.OK: len(run.calls(0))}
    assert run.reconnected == (len(run.calls(0)),)


TALKING = """
import json, os, sys, time

for line in sys.stdin.buffer:
    message = json.loads(line)
    print("x" * 1_000_000, "said with the last breath", file=sys.stderr, flush=True)
    # Until it is cut.
    while os.fstat(2).st_size > 100_000:
        time.sleep(0.01)
    if sys.argv[1] == "dies":
        os._exit(3)
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": [], "tools": []}}), flush=True)
"""


@pytest.fixture
def quickly_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio_wire, "_MOST_SAID_BYTES", 100_000)
    monkeypatch.setattr(stdio_wire, "_LOOK_S", 0.01)


async def _talks(way: str, calls: int) -> None:
    """Call a server that says a megabyte with each call, and answers only when little of it is left."""
    answered = asyncio.Queue[int]()
    command = (sys.executable, "-I", "-S", "-c", TALKING, way)
    wire = StdioWire(Wire("stdio", MODERN, command=command), lambda *told: answered.put_nowait(told[1]))
    try:
        await wire.open(1)
        for number in range(calls):
            wire.send(Call(100_000_000 + number, (0, 0), "make", 0, None), wire.request("make", {}))
            async with asyncio.timeout(20):
                assert await answered.get() == OK
    finally:
        await wire.close()


@pytest.mark.usefixtures("quickly_cut")
def test_what_a_server_says_on_standard_error_does_not_fill_the_disk() -> None:
    asyncio.run(_talks("goes on", 5))


@pytest.mark.usefixtures("quickly_cut")
def test_the_last_words_of_a_server_that_said_too_much_are_told() -> None:
    with pytest.raises(UnreachableError, match=r"; it said: x+ said with the last breath$"):
        asyncio.run(_talks("dies", 1))


DYING = """
import os, sys, time
from mcp.server.mcpserver import MCPServer

server = MCPServer("dying", log_level="ERROR")

@server.tool()
def make(a: int) -> int:
    print("x" * 1_000_000, file=sys.stderr)
    print("said with the last breath", file=sys.stderr, flush=True)
    while os.fstat(2).st_size > 100_000:
        time.sleep(0.01)
    os._exit(3)
"""


@pytest.mark.usefixtures("quickly_cut")
def test_the_last_words_of_a_generator_that_said_too_much_are_told(tmp_path: Path) -> None:
    file = tmp_path / "dying.py"
    file.write_text(DYING)
    arm = Arm("dying", Wire("in-process", MODERN, word=f"{file}:server"), OPERATIONS)
    with pytest.raises(WorkbenchError, match=r"^the load generator ended before its time: said with the last breath$"):
        asyncio.run(drive(plan_of([arm], [(None, 1)], 0.1, PATIENT_S)))


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


BUSY = """
import sys, time
while time.process_time() < 1.5: pass
print("done", flush=True)
sys.stdin.read()
"""


def test_what_this_process_has_started_is_not_its_servers_work() -> None:
    before_s = _cpu_s(os.getpid())
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        after_s, its_s = _cpu_s(os.getpid()), _cpu_s(child.pid)
        times = psutil.Process(child.pid).cpu_times()
        child.communicate(b"")
    assert before_s is not None
    assert after_s is not None
    assert its_s is not None
    # Systems count it in hundredths, by samples.
    assert 1.0 <= its_s <= times.user + times.system
    # This process waited for it.
    assert after_s - before_s < its_s / 2
