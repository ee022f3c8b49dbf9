"""Verdicts on schema changes against the meaning of the schemas, on random pairs and on hostile ones."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from schema_pairs import related_pair
from schema_proof import SIDES, harmful, hold_pairs, judge_rewrites
from tiny_schemas import tiny_pair

from mcp_workbench.contracts.schemas.changes import MAX_CHANGES, Verdict, compare_schemas, conforms

Schema = Any


@pytest.mark.no_cover
def test_what_is_called_compatible_is_so_for_all_values_that_were_tried() -> None:
    tally = hold_pairs(related_pair, seed=1, pairs=2_000, values=20)
    assert tally.contradictions == []
    # It would prove nothing if all were called breaking, all were equal, or no value were valid.
    assert tally.counts["compatible"] >= 1_000
    assert tally.counts["harmful"] >= 1_000
    assert tally.counts["valid values"] >= 20_000
    assert tally.counts["values set aside"] < tally.counts["values"] / 20


@pytest.mark.no_cover
def test_what_is_called_compatible_is_so_for_small_schemas_made_of_few_pieces() -> None:
    tally = hold_pairs(tiny_pair, seed=2, pairs=1_500, values=12)
    assert tally.contradictions == []
    assert tally.counts["compatible"] >= 300
    assert tally.counts["valid values"] >= 5_000


@pytest.mark.no_cover
def test_another_spelling_of_the_same_schema_is_no_change_that_harms() -> None:
    tally = judge_rewrites(seed=3, pairs=300)
    assert tally.contradictions == []
    assert tally.counts["rewrites accepted"] >= 300 * 0.95
    assert min(tally.counts[name] for name in ("nullable", "whole bounds", "$ref inline", "$ref moved", "dialect")) >= 8


def _narrowings(rng: random.Random, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return copies of a tool's schema, each with one edit after which some call that was valid is refused."""
    edits: list[Callable[[dict[str, Any]], Any]] = [
        lambda made: made["required"].append("limit"),
        lambda made: made.update(additionalProperties=False),
        lambda made: made["properties"].pop("mode") and made.update(additionalProperties=False),
        lambda made: made["properties"]["limit"].update(maximum=rng.randrange(50)),
        lambda made: made["properties"]["limit"].update(exclusiveMinimum=1),
        lambda made: made["properties"]["limit"].update(multipleOf=rng.choice([2, 5])),
        lambda made: made["properties"]["limit"].update(type="string"),
        lambda made: made["properties"]["mode"]["enum"].pop(rng.randrange(3)),
        lambda made: made["properties"]["mode"].update(const="a"),
        lambda made: made["properties"]["note"].update(type="string"),
        lambda made: made["properties"]["note"].update(maxLength=rng.randrange(9)),
        lambda made: made["properties"]["note"].update(pattern="^a"),
        lambda made: made["properties"]["note"].update(format="date"),
        lambda made: made["properties"]["tags"].update(uniqueItems=True),
        lambda made: made["properties"]["tags"].update(minItems=2),
        lambda made: made["properties"]["tags"]["items"]["anyOf"].pop(rng.randrange(2)),
        lambda made: made["properties"]["tags"].update(contains={"const": 1}),
        lambda made: made["properties"]["price"].update(type="integer"),
        lambda made: made["properties"]["price"].update({"not": {"const": 3}}),
        lambda made: made["$defs"]["tree"]["properties"]["value"].update(minimum=0),
        lambda made: made["$defs"]["tree"]["required"].append("children"),
        lambda made: made["$defs"]["tree"].update(maxProperties=1),
        lambda made: made.update(propertyNames={"maxLength": 5}),
        lambda made: made.update(dependentRequired={"limit": ["note"]}),
        lambda made: made.update(patternProperties={"^x-": {"type": "string"}}),
        lambda made: made.update(minProperties=3),
        lambda made: made["properties"]["target"]["oneOf"].pop(rng.randrange(2)),
        lambda made: made["properties"]["target"]["oneOf"][0]["properties"]["kind"].update(const="other"),
        lambda made: made.update({"if": {"required": ["limit"]}, "then": {"required": ["note"]}}),
    ]
    results = []
    for edit in edits:
        made = copy.deepcopy(schema)
        edit(made)
        results.append(made)
    return results


def _tool_schema() -> dict[str, Any]:
    tree = {
        "type": "object",
        "properties": {"value": {"type": "number"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        "required": ["value"],
    }
    kinds = [
        {"type": "object", "properties": {"kind": {"const": kind}, "at": {"type": "string"}}, "required": ["kind"]}
        for kind in ("file", "folder")
    ]
    return {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
            "mode": {"enum": ["a", "b", "c"]},
            "note": {"type": ["string", "null"]},
            "price": {"type": "number"},
            "tags": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            "tree": {"$ref": "#/$defs/tree"},
            "target": {"oneOf": kinds},
        },
        "required": ["mode"],
        "$defs": {"tree": tree},
    }


def test_every_known_narrowing_is_seen_on_the_side_where_it_harms() -> None:
    schema = _tool_schema()
    missed = [
        made
        for made in _narrowings(random.Random(4), schema)
        if not harmful(compare_schemas(schema, made, side="input"))
    ]
    assert missed == []
    widened = _narrowings(random.Random(5), schema)
    assert [made for made in widened if not harmful(compare_schemas(made, schema, side="output"))] == []


def _nested(depth: int, wrap: Callable[[Schema], Schema]) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(depth):
        schema = wrap(schema)
    return schema


def _doubling(word: str, depth: int) -> Schema:
    """Return a schema of ``depth`` definitions, each of which stands for the next one three times."""
    definitions: dict[str, Schema] = {"d0": {"type": "string"}}
    for place in range(1, depth):
        next_one = {"$ref": f"#/$defs/d{place - 1}"}
        inner: Schema = dict.fromkeys("abc", next_one) if word == "properties" else [next_one] * 3
        definitions[f"d{place}"] = {word: inner}
    return {"$ref": f"#/$defs/d{depth - 1}", "$defs": definitions}


def _in_a_circle() -> Schema:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schema["properties"]["self"] = schema
    return schema


def _aliases(depth: int) -> Schema:
    return _nested(depth, lambda inner: {"type": "object", "properties": dict.fromkeys("abc", inner)})


HOSTILE: dict[str, Schema] = {
    "10,000 objects deep": _nested(10_000, lambda inner: {"properties": {"a": inner}}),
    "10,000 lists deep": _nested(10_000, lambda inner: {"allOf": [inner]}),
    "10,000 times not": _nested(10_000, lambda inner: {"not": inner}),
    "40 times oneOf": _nested(40, lambda inner: {"oneOf": [inner, {"type": "integer"}]}),
    "40 times not": _nested(40, lambda inner: {"not": inner}),
    "500 references in a row": {
        "$ref": "#/$defs/0",
        "$defs": {str(place): {"$ref": f"#/$defs/{place + 1}", "minLength": 1} for place in range(500)},
    },
    **{f"3^30 by {word}": _doubling(word, 30) for word in ("anyOf", "allOf", "oneOf", "properties")},
    "10^12 combinations": {
        "allOf": [{"anyOf": [{"required": [f"p{i}{j}"]} for j in range(10)]} for i in range(12)],
    },
    "aliases, 3^30": _aliases(30),
    "a circle of objects": _in_a_circle(),
    "300 tagged objects": {
        "oneOf": [{"type": "object", "properties": {"k": {"const": i}}, "required": ["k"]} for i in range(300)]
    },
    "20,000 values": {"enum": list(range(20_000))},
    "2,000 properties": {"properties": {f"p{place}": {"type": "string"} for place in range(2_000)}},
    "300 patterns": {"patternProperties": {f"x{place}": {"minLength": place} for place in range(300)}},
    "a reference to itself": {"$ref": "#"},
    "a reference to itself in a union": {"anyOf": [{"$ref": "#"}, {"type": "string"}]},
    "not itself": {"not": {"$ref": "#"}},
    "contains itself": {"items": {"$ref": "#"}, "contains": {"$ref": "#"}},
    "one of itself": {"oneOf": [{"items": {"$ref": "#"}}, {"type": "array", "items": {"$ref": "#"}}]},
    "a reference to nowhere": {"$ref": "#/nowhere"},
    "a reference abroad": {"$ref": "https://example.org/schema"},
    "properties a number": {"properties": 5},
    "required an object": {"required": {"a": 1}},
    "required true": {"required": True},
    "a type nobody knows": {"type": "int"},
    "not a number": {"minimum": float("nan"), "enum": [float("nan")]},
    "infinite": {"maximum": float("inf")},
    "a huge number": {"minimum": 10**5000},
    "a long number": {"const": 10**1000},
    "tiny steps": {"multipleOf": 1e-300, "allOf": [{"multipleOf": 7e200}, {"multipleOf": 3.7}]},
    "keys that are no strings": {"properties": {1: {"type": "string"}}, None: 5},
    "what YAML makes of a date": {"enum": [b"bytes", object()]},
    "a pattern that does not compile": {"pattern": "(", "patternProperties": {"(": {"type": "string"}}},
    "a pattern that never ends": {"pattern": "^(a+)+$"},
    "names that move the cursor": {"properties": {"\x1b[2J\u202eevil": {"type": "string", "pattern": "\x00\x9b"}}},
    "branches that are no schemas": {"anyOf": [5, "x"], "allOf": {}, "oneOf": []},
    "an unknown dialect": {"$schema": "https://example.org/dialect", "type": "string"},
}


@pytest.mark.no_cover
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_raises_nothing_and_is_told_in_bounded_printable_words(name: str) -> None:
    schema = HOSTILE[name]
    for other in (
        {},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        False,
        HOSTILE["3^30 by properties"],
        {**schema, "minProperties": 11} if isinstance(schema, dict) else [schema],
    ):
        for old, new in ((schema, other), (other, schema)):
            for side in SIDES:
                changes = compare_schemas(old, new, side=side)
                assert len(changes) <= MAX_CHANGES + 1
                assert all(f"{each.where}{each.what}{each.why}".isprintable() for each in changes)
                assert all(len(each.where) + len(each.what) < 900 for each in changes)
    for value in (1, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", None, [[1]], {"a": {"a": {}}}, float("nan")):
        assert conforms(value, schema) in (True, False, None)


@pytest.mark.parametrize(
    "name", ["10,000 objects deep", "3^30 by properties", "a circle of objects", "a huge number", "10^12 combinations"]
)
def test_what_is_too_large_to_decide_is_never_called_compatible_with_something_else(name: str) -> None:
    other = {"type": "object", "properties": {"a": {"type": "object", "required": ["b"]}}}
    assert harmful(compare_schemas(HOSTILE[name], other, side="input"))


@pytest.mark.parametrize("name", ["10,000 objects deep", "aliases, 3^30", "a reference to nowhere", "required true"])
def test_a_hostile_schema_that_did_not_change_has_no_change(name: str) -> None:
    assert compare_schemas(HOSTILE[name], HOSTILE[name], side="input") == ()


def test_a_great_many_changes_are_counted_in_a_last_line_with_their_worst_class() -> None:
    old = {"properties": {f"p{place}": {"type": "string"} for place in range(500)}}
    new = {"properties": {f"p{place}": {"type": "integer"} for place in range(500)}}
    changes = compare_schemas(old, new, side="input")
    assert len(changes) == MAX_CHANGES + 1
    assert changes[-1].what == "300 more changes"
    assert changes[-1].verdict is Verdict.BREAKING
