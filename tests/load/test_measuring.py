"""``Workbench.baseline`` and ``compare`` on servers that run: what is measured, how it is labelled, what is refused."""

import asyncio
import gc
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import anyio
import psutil
import pytest
from example_servers import make_server
from mcp.server.mcpserver import MCPServer
from pydantic import Field

from mcp_workbench import Workbench
from mcp_workbench.errors import FileError, UnknownToolError, UsageError, VoidRunError
from mcp_workbench.load.baselines.baseline import Baseline
from mcp_workbench.load.compare import compare
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.verdicts import Verdict
from mcp_workbench.load.driving import Live
from mcp_workbench.load.workloads.workload import CallShare, Flow, FlowStep, Workload
from mcp_workbench.records import Outcome

FILE = Path(__file__).parents[1] / "example_servers.py"
ECHOING = f"{FILE}:server"
QUICK: dict[str, Any] = {"users": 2, "duration": 0.15, "warm_up": 0.02}


def generators() -> list[psutil.Process]:
    """Return the load generators that this process has started and that still run."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "mcp_workbench.load.generator" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def pausing(seconds: float) -> MCPServer:
    """Return a server with a tool that takes so long."""
    server = MCPServer(f"pausing {seconds}", log_level="ERROR")

    @server.tool()
    async def pause() -> str:
        await anyio.sleep(seconds)
        return "done"

    return server


def believed(measured: Baseline) -> Baseline:
    """Return a baseline that is not void, for tests of something else: tests share the machine with other tests."""
    return replace(measured, honesty=replace(measured.honesty, void=()))


@pytest.fixture(scope="module")
def bench(http_address: str) -> Iterator[Workbench]:
    with Workbench(http_address) as opened:
        yield opened


@pytest.fixture(scope="module")
def calibrated(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a baseline that has the calibration server beside it."""
    file = tmp_path_factory.mktemp("baselines") / "first.json"
    return believed(bench.baseline("add", {"a": 1}, rate=200, duration=0.4, warm_up=0.05, label="1.0")).save(file)


# What is measured, and how it is labelled.


@pytest.mark.parametrize(
    ("target", "options", "labels"),
    [
        ([sys.executable, str(FILE), "stdio"], {"mode": "legacy"}, ("stdio", "own process", "2025-11-25")),
        (make_server, {"mode": "legacy"}, ("in-kernel-http", "in the kernel", "2025-11-25")),
        (ECHOING, {}, ("in-process", "in the generator", "2026-07-28")),
    ],
    ids=["command", "object", "file"],
)
def test_a_baseline_says_how_the_target_was_spoken_to_and_where_it_ran(
    target: Any, options: dict[str, Any], labels: tuple[str, str, str]
) -> None:
    with Workbench(target() if callable(target) else target, **options) as opened:
        found = opened.baseline("add", {"a": 1}, calibrated=False, starts=2, **QUICK)
        # The load went past the workbench's own connection, which is as it was.
        assert opened.call("add", {"a": 2, "b": 3}).value == 5
    conditions = found.conditions
    assert (conditions.transport, conditions.placement, conditions.protocol) == labels
    # Two processes of a command take turns; of all else there is one.
    assert found.processes == (2 if conditions.transport == "stdio" else 1)
    assert found.whole.calls >= 2
    assert not found.whole.errors
    assert abs(found.honesty.little - 1) < 0.05
    assert generators() == []


def test_an_open_load_over_http_is_labelled_and_sees_its_server(bench: Workbench) -> None:
    seen: list[Live] = []
    found = bench.baseline(
        "add",
        {"a": 1},
        calibrated=False,
        rate=100,
        duration=0.5,
        warm_up=0.02,
        arrivals="constant",
        listener=seen.append,
    )
    assert found.conditions.words() == "http, own process, open at 100 a second (constant)"
    assert (found.honesty.offered, found.honesty.dropped) == (50, 0)
    assert found.honesty.server_share is not None
    assert found.honesty.sampled_wrong == 0
    assert seen
    assert seen[-1].failed == 0


def test_a_mix_has_figures_for_each_tool_and_flows_pass_on_what_they_keep(bench: Workbench) -> None:
    mix = Workload(
        name="mix",
        calls=(CallShare(tool="add", weight=3, arguments=({"a": 1}, {"a": 2})), CallShare(tool="fail")),
        flows=(
            Flow(
                name="twice",
                steps=(
                    FlowStep(tool="add", arguments={"a": 1}, keep="one"),
                    FlowStep(tool="large", arguments={"characters": "${one.result}"}),
                ),
            ),
        ),
    )
    found = bench.baseline(workload=mix, calibrated=False, **QUICK | {"duration": 0.4})
    by_tool = {row.tool: row for row in found.tools}
    assert set(by_tool) == {"add", "fail", "large"}
    assert found.whole.calls == sum(row.calls for row in found.tools)
    assert by_tool["fail"].outcomes == {Outcome.TOOL_ERROR: by_tool["fail"].calls}
    assert by_tool["add"].errors == by_tool["large"].errors == 0
    assert by_tool["add"].calls > by_tool["large"].calls > 0
    assert found.conditions.workload == "mix"


def test_no_call_of_a_tool_that_wants_arguments_in_headers_fails_over_http() -> None:
    server = MCPServer("sorting", log_level="ERROR")

    @server.tool()
    def sort_in(
        city: Annotated[str, Field(json_schema_extra={"x-mcp-header": "City"})],
        urgent: Annotated[bool, Field(json_schema_extra={"x-mcp-header": "Urgent"})] = False,
    ) -> str:
        return f"{city} ({urgent})"

    first = FlowStep(tool="sort_in", arguments={"city": "Zürich", "urgent": True}, keep="first")
    flow = Flow(name="twice", steps=(first, FlowStep(tool="sort_in", arguments={"city": "${first.result}"})))
    mix = Workload(name="mix", calls=(CallShare(tool="sort_in", arguments={"city": "Bern"}),), flows=(flow,))
    with Workbench(server) as opened:
        found = opened.baseline(workload=mix, users=1, duration=0.3, warm_up=0, calibrated=False, progress=False)
    assert found.conditions.transport == "in-kernel-http"
    assert set(found.whole.outcomes) == {Outcome.OK}


def test_what_the_notebook_holds_is_not_searched_for_garbage_while_a_server_of_it_is_measured() -> None:
    server, frozen = MCPServer("keeper", log_level="ERROR"), []

    @server.tool()
    async def look() -> str:
        frozen.append(gc.get_freeze_count())
        return "done"

    with Workbench(server) as opened:
        opened.call("look")
        opened.compare(server, tool="look", starts=1, progress=False, **QUICK)
    assert frozen[0] == 0
    assert min(frozen[3:]) > 1_000
    assert gc.get_freeze_count() == 0


def test_no_call_has_the_argument_of_another_where_each_is_to_have_its_own() -> None:
    server, seen = MCPServer("guests", log_level="ERROR"), []

    @server.tool()
    async def check_in(name: str) -> str:
        seen.append(name)
        return "done"

    with Workbench(server) as opened:
        for _ in range(2):
            opened.baseline("check_in", {"name": "guest ${unique}"}, calibrated=False, progress=False, **QUICK)
    assert len(seen) == len(set(seen)) > 4
    assert not any("$" in name for name in seen)


def test_calls_that_fail_are_counted_by_outcome_and_make_a_baseline_all_the_same(
    bench: Workbench, tmp_path: Path
) -> None:
    found = bench.baseline("fail", calibrated=False, **QUICK)
    assert found.whole.outcomes == {Outcome.TOOL_ERROR: found.whole.calls}
    assert not found.ok
    assert any("the first call, made through the SDK, failed" in note for note in found.honesty.notes)
    assert "failed (100.0%): the first call, made through the SDK, failed" in found.headline()
    assert Baseline.load(believed(found).save(tmp_path / "failing.json")).whole.errors == found.whole.calls


def test_calls_without_an_answer_are_given_up_in_time(bench: Workbench) -> None:
    found = bench.baseline("slow", {"seconds": 60}, calibrated=False, timeout=0.1, **QUICK)
    assert found.whole.outcomes == {Outcome.TIMEOUT: found.whole.calls}
    assert any("had no answer within 0.1 s" in note for note in found.honesty.notes)


def test_what_would_have_come_while_a_server_stalls_waits_beside_a_calibration_server_too() -> None:
    server, made = MCPServer("stalling", log_level="ERROR"), itertools.count()

    @server.tool()
    async def now() -> str:
        if next(made) == 60:
            # The whole server stands still, not this call only.
            time.sleep(0.5)  # noqa: ASYNC251
        return "done"

    with Workbench(server, transport="http") as opened:
        found = opened.baseline("now", rate=200, arrivals="constant", duration=0.8, warm_up=0.05, progress=False)
    assert found.pairs is not None
    # Of the 160 calls 100 were meant to begin while it stood still; in turns of 0.1 s it would have been 20.
    waited_ms = found.whole.percentile_ms(75)
    assert waited_ms is not None
    assert waited_ms > 100


def test_a_load_that_its_generator_could_not_make_is_void_and_never_becomes_a_file(tmp_path: Path) -> None:
    command = [sys.executable, str(FILE.with_name("instant_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        with Workbench(f"http://127.0.0.1:{server.stdout.readline().strip()}/mcp") as opened:
            found = opened.baseline("nothing", calibrated=False, rate=100_000, duration=0.3, warm_up=0.02)
        server.kill()
    assert "the generator was the bottleneck" in found.void[0]
    assert not found.ok
    with pytest.raises(VoidRunError, match="the run is void"):
        found.save(tmp_path / "void.json")
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_that_is_cancelled_takes_its_generator_along(http_address: str) -> None:
    async def cancelled() -> None:
        async with await Workbench.aopen(http_address) as opened:
            loop, begun = asyncio.get_running_loop(), asyncio.Event()
            hard: dict[str, Any] = {"rate": 50, "duration": 60}

            def heard(_: Live) -> None:
                loop.call_soon_threadsafe(begun.set)

            load = asyncio.create_task(opened.abaseline("add", {"a": 1}, calibrated=False, listener=heard, **hard))
            async with asyncio.timeout(30):
                await begun.wait()
            made = generators()
            assert len(made) == 1
            load.cancel()
            with pytest.raises(asyncio.CancelledError):
                await load
            assert (await asyncio.to_thread(psutil.wait_procs, made, 10))[1] == []
            assert (await opened.acall("add", {"a": 1})).ok

    asyncio.run(cancelled())


# Comparing.


def test_a_server_compared_live_with_itself_is_no_regression(bench: Workbench, http_address: str) -> None:
    # Of so short a run only what is not to be explained by any luck.
    lucky = GateSettings(process_sd=0.3, tail_process_sd=0.6, p50_found=10.0)
    how: dict[str, Any] = {"tool": "add", "arguments": {"a": 1}, "settings": lucky}
    found = bench.compare(http_address, rate=300, duration=0.5, warm_up=0.05, **how)
    assert found.verdict is not Verdict.REGRESSION
    assert found.names == (f"{bench.name} (baseline)", f"{bench.name} (candidate)")
    assert found.processes == (1, 1)
    # Stalls and drops are told where there are any: other tests are at work, too.
    told = {each.measure for each in found.findings} - {"stalls", "drops"}
    assert told == {"p50", "p10", "p25", "p75-90", "tail", "errors"}


def test_a_slower_server_is_a_regression() -> None:
    # Other tests are at work, too: what they do to p50 is less than this, and need not be sure.
    unsure = GateSettings(alarm_confidence=0.5)
    with Workbench(pausing(0.002)) as quick, Workbench(pausing(0.05)) as slow:
        found = compare(quick, slow, tool="pause", rate=150, duration=1, warm_up=0.05, settings=unsure)
        assert found.findings[0].measure == "p50"
        assert found.findings[0].verdict is Verdict.REGRESSION
        assert found.conditions[1].placement == "in the kernel"


def test_other_transports_are_other_populations_and_nothing_is_called(bench: Workbench) -> None:
    before = len(bench.records)
    with pytest.raises(UsageError, match=r"different populations \(transport 'in-process' against 'http'; placement"):
        bench.compare(ECHOING, tool="add", arguments={"a": 1}, **QUICK)
    assert len(bench.records) == before


def test_a_tool_that_only_one_of_both_has_is_named_with_its_target(bench: Workbench) -> None:
    other = make_server("other")
    other.remove_tool("add")
    with pytest.raises(UnknownToolError, match="'other' has no tool 'add'"):
        compare(make_server(), other, tool="add", arguments={"a": 1}, **QUICK)


def test_a_target_is_called_as_the_stored_baseline_was_and_compared_with_it(bench: Workbench, calibrated: Path) -> None:
    found = bench.compare(calibrated, tool="add", arguments={"a": 1}, warm_up=0.05)
    assert found.conditions[1].rate == 200
    assert found.names == ("1.0", bench.name)
    assert abs(found.seconds - 0.4) < 0.05
    assert {each.unit for each in found.findings if each.measure == "p50"} == {"calibrations"}
    assert compare(calibrated, calibrated).verdict is not Verdict.REGRESSION


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"rate": 100}, "rate 200.0 against 100"),
        ({"users": 2}, "model 'open' against 'closed'"),
        ({"timeout": 3}, "timeout s 10.0 against 3"),
        ({"arguments": {"a": 2}}, "workload digest"),
    ],
)
def test_what_differs_from_the_stored_baseline_is_refused_before_anything_is_called(
    bench: Workbench, calibrated: Path, told: dict[str, Any], words: str
) -> None:
    before = len(bench.records)
    with pytest.raises(UsageError, match=f"different populations .*{words}"):
        bench.compare(calibrated, **{"tool": "add", "arguments": {"a": 1}} | told)
    assert len(bench.records) == before


def test_a_baseline_without_calibration_is_refused_before_anything_is_called(bench: Workbench, tmp_path: Path) -> None:
    stored = bench.baseline("add", {"a": 1}, calibrated=False, label="bare", **QUICK)
    before = len(bench.records)
    with pytest.raises(UsageError, match="bare was measured without the calibration server"):
        bench.compare(stored, tool="add", arguments={"a": 1})
    assert len(bench.records) == before


# Wrong usage: one sentence each, and nothing is called.


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "give either rate= "),
        ({"rate": 10, "users": 1}, "give either rate= .* and not both"),
        ({"rate": -3}, "rate=-3 makes no load; give calls a second from 0.01 to 100,000"),
        ({"rate": float("nan")}, "rate=nan makes no load"),
        ({"rate": "many"}, "rate='many' makes no load"),
        ({"rate": True}, "rate=True makes no load"),
        ({"users": 0}, "users=0 makes no load; give a whole number from 1 to 10,000"),
        ({"users": 1.5}, "users=1.5 makes no load"),
        (
            {"rate": 100_000, "duration": 1_001},
            "rate=100000 and duration=1001 make 100,100,000 calls, and each needs memory; "
            "give a rate and a duration that make 100,000,000 at most",
        ),
        ({"users": 1, "duration": 0}, "duration=0 makes no load; give seconds from 0.1 to 86,400"),
        ({"users": 1, "warm_up": -1}, "warm_up=-1 makes no load"),
        ({"users": 1, "timeout": 0}, "timeout=0 makes no load"),
        ({"users": 1, "max_in_flight": 0}, "max_in_flight=0 makes no load"),
        ({"users": 1, "starts": 99}, "starts=99 makes no load"),
        ({"users": 1, "seed": -1}, "seed=-1 makes no load"),
        ({"rate": 1, "arrivals": "late"}, "arrivals='late' is not known"),
        ({"users": 1, "hurry": 3}, "hurry= says nothing of a load; there is rate, users, duration"),
        ({"users": 1, "tool": None}, "give either a tool"),
        ({"users": 1, "workload": "mix.yaml"}, "give either a tool"),
        ({"users": 1, "arguments": 3}, "'add': these are no arguments"),
        ({"users": 1, "arguments": "examples"}, "there is no contract; give one"),
        ({"users": 1, "arguments": "no_such.jsonl"}, "the file of arguments 'no_such.jsonl' cannot be read"),
        ({"users": 1, "tool": "ad"}, "has no tool 'ad'; did you mean 'add'?"),
    ],
)
def test_what_makes_no_load_is_one_sentence_and_nothing_is_called(
    bench: Workbench, told: dict[str, Any], words: str
) -> None:
    before = len(bench.records)
    with pytest.raises(UsageError, match=words) as raised:
        bench.baseline(**{"tool": "add"} | told)
    assert "\n" not in str(raised.value)
    assert len(bench.records) == before
    assert generators() == []


def test_what_cannot_be_compared_is_one_sentence(bench: Workbench, tmp_path: Path, http_address: str) -> None:
    with pytest.raises(UsageError, match="there is no baseline at "):
        bench.compare(tmp_path / "no_such.json", tool="add", users=1)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(FileError, match="is no baseline"):
        bench.compare(tmp_path / "other.json", tool="add", users=1)
    with pytest.raises(UsageError, match="say with which tool, or with which workload"):
        bench.compare(http_address, users=1)
    with pytest.raises(UsageError, match="say how hard the targets are to be called"):
        bench.compare(http_address, tool="add", duration=1)
