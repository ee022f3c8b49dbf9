"""Schemas in their place: which document a schema belongs to, where its references lead, and what its text means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from mcp_workbench.contracts.schemas.dialects import LATEST, Dialect, Keywords, dialect_of, keywords_of
from mcp_workbench.contracts.schemas.references import ABSENT, resolve
from mcp_workbench.contracts.schemas.shapes import Node, Shape, Tag
from mcp_workbench.contracts.schemas.values import MAX_DEPTH, MAX_NUMBER_BITS, Key, freeze

MAX_STEPS: Final = 50_000
"""How many steps one comparison may take."""

MAX_CONTAINERS: Final = 100_000
"""How many objects and arrays a schema may consist of; aliases of YAML count each time."""


_UNREAD: Final[tuple[frozenset[Key], bool]] = (frozenset(), False)
_DEFINING: Final = ("$defs", "definitions")
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

    __slots__ = ("_bare", "_keywords", "_listed", "_plain_text", "being_read", "raw", "scope", "serial", "shape")

    def __init__(self, scope: Scope, raw: Any) -> None:
        self.scope = scope
        self.raw = raw
        self.shape: Shape | None = None
        self.being_read = False
        self._keywords: Keywords | None = None
        self._plain_text: str | None = None
        self._bare: Part | None = None
        self._listed: tuple[frozenset[Key], bool] | None = _UNREAD
        scope.document.parts += 1
        self.serial = scope.document.parts

    @property
    def keywords(self) -> Keywords:
        """What it asserts, in the words of 2020-12; nothing for booleans and for what is no schema."""
        if self._keywords is None:
            raw = self.raw
            self._keywords = self._read() if isinstance(raw, dict) else Keywords({}, {})
        return self._keywords

    def _read(self) -> Keywords:
        raw, dialect, document = self.raw, self.scope.dialect, self.scope.document
        keywords = keywords_of(raw, dialect, said_so=document.names_dialect, counted=document.counts_evaluated)
        said = raw.get("$schema")
        if raw is document.root:
            if said is not None and not document.names_dialect:
                keywords.odd["$schema"] = said
        elif said is not None and dialect_of(said) is not dialect:
            keywords.odd["$schema"] = raw  # validators do not agree on what a dialect inside of another is
        return keywords

    def odd_text(self, word: str) -> str:
        """Return the meaning of a keyword whose value is odd, as a text that can be compared."""
        value = repr(self.keywords.odd[word])
        # What is referred to in there is unknown, and so may be any of the document.
        where = self.scope.document.digest if "ref" in value.lower() else ""
        return f"{self.scope.dialect.year} {word} {where} {value}"

    @property
    def listed(self) -> tuple[frozenset[Key], bool] | None:
        """The values of its ``enum``, or its ``const``, and whether those are all; ``None`` if it has neither."""
        if self._listed is _UNREAD:
            known = self.keywords.known
            word = "enum" if "enum" in known else "const"
            self._listed = None
            if word in known:
                values = known[word] if word == "enum" else [known[word]]
                self.scope.budget.spend(len(values) // 64)
                keys = [freeze(each) for each in values]
                self._listed = frozenset(key for key in keys if key is not None), None not in keys
        return self._listed

    @property
    def plain_text(self) -> str:
        """Its JSON, if that says all: equal texts of one dialect mean the same. Empty if something else has a say."""
        if self._plain_text is None:
            document = self.scope.document
            text = json.dumps(self.raw, sort_keys=True) if document.plain else ""
            if '"$ref"' in text or '"$dynamicRef"' in text or '"$recursiveRef"' in text:
                text = f"{text} {document.definitions}" if document.definitions else ""
            self._plain_text = text
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

    __slots__ = (
        *("_count", "_definitions", "_digest", "anchors", "budget", "counts_evaluated", "dialect", "identified"),
        *("leads_elsewhere", "names_dialect", "parts", "plain", "root"),
    )

    def __init__(self, root: Any, budget: Budget) -> None:
        self.root = root
        self.budget = budget
        self.anchors: dict[str, Any] = {}
        self.identified = False
        self.plain = True
        said = dialect_of(root.get("$schema")) if isinstance(root, dict) else None
        self.names_dialect = said is not None
        self.dialect = said or LATEST
        self.counts_evaluated = False
        self.leads_elsewhere = not isinstance(root, dict)
        self._definitions: str | None = None
        self._digest = ""
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
                    if "unevaluatedProperties" in each or "unevaluatedItems" in each:
                        self.counts_evaluated = True
                    if not self.leads_elsewhere:
                        ref = each.get("$ref", "#/$defs/")
                        inside = isinstance(ref, str) and ref.startswith(("#/$defs/", "#/definitions/"))
                        self.leads_elsewhere = not inside or "$dynamicRef" in each or "$recursiveRef" in each
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
        said = each.get("$schema")
        if isinstance(said, str) and each is not self.root and dialect_of(said) is not self.dialect:
            self.identified = True  # nobody can say in which dialect a reference into it is read
        for word in ("$anchor", "$dynamicAnchor", "$id", "id"):
            name = each.get(word)
            if not isinstance(name, str):
                continue
            if word.endswith("id"):
                if not name.startswith("#"):
                    in_force = word == "$id" or self.dialect.year == 4 or "$schema" in each
                    self.identified = self.identified or in_force
                    continue
                name = name[1:]
            self.anchors[name] = ABSENT if name in self.anchors else each

    @property
    def definitions(self) -> str:
        """What stands for all that its references may lead to; empty if they may lead to anything else."""
        if self._definitions is None:
            self._definitions = ""
            if self.plain and not self.identified and not self.leads_elsewhere:
                reached = [self.root.get(word) for word in _DEFINING]
                self._definitions = hashlib.sha256(json.dumps(reached, sort_keys=True).encode()).hexdigest()
        return self._definitions

    @property
    def digest(self) -> str:
        """What stands for all of it, for assertions whose meaning may depend on any of it."""
        if not self._digest:
            self.budget.spend(50)
            text = repr(self.root) if not self.plain else json.dumps(self.root, sort_keys=True, default=repr)
            self._digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return self._digest


class Scope:
    """Where the references inside of some schemas start from, and in which dialect they are written.

    Args:
        document: the whole.
    """

    __slots__ = ("_constants", "_parts", "dialect", "document")

    def __init__(self, document: Document) -> None:
        self.document = document
        self.dialect: Dialect = document.dialect
        self._parts: dict[int, Part] = {}
        self._constants: dict[str, Part] = {}

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
            known = self._parts[id(raw)] = Part(self, raw)
        return known

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
            return f"nowhere: {ref!r}"
        alone = not self.document.identified and not (isinstance(root, dict) and "$id" in root)
        return repr(ref) if alone else f"{ref!r} in {self.document.digest}"


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
    return Scope(Document(root, budget)).part(root)
