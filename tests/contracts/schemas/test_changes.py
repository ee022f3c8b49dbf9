"""Differences between two schemas: where they are, what they are called, and what they mean for callers."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest

from mcp_workbench.contracts.schemas.changes import Change, Verdict, compare_schemas

DRAFT_7 = "http://json-schema.org/draft-07/schema#"

B, U, C, W = Verdict.BREAKING, Verdict.UNKNOWN, Verdict.COMPATIBLE, Verdict.COSMETIC


def tool(properties: dict[str, Any] | None = None, **words: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties or {}} | words


def told(old: Any, new: Any, side: Literal["input", "output"] = "input") -> list[tuple[str, str, Verdict]]:
    return [(each.where, each.what, each.verdict) for each in compare_schemas(old, new, side=side)]


def only(old: Any, new: Any, side: Literal["input", "output"] = "input") -> Change:
    changes = compare_schemas(old, new, side=side)
    assert len(changes) == 1, changes
    return changes[0]


LEAVES: list[tuple[Any, Any, str]] = [
    # The second allows less than the first.
    ({"type": "integer"}, {"type": "integer", "minimum": 1}, "minimum 1 added"),
    ({"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}, "minimum raised from 0 to 1"),
    ({"type": "integer", "maximum": 10}, {"type": "integer", "maximum": 7}, "maximum lowered from 10 to 7"),
    (
        {"type": "number", "maximum": 1},
        {"type": "number", "exclusiveMaximum": 1},
        "maximum changed from 1 to exclusive 1",
    ),
    ({"type": "number"}, {"type": "integer"}, "type changed from number to integer"),
    ({"type": "number"}, {"type": "number", "multipleOf": 0.5}, "multipleOf 0.5 added"),
    ({"type": "integer"}, {"type": "integer", "multipleOf": 5}, "multipleOf 5 added"),
    (
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "multipleOf": 4},
        "multipleOf changed from 2 to 4",
    ),
    ({"type": "string"}, {"type": "string", "minLength": 2}, "minLength 2 added"),
    ({"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 5}, "maxLength lowered from 9 to 5"),
    ({"type": "string"}, {"type": "string", "pattern": "^a"}, "pattern '^a' added"),
    ({"type": "string"}, {"type": "string", "format": "date"}, "format 'date' added"),
    (
        {"type": "string", "format": "uri-reference"},
        {"type": "string", "format": "uri"},
        "format changed from 'uri-reference' to 'uri'",
    ),
    ({"type": ["string", "null"]}, {"type": "string"}, "no longer allows null"),
    ({"type": ["string", "boolean", "null"]}, {"type": "string"}, "no longer allows null or boolean"),
    ({}, {"type": "string"}, "was any value, now only string"),
    ({"type": "string"}, False, "was string, now no value is allowed"),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, "no longer allows 'b'"),
    ({"type": "string"}, {"enum": ["a", "b"]}, "now limited to 'a', 'b'"),
    ({"type": "boolean"}, {"const": True}, "no longer allows false"),
    ({"type": "array"}, {"type": "array", "minItems": 1}, "minItems 1 added"),
    ({"type": "array"}, {"type": "array", "maxItems": 3}, "maxItems 3 added"),
    ({"type": "array"}, {"type": "array", "uniqueItems": True}, "uniqueItems added"),
    ({"type": "object"}, {"type": "object", "minProperties": 1}, "minProperties 1 added"),
    ({"type": "object"}, {"type": "object", "maxProperties": 4}, "maxProperties 4 added"),
    (
        {"type": "object"},
        {"type": "object", "dependentRequired": {"a": ["b"]}},
        "'b' is now required where 'a' is given",
    ),
]


@pytest.mark.parametrize(("wide", "narrow", "what"), LEAVES, ids=[what for _, _, what in LEAVES])
def test_a_value_that_is_narrowed_breaks_inputs_and_no_outputs(wide: Any, narrow: Any, what: str) -> None:
    assert told(tool({"x": wide}), tool({"x": narrow})) == [("x", what, B)]
    assert told(tool({"x": wide}), tool({"x": narrow}), "output") == [("x", what, C)]


@pytest.mark.parametrize(("wide", "narrow"), [leaf[:2] for leaf in LEAVES], ids=[leaf[2] for leaf in LEAVES])
def test_a_value_that_is_widened_breaks_outputs_and_no_inputs(wide: Any, narrow: Any) -> None:
    assert only(tool({"x": narrow}), tool({"x": wide})).verdict is C
    assert only(tool({"x": narrow}), tool({"x": wide}), "output").verdict is B


def test_a_type_that_is_replaced_breaks_both_sides() -> None:
    for side in ("input", "output"):
        change = only(tool({"x": {"type": "string"}}), tool({"x": {"type": "integer"}}), side)
        assert (change.what, change.verdict) == ("type changed from string to integer", B)


def test_an_integer_that_becomes_a_number_is_wider() -> None:
    assert only({"type": "integer"}, {"type": "number"}).what == "type changed from integer to number"
    assert only({"type": "integer"}, {"type": "number"}).verdict is C


def test_a_pattern_that_changes_cannot_be_decided() -> None:
    change = only({"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^ab"})
    assert (change.what, change.verdict) == ("pattern changed from '^a' to '^ab'", U)
    assert "counts as breaking" in change.why


def test_formats_that_have_nothing_to_do_with_each_other_cannot_be_decided() -> None:
    assert only({"type": "string", "format": "date"}, {"type": "string", "format": "uuid"}).verdict is U


@pytest.mark.parametrize(
    ("place", "wrap"),
    [
        ("a", lambda inner: tool({"a": inner})),
        ("a.b", lambda inner: tool({"a": tool({"b": inner})})),
        ("a[]", lambda inner: tool({"a": {"type": "array", "items": inner}})),
        ("a[1]", lambda inner: tool({"a": {"type": "array", "prefixItems": [{"type": "string"}, inner]}})),
        ("a.b[].c", lambda inner: tool({"a": tool({"b": {"type": "array", "items": tool({"c": inner})}})})),
        ("a{}", lambda inner: tool({"a": {"type": "object", "additionalProperties": inner}})),
        ("a{'^x'}", lambda inner: tool({"a": {"type": "object", "patternProperties": {"^x": inner}}})),
        ("a", lambda inner: tool({"a": {"$ref": "#/$defs/a"}}) | {"$defs": {"a": inner}}),
        ("a", lambda inner: tool({"a": {"$ref": "#here"}}) | {"$defs": {"a": {"$anchor": "here"} | inner}}),
        ("a", lambda inner: tool({"a": {"anyOf": [inner, {"type": "null"}]}})),
        ("a", lambda inner: {"allOf": [tool({"a": inner}), tool({"b": True})]}),
        ("a[0]", lambda inner: {"$schema": DRAFT_7} | tool({"a": {"type": "array", "items": [inner]}})),
    ],
)
def test_the_place_of_a_change_is_told(place: str, wrap: Any) -> None:
    wide, narrow = wrap({"type": "integer", "maximum": 10}), wrap({"type": "integer", "maximum": 7})
    assert told(wide, narrow) == [(place, "maximum lowered from 10 to 7", B)]
    assert told(narrow, wide) == [(place, "maximum raised from 7 to 10", C)]


def test_a_change_in_one_of_several_alternatives_is_found_by_the_value_that_tells_them_apart() -> None:
    def union(limit: int) -> dict[str, Any]:
        return {
            "oneOf": [
                tool({"kind": {"const": "a"}, "n": {"type": "integer", "maximum": limit}}, required=["kind"]),
                tool({"kind": {"const": "b"}, "s": {"type": "string"}}, required=["kind"]),
            ]
        }

    assert told(tool({"x": union(10)}), tool({"x": union(7)})) == [
        ("x (one of 2).n", "maximum lowered from 10 to 7", B)
    ]


def test_an_alternative_that_is_gone_is_named_by_its_mark() -> None:
    kinds = [tool({"kind": {"const": kind}}, required=["kind"]) for kind in "abc"]
    change = only({"oneOf": kinds}, {"oneOf": kinds[:2]})
    assert (change.what, change.verdict) == ("an alternative is gone or narrower: an object with 'kind' 'c'", B)
    assert only({"oneOf": kinds[:2]}, {"oneOf": kinds}).verdict is C
    assert only({"oneOf": kinds[:2]}, {"oneOf": kinds}, "output").verdict is B


def test_a_property_that_is_required_now_is_told_with_what_follows() -> None:
    old = tool({"city": {"type": "string"}})
    change = only(old, old | {"required": ["city"]})
    assert (change.where, change.what) == ("city", "property 'city' is now required")
    assert (change.verdict, change.why) == (B, "callers that leave it out are refused now")
    assert only(old, old | {"required": ["city"]}, "output").verdict is C


def test_a_property_of_a_result_that_may_be_missing_now_breaks() -> None:
    new = tool({"city": {"type": "string"}})
    change = only(new | {"required": ["city"]}, new, "output")
    assert (change.what, change.verdict) == ("property 'city' is no longer required", B)


def test_a_required_property_that_is_added_breaks_inputs() -> None:
    new = tool({"b": {"type": "string"}}, required=["b"])
    assert told(tool(), new) == [("b", "required property 'b' added", B)]
    assert told(tool(), new, "output") == [("b", "required property 'b' added", C)]


def test_an_optional_property_added_where_nothing_was_said_of_others_is_compatible_by_practice() -> None:
    change = only(tool({"a": {"type": "string"}}), tool({"a": {"type": "string"}, "b": {"type": "integer"}}))
    assert (change.where, change.verdict, change.rule) == ("b", C, "optional-added")
    assert change.why.startswith("practice: ")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: tool({"x": inner}),
        lambda inner: tool({"x": {"type": "array", "items": inner}}),
        lambda inner: tool({"x": {"$ref": "#/$defs/x"}}) | {"$defs": {"x": inner}},
        lambda inner: tool({"x": {"anyOf": [inner, {"type": "null"}]}}),
        lambda inner: tool({"x": {"anyOf": [inner, {"type": "object", "required": ["other"]}]}}),
        lambda inner: {"allOf": [inner, {"type": "object"}]},
    ],
)
def test_the_rule_on_optional_properties_holds_at_every_depth(wrap: Any) -> None:
    old, new = tool({"a": {"type": "string"}}), tool({"a": {"type": "string"}, "b": {"type": "integer"}})
    changes = compare_schemas(wrap(old), wrap(new), side="input")
    assert {(each.verdict, each.rule) for each in changes} == {(C, "optional-added")}


def test_the_rule_does_not_hold_where_the_schema_allows_other_properties_by_name() -> None:
    old = tool(additionalProperties=True)
    assert told(old, tool({"b": {"type": "integer"}}, additionalProperties=True)) == [
        ("b", "optional property 'b' added", B)
    ]


def test_an_optional_property_added_to_a_closed_object_is_compatible_by_the_letter() -> None:
    change = only(tool(additionalProperties=False), tool({"b": {"type": "integer"}}, additionalProperties=False))
    assert (change.verdict, change.rule) == (C, "")
    change = only(
        tool(additionalProperties=False), tool({"b": {"type": "integer"}}, additionalProperties=False), "output"
    )
    assert (change.what, change.verdict) == ("optional property 'b' added to a closed object", B)


def test_closing_an_object_is_breaking_even_with_an_optional_property_added() -> None:
    new = tool({"b": {"type": "integer"}}, additionalProperties=False)
    assert told(tool(), new)[-1] == ("{}", "closed: properties that are not declared are no longer allowed", B)
    assert told(tool(), tool(additionalProperties={"type": "string"}))[0][2] is B


def test_a_property_that_is_removed_breaks_a_closed_input_and_an_output() -> None:
    old, new = tool({"a": {"type": "string"}}), tool()
    assert only(old, new).verdict is C
    assert only(old, new, "output").verdict is B
    closed = only(old | {"additionalProperties": False}, new | {"additionalProperties": False})
    assert (closed.what, closed.verdict) == ("property 'a' removed from a closed object", B)


CLOSED = {"additionalProperties": False}
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
NOW_REFUSED = "calls that were valid are refused now"
STILL_VALID = "every call that was valid still is"
STILL_PROMISED = "every result is still one that was promised"
LEAVES_OUT = "callers that leave it out are refused now"
OTHER_VALUE = "callers that send something else under this name are refused now"
CLIENTS_REFUSE = "clients that check results against the old schema refuse "
NOT_FOUND = "clients that rely on it may not find it any more"
NOT_PROMISED = "clients may get results that were not promised to them"
OPEN_CALLS = "whether calls that were valid still are cannot be decided; it counts as breaking"
OPEN_RESULTS = "whether results are still what was promised cannot be decided; it counts as breaking"

# What changes, from what, into what, and what follows: for who sends it, and for who gets it.
CONSEQUENCES: dict[str, tuple[Any, Any, str, str]] = {
    "narrowed": (tool({"a": TEXT}), tool({"a": TEXT | {"maxLength": 9}}), NOW_REFUSED, STILL_PROMISED),
    "widened": (tool({"a": TEXT | {"maxLength": 9}}), tool({"a": TEXT}), STILL_VALID, NOT_PROMISED),
    "replaced": (tool({"a": TEXT}), tool({"a": WHOLE}), NOW_REFUSED, NOT_PROMISED),
    "undecided": (TEXT | {"pattern": "^a"}, TEXT | {"pattern": "^ab"}, OPEN_CALLS, OPEN_RESULTS),
    "patterns": (tool(), tool(patternProperties={"^a": TEXT}), OPEN_CALLS, f"together with the rest, {STILL_PROMISED}"),
    "now required": (tool({"a": TEXT}), tool({"a": TEXT}, required=["a"]), LEAVES_OUT, STILL_PROMISED),
    "no longer required": (tool({"a": TEXT}, required=["a"]), tool({"a": TEXT}), STILL_VALID, NOT_FOUND),
    "required, added": (tool(), tool({"a": TEXT}, required=["a"]), LEAVES_OUT, STILL_PROMISED),
    "required, added to closed": (
        tool(**CLOSED),
        tool({"a": TEXT}, required=["a"], **CLOSED),
        LEAVES_OUT,
        CLIENTS_REFUSE + "them",
    ),
    "optional, added": (
        tool(),
        tool({"a": TEXT}),
        "practice: existing callers do not send it (additionalProperties was left unsaid)",
        STILL_PROMISED,
    ),
    "optional, added to closed": (
        tool(**CLOSED),
        tool({"a": TEXT}, **CLOSED),
        STILL_VALID,
        CLIENTS_REFUSE + "those that have it",
    ),
    "optional, added to others": (
        tool(additionalProperties=True),
        tool({"a": TEXT}, additionalProperties=True),
        OTHER_VALUE,
        STILL_PROMISED,
    ),
    "optional, removed": (
        tool({"a": TEXT}),
        tool(),
        "calls that send it stay valid, but it is ignored now",
        "nothing is promised of it any more",
    ),
    "optional, removed beside others": (
        tool({"a": TEXT}, additionalProperties=True),
        tool(additionalProperties=True),
        "calls that send it stay valid: other properties are allowed",
        "nothing is promised of it any more",
    ),
    "required, removed": (
        tool({"a": TEXT}, required=["a"]),
        tool(),
        "calls that send it stay valid, but it is ignored now",
        NOT_FOUND,
    ),
    "optional, removed from closed": (
        tool({"a": TEXT}, **CLOSED),
        tool(**CLOSED),
        "callers that send it are refused now",
        STILL_PROMISED,
    ),
    "required, removed from closed": (
        tool({"a": TEXT}, required=["a"], **CLOSED),
        tool(**CLOSED),
        "callers that send it are refused now",
        NOT_FOUND,
    ),
    "closed": (tool(), tool(**CLOSED), "callers that send such properties are refused now", STILL_PROMISED),
    "opened": (tool(**CLOSED), tool(), STILL_VALID, CLIENTS_REFUSE + "those that have such properties"),
    "gone": (tool(), None, OPEN_CALLS, "clients that rely on structured results have no promise any more"),
    "new": (None, tool(), "nothing was promised before", "nothing was promised before"),
}


@pytest.mark.parametrize("kind", CONSEQUENCES)
def test_what_follows_from_a_change_is_told_to_those_whom_it_meets(kind: str) -> None:
    old, new, to_callers, to_clients = CONSEQUENCES[kind]
    assert only(old, new).why == to_callers
    assert only(old, new, "output").why == to_clients


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *((old, new) for old, new, *_ in CONSEQUENCES.values()),
        *((tool({"x": wide}), tool({"x": narrow})) for wide, narrow, _ in LEAVES),
        (tool({"a": TEXT | {"default": "x", "title": "A"}}), tool({"a": TEXT | {"default": "y", "title": "B"}})),
        (tool({"a": {"anyOf": [TEXT, WHOLE]}}), tool({"a": {"anyOf": [TEXT, {"type": "array"}]}})),
    ],
)
def test_nobody_is_told_of_refused_calls_on_results_nor_of_results_on_calls(old: Any, new: Any) -> None:
    for before, after in ((old, new), (new, old)):
        for change in compare_schemas(before, after, side="output"):
            assert not re.search("call|refused|send", change.why), change
        for change in compare_schemas(before, after, side="input"):
            assert not re.search("result|client|promised to", change.why), change


def test_a_change_that_is_compatible_only_with_the_rest_does_not_say_so_of_itself() -> None:
    def numbers(most: int, kind: Any, **words: Any) -> dict[str, Any]:
        return tool({"kind": kind, "n": WHOLE | {"maximum": most}}, **words)

    a, b = {"const": "a"}, {"const": "b"}
    # Greater numbers of kind "a" are no longer allowed by the first alternative, but by the second one.
    old = {"anyOf": [numbers(10, a, required=["kind"]), numbers(20, b, required=["kind"])]}
    new = {"anyOf": [numbers(5, a, required=["kind"]), numbers(20, TEXT)]}
    whys = {(each.where, each.what): each.why for each in compare_schemas(old, new, side="input")}
    assert whys["(one of 2).n", "maximum lowered from 10 to 5"] == f"together with the rest, {STILL_VALID}"
    # Here that takes the rule on optional properties.
    old = {"anyOf": [numbers(10, a, required=["kind"]), tool({"kind": b}, required=["kind"])]}
    whys = {(each.where, each.what): each.why for each in compare_schemas(old, new, side="input")}
    assert whys["(one of 2).n", "maximum lowered from 10 to 5"] == f"in practice, {STILL_VALID}"


def test_a_default_added_changed_or_removed_is_compatible_and_noted() -> None:
    schemas = [{"type": "integer"}, {"type": "integer", "default": 3}, {"type": "integer", "default": 4}]
    for old, new, what in (
        (0, 1, "default 3 added"),
        (1, 2, "default changed from 3 to 4"),
        (2, 0, "default 4 removed"),
    ):
        change = only(tool({"n": schemas[old]}), tool({"n": schemas[new]}))
        assert (change.where, change.what, change.verdict, change.rule) == ("n", what, C, "default")


def test_other_words_are_cosmetic() -> None:
    old = tool({"a": {"type": "string", "description": "one"}}, title="T")
    new = tool({"a": {"type": "string", "description": "two", "examples": ["x"]}})
    assert told(old, new) == [("", "title removed", W), ("a", "description changed", W), ("a", "examples added", W)]


def test_a_property_called_title_is_no_title() -> None:
    assert only(tool({"title": {"type": "string"}}), tool({"title": {"type": "integer"}})).verdict is B


def test_a_recursive_schema_is_walked_once() -> None:
    def tree(**words: Any) -> dict[str, Any]:
        node = tool({"v": {"type": "integer"} | words, "next": {"$ref": "#/$defs/node"}})
        return {"$ref": "#/$defs/node", "$defs": {"node": node}}

    assert told(tree(), tree(minimum=1)) == [("v", "minimum 1 added", B)]
    assert told(tree(minimum=1), tree()) == [("v", "minimum 1 removed", C)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ({"type": "integer", "minimum": 0}, {"type": "integer", "exclusiveMinimum": -1}),
        ({"type": "integer", "minimum": 3, "maximum": 3}, {"const": 3.0}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"anyOf": [{"const": "a"}, {"const": "b"}]}, {"enum": ["b", "a"]}),
        ({"enum": [1, 2, 3]}, {"type": "integer", "minimum": 1, "maximum": 3}),
        ({"type": "string", "pattern": ".*", "minLength": 0}, {"type": "string"}),
        ({"not": {"type": "null"}}, {"type": ["boolean", "number", "string", "array", "object"]}),
        ({"anyOf": [{"type": "string"}, {"type": "string", "minLength": 3}]}, {"type": "string"}),
        ({"allOf": [tool({"a": True}), tool(required=["a"])]}, tool(required=["a"])),
        (
            {"$schema": DRAFT_7, "type": "array", "items": [{"type": "string"}], "additionalItems": False},
            {"type": "array", "prefixItems": [{"type": "string"}], "maxItems": 1},
        ),
        ({"$schema": DRAFT_7, "dependencies": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        ({"$schema": DRAFT_7, "$ref": "#/definitions/a", "type": "null", "definitions": {"a": True}}, {}),
        (tool(unevaluatedProperties=False), tool(additionalProperties=False)),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True},
            {"exclusiveMinimum": 1},
        ),
        ({"oneOf": [{"type": "integer", "maximum": 3}, {"type": "integer", "minimum": 4}]}, {"type": "integer"}),
        ({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"const": 1}}}, {"not": {"enum": [1.0]}}),
    ],
)
def test_another_spelling_is_no_change(old: Any, new: Any) -> None:
    for side in ("input", "output"):
        assert told(old, new, side) == []
        assert told(new, old, side) == []


def test_what_is_no_schema_cannot_be_decided() -> None:
    assert only({"type": "string"}, 5).verdict is U
    assert only("x", {"type": "string"}).what == "the old schema is no schema: neither an object nor a boolean"
    # Whatever the word that is none was meant to say, it is said now, or no more.
    assert told({"properties": {}}, {"properties": 5})[0][2] is U
    assert told({"properties": 5}, {"properties": {}}, "output")[0][2] is U
    assert told({"type": "string"}, {"type": "strin"})[-1][2] is U


def test_a_reference_that_leads_nowhere_or_abroad_cannot_be_decided_once_something_differs() -> None:
    for ref in ("#/nowhere", "https://example.org/other", "#"):
        old = tool({"a": {"$ref": ref}})
        assert compare_schemas(old, tool({"a": {"$ref": ref}}), side="input") == ()
        assert any(each.verdict in (B, U) for each in compare_schemas(tool({"a": True}), old, side="input"))


def test_a_schema_that_was_not_there_or_is_gone() -> None:
    assert told(None, None, "output") == []
    assert only(None, {"type": "object"}, "output").verdict is C
    assert only({"type": "object"}, None, "output").verdict is B
    assert only({"type": "object"}, None, "input").verdict is U
    assert only(None, {"type": "object"}, "input").verdict is C


def test_what_a_server_wrote_is_shown_on_one_bounded_line() -> None:
    old = tool({"\x1b[31m" + "x" * 5_000: {"type": "string", "pattern": "a\nb"}})
    for change in compare_schemas(old, tool(additionalProperties=False), side="input"):
        assert change.where.isprintable()
        assert len(change.where) < 400


def test_a_value_is_refused_only_where_it_was_there_before() -> None:
    # Both sides refuse "c": the schema of a property that no object can have is nobody's change.
    closed = tool({"a": True}, additionalProperties=False)
    one = {"allOf": [closed, tool({"c": {"type": "string"}})]}
    other = {"allOf": [closed, tool({"c": {"type": "integer"}})]}
    assert told(one, other) == []


def test_the_change_of_what_is_required_of_objects_is_none_for_strings() -> None:
    assert told({"type": "string"}, {"type": "string", "required": ["a"], "properties": {"a": False}}) == []
