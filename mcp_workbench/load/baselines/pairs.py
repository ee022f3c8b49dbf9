"""A target beside the calibration server: block by block, so that a slow minute of the machine is in both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.load.comparisons.statistics import bootstrap_ratios
from mcp_workbench.load.measured import OK, Calls

MOST_PAIRS: Final = 5_000
"""How many pairs of blocks are kept; a run of minutes has hundreds."""

_QUICK: Final = 10.0
_RESAMPLES: Final = 200


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fixed server that was called in turns with the target.

    Attributes:
        identity: the text that stands for its code and its workload; figures of two identities cannot be compared.
        python: the version of Python that it ran on.
        p50_ms: its median latency, of the calls that ended well.
    """

    identity: str
    python: str
    p50_ms: float


@dataclass(frozen=True, slots=True)
class Quick:
    """The quick calls: of ten calls that ended well, how long the quickest one took from sending to answer.

    What other programs do, they do to the slow calls more than to the quick ones, and to nearly all of them alike:
    ``benchmarks/RESULTS.md`` has by how much.

    Attributes:
        target_ms: p10 of the target's service time.
        calibration_ms: the same of the calibration server.
        error: the standard error of the logarithm of their ratio, from drawing pairs of blocks again; ``None``
            where there are too few.
    """

    target_ms: float
    calibration_ms: float
    error: float | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """The target and the calibration server in neighbouring blocks, of calls that ended well.

    Attributes:
        target_p50_ms: for each pair of blocks, half of the target's calls took less than this.
        calibration_p50_ms: the same of the calibration server.
        quick: the quick calls of all blocks together; ``None`` if there were none.
    """

    target_p50_ms: tuple[float, ...]
    calibration_p50_ms: tuple[float, ...]
    quick: Quick | None = None

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.target_p50_ms)

    @property
    def ratio(self) -> float | None:
        """The target's median in medians of the calibration server: the median over the pairs; ``None`` without any."""
        if not len(self):
            return None
        return float(np.median(np.array(self.target_p50_ms) / np.array(self.calibration_p50_ms)))


def pairs_of(target: Calls, calibration: Calls) -> Pairs:
    """Pair the blocks of a target with those of the calibration server, the first with the first.

    A pair is left out if one of its blocks has no call that ended well, or calls that took no time. Of a run with more
    than :data:`MOST_PAIRS` blocks, neighbouring ones are taken as one.
    """
    blocks = min(target.blocks, calibration.blocks)
    width = max(1, -(-blocks // MOST_PAIRS))
    columns = np.stack([_medians_ms(calls, blocks, width) for calls in (target, calibration)], axis=1)
    known = columns[(columns > 0).all(axis=1)]
    mine, theirs = (tuple(map(float, column)) for column in known.T)
    return Pairs(mine, theirs, _quick(target, calibration))


def _quick(target: Calls, calibration: Calls) -> Quick | None:
    served = [replace(calls, latency_ms=calls.service_ms) for calls in (calibration, target)]
    (ratio,) = bootstrap_ratios(served[0], served[1], [(_QUICK,)], resamples=_RESAMPLES)
    if ratio is None:
        return None
    error = ratio.standard_error if math.isfinite(ratio.standard_error) else None
    return Quick(ratio.candidate_ms, ratio.baseline_ms, error)


def _medians_ms(calls: Calls, blocks: int, width: int) -> NDArray[np.float64]:
    """Return p50 of each ``width`` blocks; NaN where no call ended well."""
    rows = -(-blocks // width)
    chosen = (calls.outcome == OK) & (calls.block < blocks)
    row, latency_ms = calls.block[chosen].astype(np.int64) // width, calls.latency_ms[chosen]
    ordered_ms = latency_ms[np.lexsort((latency_ms, row))]
    counts = np.bincount(row, minlength=rows)
    some = counts > 0
    first, last = (np.cumsum(counts) - counts)[some], (np.cumsum(counts) - 1)[some]
    # Between two calls where they are even: blocks have few calls.
    found = np.full(rows, np.nan)
    found[some] = (ordered_ms[(first + last) // 2] + ordered_ms[(first + last + 1) // 2]) / 2
    return found
