"""What becomes of a call, over each transport."""

import asyncio
import concurrent.futures
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from example_servers import make_server
from mcp.server import Server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

from mcp_workbench import (
    ArgumentsError,
    CallTimeoutError,
    ClosedError,
    ConnectionLostError,
    LoopError,
    Outcome,
    Session,
    UnknownToolError,
    UnreachableError,
    UsageError,
    Workbench,
    serve,
)
from mcp_workbench.kernel.loop import background

KINDS = ["in-process", "legacy", "in-kernel-http", "stdio", "http"]
Opener = Callable[..., Workbench]


@pytest.fixture(scope="module", params=KINDS)
def bench(request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """The example server, connected in each way; one connection for all tests, which leave it as they found it."""
    kind = request.param
    fixture = {"stdio": "command", "http": "http_address"}.get(kind)
    target = request.getfixturevalue(fixture) if fixture else make_server()
    options: dict[str, Any] = {"legacy": {"mode": "legacy"}, "in-kernel-http": {"transport": "http"}}.get(kind, {})
    with Workbench(target, name="example", timeout=20, **options) as opened:
        yield opened


def last(bench: Workbench) -> Any:
    return bench.session.log.last(1)[0]


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what happens in another thread or process, and fail if it does not."""
    for _ in range(4_000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen")


def test_the_same_server_answers_the_same_over_every_transport(bench: Workbench) -> None:
    answers = [
        (result.outcome.value, result.text, result.structured, len(result.images))
        for tool, arguments in [
            ("add", {"a": 2, "b": 3}),
            ("add", {"a": 2}),
            ("fail", {}),
            ("crash", {}),
            ("picture", {}),
            ("quiet", {}),
            ("no_such_tool", {}),
        ]
        for result in [bench.session.call(tool, arguments)]
    ]
    assert answers == [
        ("ok", "5", {"result": 5}, 0),
        ("ok", "2", {"result": 2}, 0),
        ("tool_error", "Error executing tool fail: the lamp is broken", None, 0),
        ("tool_error", "Error executing tool crash", None, 0),
        ("ok", "", None, 1),
        ("ok", "", None, 0),
        ("tool_error", "Unknown tool: no_such_tool", None, 0),
    ]
    assert [tool.name for tool in bench.session.tools()][:3] == ["add", "fail", "crash"]
    assert [str(each.uri) for each in bench.session.resources()] == ["note://today"]
    assert [each.name for each in bench.session.prompts()] == ["greet"]
    assert bench.session.resource_templates() == []


def test_a_result_that_breaks_its_own_schema_is_told_apart_from_an_error_of_the_tool() -> None:
    schema = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}

    async def listed(*_: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="lie", input_schema={"type": "object"}, output_schema=schema)])

    async def called(*_: Any) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text="7")], structured_content={"result": "seven"})

    with Workbench(Server("liar", on_list_tools=listed, on_call_tool=called)) as bench:
        result = bench.call("lie")
        assert (result.outcome, result.record.error_code) == (Outcome.INVALID_OUTPUT, "output_schema")
        assert "'seven' is not of type 'integer'" in (result.error or "")


def test_wrong_arguments_are_the_servers_answer_and_not_an_exception(bench: Workbench) -> None:
    result = bench.call("add", {"a": "many"})
    assert result.outcome is Outcome.TOOL_ERROR
    assert "valid integer" in (result.error or "")
    assert last(bench).outcome is Outcome.TOOL_ERROR


def test_an_unknown_tool_is_named_with_the_one_that_may_be_meant(bench: Workbench) -> None:
    before = len(bench.session.log)
    with pytest.raises(UnknownToolError, match="'example' has no tool 'ad'; did you mean 'add'"):
        bench.call("ad")
    assert len(bench.session.log) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"a": object()}, "'a' is of type object, which is not JSON"),
        ({"a": {"b": [1, float("nan")]}}, r"'a'.b\[1\] is nan"),
        ({"a": b"x"}, "is of type bytes"),
        ("a=1", "arguments are a dict"),
        ({1: 2}, "the key 1 is no text"),
        ({"a": "\ud800"}, "half a character"),
    ],
)
def test_arguments_that_are_no_json_are_refused_before_anything_is_sent(
    server: Any, arguments: Any, expected: str
) -> None:
    with Workbench(server) as bench:
        with pytest.raises(ArgumentsError, match=expected):
            bench.call("add", arguments)
        assert len(bench.session.log) == 0


def test_a_call_that_takes_too_long_is_cancelled_on_the_server(bench: Workbench, tmp_path: Path) -> None:
    note = tmp_path / "note"
    with pytest.raises(CallTimeoutError, match=r"'slow' did not answer within 0.5 s and was cancelled") as caught:
        bench.call("slow", {"seconds": 600, "note": str(note)}, timeout=0.5)
    assert caught.value.record is not None
    assert caught.value.record.outcome is Outcome.TIMEOUT
    assert last(bench) == caught.value.record
    wait_until(note.exists)
    assert bench.call("add", {"a": 1}).ok


def test_a_synchronous_tool_that_blocks_does_not_hold_up_the_caller(bench: Workbench) -> None:
    with pytest.raises(CallTimeoutError):
        bench.call("block", {"seconds": 1.0}, timeout=0.1)
    assert bench.call("add", {"a": 1}).ok


def test_the_interrupt_button_cancels_a_blocking_call(bench: Workbench, tmp_path: Path) -> None:
    note = tmp_path / "note"
    threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        bench.call("slow", {"seconds": 600, "note": str(note)})
    assert last(bench).outcome is Outcome.CANCELLED
    wait_until(note.exists)
    assert bench.call("add", {"a": 1}).ok


def test_a_result_above_the_limit_is_refused_in_one_sentence(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.session.connection, "limits", type(bench.session.limits)(20, 1_000_000))
    result = bench.call("large", {"characters": 600_000})
    assert result.outcome is Outcome.INVALID_OUTPUT
    assert result.raw is None
    assert "has 1.2 MB, above the limit of 1 MB" in (result.error or "")
    assert last(bench).error_code == "result_too_large"


def test_a_result_of_twenty_megabytes_is_one_plain_error(server: Any) -> None:
    with Workbench(server, transport="http") as bench:
        result = bench.call("large", {"characters": 20_000_000})
        assert "above the limit of 10 MB" in (result.error or "")
        assert bench.call("add", {"a": 1}).ok


def test_awaiting_and_submitting_give_what_blocking_gives(bench: Workbench) -> None:
    async def both() -> tuple[Any, Any]:
        return await bench.acall("add", {"a": 1}), await bench.session.acall("fail")

    good, bad = asyncio.run(both())
    assert (good.value, bad.outcome) == (1, Outcome.TOOL_ERROR)
    assert bench.session.submit("add", {"a": 4}).result(10).value == 4


def test_cancelling_an_awaited_call_cancels_the_tool(bench: Workbench, tmp_path: Path) -> None:
    note = tmp_path / "note"

    async def give_up() -> None:
        await asyncio.wait_for(bench.acall("slow", {"seconds": 600, "note": str(note)}), 0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    wait_until(note.exists)
    background().settle()
    assert last(bench).outcome is Outcome.CANCELLED


def test_cancelling_a_submitted_call_cancels_the_tool(bench: Workbench, tmp_path: Path) -> None:
    note, before = tmp_path / "note", len(bench.session.log)
    future = bench.session.submit("slow", {"seconds": 600, "note": str(note)})
    # The tool must have begun, or there is nothing to write the note.
    assert bench.call("add", {"a": 1}).ok
    future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    wait_until(lambda: len(bench.session.log) == before + 2)
    assert last(bench).outcome is Outcome.CANCELLED


def test_a_server_killed_in_mid_call_is_told_and_mended_by_reconnecting(command: list[str]) -> None:
    with Workbench(command, name="example") as bench:
        process = bench.call("process_id").value
        killed_in_mid_call(bench, lambda: os.kill(process, signal.SIGKILL), "its process ended")
        bench.reconnect()
        assert bench.call("add", {"a": 1}).ok
        assert bench.call("process_id").value != process
        assert len(bench.records) == 5


def test_an_http_server_killed_in_mid_call_is_told(http_server: Any) -> None:
    with Workbench(http_server.url, name="example") as bench:
        killed_in_mid_call(bench, http_server.kill, "the server is gone")
        with pytest.raises(UnreachableError, match="nothing answers there"):
            bench.reconnect()


def killed_in_mid_call(bench: Workbench, kill: Callable[[], None], expected: str) -> None:
    call = bench.session.submit("slow", {"seconds": 600})
    assert bench.call("add", {"a": 1}).ok
    kill()
    with pytest.raises(ConnectionLostError, match=f"is lost: {expected}.*reconnect") as caught:
        call.result()
    assert caught.value.record is not None
    assert caught.value.record.outcome is Outcome.TRANSPORT_ERROR
    with pytest.raises(ConnectionLostError, match="reconnect"):
        bench.call("add", {"a": 1})
    assert "connection lost" in repr(bench)


def test_a_server_that_died_between_two_calls_is_told_at_the_next(command: list[str]) -> None:
    with Workbench(command) as bench:
        process = psutil.Process(bench.call("process_id").value)
        process.kill()
        with pytest.raises(ConnectionLostError):
            bench.call("add", {"a": 1})


def test_what_a_server_wrote_while_it_failed_is_shown_with_the_failure(command: list[str]) -> None:
    with Workbench(command) as bench:
        bench.call("complain", {"words": "an older line"})
        wait_until(lambda: "an older line" in bench.stderr)
        result = bench.call("complain", {"words": "fuse <b>blown</b>"})
        wait_until(lambda: "fuse" in bench.stderr)
        assert "an older line" not in result.server_said
        assert "fuse <b>blown</b>" in bench.stderr
        assert "<b>" not in result._repr_html_().replace("<b>ERROR</b>", "")


def test_what_a_server_in_this_process_logged_while_it_failed_is_shown_with_the_failure(server: Any) -> None:
    with Workbench(server) as bench:
        assert "ValueError: secret reason" in bench.call("crash").server_said


def test_a_closed_workbench_says_so_and_closes_twice_without_harm(server: Any) -> None:
    bench = Workbench(server, name="example")
    bench.close()
    bench.close()
    with pytest.raises(ClosedError, match="'example' cannot be called: it was closed"):
        bench.call("add", {"a": 1})
    assert "closed" in repr(bench)
    assert bench.reconnect().call("add", {"a": 1}).ok
    bench.close()


def test_a_session_that_was_never_opened_says_so(server: Any) -> None:
    from mcp_workbench.kernel.targets import read_target

    with pytest.raises(ClosedError, match="open"):
        Session(read_target(server)).call("add")


def test_a_tool_may_have_arguments_with_the_names_of_our_own(server: Any) -> None:
    @server.tool()
    def named(name: str, timeout: float, tool: str) -> str:
        return f"{name} {timeout} {tool}"

    with Workbench(server) as bench:
        assert bench.call("named", {"name": "n", "timeout": 1.5, "tool": "t"}).value == "n 1.5 t"


def test_a_tool_that_was_added_after_connecting_can_be_called(server: Any) -> None:
    with Workbench(server) as bench:

        @server.tool()
        def late() -> str:
            return "here"

        assert bench.call("late").value == "here"
        assert "late" in set(bench.tools["name"])


def test_a_blocking_call_on_the_loops_own_thread_is_refused_instead_of_hanging(server: Any) -> None:
    with Workbench(server) as bench:

        async def wrong() -> None:
            bench.call("add", {"a": 1})

        with pytest.raises(LoopError, match="acall"):
            background().run(wrong())


@pytest.mark.parametrize(
    "options",
    [{"timeout": 0}, {"timeout": "soon"}, {"transport": "pigeon"}, {"mode": "2024-01-01"}, {"max_result_mb": -1}],
)
def test_an_option_that_makes_no_sense_is_refused(server: Any, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        Workbench(server, **options)


def test_a_workbench_can_be_opened_and_left_without_blocking_a_loop(server: Any) -> None:
    async def all_of_it() -> None:
        async with await Workbench.aopen(server, name="example") as bench:
            assert (await bench.acall("add", {"a": 1})).ok
            assert (await bench.asample("add", {"a": 1}, calls=5, progress=False)).ok
            await bench.areconnect()
            session = bench.session
            assert len(await session.atools()) > 5
            assert len(await session.aresources()) == len(await session.aprompts()) == 1
            assert await session.aresource_templates() == []
        assert "closed" in repr(bench)

    asyncio.run(all_of_it())


def test_a_hosted_server_is_reached_at_its_address_until_it_is_closed(server: Any) -> None:
    with serve(server) as hosted, Workbench(hosted.url) as bench:
        assert bench.call("add", {"a": 1}).ok
        assert bench.session.target.transport == "http"
