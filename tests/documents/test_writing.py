"""Data written as YAML: what is read from it is the same to the type, and people can read it too."""

import json
from typing import Any

import pytest
import yaml
from any_json import NASTY_TEXTS, values
from hypothesis import example, given, settings

from mcp_workbench import FileError
from mcp_workbench.documents import Gap, parse_document, written
from mcp_workbench.documents.parsing import MAX_DEPTH


def read_back(text: str) -> Any:
    return parse_document(text, "written.yaml").data


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@settings(max_examples=600)
@given(values())
@example({text: text for text in NASTY_TEXTS})
@example({text: {text: [text]} for text in NASTY_TEXTS})
@example([[text, [text]] for text in NASTY_TEXTS])
@example([{text: text, "z": [[text]]} for text in NASTY_TEXTS])
@example(nested(MAX_DEPTH))
def test_what_is_read_from_what_was_written_is_the_same_to_the_type(value: Any) -> None:
    text = written(value)
    # repr tells 1 from 1.0 and from True, 0.0 from -0.0, and one order of keys from another.
    assert repr(read_back(text)) == repr(value)
    assert written(read_back(text)) == text
    text.encode()


@pytest.mark.parametrize("text", NASTY_TEXTS, ids=ascii)
def test_a_text_comes_back_as_itself_wherever_it_stands(text: str) -> None:
    for value in (text, [text], {text: text}, [[{text: [text]}]], {"a": {"b": text, "c": [text, text]}}):
        assert repr(read_back(written(value))) == repr(value)


@given(values())
def test_the_slower_parser_reads_what_the_fast_one_reads(value: Any) -> None:
    # An escape of half a character, here in a comment, needs the slower one.
    text = written(value)
    slow = parse_document(text + "# \\ud800\n", "written.yaml")
    assert repr(slow.data) == repr(read_back(text))
    assert slow.root == parse_document(text, "written.yaml").root


def test_other_readers_of_yaml_1_1_see_the_same_texts_and_numbers() -> None:
    tame = [text for text in NASTY_TEXTS if text.isprintable() and text.isascii()] + [
        1,
        1.5,
        1e16,
        -0.0,
        1e-7,
        True,
        None,
    ]
    assert repr(yaml.safe_load(written(tame))) == repr(tame)
    assert written(["y", "N"]) == '- "y"\n- "N"\n'
    # Readers differ in what the indentation of a block on the root level is counted from.
    assert written(" a\nb") == '"\\ a\\n\\\n  b"\n'


def test_it_looks_as_a_person_would_write_it() -> None:
    value = {
        "name": "open_ticket",
        "version": "1.2.0",
        "purpose": "Open a ticket.\n\n  Args:\n    title: what is it about\n",
        "indented": "\n    Open a ticket.\n    At once.",
        "emoji": "😀 grüezi",
        "spaced": "a \n b",
        "schema": {"$ref": "#/$defs/A", "required": [], "enum": ["yes", 1, 1.0, None, "a: b"]},
        "lists": [[1, [2]], {"a": {"b": "c"}, "d": {}}],
        "hidden": "right\u202eleft\x00",
    }
    assert written(value) == (
        "name: open_ticket\n"
        "version: 1.2.0\n"
        "purpose: |\n"
        "  Open a ticket.\n"
        "\n"
        "    Args:\n"
        "      title: what is it about\n"
        "indented: |2-\n"
        "\n"
        "      Open a ticket.\n"
        "      At once.\n"
        'emoji: "😀 grüezi"\n'
        'spaced: "a \\n\\\n'
        '  \\ b"\n'
        "schema:\n"
        '  $ref: "#/$defs/A"\n'
        "  required: []\n"
        "  enum:\n"
        '    - "yes"\n'
        "    - 1\n"
        "    - 1.0\n"
        "    - null\n"
        '    - "a: b"\n'
        "lists:\n"
        "  - - 1\n"
        "    - - 2\n"
        "  - a:\n"
        "      b: c\n"
        "    d: {}\n"
        'hidden: "right\\u202eleft\\x00"\n'
    )
    assert read_back(written(value)) == value


def test_a_gap_is_a_null_with_what_to_write_beside_it_on_one_line() -> None:
    text = written({"effects": Gap("read\nor: write"), "list": [Gap("x")]})
    assert text == "effects: null  # gap: read or: write\nlist:\n  - null  # gap: x\n"
    assert read_back(text) == {"effects": None, "list": [None]}


def test_a_value_that_stands_in_two_places_is_written_twice_and_a_tuple_as_a_list() -> None:
    shared = {"a": [1]}
    assert written({"x": shared, "z": (shared,)}) == "x:\n  a:\n    - 1\nz:\n  - a:\n      - 1\n"


def doubling() -> list[Any]:
    value: list[Any] = []
    for _ in range(40):
        value = [value, value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("value", "told"),
    [
        (nested(MAX_DEPTH + 1), "nested deeper than 100 levels"),
        (nested(MAX_DEPTH + 1_000), "nested deeper than 100 levels"),
        (endless(), "nested deeper than 100 levels"),
        (doubling(), "more than 500,000 values"),
        ({str(n): None for n in range(250_000)}, "more than 500,000 values"),
        (["a" * 1_000_000] * 25, "more than 20 MB"),
        (float("nan"), "a number that JSON does not know"),
        (-float("inf"), "a number that JSON does not know"),
        (10**400, "a number of too many digits"),
        (10**10_000, "a number of too many digits"),
        ({1: 2}, "the key 1 is no text"),
        ({None: 2}, "the key None is no text"),
        ([b"x"], "this holds a bytes"),
        ({"a": object()}, "this holds a object"),
    ],
    ids=range(14),
)
def test_what_could_not_be_read_again_is_not_written(value: Any, told: str) -> None:
    with pytest.raises(FileError) as caught:
        written(value)
    assert told in str(caught.value)
    assert ";" in str(caught.value)


def test_json_is_yaml() -> None:
    value = {text: [text, {"a": text}] for text in NASTY_TEXTS if len(text) < 1_000}
    assert repr(read_back(json.dumps(value))) == repr(value)
    assert repr(read_back(json.dumps(value, indent=2))) == repr(value)
