"""The command: what it prints, where, and with which exit code."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mcp_workbench

EXAMPLE = f"{Path(__file__).parents[1] / 'example_servers.py'}:server"
OVER_STDIO = f"{sys.executable} {Path(__file__).parents[1] / 'example_servers.py'}"
HOSTILE = """
from mcp.server.mcpserver import MCPServer
EVIL = "\\x1b]0;owned\\x07\\x1b[2J\\u202e<b>[red]é"
server = MCPServer("evil" + EVIL, log_level="ERROR")
@server.tool(name="evil" + EVIL, description=EVIL)
def evil(fail: bool = False) -> str:
    if fail:
        from mcp.server.mcpserver.exceptions import ToolError
        raise ToolError(EVIL)
    return EVIL
"""
EVIL_NAME = "evil\x1b]0;owned\x07\x1b[2J\u202e<b>[red]é"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")

Said = tuple[int, str, str]


def ran_for_real(*words: str, **options: Any) -> Said:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "mcp_workbench.cli", *words]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    (tmp_path / "hostile.py").write_text(HOSTILE, encoding="utf-8")
    return f"{tmp_path / 'hostile.py'}:server"


# In a process of its own.


def test_a_call_over_stdio_prints_the_answer_and_nothing_else_and_exits_with_0() -> None:
    assert ran_for_real("call", OVER_STDIO, "add", "--args", '{"a": 2, "b": 3}') == (0, '{\n  "result": 5\n}\n', "")


def test_a_tool_that_fails_is_told_on_standard_error_and_exits_with_1() -> None:
    code, out, err = ran_for_real("call", EXAMPLE, "fail")
    assert (code, out) == (1, "")
    assert err.startswith("ERROR (tool_error): Error executing tool fail: the lamp is broken\n")
    assert "Traceback" not in err


def test_wrong_usage_exits_with_2_and_an_unreachable_target_with_3_each_in_one_sentence() -> None:
    for target, code in (("clients.json", 3), ("ws://desk/mcp", 2)):
        left, out, err = ran_for_real("tools", target)
        assert (left, out) == (code, "")
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err


def test_the_installed_command_is_the_module() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("mcp-workbench"), "--version"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (f"mcp-workbench {mcp_workbench.__version__}\n", "")


def test_a_terminal_is_never_handed_the_controls_of_a_server(hostile: str) -> None:
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "250", "LINES": "50"}
    command = [sys.executable, "-m", "mcp_workbench.cli", "tools", hostile]
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as running:
        os.close(follower)
        shown = b""
        try:
            while chunk := os.read(leader, 4_096):
                shown += chunk
        except OSError:
            # So does Linux say that the other end is closed.
            pass
        finally:
            os.close(leader)
    assert running.returncode == 0
    # What the table itself is drawn with: colours and weights.
    words = re.sub("\x1b\\[[0-9;]*m", "", shown.decode())
    assert CONTROLS.findall(words.replace("\r\n", "\n")) == []
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202e<b>[red]é" in words


def test_the_interrupt_key_ends_a_call_without_a_traceback(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "waits.py").write_text(
        "import anyio, pathlib\nfrom mcp.server.mcpserver import MCPServer\n"
        "server = MCPServer('waits', log_level='ERROR')\n@server.tool()\nasync def wait() -> str:\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n    await anyio.sleep(600)\n    return ''\n"
    )
    command = [sys.executable, "-m", "mcp_workbench.cli", "call", f"{tmp_path / 'waits.py'}:server", "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while not begun.exists():
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert (out, b"Traceback" in err) == (b"", False)


def test_a_reader_that_has_enough_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mcp_workbench.cli", "tools", EXAMPLE]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("tools",), ("call", "--args", "{}")], ids=["tools", "call"])
def test_a_terminal_without_utf_8_gets_what_it_can_show(hostile: str, words: tuple[str, ...]) -> None:
    command, *rest = words
    tool = [EVIL_NAME] if command == "call" else []
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    code, _, err = ran_for_real(command, hostile, *tool, *rest, env=environment)
    assert "Traceback" not in err
    assert code == 0


def test_lab_puts_the_notebooks_in_place_and_becomes_jupyterlab(tmp_path: Path) -> None:
    # A module of that name in the working folder is what `python -m jupyterlab` finds first.
    (tmp_path / "jupyterlab.py").write_text("import os, sys\nprint(os.getpid(), *sys.argv[1:])\n")
    command = [sys.executable, "-m", "mcp_workbench.cli", "lab", "mine", "--port", "9999", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        out, _ = running.communicate(timeout=60)
    place, allowed = (tmp_path / "mine").resolve(), "--allow-root " if os.geteuid() == 0 else ""
    words = f"--ServerApp.root_dir={place} --LabApp.default_url=/lab/tree/00_start_here.ipynb {allowed}"
    assert out == f"{running.pid} {words}--port=9999 --no-browser\n"
    assert (tmp_path / "mine").is_dir()


# In this process.


def test_tools_are_a_table_under_the_name_and_transport_of_the_target(run: Callable[..., Said]) -> None:
    code, out, err = run("tools", EXAMPLE)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].strip() == "example over in-process"
    assert re.search(r"│ add +│ Add two whole numbers\. +│ a: integer; b: integer = 0 +│ yes", out)
    assert run("tools", EXAMPLE, "--http")[1].splitlines()[0].strip() == "example over in-kernel-http"


def test_tools_as_json_are_what_the_server_listed(run: Callable[..., Said]) -> None:
    code, out, err = run("tools", EXAMPLE, "--json")
    assert (code, err) == (0, "")
    listed = {tool["name"]: tool for tool in json.loads(out)}
    assert listed["add"]["inputSchema"]["required"] == ["a"]
    assert "annotations" not in listed["add"]


def test_a_call_as_json_is_verdict_outcome_and_the_answer_itself(run: Callable[..., Said]) -> None:
    code, out, _ = run("call", EXAMPLE, "add", "--args", '{"a": 2}', "--json")
    told = json.loads(out)
    assert code == 0
    assert told.pop("latency_ms") > 0
    assert told.pop("result")["structuredContent"] == {"result": 2}
    assert told == {"ok": True, "outcome": "ok", "transport": "in-process", "error": None}


def test_a_call_that_fails_is_json_all_the_same_and_exits_with_1(run: Callable[..., Said]) -> None:
    code, out, err = run("call", EXAMPLE, "fail", "--json", "--http")
    told = json.loads(out)
    assert (code, err) == (1, "")
    assert (told["ok"], told["outcome"], told["transport"]) == (False, "tool_error", "in-kernel-http")
    assert told["result"]["isError"] is True


def test_a_sample_is_a_table_under_its_headline(run: Callable[..., Said]) -> None:
    code, out, err = run("sample", EXAMPLE, "add", "--args", '{"a": 1}', "--calls", "7", "--warm-up", "1")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].strip() == "7 calls over in-process, 0 failed (0.0%)"
    assert re.search(r"│ add +│ in-process +│ 7 +│ 0 +│ 0.0% ", out)


def test_a_sample_with_failures_is_json_all_the_same_and_exits_with_1(run: Callable[..., Said]) -> None:
    code, out, err = run("sample", EXAMPLE, "fail", "--calls", "3", "--json")
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert (told["ok"], told["rows"][0]["tool_error"]) == (False, 3)


def test_json_for_hostile_names_is_valid_and_plain_ascii(run: Callable[..., Said], hostile: str) -> None:
    for words in (("tools",), ("call", EVIL_NAME), ("sample", EVIL_NAME, "--calls", "2")):
        command, *rest = words
        code, out, err = run(command, hostile, *rest, "--json")
        assert (code, err) == (0, "")
        assert out.isascii()
        assert CONTROLS.findall(out) == []
        assert EVIL_NAME.removeprefix("evil") in json.dumps(json.loads(out), ensure_ascii=False).replace(
            "\\u001b", "\x1b"
        ).replace("\\u0007", "\x07")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["tools"], 0),
        (["call", EVIL_NAME], 0),
        (["call", EVIL_NAME, "--args", '{"fail": true}'], 1),
        (["sample", EVIL_NAME, "--calls", "2"], 0),
        (["call", "evil\x1b[2J"], 2),
    ],
    ids=["tools", "call", "failing call", "sample", "no such tool"],
)
def test_what_a_server_wrote_is_printed_without_its_controls(
    run: Callable[..., Said], hostile: str, words: list[str], code: int
) -> None:
    left, out, err = run(words[0], hostile, *words[1:])
    assert left == code
    assert CONTROLS.findall(out + err) == []
    assert re.search(r"\\x1b|\\u001b", out + err)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["tools", "no-such-server"], 3, "there is no command 'no-such-server' on this machine"),
        (["tools", "http://127.0.0.1:9/mcp"], 3, "no MCP server at http://127.0.0.1:9/mcp: nothing answers there"),
        (["tools", "no_such.py:server"], 3, "there is no file 'no_such.py'"),
        (["tools", ""], 2, "an empty text is no target"),
        (["tools", "no-such-server", "--http"], 2, "hosts a server object in this process"),
        (["tools", EXAMPLE, "--timeout", "-3"], 2, "timeout=-3.0 is no positive number"),
        (["call", EXAMPLE, "ad"], 2, "has no tool 'ad'; did you mean 'add'?"),
        (["call", EXAMPLE, "add", "--args", "{'a': 1}"], 2, "--args is no JSON: Expecting property name"),
        (["call", EXAMPLE, "add", "--args", "[1]"], 2, "--args is a JSON list, no object"),
        (["call", EXAMPLE, "add", "--args", "[" * 100_000], 2, "--args cannot be read"),
        (["call", EXAMPLE, "add", "--args", '{"a": NaN}'], 2, "argument 'a' is nan"),
        (["call", EXAMPLE, "slow", "--args", '{"seconds": 600}', "--timeout", "0.5"], 3, "did not answer within 0.5 s"),
        (["sample", EXAMPLE, "add", "--calls", "0"], 2, "calls=0 is no number of calls"),
        (["sample", EXAMPLE, "add", "--warm-up", "-1"], 2, "warm_up=-1 is no number of calls"),
        (["lab", f"{__file__}/notebooks"], 2, "the notebooks cannot be put into"),
    ],
)
def test_every_error_is_one_sentence_on_standard_error_and_an_exit_code(
    run: Callable[..., Said], words: list[str], code: int, sentence: str
) -> None:
    left, out, err = run(*words)
    assert (left, out) == (code, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_number_too_long_for_python_is_an_error_like_any_other(run: Callable[..., Said]) -> None:
    assert run("call", EXAMPLE, "add", "--args", f'{{"a": {"1" * 5_000}}}')[0] == 2


@pytest.mark.parametrize("words", [[], ["tools"], ["no-such-command"], ["sample", "x", "y", "--calls", "many"]])
def test_a_command_line_that_cannot_be_read_is_told_with_the_usage(run: Callable[..., Said], words: list[str]) -> None:
    left, out, err = run(*words)
    assert (left, out) == (2, "")
    assert err.startswith("Usage: ")
    assert "Traceback" not in err


def test_help_names_every_command_and_exits_with_0(run: Callable[..., Said]) -> None:
    code, out, _ = run("-h")
    assert code == 0
    assert all(re.search(rf"^  {command} ", out, re.MULTILINE) for command in ("tools", "call", "sample", "lab"))
