"""Climbing: the load of a ramp is made, for several targets in turns, until the knee of each is found."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final

import numpy as np

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.assessing import assess
from mcp_workbench.load.capacities.knee import read_stage
from mcp_workbench.load.capacities.ramp import WARM_UP_S, Ramp
from mcp_workbench.load.driving import drive
from mcp_workbench.load.plan import Arm, Block, Plan
from mcp_workbench.load.run import Run
from mcp_workbench.progress import Progress
from mcp_workbench.untrusted import one_line

_SPARE: Final = 10
_MOST_RUNS: Final = 9
_BURST_USERS: Final = 16
_BURST_S: Final = 1.0


async def climb(ramps: Mapping[str, Ramp], progress: Progress | None = None) -> list[str]:
    """Offer rising rates to all targets in turns until the knee of each is found; the caller is on the background loop.

    Args:
        ramps: the targets by name; their stages are added to them.
        progress: told of thousandths.

    Returns:
        What a reader should know besides.

    Raises:
        UnreachableError: a target is not there.
        WorkbenchError: the generator failed.
    """
    shown = _Portions(progress)
    begun_s = time.monotonic()
    settings = next(iter(ramps.values())).settings
    bursts = await _alone(ramps, shown) if settings.start_rate is not None else await _burst(ramps, shown)
    wanted = {name: ramp.first_rates(bursts[name]) for name, ramp in ramps.items()}
    for _ in range(_MOST_RUNS):
        asked = {name: rates for name, rates in wanted.items() if rates}
        if not asked:
            return []
        planned_s = sum(ramps[name].seconds(rate) for name, rates in asked.items() for rate in rates)
        if any(ramp.stages for ramp in ramps.values()) and (
            time.monotonic() - begun_s + planned_s > settings.limit_s * len(ramps)
        ):
            return [
                f"the search ended at its limit of {settings.limit_s:g} s, before the band was as narrow as it may be"
            ]
        before = {name: len(ramps[name].stages) for name in asked}
        try:
            await _offer({name: ramps[name] for name in asked}, asked, shown)
        except UnreachableError as error:
            if not any(ramp.stages for ramp in ramps.values()):
                raise
            return [f"the search ended early, because after some stages a target was gone: {error}"]
        left_out = [name for name, stages in before.items() if len(ramps[name].stages) == stages]
        wanted = wanted_next(ramps, asked, left_out)
    return unfinished([ramps[name] for name, rates in wanted.items() if rates])


def wanted_next(
    ramps: Mapping[str, Ramp], asked: Mapping[str, list[float]], left_out: Sequence[str]
) -> dict[str, list[float]]:
    """Return what is asked of each target next.

    Args:
        ramps: the targets by name.
        asked: what was asked of them.
        left_out: those whose turn never came. If it was because another one does not answer, they are asked again.
    """
    silent = any(ramps[name].ended for name in asked)
    again = [name for name in left_out if silent and not ramps[name].ended]
    return {name: rates if name in again else ramps[name].next_rates() for name, rates in asked.items()}


def unfinished(ramps: Sequence[Ramp]) -> list[str]:
    """Return why these ramps are at no end after as many runs as there may be; nothing if there are none."""
    if any(ramp.contradicts_itself() for ramp in ramps):
        return ["the search ended before the knee was narrowed down, because its stages contradict each other"]
    if ramps:
        return [
            f"the search ended after {_MOST_RUNS} runs, which were not enough to find the knee and to narrow it down; "
            "a start rate nearer to it helps"
        ]
    return []


def _warm_ups(arm: int) -> list[Block]:
    # In each block there is an operation, however long one takes: the second one's is not the first of a fresh process.
    return [Block(arm, WARM_UP_S / 2, None, 1, "warm-up")] * 2


async def _alone(ramps: Mapping[str, Ramp], shown: _Portions) -> dict[str, float | None]:
    """Note how long an operation of each target takes; return that no burst was made."""
    blocks = [block for arm in range(len(ramps)) for block in _warm_ups(arm)]
    run = await _driven(ramps, blocks, shown)
    for arm, ramp in enumerate(ramps.values()):
        ramp.heard(run, arm)
    return dict.fromkeys(ramps)


async def _burst(ramps: Mapping[str, Ramp], shown: _Portions) -> dict[str, float | None]:
    """Return how many operations a second each target achieves in a closed loop."""
    seconds = min(_BURST_S, next(iter(ramps.values())).settings.stage_s)
    found: dict[str, float | None] = {}
    # Targets that do not answer use up the time of those behind them, which get another turn.
    while left := {name: ramp for name, ramp in ramps.items() if name not in found}:
        blocks = []
        for arm in range(len(left)):
            blocks += [*_warm_ups(arm), Block(arm, seconds, None, _BURST_USERS)]
        found |= read_bursts(await _driven(left, blocks, shown), left)
    return found


def read_bursts(run: Run, ramps: Mapping[str, Ramp]) -> dict[str, float]:
    """Return how many operations a second ended well, of each target that had its turn; the first one always had it."""
    return {
        name: _burst_rate(run, arm, ramp)
        for arm, (name, ramp) in enumerate(ramps.items())
        if arm == 0 or run.measured_blocks(arm)
    }


def _burst_rate(run: Run, arm: int, ramp: Ramp) -> float:
    ramp.heard(run, arm)
    calls = run.calls(arm)
    well = int((~calls.failed).sum()) / max(len(calls), 1)
    books = [run.books[number] for number in run.measured_blocks(arm)]
    seconds = sum(book.ended_ns - book.begun_ns for book in books) / 1e9
    return well * sum(book.offered for book in books) / (seconds or 1.0)


async def _offer(ramps: Mapping[str, Ramp], asked: Mapping[str, Sequence[float]], shown: _Portions) -> None:
    """Make one stage for each rate that is asked for; the first ones of all targets, then the second ones."""
    dice = random.Random(sum(map(len, asked.values())))  # noqa: S311 - an order, no secret
    blocks = [Block(arm, WARM_UP_S, None, 1, "warm-up") for arm in range(len(ramps))]
    each = list(ramps.values())
    for rates in zip_longest(*asked.values()):
        turn = [Block(arm, each[arm].seconds(rate), rate, None) for arm, rate in enumerate(rates) if rate is not None]
        dice.shuffle(turn)
        blocks += turn
    read_stages(await _driven(ramps, blocks, shown), ramps)


def read_stages(run: Run, ramps: Mapping[str, Ramp]) -> None:
    """Add what a run found to the ramps; nothing to those whose turn never came."""
    for arm, ramp in enumerate(ramps.values()):
        ramp.heard(run, arm)
        measured = run.measured_blocks(arm)
        if not measured:
            continue
        # A kind that is so rare that it was not seen changes little.
        slowest_s = max(ramp.kinds_alone_s.values(), default=0.0)
        usual_s = np.array([ramp.kinds_alone_s.get(kind, slowest_s) for kind in range(len(ramp.operations))])
        for number in measured:
            # An operation may well take twice as long as another of its kind.
            longer_s = np.minimum(usual_s, run.plan.blocks[number].seconds / _SPARE)
            ramp.stages.append(read_stage(run, number, usual_s + longer_s))
        ramp.honesty = assess(run, [arm], run.calls(arm), ramp.ready.tools)


async def _driven(ramps: Mapping[str, Ramp], blocks: Sequence[Block], shown: _Portions) -> Run:
    settings = next(iter(ramps.values())).settings
    arms = tuple(Arm(one_line(name, 80), ramp.ready.wire, ramp.operations) for name, ramp in ramps.items())
    plan = Plan(arms, tuple(blocks), "poisson", settings.timeout_s, settings.max_in_flight, settings.seed)
    return await drive(plan, servers=[ramp.ready.server for ramp in ramps.values()], progress=shown.next())


class _Portions:
    """Progress over runs whose number is not known: each run takes a part of what is left."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0.0
        self._share = 0.05

    def next(self) -> Progress | None:
        """Return what the next run tells its progress."""
        begun, share = self._done, self._share
        self._done, self._share = begun + share * (1 - begun), 0.5
        if self._progress is None:
            return None
        told = self._progress

        def tell(done: int, total: int) -> None:
            told(round(1_000 * (begun + share * (1 - begun) * done / max(total, 1))), 1_000)

        return tell
