"""The ramp: which rates are offered to a target, one after the other, until its knee lies between two of them.

::

    alone       one user for a moment: how long an operation takes when nothing waits
    burst       a closed loop for a moment: about how much the target takes
    ladder      rising rates, each 1.4 times the one before, from a third of that until one does not hold
    steps       the rates between the last that held and the first that did not, as close as is asked for, three
                stages each in a shuffled order

The first two together, the ladder, and the steps are one run of the generator each, over one connection: looking at
each stage before the next one is chosen would cost a process and a connection a stage. Where the steps leave the knee
open, further ones follow, once. Several targets take turns within each run, so that whatever the machine does meets all
of them alike.

What is begun near the end of a stage ends after it, though nothing waits. So what ends later by as much as its kind of
operation takes alone is still in time: exactly so much would be right if all took the same time. As long again is
allowed for those that take longer, but no more than a tenth of the stage, since a server that falls behind by less is
called one that holds. A stage is at least five times as long as an operation takes: in less, a server that does many at
once would not even be full.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mcp_workbench.errors import UsageError
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.capacities.knee import Knee, Stage, find_knee
from mcp_workbench.load.measured import OUTCOMES
from mcp_workbench.load.plan import Operation
from mcp_workbench.load.preparing import Prepared
from mcp_workbench.load.run import Run
from mcp_workbench.records import Outcome

WARM_UP_S: Final = 0.3
"""How long one user calls each target before a run's first stage."""

_RUNG: Final = 1.4
_RUNGS: Final = 4
_REPEATS: Final = 3
_MOST_STEPS: Final = 5
_MOST_REFINEMENTS: Final = 2
_WIDE: Final = 4
_LEAST_CALLS: Final = 40
_LONGEST: Final = 3
_TIMES_ALONE: Final = 5
_LONG_STAGES: Final = 6
_LEAST_RATE: Final = 0.1
_MOST_RATE: Final = 100_000.0
_NO_ANSWER: Final = (OUTCOMES.index(Outcome.TIMEOUT), OUTCOMES.index(Outcome.CANCELLED))


@dataclass(frozen=True, slots=True)
class RampSettings:
    """How a ramp is made.

    Attributes:
        start_rate: where it begins, in operations a second; a third of what a burst achieves if ``None``.
        max_rate: beyond which nothing is asked.
        slo_p95_ms: what p95 from the intended start may be; only throughput is judged if ``None``.
        stage_s: how long a stage is; up to three times as long where it would have less than 40 calls, and at least
            five times as long as an operation takes alone, if that is no more than a sixth of ``limit_s`` or three
            times ``stage_s``.
        resolution: how far apart the closest rates are, as a share.
        limit_s: for each target, within how long the search is to end: no run is begun that would end later if all
            answers came at once, except for the first ladder.
        timeout_s: after which a call is given up; a backlog is gone after that.
        max_in_flight: how many calls may be unanswered at once.
        seed: of all that is drawn.

    Raises:
        UsageError: a figure that makes no ramp.
    """

    start_rate: float | None = None
    max_rate: float = 20_000.0
    slo_p95_ms: float | None = None
    stage_s: float = 2.0
    resolution: float = 0.1
    limit_s: float = 180.0
    timeout_s: float = 5.0
    max_in_flight: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no ramp."""
        for name, least, most, of in (
            ("start_rate", _LEAST_RATE, _MOST_RATE, "calls a second"),
            ("max_rate", _LEAST_RATE, _MOST_RATE, "calls a second"),
            ("slo_p95_ms", 0.01, 3_600_000, "milliseconds"),
            ("stage_s", 0.1, 600, "seconds"),
            ("resolution", 0.01, 0.4, "a share"),
            ("limit_s", 1, 86_400, "seconds"),
            ("timeout_s", 0.05, 600, "seconds"),
        ):
            value = getattr(self, name)
            if value is None and name in ("start_rate", "slo_p95_ms"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                # As users call it.
                word = name.removesuffix("_s")
                raise UsageError(f"{word}={value!r} makes no ramp; give {of} from {least:g} to {most:,}")
        most_calls = self.max_in_flight
        if isinstance(most_calls, bool) or not isinstance(most_calls, int) or not 1 <= most_calls <= 100_000:
            raise UsageError(f"max_in_flight={most_calls!r} makes no ramp; give a whole number from 1 to 100,000")
        if self.start_rate is not None and self.start_rate > self.max_rate:
            raise UsageError(
                f"start_rate={self.start_rate:g} lies above max_rate={self.max_rate:g}; begin below where it ends"
            )

    def seconds(self, rate: float, alone_s: float = 0.0) -> float:
        """Return how long a stage at this rate is, of operations that take ``alone_s`` when nothing waits."""
        usual_s = min(max(self.stage_s, _LEAST_CALLS / rate), _LONGEST * self.stage_s)
        return max(usual_s, min(_TIMES_ALONE * alone_s, self.longest_s))

    @property
    def longest_s(self) -> float:
        """How long a stage may be for the sake of operations that take long."""
        return max(_LONGEST * self.stage_s, self.limit_s / _LONG_STAGES)


@dataclass(slots=True)
class Ramp:
    """What is known of one target so far.

    Attributes:
        ready: the target.
        operations: what is done with it.
        settings: how the ramp is made.
        stages: those that were made, in their order.
        honesty: how the load of the last run was made.
        ended: why nothing more is asked before the knee is found; empty if nothing speaks against it.
        kinds_alone_s: how long each kind of operation takes when nothing waits, think times included, by its number;
            without those that were not seen.
    """

    ready: Prepared
    operations: tuple[Operation, ...]
    settings: RampSettings
    stages: list[Stage] = field(default_factory=list)
    honesty: Honesty | None = None
    ended: str = ""
    kinds_alone_s: dict[int, float] = field(default_factory=dict)
    _refined: int = 0

    def knee(self) -> Knee:
        """Return the knee as far as it is known."""
        return find_knee(self.stages, self.settings.slo_p95_ms, seed=self.settings.seed)

    @property
    def alone_s(self) -> float:
        """How long an operation takes when nothing waits, of a mix the mean; 0 if that is not known."""
        shares = {kind: self.operations[kind].weight for kind in self.kinds_alone_s}
        summed_s = sum(share * self.kinds_alone_s[kind] for kind, share in shares.items())
        return summed_s / sum(shares.values()) if shares else 0.0

    @property
    def too_slow(self) -> str:
        """Why no stage could tell whether answers follow; empty if stages can."""
        if _TIMES_ALONE * self.alone_s <= self.settings.longest_s:
            return ""
        needed_s = math.ceil(1.1 * _TIMES_ALONE * self.alone_s / _LONGEST)
        return (
            f"an operation alone takes {self.alone_s:.3g} s, and stages of {self.settings.longest_s:.3g} s are too "
            f"short to tell whether answers follow; give stage={needed_s}"
        )

    def seconds(self, rate: float) -> float:
        """Return how long a stage at this rate is."""
        return self.settings.seconds(rate, self.alone_s)

    def first_rates(self, burst: float | None) -> list[float]:
        """Return the ladder that is asked for first; ``burst`` is what a closed loop achieved."""
        if self.ended or self.too_slow:
            return []
        if burst is None:
            assert self.settings.start_rate is not None
            return self._up(self.settings.start_rate)
        most = max(burst, _LEAST_RATE)
        rungs = math.ceil(math.log(1.25 * 3) / math.log(_RUNG)) + 1
        return self._up(max(most / 3, _LEAST_RATE), rungs)

    def next_rates(self) -> list[float]:
        """Return what is asked for next, in this order; empty once the knee is found, or cannot be."""
        if self.ended:
            return []
        told = [stage for stage in self.stages if stage.offered and not stage.void]
        rates = sorted({stage.rate for stage in told})
        void = [stage.rate for stage in self.stages if stage.void]
        knee = self.knee()
        if knee.rate is None:
            if not told or rates[0] <= _LEAST_RATE:
                return []
            # Where no call ends well, fewer calls do not help.
            lowest = [stage for stage in told if stage.rate == rates[0]]
            return self._down(rates[0]) if any(stage.ended_well for stage in lowest) else []
        if knee.criterion is None:
            # All hold: higher, unless that is not wanted, or the generator cannot.
            top = rates[-1]
            if top >= self.settings.max_rate or any(rate > top for rate in void):
                return []
            return self._up(top * _RUNG)
        if self._refined >= _MOST_REFINEMENTS:
            return []
        step = 1 + self.settings.resolution
        below = max((rate for rate in rates if rate <= knee.rate), default=rates[0])
        above = min((rate for rate in rates if rate > knee.rate), default=rates[-1])
        if self._refined:
            if knee.low is not None and knee.high is not None and knee.high / knee.low <= step**_WIDE * 1.001:
                return []
            below = knee.low if knee.low is not None else max(rates[0] / _RUNG, _LEAST_RATE)
            above = knee.high if knee.high is not None else min(rates[-1] * _RUNG, self.settings.max_rate)
        self._refined += 1
        return self._steps(below, above)

    def contradicts_itself(self) -> bool:
        """Return whether the stages between a rate that held and one that did not make the knee lie elsewhere."""
        knee = self.knee()
        return self._refined > 0 and (knee.rate is None or knee.criterion is None)

    def heard(self, run: Run, arm: int) -> None:
        """Note how long an operation of one user alone took, and whether any call had an answer, be it a failure."""
        self.kinds_alone_s |= kinds_alone_s(run, arm)
        begun = [number for number in range(len(run.books)) if run.plan.blocks[number].arm == arm]
        outcome = run.columns["outcome"][np.isin(run.columns["block"], begun)]
        if begun and np.isin(outcome, _NO_ANSWER).all():
            self.ended = f"it did not answer within {self.settings.timeout_s:g} s"

    def _steps(self, below: float, above: float) -> list[float]:
        steps = math.ceil(math.log(above / below) / math.log(1 + self.settings.resolution) - 1e-6)
        steps = min(max(steps, 1), _MOST_STEPS)
        rates = [_tidy(below * (above / below) ** (at / steps)) for at in range(steps + 1)] * _REPEATS
        random.Random(self.settings.seed + len(self.stages)).shuffle(rates)  # noqa: S311 - an order, no secret
        return rates

    def _up(self, rate: float, rungs: int = _RUNGS) -> list[float]:
        rates = [_tidy(rate * _RUNG**at) for at in range(rungs)]
        inside = [each for each in rates if each < self.settings.max_rate]
        return inside if len(inside) == len(rates) else [*inside, self.settings.max_rate]

    def _down(self, rate: float) -> list[float]:
        # Faster than it goes up: a server that is asked for too much takes its time to say so.
        return [_tidy(max(rate / 2**at, _LEAST_RATE)) for at in range(_RUNGS - 1, 0, -1)]


def _tidy(rate: float) -> float:
    """Return a rate of three digits, which repeated stages share and people can read."""
    return float(f"{rate:.3g}")


def kinds_alone_s(run: Run, arm: int) -> dict[int, float]:
    """Return how long each kind of operation took one user alone in the warm-ups of one arm: the median, by its number.

    The first operation is left out: a fresh process loads what it needs.
    """
    column = run.columns
    warm_ups = [at for at, block in enumerate(run.plan.blocks) if block.arm == arm and block.phase == "warm-up"]
    mine = np.flatnonzero(np.isin(column["block"], warm_ups))
    mine = mine[np.argsort(column["intended_ns"][mine], kind="stable")]
    begins = np.flatnonzero(column["step"][mine] == 0)
    if len(begins) < 2:
        return {}
    last = np.append(begins[1:], len(mine)) - 1
    took_s = (column["end_ns"][mine[last]] - column["intended_ns"][mine[begins]])[1:] / 1e9
    kind = column["operation"][mine[begins]][1:]
    return {int(each): float(np.median(took_s[kind == each])) for each in np.unique(kind)}
