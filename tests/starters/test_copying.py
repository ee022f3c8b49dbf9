"""A copy of a starter: whole, named, and passing its own tests; a copy that cannot be made leaves nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from mcp_workbench import UsageError, Workbench, read_book
from mcp_workbench.starters.copying import STARTERS, new_server, starter_contract

Run = Callable[..., tuple[int, str, str]]
# Of the plugins only the package's own: it is there wherever the package is.
GUARD = "mcp_workbench.nbval_guard"
FILES = ["contract.schema.json", "contract.yaml", "notebook.ipynb", "server.py", "test_server.py"]


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a copy as its owner would: nothing of this run's coverage, settings and development tools."""
    own = ("COV_", "COVERAGE", "PYTEST")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", GUARD, *options, "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize("starter", STARTERS)
def test_a_copy_passes_its_own_tests(starter: str, tmp_path: Path) -> None:
    folder = new_server("my-own", starter, tmp_path)
    assert sorted(each.name for each in folder.iterdir()) == FILES
    done = pytest_in(folder, "-W", "error")
    assert done.returncode == 0, done.stdout
    examples = sum(len(tool.examples or ()) for tool in read_book(folder / "contract.yaml").tools)
    assert f"{examples + 2} passed" in done.stdout


@pytest.mark.parametrize("starter", STARTERS)
def test_a_copy_has_the_new_name_in_server_and_contract_and_is_otherwise_the_same(starter: str, tmp_path: Path) -> None:
    folder = new_server("null", starter, tmp_path)
    book = read_book(folder / "contract.yaml")
    assert book.server.name == "null"
    assert book.tools == read_book(starter_contract(starter)).tools
    with Workbench([sys.executable, str(folder / "server.py"), *starting_words(starter, tmp_path)]) as bench:
        assert bench.draft().server.name == "null"
        assert bench.check(book).differences == ()


def starting_words(starter: str, folder: Path) -> list[str]:
    """Return the arguments with which a starter is run as a script."""
    if starter == "git":
        subprocess.run(["git", "init", "-q", str(folder / "repository")], check=True, timeout=30)
        return [str(folder / "repository")]
    return {"files": [str(folder)], "memory": [str(folder / "memory.db")]}.get(starter, [])


def test_a_copy_does_not_import_the_workbench_until_it_is_tested(tmp_path: Path) -> None:
    for starter in STARTERS:
        assert "mcp_workbench" not in (new_server(starter, starter, tmp_path) / "server.py").read_text()


@pytest.mark.parametrize("starter", STARTERS)
def test_a_starter_can_be_read_in_a_sitting(starter: str) -> None:
    lines = starter_contract(starter).with_suffix(".py").read_text().splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith(("#", '"""'))]
    assert (len(lines) <= 190, len(code) <= 155) == (True, True)


def test_the_copied_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    folder = new_server("mine", "clock", tmp_path)
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    shown = str([cell.outputs for cell in notebook.cells if cell.cell_type == "code"])
    assert "no difference" in shown


def test_a_contract_that_is_broken_makes_the_copys_tests_fail(tmp_path: Path) -> None:
    folder = new_server("mine", "clock", tmp_path)
    contract = folder / "contract.yaml"
    contract.write_text(contract.read_text().replace("effects: read", "effects: write", 1))
    done = pytest_in(folder, "-k", "contract_says")
    assert done.returncode == 1
    assert "read-only now" in done.stdout


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "/abs", "a/b", "-x", "1st", "a b", "a\x00", "a\n", "é", "x" * 61, 'a"', "a.b"]
)
def test_a_name_that_can_be_no_folder_or_no_word_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can be no server's name; begin with a letter"):
        new_server(name, "files", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_link_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("mine", "dangling"):
        with pytest.raises(UsageError, match="is there already; give another name"):
            new_server(name, "files", tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dangling", "mine"]
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_place_that_cannot_hold_a_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be made: .*; give another place"):
        new_server("mine", "files", tmp_path / "file")


def test_the_command_makes_the_copy_and_says_what_to_do_next(run: Run, tmp_path: Path) -> None:
    code, out, err = run("new", "tickets", "--from", "memory", "--in", str(tmp_path))
    assert (code, err) == (0, "")
    assert f"pytest {tmp_path / 'tickets'} runs its tests" in out
    code, out, err = run("new", "other", "--from", "weather", "--in", str(tmp_path))
    assert (code, out) == (2, "")
    assert err == "there is no starter 'weather'; there are files, git, memory, clock, fetch\n"
    assert run("new", "other")[0] == 2
