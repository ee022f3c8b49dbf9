"""The price list: what each control of a hardened server costs.

Every arm is a server of its own, made by the same function: the bare server, all six stages on, all six stages again
(what these two differ by is noise), and for each control all six stages on but that one. They take turns, as
:mod:`~mcp_workbench.load.samples.turns` has it.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_workbench.contracts.files import read_book
from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.controls import Settings, harden, soften
from mcp_workbench.errors import UsageError
from mcp_workbench.kernel.loop import background
from mcp_workbench.load.samples.turns import AnyServer, Turns, cpu_in_turns
from mcp_workbench.progress import Progress, shown_progress
from mcp_workbench.reports import Report
from mcp_workbench.stages import STAGES
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart

MakeServer = Callable[[], AnyServer]

PROMISED_RATIO: Final = 1.5
"""What a call through all six stages may cost at most, in bare calls; the project's own promise."""

_DOUBT: Final = 0.05

_INNER: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "inputs": (
        ("limit of the arguments' size", {"max_argument_bytes": None}),
        ("no unknown arguments", {"unknown_arguments": "pass"}),
        ("defaults are filled in", {"fill_defaults": False}),
    ),
    "execution": (
        ("deadline", {"deadline_ms": None}),
        ("limits of concurrency", {"concurrency": None, "concurrency_per_tool": None}),
        ("retries", {"attempts": 1}),
    ),
    "outputs": (
        ("results are checked", {"check_results": False}),
        ("limit of the results' size", {"max_result_bytes": None}),
    ),
}


@dataclass(frozen=True, slots=True)
class Price:
    """What one control costs.

    Attributes:
        control: what it does, in a few words.
        stage: the stage that it belongs to; empty for what is no single stage.
        setting: what switches it off.
        differences_us: for each round, CPU microseconds a call with it less those without it.
        floor_us: by how much two servers with the same controls differed: a price below it says nothing.
    """

    control: str
    stage: str
    setting: str
    differences_us: tuple[float, ...]
    floor_us: float = 0.0

    @property
    def price_us(self) -> float:
        """CPU microseconds a call: the median of the rounds."""
        return statistics.median(self.differences_us)

    @property
    def interval_us(self) -> tuple[float, float]:
        """Where the median lies with a confidence of at least 95 %; all there is, if fewer than six rounds were made.

        Source:
            the interval of order statistics that belongs to the sign test; it assumes nothing of how noise is spread.
        """
        ordered, rounds = sorted(self.differences_us), len(self.differences_us)
        outside, rank = 2 / 2**rounds, 0
        while outside <= _DOUBT:
            rank += 1
            outside += 2 * math.comb(rounds, rank) / 2**rounds
        rank = max(rank - 1, 0)
        return ordered[rank], ordered[-1 - rank]

    @property
    def below_noise(self) -> bool:
        """Whether it may as well cost nothing."""
        low, high = self.interval_us
        return low <= 0 <= high or abs(self.price_us) <= self.floor_us


@dataclass(frozen=True, slots=True, repr=False)
class PriceList(Report):
    """What each control of a hardened server costs for one tool, in process, as CPU time.

    Prices need not add up: what one stage has done, the next one need not do.

    Attributes:
        tool: the tool that was called.
        calls: how many calls of each arm make a round.
        bare_us: for each round, CPU microseconds of a call without controls.
        hardened_us: the same with all six stages on.
        prices: all six stages together, then each stage with the controls in it, then what no difference costs.
        bound: what all six stages may cost at most, in bare calls.
    """

    tool: str
    calls: int
    bare_us: tuple[float, ...]
    hardened_us: tuple[float, ...]
    prices: tuple[Price, ...]
    bound: float = PROMISED_RATIO

    @property
    def ratio(self) -> float:
        """A call through all six stages, in bare calls: the median of the rounds."""
        pairs = zip(self.hardened_us, self.bare_us, strict=True)
        return statistics.median(hardened / bare for hardened, bare in pairs)

    @property
    def ok(self) -> bool:
        """Whether all six stages together stay within the bound."""
        return self.ratio <= self.bound

    @property
    def frame(self) -> Table:
        """One row a control: its price, between what it lies, and its share of a bare call."""
        rows = [
            {
                "control": price.control,
                "stage": price.stage,
                "switched off by": price.setting,
                "price us": price.price_us,
                "from us": price.interval_us[0],
                "to us": price.interval_us[1],
                "% of bare call": self._percent(price),
                "reading": "below the noise" if price.below_noise else "",
            }
            for price in self.prices
        ]
        names = ["control", "stage", "switched off by", "price us", "from us", "to us", "% of bare call", "reading"]
        return table(rows, names)

    def _percent(self, price: Price) -> float:
        # Round by round, as the ratio in the headline: the machine is not the same in all of them.
        pairs = zip(price.differences_us, self.bare_us, strict=True)
        return statistics.median(100 * difference / bare for difference, bare in pairs)

    def headline(self) -> str:
        """Return what all six stages cost together, in bare calls."""
        verdict = "within" if self.ok else "above"
        return (
            f"{one_line(self.tool, 60)}: a call through all six stages costs {self.ratio:.1f} x the bare call, "
            f"{verdict} the bound of {self.bound:g} x"
        )

    def facts(self) -> dict[str, Any]:
        """Return what was measured, how often, where and with which versions."""
        return {
            "tool": one_line(self.tool, 200),
            "ratio": self.ratio,
            "bound": self.bound,
            "bare_us": statistics.median(self.bare_us),
            "hardened_us": statistics.median(self.hardened_us),
            "calls": self.calls,
            "rounds": len(self.bare_us),
            "clock": "CPU time of the process",
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "versions": {name: version(name) for name in ("mcp", "pydantic", "jsonschema-rs", "anyio")},
        }

    def plot(self) -> Chart:
        """Return a picture of the prices: one bar a control, in microseconds."""
        from mcp_workbench.load.samples.charts import price_chart

        return price_chart(self.tool, self.prices)


@dataclass(frozen=True, slots=True)
class _Arm:
    """One server to be measured; without settings it is the bare one."""

    control: str
    stage: str
    setting: str
    settings: Settings | None
    book: ContractBook | None

    @property
    def place(self) -> str:
        """The words for where a tool failed."""
        if self.settings is None:
            return "on the bare server"
        return f"on the hardened server with {self.setting or 'all six stages on'}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is measured: the arms, a server for each, and the turns that they take."""

    arms: tuple[_Arm, ...]
    servers: tuple[AnyServer, ...]
    turns: Turns
    bound: float


def price_list(
    make_server: MakeServer,
    tool: str,
    arguments: dict[str, Any] | None = None,
    *,
    contract: ContractBook | Path | str | None = None,
    calls: int = 100,
    rounds: int = 15,
    bound: float = PROMISED_RATIO,
    progress: bool = True,
) -> PriceList:
    """Measure what each control costs for one tool, in process: about 17 times ``calls`` times ``rounds`` calls.

    Nothing else should run in this process meanwhile: it would be counted.

    Args:
        make_server: returns a new server object each time, one that is not hardened.
        tool: the tool to call; it is really run, so take one that may be.
        arguments: the same for each call.
        contract: the contracts of its tools, or the path of their file.
        calls: how many calls of each arm make a round.
        rounds: how many rounds; a price is the median of the rounds.
        bound: what all six stages may cost at most, in bare calls.
        progress: show a progress bar once it takes more than half a second.

    Raises:
        UsageError: ``make_server`` returns one object twice, a hardened one or none; the tool fails; a number that
            makes no measurement.
        UnreachableError: the server cannot be connected.
    """
    __tracebackhide__ = True
    plan = _plan(make_server, Turns(tool, arguments, calls, rounds), contract, bound)
    with shown_progress(f"pricing {one_line(tool, 40)}", progress) as told:
        return background().run(_priced(plan, told))


async def aprice_list(
    make_server: MakeServer,
    tool: str,
    arguments: dict[str, Any] | None = None,
    *,
    contract: ContractBook | Path | str | None = None,
    calls: int = 100,
    rounds: int = 15,
    bound: float = PROMISED_RATIO,
    progress: bool = True,
) -> PriceList:
    """Measure what :func:`price_list` measures, without blocking the caller's loop."""
    plan = _plan(make_server, Turns(tool, arguments, calls, rounds), contract, bound)
    with shown_progress(f"pricing {one_line(tool, 40)}", progress) as told:
        return await background().arun(_priced(plan, told))


def _plan(make_server: MakeServer, turns: Turns, contract: ContractBook | Path | str | None, bound: float) -> _Plan:
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not bound > 0:
        raise UsageError(f"bound={bound!r} is no bound; give the greatest cost in bare calls, such as {PROMISED_RATIO}")
    if not callable(make_server):
        raise UsageError(
            "make_server must be a function that returns a new server object each time; this is a "
            f"{type(make_server).__name__}"
        )
    arms = tuple(_arms(contract if contract is None or isinstance(contract, ContractBook) else read_book(contract)))
    servers: list[AnyServer] = []
    for arm in arms:
        server = make_server()
        if any(server is other for other in servers):
            raise UsageError(
                "make_server() returned the same server object twice; make the server inside the function, "
                "so that each arm has one of its own"
            )
        # The bare one, too, for a moment: what is no server, or hardened already, is refused alike.
        harden(server, arm.book, arm.settings)
        if arm.settings is None:
            soften(server)
        servers.append(server)
    return _Plan(arms, tuple(servers), turns, bound)


def _arms(book: ContractBook | None) -> Iterator[_Arm]:
    """Yield the bare arm, the one with all stages, and one for each price, in the order of the list."""
    yield _Arm("all six stages", "", "soften(server)", None, book)
    yield _Arm("", "", "", Settings(), book)
    for stage in STAGES:
        yield _Arm("the whole stage", stage, f"off={{{stage!r}}}", Settings(off={stage}), book)
        for control, change in _INNER.get(stage, ()):
            setting = ", ".join(f"{name}={value!r}" for name, value in change.items())
            # A contract's deadline comes before the one of the settings.
            fits = _without_deadlines(book) if "deadline_ms" in change else book
            yield _Arm(control, stage, setting, Settings(**change), fits)
    yield _Arm("nothing: the same again", "", "", Settings(), book)


def _without_deadlines(book: ContractBook | None) -> ContractBook | None:
    if book is None:
        return None
    return book.model_copy(
        update={"tools": tuple(tool.model_copy(update={"deadline_ms": None}) for tool in book.tools)}
    )


async def _priced(plan: _Plan, progress: Progress | None) -> PriceList:
    servers = [(arm.place, server) for arm, server in zip(plan.arms, plan.servers, strict=True)]
    bare_us, hardened_us, *without_us = await cpu_in_turns(servers, plan.turns, progress)
    bare, _, *others = plan.arms
    against = [
        tuple(on - off for on, off in zip(hardened_us, spent_us, strict=True)) for spent_us in (bare_us, *without_us)
    ]
    floor_us = abs(statistics.median(against[-1]))
    prices = tuple(
        Price(arm.control, arm.stage, arm.setting, differences_us, floor_us)
        for arm, differences_us in zip([bare, *others], against, strict=True)
    )
    return PriceList(plan.turns.tool, plan.turns.calls, bare_us, hardened_us, prices, plan.bound)
