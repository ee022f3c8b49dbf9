"""What a server lists, in words that people read."""

import base64
from typing import Any

import pytest
from example_servers import MARKUP
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer
from mcp_types import Prompt, PromptArgument, Resource, ResourceTemplate, Tool, ToolAnnotations

from mcp_workbench import Workbench
from mcp_workbench.kernel.listings import arguments_in_words, prompts_table, purpose, resources_table, tools_table


def tool(**changes: Any) -> Tool:
    return Tool(**{"name": "add", "input_schema": {"type": "object"}, **changes})


def words(properties: dict[str, Any], required: Any = ()) -> str:
    return arguments_in_words({"type": "object", "properties": properties, "required": required})


def test_a_real_server_is_listed_tool_by_tool() -> None:
    server = MCPServer("desk", log_level="ERROR")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    def weather(city: str, days: int = 3, unit: str | None = None) -> list[float]:
        """Say what the weather will be.

        A second paragraph that nobody needs in a table.
        """
        return [7.0]

    with Workbench(server) as bench:
        assert bench.tools.texts() == [
            [
                "weather",
                "Say what the weather will be.",
                "city: string; days: integer = 3; unit: string or null?",
                "yes",
                "yes",
                "-",
                "-",
                "no",
            ]
        ]
        assert bench.tools.headings()[4:] == ["read-only", "destructive", "idempotent", "open world"]


def test_resources_templates_and_prompts_of_a_real_server_are_listed(server: MCPServer) -> None:
    @server.resource("note://{day}", mime_type="text/markdown")
    def note(day: str) -> str:
        return day

    with Workbench(server) as bench:
        assert bench.resources.texts() == [
            ["today", "note://today", "no", "text/plain", "Say what is on today."],
            ["note", "note://{day}", "yes", "text/markdown", "-"],
        ]
        assert bench.prompts.texts() == [["greet", "Greet somebody.", "name"]]


def test_a_server_that_lists_nothing_has_empty_tables() -> None:
    with Workbench(MCPServer("empty", log_level="ERROR")) as bench:
        for listed in (bench.tools, bench.resources, bench.prompts):
            assert listed.empty
            assert listed.texts() == []


def test_what_a_server_does_not_say_of_a_tool_is_a_dash_and_never_a_no() -> None:
    assert tools_table([tool()]).texts() == [["add", "-", "none", "no", "-", "-", "-", "-"]]
    said = tools_table([tool(annotations=ToolAnnotations(destructive_hint=False))])
    assert said.texts()[0][4:] == ["-", "no", "-", "-"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"description": "First.\n\nSecond."}, "First."),
        ({"description": "One\n  line."}, "One line."),
        ({"description": "  \n\n Late. "}, "Late."),
        ({"title": "Add numbers"}, "Add numbers"),
        ({"description": "", "title": "Add numbers"}, "Add numbers"),
        ({}, "-"),
        ({"description": "\n"}, "-"),
    ],
)
def test_the_purpose_is_the_first_paragraph_or_else_the_title(changes: dict[str, Any], expected: str) -> None:
    assert purpose(tool(**changes)) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "a: string?"),
        ({"type": "integer", "default": 3}, "a: integer = 3"),
        ({"type": "string", "default": "é"}, 'a: string = "é"'),
        ({"type": ["string", "null"], "default": None}, "a: string or null?"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "a: integer or null?"),
        ({"oneOf": [{"type": "integer"}, {"type": "integer"}]}, "a: integer?"),
        ({"anyOf": []}, "a: any?"),
        ({"enum": ["x", 1, None]}, 'a: "x" | 1 | null?'),
        ({"enum": list(range(9))}, "a: 0 | 1 | 2 | 3 | 4 | 5 | …?"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "a: list of list of number?"),
        ({"type": "array"}, "a: array?"),
        ({"$ref": "#/$defs/City"}, "a: City?"),
        ({}, "a: any?"),
        (True, "a: any?"),
    ],
)
def test_an_argument_is_named_with_its_kind_and_default(schema: Any, expected: str) -> None:
    assert words({"a": schema}) == expected


def test_an_argument_that_must_be_given_has_no_question_mark() -> None:
    assert words({"a": {"type": "string"}, "b": {}}, ["a"]) == "a: string; b: any?"


def test_of_many_arguments_the_first_are_named_and_the_rest_counted() -> None:
    assert words({f"a{number}": {} for number in range(23)}).endswith("; a19: any?; and 3 more")


def test_a_schema_that_goes_down_without_end_is_cut() -> None:
    endless: dict[str, Any] = {"type": "array"}
    endless["items"] = endless
    assert words({"a": endless}) == "a: list of list of list of list of …?"


SCHEMAS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["string", "array"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "enum", "anyOf", "oneOf", "$ref", "items", "default", "properties", "required"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.text(max_size=5), SCHEMAS, max_size=5), SCHEMAS)
def test_any_schema_however_wrong_is_told_on_one_bounded_line(properties: dict[str, Any], required: Any) -> None:
    told = words(properties, required)
    assert len(told.splitlines()) == 1
    assert len(told) < 5_000


@pytest.mark.parametrize("name", [MARKUP, "a\nb", "x" * 50_000])
def test_whatever_a_server_calls_its_things_is_bounded_text(name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": name, "default": name, "enum": [name]}}}
    tables = [
        tools_table([tool(name=name, description=name, input_schema=schema)]),
        resources_table(
            [Resource(name=name, uri=f"note://{base64.b16encode(name.encode()).decode()}", description=name)],
            [ResourceTemplate(name=name, uri_template=name, mime_type=name)],
        ),
        prompts_table([Prompt(name=name, description=name, arguments=[PromptArgument(name=name)])]),
    ]
    for listed in tables:
        page = listed._repr_html_() + repr(listed)
        assert len(page) < 10_000
        assert "<script" not in listed._repr_html_()
        assert "<img" not in listed._repr_html_()
        assert "\x1b" not in page
        assert "\u202e" not in page


def test_the_arguments_of_a_prompt_say_which_may_be_left_out() -> None:
    arguments = [PromptArgument(name="who", required=True), PromptArgument(name="how")]
    shown = prompts_table([Prompt(name="greet", arguments=arguments), Prompt(name="bare")])
    assert shown["arguments"].tolist() == ["who; how (optional)", "none"]
