"""What everything that a hostile server may send instead of a schema is read as."""

from __future__ import annotations

import math
from typing import Any

from form_reading import JSON, one
from hypothesis import example, given, settings

from mcp_workbench.contracts.schemas.references import ABSENT
from mcp_workbench.widgets import fields
from mcp_workbench.widgets.checks import help_line
from mcp_workbench.widgets.fields import (
    AnyField,
    ArrayField,
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
from mcp_workbench.widgets.keywords import MAX_CHOICES


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


@settings(max_examples=200, deadline=None)
@example({"properties": {"a": {"$ref": "#"}}})
@given(JSON)
def test_no_json_at_all_breaks_the_reader(schema: Any) -> None:
    field = read_fields(schema)
    assert count(field) < 500
    assert help_line(field, required=True)
