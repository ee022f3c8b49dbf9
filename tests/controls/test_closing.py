"""Closed schemas: what they refuse, and that they refuse nothing else."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mcp_workbench.contracts.schemas.references import resolve
from mcp_workbench.controls.closing import closed
from mcp_workbench.controls.compiling import compiled

Schema = Any
LATEST = "https://json-schema.org/draft/2020-12/schema"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
NAMES = ("a", "b", "c", "d")
SCALARS: tuple[Schema, ...] = ({"type": "string"}, {"type": "integer"}, {"type": "null"}, {"const": 1}, {}, True)


class SchemaMaker:
    """A source of schemas of objects in objects, put together in all ways there are.

    Args:
        rng: decides everything.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.latest = True

    def document(self) -> dict[str, Any]:
        """Return a whole schema; its definitions refer to later ones, so that there are no circles in place."""
        rng = self.rng
        self.latest = rng.random() < 0.7
        root = self.object(3, "XY") if rng.random() < 0.5 else self.composed(3, "XY")
        made = {"$schema": LATEST if self.latest else DRAFT_7, **root}
        return {**made, "$defs": {"X": self.any(2, "Y"), "Y": self.object(1, "")}}

    def any(self, depth: int, refs: str) -> Schema:
        """Return a schema of any kind that may refer to some definitions."""
        rng = self.rng
        if refs and rng.random() < 0.15:
            return {"$ref": f"#/$defs/{rng.choice(refs)}"}
        if depth <= 0:
            return copy.deepcopy(rng.choice(SCALARS))
        make = rng.choice([self.object, self.object, self.object, self.composed, self.array])
        return make(depth, refs)

    def object(self, depth: int, refs: str) -> dict[str, Any]:
        """Return a schema of an object, mostly open, mostly with names."""
        rng = self.rng
        made: dict[str, Any] = {"type": "object"} if rng.random() < 0.4 else {}
        made["properties"] = {name: self.any(depth - 1, refs) for name in rng.sample(NAMES, rng.randrange(3))}
        rare: dict[str, Any] = {
            "type": ["object", "null"],
            "required": rng.sample(NAMES, 1),
            "additionalProperties": rng.choice([True, False, self.any(depth - 1, refs)]),
            "patternProperties": {"^c": self.any(depth - 1, refs)},
            "dependentSchemas": {rng.choice(NAMES): self.any(depth - 1, refs)},
            "dependentRequired": {rng.choice(NAMES): rng.sample(NAMES, 1)},
            "unevaluatedProperties": False,
            "minProperties": 1,
            "propertyNames": {"maxLength": 1},
        }
        if not self.latest:
            rare["dependencies"] = {**rare.pop("dependentRequired"), **rare.pop("dependentSchemas")}
            del rare["unevaluatedProperties"]
        for word in rng.sample(list(rare), rng.choice([0, 0, 0, 1, 2])):
            made[word] = rare[word]
        if rng.random() < 0.1:
            del made["properties"]
        return made

    def composed(self, depth: int, refs: str) -> dict[str, Any]:
        """Return a schema that is put together from others."""
        rng = self.rng
        made = self.object(depth, refs) if rng.random() < 0.5 else {}
        if refs and rng.random() < 0.2:
            made["$ref"] = f"#/$defs/{rng.choice(refs)}"
        for word in rng.sample(["allOf", "anyOf", "oneOf", "not", "if"], rng.choice([1, 1, 2])):
            if word == "not":
                made["not"] = self.any(depth - 1, refs)
            elif word == "if":
                made |= {word: self.any(depth - 1, refs) for word in ("if", "then", "else")}
            else:
                made[word] = [self.any(depth - 1, refs) for _ in range(rng.choice([1, 2, 2]))]
        return made

    def array(self, depth: int, refs: str) -> dict[str, Any]:
        """Return a schema of an array."""
        rng = self.rng
        made: dict[str, Any] = {
            "items": self.any(depth - 1, refs),
            "prefixItems": [self.any(depth - 1, refs)],
            "contains": self.any(depth - 1, refs),
        }
        made = {word: made[word] for word in rng.sample(list(made), rng.choice([1, 1, 2]))}
        if not self.latest and "prefixItems" in made:
            rest = {"additionalItems": made.pop("items")} if "items" in made else {}
            made |= {"items": made.pop("prefixItems"), **rest}
        return made | {"maxContains": 1} if "contains" in made and self.latest and rng.random() < 0.5 else made

    def value(self, root: Schema, schemas: list[Schema]) -> Any:
        """Return a value that is mostly as one of some schemas wants it."""
        rng = self.rng
        said = [each for schema in schemas for each in holding(root, schema)]
        places = [each for each in said if "properties" in each] * 3
        places += [each for each in said if {"items", "prefixItems", "contains"} & each.keys()]
        if not places or rng.random() < 0.1:
            return rng.choice([None, 1, "x", {}, {"zz": 1}, []])
        chosen = rng.choice(places)
        if "properties" not in chosen:
            words = [word for word in ("items", "prefixItems", "contains") if word in chosen]
            inner = chosen[rng.choice(words)]
            return [self.value(root, inner if isinstance(inner, list) else [inner]) for _ in range(rng.randrange(3))]
        names = sorted({name for each in said for name in (*each.get("properties", ()), *each.get("required", ()))})
        names = rng.sample(names, min(len(names), rng.randrange(4))) + (["zz"] if rng.random() < 0.15 else [])
        return {name: self.value(root, [each for one in said for each in inside(one, name)]) for name in names}


def holding(root: Schema, schema: Schema, seen: tuple[int, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield all schemas that speak of the same value, whether or not they come to hold for it."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen = (*seen, id(schema))
    if "$ref" not in schema or root["$schema"] != DRAFT_7:
        yield schema
    beside = [schema[word] for word in ("not", "if", "then", "else") if word in schema]
    for word in ("allOf", "anyOf", "oneOf"):
        beside += schema.get(word, [])
    for word in ("dependentSchemas", "dependencies"):
        beside += schema.get(word, {}).values()
    if "$ref" in schema:
        target = resolve(root, schema["$ref"])
        # Draft 7, core, section 8.3: what stands beside a reference is ignored.
        beside = [target] if root["$schema"] == DRAFT_7 else [*beside, target]
    for each in beside:
        yield from holding(root, each, seen)


def all_named(root: Schema, schemas: list[Schema], value: Any) -> bool:
    """Return whether each property has a name that some schema gives for its place."""
    speaking = [each for schema in schemas for each in holding(root, schema)]
    if isinstance(value, dict):
        names = {name for each in speaking for name in each.get("properties", {})}
        return all(
            name in names and all_named(root, [inner for each in speaking for inner in inside(each, name)], value[name])
            for name in value
        )
    if isinstance(value, list):
        return all(
            all_named(root, [inner for each in speaking for inner in in_array(each, number)], item)
            for number, item in enumerate(value)
        )
    return True


def inside(schema: dict[str, Any], name: str) -> Iterator[Schema]:
    """Yield the schemas that one schema has for a property."""
    if name in schema.get("properties", {}):
        yield schema["properties"][name]
    elif "additionalProperties" in schema:
        yield schema["additionalProperties"]
    if name.startswith("c"):
        yield from schema.get("patternProperties", {}).values()


def in_array(schema: dict[str, Any], number: int) -> Iterator[Schema]:
    """Yield the schemas that one schema has for an item."""
    items = schema.get("items", True)
    first, rest = (items, "additionalItems") if isinstance(items, list) else (schema.get("prefixItems", []), "items")
    yield first[number] if number < len(first) else schema.get(rest, True)
    yield schema.get("contains", True)


def hold(seed: int, schemas: int, values: int) -> Counter[str]:
    """Hold schemas against their closed forms, and count what came up."""
    rng = random.Random(seed)
    maker = SchemaMaker(rng)
    counts: Counter[str] = Counter()
    for _ in range(schemas):
        schema = maker.document()
        before = copy.deepcopy(schema)
        shut = closed(schema)
        assert schema == before
        counts["with copies"] += any(name.endswith("_alone") for name in shut["$defs"])
        was, now = compiled(schema), compiled(shut)
        for _ in range(values):
            value = maker.value(schema, [schema])
            valid, named = was.is_valid(value), all_named(schema, [schema], value)
            if now.is_valid(value):
                assert valid, f"{value} was refused by {schema}, and is allowed by {shut}"
                counts["named and valid"] += named and bool(value)
            elif valid:
                assert not named, f"{value} was allowed by {schema}, names nothing new, and is refused by {shut}"
                counts["closed more"] += 1
    return counts


def test_a_closed_schema_refuses_unknown_names_and_nothing_else() -> None:
    counts = hold(seed=1, schemas=1_500, values=8)
    # It would prove nothing if nothing were closed, or nothing valid.
    assert counts["closed more"] >= 300
    assert counts["with copies"] >= 30
    assert counts["named and valid"] >= 1_500


A = {"type": "object", "properties": {"a": {"type": "integer"}}}
B = {"type": "object", "properties": {"b": {"type": "integer"}}}
TREE = {
    "$defs": {"Node": {"type": "object", "properties": {"kids": {"items": {"$ref": "#/$defs/Node"}}}}},
    "$ref": "#/$defs/Node",
}


@pytest.mark.parametrize(
    ("schema", "taken", "refused"),
    [
        pytest.param(A, [{}, {"a": 1}], [{"z": 1}, {"a": 1, "z": 1}], id="an object"),
        pytest.param({"properties": {}}, [{}], [{"z": 1}], id="an object without properties"),
        pytest.param({"properties": {"a": A}}, [{"a": {"a": 1}}], [{"a": {"z": 1}}], id="an object in an object"),
        pytest.param({"type": "array", "items": A}, [[{"a": 1}]], [[{"z": 1}]], id="objects in an array"),
        pytest.param({"additionalProperties": A}, [{"x": {"a": 1}}], [{"x": {"z": 1}}], id="objects by any name"),
        pytest.param({"patternProperties": {"^x": A}}, [{"x": {"a": 1}}], [{"x": {"z": 1}}], id="by a pattern"),
        pytest.param({"anyOf": [A, {"type": "null"}]}, [None, {"a": 1}], [{"z": 1}], id="an object or null"),
        pytest.param({"anyOf": [A, B]}, [{"a": 1}, {"a": 1, "b": 2}], [{"z": 1}], id="one of two objects"),
        pytest.param({"oneOf": [A, {**B, "required": ["b"]}]}, [{"a": 1}], [{"a": 1, "z": 1}], id="just one of two"),
        pytest.param({"allOf": [A, B]}, [{"a": 1, "b": 2}], [{"z": 1}], id="both of two"),
        pytest.param({**A, "required": ["r"]}, [{"r": 1}], [{"r": 1, "z": 1}], id="a name that is only required"),
        pytest.param(
            {**A, "$ref": "#/$defs/B", "$defs": {"B": B}}, [{"a": 1, "b": 1}], [{"z": 1}], id="an object that extends"
        ),
        pytest.param(
            {**A, "if": {"required": ["a"]}, "then": B}, [{"a": 1, "b": 1}], [{"z": 1}], id="more under a condition"
        ),
        pytest.param(
            {"$schema": DRAFT_7, "definitions": {"B": B}, "$ref": "#/definitions/B", "properties": {"a": {}}},
            [{"b": 1}],
            [{"a": 1}, {"z": 1}],
            id="draft 7 ignores what stands beside a reference",
        ),
        pytest.param(TREE, [{"kids": [{"kids": []}]}], [{"kids": [{"z": 1}]}, {"z": 1}], id="a tree"),
    ],
)
def test_what_names_its_properties_is_closed(schema: Schema, taken: list[Any], refused: list[Any]) -> None:
    was, now = compiled(schema), compiled(closed(schema))
    assert [was.is_valid(value) for value in taken] == [True] * len(taken)
    assert [now.is_valid(value) for value in taken] == [True] * len(taken)
    assert [now.is_valid(value) for value in refused] == [False] * len(refused)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "object"}, id="names nothing"),
        pytest.param({**A, "additionalProperties": True}, id="says that others are taken"),
        pytest.param({**A, "patternProperties": {"^x-": {}}}, id="says which others are taken"),
        pytest.param({**A, "unevaluatedProperties": {}}, id="says which others are taken, in other words"),
        pytest.param({**A, "minProperties": 2}, id="wants others"),
        pytest.param({"anyOf": [A, {"type": "object"}]}, id="one alternative is free"),
        pytest.param({"anyOf": [A, True]}, id="one alternative is anything"),
        pytest.param({"not": A}, id="what is excluded"),
        pytest.param({**A, "$dynamicRef": "#x"}, id="leads nobody knows where"),
        pytest.param({**A, "$ref": "https://example.org/schema"}, id="leads to another document"),
        pytest.param({"$schema": "https://example.org/draft", **A}, id="a draft that nobody knows"),
        pytest.param({"$ref": "#"}, id="only itself"),
        pytest.param({"properties": {"a": {**A, "$id": "urn:x"}}}, id="holds a document of its own"),
    ],
)
def test_what_cannot_be_closed_safely_stays_as_it_is(schema: Schema) -> None:
    assert closed(schema) == schema


@pytest.mark.parametrize("together", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize(("draft", "word"), [(LATEST, "$defs"), (DRAFT_7, "definitions")])
def test_a_definition_that_stands_alone_and_in_a_union_is_closed_where_it_stands_alone(
    together: str, draft: str, word: str
) -> None:
    part = {"$ref": f"#/{word}/A"}
    alone = {"base": part, "maybe": {"anyOf": [dict(part), {"type": "null"}]}, "many": {"items": dict(part)}}
    schema = {"properties": {**alone, "more": {together: [dict(part), {**B, "required": ["b"]}]}}}
    now = compiled(closed({"$schema": draft, **schema, word: {"A": A}}))
    one_of_both = {"a": 1} if together == "oneOf" else {"a": 1, "b": 1}
    assert now.is_valid({"base": {"a": 1}, "maybe": None, "many": [{"a": 1}], "more": one_of_both})
    for wrong in ({"base": {"z": 1}}, {"maybe": {"z": 1}}, {"many": [{"z": 1}]}):
        assert not now.is_valid(wrong)


def test_a_definition_has_one_closed_copy_with_a_name_that_was_free() -> None:
    union = {"anyOf": [{"$ref": "#/$defs/A"}, B]}
    places = {name: {"$ref": "#/$defs/A"} for name in "xyz"}
    shut = closed({"properties": {**places, "u": union}, "$defs": {"A": A, "A_alone": True}})
    assert {shut["properties"][name]["$ref"] for name in places} == {"#/$defs/A_alone_2"}
    assert shut["$defs"] == {"A": A, "A_alone": True, "A_alone_2": {**A, "additionalProperties": False}}
    assert shut["properties"]["u"]["anyOf"] == union["anyOf"]


def test_a_part_of_others_that_may_stand_only_once_has_no_copy() -> None:
    anchored = {**A, "$anchor": "here"}
    schema = {"properties": {"a": {"$ref": "#/$defs/A"}, "u": {"allOf": [{"$ref": "#/$defs/A"}, B]}}}
    now = compiled(closed({**schema, "$defs": {"A": anchored}}))
    assert now.is_valid({"a": {"z": 1}, "u": {"a": 1, "b": 1}})


@pytest.mark.parametrize("word", ["examples", "default", "const", "enum"])
def test_what_stands_in_a_value_is_no_keyword(word: str) -> None:
    value = {"$id": "urn:x", "$dynamicRef": "#x"}
    said = [value] if word in ("examples", "enum") else value
    now = compiled(closed({"properties": {"p": {**A, "not": {word: said, "required": ["z"]}}}}))
    assert not now.is_valid({"zz": 1})
    # A property may have the name of such a word.
    open_for_all = {"properties": {"default": {"$dynamicRef": "#x"}}}
    assert closed(open_for_all) == open_for_all


@pytest.mark.parametrize("odd", [5, None, [], "x", True])
def test_what_is_no_schema_is_left_as_it_is(odd: Any) -> None:
    for schema in ({"properties": odd}, {"properties": {"a": {"properties": odd}}, "minProperties": 0}):
        assert closed({"type": "object", **schema}) == {"type": "object", **schema}


def test_a_schema_nested_without_end_is_left_as_it_is() -> None:
    schema: dict[str, Any] = {"properties": {}}
    for _ in range(5_000):
        schema = {"properties": {"a": schema}}
    assert closed(schema) == dict(schema)


def test_alternatives_that_refer_to_each_other_many_times_take_no_time() -> None:
    # 2 to the power of 40 ways lead through these.
    defs: dict[str, Any] = {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(40)}
    schema = {"anyOf": [{"$ref": "#/$defs/D0"}, B], "$defs": {**defs, "D40": A}}
    assert closed(schema)["additionalProperties"] is False
