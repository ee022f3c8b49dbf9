"""How much a target takes: the greatest rate at which answers follow what is offered, and p95 is as demanded."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.kernel.connection import Connection
from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.baselines.honesty_words import honesty_words
from mcp_workbench.load.capacities.climbing import climb
from mcp_workbench.load.capacities.knee import FEW_CALLS, Knee, Stage, rate_words
from mcp_workbench.load.capacities.ramp import Ramp, RampSettings
from mcp_workbench.load.measuring import first_call
from mcp_workbench.load.preparing import prepared
from mcp_workbench.load.workloads.resolving import Resolved, resolve
from mcp_workbench.load.workloads.workload import Workload
from mcp_workbench.progress import Progress
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import escaped, one_line

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart

_COLUMNS = [
    "asked/s",
    "offered/s",
    "achieved/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "failed",
    "dropped",
    "generator %",
    "verdict",
]
HONESTY_TITLE = "How the last run was measured"


@dataclass(frozen=True, slots=True, repr=False)
class Capacity(Report):
    """How much a target takes.

    Attributes:
        target: the target's name.
        conditions: how it was called, in words.
        workload: what was called, in words.
        stages: what each stage found, in the order in which they were made.
        found: the knee, with its band.
        settings: how the ramp was made.
        honesty: how the load of the last run was made; its stages were too much for the server on purpose.
        notes: what a reader should know besides.
        population: protocol, timeout and workload, for the honesty block; it has no rate, since there were many.
        ended: why the search went no further; empty if it did.
        too_slow: why no stage could tell anything; empty if stages can.
    """

    target: str
    conditions: str
    workload: str
    stages: tuple[Stage, ...]
    found: Knee
    settings: RampSettings
    honesty: Honesty | None = None
    notes: tuple[str, ...] = ()
    population: Conditions | None = None
    ended: str = ""
    too_slow: str = ""

    @property
    def knee(self) -> float | None:
        """The greatest rate that holds, in operations a second; ``None`` if none does."""
        return self.found.rate

    @property
    def band(self) -> tuple[float | None, float | None]:
        """The greatest measured rate that surely holds, and the smallest that surely does not.

        ``None`` where no measured rate is sure; :mod:`~mcp_workbench.load.capacities.knee` says how this is found.
        """
        return self.found.low, self.found.high

    @property
    def void(self) -> str:
        """Why the knee is none of the target's; empty if it is."""
        void = [stage.rate for stage in self.stages if stage.void]
        if void and self.found.criterion is None:
            return f"the generator was the bottleneck at {rate_words(min(void))} calls/s, before the server was"
        return ""

    @property
    def ok(self) -> bool:
        """Whether the target holds some rate, and it was the target that was measured."""
        return self.knee is not None and not self.void

    @property
    def reason(self) -> str:
        """What ends it, in words."""
        if self.void:
            return self.void
        if self.knee is None and (self.ended or self.too_slow):
            return self.ended or self.too_slow
        if self.knee is None:
            lowest = min((stage for stage in self.stages if stage.offered), key=lambda stage: stage.rate, default=None)
            if lowest is None:
                return "nothing was measured"
            return f"not even {rate_words(lowest.rate)} calls/s hold ({lowest.verdict(self.settings.slo_p95_ms)})"
        if self.found.criterion == "latency":
            return f"beyond it p95 is above the {self.settings.slo_p95_ms:g} ms that are demanded"
        if self.found.criterion == "throughput":
            return f"beyond it answers do not follow what is offered{self._why_undone()}"
        return f"all rates hold, up to {rate_words(self.knee)} calls/s, the most that was asked"

    def _why_undone(self) -> str:
        above = [stage for stage in self.stages if not stage.void and stage.rate > (self.knee or 0.0)]
        offered = sum(stage.offered for stage in above) or 1
        for share, words in (
            (sum(stage.failed for stage in above) / offered, "of the calls fail"),
            (sum(stage.dropped for stage in above) / offered, "are dropped, too many being unanswered"),
        ):
            if share > 0.05:
                return f" ({share:.0%} {words})"
        return ""

    @property
    def frame(self) -> Table:
        """One row a stage, in the order of their rates; latencies count from the intended start."""
        rows = [
            {
                "asked/s": stage.rate,
                "offered/s": stage.offered_rate,
                "achieved/s": stage.achieved,
                "p50 ms": stage.percentile_ms(50),
                "p95 ms": stage.percentile_ms(95),
                "p99 ms": stage.percentile_ms(99),
                "failed": stage.failed,
                "dropped": stage.dropped,
                "generator %": 100 * stage.generator_share,
                "verdict": stage.verdict(self.settings.slo_p95_ms),
            }
            for stage in sorted(self.stages, key=lambda stage: stage.rate)
        ]
        return table(rows, _COLUMNS)

    @property
    def honesty_frame(self) -> Table:
        """How the load of the last run was made: one row a fact; none if nothing was run."""
        return table([{"fact": fact, "value": value} for fact, value in self._honesty_words()], ["fact", "value"])

    def _honesty_words(self) -> list[tuple[str, str]]:
        if self.honesty is None or self.population is None:
            return []
        # What a run says that has a single rate.
        of_all = {
            "void": self.void or "no",
            "conditions": f"{self.conditions}, protocol {one_line(self.population.protocol, 40)}",
        }
        return [(fact, of_all.get(fact, value)) for fact, value in honesty_words(self.honesty, self.population)]

    def headline(self) -> str:
        """Return the knee, between what it lies, and what ends it."""
        name = f"{one_line(self.target, 80)} ({one_line(self.workload, 80)}; {self.conditions})"
        if self.void:
            held = (
                "no rate was seen to hold"
                if self.knee is None
                else f"it takes at least {rate_words(self.knee)} calls/s"
            )
            return f"{name}: void, {self.void}; {held}"
        if self.knee is None:
            return f"{name}: no capacity was found; {self.reason}"
        return f"{name}: {rate_words(self.knee)} calls/s{band_words(self.found)}; {self.reason}"

    def __str__(self) -> str:
        """Return the headline, the table, the notes, and how the last run was made, as plain text."""
        told = [f"{self.headline()}\n{self.frame!r}", *(one_line(note, 600) for note in self.notes)]
        return "\n".join([*told, f"\n{HONESTY_TITLE}\n{self.honesty_frame!r}"])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escaped(note, 600)}</p>" for note in self.notes)
        return f"{Report._repr_html_(self)}{notes}<p>{HONESTY_TITLE}</p>{self.honesty_frame._repr_html_()}"

    def facts(self) -> dict[str, Any]:
        """Return the knee, and how it was found."""
        return {
            "target": one_line(self.target, 200),
            "conditions": self.conditions,
            "workload": one_line(self.workload, 200),
            "knee": self.knee,
            "band": list(self.band),
            "criterion": self.found.criterion,
            "reason": self.reason,
            "void": self.void,
            "slo_p95_ms": self.settings.slo_p95_ms,
            "stage_s": self.settings.stage_s,
            "machine": self.honesty.machine if self.honesty else "",
            "versions": self.honesty.versions if self.honesty else {},
            "server_share": self.honesty.server_share if self.honesty else None,
            "foreign_share": self.honesty.foreign_share if self.honesty else None,
            "honesty": self.honesty.to_dict() if self.honesty else None,
            "notes": list(self.notes),
        }

    def plot(self) -> Chart:
        """Return a picture of throughput and p95 against what was offered, with the knee."""
        from mcp_workbench.load.capacities.capacity_chart import capacity_chart

        return capacity_chart(self)


def band_words(knee: Knee) -> str:
    """Return between what a knee lies, in brackets; empty if nothing is sure."""
    told = []
    if knee.low is not None:
        told.append(f"surely {rate_words(knee.low)}")
    if knee.high is not None:
        told.append(f"surely not {rate_words(knee.high)}")
    return f" ({', '.join(told)})" if told else ""


async def find_capacity(
    connection: Connection,
    workload: Workload,
    settings: RampSettings | None = None,
    *,
    contract: ContractBook | None = None,
    progress: Progress | None = None,
) -> Capacity:
    """Find how much a target takes; the caller is on the background loop.

    Args:
        connection: an open connection to it.
        workload: what is called.
        settings: how the ramp is made.
        contract: where examples come from.
        progress: told of thousandths.

    Raises:
        UsageError: the workload does not fit the target.
        UnreachableError: the target is not there.
    """
    name = connection.target.name
    return (await find_capacities({name: connection}, workload, settings, contract=contract, progress=progress))[name]


async def find_capacities(
    connections: dict[str, Connection],
    workload: Workload,
    settings: RampSettings | None = None,
    *,
    contract: ContractBook | None = None,
    progress: Progress | None = None,
) -> dict[str, Capacity]:
    """Find how much each of several targets takes, in turns; the caller is on the background loop.

    Args:
        connections: open connections, by the names under which they are told.
        workload: what is called, the same for all.
        settings: how the ramps are made.
        contract: where examples come from.
        progress: told of thousandths.

    Raises:
        UsageError: the workload does not fit a target.
        UnreachableError: a target is not there.
    """
    how = settings or RampSettings()
    async with AsyncExitStack() as stack:
        ramps, resolved = await _begun(connections, workload, how, contract, stack)
        notes: dict[str, list[str]] = {}
        for name, connection in connections.items():
            _, note = await first_call(connection, ramps[name].operations, how.timeout_s)
            notes[name] = [*resolved[name].notes, *filter(None, [note])]
        common = await climb(ramps, progress)
        return {name: capacity_of(name, ramp, resolved[name], [*notes[name], *common]) for name, ramp in ramps.items()}


async def _begun(
    connections: dict[str, Connection],
    workload: Workload,
    settings: RampSettings,
    contract: ContractBook | None,
    stack: AsyncExitStack,
) -> tuple[dict[str, Ramp], dict[str, Resolved]]:
    ramps: dict[str, Ramp] = {}
    resolved: dict[str, Resolved] = {}
    for name, connection in connections.items():
        ready = await stack.enter_async_context(prepared(connection))
        resolved[name] = resolve(workload, ready.tools, contract, target=name)
        ramps[name] = Ramp(ready, resolved[name].operations, settings)
    return ramps, resolved


def capacity_of(name: str, ramp: Ramp, workload: Resolved, notes: list[str]) -> Capacity:
    """Return what a ramp has found."""
    ready, knee = ramp.ready, ramp.knee()
    near = [stage.offered for stage in ramp.stages if knee.rate and stage.rate >= knee.rate and not stage.void]
    if knee.criterion == "throughput" and near and min(near) < FEW_CALLS:
        notes = [*notes, f"stages near the knee have {min(near):,} calls: it reads a little low; longer stages help"]
    if ramp.honesty is not None and ramp.honesty.sampled_wrong:
        wrong, sampled = ramp.honesty.sampled_wrong, ramp.honesty.sampled
        notes = [*notes, f"{wrong:,} of {sampled:,} answers, checked in full, are not what was promised"]
    if ramp.ended and any(stage.ended_well for stage in ramp.stages):
        notes = [*notes, f"the search ended early, because after some stages {ramp.ended}"]
    return Capacity(
        name,
        f"{ready.transport}, {ready.placement}, open (poisson)",
        workload.words,
        tuple(ramp.stages),
        knee,
        ramp.settings,
        ramp.honesty,
        tuple(notes),
        Conditions(
            target=name,
            transport=ready.transport,
            placement=ready.placement,
            protocol=ready.wire.protocol,
            model="open",
            arrivals="poisson",
            rate=None,
            users=None,
            workload=workload.words,
            workload_digest=workload.digest,
            timeout_s=ramp.settings.timeout_s,
            max_in_flight=ramp.settings.max_in_flight,
        ),
        ramp.ended,
        "" if ramp.stages else ramp.too_slow,
    )
