"""Measuring a target: its load is planned, made by the generator, and becomes a baseline."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, get_args
from uuid import uuid4

from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.errors import CallTimeoutError, UsageError
from mcp_workbench.kernel.connection import Connection
from mcp_workbench.load.assessing import assess
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.load.baselines.honesty import FIRST_CALL
from mcp_workbench.load.calibration import calibration_block, calibration_identity, calibration_server
from mcp_workbench.load.comparisons.comparison import refuse_other_population
from mcp_workbench.load.driving import Listener, drive
from mcp_workbench.load.generator.references import UNIQUE, fill
from mcp_workbench.load.plan import Arm, Arrivals, Block, Operation, Plan, Step
from mcp_workbench.load.preparing import Prepared, prepared
from mcp_workbench.load.workloads.resolving import Resolved, resolve
from mcp_workbench.load.workloads.workload import Workload
from mcp_workbench.progress import Progress
from mcp_workbench.records import read_arguments

BLOCK_S: Final = 0.1
"""How long one arm is called before it is the other's turn: short, so that a disturbance of the machine meets both."""

STARTS: Final = 3
"""How many processes of a command take turns where others are to be compared with it, unless it is said otherwise."""

_CALIBRATIONS: Final = 3
_LEAST_TURNS_S: Final = 3.0
_LONGEST_BLOCK_S: Final = 2.0
_CALLS_A_BLOCK: Final = 10
_LONG_CALLS_A_BLOCK: Final = 5
_CALIBRATION_WARM_UP_S: Final = 0.2
# Each takes 37 bytes, in the generator, in the file between and here.
_MOST_CALLS: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """How hard a target is called, and for how long.

    Attributes:
        rate: operations a second, begun whether or not earlier ones have ended (open model).
        users: users who begin their next operation when the last one has ended (closed model); one of the two is given.
        duration_s: how long is measured.
        warm_up_s: how long is called before, in no figure.
        arrivals: how the starts of an open load are spread.
        timeout_s: after which a call is given up.
        max_in_flight: how many calls may be unanswered at once; beyond it operations are dropped, and counted.
        starts: how many processes of a command take turns, so that one process's luck is not taken for the server's;
            ``None`` for :data:`STARTS` wherever other runs are to be compared, else one.
        seed: of all that is drawn.

    Raises:
        UsageError: a figure that makes no load.
    """

    rate: float | None = None
    users: int | None = None
    duration_s: float = 10.0
    warm_up_s: float = 1.0
    arrivals: Arrivals = "poisson"
    timeout_s: float = 10.0
    max_in_flight: int = 512
    starts: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no load."""
        if (self.rate is None) == (self.users is None):
            raise UsageError(
                "give either rate= (calls a second, whatever the server does) or users= (a closed loop), and not both"
            )
        if self.arrivals not in get_args(Arrivals):
            raise UsageError(f"arrivals={self.arrivals!r} is not known; give 'poisson' or 'constant'")
        for name, least, most, of in (
            ("rate", 0.01, 100_000, "calls a second"),
            ("duration_s", 0.1, 86_400, "seconds"),
            ("warm_up_s", 0, 3_600, "seconds"),
            ("timeout_s", 0.01, 3_600, "seconds"),
        ):
            value = getattr(self, name)
            if value is None and name == "rate":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                # As users call it.
                word = name.removesuffix("_s")
                raise UsageError(f"{word}={value!r} makes no load; give {of} from {least:g} to {most:,}")
        for name, fewest, most in (
            ("users", 1, 10_000),
            ("max_in_flight", 1, 100_000),
            ("starts", 1, 16),
            ("seed", 0, 2**32 - 1),
        ):
            value = getattr(self, name)
            if value is None and name in ("users", "starts"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not fewest <= value <= most:
                raise UsageError(f"{name}={value!r} makes no load; give a whole number from {fewest} to {most:,}")
        calls = (self.rate or 0.0) * self.duration_s
        if calls > _MOST_CALLS:
            raise UsageError(
                f"rate={self.rate:g} and duration={self.duration_s:g} make {calls:,.0f} calls, and each needs memory; "
                f"give a rate and a duration that make {_MOST_CALLS:,} at most"
            )
        if self.users is not None and self.users > self.max_in_flight:
            raise UsageError(
                f"{self.users:,} users want as many unanswered calls, and max_in_flight={self.max_in_flight} allows "
                f"fewer; give max_in_flight={self.users}"
            )

    def block(self, arm: int, seconds: float, phase: Any = "measured") -> Block:
        """Return a block of this load."""
        return Block(arm, seconds, self.rate, self.users, phase)

    def block_s(self, first_ms: float) -> float:
        """Return how long one turn is: long enough for some calls, short enough for twenty turns."""
        wished = max(BLOCK_S, _CALLS_A_BLOCK / self.rate if self.rate else 0.0, _LONG_CALLS_A_BLOCK * first_ms / 1e3)
        return min(wished, _LONGEST_BLOCK_S, self.duration_s / 20 if self.duration_s >= 20 * BLOCK_S else BLOCK_S)


def conditions_of(ready: Prepared, resolved: Resolved, load: Load) -> Conditions:
    """Return the population that a measurement speaks of."""
    return Conditions(
        target=ready.name,
        transport=ready.transport,
        placement=ready.placement,
        protocol=ready.wire.protocol,
        model="open" if load.users is None else "closed",
        arrivals=load.arrivals if load.users is None else "",
        rate=load.rate,
        users=load.users,
        workload=resolved.words,
        workload_digest=resolved.digest,
        timeout_s=load.timeout_s,
        max_in_flight=load.max_in_flight,
    )


async def first_call(connection: Connection, operations: Sequence[Operation], timeout_s: float) -> tuple[float, str]:
    """Make the first call of the most frequent operation through the SDK.

    Returns:
        How long it took in milliseconds, and a note if it did not end well.
    """
    step: Step = max(operations, key=lambda operation: operation.weight).steps[0]
    arguments = read_arguments(fill(step.arguments[0], {UNIQUE: f"first-{uuid4().hex[:12]}"}))
    try:
        result = await connection.call(step.tool, arguments, timeout_s=timeout_s, purpose="warm-up")
    except CallTimeoutError:
        return timeout_s * 1e3, f"{FIRST_CALL} had no answer within {timeout_s:g} s"
    note = "" if result.ok else f"{FIRST_CALL} failed: {result.error}"
    return result.latency_ms, note


async def measure(
    connection: Connection,
    workload: Workload,
    load: Load,
    *,
    contract: ContractBook | None = None,
    calibrated: bool = True,
    label: str = "",
    like: Conditions | None = None,
    progress: Progress | None = None,
    listener: Listener | None = None,
) -> Baseline:
    """Measure one target; the caller is on the background loop.

    Args:
        connection: an open connection to it.
        workload: what is called.
        load: how hard, and for how long.
        contract: where examples come from.
        calibrated: whether the calibration server is called in turns, so that other days and machines can be compared.
        label: what is measured, such as a release.
        like: the conditions of what it will be compared with.
        progress: told of thousandths.
        listener: told how it goes.

    Raises:
        UsageError: the workload does not fit the target, or the conditions would be others than those of ``like``.
        UnreachableError: the target is not there.
    """
    async with AsyncExitStack() as stack:
        ready = await stack.enter_async_context(prepared(connection))
        resolved = resolve(workload, ready.tools, contract, target=ready.name)
        conditions = conditions_of(ready, resolved, load)
        if like is not None:
            # Before anything is called: nobody waits for figures that cannot be compared.
            refuse_other_population(like, conditions)
        first_ms, note = await first_call(connection, resolved.operations, load.timeout_s)
        starts = (load.starts or (STARTS if calibrated else 1)) if ready.starts_processes else 1
        arms = [Arm(ready.name, ready.wire, resolved.operations)] * starts
        servers = [ready.server] * starts
        mine = range(starts)
        beside = range(starts, starts + _CALIBRATIONS if calibrated else starts)
        blocks = [load.block(arm, max(load.warm_up_s, 0.01) / starts, "warm-up") for arm in mine]
        for arm in beside:
            process = calibration_server(ready.wire.kind, started=servers.append)
            arms.append(await stack.enter_async_context(process))
            blocks.append(calibration_block(load.block(0, _CALIBRATION_WARM_UP_S, "warm-up"), arm))
        # Without a pause: calls that would have come while a server stalls come, and wait.
        whole = range(len(blocks), len(blocks) + starts)
        blocks += [load.block(arm, load.duration_s / starts) for arm in mine]
        if calibrated:
            blocks += turns(load, load.block_s(first_ms + thought_ms(resolved.operations)), mine, beside)
        plan = Plan(tuple(arms), tuple(blocks), load.arrivals, load.timeout_s, load.max_in_flight, load.seed)
        begun = datetime.now(UTC)
        run = await drive(plan, servers=servers, progress=progress, listener=listener)
        made = run.measured_blocks(*mine)
        unbroken = [number for number in made if number in whole]
        calls = run.calls(*mine, blocks=unbroken)
        in_turns = [number for number in made if number not in whole]
        notes = [*resolved.notes, *filter(None, [note])]
        return baseline_of(
            calls,
            conditions,
            assess(run, mine, calls, ready.tools, notes, blocks=unbroken),
            turns=(run.calls(*mine, blocks=in_turns), run.calls(*beside)) if calibrated else None,
            calibration_identity=calibration_identity() if calibrated else "",
            processes=starts,
            label=label,
            measured_at=begun,
        )


def thought_ms(operations: Sequence[Operation]) -> float:
    """Return how long the users of the slowest flow think, in milliseconds."""
    return 1e3 * max(sum(step.think_s for step in operation.steps) for operation in operations)


def turns(load: Load, block_s: float, mine: Sequence[int], calibrations: Sequence[int]) -> list[Block]:
    """Return blocks in which the target's processes and the calibration servers are called in turns.

    Args:
        load: how hard, and for how long; half of that is each called.
        block_s: how long a turn is, in seconds.
        mine: the target's processes.
        calibrations: those of the calibration server.
    """
    dice = random.Random(load.seed)  # noqa: S311 - an order, no secret
    blocks: list[Block] = []
    turns_s = max(load.duration_s / 2, min(load.duration_s, _LEAST_TURNS_S))
    for turn in range(max(1, round(turns_s / block_s))):
        pair = [load.block(mine[turn % len(mine)], block_s)]
        pair.append(calibration_block(pair[0], calibrations[turn % len(calibrations)]))
        dice.shuffle(pair)
        blocks += pair
    return blocks


def as_measured(stored: Baseline, said: Mapping[str, Any]) -> Load:
    """Return the load under which a baseline was measured, with what was said otherwise.

    Args:
        stored: the baseline.
        said: fields of :class:`Load` by name; those that are not in it are the baseline's.
    """
    conditions = stored.conditions
    fields: dict[str, Any] = {
        "duration_s": max(0.1, stored.whole.seconds),
        "timeout_s": conditions.timeout_s,
        "max_in_flight": conditions.max_in_flight,
        "starts": stored.processes,
    }
    if conditions.arrivals:
        fields["arrivals"] = conditions.arrivals
    if "rate" not in said and "users" not in said:
        fields |= {"rate": conditions.rate, "users": conditions.users}
    return Load(**{**fields, **said})
