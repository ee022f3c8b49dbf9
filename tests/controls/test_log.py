"""The log has the whole story of a failure, on a line that nobody can forge, under the caller's correlation id."""

import asyncio
import logging
import threading
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from mcp_workbench.controls import Failure, Settings, harden
from mcp_workbench.controls.call import Call
from mcp_workbench.controls.log import correlate_crashes, log_failure

OURS = "mcp_workbench.controls"
SDK = "mcp.server.mcpserver.server"


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError("not even its text can be had")


def call(tool: str = "t", caller: str | None = None) -> Call:
    return Call(tool, "0123456789abcdef" * 2, "2026-07-28", caller)


def caused(failure: Failure, cause: BaseException | None) -> Failure:
    failure.__cause__ = cause
    return failure


def raised(error: Exception) -> Exception:
    """The exception with a traceback, as one that was really raised."""
    try:
        raise error
    except type(error) as caught:
        return caught


def logged(caplog: pytest.LogCaptureFixture, failure: Failure, of: Call) -> logging.LogRecord:
    caplog.clear()
    caplog.set_level(logging.DEBUG, OURS)
    log_failure(failure, of)
    [record] = [record for record in caplog.records if record.name == OURS]
    return record


def crashing() -> MCPServer:
    server = MCPServer("crashing", log_level="DEBUG")

    @server.tool()
    def crash() -> str:
        raise RuntimeError("the whole story")

    @server.tool()
    def fail() -> str:
        raise ToolError("see /srv/desk.db\nERROR the server burns")

    return server


def asked(server: MCPServer, tool: str) -> Any:
    async def of() -> Any:
        async with Client(server) as client:
            return await client.call_tool(tool)

    return asyncio.run(of())


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("not_found", "INFO"),
        ("tool_error", "INFO"),
        ("invalid_arguments", "INFO"),
        ("timeout", "WARNING"),
        ("overloaded", "WARNING"),
        ("invalid_result", "WARNING"),
        ("result_too_large", "WARNING"),
        ("internal", "ERROR"),
    ],
)
def test_a_failure_is_one_line_at_the_level_it_deserves(
    caplog: pytest.LogCaptureFixture, code: str, level: str
) -> None:
    record = logged(caplog, Failure(code, "the sentence"), call(caller="desk-app"))
    assert record.levelname == level
    line = record.getMessage()
    for told in (code, "'t'", "the sentence", call().correlation_id, "'desk-app'"):
        assert told in line


def test_nobody_can_begin_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    forged = "x\r\nERROR mcp: forged\u2028\x1b[2K\x85"
    failure = caused(Failure("not_found", forged), ToolError(forged))
    line = logged(caplog, failure, call(tool=forged, caller=forged)).getMessage()
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert line.count("forged") == 4


def test_the_line_of_a_long_story_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    failure = caused(Failure("not_found", "no"), ToolError("x" * 10**6))
    assert len(logged(caplog, failure, call(tool="y" * 10**6, caller="z" * 10**6)).getMessage()) < 30_000


def test_an_exception_that_cannot_be_shown_is_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    failure = caused(Failure("internal", "no"), UnspeakableError())
    assert "UnspeakableError: it cannot be shown" in logged(caplog, failure, call()).getMessage()


def test_only_a_crash_that_was_raised_has_its_traceback_logged(caplog: pytest.LogCaptureFixture) -> None:
    crash = raised(RuntimeError("the reason"))
    assert (logged(caplog, caused(Failure("internal", "no"), crash), call()).exc_info or ())[1:2] == (crash,)
    assert not logged(caplog, caused(Failure("internal", "no"), ToolError("only read")), call()).exc_info
    assert not logged(caplog, caused(Failure("not_found", "no"), crash), call()).exc_info


def test_nothing_is_made_for_a_level_that_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, OURS)
    log_failure(Failure("not_found", "no"), call())
    assert caplog.records == []


def test_what_the_caller_is_not_told_stands_in_the_log_under_its_correlation_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = crashing()
    harden(server)
    told = asked(server, "fail").structured_content
    assert "[path]" in told["message"]
    [line] = [record.getMessage() for record in caplog.records if record.name == OURS]
    assert told["correlation_id"] in line
    assert "see /srv/desk.db\\nERROR" in line


def test_the_story_of_a_crash_is_found_under_the_correlation_id(caplog: pytest.LogCaptureFixture) -> None:
    server = crashing()
    harden(server)
    told = asked(server, "crash").structured_content
    [record] = [record for record in caplog.records if record.name == SDK and record.exc_text]
    assert record.getMessage().endswith(f"(correlation id {told['correlation_id']})")
    assert "the whole story" in caplog.text


def test_a_traceback_is_text_when_it_reaches_a_handler_that_would_draw_it_at_great_cost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = crashing()
    harden(server)
    asked(server, "crash")
    [record] = [record for record in caplog.records if record.name == SDK and record.exc_text]
    assert record.exc_info is None
    assert str(record.exc_text).startswith("  | Traceback (most recent call last):")
    assert "RuntimeError: the whole story" in str(record.exc_text)


def test_a_call_that_is_not_hardened_is_logged_as_the_sdk_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    harden(crashing())
    asked(crashing(), "crash")
    [record] = [record for record in caplog.records if record.name == SDK and record.exc_info]
    assert record.getMessage() == "Tool 'crash' raised an unexpected exception"


def test_many_hardened_servers_name_the_id_once(caplog: pytest.LogCaptureFixture) -> None:
    threads = [threading.Thread(target=correlate_crashes) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    servers = [crashing() for _ in range(3)]
    for server in servers:
        harden(server)
    asked(servers[0], "crash")
    [record] = [record for record in caplog.records if record.name == SDK and record.exc_text]
    assert record.getMessage().count("correlation id") == 1


def test_a_call_within_a_call_is_logged_under_its_own_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outer, inner = MCPServer("outer", log_level="DEBUG"), crashing()
    harden(inner)

    @outer.tool()
    async def through() -> dict[str, Any]:
        async with Client(inner) as client:
            return dict((await client.call_tool("crash")).structured_content or {})

    harden(outer, settings=Settings(check_results=False))
    told = asked(outer, "through").structured_content
    assert told["code"] == "internal"
    [record] = [record for record in caplog.records if record.name == SDK and record.exc_text]
    assert told["correlation_id"] in record.getMessage()
