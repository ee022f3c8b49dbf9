"""The values that a schema describes, each with all the rules that hold for it, wherever these are written.

``$ref`` and ``allOf`` add rules to a value, ``anyOf`` and ``oneOf`` give it choices. So "has it a maximum?" is asked
of a place, not of a sub-schema: the maximum may stand beside the ``$ref``, or in one of the choices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from mcp_workbench.contracts.audit.subschemas import inner, member, target_of

MAX_PLACES: Final = 5_000
"""How many values of one schema are looked at."""

_MAX_RULES = 200
_MAX_CHOICE_DEPTH = 6

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A value that a schema describes.

    Attributes:
        path: where it is in the value as a whole: ``filters.tags[]``; empty for the whole.
        kind: ``whole``, ``property``, ``item``, or ``entry`` for what additionalProperties and patternProperties
            describe.
        required: whether the value must be there.
        written: the sub-schemas that describe the value as they are written, without what they refer to.
        own: the rules that hold for it.
        rules: the same, and in a choice the rules of the value whose choice it is.
        types: the types that all rules allow; ``None`` where none is said.
        choices: the choices of anyOf and oneOf, as places of the same path.
        opaque: whether a rule could not be read, so that nothing can be said of what the value lacks.
    """

    path: str
    kind: str
    required: bool
    written: tuple[Any, ...]
    own: tuple[Schema, ...]
    rules: tuple[Schema, ...]
    types: frozenset[str] | None
    choices: tuple[Place, ...]
    opaque: bool

    def said(self, *words: str) -> Iterator[Any]:
        """Yield the values of keywords in the rules."""
        for rule in self.rules:
            for word in words:
                if word in rule:
                    yield rule[word]

    def says(self, *words: str) -> bool:
        """Tell whether a rule has one of the keywords."""
        return any(word in rule for rule in self.rules for word in words)

    def leaves(self) -> Iterator[Place]:
        """Yield the choices that have no choices in turn, or the place itself."""
        if not self.choices:
            yield self
        for choice in self.choices:
            yield from choice.leaves()

    def with_choices(self) -> Iterator[Place]:
        """Yield the place itself, then its choices and theirs."""
        yield self
        for choice in self.choices:
            yield from choice.with_choices()

    def required_names(self) -> set[str]:
        """Return the names of the properties that must be there."""
        return {name for names in self.said("required") for name in _list(names) if isinstance(name, str)}

    @property
    def is_enumerated(self) -> bool:
        """Whether the values are listed one by one."""
        return self.says("enum", "const")


def read_places(schema: Schema) -> tuple[tuple[Place, ...], bool]:
    """Return the values that ``schema`` describes, the whole first, and whether these are all.

    Args:
        schema: any JSON object, also one that is no schema, is nested without end, or refers to itself.
    """
    return _Reader(schema).read()


@dataclass(frozen=True, slots=True)
class _Waiting:
    path: str
    kind: str
    required: bool
    written: tuple[Any, ...]


class _Reader:
    """The state of one reading."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.count = 0
        self.complete = True
        self.expanded: set[int] = set()
        self.waiting: deque[_Waiting] = deque([_Waiting("", "whole", True, (root,))])

    def read(self) -> tuple[tuple[Place, ...], bool]:
        places = []
        while self.waiting:
            place = self._place(self.waiting.popleft(), None)
            places.append(place)
            for each in place.with_choices():
                self._expand(each)
        return tuple(places), self.complete

    def _place(self, waiting: _Waiting, around: Place | None, depth: int = 0) -> Place:
        self.count += 1
        own, opaque = self._rules(waiting.written, around)
        rules = around.rules + own if around else own
        branches = [branch for rule in own for word in ("anyOf", "oneOf") for branch in _list(rule.get(word))]
        if branches and (depth >= _MAX_CHOICE_DEPTH or self.count + len(branches) > MAX_PLACES):
            branches, opaque = [], True
        types = _types(own, around.types if around else None)
        place = Place(waiting.path, waiting.kind, waiting.required, waiting.written, own, rules, types, (), opaque)
        choices = tuple(
            self._place(_Waiting(waiting.path, waiting.kind, waiting.required, (branch,)), place, depth + 1)
            for branch in branches
            if branch is not False
        )
        return replace(place, choices=choices) if choices else place

    def _rules(self, written: Iterable[Any], around: Place | None) -> tuple[tuple[Schema, ...], bool]:
        """Return the schemas that hold beside each other, and whether one of them could not be read."""
        seen = set(map(id, around.rules)) if around else set()
        opaque = around is not None and around.opaque
        rules: list[Schema] = []
        waiting: deque[Any] = deque(written)
        while waiting:
            schema = waiting.popleft()
            if not isinstance(schema, dict):
                opaque = opaque or schema is not True
                continue
            if id(schema) in seen:
                continue
            if len(rules) >= _MAX_RULES:
                return tuple(rules), True
            seen.add(id(schema))
            rules.append(schema)
            waiting += _list(schema.get("allOf"))
            if "$ref" in schema:
                waiting.append(target_of(self.root, schema["$ref"]))
            opaque = opaque or "$dynamicRef" in schema or "$recursiveRef" in schema
        return tuple(rules), opaque

    def _expand(self, place: Place) -> None:
        """Put the parts of a value on the list, those of each rule once."""
        fresh = [rule for rule in place.own if id(rule) not in self.expanded]
        self.expanded.update(map(id, fresh))
        needed = {name for each in place.with_choices() for name in each.required_names()}
        told: set[str] = set()
        for rule in fresh:
            for name in _map(rule.get("properties")):
                if name not in told and self.complete:
                    told.add(name)
                    written = [each["properties"][name] for each in place.rules if name in _map(each.get("properties"))]
                    self._add(member(place.path, name), "property", written, name in needed)
            for word in ("items", "prefixItems"):
                for at, item in enumerate(_list(rule.get(word))):
                    self._add(inner(place.path, f"[{at}]"), "item", [item])
            for entry in (rule.get("additionalProperties"), *_map(rule.get("patternProperties")).values()):
                if isinstance(entry, dict):
                    self._add(inner(place.path, ".*"), "entry", [entry])
        if any(isinstance(rule.get("items"), dict) for rule in fresh):
            items = [rule["items"] for rule in place.rules if isinstance(rule.get("items"), dict)]
            self._add(inner(place.path, "[]"), "item", items)

    def _add(self, path: str, kind: str, written: list[Any], required: bool = True) -> None:
        if not all(isinstance(schema, dict) or schema is True for schema in written):
            return
        if self.count + len(self.waiting) >= MAX_PLACES:
            self.complete = False
            return
        self.waiting.append(_Waiting(path, kind, required, tuple(written)))


def _types(rules: Iterable[Schema], around: frozenset[str] | None) -> frozenset[str] | None:
    types = around
    for rule in rules:
        if "type" in rule:
            said = rule["type"]
            names = frozenset(name for name in (said if isinstance(said, list) else [said]) if isinstance(name, str))
            types = names if types is None else types & names
    return types


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
