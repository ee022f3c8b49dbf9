"""JSON as users type it: read strictly, compared exactly, written so that it can be seen."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from form_reading import JSON
from hypothesis import given

from mcp_workbench.contracts.schemas.references import ABSENT
from mcp_workbench.widgets.values import canonical, json_fault, json_text, parse_json


def test_equal_values_have_equal_canonical_texts_and_true_is_not_1() -> None:
    assert canonical({"b": 1, "a": [1.0, None]}) == canonical({"a": [1, None], "b": 1.0})
    assert len({canonical(value) for value in (1, True, "1", None, "true", 1.5, [1], {"1": 1})}) == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{a: 1}", "is not JSON at line 1, column 2"),
        ('{"a": 1, "a": 2}', 'names "a" twice in one object: keep one of them'),
        ("[NaN]", "holds NaN, which JSON does not have: write a number or null"),
        ("-Infinity", "holds -Infinity"),
        ("1e999", "holds NaN or an infinity"),
        ("9" * 9_000, "holds a number that is too long to read"),
        ("[" * 90 + "]" * 90, "is nested more than 64 deep"),
        ("[" * 99_999, "is nested more than 64 deep"),
    ],
)
def test_json_is_read_strictly(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|holds|names) ") as raised:
        parse_json(text)
    assert said in str(raised.value)


def test_what_cannot_be_seen_is_written_as_escapes() -> None:
    assert json_text("é\u202e") == '"\\u00e9\\u202e"'
    assert json_text("é\ud800") == '"\\u00e9\\ud800"'
    assert json_text("é") == '"é"'


@pytest.mark.parametrize("value", [math.nan, {1: 2}, (1,), object(), [10**9_000]])
def test_values_that_json_does_not_have_are_named(value: object) -> None:
    assert json_fault([value])


@given(JSON)
def test_json_that_has_no_fault_can_be_written_and_read_back(value: Any) -> None:
    if not json_fault(value):
        assert canonical(parse_json(json_text(value))) == canonical(json.loads(json.dumps(value)))
    assert repr(ABSENT) == "ABSENT"
