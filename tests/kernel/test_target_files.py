"""Server objects of files and modules: loaded, named by line where that fails, and without traces."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_workbench import UnreachableError, Workbench
from mcp_workbench.kernel.targets import ServerTarget, read_target

SERVER = 'from mcp.server.mcpserver import MCPServer\napp = MCPServer("{}", log_level="ERROR")\n'


@pytest.fixture(autouse=True)
def _nothing_is_put_before_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield
    left = list(sys.path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("desk_", "_mcp_workbench_target_")):
            del sys.modules[name]
    # Folders of targets are added at the end, so that none of their modules hides one of the library.
    assert left[: len(path)] == path


def refused(word: str) -> str:
    """Return the sentence with which a target is refused, after checking that it is a plain one."""
    with pytest.raises(UnreachableError) as caught:
        read_target(word)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_server_object_of_a_file_is_loaded_and_can_be_called(tmp_path: Path) -> None:
    file = tmp_path / "desk_server.py"
    file.write_text(SERVER.format("desk") + "@app.tool()\ndef lamps() -> int:\n    return 4\n")
    with Workbench(f"{file}:app") as bench:
        assert (bench.name, bench.session.target.transport) == ("desk", "in-process")
        assert bench.call("lamps").value == 4
    assert read_target("desk_server.py:app", name="mine").name == "mine"


def test_a_server_object_may_be_an_attribute_of_something_in_the_file() -> None:
    Path("desk_server.py").write_text(SERVER.format("inner") + "class Desk:\n    server = app\n")
    assert read_target("desk_server.py:Desk.server").name == "inner"
    assert read_target("desk_server:Desk.server").name == "inner"


def test_a_file_that_was_changed_is_loaded_afresh() -> None:
    for name in ("first", "another"):
        Path("desk_server.py").write_text(SERVER.format(name))
        assert read_target("desk_server.py:app").name == name


def test_a_file_that_was_changed_within_a_second_to_one_as_long_is_loaded_afresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = Path("desk_server.py")
    for name in ("here", "anew"):
        file.write_text(SERVER.format(name))
        os.utime(file, (1_000_000_000, 1_000_000_000))
        assert read_target("desk_server.py:app").name == name
    assert list(Path().iterdir()) == [file]


def test_a_file_may_have_the_name_of_a_module_without_hiding_it() -> None:
    Path("json.py").write_text(SERVER.format("not json"))
    assert read_target("json.py:app").name == "not json"
    assert sys.modules["json"].__name__ == "json"
    assert hasattr(sys.modules["json"], "dumps")


def test_the_neighbours_of_a_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "desk_names.py").write_text('NAME = "from next door"\n')
    (tmp_path / "inside" / "server.py").write_text("from desk_names import NAME\n" + SERVER.replace('"{}"', "NAME"))
    assert read_target("inside/server.py:app").name == "from next door"


def test_a_tool_may_import_a_neighbour_when_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "desk_names.py").write_text("LAMPS = 4\n")
    tool = "@app.tool()\ndef lamps() -> int:\n    from desk_names import LAMPS\n    return LAMPS\n"
    (tmp_path / "inside" / "server.py").write_text(SERVER.format("desk") + tool)
    with Workbench("inside/server.py:app") as bench:
        assert bench.call("lamps").ok


def test_a_server_object_of_a_module_is_found_in_the_working_folder_and_in_packages(tmp_path: Path) -> None:
    (tmp_path / "desk_package").mkdir()
    (tmp_path / "desk_package" / "__init__.py").write_text("")
    (tmp_path / "desk_package" / "server.py").write_text(SERVER.format("packed"))
    target = read_target("desk_package.server:app")
    assert isinstance(target, ServerTarget)
    assert (target.name, target.transport) == ("packed", "in-process")


@pytest.mark.parametrize(
    ("written", "line", "sentence"),
    [
        ("x = 1\ny = (\n", 2, "SyntaxError: '(' was never closed"),
        ("x = 1\n  y = 2\n", 2, "IndentationError: unexpected indent"),
        ("x = 1\n\n\ny = 1 / 0\n", 4, "ZeroDivisionError: division by zero"),
        ("import no_such_module_at_all\n", 1, "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def deep():\n    raise KeyError('a\\nb')\n\ndeep()\n", 2, "KeyError: 'a\\nb'"),
        ("raise SystemExit('no key\\n\\x1b[31mset')\n", 1, "SystemExit: no key \\x1b[31mset"),
    ],
)
def test_a_file_that_fails_is_told_with_file_and_line(tmp_path: Path, written: str, line: int, sentence: str) -> None:
    before = set(sys.modules)
    file = tmp_path / "desk_broken.py"
    file.write_text(written)
    told = refused(f"{file}:app")
    assert told.startswith(f"{file}, line {line}: {sentence}")
    assert told.endswith("mend it and try again")
    assert not [name for name in set(sys.modules) - before if name.startswith("_mcp_workbench_target_")]


@pytest.mark.parametrize("written", ["x = 1\ny = (\n", "x = 1\ny = 1 / 0\n"], ids=["syntax", "run"])
def test_a_file_that_is_named_from_here_and_fails_is_told_with_its_line(written: str) -> None:
    Path("desk_broken.py").write_text(written)
    assert "desk_broken.py, line 2:" in refused("desk_broken.py:app")


def test_a_syntax_error_next_door_names_the_line_that_imports_it(tmp_path: Path) -> None:
    (tmp_path / "desk_next.py").write_text("x = (\n")
    file = tmp_path / "desk_server.py"
    file.write_text("\nimport desk_next\n")
    assert refused(f"{file}:app").startswith(f"{file}, line 2: SyntaxError")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("no_such.py:app", "there is no file 'no_such.py'; check the path"),
        ("desk_no_such:app", "there is no module 'desk_no_such'; check the spelling, install it"),
        ("json.no_such.thing:app", "there is no module 'json.no_such.thing'"),
        ("desk_wants:app", "module 'desk_wants' cannot be imported: No module named 'desk_missing'"),
        ("desk_fails:app", "module 'desk_fails' cannot be imported: RuntimeError: no way; mend it and try again"),
        ("desk_leaves:app", "module 'desk_leaves' cannot be imported: SystemExit: 3"),
        ("desk_server.py:ap", "'desk_server.py:ap': there is no attribute 'ap'; it has the server app"),
        ("desk_server:app.inner", "there is no attribute 'app.inner'; it has the server app"),
        ("json:app", "'json:app': there is no attribute 'app'; it has no server object at its top level"),
        ("desk_server.py:MCPServer", "is a type, no server; name the MCPServer (or Server) object"),
        ("json:dumps", "'json:dumps' is a function, no server; name the MCPServer (or Server) object"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_sentence(word: str, sentence: str) -> None:
    Path("desk_server.py").write_text(SERVER.format("desk"))
    Path("desk_wants.py").write_text("import desk_missing\n")
    Path("desk_fails.py").write_text("raise RuntimeError('no way')\n")
    Path("desk_leaves.py").write_text("raise SystemExit(3)\n")
    assert sentence in refused(word)


@pytest.mark.parametrize("rest", ["", "raise RuntimeError\n"], ids=["loads", "fails"])
def test_a_module_that_changes_the_working_folder_is_like_any_other(monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    Path("desk_moves.py").write_text("import os\nos.chdir('/')\n" + SERVER.format("moves") + rest)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", list(sys.path))
        if rest:
            assert "RuntimeError" in refused("desk_moves:app")
        else:
            assert read_target("desk_moves:app").name == "moves"


def test_a_file_that_takes_its_folder_off_the_path_is_like_any_other() -> None:
    Path("desk_clean.py").write_text("import sys\nsys.path.pop()\n" + SERVER.format("clean"))
    assert read_target("desk_clean.py:app").name == "clean"
