"""Stage 6: what the traces see, with a real OpenTelemetry SDK."""

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

# OpenTelemetry's provider is set once in a process: it gets one of its own, with a server for each share.
PROGRAM = textwrap.dedent("""
    import asyncio, json
    from mcp import Client
    from mcp.server.mcpserver import MCPServer
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from mcp_workbench.controls import Settings, harden

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)

    def hardened(share):
        server = MCPServer("seen", log_level="CRITICAL")

        @server.tool()
        async def add(a: int, b: int = 1) -> int:
            return a + b

        harden(server, settings=Settings(sample_spans=share))
        return server

    async def calls(share, good):
        async with Client(hardened(share)) as client:
            for n in range(good):
                await client.call_tool("add", {"a": n})
            bad = await client.call_tool("add", {"a": "x"})
            return bad.structured_content["correlation_id"]

    told = {}
    for share, good in ((1.0, 2), (0.0, 3), (0.5, 200)):
        last = asyncio.run(calls(share, good))
        spans = [
            {
                "name": span.name,
                "trace": format(span.context.trace_id, "032x"),
                "id": span.context.span_id,
                "parent": span.parent.span_id if span.parent else None,
                "start": span.start_time,
                "end": span.end_time,
                "attributes": dict(span.attributes),
            }
            for span in kept.get_finished_spans()
        ]
        told[share] = {
            "last": last,
            "calls": [span for span in spans if "mcp_workbench.correlation_id" in span["attributes"]],
            "stages": [span for span in spans if span["name"].startswith("stage ")],
        }
        kept.clear()
    print(json.dumps(told))
""")


@pytest.fixture(scope="module")
def seen() -> Any:
    """The spans of the calls, by the share of the calls whose stages are to have spans."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_the_servers_span_says_how_the_call_went(seen: Any) -> None:
    first, second, last = seen["1.0"]["calls"]
    assert last["attributes"]["mcp_workbench.error.code"] == "invalid_arguments"
    assert last["attributes"]["mcp_workbench.correlation_id"] == seen["1.0"]["last"] == last["trace"]
    assert [span["attributes"]["mcp_workbench.attempts"] for span in (first, second, last)] == [1, 1, 0]
    assert all("mcp_workbench.error.code" not in span["attributes"] for span in (first, second))


def test_a_sampled_call_has_a_span_for_each_stage_inside_its_own(seen: Any) -> None:
    for call, stages in zip(seen["1.0"]["calls"], (6, 6, 4), strict=True):
        inside = [span for span in seen["1.0"]["stages"] if span["parent"] == call["id"]]
        # Telemetry itself is under way while it makes them.
        assert len(inside) == stages - 1
        for span in inside:
            # The wall clock and the clock of the marks may drift apart a little while a call is under way.
            assert call["start"] - 5_000_000 <= span["start"] <= span["end"] <= call["end"] + 5_000_000


def test_a_call_that_is_not_sampled_has_one_span_only(seen: Any) -> None:
    assert len(seen["0.0"]["calls"]) == 4
    assert seen["0.0"]["stages"] == []


def test_the_share_of_sampled_calls_is_what_was_set(seen: Any) -> None:
    sampled = {span["parent"] for span in seen["0.5"]["stages"] if span["name"] == "stage execution"}
    assert len(seen["0.5"]["calls"]) == 201
    # Trace ids are random: outside of this once in ten million runs.
    assert 60 <= len(sampled) <= 140
