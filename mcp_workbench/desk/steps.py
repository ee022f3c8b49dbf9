"""The incident desk at each step of its build, so that a notebook can start from any of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from mcp.server.mcpserver import MCPServer

from mcp_workbench.controls import harden
from mcp_workbench.desk import draft, server
from mcp_workbench.desk.store import create
from mcp_workbench.errors import UsageError
from mcp_workbench.untrusted import one_line
from mcp_workbench.workbook import shipped

DATABASE: Final = "incident-desk.sqlite"
"""The name of the database in its folder."""


def contract_file() -> Path:
    """Return the incident desk's contract, as it came with the package."""
    return shipped("data") / "contracts" / "incident-desk.yaml"


def incident_desk(folder: Path | str, step: str = "strict") -> MCPServer:
    """Return the incident desk's server; its database is made if ``folder`` has none yet.

    Args:
        folder: where the database is, or is to be made.
        step: one of :data:`STEPS`.

    Raises:
        UsageError: there is no such step; the folder cannot be written; or there is a file of the database's name that
            is none of the incident desk, or of another version of it.
    """
    if step not in STEPS:
        raise UsageError(f"the incident desk has no step {one_line(step, 40)!r}; take one of {', '.join(STEPS)}")
    database = Path(folder) / DATABASE
    create(database)
    return STEPS[step](database)


def _strict(database: Path) -> MCPServer:
    made = server.make_server(database)
    harden(made, contract=contract_file())
    return made


STEPS: Final[dict[str, Callable[[Path], MCPServer]]] = {
    "draft": draft.make_server,
    "read-only": server.make_server,
    "strict": _strict,
}
"""The steps of the build, in their order, and what makes the server of each."""
