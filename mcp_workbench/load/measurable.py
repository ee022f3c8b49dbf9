"""What can be measured of a connected target: a sample, a baseline, a comparison. The workbench's own methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from mcp_workbench.errors import UsageError
from mcp_workbench.kernel.loop import background
from mcp_workbench.kernel.session import Session
from mcp_workbench.load.compare import compared_as_said
from mcp_workbench.load.options import Arguments, Called, LoadOptions, RampOptions, read_load, read_ramp
from mcp_workbench.progress import Progress, shown_progress
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_workbench.contracts.model import ContractBook
    from mcp_workbench.load.baselines.baseline import Baseline
    from mcp_workbench.load.capacities.capacity import Capacity
    from mcp_workbench.load.capacities.ramp import RampSettings
    from mcp_workbench.load.comparisons.comparison import Comparison
    from mcp_workbench.load.comparisons.gate import GateSettings
    from mcp_workbench.load.driving import Live
    from mcp_workbench.load.measuring import Load
    from mcp_workbench.load.samples.summary import Summary
    from mcp_workbench.load.workloads.workload import Workload


class Measurable:
    """A connected target that can be measured.

    Attributes:
        session: the connection, and the records of all calls.
    """

    session: Session

    def baseline(
        self,
        tool: str | None = None,
        arguments: Arguments = None,
        *,
        workload: Workload | Path | str | None = None,
        contract: ContractBook | Path | str | None = None,
        calibrated: bool = True,
        label: str = "",
        cluster: object = None,
        shards: int = 4,
        progress: bool = True,
        listener: Callable[[Live], None] | None = None,
        **load: Unpack[LoadOptions],
    ) -> Baseline:
        """Measure latency and error rate under load, made by a process of its own.

        ::

            wb.baseline("add", {"a": 1}, rate=200, duration=5)

        Args:
            tool: the tool to call; or a ``workload``.
            arguments: what it is called with: a dict, several of which one is drawn for each call, ``"examples"`` of
                the contract, or ``"generated"`` from its input schema.
            workload: a mix of tools and flows, or its file.
            contract: where examples come from, or its file.
            calibrated: whether afterwards a fixed server is called in turns with the target, for as long again: then
                figures of other days and machines can be compared.
            label: what is measured, such as a release.
            cluster: a Dask cluster whose workers make the load, instead of this machine: a scheduler's address such as
                ``tcp://HOST:8786``, a ``distributed.Client``, or a cluster. The target must be an address that they can
                call; arguments and headers, secrets too, travel to them. Nothing is calibrated then.
            shards: how many generators on the cluster share the load.
            progress: show a progress bar.
            listener: told how it goes, four times a second, on another thread; not from a cluster.
            load: how hard and for how long: ``rate=`` or ``users=``, and what else :class:`LoadOptions` lists.

        Returns:
            The figures (``.frame``), how they were measured (``.honesty_frame``), pictures (``.plot()``,
            ``.plot_over_time()``), and a file (``.save()``). It is void if the generator was the bottleneck.

        Raises:
            UsageError: what makes no load, or does not fit the target.
            UnreachableError: the target is not there.
        """
        __tracebackhide__ = True
        called = Called(tool, arguments, workload, contract)
        with shown_progress("measuring", progress) as told:
            return background().run(
                self._baseline(called, read_load(load), calibrated, label, cluster, shards, told, listener)
            )

    async def abaseline(
        self,
        tool: str | None = None,
        arguments: Arguments = None,
        *,
        workload: Workload | Path | str | None = None,
        contract: ContractBook | Path | str | None = None,
        calibrated: bool = True,
        label: str = "",
        cluster: object = None,
        shards: int = 4,
        progress: bool = True,
        listener: Callable[[Live], None] | None = None,
        **load: Unpack[LoadOptions],
    ) -> Baseline:
        """Measure as :meth:`baseline` does, without blocking the caller's loop; cancelling ends the generator."""
        called = Called(tool, arguments, workload, contract)
        with shown_progress("measuring", progress) as told:
            return await background().arun(
                self._baseline(called, read_load(load), calibrated, label, cluster, shards, told, listener)
            )

    def compare(
        self,
        baseline: object,
        candidate: object = None,
        *,
        tool: str | None = None,
        arguments: Arguments = None,
        workload: Workload | Path | str | None = None,
        contract: ContractBook | Path | str | None = None,
        settings: GateSettings | Path | str | None = None,
        progress: bool = True,
        **load: Unpack[LoadOptions],
    ) -> Comparison:
        """Compare a candidate with a baseline: no regression, a regression, or not enough data to say.

        ::

            wb.compare("node old/index.js", tool="search", arguments={"query": "disk"}, rate=200)

        Two targets are called in turns, so that whatever the machine does meets both. A stored baseline is compared by
        how many times as long the target takes as the calibration server: that finds regressions, but rarely says that
        there is none, and nothing of the slow end.

        Args:
            baseline: a :class:`Baseline`, its file, another workbench, or a target.
            candidate: the same; this workbench's own target if left out.
            tool: the tool to call; or a ``workload``. Not needed for two stored baselines.
            arguments: as for :meth:`baseline`.
            workload: a mix of tools and flows, or its file.
            contract: where examples come from, or its file.
            settings: what counts as a regression, or its file.
            progress: show a progress bar.
            load: how hard and for how long; as the stored baseline says if left out. Three processes of each command
                take turns unless ``starts`` says otherwise.

        Returns:
            The verdict (``.verdict``, ``.ok``, ``.exit_code``), each measure (``.frame``), how the load was made
            (``.honesty_frame``), a picture (``.plot()``), and how many seconds more would do (``.needed_s``).

        Raises:
            UsageError: the two were, or would be, measured under different conditions; the sentence names them.
            UnreachableError: a target is not there.
        """
        __tracebackhide__ = True
        chosen = self if candidate is None else candidate
        called = Called(tool, arguments, workload, contract)
        with shown_progress("comparing", progress) as told:
            return background().run(compared_as_said(baseline, chosen, called, settings, load, told))

    async def acompare(
        self,
        baseline: object,
        candidate: object = None,
        *,
        tool: str | None = None,
        arguments: Arguments = None,
        workload: Workload | Path | str | None = None,
        contract: ContractBook | Path | str | None = None,
        settings: GateSettings | Path | str | None = None,
        progress: bool = True,
        **load: Unpack[LoadOptions],
    ) -> Comparison:
        """Compare as :meth:`compare` does, without blocking the caller's loop."""
        chosen = self if candidate is None else candidate
        called = Called(tool, arguments, workload, contract)
        with shown_progress("comparing", progress) as told:
            return await background().arun(compared_as_said(baseline, chosen, called, settings, load, told))

    def sample(
        self,
        tool: str,
        arguments: dict[str, Any] | None = None,
        *,
        calls: int = 100,
        warm_up: int = 3,
        progress: bool = True,
    ) -> Summary:
        """Call a tool many times, one call after the other, and return the table of these calls.

        Args:
            tool: one of the tools that the server lists.
            arguments: the same for each call.
            calls: how many calls are measured.
            warm_up: how many calls go before and are in no figure.
            progress: show a progress bar once the sample takes more than half a second.

        Raises:
            UsageError: a number that makes no sample, an unknown tool, arguments that are no JSON.
        """
        __tracebackhide__ = True
        with shown_progress(f"sampling {one_line(tool, 40)}", progress) as told:
            return background().run(self._sample(tool, {} if arguments is None else arguments, calls, warm_up, told))

    async def asample(
        self,
        tool: str,
        arguments: dict[str, Any] | None = None,
        *,
        calls: int = 100,
        warm_up: int = 3,
        progress: bool = True,
    ) -> Summary:
        """Call a tool many times, as :meth:`sample` does, without blocking the caller's loop."""
        with shown_progress(f"sampling {one_line(tool, 40)}", progress) as told:
            return await background().arun(
                self._sample(tool, {} if arguments is None else arguments, calls, warm_up, told)
            )

    def summary(self) -> Summary:
        """Return, for each tool called so far, count, error rate by outcome and latency percentiles."""
        from mcp_workbench.load.samples.summary import summarise

        dropped = self.session.log.dropped
        note = f"the oldest {dropped:,} records were dropped to save memory" if dropped else ""
        return summarise(self.session.log, note=note)

    async def _sample(
        self, tool: str, arguments: dict[str, Any], calls: int, warm_up: int, progress: Progress | None
    ) -> Summary:
        from mcp_workbench.load.samples.sampling import Plan, sample

        plan = Plan(tool, arguments, calls, warm_up)
        await self._known(tool)
        return await sample(self.session.connection, plan, progress)

    def _listed(self, tool: object) -> bool:
        return isinstance(tool, str) and tool in self.session.connection.listed

    async def _known(self, tool: str) -> None:
        """Refuse a tool that the server does not list, and say which one may be meant."""
        from mcp_workbench.kernel.listings import unknown_tool

        if self._listed(tool):
            return
        connection = self.session.connection
        # Servers may add tools while they run: look once more before saying no.
        names = [listed.name for listed in await connection.list_all("tools")]
        if tool in names:
            return
        raise unknown_tool(self.session.target.name, tool, names)

    async def _baseline(
        self,
        called: Called,
        load: Load,
        calibrated: bool,
        label: str,
        cluster: object,
        shards: int,
        progress: Progress | None,
        listener: Callable[[Live], None] | None,
    ) -> Baseline:
        from mcp_workbench.load.measuring import measure

        if called.tool is not None:
            await self._known(called.tool)
        connection, workload, contract = self.session.connection, called.read_workload(), called.read_contract()
        if cluster is None:
            return await measure(
                connection,
                workload,
                load,
                contract=contract,
                calibrated=calibrated,
                label=label,
                progress=progress,
                listener=listener,
            )
        from mcp_workbench.load.cluster import measure_sharded

        if listener is not None:
            raise UsageError("a load that a cluster makes tells nobody how it goes; leave out listener=")
        return await measure_sharded(
            connection,
            workload,
            load,
            cluster=cluster,
            shards=shards,
            contract=contract,
            label=label,
            progress=progress,
        )

    def capacity(
        self,
        tool: str | None = None,
        arguments: Arguments = None,
        *,
        workload: Workload | Path | str | None = None,
        contract: ContractBook | Path | str | None = None,
        progress: bool = True,
        **ramp: Unpack[RampOptions],
    ) -> Capacity:
        """Find how much the target takes: the greatest rate at which answers follow what is offered.

        ::

            wb.capacity("add", {"a": 1}, slo_p95_ms=50)

        An open load at rising rates, made by a process of its own; with stages of 2 s it takes a minute or two.

        Args:
            tool: the tool to call; or a ``workload``.
            arguments: as for :meth:`baseline`.
            workload: a mix of tools and flows, or its file.
            contract: where examples come from, or its file.
            progress: show a progress bar.
            ramp: how the ramp goes, such as ``slo_p95_ms=``; :class:`RampOptions` lists it.

        Returns:
            The knee (``.knee``, ``.band``, ``.reason``), the stages (``.frame``), a picture (``.plot()``). It is void
            if the generator was the bottleneck before the target was.

        Raises:
            UsageError: what makes no ramp, or does not fit the target.
            UnreachableError: the target is not there.
        """
        __tracebackhide__ = True
        called = Called(tool, arguments, workload, contract)
        with shown_progress("finding the capacity", progress) as told:
            return background().run(self._capacity(called, read_ramp(ramp), told))

    async def acapacity(
        self,
        tool: str | None = None,
        arguments: Arguments = None,
        *,
        workload: Workload | Path | str | None = None,
        contract: ContractBook | Path | str | None = None,
        progress: bool = True,
        **ramp: Unpack[RampOptions],
    ) -> Capacity:
        """Find the capacity as :meth:`capacity` does, without blocking the caller's loop; cancelling ends the load."""
        called = Called(tool, arguments, workload, contract)
        with shown_progress("finding the capacity", progress) as told:
            return await background().arun(self._capacity(called, read_ramp(ramp), told))

    async def _capacity(self, called: Called, ramp: RampSettings, progress: Progress | None) -> Capacity:
        from mcp_workbench.load.capacities.capacity import find_capacity

        if called.tool is not None:
            await self._known(called.tool)
        return await find_capacity(
            self.session.connection,
            called.read_workload(),
            ramp,
            contract=called.read_contract(),
            progress=progress,
        )
