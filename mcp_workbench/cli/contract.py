"""``mcp-workbench contract``: draft, audit, check and compare tool contracts.

Exit codes: 0 good; 1 something was found at or above ``--fail-on``; 2 wrong usage, a file that is no contract among it;
3 target unreachable.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcp_workbench.cli.terminal import (
    FOUND,
    TARGET_FORMS,
    AsJson,
    TargetWord,
    Timeout,
    complain,
    opened,
    say,
    say_table,
    write_text,
)
from mcp_workbench.errors import UsageError

if TYPE_CHECKING:
    from mcp_workbench.contracts.audit.report import Audit
    from mcp_workbench.contracts.drift import Drift

contract_commands = typer.Typer(
    no_args_is_help=True,
    help="Tool contracts: draft one from a server, audit it, hold it against the server, compare two versions.",
)


_SCHEMA_FILE = "contract.schema.json"
_SCHEMA_LINE = "# yaml-language-server: $schema="


class FailOnFinding(StrEnum):
    """From which severity on an audit ends with exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


class FailOnDrift(StrEnum):
    """From which class on a check ends with exit code 1; what cannot be decided counts as breaking."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    COSMETIC = "cosmetic"
    NEVER = "never"


class FailOnChange(StrEnum):
    """The same for two contracts, which have versions too."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    COSMETIC = "cosmetic"
    VERSION = "version"
    NEVER = "never"


ContractFile = Annotated[Path, typer.Argument(metavar="FILE", help="A contract, as `contract draft` writes it.")]
JunitFile = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML there, a test case per tool.")
]


@contract_commands.command()
def draft(
    target: TargetWord,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there, not to the terminal.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE, and what people wrote into it.")] = False,
    timeout: Timeout = 30.0,
) -> None:
    """Draft a contract from TARGET: what it lists is taken over, what it does not say is left as a gap."""
    from mcp_workbench.contracts.files import book_text, write_book

    if output is not None and output.exists() and not force:
        raise UsageError(
            f"{str(output)!r} is there already, and people may have filled its gaps; give another file, or --force"
        )
    with opened(target, timeout) as bench:
        book = bench.draft()
    if output is None:
        # Not through `say`, which bounds what it prints: the text of a contract shows every control by its code.
        sys.stdout.write(book_text(book))
    else:
        write_book(book, output, schema=_schema_of(output))
        complain(f"{output}: {book.gaps().headline()}")


@contract_commands.command()
def update(
    file: ContractFile,
    target: TargetWord,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there; FILE stays as it is.")
    ] = None,
    timeout: Timeout = 30.0,
) -> None:
    """Take over into FILE what TARGET lists now, and step the version as that demands.

    Schemas and hints become the server's; what people wrote stays, but not their comments. What changes is printed.
    """
    from mcp_workbench.contracts.drift import check_book
    from mcp_workbench.contracts.files import read_book, write_book
    from mcp_workbench.contracts.update import update_book

    book = read_book(file)
    with opened(target, timeout) as bench:
        live = bench.draft()
    updated = update_book(book, live)
    place = output or file
    if updated != book or place != file:
        write_book(updated, place, schema=_schema_of(file))
    _show(check_book(book, live), as_json=False)
    same = book.contract == updated.contract
    step = f"version {book.contract} stays" if same else f"version {book.contract} to {updated.contract}"
    complain(f"{place}: {step}; {updated.gaps().headline()}")


@contract_commands.command()
def audit(
    subject: Annotated[
        str, typer.Argument(metavar="FILE|TARGET", help=f"A contract (*.yaml), or a target. {TARGET_FORMS}")
    ],
    fail_on: Annotated[FailOnFinding, typer.Option(help="Exit code 1 from this severity on.")] = FailOnFinding.ERROR,
    as_json: AsJson = False,
    junit: JunitFile = None,
    timeout: Timeout = 30.0,
) -> None:
    """Find what is incomplete or contradicts itself in a contract, or in what TARGET lists.

    No server can list failures and examples: of a TARGET they are always missing.
    """
    from mcp_workbench.contracts.audit.report import Severity, audit_book
    from mcp_workbench.contracts.files import read_book

    if subject.endswith((".yaml", ".yml")):
        report = audit_book(read_book(Path(subject)))
    else:
        with opened(subject, timeout) as bench:
            report = bench.audit()
    bar = None if fail_on is FailOnFinding.NEVER else Severity(fail_on.value)
    write_text(junit, "" if junit is None else report.to_junit(bar))
    _show(report, as_json)
    _end(bar is not None and bool(report.at_or_above(bar)))


@contract_commands.command()
def check(
    file: ContractFile,
    target: TargetWord,
    fail_on: Annotated[FailOnDrift, typer.Option(help="Exit code 1 from this class on.")] = FailOnDrift.BREAKING,
    as_json: AsJson = False,
    junit: JunitFile = None,
    timeout: Timeout = 30.0,
) -> None:
    """Hold the contract in FILE against what TARGET lists: tools, schemas, hints, descriptions.

    No tool is called: whether failures and examples are as promised is for your tests to say.
    """
    from mcp_workbench.contracts.files import read_book

    book = read_book(file)
    with opened(target, timeout) as bench:
        report = bench.check(book)
    _end_comparison(report, fail_on.value, as_json, junit)


@contract_commands.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A contract.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Its next version.")],
    fail_on: Annotated[
        FailOnChange, typer.Option(help="Exit code 1 from this class on; `version`: if NEW has too low a version.")
    ] = FailOnChange.BREAKING,
    as_json: AsJson = False,
    junit: JunitFile = None,
) -> None:
    """Compare two versions of a contract: what would the step from OLD to NEW break, and which version is due?"""
    from mcp_workbench.contracts.drift import compare_books
    from mcp_workbench.contracts.files import read_book

    _end_comparison(compare_books(read_book(old), read_book(new)), fail_on.value, as_json, junit)


@contract_commands.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there, not to the terminal.")
    ] = None,
) -> None:
    """Print the JSON Schema of contract files, with which editors complete and check them.

    Put it beside a contract as contract.schema.json before `draft`: the contract then names it in its first line.
    """
    from mcp_workbench.contracts.files import contract_schema

    text = json.dumps(contract_schema(), indent=2)
    if output is None:
        say(text)
    else:
        write_text(output, text + "\n")


def _end_comparison(report: Drift, fail_on: str, as_json: bool, junit: Path | None) -> None:
    from mcp_workbench.contracts.schemas.verdicts import Verdict

    bar = Verdict(fail_on) if fail_on in tuple(Verdict) else None
    version = fail_on == FailOnChange.VERSION
    found = report.version_ok is False if version else bar is not None and bool(report.at_or_above(bar))
    write_text(junit, "" if junit is None else report.to_junit(bar, version=version))
    _show(report, as_json)
    _end(found)


def _schema_of(file: Path) -> str | None:
    """Return the schema that a contract names for editors, or the one that lies beside it."""
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as text:
            first = text.readline(1_000).strip()
        if first.startswith(_SCHEMA_LINE):
            return first.removeprefix(_SCHEMA_LINE)
    return _SCHEMA_FILE if (file.parent / _SCHEMA_FILE).is_file() else None


def _show(report: Audit | Drift, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(report.to_json() + "\n")
    elif report.frame.empty:
        say(report.headline())
    else:
        say_table(report.frame, report.headline())


def _end(found: bool) -> None:
    if found:
        raise typer.Exit(FOUND)
