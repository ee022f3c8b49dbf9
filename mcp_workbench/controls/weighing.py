"""Whether all errors of a value may be listed: counted beforehand, because a validator makes them all at once.

An error takes about 10 us, and 0.2 us more for each value below its place, which it holds a copy of. A caller decides
how many there are: 1,000 empty objects in a union of 8 models took 2 s, 11 objects in each other in a union that refers
to itself 0.35 s, and each one more twice as long (measured). Asking whether a value is valid has no such cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp_workbench.contracts.schemas.dialects import LATEST
from mcp_workbench.contracts.schemas.references import ABSENT, resolve

_MOST_VALUES: Final = 1_000
_MOST_ERRORS: Final = 500
# The copy of so many values takes as long as an error; one of so many characters as long as that of a value.
_COPIED_VALUES: Final = 40
_COPIED_CHARACTERS: Final = 200
_COPIED_OPTIONS: Final = 20

_Held = tuple[Any, Any]


def costs_little(root: Mapping[str, Any], schema: Any, value: Any) -> bool:
    """Return whether listing what is wrong with a value takes a few milliseconds at most, whatever is wrong with it.

    Args:
        root: the whole schema.
        schema: the schema of the value: the whole, or a part of it.
        value: the value.
    """
    sizes = _sizes(value)
    if sizes is None:
        return False
    left = _MOST_ERRORS
    waiting: list[_Held] = [(schema, value)]
    while waiting:
        schema, value = waiting.pop()
        size = _size(value, sizes)
        left -= max(1, _errors(schema, value)) * (1 + size // _COPIED_VALUES)
        if isinstance(schema, Mapping):
            if _leads_nowhere(root, schema):
                # Nobody knows what is asked there; it may refer to itself, in a union.
                left -= 5 * size * size
            waiting.extend(_in_place(root, schema, value))
            waiting.extend(_inside(schema, value))
        if left < len(waiting):
            return False
    return True


def is_large(value: Any) -> bool:
    """Return whether there are more values in a value than are ever listed."""
    return _sizes(value) is None


def _sizes(value: Any) -> dict[int, int] | None:
    """Return how much is in each object and array by its identity; ``None`` if it is too much."""
    containers = []
    waiting = [value]
    left = _MOST_VALUES
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list | tuple):
            left -= len(each)
            if left < 0:
                return None
            containers.append(each)
            waiting.extend(each.values() if isinstance(each, dict) else each)
    sizes: dict[int, int] = {}
    # What is inside was reached later.
    for each in reversed(containers):
        names = sum(_size(name, sizes) for name in each) if isinstance(each, dict) else 0
        sizes[id(each)] = 1 + names + sum(_size(one, sizes) for one in _values(each))
    return sizes


def _size(value: Any, sizes: Mapping[int, int]) -> int:
    if isinstance(value, str):
        return 1 + len(value) // _COPIED_CHARACTERS
    return sizes.get(id(value), 1)


def _errors(schema: Any, value: Any) -> int:
    """Return how many errors a schema by itself may have for a value."""
    if not isinstance(schema, Mapping):
        return 1
    count = sum(word in LATEST.words for word in schema)
    if isinstance(value, dict):
        count += len(as_list(schema.get("required")))
        refused = schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False
        count += len(value) if refused or "propertyNames" in schema else 0
    return count + len(as_list(schema.get("enum"))) // _COPIED_OPTIONS


def _leads_nowhere(root: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    elsewhere = "$dynamicRef" in schema or "$recursiveRef" in schema
    return elsewhere or ("$ref" in schema and resolve(root, schema["$ref"]) is ABSENT)


def _in_place(root: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> Iterator[_Held]:
    """Yield the schemas that hold for the same value; ``not`` and ``if`` list nothing of theirs."""
    target = resolve(root, schema.get("$ref"))
    if target is not ABSENT:
        yield target, value
    for word in ("allOf", "anyOf", "oneOf"):
        for each in as_list(schema.get(word)):
            yield each, value
    for word in ("then", "else"):
        if word in schema:
            yield schema[word], value
    for word in ("dependentSchemas", "dependencies"):
        for each in as_map(schema.get(word)).values():
            yield each, value


def _inside(schema: Mapping[str, Any], value: Any) -> Iterator[_Held]:
    """Yield what is in an object or array, with each schema that may hold for it."""
    if isinstance(value, dict):
        named = as_map(schema.get("properties"))
        others = [schema[word] for word in ("additionalProperties", "unevaluatedProperties") if word in schema]
        patterns = as_map(schema.get("patternProperties")).values()
        for name, each in value.items():
            for one in (named[name],) if name in named else (*others, *patterns):
                yield one, each
            if name in named:
                yield from ((one, each) for one in patterns)
    elif isinstance(value, list | tuple):
        items = schema.get("items")
        for word in ("prefixItems", "items"):
            yield from zip(as_list(schema.get(word)), value, strict=False)
        rest = [schema[word] for word in ("additionalItems", "unevaluatedItems") if word in schema]
        for one in ([] if items is None or isinstance(items, list) else [items]) + rest:
            yield from ((one, each) for each in value)


def _values(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def as_list(value: Any) -> list[Any]:
    """Return a list; an empty one for what is none."""
    return value if isinstance(value, list) else []


def as_map(value: Any) -> Mapping[str, Any]:
    """Return an object; an empty one for what is none."""
    return value if isinstance(value, Mapping) else {}
