"""What all commands have in common: how they read a target and its options, how they print, how they end."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mcp_workbench.errors import UsageError
from mcp_workbench.untrusted import one_line, plain

if TYPE_CHECKING:
    from mcp_workbench.workbench import Workbench

# The last one is EX_SOFTWARE of sysexits.h.
FOUND, WRONG_USAGE, UNREACHABLE, UNDECIDED, OWN_FAULT = 1, 2, 3, 4, 70

TARGET_FORMS = "A command in quotes, a URL, FILE.py:ATTRIBUTE, MODULE:ATTRIBUTE or CONFIGURATION.json#ENTRY."

TargetWord = Annotated[str, typer.Argument(metavar="TARGET", help=TARGET_FORMS)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", help="For connecting, and for each call.")]
OverHttp = Annotated[bool, typer.Option("--http", help="Host a server object over loopback HTTP to call it.")]


@contextlib.contextmanager
def opened(target: str, timeout_s: float, http: bool = False) -> Iterator[Workbench]:
    """Open a target; what a server in this process prints meanwhile goes to standard error, not among our words."""
    from mcp_workbench.workbench import Workbench

    with contextlib.redirect_stdout(sys.stderr):
        bench = Workbench(target, timeout=timeout_s, transport="http" if http else None)
    with bench:
        yield bench
        if bench.session.connection.evidence.garbage is not None:
            complain(f"note: {bench.session.connection.evidence.told_garbage()}")


def read_json(text: str) -> object:
    """Read the JSON of ``--args``.

    Raises:
        UsageError: it is none.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--args is no JSON: {error.msg} at character {error.pos + 1} of {one_line(text, 60)!r}; "
            """write an object in single quotes, as '{"city": "Bern"}'"""
        ) from None
    except (ValueError, RecursionError) as error:
        # Whole numbers of thousands of digits, and nesting without end.
        raise UsageError(f"--args cannot be read ({one_line(error)}); give plain JSON values") from None


def write_text(file: Path | None, text: str) -> None:
    """Write a text into a file; into none if the user gave none.

    Raises:
        UsageError: it cannot be written.
    """
    if file is None:
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{str(file)!r} cannot be written: {error.strerror}; give another file") from None


def say(words: str) -> None:
    """Print a text on standard output."""
    sys.stdout.write(plain(words, 1_000_000) + "\n")


def say_json(value: object) -> None:
    """Print a value as JSON, ASCII only: no character of a server reaches the terminal as a control."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def complain(words: str) -> None:
    """Print a text on standard error."""
    sys.stderr.write(plain(words) + "\n")


def say_table(frame: Any, title: str) -> None:
    """Print a table of ours, as wide as the terminal."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    # No styles: kernels ask for colours (FORCE_COLOR) also where a notebook or a file keeps the text.
    # The title is a line of its own, or it would be broken to the width of a narrow table.
    console.print(Text(plain(title, 400)), soft_wrap=True)
    shown = RichTable(header_style="")
    for heading in frame.headings():
        shown.add_column(Text(heading), overflow="fold")
    for row in frame.texts():
        shown.add_row(*map(Text, row))
    console.print(shown)
