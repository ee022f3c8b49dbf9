"""A target beside the calibration server, called in turns: a slow minute of the machine is in the latencies of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from mcp_workbench.load.comparisons.statistics import bootstrap_ratios
from mcp_workbench.load.measured import Calls

MOST_TOOLS: Final = 20
"""Of how many tools the quick calls are kept one by one: the most frequent ones."""

_MEDIAN, _QUICK = (50.0,), (10.0,)
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
class Related:
    """One latency of the target, and the same of the calibration server.

    Attributes:
        target_ms: the target's.
        calibration_ms: the calibration server's.
        error: the standard error of the logarithm of their ratio, from drawing pairs of blocks again; ``None`` where
            there are too few.
    """

    target_ms: float
    calibration_ms: float
    error: float | None

    @property
    def ratio(self) -> float:
        """How many times as long the target took."""
        return self.target_ms / self.calibration_ms


@dataclass(frozen=True, slots=True)
class Pairs:
    """The target and the calibration server in neighbouring blocks, of calls that ended well.

    Attributes:
        blocks: how many pairs of blocks there were.
        p50: half of the calls took less, from the intended start; ``None`` if there were none.
        quick: of ten calls, how long the quickest one took from sending to answer. What other programs do, they do to
            the slow calls more than to the quick ones, and to nearly all of them alike: ``benchmarks/RESULTS.md`` has
            by how much.
        tools: the quick calls of each tool, where there are several, of at most :data:`MOST_TOOLS`.
    """

    blocks: int
    p50: Related | None
    quick: Related | None
    tools: Mapping[str, Related] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """The target's median in medians of the calibration server; ``None`` if there is none."""
        return None if self.p50 is None else self.p50.ratio


def pairs_of(target: Calls, calibration: Calls) -> Pairs:
    """Relate the latencies of a target to those of the calibration server, whose blocks ran beside the target's."""
    served, beside = _served(target), _served(calibration)
    tools: dict[str, Related] = {}
    if len(target.tools) > 1:
        frequent = sorted(target.tools, key=lambda name: -len(target.of_tool(name)))[:MOST_TOOLS]
        found = {name: _related(served.of_tool(name), beside, _QUICK) for name in frequent}
        tools = {name: related for name, related in found.items() if related is not None}
    return Pairs(
        min(target.blocks, calibration.blocks),
        _related(target, calibration, _MEDIAN),
        _related(served, beside, _QUICK),
        tools,
    )


def _served(calls: Calls) -> Calls:
    """Return the calls with the time from their sending in place of that from their intended start."""
    return replace(calls, latency_ms=calls.service_ms)


def _related(target: Calls, calibration: Calls, percentile: tuple[float]) -> Related | None:
    (ratio,) = bootstrap_ratios(calibration, target, [percentile], resamples=_RESAMPLES)
    if ratio is None:
        return None
    error = ratio.standard_error if math.isfinite(ratio.standard_error) else None
    return Related(ratio.candidate_ms, ratio.baseline_ms, error)
