"""A JSON Schema as a bounded list of its sub-schemas, each read once, and how they refer to each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_workbench.contracts.schemas.references import resolve
from mcp_workbench.untrusted import one_line

MAX_SUBSCHEMAS: Final = 5_000
"""How many sub-schemas of one schema are read."""

MAX_PARTS: Final = 100_000
"""How many values within each other are compared."""

_NAME_CHARACTERS = 60
_PATH_CHARACTERS = 160
_REF_CHARACTERS = 100

# JSON Schema 2020-12, core, section 10, with the spellings of older drafts. Those in place speak of the same value,
# the others of a part of it, whose path ends as told here.
IN_PLACE: Final = frozenset({"not", "if", "then", "else"})
IN_PLACE_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf"})
IN_PLACE_MAPS: Final = frozenset({"dependentSchemas", "dependencies"})
INSIDE: Final = {
    "additionalProperties": ".*",
    "unevaluatedProperties": ".*",
    "propertyNames": " (names)",
    "items": "[]",
    "additionalItems": "[]",
    "unevaluatedItems": "[]",
    "contains": "[]",
    "contentSchema": " (content)",
}
INSIDE_MAPS: Final = frozenset({"properties", "patternProperties"})
DEFINITIONS: Final = frozenset({"$defs", "definitions"})


@dataclass(slots=True)
class Subschema:
    """One sub-schema.

    Attributes:
        path: the value that it describes, for people: ``filters.tags[]``; empty for the whole.
        schema: the sub-schema; anything at all, where a server wrote something else.
        in_place: the numbers of the sub-schemas that describe the same value.
        inside: the numbers of those that describe a part of the value.
    """

    path: str
    schema: Any
    in_place: list[int] = field(default_factory=list)
    inside: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Subschemas:
    """All sub-schemas of one schema.

    Attributes:
        listed: the sub-schemas, the schema itself first.
        complete: whether all were read; see :data:`MAX_SUBSCHEMAS`.
        lost: path and text of each reference that leads nowhere, or out of the schema.
    """

    listed: list[Subschema]
    complete: bool
    lost: list[tuple[str, str]]

    @property
    def root(self) -> dict[str, Any]:
        """The schema itself."""
        root: dict[str, Any] = self.listed[0].schema
        return root

    def circles(self) -> list[str]:
        """Return the paths at which a value is described by itself, so that no validator ever ends.

        Source: JSON Schema 2020-12, core, section 9.4.1 (guarding against infinite recursion).
        """
        return self._returning(lambda node: node.in_place)

    def recursions(self) -> list[str]:
        """Return the paths at which a schema comes back inside itself: trees, nested comments."""
        return self._returning(lambda node: [*node.in_place, *node.inside])

    def _returning(self, edges: Callable[[Subschema], list[int]]) -> list[str]:
        """Return the paths of the nodes from which an edge leads back to a node on the way to them."""
        found: list[str] = []
        state = [0] * len(self.listed)  # 0: not seen, 1: on the way, 2: done
        for start in range(len(self.listed)):
            if state[start]:
                continue
            way = [(start, iter(edges(self.listed[start])))]
            state[start] = 1
            while way:
                at, ahead = way[-1]
                target = next(ahead, None)
                if target is None:
                    state[at] = 2
                    way.pop()
                elif state[target] == 1:
                    found.append(self.listed[at].path)
                elif state[target] == 0:
                    state[target] = 1
                    way.append((target, iter(edges(self.listed[target]))))
        return found


def member(path: str, name: object) -> str:
    """Return the path of an object's member; a path that is long already is cut instead."""
    shown = one_line(name, _NAME_CHARACTERS) or '""'
    return inner(path, f".{shown}") if path else shown


def inner(path: str, suffix: str) -> str:
    """Return ``path`` with ``suffix``, bounded: deep nesting must not make paths of megabytes."""
    if len(path) > _PATH_CHARACTERS:
        return path if path.endswith("…") else path + "…"
    return (path + suffix).lstrip(".")


def target_of(root: dict[str, Any], ref: object) -> Any:
    """Return what a ``$ref`` points at inside ``root``, also when it is written with the ``$id`` of ``root``."""
    own = root.get("$id")
    if isinstance(ref, str) and isinstance(own, str) and own and ref.startswith(own.rstrip("#")):
        ref = ref[len(own.rstrip("#")) :]
    return root if ref == "" else resolve(root, ref)


def read_subschemas(schema: dict[str, Any]) -> Subschemas:
    """Read a schema into its sub-schemas, each once, references followed inside the schema only.

    Args:
        schema: any JSON object, also one that is no schema, is nested without end, or refers to itself.
    """
    return _Reader(schema).read()


class _Reader:
    """The state of one reading."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.listed: list[Subschema] = []
        self.numbers: dict[int, int] = {}
        self.waiting: deque[Subschema] = deque()
        self.definitions: deque[tuple[Any, str]] = deque()
        self.lost: list[tuple[str, str]] = []
        self.anchors: set[str] = set()
        self.embeds_others = False
        self.complete = True

    def read(self) -> Subschemas:
        self._number(self.root, "")
        while self.waiting or self.definitions:
            if self.waiting:
                self._read_node(self.waiting.popleft())
            else:
                # Last, so that a definition which is used gets the path of the value that it describes.
                self._number(*self.definitions.popleft())
        # Inside an embedded schema with an $id of its own a reference means something else; nothing is said of that.
        lost = [] if self.embeds_others else [(path, ref) for path, ref in self.lost if ref not in self.anchors]
        return Subschemas(self.listed, self.complete, lost)

    def _number(self, schema: Any, path: str) -> int | None:
        """Return the number of a sub-schema; none for ``true`` and ``false``, and beyond the bound."""
        if isinstance(schema, bool):
            return None
        # Only objects are looked up: two equal texts may be one object for Python.
        if isinstance(schema, dict) and (known := self.numbers.get(id(schema))) is not None:
            return known
        if len(self.listed) >= MAX_SUBSCHEMAS:
            self.complete = False
            return None
        node = Subschema(path, schema)
        self.listed.append(node)
        if isinstance(schema, dict):
            self.numbers[id(schema)] = len(self.listed) - 1
            self.waiting.append(node)
        return len(self.listed) - 1

    def _read_node(self, node: Subschema) -> None:
        for key, value in node.schema.items():
            for schema, path, in_place in _parts(key, value, node.path):
                number = self._number(schema, path)
                if number is not None:
                    (node.in_place if in_place else node.inside).append(number)
            if key == "$ref":
                self._refer(node, value)
            elif key in DEFINITIONS and isinstance(value, dict):
                self.definitions += ((each, member(key, name)) for name, each in value.items())
            elif key in ("$anchor", "$dynamicAnchor"):
                self.anchors.add(f"#{value}"[:_REF_CHARACTERS])
            elif key == "$id" and node.schema is not self.root:
                self.embeds_others = True

    def _refer(self, node: Subschema, ref: object) -> None:
        target = target_of(self.root, ref)
        if isinstance(target, dict):
            number = self._number(target, node.path)
            if number is not None:
                node.in_place.append(number)
        elif not isinstance(target, bool) and isinstance(ref, str):
            self.lost.append((node.path, ref[:_REF_CHARACTERS]))


def _parts(key: str, value: Any, path: str) -> Iterator[tuple[Any, str, bool]]:
    """Yield the sub-schemas that a keyword holds: each with its path, and whether it describes the same value."""
    if key in INSIDE_MAPS and isinstance(value, dict):
        for name, each in value.items():
            yield each, member(path, name) if key == "properties" else inner(path, ".*"), False
    elif key == "prefixItems" or (key == "items" and isinstance(value, list)):
        for at, each in enumerate(value if isinstance(value, list) else ()):
            yield each, inner(path, f"[{at}]"), False
    elif key in INSIDE:
        yield value, inner(path, INSIDE[key]), False
    elif key in IN_PLACE:
        yield value, path, True
    elif key in IN_PLACE_LISTS and isinstance(value, list):
        for each in value:
            yield each, path, True
    elif key in IN_PLACE_MAPS and isinstance(value, dict):
        for each in value.values():
            # In draft 7, "dependencies" holds lists of names as well.
            if not isinstance(each, list):
                yield each, path, True


def is_modest(value: Any) -> bool:
    """Tell whether a value has few enough parts to be compared or frozen, each counted as often as it is reached.

    What YAML writes once and refers to a hundred times counts a hundred times; what holds itself is not modest.
    """
    waiting = [value]
    for _ in range(MAX_PARTS):
        if not waiting:
            return True
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return not waiting
