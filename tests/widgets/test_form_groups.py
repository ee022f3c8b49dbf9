"""The form's groups: objects and null, lists, tuples and unions."""

from __future__ import annotations

import json

import ipywidgets as w
from form_reading import INTEGER, STRING, box, every, form_of, is_shown, refusal, slot

from mcp_workbench.widgets.groups import MAX_ROWS

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
    assert refusal(form) == "x: is required: give text, or tick null"
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
    assert refusal(form) == "tags[0]: is required: give text"
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
    box_of[1].control.widget.value = "a"
    assert form.read() == {"pair": [5, "a"]}
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
    assert refusal(form) == "pet.name: is required: give text"
    pet.kind.value = 0
    assert form.read() == {"pet": {"kind": "cat", "lives": 9}}
    form.fill({"pet": {"kind": "dog", "name": "Rex"}})
    assert form.read() == {"pet": {"kind": "dog", "name": "Rex"}}
    form.fill({"pet": {"kind": "bird"}})
    assert "pet: " in refusal(form)
    form.clear()
    assert form.read() == {"pet": {"kind": "cat"}}
