"""The execution stage: whose deadline holds, who gets a place, and tools that talk, ask or try to end the server."""

import asyncio
import sys
import threading
import time
from types import SimpleNamespace
from typing import Annotated, Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.context import ClientRequestContext
from mcp.server import Server
from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve
from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitRequestURLParams,
    ElicitResult,
    ListToolsResult,
    TextContent,
    Tool,
)
from pydantic import BaseModel

from mcp_workbench.contracts.model import ContractBook, ServerIdentity, ToolContract
from mcp_workbench.controls import Failure, Settings, current_call, harden
from mcp_workbench.controls.call import Call, entered
from mcp_workbench.controls.catalogue import Catalogue
from mcp_workbench.controls.execution import ExecutionStage
from mcp_workbench.stages import CALL_META, DEADLINE_META, TRACE_META

ERAS = ["auto", "legacy"]


class Confirmation(BaseModel):
    """What a user is asked."""

    sure: bool


def make_server(settings: Settings | None = None, **contract: Any) -> MCPServer:
    server = MCPServer("work", log_level="CRITICAL")

    @server.tool()
    async def deadline() -> str:
        call = current_call()
        assert call is not None
        return str(call.deadline_ms)

    @server.tool()
    async def nap(seconds: float) -> str:
        await anyio.sleep(seconds)
        return "slept"

    @server.tool()
    async def ends(how: str) -> str:
        raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "GeneratorExit": GeneratorExit}.get(
            how, asyncio.CancelledError
        )

    @server.tool()
    def leaves() -> str:
        sys.exit(3)

    @server.tool()
    async def counts(ctx: Context[Any, Any]) -> str:
        for at in range(3):
            await ctx.report_progress(at, 3)
        return "counted"

    async def ask() -> Elicit[Confirmation]:
        return Elicit("are you sure?", Confirmation)

    @server.tool()
    async def asks(answer: Annotated[Confirmation, Resolve(ask)]) -> str:
        return f"sure: {answer.sure}"

    @server.tool()
    async def asks_itself(ctx: Context[Any, Any]) -> str:
        answer = await ctx.elicit("are you sure?", Confirmation)
        return answer.action

    @server.tool()
    async def sends_away() -> str:
        raise UrlElicitationRequiredError(
            [ElicitRequestURLParams(message="log in", url="https://example.org/login", elicitation_id="e1")]
        )

    book = ContractBook(
        server=ServerIdentity(name="work"),
        tools=tuple(ToolContract(name=name, **contract) for name in ("deadline", "nap")) if contract else (),
    )
    harden(server, book, settings)
    return server


def answer(server: Any, tool: str, arguments: dict[str, Any] | None = None, **more: Any) -> Any:
    options = {name: more.pop(name) for name in ("mode", "elicitation_callback") if name in more}

    async def asked() -> Any:
        async with Client(server, **options) as client:
            return await client.call_tool(tool, arguments or {}, **more)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("contract_ms", "setting_ms", "wished_ms", "holds"),
    [
        (None, 5_000, None, "5000"),
        (7_000, 5_000, None, "7000"),
        (7_000, None, 3_000, "3000"),
        (7_000, 5_000, 60_000, "7000"),
        (None, 5_000, 60_000, "5000"),
        (None, None, 4_000, "4000"),
        (None, None, None, "None"),
    ],
)
def test_the_contracts_deadline_comes_before_the_setting_and_a_caller_may_only_shorten_it(
    contract_ms: int | None, setting_ms: int | None, wished_ms: int | None, holds: str
) -> None:
    server = make_server(Settings(deadline_ms=setting_ms), effects="read", deadline_ms=contract_ms)
    meta = {} if wished_ms is None else {DEADLINE_META: wished_ms}
    assert answer(server, "deadline", meta=meta).content[0].text == holds


@pytest.mark.parametrize(
    ("contract", "retryable", "words"),
    [
        ({"effects": "read"}, True, "the tool was stopped, but threads, tasks or processes that it started may go on;"),
        ({"effects": "write", "idempotency": "none"}, False, "may have taken effect in part, and threads, tasks or"),
        ({}, False, "may have taken effect in part, and threads, tasks or processes that it started may go on"),
    ],
)
def test_a_late_call_may_be_made_again_if_the_contract_says_so(
    contract: dict[str, Any], retryable: bool, words: str
) -> None:
    told = answer(make_server(**contract), "nap", {"seconds": 60}, meta={DEADLINE_META: 60}).structured_content
    assert (told["code"], told["retryable"]) == ("timeout", retryable)
    assert words in told["message"]


@pytest.mark.parametrize(
    ("contract", "retryable", "words"),
    [
        ({"effects": "read"}, True, "the tool ended too late; ask for less"),
        ({"effects": "write", "idempotency": "none"}, False, "the tool ended too late, and may have taken effect"),
    ],
)
@pytest.mark.parametrize("how", ["returns", "raises"])
def test_what_a_tool_brings_after_its_deadline_is_too_late_even_if_it_held_up_the_loop(
    how: str, contract: dict[str, Any], retryable: bool, words: str
) -> None:
    server = MCPServer("work", log_level="CRITICAL")

    @server.tool()
    async def hog() -> str:
        call = current_call()
        assert call is not None
        while call.remaining_ms:
            time.sleep(0.005)  # noqa: ASYNC251 - it is to hold up the loop
        if how == "raises":
            raise Failure("broken", "it broke")
        return "done"

    book = ContractBook(server=ServerIdentity(name="work"), tools=(ToolContract(name="hog", **contract),))
    harden(server, book, Settings(deadline_ms=100))
    told = answer(server, "hog").structured_content
    assert (told["code"], told["retryable"]) == ("timeout", retryable)
    assert told["details"] == {"deadline_ms": 100, "stopped": True}
    assert words in told["message"]


def test_a_tool_that_ends_by_itself_while_it_is_stopped_is_not_said_to_have_been_stopped() -> None:
    server = make_server(Settings(stop_grace_ms=5_000))

    @server.tool()
    async def finishes() -> str:
        try:
            await anyio.sleep(60)
        except asyncio.CancelledError:
            return "done after all"
        return "slept"

    told = answer(server, "finishes", meta={DEADLINE_META: 100}).structured_content
    assert told["code"] == "timeout"
    assert "the tool ended too late, and may have taken effect" in told["message"]


def test_work_that_a_stopped_tool_gave_to_a_thread_goes_on_as_the_answer_says() -> None:
    server, let_go, ended = make_server(), threading.Event(), threading.Event()

    def work() -> None:
        let_go.wait(10)
        ended.set()

    @server.tool()
    async def delegates() -> str:
        await asyncio.to_thread(work)
        return "done"

    async def story() -> Any:
        async with Client(server) as client:
            told = (await client.call_tool("delegates", {}, meta={DEADLINE_META: 100})).structured_content
            went_on = not ended.is_set()
            let_go.set()
            return told, went_on

    told, went_on = asyncio.run(story())
    # Its own run has ended, and that is all that is known.
    assert told["details"] == {"deadline_ms": 100, "stopped": True}
    assert "threads, tasks or processes that it started may go on" in told["message"]
    assert went_on
    assert ended.wait(10)


def test_a_run_whose_loop_ends_first_is_said_to_be_given_up_and_not_to_have_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = make_server(Settings(deadline_ms=100, stop_grace_ms=0))
    let_go, ended = threading.Event(), threading.Event()

    @server.tool()
    def blocks() -> str:
        let_go.wait(10)
        ended.set()
        return "done"

    caplog.set_level("WARNING", logger="mcp_workbench.controls")
    assert answer(server, "blocks").structured_content["details"]["stopped"] is False
    still_ran = not ended.is_set()
    let_go.set()
    assert still_ran
    assert ended.wait(10)
    words = [record.getMessage() for record in caplog.records if "could not be stopped" in record.getMessage()]
    assert [("goes on" in each, "given up with its event loop" in each) for each in words] == [
        (True, False),
        (False, True),
    ]
    assert not any("ended" in each for each in words)


async def through_the_stage(call: Call, settings: Settings) -> Any:
    """Take a call through this stage alone, around a tool that must not run."""

    async def never(ctx: Any) -> None:
        raise AssertionError("nothing may run")

    stage = ExecutionStage(Catalogue(make_server(), None, None), settings)
    entered(call)
    try:
        await stage(SimpleNamespace(params={"name": call.tool}), never)  # type: ignore[arg-type]  # all that it reads
    finally:
        entered(None)


def test_a_deadline_that_is_over_before_the_tool_runs_means_that_nothing_was_run() -> None:
    call = Call("nap", "0" * 32, "2026-07-28", began_ns=time.perf_counter_ns() - 2_000_000_000)
    with pytest.raises(Failure, match="nothing was run") as raised:
        asyncio.run(through_the_stage(call, Settings(deadline_ms=1_000)))
    failure = raised.value
    assert (failure.code, failure.retryable, failure.details["stopped"], call.attempt) == ("timeout", True, True, 0)


def test_a_full_server_refuses_at_once_and_says_when_to_come_back() -> None:
    server = make_server(Settings(concurrency=1, queue=0, retry_after_ms=250))

    async def story() -> tuple[Any, list[Any]]:
        begun, let_go = asyncio.Event(), asyncio.Event()

        @server.tool()
        async def waits() -> str:
            begun.set()
            await let_go.wait()
            return "waited"

        async with Client(server) as client:
            first = asyncio.ensure_future(client.call_tool("waits", {}))
            await begun.wait()
            others = [await client.call_tool(tool, {}) for tool in ("waits", "deadline")]
            let_go.set()
            return await first, others

    first, others = asyncio.run(story())
    assert not first.is_error
    for told in (each.structured_content for each in others):
        assert {name: told[name] for name in ("code", "retryable", "retry_after_ms", "details")} == {
            "code": "overloaded",
            "retryable": True,
            "retry_after_ms": 250,
            "details": {"waited": False},
        }


def test_a_call_that_waits_for_a_place_gets_it_or_is_refused_at_its_deadline() -> None:
    server = make_server(Settings(concurrency_per_tool=1, queue=5))

    async def story() -> list[Any]:
        async with Client(server) as client:
            return await asyncio.gather(
                client.call_tool("nap", {"seconds": 0.1}),
                client.call_tool("nap", {"seconds": 0}, meta={DEADLINE_META: 20}),
                client.call_tool("nap", {"seconds": 0}, meta={TRACE_META: True}),
            )

    first, late, patient = asyncio.run(story())
    assert (first.is_error, patient.is_error) == (False, False)
    assert (late.structured_content["code"], late.structured_content["details"]) == ("overloaded", {"waited": True})
    notes = {stage["stage"]: stage["note"] for stage in patient.meta[CALL_META]["stages"]}
    assert notes["execution"] == "waited for a place"


def test_a_cancelled_call_leaves_the_queue() -> None:
    server = make_server(Settings(concurrency=1, queue=1))

    async def story() -> Any:
        async with Client(server) as client:
            first = asyncio.ensure_future(client.call_tool("nap", {"seconds": 0.2}))
            with anyio.move_on_after(0.05):
                await client.call_tool("nap", {"seconds": 0})
            third = await client.call_tool("nap", {"seconds": 0})
            await first
            return third

    assert not asyncio.run(story()).is_error


def test_one_server_serves_one_loop_after_another_whatever_happened_on_the_first() -> None:
    server = make_server(Settings(concurrency=1, queue=0))

    async def left_in_the_middle() -> None:
        async with Client(server) as client:
            call = asyncio.ensure_future(client.call_tool("nap", {"seconds": 60}))
            await asyncio.sleep(0.02)
            call.cancel()

    asyncio.run(left_in_the_middle())
    assert not answer(server, "nap", {"seconds": 0}).is_error


def test_loops_in_two_threads_do_not_get_into_each_others_way() -> None:
    server = make_server(Settings(concurrency=1, queue=50))

    async def story() -> list[Any]:
        async with Client(server) as client:
            return await asyncio.gather(*(client.call_tool("nap", {"seconds": 0.002}) for _ in range(20)))

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.extend(asyncio.run(story()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.is_error for result in found] == [False] * 40


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("how", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "thread"])
def test_a_tool_that_tries_to_end_the_server_has_failed_and_the_server_answers_on(mode: str, how: str) -> None:
    server = make_server()

    async def story() -> Any:
        async with Client(server, mode=mode) as client:
            tool, arguments = ("leaves", {}) if how == "thread" else ("ends", {"how": how})
            failed = await client.call_tool(tool, arguments)
            assert failed.structured_content is not None
            assert failed.structured_content["code"] == "internal"
            return await client.call_tool("nap", {"seconds": 0})

    assert asyncio.run(story()).structured_content == {"result": "slept"}


async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    assert isinstance(params, ElicitRequestFormParams)
    return ElicitResult(action="accept", content={"sure": True})


@pytest.mark.parametrize("mode", ERAS)
def test_a_tool_may_ask_its_user_and_goes_on_with_the_answer(mode: str) -> None:
    result = answer(make_server(), "asks", mode=mode, elicitation_callback=agree)
    assert result.content[0].text == "sure: True"


def test_a_tool_may_ask_in_the_middle_of_its_work() -> None:
    assert answer(make_server(), "asks_itself", mode="legacy", elicitation_callback=agree).content[0].text == "accept"


@pytest.mark.parametrize("mode", ERAS)
def test_a_tools_progress_arrives(mode: str) -> None:
    seen: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append(done)

    assert answer(make_server(), "counts", mode=mode, progress_callback=progress).content[0].text == "counted"
    assert seen == [0, 1, 2]


def test_a_tool_that_sends_its_user_to_a_page_is_not_in_the_way() -> None:
    async def story() -> int:
        async with Client(make_server(), mode="legacy") as client:
            with pytest.raises(MCPError) as raised:
                await client.call_tool("sends_away", {})
            return raised.value.code

    assert asyncio.run(story()) == -32042


@pytest.mark.parametrize("mode", ERAS)
def test_the_tools_of_a_low_level_server_are_stopped_and_read_as_well(mode: str) -> None:
    stopped: list[str] = []

    async def list_tools(ctx: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name=name, input_schema={"type": "object"}) for name in ("nap", "fail")])

    async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
        if params.name == "fail":
            raise Failure("no_light", "the lamp is broken")
        try:
            await anyio.sleep(60)
        finally:
            stopped.append(params.name)
        return CallToolResult(content=[TextContent(type="text", text="slept")])

    server: Server[Any] = Server("low", on_list_tools=list_tools, on_call_tool=call_tool)
    harden(server)
    late = answer(server, "nap", mode=mode, meta={DEADLINE_META: 60}).structured_content
    assert (late["code"], late["details"]["stopped"], stopped) == ("timeout", True, ["nap"])
    assert answer(server, "fail", mode=mode).structured_content["code"] == "no_light"


def test_on_another_event_loop_than_asyncios_each_call_is_refused_in_one_sentence() -> None:
    call = Call("nap", "0" * 32, "2026-07-28")
    # Driven by hand, so that asyncio does not run here.
    with pytest.raises(Failure, match="need asyncio"):
        through_the_stage(call, Settings()).send(None)
    assert call.attempt == 0
