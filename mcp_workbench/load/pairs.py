"""A target beside the calibration server: block by block, so that a slow minute of the machine is in both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.load.measured import OK, Calls


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

    A pair is left out if one of its blocks has no call that ended well.
    """
    blocks = min(target.blocks, calibration.blocks)
    of_target, of_calibration = _quartiles_ms(target, blocks), _quartiles_ms(calibration, blocks)
    both = ~np.isnan(of_target).any(axis=1) & ~np.isnan(of_calibration).any(axis=1)
    columns = (*of_target[both].T, *of_calibration[both].T)
    return Pairs(*(tuple(map(float, column)) for column in columns))


def _quartiles_ms(calls: Calls, blocks: int) -> NDArray[np.float64]:
    """Return p25 and p50 of each block, one row a block; NaN where no call ended well."""
    well = calls.outcome == OK
    found = np.full((blocks, 2), np.nan)
    for block in range(blocks):
        latency_ms = calls.latency_ms[well & (calls.block == block)]
        if len(latency_ms):
            found[block] = np.percentile(latency_ms, (25, 50))
    return found
