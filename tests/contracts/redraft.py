"""Draft the contracts of the reference servers again: ``python tests/contracts/redraft.py [NAME ...]``.

What they list is written to ``data/contracts/reference``, and what the audit says of it into the README there. Nothing
is filled in by hand: these are the gaps that their authors left.
"""

import importlib.metadata
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcp_workbench import Audit, ContractBook, Sandbox, Workbench, audit_book, read_book, starting_points, write_book
from mcp_workbench.kernel.starting_points import npm_script

DATA = Path(__file__).parents[2] / "data"
FOLDER = DATA / "contracts" / "reference"
SCHEMA = "../contract.schema.json"
# The starting points, and the two servers that are only for testing clients.
OTHERS = {
    "everything": "@modelcontextprotocol/server-everything",
    "sequential-thinking": "@modelcontextprotocol/server-sequential-thinking",
}
NAMES = (*(point.name for point in starting_points().points), *OTHERS)


def version_of(name: str) -> str:
    """Return the version of the package that a reference server comes from."""
    package = OTHERS.get(name) or starting_points()[name].package
    if package.startswith("@"):
        pinned: dict[str, str] = json.loads((DATA / "reference_servers" / "package.json").read_text())["dependencies"]
        return pinned[package]
    return importlib.metadata.version(package)


def file_of(name: str) -> Path:
    """Return the contract's file, dated by the version of the server."""
    return FOLDER / f"{name}-{version_of(name)}.yaml"


@contextmanager
def opened(name: str, sandbox: Sandbox) -> Iterator[Workbench]:
    """Connect a reference server."""
    target: Any = ["node", str(npm_script(OTHERS[name]))] if name in OTHERS else starting_points()[name].target(sandbox)
    with Workbench(target, name=name) as bench:
        yield bench


def row(name: str, book: ContractBook, audit: Audit) -> str:
    """Return a server's row in the README."""
    counts = Counter(finding.severity.value for finding in audit.findings)
    cells = [
        f"[{name}]({file_of(name).name})",
        version_of(name),
        len(book.tools),
        book.gaps().count,
        *(counts[severity] for severity in ("error", "warning", "note")),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def readme() -> str:
    """Return the text of the README, from the contracts as they are in the folder."""
    rows = [row(name, book, audit_book(book)) for name in NAMES for book in [read_book(file_of(name))]]
    return "\n".join(
        [
            "# Contracts of the reference servers",
            "",
            "As each server listed itself at the version in the file's name: drafted, and audited. Nothing is filled",
            "in by hand, so these are the gaps that their authors left. They are drawn up again by",
            "`python tests/contracts/redraft.py`.",
            "",
            "| server | version | tools | gaps | errors | warnings | notes |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Draft those that are named, or all."""
    with Sandbox() as sandbox:
        for name in sys.argv[1:] or NAMES:
            with opened(name, sandbox) as bench:
                book = bench.draft()
            for old in FOLDER.glob(f"{name}-*.yaml"):
                old.unlink()
            write_book(book, file_of(name), schema=SCHEMA)
            print(f"{file_of(name).name}: {book.gaps().headline()}")
    (FOLDER / "README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main()
