"""A server of one's own, begun as a copy of a starter: the server, its contract, a test and a notebook."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_workbench.contracts.files import read_book
from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.errors import UsageError
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line
from mcp_workbench.workbook import shipped

STARTERS: Final = {
    "files": "list, read, write and delete in one folder that no path, link or race leads out of",
    "git": "read one repository: arguments are never options, and its config is never run",
    "memory": "remember a graph in SQLite: whole transactions, also after a crash",
    "clock": "tell and convert times: no state, no effects, the smallest complete server",
    "fetch": "read a public web page: bounded in size and time, private addresses refused",
}
"""The starters, each a module of this package with a contract beside it, and what to learn from it."""

# Letters that mean nothing to a shell, to Python or to YAML.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")


@dataclass(frozen=True, slots=True, repr=False)
class StarterServers(Report):
    """The starters, as a table."""

    books: tuple[ContractBook, ...]

    @property
    def ok(self) -> bool:
        """Whether each of them has a contract without gaps."""
        return all(book.gaps().ok for book in self.books)

    @property
    def frame(self) -> Table:
        """One row a starter: what to learn from it, its tools, how many failures it names and examples it gives."""
        rows = [
            {
                "starter": book.server.name,
                "learn from it": STARTERS[book.server.name],
                "tools": ", ".join(tool.name for tool in book.tools),
                "failures named": sum(len(tool.failures or ()) for tool in book.tools),
                "examples": sum(len(tool.examples or ()) for tool in book.tools),
                "gaps": book.gaps().count,
            }
            for book in self.books
        ]
        return table(rows, ["starter", "learn from it", "tools", "failures named", "examples", "gaps"])

    def headline(self) -> str:
        """Return how many there are."""
        return (
            f"{len(self.books)} starters to copy: new_server(NAME, STARTER), or mcp-workbench new NAME --from STARTER"
        )


def starter_servers() -> StarterServers:
    """Return the starters, each with its contract."""
    return StarterServers(tuple(read_book(starter_contract(starter)) for starter in STARTERS))


def new_server(name: str, starter: str, parent: Path | None = None) -> Path:
    """Copy a starter into a new folder.

    Args:
        name: the new server's name, and the folder's.
        starter: one of :data:`STARTERS`.
        parent: where the folder is made; the current folder unless given.

    Returns:
        The new folder, with ``server.py``, ``contract.yaml``, ``test_server.py`` and ``notebook.ipynb``.

    Raises:
        UsageError: there is no such starter, the name cannot be one, or the folder is there already; nothing was made.
    """
    if starter not in STARTERS:
        raise UsageError(f"there is no starter {one_line(starter, 40)!r}; there are {', '.join(STARTERS)}")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{one_line(name, 80)!r} can be no server's name; "
            "begin with a letter and go on with letters, digits, - and _, 60 in all at most"
        )
    folder = (parent or Path()) / name
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{str(folder)!r} is there already; give another name")
    begun: Path | None = None
    try:
        # Made aside and moved when it is whole: a copy that was cut off leaves no half of a server.
        folder.parent.mkdir(parents=True, exist_ok=True)
        begun = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
        _fill(begun, name, starter)
        begun.chmod(0o755)
        begun.rename(folder)
    except OSError as error:
        raise UsageError(f"{str(folder)!r} cannot be made: {error.strerror}; give another place") from None
    finally:
        if begun is not None:
            shutil.rmtree(begun, ignore_errors=True)
    return folder


def starter_contract(starter: str) -> Path:
    """Return the file of a starter's contract."""
    return Path(__file__).with_name(f"{starter}.yaml")


def _fill(folder: Path, name: str, starter: str) -> None:
    spec = importlib.util.find_spec(f"mcp_workbench.starters.{starter}")
    assert spec is not None
    assert spec.origin is not None
    server = Path(spec.origin).read_text(encoding="utf-8")
    contract = starter_contract(starter).read_text(encoding="utf-8")
    (folder / "server.py").write_text(_renamed(server, rf'\bMCPServer\("({starter})"', name), encoding="utf-8")
    (folder / "contract.yaml").write_text(
        _renamed(contract, rf"^server:\n  name: ({starter})$", f'"{name}"'), encoding="utf-8"
    )
    templates = shipped("data") / "starters"
    for template in ("test_server.py", "notebook.ipynb"):
        shutil.copyfile(templates / template, folder / template)
    shutil.copyfile(shipped("data") / "contracts" / "contract.schema.json", folder / "contract.schema.json")


def _renamed(text: str, place: str, name: str) -> str:
    """Put ``name`` where ``place`` has its group; every starter has such a place."""
    found = re.search(place, text, re.MULTILINE)
    assert found is not None, place
    return text[: found.start(1)] + name + text[found.end(1) :]
