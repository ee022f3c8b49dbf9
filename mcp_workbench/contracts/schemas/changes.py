"""Two versions of a schema: each difference named and classed by what it means for callers.

For an input, what was valid must stay valid; for an output, what comes must have been valid before. Two rules of
practice depart from the letter, and say so: an optional property added to an object that leaves
``additionalProperties`` unsaid, and a default. What cannot be decided is unknown, and counts as breaking.
"""

from __future__ import annotations

from typing import Final

from mcp_workbench.contracts.schemas.annotations import Notes
from mcp_workbench.contracts.schemas.differences import Differences
from mcp_workbench.contracts.schemas.evaluation import conforms, judge_of
from mcp_workbench.contracts.schemas.nodes import Budget, UndecidedError, read_document, same_json
from mcp_workbench.contracts.schemas.verdicts import Change, Side, Verdict, consequence

MAX_CHANGES: Final = 200
"""How many changes are told one by one."""

_WORST_FIRST: Final = tuple(Verdict)


def compare_schemas(old: object, new: object, *, side: Side) -> tuple[Change, ...]:
    """Return what is different between two versions of a schema; nothing if they allow the same and say the same.

    Args:
        old: the schema as it was, as it came from YAML or JSON; ``None`` if there was none.
        new: the schema as it is; ``None`` if there is none any more.
        side: whether it is about what callers send (``input``) or what they get (``output``).

    Returns:
        At most 201 changes in the order of the schema; the last one counts the rest, if there are more.
    """
    if old is None or new is None:
        return _one_is_missing(old, new, side)
    for which, schema in (("old", old), ("new", new)):
        if not isinstance(schema, dict | bool):
            return (_undecided(f"the {which} schema is no schema: neither an object nor a boolean", side),)
    if same_json(old, new):
        return ()
    changes: list[Change] = []
    found: Differences | None = None
    notes = Notes()
    try:
        budget = Budget()
        before, after = (read_document(each, budget).node(each) for each in (old, new))
        found = Differences(side, budget)
        found.compare(before, after, "")
        notes.compare(before, after, "")
    except UndecidedError as error:
        changes.append(_undecided(f"the schema cannot be decided: {error}", side))
    except RecursionError:
        changes.append(_undecided("the schema cannot be decided: it is nested too deeply", side))
    return _bounded([*changes, *(found.changes if found else ()), *notes.changes])


def _one_is_missing(old: object, new: object, side: Side) -> tuple[Change, ...]:
    if old is None and new is None:
        return ()
    if new is None:
        if side == "input":
            return (_undecided("the input schema is gone", side),)
        why = "clients that rely on structured results have no promise any more"
        return (Change("", "the output schema is gone", Verdict.BREAKING, why),)
    return (Change("", f"an {side} schema is there now", Verdict.COMPATIBLE, "nothing was promised before"),)


def _undecided(what: str, side: Side) -> Change:
    return Change("", what, Verdict.UNKNOWN, consequence(side, Verdict.UNKNOWN))


def _bounded(changes: list[Change]) -> tuple[Change, ...]:
    if len(changes) <= MAX_CHANGES:
        return tuple(changes)
    rest = changes[MAX_CHANGES:]
    worst = min((each.verdict for each in rest), key=_WORST_FIRST.index)
    more = Change("", f"{len(rest):,} more changes", worst, "the worst of them decides their class")
    return (*changes[:MAX_CHANGES], more)


__all__ = ["MAX_CHANGES", "Change", "Side", "Verdict", "compare_schemas", "conforms", "judge_of"]
