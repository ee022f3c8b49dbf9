"""References between the steps of a flow."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.load.generator.references import MAX_VALUE_SIZE, fill, references

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEPT = {"opened": {"id": 7, "tags": ["a", {"b": None}], "title": "late"}}


def test_references_are_found_however_deep_they_stand() -> None:
    arguments = {"a": ["${opened.id}", {"b": "of ${opened.title} and ${found.items.0}"}], "c": 1, "d": "${found}"}
    assert references(arguments) == [("opened", "id"), ("opened", "title"), ("found", "items.0"), ("found", "")]


@pytest.mark.parametrize("text", ["", "$", "${", "${}", "${ a.b}", "${a.}", "${1a}", "$a", "${a.b", "{a.b}", "${a-b}"])
def test_what_only_looks_like_a_reference_is_text(text: str) -> None:
    assert references(text) == []
    assert fill(text, KEPT) == text


@given(JSON)
def test_a_text_that_is_one_reference_becomes_the_value_of_whatever_type(value: Any) -> None:
    assert fill({"a": ["${x.y}"]}, {"x": {"y": value}}) == {"a": [value]}


@given(JSON)
def test_arguments_without_references_stay_as_they_are(arguments: Any) -> None:
    assert references(arguments) == []
    assert fill(arguments, KEPT) == arguments


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("about ${opened.title}!", "about late!"),
        ("${opened.id}${opened.id}", "77"),
        ("${opened.tags.1.b} and ${opened.tags}", 'null and ["a", {"b": null}]'),
        ("${opened.tags.0}", "a"),
        ("${opened}", KEPT["opened"]),
    ],
)
def test_inside_of_a_longer_text_a_value_is_a_part_of_it(text: str, filled: Any) -> None:
    assert fill(text, KEPT) == filled


def test_what_names_nothing_that_is_kept_is_text() -> None:
    assert fill({"path": "${HOME}", "note": "in ${HOME}"}, KEPT) == {"path": "${HOME}", "note": "in ${HOME}"}


def test_values_of_a_server_are_not_read_for_references_again() -> None:
    kept = {"a": {"x": "${b.x}"}, "b": {"x": "secret"}}
    assert fill(["${a.x}", "- ${a.x}"], kept) == ["${b.x}", "- ${b.x}"]


def test_templates_are_not_changed_by_being_filled() -> None:
    template = {"a": ["${opened.id}"]}
    fill(template, KEPT)
    assert template == {"a": ["${opened.id}"]}


@pytest.mark.parametrize(
    "path", ["gone", "id.x", "tags.2", "tags.-1", "tags.x", "tags.²", "tags.1.c", "tags.0000000000"]
)
def test_a_path_at_which_there_is_nothing_is_told_in_words(path: str) -> None:
    with pytest.raises(KeyError) as told:
        fill({"a": f"${{opened.{path}}}"}, KEPT)
    assert told.value.args[0] == f"the answer that opened stands for has nothing at {path}"


def test_a_result_that_was_not_structured_has_nothing_anywhere() -> None:
    with pytest.raises(KeyError):
        fill("${opened.id}", {"opened": None})


@pytest.mark.parametrize(
    "large", ["x" * MAX_VALUE_SIZE, [0] * MAX_VALUE_SIZE, {"x" * MAX_VALUE_SIZE: 0}, json.loads("[" * 70 + "]" * 70)]
)
def test_a_value_that_is_too_large_is_not_sent_again(large: Any) -> None:
    for text in ("${opened.all}", "- ${opened.all}"):
        with pytest.raises(KeyError, match="too large"):
            fill(text, {"opened": {"all": large}})


def test_many_references_to_a_large_value_are_not_sent_either() -> None:
    with pytest.raises(KeyError, match="too large"):
        fill("${opened.all}" * 50, {"opened": {"all": "x" * (MAX_VALUE_SIZE // 2)}})


@given(JSON)
def test_what_is_filled_in_is_json(value: Any) -> None:
    assert json.loads(json.dumps(fill(["${x.y}", "- ${x.y}"], {"x": {"y": value}})))[0] == value
