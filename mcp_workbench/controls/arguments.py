"""Whether a call's arguments are JSON that every transport carries, and of a size and depth that the server takes.

In process arguments may be any Python objects; over a transport they may be numbers that no JSON has, or halves of
characters. The tool behind must not have to know the difference.
"""

from __future__ import annotations

import math
from typing import Any, Final

import pydantic_core

from mcp_workbench.controls.failures import Failure
from mcp_workbench.controls.faults import Fault, refusal

# Databases and other languages have whole numbers of 64 bits; RFC 8259, section 6, leaves the range to the receiver.
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1

# What JSON needs at least for a value (a figure and a comma), and at most for a character (\u001f) and for a value: a
# float has 24 characters, quotes, colon, comma and brackets are counted in.
_LEAST_BYTES: Final = 2
_CHARACTER_BYTES: Final = 6
_VALUE_BYTES: Final = 32

# A container, and the place of the container that it is in.
_Place = tuple[Any, Any]


def checked(tool: str, arguments: dict[Any, Any], *, max_bytes: int | None, max_depth: int) -> None:
    """Hold arguments against what JSON is and the server takes; what is cheap comes first.

    Args:
        tool: the tool's name, for the failure.
        arguments: the arguments; nothing is changed in them.
        max_bytes: their greatest size as JSON; ``None`` for no limit.
        max_depth: how deep they may be nested; the arguments themselves are the first level.

    Raises:
        Failure: ``invalid_arguments`` if they are no JSON, ``arguments_too_large`` if there is too much of it.
    """
    level: list[_Place] = [(arguments, None)]
    depth = values = characters = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise _too_deep(tool, max_depth)
        below: list[_Place] = []
        for place in level:
            container = place[0]
            values += len(container)
            inside = container
            if type(container) is dict:
                for name in container:
                    if type(name) is not str:
                        raise refusal(tool, [Fault.at_place(_path(place), "json", "must have names that are text")])
                    characters += len(name)
                    if not name.isascii() and not _is_text(name, max_bytes):
                        raise refusal(tool, [Fault.at_place(_path(place), "json", "must have names that are text")])
                inside = container.values()
            # Before the values are looked at: there may be millions.
            if max_bytes is not None and _LEAST_BYTES * values + characters > max_bytes:
                raise _too_large(tool, max_bytes)
            for value in inside:
                kind = type(value)
                if kind is str:
                    characters += len(value)
                    if value.isascii() or _is_text(value, max_bytes):
                        continue
                    problem = "must be valid Unicode text"
                elif kind is bool or value is None:
                    continue
                elif kind is int:
                    if _LEAST <= value <= _MOST:
                        continue
                    problem = "must be a number that 64 bits hold"
                elif kind is float:
                    if math.isfinite(value):
                        continue
                    problem = "must be a finite number"
                elif kind is dict or kind is list:
                    below.append((value, place))
                    continue
                else:
                    problem = "must be a JSON value"
                raise refusal(tool, [Fault.at_place([*_path(place), _name_of(value, container)], "json", problem)])
        level = below
    if max_bytes is not None and _LEAST_BYTES * values + characters > max_bytes:
        raise _too_large(tool, max_bytes)
    # Only what is near the limit is written out to be measured.
    most = _CHARACTER_BYTES * characters + _VALUE_BYTES * (values + 1)
    if max_bytes is not None and most > max_bytes and len(pydantic_core.to_json(arguments)) > max_bytes:
        raise _too_large(tool, max_bytes)


def _is_text(text: str, max_bytes: int | None) -> bool:
    """Return whether a text can be written as UTF-8; one that is too long anyway is not tried."""
    if max_bytes is not None and len(text) > max_bytes:
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(place: _Place) -> list[Any]:
    """Return the names that lead to a place."""
    path: list[Any] = []
    while place[1] is not None:
        path.append(_name_of(place[0], place[1][0]))
        place = place[1]
    return path[::-1]


def _name_of(value: Any, container: Any) -> Any:
    """Return under which name, or number, a container holds a value."""
    pairs = container.items() if type(container) is dict else enumerate(container)
    return next(name for name, each in pairs if each is value)


def _too_large(tool: str, max_bytes: int) -> Failure:
    return _too_much(tool, f"larger than {max_bytes} bytes as JSON; send less", {"limit_bytes": max_bytes})


def _too_deep(tool: str, max_depth: int) -> Failure:
    return _too_much(tool, f"nested deeper than {max_depth} levels; send flatter ones", {"limit_depth": max_depth})


def _too_much(tool: str, what: str, details: dict[str, Any]) -> Failure:
    return Failure("arguments_too_large", f"{tool} was not run: its arguments are {what}", details=details)
