"""Arguments made from an input schema."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import validator_for

from mcp_workbench.errors import UsageError
from mcp_workbench.load.workloads.arguments import MAX_SIZE, generated_arguments
from mcp_workbench.workbook import shipped

CONTRACTS = sorted(shipped("data").glob("contracts/**/*-*.yaml"))


def schemas() -> Iterator[Any]:
    for file in CONTRACTS:
        for tool in yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["tools"]:
            yield pytest.param(tool["input_schema"], id=f"{file.stem}-{tool['name']}")


def one(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize("schema", list(schemas()))
def test_arguments_for_every_tool_of_the_desk_and_of_the_reference_servers_are_valid(schema: dict[str, Any]) -> None:
    validator = validator_for(schema)(schema, format_checker=FormatChecker())
    made = generated_arguments(schema, 5)
    assert len(made) >= (3 if schema.get("properties") else 1)
    assert all(validator.is_valid(arguments) for arguments in made)


COUNTS = st.integers(0, 4)
SCALARS = st.one_of(
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, st.integers(-50, 50), COUNTS
    ),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.floats(-9, 9, allow_subnormal=False)),
    st.builds(
        lambda high, step: {"type": "number", "maximum": high, "multipleOf": step},
        COUNTS,
        st.sampled_from([0.5, 2, 0.1]),
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, st.integers(0, 40), COUNTS
    ),
    st.sampled_from(
        [
            {"type": "boolean"},
            {"type": "null"},
            {"const": {"a": [1]}},
            {"enum": ["x", 1, None]},
            {"type": ["string", "null"]},
            {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$", "maxLength": 6},
            {"type": "string", "format": "uuid"},
            {},
            True,
        ]
    ),
)


def _object(properties: dict[str, Any], required: bool, closed: bool) -> dict[str, Any]:
    told = {"type": "object", "properties": properties, "required": list(properties) if required else []}
    return told | ({"additionalProperties": False} if closed else {})


PARTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(
            lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
            inner,
            COUNTS,
            COUNTS,
        ),
        st.builds(
            lambda items: {"type": "array", "prefixItems": items, "minItems": len(items)},
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(
            lambda values, low: {"type": "object", "additionalProperties": values, "minProperties": low}, inner, COUNTS
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(_object, st.dictionaries(st.sampled_from("abc"), inner, max_size=3), st.booleans(), st.booleans()),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), PARTS, max_size=3), st.booleans(), st.booleans())
def test_what_is_made_is_valid_and_of_common_schemas_there_is_always_some(
    properties: dict[str, Any], required: bool, closed: bool
) -> None:
    schema = _object(properties, required, closed)
    validator = Draft202012Validator(schema)
    made = generated_arguments(schema, 4)
    assert 1 <= len(made) <= 4
    assert all(validator.is_valid(arguments) for arguments in made)


def test_first_come_the_required_ones_alone_and_then_all_of_them() -> None:
    schema = one(a={"type": "integer"}) | {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}
    least, most, *_ = generated_arguments(schema)
    assert (set(least), set(most)) == ({"a"}, {"a", "b"})


def test_they_are_the_same_in_every_process_and_others_for_another_seed() -> None:
    schema = one(
        a={"type": "string"}, b={"type": "array", "items": {"type": "number"}}, c={"format": "uuid", "type": "string"}
    )
    words = (
        "import json, sys; from mcp_workbench.load.workloads.arguments import generated_arguments; "
        "print(json.dumps(generated_arguments(json.loads(sys.argv[1]), 9, 3)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", words, json.dumps(schema)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert json.loads(done.stdout) == list(generated_arguments(schema, 9, 3))
    assert generated_arguments(schema, 9, 3) != generated_arguments(schema, 9, 4)


def test_chance_elsewhere_is_neither_used_nor_changed() -> None:
    random.seed(1)
    before = random.getstate()
    generated_arguments(one(a={"type": "string"}))
    assert random.getstate() == before


def test_where_a_schema_allows_few_there_are_few() -> None:
    assert generated_arguments({"type": "object"}) == ({},)
    assert len(generated_arguments(one(a={"enum": [1, 2, 3]}))) == 3


def test_nobody_is_called_by_what_is_made() -> None:
    made = generated_arguments(one(a={"type": "string", "format": "uri"}, b={"type": "string", "format": "email"}))
    assert all(".invalid/" in each["a"] and each["b"].endswith(".invalid") for each in made)


def test_what_need_not_be_there_and_cannot_be_made_is_left_out() -> None:
    tree = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"name": {"type": "string", "minLength": 1}, "left": {"$ref": "#/$defs/Node"}},
                "required": ["name"],
            }
        },
    }
    look = one(a={"type": "integer"})
    look["properties"] |= {"b": {"type": "string", "pattern": "(?=x)x"}}
    for schema in (tree, look):
        assert all(Draft202012Validator(schema).is_valid(each) for each in generated_arguments(schema))


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = one(a=schema)
    return schema


def doubling(times: int) -> dict[str, Any]:
    steps: dict[str, Any] = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(times)}
    return one(a={"$ref": "#/$defs/d0"}) | {"$defs": steps | {f"d{times}": {}}}


ENDLESS: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"$ref": "#/properties/a"}}
FULL = {
    "type": "array",
    "minItems": 50,
    "items": {"type": "array", "minItems": 50, "items": {"type": "array", "minItems": 50}},
}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (one(a={"type": "array", "minItems": 10**9}), "too large"),
        (one(a={"type": "string", "minLength": 10**9}), "too large"),
        (one(a={"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 10**9}), "too large"),
        (one(a=FULL), "too large"),
        (one(a={"type": "string", "default": "x" * MAX_SIZE, "enum": ["y" * MAX_SIZE]}), "too large"),
        (one(a={"type": "number", "minimum": 10**400}), "too large"),
        (one(a={"type": "integer", "minimum": 3, "maximum": 2}), "leave none"),
        (one(a={"type": "number", "minimum": 3, "maximum": 2}), "leave none"),
        (one(a={"type": "string", "pattern": "^a{9}$", "maxLength": 3}), "as long as it has to be"),
        (one(a={"type": "string", "pattern": "(?=x)x"}), "the pattern of 'a' is not read: it looks around"),
        (one(a=ENDLESS), "refers to itself"),
        (one(a={"$ref": "https://example.com/other.json"}), "does not hold"),
        (one(a={"allOf": [{"minimum": 1}, {"maximum": 2}]}), "combines several"),
        (one(a={"type": "array", "items": {"enum": [1]}, "minItems": 2, "uniqueItems": True}), "more than is read"),
        (one(a={"not": {}}), "more than is read"),
        (one(a=False), "nothing that can be read"),
        (nested(70), "deep"),
        (nested(20), "deep"),
        (doubling(40), "combines several"),
        ({"type": "object", "not": {"type": "object"}}, "more than is read"),
        ({"type": "object", "unevaluatedProperties": {"$dynamicRef": "#x"}, "allOf": [{}]}, "cannot be decided"),
        ({"a": "x" * 600_000}, "too large"),
    ],
)
def test_a_schema_that_cannot_be_served_is_refused_in_one_sentence(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as told:
        generated_arguments(schema)
    assert str(told.value).endswith("; write arguments of your own")
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("count", [0, -1, True, 2.0, 1_001])
def test_a_count_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(UsageError, match="is no number of arguments"):
        generated_arguments({}, count)
