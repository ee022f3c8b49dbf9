"""Values aimed at schemas: built from them, then bent a little, so that many lie near the border of what is valid."""

from __future__ import annotations

import copy
import random
from typing import Any

from schema_pairs import CONSTANTS, NAMES, SCALARS

TEXTS = ("", "a", "ab", "abc", "b", "x-1", "11", "2024-02-29", "127.0.0.1", "me@example.org", "é", "aaaaa")


class ValueMaker:
    """A source of values for one document.

    Args:
        rng: decides everything.
        document: the whole schema.
    """

    def __init__(self, rng: random.Random, document: Any) -> None:
        self.rng = rng
        self.document = document

    def values(self, count: int) -> list[Any]:
        """Return values, about a third of them as the schema has them, the rest bent."""
        made = []
        for place in range(count):
            value = self.build(self.document, 0)
            for _ in range(self.rng.choice([1, 1, 2]) if place % 3 else 0):
                value = self.bent(value)
            made.append(value)
        return made

    def build(self, schema: Any, depth: int) -> Any:
        """Return a value that is more or less what a schema asks for."""
        rng = self.rng
        if not isinstance(schema, dict) or depth > 7:
            return self.anything()
        schema = self._flat(schema, 0)
        if "const" in schema and rng.random() < 0.9:
            return copy.deepcopy(schema["const"])
        if schema.get("enum") and rng.random() < 0.9:
            return copy.deepcopy(rng.choice(schema["enum"]))
        types = schema.get("type", self._guess(schema))
        kind = types if isinstance(types, str) else rng.choice(types)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in ("integer", "number"):
            return self._number(schema, kind)
        if kind == "string":
            return self._string(schema)
        return None if kind == "null" else rng.random() < 0.5

    def anything(self) -> Any:
        """Return a value of any kind."""
        return copy.deepcopy(self.rng.choice(CONSTANTS))

    def bent(self, value: Any) -> Any:
        """Return a value that is a little different."""
        rng = self.rng
        if isinstance(value, dict) and rng.random() < 0.9:
            value = dict(value)
            if value and rng.random() < 0.65:
                name = rng.choice(list(value))
                if rng.random() < 0.35:
                    del value[name]
                else:
                    value[name] = self.bent(value[name])
            else:
                value[rng.choice((*NAMES, "zz"))] = self.anything()
            return value
        if isinstance(value, list) and rng.random() < 0.9:
            value = list(value)
            if value and rng.random() < 0.7:
                place = rng.randrange(len(value))
                if rng.random() < 0.3:
                    del value[place]
                else:
                    value[place] = self.bent(value[place])
            else:
                value.append(copy.deepcopy(rng.choice(value)) if value and rng.random() < 0.3 else self.anything())
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.7:
            return value + rng.choice([-1, -0.5, 0.5, 1, 2])
        if isinstance(value, str) and rng.random() < 0.7:
            return rng.choice([value[:-1], value + "a", rng.choice(TEXTS)])
        return self.anything()

    def _flat(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """Return a schema with its references, and one branch of each union, put into it."""
        result = {word: value for word, value in schema.items() if word not in ("allOf", "anyOf", "oneOf", "$ref")}
        others: list[Any] = list(schema.get("allOf", ()))
        others += [self.rng.choice(schema[word]) for word in ("anyOf", "oneOf") if schema.get(word)]
        if "then" in schema and "else" in schema:
            others.append(schema[self.rng.choice(["then", "else"])])
        if "$ref" in schema:
            others.append(self._target(schema["$ref"]))
        for other in others:
            if isinstance(other, dict) and depth < 8:
                for word, value in self._flat(other, depth + 1).items():
                    if word in ("properties", "patternProperties"):
                        result[word] = {**value, **result.get(word, {})}
                    elif word == "required":
                        result[word] = [*result.get(word, ()), *value]
                    else:
                        result.setdefault(word, value)
        return result

    def _target(self, ref: str) -> Any:
        at = self.document
        for part in ref.split("/")[1:]:
            at = at[int(part)] if isinstance(at, list) else at.get(part, True)
        return at

    def _guess(self, schema: dict[str, Any]) -> list[str]:
        kinds = [
            kind
            for kind, words in (
                ("object", ("properties", "required", "additionalProperties", "patternProperties", "minProperties")),
                ("array", ("items", "prefixItems", "minItems", "contains")),
                ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
                ("string", ("minLength", "maxLength", "pattern", "format")),
            )
            if any(word in schema for word in words)
        ]
        return [*kinds * 3, "string", "integer", "null", "boolean", "object", "array"]

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        rng = self.rng
        properties = schema.get("properties", {})
        chance = rng.choice([0.2, 0.7, 1.0])
        made = {name: self.build(each, depth + 1) for name, each in properties.items() if rng.random() < chance}
        for name in schema.get("required", ()):
            if name not in made and rng.random() < 0.97:
                made[name] = self.build(properties.get(name, schema.get("additionalProperties", True)), depth + 1)
        if rng.random() < 0.3:
            extra = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties", True)]
            made.setdefault(rng.choice((*NAMES, "zz")), self.build(rng.choice(extra), depth + 1))
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        rng = self.rng
        items = schema.get("items", True)
        first = items if isinstance(items, list) else schema.get("prefixItems", [])
        rest = schema.get("additionalItems", True) if isinstance(items, list) else items
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", least + 3)
        length = rng.choice([least, most, len(first), rng.randrange(4)]) if depth < 4 else int(least)
        made = [self.build(first[place] if place < len(first) else rest, depth + 1) for place in range(int(length))]
        if made and "contains" in schema:
            made[rng.randrange(len(made))] = self.build(schema["contains"], depth + 1)
        return made

    def _number(self, schema: dict[str, Any], kind: str) -> Any:
        rng = self.rng
        bounds = [
            schema[word] + shift
            for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
            if word in schema
            for shift in (0, 0, 1, -1, 0.5, -0.5)
        ]
        value = rng.choice([*bounds, *(each for each in SCALARS if type(each) in (int, float)), 7, 12])
        step = schema.get("multipleOf")
        if step and rng.random() < 0.7:
            value = (value // step) * step
        if kind == "integer" and rng.random() < 0.9:
            value = int(value)
        return float(value) if rng.random() < 0.15 else value

    def _string(self, schema: dict[str, Any]) -> str:
        rng = self.rng
        value = rng.choice(TEXTS)
        if rng.random() < 0.5:
            length = rng.choice([schema.get("minLength", 1), schema.get("maxLength", 3)])
            value = (value + "ab1ab1")[: int(length)]
        return value
