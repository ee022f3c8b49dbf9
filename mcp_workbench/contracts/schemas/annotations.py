"""Differences between two schemas that change no value's validity: words, examples, and defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mcp_workbench.contracts.schemas.meaning import plain_meaning
from mcp_workbench.contracts.schemas.nodes import Part
from mcp_workbench.contracts.schemas.reading import shape_of
from mcp_workbench.contracts.schemas.shapes import Array, Node, Object
from mcp_workbench.contracts.schemas.values import freeze, shown
from mcp_workbench.contracts.schemas.verdicts import Change, Verdict
from mcp_workbench.untrusted import one_line

WORDS: Final = ("title", "description", "examples", "deprecated", "readOnly", "writeOnly")
MAX_NOTES: Final = 1_000
MAX_NOTES_DEEP: Final = 40
_ABSENT: Final = object()


class Notes:
    """A walk down two schemas side by side that looks at nothing but annotations."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._seen: set[tuple[Node, Node]] = set()

    def compare(self, old: Node, new: Node, where: str, depth: int = 0) -> None:
        """Add the changes between two nodes, and below them where both sides have one alternative.

        Raises:
            UndecidedError: the budget is spent, or the schemas are too deep.
        """
        pair = (old, new)
        if not old or not new or pair in self._seen or depth > MAX_NOTES_DEEP or len(self.changes) > MAX_NOTES:
            return
        self._seen.add(pair)
        if len(old) == len(new) == 1 and old[0].plain_text == new[0].plain_text != "":
            return
        self._here(_annotations(old), _annotations(new), where)
        ours, theirs = shape_of(old), shape_of(new)
        for kind in ("object", "array"):
            if len(ours.get(kind, ())) == 1 == len(theirs.get(kind, ())):
                one, other = ours[kind][0], theirs[kind][0]
                if isinstance(one, Object) and isinstance(other, Object):
                    for name, node in one.properties.items():
                        if name in other.properties:
                            self.compare(node, other.properties[name], below(where, name), depth + 1)
                    self.compare(one.rest, other.rest, f"{where}{{}}", depth + 1)
                elif isinstance(one, Array) and isinstance(other, Array):
                    for position in range(min(len(one.prefix), len(other.prefix))):
                        self.compare(one.item(position), other.item(position), f"{where}[{position}]", depth + 1)
                    self.compare(one.rest, other.rest, f"{where}[]", depth + 1)

    def _here(self, old: dict[str, Any], new: dict[str, Any], where: str) -> None:
        if old == new and not ("default" in old or "examples" in old):
            return
        for word in WORDS:
            before, after = old.get(word, _ABSENT), new.get(word, _ABSENT)
            if _differs(before, after):
                what = f"{word} {_step(before, after)}"
                why = "what is valid stays the same; people and models read it otherwise"
                self.changes.append(Change(where, what, Verdict.COSMETIC, why))
        before, after = old.get("default", _ABSENT), new.get("default", _ABSENT)
        if _differs(before, after):
            what = f"default {_told(before, after)}"
            why = "practice: a default says what happens without the value, not which values are valid"
            self.changes.append(Change(where, what, Verdict.COMPATIBLE, why, "default"))


def below(where: str, name: str) -> str:
    """Return the place of a property of the object at ``where``, printable and bounded."""
    shown_name = one_line(name, 60) or "''"
    return one_line(f"{where}.{shown_name}" if where else shown_name, 300)


def _annotations(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in _in_place(node):
        for word in (*WORDS, "default"):
            if word in part.raw and word not in found:
                found[word] = part.raw[word]
    return found


def _in_place(node: Node) -> Iterator[Part]:
    """Yield the schema objects that speak about the same value: first what stands there, then what it refers to."""
    waiting = list(node)
    seen: set[Part] = set()
    while waiting and len(seen) < 20:
        part = waiting.pop(0)
        if part in seen or not isinstance(part.raw, dict):
            continue
        seen.add(part)
        yield part
        known = part.keywords.known
        if "$ref" in known and (target := part.target()) is not None:
            waiting.append(target)
        waiting += [part.scope.part(each) for each in known.get("allOf", ())]


def _differs(before: object, after: object) -> bool:
    if before is after:
        return False
    if before is _ABSENT or after is _ABSENT:
        return True
    one, other = freeze(before), freeze(after)
    if one is None or other is None:
        return plain_meaning("", before) != plain_meaning("", after)
    return one != other


def _step(before: object, after: object) -> str:
    return "added" if before is _ABSENT else "removed" if after is _ABSENT else "changed"


def _told(before: object, after: object) -> str:
    if before is _ABSENT:
        return f"{_value(after)} added"
    if after is _ABSENT:
        return f"{_value(before)} removed"
    return f"changed from {_value(before)} to {_value(after)}"


def _value(value: object) -> str:
    key = freeze(value)
    return one_line(type(value).__name__, 40) if key is None else shown(key)
