"""Comparing two sides without a workbench: baselines, their files, or targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from mcp_workbench.kernel.loop import background
from mcp_workbench.load.options import Arguments, Called, LoadOptions, load_fields
from mcp_workbench.progress import Progress, shown_progress

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_workbench.contracts.model import ContractBook
    from mcp_workbench.load.comparisons.comparison import Comparison
    from mcp_workbench.load.comparisons.gate import GateSettings
    from mcp_workbench.load.workloads.workload import Workload


def compare(
    baseline: object,
    candidate: object,
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

        compare("node old/index.js", "node new/index.js", tool="search", arguments={"query": "disk"}, rate=200)

    Two targets are called in turns, so that whatever the machine does meets both. A stored baseline is compared by how
    many times as long the target takes as the calibration server: that finds regressions, but rarely says that there is
    none, and nothing of the slow end.

    Args:
        baseline: a :class:`Baseline`, its file, a workbench, or a target.
        candidate: the same.
        tool: the tool to call; or a ``workload``. Not needed for two stored baselines.
        arguments: what it is called with: a dict, several of which one is drawn for each call, ``"examples"`` of the
            contract, or ``"generated"`` from its input schema.
        workload: a mix of tools and flows, or its file.
        contract: where examples come from, or its file.
        settings: what counts as a regression, or its file.
        progress: show a progress bar.
        load: how hard and for how long; as the stored baseline says if left out. Three processes of each command take
            turns unless ``starts`` says otherwise.

    Returns:
        The verdict (``.verdict``, ``.ok``, ``.exit_code``), each measure (``.frame``), how the load was made
        (``.honesty_frame``), a picture (``.plot()``), and how many seconds more would do (``.needed_s``).

    Raises:
        UsageError: the two were, or would be, measured under different conditions; the sentence names them.
        UnreachableError: a target is not there.
    """
    __tracebackhide__ = True
    called = Called(tool, arguments, workload, contract)
    with shown_progress("comparing", progress) as told:
        return background().run(compared_as_said(baseline, candidate, called, settings, load, told))


async def acompare(
    baseline: object,
    candidate: object,
    *,
    tool: str | None = None,
    arguments: Arguments = None,
    workload: Workload | Path | str | None = None,
    contract: ContractBook | Path | str | None = None,
    settings: GateSettings | Path | str | None = None,
    progress: bool = True,
    **load: Unpack[LoadOptions],
) -> Comparison:
    """Compare as :func:`compare` does, without blocking the caller's loop."""
    called = Called(tool, arguments, workload, contract)
    with shown_progress("comparing", progress) as told:
        return await background().arun(compared_as_said(baseline, candidate, called, settings, load, told))


async def compared_as_said(
    baseline: object,
    candidate: object,
    called: Called,
    settings: GateSettings | Path | str | None,
    load: LoadOptions,
    progress: Progress | None,
) -> Comparison:
    """Compare in a user's words; the caller is on the background loop. The arguments are those of :func:`compare`."""
    from mcp_workbench.load.comparing import compared
    from mcp_workbench.load.comparisons.gate import GateSettings, read_gate

    return await compared(
        baseline,
        candidate,
        called.read_workload() if called.said else None,
        load_fields(load),
        contract=called.read_contract(),
        settings=settings if isinstance(settings, GateSettings) else read_gate(settings),
        progress=progress,
    )
