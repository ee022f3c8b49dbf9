"""How a tool's failure is read: from the SDK's server or a low-level one, with a contract or without."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp.server import Server
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp_types import CallToolRequestParams, ListToolsResult, Tool
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from mcp_workbench.contracts.model import ContractBook, FailureCase, ServerIdentity, ToolContract
from mcp_workbench.controls import Failure, Settings, harden
from mcp_workbench.controls.answers import failure_from, failure_in, passes
from mcp_workbench.controls.call import Call

# The tool's failures as its contract has them; `silent` says nothing of trying again.
CASES = (
    FailureCase(code="not_found", retryable=False),
    FailureCase(code="busy", retryable=True),
    FailureCase(code="silent"),
)
CONTRACT = ToolContract(name="t", failures=CASES)
UNSTATED = ToolContract(name="t")


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    # Tracebacks are costly to write, and nobody reads them here.
    caplog.set_level(logging.CRITICAL + 1)


def call() -> Call:
    return Call("t", "0" * 32, "2026-07-28")


def failed(text: str = "", structured: Any = None) -> dict[str, Any]:
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": True}
    return result if structured is None else {**result, "structuredContent": structured}


def read(result: dict[str, Any], contract: ToolContract | None = None) -> Failure:
    failure = failure_in(result, contract, call())
    assert failure is not None
    return failure


def served(tool: Any, contract: ToolContract | None = None, arguments: dict[str, Any] | None = None, **off: Any) -> Any:
    """What a client gets from a hardened server that has this one tool."""
    server = MCPServer("one tool", log_level="CRITICAL")
    server.add_tool(tool, name="t")
    book = None if contract is None else ContractBook(server=ServerIdentity(name="one tool"), tools=(contract,))
    harden(server, book, Settings(**off))

    async def asked() -> Any:
        async with Client(server) as client:
            try:
                return (await client.call_tool("t", arguments or {})).structured_content
            except MCPError as error:
                return error.code

    return asyncio.run(asked())


@pytest.mark.parametrize(
    "result", [{}, {"isError": False}, {"isError": None}, {"content": [], "structuredContent": {}}]
)
def test_a_success_is_no_failure(result: dict[str, Any]) -> None:
    assert failure_in(result, CONTRACT, call()) is None


@pytest.mark.parametrize("off", [frozenset(), frozenset({"execution"})])
def test_a_failure_that_a_tool_raises_keeps_all_its_parts(off: frozenset[Any]) -> None:
    def tool() -> str:
        raise Failure("busy", "the desk is busy", retry_after_ms=5, details={"queue": 3})

    told = served(tool, CONTRACT, off=off)
    del told["correlation_id"]
    assert told == {
        "code": "busy",
        "message": "the desk is busy",
        "retryable": True,  # as the contract says
        "retry_after_ms": 5,
        "details": {"queue": 3},
    }


def test_what_the_contract_says_of_trying_again_comes_first() -> None:
    for code, stated in (("not_found", False), ("busy", True), ("silent", False)):
        for own in (True, False):
            failure = failure_from(Failure(code, "no", retryable=own), CONTRACT, call())
            assert (failure.code, failure.retryable) == (code, stated)
    assert failure_from(Failure("own_code", "no", retryable=True), None, call()).retryable
    assert failure_from(Failure("own_code", "no", retryable=True), UNSTATED, call()).retryable


@pytest.mark.parametrize("text", ["not_found: no incident 7", "Error executing tool t: not_found: no incident 7"])
def test_a_code_of_the_contract_is_read_from_the_text(text: str) -> None:
    failure = read(failed(text), CONTRACT)
    assert (failure.code, failure.message) == ("not_found", "no incident 7")


@pytest.mark.parametrize("contract", [None, UNSTATED])
def test_without_stated_failures_text_has_no_codes(contract: ToolContract | None) -> None:
    failure = read(failed("Error executing tool t: not_found: no incident 7"), contract)
    assert (failure.code, failure.message) == ("tool_error", "not_found: no incident 7")


@pytest.mark.parametrize("contract", [None, UNSTATED, CONTRACT])
def test_a_code_in_structured_content_is_read(contract: ToolContract | None) -> None:
    told = {"code": "busy", "message": "wait", "retryable": True, "retry_after_ms": 7, "details": {"a": 1}}
    failure = read(failed("ignored", told), contract)
    assert (failure.code, failure.message, failure.retryable) == ("busy", "wait", True)
    assert (failure.retry_after_ms, failure.details) == (7, {"a": 1})


@pytest.mark.parametrize(
    "told",
    [
        {"code": "gone", "message": "no"},  # not in the contract
        {"code": "Not Found", "message": "no"},
        {"code": 404, "message": "no"},
        {"code": ["busy"], "message": "no"},
        {"message": "no"},
        ["busy"],
        "busy",
        7,
    ],
)
def test_structured_content_without_a_code_of_the_contract_says_nothing(told: object) -> None:
    failure = read(failed("the text", told), CONTRACT)
    assert (failure.code, failure.message, failure.details) == ("tool_error", "the text", {})


@pytest.mark.parametrize(
    "told", [{"code": "gone"}, {"code": "gone", "message": 3}, {"code": "timeout", "message": "x"}]
)
def test_without_a_contract_only_a_whole_error_object_counts_and_no_code_of_the_controls(told: dict[str, Any]) -> None:
    assert read(failed("the text", told)).code == "tool_error"


@pytest.mark.parametrize("wait", [-1, True, 1.5, "5", 10**9, 10**400, None, []])
def test_a_wait_that_is_none_is_left_out(wait: object) -> None:
    assert read(failed("", {"code": "busy", "message": "", "retry_after_ms": wait})).retry_after_ms is None


@pytest.mark.parametrize("contract", [None, UNSTATED, CONTRACT])
@pytest.mark.parametrize("code", ["timeout", "internal", "invalid_arguments"])
def test_a_tool_cannot_fail_in_the_name_of_the_controls(contract: ToolContract | None, code: str) -> None:
    def tool() -> str:
        raise Failure(code, "the sentence")

    for off in (frozenset[Any](), frozenset({"execution"})):
        told = served(tool, contract, off=off)
        assert (told["code"], told["message"]) == ("tool_error", "the sentence")


def test_a_code_that_the_contract_does_not_state_becomes_a_tool_error_with_the_sentence() -> None:
    def tool() -> str:
        raise Failure("gone", "the sentence", retryable=True, details={"a": 1})

    told = served(tool, CONTRACT)
    assert (told["code"], told["message"], told["retryable"]) == ("tool_error", "the sentence", False)


def test_a_failure_that_a_tool_made_and_did_not_raise_is_not_the_one_told() -> None:
    def tool() -> str:
        Failure("busy", "not this one", details={"a": 1})
        raise ToolError("another one")

    told = served(tool, CONTRACT)
    assert (told["code"], told["message"], told["details"]) == ("tool_error", "another one", {})


@pytest.mark.parametrize("off", [frozenset(), frozenset({"execution"})])
def test_a_crash_says_nothing_of_itself(off: frozenset[Any]) -> None:
    def tool() -> str:
        raise RuntimeError("the reason")

    told = served(tool, CONTRACT, off=off)
    assert told["code"] == "internal"
    assert "reason" not in str(told)


def test_a_crash_of_a_tool_within_a_tool_is_a_crash() -> None:
    server = MCPServer("nested", log_level="CRITICAL")

    @server.tool()
    def inner() -> str:
        raise RuntimeError("the reason")

    @server.tool()
    def on_purpose() -> str:
        raise ToolError("the lamp is broken")

    @server.resource("lamp://state")
    def state() -> str:
        raise RuntimeError("the reason")

    @server.tool()
    async def outer(of: str, ctx: Context) -> Any:  # type: ignore[type-arg]  # nothing is asked of its types
        if of == "state":
            return await ctx.read_resource("lamp://state")
        return await server.call_tool(of, {}, ctx)

    harden(server)

    async def asked(of: str) -> Any:
        async with Client(server) as client:
            return (await client.call_tool("outer", {"of": of})).structured_content

    assert asyncio.run(asked("inner"))["code"] == "internal"
    assert asyncio.run(asked("state"))["code"] == "internal"
    purpose = asyncio.run(asked("on_purpose"))
    assert purpose["code"] == "tool_error"
    assert "the lamp is broken" in purpose["message"]


class Person(BaseModel):
    name: str
    age: int = Field(multiple_of=7)


def test_arguments_that_only_the_tools_types_refuse_are_invalid_and_not_repeated() -> None:
    def tool(b: Person, a: list[int]) -> str:
        return "fine"

    told = served(tool, arguments={"b": {"name": 7, "age": "hunter2"}, "a": [1, "hunter3"]}, off={"inputs"})
    assert told["code"] == "invalid_arguments"
    assert [fault["at"] for fault in told["details"]["faults"]] == ["/a/1", "/b/age", "/b/name"]
    assert {fault["rule"] for fault in told["details"]["faults"]} == {"tool"}
    assert "hunter" not in str(told)


def test_many_refused_arguments_are_counted() -> None:
    def tool(a: list[int]) -> str:
        return "fine"

    told = served(tool, arguments={"a": ["x"] * 20}, off={"inputs"})
    assert (len(told["details"]["faults"]), told["details"]["more"]) == (8, 12)


def test_a_tool_that_is_gone_is_unknown() -> None:
    assert read(failed("Unknown tool: t")).code == "unknown_tool"
    assert read(failed("Unknown tool: another")).code == "tool_error"


@pytest.mark.parametrize(
    "error",
    [
        UnexpectedToolError("Error executing tool t"),
        RuntimeError("the reason"),
        MCPError(-32603, "the reason"),
        ValueError("not_found: the reason"),
    ],
)
def test_an_exception_that_is_no_failure_on_purpose_is_a_crash(error: Exception) -> None:
    failure = failure_from(error, CONTRACT, call())
    assert failure.code == "internal"
    assert "reason" not in failure.message
    assert failure.__cause__ is error  # for the log


@pytest.mark.parametrize(
    "error", [ToolError("busy: wait"), MCPError(-32000, "busy: wait"), MCPError(-32602, "busy: wait")]
)
def test_an_exception_on_purpose_is_read_as_its_text(error: Exception) -> None:
    failure = failure_from(error, CONTRACT, call())
    assert (failure.code, failure.message, failure.retryable) == ("busy", "wait", True)


def test_what_a_stage_ended_the_call_with_stays_as_it_is() -> None:
    under_way = call()
    failure = Failure("invalid_arguments", "/limit must be at most 50", details={"faults": [{"at": "/limit"}]})
    under_way.mark("inputs", 0, failure)
    assert failure_from(failure, CONTRACT, under_way) is failure


def _refused_request() -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        CallToolRequestParams.model_validate({})
    return refused.value


def _refused_value() -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(int).validate_python("x")
    return refused.value


@pytest.mark.parametrize(
    ("error", "on"),
    [
        (asyncio.CancelledError(), True),
        (KeyboardInterrupt(), True),
        (UrlElicitationRequiredError([]), True),
        (MCPError(-32021, "no elicitation"), True),
        (MCPError(-32601, "Method not found", "tools/call"), True),
        (MCPError(-32602, "Invalid request parameters", ""), True),
        (_refused_request(), True),
        (_refused_value(), False),
        (MCPError(-32601, "Method not found", "tools/list"), False),
        (MCPError(-32602, "the tool's own"), False),
        (MCPError(-32000, "connection closed"), False),
        (RuntimeError(), False),
        (Failure("busy", "wait"), False),
    ],
)
def test_what_is_no_failure_of_the_tool_passes(error: BaseException, on: bool) -> None:
    assert passes(error) is on


def test_a_tool_asks_for_a_visit_to_a_page_and_the_client_is_asked() -> None:
    def tool() -> str:
        raise UrlElicitationRequiredError([])

    assert served(tool) == -32042


def test_a_low_level_server_fails_with_the_same_objects() -> None:
    async def listed(ctx: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="t", input_schema={"type": "object"})])

    async def answered(ctx: Any, params: CallToolRequestParams) -> Any:
        raise {"a": Failure("busy", "wait"), "b": RuntimeError("the reason"), "c": ToolError("no")}[
            (params.arguments or {})["which"]
        ]

    server = Server("low", on_list_tools=listed, on_call_tool=answered)
    harden(server, settings=Settings(unknown_arguments="pass"))

    async def asked() -> list[Any]:
        async with Client(server) as client:
            results = [await client.call_tool("t", {"which": which}) for which in "abc"]
            return [result.structured_content["code"] for result in results if result.structured_content]

    assert asyncio.run(asked()) == ["busy", "internal", "tool_error"]


@dataclass
class _Answered:
    """What the contract asks of a result."""

    text: str
    structured: Any
    ok: bool = False


_WORDS = st.sampled_from(["busy", "not_found", "gone", "Error executing tool t", "no such thing", "", "a b", "timeout"])
_TEXTS = st.lists(_WORDS, max_size=6).map(": ".join)
_TOLD = st.none() | st.fixed_dictionaries({"code": _WORDS | st.integers()}, optional={"message": _TEXTS})


@given(_TEXTS, _TOLD)
def test_the_stage_and_the_contract_read_the_same_code(text: str, told: Any) -> None:
    code = read(failed(text, told), CONTRACT).code
    outcome = CONTRACT.outcome_of(_Answered(text, told))
    assert outcome == (code if code in ("busy", "not_found", "silent") else "unknown failure")


@given(
    st.dictionaries(
        st.sampled_from(["content", "structuredContent", "_meta", "resultType"]),
        st.none() | st.integers() | st.text() | st.lists(st.none() | st.dictionaries(st.text(), st.text())),
    )
)
def test_any_failed_result_has_one_code(result: dict[str, Any]) -> None:
    assert read({**result, "isError": True}, CONTRACT).code in {"tool_error", "busy", "not_found", "silent", "internal"}
