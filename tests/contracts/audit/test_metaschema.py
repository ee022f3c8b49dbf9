"""What is a JSON Schema and what is not: the same verdict as the metaschemas, and a clause that says what is wrong."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_workbench.contracts.audit.metaschema import faults
from mcp_workbench.contracts.audit.subschemas import read_subschemas

VALIDATORS = {
    7: jsonschema.Draft7Validator,
    2019: jsonschema.Draft201909Validator,
    2020: jsonschema.Draft202012Validator,
}
VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        2.0,
        -1,
        2.5,
        "",
        "a",
        "string",
        [],
        ["a"],
        ["a", "a"],
        ["string"],
        [1],
        {},
        {"a": {}},
        {"a": 1},
    ]
)
WORDS = [
    *("type", "enum", "const", "required", "minLength", "maxItems", "minimum", "exclusiveMaximum", "multipleOf"),
    *("uniqueItems", "pattern", "format", "title", "description", "default", "examples", "minProperties", "$comment"),
    *("properties", "patternProperties", "additionalProperties", "items", "contains", "propertyNames", "not", "if"),
    *("then", "else", "allOf", "anyOf", "oneOf"),
]
NEWER_WORDS = ["$defs", "dependentSchemas", "dependentRequired", "unevaluatedProperties", "deprecated", "maxContains"]


def schemas(words: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    flat = st.dictionaries(st.sampled_from(words), VALUES, max_size=3)
    holders = [
        flat,
        st.builds(lambda inner: {"properties": {"a": inner}}, flat),
        st.builds(lambda inner: {"anyOf": [inner]}, flat),
        st.builds(lambda inner: {"items": inner}, flat),
        st.builds(lambda inner, more: more | {"not": inner}, flat, flat),
    ]
    return st.one_of(holders)


def told(schema: dict[str, Any], year: int) -> list[tuple[str, str]]:
    return list(faults(read_subschemas(schema).listed, year))


def is_schema(schema: dict[str, Any], year: int) -> bool:
    validator = VALIDATORS[year]
    return validator(validator.META_SCHEMA).is_valid(schema)


@settings(max_examples=300)
@given(schemas(WORDS + NEWER_WORDS))
def test_the_verdict_is_that_of_the_metaschema_of_2020_12(schema: dict[str, Any]) -> None:
    assert (told(schema, 2020) == []) is is_schema(schema, 2020)


@given(schemas(WORDS))
def test_the_verdict_is_that_of_the_metaschema_of_draft_7(schema: dict[str, Any]) -> None:
    # The empty list under "items" is no schema there either; it is read as an empty tuple here.
    assert (told(schema, 7) == []) is is_schema(schema, 7) or "items" in str(schema)


@given(schemas([word for word in WORDS + NEWER_WORDS if word != "items"]))
def test_the_verdict_is_that_of_the_metaschema_of_2019_09(schema: dict[str, Any]) -> None:
    assert (told(schema, 2019) == []) is is_schema(schema, 2019)


@pytest.mark.parametrize(
    ("schema", "path", "clause"),
    [
        ({"properties": {"a": {"type": "text"}}}, "a", '"type" is "text" instead of one of null, boolean, integer'),
        ({"properties": {"a": "string"}}, "a", '"string" stands where a schema belongs'),
        ({"items": {"minLength": -1}}, "[]", '"minLength" is -1 instead of a whole number, 0 or more'),
        ({"required": "a"}, "", '"required" is "a" instead of a list of names, each once'),
        ({"anyOf": []}, "", '"anyOf" is a list instead of a list of one or more schemas'),
        ({"items": [{}]}, "", '"items" is a list, which is "prefixItems" since 2020-12'),
        ({"minimum": True}, "", '"minimum" is true instead of a number'),
        ({"$defs": {"A": {"pattern": 1}}}, "$defs.A", '"pattern" is 1 instead of a text'),
    ],
)
def test_a_fault_says_where_it_is_what_stands_there_and_what_belongs_there(
    schema: dict[str, Any], path: str, clause: str
) -> None:
    found = told(schema, 2020)
    assert [each[0] for each in found] == [path]
    assert found[0][1].startswith(clause)


def test_in_draft_4_exclusive_bounds_are_switches() -> None:
    assert told({"minimum": 1, "exclusiveMinimum": True}, 4) == []
    assert told({"exclusiveMinimum": 1}, 4) != []
    assert told({"exclusiveMinimum": True}, 2020) != []


def test_a_pattern_is_text_and_nothing_more() -> None:
    assert told({"pattern": "(((", "patternProperties": {"[": {}}}, 2020) == []
