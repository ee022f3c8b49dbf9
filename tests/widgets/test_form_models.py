"""Forms of what pydantic and the SDK make: every input has its label, and what is filled in is what is read."""

from __future__ import annotations

import datetime as dt
import enum
import json
from decimal import Decimal
from typing import Annotated, Any, Literal

import anyio
import ipywidgets as w
import jsonschema
from form_reading import box, every, refusal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipywidgets.widgets import widget as registry
from ipywidgets.widgets.widget_description import DescriptionWidget
from mcp import Client
from mcp.server.mcpserver import MCPServer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from mcp_workbench.widgets.form import Form
from mcp_workbench.widgets.values import canonical


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


# Round trips


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


# Clearing and closing


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
