"""A draft takes over what a server lists, and invents nothing."""

import asyncio
import json
import math
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer
from mcp_types import Tool, ToolAnnotations
from pydantic import BaseModel, Field

from mcp_workbench import ContractError, Workbench
from mcp_workbench.contracts.draft import draft_book, draft_tool, fingerprint
from mcp_workbench.contracts.model import Annotations

SCHEMA = {"type": "object", "properties": {"city": {"$ref": "#/$defs/City"}}, "$defs": {"City": {"type": "string"}}}


def listed(**parts: Any) -> Tool:
    return Tool(**{"name": "weather", "input_schema": SCHEMA} | parts)


def hints(read_only: bool | None, destructive: bool | None, idempotent: bool | None) -> ToolAnnotations:
    return ToolAnnotations(read_only_hint=read_only, destructive_hint=destructive, idempotent_hint=idempotent)


def test_schemas_are_taken_over_with_their_references() -> None:
    drafted = draft_tool(listed(output_schema=SCHEMA))
    assert drafted.input_schema == SCHEMA
    assert drafted.output_schema == SCHEMA


def test_what_a_listing_does_not_say_is_a_gap() -> None:
    drafted = draft_tool(listed())
    parts = (drafted.purpose, drafted.output_schema, drafted.effects, drafted.idempotency, drafted.open_world)
    assert parts == (None,) * 5
    assert (drafted.failures, drafted.examples, drafted.annotations) == (None, None, None)


def test_a_description_of_blanks_is_no_purpose() -> None:
    assert draft_tool(listed(description=" \n ")).purpose is None
    assert draft_tool(listed(description="  Tell the weather.\n")).purpose == "Tell the weather."


@pytest.mark.parametrize(
    ("read_only", "destructive", "idempotent", "effects", "idempotency"),
    [
        (True, None, None, "read", None),
        (True, False, True, "read", "natural"),
        (True, False, False, "read", None),  # not idempotent says nothing of a tool that changes nothing
        (True, True, None, None, None),  # a contradiction: for the audit, not for a guess
        (False, True, False, "destructive", "none"),
        (False, False, True, "write", "natural"),
        (False, None, None, None, None),  # the default is "destructive", but the server did not say it
        (None, True, None, "destructive", None),
        (None, False, None, None, None),
        (None, None, True, None, "natural"),
    ],
)
def test_effects_and_idempotency_are_filled_only_where_hints_say_them(
    read_only: bool | None,
    destructive: bool | None,
    idempotent: bool | None,
    effects: str | None,
    idempotency: str | None,
) -> None:
    drafted = draft_tool(listed(annotations=hints(read_only, destructive, idempotent)))
    assert (drafted.effects, drafted.idempotency) == (effects, idempotency)


def test_hints_are_kept_as_announced_and_unsaid_ones_stay_unsaid() -> None:
    drafted = draft_tool(listed(annotations=ToolAnnotations(title="W", read_only_hint=True, open_world_hint=False)))
    assert drafted.annotations == Annotations.model_validate(
        {"title": "W", "readOnlyHint": True, "openWorldHint": False}
    )
    assert drafted.annotations.model_fields_set == {"title", "read_only", "open_world"}
    assert drafted.open_world is False


def test_a_name_listed_twice_is_an_error_that_names_it() -> None:
    with pytest.raises(ContractError, match=r"'s' lists the tool 'weather' twice; .* give each a name of its own"):
        draft_book("s", "1", [listed(), listed()])


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"maximum": math.inf}, "holds inf, which is not JSON"),
        ({"default": math.nan}, "holds nan, which is not JSON"),
        ({"default": object()}, "holds a object, which is not JSON"),
        ({"properties": {1: {}}}, "has a key that is no text"),
        (nested(5_000), "is nested more than 80 deep"),
    ],
)
def test_a_schema_that_is_no_json_is_an_error_that_names_the_tool(schema: Any, told: str) -> None:
    with pytest.raises(ContractError) as caught:
        draft_tool(Tool.model_construct(name="weather", input_schema=schema))
    assert str(caught.value) == f"a schema of the tool 'weather' {told}; mend it in the server"


def test_a_drafts_schema_is_a_copy_that_later_changes_do_not_reach() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"type": "string"}}}
    drafted = draft_tool(listed(input_schema=schema))
    schema["properties"]["a"]["type"] = "integer"
    assert drafted.input_schema == {"properties": {"a": {"type": "string"}}}


def test_the_fingerprint_changes_with_every_word_that_a_model_reads() -> None:
    first = fingerprint(listed())
    others = [
        listed(name="other"),
        listed(title="Weather"),
        listed(description="Tell the weather."),
        listed(input_schema=SCHEMA | {"additionalProperties": False}),
        listed(output_schema=SCHEMA),
        listed(annotations=hints(True, None, None)),
    ]
    assert len({first, *map(fingerprint, others)}) == 1 + len(others)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_the_fingerprint_does_not_know_the_order_of_keys(schema: dict[str, Any]) -> None:
    turned = dict(reversed(list(schema.items())))
    assert fingerprint(listed(input_schema=schema)) == fingerprint(listed(input_schema=turned))


@given(st.text(), st.none() | st.text(), st.dictionaries(st.text(), json_values, max_size=5))
def test_any_listing_of_plain_json_can_be_drafted(name: str, description: str | None, schema: dict[str, Any]) -> None:
    tool = listed(name=name, description=description, input_schema=schema)
    (drafted,) = draft_book(name, None, [tool]).tools
    assert json.dumps(drafted.input_schema) == json.dumps(schema)
    assert drafted.fingerprint == fingerprint(tool)


class Report(BaseModel):
    celsius: float


def test_a_server_object_drafts_through_the_workbench_under_the_name_it_gives_itself() -> None:
    server = MCPServer("weather station", version="2.1.0", log_level="ERROR")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def weather(city: Annotated[str, Field(max_length=80)]) -> Report:
        """Tell the weather."""
        return Report(celsius=len(city))

    with Workbench(server) as bench:
        book = bench.draft()
        assert (book.server.name, book.server.version, book.contract) == ("weather station", "2.1.0", "0.1.0")
        assert book["weather"].effects == "read"
        assert book["weather"].input_schema == bench.session.tools()[0].input_schema
        assert bench.check(book).differences == ()


def test_draft_audit_and_check_can_be_awaited(server: MCPServer) -> None:
    async def all_three() -> tuple[Any, Any, Any]:
        async with await Workbench.aopen(server) as bench:
            book = await bench.adraft()
            return book, await bench.aaudit(), await bench.acheck(book)

    book, audit, drift = asyncio.run(all_three())
    with Workbench(server) as bench:
        assert bench.draft() == book
        assert bench.audit() == audit
        assert bench.check(book) == drift
