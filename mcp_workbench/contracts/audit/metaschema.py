"""Whether a JSON Schema is one: each keyword against what its dialect demands of its value, in words.

Source: the metaschemas of JSON Schema, drafts 4, 6, 7, 2019-09 and 2020-12 (validation, sections 6 and 9; core,
section 10). They are spelled out here because checking against them costs a hundred times as much. Patterns are not
compiled: a server's regular expression is only text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from mcp_workbench.contracts.audit.subschemas import (
    DEFINITIONS,
    IN_PLACE_LISTS,
    INSIDE_MAPS,
    Subschema,
)
from mcp_workbench.contracts.audit.tool_words import word_set
from mcp_workbench.contracts.schemas.dialects import TYPES
from mcp_workbench.untrusted import one_line

_SHOWN_CHARACTERS = 40
_SHOWN_BITS = 1_000
_DRAFT_4 = 4
_ITEMS_ARE_ONE_SINCE = 2020

Check = Callable[[Any], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_step(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_type(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(each in TYPES for each in value) and len(set(value)) == len(value)
    return isinstance(value, str) and value in TYPES


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _are_maps_of_names(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_names, value.values()))


def _are_schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def _each(words: str, check: Check, demand: str) -> dict[str, tuple[Check, str]]:
    return dict.fromkeys(words.split(), (check, demand))


_DEMANDS: Final[dict[str, tuple[Check, str]]] = {
    **_each(
        "$schema $id $ref $anchor $dynamicRef $dynamicAnchor $comment title description pattern format contentEncoding "
        "contentMediaType",
        _is_text,
        "a text",
    ),
    **_each("uniqueItems deprecated readOnly writeOnly", _is_switch, "true or false"),
    **_each("minimum maximum exclusiveMinimum exclusiveMaximum", _is_number, "a number"),
    **_each("multipleOf", _is_step, "a number above 0"),
    **_each(
        "minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains",
        _is_count,
        "a whole number, 0 or more",
    ),
    **_each("enum examples", _is_list, "a list of values"),
    **_each("required", _are_names, "a list of names, each once"),
    **_each("type", _is_type, f"one of {', '.join(TYPES)}, or a list of them"),
    **_each("dependentRequired", _are_maps_of_names, "an object of lists of names"),
    **_each("dependentSchemas dependencies", _is_map, "an object of schemas"),
    **_each(" ".join([*DEFINITIONS, *INSIDE_MAPS]), _is_map, "an object of schemas"),
    **_each(" ".join(["prefixItems", *IN_PLACE_LISTS]), _are_schemas, "a list of one or more schemas"),
}

# Draft 4, validation, sections 5.1.3 and 5.1.5: there they are switches beside minimum and maximum.
_DEMANDS_OF_DRAFT_4: Final = _DEMANDS | _each("exclusiveMinimum exclusiveMaximum", _is_switch, "true or false")


# Keywords of any draft that demand nothing above, and words that many schemas have beside them (OpenAPI, editors).
_KNOWN: Final = frozenset(_DEMANDS) | word_set(
    "$recursiveRef $recursiveAnchor $vocabulary id additionalItems unevaluatedItems additionalProperties "
    "unevaluatedProperties items contains contentSchema propertyNames const default not if then else"
)
_ANNOTATIONS: Final = word_set("example order label note notes unit units tags version ref")
_SHORTEST_MISSPELT = 4
_LONGEST_MISSPELT = 30


def meant(word: str) -> str | None:
    """Return the keyword that is meant by a misspelt one: it differs by its case, by one letter, or by two in disorder.

    Returns:
        ``None`` for a keyword, for ``x-...``, and for what is no misspelling.
    """
    if word in _KNOWN or word in _ANNOTATIONS or word.startswith("x-") or len(word) > _LONGEST_MISSPELT:
        return None
    lower = word.lower()
    alike = [known for known in _KNOWN if known.lower() == lower]
    if not alike and len(word) >= _SHORTEST_MISSPELT:
        alike = [known for known in _KNOWN if len(known) >= _SHORTEST_MISSPELT and _is_one_edit(lower, known.lower())]
    return min(alike, default=None)


def _is_one_edit(one: str, other: str) -> bool:
    """Tell whether one letter too many, too few, or wrong, or two neighbours in disorder, are all the difference."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    at = next((at for at, letter in enumerate(short) if letter != long[at]), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[at + 1 : at + 2] + short[at : at + 1]
    return short[at + 1 :] == long[at + 1 :] or (swapped == long[at : at + 2] and short[at + 2 :] == long[at + 2 :])


def faults(subschemas: list[Subschema], year: int) -> Iterator[tuple[str, str]]:
    """Yield what keeps a schema from being one, as path and clause.

    Args:
        subschemas: all sub-schemas of it.
        year: which dialect it is written in: 4, 6, 7, 2019 or 2020.
    """
    demands = _DEMANDS_OF_DRAFT_4 if year == _DRAFT_4 else _DEMANDS
    for each in subschemas:
        schema = each.schema
        if not isinstance(schema, dict):
            yield each.path, f"{_shown(schema)} stands where a schema belongs"
            continue
        for word, value in schema.items():
            demand = demands.get(word)
            if demand is not None and not demand[0](value):
                yield each.path, f'"{word}" is {_shown(value)} instead of {demand[1]}'
        if year >= _ITEMS_ARE_ONE_SINCE and isinstance(schema.get("items"), list):
            yield each.path, '"items" is a list, which is "prefixItems" since 2020-12'


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return "a number of hundreds of digits"  # Python refuses to write the longest ones
    return one_line(json.dumps(value, ensure_ascii=False, default=str), _SHOWN_CHARACTERS)
