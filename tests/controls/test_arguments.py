"""Arguments held against what JSON is, and against a size and a depth."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.controls import Failure
from mcp_workbench.controls.arguments import checked

Arguments = dict[str, Any]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_limit_is_exact_for_any_json(arguments: Arguments) -> None:
    size = len(pydantic_core.to_json(arguments))
    checked("do", arguments, max_bytes=size, max_depth=200)
    with pytest.raises(Failure, match="larger than"):
        checked("do", arguments, max_bytes=size - 1, max_depth=200)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "must be a finite number"),
        (math.inf, "must be a finite number"),
        (-(2**63) - 1, "must be a number that 64 bits hold"),
        ((1, 2), "must be a JSON value"),
        ({1}, "must be a JSON value"),
        (b"x", "must be a JSON value"),
        (Decimal(1), "must be a JSON value"),
        (object(), "must be a JSON value"),
    ],
)
def test_what_is_no_json_is_refused_at_its_place(value: Any, problem: str) -> None:
    with pytest.raises(Failure) as refused:
        checked("do", {"a": [0, {"b/c": [value]}]}, max_bytes=10_000, max_depth=32)
    assert refused.value.code == "invalid_arguments"
    assert refused.value.details["faults"] == [{"at": "/a/1/b~1c/0", "rule": "json", "problem": problem}]


@pytest.mark.parametrize("name", [1, None, b"x", "\ud800"])
def test_a_name_that_is_no_text_is_refused(name: Any) -> None:
    with pytest.raises(Failure) as refused:
        checked("do", {"a": {name: 1}}, max_bytes=10_000, max_depth=32)
    told = {"at": "/a", "rule": "json", "problem": "must have names that are text"}
    assert refused.value.details["faults"] == [told]


def test_an_object_that_holds_itself_is_too_deep() -> None:
    ring: Arguments = {}
    ring["ring"] = ring
    with pytest.raises(Failure, match="nested deeper"):
        checked("do", ring, max_bytes=None, max_depth=32)


def test_a_million_values_are_refused_before_they_are_looked_at() -> None:
    # Each of them would be refused for itself, if it were looked at.
    with pytest.raises(Failure, match="larger than"):
        checked("do", {"a": [math.nan] * 1_000_000}, max_bytes=262_144, max_depth=32)
