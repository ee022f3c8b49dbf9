"""``mcp-workbench capacity``: the greatest rate at which a target's answers follow what is offered.

Exit code 4 if no rate was found, or the load generator was the bottleneck first.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_workbench.cli.load_options import (
    ArgumentsText,
    ConnectTimeout,
    ContractFile,
    MaxInFlight,
    Seed,
    Tool,
    WorkloadFile,
    read_called,
)
from mcp_workbench.cli.terminal import UNDECIDED, AsJson, OverHttp, TargetWord, opened, say, say_table

if TYPE_CHECKING:
    from mcp_workbench.load.options import RampOptions


def capacity(
    target: TargetWord,
    tool: Tool = None,
    arguments: ArgumentsText = None,
    workload: WorkloadFile = None,
    slo_p95: Annotated[
        float | None,
        typer.Option("--slo-p95", metavar="MS", help="What p95 may be; only throughput is judged if left out."),
    ] = None,
    start_rate: Annotated[
        float | None,
        typer.Option("--start-rate", metavar="R", help="Where the ramp begins.", show_default="found by a burst"),
    ] = None,
    max_rate: Annotated[
        float | None,
        typer.Option("--max-rate", metavar="R", help="Beyond which nothing is asked.", show_default="20000"),
    ] = None,
    stage: Annotated[
        float | None,
        typer.Option(
            "--stage", metavar="SECONDS", help="What each rate takes; more if calls are few or slow.", show_default="2"
        ),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option("--resolution", metavar="SHARE", help="How far apart the closest rates are.", show_default="0.1"),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            "--limit",
            metavar="SECONDS",
            help="Within which the search is to end; the first rates are always tried.",
            show_default="180",
        ),
    ] = None,
    call_timeout: Annotated[
        float | None,
        typer.Option("--call-timeout", metavar="SECONDS", help="When a call is given up.", show_default="5"),
    ] = None,
    max_in_flight: MaxInFlight = None,
    seed: Seed = None,
    contract: ContractFile = None,
    as_json: AsJson = False,
    timeout: ConnectTimeout = 30.0,
    http: OverHttp = False,
) -> None:
    """Find how much TARGET takes: an open load at rising rates, until answers do not follow or p95 is too long.

    It takes a minute or two. Exit code 4 if no rate was found, or the load generator was the bottleneck first.
    """
    from mcp_workbench.contracts.files import read_book
    from mcp_workbench.load.capacities.capacity import HONESTY_TITLE
    from mcp_workbench.load.options import read_ramp

    called = read_called(tool, arguments, workload)
    said = {
        "slo_p95_ms": slo_p95,
        "start_rate": start_rate,
        "max_rate": max_rate,
        "stage": stage,
        "resolution": resolution,
        "limit": limit,
        "timeout": call_timeout,
        "max_in_flight": max_in_flight,
        "seed": seed,
    }
    given: Any = {name: value for name, value in said.items() if value is not None}
    ramp: RampOptions = given
    read_ramp(ramp)
    book = None if contract is None else read_book(contract)
    with opened(target, timeout, http) as bench, contextlib.redirect_stdout(sys.stderr):
        found = bench.capacity(workload=called, contract=book, **ramp)
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
    else:
        say_table(found.frame, found.headline())
        for note in found.notes:
            say(note)
        say_table(found.honesty_frame, HONESTY_TITLE)
    if not found.ok:
        raise typer.Exit(UNDECIDED)
