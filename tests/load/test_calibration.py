import asyncio
import contextlib
import hashlib
import json
import platform
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mcp_workbench.errors import WorkbenchError
from mcp_workbench.kernel.leash import MARK, leash
from mcp_workbench.load import calibration_work
from mcp_workbench.load.calibration import (
    MOST_RATE,
    TOOL,
    arm,
    calibration_block,
    calibration_command,
    calibration_identity,
    calibration_server,
)
from mcp_workbench.load.calibration_work import CALIBRATION_VERSION, reference
from mcp_workbench.load.driving import drive
from mcp_workbench.load.plan import Block, Plan
from mcp_workbench.records import Outcome

RESULT = {"digest": "6bdc72e03a0892c1", "characters": 3137}
# For each version of the work: the digest of its module. If only words of it changed, renew the digest; if the work
# itself did, raise CALIBRATION_VERSION and add a line, for stored baselines were measured by the old one.
SOURCES = {"1": "0b6b677bd509d409"}
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": TOOL, "arguments": {}}}


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with subprocess.Popen(calibration_command("http"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield "127.0.0.1", int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(10) == 0


def posted(message: object) -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def said_to(address: tuple[str, int], *pieces: bytes) -> bytes:
    """Return all that comes back until the connection ends; the writing end is closed after the last piece."""
    with socket.create_connection(address, 10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answered = b""
        while arrived := connection.recv(65_536):
            answered += arrived
        return answered


async def called(client: Client) -> tuple[list[str], Any]:
    async with client:
        listed = await client.list_tools()
        result = await client.call_tool(TOOL, {})
        assert not result.is_error
        return [tool.name for tool in listed.tools], result.structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
def test_over_http_it_speaks_both_eras_of_the_protocol(address: tuple[str, int], mode: str) -> None:
    client = Client(f"http://{address[0]}:{address[1]}/mcp", mode=mode, cache=None)
    assert asyncio.run(called(client)) == ([TOOL], RESULT)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_over_stdio_it_speaks_both_eras_of_the_protocol(mode: str) -> None:
    program, *arguments = calibration_command("stdio")
    parameters = StdioServerParameters(command=program, args=arguments)

    async def over_stdio() -> tuple[list[str], Any]:
        async with stdio_client(parameters) as streams:
            return await called(Client(contextlib.nullcontext(streams), mode=mode, cache=None))

    assert asyncio.run(over_stdio()) == ([TOOL], RESULT)


def test_the_generator_drives_it_beside_a_target_on_each_transport_and_its_process_ends_with_the_block() -> None:
    pids: list[int] = []

    async def driven() -> Any:
        async with calibration_server("http", started=pids.append) as http, calibration_server("stdio") as stdio:
            blocks = (Block(0, 0.1, 100, None), Block(1, 0.1, 100, None), Block(0, 0.05, None, 4))
            return await drive(Plan((http, stdio), blocks), servers=pids)

    run = asyncio.run(driven())
    for number in (0, 1):
        calls = run.calls(number)
        assert len(calls) >= 2
        assert set(calls.outcomes()) == {Outcome.OK}, calls.codes
    answers = [json.loads(text)["result"]["structuredContent"] for *_, text in run.samples]
    assert answers
    assert all(answer == RESULT for answer in answers)
    assert len(pids) == 1
    assert not psutil.pid_exists(pids[0])


def test_beside_a_target_in_process_it_speaks_stdio() -> None:
    async def wire() -> Any:
        async with calibration_server("in-process") as made:
            return made.wire

    assert asyncio.run(wire()) == arm("stdio").wire


def test_its_process_ends_also_when_the_load_failed() -> None:
    pids: list[int] = []

    async def failing() -> None:
        async with calibration_server("http", started=pids.append):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(failing())
    assert not psutil.pid_exists(pids[0])


def test_a_server_that_does_not_start_is_told_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "import os, sys\nif sys.orig_argv[-1] == 'http':\n    os.write(2, b'no room')\n    os._exit(3)\n"
    (tmp_path / "sitecustomize.py").write_text(words)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def started() -> None:
        async with calibration_server("http"):
            pass

    with pytest.raises(WorkbenchError, match=r"^the calibration server did not start: no room$"):
        asyncio.run(started())


def test_a_line_that_is_no_request_is_refused_and_the_next_one_is_answered() -> None:
    messages = [
        b"no json",
        b"[" * 100_000,
        b"[]",
        b'{"id": 1}',
        b'{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": [1]}',
        b'{"jsonrpc": "2.0", "id": 3, "method": "resources/list"}',
        b'{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        b'{"jsonrpc": "2.0", "id": 4, "method": "ping"}',
        json.dumps(CALL).encode(),
    ]
    done = subprocess.run(
        calibration_command("stdio"), input=b"\n".join(messages) + b"\n", capture_output=True, timeout=20
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    codes = [(answer["id"], answer["error"]["code"]) for answer in answers if "error" in answer]
    refused = [(None, -32700), (None, -32700), (None, -32600), (None, -32600), (2, -32602), (3, -32601)]
    assert codes == refused
    assert {answer["id"]: answer["result"].get("structuredContent") for answer in answers if "result" in answer} == {
        4: None,
        7: RESULT,
    }
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_standard_input_that_cannot_be_waited_for_is_refused_in_one_sentence() -> None:
    done = subprocess.run(
        calibration_command("http"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert re.fullmatch("the calibration server ends with its standard input; .*\n", done.stderr)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST /mcp HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n", b"413"),
        (b"x" * 1_000_001, b"413"),
    ],
)
def test_what_is_no_request_of_a_client_is_refused_and_the_connection_closed(
    address: tuple[str, int], request_: bytes, status: bytes
) -> None:
    assert said_to(address, request_).startswith(b"HTTP/1.1 " + status)


def test_requests_on_one_connection_are_answered_in_their_order(address: tuple[str, int]) -> None:
    requests = posted(CALL) + posted(b"no json") + posted({**CALL, "id": 8}) + b"DELETE / HTTP/1.1\r\n\r\n"
    answered = said_to(address, requests[:30], requests[30:]).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answered] == [b"200", b"200", b"200", b"405"]
    assert [json.loads(answer.partition(b"\r\n\r\n")[2])["id"] for answer in answered[:3]] == [7, None, 8]


def test_the_work_is_that_of_its_version() -> None:
    assert asyncio.run(reference()) == RESULT
    source = Path(calibration_work.__file__).read_bytes().replace(b"\r\n", b"\n")
    assert hashlib.sha256(source).hexdigest()[:16] == SOURCES[CALIBRATION_VERSION]


def test_the_identity_names_the_work_and_the_python_that_does_it() -> None:
    python = ".".join(platform.python_version_tuple()[:2])
    assert calibration_identity() == f"{CALIBRATION_VERSION}, {platform.python_implementation()} {python}"


@pytest.mark.parametrize(
    ("rate", "users", "beside"),
    [(200.0, None, (200.0, None)), (5_000.0, None, (MOST_RATE, None)), (None, 32, (None, 32))],
)
def test_it_is_called_under_the_load_of_its_target(
    rate: float | None, users: int | None, beside: tuple[float | None, int | None]
) -> None:
    block = calibration_block(Block(0, 0.1, rate, users), 3)
    assert block == Block(3, 0.1, *beside)


def test_what_makes_python_slow_is_kept_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    environment = arm("stdio").wire.environment
    assert environment["PYTHONHASHSEED"] == "0"
    assert "PYTHONMALLOC" not in environment
    assert "PYTHONPATH" in environment


def test_it_listens_on_the_loopback_address_only_and_is_on_the_leash() -> None:
    async def looked_at() -> None:
        pids: list[int] = []
        async with calibration_server("http", started=pids.append) as made:
            process = psutil.Process(pids[0])
            sockets = process.net_connections()
            assert urlsplit(made.wire.url).port in {each.laddr.port for each in sockets}
            assert {each.laddr.ip for each in sockets} == {"127.0.0.1"}
            assert process.environ()[MARK] == leash().mark

    asyncio.run(looked_at())
