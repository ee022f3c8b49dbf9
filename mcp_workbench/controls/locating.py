"""Where a value is not what its schema says, found in a time that the caller cannot stretch.

All errors of a value are listed where that is sure to cost little (``weighing.py``). Elsewhere the first place that is
wrong is looked for, by going down to it: asking whether a value is valid costs 100 times less than an error, takes a
time that grows with the value only, and that for schemas that refer to themselves, too (measured).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from mcp_workbench.contracts.schemas.references import ABSENT, resolve
from mcp_workbench.controls.compiling import UncompilableError, compiled
from mcp_workbench.controls.defaults import DOCUMENT, part
from mcp_workbench.controls.faults import Fault, faults_in
from mcp_workbench.controls.weighing import as_map, costs_little, is_large

_MOST_STEPS: Final = 100
# Each step asks what is inside once more; a step into a large value takes as long as the check of the whole.
_MOST_LARGE_STEPS: Final = 8
# So many unknown names are counted.
_MOST_NAMES: Final = 1_000
# A reference to a place that is not in a definition.
_INSIDE: Final = re.compile(r"#/(?!\$defs/|definitions/)")
# What a value must be by itself, whatever is in it; unions ask about it as a whole.
_BY_ITSELF: Final = (
    "type",
    "required",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "anyOf",
    "oneOf",
    "not",
)


class Check:
    """A schema made ready: whether it allows a value, and what is wrong with one that it does not allow.

    Args:
        schema: the schema.

    Raises:
        UncompilableError: it cannot be used.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._validator = compiled(schema)
        self._divided: dict[str, Any] | None = None
        # The parts that were asked by themselves, by identity and keyword; there are no more than the schema has.
        self._parts: dict[tuple[int, str], jsonschema_rs.Validator] = {}

    def allows(self, value: Any) -> bool:
        """Return whether the schema allows a value."""
        return self._validator.is_valid(value)

    def faults(self, value: Any) -> list[Fault]:
        """Return what is wrong with a value, or with the first place in it that is wrong.

        Args:
            value: the value, which the schema does not allow.
        """
        errors = self.errors(value)
        return self.first_faults(value) if errors is None else faults_in(errors, self._root)

    def errors(self, value: Any) -> list[jsonschema_rs.ValidationError] | None:
        """Return all errors of a value; ``None`` if listing them may take too long."""
        return list(self._validator.iter_errors(value)) if costs_little(self._root, self._root, value) else None

    def first_faults(self, value: Any) -> list[Fault]:
        """Return what is wrong at the first place of a value that is not what the schema says."""
        path: list[object] = []
        try:
            found = self._found(value, path)
        except UncompilableError:
            # No part of it can be asked by itself.
            found = []
        return found or [Fault.at_place(path, "schema", "must be what the schema says")]

    def _found(self, value: Any, path: list[object]) -> list[Fault]:
        """Return what is wrong at the first wrong place, and write into ``path`` how far it was found."""
        root = self._divisible
        schema: Any = root
        large, large_steps = True, 0
        for _ in range(_MOST_STEPS):
            schema = _meant(root, schema)
            large = large and is_large(value)
            large_steps += large
            step = next(self._wrong_inside(schema, value), None) if large_steps <= _MOST_LARGE_STEPS else None
            if step is None:
                break
            name, schema, value = step
            path.append(name)
        if not isinstance(schema, Mapping):
            return [Fault.at_place(path, "falseSchema", "must be left out")]
        if costs_little(root, schema, value):
            return faults_in(self._part(schema).iter_errors(value), part(root, schema), path)
        return sorted(self._by_itself(schema, value, path))

    def _wrong_inside(self, schema: Any, value: Any) -> Iterator[tuple[object, Any, Any]]:
        """Yield what is wrong in an object or array: name or number, schema and value."""
        if not isinstance(schema, Mapping):
            return
        if isinstance(value, dict) and isinstance(schema.get("properties"), Mapping):
            for name, each in schema["properties"].items():
                if name in value and not self._is_valid(each, value[name]):
                    yield name, each, value[name]
        elif isinstance(value, list) and isinstance(schema.get("items"), Mapping) and "prefixItems" not in schema:
            validator = self._part(schema["items"])
            for number, item in enumerate(value):
                if not validator.is_valid(item):
                    yield number, schema["items"], item

    def _by_itself(self, schema: Mapping[str, Any], value: Any, path: list[object]) -> Iterator[Fault]:
        """Yield what is wrong with a value whose errors must not be listed: each holds a copy of it."""
        for word in _BY_ITSELF:
            if word not in schema or self._part(schema, word).is_valid(value):
                continue
            asked = [name for name in schema[word] if name not in value] if word == "required" else [schema[word]]
            yield from (Fault.of_rule(path, word, each) for each in asked)
        closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
        if closed and isinstance(value, dict):
            unknown = heapq.nsmallest(_MOST_NAMES, value.keys() - schema.get("properties", {}).keys(), key=str)
            yield from (Fault.of_rule(path, "additionalProperties", name) for name in unknown)

    def _is_valid(self, schema: Any, value: Any) -> bool:
        return self._part(schema).is_valid(value) if isinstance(schema, Mapping) else schema is not False

    def _part(self, schema: Mapping[str, Any], word: str = "") -> jsonschema_rs.Validator:
        """Return the validator of a part of the schema, or of one keyword of it."""
        key = (id(schema), word)
        if key not in self._parts:
            self._parts[key] = compiled(part(self._divisible, {word: schema[word]} if word else schema))
        return self._parts[key]

    @property
    def _divisible(self) -> dict[str, Any]:
        if self._divided is None:
            self._divided = _divisible(self._root)
        return self._divided


def _divisible(root: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that says the same, in which all references lead to definitions: its parts can be asked alone.

    Raises:
        UncompilableError: they cannot.
    """
    definitions = as_map(root.get("$defs"))
    name = "whole"
    while name in definitions:
        name += "_"
    whole = f"#/$defs/{name}"

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(each) for each in value]
        if not isinstance(value, dict):
            return value
        made = {word: moved(each) for word, each in value.items()}
        if isinstance(made.get("$id"), str):
            raise UncompilableError("there is a document of its own in it, from which references lead elsewhere")
        reference = made.get("$ref")
        if isinstance(reference, str) and (reference == "#" or _INSIDE.match(reference)):
            made["$ref"] = whole + reference[1:]
        return made

    document = {word: moved(root[word]) for word in DOCUMENT if word in root}
    body = {word: moved(each) for word, each in root.items() if word not in DOCUMENT}
    return {**document, "$defs": {**document.get("$defs", {}), name: body}, "$ref": whole}


def _meant(root: Mapping[str, Any], schema: Any) -> Any:
    """Return the schema behind references, and beside null."""
    for _ in range(_MOST_STEPS):
        if not isinstance(schema, Mapping):
            break
        branches = schema.get("anyOf")
        others = [each for each in branches if each != {"type": "null"}] if isinstance(branches, list) else []
        target = others[0] if len(others) == 1 else resolve(root, schema.get("$ref", ABSENT))
        if target is ABSENT or "properties" in schema:
            break
        schema = target
    return schema
