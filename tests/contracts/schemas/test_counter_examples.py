"""Pairs of schemas that were called compatible although a value proves that they are not; each must stay found."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from jsonschema import FormatChecker
from jsonschema.validators import validator_for
from schema_proof import harmful

from mcp_workbench.contracts.schemas.changes import compare_schemas

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"

Side = Literal["input", "output"]


def counted(least: int, most: int) -> dict[str, Any]:
    return {"type": "object", "minProperties": least, "maxProperties": most}


def inner_address(leaf: str) -> dict[str, Any]:
    inner = {"id": "http://x/", "definitions": {"t": {"type": leaf}}, "properties": {"b": {"$ref": "#/definitions/t"}}}
    return {"$schema": DRAFT_4, "properties": {"a": inner}, "definitions": {"t": {"type": "integer"}}}


# Old schema, new schema, side, and a value that is valid under the one that must be included, not under the other.
PROVEN: dict[str, tuple[Any, Any, Side, Any]] = {
    "bounds side by side in a text": ({"not": counted(11, 23)}, {"not": counted(1, 123)}, "input", {"a": 1}),
    "bounds side by side in contains": (
        {"contains": counted(1, 123)},
        {"contains": counted(11, 23)},
        "input",
        [{"a": 1}],
    ),
    "an if alone evaluates": (
        {"if": {"properties": {"a": True}}, "unevaluatedProperties": False},
        {"additionalProperties": False},
        "input",
        {"a": 1},
    ),
    "an if alone in a branch evaluates": (
        {"anyOf": [{"if": {"properties": {"a": True}}}], "unevaluatedProperties": False},
        {"anyOf": [{}], "unevaluatedProperties": False},
        "input",
        {"a": 1},
    ),
    "unevaluatedProperties that allows all evaluates all": (
        {"allOf": [{"unevaluatedProperties": True}], "unevaluatedProperties": False},
        {"allOf": [{}], "unevaluatedProperties": False},
        "input",
        {"a": 1},
    ),
    "unevaluatedItems that allows all evaluates all": (
        {"allOf": [{"unevaluatedItems": True}], "unevaluatedItems": False},
        {"allOf": [{}], "unevaluatedItems": False},
        "input",
        [1],
    ),
    "1.0 is no integer of draft 4": (
        {"$schema": DRAFT_4, "type": "number", "multipleOf": 1},
        {"$schema": DRAFT_4, "type": "integer"},
        "input",
        1.0,
    ),
    "1.0 was an integer in draft 7": (
        {"$schema": DRAFT_7, "type": "integer"},
        {"$schema": DRAFT_4, "type": "integer"},
        "input",
        1.0,
    ),
    "1.0 in a list is no integer of draft 4": (
        {"$schema": DRAFT_4, "enum": [1.0, 2]},
        {"$schema": DRAFT_4, "type": "integer"},
        "input",
        1.0,
    ),
    "an inner id moves references": (
        inner_address("string"),
        {"$schema": DRAFT_4, "properties": {"a": {"properties": {"b": {"type": "integer"}}}}},
        "input",
        {"a": {"b": "s"}},
    ),
    "another dialect inside ignores what is beside a reference": (
        {
            "properties": {"a": {"$schema": DRAFT_7, "$ref": "#/$defs/x", "maxLength": 2}},
            "$defs": {"x": {"type": "string"}},
        },
        {"properties": {"a": {"$schema": DRAFT_7, "$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "integer"}}},
        "input",
        {"a": "b"},
    ),
    "a host name that IDNA refuses": ({"format": "hostname"}, {"format": "idn-hostname"}, "input", "ab--cd.com"),
    "a decimal that does not divide a decimal": ({"enum": [0.3]}, {"enum": [0.3], "multipleOf": 0.1}, "input", 0.3),
    "a decimal that does not divide another": (
        {"type": "number", "multipleOf": 0.3},
        {"type": "number", "multipleOf": 0.1},
        "input",
        0.3,
    ),
}

# Where validators do not agree, or raise: what the schemas mean is not known, so that no value is given.
DISPUTED: dict[str, tuple[Any, Any]] = {
    "contains evaluates items since 2020-12": (
        {"allOf": [{"contains": {"type": "string"}}], "unevaluatedItems": False},
        {"$schema": DRAFT_2019, "allOf": [{"contains": {"type": "string"}}], "unevaluatedItems": False},
    ),
    "a reference in a list of items": (
        {"type": "array", "items": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}},
        {"type": "array", "items": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "integer"}}},
    ),
    "dependencies in an unsaid dialect": ({"dependencies": {"a": ["b"]}}, {"dependencies": {"a": ["c"]}}),
    "additionalItems in an unsaid dialect": (
        {"items": [{}], "additionalItems": {"type": "string"}},
        {"items": [{}], "additionalItems": {"type": "integer"}},
    ),
    "dependencies in another dialect inside": (
        {"properties": {"a": {"$schema": DRAFT_7, "dependencies": {"a": ["b"]}}}},
        {"properties": {"a": {"$schema": DRAFT_7, "dependencies": {"a": ["c"]}}}},
    ),
    "draft 7 by its address with https": (
        {"$schema": DRAFT_7.replace("http:", "https:"), "dependencies": {"a": ["b"]}},
        {"$schema": DRAFT_7.replace("http:", "https:"), "dependencies": {"a": ["c"]}},
    ),
}


@pytest.mark.parametrize(("old", "new", "side", "value"), PROVEN.values(), ids=PROVEN)
def test_a_change_is_harmful_where_a_value_proves_it(old: Any, new: Any, side: Side, value: Any) -> None:
    # Given
    included, including = (old, new) if side == "input" else (new, old)
    formats = FormatChecker(["idn-hostname", "hostname"])
    # When, Then
    assert validator_for(included)(included, format_checker=formats).is_valid(value)
    if "format" not in including:  # that needs a package beside jsonschema
        assert not validator_for(including)(including).is_valid(value)
    assert harmful(compare_schemas(old, new, side=side))


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize(("old", "new"), DISPUTED.values(), ids=DISPUTED)
def test_a_change_is_harmful_where_nobody_can_say_what_it_means(old: Any, new: Any, side: Side) -> None:
    assert harmful(compare_schemas(old, new, side=side))


def many_objects(count: int) -> dict[str, Any]:
    return {"enum": [{"a": [each] * 20} for each in range(count)]}


def dense(shift: int) -> dict[str, Any]:
    return {"dependentRequired": {str(i): [str(j + shift) for j in range(200)] for i in range(200)}}


def abroad(count: int) -> dict[str, Any]:
    references = {str(each): {"$ref": f"http://x/{'y' * 900}{each}"} for each in range(count)}
    return {"properties": references, "$defs": {"q": {"$id": "http://z"}}}


def marked(width: int) -> dict[str, Any]:
    return {
        "oneOf": [
            {"properties": {"k": {"enum": [str(j) for j in range(i * 1000, i * 1000 + width)]}}, "required": ["k"]}
            for i in range(64)
        ]
    }


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (many_objects(3_000), many_objects(3_001)),
        (dense(0), dense(1)),
        (abroad(3_000), abroad(2_999)),
        (marked(1_000), marked(1_001)),
    ],
    ids=["a list of objects", "dense dependencies", "references abroad", "long marks"],
)
def test_a_large_change_is_found_in_bounded_work(narrow: Any, wide: Any) -> None:
    assert any(harmful(compare_schemas(*pair, side="input")) for pair in ((narrow, wide), (wide, narrow)))
