"""The ``mcp-workbench`` command: look at a target, call it, measure it, hold it to its contract; open the workbook.

Exit codes: 0 fine; 1 the tool answered with an error, a sampled call failed, something was found in a contract, a
comparison found a regression, or a limit is not kept; 2 wrong usage; 3 target unreachable, lost, or not answering in
time; 4 a load is void, or there is not enough data to say; 70 a fault of the workbench itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from mcp_workbench.cli.capacity import capacity
from mcp_workbench.cli.contract import contract_commands
from mcp_workbench.cli.load import LOAD_COMMANDS
from mcp_workbench.cli.terminal import (
    FOUND,
    OWN_FAULT,
    UNDECIDED,
    UNREACHABLE,
    WRONG_USAGE,
    AsJson,
    OverHttp,
    TargetWord,
    Timeout,
    complain,
    opened,
    read_json,
    say,
    say_json,
    say_table,
)
from mcp_workbench.errors import UsageError, VoidRunError, WorkbenchError
from mcp_workbench.untrusted import one_line

app = typer.Typer(
    name="mcp-workbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(contract_commands, name="contract")

ToolName = Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name, as `tools` lists it.")]
ArgumentsText = Annotated[str, typer.Option("--args", metavar="JSON", help="The arguments, as a JSON object.")]


def _version(wanted: bool) -> None:
    if wanted:
        from mcp_workbench import __version__

        say(f"mcp-workbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Connect any MCP server, look at it, call it, measure it."""


@app.command()
def tools(target: TargetWord, as_json: AsJson = False, timeout: Timeout = 30.0, http: OverHttp = False) -> None:
    """List the tools of TARGET: purpose, arguments, and what the server says of their effects."""
    with opened(target, timeout, http) as bench:
        if as_json:
            listed = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in bench.session.tools()]
            say_json(listed)
        else:
            say_table(bench.tools, f"{bench.name} over {bench.session.target.transport}")


@app.command()
def call(
    target: TargetWord,
    tool: ToolName,
    arguments: ArgumentsText = "{}",
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
    http: OverHttp = False,
) -> None:
    """Call TOOL of TARGET once and print what it answered. Exit code 1 if that was an error."""
    read = _arguments(arguments)
    with opened(target, timeout, http) as bench, contextlib.redirect_stdout(sys.stderr):
        result = bench.call(tool, read)
    if as_json:
        raw = None if result.raw is None else result.raw.model_dump(mode="json", by_alias=True, exclude_none=True)
        say_json(
            {
                "ok": result.ok,
                "outcome": result.outcome,
                "latency_ms": result.latency_ms,
                "transport": result.record.transport,
                "error": result.error,
                "result": raw,
            }
        )
    elif result.ok:
        say(str(result))
    else:
        complain(str(result))
    if not result.ok:
        raise typer.Exit(FOUND)


@app.command()
def sample(
    target: TargetWord,
    tool: ToolName,
    arguments: ArgumentsText = "{}",
    calls: Annotated[int, typer.Option(help="How many calls are measured.")] = 100,
    warm_up: Annotated[int, typer.Option(help="How many calls go before and are in no figure.")] = 3,
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
    http: OverHttp = False,
) -> None:
    """Call TOOL of TARGET many times, one after the other, and print latency and error rate."""
    read = _arguments(arguments)
    with opened(target, timeout, http) as bench, contextlib.redirect_stdout(sys.stderr):
        summary = bench.sample(tool, read, calls=calls, warm_up=warm_up)
    if as_json:
        sys.stdout.write(summary.to_json() + "\n")
    else:
        say_table(summary.frame, summary.headline())
    if not summary.ok:
        raise typer.Exit(UNREACHABLE if summary.cut_short else FOUND)


for load_command in (*LOAD_COMMANDS, capacity):
    app.command()(load_command)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new server's name, and its folder's.")],
    starter: Annotated[str, typer.Option("--from", metavar="STARTER", help="files, git, memory, clock or fetch.")],
    parent: Annotated[
        Path | None, typer.Option("--in", metavar="FOLDER", help="Where the folder is made.", show_default="here")
    ] = None,
) -> None:
    """Begin a server of your own as a copy of a starter, with its contract, a test and a notebook."""
    from mcp_workbench.starters.copying import new_server

    folder = new_server(name, starter, parent)
    say(f"{folder} holds server.py, contract.yaml, test_server.py and notebook.ipynb; pytest {folder} runs its tests")


@app.command()
def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where the notebooks are put, unless they are there.", show_default="notebooks"),
    ] = None,
    port: Annotated[int | None, typer.Option(help="The port of JupyterLab; a free one from 8888 if left out.")] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab on the first notebook of the workbook."""
    from mcp_workbench.workbook import FIRST_NOTEBOOK, copy_notebooks

    place = copy_notebooks(folder or Path("notebooks"))
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={place.resolve()}"]
    # The address that is printed leads to the notebook too, for those whose browser is on another machine.
    command += [f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"]
    # In containers everybody is root; elsewhere it is the user's own choice.
    command += ["--allow-root"] * (os.geteuid() == 0)
    command += [f"--port={port}"] * (port is not None) + ["--no-browser"] * (not browser)
    sys.stdout.flush()
    # JupyterLab takes the place of this process, so that Ctrl-C and signals are its own.
    os.execv(sys.executable, command)  # noqa: S606 - no shell


def main() -> NoReturn:
    """Run the command; every error is one sentence on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character is given its code.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # The parser answers wrong usage, Ctrl-C and a closed pipe itself, and exits.
    try:
        app()
    except WorkbenchError as error:
        complain(str(error))
        sys.exit(_exit_code(error))
    except Exception as error:  # noqa: BLE001 - the last resort: also a fault of ours is told in one sentence
        complain(f"mcp-workbench failed, and should not have ({type(error).__name__}: {one_line(error)}); report it")
        sys.exit(OWN_FAULT)
    sys.exit(0)


def _exit_code(error: WorkbenchError) -> int:
    match error:
        case UsageError():
            return WRONG_USAGE
        case VoidRunError():
            return UNDECIDED
        case _:
            return UNREACHABLE


def _arguments(text: str) -> dict[str, Any]:
    read = read_json(text)
    if not isinstance(read, dict):
        raise UsageError(
            f"--args is a JSON {type(read).__name__}, no object; "
            """write name and value in braces, as '{"city": "Bern"}'"""
        )
    return read
