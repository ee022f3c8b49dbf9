"""JSON values as a form meets them: bounded, compared, written and parsed without surprises."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from mcp_workbench import untrusted

MAX_DEPTH: Final = 64
"""Lists and objects may be nested this deep; deeper ones could exhaust Python's own stack."""
MAX_INTEGER_BITS: Final = 13_000
"""Longer integers cannot be written: Python refuses to print more than 4,300 digits."""


def json_fault(value: object, max_size: int | None = None) -> str:
    """Say why ``value`` is not a JSON value that can be written, or return an empty text.

    Args:
        value: anything, also values that hold themselves.
        max_size: the greatest number of values and characters together; unlimited unless given.
    """
    size = 0
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        size += 1
        if depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} deep"
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, bool) or one is None:
            pass
        elif isinstance(one, int):
            if one.bit_length() > MAX_INTEGER_BITS:
                return "holds a number that is too long to write"
        elif isinstance(one, float):
            if not math.isfinite(one):
                return "holds NaN or an infinity, which JSON does not have"
        elif isinstance(one, list):
            waiting.extend((item, depth + 1) for item in one)
        elif isinstance(one, dict):
            for key, item in one.items():
                if not isinstance(key, str):
                    return "holds an object with a name that is not text"
                size += len(key)
                waiting.append((item, depth + 1))
        else:
            return f"holds a value of type {type(one).__name__}, which JSON does not have"
        if max_size is not None and size + len(waiting) > max_size:
            return "is too large"
    return ""


def canonical(value: Any) -> str:
    """Write a JSON value so that equal values are equal texts: 1 is 1.0, but 1 is not true."""
    if isinstance(value, dict):
        inside = ",".join(f"{json.dumps(name)}:{canonical(value[name])}" for name in sorted(value))
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def json_text(value: Any, indent: int | None = None) -> str:
    """Write a JSON value; invisible characters and those that reorder text are written as escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text if is_visible(text) else json.dumps(value, indent=indent)


def is_visible(text: str) -> bool:
    """Tell whether every character of ``text`` can be seen as it is."""
    return untrusted.plain(text, len(text)) == text


def shown(value: Any, limit: int = 60) -> str:
    """Return a JSON value on one short line, for a sentence."""
    return untrusted.one_line(json_text(value), limit)


def parse_json(text: str) -> Any:
    """Read JSON strictly.

    Raises:
        ValueError: the text is no JSON, names something twice, or holds NaN or an infinity; says so in words.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"is not JSON at {line} ({error.msg}): texts and names need double quotes") from None
    except RecursionError:
        raise ValueError(f"is nested more than {MAX_DEPTH} deep") from None
    except _RefusedError:
        raise
    except ValueError:  # Python's limit on the digits of an integer
        raise ValueError("holds a number that is too long to read") from None
    if fault := json_fault(value):
        raise ValueError(fault)
    return value


class _RefusedError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in made if names.count(name) > 1)
        raise _RefusedError(f"names {shown(twice)} twice in one object: keep one of them")
    return made


def _no_constant(name: str) -> Any:
    raise _RefusedError(f"holds {name}, which JSON does not have: write a number or null")
