"""The inputs stage in front of a tool: strict types, closed objects, limits, defaults, and the words for each fault."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from typing import Any

import pydantic_core
import pytest
from mcp import Client
from mcp.server import Server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

from mcp_workbench.contracts.model import ContractBook, ServerIdentity, ToolContract
from mcp_workbench.controls import Settings, harden
from mcp_workbench.controls.defaults import defaults_of
from mcp_workbench.stages import CALL_META

Arguments = dict[str, Any]
FILTER = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "most": {"type": "integer", "default": 5}},
    "required": ["word"],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 9},
        "x": {"type": "number"},
        "s": {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
        "b": {"type": "boolean"},
        "k": {"type": "string", "enum": ["up", "down"]},
        "t": {"type": "string", "format": "date-time"},
        "p": {"type": "string", "pattern": "^INC-[0-9]+$"},
        "l": {"type": "array", "items": {"$ref": "#/$defs/Filter"}, "maxItems": 3, "uniqueItems": True},
        "f": {"$ref": "#/$defs/Filter"},
        "u": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    },
    "$defs": {"Filter": FILTER},
}


class Serving:
    """A low-level server with one tool of a given schema, hardened, and the arguments that reached the tool.

    A low-level server takes arguments as they are: what reaches its tool is what the stages let through.
    """

    def __init__(self, schema: Arguments, settings: Settings | None = None, book: ContractBook | None = None) -> None:
        self.schema = schema
        self.reached: list[Arguments] = []
        self.server: Server[Any] = Server("low", on_list_tools=self._list, on_call_tool=self._call)
        harden(self.server, book, settings)

    async def _list(self, ctx: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="do", input_schema=self.schema)])

    async def _call(self, ctx: Any, params: Any) -> CallToolResult:
        self.reached.append(params.arguments)
        return CallToolResult(content=[TextContent(text="done")])

    def call(self, arguments: Arguments | None, tool: str = "do") -> CallToolResult:
        """Call the tool once."""
        return self.calls([arguments], tool)[0]

    def calls(self, many: list[Any], tool: str = "do") -> list[CallToolResult]:
        """Call the tool with one set of arguments after the other."""

        async def answered() -> list[CallToolResult]:
            async with Client(self.server) as client:
                return [await client.call_tool(tool, arguments) for arguments in many]

        return asyncio.run(answered())

    def listed(self) -> Arguments:
        """Return the schema that the server lists."""

        async def asked() -> ListToolsResult:
            async with Client(self.server) as client:
                return await client.list_tools()

        return asyncio.run(asked()).tools[0].input_schema


def error(result: CallToolResult) -> dict[str, Any]:
    """Return the error object of a result."""
    assert result.is_error
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def faults(result: CallToolResult) -> list[tuple[str, str, str]]:
    """Return place, rule and problem of each fault."""
    assert error(result)["code"] == "invalid_arguments"
    return [(each["at"], each["rule"], each["problem"]) for each in error(result)["details"]["faults"]]


REFUSED: list[tuple[Arguments, tuple[str, str, str]]] = [
    ({"n": "5"}, ("/n", "type", "must be an integer")),
    ({"n": True}, ("/n", "type", "must be an integer")),
    ({"n": None}, ("/n", "type", "must be an integer")),
    ({"n": 5.5}, ("/n", "type", "must be an integer")),
    ({"n": 0}, ("/n", "minimum", "must be at least 1")),
    ({"n": 10}, ("/n", "maximum", "must be at most 9")),
    ({"x": "1"}, ("/x", "type", "must be a number")),
    ({"b": 0}, ("/b", "type", "must be a boolean")),
    ({"b": "true"}, ("/b", "type", "must be a boolean")),
    ({"s": 5}, ("/s", "type", "must be a string or null")),
    ({"s": "123456"}, ("/s", "maxLength", "must have at most 5 characters")),
    ({"k": "UP"}, ("/k", "enum", 'must be one of "up", "down"')),
    ({"t": "2026-01-01T00:00:00"}, ("/t", "format", "must be a text of the format date-time, with the offset from "
                                    "UTC (RFC 3339)")),
    ({"p": "INC-x"}, ("/p", "pattern", "must match the pattern ^INC-[0-9]+$")),
    ({"l": [{"word": "a"}] * 2}, ("/l", "uniqueItems", "must not hold a value twice")),
    ({"l": [{"word": 1}]}, ("/l/0/word", "type", "must be a string")),
    ({"l": [{"word": "a", "~/": 1}]}, ("/l/0", "additionalProperties", 'must not have "~/"')),
    ({"f": {}}, ("/f", "required", 'must have "word"')),
    ({"f": "word"}, ("/f", "type", "must be an object")),
    ({"u": None}, ("/u", "oneOf", "must be one of the 2 forms that the schema allows, and only one")),
    ({"N": 5}, ("", "additionalProperties", 'must not have "N"')),
    ({"n\u202e": 5}, ("", "additionalProperties", 'must not have "n\\u202e"')),
    ({"n": 2**63}, ("/n", "json", "must be a number that 64 bits hold")),
    ({"s": "\ud800"}, ("/s", "json", "must be valid Unicode text")),
]  # fmt: skip


def test_each_fault_is_told_with_its_place_its_rule_and_what_must_be() -> None:
    serving = Serving(SCHEMA)
    results = serving.calls([arguments for arguments, _ in REFUSED])
    assert [faults(result) for result in results] == [[fault] for _, fault in REFUSED]
    assert serving.reached == []


def test_what_the_schema_allows_reaches_the_tool_as_it_was_sent() -> None:
    sent = [{}, {"n": 5.0}, {"s": None, "b": True, "k": "up"}, {"t": "2026-01-01T00:00:00Z", "u": 1, "x": -0.0}]
    serving = Serving(SCHEMA)
    assert not any(result.is_error for result in serving.calls(sent))
    assert json.dumps(serving.reached) == json.dumps(sent)


def test_a_call_without_arguments_is_one_with_none_of_them() -> None:
    serving = Serving({"type": "object", "properties": {}})
    assert not serving.call(None).is_error
    assert serving.reached == [{}]


def test_the_message_names_three_faults_and_counts_the_others() -> None:
    refused = error(Serving(SCHEMA).call({"n": "x", "b": "x", "k": "x", "p": "x", "x": "x"}))
    assert refused["message"] == (
        "do was not run: /b must be a boolean; /k must be one of \"up\", \"down\"; /n must be an integer; "
        "and 2 more faults; correct the arguments and call again"
    )  # fmt: skip


def test_eight_faults_are_told_in_one_order_and_the_others_counted() -> None:
    names = [f"unknown_{number:02}" for number in range(20)]
    results = Serving(SCHEMA).calls([dict.fromkeys(names, 1), dict.fromkeys(reversed(names), 1)])
    assert [name for _, _, name in faults(results[0])] == [f'must not have "{name}"' for name in names[:8]]
    assert error(results[0])["details"]["more"] == 12
    assert error(results[0])["details"] == error(results[1])["details"]


def test_no_value_of_the_caller_is_repeated() -> None:
    secret = "hunter2-hunter2"
    wrong = [{name: secret} for name in ("n", "s", "b", "k", "t", "p", "l", "f")] + [{"l": [{"word": [secret]}]}]
    for result in Serving(SCHEMA).calls(wrong):
        assert error(result)["code"] == "invalid_arguments"
        assert secret not in result.model_dump_json()


def test_an_unknown_name_is_bounded() -> None:
    result = Serving(SCHEMA).call({"z" * 100_000: 1})
    assert faults(result)[0][:2] == ("", "additionalProperties")
    assert len(result.model_dump_json()) < 1_500


def test_a_tool_that_is_not_there_is_named_bounded_and_visible() -> None:
    refused = error(Serving(SCHEMA).call({}, tool="\u202e" + "d" * 500))
    assert refused["code"] == "unknown_tool"
    assert refused["message"].startswith('there is no tool "\\u202eddd')
    assert len(refused["message"]) < 150


def test_the_size_that_the_server_takes_is_measured_as_json() -> None:
    serving = Serving({"type": "object", "properties": {"s": {"type": "string"}}}, Settings(max_argument_bytes=100))
    fits, over = {"s": "é" * 46}, {"s": "é" * 46 + "x"}
    assert (len(pydantic_core.to_json(fits)), len(pydantic_core.to_json(over))) == (100, 101)
    taken, refused = serving.calls([fits, over])
    assert not taken.is_error
    assert error(refused)["code"] == "arguments_too_large"
    assert error(refused)["details"] == {"limit_bytes": 100}
    assert serving.reached == [fits]


def test_arguments_may_be_as_deep_as_the_server_takes_and_no_deeper() -> None:
    serving = Serving({"type": "object"}, Settings(max_argument_depth=3))
    taken, refused = serving.calls([{"a": [{"b": 1}]}, {"a": [{"b": []}]}])
    assert not taken.is_error
    assert error(refused)["code"] == "arguments_too_large"
    assert error(refused)["details"] == {"limit_depth": 3}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"l": [{"word": "a"}] * 2_000}, ("/l", "maxItems", "must have at most 3 items")),
        ({"m": ["a"] * 1_500 + [1]}, ("/m/1500", "type", "must be a string")),
        ({"m": [1] * 5_000}, ("/m/0", "type", "must be a string")),
        ({"w": [1] * 5_000}, ("/w", "anyOf", "must be one of the 2 forms that the schema allows")),
        (
            {"f": {f"n{number:04}": 1 for number in range(5_000)}},
            ("/f", "additionalProperties", 'must not have "n0000"'),
        ),
        ({"f": {"z": [1] * 1_500}}, ("/f", "required", 'must have "word"')),
        ({"f": {"most": [1] * 1_500}}, ("/f/most", "type", "must be an integer")),
        ({"m": ["a"] * 1_500, "z": 1}, ("", "additionalProperties", 'must not have "z"')),
        ({"never": ["a"] * 1_500}, ("/never", "falseSchema", "must be left out")),
        ({"alike": [1] * 1_500}, ("/alike/0", "type", "must be a string")),
        ({"named": [1] * 1_500}, ("/named/0", "type", "must be a string")),
    ],
)
def test_the_first_fault_of_large_arguments_is_found(arguments: Arguments, fault: tuple[str, str, str]) -> None:
    more = {
        "m": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Text"}}, {"type": "null"}]},
        "w": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "array", "maxItems": 3}]},
        "never": False,
        "named": {"type": "array", "items": {"$ref": "#text"}},
        "other": {"$anchor": "text", "type": "string"},
        "alike": {"type": "array", "items": {"type": "string", "not": {"$ref": "#/properties/n"}}},
    }
    defs = {**SCHEMA["$defs"], "Text": {"type": "string"}}
    result = Serving({**SCHEMA, "properties": {**SCHEMA["properties"], **more}, "$defs": defs}).call(arguments)
    assert fault in faults(result)


def test_a_large_fault_in_a_schema_that_refers_to_itself_is_found_where_it_is() -> None:
    tree = {"type": "object", "properties": {"n": {"type": "integer"}, "kids": {"items": {"$ref": "#"}}}}
    rooted = {**tree, "required": ["kids"], "properties": {**tree["properties"], "box": {"items": {"allOf": [tree]}}}}
    many = [{"kids": [], "n": 1}] * 1_500
    wrong, boxed = Serving(rooted).calls(
        [{"kids": [*many, {"kids": [{"kids": [], "n": "x"}]}]}, {"kids": [], "box": [*many, {"n": "x"}]}]
    )
    assert faults(wrong) == [("/kids/1500/kids/0/n", "type", "must be an integer")]
    assert faults(boxed) == [("/box/1500/n", "type", "must be an integer")]


def test_of_large_arguments_nothing_more_is_said_where_the_schema_holds_a_document_of_its_own() -> None:
    inner = {"$id": "urn:x", "properties": {"a": {"items": {"$ref": "#/properties/b"}}, "b": {"type": "string"}}}
    serving = Serving({"type": "object", "properties": {"o": inner, "b": {"type": "integer"}}})
    small, large = serving.calls([{"o": {"a": [1]}}, {"o": {"a": [1] * 1_500}}])
    assert faults(small) == [("/o/a/0", "type", "must be a string")]
    assert faults(large) == [("", "schema", "must be what the schema says")]


FORKING: dict[str, Any] = {
    "type": "object",
    "properties": {"tree": {"$ref": "#/$defs/Node"}},
    "$defs": {
        "Node": {"anyOf": [{"$ref": "#/$defs/And"}, {"$ref": "#/$defs/Or"}]},
        **{
            kind: {
                "type": "object",
                "properties": {"kind": {"const": kind}, "of": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
                "required": ["kind"],
            }
            for kind in ("And", "Or")
        },
    },
}


def test_a_union_that_refers_to_itself_is_not_gone_through_in_all_its_ways() -> None:
    # Each level doubles the errors: a list of all of them would have a thousand million.
    tree: Any = {"kind": "Neither"}
    for _ in range(14):
        tree = {"kind": "And", "of": [tree]}
    taken, refused = Serving(FORKING).calls([{"tree": {"kind": "Or", "of": [{"kind": "And"}]}}, {"tree": tree}])
    assert not taken.is_error
    assert faults(refused) == [("/tree", "anyOf", "must be one of the 2 forms that the schema allows")]


def test_a_few_wrong_items_are_all_told_and_many_in_a_wide_union_only_the_first() -> None:
    models = [
        {"type": "object", "properties": {name: {"type": "integer"} for name in names}, "required": names}
        for names in ([f"f{model}_{field}" for field in range(15)] for model in range(8))
    ]
    schema = {"type": "object", "properties": {"u": {"items": {"anyOf": models}}, "l": {"items": {"type": "integer"}}}}
    wide, narrow = Serving(schema).calls([{"u": [{}] * 50}, {"l": ["x"] * 50}])
    assert faults(wide) == [("/u/0", "anyOf", "must be one of the 8 forms that the schema allows")]
    assert len(faults(narrow)) == 8
    assert error(narrow)["details"]["more"] == 42


@pytest.mark.parametrize("word", ["pattern", "patternProperties", "not"])
def test_a_text_that_cannot_be_held_against_a_pattern_is_told_with_the_pattern(word: str) -> None:
    pattern = "^((?!x)a+)+$"
    asked: dict[str, Any] = {
        "pattern": {"pattern": pattern},
        "patternProperties": {"patternProperties": {pattern: {"type": "string"}}},
        "not": {"not": {"pattern": pattern}},
    }[word]
    text = "a" * 60 + "b"
    schema = {"type": "object", "properties": {"p": {"$ref": "#/$defs/P"}}, "$defs": {"P": asked}}
    told = faults(Serving(schema).call({"p": {text: 1} if word == "patternProperties" else text}))
    problem = f"must be shorter or simpler: it takes too long to hold it against the pattern {pattern}"
    # Below "not" the library does not say where.
    assert told == [("" if word == "not" else "/p", "pattern", problem)]


def filled_in(result: CallToolResult) -> Any:
    """Return the defaults that a result tells of."""
    return (result.meta or {}).get(CALL_META, {}).get("defaults")


def test_missing_optional_arguments_are_filled_in_and_told() -> None:
    schema = copy.deepcopy(SCHEMA)
    schema["properties"]["n"]["default"] = 3
    schema["properties"]["s"]["default"] = None
    serving = Serving(schema)
    sent: list[Arguments] = [{}, {"n": 1, "s": "x"}, {"f": {"word": "a"}}]
    before = copy.deepcopy(sent)
    results = serving.calls(sent)
    assert serving.reached == [
        {"n": 3, "s": None},
        {"n": 1, "s": "x"},
        {"n": 3, "s": None, "f": {"word": "a", "most": 5}},
    ]
    assert [filled_in(each) for each in results] == [{"n": 3, "s": None}, None, {"n": 3, "s": None, "f/most": 5}]
    assert sent == before


def test_the_default_of_the_contract_comes_before_that_of_the_server() -> None:
    promised = {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}}
    book = ContractBook(
        server=ServerIdentity(name="low"), contract="1.0.0", tools=(ToolContract(name="do", input_schema=promised),)
    )
    own = {"type": "object", "properties": {"n": {"type": "integer", "default": 1, "x-mcp-header": "N"}}}
    serving = Serving(own, book=book)
    assert filled_in(serving.call({})) == {"n": 7}
    assert serving.reached == [{"n": 7}]
    # What holds is listed, with the header that the SDK's server looks for.
    assert serving.listed() == {
        "type": "object",
        "properties": {"n": {"type": "integer", "default": 7, "x-mcp-header": "N"}},
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"a": {"type": "integer", "default": "none"}}, id="not valid itself"),
        pytest.param({"a": {"$ref": "https://example.org/x", "default": 1}}, id="not known to be valid"),
        pytest.param({"a": True, "b": {"type": "integer"}}, id="not there"),
    ],
)
def test_a_default_that_is_not_valid_is_none(properties: Arguments) -> None:
    assert not defaults_of({"type": "object", "properties": properties})


def test_a_required_argument_is_not_filled_in() -> None:
    assert not defaults_of({"properties": {"a": {"default": 1}}, "required": ["a"]})


def test_defaults_never_make_a_call_fail() -> None:
    properties = {"a": {"default": 1}, "b": {"type": "integer"}}
    serving = Serving({"type": "object", "properties": properties, "dependentRequired": {"a": ["b"]}})
    alone, both = serving.calls([{}, {"b": 2}])
    assert (filled_in(alone), filled_in(both)) == (None, {"a": 1})
    assert serving.reached == [{}, {"b": 2, "a": 1}]


def test_each_call_has_a_default_of_its_own() -> None:
    defaults = defaults_of({"properties": {"l": {"type": "array", "default": []}}})
    told: Arguments = {}
    first = defaults.fill({}, told)
    first["l"].append(1)
    assert defaults.fill({}, {}) == {"l": []} == told


def test_no_more_defaults_are_filled_in_than_a_story_can_tell() -> None:
    assert len(defaults_of({"properties": {f"a{n}": {"default": n} for n in range(500)}}).values) == 100


def test_a_schema_that_is_a_tree_has_defaults_to_some_depth() -> None:
    tree = {"properties": {"n": {"default": 1}, "inner": {"$ref": "#"}}}
    told: Arguments = {}
    assert defaults_of(tree).fill({"inner": {"inner": {}}}, told)["inner"]["inner"] == {"n": 1}
    assert told == {"n": 1, "inner/n": 1, "inner/inner/n": 1}


def test_unknown_arguments_and_missing_ones_pass_if_the_settings_say_so() -> None:
    serving = Serving(SCHEMA, Settings(unknown_arguments="pass", fill_defaults=False))
    assert not serving.call({"zz": 1, "f": {"word": "a"}}).is_error
    assert serving.reached == [{"zz": 1, "f": {"word": "a"}}]
    assert serving.listed() == SCHEMA


def test_a_tool_is_listed_with_the_schema_that_holds_for_it() -> None:
    listed = Serving(SCHEMA).listed()
    assert listed["additionalProperties"] is False
    assert listed["$defs"]["Filter"] == {**FILTER, "additionalProperties": False}
    assert {**listed, "$defs": SCHEMA["$defs"]} == {**SCHEMA, "additionalProperties": False}


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "no such type"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "#/$defs/nowhere"},
    ],
)
def test_what_cannot_be_checked_is_not_run(broken: Arguments, caplog: pytest.LogCaptureFixture) -> None:
    serving = Serving({"type": "object", "properties": {"a": broken}})
    with caplog.at_level(logging.ERROR, "mcp_workbench.controls"):
        results = serving.calls([{"a": 1}, {}])
    assert [error(result)["code"] for result in results] == ["internal", "internal"]
    assert serving.reached == []
    assert len([each for each in caplog.records if "let through" in each.getMessage()]) == 1


def test_a_tool_that_changes_is_checked_by_its_new_schema() -> None:
    serving = Serving({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert error(serving.call({"a": "x"}))["code"] == "invalid_arguments"
    serving.schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert serving.listed()["properties"] == {"a": {"type": "string"}}
    assert not serving.call({"a": "x"}).is_error


@pytest.mark.parametrize("odd", [5, []])
def test_a_tool_whose_schema_is_none_is_listed_as_it_is_and_not_run(odd: Any) -> None:
    broken = {"type": "object", "properties": odd}
    promised = {"type": "object", "properties": {"n": {"type": "integer"}}}
    book = ContractBook(
        server=ServerIdentity(name="low"), contract="1.0.0", tools=(ToolContract(name="do", input_schema=promised),)
    )
    serving = Serving(broken)
    assert serving.listed() == broken
    assert error(serving.call({}))["code"] == "internal"
    assert serving.reached == []
    # A contract's schema comes before it.
    assert not Serving(broken, book=book).call({"n": 1}).is_error
    assert Serving(broken, book=book).listed()["properties"] == promised["properties"]
