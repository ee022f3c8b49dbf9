"""Missing optional arguments filled in with the defaults of the schema, into a copy.

A default is filled in only if its own schema allows it; and defaults never make a call fail: if a call is valid only
without them, it goes on without them. Objects in arrays are left to the tool.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_workbench.contracts.schemas.references import ABSENT, resolve
from mcp_workbench.controls.compiling import UncompilableError, compiled

_MOST_DEFAULTS: Final = 100
_MOST_NESTING: Final = 8
DOCUMENT: Final = ("$schema", "$id", "$defs", "definitions")
"""What a schema has for all its parts."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults of one object of a schema.

    Attributes:
        values: name and value of each property that may be missing.
        inside: the defaults of properties that are objects themselves, if they are present.
    """

    values: tuple[tuple[str, Any], ...] = ()
    inside: tuple[tuple[str, Defaults], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.inside)

    def fill(self, arguments: dict[str, Any], filled: dict[str, Any], at: str = "") -> dict[str, Any]:
        """Return the arguments with what is missing filled in; the same object if nothing is.

        Args:
            arguments: what the caller sent; it is not changed.
            filled: what was filled in is written here: ``limit``, or ``filter/limit`` for one in an object.
            at: the name of the object that is filled, with a stroke after it.
        """
        made: dict[str, Any] | None = None
        for name, value in self.values:
            if name not in arguments:
                made = dict(arguments) if made is None else made
                # Each call has its own: a tool may change what it is given.
                made[name] = _own(value)
                filled[at + _escaped(name)] = _own(value)
        for name, defaults in self.inside:
            inner = arguments.get(name)
            if (
                isinstance(inner, dict)
                and (done := defaults.fill(inner, filled, f"{at}{_escaped(name)}/")) is not inner
            ):
                made = dict(arguments) if made is None else made
                made[name] = done
        return arguments if made is None else made


def defaults_of(schema: Mapping[str, Any]) -> Defaults:
    """Return the defaults that a schema has for missing optional properties, as many as a call's story can tell.

    Args:
        schema: the schema of a tool's arguments.
    """
    return _defaults(schema, schema, _Room(_MOST_DEFAULTS), 0)


def part(root: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a schema as a schema of its own, with the definitions to which it may refer.

    Args:
        root: the whole schema.
        schema: the part.
    """
    return {**{word: root[word] for word in DOCUMENT if word in root}, **schema}


@dataclass(slots=True)
class _Room:
    """For how many defaults there is still room."""

    left: int


def _defaults(root: Mapping[str, Any], schema: Any, room: _Room, depth: int) -> Defaults:
    found = _object(root, schema)
    if found is None or depth > _MOST_NESTING:
        return Defaults()
    required = found.get("required")
    values: list[tuple[str, Any]] = []
    inside: list[tuple[str, Defaults]] = []
    for name, each in found["properties"].items():
        if not isinstance(each, dict):
            continue
        optional = not isinstance(required, list) or name not in required
        if optional and "default" in each and room.left and _allows(part(root, each), each["default"]):
            values.append((name, copy.deepcopy(each["default"])))
            room.left -= 1
        if inner := _defaults(root, each, room, depth + 1):
            inside.append((name, inner))
    return Defaults(tuple(values), tuple(inside))


def _object(root: Mapping[str, Any], schema: Any) -> Mapping[str, Any] | None:
    """Return the schema of an object that names its properties, behind references and beside null."""
    for _ in range(_MOST_NESTING):
        if not isinstance(schema, Mapping):
            return None
        if isinstance(schema.get("properties"), dict):
            return schema
        branches = schema.get("anyOf")
        others = [each for each in branches if each != {"type": "null"}] if isinstance(branches, list) else []
        schema = others[0] if len(others) == 1 else resolve(root, schema.get("$ref", ABSENT))
    return None


def _allows(schema: dict[str, Any], value: Any) -> bool:
    try:
        return compiled(schema).is_valid(value)
    except (UncompilableError, ValueError):
        return False


def _own(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
