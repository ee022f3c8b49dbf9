"""The normal form of a schema: what values of each kind of JSON it allows.

::

    Shape                 kind -> its alternatives; a kind that is not there is not allowed
    └── alternative       Plain (null, boolean), Number, Text, Array, Object: constraints that all hold
        └── Node          the schemas of items and properties: parts that all hold, read when they are needed

Each alternative is exact but for its ``tags``: assertions that nobody interprets, known only by their text. Leaving a
tag off on the left of an inclusion is sound; on the right, the left must carry the same tag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from mcp_workbench.contracts.schemas.values import Exact, Key, Kind

if TYPE_CHECKING:
    from mcp_workbench.contracts.schemas.nodes import Part

Node = tuple["Part", ...]
"""Schemas that all hold; the empty one allows everything."""


class Tag:
    """An assertion that is not interpreted; two are equal if they mean the same.

    Args:
        label: its name for people.
        content: its meaning as a text that can be compared, or what finds that text when it is needed (the meaning of
            a schema is not known while it is being read) and says whether it holds wherever it stands.
    """

    __slots__ = ("_content", "label")

    def __init__(self, label: str, content: str | Callable[[Tag], tuple[str, bool]]) -> None:
        self.label = label
        self._content = content

    @property
    def content(self) -> str:
        """Its meaning as a text."""
        if isinstance(self._content, str):
            return self._content
        text, everywhere = self._content(self)
        if everywhere:
            self._content = text
        return text

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Tag) and self.label == other.label and self.content == other.content)

    def __hash__(self) -> int:
        return hash(self.label)


Tags = frozenset[Tag]
NO_TAGS: Final[Tags] = frozenset()
NO_TEXTS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Plain:
    """Null, or booleans: the values that are allowed."""

    values: frozenset[Key]
    tags: Tags = NO_TAGS


@dataclass(frozen=True, slots=True)
class Number:
    """Numbers between two bounds, on a step, or a few of them (``values``, which the bounds have filtered already)."""

    low: Exact | None = None
    low_open: bool = False
    high: Exact | None = None
    high_open: bool = False
    step: Exact | None = None
    formats: frozenset[str] = NO_TEXTS
    values: frozenset[Key] | None = None
    tags: Tags = NO_TAGS

    def allows(self, value: Exact) -> bool:
        """Return whether the bounds and the step, and the values if there are some, let ``value`` through."""
        return (
            (self.low is None or value > self.low or (value == self.low and not self.low_open))
            and (self.high is None or value < self.high or (value == self.high and not self.high_open))
            and (self.step is None or Fraction(value, self.step).denominator == 1)
            and (self.values is None or ("number", value) in self.values)
        )


@dataclass(frozen=True, slots=True)
class Text:
    """Strings by length, patterns and formats, or a few of them (``values``, filtered by length already)."""

    least: int = 0
    most: int | None = None
    patterns: frozenset[str] = NO_TEXTS
    formats: frozenset[str] = NO_TEXTS
    values: frozenset[Key] | None = None
    tags: Tags = NO_TAGS

    def allows(self, value: str) -> bool:
        """Return whether the length, and the values if there are some, let ``value`` through."""
        return (
            self.least <= len(value)
            and (self.most is None or len(value) <= self.most)
            and (self.values is None or ("string", value) in self.values)
        )


@dataclass(frozen=True, slots=True)
class Array:
    """Arrays: the first items one by one, the rest, how many, and whether they are all different."""

    prefix: tuple[Node, ...] = ()
    rest: Node = ()
    least: int = 0
    most: int | None = None
    unique: bool = False
    values: frozenset[Key] | None = None
    tags: Tags = NO_TAGS

    def item(self, position: int) -> Node:
        """Return the schema of the item at ``position``."""
        return self.prefix[position] if position < len(self.prefix) else self.rest


@dataclass(frozen=True, slots=True)
class Object:
    """Objects.

    Attributes:
        properties: declared property to its schema.
        patterns: pattern to the schema of the properties whose name it matches; never compiled.
        rest: the schema of properties that are neither declared nor matched.
        said: whether the schema decides on such properties, or leaves ``additionalProperties`` unsaid.
        required: the properties that must be there.
        least: the least number of properties.
        most: the greatest.
        names: the schema of the names.
        dependent: pairs; where the first property is, the second must be.
    """

    properties: Mapping[str, Node]
    patterns: Mapping[str, Node]
    rest: Node = ()
    said: bool = False
    required: frozenset[str] = NO_TEXTS
    least: int = 0
    most: int | None = None
    names: Node = ()
    dependent: frozenset[tuple[str, str]] = frozenset()
    values: frozenset[Key] | None = None
    tags: Tags = NO_TAGS


Alternative = Plain | Number | Text | Array | Object
Shape = Mapping[Kind, tuple[Alternative, ...]]

NULL: Final = Plain(frozenset({("null", None)}))
BOOLEAN: Final = Plain(frozenset({("boolean", False), ("boolean", True)}))
ANYTHING: Final[Shape] = {
    "null": (NULL,),
    "boolean": (BOOLEAN,),
    "number": (Number(),),
    "string": (Text(),),
    "array": (Array(),),
    "object": (Object({}, {}),),
}
NOTHING: Final[Shape] = {}


def both(one: Node, other: Node) -> Node:
    """Return the node that holds where two nodes hold."""
    if not other or one == other:
        return one
    return one + tuple(part for part in other if part not in one)


def never(node: Node) -> bool:
    """Return whether a node plainly allows nothing, because one of its parts is ``false``."""
    return any(part.bare.raw is False for part in node)


def tagged(alternative: Alternative, tag: Tag) -> Alternative:
    """Return ``alternative`` with one more tag."""
    return replace(alternative, tags=alternative.tags | {tag})


def all_tagged(shape: Shape, tag: Tag, kinds: frozenset[Kind] | None = None) -> Shape:
    """Return a shape with one more tag on all its alternatives, or on those of some kinds."""
    return {
        kind: tuple(tagged(each, tag) for each in each_kind) if kinds is None or kind in kinds else each_kind
        for kind, each_kind in shape.items()
    }
