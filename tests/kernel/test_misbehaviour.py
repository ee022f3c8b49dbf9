"""Servers and callers that do what nobody should: the loop lives on, one end a call, nothing left behind."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from mcp.server.mcpserver import MCPServer

from mcp_workbench import (
    ClosedError,
    Outcome,
    UnreachableError,
    UsageError,
    Workbench,
    WorkbenchError,
    serve,
)
from mcp_workbench.kernel.loop import background
from mcp_workbench.kernel.rerun import _opened


def listening() -> set[Any]:
    return {each.laddr for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("options", [{}, {"mode": "legacy"}, {"transport": "http"}], ids=["direct", "legacy", "http"])
def test_a_tool_that_leaves_the_program_ends_its_call_and_not_the_loop(
    server: MCPServer, options: dict[str, Any]
) -> None:
    @server.tool()
    def leave() -> None:
        sys.exit(3)

    @server.tool()
    async def leave_at_once() -> None:
        raise SystemExit(3)

    with Workbench(server, timeout=5, **options) as bench:
        for tool in ("leave", "leave_at_once"):
            # Over a transport the server may be gone, or never answer; what counts is that the call ends, and not well.
            with contextlib.suppress(WorkbenchError):
                assert not bench.call(tool, timeout=1).ok
        assert {record.outcome for record in bench.session.log} & {Outcome.OK} == set()
    with Workbench(server) as another:
        assert another.call("add", {"a": 1}).ok


def failing_server() -> MCPServer:
    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    return MCPServer("failing", log_level="ERROR", lifespan=lifespan)


def test_a_server_whose_lifespan_fails_is_told_and_leaves_nothing_listening() -> None:
    before = listening()
    with pytest.raises(UnreachableError, match="no database"):
        Workbench(failing_server())
    with pytest.raises(UnreachableError, match=r"(?s)ended while it was being started over HTTP.*no database"):
        Workbench(failing_server(), transport="http")
    with pytest.raises(UnreachableError, match="ended while it was being started"):
        serve(failing_server())
    background().settle()
    assert listening() == before


def test_a_hosted_server_that_is_given_up_while_it_starts_leaves_nothing_listening() -> None:
    @contextlib.asynccontextmanager
    async def slow(_: Any) -> AsyncIterator[None]:
        import anyio

        await anyio.sleep(1.5)
        yield

    before = listening()
    with pytest.raises(UnreachableError, match="did not answer within"):
        Workbench(MCPServer("slow", log_level="ERROR", lifespan=slow), transport="http", timeout=0.3)
    while listening() != before:
        background().settle()


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", True])
def test_a_timeout_that_makes_no_sense_is_refused_instead_of_waited_for(server: MCPServer, timeout: Any) -> None:
    with Workbench(server) as bench:
        with pytest.raises(UsageError, match="timeout="):
            bench.call("add", {"a": 1}, timeout=timeout)
        with pytest.raises(UsageError):
            bench.session.submit("add", {"a": 1}, timeout=timeout).result()


@pytest.mark.parametrize("tool", [5, ["add"], None])
def test_a_tool_is_named_by_text(server: MCPServer, tool: Any) -> None:
    with Workbench(server) as bench:
        with pytest.raises(UsageError):
            bench.call(tool)
        with pytest.raises(UsageError, match="is text"):
            bench.session.call(tool)


def test_a_result_with_half_a_character_is_an_invalid_output_and_not_a_timeout(server: MCPServer) -> None:
    @server.tool(structured_output=False)
    def half() -> str:
        return "\ud800"

    with Workbench(server) as bench:
        assert bench.call("half").outcome is Outcome.INVALID_OUTPUT


def test_an_asynchronous_tool_that_holds_up_the_loop_past_its_deadline_counts_as_a_timeout(server: MCPServer) -> None:
    import time

    @server.tool()
    async def hold_up() -> str:
        time.sleep(0.4)  # noqa: ASYNC251 - the mistake that is meant
        return "done"

    with Workbench(server) as bench:
        with pytest.raises(Exception, match=r"did not answer within 0\.1 s"):
            bench.call("hold_up", timeout=0.1)
        assert [record.outcome for record in bench.session.log] == [Outcome.TIMEOUT]


def test_a_call_under_way_is_told_when_its_workbench_is_closed(command: list[str]) -> None:
    with Workbench(command) as bench:
        call = bench.session.submit("slow", {"seconds": 600})
        assert bench.call("add", {"a": 1}).ok
        bench.close()
        with pytest.raises(ClosedError, match="closed under way"):
            call.result(10)
        assert [record.outcome for record in bench.session.log] == [Outcome.OK, Outcome.CANCELLED]


def test_reconnecting_from_many_threads_leaves_one_server(command: list[str]) -> None:
    with Workbench(command) as bench:
        threads = [threading.Thread(target=bench.reconnect) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bench.call("add", {"a": 1}).ok
        servers = [each for each in psutil.Process().children() if "example_servers.py" in " ".join(each.cmdline())]
        assert len(servers) == 1


def test_what_is_closed_or_refused_is_forgotten(server: MCPServer) -> None:
    closers = len(background()._closers)
    for _ in range(3):
        with Workbench(server):
            pass
        with pytest.raises(UnreachableError):
            Workbench(["false"])
    background().settle()
    assert len(background()._closers) == closers
    assert _opened == {}


def test_a_thread_that_calls_while_the_program_ends_does_not_keep_it(tmp_path: Path) -> None:
    script = (
        "import sys, threading\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from example_servers import make_server\n"
        "from mcp_workbench import Workbench, WorkbenchError\n"
        "bench = Workbench(make_server())\n"
        "def work():\n"
        "    try:\n"
        "        while True:\n            bench.call('add', {'a': 1})\n"
        "    except WorkbenchError as error:\n        print(type(error).__name__)\n"
        "threading.Thread(target=work).start()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.strip() in ("LoopError", "ClosedError", "ConnectionLostError")


def test_environment_folder_and_headers_reach_the_server(tmp_path: Path) -> None:
    script = tmp_path / "where.py"
    script.write_text(
        "import os\nfrom mcp.server.mcpserver import MCPServer\nserver = MCPServer('where', log_level='ERROR')\n"
        "@server.tool()\ndef where() -> list[str]:\n    return [os.getcwd(), os.environ.get('API_KEY', '')]\n"
        "server.run()\n"
    )
    entry = {"command": "python", "args": ["where.py"], "env": {"API_KEY": "k1"}, "cwd": str(tmp_path)}
    with Workbench({"mcpServers": {"where": entry}}) as bench:
        assert bench.call("where").value == [os.path.realpath(tmp_path), "k1"]


def test_headers_of_a_configuration_are_sent_and_never_shown(server: MCPServer) -> None:
    from mcp.server.mcpserver import Context

    @server.tool()
    def token(context: Context) -> str:
        return str(context.request_context.request.headers["x-token"])

    with serve(server) as hosted:
        with Workbench({"url": hosted.url, "headers": {"X-Token": "t0ken"}}) as bench:
            assert bench.call("token").value == "t0ken"
            assert "t0ken" not in repr(bench.session.target)
        with pytest.raises(UsageError, match="the header 'X-Token' cannot be sent") as caught:
            Workbench({"url": hosted.url, "headers": {"X-Token": "t0ken\n"}})
        assert "t0ken" not in str(caught.value)


def test_secrets_in_a_command_or_an_address_are_not_shown_in_its_refusal() -> None:
    words = ["no-such-server", "--api-key", "s3cret", "--token=s3cret", "http"]
    with pytest.raises(UnreachableError) as caught:
        Workbench(["false", *words[1:]])
    assert "s3cret" not in str(caught.value)
    for address in ("ws://h/mcp#t=s3cret", "http://u:a/s3cret@h:99999/", "ws://u:s3cret@h"):
        with pytest.raises(UsageError) as refused:
            Workbench(address)
        assert "s3cret" not in str(refused.value)


def test_lines_on_standard_output_that_are_no_messages_are_noticed_though_the_server_works(tmp_path: Path) -> None:
    script = tmp_path / "chatty.py"
    script.write_text(
        "from mcp.server.mcpserver import MCPServer\nserver = MCPServer('chatty', log_level='ERROR')\n"
        "import sys\nprint('listening now', flush=True)\nserver.run()\n"
    )
    with Workbench([sys.executable, str(script)], timeout=30) as bench:
        assert "'listening now'" in repr(bench)


def test_numbers_of_numpy_are_arguments_like_any_other(server: MCPServer) -> None:
    with Workbench(server) as bench:
        assert bench.call("add", {"a": np.int64(2), "b": np.int8(3)}).value == 5
        assert bench.call("slow", {"seconds": np.float64(0)}).ok


@pytest.mark.parametrize("target", ["~nosuchuser/x.json", "a" * 5000 + ".py:app", "x\0.json", "a\ud800.json#x"])
def test_a_name_that_no_file_can_have_is_refused_in_one_sentence(target: str) -> None:
    with pytest.raises((UsageError, UnreachableError)):
        Workbench(target)


@pytest.mark.parametrize(("what", "port"), [("text", 0), (None, 99_999), (None, "80"), (None, True)])
def test_what_cannot_be_served_is_refused(server: MCPServer, what: Any, port: Any) -> None:
    with pytest.raises(UsageError, match=r"cannot be served|is no port"):
        serve(what or server, port=port)
