"""Every form in which a target can be written, and the sentence for every form in which it cannot."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from example_servers import MARKUP
from hypothesis import given
from hypothesis import strategies as st
from mcp import StdioServerParameters
from mcp.server import Server
from mcp.server.mcpserver import MCPServer

from mcp_workbench import TargetError, UnreachableError, WorkbenchError
from mcp_workbench.kernel.targets import CommandTarget, ServerTarget, UrlTarget, find_program, read_target

SECRET = "hunter2"


def refused(word: object, kind: type[WorkbenchError] = UnreachableError, **options: Any) -> str:
    """Return the sentence with which a target is refused, after checking that it is a plain one."""
    with pytest.raises(WorkbenchError) as caught:
        read_target(word, **options)
    assert type(caught.value) is kind
    assert caught.value.__cause__ is None
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert not re.search("[\x00-\x1f\x7f-\x9f]", sentence)
    return sentence


# Server objects.


@pytest.mark.parametrize("made", [MCPServer("desk", log_level="ERROR"), Server("desk")], ids=["MCPServer", "Server"])
def test_a_server_object_is_a_target_in_this_process(made: Any) -> None:
    target = read_target(made)
    assert target == ServerTarget(made, "desk", "in-process")
    assert str(target) == "the server object 'desk' in this process"
    assert read_target(made, over_http=True).transport == "in-kernel-http"
    assert read_target(made, name="mine").name == "mine"


def test_a_target_that_was_read_before_is_itself() -> None:
    target = UrlTarget("http://localhost/mcp", "desk")
    assert read_target(target) is target


def test_a_target_that_was_read_before_can_be_given_another_name() -> None:
    assert read_target(UrlTarget("http://localhost/mcp", "desk"), name="mine").name == "mine"


def test_only_a_server_object_can_be_hosted_over_http() -> None:
    assert "hosts a server object in this process, but the target is the command 'server'" in refused(
        "server", TargetError, over_http=True
    )


# Commands.


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("python -m mcp_server_time --local-timezone UTC", "mcp_server_time"),
        (["/usr/bin/python3.11", "-u", "servers/desk.py"], "desk"),
        (["node", Path("dist/index.mjs")], "index.mjs"),
        (["uvx", "notes.py"], "uvx"),
        ("/opt/desk/serve --quick", "serve"),
        (StdioServerParameters(command="serve", args=["--quick"]), "serve"),
        ({"command": "serve", "args": ["--quick"], "disabled": False}, "serve"),
    ],
)
def test_a_command_is_named_by_what_tells_it_from_other_servers(word: Any, name: str) -> None:
    target = read_target(word)
    assert isinstance(target, CommandTarget)
    assert (target.name, target.transport) == (name, "stdio")
    assert read_target(word, name="mine").name == "mine"


def test_a_command_is_split_as_a_shell_splits_it_and_as_nothing_else() -> None:
    target = read_target("serve 'two words' \"$HOME\" a\\ b *.py ; rm -rf / | cat")
    assert isinstance(target, CommandTarget)
    assert target.arguments == ("two words", "$HOME", "a b", "*.py", ";", "rm", "-rf", "/", "|", "cat")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_a_list_of_words_is_taken_word_for_word(words: list[str]) -> None:
    target = read_target(words)
    assert isinstance(target, CommandTarget)
    assert (target.command, *target.arguments) == tuple(words)
    assert len(target.name) <= 60
    assert len(str(target).splitlines()) == 1


def test_environment_and_folder_come_along(tmp_path: Path) -> None:
    for word in (
        StdioServerParameters(command="serve", env={"KEY": SECRET}, cwd=tmp_path),
        {"command": "serve", "env": {"KEY": SECRET}, "cwd": str(tmp_path)},
    ):
        target = read_target(word)
        assert isinstance(target, CommandTarget)
        assert (target.environment, target.folder) == ({"KEY": SECRET}, tmp_path)


@pytest.mark.parametrize(
    ("word", "kind", "sentence"),
    [
        ("", TargetError, "an empty text is no target: give a server object, a command, a URL, 'file.py:attribute'"),
        (" \n ", TargetError, "is no target"),
        ([], TargetError, "a list is no target"),
        (["serve", 3], TargetError, "a list is no target"),
        (None, TargetError, "a NoneType is no target"),
        (b"serve", TargetError, "a bytes is no target"),
        (MCPServer, TargetError, "is no target"),
        ('serve "x', TargetError, "the command 'serve \"x' cannot be read (No closing quotation); close its quotes"),
        (["serve", "a\0b"], TargetError, "the command holds a NUL character, which no command may"),
        ({"command": "serve", "cwd": "/no/such"}, UnreachableError, "the command's folder '/no/such' does not exist"),
    ],
)
def test_what_is_no_command_is_told_in_one_sentence(word: Any, kind: type[WorkbenchError], sentence: str) -> None:
    assert sentence in refused(word, kind)


@pytest.mark.parametrize("word", ["python server.py settings.json", "npx some-server --config desk.json"])
def test_a_command_whose_last_word_is_a_json_file_is_a_command(word: str) -> None:
    assert isinstance(read_target(word), CommandTarget)


def test_a_program_is_found_beside_the_interpreter_on_the_path_and_by_its_own_path(tmp_path: Path) -> None:
    program = tmp_path / "serve"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert Path(find_program(CommandTarget("python", "x"))).parent == Path(sys.executable).parent
    assert find_program(CommandTarget(str(program), "x")) == str(program)
    assert find_program(CommandTarget("./serve", "x", folder=tmp_path)) == str(program)
    assert find_program(CommandTarget("serve", "x", environment={"PATH": str(tmp_path)})) == str(program)


def test_a_program_that_is_not_there_or_may_not_be_executed_is_told(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(UnreachableError, match=r"there is no command 'no-such' on this machine; check the spelling"):
        find_program(CommandTarget("no-such", "x"))
    with pytest.raises(UnreachableError, match=r"is not an executable file.*chmod \+x"):
        find_program(CommandTarget("./plain", "x", folder=tmp_path))
    with pytest.raises(UnreachableError, match="there is no command 'python'"):
        find_program(CommandTarget("python", "x", environment={"PATH": str(tmp_path)}))


# Addresses.


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:8000/mcp", "127.0.0.1:8000"),
        ("HTTPS://Desk.Example.org/mcp", "desk.example.org"),
        ("http://[::1]:80/mcp", "::1:80"),
    ],
)
def test_an_address_is_named_by_host_and_port(url: str, name: str) -> None:
    target = read_target(url)
    assert isinstance(target, UrlTarget)
    assert (target.url, target.name, target.transport) == (url, name, "http")
    assert read_target({"url": url.lower(), "headers": {"X": "1"}}).name == name


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://", "the address 'http://' names no host; write http://HOST:PORT/mcp"),
        ("http:///mcp", "names no host"),
        ("http://desk:99999/mcp", "cannot be read: Port out of range"),
        ("http://[::1/mcp", "cannot be read: Invalid IPv6 URL"),
        ("ws://desk/mcp", "'ws://desk/mcp' is no HTTP address; MCP servers are reached at http:// or https://"),
        ("file:///etc/passwd", "is no HTTP address"),
    ],
)
def test_an_address_that_cannot_be_used_is_told(url: str, sentence: str) -> None:
    assert sentence in refused(url, TargetError)


def test_no_secret_of_an_address_a_header_or_an_environment_is_shown() -> None:
    for word in (
        f"http://user:{SECRET}@desk:80/mcp?token={SECRET}#{SECRET}",
        {"url": "http://desk/mcp", "headers": {"Authorization": SECRET}},
        {"command": "serve", "env": {"KEY": SECRET}},
        StdioServerParameters(command="serve", env={"KEY": SECRET}),
    ):
        target = read_target(word)
        assert SECRET not in f"{target} {target!r} {target.name}"
    assert str(read_target(f"http://user:{SECRET}@desk:80/mcp?token={SECRET}")) == "http://desk:80/mcp"


@pytest.mark.parametrize("url", ["http://user:{}@desk:99999/mcp", "http://user:{}@/mcp", "ws://user:{}@desk/mcp"])
def test_no_secret_of_an_address_is_shown_in_the_sentence_that_refuses_it(url: str) -> None:
    assert SECRET not in refused(url.format(SECRET), TargetError)


# Hostile names.


@pytest.mark.parametrize("name", [MARKUP, "a\nb", "\x1b[2J", "x" * 10_000, ""])
def test_a_hostile_name_is_one_bounded_line_without_controls(name: str) -> None:
    target = read_target(MCPServer(name, log_level="ERROR"))
    for shown in (target.name, str(target)):
        assert len(shown) < 120
        assert len(shown.splitlines()) <= 1
        assert not re.search("[\x00-\x1f\u202e]", shown)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_is_a_target_or_refused_in_one_plain_sentence(text: str) -> None:
    try:
        shown = str(read_target(text))
    except WorkbenchError as error:
        shown = str(error)
    assert len(shown.splitlines()) == 1


# Configurations.


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "clients.json"
    time = {"command": "python", "args": ["-m", "mcp_server_time"], "env": {"KEY": SECRET}, "autoApprove": []}
    entries = {"time": time, "far": {"type": "http", "url": "https://desk.example.org/mcp", "headers": {"A": SECRET}}}
    file.write_text(json.dumps({"mcpServers": entries, "theme": "dark"}))
    return file


def test_an_entry_of_a_configuration_is_its_command_or_address_under_its_own_name(configuration: Path) -> None:
    near, far = read_target(f"{configuration}#time"), read_target(f"{configuration}#far", name="mine")
    assert near == CommandTarget("python", "time", ("-m", "mcp_server_time"), {"KEY": SECRET})
    assert far == UrlTarget("https://desk.example.org/mcp", "mine", {"A": SECRET})


def test_the_only_entry_of_a_configuration_need_not_be_named(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"mcpServers": {"one": {"command": "serve"}}}')
    assert read_target(str(tmp_path / "one.json")).name == "one"


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (None, "there is no configuration file"),
        ("{\n  ]", "line 2: no JSON"),
        ("", "line 1: no JSON"),
        (b"\xff\xfe", "is not UTF-8 text; save it as UTF-8"),
        ("[]", "has no 'mcpServers'"),
        ('{"mcpServers": {}}', "has no 'mcpServers'"),
        ('{"mcpServers": {"b": {}}}', "has no server 'a'; it has b"),
        ('{"mcpServers": {"a": 5}}', "mcpServers.a: input should be a valid dictionary"),
        ('{"mcpServers": {"a": {}}}', "mcpServers.a: an entry has either 'command' or 'url'; give one of them"),
        ('{"mcpServers": {"a": {"command": "x", "url": "http://x"}}}', "either 'command' or 'url'"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "mcpServers.a.args: input should be a valid list"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"KEY": 1}}}}', "mcpServers.a.env.KEY: input should be"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "mcpServers.a.url: string should match"),
    ],
)
def test_a_configuration_that_cannot_be_used_names_file_and_place(
    tmp_path: Path, written: str | bytes | None, sentence: str
) -> None:
    file = tmp_path / "bad.json"
    if written is not None:
        file.write_bytes(written if isinstance(written, bytes) else written.encode())
    told = refused(f"{file}#a")
    assert sentence in told
    assert str(file) in told


def test_a_configuration_with_several_entries_asks_which_one(configuration: Path) -> None:
    assert "has 2 servers; say which one: clients.json#NAME, with time, far" in refused(str(configuration), TargetError)
