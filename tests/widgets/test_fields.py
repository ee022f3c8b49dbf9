"""What a schema is read as: every kind, and what a reference leads to."""

from __future__ import annotations

from typing import Any

import pytest
from form_reading import one

from mcp_workbench.widgets.checks import branch_name
from mcp_workbench.widgets.fields import (
    AnyField,
    ArrayField,
    BooleanField,
    DictField,
    EnumField,
    NumberField,
    ObjectField,
    StringField,
    TupleField,
    UnionField,
    read_fields,
)

# Kinds


def test_a_string_keeps_its_lengths_pattern_and_format() -> None:
    field = one({"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "format": "uri"})
    assert field == StringField(min_length=1, max_length=9, pattern="^a", format="uri")


def test_numbers_keep_their_bounds() -> None:
    assert one({"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2}) == NumberField(
        whole=True, minimum=1, exclusive_maximum=9, multiple_of=2
    )
    assert one({"type": "number", "exclusiveMinimum": 0.5, "maximum": 2}) == NumberField(
        whole=False, exclusive_minimum=0.5, maximum=2
    )


def test_the_boolean_exclusive_bounds_of_draft_4_are_understood() -> None:
    assert one({"type": "number", "minimum": 1, "exclusiveMinimum": True}) == NumberField(
        whole=False, exclusive_minimum=1
    )


def test_an_enum_may_hold_any_json_and_a_const_is_an_enum_of_one() -> None:
    assert one({"enum": [1, True, "1", None, {"a": []}]}) == EnumField(values=(1, True, "1", None, {"a": []}))
    assert one({"const": "a", "type": "string"}) == EnumField(values=("a",))
    assert one({"type": "null"}) == EnumField(values=(None,))
    assert one({"oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}) == EnumField(values=("a", "b"))


def test_a_reference_keeps_the_default_and_the_description_beside_it() -> None:
    defs = {"Colour": {"enum": ["red"], "description": "inner", "title": "Colour"}}
    field = one({"$ref": "#/$defs/Colour", "default": "red", "description": "outer"}, **{"$defs": defs})
    assert field == EnumField(values=("red",), default="red", description="outer", title="Colour")


def test_null_beside_one_kind_makes_that_kind_nullable() -> None:
    text = StringField(nullable=True, default=None)
    assert one({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}) == text
    assert one({"oneOf": [{"const": None}, {"type": "string"}], "default": None}) == text
    assert one({"type": ["string", "null"], "default": None}) == text
    assert one({"type": ["string", "null"], "enum": ["a", None]}) == EnumField(values=("a", None))


def test_null_beside_several_kinds_makes_a_nullable_union() -> None:
    kinds = (NumberField(whole=True), StringField())
    assert one({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}) == UnionField(
        branches=kinds, nullable=True
    )
    assert one({"type": ["integer", "string", "null"]}) == UnionField(branches=kinds, nullable=True)


def test_lists_keep_their_items_and_sizes() -> None:
    assert one({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "uniqueItems": True}) == ArrayField(
        items=BooleanField(), min_items=1, unique=True
    )
    assert one({"type": "array"}) == ArrayField(items=AnyField())


@pytest.mark.parametrize(
    "node",
    [
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "items": False},
        {"type": "array", "items": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        {"prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
    ],
)
def test_tuples_of_either_draft_have_a_field_for_each_place(node: dict[str, Any]) -> None:
    assert one(node) == TupleField(items=(NumberField(whole=True), StringField()), min_items=2, max_items=2)


def test_objects_know_what_is_required_and_whether_other_names_are_welcome() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a", "b"]}
    field = one(node)
    assert isinstance(field, ObjectField)
    assert [(m.name, m.required) for m in field.members] == [("a", True), ("b", True)]
    extras = [False, True, {"type": "string"}]
    read = [one({**node, "additionalProperties": extra}) for extra in extras]
    assert [f.extra for f in [field, *read] if isinstance(f, ObjectField)] == ["quiet", "closed", "open", "open"]


def test_an_object_without_properties_is_a_free_dict() -> None:
    numbers = NumberField(whole=False)
    assert one({"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 1}) == DictField(
        values=numbers, min_items=1
    )
    assert one({"type": "object"}) == DictField(values=AnyField())
    assert one({"type": "object", "additionalProperties": False}) == ObjectField(values=AnyField(), extra="closed")


def test_unions_keep_their_branches_in_order_also_where_the_type_is_said_beside_them() -> None:
    tagged = [{"type": "object", "properties": {"kind": {"const": tag}}} for tag in ("cat", "dog")]
    field = one({"type": "object", "oneOf": tagged, "discriminator": {"propertyName": "kind"}})
    assert isinstance(field, UnionField)
    assert [branch_name(branch) for branch in field.branches] == [
        'an object (kind = "cat")',
        'an object (kind = "dog")',
    ]


def test_rules_beside_a_shape_do_not_hide_the_shape() -> None:
    node = {"type": "object", "properties": {"a": True}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert isinstance(one(node), ObjectField)
    assert isinstance(one({"type": "string", "allOf": [{"minLength": 1}, {"maxLength": 2}]}), StringField)


def test_all_of_one_member_is_that_member() -> None:
    assert one({"allOf": [{"type": "string", "default": "a"}], "default": "b"}) == StringField(default="b")


def test_what_has_no_form_of_its_own_is_any_json_and_says_why() -> None:
    assert one({}) == AnyField()
    assert one(True) == AnyField()
    for node in (False, {"not": {}}, {"if": {}}, {"allOf": [{}, {}]}, {"type": "colour"}, {"type": []}, 5, None):
        assert isinstance(one(node), AnyField)
    assert "combines" in one({"allOf": [{"type": "string"}, {"minLength": 2}]}).note


def test_the_root_may_be_behind_a_reference_and_is_open_where_it_is_no_object() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert read_fields({"$ref": "#/$defs/A", "$defs": {"A": inner}}).members[0].name == "a"
    for schema in (None, 5, [], "x", True, {}, {"type": "array"}, {"type": "object"}, {"oneOf": [inner, {}]}):
        field = read_fields(schema)
        assert (field.members, field.extra) == ((), "open")


# References


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("#/$defs/a~1b", True),
        ("#/$defs/c~0d", True),
        ("#/%24defs/e%20f", True),
        ("#/definitions/list/1", True),
        ("#/definitions/list/9", False),
        ("#/definitions/list/x", False),
        ("#/$defs/none", False),
        ("#anchor", False),
        ("https://example.com/schema", False),
        ("other.json#/a", False),
        ("#/" + "a" * 5_000, False),
        (5, False),
    ],
)
def test_references_are_local_json_pointers_and_never_fetched(ref: Any, found: bool) -> None:
    text = {"type": "string"}
    defs = {"$defs": {"a/b": text, "c~d": text, "e f": text}, "definitions": {"list": [{}, text]}}
    assert isinstance(one({"$ref": ref}, **defs), StringField if found else AnyField)


def test_a_recursive_reference_becomes_any_json_where_it_recurs() -> None:
    node = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}
    field = one({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}})
    assert isinstance(field, ObjectField)
    kids = field.members[0].field
    assert isinstance(kids, ArrayField)
    assert kids.items == AnyField(note="the schema refers to itself")


def test_the_same_definition_may_be_used_side_by_side() -> None:
    defs = {"A": {"type": "string"}}
    members = read_fields({"properties": {n: {"$ref": "#/$defs/A"} for n in "ab"}, "$defs": defs}).members
    assert [type(member.field) for member in members] == [StringField, StringField]


def test_circles_of_references_end() -> None:
    circle = {f"d{i}": {"$ref": f"#/$defs/d{(i + 1) % 50}"} for i in range(50)}
    assert isinstance(one({"$ref": "#/$defs/d0"}, **{"$defs": circle}), AnyField)
    assert read_fields({"$ref": "#"}).members == ()
    wrapped: Any = {"type": "string"}
    for _ in range(100):
        wrapped = {"anyOf": [wrapped]}
    assert "wrapped" in one(wrapped).note
