"""What schemas mean, as texts that can be compared: equal texts mean the same, whatever the spelling.

Where a schema has a normal form its text is that of the normal form; where only its words are known, that of its words,
without annotations, in a fixed order, with references written out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from mcp_workbench.contracts.schemas.dialects import words
from mcp_workbench.contracts.schemas.nodes import MAX_STEPS, Budget, Part, UndecidedError, bare
from mcp_workbench.contracts.schemas.shapes import Alternative, Array, Node, Number, Object, Plain, Shape, Tag, Text
from mcp_workbench.contracts.schemas.values import MAX_DEPTH, Exact, Key, number

MAX_PIECES: Final = 10_000

Reader = Callable[[Node], Shape]


class CircleError(Exception):
    """A schema that is being read would have to be read first, or there is no end to it."""


def found(tag: Tag, budget: Budget, find: Callable[[], str]) -> tuple[str, bool]:
    """Return the meaning of a tag, and whether it holds wherever the tag stands.

    A tag that is met inside of its own meaning is told by how far up it is; such a text holds in that place only.

    Raises:
        UndecidedError: the text would be too long.
    """
    for place, each in enumerate(budget.tags):
        if each is tag:
            budget.lowest = min(budget.lowest, place)
            return f"^^{len(budget.tags) - place}", False
    budget.spend()
    depth, outer, budget.lowest = len(budget.tags), budget.lowest, MAX_STEPS
    if depth > MAX_DEPTH // 4:
        raise UndecidedError("it is nested too deeply")
    budget.tags.append(tag)
    try:
        # A digest: the texts of tags stand inside of one another, and would grow without bounds.
        text = hashlib.sha256(find().encode("utf-8", "surrogatepass")).hexdigest()
    finally:
        budget.tags.pop()
    everywhere = budget.lowest >= depth
    budget.lowest = min(outer, MAX_STEPS if everywhere else budget.lowest)
    return text, everywhere


def meaning(node: Node, shape_of: Reader) -> str:
    """Return what the schemas of a node assert together, as a text that can be compared.

    Args:
        node: the schemas.
        shape_of: reads a node into its normal form.

    Raises:
        UndecidedError: the text would be too long.
    """
    if not bare(node):
        return "*"
    budget = node[0].scope.budget
    before, budget.circles = budget.circles, False
    try:
        return "".join(_of_node(node, shape_of, ()))
    except CircleError:
        return sized(sorted(words_of(part) for part in node))
    finally:
        budget.circles = before


def _of_node(node: Node, shape_of: Reader, above: tuple[Node, ...]) -> Iterator[str]:
    node = bare(node)
    if not node:
        yield "*"
        return
    if node in above:
        yield f"^{len(above) - above.index(node)}"
        return
    if len(above) > MAX_DEPTH // 4:
        raise CircleError
    node[0].scope.budget.spend()
    inside = (*above, node)

    def inner(each: Node) -> str:
        return "".join(_of_node(each, shape_of, inside))

    yield "<"
    for kind, alternatives in sorted(shape_of(node).items()):
        yield sized((kind, sized(sorted(_of_alternative(each, inner) for each in alternatives))))
    yield ">"


def _of_alternative(one: Alternative, inner: Callable[[Node], str]) -> str:
    pieces = [sized((tag.label, tag.content)) for tag in sorted(one.tags, key=lambda tag: (tag.label, tag.content))]
    pieces.insert(0, str(len(pieces)))
    if one.values is not None:
        pieces.append(f"[{sized(sorted(map(_key, one.values)))}]")
    if isinstance(one, Plain):
        return sized(pieces)
    if isinstance(one, Number):
        pieces += [_exact(one.low), str(one.low_open), _exact(one.high), str(one.high_open), _exact(one.step)]
        pieces.append(repr(sorted(one.formats)))
    elif isinstance(one, Text):
        pieces += [str(one.least), str(one.most), repr(sorted(one.patterns)), repr(sorted(one.formats))]
    elif isinstance(one, Array):
        pieces += [str(one.least), str(one.most), str(one.unique), *map(inner, one.prefix), "...", inner(one.rest)]
    else:
        pieces += _of_object(one, inner)
    return sized(pieces)


def sized(pieces: Iterable[str]) -> str:
    """Return texts as one that tells them apart, whatever is in them: each one behind its length."""
    return "".join(f"{len(each)}:{each}" for each in pieces)


def _of_object(one: Object, inner: Callable[[Node], str]) -> Iterator[str]:
    for mark, members in (("p", one.properties), ("q", one.patterns)):
        for name, node in sorted(members.items()):
            yield sized((mark, name, inner(node)))
    yield f"r{inner(one.rest)}"
    yield f"n{inner(one.names)}"
    yield repr((sorted(one.required), sorted(one.dependent), one.least, one.most))


def _exact(value: Exact | None) -> str:
    return "-" if value is None else f"{value.numerator:x}/{value.denominator:x}"


def _key(key: Key) -> str:
    kind, content = key
    if kind == "number":
        return _exact(content)
    if kind == "array":
        return f"[{','.join(map(_key, content))}]"
    if kind == "object":
        return f"{{{','.join(sorted(f'{name!r}:{_key(each)}' for name, each in content))}}}"
    return repr(content)


_SCHEMA: Final = words(
    "not if then else contains items additionalProperties propertyNames unevaluatedItems unevaluatedProperties"
)
_SCHEMAS: Final = frozenset({"allOf", "anyOf", "oneOf"})
_SCHEMA_MAP: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_UNORDERED: Final = frozenset({"required", "enum", "type"})


def words_of(part: Part) -> str:
    """Return what the words of a schema assert, as a text that can be compared.

    A reference is followed and written out; one that leads back says how far.

    Raises:
        UndecidedError: the text would be too long.
    """
    return f"{part.scope.dialect.year} {''.join(_pieces(part, (), [0]))}"


def _pieces(part: Part, above: tuple[Part, ...], length: list[int]) -> Iterator[str]:
    if part in above:
        yield f"^{len(above) - above.index(part)}"
        return
    if len(above) > MAX_DEPTH // 2:
        raise UndecidedError("it is nested too deeply")
    part.scope.budget.spend()
    length[0] += 1
    if length[0] > MAX_PIECES:
        raise UndecidedError("it is too large")
    raw = part.raw
    if not isinstance(raw, dict):
        yield f"{type(raw).__name__} {raw!r}"
        return
    inside = (*above, part)
    yield "{"
    for word, value in sorted(part.keywords.known.items()):
        yield "enum:" if word == "const" else f"{word}:"
        if word == "$ref":
            target = part.target()
            if target is None:
                yield f"<{sized((part.scope.where_it_leads(value),))}>"
            else:
                yield from _pieces(target, inside, length)
        elif word in _SCHEMA:
            yield from _pieces(part.scope.part(value), inside, length)
        elif word in _SCHEMAS:
            yield sized(sorted("".join(_pieces(part.scope.part(each), inside, length)) for each in value))
        elif word == "prefixItems":
            for each in value:
                yield from _pieces(part.scope.part(each), inside, length)
                yield ","
        elif word in _SCHEMA_MAP:
            for name, each in sorted(value.items()):
                yield f"{name!r}:"
                yield from _pieces(part.scope.part(each), inside, length)
        elif word in ("$dynamicRef", "$recursiveRef"):
            yield f"{value!r} in {part.scope.document.digest}"
        else:
            yield plain_meaning("enum", [value]) if word == "const" else plain_meaning(word, value)
        yield ";"
    for word in sorted(part.keywords.odd):
        yield sized((part.odd_text(word),))
    yield "}"


def plain_meaning(word: str, value: Any) -> str:
    """Return the meaning of a keyword's value that is no schema, as a text that can be compared."""
    if word in _UNORDERED and isinstance(value, list):
        return repr(sorted({_text(each) for each in value}))
    if word == "dependentRequired":
        return repr(sorted((name, sorted(set(names))) for name, names in value.items()))
    return _text(value)


def _text(value: Any) -> str:
    exact = number(value)
    if exact is not None:
        return f"{exact.numerator:x}/{exact.denominator:x}"
    if isinstance(value, dict):
        members = sorted((repr(name), _text(each)) for name, each in value.items())
        return f"{{{','.join(f'{name}:{each}' for name, each in members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return repr(value) if not isinstance(value, int) or isinstance(value, bool) else hex(value)
