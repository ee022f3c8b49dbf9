"""Update: a contract follows its server where that was meant to change, and keeps what people wrote."""

from __future__ import annotations

from mcp_workbench.contracts.draft import effects_of, idempotency_of
from mcp_workbench.contracts.drift import check_book
from mcp_workbench.contracts.model import Annotations, ContractBook, ToolContract

# What only a server can say; the rest is the team's own.
_LISTED = ("title", "input_schema", "output_schema", "annotations", "wording", "fingerprint")
_DRAFTED = ("purpose", "effects", "idempotency", "open_world")


def update_book(book: ContractBook, live: ContractBook) -> ContractBook:
    """Return a contract that the server keeps as it is now, of the version that the differences demand.

    Args:
        book: the contract.
        live: the draft of the server, see :func:`~mcp_workbench.contracts.draft.draft_book`.

    Returns:
        A copy in the order of the contract, new tools last. Schemas and hints are the server's; purposes, effects,
        idempotency, failures and examples stay as they were written; of these, gaps and what an earlier draft took from
        the hints follow the server. Tools that the server does not list any more are gone.
    """
    drafts = {tool.name: tool for tool in live.tools}
    kept = [_updated(tool, drafts.pop(tool.name)) for tool in book.tools if tool.name in drafts]
    version = check_book(book, live).next_version
    return book.model_copy(update={"server": live.server, "contract": version, "tools": (*kept, *drafts.values())})


def _updated(tool: ToolContract, draft: ToolContract) -> ToolContract:
    parts = {part: getattr(draft, part) for part in _LISTED}
    hints = tool.annotations or Annotations()
    drafted = {"effects": effects_of(hints), "idempotency": idempotency_of(hints), "open_world": hints.open_world}
    for part in _DRAFTED:
        value = getattr(tool, part)
        if value is None or (value == drafted.get(part) and getattr(draft, part) is not None):
            parts[part] = getattr(draft, part)
    return tool.filled(**parts)
