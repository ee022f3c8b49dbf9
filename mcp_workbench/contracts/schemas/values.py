"""JSON values by what they mean: ``1`` is ``1.0`` and is not ``true``; numbers exactly, and all of it hashable."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, Final, Literal

from mcp_workbench.untrusted import one_line

Kind = Literal["null", "boolean", "number", "string", "array", "object"]
Exact = int | Fraction
Key = tuple[str, Any]
"""A value as ``(kind, content)``: equal exactly where JSON Schema calls the values equal (core, section 4.2.2)."""

KINDS: Final[tuple[Kind, ...]] = ("null", "boolean", "number", "string", "array", "object")
MAX_NUMBER_BITS: Final = 4_096
MAX_DEPTH: Final = 100
"""How deep schemas and values may be nested; one that is deeper is not judged."""


def kind_of(value: object) -> Kind | None:
    """Return which of the six kinds of JSON ``value`` is, or ``None`` if it is no JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "number" if isinstance(value, int | float | Fraction) else None


def number(value: object) -> Exact | None:
    """Return the exact value of a number as its decimal text has it, or ``None``.

    ``None`` stands for what is no number, for NaN and the infinities, and for numbers of over 4,096 bits.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_NUMBER_BITS else None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        # The text decides, as it would on the wire: 0.1 is a tenth, which the float next to it is not.
        return int(value) if value.is_integer() and abs(value) < 2**53 else Fraction(repr(value))
    return value if isinstance(value, Fraction) else None


def freeze(value: object, depth: int = 0) -> Key | None:
    """Return the key of a JSON value, or ``None`` if it is no JSON, or too deep, or holds a number that is too long."""
    kind = kind_of(value)
    if kind is None or depth > MAX_DEPTH:
        return None
    content: Any = value
    if kind == "number":
        content = number(value)
        if content is None:
            return None
    elif isinstance(value, list):
        items = [freeze(item, depth + 1) for item in value]
        if None in items:
            return None
        content = tuple(items)
    elif isinstance(value, dict):
        members = [(name, freeze(item, depth + 1)) for name, item in value.items()]
        if any(item is None or not isinstance(name, str) for name, item in members):
            return None
        content = frozenset(members)
    return kind, content


def thaw(key: Key, spelt: bool = True) -> Any:
    """Return the value of a key; its numbers are exact, as ``int`` or ``Fraction``.

    Args:
        key: what :func:`freeze` has made.
        spelt: whether whole numbers are ``int``; else all are ``Fraction``: a key does not tell ``1`` from ``1.0``.
    """
    kind, content = key
    if kind == "array":
        return [thaw(item, spelt) for item in content]
    if kind == "object":
        return {name: thaw(item, spelt) for name, item in content}
    return content if spelt or kind != "number" else Fraction(content)


def figure(value: Exact) -> str:
    """Return a number as people write it, bounded."""
    if isinstance(value, int) or value.denominator == 1:
        whole = int(value)
        return str(whole) if whole.bit_length() < 130 else f"a number of {whole.bit_length():,} bits"
    try:
        near = float(value)
    except OverflowError:
        return "a very large number"
    return repr(near) if number(near) == value else f"about {near!r}"


def shown(key: Key, limit: int = 40) -> str:
    """Return a value as a short text for people: JSON where it can be, cut at ``limit`` characters."""
    kind, content = key
    if kind == "number":
        return figure(content)
    if kind == "string":
        return repr(one_line(content, limit))
    return one_line(json.dumps(thaw(key), default=figure, sort_keys=True), limit)


def listed(keys: frozenset[Key], most: int = 5) -> str:
    """Return a few values as a list for people, in a fixed order, and how many more there are."""
    texts = sorted(shown(key) for key in keys)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
