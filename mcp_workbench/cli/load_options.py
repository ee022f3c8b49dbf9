"""The options with which commands are told what is called, how hard, and what counts; and what they mean."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_workbench.cli.terminal import read_json
from mcp_workbench.errors import UsageError

if TYPE_CHECKING:
    from mcp_workbench.load.options import LoadOptions
    from mcp_workbench.load.workloads.workload import Workload


class Arrivals(StrEnum):
    """How the starts of an open load are spread."""

    POISSON = "poisson"
    CONSTANT = "constant"


Tool = Annotated[str | None, typer.Option("--tool", metavar="TOOL", help="The tool to call.")]
ArgumentsText = Annotated[
    str | None,
    typer.Option(
        "--args",
        metavar="JSON",
        help="Its arguments: a JSON object, a list of several to draw from, a file of them (*.jsonl, *.json), "
        "`examples` of the contract, or `generated` from the input schema.",
        show_default="{}",
    ),
]
WorkloadFile = Annotated[
    Path | None,
    typer.Option(
        "--workload", metavar="FILE", help="A mix of tools and flows, instead of --tool: YAML, as in data/workloads."
    ),
]
ContractFile = Annotated[Path | None, typer.Option("--contract", metavar="FILE", help="Where examples come from.")]
Rate = Annotated[
    float | None,
    typer.Option("--rate", metavar="R", help="Open load: calls a second, whether or not earlier ones have ended."),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", help="Closed load instead: users who wait for each answer."),
]
Duration = Annotated[
    float | None, typer.Option("--duration", metavar="SECONDS", help="How long is measured.", show_default="10")
]
WarmUp = Annotated[
    float | None,
    typer.Option("--warm-up", metavar="SECONDS", help="Called before, and in no figure.", show_default="1"),
]
ArrivalsWord = Annotated[
    Arrivals | None, typer.Option("--arrivals", help="How calls of an open load are spread.", show_default="poisson")
]
CallTimeout = Annotated[
    float | None,
    typer.Option("--call-timeout", metavar="SECONDS", help="When a call of the load is given up.", show_default="10"),
]
MaxInFlight = Annotated[
    int | None,
    typer.Option("--max-in-flight", metavar="N", help="Unanswered calls; beyond it they drop.", show_default="512"),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Of all that is drawn.", show_default="0")]
Thresholds = Annotated[
    Path | None,
    typer.Option(
        "--gate",
        metavar="THRESHOLDS",
        help="What counts as a regression, and limits: YAML, as in data/gates.",
        show_default="built in",
    ),
]
CompareThresholds = Annotated[
    Path | None,
    typer.Option(
        "--gate",
        metavar="THRESHOLDS",
        help="What counts as a regression: YAML, as in data/gates; its limits are for `gate`.",
        show_default="built in",
    ),
]
ConnectTimeout = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", help="For connecting and listing; calls of the load have --call-timeout."
    ),
]
JunitFile = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML there, a test case per measure.")
]


def read_called(tool: str | None, arguments: str | None, file: Path | None) -> Workload:
    """Return what is to be called, as the options say it.

    Raises:
        UsageError: they do not say it, or twice.
        FileError: the workload's file is not what it should be.
    """
    called = read_workload_words(tool, arguments, file)
    if called is None:
        raise UsageError("nothing says what is called; give --tool TOOL (and its --args), or --workload FILE")
    return called


def read_workload_words(tool: str | None, arguments: str | None, file: Path | None) -> Workload | None:
    """Return what is to be called, as the options say it; ``None`` if they say nothing of it.

    Raises:
        UsageError: they say it twice.
        FileError: the workload's file is not what it should be.
    """
    from mcp_workbench.load.workloads.workload import one_call, read_workload

    if file is not None:
        if tool is not None or arguments is not None:
            raise UsageError(
                "--workload and --tool both say what is called; give --workload alone, or --tool with its --args"
            )
        return read_workload(file)
    if tool is None:
        if arguments is not None:
            raise UsageError("--args are those of a tool; give --tool, too")
        return None
    return one_call(tool, _arguments(arguments))


def _arguments(text: str | None) -> Any:
    from mcp_workbench.load.workloads.argument_files import FILE_ENDINGS
    from mcp_workbench.load.workloads.workload import EXAMPLES, GENERATED

    if text is None or text in (EXAMPLES, GENERATED) or text.endswith(FILE_ENDINGS):
        return text
    read = read_json(text)
    if not isinstance(read, dict | list):
        raise UsageError(f"--args is a JSON {type(read).__name__}; write an object, or a list of objects")
    return read


def load_words(
    rate: float | None,
    concurrency: int | None,
    duration: float | None,
    warm_up: float | None,
    arrivals: Arrivals | None,
    call_timeout: float | None,
    max_in_flight: int | None,
    starts: int | None,
    seed: int | None,
) -> LoadOptions:
    """Return how hard is called, as the options say it.

    Raises:
        UsageError: they say both an open load and a closed one.
    """
    if rate is not None and concurrency is not None:
        raise UsageError("--rate makes an open load and --concurrency a closed one; give one of them")
    said = {
        "rate": rate,
        "users": concurrency,
        "duration": duration,
        "warm_up": warm_up,
        "arrivals": None if arrivals is None else arrivals.value,
        "timeout": call_timeout,
        "max_in_flight": max_in_flight,
        "starts": starts,
        "seed": seed,
    }
    load: Any = {name: value for name, value in said.items() if value is not None}
    return load  # type: ignore[no-any-return]


def refuse_no_load(load: LoadOptions) -> None:
    """Refuse options that say nothing of how hard is called."""
    if "rate" not in load and "users" not in load:
        raise UsageError(
            "nothing says how hard is called; give --rate R (calls a second, whatever the server does) or "
            "--concurrency N (users who wait for answers)"
        )
