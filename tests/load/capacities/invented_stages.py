"""Stages against invented servers, and what the tests of capacities call."""

from collections.abc import Sequence

import numpy as np
from invented_arms import HONESTY

from mcp_workbench.load.capacities.capacity import Capacity, capacity_of
from mcp_workbench.load.capacities.knee import SLICES, Stage, find_knee
from mcp_workbench.load.capacities.ramp import Ramp, RampSettings
from mcp_workbench.load.plan import Operation, Step, Wire
from mcp_workbench.load.preparing import Prepared
from mcp_workbench.load.workloads.resolving import Resolved

RATES = (50.0, 70.0, 98.0, 110.0, 137.0, 192.0)
WIRE = Wire("http", "2026-07-28", url="http://127.0.0.1:1/mcp")
READY = Prepared("desk", "http", "own process", WIRE, (), None)
TAKE = (Operation("take", 1.0, (Step("take", ({},)),)),)


def invented(
    rate: float, most: float, *, p95_ms: float = 5.0, dropped: int = 0, failed: int = 0, share: float = 0.1
) -> Stage:
    """Return a stage of two seconds against a server that does ``most`` operations a second."""
    tenth_s = 2 / SLICES
    well = min(rate, most) - failed / 2 - dropped / 2
    return Stage(
        rate=rate,
        seconds=2.0,
        offered=round(2 * rate),
        dropped=dropped,
        failed=failed,
        generator_share=share,
        void=share >= 0.95,
        arrived=np.full(SLICES, rate * tenth_s),
        done=np.full(SLICES, well * tenth_s),
        ended_well=failed < 10 * SLICES,
        latency_ms=np.full(10 * SLICES, p95_ms),
        tenth=np.repeat(np.arange(SLICES), 10),
    )


def capacity(stages: list[Stage], slo_p95_ms: float | None = None) -> Capacity:
    how = RampSettings(slo_p95_ms=slo_p95_ms)
    return Capacity("desk", "http, own process", "take", tuple(stages), find_knee(stages, slo_p95_ms), how)


def measured(name: str, most: float, notes: Sequence[str] = ()) -> Capacity:
    """Return the capacity of an invented server, with all that a real one has."""
    ramp = Ramp(READY, TAKE, RampSettings(), [invented(rate, most) for rate in RATES], HONESTY)
    return capacity_of(name, ramp, Resolved(TAKE, "0" * 16, "take <it>"), list(notes))
