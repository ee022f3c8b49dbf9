"""Small random schemas made of few pieces, so that the values of one are often among those of another by chance."""

from __future__ import annotations

import copy
import random
from typing import Any

from schema_pairs import CONSTANTS, DRAFT_7, LATEST, NAME_PATTERNS, NAMES, Schema, SchemaMaker, tidied


def tiny_pair(rng: random.Random) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return two small schemas that are made of few pieces, so that one is often inside of the other by chance."""
    if rng.random() < 0.15:
        return _put_together(rng)
    latest = rng.random() < 0.7
    maker = rng.choice([_tiny_object, _tiny_object, _tiny_array, _tiny_scalar])
    first = maker(rng, latest)
    second = maker(rng, latest) if rng.random() < 0.5 else copy.deepcopy(first)
    for word, value in maker(rng, latest).items():
        if rng.random() < 0.3:
            second[word] = value
    for schema in (first, second):
        schema["$schema"] = LATEST if latest else DRAFT_7
    return tidied(first), tidied(second), latest


def _put_together(rng: random.Random) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return two objects that must both hold, and one object that says of both what can be said at once."""
    parts = [_tiny_object(rng, True) for _ in range(2)]
    merged: dict[str, Any] = {"type": "object"}
    for part in parts:
        for word in ("properties", "patternProperties"):
            merged[word] = merged.get(word, {}) | part.get(word, {})
        if "additionalProperties" in part and rng.random() < 0.5:
            merged["additionalProperties"] = part["additionalProperties"]
    return {"$schema": LATEST, "allOf": parts}, copy.deepcopy(merged) | {"$schema": LATEST}, True


def _piece(rng: random.Random) -> Schema:
    pieces: list[Schema] = [
        True,
        {"type": "string"},
        {"type": "integer"},
        {"type": ["integer", "string"]},
        {"enum": [1, "a"]},
        {"const": 1},
        {"type": "number"},
        False,
    ]
    return copy.deepcopy(rng.choice(pieces))


def _tiny_object(rng: random.Random, latest: bool) -> dict[str, Any]:
    if rng.random() < 0.2:
        word = rng.choice(["allOf", "allOf", "anyOf", "oneOf"])
        return {word: [_tiny_object(rng, latest) for _ in range(2)]}
    made: dict[str, Any] = {
        "properties": {name: _piece(rng) for name in rng.sample(NAMES, rng.randrange(3))},
        "patternProperties": {each: _piece(rng) for each in rng.sample(NAME_PATTERNS, rng.choice([0, 0, 1, 1, 2]))},
        "additionalProperties": _piece(rng),
        "required": rng.sample(NAMES, rng.randrange(2)),
        "minProperties": rng.randrange(3),
        "maxProperties": rng.randrange(1, 4),
        "propertyNames": rng.choice([{"enum": ["a", "b"]}, {"maxLength": 1}, {"type": "string"}, {"pattern": "^x-"}]),
        "dependentRequired" if latest else "dependencies": {rng.choice(NAMES): [rng.choice(NAMES)] for _ in range(2)},
    }
    chances = {"properties": 0.9, "patternProperties": 0.6, "additionalProperties": 0.6, "required": 0.6}
    return {"type": "object"} | {word: each for word, each in made.items() if rng.random() < chances.get(word, 0.12)}


def _tiny_array(rng: random.Random, latest: bool) -> dict[str, Any]:
    first = [_piece(rng) for _ in range(rng.randrange(3))]
    made: dict[str, Any] = {
        "minItems": rng.randrange(3),
        "maxItems": rng.randrange(4),
        "uniqueItems": rng.random() < 0.7,
        "contains": _piece(rng),
    }
    made = {word: each for word, each in made.items() if rng.random() < 0.4}
    if latest:
        made |= {"prefixItems": first} if first else {}
        made |= {"items": _piece(rng)} if rng.random() < 0.6 else {}
    elif first:
        made |= {"items": first} | ({"additionalItems": _piece(rng)} if rng.random() < 0.6 else {})
    else:
        made["items"] = _piece(rng)
    return {"type": "array"} | made


def _tiny_scalar(rng: random.Random, latest: bool) -> dict[str, Any]:
    maker = SchemaMaker(rng, latest)
    choice = rng.random()
    if choice < 0.4:
        return {rng.choice(["anyOf", "anyOf", "oneOf", "allOf"]): [maker.schema(0, 3) for _ in range(3)]}
    if choice < 0.5:
        return {"not": maker.schema(0, 3)} | rng.choice([{}, {"enum": copy.deepcopy(rng.sample(CONSTANTS, 4))}])
    return maker.mixed(0) if choice < 0.75 else maker.listed()
