"""Schemas in their place: which document a schema belongs to, where its references lead, and what its text means."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from mcp_workbench.contracts.schemas.dialects import LATEST, Dialect, Keywords, dialect_of, keywords_of
from mcp_workbench.contracts.schemas.references import ABSENT, resolve
from mcp_workbench.contracts.schemas.shapes import Node, Shape, Tag
from mcp_workbench.contracts.schemas.values import MAX_DEPTH, MAX_NUMBER_BITS

MAX_STEPS: Final = 50_000
"""How many steps one comparison may take."""

MAX_CONTAINERS: Final = 100_000
"""How many objects and arrays a schema may consist of; aliases of YAML count each time."""


_SCALARS: Final = frozenset({str, float, bool, type(None)})


class UndecidedError(Exception):
    """A schema is too large, too deep or too tangled to be judged within the budget."""


class Budget:
    """How much work may still be done.

    Attributes:
        steps: how many steps are left.
        in_place: how many schemas are being read inside one another.
        circles: whether a schema that leads back to itself may be met; if not, it is an error.
        tags: the tags whose meaning is being found, the outermost first.
        lowest: the first of them that has been led back to.
    """

    __slots__ = ("circles", "in_place", "lowest", "steps", "tags")

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.steps = steps
        self.in_place = 0
        self.circles = True
        self.tags: list[Tag] = []
        self.lowest = MAX_STEPS

    def spend(self, steps: int = 1) -> None:
        """Take steps.

        Raises:
            UndecidedError: there are none left.
        """
        self.steps -= steps
        if self.steps < 0:
            raise UndecidedError("it is too large")


class Part:
    """One schema in its place, with what has been found out about it.

    Attributes:
        scope: the document it belongs to.
        serial: its number in the document.
        raw: the schema as it is written: an object, a boolean, or something that is no schema.
        shape: its normal form, once it was read.
        being_read: whether it is being read at this moment; who meets it then goes in a circle.
    """

    __slots__ = ("_bare", "_keywords", "_plain_text", "being_read", "raw", "scope", "serial", "shape")

    def __init__(self, scope: Scope, raw: Any) -> None:
        self.scope = scope
        self.raw = raw
        self.shape: Shape | None = None
        self.being_read = False
        self._keywords: Keywords | None = None
        self._plain_text: str | None = None
        self._bare: Part | None = None
        scope.document.parts += 1
        self.serial = scope.document.parts

    @property
    def keywords(self) -> Keywords:
        """What it asserts, in the words of 2020-12; nothing for booleans and for what is no schema."""
        if self._keywords is None:
            raw = self.raw
            self._keywords = keywords_of(raw, self.scope.dialect) if isinstance(raw, dict) else Keywords({}, {})
            said = raw.get("$schema") if isinstance(raw, dict) and raw is self.scope.document.root else None
            if said is not None and dialect_of(said) is None:
                self._keywords.odd["$schema"] = said
        return self._keywords

    @property
    def plain_text(self) -> str:
        """Its JSON, if that says all: equal texts of one dialect mean the same. Empty if something else has a say."""
        if self._plain_text is None:
            text = json.dumps(self.raw, sort_keys=True) if self.scope.document.plain else ""
            refers = '"$ref"' in text or '"$dynamicRef"' in text or '"$recursiveRef"' in text
            self._plain_text = "" if refers else text
        return self._plain_text

    @property
    def bare(self) -> Part:
        """The schema that this one is nothing but a reference to, or a union or a conjunction of one; or itself."""
        if self._bare is None:
            at, inner = self, self._only_inner()
            for _ in range(MAX_DEPTH):
                if inner is None:
                    break
                at, inner = inner, inner._only_inner()
            self._bare = at if inner is None else self
        return self._bare

    @property
    def says_something(self) -> bool:
        """Whether it is more than ``true``, or an object without a keyword that asserts something."""
        raw = self.raw
        return raw is not True and (not isinstance(raw, dict) or bool(self.keywords.known or self.keywords.odd))

    def _only_inner(self) -> Part | None:
        known = self.keywords.known
        if len(known) != 1 or self.keywords.odd:
            return None
        if "$ref" in known:
            return self.target()
        word = next(iter(known))
        alone = word in ("allOf", "anyOf", "oneOf") and len(known[word]) == 1
        return self.scope.part(known[word][0]) if alone else None

    def node(self, raw: Any) -> Node:
        """Return the node of a schema inside of this one."""
        return () if raw is True or raw == {} else (self.scope.part(raw),)

    def target(self) -> Part | None:
        """Return what its ``$ref`` leads to, or ``None`` if that is not in this document."""
        return self.scope.target(self.keywords.known["$ref"])


class Document:
    """A whole schema, looked through once.

    Args:
        root: the schema.
        budget: pays for the look.

    Raises:
        UndecidedError: it is nested too deeply, or too large.
    """

    __slots__ = ("_count", "anchors", "budget", "identified", "parts", "plain", "root")

    def __init__(self, root: Any, budget: Budget) -> None:
        self.root = root
        self.budget = budget
        self.anchors: dict[str, Any] = {}
        self.identified = False
        self.plain = True
        self._count = 0
        self.parts = 0
        level: list[Any] = [root]
        for depth in range(MAX_DEPTH + 2):
            if not level:
                break
            if depth > MAX_DEPTH:
                raise UndecidedError("it is nested too deeply")
            below: list[Any] = []
            for each in level:
                self._count += 1
                if self._count > MAX_CONTAINERS:
                    raise UndecidedError("it is too large")
                if isinstance(each, dict):
                    if each is not root or "$anchor" in each:
                        self._note_names(each)
                    self.plain = self.plain and all(isinstance(name, str) for name in each)
                    self._look_at(each.values(), below)
                elif isinstance(each, list):
                    self._look_at(each, below)
            level = below

    def _look_at(self, values: Iterable[Any], below: list[Any]) -> None:
        for value in values:
            kind = type(value)
            if kind is dict or kind is list:
                below.append(value)
            elif kind is int:
                if value.bit_length() > MAX_NUMBER_BITS:
                    raise UndecidedError("a number in it is too long")
            elif kind not in _SCALARS:
                self.plain = False

    def _note_names(self, each: dict[Any, Any]) -> None:
        for word in ("$anchor", "$dynamicAnchor", "$id", "id"):
            name = each.get(word)
            if not isinstance(name, str):
                continue
            if word.endswith("id"):
                if not name.startswith("#"):
                    self.identified = self.identified or word == "$id" or "$schema" in each
                    continue
                name = name[1:]
            self.anchors[name] = ABSENT if name in self.anchors else each

    def text(self) -> str:
        """Return all of it, for assertions whose meaning may depend on any of it."""
        self.budget.spend(50)
        return repr(self.root) if not self.plain else json.dumps(self.root, sort_keys=True, default=repr)


class Scope:
    """Where the references inside of some schemas start from, and in which dialect they are written.

    Args:
        document: the whole.
        dialect: the dialect.
    """

    __slots__ = ("_constants", "_parts", "_scopes", "dialect", "document")

    def __init__(self, document: Document, dialect: Dialect) -> None:
        self.document = document
        self.dialect = dialect
        self._parts: dict[int, Part] = {}
        self._constants: dict[str, Part] = {}
        self._scopes: dict[Dialect, Scope] = {}

    @property
    def budget(self) -> Budget:
        """What pays for the work in this scope."""
        return self.document.budget

    def part(self, raw: Any) -> Part:
        """Return ``raw`` in its place: the same part for the same schema."""
        if not isinstance(raw, dict | list):
            name = f"{type(raw).__name__} {raw!r}"
            if name not in self._constants:
                self._constants[name] = Part(self, raw)
            return self._constants[name]
        known = self._parts.get(id(raw))
        if known is None:
            known = self._parts[id(raw)] = Part(self._scope_of(raw), raw)
        return known

    def _scope_of(self, raw: Any) -> Scope:
        if isinstance(raw, dict) and "$schema" in raw and raw is not self.document.root:
            dialect = dialect_of(raw["$schema"])
            if dialect is not None and dialect is not self.dialect:
                if dialect not in self._scopes:
                    self._scopes[dialect] = Scope(self.document, dialect)
                return self._scopes[dialect]
        return self

    def target(self, ref: str) -> Part | None:
        """Return what a reference leads to inside the document, or ``None``. Nothing is ever fetched."""
        if self.document.identified:
            return None  # an inner $id moves the place where references start from
        found = resolve(self.document.root, ref)
        if found is ABSENT and ref[:1] == "#":
            found = self.document.anchors.get(ref[1:], ABSENT)
        return None if found is ABSENT else self.part(found)

    def where_it_leads(self, ref: str) -> str:
        """Return the meaning of a reference that leads out of the document, as a text that can be compared."""
        root = self.document.root
        if ref.startswith("#") and not self.document.identified:
            return f"nowhere {ref}"
        alone = not self.document.identified and not (isinstance(root, dict) and "$id" in root)
        return ref if alone else f"{ref} in {self.document.text()}"


def bare(node: Node) -> Node:
    """Return a node as it is told from others: without wrappers, without what says nothing, in a fixed order."""
    if not node or (len(node) == 1 and node[0].bare is node[0] and node[0].says_something):
        return node
    parts = {part.bare for part in node}
    return tuple(sorted((part for part in parts if part.says_something), key=lambda part: part.serial))


def same_json(one: object, other: object) -> bool:
    """Return whether two JSON values are the same to the letter; ``False`` too if they are too large to tell."""
    waiting = [(one, other)]
    for _ in range(MAX_CONTAINERS * 4):
        if not waiting:
            return True
        left, right = waiting.pop()
        if left is right:
            continue
        if type(left) is not type(right):
            return False
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            waiting += [(value, right[name]) for name, value in left.items()]
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            waiting += zip(left, right, strict=True)
        elif left != right:
            return False
    return False


def read_document(root: Any, budget: Budget) -> Part:
    """Return a whole schema as a part; an unknown ``$schema`` is read as 2020-12.

    Raises:
        UndecidedError: it is nested too deeply, or too large.
    """
    said = root.get("$schema") if isinstance(root, dict) else None
    return Scope(Document(root, budget), dialect_of(said) or LATEST).part(root)
