"""The keywords of one schema node, read with distrust: what is said wrongly counts as not said."""

from __future__ import annotations

import itertools
import math
from typing import Any, Final, TypeAlias

MAX_CHOICES: Final = 500
"""An enum with more values than this is not listed."""

KEYWORDS: Final = (
    *("$ref", "allOf", "anyOf", "oneOf", "type", "enum", "const", "title", "description", "default"),
    *("properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    *("items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"),
    *("minLength", "maxLength", "pattern", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
)
"""The keywords that a form can use."""

_MAX_WORDS_CHARACTERS = 4_000
_MAX_NAMES = 1_000
_MAX_BITS = 2_000
_SCALARS = ("string", "integer", "number", "boolean", "null")
Node: TypeAlias = dict[str, Any]


def wrapper_of(node: Node) -> str | None:
    """Return which of ``allOf``, ``anyOf`` and ``oneOf`` the node has."""
    for key in ("allOf", "anyOf", "oneOf"):
        if isinstance(node.get(key), list) and node[key]:
            return key
    return None


def is_shaped(node: Node) -> bool:
    """Tell whether a node says what it is beside its ``allOf`` or ``anyOf``, which then only adds rules."""
    said = node.get("type")
    return (
        isinstance(node.get("properties"), dict)
        or choices_of(node) is not None
        or (isinstance(said, str) and said in _SCALARS)
        or (said == "array" and "items" in node)
    )


def is_null(node: object) -> bool:
    """Tell whether a schema allows null and nothing else."""
    if not isinstance(node, dict):
        return False
    return node.get("type") == "null" or choices_of(node) == [None]


def type_names(node: Node) -> list[str]:
    """Return the types that a node says it has, else those that its other keywords imply; "union" is one."""
    said = node.get("type")
    if not is_shaped(node) and wrapper_of(node) in ("anyOf", "oneOf"):
        return ["union"]
    if isinstance(said, str):
        return [said]
    if isinstance(said, list):
        return list(dict.fromkeys(name for name in said[:10] if isinstance(name, str)))
    if isinstance(node.get("properties"), dict) or isinstance(node.get("additionalProperties"), dict):
        return ["object"]
    return ["array"] if "prefixItems" in node or "items" in node else []


def choices_of(node: Node) -> list[Any] | None:
    """Return the values of ``const``, ``enum`` or a union of consts; one too many where there are too many."""
    if "const" in node:
        return [node["const"]]
    if isinstance(node.get("enum"), list) and node["enum"]:
        return list(itertools.islice(node["enum"], MAX_CHOICES + 1))
    key = wrapper_of(node)
    branches = node[key] if key in ("anyOf", "oneOf") else []
    heads = branches[: MAX_CHOICES + 1]
    consts = [branch["const"] for branch in heads if isinstance(branch, dict) and "const" in branch]
    return consts if consts and len(consts) == len(branches) else None


def names_in(value: object) -> set[str]:
    """Return the names in a list such as ``required``."""
    return {name for name in value[:_MAX_NAMES] if isinstance(name, str)} if isinstance(value, list) else set()


def nodes_in(value: object) -> Node:
    """Return the named schemas in an object such as ``properties``, bounded, yet more than a form shows."""
    if not isinstance(value, dict):
        return {}
    return {name: node for name, node in itertools.islice(value.items(), _MAX_NAMES) if isinstance(name, str)}


def finite(value: object) -> float | None:
    """Return a number that can be compared and printed, or nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    fits = math.isfinite(value) if isinstance(value, float) else value.bit_length() <= _MAX_BITS
    return value if fits else None


def count(value: object) -> int | None:
    """Return a whole number that is not negative, or nothing."""
    number = finite(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def words(value: object) -> str:
    """Return bounded text, empty where there is none."""
    return value[:_MAX_WORDS_CHARACTERS] if isinstance(value, str) else ""
