"""The form of a hostile schema: its text stays text, its size is bounded, and any JSON makes a form."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import ipywidgets as w
import pytest
from form_reading import STRING, every, form_of, refusal, slot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipywidgets.widgets.widget_description import DescriptionWidget

from mcp_workbench.errors import ArgumentsError
from mcp_workbench.widgets.form import Form
from mcp_workbench.widgets.groups import MAX_ROWS
from mcp_workbench.widgets.keywords import KEYWORDS
from mcp_workbench.widgets.slots import MAX_SLOTS
from mcp_workbench.widgets.values import canonical, json_fault

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


@pytest.mark.no_cover
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


@pytest.mark.no_cover
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


@pytest.mark.no_cover
def test_a_required_group_that_there_is_no_room_for_is_asked_for_as_json() -> None:
    pair = {"type": "array", "prefixItems": [STRING] * 60}
    inner = {"type": "object", "properties": {"n": STRING}, "required": ["n"]}
    names = {**{f"p{number}": pair for number in range(3)}, "last": inner}
    row = {"type": "object", "properties": names, "required": list(names)}
    form = form_of(["rows"], rows={"type": "array", "items": row})
    form.fill({"rows": [{}] * 3})
    assert "is required" in refusal(form)
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
