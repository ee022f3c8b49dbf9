"""The sandbox: always the same, private, and gone afterwards."""

import gc
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mcp_workbench import UnreachableError
from mcp_workbench.kernel.loop import background
from mcp_workbench.kernel.sandbox import Sandbox


def commits(sandbox: Sandbox) -> str:
    words = ["git", "log", "--format=%H %an %ae %aI %s"]
    done = subprocess.run(words, cwd=sandbox.repository, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_sandbox_holds_three_files_and_an_empty_folder() -> None:
    with Sandbox() as sandbox:
        files = sorted(str(file.relative_to(sandbox.files)) for file in sandbox.files.rglob("*") if file.is_file())
        assert files == ["inventory.csv", "minutes.md", "notes/ideas.txt"]
        assert list(sandbox.empty.iterdir()) == []
        assert (sandbox.files / "inventory.csv").read_text() == "item,count\nlamp,4\nchair,12\ndesk,6\n"


def test_two_sandboxes_are_apart_and_private() -> None:
    with Sandbox() as one, Sandbox() as other:
        assert one.folder != other.folder
        assert one.folder.stat().st_mode & 0o077 == 0
        (one.files / "minutes.md").unlink()
        assert (other.files / "minutes.md").exists()


def test_the_commits_have_the_same_names_in_every_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Sandbox() as one:
        usual = commits(one)
    # Neither the user's own git settings nor the time zone makes a difference.
    settings = "[user]\nname = Somebody\nemail = s@example.org\n[i18n]\ncommitEncoding = ISO-8859-1\n"
    (tmp_path / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with Sandbox() as other:
        assert commits(other) == usual
    assert [line.split(" ", 4)[4] for line in usual.splitlines()] == [
        "One more lamp",
        "Count the lamps",
        "Begin the desk",
    ]
    assert usual.count("Desk desk@example.org 2026-01-05T09:00:00") == 3


def test_the_repository_is_made_at_the_first_look_and_kept() -> None:
    with Sandbox() as sandbox:
        assert not (sandbox.folder / "repository").exists()
        (sandbox.repository / "mine.txt").write_text("mine")
        assert (sandbox.repository / "mine.txt").exists()
        assert len(commits(sandbox).splitlines()) == 3


def test_without_git_the_repository_says_so_and_the_rest_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Sandbox() as sandbox:
        with pytest.raises(UnreachableError, match="git is not installed; install it"):
            _ = sandbox.repository
        assert (sandbox.files / "minutes.md").exists()


def test_without_git_the_repository_says_so_at_the_second_look_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with Sandbox() as sandbox:
        for _ in range(2):
            with pytest.raises(UnreachableError, match="git is not installed"):
                _ = sandbox.repository


def test_a_git_that_fails_is_told_with_its_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho 'fatal: no way' >&2\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with (
        Sandbox() as sandbox,
        pytest.raises(UnreachableError, match=r"git init .* failed in .*repository: fatal: no way"),
    ):
        _ = sandbox.repository


def test_the_page_is_served_on_this_machine_only_until_the_sandbox_is_closed() -> None:
    with Sandbox() as sandbox:
        address = sandbox.page
        assert address == sandbox.page
        assert address.startswith("http://127.0.0.1:")
        for _ in range(3):
            with urllib.request.urlopen(address) as answer:
                page = answer.read().decode()
                assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<strong>five lamps</strong>" in page
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(address)


def test_no_page_is_served_before_somebody_looks() -> None:
    with Sandbox() as sandbox:
        assert sandbox._serving is None
    assert sandbox._stop_page not in background()._closers


def test_closing_removes_the_folder_and_closing_twice_is_no_error() -> None:
    sandbox = Sandbox()
    assert sandbox.page
    assert sandbox.repository.is_dir()
    sandbox.close()
    assert not sandbox.folder.exists()
    sandbox.close()


def test_the_folder_goes_after_an_error_and_when_nobody_holds_the_sandbox_any_more() -> None:
    def fail() -> None:
        with Sandbox() as sandbox:
            folders.append(sandbox.folder)
            raise KeyError

    folders: list[Path] = []
    with pytest.raises(KeyError):
        fail()
    folders.append(Sandbox().folder)
    gc.collect()
    assert [folder.exists() for folder in folders] == [False, False]


def test_a_sandbox_shows_itself_without_its_path_which_differs_from_run_to_run() -> None:
    with Sandbox() as sandbox:
        assert repr(sandbox) == "<Sandbox: files, repository, page>"
