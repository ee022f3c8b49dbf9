"""One id a call on both sides, deadlines and attempts that both sides know, and the picture of a call."""

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import MCPError
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, TextContent
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from mcp_workbench import CallTimeoutError, ContractBook, Outcome, Trace, UnknownToolError, Workbench
from mcp_workbench.contracts.model import FailureCase, ServerIdentity
from mcp_workbench.controls import Failure, Settings, current_call, harden
from mcp_workbench.stages import CALL_META, DEADLINE_META, STAGES, TRACE_META

WAYS: dict[str, dict[str, Any]] = {"auto": {}, "legacy": {"mode": "legacy"}, "http": {"transport": "http"}}
MARKUP = "<img src=x onerror=alert(1)>\x1b[31m\u202e$x_"


def make_server() -> MCPServer:
    """Make a server whose tools tell what they were sent, or answer with a ``_meta`` of the caller's choice."""
    server = MCPServer("echo", log_level="ERROR")

    @server.tool()
    async def beside(ctx: Context) -> dict[str, Any]:
        """Return the request's _meta."""
        return dict(ctx.request_context.meta or {})

    @server.tool()
    async def told(story: dict[str, Any], fails: bool = False) -> CallToolResult:
        """Answer with a story of the caller's choice."""
        return CallToolResult(content=[TextContent(text="done")], is_error=fails, _meta={CALL_META: story["it"]})

    @server.tool()
    async def add(a: int, b: int = 2) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    async def fail() -> int:
        """Fail unexpectedly."""
        raise ValueError("the lamp is broken")

    return server


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How a server in this process is spoken to."""
    return WAYS[request.param]


@pytest.fixture(scope="module")
def echo() -> Iterator[Workbench]:
    """The server without controls, over HTTP."""
    with Workbench(make_server(), transport="http", timeout=20) as opened:
        yield opened


@pytest.fixture(scope="module", params=WAYS)
def hardened(request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """The server with controls, in each way."""
    server = make_server()
    harden(server)
    with Workbench(server, name="hardened", timeout=20, **WAYS[request.param]) as opened:
        yield opened


def stage(name: str, start_ms: float, duration_ms: float, code: Any = None, note: Any = "") -> dict[str, Any]:
    return {"stage": name, "start_ms": start_ms, "duration_ms": duration_ms, "code": code, "note": note}


def tell(bench: Workbench, story: Any, **arguments: Any) -> Trace:
    """Trace a call whose answer tells ``story``."""
    return bench.trace("told", {"story": {"it": story}, **arguments})


def trace_id(meta: dict[str, Any]) -> str:
    return str(meta["traceparent"].split("-")[1])


# What goes beside a call.


def test_the_server_gets_the_id_of_the_record_as_a_trace_context(way: dict[str, Any]) -> None:
    with Workbench(make_server(), **way) as bench:
        results = [bench.call("beside") for _ in range(3)]
        sent = [result.structured["traceparent"] for result in results]
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", each) for each in sent)
    assert [each.split("-")[1] for each in sent] == [result.record.correlation_id for result in results]
    assert len(set(sent)) == 3
    assert [result.record.trace_id for result in results] == [None] * 3


def test_only_a_traced_call_asks_servers_to_tell_their_times(echo: Workbench) -> None:
    traced = echo.trace("beside").result.structured
    plain = echo.call("beside").structured
    assert (traced[TRACE_META], TRACE_META in plain) == (True, False)


def test_what_the_controls_log_of_a_failed_call_is_kept_beside_it_under_its_id() -> None:
    server = MCPServer("crashing", log_level="ERROR")

    @server.tool()
    async def crash() -> None:
        """Fail unexpectedly."""
        raise ValueError("the cellar is flooded")

    harden(server)
    with Workbench(server) as bench:
        result = bench.call("crash")
    assert result.structured["code"] == "internal"
    assert "the cellar is flooded" in result.server_said
    assert result.record.correlation_id in result.server_said
    assert "cellar" not in result.text


def test_servers_are_asked_to_record_what_somebody_looks_at_and_not_what_is_measured() -> None:
    flags: list[str] = []
    server = MCPServer("flags", log_level="ERROR")

    @server.tool()
    async def note(ctx: Context[Any, Any]) -> None:
        """Keep the flags of the trace context."""
        flags.append(str((ctx.request_context.meta or {})["traceparent"])[-2:])

    with Workbench(server) as bench:
        bench.call("note")
        bench.trace("note")
        bench.sample("note", calls=2, warm_up=1)
    assert flags == ["01", "01", "00", "00", "00"]


def test_the_trace_of_the_callers_own_span_goes_on(way: dict[str, Any]) -> None:
    around = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with Workbench(make_server(), **way) as bench, use_span(NonRecordingSpan(around)):
        results = [bench.call("beside"), asyncio.run(bench.acall("beside"))]
    assert {trace_id(result.structured) for result in results} == {f"{0xABC:032x}"}
    assert {result.record.trace_id for result in results} == {f"{0xABC:032x}"}
    assert len({f"{0xABC:032x}", *(result.record.correlation_id for result in results)}) == 3
    assert list(bench.records["trace_id"]) == [f"{0xABC:032x}"] * 2


WITH_SDK = """
import json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from mcp.server.mcpserver import Context, MCPServer
from mcp_workbench import Workbench

server = MCPServer("echo", log_level="ERROR")

@server.tool()
async def beside(ctx: Context) -> str:
    return dict(ctx.request_context.meta)["traceparent"]

spans = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
told = {}
for mode in ("auto", "legacy"):
    with Workbench(server, name=mode, mode=mode) as bench:
        for tool in ("beside", "beside"):
            spans.clear()
            result = bench.call(tool)
            told.setdefault(mode, []).append({
                "record": result.record.correlation_id,
                "sent": result.text.split("-")[1],
                "roots": [span.name for span in spans.get_finished_spans() if span.parent is None],
                "traces": sorted({f"{span.context.trace_id:032x}" for span in spans.get_finished_spans()}),
            })
print(json.dumps(told))
"""


def test_with_an_opentelemetry_sdk_each_call_is_one_trace_of_the_same_id() -> None:
    # In a process of its own: a tracer provider is there for good.
    done = subprocess.run([sys.executable, "-c", WITH_SDK], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    calls = [call for mode in ("auto", "legacy") for call in told[mode]]
    assert len({call["record"] for call in calls}) == 4
    for call in calls:
        assert call["sent"] == call["record"]
        assert call["traces"] == [call["record"]]
        assert call["roots"] == ["call beside"]


@pytest.mark.parametrize(("timeout", "sent_ms"), [(None, 20_000), (0.3, 300), (0.2501, 251), (86_400, 86_400_000)])
def test_the_server_is_told_after_how_many_milliseconds_nobody_waits_any_more(
    echo: Workbench, timeout: float | None, sent_ms: int
) -> None:
    assert echo.call("beside", timeout=timeout).structured[DEADLINE_META] == sent_ms


def test_a_timeout_of_more_than_a_day_is_no_wish(echo: Workbench) -> None:
    assert DEADLINE_META not in echo.call("beside", timeout=1e308).structured


@pytest.mark.parametrize("with_controls", [False, True])
def test_a_timeout_raises_the_same_error_with_and_without_controls(way: dict[str, Any], with_controls: bool) -> None:
    server = make_server()
    stopped = threading.Event()

    @server.tool()
    async def wait() -> int:
        """Wait until it is stopped."""
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()
        return 0

    if with_controls:
        harden(server)
    with Workbench(server, **way) as bench:
        for _ in range(3):
            stopped.clear()
            with pytest.raises(CallTimeoutError, match=r"'wait' did not answer within 0\.03 s") as raised:
                bench.call("wait", timeout=0.03)
            assert raised.value.record is not None
            assert raised.value.record.outcome is Outcome.TIMEOUT
            assert stopped.wait(10)


# What comes back beside a result.


def test_the_error_object_of_a_hardened_server_names_the_id_of_the_record(hardened: Workbench) -> None:
    result = hardened.call("fail")
    assert result.outcome is Outcome.TOOL_ERROR
    assert result.structured["correlation_id"] == result.record.correlation_id


def test_a_tool_of_a_hardened_server_knows_the_id_of_the_record(way: dict[str, Any]) -> None:
    server = make_server()

    @server.tool()
    def known() -> str:
        """Return the id of this call."""
        call = current_call()
        assert call is not None
        return call.correlation_id

    harden(server)
    with Workbench(server, **way) as bench:
        result = bench.call("known")
    assert result.text == result.record.correlation_id


@pytest.mark.parametrize(
    ("attempts", "kept"), [(1, 1), (3, 3), (0, 1), (-2, 1), (True, 1), ("9", 1), (10**30, 1), (None, 1)]
)
@pytest.mark.parametrize("fails", [False, True])
def test_the_attempts_that_a_server_tells_of_are_in_the_records(
    echo: Workbench, attempts: Any, kept: int, fails: bool
) -> None:
    result = echo.call("told", {"story": {"it": {"attempts": attempts}}, "fails": fails})
    assert result.ok is not fails
    assert result.record.attempt == kept
    assert echo.records["attempt"].iloc[-1] == kept


def test_the_runs_of_a_tool_that_was_tried_again_are_in_the_record_and_in_the_trace(way: dict[str, Any]) -> None:
    server = make_server()
    runs: list[int] = []

    @server.tool()
    async def flaky() -> int:
        """Answer at the third try."""
        runs.append(1)
        if len(runs) % 3:
            raise Failure("busy", "the lamp is busy; try again")
        return len(runs)

    with Workbench(server, name="draft") as bench:
        drafted = bench.draft()["flaky"]
    busy = FailureCase(code="busy", when="now and then", retryable=True, caller="try again")
    contract = drafted.filled(effects="read", idempotency="natural", failures=(busy,))
    harden(server, ContractBook(server=ServerIdentity(name="echo"), tools=(contract,)), Settings(backoff_ms=1))
    with Workbench(server, **way) as bench:
        result, trace = bench.call("flaky"), bench.trace("flaky")
    assert (result.value, result.record.attempt) == (3, 3)
    assert trace.facts()["attempts"] == 3
    assert dict(zip(trace.outcomes["stage"], trace.outcomes["note"], strict=True))["execution"] == "3 attempts"
    assert list(bench.records["attempt"]) == [3, 3]


def test_a_server_without_a_story_was_tried_once(echo: Workbench) -> None:
    result = echo.call("add", {"a": 1})
    assert (result.story, result.record.attempt) == (None, 1)


def test_a_result_says_what_the_server_filled_in(hardened: Workbench) -> None:
    result = hardened.call("add", {"a": 1})
    assert result.value == 3
    assert result.story is not None
    assert result.story.defaults == {"b": 2}
    assert "filled in by the server: b = 2" in str(result)
    assert "<div>filled in by the server: b = 2</div>" in result._repr_html_()
    assert "filled in" not in str(hardened.call("add", {"a": 1, "b": 2}))


def test_what_was_filled_in_is_bounded_and_escaped(echo: Workbench) -> None:
    defaults = {MARKUP: MARKUP, **{f"{at:03}" * 100: [at] * 1_000 for at in range(50)}}
    result = echo.call("told", {"story": {"it": {"defaults": defaults}}})
    for shown in (str(result), result._repr_html_()):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert len(shown) < 3_000
        assert "and more" in shown
    assert "<img" not in result._repr_html_()


# The trace of a call.


def test_a_hardened_server_tells_of_its_six_stages(hardened: Workbench) -> None:
    trace = hardened.trace("add", {"a": 1})
    assert trace.ok
    assert trace.result.value == 3
    assert list(trace.frame["stage"]) == [*STAGES, "client and transport"]
    assert list(trace.outcomes["stage"]) == list(STAGES)
    assert list(trace.outcomes["outcome"]) == ["ok"] * 6
    assert trace.facts()["correlation_id"] == trace.result.record.correlation_id
    assert trace.result.story is not None
    assert trace.result.story.correlation_id == trace.result.record.correlation_id


def test_the_times_of_a_trace_add_up_to_the_latency(hardened: Workbench) -> None:
    trace = hardened.trace("add", {"a": 1})
    *stages, rest = trace.steps
    ends = [(step.start_ms or 0) + (step.duration_ms or 0) for step in stages]
    assert all((step.start_ms or 0) >= 0 and (step.duration_ms or 0) >= 0 for step in stages)
    assert trace.facts()["server_ms"] == max(ends)
    assert max(ends) + (rest.duration_ms or 0) == pytest.approx(trace.facts()["latency_ms"])
    assert trace.facts()["latency_ms"] == trace.result.latency_ms
    assert rest.server_share_percent is None


def test_a_call_that_inputs_refuse_does_not_reach_policy_and_execution(hardened: Workbench) -> None:
    trace = hardened.trace("add", {"a": "one"})
    assert not trace.ok
    assert dict(zip(trace.outcomes["stage"], trace.outcomes["outcome"], strict=True)) == {
        "context": "ok",
        "inputs": "failed: invalid_arguments",
        "policy": "not reached",
        "execution": "not reached",
        "outputs": "ok",
        "telemetry": "ok",
    }
    assert "add failed (tool_error)" in trace.headline()
    assert trace.headline().endswith("; it ended in inputs: invalid_arguments")


def test_a_stage_that_is_off_is_shown_as_off() -> None:
    server = make_server()
    harden(server, settings=Settings(off=frozenset({"policy", "outputs"})))
    with Workbench(server) as bench:
        trace = bench.trace("add", {"a": 1})
    outcomes = dict(zip(trace.outcomes["stage"], trace.outcomes["outcome"], strict=True))
    assert {stage for stage, outcome in outcomes.items() if outcome == "off"} == {"policy", "outputs"}
    assert "policy: off" in trace.plot().words


HARDENED_SCRIPT = """
from mcp.server.mcpserver import MCPServer
from mcp_workbench.controls import harden

server = MCPServer("desk", log_level="ERROR")

@server.tool()
async def add(a: int, b: int = 2) -> int:
    return a + b

@server.tool()
async def fail() -> int:
    raise ValueError("the lamp is broken")

harden(server)
server.run()
"""


def test_over_stdio_it_is_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "desk.py"
    file.write_text(HARDENED_SCRIPT)
    with Workbench([sys.executable, str(file)]) as bench:
        trace = bench.trace("add", {"a": 1})
        failed = bench.call("fail")
    assert list(trace.outcomes["outcome"]) == ["ok"] * 6
    assert trace.steps[-1].duration_ms is not None
    assert trace.steps[-1].duration_ms > 0
    assert failed.structured["correlation_id"] == failed.record.correlation_id


def test_of_another_server_a_trace_shows_what_the_client_sees(server: MCPServer, way: dict[str, Any]) -> None:
    with Workbench(server, **way) as bench:
        trace = bench.trace("add", {"a": 2})
        failed = bench.trace("fail")
    assert trace.ok
    assert list(trace.frame["stage"]) == ["to the connection", "waiting for the server", "back to the caller"]
    assert trace.frame["duration_ms"].iloc[1] == pytest.approx(trace.result.latency_ms)
    assert list(trace.frame["start_ms"].iloc[1:]) == pytest.approx(list(trace.frame["duration_ms"].cumsum().iloc[:2]))
    assert "tells nothing of the server's stages" in trace.headline()
    assert "harden(server)" in trace.headline()
    assert trace.facts()["server_ms"] is None
    assert list(trace.outcomes["outcome"]) == ["ok"]
    assert list(failed.outcomes["outcome"]) == ["failed: tool_error"]
    assert not failed.ok


def test_a_protocol_error_and_a_refused_result_still_give_a_trace(way: dict[str, Any]) -> None:
    server = make_server()

    @server.tool()
    async def protest() -> int:
        """Answer with a protocol error."""
        raise MCPError(code=-32001, message="no lamp")

    with Workbench(server, name="small", max_result_mb=0.000_001, **way) as bench:
        traces = [bench.trace("protest"), bench.trace("add", {"a": 1})]
    assert [trace.ok for trace in traces] == [False, False]
    assert [trace.outcomes["outcome"].iloc[0] for trace in traces] == ["failed: -32001", "failed: result_too_large"]
    assert "failed (protocol_error)" in traces[0].headline()


def test_a_trace_raises_what_a_call_raises(server: MCPServer) -> None:
    with Workbench(server) as bench:
        with pytest.raises(UnknownToolError):
            bench.trace("ad")
        with pytest.raises(CallTimeoutError):
            bench.trace("slow", {"seconds": 20}, timeout=0.03)


def test_a_trace_can_be_awaited_and_is_a_call_in_the_records(server: MCPServer) -> None:
    async def traced() -> tuple[Trace, Workbench]:
        async with await Workbench.aopen(server) as bench:
            with pytest.raises(UnknownToolError):
                await bench.atrace("ad")
            return await bench.atrace("add", {"a": 2}), bench

    trace, bench = asyncio.run(traced())
    assert trace.ok
    assert [record.purpose for record in bench.session.log] == ["call"]


def test_a_trace_shows_itself_as_text_as_a_page_and_as_json(hardened: Workbench) -> None:
    trace = hardened.trace("add", {"a": 1})
    told = json.loads(trace.to_json())
    assert (told["ok"], told["tool"], told["outcome"], len(told["rows"])) == (True, "add", "ok", 7)
    assert str(trace).splitlines()[0] == trace.headline()
    page = trace._repr_html_()
    alt = re.search('<img alt="(Chart: [^"]*)"', page)
    assert alt is not None
    assert all(name in alt.group(1) for name in STAGES)
    assert 'src="data:image/png;base64,' in page
    assert "<table" in page


def test_a_story_that_claims_more_time_than_the_call_took_is_not_believed(echo: Workbench) -> None:
    trace = tell(echo, {"stages": [stage("execution", 0, 80_000_000)]})
    assert trace.steps[-1].duration_ms == 0
    assert "do not believe" in trace.steps[-1].note
    assert "off" in str(trace.outcomes)


def test_where_execution_is_off_the_time_between_the_stages_is_in_no_stage(echo: Workbench) -> None:
    trace = tell(echo, {"stages": [stage("context", 0, 0.001), stage("telemetry", 0.1, 0.001)]})
    assert "most in no stage" in trace.headline()


def test_a_call_that_ends_in_the_first_stage_reaches_none_of_the_others(echo: Workbench) -> None:
    trace = tell(echo, {"stages": [stage("context", 0, 0.01, "invalid_arguments")]}, fails=True)
    assert list(trace.outcomes["outcome"]) == ["failed: invalid_arguments", *["not reached"] * 5]


def test_what_a_story_says_is_bounded_and_escaped(echo: Workbench) -> None:
    stages = [stage(name, 0, 0.01, MARKUP * 50, MARKUP * 50) for name in STAGES]
    trace = tell(echo, {"stages": stages, "correlation_id": MARKUP}, fails=True)
    page = trace._repr_html_()
    assert "<img src=x" not in page
    for shown in (str(trace), page, trace.to_json(), repr(trace.plot())):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert len(str(trace)) < 4_000
    assert trace.plot().png().startswith(b"\x89PNG")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
STAGE = st.fixed_dictionaries(
    {}, optional={"stage": st.sampled_from(STAGES) | JSON, "start_ms": JSON, "duration_ms": JSON, "code": JSON}
)
STORY = JSON | st.fixed_dictionaries(
    {}, optional={"stages": st.lists(STAGE, max_size=8) | JSON, "attempts": JSON, "defaults": JSON}
)


@settings(max_examples=50)
@given(story=STORY)
def test_no_story_breaks_a_trace(echo: Workbench, story: Any) -> None:
    trace = tell(echo, story)
    assert trace.ok
    assert len(trace.steps) in (3, len(STAGES) + 1)
    assert 1 <= trace.result.record.attempt <= 1_000
    assert json.loads(trace.to_json())["ok"]
    assert str(trace)
    assert str(trace.result)
