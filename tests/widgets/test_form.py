"""The form: what is filled in is what is read, and what is wrong or does not fit is said."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any

import ipywidgets as w
import pytest
from form_reading import INTEGER, STRING, box, every, form_of, is_shown, refusal, slot

from mcp_workbench.errors import ArgumentsError
from mcp_workbench.widgets.form import Form
from mcp_workbench.widgets.values import canonical

# What is sent


def test_an_optional_field_that_is_left_blank_is_not_sent() -> None:
    form = form_of(
        text=STRING,
        number=INTEGER,
        flag={"type": "boolean"},
        choice={"enum": ["a", "b"]},
        constant={"const": 5},
        day={"type": "string", "format": "date"},
        hour={"type": "string", "format": "time"},
        moment={"type": "string", "format": "date-time"},
        table={"type": "object", "additionalProperties": True},
        anything={},
        tags={"type": "array", "items": STRING},
        pair={"type": "array", "prefixItems": [STRING, INTEGER]},
        limits={"type": "object", "properties": {"days": INTEGER}, "required": ["days"]},
        either={"type": ["string", "integer"]},
        maybe={"type": ["integer", "null"]},
    )
    assert form.read() == {}


def test_a_default_is_filled_in_and_sent() -> None:
    defaults: dict[str, Any] = {
        "text": "a",
        "number": 5,
        "flag": False,
        "choice": "b",
        "maybe": None,
        "tags": ["x", "y"],
        "limits": {"days": 3},
        "table": {"k": [1]},
        "either": 4,
        "day": "2026-01-31",
    }
    schema: dict[str, Any] = {
        "text": STRING,
        "number": INTEGER,
        "flag": {"type": "boolean"},
        "choice": {"enum": ["a", "b"]},
        "maybe": {"type": ["integer", "null"]},
        "tags": {"type": "array", "items": STRING},
        "limits": {"properties": {"days": INTEGER}},
        "table": {"type": "object"},
        "either": {"type": ["string", "integer"]},
        "day": {"type": "string", "format": "date"},
    }
    form = form_of(**{name: {**node, "default": defaults[name]} for name, node in schema.items()})
    assert form.read() == defaults
    assert box(form, "number").value == "5"
    assert slot(form, "maybe").null.value is True


def test_a_default_that_the_schema_itself_refuses_is_left_to_the_server() -> None:
    form = form_of(x={"type": "string", "default": None}, n={"type": "integer", "minimum": 1, "default": 0})
    assert form.read() == {}
    assert "Default: null" in slot(form, "x").note.value


def test_a_default_is_never_changed_by_what_is_written_over_it() -> None:
    schema = {"properties": {"x": {"enum": [{"a": [1]}], "default": {"a": [1]}}}}
    before = copy.deepcopy(schema)
    form = Form(schema)
    form.read()["x"]["a"].append(2)
    assert schema == before
    assert form.read() == {"x": {"a": [1]}}


def test_a_required_text_that_was_never_filled_in_is_not_sent_as_an_empty_one() -> None:
    form = form_of(["x"], x=STRING)
    assert refusal(form) == "x: is required: give text"
    form.fill({"x": ""})
    assert form.read() == {"x": ""}


def test_a_default_text_that_is_emptied_is_sent_empty() -> None:
    form = form_of(x={**STRING, "default": "a"})
    box(form, "x").value = ""
    assert form.read() == {"x": ""}


def test_an_optional_empty_text_can_be_filled_in() -> None:
    form = form_of(x=STRING)
    form.fill({"x": ""})
    assert form.read() == {"x": ""}


def test_booleans_are_a_checkbox_when_always_sent_and_else_a_choice_of_three() -> None:
    boolean = {"type": "boolean"}
    form = form_of(["must"], must=boolean, given={**boolean, "default": True}, may=boolean)
    assert [type(box(form, name)) for name in ("must", "given", "may")] == [w.Checkbox, w.Checkbox, w.Dropdown]
    assert form.read() == {"must": False, "given": True}
    box(form, "may").value = 1
    assert form.read() == {"must": False, "given": True, "may": False}


def test_a_choice_tells_1_from_true_and_from_the_text_1() -> None:
    choices = [1, True, "1", None]
    form = form_of(x={"enum": choices})
    labels = [label for label, _ in box(form, "x").options]
    assert labels == ["(left out)", "1", "true", '"1"', "null"]
    for number, choice in enumerate(choices):
        box(form, "x").value = number
        assert canonical(form.read()["x"]) == canonical(choice)
        form.clear()
        form.fill({"x": choice})
        assert box(form, "x").value == number


def test_a_required_choice_is_never_made_for_the_user_unless_there_is_only_one() -> None:
    form = form_of(["a", "b"], a={"enum": ["delete", "keep"]}, b={"const": "only"})
    assert box(form, "a").label == "(choose one)"
    assert refusal(form) == "a: is required: choose one"
    box(form, "a").value = 1
    assert form.read() == {"a": "keep", "b": "only"}


def test_choices_that_look_alike_are_numbered() -> None:
    form = form_of(["x"], x={"enum": ["a" * 200 + "b", "a" * 200 + "c", "d"]})
    labels = [label for label, _ in box(form, "x").options]
    assert labels[1].endswith("(#1)")
    assert labels[2].endswith("(#2)")
    assert labels[3] == "d"


def test_whole_numbers_of_any_size_stay_exact() -> None:
    form = form_of(n=INTEGER, f={"type": "number"})
    big = 12345678901234567890123
    box(form, "n").value = f" {big} "
    box(form, "f").value = str(big)
    assert form.read() == {"n": big, "f": big}
    form.fill({"n": 5.0, "f": 1e16})
    assert (box(form, "n").value, form.read()) == ("5", {"n": 5, "f": 1e16})
    box(form, "n").value = "2e3"
    box(form, "f").value = "-.5"
    assert form.read() == {"n": 2000, "f": -0.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5x", 'n: "5x" is not a whole number'),
        ("2.5", "n: 2.5 is not a whole number"),
        ("nan", 'n: "nan" is not a whole number'),
        ("1_000", 'n: "1_000" is not a whole number'),
        ("٣", 'n: "٣" is not a whole number'),
        ("1e400", 'n: "1e400" is too large: write a whole number with all its digits'),
        ("1e17", 'n: "1e17" is too large: write a whole number with all its digits'),
        ("9" * 5_000, "is too long for a whole number"),
        ("40", "n: 40 is above the maximum 31"),
    ],
)
def test_a_number_that_is_none_is_refused_in_words(text: str, said: str) -> None:
    form = form_of(n={"type": "integer", "maximum": 31})
    box(form, "n").value = text
    assert said in refusal(form)


def test_every_wrong_field_is_named_in_one_sentence_and_beside_itself() -> None:
    limits = {"type": "object", "properties": {"days": {"type": "integer", "maximum": 31}}}
    form = form_of(["limits"], max_results=INTEGER, limits=limits, tags={"type": "array", "items": {"enum": [1, 2]}})
    box(form, "max_results").value = "5x"
    box(form, "limits.days").value = "40"
    slot(form, "tags").include.value = True
    slot(form, "tags").control.add()
    assert refusal(form) == (
        'max_results: "5x" is not a whole number; limits.days: 40 is above the maximum 31;'
        " tags[0]: is required: choose one"
    )
    assert "Error: &quot;5x&quot; is not a whole number" in slot(form, "max_results").note.value
    assert "Error: 40 is above" in slot(form, "limits.days").note.value
    assert "Error" not in slot(form, "limits").note.value
    box(form, "max_results").value = "5"
    box(form, "limits.days").value = "4"
    slot(form, "tags").control.remove(0)
    assert form.read() == {"max_results": 5, "limits": {"days": 4}, "tags": []}
    assert not any("Error" in one.value for one in every(form.widget) if isinstance(one, w.HTML))


def test_a_required_field_that_is_blank_is_refused_with_what_to_give() -> None:
    dates = {name: {"type": "string", "format": name} for name in ("date", "time", "date-time")}
    form = form_of(
        [*dates, "n", "m", "o", "j"], n=INTEGER, m={"type": ["integer", "null"]}, o={"type": "object"}, j={}, **dates
    )
    assert refusal(form).split("; ") == [
        "n: is required: give a whole number",
        "m: is required: give a whole number, or tick null",
        "o: is required: write a JSON object, such as {}",
        'j: is required: write JSON, such as 5, "text" or {}',
        "date: is required: give a date, such as 2026-01-31",
        "time: is required: give a time, such as 14:30:00",
        "date-time: is required: give a date and time with an offset, such as 2026-01-31T14:30:00+00:00",
    ]


# What does not fit


@pytest.mark.parametrize(
    ("node", "value", "said"),
    [
        (STRING, 5, "x: 5 is not text"),
        (INTEGER, "5", 'x: "5" is not a whole number'),
        ({"type": "boolean"}, "yes", 'x: "yes" is neither true nor false'),
        ({"type": "boolean", "default": True}, 1, "x: 1 is neither true nor false"),
        ({"enum": [1]}, True, "x: true is none of the choices"),
        ({"type": "string", "format": "date"}, "tomorrow", 'x: "tomorrow" is not a date'),
        ({"type": "string", "format": "date"}, None, "x: null is not text"),
        ({"type": "array"}, {"a": 1}, 'x: {"a": 1} is not a list'),
        ({"properties": {"a": STRING}}, [1], "x: [1] is not an object"),
        ({"type": "array", "prefixItems": [STRING]}, 5, "x: 5 is not a list"),
    ],
)
def test_what_does_not_fit_is_shown_as_json_and_said_when_it_is_read(node: Any, value: Any, said: str) -> None:
    form = form_of(x=node)
    form.fill({"x": value})
    assert json.loads(slot(form, "x").json.widget.value) == value
    assert is_shown(form, slot(form, "x").json.widget)
    assert said in refusal(form)


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (STRING, "two\nlines"),
        (STRING, "bell\x07"),
        (STRING, "a\u202eb"),
        (STRING, "\ud800"),
        ({"type": "string", "format": "time"}, "10:00:00+02:00"),
        ({"type": "string", "format": "time"}, "10:00:00.123456"),
    ],
)
def test_a_value_that_its_input_would_change_is_shown_as_json_and_sent_as_it_is(node: Any, value: str) -> None:
    form = form_of(x=node)
    form.fill({"x": value})
    assert slot(form, "x").raw.value is True
    assert slot(form, "x").json.widget.value.isprintable()
    assert form.read() == {"x": value}


def test_the_browsers_pickers_give_dates_and_times() -> None:
    form = form_of(day={"type": "string", "format": "date"}, hour={"type": "string", "format": "time"})
    box(form, "day").value = dt.date(2026, 1, 31)
    box(form, "hour").value = dt.time(14, 30)
    assert form.read() == {"day": "2026-01-31", "hour": "14:30:00"}
    form.fill({"day": "2025-12-24", "hour": "09:00:01"})
    assert (box(form, "day").value, box(form, "hour").value) == (dt.date(2025, 12, 24), dt.time(9, 0, 1))
    slot(form, "hour").raw.value = True
    assert slot(form, "hour").json.widget.value == '"09:00:01"'


def test_a_moment_needs_an_offset() -> None:
    form = form_of(at={"type": "string", "format": "date-time"})
    box(form, "at").value = "2026-01-31T14:30:00"
    assert "is not a date and time with an offset: write one such as 2026-01-31T14:30:00+00:00" in refusal(form)
    box(form, "at").value = "2026-01-31T14:30:00Z"
    assert form.read() == {"at": "2026-01-31T14:30:00Z"}


def test_names_that_the_schema_does_not_list_are_kept_as_json() -> None:
    form = form_of(x=STRING)
    form.fill({"x": "a", "zzz": [1]})
    assert form.read() == {"x": "a", "zzz": [1]}
    others = next(
        one for one in every(form.widget) if one.layout.display != "none" and "other" in getattr(one, "description", "")
    )
    others.value = '{"x": 1}'
    assert refusal(form) == "x: has a field of its own: write it there, not among the other arguments"
    others.value = "[]"
    assert refusal(form) == "other arguments: [] is not a JSON object: write one such as {}"
    form.fill({"x": "a"})
    assert form.read() == {"x": "a"}
    assert not is_shown(form, others)


def test_names_that_the_schema_forbids_or_describes_are_checked() -> None:
    closed = Form({"properties": {"x": STRING}, "additionalProperties": False})
    closed.fill({"zzz": 1})
    assert refusal(closed) == "zzz: is no field here: remove it"
    assert any("Error: zzz: is no field here" in one.value for one in every(closed.widget) if isinstance(one, w.HTML))
    numbers = Form({"properties": {"x": STRING}, "additionalProperties": INTEGER})
    assert any("Each is to be a whole number" in one.value for one in every(numbers.widget) if isinstance(one, w.HTML))
    numbers.fill({"zzz": "a"})
    assert refusal(numbers) == 'zzz: "a" is not a whole number'


def test_a_tool_without_arguments_says_so_and_sends_nothing() -> None:
    form = Form({"type": "object", "properties": {}})
    assert form.read() == {}
    assert any("Nothing to fill in" in one.value for one in every(form.widget) if isinstance(one, w.HTML))


def test_a_schema_that_describes_no_object_takes_the_arguments_as_json() -> None:
    form = Form({"oneOf": [{"properties": {"a": STRING}}, {"properties": {"b": STRING}}]})
    assert form.read() == {}
    (text,) = [one for one in every(form.widget) if isinstance(one, w.Textarea)]
    assert text.description == "arguments, as a JSON object"
    text.value = '{"a": "x"}'
    assert form.read() == {"a": "x"}
    text.value = '{"a": 1, "a": 2}'
    assert refusal(form) == 'arguments: names "a" twice in one object: keep one of them'


def test_arguments_may_be_called_anything() -> None:
    names = ["name", "timeout", "schema", "self", "", "a.b", "a[0]"]
    form = form_of(names, **dict.fromkeys(names, STRING))
    form.fill(dict.fromkeys(names, "v"))
    assert form.read() == dict.fromkeys(names, "v")


def test_arguments_that_are_no_json_are_refused_and_change_nothing() -> None:
    form = form_of(x=STRING)
    form.fill({"x": "a"})
    with pytest.raises(ArgumentsError, match=r"holds NaN or an infinity.*give a JSON object"):
        form.fill({"x": float("nan")})
    assert form.read() == {"x": "a"}


# How inputs look


def test_the_help_line_is_text_below_the_input_with_bounds_and_default() -> None:
    form = form_of(n={"type": "integer", "minimum": 1, "maximum": 50, "default": 10, "description": "How many"})
    assert slot(form, "n").widget.children == (box(form, "n"), slot(form, "n").note)
    assert slot(form, "n").note.value == "How many. A whole number, at least 1, at most 50. Default: 10."


def test_long_text_gets_room_and_a_password_is_covered() -> None:
    form = form_of(
        title=STRING,
        body=STRING,
        note={**STRING, "description": "The text of the note"},
        short={**STRING, "maxLength": 80, "description": "A text"},
        essay={**STRING, "maxLength": 5_000},
        secret={**STRING, "format": "password"},
    )
    kinds = [type(box(form, name)) for name in ("title", "body", "note", "short", "essay", "secret")]
    assert kinds == [w.Text, w.Textarea, w.Textarea, w.Text, w.Textarea, w.Password]
    form.fill({"body": "two\nlines"})
    assert box(form, "body").value == "two\nlines"
