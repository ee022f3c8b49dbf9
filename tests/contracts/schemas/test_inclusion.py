"""Whether all values of one schema are values of another, and whether one value conforms."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_workbench.contracts.schemas.changes import conforms
from mcp_workbench.contracts.schemas.inclusion import TO_THE_LETTER, Prover
from mcp_workbench.contracts.schemas.nodes import Budget, read_document

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def proven(small: Any, big: Any, lenient: bool = False) -> frozenset[str] | None:
    budget = Budget()
    nodes = [read_document(each, budget).node(each) for each in (small, big)]
    return Prover(budget, lenient).proof(*nodes)


def inside(small: Any, big: Any) -> bool:
    return proven(small, big) is not None


@pytest.mark.parametrize(
    ("small", "big"),
    [
        (False, {"type": "string"}),
        ({"type": "string"}, True),
        ({"type": "integer"}, {"type": "number"}),
        ({"type": "integer", "multipleOf": 6}, {"multipleOf": 1.5}),
        ({"type": "number", "exclusiveMinimum": 0}, {"minimum": 0}),
        ({"enum": [1, "a", None, [1], {"a": 1}]}, {"type": ["integer", "string", "null", "array", "object"]}),
        ({"enum": [{"a": 1}]}, {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
        ({"enum": ["a", "b"], "pattern": "^x"}, {"type": "string", "pattern": "^x"}),
        ({"enum": [1, 2, 3], "not": {"const": 2}}, {"enum": [1, 3]}),
        ({"type": "boolean"}, {"anyOf": [{"const": True}, {"const": False}]}),
        ({"minimum": 0, "type": "number"}, {"anyOf": [{"type": "number", "maximum": 5}, {"exclusiveMinimum": 5}]}),
        ({"type": "integer"}, {"anyOf": [{"type": "integer", "maximum": 5}, {"type": "integer", "minimum": 6}]}),
        ({"type": "array", "items": False}, {"type": "array", "maxItems": 0}),
        ({"type": "array", "maxItems": 1}, {"type": "array", "uniqueItems": True}),
        (
            {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}, "maxItems": 1},
            {"type": "array", "items": {"type": "string"}},
        ),
        ({"type": "object", "required": ["a", "b"]}, {"type": "object", "minProperties": 2}),
        (
            {"type": "object", "properties": {"a": True}, "additionalProperties": False},
            {"type": "object", "maxProperties": 1, "propertyNames": {"enum": ["a", "b"]}},
        ),
        (
            {"type": "object", "properties": {"a": False}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "null"}}},
        ),
        (
            {"type": "object", "dependentRequired": {"a": ["b"], "b": ["c"]}},
            {"type": "object", "dependentRequired": {"a": ["c"]}},
        ),
        (
            {"type": "object", "patternProperties": {"^x": {"const": 1}}, "additionalProperties": {"const": 2}},
            {"type": "object", "properties": {"q": {"enum": [1, 2]}}, "additionalProperties": {"type": "integer"}},
        ),
        (
            {"type": "object", "patternProperties": {"^x": {"const": 1}}},
            {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
        ),
        (
            {"type": "object", "patternProperties": {"": {"const": 1}}, "additionalProperties": {"type": "string"}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        ({"type": "string", "format": "uri"}, {"type": "string", "format": "iri-reference"}),
        ({"type": "integer", "format": "int32"}, {"type": "integer", "format": "int64"}),
        ({"not": {"anyOf": [{"type": "null"}, {"type": "object"}]}}, {"not": {"type": "object"}}),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, False),
        ({"const": 1.0}, {"type": "integer"}),
        ({"$schema": DRAFT_4, "maximum": 3, "exclusiveMaximum": True}, {"exclusiveMaximum": 3}),
        ({"$schema": DRAFT_7, "type": "array", "prefixItems": [{"type": "string"}]}, {"type": "array"}),
    ],
)
def test_values_that_are_among_the_others_are_proven_to_be(small: Any, big: Any) -> None:
    assert inside(small, big)


@pytest.mark.parametrize(
    ("small", "big"),
    [
        (True, {"type": ["null", "boolean", "integer", "string", "array", "object"]}),
        ({"type": "number"}, {"type": "integer"}),
        ({"const": True}, {"const": 1}),
        ({"const": "1"}, {"const": 1}),
        ({"type": "number"}, {"anyOf": [{"type": "number", "maximum": 5}, {"type": "number", "minimum": 6}]}),
        ({"type": "number"}, {"anyOf": [{"exclusiveMaximum": 5}, {"exclusiveMinimum": 5}]}),
        ({"type": "string"}, {"type": "string", "pattern": "^.*$"}),
        ({"type": "array"}, {"type": "array", "prefixItems": [{"type": "string"}]}),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "required": ["a"]}),
        ({"type": "object"}, {"type": "object", "properties": {"a": {"type": "string"}}}),
        (
            {"type": "object", "patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
            {"type": "object", "properties": {"ab": {"type": "string"}}},
        ),
        (
            {"type": "object", "properties": {"ab": {"type": "string"}}},
            {"type": "object", "patternProperties": {"^a": {"type": "integer"}}},
        ),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, {"oneOf": [{"type": "integer"}, {"type": "number"}]}),
        ({"type": "object", "properties": {"a": True}}, {"unevaluatedProperties": False, "properties": {"a": True}}),
        ({"type": "array"}, {"contains": {"type": "string"}}),
        ({"type": "string"}, {"$ref": "https://example.org/abroad"}),
        ({"type": "string"}, {"type": "string", "format": "date"}),
        ({"type": "string"}, {"$schema": "https://example.org/dialect", "type": "string"}),
        (
            {"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"const": 1}}},
            {"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"const": 2}}},
        ),
        (
            {"$ref": "item.json", "$defs": {"a": {"$id": "item.json", "type": "string"}}},
            {"$ref": "item.json", "$defs": {"a": {"$id": "item.json", "type": "integer"}}},
        ),
    ],
)
def test_values_that_are_not_among_the_others_are_not_proven_to_be(small: Any, big: Any) -> None:
    assert not inside(small, big)


def _linked(value: dict[str, Any], *, name: str = "node", inline: bool = False) -> dict[str, Any]:
    node = {"type": "object", "properties": {"value": value, "next": {"$ref": f"#/$defs/{name}"}}}
    return {"$defs": {name: node}} | (node if inline else {"$ref": f"#/$defs/{name}"})


def test_recursive_schemas_are_decided() -> None:
    assert inside(_linked({"type": "integer"}), _linked({"type": "number"}, name="other", inline=True))
    assert not inside(_linked({"type": "number"}), _linked({"type": "integer"}))


def test_a_proof_that_rests_on_a_pair_that_falls_later_falls_with_it() -> None:
    # b.a leads back to the pair at the top, which only fails at its last property.
    def schema(last: dict[str, Any]) -> dict[str, Any]:
        top = {"type": "object", "properties": {"b": {"$ref": "#/$defs/b"}, "z": last}}
        b = {"type": "object", "properties": {"a": {"$ref": "#/$defs/top"}}}
        both = {"type": "object", "properties": {"one": {"$ref": "#/$defs/top"}, "two": {"$ref": "#/$defs/b"}}}
        return {"$ref": "#/$defs/both", "$defs": {"top": top, "b": b, "both": both}}

    budget = Budget()
    documents = [read_document(schema({"type": each}), budget) for each in ("number", "integer")]
    prover = Prover(budget, lenient=False)
    nodes = [document.scope.part(document.raw["$defs"]["b"]) for document in documents]
    assert prover.proof(*((document,) for document in documents)) is None
    assert prover.proof(*((node,) for node in nodes)) is None


def test_the_rule_on_optional_properties_is_in_the_notes_of_the_proof() -> None:
    old = {"type": "object", "properties": {"a": {"type": "string"}}}
    new = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    assert proven(old, new) is None
    assert proven(old, new, lenient=True) == {"b"}
    assert proven(new, old, lenient=True) == TO_THE_LETTER
    assert proven(old | {"additionalProperties": True}, new, lenient=True) is None
    assert proven(old, new | {"required": ["b"]}, lenient=True) is None
    assert proven(old, new | {"additionalProperties": False}, lenient=True) is None
    assert proven(old | {"patternProperties": {"^b": {"type": "string"}}}, new, lenient=True) is None


@pytest.mark.parametrize(
    ("value", "schema", "verdict"),
    [
        (1.0, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        (True, {"enum": [1]}, False),
        (0.3, {"multipleOf": 0.1}, True),
        (10**30, {"maximum": 10**30 - 1}, False),
        ("abc", {"maxLength": 2}, False),
        ("abc", {"pattern": "^a"}, None),
        ("abc", {"pattern": "^a", "maxLength": 2}, False),
        (5, {"pattern": "^a"}, True),
        ("abc", {"format": "date"}, None),
        ({"a": 1}, {"required": ["b"]}, False),
        ({"a": 1}, {"properties": {"a": {"type": "string"}}}, False),
        ({"a": 1}, {"patternProperties": {"^a": {"type": "string"}}}, None),
        ({"a": 1}, {"patternProperties": {"^a": {"type": "integer"}}}, True),
        ({"a": 1}, {"additionalProperties": False}, False),
        ({"a": 1}, {"dependentRequired": {"a": ["b"]}}, False),
        ({"a": 1}, {"dependentSchemas": {"a": {"required": ["b"]}}}, False),
        ({"a": 1}, {"propertyNames": {"maxLength": 0}}, False),
        ({"a": 1}, {"allOf": [True], "unevaluatedProperties": False}, None),
        ([1, "a"], {"prefixItems": [{"type": "integer"}], "items": False}, False),
        ([1, "a"], {"contains": {"type": "string"}, "maxContains": 1}, True),
        ([1, 1.0], {"uniqueItems": True}, False),
        ([1, True], {"uniqueItems": True}, True),
        (1, {"oneOf": [{"type": "integer"}, {"type": "number"}]}, False),
        (1, {"anyOf": [{"type": "string"}, {"$ref": "#/nowhere"}]}, None),
        (1, {"anyOf": [{"type": "integer"}, {"$ref": "#/nowhere"}]}, True),
        (1, {"if": {"type": "integer"}, "then": {"minimum": 2}}, False),
        (1, {"not": {"type": "integer"}}, False),
        (1, {"$ref": "#"}, None),
        (1, {"required": 5}, None),
        (1, 5, None),
        (float("nan"), {"type": "string"}, None),
        ([[[1]]], {"items": {"$ref": "#"}, "type": ["array", "integer"]}, True),
        (None, False, False),
    ],
)
def test_a_value_conforms_or_not_or_that_cannot_be_decided(value: Any, schema: Any, verdict: bool | None) -> None:
    assert conforms(value, schema) is verdict
