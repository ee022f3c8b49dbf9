"""No failed cell passes: nbval alone lets one through, with the guard it does not."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

GROUP = "raise ExceptionGroup('several', [ValueError('one'), KeyError('two')])"


def run_nbval(folder: Path, sources: list[str], *options: str, tags: tuple[str, ...] = ()) -> str:
    """Run nbval in a process of its own on a notebook of ``sources``, stored as if they had run."""
    cells = [new_code_cell(source, execution_count=at + 1) for at, source in enumerate(sources)]
    for cell in cells:
        cell.metadata["tags"] = list(tags)
    nbformat.write(new_notebook(cells=cells), folder / "a.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder)]
    command += ["--nbval", "--nbval-current-env", *options, str(folder / "a.ipynb")]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=150).stdout


@pytest.mark.parametrize("source", [GROUP, f"try:\n    {GROUP}\nexcept* KeyError:\n    pass"], ids=["bare", "the rest"])
def test_a_cell_that_raises_an_exception_group_fails(tmp_path: Path, source: str) -> None:
    said = run_nbval(tmp_path, ["x = 1", source])
    assert "1 failed, 1 passed" in said
    assert "ExceptionGroup" in said


def test_without_the_guard_that_cell_would_pass(tmp_path: Path) -> None:
    # If this fails, nbval or IPython closed the hole themselves, and the guard can go.
    said = run_nbval(tmp_path, [GROUP], "-p", "no:mcp_workbench_nbval", "--nbval-lax")
    assert "1 passed" in said


def test_an_ordinary_exception_fails_once_and_good_cells_pass(tmp_path: Path) -> None:
    said = run_nbval(tmp_path, ["x = 1", "1 / 0", "assert x == 1"])
    assert "1 failed, 2 passed" in said


def test_a_cell_that_is_meant_to_raise_a_group_passes(tmp_path: Path) -> None:
    said = run_nbval(tmp_path, [GROUP], "--nbval-lax", tags=("raises-exception",))
    assert "1 passed" in said


def test_the_guard_leaves_other_tests_alone(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_a():\n    assert True\n")
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "no:cacheprovider", "-q", str(tmp_path)]
    assert "1 passed" in subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


def test_a_plain_error_of_the_workbench_shows_as_one_sentence_in_a_notebook(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    notebook = new_notebook(cells=[new_code_cell("from mcp_workbench import Workbench\nWorkbench('no-such-server')")])
    NotebookClient(notebook, allow_errors=True, timeout=60).execute()
    shown = "\n".join(notebook.cells[0].outputs[0].traceback)
    assert shown == (
        "UnreachableError: there is no command 'no-such-server' on this machine; "
        "check the spelling, install it, or give its full path"
    )
