"""A document held against a model: the first fault, where it is, and what to do."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from mcp_workbench import FileError
from mcp_workbench.documents import checked, parse_document


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Cat(Closed):
    kind: Literal["cat"]
    lives: int = 9


class Dog(Closed):
    kind: Literal["dog"]
    tricks: tuple[str, ...] = ()


class Shelf(Closed):
    name: str
    version: str = "1.0.0"
    effects: Literal["read", "write", "destructive"] | None = None
    closed: bool | None = None
    labels: dict[str, str] = {}
    size: int | str = 0
    height_m: Annotated[float, Field(alias="heightM", gt=0)] = 1.0
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    shelves: list["Shelf"] = []

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 100:
            raise ValueError("the name is too long")
        return name

    @model_validator(mode="after")
    def _not_latest(self) -> "Shelf":
        if self.version == "latest":
            raise ValueError("version: 'latest' is no version; write one like 1.0.0")
        if self.size == 13:
            raise ValueError("thirteen is not wanted")
        return self


def refusal(text: str, model: Any = Shelf) -> str:
    with pytest.raises(FileError) as caught:
        checked(parse_document(text, "shelf.yaml"), model)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("shelf.yaml, ")


def test_a_document_that_fits_becomes_the_model() -> None:
    document = parse_document(
        "name: a\nheightM: 2\npet: {kind: dog, tricks: [sit]}\nshelves:\n  - name: b", "shelf.yaml"
    )
    shelf = checked(document, Shelf)
    assert shelf.pet == Dog(kind="dog", tricks=("sit",))
    assert shelf.shelves == [Shelf(name="b")]
    assert checked(document, TypeAdapter(Shelf)) == shelf
    assert checked(parse_document("[1, 2]", "a"), list[int]) == [1, 2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5", "line 1: should be a mapping, not the number 5; mend that field"),
        ("\n- name: a", "line 2: should be a mapping, not a list; mend that field"),
        ("name: null", "line 1, name: should be text, not null; mend that field"),
        ("name: [a]", "line 1, name: should be text, not a list; mend that field"),
        ("name: {a: 1}", "line 1, name: should be text, not a mapping; mend that field"),
        ("name: a\nversion: 1.0", "line 2, version: should be text, not the number 1.0; put it into quotes"),
        ("name: true", "line 1, name: should be text, not true; put it into quotes"),
        ("name: a\nlabels: {x: 1}", "line 2, labels.x: should be text, not the number 1; put it into quotes"),
        ("name: a\nlabels: {'x y': 1}", "line 2, labels['x y']: should be text"),
        (
            "name: a\neffects: delete",
            "line 2, effects: should be 'read', 'write' or 'destructive', not 'delete'; mend that field",
        ),
        ("name: a\nclosed: perhaps", "line 2, closed: should be true or false, not 'perhaps'; mend that field"),
        ("name: a\nclosed: []", "line 2, closed: should be true or false, not a list; mend that field"),
        ("name: a\nshelves:\n  name: b", "line 2, shelves: should be a list, not a mapping; mend that field"),
        ("name: a\nlabels:\n  - b", "line 2, labels: should be a mapping, not a list; mend that field"),
        ("name: a\nheightM: -1", "line 2, heightM: should be greater than 0, not the number -1; mend that field"),
        ("name: a\nheight_m: -1", "line 2, height_m: should be greater than 0, not the number -1; mend that field"),
        ("shelves: []\n", "line 1, name: is missing; add it"),
        ("name: a\nshelves:\n  - name: b\n  - size: 1", "line 4, shelves[1].name: is missing; add it"),
        ("name: a\npet: {kind: dog, tricks: [1]}", "line 2, pet.tricks[0]: should be text, not the number 1; put it"),
        (
            "name: a\npet: {lives: 1}",
            "line 2, pet: unable to extract tag using discriminator 'kind', not a mapping; me",
        ),
        ("name: a\nversion: latest", "line 2, version: 'latest' is no version; write one like 1.0.0"),
        ("name: a\nsize: 13", "line 1: thirteen is not wanted; mend that field"),
        (f"name: {'a' * 200}", "line 1, name: the name is too long; mend that field"),
    ],
)
def test_a_fault_is_told_with_line_place_and_remedy(text: str, told: str) -> None:
    assert refusal(text).startswith(told)


def test_what_each_member_of_a_union_finds_wrong_is_told_as_one_fault() -> None:
    told = "line 2, size: should be a valid integer or should be text, not a list; mend that field"
    assert refusal("name: a\nsize: [1]") == told
    assert refusal("name: a\nsize: 1.5").endswith("or should be text, not the number 1.5; put it into quotes")


def test_the_fault_that_comes_first_in_the_file_is_told_and_the_others_counted() -> None:
    text = "shelves:\n  - name: b\n    size: []\n    closed: 7\nversion: 1\n"
    assert refusal(text) == "line 1, name: is missing; add it (and 3 more)"
    assert refusal(text + "name: a\n").startswith("line 3, shelves[0].size: ")
    assert refusal(text + "name: a\n").endswith(" (and 2 more)")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\nefects: read", "line 2, efects: there is no such field; did you mean 'effects'?"),
        ("name: a\nheigthM: 1", "line 2, heigthM: there is no such field; did you mean 'heightM'?"),
        (
            "name: a\nshelves:\n  - nmae: b\n    name: c",
            "line 3, shelves[0].nmae: there is no such field; did you mean",
        ),
        (
            "name: a\npet:\n  kind: dog\n  trick: []",
            "line 4, pet.trick: there is no such field; did you mean 'tricks'?",
        ),
        (
            "name: a\ncolour: red",
            "line 2, colour: there is no such field; take it out, or choose one of name, version, effects, closed, ",
        ),
    ],
)
def test_an_unknown_field_is_told_with_those_that_there_are(text: str, told: str) -> None:
    assert refusal(text).startswith(told)


def test_any_kind_of_model_will_do() -> None:
    @dataclass
    class Point:
        x: int

    assert checked(parse_document("{x: 1}", "a"), Point) == Point(1)
    assert refusal("{x: a}", Point) == (
        "line 1, x: should be a valid integer, unable to parse string as an integer, not 'a'; mend that field"
    )
    assert refusal("a", Point).startswith("line 1: should be a mapping")
    assert refusal("{a: [1, {b: x}]}", dict[str, list[int | dict[str, int]]]).startswith(
        "line 1, a[1].b: should be a valid integer"
    )


def test_what_is_repeated_of_a_file_is_short_and_visible() -> None:
    shown = refusal('name: a\neffects: "' + "\\u202e" + "x" * 10_000 + '"')
    assert len(shown) < 200
    assert "\\u202exxx" in shown
    assert len(refusal("name: a\n? " + "x" * 10_000 + "\n: 1")) < 600
    assert len(refusal("name: a\nlabels:\n  ? " + "x y" * 10_000 + "\n  : 1")) < 300
    assert len(refusal("name: a\nlabels: {'a\\u202e': 1}")) < 300


def test_a_thousand_faults_are_one_sentence() -> None:
    told = refusal("name: a\nshelves:\n" + "  - size: []\n" * 1_000)
    assert told == "line 3, shelves[0].name: is missing; add it (and 1999 more)"
