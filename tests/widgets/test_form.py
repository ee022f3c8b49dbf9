"""The form: what is filled in is what is read, what is wrong is said, and what is hostile stays text."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import enum
import json
from decimal import Decimal
from typing import Annotated, Any, Literal

import anyio
import ipywidgets as w
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipywidgets.widgets import widget as registry
from ipywidgets.widgets.widget_description import DescriptionWidget
from mcp import Client
from mcp.server.mcpserver import MCPServer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from mcp_workbench.errors import ArgumentsError
from mcp_workbench.widgets.form import Form
from mcp_workbench.widgets.groups import MAX_ROWS
from mcp_workbench.widgets.keywords import KEYWORDS
from mcp_workbench.widgets.slots import MAX_SLOTS
from mcp_workbench.widgets.values import canonical, json_fault


def form_of(required: list[str] | None = None, **properties: Any) -> Form:
    return Form({"type": "object", "properties": properties, "required": required or []})


def slot(form: Form, path: str) -> Any:
    """Find a slot by the names and numbers of its path."""
    at: Any = form
    for part in path.split("."):
        control = getattr(at, "control", at)
        control = getattr(control, "chosen", control)
        control = getattr(control, "control", control)
        at = control.rows[int(part)] if part.isdigit() and hasattr(control, "rows") else control.slots[part]
    return at


def box(form: Form, path: str) -> Any:
    """Return the widget that a field is written in."""
    return slot(form, path).control.widget


def every(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in every(child))]


def is_shown(form: Form, widget: Any) -> bool:
    """Tell whether a widget and all around it are displayed."""

    def shown(at: Any) -> bool:
        if at.layout.display == "none":
            return False
        return at is widget or any(shown(child) for child in getattr(at, "children", ()))

    return shown(form.widget)


def refusal(form: Form) -> str:
    with pytest.raises(ArgumentsError) as raised:
        form.read()
    return str(raised.value)


STRING = {"type": "string"}
INTEGER = {"type": "integer"}


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


def test_a_required_text_may_be_empty_and_is_sent_empty() -> None:
    assert form_of(["x"], x=STRING).read() == {"x": ""}


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


# Optional groups and null


def test_an_optional_object_is_sent_when_it_is_included() -> None:
    form = form_of(limits={"type": "object", "properties": {"days": INTEGER}, "required": ["days"]})
    limits = slot(form, "limits")
    assert limits.control is None
    limits.include.value = True
    assert is_shown(form, limits.control.widget)
    assert refusal(form) == "limits.days: is required: give a whole number"
    box(form, "limits.days").value = "3"
    assert form.read() == {"limits": {"days": 3}}
    limits.include.value = False
    assert not is_shown(form, limits.control.widget)
    assert form.read() == {}


def test_the_null_box_sends_null_and_hides_the_input() -> None:
    form = form_of(
        ["x"], x={"type": ["string", "null"]}, y={"anyOf": [{"properties": {"a": STRING}}, {"type": "null"}]}
    )
    assert form.read() == {"x": ""}
    slot(form, "x").null.value = True
    slot(form, "y").include.value = True
    slot(form, "y").null.value = True
    assert form.read() == {"x": None, "y": None}
    assert not is_shown(form, box(form, "x"))
    slot(form, "y").null.value = False
    assert form.read() == {"x": None, "y": {}}


# Lists, tuples, unions


def test_rows_are_added_removed_and_renumbered() -> None:
    form = form_of(["tags"], tags={"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3})
    tags = slot(form, "tags").control
    assert form.read() == {"tags": [""]}
    tags.adder.click()
    tags.adder.click()
    assert tags.adder.disabled
    tags.add()
    for number, text in enumerate("abc"):
        box(form, f"tags.{number}").value = text
    assert [box(form, f"tags.{number}").description for number in range(3)] == ["tags[0]", "tags[1]", "tags[2]"]
    removers = [one for one in every(form.widget) if isinstance(one, w.Button) and one.description.startswith("Remove")]
    assert [one.description for one in removers] == ["Remove tags[0]", "Remove tags[1]", "Remove tags[2]"]
    removers[0].click()
    assert form.read() == {"tags": ["b", "c"]}
    assert box(form, "tags.0").description == "tags[0]"
    assert not tags.adder.disabled
    tags.remove(0)
    tags.remove(0)
    assert refusal(form) == "tags: the list has 0 items, fewer than the minimum 1"


def test_rows_of_groups_are_renamed_to_the_last_field() -> None:
    inner = {
        "type": "object",
        "required": ["pair", "either", "list"],
        "additionalProperties": True,
        "properties": {
            "pair": {"type": "array", "prefixItems": [STRING, {"type": ["string", "null"]}]},
            "either": {"type": ["string", "integer"]},
            "list": {"type": "array", "items": STRING},
        },
    }
    form = form_of(["rows"], rows={"type": "array", "items": inner})
    row = {"pair": ["a", None], "either": "b", "list": ["c"], "more": 1}
    form.fill({"rows": [{**row, "either": 1}, row]})
    slot(form, "rows").control.remove(0)
    shown = {one.description for one in every(form.widget) if getattr(one, "description", "")}
    assert not any("rows[1]" in text for text in shown)
    assert {"rows[0].pair[0]", "rows[0].pair[1]: null", "rows[0].either (required): kind", "rows[0].either"} <= shown
    assert {"rows[0].list[0]", "Remove rows[0].list[0]", "other fields of rows[0], as a JSON object"} <= shown
    assert form.read() == {"rows": [row]}


def test_a_list_can_be_pasted_as_json_and_taken_back() -> None:
    form = form_of(["tags"], tags={"type": "array", "items": INTEGER})
    tags = slot(form, "tags")
    tags.raw.value = True
    assert is_shown(form, tags.json.widget)
    assert not is_shown(form, tags.control.widget)
    assert tags.json.widget.value == "[]"
    tags.json.widget.value = '[1, "b"]'
    assert refusal(form) == 'tags[1]: "b" is not a whole number'
    tags.json.widget.value = "[1, 2"
    assert refusal(form).startswith("tags: is not JSON at line 1, column 6")
    tags.raw.value = False
    assert tags.raw.value is True, "what cannot be read is not thrown away"
    assert "Error: is not JSON" in tags.note.value
    tags.json.widget.value = json.dumps(list(range(MAX_ROWS + 1)))
    tags.raw.value = False
    assert tags.raw.value is True, "what has too many rows stays JSON"
    tags.json.widget.value = "[1, 2]"
    tags.raw.value = False
    assert [box(form, f"tags.{number}").value for number in range(2)] == ["1", "2"]
    box(form, "tags.0").value = "x"
    tags.raw.value = True
    assert tags.json.widget.value == ""
    assert refusal(form) == "tags: is required: give a list"
    tags.raw.value = False
    assert form.read() == {"tags": []}


def test_a_list_with_too_many_items_is_shown_as_json() -> None:
    form = form_of(tags={"type": "array", "items": INTEGER})
    form.fill({"tags": list(range(MAX_ROWS + 1))})
    assert slot(form, "tags").raw.value is True
    assert form.read() == {"tags": list(range(MAX_ROWS + 1))}
    form.clear()
    assert form.read() == {}


def test_a_tuple_has_an_input_for_each_place_and_json_for_other_lengths() -> None:
    form = form_of(["pair"], pair={"type": "array", "prefixItems": [INTEGER, STRING]})
    box_of = slot(form, "pair").control.slots
    box_of[0].control.widget.value = "5"
    assert form.read() == {"pair": [5, ""]}
    form.fill({"pair": [1, "a", None]})
    assert slot(form, "pair").raw.value is True
    assert form.read() == {"pair": [1, "a", None]}


def test_a_union_has_the_form_of_the_chosen_kind_and_keeps_what_was_written() -> None:
    cat = {"title": "Cat", "properties": {"kind": {"const": "cat"}, "lives": INTEGER}, "required": ["kind"]}
    dog = {"title": "Dog", "properties": {"kind": {"const": "dog"}, "name": STRING}, "required": ["kind", "name"]}
    form = form_of(["pet"], pet={"oneOf": [cat, dog]})
    pet = slot(form, "pet").control
    assert [label for label, _ in pet.kind.options] == ['1. Cat (kind = "cat")', '2. Dog (kind = "dog")']
    assert form.read() == {"pet": {"kind": "cat"}}
    box(form, "pet.lives").value = "9"
    pet.kind.value = 1
    assert form.read() == {"pet": {"kind": "dog", "name": ""}}
    pet.kind.value = 0
    assert form.read() == {"pet": {"kind": "cat", "lives": 9}}
    form.fill({"pet": {"kind": "dog", "name": "Rex"}})
    assert form.read() == {"pet": {"kind": "dog", "name": "Rex"}}
    form.fill({"pet": {"kind": "bird"}})
    assert "pet: " in refusal(form)
    form.clear()
    assert form.read() == {"pet": {"kind": "cat"}}


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


def test_clearing_gives_what_a_fresh_form_gives() -> None:
    schema = Everything.model_json_schema()
    form, fresh = Form(schema), Form(schema)
    form.fill(dict.fromkeys(schema["properties"], 5))
    form.clear()
    assert refusal(form) == refusal(fresh)


def test_a_closed_form_leaves_no_widget_behind() -> None:
    before = set(registry._instances)
    form = Form(Everything.model_json_schema())
    form.fill({"pets": [{"kind": "cat"}] * 3})
    form.fill({"pets": []})
    form.close()
    assert set(registry._instances) == before


# Accessibility


def test_every_input_has_a_label_in_words_and_hidden_inputs_are_not_displayed() -> None:
    form = Form(Everything.model_json_schema())
    inputs = [
        one
        for one in every(form.widget)
        if isinstance(one, DescriptionWidget | w.Button) and not isinstance(one, w.HTML)
    ]
    assert len(inputs) > 30
    for one in inputs:
        assert one.description
        assert one.tooltip is None
        assert one.layout.visibility is None
        if hasattr(one, "description_allow_html"):
            assert one.description_allow_html is False
        if not isinstance(one, w.Button):
            assert one.style.description_width == "initial"
    assert box(form, "text").description == "text (required)"
    assert "(required)" not in box(form, "text_given").description


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


# Round trips with what pydantic and the SDK make


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Tree(BaseModel):
    value: int
    kids: list[Tree] = []


class Limits(BaseModel):
    model_config = ConfigDict(extra="allow")

    days: Annotated[int, Field(ge=1, le=31)]
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = None


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: str = Field(default="", description="The body of the note")


class Everything(BaseModel):
    text: str
    text_given: Annotated[str, Field(min_length=1, max_length=5)] = "given"[:5]
    text_null: str | None = None
    text_made: str = Field(default_factory=lambda: "made")
    number: int
    number_null: int | None = 7
    fraction: float
    flag: bool
    flag_given: bool = True
    flag_null: bool | None = None
    flag_made: bool = Field(default_factory=lambda: True)
    colour: Colour
    colour_given: Colour = Field(default=Colour.BLUE, description="Which")
    colour_null: Colour | None = None
    mixed: Literal["1", 1, None]
    day: dt.date
    day_null: dt.date | None = None
    hour: dt.time | None = None
    moment: AwareDatetime
    span: dt.timedelta = dt.timedelta(days=1)
    tags: list[str] = []
    tags_null: list[str | None] | None = None
    tags_made: list[int] = Field(default_factory=lambda: [7])
    sizes: set[int] = set()
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []
    pet: Cat | Dog
    pair: tuple[int, str]
    spread: tuple[float, ...] = ()
    table: dict[str, int] = {}
    rows: dict[str, Cat] | None = None
    grid: list[list[int]] = [[1, 2], [3]]
    limits: Limits
    limits_null: Limits | None = None
    limits_made: Limits = Field(default_factory=lambda: Limits(days=3))
    strict: Strict = Strict()
    tree: Tree | None = None
    price: Decimal = Decimal("1.5")
    either: int | str | list[bool] | None = 3
    anything: JsonValue = None


texts = st.text(max_size=6)
whole = st.integers(-(10**20), 10**20)
floats = st.floats(allow_nan=False, allow_infinity=False)
days = st.dates()
cats = st.builds(Cat, kind=st.just("cat"), lives=whole)
dogs = st.builds(Dog, kind=st.just("dog"), name=texts)
json_values = st.recursive(
    st.none() | st.booleans() | whole | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
limits = st.builds(
    lambda days, ratio, more: Limits(**{**more, "days": days, "ratio": ratio}),
    st.integers(1, 31),
    st.none() | st.floats(0.01, 0.99),
    st.dictionaries(texts.map(lambda text: f"more_{text}"), whole, max_size=2),
)
trees = st.recursive(
    st.builds(Tree, value=whole),
    lambda inner: st.builds(Tree, value=whole, kids=st.lists(inner, max_size=2)),
    max_leaves=4,
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
everything = st.fixed_dictionaries(
    {
        "text": texts,
        "number": whole,
        "fraction": floats,
        "flag": st.booleans(),
        "colour": st.sampled_from(Colour),
        "mixed": st.sampled_from(["1", 1, None]),
        "day": days,
        "moment": st.datetimes(timezones=zones),
        "pet": cats | dogs,
        "pair": st.tuples(whole, texts),
        "limits": limits,
    },
    optional={
        "text_given": st.text(min_size=1, max_size=5),
        "text_null": st.none() | texts,
        "text_made": texts,
        "number_null": st.none() | whole,
        "flag_given": st.booleans(),
        "flag_null": st.none() | st.booleans(),
        "flag_made": st.booleans(),
        "colour_given": st.sampled_from(Colour),
        "colour_null": st.none() | st.sampled_from(Colour),
        "day_null": st.none() | days,
        "hour": st.none() | st.times() | st.times(timezones=st.just(dt.UTC)),
        "span": st.timedeltas(dt.timedelta(0), dt.timedelta(999)),
        "tags": st.lists(texts, max_size=3),
        "tags_null": st.none() | st.lists(st.none() | texts, max_size=3),
        "tags_made": st.lists(whole, max_size=3),
        "sizes": st.sets(whole, max_size=3),
        "pets": st.lists(cats | dogs, max_size=3),
        "spread": st.lists(floats, max_size=3).map(tuple),
        "table": st.dictionaries(texts, whole, max_size=3),
        "rows": st.none() | st.dictionaries(texts, cats, max_size=2),
        "grid": st.lists(st.lists(whole, max_size=2), max_size=2),
        "limits_null": st.none() | limits,
        "limits_made": limits,
        "strict": st.builds(Strict, note=texts),
        "tree": st.none() | trees,
        "price": st.decimals(allow_nan=False, allow_infinity=False),
        "either": st.none() | whole | texts | st.lists(st.booleans(), max_size=3),
        "anything": json_values,
    },
).map(lambda given_values: Everything(**given_values))

SCHEMA = Everything.model_json_schema()
SHARED = Form(SCHEMA)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(everything)
def test_what_is_filled_in_is_what_is_read(model: Everything) -> None:
    arguments = json.loads(model.model_dump_json())
    SHARED.fill(arguments)
    read = SHARED.read()
    assert canonical(read) == canonical(arguments)
    jsonschema.Draft202012Validator(SCHEMA).validate(read)
    assert Everything.model_validate_json(json.dumps(read)) == model


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(everything)
def test_arguments_that_leave_things_out_mean_the_same_when_they_are_read(model: Everything) -> None:
    arguments = json.loads(model.model_dump_json(exclude_unset=True))
    SHARED.fill(arguments)
    read = SHARED.read()
    jsonschema.Draft202012Validator(SCHEMA).validate(read)
    assert Everything.model_validate_json(json.dumps(read)) == model


def test_every_field_that_pydantic_makes_is_readable_as_soon_as_the_required_ones_are_given() -> None:
    form = Form(SCHEMA)
    needed = refusal(form)
    for path in ("number", "fraction", "colour", "mixed", "day", "moment", "pair[0]", "limits.days"):
        assert f"{path}: is required" in needed


def test_the_tools_of_a_server_have_forms_whose_arguments_it_takes() -> None:
    server = MCPServer("desk", log_level="ERROR")

    @server.tool()
    def open_incident(
        title: str,
        severity: Literal["low", "high"],
        limits: Limits,
        pets: list[Cat | Dog] | None = None,
        due: dt.date | None = None,
        tags: list[str] = [],  # noqa: B006 -- the schema is what counts
        dry_run: bool = True,
        note: str = None,  # type: ignore[assignment] # noqa: RUF013 -- as people write it
    ) -> str:
        """Open an incident."""
        return f"{title} {severity} {limits.days} {pets} {due} {tags} {dry_run} {note}"

    @server.tool()
    def ping() -> str:
        """Answer."""
        return "pong"

    async def call() -> list[Any]:
        async with Client(server) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            form = Form(tools["open_incident"].input_schema)
            given = {"title": "Disk", "severity": "high", "limits": {"days": 3}, "due": "2026-01-31", "tags": ["a"]}
            form.fill({**given, "pets": [{"kind": "dog", "name": "Rex"}]})
            opened = await client.call_tool("open_incident", form.read())
            ponged = await client.call_tool("ping", Form(tools["ping"].input_schema).read())
            return [opened, ponged]

    opened, ponged = anyio.run(call)
    assert opened.content[0].text == ("Disk high 3 [Dog(kind='dog', name='Rex')] 2026-01-31 ['a'] True None")
    assert ponged.content[0].text == "pong"


# Hostile servers

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[2J\x1b]8;;http://evil\x07",
    "safe\u202egnp.exe\u2066",
    "\"'><svg onload=alert(1)>",
    "$\\href{javascript:alert(1)}{x}$",
    "a\nb\r\nc\u2028d",
    "\ud800",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text_and_bounded(text: str) -> None:
    says = {"title": text, "description": text}
    node = {
        "text": {"type": "string", "pattern": text, "format": text, "default": text, **says},
        "choice": {"enum": [text, "b"], **says},
        "number": {"type": "integer", **says},
        "null": {"type": ["integer", "null"], **says},
        "pets": {"type": "array", "items": {"type": "string", **says}, "minItems": 1, **says},
        "pair": {"type": "array", "prefixItems": [STRING], **says},
        "object": {"type": "object", "properties": {text: STRING}, "required": [text], **says},
        "union": {"oneOf": [{"type": "object", "properties": {text: {"const": text}}, **says}, STRING], **says},
        "json": {"default": {text: text}, **says},
        "reference": {"$ref": text, **says},
        text: {"type": "integer", **says},
    }
    form = Form({"properties": node, "required": list(node), "additionalProperties": {"enum": [text]}, **says})
    for value in ({}, dict.fromkeys(node, text), {**{name: {text: text} for name in node}, text * 2: text}):
        form.fill(value)
        said = refusal(form)
        assert len(said) < 10_000
        assert not set(said) & set("\x1b\x07\u202e\u2066\n\r\u2028\ud800")
        for one in every(form.widget):
            state = one.get_state()
            json.dumps(state, default=str, ensure_ascii=False).encode()
            shown = [state.get("description", ""), *state.get("_options_labels", ())]
            shown += [one.value] if isinstance(one, w.HTML) else []
            for words in shown:
                assert len(words) < 5_000
                assert not set(words) & set("\x1b\x07\u202e\u2066\n\r\u2028\ud800")
            if isinstance(one, w.HTML):
                tags = one.value
                for ours in ('<span role="alert">', "</span>", "<br>", "<strong>", "</strong>"):
                    tags = tags.replace(ours, "")
                assert not set(tags) & set("<>\"'")
            elif isinstance(one, DescriptionWidget):
                assert one.description_allow_html is False
                assert one.description.count("$") < 2
                assert "\\href" not in one.description


def test_nested_defaults_make_a_bounded_form() -> None:
    node: Any = STRING
    for _ in range(3):
        node = {"type": "object", "properties": {"m": {"type": "array", "items": node, "default": [{}] * 100}}}
    form = Form(node)
    assert MAX_SLOTS < len(every(form.widget)) < 20 * MAX_SLOTS
    assert len(form.read()["m"]) == 100


def test_a_nested_minimum_gives_one_row_of_each() -> None:
    node: Any = STRING
    for _ in range(6):
        node = {"type": "array", "items": node, "minItems": 10**9}
    form = form_of(["m"], m=node)
    assert len(every(form.widget)) < 100
    assert "m[0][0][0][0]" in refusal(form)


def test_what_there_is_no_room_for_is_json_until_the_user_asks_for_more() -> None:
    row = {"type": "object", "properties": dict.fromkeys("abcdefgh", STRING)}
    form = form_of(["rows"], rows={"type": "array", "items": row})
    given_rows = [{"a": str(number)} for number in range(MAX_ROWS)]
    form.fill({"rows": given_rows})
    assert form.read() == {"rows": given_rows}
    last = slot(form, "rows").control.rows[-1]
    assert last.raw.value is True
    last.raw.value = False
    assert last.control.slots["a"].control.widget.value == "99"
    assert form.read() == {"rows": given_rows}


def test_a_required_group_that_there_is_no_room_for_is_asked_for_as_json() -> None:
    pair = {"type": "array", "prefixItems": [STRING] * 60}
    inner = {"type": "object", "properties": {"n": STRING}, "required": ["n"]}
    names = {**{f"p{number}": pair for number in range(3)}, "last": inner}
    row = {"type": "object", "properties": names, "required": list(names)}
    form = form_of(["rows"], rows={"type": "array", "items": row})
    form.fill({"rows": [{}] * 3})
    assert "rows[2]" in refusal(form)
    assert any(one.description.startswith("rows[2]") for one in every(form.widget) if isinstance(one, w.Textarea))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["string", "integer", "number", "boolean", "array", "object", "null", ["string", "null"], "odd"]
)
schemas = st.recursive(
    json_like | kinds.map(lambda kind: {"type": kind}),
    lambda inner: st.fixed_dictionaries(
        {"type": kinds},
        optional={key: inner for key in KEYWORDS if key not in ("type", "properties", "anyOf", "prefixItems")}
        | {
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abcd"), max_size=3),
            "anyOf": st.lists(inner, max_size=3),
            "prefixItems": st.lists(inner, max_size=3),
        },
    ),
    max_leaves=12,
)


def holds(read: Any, given_value: Any) -> bool:
    """Tell whether all that was given was read; objects may have gained defaults."""
    if isinstance(given_value, dict):
        return isinstance(read, dict) and all(k in read and holds(read[k], v) for k, v in given_value.items())
    if isinstance(given_value, list):
        return isinstance(read, list) and len(read) == len(given_value) and all(map(holds, read, given_value))
    return canonical(read) == canonical(given_value)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(schemas, st.dictionaries(st.sampled_from("abcd"), json_like, max_size=4))
def test_any_json_makes_a_form_that_sends_what_it_was_given_or_says_why_not(schema: Any, arguments: Any) -> None:
    form = Form({"type": "object", "properties": {"a": schema, "b": schema}})
    Form(schema)
    if json_fault(arguments):
        with pytest.raises(ArgumentsError):
            form.fill(arguments)
        return
    form.fill(arguments)
    with contextlib.suppress(ArgumentsError):
        assert holds(form.read(), arguments)
