"""A target beside the calibration server: block by block, so that a slow minute of the machine is in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.load.measured import OK, Calls

MOST_PAIRS: Final = 5_000
"""How many pairs of blocks are kept; a run of minutes has hundreds."""


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
class Pairs:
    """The latency of the target and of the calibration server in neighbouring blocks, of calls that ended well.

    Attributes:
        target_p25_ms: for each pair of blocks, a quarter of the target's calls took less than this.
        target_p50_ms: half of them.
        calibration_p25_ms: the same of the calibration server.
        calibration_p50_ms: the same of the calibration server.
    """

    target_p25_ms: tuple[float, ...]
    target_p50_ms: tuple[float, ...]
    calibration_p25_ms: tuple[float, ...]
    calibration_p50_ms: tuple[float, ...]

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
    columns = np.hstack([_quartiles_ms(calls, blocks, width) for calls in (target, calibration)])
    known = columns[(columns > 0).all(axis=1)]
    return Pairs(*(tuple(map(float, column)) for column in known.T))


def _quartiles_ms(calls: Calls, blocks: int, width: int) -> NDArray[np.float64]:
    """Return p25 and p50 of each ``width`` blocks, one row for all of them; NaN where no call ended well."""
    rows = -(-blocks // width)
    chosen = (calls.outcome == OK) & (calls.block < blocks)
    row, latency_ms = calls.block[chosen].astype(np.int64) // width, calls.latency_ms[chosen]
    ordered_ms = latency_ms[np.lexsort((latency_ms, row))]
    counts = np.bincount(row, minlength=rows)
    found = np.full((rows, 2), np.nan)
    some = counts > 0
    first, last = (np.cumsum(counts) - counts)[some], (np.cumsum(counts) - 1)[some]
    for at, share in enumerate((0.25, 0.50)):
        # Between two calls in proportion, as numpy does it: blocks have few calls.
        place = first + (last - first) * share
        below = place.astype(np.int64)
        above = np.minimum(below + 1, last)
        found[some, at] = ordered_ms[below] + (ordered_ms[above] - ordered_ms[below]) * (place - below)
    return found
