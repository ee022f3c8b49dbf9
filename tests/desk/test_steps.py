"""The incident desk at each step of its build: from a folder, over each transport, and as a command."""

import subprocess
import sys
from pathlib import Path

import pytest
from five_tools import BOOK, TOOLS

from mcp_workbench import Workbench, serve
from mcp_workbench.contracts.schemas.changes import Verdict
from mcp_workbench.desk import DATABASE, STEPS, __main__, digest, incident_desk
from mcp_workbench.errors import UsageError

KEPT = ("read-only", "strict")
ODD_FOLDER = 'it\'s "odd" #1? 100% &c'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name needs quoting, with a database in it."""
    made = tmp_path_factory.mktemp("desk") / ODD_FOLDER
    incident_desk(made)
    return made


def outcomes(bench: Workbench) -> list[tuple[str, str]]:
    """Return how each example of the contract came out, beside what was promised."""
    return [
        (tool.outcome_of(bench.call(tool.name, example.arguments)), example.outcome)
        for tool in BOOK.tools
        for example in tool.examples or ()
    ]


def test_the_steps_are_named_in_their_order() -> None:
    assert list(STEPS) == ["draft", "read-only", "strict"]


@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_the_five_tools_and_changes_nothing(folder: Path, step: str) -> None:
    before = digest(folder / DATABASE)
    with Workbench(incident_desk(folder, step)) as bench:
        assert {tool.name for tool in bench.session.tools()} == set(TOOLS)
        assert len(outcomes(bench)) == 12
    assert digest(folder / DATABASE) == before
    assert [each.name for each in folder.iterdir()] == [DATABASE]


@pytest.mark.parametrize("step", KEPT)
def test_what_is_promised_is_kept_in_process_and_over_http(folder: Path, step: str) -> None:
    server = incident_desk(folder, step)
    with serve(server) as hosted, Workbench(hosted.url) as far, Workbench(server) as near:
        for bench in (far, near):
            assert bench.check(BOOK).at_or_above(Verdict.BREAKING) == ()
            assert [came for came, _ in outcomes(bench)] == [promised for _, promised in outcomes(bench)]


def test_what_is_hardened_lists_nothing_but_what_the_contract_promises(folder: Path) -> None:
    with Workbench(incident_desk(folder)) as bench:
        drift = bench.check(BOOK)
    assert drift.differences
    assert {each.verdict for each in drift.differences} == {Verdict.COSMETIC}


def test_what_is_promised_is_kept_over_stdio(folder: Path) -> None:
    with Workbench([sys.executable, "-m", "mcp_workbench.desk", str(folder)]) as bench:
        assert [came for came, _ in outcomes(bench)] == [promised for _, promised in outcomes(bench)]


def test_the_draft_works_as_long_as_nobody_asks_for_anything_odd(folder: Path) -> None:
    with Workbench(incident_desk(folder, "draft")) as bench:
        page = bench.call("search_incidents", {"service": "payments", "limit": 5}).structured
        assert [line["service"] for line in page["incidents"]] == ["payments"] * 5
        following = bench.call("search_incidents", {"service": "payments", "cursor": page["next_cursor"]}).structured
        assert page["incidents"][-1]["opened_at"] >= following["incidents"][0]["opened_at"]
        assert bench.call("get_incident", {"incident_id": "INC-0001"}).structured["status"] == "resolved"
        assert len(bench.call("list_services").structured["services"]) == 12
        assert bench.call("service_health", {"service": "payments"}).structured["health"] == "degraded"
        assert bench.call("incident_timeline", {"incident_id": "INC-0001"}).structured["entries"][0]["kind"] == "opened"


def test_the_draft_keeps_no_promise_which_is_what_it_is_there_for(folder: Path) -> None:
    with Workbench(incident_desk(folder, "draft")) as bench:
        assert not bench.check(BOOK).ok
        kept = [came for came, promised in outcomes(bench) if promised != "ok" and came == promised]
        assert kept == []
        # A pattern where a word is meant, a page without end, an incident of no such number.
        assert bench.call("search_incidents", {"text": "%"}).structured["incidents"]
        assert len(bench.call("search_incidents", {"limit": -1}).structured["incidents"]) == 400
        assert bench.call("incident_timeline", {"incident_id": "INC-9999"}).structured["entries"] == []
        assert bench.call("get_incident", {"incident_id": "INC-9999"}).text == "Error executing tool get_incident"


def test_the_database_is_made_once_and_then_kept(tmp_path: Path) -> None:
    incident_desk(tmp_path / "new" / "folder", "draft")
    database = tmp_path / "new" / "folder" / DATABASE
    first = database.stat()
    incident_desk(str(tmp_path / "new" / "folder"), "read-only")
    assert (database.stat().st_ino, database.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


def test_a_database_that_is_there_is_served_from_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    incident_desk(tmp_path)
    (tmp_path / DATABASE).chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with Workbench(incident_desk(tmp_path)) as bench:
            assert bench.call("list_services").ok
            # Nor is there anything that a user who may write everywhere would have written.
            assert [each.name for each in tmp_path.iterdir()] == [DATABASE]
    finally:
        tmp_path.chmod(0o755)


def test_a_step_that_does_not_exist_makes_nothing_and_names_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        incident_desk(tmp_path, "stricter\n")
    assert str(refused.value) == "the incident desk has no step 'stricter'; take one of draft, read-only, strict"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be made at .*file' is a file; name a folder that may be written$"):
        incident_desk(tmp_path / "file")
    with pytest.raises(UsageError, match=r"cannot be made at .*name a folder that may be written$"):
        incident_desk(tmp_path / "file" / "below")
    (tmp_path / DATABASE).write_text("mine")
    with pytest.raises(UsageError, match=r"file is not a database; name another folder, or move the file away$"):
        incident_desk(tmp_path)
    assert (tmp_path / DATABASE).read_text() == "mine"


# The command


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Said":
    return Said(monkeypatch, capsys)


class Said:
    """What the command says on standard error, and its exit code."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: object) -> tuple[object, str]:
        self.monkeypatch.setattr(sys, "argv", ["desk", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            __main__.main()
        captured = self.capsys.readouterr()
        assert captured.out == ""
        return left.value.code, captured.err


def test_the_command_says_in_one_sentence_what_is_wrong(said: Said, tmp_path: Path) -> None:
    sentence = "the incident desk has no step 'fast'; take one of draft, read-only, strict\n"
    assert said(tmp_path, "--step", "fast") == (2, sentence)
    (tmp_path / DATABASE).touch()
    code, told = said(tmp_path)
    assert code == 2
    assert told.endswith("is not a database of the incident desk; name another folder, or move the file away\n")
    assert told.count("\n") == 1
    code, told = said()
    assert code == 2
    assert told.splitlines()[-1].endswith("error: the following arguments are required: folder")


def test_a_server_of_the_desk_needs_no_jupyter(folder: Path) -> None:
    code = (
        "import sys; from mcp_workbench.desk import incident_desk; incident_desk(sys.argv[1]);"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('pandas', 'matplotlib', 'IPython', 'ipywidgets', 'ipykernel')"
        " or name.startswith(('mcp_workbench.kernel', 'mcp_workbench.widgets', 'mcp_workbench.workbench'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60)
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr
