"""Samples, measured at real servers."""

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.mcpserver import MCPServer

from mcp_workbench import ArgumentsError, ClosedError, Outcome, Summary, UnknownToolError, UsageError, Workbench
from mcp_workbench.kernel.connection import Limits
from mcp_workbench.kernel.loop import background
from mcp_workbench.load.samples.sampling import Plan, sample

ENDS = """
import os, sys
from mcp.server.mcpserver import MCPServer
server = MCPServer("ends", log_level="ERROR")
left = int(sys.argv[1])
@server.tool()
def count() -> int:
    global left
    if left == 0:
        os._exit(0)
    left -= 1
    return left
server.run()
"""


@pytest.fixture
def ending(tmp_path: Path) -> list[str]:
    """A command whose server ends in the middle of a call; how many it answers before is the last word."""
    (tmp_path / "ends.py").write_text(ENDS)
    return [sys.executable, str(tmp_path / "ends.py")]


def purposes(bench: Workbench) -> list[str]:
    return [record.purpose for record in bench.session.log]


def test_a_sample_makes_as_many_calls_as_it_was_told_and_leaves_the_warm_up_out(server: Any) -> None:
    with Workbench(server) as bench:
        summary = bench.sample("add", {"a": 1, "b": 2}, calls=25, warm_up=4)
        assert [(row.tool, row.transport, row.calls) for row in summary.tools] == [("add", "in-process", 25)]
        assert purposes(bench) == ["warm-up"] * 4 + ["sample"] * 25
        assert summary.ok


def test_the_latencies_of_a_sample_are_those_of_its_records(server: Any) -> None:
    with Workbench(server) as bench:
        summary = bench.sample("add", {"a": 1}, calls=10, warm_up=2)
        measured = sorted(record.latency_ms for record in bench.session.log if record.purpose == "sample")
        assert list(summary.tools[0].latencies_ms) == measured
        assert measured[0] > 0


def test_a_sample_holds_only_its_own_calls_and_the_summary_of_the_workbench_all_of_them(server: Any) -> None:
    with Workbench(server) as bench:
        bench.call("add", {"a": 1})
        bench.sample("add", {"a": 1}, calls=5, warm_up=1)
        assert bench.sample("add", {"a": 1}, calls=3, warm_up=1).tools[0].calls == 3
        bench.call("fail")
        assert [(row.tool, row.calls) for row in bench.summary().tools] == [("add", 9), ("fail", 1)]


def test_calls_that_fail_are_counted_by_how_they_failed(server: Any) -> None:
    with Workbench(server) as bench:
        summary = bench.sample("fail", calls=4, warm_up=0)
        assert summary.frame["tool_error"].tolist() == [4]
        assert not summary.ok


def test_a_sample_of_a_server_of_its_own_process_says_that_it_went_over_stdio(command: list[str]) -> None:
    with Workbench(command) as bench:
        assert bench.sample("add", {"a": 1}, calls=5).headline() == "5 calls over stdio, 0 failed (0.0%)"


def test_a_call_that_times_out_is_a_failed_call_and_the_sample_goes_on() -> None:
    server = MCPServer("sometimes", log_level="ERROR")
    called = 0

    @server.tool()
    async def sometimes() -> str:
        nonlocal called
        called += 1
        if called == 2:
            await anyio.sleep(600)
        return "here"

    with Workbench(server) as bench:
        bench.session.connection.limits = Limits(timeout_s=0.5)
        summary = bench.sample("sometimes", calls=4, warm_up=0)
    assert summary.tools[0].outcomes == {Outcome.OK: 3, Outcome.TIMEOUT: 1}
    assert not summary.ok
    assert summary.note == ""


def test_a_warm_up_that_times_out_does_not_spoil_the_sample() -> None:
    server = MCPServer("late", log_level="ERROR")
    called = 0

    @server.tool()
    async def late() -> str:
        nonlocal called
        called += 1
        if called == 1:
            await anyio.sleep(600)
        return "here"

    with Workbench(server) as bench:
        bench.session.connection.limits = Limits(timeout_s=0.5)
        assert bench.sample("late", calls=2, warm_up=1).ok


def test_a_server_that_ends_in_the_middle_cuts_the_sample_short_and_it_says_so(ending: list[str]) -> None:
    with Workbench([*ending, "6"]) as bench:
        summary = bench.sample("count", calls=20, warm_up=2)
    assert summary.tools[0].outcomes == {Outcome.OK: 4, Outcome.TRANSPORT_ERROR: 1}
    assert not summary.ok
    assert summary.headline() == (
        "5 calls over stdio, 1 failed (20.0%); "
        "cut short after 5 of 20 calls: the connection was lost; reconnect() and repeat"
    )


def test_a_server_that_ends_in_the_warm_up_leaves_an_empty_sample_that_says_so(ending: list[str]) -> None:
    with Workbench([*ending, "1"]) as bench:
        summary = bench.sample("count", calls=20, warm_up=3)
        assert purposes(bench) == ["warm-up", "warm-up"]
    assert summary.headline().startswith("no calls yet; cut short after 0 of 20 calls")
    assert not summary.ok


def test_progress_is_told_after_each_measured_call(server: Any) -> None:
    told: list[tuple[int, int]] = []
    with Workbench(server) as bench:
        plan = Plan("add", {"a": 1}, calls=3, warm_up=2)
        work = sample(bench.session.connection, plan, lambda done, total: told.append((done, total)))
        summary: Summary = background().run(work)
    assert summary.ok
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"calls": 0}, "calls=0 is no number of calls; give a whole number from 1 up"),
        ({"calls": -1}, "calls=-1"),
        ({"calls": 2.0}, "calls=2.0"),
        ({"calls": "10"}, "calls='10'"),
        ({"calls": True}, "calls=True"),
        ({"calls": 10**9}, "calls=1000000000"),
        ({"warm_up": -1}, "warm_up=-1 is no number of calls; give a whole number from 0 up"),
        ({"warm_up": None}, "warm_up=None"),
    ],
)
def test_a_number_that_makes_no_sample_is_refused_and_nothing_is_called(
    server: Any, numbers: dict[str, Any], sentence: str
) -> None:
    with Workbench(server) as bench:
        with pytest.raises(UsageError, match=sentence):
            bench.sample("add", {"a": 1}, **numbers)
        assert len(bench.session.log) == 0


def test_a_tool_that_is_not_there_and_arguments_that_are_no_json_are_refused_before_the_first_call(server: Any) -> None:
    with Workbench(server, name="example") as bench:
        with pytest.raises(UnknownToolError, match="'example' has no tool 'sub'"):
            bench.sample("sub")
        with pytest.raises(ArgumentsError, match="argument 'a' is of type object"):
            bench.sample("add", {"a": object()})
        assert len(bench.session.log) == 0


def test_a_closed_workbench_makes_no_sample(server: Any) -> None:
    with Workbench(server) as bench:
        pass
    with pytest.raises(ClosedError):
        bench.sample("add", {"a": 1})
