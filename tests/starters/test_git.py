"""The git starter: it keeps its contract, nothing that is sent becomes an option, and a repository runs nothing."""

import contextlib
import gc
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_workbench import Workbench, audit_book, read_book
from mcp_workbench.starters import git
from mcp_workbench.starters.copying import starter_contract

BOOK = read_book(starter_contract("git"))
WHO = {f"GIT_{role}_{key}": "a@b" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
ALL = {"git_status": {}, "git_log": {}, "git_show": {"revision": "HEAD"}, "git_diff": {}}


def run(folder: Path, *words: str, **more: str) -> str:
    """Run git as a user would, in ``folder``; what its config says holds."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"} | WHO | more
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    git.demo(folder)
    return folder


@pytest.fixture(scope="module")
def once(made: Path) -> Iterator[Workbench]:
    with Workbench(git.make_server(made)) as wb:
        yield wb


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "repository", symlinks=True)


@pytest.fixture
def bench(repository: Path) -> Iterator[Workbench]:
    with Workbench(git.make_server(repository)) as wb:
        yield wb


def outcome(bench: Workbench, tool: str, **arguments: object) -> str:
    """Call a tool; return how it ended."""
    return BOOK[tool].outcome_of(bench.call(tool, arguments))


def subjects(bench: Workbench, **arguments: object) -> list[str]:
    """Return the subjects of the commits that are listed."""
    return [each.partition(" Ada: ")[2] for each in bench.call("git_log", arguments).value["lines"]]


def test_the_contract_is_complete_and_each_failure_that_can_be_made_has_an_example():
    assert BOOK.gaps().ok
    assert audit_book(BOOK).ok
    for tool in BOOK.tools:
        codes = {failure.code for failure in tool.failures or ()} - {"timed_out", "unavailable"}
        assert {each.outcome for each in tool.examples or ()} == {"ok", *codes}


def test_the_demo_is_the_same_whatever_the_user_has_set(tmp_path, monkeypatch):
    (tmp_path / ".gitconfig").write_text(
        "[user]\nname=X\n[commit]\ngpgSign=true\n[init]\ndefaultBranch=x\n[core]\neol=crlf"
    )
    for name, value in {
        "HOME": str(tmp_path),
        "GIT_AUTHOR_NAME": "X",
        "GIT_DIR": "/nowhere",
        "TZ": "Asia/Tokyo",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "demo").mkdir()
    with Workbench(git.demo(tmp_path / "demo")) as wb:
        log = next(each for each in BOOK["git_log"].examples or ())
        assert wb.call("git_log").structured == log.result


SMUGGLED = [
    *("--output=pwned", "-Opwned", "--upload-pack=touch pwned", "--all", "-p", "--", "-", "--exec=x", "--no-index"),
    *("HEAD --output=pwned", "HEAD\n--output=pwned", "HEAD\x00--output=pwned", "HEAD;touch pwned", "$(touch pwned)"),
    *("main..quiet", "main...quiet", "^main", "HEAD:desk.py", ":/lamp", ":desk.py", "@{-1}", "HEAD@{0}", "main@{u}"),
    *("HEAD^{/lamp}", "HEAD^{tree}", "HEAD^@", "HEAD^!", "HEAD^-", "../HEAD", "/etc/passwd", "\uff4dain", "`id`", "*"),
]


@pytest.mark.parametrize("revision", SMUGGLED)
def test_a_revision_is_a_name_or_a_hash_and_never_an_option(revision, once, made):
    before = sorted(made.rglob("*"))
    for tool in ("git_log", "git_show"):
        assert outcome(once, tool, revision=revision) == "bad_revision"
    assert outcome(once, "git_diff", older=revision) == "bad_revision"
    assert outcome(once, "git_diff", newer=revision) == "bad_revision"
    assert sorted(made.rglob("*")) == before


def test_a_branch_that_is_called_like_an_option_is_never_used_as_one(bench, repository):
    heads = repository / ".git" / "refs" / "heads"
    shutil.copy(heads / "quiet", heads / "--all")
    assert outcome(bench, "git_log", revision="--all") == "bad_revision"
    # By another of its names it is a commit like any other.
    assert subjects(bench, revision="heads/--all") == ["One more lamp", "Count the lamps"]


@pytest.mark.parametrize("path", ["--output=pwned", "-Opwned", "--", ":(top)desk.py", ":/", ":!x", "*.py", "[d]esk.py"])
def test_a_path_is_taken_to_the_letter(path, once, made):
    before = sorted(made.rglob("*"))
    assert once.call("git_log", {"path": path}).value == {"lines": [], "complete": True}
    assert once.call("git_diff", {"path": path}).value == {"text": "", "complete": True}
    assert sorted(made.rglob("*")) == before


@pytest.mark.parametrize("name", ["-Opwned", ":!x", "[d]esk.py"])
def test_a_file_with_the_name_of_an_option_or_a_pattern_can_be_asked_for(name, bench, repository):
    (repository / name).write_text("x")
    run(repository, "add", ".")
    text = bench.call("git_diff", {"path": name}).value["text"]
    assert text.startswith(f"diff --git a/{name} b/{name}\nnew file mode 100644\n")
    assert "desk.py b/desk.py" not in text


@pytest.mark.parametrize(
    "path", ["..", "../outside", "a/../../outside", "/", "/etc/passwd", "a\x00b", "a\nb", "\u202ea"]
)
def test_a_path_out_of_the_repository_is_refused(path, once):
    assert outcome(once, "git_log", path=path) == "bad_path"
    assert outcome(once, "git_diff", path=path) == "bad_path"


WORDS = ["HEAD", "main", "-", "~", "^", "..", ":", "@{", "{", "/", " ", "--", ".", "0", ".lock"]


@settings(max_examples=40)
@given(st.text(max_size=30), st.sampled_from(WORDS), st.sampled_from(WORDS))
def test_no_revision_and_no_path_ends_in_anything_but_what_the_contract_says(once, text, word, other):
    for arguments in ({"revision": word + other}, {"revision": word + text}, {"path": f"{text}{word}{other}"}):
        result = once.call("git_log", arguments)
        assert BOOK["git_log"].outcome_of(result) != "unknown failure", str(result)


TRAPS = """
[core]
  fsmonitor = "{trap} fsmonitor; false"
  hooksPath = {hooks}
  pager = "{trap} pager"
  editor = "{trap} editor"
  sshCommand = "{trap} ssh"
  attributesFile = {hooks}/attributes
  alternateRefsCommand = "{trap} alternate"
[diff]
  external = "{trap} external"
[diff "odd"]
  textconv = "{trap} textconv; cat"
  command = "{trap} command"
[filter "odd"]
  clean = "{trap} clean; cat"
  smudge = "{trap} smudge; cat"
[pager]
  log = "{trap} pagerlog"
  diff = "{trap} pagerdiff"
[alias]
  status = "!{trap} alias"
  x = "!{trap} alias"
[log]
  showSignature = true
[gpg]
  program = {hooks}/gpg
[include]
  path = {hooks}/included
[remote "origin"]
  url = "ext::{trap} remote"
  promisor = true
  partialCloneFilter = blob:none
[protocol]
  allow = always
[extensions]
  worktreeConfig = true
"""


def hostile(repository: Path, sprung: Path) -> None:
    """Fill a repository with all that could run a program; each would leave a file in ``sprung``."""
    inner = repository / "inner"
    inner.mkdir()
    git.demo(inner)
    run(repository, "add", "inner")
    trap = sprung.parent / "trap"
    trap.write_text(f'#!/bin/sh\ntouch "{sprung}/$(basename "$0").$1"\n')
    trap.chmod(0o755)
    hooks = repository / ".git" / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman", "gpg"):
        shutil.copy(trap, hooks / hook)
    said = TRAPS.format(trap=trap, hooks=hooks)
    (hooks / "included").write_text(said.replace("[include]", "[other]"))
    (repository / ".git" / "info").mkdir(exist_ok=True)
    for place in (repository / ".gitattributes", repository / ".git" / "info" / "attributes", hooks / "attributes"):
        place.write_text("* diff=odd filter=odd\n")
    for each in (inner / ".git" / "config", repository / ".git" / "config.worktree"):
        each.write_text(said.replace("worktreeConfig = true", ""))
    with (repository / ".git" / "config").open("a") as config:
        config.write(said)
    # Of the same size as in the last commit: to tell them apart git has to read, and to filter, the file.
    for each in (repository, inner):
        (each / "desk.py").write_text("LAMPS = 8\n")


def test_the_config_of_a_hostile_repository_runs_nothing(repository, tmp_path, monkeypatch):
    sprung = tmp_path / "sprung"
    sprung.mkdir()
    hostile(repository, sprung)
    for name in ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "PAGER", "GIT_SSH_COMMAND", "GIT_ASKPASS"):
        monkeypatch.setenv(name, f"{tmp_path / 'trap'} environment")
    with Workbench(git.make_server(repository)) as wb:
        for tool, arguments in ALL.items():
            assert wb.call(tool, arguments).ok
        assert "+LAMPS = 8" in wb.call("git_diff").value["text"]
        assert wb.call("git_diff", {"older": "HEAD~1", "newer": "HEAD"}).ok
        assert wb.call("git_log", {"path": "desk.py"}).ok
        # A commit that is not there is not fetched either.
        assert outcome(wb, "git_show", revision="0123456789012345678901234567890123456789") == "not_found"
    assert list(sprung.iterdir()) == []
    # The traps are live: git as users run it steps into them.
    for word in ("status", "diff", "show", "x"):
        with contextlib.suppress(subprocess.CalledProcessError):
            run(repository, word)
    live = {"trap.alias", "trap.clean", "trap.command", "trap.fsmonitor", "trap.textconv", "post-index-change.0"}
    assert live <= {each.name for each in sprung.iterdir()}


def test_the_users_own_config_and_environment_run_nothing_either(repository, tmp_path, monkeypatch):
    sprung = tmp_path / "sprung"
    sprung.mkdir()
    (tmp_path / ".gitconfig").write_text(f'[core]\n  fsmonitor = "touch {sprung}/fsmonitor; false"\n')
    more = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "GIT_DIR": "/nowhere", "GIT_CONFIG_COUNT": "1"}
    more |= {"GIT_CONFIG_KEY_0": "diff.external", "GIT_CONFIG_VALUE_0": f"touch {sprung}/counted"}
    more |= {"GIT_TRACE": f"{sprung}/trace"}
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    with Workbench(git.make_server(repository)) as wb:
        for tool, arguments in ALL.items():
            assert wb.call(tool, arguments).ok
    assert list(sprung.iterdir()) == []


def test_nothing_in_the_repository_is_changed(bench, repository):
    def state() -> dict[str, tuple[int, bytes]]:
        found = [each for each in repository.rglob("*") if each.is_file()]
        return {str(each): (each.stat().st_mtime_ns, each.read_bytes()) for each in found}

    os.utime(repository / "desk.py")
    before = state()
    for tool, arguments in ALL.items():
        assert bench.call(tool, arguments).ok
    assert state() == before


def test_a_repository_above_is_never_used_instead(repository, tmp_path):
    inner = repository / "inner"
    inner.mkdir()
    with pytest.raises(ValueError, match="give the top folder of an ordinary repository"):
        git.make_server(inner)
    with Workbench(git.demo(inner)) as wb:
        shutil.rmtree(inner / ".git")
        (repository / "secret.txt").touch()
        for tool, arguments in ALL.items():
            result = wb.call(tool, arguments)
            assert BOOK[tool].outcome_of(result) in ("unavailable", "not_found")
            assert "secret.txt" not in str(result)


LENT = {
    "the folder": lambda home, other: (shutil.rmtree(home), home.symlink_to(other)),
    "a file in its place": lambda home, other: (shutil.rmtree(home), home.write_text(f"gitdir: {other}\n")),
    "objects": lambda home, other: (shutil.rmtree(home / "objects"), (home / "objects").symlink_to(other / "objects")),
    "packs": lambda home, other: (home / "objects" / "linked").symlink_to(other / "objects" / "pack"),
    "a single pack": lambda home, other: (home / "objects" / "pack" / "x.pack").symlink_to(other / "HEAD"),
    "refs": lambda home, other: (shutil.rmtree(home / "refs"), (home / "refs").symlink_to(other / "refs")),
    "a branch": lambda home, other: (home / "refs" / "heads" / "lent").symlink_to(other / "refs" / "heads" / "main"),
    "packed refs": lambda home, other: (home / "packed-refs").symlink_to(other / "packed-refs"),
    "alternates": lambda home, other: (home / "objects" / "info" / "alternates").write_text(f"{other / 'objects'}\n"),
    "commondir": lambda home, other: (home / "commondir").write_text(f"{other}\n"),
    "nothing": lambda home, other: shutil.rmtree(home),
}


@pytest.mark.parametrize("part", LENT)
def test_a_repository_that_has_parts_of_another_is_refused(part, repository, tmp_path):
    borrower = shutil.copytree(repository, tmp_path / "borrower")
    (borrower / ".git" / "objects" / "info").mkdir(exist_ok=True)
    assert git.is_ordinary(borrower)
    LENT[part](borrower / ".git", repository / ".git")
    with pytest.raises(ValueError, match="give the top folder of an ordinary repository"):
        git.make_server(borrower)


def test_a_repository_that_borrows_while_it_is_served_is_served_no_more(repository, tmp_path):
    borrower = shutil.copytree(repository, tmp_path / "borrower")
    with Workbench(git.make_server(borrower)) as wb:
        assert wb.call("git_log").ok
        (borrower / ".git" / "objects" / "info").mkdir(exist_ok=True)
        LENT["alternates"](borrower / ".git", repository / ".git")
        for tool, arguments in ALL.items():
            assert BOOK[tool].outcome_of(wb.call(tool, arguments)) == "unavailable"


def test_a_link_in_the_work_tree_is_shown_as_a_link(bench, repository, tmp_path):
    (tmp_path / "secret.txt").write_text("the combination is 4711")
    (repository / "desk.py").unlink()
    (repository / "desk.py").symlink_to(tmp_path / "secret.txt")
    (repository / "folder").symlink_to(tmp_path)
    assert "4711" not in str(bench.call("git_diff"))
    assert bench.call("git_status").value["lines"][-2] == "?? folder"
    assert bench.call("git_log", {"path": "folder/secret.txt"}).value["lines"] == []


def test_odd_names_of_files_arrive_as_they_are(bench, repository):
    names = ["new\nline", 'quo"te', "-dash", "a -> b", "tab\t", " M desk.py", "ünï"]
    for name in names:
        (repository / name).touch()
    (repository / os.fsdecode(b"\xff")).touch()
    changes = bench.call("git_status").value["lines"]
    assert set(changes) == {" M desk.py", *(f"?? {name}" for name in (*names, "notes.txt", "\ufffd"))}


def test_a_file_that_was_renamed_is_two_changes(bench, repository):
    run(repository, "checkout", "--quiet", "--force", "main")
    run(repository, "mv", "desk.py", "table.py")
    assert bench.call("git_status").value["lines"] == ["D  desk.py", "A  table.py", "?? notes.txt"]


def test_odd_commits_arrive_in_their_own_rows(bench, repository):
    for subject in ("", "\x1b[31m red \x1f %H %x00", "two\nlines\n\nand a body"):
        words = ("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-m", subject)
        run(repository, *words, GIT_AUTHOR_NAME="A\u202eda, %an", GIT_AUTHOR_DATE="@0 +0000")
    raw = run(repository, "cat-file", "commit", "HEAD").encode() + b"\x00hidden\x00"
    command = ["git", "-C", str(repository), "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    odd = subprocess.run(command, input=raw, capture_output=True, check=True, timeout=30).stdout.decode().strip()
    lines = bench.call("git_log", {"revision": odd}).value["lines"]
    told = "1970-01-01T00:00:00+00:00 A\u202eda, %an:"
    assert lines[0] == f"{odd} {told} two lines"
    assert [each[41:] for each in lines[1:3]] == [f"{told} \x1b[31m red \x1f %H %x00", f"{told} "]
    assert len(lines) == 6


def test_a_merge_is_shown_against_its_first_parent(bench, repository):
    run(repository, "checkout", "--quiet", "--force", "quiet")
    (repository / "more.txt").write_text("more\n")
    run(repository, "add", "more.txt")
    run(repository, "commit", "--quiet", "--message=More")
    run(repository, "merge", "--quiet", "--no-edit", "-X", "ours", "main")
    text = bench.call("git_show", {"revision": "quiet"}).value["text"]
    assert "+LAMPS = 6" in text
    assert "more.txt" not in text


def test_a_history_is_cut_at_the_limit_and_says_so(once):
    assert [once.call("git_log", {"limit": limit}).value["complete"] for limit in (2, 3, 4)] == [False, True, True]
    assert len(once.call("git_log", {"limit": 2}).value["lines"]) == 2
    assert "validation error" in once.call("git_log", {"limit": git.MAX_FOUND + 1}).text
    assert subjects(once, revision="HEAD~2") == ["Count the lamps"]


def test_more_changes_than_fit_are_cut_and_it_is_said(bench, repository):
    for number in range(git.MAX_FOUND):
        (repository / f"{number}.txt").touch()
    value = bench.call("git_status").value
    assert (len(value["lines"]), value["complete"]) == (git.MAX_FOUND, False)


def test_a_branch_that_is_packed_is_found(bench, repository):
    head = run(repository, "rev-parse", "HEAD").strip()
    (repository / ".git" / "packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted \n{head} refs/heads/packed\n"
    )
    assert outcome(bench, "git_show", revision="packed") == "ok"


def test_a_change_that_is_too_long_is_cut_and_it_is_said(bench, repository):
    (repository / "desk.py").write_text("".join(f"LAMPS = {number}\n" for number in range(100_000)))
    value = bench.call("git_diff").value
    assert (len(value["text"]), value["complete"]) == (git.MAX_BYTES, False)


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the place of git, for what a real one does too rarely."""
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setitem(git.ENVIRONMENT, "PATH", f"{folder}:{git.ENVIRONMENT['PATH']}")


def test_a_git_that_does_not_end_is_ended_and_the_caller_is_told(repository, tmp_path, monkeypatch):
    stand_in(tmp_path, "exec sleep 600", monkeypatch)
    monkeypatch.setattr(git, "MAX_SECONDS", 0.1)
    with Workbench(git.make_server(repository)) as wb:
        assert {tool: outcome(wb, tool, **arguments) for tool, arguments in ALL.items()} == dict.fromkeys(
            ALL, "timed_out"
        )


def test_a_git_that_writes_without_end_is_ended_and_holds_no_memory(repository, tmp_path, monkeypatch):
    stand_in(tmp_path, "exec yes '?? x'", monkeypatch)
    with Workbench(git.make_server(repository)) as wb:
        assert wb.call("git_status").value == {"lines": [], "complete": False}


def test_a_git_that_fails_says_nothing_of_where(repository, tmp_path, monkeypatch):
    stand_in(tmp_path, f"echo 'fatal: {repository}' >&2; exit 128", monkeypatch)
    with Workbench(git.make_server(repository)) as wb:
        result = wb.call("git_status")
    assert BOOK["git_status"].outcome_of(result) == "unavailable"
    assert str(repository) not in result.text


def test_a_repository_without_commits_and_a_shallow_one_are_served(repository, tmp_path):
    (tmp_path / "empty").mkdir()
    run(tmp_path / "empty", "init", "--quiet")
    with Workbench(git.make_server(tmp_path / "empty")) as wb:
        assert wb.call("git_status").value == {"lines": [], "complete": True}
        assert outcome(wb, "git_log") == "not_found"
    run(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", str(tmp_path / "shallow"))
    with Workbench(git.make_server(tmp_path / "shallow")) as wb:
        assert subjects(wb) == ["And another"]


def test_the_private_folder_goes_with_the_server(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "private"))
    (tmp_path / "private").mkdir()
    server = git.make_server(repository)
    assert len(list((tmp_path / "private").iterdir())) == 1
    del server
    gc.collect()
    assert list((tmp_path / "private").iterdir()) == []
    assert (repository / ".git" / "refs" / "heads" / "main").is_file()


def test_the_file_runs_as_a_script(repository):
    with Workbench([sys.executable, git.__file__, str(repository)]) as wb:
        assert wb.call("git_status").value["complete"] is True
        assert wb.check(BOOK).differences == ()


@pytest.mark.parametrize("words", [[], ["."]])
def test_a_wrong_start_is_told_in_one_sentence(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["server.py", *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(git.__file__, run_name="__main__")
    assert ended.value.code == f"python server.py REPOSITORY: {git.START}"
