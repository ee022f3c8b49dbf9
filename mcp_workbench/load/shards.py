"""Shards: one load split over several generators that call at the same time, and what they measured put together.

The arrivals of several independent Poisson loads are those of one Poisson load at the sum of their rates; constant
arrivals of one shard come between those of the others, as far as all begin together; users of a closed loop do not know
of each other. So the calls of all shards are the calls that one generator would have made.
"""

from __future__ import annotations

import asyncio
import json
import platform
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Final

import numpy as np
from mcp_types import Tool

from mcp_workbench.errors import UsageError, WorkbenchError
from mcp_workbench.load.assessing import assess
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.driving import drive
from mcp_workbench.load.measured import Calls
from mcp_workbench.load.plan import Block, Plan
from mcp_workbench.load.run import Run

MOST_SHARDS: Final = 1_000

_LOOK_S: Final = 0.25
_LATE_S: Final = 2.0
_APART: Final = 0.05
_APART_ALLOWED_S: Final = 0.05
_MOST_NOTES: Final = 10
_NS_A_S: Final = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """What one shard measured.

    Attributes:
        calls: its measured calls.
        honesty: how they were made.
        begun_s: when its first measured block began, by its machine's clock, in seconds since 1970.
        machine: the name of the machine that it ran on.
    """

    calls: Calls
    honesty: Honesty
    begun_s: float
    machine: str


def shard_plans(plan: Plan, shards: int) -> list[Plan]:
    """Split a plan: rates evenly, users and limits as evenly as whole numbers can be, and a seed for each.

    Args:
        plan: the whole load.
        shards: how many plans to make of it.

    Raises:
        UsageError: there are fewer users, or calls that may be unanswered at once, than shards.
    """
    if isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= MOST_SHARDS:
        raise UsageError(f"shards={shards!r} splits no load; give a whole number from 1 to {MOST_SHARDS:,}")
    fewest = min((block.users for block in plan.blocks if block.users is not None), default=shards)
    for name, count in (("users", fewest), ("max_in_flight", plan.max_in_flight)):
        if count < shards:
            raise UsageError(f"{name}={count} cannot be split over {shards} shards; give shards={count} at most")
    dice = random.Random(f"shards of {plan.seed}")  # noqa: S311 - seeds of arrivals, no secret
    return [
        replace(
            plan,
            blocks=tuple(_part(block, shard, shards) for block in plan.blocks),
            max_in_flight=_share(plan.max_in_flight, shard, shards),
            seed=dice.getrandbits(63) if shards > 1 else plan.seed,
            samples=max(1, _share(plan.samples, shard, shards)),
            # Evenly spread, or constant arrivals would come in bursts.
            first_after=shard / shards,
        )
        for shard in range(shards)
    ]


def _part(block: Block, shard: int, shards: int) -> Block:
    return replace(
        block,
        rate=None if block.rate is None else block.rate / shards,
        users=None if block.users is None else _share(block.users, shard, shards),
    )


def _share(count: int, shard: int, shards: int) -> int:
    return count // shards + (shard < count % shards)


def worker_facts() -> dict[str, Any]:
    """Return what must be known of the process that a shard will run in: version, machine, clock."""
    return {
        "version": version("mcp-server-workbench"),
        "machine": platform.node(),
        "clock_s": time.time(),
    }


def run_shard(plan: str, begin_at_s: float, tools: str, server: int | None, wanted: Callable[[], bool]) -> Shard:
    """Make the load of one shard, and wait for its end; for a thread that has no event loop.

    Args:
        plan: the shard's plan as JSON.
        begin_at_s: when all shards start their generators, by the clock, in seconds since 1970.
        tools: what the target lists, as a JSON array, with output schemas.
        server: the server's process, if it is on this machine and can be seen.
        wanted: asked four times a second; once it says no, the load is ended.

    Raises:
        UnreachableError: the target is not there, as seen from here.
        WorkbenchError: the shard cannot begin in time, or its generator failed.
    """
    told = Plan.from_json(plan)
    late_s = time.time() - begin_at_s
    if late_s > _LATE_S:
        raise WorkbenchError(
            f"a shard could begin only {late_s:.1f} s after the others, because its worker had other work to do; "
            "wait until the cluster is idle, or give fewer shards"
        )
    run = asyncio.run(_driven(told, begin_at_s, server, wanted))
    blocks = run.measured_blocks(0)
    if not blocks:
        raise WorkbenchError("a shard measured nothing, because the server had stopped to answer in the warm-up")
    calls = run.calls(0)
    honesty = assess(run, (0,), calls, [Tool.model_validate(tool) for tool in json.loads(tools)])
    ago_s = (time.monotonic_ns() - run.books[blocks[0]].begun_ns) / _NS_A_S
    return Shard(calls, honesty, time.time() - ago_s, platform.node())


async def _driven(plan: Plan, begin_at_s: float, server: int | None, wanted: Callable[[], bool]) -> Run:
    await asyncio.sleep(max(0.0, begin_at_s - time.time()))
    driving = asyncio.ensure_future(drive(plan, servers=[server]))
    try:
        while not driving.done():
            await asyncio.wait({driving}, timeout=_LOOK_S)
            if not wanted():
                raise WorkbenchError("nobody waits for this shard any more")
        return driving.result()
    finally:
        driving.cancel()
        await asyncio.wait({driving})


def merged_calls(shards: Sequence[Shard]) -> Calls:
    """Return the calls of all shards as if one generator had made them, each at the time at which it was made.

    Args:
        shards: at least one; all called the same tools.
    """
    origin_s = min(shard.begun_s for shard in shards)
    at_s = np.concatenate([shard.calls.at_s + (shard.begun_s - origin_s) for shard in shards])
    order = np.argsort(at_s, kind="stable")
    parts = [shard.calls for shard in shards]

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    return Calls(
        tools=parts[0].tools,
        tool=column("tool"),
        block=np.zeros(len(order), np.uint32),
        outcome=column("outcome"),
        at_s=at_s[order],
        latency_ms=column("latency_ms"),
        service_ms=column("service_ms"),
        blocks=1,
        # They lasted side by side, not one after the other.
        block_s=np.array([max(part.seconds for part in parts)]),
        offered=sum(part.offered for part in parts),
        dropped=sum(part.dropped for part in parts),
        codes=sum((part.codes for part in parts), Counter()),
        answered_s=len(order) / (sum(part.answer_rate for part in parts) or float("inf")),
    )


def merged_honesty(shards: Sequence[Shard], notes: Iterable[str] = ()) -> Honesty:
    """Return how the load of all shards was made: sums where they add up, the worst of them elsewhere.

    A void shard voids all: its calls are among the others, and nobody could tell them apart. So do shards that began
    too far apart: their rates add up to one that the server never saw.

    Args:
        shards: at least one.
        notes: what a reader should know besides.
    """
    each = [shard.honesty for shard in shards]
    calls = sum(len(shard.calls) for shard in shards)
    cpu_us = sum(shard.honesty.generator_us * len(shard.calls) for shard in shards)
    versions = {name: ", ".join(sorted({one.versions[name] for one in each})) for name in each[0].versions}
    said = [f"shard {number} of {len(each)}: {note}" for number, one in enumerate(each, 1) for note in one.notes]
    if len(said) > _MOST_NOTES:
        said[_MOST_NOTES - 1 :] = [f"{len(said) - _MOST_NOTES + 1} more notes of shards"]
    return Honesty(
        generator_share=max(one.generator_share for one in each),
        waiting_share=_worst(one.waiting_share for one in each),
        worst_share=max(one.worst_share for one in each),
        generator_us=cpu_us / max(1, calls),
        # Each shard that can see the server sees all of it.
        server_share=_worst(one.server_share for one in each),
        foreign_share=max(_foreign_share(shard, shards) for shard in shards),
        cores=min(one.cores for one in each),
        slip_p50_ms=_worst(one.slip_p50_ms for one in each),
        slip_p99_ms=_worst(one.slip_p99_ms for one in each),
        offered=sum(one.offered for one in each),
        achieved=sum(one.achieved for one in each),
        dropped=sum(one.dropped for one in each),
        # The most that there can have been: the shards' peaks need not have come at the same moment.
        peak_in_flight=sum(one.peak_in_flight for one in each),
        rate=sum(one.rate for one in each),
        little=max((one.little for one in each), key=lambda little: abs(little - 1)),
        sampled=sum(one.sampled for one in each),
        sampled_wrong=sum(one.sampled_wrong for one in each),
        reconnected=sum(one.reconnected for one in each),
        versions=versions,
        machine="; ".join(sorted({one.machine for one in each})),
        void=(
            *(f"shard {number} of {len(each)}: {why}" for number, one in enumerate(each, 1) for why in one.void),
            *_apart(shards),
        ),
        notes=(*notes, *said),
    )


def _apart(shards: Sequence[Shard]) -> list[str]:
    """Return why these shards did not call side by side; nothing if they did."""
    begun_s = [shard.begun_s for shard in shards]
    apart_s, lasted_s = max(begun_s) - min(begun_s), max(shard.calls.seconds for shard in shards)
    if apart_s <= max(_APART_ALLOWED_S, _APART * lasted_s):
        return []
    return [
        f"the shards began {apart_s:.2f} s apart and lasted {lasted_s:.2g} s, so that they hardly called side by side; "
        "measure with a longer duration, and see that the clocks of the workers agree"
    ]


def _worst(shares: Iterable[float | None]) -> float | None:
    return max((share for share in shares if share is not None), default=None)


def _foreign_share(shard: Shard, shards: Sequence[Shard]) -> float:
    """Return what was foreign on a shard's machine; the other shards' generators there are none of it."""
    others = sum(
        other.honesty.generator_share for other in shards if other is not shard and other.machine == shard.machine
    )
    return max(0.0, shard.honesty.foreign_share - others)
