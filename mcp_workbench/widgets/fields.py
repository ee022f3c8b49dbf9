"""The fields that a tool's input schema asks for, as a tree; knows nothing of widgets.

::

    Field                title, description, default, nullable, note
    ├── StringField      text, with lengths, a pattern and a format
    ├── NumberField      a number or a whole number, with bounds
    ├── BooleanField
    ├── EnumField        one of some JSON values; a const is one of one
    ├── ArrayField       a list of one kind
    ├── TupleField       a list whose every place has a kind of its own
    ├── ObjectField      named members
    ├── DictField        names of the caller's choice
    ├── UnionField       one of several kinds
    └── AnyField         any JSON: for whatever has no better form

A schema comes from a server, so :func:`read_fields` never fails, never fetches, and does bounded work: what is too
deep, too wide, circular or misspelt becomes an ``AnyField``, and what the schema says wrongly counts as not said.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal

from mcp_workbench.contracts.schemas.references import ABSENT, resolve
from mcp_workbench.widgets.keywords import (
    KEYWORDS,
    MAX_CHOICES,
    Node,
    choices_of,
    count,
    finite,
    is_null,
    is_shaped,
    names_in,
    nodes_in,
    type_names,
    words,
    wrapper_of,
)
from mcp_workbench.widgets.values import canonical, json_fault

MAX_DEPTH: Final = 6
"""Lists, objects and unions may be nested this deep in a form."""
MAX_FIELDS: Final = 200
MAX_DEFAULT_SIZE: Final = 10_000
"""A default with more characters and values than this is left to the server."""

_MAX_HOPS = 32
_MAX_BRANCHES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What every field has.

    Attributes:
        title: the schema's title; empty when it has none.
        description: the schema's description; empty when it has none.
        default: the JSON value that the schema names as default, or ``ABSENT``.
        nullable: null is a value too.
        note: why the form is not as the schema would have it; empty when it is.
    """

    title: str = ""
    description: str = ""
    default: Any = ABSENT
    nullable: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StringField(Field):
    """Text; lengths in characters. The pattern is for showing: it is the server's, and never compiled here."""

    min_length: int = 0
    max_length: int | None = None
    pattern: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberField(Field):
    """A number, or with ``whole`` an integer; the exclusive bounds are not values themselves."""

    whole: bool
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    multiple_of: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanField(Field):
    """True or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumField(Field):
    """One of ``values``, which are any JSON; ``numbers`` finds their places by their canonical text."""

    values: tuple[Any, ...]
    numbers: dict[str, int] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers: dict[str, int] = {}
        for number, value in enumerate(self.values):
            numbers.setdefault(canonical(value), number)
        object.__setattr__(self, "numbers", numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayField(Field):
    """A list of ``items``; with ``unique`` no two are equal."""

    items: Field
    min_items: int = 0
    max_items: int | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TupleField(Field):
    """A list with a field for each place; ``max_items`` is ``None`` where more may follow."""

    items: tuple[Field, ...]
    min_items: int = 0
    max_items: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A named field of an object."""

    name: str
    field: Field
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DictField(Field):
    """An object whose names the caller chooses."""

    values: Field
    min_items: int = 0
    max_items: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectField(Field):
    """An object with ``members``.

    Attributes:
        members: the named fields, in the schema's order.
        extra: whether other names are refused ("closed"), not spoken of ("quiet") or invited ("open").
        values: what the other names may hold.
    """

    members: tuple[Member, ...] = ()
    extra: Literal["closed", "quiet", "open"] = "quiet"
    values: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class UnionField(Field):
    """One of several kinds."""

    branches: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyField(Field):
    """Any JSON value, null too."""


def read_fields(schema: object) -> ObjectField:
    """Read an input schema into fields; never raises and never fetches, whatever ``schema`` is.

    Args:
        schema: the JSON Schema (2020-12, or the common part of the older drafts) of a tool's arguments.

    Returns:
        The arguments as an object. A schema that describes no object gives one that is open and has no members.
    """
    field = _Reader(schema).field(schema, 0, frozenset())
    if isinstance(field, ObjectField):
        return field
    values = field.values if isinstance(field, DictField) else AnyField()
    return ObjectField(title=field.title, description=field.description, note=field.note, extra="open", values=values)


class _Reader:
    """Reads one schema, with a budget of fields for all of it."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._left = MAX_FIELDS

    def field(self, node: object, depth: int, seen: frozenset[str]) -> Field:
        """Return the field for one schema, ``depth`` lists and objects down, inside the references ``seen``."""
        if self._left <= 0:
            return AnyField(note="the schema has too many fields to show them all")
        self._left -= 1
        found, nullable, seen, note = self._flat(node, seen)
        default = found.get("default", ABSENT)
        if default is not ABSENT and json_fault(default, MAX_DEFAULT_SIZE):
            default, note = ABSENT, note or "its default is too large to show"
        said: Node = {
            "title": words(found.get("title")),
            "description": words(found.get("description")),
            "default": default,
            "note": note,
        }
        if nullable is None:
            return AnyField(**said)
        return self._kind(found, said | {"nullable": nullable}, depth, seen)

    def _flat(self, node: object, seen: frozenset[str]) -> tuple[Node, bool | None, frozenset[str], str]:
        """Follow references and wrappers around one schema; nullable is None where that leads nowhere."""
        found: Node = {}
        nullable = False
        for _ in range(_MAX_HOPS):
            if not isinstance(node, dict):
                return found, None, seen, "" if node is True else "the schema says nothing that can be read"
            # The outer keywords win: a default beside a $ref is the field's own.
            found = {key: node[key] for key in KEYWORDS if key in node} | found
            if "$ref" in found:
                ref = found.pop("$ref")
                if not isinstance(ref, str) or ref in seen:
                    return found, None, seen, "the schema refers to itself"
                seen |= {ref}
                node = resolve(self._root, ref)
                if node is ABSENT:
                    return found, None, seen, "the schema refers to something that it does not hold"
                continue
            key = None if is_shaped(found) else wrapper_of(found)
            if key is None:
                return found, nullable, seen, ""
            inner = found.pop(key)
            if len(inner) > _MAX_BRANCHES or (key == "allOf" and len(inner) > 1):
                return found, None, seen, "the schema combines several others"
            branches = [branch for branch in inner if not is_null(branch)] or inner
            nullable |= len(branches) < len(inner)
            if len(branches) > 1:
                return found | {key: branches}, nullable, seen, ""
            node = branches[0]
        return found, None, seen, "the schema is wrapped too many times"

    def _kind(self, found: Node, said: Node, depth: int, seen: frozenset[str]) -> Field:
        choices = choices_of(found)
        if choices is not None:
            return _enum(choices, said)
        names = type_names(found)
        if "null" in names and len(names) > 1:
            said |= {"nullable": True}
            names.remove("null")
        if len(names) > 1:
            shape = {key: value for key, value in found.items() if key not in said}
            return self._union([shape | {"type": name} for name in names], said, depth, seen)
        name = names[0] if names else ""
        if name in ("array", "object", "union") and depth >= MAX_DEPTH:
            return _any(said, "it is nested too deep for a form")
        match name:
            case "string":
                return _string(found, said)
            case "integer" | "number":
                return _number(found, said, whole=name == "integer")
            case "boolean":
                return BooleanField(**said)
            case "null":
                return EnumField(**said | {"nullable": False}, values=(None,))
            case "array":
                return self._array(found, said, depth + 1, seen)
            case "object":
                return self._object(found, said, depth + 1, seen)
            case "union":
                return self._union(found[wrapper_of(found) or ""], said, depth + 1, seen)
        return _any(said)

    def _array(self, found: Node, said: Node, depth: int, seen: frozenset[str]) -> Field:
        places, after = found.get("prefixItems"), found.get("items")
        if not isinstance(places, list) and isinstance(after, list):  # a tuple, before draft 2020-12
            places, after = after, found.get("additionalItems")
        low, high = count(found.get("minItems")) or 0, count(found.get("maxItems"))
        if not isinstance(places, list) or not places:
            items = self.field(True if after is None else after, depth, seen)
            unique = found.get("uniqueItems") is True
            return ArrayField(**said, items=items, min_items=low, max_items=high, unique=unique)
        if len(places) > self._left:
            return _any(said, "it has too many places to show")
        if after is False:
            high = min(len(places), len(places) if high is None else high)
        return TupleField(**said, items=self._each(places, depth, seen), min_items=low, max_items=high)

    def _object(self, found: Node, said: Node, depth: int, seen: frozenset[str]) -> Field:
        required = names_in(found.get("required"))
        nodes = nodes_in(found.get("properties"))
        nodes |= dict.fromkeys(sorted(required - nodes.keys()), True)
        rest = found.get("additionalProperties")
        patterned = bool(found.get("patternProperties"))
        if len(nodes) > self._left:
            return DictField(**said | {"note": "it has too many fields to show"}, values=AnyField())
        fields = self._each(list(nodes.values()), depth, seen)
        values = self.field(rest, depth, seen) if isinstance(rest, dict) and not patterned else AnyField()
        if not nodes and not isinstance(found.get("properties"), dict) and (rest is not False or patterned):
            low, high = count(found.get("minProperties")) or 0, count(found.get("maxProperties"))
            return DictField(**said, values=values, min_items=low, max_items=high)
        extra: Literal["closed", "quiet", "open"] = "closed" if rest is False else "quiet"
        if patterned or rest is True or isinstance(rest, dict):
            extra = "open"
        pairs = zip(nodes, fields, strict=True)
        members = tuple(Member(name, field, name in required) for name, field in pairs)
        return ObjectField(**said, members=members, extra=extra, values=values)

    def _union(self, branches: list[Any], said: Node, depth: int, seen: frozenset[str]) -> Field:
        if len(branches) > self._left:
            return _any(said, "it has too many kinds to show")
        return UnionField(**said, branches=self._each(branches, depth, seen))

    def _each(self, nodes: list[Any], depth: int, seen: frozenset[str]) -> tuple[Field, ...]:
        """Read siblings; each keeps one field of the budget, however much an earlier one takes."""
        made = []
        for place, node in enumerate(nodes):
            kept = len(nodes) - place - 1
            self._left -= kept
            made.append(self.field(node, depth, seen))
            self._left += kept
        return tuple(made)


def _any(said: Node, note: str = "") -> AnyField:
    """Return the field for any JSON, where null needs no word of its own."""
    return AnyField(**said | {"nullable": False, "note": said["note"] or note})


def _enum(choices: list[Any], said: Node) -> Field:
    if len(choices) > MAX_CHOICES or json_fault(choices, MAX_CHOICES * 200):
        note = "there are too many choices to list"
        if all(isinstance(choice, str) for choice in choices):
            return StringField(**said | {"note": note})
        return _any(said, note)
    return EnumField(**said | {"nullable": said["nullable"] and None not in choices}, values=tuple(choices))


def _string(found: Node, said: Node) -> StringField:
    return StringField(
        **said,
        min_length=count(found.get("minLength")) or 0,
        max_length=count(found.get("maxLength")),
        pattern=words(found.get("pattern")),
        format=words(found.get("format")),
    )


def _number(found: Node, said: Node, *, whole: bool) -> NumberField:
    bounds: Node = {}
    for side in ("minimum", "maximum"):
        bound, exclusive = finite(found.get(side)), found.get(f"exclusive{side.capitalize()}")
        # Draft 4 says with true that the bound itself is excluded.
        bounds[side] = None if exclusive is True else bound
        bounds[f"exclusive_{side}"] = bound if exclusive is True else finite(exclusive)
    step = finite(found.get("multipleOf"))
    return NumberField(**said, whole=whole, **bounds, multiple_of=step if step and step > 0 else None)
