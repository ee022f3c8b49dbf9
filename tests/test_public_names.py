"""The public names, and how little it costs to import them."""

import json
import subprocess
import sys

import pytest

import mcp_workbench

HEAVY = {"pandas", "numpy", "ipywidgets", "matplotlib", "scipy", "IPython", "mcp", "pydantic", "anyio", "rich", "yaml"}

LOOK = """
import json, logging, sys, threading, warnings
before = {
    "path": list(sys.path), "hooks": [*map(repr, sys.meta_path)], "filters": len(warnings.filters),
    "modules": set(sys.modules), "display": repr(sys.displayhook), "except": repr(sys.excepthook),
}
import mcp_workbench
root = logging.getLogger()
print(json.dumps({
    "heavy": sorted({name.partition(".")[0] for name in set(sys.modules) - before["modules"]}),
    "threads": [thread.name for thread in threading.enumerate()],
    "logging": [root.level, len(root.handlers), sorted(logging.Logger.manager.loggerDict)],
    "path": sys.path == before["path"],
    "hooks": [*map(repr, sys.meta_path)] == before["hooks"],
    "filters": len(warnings.filters) == before["filters"],
    "display": [repr(sys.displayhook), repr(sys.excepthook)] == [before["display"], before["except"]],
}))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, object]:
    """What a fresh interpreter looks like after the package was imported."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", LOOK], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    read: dict[str, object] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("name", mcp_workbench.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mcp_workbench, name).__name__ == name
    assert getattr(mcp_workbench, name).__doc__


def test_the_public_names_are_listed_once_in_order_and_shown_by_dir() -> None:
    assert mcp_workbench.__all__ == sorted(set(mcp_workbench.__all__))
    assert set(mcp_workbench.__all__) <= set(dir(mcp_workbench))
    assert set(mcp_workbench.__all__) == set(mcp_workbench._HOME_OF)


def test_a_star_import_brings_just_the_public_names() -> None:
    space: dict[str, object] = {}
    exec("from mcp_workbench import *", space)
    assert set(space) - {"__builtins__"} == set(mcp_workbench.__all__)


def test_a_name_is_the_same_object_at_each_look_and_at_its_home() -> None:
    from mcp_workbench.workbench import Workbench

    assert mcp_workbench.Workbench is mcp_workbench.Workbench is Workbench


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mcp_workbench' has no attribute 'Workbensch'"):
        _ = mcp_workbench.Workbensch
    with pytest.raises(ImportError, match="Workbensch"):
        exec("from mcp_workbench import Workbensch")


def test_every_error_is_a_workbench_error_with_a_place_in_the_tree() -> None:
    errors = {name for name in mcp_workbench.__all__ if name.endswith("Error")}
    assert all(issubclass(getattr(mcp_workbench, name), mcp_workbench.WorkbenchError) for name in errors)
    tree = sys.modules["mcp_workbench.errors"].__doc__ or ""
    assert all(f" {name} " in f" {tree}" for name in errors)


def test_an_error_shows_as_its_sentence_in_a_notebook() -> None:
    error = mcp_workbench.TargetError("no such thing; give another")
    assert error._render_traceback_() == ["TargetError: no such thing; give another"]


def test_importing_the_package_loads_nothing_heavy(seen: dict[str, list[str]]) -> None:
    assert "mcp_workbench" in seen["heavy"]
    assert HEAVY & set(seen["heavy"]) == set()


def test_importing_the_package_starts_no_thread(seen: dict[str, object]) -> None:
    assert seen["threads"] == ["MainThread"]


def test_importing_the_package_leaves_logging_alone(seen: dict[str, object]) -> None:
    assert seen["logging"] == [30, 0, []]


@pytest.mark.parametrize("what", ["path", "hooks", "filters", "display"])
def test_importing_the_package_leaves_the_interpreter_as_it_was(seen: dict[str, object], what: str) -> None:
    assert seen[what] is True
