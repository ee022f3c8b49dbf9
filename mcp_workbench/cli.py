"""The ``mcp-workbench`` command: look at a target, call it, measure it, or open the workbook.

Exit codes: 0 fine; 1 the tool answered with an error, or a sampled call failed; 2 wrong usage; 3 target unreachable,
lost, or not answering in time; 70 a fault of the workbench itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mcp_workbench.errors import UsageError, WorkbenchError
from mcp_workbench.untrusted import one_line, plain

if TYPE_CHECKING:
    from mcp_workbench.workbench import Workbench

app = typer.Typer(
    name="mcp-workbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The last one is EX_SOFTWARE of sysexits.h.
ANSWERED_ERROR, WRONG_USAGE, UNREACHABLE, OWN_FAULT = 1, 2, 3, 70

TargetWord = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A command in quotes, a URL, FILE.py:ATTRIBUTE, MODULE:ATTRIBUTE or CONFIGURATION.json#ENTRY.",
    ),
]
ToolName = Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name, as `tools` lists it.")]
ArgumentsText = Annotated[str, typer.Option("--args", metavar="JSON", help="The arguments, as a JSON object.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", help="For connecting, and for each call.")]
OverHttp = Annotated[bool, typer.Option("--http", help="Host a server object over loopback HTTP to call it.")]


def _version(wanted: bool) -> None:
    if wanted:
        from mcp_workbench import __version__

        _print(f"mcp-workbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Connect any MCP server, look at it, call it, measure it."""


@app.command()
def tools(target: TargetWord, as_json: AsJson = False, timeout: Timeout = 30.0, http: OverHttp = False) -> None:
    """List the tools of TARGET: purpose, arguments, and what the server says of their effects."""
    with _opened(target, timeout, http) as bench:
        if as_json:
            listed = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in bench.session.tools()]
            _print_json(listed)
        else:
            _print_table(bench.tools, f"{bench.name} over {bench.session.target.transport}")


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
    with _opened(target, timeout, http) as bench, contextlib.redirect_stdout(sys.stderr):
        result = bench.call(tool, read)
    if as_json:
        raw = None if result.raw is None else result.raw.model_dump(mode="json", by_alias=True, exclude_none=True)
        _print_json(
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
        _print(str(result))
    else:
        _complain(str(result))
    if not result.ok:
        raise typer.Exit(ANSWERED_ERROR)


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
    with _opened(target, timeout, http) as bench, contextlib.redirect_stdout(sys.stderr):
        summary = bench.sample(tool, read, calls=calls, warm_up=warm_up)
    if as_json:
        sys.stdout.write(summary.to_json() + "\n")
    else:
        _print_table(summary.frame, summary.headline())
    if not summary.ok:
        raise typer.Exit(UNREACHABLE if summary.cut_short else ANSWERED_ERROR)


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
        _complain(str(error))
        sys.exit(WRONG_USAGE if isinstance(error, UsageError) else UNREACHABLE)
    except Exception as error:  # noqa: BLE001 - the last resort: also a fault of ours is told in one sentence
        _complain(f"mcp-workbench failed, and should not have ({type(error).__name__}: {one_line(error)}); report it")
        sys.exit(OWN_FAULT)
    sys.exit(0)


@contextlib.contextmanager
def _opened(target: str, timeout_s: float, http: bool) -> Iterator[Workbench]:
    """Open a target; what a server in this process prints meanwhile goes to standard error, not among our words."""
    from mcp_workbench.workbench import Workbench

    with contextlib.redirect_stdout(sys.stderr):
        bench = Workbench(target, timeout=timeout_s, transport="http" if http else None)
    with bench:
        yield bench
        if bench.session.connection.evidence.garbage is not None:
            _complain(f"note: {bench.session.connection.evidence.told_garbage()}")


def _arguments(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--args is no JSON: {error.msg} at character {error.pos + 1} of {one_line(text, 60)!r}; "
            """write an object in single quotes, as '{"city": "Bern"}'"""
        ) from None
    except (ValueError, RecursionError) as error:
        # Whole numbers of thousands of digits, and nesting without end.
        raise UsageError(f"--args cannot be read ({one_line(error)}); give plain JSON values") from None
    if not isinstance(read, dict):
        raise UsageError(
            f"--args is a JSON {type(read).__name__}, no object; "
            """write name and value in braces, as '{"city": "Bern"}'"""
        )
    return read


def _print(words: str) -> None:
    sys.stdout.write(plain(words, 1_000_000) + "\n")


def _print_json(value: object) -> None:
    # ASCII only: no character of a server reaches the terminal as a control.
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _complain(words: str) -> None:
    sys.stderr.write(plain(words) + "\n")


def _print_table(frame: Any, title: str) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    shown = RichTable(title=Text(plain(title, 400)), title_justify="left", show_lines=False)
    for heading in frame.headings():
        shown.add_column(Text(heading), overflow="fold")
    for row in frame.texts():
        shown.add_row(*map(Text, row))
    console.print(shown)


if __name__ == "__main__":
    main()
