"""The knee: up to which rate a server follows what is offered, found from stages at rising rates.

Each stage offers a rate, at random moments (Poisson), to a server whose queue is empty. What it says is a vote from -1
(does not hold) to 1 (holds), which is the worse one of

- **throughput**: of what was offered, how much was left undone when the stage was over. Nothing is 1, the 5 % that are
  tolerated are 0, twice as much is -1. What was dropped, and what failed, is undone. A queue grows by chance, too, by
  about the root of the number of calls when the server is just busy: stages with less than some 250 calls read a little
  low.
- **latency**: p95 from the intended start against what is demanded: there is 0, a fifth below is 1, a quarter above -1.

One disturbed stage has one vote, and stages are in order: what holds at 200 a second holds at 150. So votes are made to
fall with the rate (isotonic regression), and the knee is where they cross 0: between the two nearest rates, on a
logarithmic axis. The rate is what was really offered, so that the luck of the arrivals is in no vote.

What is tolerated is in the knee: a server keeps up for ever with up to 5 % less.

The band: stages are drawn again from those of their rate, and in each stage the tenths of its time; from each draw the
knee is found. The greatest rate that was asked for below 97.5 % of these knees surely holds, the smallest above 97.5 %
of them surely does not.

Source:
    isotonic regression: Barlow, Bartholomew, Bremner and Brunk 1972, "Statistical inference under order restrictions",
    as it is used for thresholds from yes and no at rising doses; the band: a bootstrap of clusters in two steps
    (Davison and Hinkley 1997, "Bootstrap methods and their application", 3.8), with slices of time instead of single
    calls, because calls of one moment are alike (Künsch 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.load.baselines.honesty import VOID_SHARE
from mcp_workbench.load.measured import OK
from mcp_workbench.load.run import Run, were_sent

TOLERATED: Final = 0.05
"""The share of what is offered that may be left undone when a stage is over."""

FEW_CALLS: Final = 250
"""Stages with less calls than this read a knee low."""

SLICES: Final = 10
_DRAWS: Final = 400
_CONFIDENCE: Final = 0.95
_FULL_VOTE: Final = math.log(1.25)
_CHUNK: Final = 50

Criterion = Literal["throughput", "latency"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What one stage found.

    Attributes:
        rate: operations a second that were meant.
        seconds: how long operations were begun.
        offered: how many operations were meant to begin.
        dropped: how many of them were not, because too many calls were unanswered.
        failed: how many calls did not end well.
        generator_share: of each second, how long the generator was on a processor or waited for one.
        void: whether the generator was the bottleneck.
        arrived: operations that were meant to begin, for each tenth of the stage.
        done: operations that ended well, for each tenth; what ended after the stage is in none.
        ended_well: whether some call ended well, in time or not.
        latency_ms: of each call that was sent, from its intended start, in rising order.
        tenth: in which tenth of the stage each of these calls was meant to begin.
    """

    rate: float
    seconds: float
    offered: int
    dropped: int
    failed: int
    generator_share: float
    void: bool
    arrived: Floats
    done: Floats
    ended_well: bool
    latency_ms: Floats
    tenth: NDArray[np.int64]

    @property
    def offered_rate(self) -> float:
        """Operations a second that were really meant to begin."""
        return self.offered / self.seconds

    @property
    def achieved(self) -> float:
        """Operations a second that ended well before the stage was over."""
        return float(self.done.sum()) / self.seconds

    @property
    def undone(self) -> float:
        """Which share of what was offered did not end well before the stage was over."""
        return float(self.arrived.sum() - self.done.sum()) / max(1.0, float(self.arrived.sum()))

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile of the latency from the intended start; ``None`` without calls."""
        return float(np.percentile(self.latency_ms, percent)) if len(self.latency_ms) else None

    def verdict(self, slo_p95_ms: float | None) -> str:
        """Return what the stage says, in a few words."""
        if self.void:
            return "void: the generator was the bottleneck"
        if not self.offered:
            return "nothing was offered"
        if self.undone > TOLERATED:
            reasons = {"calls fail": self.failed, "calls dropped": self.dropped}
            undone = float(self.arrived.sum() - self.done.sum())
            worst = max(reasons, key=lambda name: reasons[name])
            return worst if reasons[worst] > undone / 2 else "falls behind"
        p95_ms = self.percentile_ms(95)
        return "p95 too high" if slo_p95_ms is not None and (p95_ms or 0.0) > slo_p95_ms else "holds"

    def votes(self, slo_p95_ms: float | None) -> tuple[float, float]:
        """Return what the stage says of throughput, and of latency; 1 of latency if nothing is demanded."""
        latency = self._latency_vote(np.ones((1, SLICES)), slo_p95_ms)
        return float(_throughput_vote(np.array(self.undone))), float(latency[0])

    def drawn(self, slo_p95_ms: float | None, dice: np.random.Generator) -> tuple[Floats, Floats]:
        """Return for each draw of the stage's tenths what was offered, in operations a second, and the worse vote."""
        weights = dice.multinomial(SLICES, np.full(SLICES, 1 / SLICES), _DRAWS).astype(np.float64)
        arrived = weights @ self.arrived
        # A draw in which nothing was to begin says nothing of its own.
        some = arrived > 0
        undone = np.where(some, (arrived - weights @ self.done) / np.where(some, arrived, 1.0), self.undone)
        offered = np.where(some, arrived, self.offered) / self.seconds
        return offered, np.minimum(_throughput_vote(undone), self._latency_vote(weights, slo_p95_ms))

    def _latency_vote(self, weights: Floats, slo_p95_ms: float | None) -> Floats:
        if slo_p95_ms is None or not len(self.latency_ms):
            return np.ones(len(weights))
        p95_ms = np.concatenate(
            [self._weighted_p95_ms(weights[at : at + _CHUNK]) for at in range(0, len(weights), _CHUNK)]
        )
        vote: Floats = np.clip(np.log(slo_p95_ms / np.maximum(p95_ms, 1e-6)) / _FULL_VOTE, -1.0, 1.0)
        return vote

    def _weighted_p95_ms(self, weights: Floats) -> Floats:
        ranks = np.cumsum(weights[:, self.tenth], axis=1)
        at = (ranks < 0.95 * ranks[:, -1:]).sum(axis=1)
        found: Floats = self.latency_ms[np.minimum(at, len(self.latency_ms) - 1)]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Knee:
    """Up to which rate a server follows.

    Attributes:
        rate: the knee, in operations a second; the greatest measured rate if all hold, ``None`` if none does.
        low: the greatest measured rate that surely holds; ``None`` if none surely does.
        high: the smallest measured rate that surely does not; ``None`` if none surely does not.
        criterion: what ends it; ``None`` if nothing does up to the greatest measured rate.
        draws: the knee of each draw; infinite where all rates hold, 0 where none does.
    """

    rate: float | None
    low: float | None
    high: float | None
    criterion: Criterion | None
    draws: Floats


def find_knee(stages: Sequence[Stage], slo_p95_ms: float | None = None, *, seed: int = 0) -> Knee:
    """Return up to which rate the server of these stages follows.

    Args:
        stages: in any order; void ones say nothing.
        slo_p95_ms: what p95 from the intended start may be; not judged if ``None``.
        seed: of what is drawn.
    """
    told = [stage for stage in stages if not stage.void and stage.offered]
    if not told:
        return Knee(None, None, None, None, np.zeros(_DRAWS))
    asked = np.array(sorted({stage.rate for stage in told}))
    offered = np.array([stage.offered_rate for stage in told])
    throughput, latency = np.array([stage.votes(slo_p95_ms) for stage in told]).T
    crossed = _crossing(offered, np.minimum(throughput, latency))
    draws = _drawn_knees(told, slo_p95_ms, seed)
    # Not interpolated: half of an endless knee would be none.
    surely, at_most = (
        float(np.quantile(draws, share, method="inverted_cdf"))
        for share in ((1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2)
    )
    criterion: Criterion | None = None
    if math.isfinite(crossed):
        sooner = _crossing(offered, latency) < _crossing(offered, throughput)
        criterion = "latency" if sooner else "throughput"
    return Knee(
        rate=None if crossed == 0.0 else min(crossed, float(asked[-1])),
        low=max((float(rate) for rate in asked if rate <= surely), default=None),
        high=min((float(rate) for rate in asked if rate >= at_most), default=None),
        criterion=criterion,
        draws=draws,
    )


def _drawn_knees(stages: Sequence[Stage], slo_p95_ms: float | None, seed: int) -> Floats:
    dice = np.random.default_rng(seed)
    groups = [[stage for stage in stages if stage.rate == rate] for rate in sorted({stage.rate for stage in stages})]
    offered, votes = [], []
    for group in groups:
        drawn = np.array([stage.drawn(slo_p95_ms, dice) for stage in group])
        chosen = dice.integers(len(group), size=(len(group), _DRAWS))
        offered.append(np.take_along_axis(drawn[:, 0], chosen, axis=0))
        votes.append(np.take_along_axis(drawn[:, 1], chosen, axis=0))
    return np.array([_crossing(*each) for each in zip(np.concatenate(offered).T, np.concatenate(votes).T, strict=True)])


def _throughput_vote(undone: Floats) -> Floats:
    vote: Floats = np.clip((TOLERATED - undone) / TOLERATED, -1.0, 1.0)
    return vote


def _crossing(offered: Floats, votes: Floats) -> float:
    """Return the rate at which falling votes cross 0: 0 if they never are above, infinite if they never are below."""
    from scipy.optimize import isotonic_regression

    rates, at = np.unique(offered, return_inverse=True)
    counts = np.bincount(at)
    means = np.bincount(at, weights=votes) / counts
    fitted = isotonic_regression(means, weights=counts, increasing=False).x
    held = int((fitted > 0).sum())
    if held in (0, len(rates)):
        return math.inf if held else 0.0
    above, below = fitted[held - 1], fitted[held]
    share = above / (above - below)
    return float(rates[held - 1] * (rates[held] / rates[held - 1]) ** share)


def rate_words(rate: float) -> str:
    """Return a rate of three digits in words, such as ``1,460``."""
    return f"{float(f'{rate:.3g}'):,g}"


def read_stage(run: Run, number: int, usual_s: Floats) -> Stage:
    """Return what a block of a run found.

    Args:
        run: the run.
        number: of the block.
        usual_s: for each kind of operation, how much later than the stage it may end, since it takes so long anyway.
    """
    block, book = run.plan.blocks[number], run.books[number]
    column = {name: values[run.columns["block"] == number] for name, values in run.columns.items()}
    length_ns = max(1, book.meant_end_ns - book.begun_ns)
    last = np.array([len(operation.steps) - 1 for operation in run.plan.arms[block.arm].operations])
    ended_well = (column["outcome"] == OK) & (column["step"] == last[column["operation"]])
    usual_ns = np.round(usual_s * 1e9).astype(np.int64)[column["operation"][ended_well]]
    done = _counted(column["end_ns"][ended_well] - book.begun_ns - usual_ns, length_ns)
    first = column["step"] == 0
    arrived = _counted(column["intended_ns"][first] - book.begun_ns, length_ns)
    latency_ns = column["end_ns"] - column["intended_ns"]
    sent = np.flatnonzero(were_sent(column))
    order = sent[np.argsort(latency_ns[sent])]
    share = _generator_share(run, number)
    in_process = run.plan.arms[block.arm].wire.kind == "in-process"
    return Stage(
        rate=block.rate or 0.0,
        seconds=length_ns / 1e9,
        offered=book.offered,
        dropped=book.dropped,
        failed=int((column["outcome"] != OK).sum()),
        generator_share=share,
        # The work of a server in the generator's loop is the generator's.
        void=share >= VOID_SHARE and not in_process,
        # When dropped ones were meant to begin is not kept; they are spread evenly.
        arrived=arrived + (book.offered - float(arrived.sum())) / SLICES,
        done=done,
        ended_well=bool((column["outcome"] == OK).any()),
        latency_ms=(latency_ns[order] / 1e6).astype(np.float64),
        tenth=_tenths(column["intended_ns"][order] - book.begun_ns, length_ns).clip(0, SLICES - 1),
    )


def _tenths(since_ns: NDArray[np.int64], length_ns: int) -> NDArray[np.int64]:
    tenths: NDArray[np.int64] = np.maximum(since_ns, 0) * SLICES // length_ns
    return tenths


def _counted(since_ns: NDArray[np.int64], length_ns: int) -> Floats:
    tenths = _tenths(since_ns, length_ns)
    return np.bincount(tenths[tenths < SLICES], minlength=SLICES).astype(np.float64)


def _generator_share(run: Run, number: int) -> float:
    """Return how busy the generator was while operations were begun, waiting for a processor included."""
    until_ns = run.books[number].meant_end_ns
    wall_ns = busy_ns = 0
    for before, after in pairwise(run.beats):
        if after.block == number and before.at_ns < until_ns:
            wall_ns += after.at_ns - before.at_ns
            busy_ns += after.cpu_ns - before.cpu_ns
            if after.waited_ns is not None and before.waited_ns is not None:
                busy_ns += after.waited_ns - before.waited_ns
    return busy_ns / wall_ns if wall_ns else 0.0
