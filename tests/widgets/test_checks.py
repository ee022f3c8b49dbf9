"""What is wrong with a value, and what a field takes, in words."""

from __future__ import annotations

from typing import Any

import pytest
from form_reading import one

from mcp_workbench.widgets.checks import best_branch, branch_name, fits, help_line, problems, sentence
from mcp_workbench.widgets.fields import UnionField


def wrong(node: Any, value: Any) -> str:
    return sentence(list(problems(one(node), value, "x")))


@pytest.mark.parametrize(
    ("node", "value", "said"),
    [
        ({"type": "string", "minLength": 2}, "a", "x: the text has 1 character, fewer than the minimum 2"),
        ({"type": "string", "maxLength": 2}, "abc", "x: the text has 3 characters, more than the maximum 2"),
        ({"type": "string"}, 5, "x: 5 is not text: give it in double quotes"),
        ({"type": "string", "format": "date"}, "2026-02-30", 'x: "2026-02-30" is not a date: write one such as'),
        ({"type": "string", "format": "date"}, "20260228", 'x: "20260228" is not a date'),
        ({"type": "string", "format": "time"}, "25:00:00", 'x: "25:00:00" is not a time'),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00", "with an offset: write one such as"),
        ({"type": "integer"}, 2.5, "x: 2.5 is not a whole number"),
        ({"type": "integer"}, True, "x: true is not a whole number"),
        ({"type": "number"}, "5", 'x: "5" is not a number'),
        ({"type": "number", "minimum": 1}, 0, "x: 0 is below the minimum 1"),
        ({"type": "number", "maximum": 31}, 40, "x: 40 is above the maximum 31"),
        ({"type": "number", "exclusiveMinimum": 1}, 1, "x: 1 is not above 1"),
        ({"type": "number", "exclusiveMaximum": 1}, 1.0, "x: 1.0 is not below 1"),
        ({"type": "number", "multipleOf": 0.1}, 0.25, "x: 0.25 is not a multiple of 0.1"),
        ({"enum": [1, "a"]}, True, 'x: true is none of the choices: choose 1 or "a"'),
        ({"enum": list(range(9))}, "z", "0 or 1 or 2 or 3 or 4 or another"),
        ({"type": "boolean"}, 0, "x: 0 is neither true nor false"),
        ({"type": "array", "minItems": 1}, [], "x: the list has 0 items, fewer than the minimum 1"),
        ({"type": "array", "uniqueItems": True}, [1, True, 1.0], "x: items 0 and 2 are equal: keep one of them"),
        ({"type": "array", "items": {"type": "integer"}}, [1, "b"], 'x[1]: "b" is not a whole number'),
        ({"type": "array", "prefixItems": [{}, {"type": "string"}]}, [1, 2], "x[1]: 2 is not text"),
        ({"type": "array"}, {}, "x: {} is not a list"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": "b"}, 'x.a: "b" is not a whole'),
        ({"type": "object"}, [], "x: [] is not a JSON object"),
        ({"properties": {"a": {}}, "required": ["a"]}, {}, "x.a: is required: write JSON"),
        ({"properties": {"a": {}}}, 5, "x: 5 is not an object"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "x.b: is no field here: remove it"),
        ({"properties": {}, "additionalProperties": {"type": "null"}}, {"b": 1}, "x.b: 1 is none of the choices"),
        ({"type": ["string", "array"], "items": {"type": "string"}}, 5, "x: 5 is not text or a list of text"),
        ({"anyOf": [{"type": "array"}] * 9}, 5, "or another kind"),
    ],
)
def test_a_wrong_value_is_named_by_its_path_with_what_to_do(node: Any, value: Any, said: str) -> None:
    assert said in wrong(node, value)


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"type": "integer"}, 5.0),
        ({"type": "integer", "multipleOf": 3}, 10**300 * 3),
        ({"type": "number", "multipleOf": 0.1}, 0.3),
        ({"type": "string", "format": "time"}, "14:30:00.5+02:00"),
        ({"type": "string", "format": "date-time"}, "2026-01-31t14:30:00z"),
        ({"type": "string", "pattern": "(a+)+$"}, "a" * 50 + "b"),
        ({"type": ["string", "null"]}, None),
        ({"enum": [1]}, 1.0),
        ({"prefixItems": [{"type": "string"}]}, ["a", "more"]),
        ({}, {"any": [None]}),
    ],
)
def test_a_right_value_is_right(node: Any, value: Any) -> None:
    assert wrong(node, value) == ""


def test_a_sentence_names_a_bounded_number_of_problems() -> None:
    found = list(problems(one({"type": "array", "items": {"type": "string"}}), list(range(50)), "x"))
    assert sentence(found).endswith("; and 30 more")


def test_of_the_branches_that_fit_the_one_that_knows_most_names_is_best() -> None:
    small, large = ({"properties": {name: {"type": "integer"} for name in names}} for names in ("a", "ab"))
    field = one({"anyOf": [small, large, {"type": "string"}]})
    assert isinstance(field, UnionField)
    assert [best_branch(field, v) for v in ({"a": 1}, {"a": 1, "b": 2}, "x", None)] == [0, 1, 2, None]


def test_the_help_line_says_kind_bounds_pattern_and_default() -> None:
    number = one({"type": "integer", "minimum": 1, "maximum": 50, "default": 10, "description": "How many."})
    assert help_line(number, required=False) == "How many. A whole number, at least 1, at most 50. Default: 10."
    text = one({"type": ["string", "null"], "minLength": 1, "maxLength": 1, "pattern": "^a\n", "format": "uri"})
    assert help_line(text, required=False) == (
        "Text, format uri, exactly 1 character, or null. Pattern, which the server checks: ^a."
        " Optional: left out when blank."
    )
    secret = one({"type": "string", "format": "password", "default": "hush"})
    assert "hush" not in help_line(secret, required=True)
    assert help_line(one({"const": "cat"}), required=True) == 'Always "cat".'
    assert "no two equal" in help_line(one({"type": "array", "uniqueItems": True, "maxItems": 3}), required=True)
    assert "because the schema refers to itself" in help_line(one({"$ref": "#/properties/x"}), required=True)
    assert "Note: there are too many choices" in help_line(one({"enum": ["a"] * 999}), required=True)


def test_branches_are_named_by_title_tag_or_kind() -> None:
    nodes = [{"type": "string", "title": "Name"}, {"type": ["string", "null"]}, {"const": 5}, {"enum": [1, 2]}, {}]
    names = ["Name", "text or null", "5", "one of the choices", "any JSON"]
    assert [branch_name(one(node)) for node in nodes] == names
    union = one({"anyOf": [{"type": "array"}, {"type": "string", "format": "date"}]})
    assert fits(union, "2026-01-01")
    assert branch_name(union) == "one of several kinds"
