"""What listing all errors would cost, counted before it is done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.controls.compiling import compiled
from mcp_workbench.controls.weighing import costs_little, is_large

NAMES = st.sampled_from("abc")
TEXTS = {"type": "array", "items": {"type": "string"}}
VALUES = st.recursive(
    st.none() | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=60) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=80,
)
UNIONS = st.sampled_from(["anyOf", "allOf"])
SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.sampled_from([{"type": "string"}, {"minimum": 20, "multipleOf": 7}, {"$ref": "#/$defs/R"}]),
    lambda inner: st.one_of(
        st.builds(lambda each: {"items": each}, inner),
        st.builds(lambda each: {"prefixItems": each}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda each: {"properties": each, "required": ["d"]}, st.dictionaries(NAMES, inner, max_size=3)),
        st.builds(lambda each: {"additionalProperties": each}, inner),
        st.builds(lambda each: {"patternProperties": {"": each}}, inner),
        st.builds(lambda word, each: {word: each}, UNIONS, st.lists(inner, min_size=1, max_size=4)),
    ),
    max_leaves=8,
)  # fmt: skip


def count(errors: Any) -> int:
    """Return how many errors a validator made, with those of the branches of unions."""
    return sum(1 + (sum(map(count, error.kind.value)) if error.kind.name == "anyOf" else 0) for error in errors)


@given(SCHEMAS, VALUES)
def test_what_costs_little_has_no_more_errors_than_that(schema: dict[str, Any], value: Any) -> None:
    forked = {
        "anyOf": [{"items": {"$ref": "#/$defs/R"}}, {"additionalProperties": {"$ref": "#/$defs/R"}}, {"type": "null"}]
    }
    root = {**schema, "$defs": {"R": {"allOf": [forked, {"type": "string"}]}}}
    if costs_little(root, root, value):
        assert count(compiled(root).iter_errors(value)) <= 500


@pytest.mark.parametrize(
    ("schema", "value", "little"),
    [
        (TEXTS, [1] * 200, True),
        (TEXTS, [1] * 900, False),
        (TEXTS, ["x"] * 10, True),
        ({"additionalProperties": False}, {f"n{number}": 1 for number in range(20)}, True),
        ({"additionalProperties": False}, {f"n{number}": 1 for number in range(600)}, False),
        ({"required": ["a", "b", "c"] * 20}, {"x": [1] * 900}, False),
        ({"required": ["a", "b", "c"] * 20}, {"x": "x" * 250_000}, False),
        ({"required": ["a", "b", "c"]}, {"x": "x" * 20_000}, True),
        ({"allOf": [{"$ref": "#"}]}, {}, False),
        ({"$dynamicRef": "#nowhere"}, [[[1]]], True),
        ({"$dynamicRef": "#nowhere"}, [[1]] * 10, False),
    ],
)
def test_what_counts_are_errors_and_the_copies_of_values_in_them(schema: Any, value: Any, little: bool) -> None:
    assert costs_little(schema, schema, value) is little


def test_more_than_a_thousand_values_are_large() -> None:
    assert not is_large({"a": [1] * 999})
    assert is_large({"a": [1] * 1_000})
