"""``mcp-workbench baseline``, ``compare``, ``gate`` and ``trend``: loads measured, compared, held against limits.

Exit codes: 0 no regression, every limit is kept, a baseline was measured; 1 a regression, or a limit that is not kept;
2 wrong usage, different populations among it; 3 target unreachable; 4 not enough data, or the run is void.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mcp_workbench.cli.load_options import (
    ArgumentsText,
    ArrivalsWord,
    CallTimeout,
    CompareThresholds,
    Concurrency,
    ConnectTimeout,
    ContractFile,
    Duration,
    JunitFile,
    MaxInFlight,
    Rate,
    Seed,
    Thresholds,
    Tool,
    WarmUp,
    WorkloadFile,
    load_words,
    read_called,
    read_workload_words,
    refuse_no_load,
)
from mcp_workbench.cli.terminal import (
    TARGET_FORMS,
    UNDECIDED,
    AsJson,
    OverHttp,
    TargetWord,
    complain,
    opened,
    say,
    say_table,
    write_text,
)
from mcp_workbench.errors import UsageError
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.load.baselines.baseline import Baseline

# Columns that a terminal has no room for; they are in the file, and in --json.
_TOO_WIDE = ["lowest error rate", "highest error rate", "p90 ms", "p99.9 ms", "service p50 ms", "service p99 ms"]
_SIDE = f"A baseline (*.json), or a target, which is called. {TARGET_FORMS}"


def baseline(
    target: TargetWord,
    tool: Tool = None,
    arguments: ArgumentsText = None,
    workload: WorkloadFile = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
    duration: Duration = None,
    warm_up: WarmUp = None,
    arrivals: ArrivalsWord = None,
    call_timeout: CallTimeout = None,
    max_in_flight: MaxInFlight = None,
    starts: Annotated[
        int | None,
        typer.Option(
            "--starts",
            metavar="N",
            help="Processes of a command that take turns.",
            show_default="3; 1 without calibration",
        ),
    ] = None,
    seed: Seed = None,
    contract: ContractFile = None,
    label: Annotated[str, typer.Option("--label", metavar="WORDS", help="What is measured, such as a release.")] = "",
    calibration: Annotated[
        bool,
        typer.Option(
            "--calibration/--no-calibration",
            help="Call a fixed server in turns with TARGET afterwards: other days and machines can be compared then.",
        ),
    ] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the baseline there (*.json).")
    ] = None,
    history: Annotated[
        Path | None, typer.Option("--history", metavar="FILE", help="Add the baseline to those of this SQLite file.")
    ] = None,
    as_json: AsJson = False,
    timeout: ConnectTimeout = 30.0,
    http: OverHttp = False,
) -> None:
    """Measure latency and error rate of TARGET under load.

    Calls that fail are counted, by outcome, and exit code 0 all the same: `gate` and `compare` judge them. Exit code 4
    if the figures mean nothing, because the load generator was the bottleneck or no call was made; nothing is written
    then.
    """
    from mcp_workbench.contracts.files import read_book
    from mcp_workbench.load.baselines.history import History
    from mcp_workbench.load.baselines.honesty_words import HONESTY_TITLE
    from mcp_workbench.load.options import read_load

    called = read_called(tool, arguments, workload)
    load = load_words(rate, concurrency, duration, warm_up, arrivals, call_timeout, max_in_flight, starts, seed)
    refuse_no_load(load)
    read_load(load)
    book = None if contract is None else read_book(contract)
    if output is not None:
        if output.suffix != ".json":
            raise UsageError(
                f"{one_line(output, 200)!r} does not end in .json, by which `compare` knows it; name it so"
            )
        _refuse_place(output)
    kept = None if history is None else History(history)
    if kept is not None:
        _refuse_place(Path(kept.file))
        # A file that is no history is told now, not after the load.
        _ = kept.ok
    with opened(target, timeout, http) as bench, contextlib.redirect_stdout(sys.stderr):
        measured = bench.baseline(workload=called, contract=book, calibrated=calibration, label=label, **load)
    # Shown first, which is not lost if a file cannot be written; and kept even if nobody reads on (`| head`).
    try:
        if as_json:
            sys.stdout.write(measured.to_json() + "\n")
        else:
            say_table(measured.frame.drop(columns=_TOO_WIDE), measured.headline())
            say_table(measured.honesty_frame, HONESTY_TITLE)
    finally:
        _refuse_nothing(measured)
        if output is not None:
            complain(f"{measured.save(output)}: a baseline of {measured.whole.calls:,} calls")
        if kept is not None:
            complain(f"{kept.file}: baseline {kept.add(measured)}")


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    second: Annotated[str, typer.Argument(metavar="B", help="The candidate, in the same forms.")],
    tool: Tool = None,
    arguments: ArgumentsText = None,
    workload: WorkloadFile = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
    duration: Duration = None,
    warm_up: WarmUp = None,
    arrivals: ArrivalsWord = None,
    call_timeout: CallTimeout = None,
    max_in_flight: MaxInFlight = None,
    starts: Annotated[
        int | None,
        typer.Option("--starts", metavar="N", help="Processes of each command that take turns.", show_default="3"),
    ] = None,
    seed: Seed = None,
    contract: ContractFile = None,
    thresholds: CompareThresholds = None,
    junit: JunitFile = None,
    as_json: AsJson = False,
    timeout: ConnectTimeout = 30.0,
    http: OverHttp = False,
) -> None:
    """Compare the candidate B with the baseline A: no regression, a regression, or not enough data to say.

    Exit codes 0, 1 and 4. Two targets are called in turns, so that whatever the machine does meets both. A target is
    held against a baseline's file by how many times as long it takes as the calibration server; it is called as the
    baseline was, unless said otherwise.
    """
    from mcp_workbench.contracts.files import read_book
    from mcp_workbench.load.baselines.honesty_words import HONESTY_TITLE
    from mcp_workbench.load.compare import compare as compare_sides
    from mcp_workbench.load.comparing import baseline_file
    from mcp_workbench.load.comparisons.gate import read_gate

    called = read_workload_words(tool, arguments, workload)
    load = load_words(rate, concurrency, duration, warm_up, arrivals, call_timeout, max_in_flight, starts, seed)
    files = [baseline_file(word) for word in (first, second)]
    if None not in files and (called or load):
        raise UsageError("two baselines are compared as they were measured; leave out what says how a target is called")
    if None in files and called is None:
        raise UsageError("nothing says what is called; a target needs --tool TOOL (and its --args), or --workload FILE")
    if files == [None, None]:
        refuse_no_load(load)
    settings = read_gate(thresholds)
    if junit is not None:
        _refuse_place(junit)
    book = None if contract is None else read_book(contract)
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(opened(word, timeout, http)) if file is None else file
            for word, file in zip((first, second), files, strict=True)
        ]
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        compared = compare_sides(sides[0], sides[1], workload=called, contract=book, settings=settings, **load)
    if as_json:
        sys.stdout.write(compared.to_json() + "\n")
    else:
        say_table(compared.frame, compared.headline())
        mine, theirs = compared.processes
        told = f"{compared.seconds:.1f} s of each; {mine} process{'es' * (mine != 1)} against {theirs}"
        say(f"{told}; {compared.conditions[0].words()}")
        if compared.trust:
            say(compared.trust)
        if compared.honesty:
            say_table(compared.honesty_frame, HONESTY_TITLE)
    # After the verdict, which is not lost if the file cannot be written.
    write_text(junit, "" if junit is None else compared.to_junit())
    _end(compared.exit_code)


def gate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline, as `baseline -o` writes it.")],
    thresholds: Thresholds = None,
    junit: JunitFile = None,
    as_json: AsJson = False,
) -> None:
    """Hold a baseline against limits: all are kept (exit code 0), one is not (1), or it cannot be said (4).

    Without THRESHOLDS no more than 1 % of the calls may fail.
    """
    from mcp_workbench.load.baselines.baseline import Baseline

    if junit is not None:
        _refuse_place(junit)
    held = Baseline.load(file).judge(thresholds)
    if as_json:
        sys.stdout.write(held.to_json() + "\n")
    else:
        say_table(held.frame, held.headline())
    write_text(junit, "" if junit is None else held.to_junit())
    _end(held.exit_code)


def trend(
    file: Annotated[Path, typer.Argument(metavar="HISTORY", help="An SQLite file that `baseline --history` wrote.")],
    measure: Annotated[
        str, typer.Option("--measure", metavar="NAME", help="p50 (or p90, p95, ...), max, error rate, calls/s.")
    ] = "p50",
    tool: Annotated[
        str | None, typer.Option("--tool", metavar="TOOL", help="One tool of several.", show_default="all together")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="One target of several.", show_default="the newest one's"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one figure over the releases of a history, and where it changed for good. Exit code 0, whatever it shows."""
    from mcp_workbench.load.baselines.history import History
    from mcp_workbench.load.baselines.trend import trend as trend_of

    if not file.exists():
        raise UsageError(
            f"there is no history at {one_line(file, 200)!r}; check the path, or add a baseline to it first"
        )
    found = trend_of(History(file), measure, tool, target)
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
    else:
        say_table(found.frame, found.headline())
        say(found.text_plot())


LOAD_COMMANDS: Final[tuple[Callable[..., None], ...]] = (baseline, compare, gate, trend)


def _refuse_place(output: Path) -> None:
    """Refuse, before anything is measured, a file that could not be written."""
    try:
        there, taken = output.parent.is_dir(), output.is_dir()
    except OSError as error:
        # Such as a name that is too long.
        raise UsageError(f"{one_line(output, 200)!r} cannot be written: {error.strerror}; give another file") from None
    if not there:
        raise UsageError(f"there is no folder {one_line(output.parent, 200)!r}; make it, or give another file")
    if taken:
        raise UsageError(f"{one_line(output, 200)!r} is a folder; give a file")


def _refuse_nothing(measured: Baseline) -> None:
    if measured.void:
        complain("the run is void, so nothing is written; lower the rate, or free the machine")
    elif not measured.whole.calls:
        complain("no call was made, so nothing is written; measure longer, or at a higher rate")
    else:
        return
    raise typer.Exit(UNDECIDED)


def _end(code: int) -> None:
    if code:
        raise typer.Exit(code)
