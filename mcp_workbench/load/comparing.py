"""Comparing: two targets live and in turns, a target with a stored baseline, or two stored baselines."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.errors import UsageError
from mcp_workbench.kernel.connection import Connection, Limits
from mcp_workbench.kernel.listings import unknown_tool
from mcp_workbench.kernel.targets import read_target
from mcp_workbench.load.assessing import assess
from mcp_workbench.load.baselines.baseline import Baseline
from mcp_workbench.load.comparisons.comparison import Comparison, compare_calls, refuse_other_population
from mcp_workbench.load.comparisons.gate import GateSettings
from mcp_workbench.load.comparisons.stored import compare_stored
from mcp_workbench.load.driving import Listener, drive
from mcp_workbench.load.measuring import STARTS, Load, as_measured, conditions_of, first_call, measure, thought_ms
from mcp_workbench.load.plan import Arm, Block, Plan
from mcp_workbench.load.preparing import Prepared, prepared
from mcp_workbench.load.workloads.resolving import resolve
from mcp_workbench.load.workloads.workload import Workload
from mcp_workbench.progress import Progress
from mcp_workbench.records import CallLog
from mcp_workbench.untrusted import one_line

Side = Baseline | Connection


@asynccontextmanager
async def opened_side(word: object, limits: Limits) -> AsyncIterator[tuple[str, Side]]:
    """Read one side of a comparison: a baseline, its file, something connected, or a target, which is connected.

    Args:
        word: what the user wrote.
        limits: of a connection that is made.

    Yields:
        What it is called, and the baseline or an open connection.
    """
    if isinstance(word, Baseline):
        yield word.label or word.conditions.target, word
    elif (path := baseline_file(word)) is not None:
        stored = Baseline.load(path)
        yield stored.label or path.name, stored
    elif (session := getattr(word, "session", None)) is not None:
        yield session.target.name, session.connection
    else:
        connection = Connection(read_target(word), limits, CallLog())
        await connection.open()
        try:
            yield connection.target.name, connection
        finally:
            await connection.close()


def baseline_file(word: object) -> Path | None:
    """Return the path of a baseline's file; ``None`` for any other word, client configurations among them.

    Raises:
        UsageError: it ends as such a file does, and is not there.
    """
    if not isinstance(word, str | Path) or not str(word).endswith(".json"):
        return None
    path = Path(word).expanduser()
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return None if '"mcpServers"' in file.read(4_000) else path
    except OSError:
        raise UsageError(f"there is no baseline at {str(path)!r}; check the path, or measure one first") from None


async def compared(
    baseline: object,
    candidate: object,
    workload: Workload | None,
    said: Mapping[str, Any],
    *,
    contract: ContractBook | None = None,
    settings: GateSettings | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
    listener: Listener | None = None,
) -> Comparison:
    """Compare a candidate with a baseline; the caller is on the background loop.

    Args:
        baseline: a baseline, its file, a workbench, or a target.
        candidate: the same.
        workload: what is called; needed as soon as one side is live.
        said: how hard, as fields of :class:`Load`; what is left out is as the stored baseline says.
        contract: where examples come from.
        settings: between what is judged.
        limits: of connections that are made.
        progress: told of thousandths.
        listener: told how it goes.

    Raises:
        UsageError: the two cannot be compared, or nothing says what to call.
        UnreachableError: a target is not there.
    """
    async with AsyncExitStack() as stack:
        name, first = await stack.enter_async_context(opened_side(baseline, limits or Limits()))
        other, second = await stack.enter_async_context(opened_side(candidate, limits or Limits()))
        names = _told_apart(name, other)
        if isinstance(first, Baseline) and isinstance(second, Baseline):
            return compare_stored(first, second, settings=settings, names=names)
        if workload is None:
            raise UsageError(
                "a live target is called while it is compared; say with which tool, or with which workload"
            )
        sides: list[Baseline] = []
        if isinstance(first, Baseline) or isinstance(second, Baseline):
            stored = first if isinstance(first, Baseline) else second
            assert isinstance(stored, Baseline)
            # What cannot be compared with itself need not wait for the other.
            its = names[0] if stored is first else names[1]
            compare_stored(stored, stored, settings=settings, names=(its, its))
            same = as_measured(stored, said)
            for side in (first, second):
                if isinstance(side, Baseline):
                    sides.append(side)
                else:
                    like = stored.conditions
                    sides.append(
                        await measure(
                            side, workload, same, contract=contract, like=like, progress=progress, listener=listener
                        )
                    )
            return compare_stored(sides[0], sides[1], settings=settings, names=names)
        if "rate" not in said and "users" not in said:
            raise UsageError("say how hard the targets are to be called: a rate, or users")
        load = Load(**said)
        return await _live((first, second), names, workload, load, contract, settings, progress, listener)


async def _live(
    sides: tuple[Connection, Connection],
    names: tuple[str, str],
    workload: Workload,
    load: Load,
    contract: ContractBook | None,
    settings: GateSettings | None,
    progress: Progress | None,
    listener: Listener | None,
) -> Comparison:
    async with AsyncExitStack() as stack:
        ready: list[Prepared] = [await stack.enter_async_context(prepared(side)) for side in sides]
        # One workload for both, or generated arguments would differ where a schema does.
        resolved = resolve(workload, ready[0].tools, contract, target=names[0])
        listed = [tool.name for tool in ready[1].tools]
        for operation in resolved.operations:
            for step in operation.steps:
                if step.tool not in listed:
                    raise unknown_tool(names[1], step.tool, listed)
        conditions = tuple(conditions_of(each, resolved, load) for each in ready)
        refuse_other_population(conditions[0], conditions[1])
        first = [await first_call(side, resolved.operations, load.timeout_s) for side in sides]
        block_s = load.block_s(max(took_ms for took_ms, _ in first) + thought_ms(resolved.operations))
        starts = [(load.starts or STARTS) if each.starts_processes else 1 for each in ready]
        arms = [Arm(each.name, each.wire, resolved.operations) for each in ready for _ in range(starts[0])]
        mine = (range(starts[0]), range(starts[0], 2 * starts[0]))
        blocks = [load.block(arm, max(load.warm_up_s, 0.01) / starts[0], "warm-up") for arm in range(len(arms))]
        blocks += _pairs(load, block_s, mine)
        plan = Plan(tuple(arms), tuple(blocks), load.arrivals, load.timeout_s, load.max_in_flight, load.seed)
        servers = [each.server for each in ready for _ in range(starts[0])]
        run = await drive(plan, servers=servers, progress=progress, listener=listener)
        calls = [run.calls(*arms_of) for arms_of in mine]
        honesty = [
            assess(run, arms_of, of_arm, each.tools, [note] if note else [])
            for arms_of, of_arm, each, (_, note) in zip(mine, calls, ready, first, strict=True)
        ]
        return compare_calls(
            calls[0],
            calls[1],
            conditions=(conditions[0], conditions[1]),
            honesty=honesty,
            settings=settings,
            processes=(starts[0], starts[0]),
            names=names,
            seed=load.seed,
        )


def _pairs(load: Load, block_s: float, mine: tuple[range, range]) -> list[Block]:
    """Return the measured blocks: the arms in turns, now the one first and now the other."""
    dice = random.Random(load.seed)  # noqa: S311 - an order, no secret
    blocks: list[Block] = []
    for turn in range(max(1, round(load.duration_s / block_s))):
        pair = [load.block(arms[turn % len(arms)], block_s) for arms in mine]
        dice.shuffle(pair)
        blocks += pair
    return blocks


def _told_apart(baseline: str, candidate: str) -> tuple[str, str]:
    one, other = one_line(baseline, 80), one_line(candidate, 80)
    return (one, other) if one != other else (f"{one} (baseline)", f"{other} (candidate)")
