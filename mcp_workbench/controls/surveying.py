"""What is at which place of a schema: which of the schemas in it hold for the same value, and which may be closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mcp_workbench.contracts.schemas.references import ABSENT, resolve
from mcp_workbench.controls.weighing import as_list, as_map

_SAYS_MORE: Final = (
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "propertyNames",
    "minProperties",
)
_UNIONS: Final = ("anyOf", "oneOf")
_MOST_ALIASES: Final = 20

_Room = Literal["named", "pattern", "other", "item", "rest", "contains"]
# One schema for what is inside of an object or array: in which way, under which name, and in which of the schemas that
# hold for the same value.
_Child = tuple[_Room, object, Any, "_Member"]


@dataclass(frozen=True, slots=True)
class _Member:
    """One of the schemas that hold for a value; ``positive`` if refusing more here can only refuse more there."""

    schema: dict[str, Any]
    positive: bool


@dataclass(slots=True, eq=False)
class Alias:
    """A schema that stands for another by its ``$ref``.

    Attributes:
        schema: it.
        head: what it refers to.
        allowed: whether the head may be closed in all places where it stands.
    """

    schema: dict[str, Any]
    head: dict[str, Any]
    allowed: bool


@dataclass(slots=True, eq=False)
class _Cluster:
    """All schemas that hold for the values at one place, the first of them at its head.

    Attributes:
        head: where the place's schema begins.
        members: the head, and what it is put together from.
        named: whether any of them has ``properties``.
        names: the properties that any of them names.
        open: whether one of them says something of other properties, or cannot be read.
    """

    head: dict[str, Any]
    members: list[_Member] = field(default_factory=list)
    named: bool = False
    names: set[str] = field(default_factory=set)
    open: bool = False


class Survey:
    """What is at which place of a schema.

    Args:
        root: the whole schema.
        words: the keywords that assert something in its draft.
        refs_stand_alone: whether a ``$ref`` makes its neighbours mean nothing (draft 7 and older).
    """

    def __init__(self, root: dict[str, Any], words: frozenset[str], *, refs_stand_alone: bool) -> None:
        self._root = root
        self._words = words
        self._refs_stand_alone = refs_stand_alone
        # Schemas are known by their identity: one that stands in two places (an alias of YAML) must suit both.
        self._clusters: dict[int, _Cluster] = {}
        self._aliases: dict[int, Alias] = {}
        self._seen: set[tuple[int, bool]] = set()
        self._denied: set[int] = set()
        self._naming: dict[int, bool] = {}

    def visit(self, schema: Any, *, allowed: bool) -> None:
        """Take in the schema of a place, and those of the places in it."""
        head = self._meant(schema, allowed=allowed)
        if not isinstance(head, dict) or (id(head), allowed) in self._seen:
            return
        self._seen.add((id(head), allowed))
        cluster = self._clusters.get(id(head))
        if cluster is None:
            cluster = self._clusters[id(head)] = _Cluster(head)
            self._gather(head, cluster, positive=True)
        if not allowed:
            self._denied.update(id(member.schema) for member in cluster.members)
        children = [child for member in cluster.members for child in _children(member)]
        for child in children:
            self.visit(child[2], allowed=allowed and child[3].positive and _stands_alone(child, children))

    def closable(self) -> dict[int, set[str]]:
        """Return the schemas to be closed by their identity, with the names that they take."""
        clusters = self._clusters.values()
        sound = self._sound()
        hindered = {
            id(member.schema)
            for each in clusters
            for member in each.members
            if member.schema is not each.head
            and (own := self._clusters.get(id(member.schema))) is not None
            and not (id(each.head) in sound and each.names <= own.names)
        }
        return {head: self._clusters[head].names for head in sound - hindered - self._denied}

    def copies(self, closable: Mapping[int, set[str]]) -> dict[int, tuple[Alias, set[str]]]:
        """Return what refers to a schema that stays open, and may refer to a closed copy, with the copy's names."""
        sound = self._sound() - closable.keys() - {id(self._root)}
        parts = {id(member.schema) for each in self._clusters.values() for member in each.members}
        return {
            key: (alias, self._clusters[id(alias.head)].names)
            for key, alias in self._aliases.items()
            if alias.allowed and id(alias.head) in sound and key not in parts
        }

    def _sound(self) -> set[int]:
        """Return the schemas that may be closed where they stand for themselves."""
        clusters = self._clusters.values()
        return {id(each.head) for each in clusters if each.named and not each.open and self._always_names(each.head)}

    def _meant(self, schema: Any, *, allowed: bool) -> Any:
        """Return the schema that one stands for that only refers to it, or allows null beside it."""
        for _ in range(_MOST_ALIASES):
            if not isinstance(schema, dict):
                return schema
            words = [word for word in schema if word in self._words]
            if "$ref" in schema and (words == ["$ref"] or self._refs_stand_alone):
                target = resolve(self._root, schema["$ref"])
                self._note_alias(schema, target, allowed=allowed)
            elif len(words) == 1 and words[0] in ("allOf", *_UNIONS):
                branches = [each for each in as_list(schema[words[0]]) if not _is_scalar(each)]
                target = branches[0] if len(branches) == 1 else ABSENT
            else:
                return schema
            if target is ABSENT:
                return schema
            schema = target
        return schema

    def _note_alias(self, schema: dict[str, Any], target: Any, *, allowed: bool) -> None:
        known = self._aliases.get(id(schema))
        if known is not None:
            known.allowed &= allowed
        elif isinstance(target, dict):
            self._aliases[id(schema)] = Alias(schema, target, allowed)

    def _gather(self, schema: Any, cluster: _Cluster, *, positive: bool) -> None:
        """Take in a schema that holds for the cluster's place, and those that hold with it."""
        if not isinstance(schema, dict):
            return
        member = _Member(schema, positive)
        if any(each.schema is schema and each.positive == positive for each in cluster.members):
            return
        cluster.members.append(member)
        if not positive:
            self._denied.add(id(schema))
        if "$ref" in schema:
            target = resolve(self._root, schema["$ref"])
            cluster.open |= target is ABSENT
            self._gather(target, cluster, positive=positive)
            if self._refs_stand_alone:
                return
        if _takes(schema, "object"):
            cluster.open |= any(word in schema for word in _SAYS_MORE)
            cluster.named |= isinstance(schema.get("properties"), dict)
            cluster.names |= _names(schema)
        for word in ("allOf", "anyOf"):
            for each in as_list(schema.get(word)):
                self._gather(each, cluster, positive=positive)
        one_of = as_list(schema.get("oneOf"))
        # More than one may never match: what refuses more in one of them may let the value pass.
        alone = sum(not _is_scalar(each) for each in one_of) == 1
        for each in one_of:
            self._gather(each, cluster, positive=positive and alone)
        for word in ("not", "if"):
            self._gather(schema.get(word), cluster, positive=False)
        for word in ("then", "else"):
            self._gather(schema.get(word), cluster, positive=positive)
        for word in ("dependentSchemas", "dependencies"):
            for each in as_map(schema.get(word)).values():
                self._gather(each, cluster, positive=positive)

    def _always_names(self, schema: Any) -> bool:
        """Return whether an object can be valid only by a schema that names properties."""
        if not isinstance(schema, dict):
            return schema is False
        if id(schema) not in self._naming:
            self._naming[id(schema)] = False  # what is found if it refers to itself
            self._naming[id(schema)] = self._names_something(schema)
        return self._naming[id(schema)]

    def _names_something(self, schema: dict[str, Any]) -> bool:
        by_reference = "$ref" in schema and self._always_names(resolve(self._root, schema["$ref"]))
        if by_reference or ("$ref" in schema and self._refs_stand_alone):
            return by_reference
        return (
            isinstance(schema.get("properties"), dict)
            or not _takes(schema, "object")
            or any(self._always_names(each) for each in as_list(schema.get("allOf")))
            or any(
                bool(branches := as_list(schema.get(word))) and all(self._always_names(each) for each in branches)
                for word in _UNIONS
            )
        )


def _children(member: _Member) -> Iterator[_Child]:
    """Yield the schemas for what is inside of the values that a schema holds for."""
    schema = member.schema
    for name, each in as_map(schema.get("properties")).items():
        yield "named", name, each, member
    for name, each in as_map(schema.get("patternProperties")).items():
        yield "pattern", name, each, member
    for word in ("additionalProperties", "unevaluatedProperties"):
        if isinstance(schema.get(word), dict):
            yield "other", word, schema[word], member
    items = schema.get("items")
    for word in ("prefixItems", "items"):
        for number, each in enumerate(as_list(schema.get(word))):
            yield "item", number, each, member
    for word in ("additionalItems", "unevaluatedItems"):
        if isinstance(schema.get(word), dict):
            yield "rest", word, schema[word], member
    if isinstance(items, dict):
        yield "rest", "items", items, member
    if isinstance(schema.get("contains"), dict):
        # With a greatest number, an item that is refused may let the array pass.
        yield "contains", None, schema["contains"], _Member(schema, member.positive and "maxContains" not in schema)


def _stands_alone(child: _Child, children: list[_Child]) -> bool:
    """Return whether no other schema may hold for the same value inside of the object or array."""
    room, name, _, member = child
    objects = ("named", "pattern", "other")
    rivals = [each for each in children if each is not child and (each[0] in objects) == (room in objects)]
    for other_room, other_name, _, other in rivals:
        if {room, other_room} & {"pattern", "contains"} or "unevaluated" in f"{name} {other_name}":
            return False
        if other.schema is not member.schema and not (room == other_room == "named" and name != other_name):
            return False
    return True


def _names(schema: Mapping[str, Any]) -> set[str]:
    """Return the names of properties that a schema speaks of."""
    found = set(as_map(schema.get("properties")))
    lists = [schema.get("required"), *as_map(schema.get("dependentRequired")).values()]
    lists += as_map(schema.get("dependencies")).values()
    for each in lists:
        found |= {name for name in as_list(each) if isinstance(name, str)}
    for word in ("dependentRequired", "dependentSchemas", "dependencies"):
        found |= set(as_map(schema.get(word)))
    return found


def _takes(schema: Mapping[str, Any], kind: str) -> bool:
    said = schema.get("type", kind)
    return said == kind or (isinstance(said, list) and kind in said)


def _is_scalar(schema: Any) -> bool:
    """Return whether a schema plainly allows neither objects nor arrays."""
    if not isinstance(schema, dict):
        return schema is False
    return not _takes(schema, "object") and not _takes(schema, "array")
