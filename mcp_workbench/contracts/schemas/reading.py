"""A schema read into its normal form, a shape: what values of each kind it allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mcp_workbench.contracts.schemas.apart import apart_from
from mcp_workbench.contracts.schemas.combining import (
    MAX_ALTERNATIVES,
    TooManyAlternativesError,
    intersection,
    settled_array,
    settled_number,
    settled_object,
    settled_text,
    union,
)
from mcp_workbench.contracts.schemas.dialects import matches_everything, words
from mcp_workbench.contracts.schemas.meaning import CircleError, found, meaning, plain_meaning, words_of
from mcp_workbench.contracts.schemas.nodes import Part, UndecidedError
from mcp_workbench.contracts.schemas.shapes import (
    ANYTHING,
    BOOLEAN,
    NO_TAGS,
    NOTHING,
    NULL,
    Alternative,
    Array,
    Node,
    Number,
    Object,
    Plain,
    Shape,
    Tag,
    Text,
    all_tagged,
    both,
    tagged,
)
from mcp_workbench.contracts.schemas.values import KINDS, Exact, Key, Kind, figure, freeze, number

MAX_IN_PLACE: Final = 40
"""How many schemas may be read inside one another without going down into a value."""

TEXT_FORMATS: Final = words(
    "date date-time time duration email idn-email hostname idn-hostname ipv4 ipv6 uri uri-reference iri iri-reference "
    "uri-template uuid json-pointer relative-json-pointer regex"
)
"""The formats of JSON Schema validation, section 7.3; they say nothing of what is no string."""

_OBJECT: Final[frozenset[Kind]] = frozenset({"object"})
_ARRAY: Final[frozenset[Kind]] = frozenset({"array"})
_NUMBER: Final[frozenset[Kind]] = frozenset({"number"})
_STRING: Final[frozenset[Kind]] = frozenset({"string"})
_ABOUT: Final[dict[str, frozenset[Kind]]] = {
    **dict.fromkeys(
        words(
            "properties patternProperties additionalProperties required minProperties maxProperties propertyNames "
            "dependentRequired dependentSchemas dependencies unevaluatedProperties"
        ),
        _OBJECT,
    ),
    **dict.fromkeys(words("items prefixItems minItems maxItems uniqueItems contains unevaluatedItems"), _ARRAY),
    **dict.fromkeys(words("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"), _NUMBER),
    **dict.fromkeys(words("minLength maxLength pattern"), _STRING),
}


def shape_of_part(part: Part) -> Shape:
    """Return the normal form of one schema; what it cannot say is in tags.

    Raises:
        UndecidedError: it is too deep, or the budget is spent.
    """
    if part.shape is None:
        if part.being_read:
            if not part.scope.budget.circles:
                raise CircleError
            circle = Tag("a $ref that leads back to itself", part.scope.document.digest)
            return all_tagged(ANYTHING, circle)
        part.being_read = True
        budget = part.scope.budget
        budget.spend()
        budget.in_place += 1
        if budget.in_place > MAX_IN_PLACE:
            raise UndecidedError("it is nested too deeply")
        try:
            part.shape = _Reading(part).shape()
        finally:
            part.being_read = False
            budget.in_place -= 1
    return part.shape


def shape_of(node: Node) -> Shape:
    """Return the normal form of schemas that all hold.

    Raises:
        UndecidedError: it is too deep, or the budget is spent.
    """
    if not node:
        return ANYTHING
    shape = shape_of_part(node[0])
    for part in node[1:]:
        shape = _met(shape, shape_of_part(part), part, "allOf")
    return shape


def _met(shape: Shape, other: Shape, source: Part, label: str) -> Shape:
    source.scope.budget.spend()
    try:
        return intersection(shape, other)
    except TooManyAlternativesError:
        return all_tagged(shape, lazy_tag(label, source, lambda: meaning((source,), shape_of)))


def lazy_tag(label: str, source: Part, find: Callable[[], str]) -> Tag:
    """Return a tag whose meaning is found when somebody asks for it."""
    return Tag(label, lambda tag: found(tag, source.scope.budget, find))


class _Reading:
    """One schema being read."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.known = part.keywords.known
        self._tags: dict[tuple[str, ...], Tag] = {}

    def shape(self) -> Shape:
        raw = self.part.raw
        if isinstance(raw, bool):
            return ANYTHING if raw else NOTHING
        if not isinstance(raw, dict):
            return all_tagged(ANYTHING, Tag("something that is no schema", plain_meaning("", raw)))
        shape = self._own()
        if self.known.keys() & _COMBINING:
            shape = self._combined(shape)
        for word in self.part.keywords.odd:
            tag = Tag(f"{word} that is not as JSON Schema has it", self.part.odd_text(word))
            shape = all_tagged(shape, tag, _ABOUT.get(word))
        return self._uninterpreted(shape)

    # What combines whole schemas.

    def _combined(self, shape: Shape) -> Shape:
        known, part = self.known, self.part
        if "$ref" in known:
            target = part.target()
            if target is None:
                where = part.scope.where_it_leads(known["$ref"])
                shape = all_tagged(shape, Tag("a $ref that leads out of the schema", where))
            else:
                shape = _met(shape, shape_of_part(target), target, "$ref")
        if "allOf" in known:
            part.scope.budget.spend(len(known["allOf"]))
            met = shape
            try:
                for each in known["allOf"]:
                    met = intersection(met, shape_of_part(part.scope.part(each)))
                shape = met
            except TooManyAlternativesError:
                shape = all_tagged(shape, self._tag("allOf"))
        for word in ("anyOf", "oneOf"):
            if word in known:
                branches = [shape_of_part(part.scope.part(each)) for each in known[word]]
                try:
                    joined = union(branches) if word == "anyOf" else self._one_of(branches)
                    shape = intersection(shape, joined)
                except TooManyAlternativesError:
                    shape = all_tagged(shape, self._tag(word))
        if "not" in known:
            others = self._all_but(shape_of_part(part.scope.part(known["not"])))
            try:
                shape = intersection(shape, others)
            except TooManyAlternativesError:
                shape = all_tagged(shape, self._tag("not"))
        return shape

    def _one_of(self, branches: list[Shape]) -> Shape:
        for kind in KINDS:
            if sum(each.values is None for branch in branches for each in branch.get(kind, ())) > MAX_ALTERNATIVES:
                raise TooManyAlternativesError
        apart: list[Shape] = []
        for place, branch in enumerate(branches):
            others = branches[:place] + branches[place + 1 :]
            kept: dict[Kind, tuple[Alternative, ...]] = {}
            for kind, alternatives in branch.items():
                rivals = [each for other in others for each in other.get(kind, ())]
                self.part.scope.budget.spend(len(rivals) * len(alternatives) // 8)
                kept[kind] = tuple(
                    each if all(apart_from(each, rival) for rival in rivals) else tagged(each, self._tag("oneOf"))
                    for each in alternatives
                )
            apart.append(kept)
        return union(apart)

    def _all_but(self, refused: Shape) -> Shape:
        kept: dict[Kind, tuple[Alternative, ...]] = {}
        for kind in KINDS:
            alternatives = refused.get(kind, ())
            if not alternatives:
                kept[kind] = ANYTHING[kind]
            elif any(each == ANYTHING[kind][0] for each in alternatives):
                continue
            elif kind == "boolean" and not any(each.tags for each in alternatives):
                left = BOOLEAN.values.difference(*(each.values or () for each in alternatives))
                if left:
                    kept[kind] = (Plain(left),)
            else:
                kept[kind] = tuple(tagged(each, self._tag("not")) for each in ANYTHING[kind])
        return kept

    def _tag(self, *said: str) -> Tag:
        """Return the tag of some keywords of this schema; their meaning is found when somebody asks for it."""
        if said not in self._tags:

            def find() -> str:
                return ";".join(self._meaning_of(word) for word in said if word in self.known)

            self._tags[said] = lazy_tag("/".join(said), self.part, find)
        return self._tags[said]

    def _meaning_of(self, word: str) -> str:
        value, node = self.known[word], self.part.node
        if word in ("allOf", "anyOf", "oneOf"):
            return f"{word}:{sorted(meaning(node(each), shape_of) for each in value)!r}"
        if word in ("not", "if", "then", "else", "contains"):
            return f"{word}:{meaning(node(value), shape_of)}"
        if word == "dependentSchemas":
            return repr(sorted((name, meaning(node(each), shape_of)) for name, each in value.items()))
        if word in ("$dynamicRef", "$recursiveRef"):
            return f"{value!r} in {self.part.scope.document.digest}"
        return f"{word}:{plain_meaning(word, value)}"

    def _uninterpreted(self, shape: Shape) -> Shape:
        known = self.known
        if "if" in known and ("then" in known or "else" in known):
            shape = all_tagged(shape, self._tag("if", "then", "else"))
        for word in ("$dynamicRef", "$recursiveRef"):
            if word in known:
                shape = all_tagged(shape, self._tag(word))
        if "contains" in known and not (known.get("minContains", 1) == 0 and "maxContains" not in known):
            shape = all_tagged(shape, self._tag("contains", "minContains", "maxContains"), _ARRAY)
        if "dependentSchemas" in known:
            shape = all_tagged(shape, self._tag("dependentSchemas"), _OBJECT)
        for word in ("unevaluatedProperties", "unevaluatedItems"):
            if word in known and known[word] is not True:
                # What is left over depends on everything beside it.
                shape = all_tagged(shape, lazy_tag(word, self.part, lambda: words_of(self.part)), _ABOUT[word])
        return shape

    # What the schema says itself.

    def _own(self) -> Shape:
        known = self.known
        types = known.get("type")
        if types is None and "enum" not in known and "const" not in known and not known.keys() & _CONSTRAINING:
            return ANYTHING
        named = set(KINDS) if types is None else {types} if isinstance(types, str) else set(types)
        whole = "integer" in named and "number" not in named
        if "integer" in named:
            named = named - {"integer"} | {"number"}
        values, tag = self._values()
        result: dict[Kind, tuple[Alternative, ...]] = {}
        for kind in KINDS:
            if kind not in named:
                continue
            some = None if values is None else frozenset(key for key in values if key[0] == kind)
            if some is not None and not some:
                continue
            alternative = self._alternative(kind, some, whole)
            if kind == "number" and whole and alternative is not None and self.part.scope.dialect.year == 4:
                # In draft 4 what is written 1.0 is no integer, though it is equal to 1: core, section 3.5.
                alternative = tagged(alternative, Tag("integer of draft 4", ""))
            if alternative is not None:
                result[kind] = (alternative,)
        return result if tag is None else all_tagged(result, tag)

    def _values(self) -> tuple[frozenset[Key] | None, Tag | None]:
        values: frozenset[Key] | None = None
        tag = None
        for word in ("enum", "const"):
            if word not in self.known:
                continue
            keys = [freeze(each) for each in (self.known[word] if word == "enum" else [self.known[word]])]
            if any(key is None for key in keys):
                tag = Tag(f"{word} with what is not JSON", repr(self.known[word]))
                continue
            these = frozenset(key for key in keys if key is not None)
            values = these if values is None else values & these
        return values, tag

    def _alternative(self, kind: Kind, values: frozenset[Key] | None, whole: bool) -> Alternative | None:
        if kind == "null":
            return NULL
        if kind == "boolean":
            return BOOLEAN if values is None else Plain(values)
        if kind == "number":
            return self._number(values, whole)
        if kind == "string":
            return self._text(values)
        return self._array(values) if kind == "array" else self._object(values)

    def _number(self, values: frozenset[Key] | None, whole: bool) -> Alternative | None:
        known = self.known
        bounds: list[tuple[Exact | None, bool]] = []
        for word, exclusive, upwards in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
            closed, opened = number(known.get(word)), number(known.get(exclusive))
            if opened is not None and (closed is None or opened * upwards >= closed * upwards):
                bounds.append((opened, True))
            else:
                bounds.append((closed, False))
        formats = self._formats(_NUMBER)
        step = number(known.get("multipleOf"))
        inexact = step is not None and step.denominator & (step.denominator - 1) != 0
        tags = NO_TAGS
        if step is not None and inexact:
            # Validators divide floats: 0.3 / 0.1 is not whole there. So such steps are only known to equal themselves.
            tags = frozenset({Tag(f"multipleOf {figure(step)}", str(step))})
            step = None
        plain = Number(*bounds[0], *bounds[1], 1 if whole else step, formats, values, tags)
        one = settled_number(plain)
        if not (whole and step is not None and one is not None):
            return one
        try:
            met = intersection({"number": (one,)}, {"number": (Number(step=step),)}).get("number")
        except TooManyAlternativesError:
            return tagged(one, self._tag("multipleOf"))
        return met[0] if met else None

    def _text(self, values: frozenset[Key] | None) -> Text | None:
        known = self.known
        pattern = known.get("pattern")
        patterns = frozenset() if pattern is None or matches_everything(pattern) else frozenset({pattern})
        least, most = int(known.get("minLength", 0)), self._count("maxLength")
        return settled_text(Text(least, most, patterns, self._formats(_STRING), values))

    def _formats(self, kinds: frozenset[Kind]) -> frozenset[str]:
        said = self.known.get("format")
        if said is None or (kinds is _NUMBER and said in TEXT_FORMATS):
            return frozenset()
        return frozenset({said})

    def _count(self, word: str) -> int | None:
        return int(self.known[word]) if word in self.known else None

    def _array(self, values: frozenset[Key] | None) -> Array | None:
        known, node = self.known, self.part.node
        return settled_array(
            Array(
                tuple(node(each) for each in known.get("prefixItems", ())),
                node(known.get("items", True)),
                int(known.get("minItems", 0)),
                self._count("maxItems"),
                known.get("uniqueItems", False),
                values,
            )
        )

    def _object(self, values: frozenset[Key] | None) -> Object | None:
        known, node = self.known, self.part.node
        properties = {name: node(each) for name, each in known.get("properties", {}).items()}
        patterns = {pattern: node(each) for pattern, each in known.get("patternProperties", {}).items()}
        rest, said = node(known.get("additionalProperties", True)), "additionalProperties" in known
        for pattern in [each for each in patterns if matches_everything(each)]:
            everywhere = patterns.pop(pattern)
            properties = {name: both(each, everywhere) for name, each in properties.items()}
            patterns = {name: both(each, everywhere) for name, each in patterns.items()}
            rest = everywhere  # no name is left over for additionalProperties
            said = True
        if not rest:
            patterns = {pattern: each for pattern, each in patterns.items() if each}
        pairs = frozenset(
            (name, other) for name, others in known.get("dependentRequired", {}).items() for other in others
        )
        required = frozenset(known.get("required", ()))
        return settled_object(
            Object(
                properties,
                patterns,
                rest,
                said,
                required,
                int(known.get("minProperties", 0)),
                self._count("maxProperties"),
                node(known.get("propertyNames", True)),
                frozenset((name, other) for name, other in pairs if name != other and other not in required),
                values,
            )
        )


_COMBINING: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not"})
_CONSTRAINING: Final = words(
    "multipleOf minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength pattern format items prefixItems "
    "minItems maxItems uniqueItems properties patternProperties additionalProperties required minProperties "
    "maxProperties propertyNames dependentRequired"
)
