"""What is no server, or a bad one: one plain sentence within the timeout, nothing left running."""

import asyncio
import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest

from mcp_workbench import UnreachableError, Workbench
from mcp_workbench.kernel.loop import background

GARBAGE = "import time\nwhile True: print('<b>listening</b> on port 80', flush=True); time.sleep(0.05)"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
)
Refusals: TypeAlias = dict[str, Future[str]]


@contextmanager
def nothing_left_running() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    # Ending a stubborn process is bounded by the SDK at some four seconds.
    deadline_s = time.monotonic() + 15
    while left := [child for child in psutil.Process().children(recursive=True) if child.pid not in before]:
        assert time.monotonic() < deadline_s, left
        psutil.wait_procs(left, timeout=0.1)


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    with nothing_left_running():
        yield


def refused(target: object, timeout: float = 3.0) -> str:
    """Return the sentence with which a target is refused, after checking that it is a plain one."""
    with pytest.raises(UnreachableError) as caught:
        Workbench(target, timeout=timeout)
    sentence = str(caught.value)
    assert "ExceptionGroup" not in sentence
    own_words = sentence.partition("\nThe server's last words:")[0]
    assert "\n" not in own_words
    assert "Traceback" not in own_words
    assert caught.value.__cause__ is None
    return sentence


def test_a_command_that_does_not_exist_is_named() -> None:
    assert "no command 'no-such-server'" in refused("no-such-server --flag")


def test_a_file_that_is_not_executable_says_how_to_make_it_so(tmp_path: Path) -> None:
    script = tmp_path / "server.sh"
    script.write_text("#!/bin/sh\n")
    assert "chmod +x" in refused(str(script))


def test_a_script_whose_interpreter_is_missing_is_told_in_one_sentence(tmp_path: Path) -> None:
    script = tmp_path / "server.sh"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert "cannot be started" in refused(str(script))


def test_a_command_that_ends_at_once_is_shown_with_its_last_words() -> None:
    sentence = refused([sys.executable, "-c", "import no_such_module_at_all"])
    assert "ended" in sentence
    assert "No module named 'no_such_module_at_all'" in sentence


@pytest.fixture(scope="module")
def refusals() -> Refusals:
    """The sentences for commands that keep one waiting, all tried at the same time."""
    commands = {
        "garbage": ([sys.executable, "-c", GARBAGE], 1.5),
        "silent": (["sleep", "600"], 0.8),
        "stubborn": ([sys.executable, "-c", STUBBORN], 1.5),
    }
    with nothing_left_running(), ThreadPoolExecutor() as pool:
        return {name: pool.submit(refused, *each) for name, each in commands.items()}


def test_a_command_that_prints_garbage_is_shown_its_first_line_and_told_where_logs_belong(refusals: Refusals) -> None:
    sentence = refusals["garbage"].result()
    assert "'<b>listening</b> on port 80'" in sentence
    assert "standard error" in sentence


def test_a_command_that_never_answers_is_given_up_at_the_timeout(refusals: Refusals) -> None:
    assert "did not answer within 0.8 s" in refusals["silent"].result()


def test_a_command_that_ignores_every_request_to_end_is_killed(refusals: Refusals) -> None:
    assert "no MCP messages" in refusals["stubborn"].result()


def test_an_address_where_nobody_listens_says_so() -> None:
    assert "nothing answers there" in refused("http://127.0.0.1:9/mcp")


def test_a_name_that_does_not_resolve_says_so() -> None:
    assert "nothing answers there" in refused("http://no-such-host.invalid/mcp")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>hi</html>", "text/html"),
        ("404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404; check the path"),
        ("405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", "HTTP 405; check the path"),
        ("401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "credentials"),
        ("500 Oops\r\nContent-Length: 0\r\n\r\n", "HTTP 500; look into the server's own log"),
        ("302 Found\r\nLocation: https://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n", "elsewhere.invalid"),
        ("200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "no MCP server"),
        ("", "no MCP server"),
    ],
    ids=["page", "404", "405", "401", "500", "redirect", "other json", "hangs up"],
)
def test_a_web_server_that_speaks_no_mcp_is_told_by_its_answer(answer: str, expected: str) -> None:
    with web_server(answer) as url:
        assert expected in refused(url)


def test_a_web_server_that_never_answers_is_given_up_at_the_timeout() -> None:
    with web_server(None) as url:
        assert "did not answer within 0.8 s" in refused(url, timeout=0.8)


def test_a_wrong_path_on_a_real_mcp_server_is_told_apart_from_a_dead_one(server: object) -> None:
    from mcp_workbench import serve

    with serve(server) as hosted:  # type: ignore[arg-type]
        assert re.search(r"HTTP 404; check the path .*/mcp", refused(hosted.url.replace("/mcp", "/wrong")))


def test_the_kernel_is_usable_after_every_refusal(server: object) -> None:
    refused(["false"])
    with Workbench(server) as bench:
        assert bench.call("add", {"a": 1, "b": 2}).value == 3


class web_server:  # noqa: N801 - used like a function
    """A server on the loopback address that gives one fixed answer; none at all for ``None``."""

    def __init__(self, answer: str | None) -> None:
        self._answer = answer
        self._stop = threading.Event()

    async def _start(self) -> asyncio.Server:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            if self._answer is None:
                await reader.read()
            elif self._answer:
                writer.write(f"HTTP/1.1 {self._answer}".encode())
            writer.close()

        return await asyncio.start_server(handle, "127.0.0.1", 0)

    def __enter__(self) -> str:
        self._server = background().run(self._start())
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/mcp"

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()

        background().run(stop())
