"""The price list as capacity: how much a server takes with its controls on, with some of them off, and bare.

All targets are offered their stages in turns, so that whatever the machine does meets all of them alike; at last each
is called at half of what the first one takes, which says what the controls cost where nothing waits.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy as np

from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.errors import UsageError, WorkbenchError
from mcp_workbench.kernel.connection import Connection, Limits
from mcp_workbench.kernel.loop import background
from mcp_workbench.load.capacities.capacity import HONESTY_TITLE, Capacity, find_capacities
from mcp_workbench.load.capacities.knee import rate_words
from mcp_workbench.load.capacities.ramp import WARM_UP_S, RampSettings
from mcp_workbench.load.comparing import opened_side
from mcp_workbench.load.driving import drive
from mcp_workbench.load.options import Arguments, Called, RampOptions, read_ramp
from mcp_workbench.load.plan import Arm, Block, Plan
from mcp_workbench.load.preparing import Prepared, prepared
from mcp_workbench.load.workloads.resolving import resolve
from mcp_workbench.load.workloads.workload import Workload
from mcp_workbench.progress import Progress, shown_progress
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import escaped, one_line

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart

_MOST_TARGETS: Final = 20
_TURNS: Final = 5
_COLUMNS = [
    "target",
    "knee calls/s",
    "from",
    "to",
    "times the first",
    "at least",
    "at most",
    "p50 ms at half",
    "ends it",
]


@dataclass(frozen=True, slots=True, repr=False)
class CapacityPrices(Report):
    """How much several targets take, measured in turns.

    Attributes:
        workload: what was called, in words.
        capacities: for each target, by its name; the first is what the others are held against.
        half_rate: half of what the first one takes, in operations a second; ``None`` if nothing was found.
        half_p50_ms: p50 of each target at that rate, from the intended start; without those that answered nothing well.
        half_note: why nothing was called at that rate; empty if it was.
    """

    workload: str
    capacities: Mapping[str, Capacity]
    half_rate: float | None
    half_p50_ms: Mapping[str, float]
    half_note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the capacity of each target was found."""
        return all(each.ok for each in self.capacities.values())

    @property
    def frame(self) -> Table:
        """One row a target; the ratio has a 95 % interval."""
        rows = []
        for name, each in self.capacities.items():
            ratio, low, high = self.ratio(name)
            rows.append(
                {
                    "target": one_line(name, 80),
                    "knee calls/s": each.knee,
                    "from": each.band[0],
                    "to": each.band[1],
                    "times the first": ratio,
                    "at least": low,
                    "at most": high,
                    "p50 ms at half": self.half_p50_ms.get(name),
                    "ends it": _end(each),
                }
            )
        return table(rows, _COLUMNS)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know besides; with the name of a target what is not true of all."""
        told: dict[str, list[str]] = {}
        for name, each in self.capacities.items():
            for note in dict.fromkeys(each.notes):
                told.setdefault(note, []).append(one_line(name, 40))
        of_all = len(self.capacities)
        of_capacities = (
            note if len(names) == of_all else f"{', '.join(names)}: {note}" for note, names in told.items()
        )
        return (*of_capacities, *filter(None, [self.half_note]))

    @property
    def honesty_frame(self) -> Table:
        """How the load of each target's last run was made: one row a fact."""
        rows = [
            {"target": one_line(name, 80), "fact": row["fact"], "value": row["value"]}
            for name, each in self.capacities.items()
            for row in each.honesty_frame.to_dict("records")
        ]
        return table(rows, ["target", "fact", "value"])

    def __str__(self) -> str:
        """Return the headline, the table, the notes, and how the last run was made, as plain text."""
        told = [f"{self.headline()}\n{self.frame!r}", *(one_line(note, 600) for note in self.notes)]
        return "\n".join([*told, f"\n{HONESTY_TITLE}\n{self.honesty_frame!r}"])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escaped(note, 600)}</p>" for note in self.notes)
        return f"{Report._repr_html_(self)}{notes}<p>{HONESTY_TITLE}</p>{self.honesty_frame._repr_html_()}"

    def ratio(self, name: str) -> tuple[float | None, float | None, float | None]:
        """Return how much a target takes, in what the first one takes, and between what that lies (95 %).

        ``None`` stands for what is not known: a knee that was not found, or a bound that no stage gives.
        """
        first, each = next(iter(self.capacities.values())), self.capacities[name]
        if first.knee is None or each.knee is None or first.void or each.void:
            return None, None, None
        if first is each:
            return 1.0, None, None
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = each.found.draws / first.found.draws
        drawn = drawn[~np.isnan(drawn)]
        if not len(drawn):
            return each.knee / first.knee, None, None
        low, high = (float(np.quantile(drawn, share, method="inverted_cdf")) for share in (0.025, 0.975))
        return each.knee / first.knee, low if low > 0 else None, high if np.isfinite(high) else None

    def headline(self) -> str:
        """Return what the first one takes, and what is left of it in the others."""
        (first, capacity), *others = self.capacities.items()
        if capacity.knee is None or capacity.void:
            return f"no prices were found: {capacity.headline()}"
        told = []
        for name, _ in others:
            ratio = self.ratio(name)[0]
            told.append(f"{one_line(name, 40)} {'not found' if ratio is None else f'{ratio:.2f} times as much'}")
        return f"{one_line(first, 40)} takes {rate_words(capacity.knee)} calls/s; {', '.join(told)}"

    def facts(self) -> dict[str, Any]:
        """Return what was called, and what was found of each target."""
        return {
            "workload": one_line(self.workload, 200),
            "half_rate": self.half_rate,
            "half_note": self.half_note,
            "capacities": [each.facts() for each in self.capacities.values()],
        }

    def plot(self) -> Chart:
        """Return a picture of the knees."""
        from mcp_workbench.load.capacities.capacity_chart import capacity_price_chart

        return capacity_price_chart(self)


def _end(capacity: Capacity) -> str:
    if capacity.void:
        return "void"
    if capacity.knee is None and (capacity.ended or capacity.too_slow):
        return "no answer" if capacity.ended else "too slow"
    return capacity.found.criterion or "-"


def capacity_prices(
    targets: Mapping[str, object],
    tool: str | None = None,
    arguments: Arguments = None,
    *,
    workload: Workload | Path | str | None = None,
    contract: ContractBook | Path | str | None = None,
    progress: bool = True,
    **ramp: Unpack[RampOptions],
) -> CapacityPrices:
    """Measure how much each of several targets takes, in turns, such as a server bare and hardened.

    ::

        capacity_prices({"bare": "bare.py:app", "hardened": "hardened.py:app"}, "add", {"a": 1})

    Args:
        targets: by the names of the rows: targets, or workbenches; the first is what the others are held against.
        tool: the tool to call; or a ``workload``.
        arguments: what it is called with.
        workload: a mix of tools and flows, or its file.
        contract: where examples come from, or its file.
        progress: show a progress bar.
        ramp: how the ramps go, such as ``slo_p95_ms=``; :class:`RampOptions` lists it.

    Raises:
        UsageError: what makes no ramp, or does not fit a target.
        UnreachableError: a target is not there.
    """
    __tracebackhide__ = True
    called = Called(tool, arguments, workload, contract)
    with shown_progress("finding capacities", progress) as told:
        return background().run(_prices(targets, called, read_ramp(ramp), told))


async def acapacity_prices(
    targets: Mapping[str, object],
    tool: str | None = None,
    arguments: Arguments = None,
    *,
    workload: Workload | Path | str | None = None,
    contract: ContractBook | Path | str | None = None,
    progress: bool = True,
    **ramp: Unpack[RampOptions],
) -> CapacityPrices:
    """Measure what :func:`capacity_prices` measures, without blocking the caller's loop."""
    called = Called(tool, arguments, workload, contract)
    with shown_progress("finding capacities", progress) as told:
        return await background().arun(_prices(targets, called, read_ramp(ramp), told))


async def _prices(
    targets: Mapping[str, object],
    called: Called,
    settings: RampSettings,
    progress: Progress | None,
) -> CapacityPrices:
    if not isinstance(targets, Mapping) or not 0 < len(targets) <= _MOST_TARGETS:
        raise UsageError(f"targets= takes 1 to {_MOST_TARGETS} targets by name, such as {{'bare': 'server.py:app'}}")
    workload, contract = called.read_workload(), called.read_contract()
    async with AsyncExitStack() as stack:
        connections: dict[str, Connection] = {}
        for name, word in targets.items():
            _, side = await stack.enter_async_context(opened_side(word, Limits()))
            if not isinstance(side, Connection):
                raise UsageError(
                    f"{one_line(name, 80)!r} is a stored baseline, which cannot be called; give a live target"
                )
            connections[str(name)] = side
        found = await find_capacities(connections, workload, settings, contract=contract, progress=progress)
        first = next(iter(found.values()))
        half_rate = None if first.knee is None else first.knee / 2
        half_p50_ms: dict[str, float] = {}
        half_note = ""
        if half_rate is not None:
            answering = {name: each for name, each in connections.items() if not found[name].ended}
            try:
                half_p50_ms = await _at_rate(answering, workload, contract, settings, half_rate)
            except WorkbenchError as error:
                # What was found of all targets is worth more than this.
                half_note = f"p50 at half of what the first one takes was not measured: {error}"
    return CapacityPrices(first.workload, found, half_rate, half_p50_ms, half_note)


async def _at_rate(
    connections: Mapping[str, Connection],
    workload: Workload,
    contract: ContractBook | None,
    settings: RampSettings,
    rate: float,
) -> dict[str, float]:
    """Return p50 of the calls that ended well, in milliseconds, of each target at one rate."""
    if not connections:
        raise WorkbenchError("no target answers any more; see their logs, and measure again")
    async with AsyncExitStack() as stack:
        arms: list[Arm] = []
        ready: list[Prepared] = []
        for name, connection in connections.items():
            ready.append(await stack.enter_async_context(prepared(connection)))
            operations = resolve(workload, ready[-1].tools, contract, target=name).operations
            arms.append(Arm(one_line(name, 80), ready[-1].wire, operations))
        blocks = [Block(arm, WARM_UP_S, None, 1, "warm-up") for arm in range(len(arms))]
        dice = random.Random(settings.seed)  # noqa: S311 - an order, no secret
        for _ in range(_TURNS):
            turn = [Block(arm, settings.seconds(rate) / _TURNS, rate, None) for arm in range(len(arms))]
            dice.shuffle(turn)
            blocks += turn
        plan = Plan(tuple(arms), tuple(blocks), "poisson", settings.timeout_s, settings.max_in_flight, settings.seed)
        run = await drive(plan, servers=[each.server for each in ready])
    calls = {name: run.calls(arm) for arm, name in enumerate(connections)}
    return {
        name: float(np.median(each.latency_ms[~each.failed])) for name, each in calls.items() if not each.failed.all()
    }
