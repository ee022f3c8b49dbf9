"""The import rule: downwards only, no circle of files, and ipywidgets only where things are seen."""

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mcp_workbench

PACKAGE = Path(mcp_workbench.__file__).parent
ROOT = "mcp_workbench"

# From the ground up. A module imports from its own layer and from those below.
LAYERS = [
    {
        "errors",
        "untrusted",
        "stages",
        "records",
        "tables",
        "reports",
        "progress",
        "workbook",
        "documents",
        "junit",
        "charts",
    },
    {"contracts"},
    {"kernel", "starters", "controls"},
    {"load", "verify", "widgets", "desk"},
    {"workbench"},
    {"cli"},
]
# Rooms that stand beside the house: they import nothing of it, or only gather its names.
BESIDE = {"__init__", "nbval_guard"}
# Imports that go up, each with its reason.
UPWARDS = {
    ("progress", "widgets.progress_bar"): "loaded in a notebook only, when the first bar is drawn: nothing else has it",
}


def name_of(file: Path) -> str:
    """Return a file's name as a module, without the package's own: ``kernel.loop``, ``__init__``."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


FILES = {name_of(file): file for file in sorted(PACKAGE.rglob("*.py")) if "notebooks" not in file.parts}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all that may be run: the bodies of functions too, but not what only type checkers read."""
    for inner in ast.iter_child_nodes(node):
        if is_type_checking(inner):
            assert isinstance(inner, ast.If)
            for other in inner.orelse:
                yield from run_nodes(other)
            continue
        yield inner
        yield from run_nodes(inner)


def home_of(name: str) -> str:
    """Return the file that a full name of a module stands for, as in ``FILES``."""
    short = name.removeprefix(ROOT).removeprefix(".")
    return short if short in FILES else f"{short}.__init__".removeprefix(".")


def imported(file: Path) -> set[str]:
    """Return the full names of all modules that a file imports, at its top or in a function."""
    found: set[str] = set()
    for node in run_nodes(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            # `from package import module` imports the module.
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inner if home_of(name) in FILES}
            found |= modules or {node.module}
    return found


def own(file: Path) -> set[str]:
    """Return the modules of this package that a file imports, as in ``FILES``."""
    return {home_of(name) for name in imported(file) if name == ROOT or name.startswith(f"{ROOT}.")}


GRAPH = {name: own(file) for name, file in FILES.items()}


def layer(name: str) -> int:
    room = name.partition(".")[0]
    return next(at for at, rooms in enumerate(LAYERS) if room in rooms)


def test_every_module_has_its_place_in_the_layers() -> None:
    rooms = {name.partition(".")[0] for name in FILES}
    assert rooms == set().union(*LAYERS) | BESIDE


def test_every_import_of_the_package_is_a_file_of_the_package() -> None:
    assert {target for targets in GRAPH.values() for target in targets} <= set(FILES)


@pytest.mark.parametrize("name", sorted(set(FILES) - BESIDE))
def test_a_module_imports_from_its_own_layer_and_from_those_below(name: str) -> None:
    up = {
        target for target in GRAPH[name] - {"__init__"} if layer(target) > layer(name) and (name, target) not in UPWARDS
    }
    assert up == set()


def test_every_exception_to_the_rule_is_still_needed() -> None:
    assert {(name, target) for name, target in UPWARDS if target in GRAPH[name]} == set(UPWARDS)


def test_what_stands_beside_the_house_imports_nothing_of_it() -> None:
    assert {name: GRAPH[name] for name in BESIDE} == {name: set() for name in BESIDE}


def test_no_files_import_each_other_in_a_circle() -> None:
    try:
        graphlib.TopologicalSorter(GRAPH).prepare()
    except graphlib.CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_only_what_is_seen_needs_ipywidgets() -> None:
    using = {name for name, file in FILES.items() if any(each.split(".")[0] == "ipywidgets" for each in imported(file))}
    assert using
    assert {name.partition(".")[0] for name in using} == {"widgets"}


def test_a_server_with_controls_needs_nothing_of_the_client_side() -> None:
    rooms = {name: {target.partition(".")[0] for target in GRAPH[name]} for name in FILES}
    server_side = {name for name in FILES if name.partition(".")[0] in {"controls", "desk"}}
    assert server_side
    client_side = {"kernel", "load", "verify", "widgets", "workbench", "cli", "records"}
    up = {name: rooms[name] & client_side for name in server_side}
    assert {name: named for name, named in up.items() if named} == {}


def test_a_server_with_controls_loads_neither_jupyter_nor_pandas() -> None:
    words = "import mcp_workbench.controls, mcp_workbench.desk, json, sys; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & {"pandas", "numpy", "matplotlib", "IPython", "ipywidgets", "ipykernel", "jupyterlab"} == set()


def test_only_pictures_need_matplotlib_and_never_its_windows() -> None:
    using = {
        name: {each for each in imported(file) if each.split(".")[0] == "matplotlib"} for name, file in FILES.items()
    }
    assert {name for name, modules in using.items() if modules} == {"charts", "load.samples.charts"}
    assert not any("pyplot" in module for modules in using.values() for module in modules)


def test_modules_are_not_imported_by_strings_except_where_names_load_late() -> None:
    hidden = {
        name
        for name, file in FILES.items()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("import_module", "importlib.import_module", "__import__")
        and f"{ROOT}." in ast.unparse(node)
    }
    assert hidden == {"__init__"}
