"""Other spellings of the same schema: whatever they change, no value becomes valid or invalid by it."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from schema_pairs import DRAFT_7, LATEST, SchemaMaker, places

Schema = Any


def rewritten_pair(rng: random.Random) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return a schema, another spelling of it, and the names of the rewrites that were combined in it."""
    latest = rng.random() < 0.6
    document = SchemaMaker(rng, latest).document()
    result = copy.deepcopy(document)
    used = []
    for _ in range(rng.choice([1, 2, 4, 8])):
        name = rng.choice(list(REWRITES))
        if REWRITES[name](rng, result):
            used.append(name)
    if (not latest and rng.random() < 0.5) or not used:
        result = in_the_other_dialect(result)
        used.append("dialect")
    return document, shuffled(rng, result), used


def shuffled(rng: random.Random, value: Any) -> Any:
    """Return a copy with all keys in another order."""
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffled(rng, value[name]) for name in names}
    return [shuffled(rng, each) for each in value] if isinstance(value, list) else value


def _schemas(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [holder[key] for holder, key in places(document) if isinstance(holder[key], dict)]


def _spots(document: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(holder, key) for holder, key in places(document) if key != ""]


def order_of_lists(rng: random.Random, document: dict[str, Any]) -> bool:
    """Enum, required, type, and the branches of unions, in another order."""
    done = False
    for schema in _schemas(document):
        for word in ("enum", "required", "type", "anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(word), list) and len(schema[word]) > 1:
                rng.shuffle(schema[word])
                done = True
    return done


def nullable(rng: random.Random, document: dict[str, Any]) -> bool:
    """``type: [X, null]`` as ``anyOf`` of the two, and the reverse."""
    spots = []
    for holder, key in _spots(document):
        schema = holder[key]
        if not isinstance(schema, dict):
            continue
        types = schema.get("type")
        plain = not schema.keys() & {"enum", "const", "anyOf", "oneOf", "allOf", "not", "if", "$ref"}
        if (isinstance(types, list) and "null" in types and len(types) > 1 and plain) or _is_null_union(schema):
            spots.append((holder, key))
    for holder, key in spots:
        schema = holder[key]
        if _is_null_union(schema):
            other = next(each for each in schema["anyOf"] if each != {"type": "null"})
            holder[key] = other | {"type": [other["type"], "null"]}
        else:
            rest = [each for each in schema["type"] if each != "null"]
            branches = [schema | {"type": rest[0] if len(rest) == 1 else rest}, {"type": "null"}]
            rng.shuffle(branches)
            holder[key] = {"anyOf": branches}
    return bool(spots)


def _is_null_union(schema: dict[str, Any]) -> bool:
    branches = schema.get("anyOf")
    if schema.keys() != {"anyOf"} or not isinstance(branches, list) or len(branches) != 2:
        return False
    others = [each for each in branches if each != {"type": "null"}]
    return (
        len(others) == 1
        and isinstance(others[0], dict)
        and isinstance(others[0].get("type"), str)
        and not others[0].keys() & {"enum", "const", "anyOf", "oneOf", "allOf", "not", "if", "$ref"}
    )


def whole_bounds(rng: random.Random, document: dict[str, Any]) -> bool:
    """``minimum: 0`` for an integer as ``exclusiveMinimum: -1``, and the like."""
    done = False
    for schema in _schemas(document):
        if schema.get("type") != "integer":
            continue
        for word, other, step in (("minimum", "exclusiveMinimum", -1), ("maximum", "exclusiveMaximum", 1)):
            if other in schema or word not in schema or rng.random() < 0.2:
                if word not in schema and float(schema.get(other, 0.5)).is_integer():
                    schema[word] = schema.pop(other) - step
                    done = True
                continue
            if float(schema[word]).is_integer():
                schema[other] = schema.pop(word) + step
                done = True
    return done


def constants(rng: random.Random, document: dict[str, Any]) -> bool:
    """``const`` as an enum of one, and the reverse."""
    done = False
    for schema in _schemas(document):
        if "const" in schema and "enum" not in schema:
            schema["enum"] = [schema.pop("const")]
            done = True
        elif "const" not in schema and len(schema.get("enum", ())) == 1:
            schema["const"] = schema.pop("enum")[0]
            done = True
    return done


def references_inline(rng: random.Random, document: dict[str, Any]) -> bool:
    """What a reference leads to in place of the reference, once: below it the references are what they were."""
    definitions = document.get("$defs", document.get("definitions", {}))
    targets = {f"#/{word}/{name}": each for word in ("$defs", "definitions") for name, each in definitions.items()}
    spots = [
        (holder, key)
        for holder, key in _spots(document)
        if isinstance(holder[key], dict) and holder[key].keys() == {"$ref"} and holder[key]["$ref"] in targets
    ]
    if not spots:
        return False
    holder, key = rng.choice(spots)
    holder[key] = copy.deepcopy(targets[holder[key]["$ref"]])
    return True


def references_moved(rng: random.Random, document: dict[str, Any]) -> bool:
    """A schema moved to the definitions, with a reference in its place."""
    inside = ("properties", "patternProperties", "prefixItems", "anyOf", "allOf", "oneOf")
    spots = []
    for schema in _schemas(document):
        for word in inside:
            held = schema.get(word)
            spots += [(held, key) for key in (held if isinstance(held, dict) else range(len(held or ())))]
    if not spots:
        return False
    holder, key = rng.choice(spots)
    word = "definitions" if "definitions" in document else "$defs"
    name = f"moved/{rng.randrange(10**6)}~x"
    document.setdefault(word, {})[name] = holder[key]
    holder[key] = {"$ref": f"#/{word}/{name.replace('~', '~0').replace('/', '~1')}"}
    return True


def references_renamed(rng: random.Random, document: dict[str, Any]) -> bool:
    """Other names for the definitions."""
    word = "definitions" if "definitions" in document else "$defs"
    names = [name for name in document.get(word, {}) if name.startswith("d")]
    for name in names:
        document[word][f"renamed {name}"] = document[word].pop(name)
    for schema in _schemas(document):
        ref = schema.get("$ref", "")
        if ref.split("/")[-1] in names:
            schema["$ref"] = f"#/{word}/renamed%20{ref.split('/')[-1]}"
    # What leads to the new names keeps them: they are not renamed twice.
    return bool(names)


def wrapped(rng: random.Random, document: dict[str, Any]) -> bool:
    """A schema as the only one of an ``allOf`` or an ``anyOf``; ``type`` as a list of one; ``true`` as ``{}``."""
    spots = _spots(document)
    if not spots:
        return False
    for holder, key in rng.sample(spots, min(3, len(spots))):
        schema = holder[key]
        if schema is True or schema == {}:
            holder[key] = {} if schema is True else True
        elif isinstance(schema, dict) and isinstance(schema.get("type"), str) and rng.random() < 0.5:
            schema["type"] = [schema["type"]]
        elif not (isinstance(holder, dict) and key in ("items", "not", "if")):
            holder[key] = {rng.choice(["allOf", "anyOf", "oneOf"]): [schema]}
    return True


def idle_words(rng: random.Random, document: dict[str, Any]) -> bool:
    """Keywords that say nothing where they stand."""
    done = False
    for schema in _schemas(document):
        idle: dict[str, Any] = {
            "string": {"minLength": 0, "pattern": "", "minimum": 3},
            "integer": {"multipleOf": 1, "maxLength": 1},
            "number": {"required": ["a"]},
            "object": {"minProperties": 0, "required": [], "maxItems": 1},
            "array": {"minItems": 0, "uniqueItems": False, "properties": {"a": False}},
        }.get(str(schema.get("type")), {"title": "a title", "description": "words", "$comment": "more words"})
        if "$ref" not in schema and rng.random() < 0.5:
            word = rng.choice(list(idle))
            if word not in schema and "unevaluatedProperties" not in schema:
                schema[word] = copy.deepcopy(idle[word])
                done = True
    return done


def enum_as_union(rng: random.Random, document: dict[str, Any]) -> bool:
    """An enum as a union of constants."""
    done = False
    for holder, key in _spots(document):
        schema = holder[key]
        if isinstance(schema, dict) and schema.keys() == {"enum"} and schema["enum"]:
            branches = [{"const": each} for each in schema["enum"]]
            different = len({repr(each) for each in branches}) == len(branches) and 1.0 not in schema["enum"]
            holder[key] = {"oneOf" if different and True not in schema["enum"] else "anyOf": branches}
            done = True
    return done


def in_the_other_dialect(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of draft 7 as one of 2020-12, or the reverse where it has nothing that draft 7 has not."""
    result = copy.deepcopy(document)
    to_latest = result.get("$schema") == DRAFT_7
    only_latest = {"unevaluatedProperties", "minContains", "maxContains"}
    if not to_latest and any(schema.keys() & only_latest for schema in _schemas(result)):
        return result
    for schema in _schemas(result):
        _converted(schema, to_latest)
    old, new = ("definitions", "$defs") if to_latest else ("$defs", "definitions")
    for schema in _schemas(result):
        if isinstance(schema.get("$ref"), str):
            schema["$ref"] = schema["$ref"].replace(f"#/{old}/", f"#/{new}/")
    if old in result:
        result[new] = result.pop(old)
    result["$schema"] = LATEST if to_latest else DRAFT_7
    if not to_latest:
        for schema in _schemas(result):
            if "$ref" in schema and len(schema) > 1:
                schema["allOf"] = [*schema.get("allOf", ()), {"$ref": schema.pop("$ref")}]
    return result


def _converted(schema: dict[str, Any], to_latest: bool) -> None:
    if to_latest:
        if isinstance(schema.get("items"), list):
            first = schema.pop("items")
            if "additionalItems" in schema:
                schema["items"] = schema.pop("additionalItems")
            schema["prefixItems"] = first
        schema.pop("additionalItems", None)
        for name, each in schema.pop("dependencies", {}).items():
            schema.setdefault("dependentRequired" if isinstance(each, list) else "dependentSchemas", {})[name] = each
        return
    if "prefixItems" in schema:
        rest = {"additionalItems": schema.pop("items")} if "items" in schema else {}
        schema |= {"items": schema.pop("prefixItems")} | rest
    for word in ("dependentRequired", "dependentSchemas"):
        for name, each in schema.pop(word, {}).items():
            dependencies = schema.setdefault("dependencies", {})
            if name in dependencies:
                schema.setdefault("allOf", []).append({"dependencies": {name: each}})
            else:
                dependencies[name] = each


REWRITES: dict[str, Callable[[random.Random, dict[str, Any]], bool]] = {
    "order": order_of_lists,
    "nullable": nullable,
    "whole bounds": whole_bounds,
    "const and enum": constants,
    "$ref inline": references_inline,
    "$ref moved": references_moved,
    "$ref renamed": references_renamed,
    "wrapped": wrapped,
    "idle words": idle_words,
    "enum as union": enum_as_union,
}
