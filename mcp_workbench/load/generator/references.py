"""References between the steps of a flow: ``${opened.incident_id}`` in the arguments of a later step.

A text that is one reference and nothing else becomes the value itself, of whatever JSON type; inside of a longer text
the value becomes a part of it. What is kept came from a server: it is only ever put in as a JSON value, is never read
for references again, and is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

UNIQUE: Final = "unique"
"""What the generator itself keeps for each operation: a text that no other operation has, of this run or another."""

MAX_VALUE_SIZE: Final = 100_000
"""How many characters and values one kept value may have to be sent again."""
MAX_VALUE_DEPTH: Final = 64
"""How many objects and lists may stand in each other in it; deeper ones could exhaust Python's own stack."""

NAME: Final = "[A-Za-z_][A-Za-z0-9_]*"
"""What a step's result may be kept as, as a regular expression."""

# A part of a path is a name in an object or an index in a list: anything but what ends it.
_REFERENCE: Final = re.compile(r"\$\{(" + NAME + r")((?:\.[^.{}]+)*)\}")
_MAX_INDEX_DIGITS: Final = 9

Reference = tuple[str, str]


def references(arguments: Any) -> list[Reference]:
    """Return all references in arguments: the name of what is kept, and the path in it, such as ``incident_id``.

    Args:
        arguments: any JSON value, nested as deep as Python's own stack allows.
    """
    return [(match[1], match[2][1:]) for text in _texts(arguments) for match in _REFERENCE.finditer(text)]


def fill(arguments: Any, kept: Mapping[str, Any]) -> Any:
    """Return arguments in which the references stand for what was kept; what is given is not changed.

    Args:
        arguments: any JSON value.
        kept: the structured results of earlier steps by name. What names none of them is text like any other.

    Raises:
        KeyError: there is nothing at a reference's path, or too much; its first argument says so in words.
    """
    if isinstance(arguments, str):
        return _filled(arguments, kept) if "${" in arguments else arguments
    if isinstance(arguments, dict):
        return {name: fill(value, kept) for name, value in arguments.items()}
    if isinstance(arguments, list | tuple):
        return [fill(value, kept) for value in arguments]
    return arguments


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _filled(text: str, kept: Mapping[str, Any]) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole is not None:
        return _value(whole, kept) if whole[1] in kept else text
    filled = _REFERENCE.sub(lambda match: _part(match, kept), text)
    if len(filled) > MAX_VALUE_SIZE + len(text):
        raise KeyError(f"the values for {text[:60]!r} are too large to be sent again")
    return filled


def _part(match: re.Match[str], kept: Mapping[str, Any]) -> str:
    if match[1] not in kept:
        return match[0]
    value = _value(match, kept)
    return value if isinstance(value, str) else json.dumps(value)


def _value(match: re.Match[str], kept: Mapping[str, Any]) -> Any:
    value = kept[match[1]]
    for part in match[2].split(".")[1:]:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _is_index(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            raise KeyError(f"the answer that {match[1]} stands for has nothing at {match[2][1:]}")
    if _is_large(value):
        raise KeyError(f"what {match[0]} stands for is too large to be sent again")
    return value


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= _MAX_INDEX_DIGITS


def _is_large(value: Any) -> bool:
    size = 0
    waiting = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        size += 1
        if isinstance(each, str):
            size += len(each)
        elif isinstance(each, dict):
            size += sum(map(len, each))
            waiting.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, list):
            waiting.extend((inner, depth + 1) for inner in each)
        if size + len(waiting) > MAX_VALUE_SIZE or depth > MAX_VALUE_DEPTH:
            return True
    return False
