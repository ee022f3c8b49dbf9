"""The statistics of comparing two arms that were called in turns: how sure a difference is, on a noisy machine.

Noise comes in bursts, so that calls of one moment are alike: whole blocks are drawn again, never single calls, and
block ``i`` of one arm always together with block ``i`` of the other, which ran beside it. What lasts as long as a
process (the luck of its memory layout, of its hash seed) is in all blocks alike and cannot be seen in them: it is a
term of its own.

Latencies are those of the calls that ended well: a failing call is often a fast one, and a server that fails must not
look better for it. Failures are judged by themselves (``error_rates``).

Source:
    the block bootstrap for paired series (Künsch 1989, "The jackknife and the bootstrap for general stationary
    observations"), with blocks that do not overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.load.measured import Calls

RESAMPLES: Final = 1_000

_CHUNK: Final = 250
_WELL_KNOWN: Final = 1_000_000
# As how many processes of each arm the assumed spread of processes counts, besides those that were measured.
_ASSUMED_DEGREES: Final = 4
# A grid as fine as this moves a percentile by less than a thousandth of the calls; the tail has more of it.
_GRID, _TAIL_GRID, _TAIL_SHARE = 1_000, 500, 0.95
# Beyond this logarithm a ratio is no number any more.
_ENDLESS: Final = 700.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and between what it lies.

    Attributes:
        estimate: the figure.
        low: the lower bound.
        high: the upper bound.
        confidence: how often such an interval holds the truth, from 0 to 1.
    """

    estimate: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Luck:
    """What lasts as long as a process or a run, so that the blocks of one do not show it.

    Attributes:
        sd: its standard deviation in the logarithm of a ratio.
        degrees: how well that is known, as degrees of freedom.
    """

    sd: float
    degrees: int = _WELL_KNOWN


@dataclass(frozen=True, slots=True)
class LogRatio:
    """How much slower the candidate is than the baseline, as the logarithm of the ratio.

    Attributes:
        baseline_ms: the baseline's latency in milliseconds.
        candidate_ms: the candidate's.
        log_ratio: the natural logarithm of candidate over baseline.
        standard_error: of ``log_ratio``, from what blocks differ by; what lasts as long as a process is not in it.
        pairs: how many pairs of blocks there were.
    """

    baseline_ms: float
    candidate_ms: float
    log_ratio: float
    standard_error: float
    pairs: int

    def spread(self, confidence: float, luck: Luck | None = None) -> float:
        """Return how far the interval reaches to either side, as a logarithm.

        Args:
            confidence: of the whole interval, above 0 and below 1; each bound holds with half of the doubt.
            luck: what the blocks cannot show.
        """
        sd = self.standard_error if luck is None else math.hypot(self.standard_error, luck.sd)
        return student_quantile(confidence, self._degrees(luck)) * sd

    def _degrees(self, luck: Luck | None) -> float:
        """Return the degrees of freedom of both sources of noise together (Welch 1947; Satterthwaite 1946)."""
        if self.pairs < 2 or luck is None or not luck.sd or not math.isfinite(self.standard_error):
            return self.pairs - 1
        share = self.standard_error**2 / (self.standard_error**2 + luck.sd**2)
        return 1 / (share**2 / (self.pairs - 1) + (1 - share) ** 2 / luck.degrees)

    def interval(self, confidence: float, luck: Luck | None = None, below: float | None = None) -> Interval:
        """Return the ratio and between what it lies.

        Args:
            confidence: as for :meth:`spread`.
            luck: what the blocks cannot show.
            below: the confidence for the lower bound, if it is another one.
        """
        down = self.spread(confidence if below is None else below, luck)
        low, high = self.log_ratio - down, self.log_ratio + self.spread(confidence, luck)
        whole = confidence if below is None else (confidence + below) / 2
        return Interval(math.exp(self.log_ratio), math.exp(low), math.exp(min(high, _ENDLESS)), whole)


def student_quantile(confidence: float, degrees: float) -> float:
    """Return how many standard errors an interval reaches to either side; infinite without degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2)) if degrees > 0 else math.inf


def bootstrap_ratios(
    baseline: Calls,
    candidate: Calls,
    measures: Sequence[Sequence[float]],
    *,
    by_tool: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[LogRatio | None]:
    """Compare the latencies of two arms that were called in turns, by drawing pairs of blocks again.

    Args:
        baseline: its block ``i`` ran beside block ``i`` of the candidate.
        candidate: blocks that only one of the two has are left out.
        measures: for each, percentiles from 0 to 100: one, or several whose geometric mean is taken. The percentiles
            are those of all calls together that ended well, by nearest rank; beyond 1,500 calls, to a thousandth of
            the calls.
        by_tool: whether each tool's percentiles are taken by themselves, and then the geometric mean of the tools', by
            their share of the calls. The median of a quick tool and a slow one together lies between the two, where
            there are no calls: it says nothing of either.
        resamples: how often blocks are drawn.
        seed: of the draws.

    Returns:
        For each measure the ratio, or ``None`` if an arm has no calls that ended well, or none that took any time.
    """
    pairs = min(baseline.blocks, candidate.blocks)
    strata = _strata(baseline, candidate, pairs, by_tool=by_tool)
    if not strata:
        return [None] * len(measures)
    whole = np.ones((1, pairs), dtype=np.float32)
    # Latencies of no time at all have no logarithm.
    with np.errstate(invalid="ignore"):
        before, after = _weighed(strata, whole, measures)[:, 0]
        drawn = np.concatenate(
            [np.diff(_weighed(strata, weights, measures), axis=0)[0] for weights in draws(pairs, resamples, seed)]
        )
    return [
        LogRatio(
            math.exp(before[at]),
            math.exp(after[at]),
            float(after[at] - before[at]),
            _standard_error(drawn[np.isfinite(drawn[:, at]), at], pairs),
            pairs,
        )
        if math.isfinite(before[at]) and math.isfinite(after[at])
        else None
        for at in range(len(measures))
    ]


def process_luck(
    baseline: Calls,
    candidate: Calls,
    percentiles: Sequence[float],
    standard_error: float,
    *,
    processes: tuple[int, int],
    assumed_sd: float,
    by_tool: bool = False,
) -> Luck:
    """Return what processes of the same code differ by for as long as they live, in the ratio of two arms.

    What is assumed is mended by what the processes of each arm do differ by, as far as few processes can tell.

    Args:
        baseline: its process ``k`` of ``n`` was called in the blocks ``k``, ``k + n``, and so on.
        candidate: the other arm, in the same way.
        percentiles: of the measure; its geometric mean is taken.
        standard_error: of the ratio's logarithm, as the blocks show it; it is in what processes are seen to differ by.
        processes: how many each arm has.
        assumed_sd: the standard deviation between processes that is assumed, as a logarithm.
        by_tool: as for :func:`bootstrap_ratios`.

    Source:
        the pooled variance within both arms, weighed with the assumed one by degrees of freedom (an inverse chi-square
        prior; Gelman et al., "Bayesian Data Analysis", 2.6).
    """
    squares, degrees = 0.0, 0
    shares = _shares(baseline, candidate) if by_tool else {}
    for arm, count in zip((baseline, candidate), processes, strict=True):
        logs = [_log_measure(arm.where(arm.block % count == number), percentiles, shares) for number in range(count)]
        known = [each for each in logs if math.isfinite(each)]
        if len(known) > 1:
            squares += float(np.var(known, ddof=1)) * (len(known) - 1)
            degrees += len(known) - 1
    per_process = 1 / processes[0] + 1 / processes[1]
    if not degrees or not math.isfinite(standard_error):
        return Luck(assumed_sd * math.sqrt(per_process))
    assumed = assumed_sd**2 + standard_error**2 / per_process
    seen = per_process * (_ASSUMED_DEGREES * assumed + squares) / (_ASSUMED_DEGREES + degrees)
    return Luck(math.sqrt(max(0.0, seen - standard_error**2)), _ASSUMED_DEGREES + degrees)


def _shares(baseline: Calls, candidate: Calls) -> dict[str, float]:
    """Return of each tool that both arms called well its share of these calls; nothing if there are not several."""
    counts = {}
    for name in baseline.tools:
        if name in candidate.tools:
            mine, theirs = (int(np.count_nonzero(~arm.of_tool(name).failed)) for arm in (baseline, candidate))
            if mine and theirs:
                counts[name] = mine + theirs
    return {name: count / sum(counts.values()) for name, count in counts.items()} if len(counts) > 1 else {}


def _strata(baseline: Calls, candidate: Calls, pairs: int, *, by_tool: bool) -> list[tuple[float, _Both]]:
    """Return both arms, cut into their tools or whole, each with its share; nothing if an arm has no good calls."""
    shares = _shares(baseline, candidate) if by_tool else {}
    cut = [(share, baseline.of_tool(name), candidate.of_tool(name)) for name, share in shares.items()]
    found = []
    for share, mine, theirs in cut or [(1.0, baseline, candidate)]:
        first, second = _Ranked.of(mine, pairs), _Ranked.of(theirs, pairs)
        if first is not None and second is not None:
            found.append((share, _Both(first, second, keeps=len(cut) > 1)))
    whole = sum(share for share, _ in found)
    return [(share / whole, arms) for share, arms in found]


def _log_measure(calls: Calls, percentiles: Sequence[float], shares: Mapping[str, float]) -> float:
    if shares:
        return sum(share * _log_measure(calls.of_tool(name), percentiles, {}) for name, share in shares.items())
    well_ms = calls.latency_ms[~calls.failed]
    if not len(well_ms):
        return math.nan
    with np.errstate(divide="ignore"):
        return float(np.log(np.percentile(well_ms, percentiles)).mean())


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The latencies of one arm on a grid of ranks, and how many calls of each block lie at or below each of them."""

    log_ms: NDArray[np.float64]
    below: NDArray[np.float32]

    @classmethod
    def of(cls, calls: Calls, pairs: int) -> _Ranked | None:
        chosen = ~calls.failed & (calls.block < pairs)
        latency_ms, block = calls.latency_ms[chosen], calls.block[chosen].astype(np.int64)
        count = len(latency_ms)
        if count == 0:
            return None
        order = np.argsort(latency_ms, kind="stable")
        ranks = np.arange(count)
        if count > _GRID + _TAIL_GRID:
            whole, tail = np.linspace(0, count - 1, _GRID), np.linspace(_TAIL_SHARE * count, count - 1, _TAIL_GRID)
            ranks = np.unique(np.concatenate([whole, tail]).astype(np.int64))
        place = np.searchsorted(ranks, np.arange(count))
        cells = np.bincount(block[order] * len(ranks) + place, minlength=pairs * len(ranks))
        below = cells.reshape(pairs, len(ranks)).cumsum(axis=1).astype(np.float32)
        with np.errstate(divide="ignore"):
            return cls(np.log(latency_ms[order][ranks]), below)

    def log_measures(self, weights: NDArray[np.float32], measures: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Return the measures' logarithms, a row for each row of weights."""
        counts = weights @ self.below
        calls = counts[:, -1].astype(np.float64)
        columns = []
        for percents in measures:
            logs = np.zeros(len(weights))
            for percent in percents:
                rank = np.maximum(np.ceil(calls * percent / 100 - 1e-9), 1)
                place = (counts < rank[:, None]).sum(axis=1)
                logs += self.log_ms[np.minimum(place, len(self.log_ms) - 1)] / len(percents)
            # Blocks without calls may be all that was drawn.
            columns.append(np.where(calls > 0, logs, np.nan))
        return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class _Both:
    """The latencies of both arms; of a tool that a draw leaves out, those of all blocks stand in, if so wished."""

    first: _Ranked
    second: _Ranked
    keeps: bool

    def log_measures(self, weights: NDArray[np.float32], measures: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Return the measures' logarithms: for the first arm and the second, a row for each row of weights."""
        drawn = np.stack([arm.log_measures(weights, measures) for arm in (self.first, self.second)])
        if self.keeps and np.isnan(drawn).any():
            every = np.ones((1, weights.shape[1]), dtype=np.float32)
            whole = np.stack([arm.log_measures(every, measures) for arm in (self.first, self.second)])
            drawn = np.where(np.isnan(drawn).any(axis=0), whole, drawn)
        return drawn


def _weighed(
    strata: Sequence[tuple[float, _Both]], weights: NDArray[np.float32], measures: Sequence[Sequence[float]]
) -> NDArray[np.float64]:
    """Return the measures' logarithms for both arms, a row for each row of weights, in the mean of the strata."""
    logs = np.stack([share * arms.log_measures(weights, measures) for share, arms in strata])
    mean: NDArray[np.float64] = logs.sum(axis=0)
    return mean


def draws(pairs: int, resamples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield how often each pair of blocks was drawn, some resamples at a time, so that memory stays bounded."""
    random = np.random.default_rng(seed)
    for begin in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - begin)
        yield random.multinomial(pairs, np.full(pairs, 1 / pairs), size=rows).astype(np.float32)


def _standard_error(drawn: NDArray[np.float64], pairs: int) -> float:
    """Return the standard error that resamples show, without the bias that few blocks give it."""
    if len(drawn) < 2 or pairs < 2:
        return math.inf
    return float(drawn.std(ddof=1)) * math.sqrt(pairs / (pairs - 1))


def stall_difference(
    baseline: Calls, candidate: Calls, confidence: float, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, Interval] | None:
    """Compare for how long calls were waited for after the ends of the turns, as a share of the time of the turns.

    While an arm is waited for, nothing new arrives at it: what a server that stalls does to calls that would have come
    meanwhile is in no latency of a turn, but in this.

    Args:
        baseline: its block ``i`` ran beside block ``i`` of the candidate.
        candidate: the other arm.
        confidence: of the interval, above 0 and below 1.
        resamples: how often pairs of blocks are drawn.
        seed: of the draws.

    Returns:
        The share of each, and the candidate's less the baseline's; ``None`` if it is not known.
    """
    pairs = min(baseline.blocks, candidate.blocks, len(baseline.waited_s), len(candidate.waited_s))
    if not pairs:
        return None
    waited_s = np.stack([arm.waited_s[:pairs] for arm in (baseline, candidate)])
    block_s = np.stack([arm.block_s[:pairs] for arm in (baseline, candidate)])
    drawn = np.concatenate(
        [np.diff((weights @ waited_s.T) / (weights @ block_s.T))[:, 0] for weights in draws(pairs, resamples, seed)]
    )
    mine, theirs = map(float, waited_s.sum(axis=1) / block_s.sum(axis=1))
    low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2)) if pairs > 1 else (-math.inf, math.inf)
    return mine, theirs, Interval(theirs - mine, float(low), float(high), confidence)


def needed_seconds(ratio: LogRatio, seconds: float, room: float, confidence: float, luck: Luck) -> float | None:
    """Return how many seconds more of each arm would make the interval narrow enough.

    Args:
        ratio: what was found.
        seconds: how long each arm was measured.
        room: how far the interval may reach to either side, as a logarithm, above 0.
        confidence: of the interval.
        luck: what more seconds cannot make smaller.

    Returns:
        The seconds; ``None`` if seconds do not help: only more processes do.
    """
    quantile = student_quantile(confidence, min(max(ratio.pairs - 1, 5), luck.degrees))
    allowed = (room / quantile) ** 2 - luck.sd**2
    if allowed <= 0 or not math.isfinite(ratio.standard_error):
        return None
    return max(0.0, seconds * (ratio.standard_error**2 / allowed - 1))
