"""What a schema is read as: every kind, and everything that a hostile server may send instead."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcp_workbench.widgets import fields
from mcp_workbench.widgets.checks import best_branch, branch_name, fits, help_line, problems, sentence
from mcp_workbench.widgets.fields import (
    AnyField,
    ArrayField,
    BooleanField,
    DictField,
    EnumField,
    Field,
    NumberField,
    ObjectField,
    StringField,
    TupleField,
    UnionField,
    read_fields,
)
from mcp_workbench.widgets.keywords import KEYWORDS, MAX_CHOICES
from mcp_workbench.widgets.values import ABSENT, canonical, json_fault, json_text, parse_json


def one(node: Any, **more: Any) -> Field:
    """Read one argument called x."""
    return read_fields({"type": "object", "properties": {"x": node}, **more}).members[0].field


def count(field: Field) -> int:
    """Count a field and all fields inside."""
    inner: list[Field] = []
    match field:
        case ObjectField():
            inner = [member.field for member in field.members]
        case ArrayField():
            inner = [field.items]
        case TupleField():
            inner = list(field.items)
        case UnionField():
            inner = list(field.branches)
    return 1 + sum(map(count, inner))


def wrong(node: Any, value: Any) -> str:
    return sentence(list(problems(one(node), value, "x")))


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


# Hostile


def test_a_billion_laughs_make_a_bounded_tree() -> None:
    defs = {f"d{i}": {"properties": {name: {"$ref": f"#/$defs/d{i + 1}"} for name in "abcdefghij"}} for i in range(30)}
    for node in ({"$ref": "#/$defs/d0"}, {"anyOf": [{"$ref": f"#/$defs/d{i}"} for i in range(9)]}):
        assert count(read_fields({"properties": {"x": node, "last": {"type": "string"}}, "$defs": defs})) < 500


def test_later_fields_stay_fields_however_much_an_earlier_one_takes() -> None:
    defs = {f"d{i}": {"properties": {name: {"$ref": f"#/$defs/d{i + 1}"} for name in "abcdefghij"}} for i in range(9)}
    names = {"big": {"$ref": "#/$defs/d0"}, "last": {"type": "string"}}
    assert isinstance(read_fields({"properties": names, "$defs": defs}).members[1].field, StringField)


def test_what_is_too_wide_or_too_deep_is_any_json() -> None:
    wide = {f"a{i}": {"type": "string"} for i in range(fields.MAX_FIELDS * 10)}
    assert isinstance(one({"type": "object", "properties": wide}), DictField)
    assert "too many" in read_fields({"type": "object", "properties": wide}).note
    assert isinstance(one({"type": "array", "prefixItems": [{}] * 1_000}), AnyField)
    assert isinstance(one({"anyOf": [{"type": "array"}] * 99_999}), AnyField)
    crowd = {f"a{i}": {"anyOf": [{"type": "integer"}] * 90} for i in range(9)}
    assert count(read_fields({"properties": crowd})) < 500
    deep: Any = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    field, levels = one(deep), 0
    while isinstance(field, ArrayField):
        field, levels = field.items, levels + 1
    assert levels < fields.MAX_DEPTH
    assert "too deep" in field.note


def test_a_field_beyond_the_last_is_any_json() -> None:
    many = {f"a{i}": {"type": "array", "items": {"type": "string"}} for i in range(fields.MAX_FIELDS - 1)}
    first, *_, last = read_fields({"properties": many}).members
    assert isinstance(last.field, ArrayField)
    assert "too many" in last.field.items.note
    assert isinstance(first.field, ArrayField)


def test_enums_are_bounded() -> None:
    assert isinstance(one({"enum": [f"a{i}" for i in range(MAX_CHOICES)]}), EnumField)
    assert isinstance(one({"enum": [f"a{i}" for i in range(MAX_CHOICES + 1)]}), StringField)
    assert isinstance(one({"enum": list(range(9_999))}), AnyField)
    assert isinstance(one({"enum": [math.nan]}), AnyField)
    assert isinstance(one({"enum": ["x" * 1_000_000]}), StringField)


def test_defaults_that_are_too_large_or_no_json_are_left_to_the_server() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for default in ("x" * 99_999, [0] * 99_999, math.inf, circle, {5: 5}, 10**5_000, {1, 2}):
        field = one({"type": "string", "default": default})
        assert field.default is ABSENT
        assert "too large" in field.note


def test_keywords_of_the_wrong_type_count_as_not_said() -> None:
    assert one({"type": "string", "minLength": "x", "maxLength": -1, "pattern": 5, "format": []}) == StringField()
    bounds = {"minimum": math.nan, "maximum": math.inf, "multipleOf": 0, "exclusiveMinimum": "1"}
    assert one({"type": "number", **bounds}) == NumberField(whole=False)
    assert one({"type": "integer", "minimum": 10**9_000, "maximum": True}) == NumberField(whole=True)
    assert one({"type": "string", "enum": [], "title": 5, "description": {}}) == StringField()
    assert one({"type": "object", "properties": [1], "required": "abc"}) == DictField(values=AnyField())
    assert one({"type": "object", "properties": {5: {}}, "required": [[]]}) == ObjectField(values=AnyField())
    assert one({"type": [[], "string"]}) == StringField()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["#", "#/a", "null"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(KEYWORDS), inner, max_size=5)
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["array", "object", "string", "number", ["null", "array"]])},
            optional={key: inner for key in KEYWORDS if key != "type"},
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@example({"properties": {"a": {"$ref": "#"}}})
@given(JSON)
def test_no_json_at_all_breaks_the_reader(schema: Any) -> None:
    field = read_fields(schema)
    assert count(field) < 500
    assert help_line(field, required=True)


# Checks


@pytest.mark.parametrize(
    ("node", "value", "said"),
    [
        ({"type": "string", "minLength": 2}, "a", "x: the text has 1 character, fewer than the minimum 2"),
        ({"type": "string", "maxLength": 2}, "abc", "x: the text has 3 characters, more than the maximum 2"),
        ({"type": "string"}, 5, "x: 5 is not text: give it in double quotes"),
        ({"type": "string", "format": "date"}, "2026-02-30", 'x: "2026-02-30" is not a date: write one such as'),
        ({"type": "string", "format": "date"}, "20260228", 'x: "20260228" is not a date'),
        ({"type": "string", "format": "time"}, "25:00:00", 'x: "25:00:00" is not a time'),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00", "with an offset: write one such as"),
        ({"type": "integer"}, 2.5, "x: 2.5 is not a whole number"),
        ({"type": "integer"}, True, "x: true is not a whole number"),
        ({"type": "number"}, "5", 'x: "5" is not a number'),
        ({"type": "number", "minimum": 1}, 0, "x: 0 is below the minimum 1"),
        ({"type": "number", "maximum": 31}, 40, "x: 40 is above the maximum 31"),
        ({"type": "number", "exclusiveMinimum": 1}, 1, "x: 1 is not above 1"),
        ({"type": "number", "exclusiveMaximum": 1}, 1.0, "x: 1.0 is not below 1"),
        ({"type": "number", "multipleOf": 0.1}, 0.25, "x: 0.25 is not a multiple of 0.1"),
        ({"enum": [1, "a"]}, True, 'x: true is none of the choices: choose 1 or "a"'),
        ({"enum": list(range(9))}, "z", "0 or 1 or 2 or 3 or 4 or another"),
        ({"type": "boolean"}, 0, "x: 0 is neither true nor false"),
        ({"type": "array", "minItems": 1}, [], "x: the list has 0 items, fewer than the minimum 1"),
        ({"type": "array", "uniqueItems": True}, [1, True, 1.0], "x: items 0 and 2 are equal: keep one of them"),
        ({"type": "array", "items": {"type": "integer"}}, [1, "b"], 'x[1]: "b" is not a whole number'),
        ({"type": "array", "prefixItems": [{}, {"type": "string"}]}, [1, 2], "x[1]: 2 is not text"),
        ({"type": "array"}, {}, "x: {} is not a list"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": "b"}, 'x.a: "b" is not a whole'),
        ({"type": "object"}, [], "x: [] is not a JSON object"),
        ({"properties": {"a": {}}, "required": ["a"]}, {}, "x.a: is required: write JSON"),
        ({"properties": {"a": {}}}, 5, "x: 5 is not an object"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "x.b: is no field here: remove it"),
        ({"properties": {}, "additionalProperties": {"type": "null"}}, {"b": 1}, "x.b: 1 is none of the choices"),
        ({"type": ["string", "array"], "items": {"type": "string"}}, 5, "x: 5 is not text or a list of text"),
        ({"anyOf": [{"type": "array"}] * 9}, 5, "or another kind"),
    ],
)
def test_a_wrong_value_is_named_by_its_path_with_what_to_do(node: Any, value: Any, said: str) -> None:
    assert said in wrong(node, value)


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"type": "integer"}, 5.0),
        ({"type": "integer", "multipleOf": 3}, 10**300 * 3),
        ({"type": "number", "multipleOf": 0.1}, 0.3),
        ({"type": "string", "format": "time"}, "14:30:00.5+02:00"),
        ({"type": "string", "format": "date-time"}, "2026-01-31t14:30:00z"),
        ({"type": "string", "pattern": "(a+)+$"}, "a" * 50 + "b"),
        ({"type": ["string", "null"]}, None),
        ({"enum": [1]}, 1.0),
        ({"prefixItems": [{"type": "string"}]}, ["a", "more"]),
        ({}, {"any": [None]}),
    ],
)
def test_a_right_value_is_right(node: Any, value: Any) -> None:
    assert wrong(node, value) == ""


def test_a_sentence_names_a_bounded_number_of_problems() -> None:
    found = list(problems(one({"type": "array", "items": {"type": "string"}}), list(range(50)), "x"))
    assert sentence(found).endswith("; and 30 more")


def test_of_the_branches_that_fit_the_one_that_knows_most_names_is_best() -> None:
    small, large = ({"properties": {name: {"type": "integer"} for name in names}} for names in ("a", "ab"))
    field = one({"anyOf": [small, large, {"type": "string"}]})
    assert isinstance(field, UnionField)
    assert [best_branch(field, v) for v in ({"a": 1}, {"a": 1, "b": 2}, "x", None)] == [0, 1, 2, None]


def test_the_help_line_says_kind_bounds_pattern_and_default() -> None:
    number = one({"type": "integer", "minimum": 1, "maximum": 50, "default": 10, "description": "How many."})
    assert help_line(number, required=False) == "How many. A whole number, at least 1, at most 50. Default: 10."
    text = one({"type": ["string", "null"], "minLength": 1, "maxLength": 1, "pattern": "^a\n", "format": "uri"})
    assert help_line(text, required=False) == (
        "Text, format uri, exactly 1 character, or null. Pattern, which the server checks: ^a."
        " Optional: left out when blank."
    )
    secret = one({"type": "string", "format": "password", "default": "hush"})
    assert "hush" not in help_line(secret, required=True)
    assert help_line(one({"const": "cat"}), required=True) == 'Always "cat".'
    assert "no two equal" in help_line(one({"type": "array", "uniqueItems": True, "maxItems": 3}), required=True)
    assert "because the schema refers to itself" in help_line(one({"$ref": "#/properties/x"}), required=True)
    assert "Note: there are too many choices" in help_line(one({"enum": ["a"] * 999}), required=True)


def test_branches_are_named_by_title_tag_or_kind() -> None:
    nodes = [{"type": "string", "title": "Name"}, {"type": ["string", "null"]}, {"const": 5}, {"enum": [1, 2]}, {}]
    names = ["Name", "text or null", "5", "one of the choices", "any JSON"]
    assert [branch_name(one(node)) for node in nodes] == names
    union = one({"anyOf": [{"type": "array"}, {"type": "string", "format": "date"}]})
    assert fits(union, "2026-01-01")
    assert branch_name(union) == "one of several kinds"


# JSON


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
