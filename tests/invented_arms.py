"""Arms that were never measured: columns of calls with the noise, the slow class and the failures that a test wants."""

from collections import Counter

import numpy as np

from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.comparisons.comparison import Comparison
from mcp_workbench.load.comparisons.findings import Finding
from mcp_workbench.load.measured import OK, OUTCOMES, Calls
from mcp_workbench.records import Outcome

CONDITIONS = Conditions(
    target="shop",
    transport="http",
    placement="own process",
    protocol="2026-07-28",
    model="open",
    arrivals="poisson",
    rate=200.0,
    users=None,
    workload="add",
    workload_digest="0123456789abcdef",
    timeout_s=10.0,
    max_in_flight=512,
)
HONESTY = Honesty(
    generator_share=0.1,
    waiting_share=0.0,
    worst_share=0.2,
    generator_us=50.0,
    server_share=0.3,
    foreign_share=0.1,
    cores=2,
    slip_p50_ms=0.1,
    slip_p99_ms=0.5,
    offered=600,
    achieved=600,
    dropped=0,
    peak_in_flight=3,
    rate=200.0,
    little=1.0,
)


def arm(
    seed: int,
    *,
    seconds: float = 3.0,
    rate: float = 200.0,
    block_s: float = 0.1,
    factor: float = 1.0,
    slow: float = 1.0,
    failing: float = 0.0,
    tools: tuple[str, ...] = ("add",),
) -> Calls:
    """Return an arm whose calls take about 2 ms times ``factor``.

    Args:
        seed: of its noise.
        seconds: how long it was measured.
        rate: calls a second.
        block_s: how long a block was.
        factor: what every call takes longer.
        slow: what 5 of 100 calls, which take five times as long, take longer.
        failing: the share of the calls that fail.
        tools: whom the calls go to, in turn.
    """
    random = np.random.default_rng(seed)
    blocks, count = round(seconds / block_s), round(seconds * rate)
    block = np.sort(random.integers(0, blocks, count))
    noise = np.exp(random.normal(0, 0.03, blocks))[block] * np.exp(random.normal(0, 0.15, count))
    latency_ms = 2 * factor * noise * np.where(random.random(count) < 0.05, 5 * slow, 1)
    failed = random.random(count) < failing
    return columns(latency_ms, block, blocks, failed, block_s=block_s, tools=tools)


def columns(
    latency_ms: np.ndarray,
    block: np.ndarray,
    blocks: int,
    failed: np.ndarray | None = None,
    *,
    block_s: float = 0.1,
    tools: tuple[str, ...] = ("add",),
) -> Calls:
    """Return calls with these latencies, in these blocks."""
    count = len(latency_ms)
    failing = np.zeros(count, dtype=bool) if failed is None else failed
    return Calls(
        tools=tools,
        tool=(np.arange(count) % len(tools)).astype(np.uint16),
        block=block.astype(np.uint32),
        outcome=np.where(failing, OUTCOMES.index(Outcome.TOOL_ERROR), OK).astype(np.uint8),
        at_s=block * block_s,
        latency_ms=latency_ms.astype(np.float64),
        service_ms=latency_ms.astype(np.float64),
        blocks=blocks,
        block_s=np.full(blocks, block_s),
        offered=count,
        dropped=0,
        codes=Counter(),
    )


def finding(comparison: Comparison, measure: str, tool: str = "") -> Finding:
    """Return what a comparison found of one measure, of all calls together or of one tool."""
    return next(each for each in comparison.findings if (each.measure, each.tool) == (measure, tool))
