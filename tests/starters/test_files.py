"""The files starter: it keeps its contract, and nothing outside of the root is read, written or found."""

import contextlib
import gc
import os
import runpy
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcp_workbench import Workbench, audit_book, read_book
from mcp_workbench.kernel.results import CallResult
from mcp_workbench.starters import files
from mcp_workbench.starters.copying import starter_contract

BOOK = read_book(starter_contract("files"))
SECRET, HIDDEN = "the combination is 4711", "hidden-diary"
ASK: dict[str, Callable[[str], dict[str, object]]] = {
    "list_files": lambda path: {"folder": path},
    "read_file": lambda path: {"path": path},
    "write_file": lambda path: {"path": path, "text": "overwritten", "overwrite": True},
    "delete_file": lambda path: {"path": path},
}


class Served:
    """A root with a few files in it, a folder beside it that nobody may see, and the server on the root."""

    def __init__(self, top: Path) -> None:
        self.top, self.root, self.outside = top, top / "root", top / "outside"
        for folder in (self.root / "notes", self.outside):
            folder.mkdir(parents=True)
        (self.root / "notes" / "ideas.txt").write_text("inside")
        (self.outside / "secret.txt").write_text(SECRET)
        (self.outside / HIDDEN).touch()
        self._beside = self._seen()
        self.bench = Workbench(files.make_server(self.root), timeout=10)

    def call(self, tool: str, path: str) -> str:
        """Ask one tool for a path; return how it ended, after a look at what may never happen."""
        result = self.bench.call(tool, ASK[tool](path))
        self.assert_kept(result)
        return BOOK[tool].outcome_of(result)

    def assert_kept(self, result: CallResult) -> None:
        told = f"{result.text} {result.structured}"
        assert SECRET not in told
        assert HIDDEN not in told
        if not result.ok:
            assert str(self.top) not in told
            assert "Traceback" not in told
        assert self._seen() == self._beside

    def outcomes(self, path: str) -> dict[str, str]:
        return {tool: self.call(tool, path) for tool in ASK}

    def _seen(self) -> dict[str, bytes | None]:
        beside = [each for each in self.top.rglob("*") if self.root not in (each, *each.parents)]
        return {str(each): each.read_bytes() if each.is_file() else None for each in beside}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    held = Served(tmp_path)
    with held.bench:
        yield held


def test_the_contract_is_complete_and_each_failure_that_can_be_made_has_an_example():
    assert BOOK.gaps().ok
    assert audit_book(BOOK).ok
    for tool in BOOK.tools:
        assert {each.outcome for each in tool.examples or ()} == {
            "ok",
            *(failure.code for failure in tool.failures or () if failure.code != "unavailable"),
        }


BEYOND = [
    *("..", "../outside/secret.txt", "notes/../../outside/secret.txt", "notes/..", "./notes", "notes/.", "notes/"),
    *("/", "/etc/passwd", "//etc/passwd", "notes//ideas.txt", "..\\outside\\secret.txt", "C:\\secret.txt", "notes\n"),
    *("notes\x00/../../outside/secret.txt", "notes/ideas.txt\x00.png", "\x1b[31m", "\u202etxt.saedi", "a\u200bb"),
    *("x" * 256, "ü" * 128, "notes/" + "x" * 256),
]
ELSEWHERE = [
    *("...", "~", "~root", "$HOME", "\uff0e\uff0e", "\u2025", "..;", "--help", "-", "NUL", "file:", "*", "%2e%2e"),
]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    held = Served(tmp_path_factory.mktemp("hostile"))
    (held.root / "link").symlink_to(held.outside)
    (held.root / "file").symlink_to(held.outside / "secret.txt")
    with held.bench:
        yield held


@pytest.mark.parametrize("path", BEYOND)
def test_a_path_that_is_more_than_names_below_the_root_is_refused(path, once):
    assert set(once.outcomes(path).values()) == {"bad_path"}


def test_the_given_absolute_path_of_a_file_in_the_root_is_refused_and_not_repeated(served):
    result = served.bench.call("read_file", {"path": str(served.root / "notes" / "ideas.txt")})
    assert BOOK["read_file"].outcome_of(result) == "bad_path"
    assert str(served.root) not in result.text


@pytest.mark.parametrize("path", ["", "a" * 1001])
def test_a_path_without_bounds_does_not_reach_the_tool(path, once):
    assert "validation error" in once.bench.call("read_file", {"path": path}).text


def test_a_name_of_255_bytes_can_be_written_and_read(served):
    name = "ü" * 127 + "x"
    assert served.call("write_file", name) == "ok"
    assert served.call("read_file", name) == "ok"


def test_what_is_too_deep_for_a_path_is_left_out_and_the_listing_says_so(served):
    names = [*["a" * 255] * 3, "b" * 230]
    folder = served.root.joinpath(*names)
    folder.mkdir(parents=True)
    (folder / "c").touch()
    (folder / "dd").touch()
    longest = "/".join([*names, "c"])
    assert len(longest) == files.MAX_PATH
    listed = served.bench.call("list_files", {"folder": "/".join(names)}).value
    assert ([each["path"] for each in listed["entries"]], listed["complete"]) == ([longest], False)
    assert served.call("read_file", longest) == "ok"


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_name_that_means_something_elsewhere_is_only_a_name_here(path, once):
    assert list(once.outcomes(path).values()) == ["not_found", "not_found", "ok", "ok"]
    assert set(once.outcomes(f"{path}/outside/secret.txt").values()) == {"not_found"}


def test_another_case_is_another_name_or_the_same_file_but_nothing_else(served):
    (served.root / "link").symlink_to(served.outside)
    # Whether this finds the file is for the file system to say; no list of names is compared anywhere.
    assert served.call("read_file", "NOTES/IDEAS.TXT") in ("ok", "not_found")
    assert served.call("read_file", "LINK/secret.txt") in ("wrong_kind", "not_found")
    assert served.call("read_file", "LiNk/SECRET.TXT") in ("wrong_kind", "not_found")


LINKS = {
    "to a file": "{outside}/secret.txt",
    "to a file, relative": "../outside/secret.txt",
    "to a file inside": "notes/ideas.txt",
    "to a folder": "{outside}",
    "to the folder above": "..",
    "to the root itself": ".",
    "to the root of all": "/",
    "to itself": "link",
    "to nothing": "{outside}/new.txt",
    "to another link": "chain",
    "through /proc": "/proc/self/cwd",
}


@pytest.mark.parametrize("kind", LINKS)
def test_no_link_is_followed_at_the_end_or_on_the_way(kind, served):
    target = LINKS[kind].format(outside=served.outside)
    (served.root / "chain").symlink_to(served.outside)
    (served.root / "link").symlink_to(target)
    assert set(served.outcomes("link").values()) == {"wrong_kind"}
    for path in ("link/secret.txt", "link/ideas.txt", "link/notes", "link/outside/secret.txt"):
        assert set(served.outcomes(path).values()) == {"wrong_kind"}
    result = served.bench.call("write_file", {"path": "link", "text": "x"})
    assert BOOK["write_file"].outcome_of(result) == "exists"
    served.assert_kept(result)
    assert (served.root / "link").readlink() == Path(target)
    listed = served.bench.call("list_files")
    served.assert_kept(listed)
    entries = {each["path"]: each["kind"] for each in listed.value["entries"]}
    assert entries == {"chain": "other", "link": "other", "notes": "folder"}


def test_the_root_stays_the_folder_it_was_whatever_its_path_becomes(served):
    moved = served.top / "root.moved"
    served.root.rename(moved)
    served.root.symlink_to(served.outside)
    try:
        assert served.bench.call("read_file", {"path": "notes/ideas.txt"}).value == {"text": "inside"}
        result = served.bench.call("read_file", {"path": "secret.txt"})
        assert BOOK["read_file"].outcome_of(result) == "not_found"
    finally:
        served.root.unlink()
        moved.rename(served.root)


# Both names are there at any moment, and change places at once: nobody can look at one and then use the other in time.
SWAP = """
import ctypes, os, sys
libc, (a, b) = ctypes.CDLL(None), map(os.fsencode, sys.argv[1:])
linux = hasattr(libc, "renameat2")
while True:
    libc.renameat2(-100, a, -100, b, 2) if linux else libc.renamex_np(a, b, 2)
"""


@contextlib.contextmanager
def swapping(place: Path, target: Path) -> Iterator[Path]:
    """Make ``place`` now what it was, now a link to ``target``, as fast as a process can; yield the other's name."""
    other = place.with_name("other")
    other.symlink_to(target)
    with subprocess.Popen([sys.executable, "-c", SWAP, str(place), str(other)]) as process:
        try:
            yield other
        finally:
            process.kill()


@pytest.mark.parametrize(("swapped", "target"), [("a", "."), ("a/b", "b"), ("a/b/secret.txt", "secret.txt")])
def test_a_link_that_is_swapped_in_while_a_file_is_read_leads_nowhere(swapped, target, served):
    for folder, text in ((served.root / "a" / "b", "inside"), (served.outside / "b", SECRET)):
        folder.mkdir(parents=True)
        (folder / "secret.txt").write_text(text)
    ends: Counter[str] = Counter()
    with swapping(served.root / swapped, served.outside / target):
        # At least so many, and more if the two have not met by then.
        while ends.total() < 800 or (len(ends) < 2 and ends.total() < 20_000):
            result = served.bench.call("read_file", {"path": "a/b/secret.txt"})
            assert SECRET not in str(result)
            assert not result.ok or result.value == {"text": "inside"}
            ends[BOOK["read_file"].outcome_of(result)] += 1
    assert set(ends) == {"ok", "wrong_kind"}


def test_a_link_that_is_swapped_in_while_files_are_listed_written_and_deleted_leads_nowhere(served):
    place = served.root / "a"
    place.mkdir()
    (place / "kept.txt").touch()
    before = sorted(served.outside.iterdir())
    ends, number = Counter[str](), 0
    with swapping(place, served.outside) as other:
        while number < 200 or (len(ends) < 6 and number < 5_000):
            number += 1
            for tool, arguments in {
                "list_files": {"folder": "a"},
                "write_file": {"path": f"a/{number}.txt", "text": "inside"},
                "delete_file": {"path": "a/secret.txt"},
            }.items():
                result = served.bench.call(tool, arguments)
                assert HIDDEN not in str(result)
                ends[f"{tool}: {BOOK[tool].outcome_of(result)}"] += 1
    assert set(ends) == {
        *("list_files: ok", "list_files: wrong_kind", "write_file: ok", "write_file: wrong_kind"),
        *("delete_file: not_found", "delete_file: wrong_kind"),
    }
    assert sorted(served.outside.iterdir()) == before
    assert (served.outside / "secret.txt").read_text() == SECRET
    inside = other if place.is_symlink() else place
    assert {each.name for each in inside.iterdir() if not each.stem.isdigit()} == {"kept.txt"}


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        # The path of a socket may have about a hundred characters.
        made.bind(path.name)


@pytest.mark.parametrize("make", [os.mkfifo, bind], ids=["pipe", "socket"])
def test_a_pipe_or_a_socket_is_refused_without_waiting_for_anybody(make, served):
    make(served.root / "odd")
    assert set(served.outcomes("odd").values()) == {"wrong_kind"}
    assert {"path": "odd", "kind": "other", "size_bytes": 0} in served.bench.call("list_files").value["entries"]


def test_a_file_with_a_second_name_is_refused_since_it_may_be_outside(served):
    os.link(served.outside / "secret.txt", served.root / "hard.txt")
    assert set(served.outcomes("hard.txt").values()) == {"wrong_kind"}
    assert (served.root / "hard.txt").read_text() == SECRET


def test_a_folder_is_no_file_and_a_file_is_no_folder(served):
    assert list(served.outcomes("notes").values()) == ["ok", "wrong_kind", "wrong_kind", "wrong_kind"]
    assert set(served.outcomes("notes/ideas.txt/more").values()) == {"wrong_kind"}


def test_a_file_is_read_up_to_a_size_and_refused_beyond_it(served):
    most = files.MAX_CHARACTERS
    for character in ("x", "\U0001f4a1"):
        (served.root / "full.txt").write_text(character * most)
        (served.root / "over.txt").write_text(character * (most + 1))
        assert served.bench.call("read_file", {"path": "full.txt"}).value == {"text": character * most}
        assert served.call("read_file", "over.txt") == "not_text"


def test_the_longest_text_that_can_be_written_can_be_read_again(served):
    text = "\U0001f4a1" * files.MAX_CHARACTERS
    assert served.bench.call("write_file", {"path": "long.txt", "text": text}).ok
    assert served.bench.call("read_file", {"path": "long.txt"}).value == {"text": text}
    assert "validation error" in served.bench.call("write_file", {"path": "more.txt", "text": text + "x"}).text


def test_what_is_written_is_there_to_the_letter(served):
    text = "one\r\ntwo\n\x00\ttab\ufeff\u202e"
    served.bench.call("write_file", {"path": "odd.txt", "text": text})
    assert (served.root / "odd.txt").read_bytes() == text.encode()
    assert served.bench.call("read_file", {"path": "odd.txt"}).value == {"text": text}


def test_a_file_that_is_there_is_replaced_only_if_asked(served):
    path = {"path": "notes/ideas.txt"}
    assert not served.bench.call("write_file", path | {"text": "new"}).ok
    assert (served.root / "notes" / "ideas.txt").read_text() == "inside"
    assert served.bench.call("write_file", path | {"text": "new", "overwrite": True}).ok
    assert (served.root / "notes" / "ideas.txt").read_text() == "new"


@pytest.mark.parametrize("before", [None, 0o600, 0o640, 0o666])
def test_what_is_written_only_its_owner_may_read(before, served):
    file = served.root / "notes" / "diary.txt"
    if before is not None:
        file.touch()
        file.chmod(before)
    mask = os.umask(0)
    try:
        assert served.call("write_file", "notes/diary.txt") == "ok"
    finally:
        os.umask(mask)
    assert file.stat().st_mode & 0o777 == 0o600


def test_who_reads_while_a_file_is_replaced_sees_the_old_or_the_new_text_never_a_part(served):
    texts = ["a" * 50_000, "b" * 50_000]
    file = served.root / "turn.txt"
    file.write_text(texts[0])
    seen, over = set(), threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.add(file.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        served.bench.call("write_file", {"path": "turn.txt", "text": texts[turn % 2], "overwrite": True})
    over.set()
    reader.join()
    assert seen <= set(texts)


def test_a_write_that_fails_midway_leaves_nothing_and_the_old_file_as_it_was(served):
    # A limit that the system sets: no file may have more than a block.
    command = f'ulimit -f 1; exec "{sys.executable}" "{files.__file__}" "{served.root}"'
    with Workbench(["/bin/sh", "-c", command]) as wb:
        for path in ("notes/ideas.txt", "notes/new.txt"):
            result = wb.call("write_file", {"path": path, "text": "x" * 50_000, "overwrite": True})
            assert BOOK["write_file"].outcome_of(result) == "unavailable"
            assert "File too large" in result.text
            served.assert_kept(result)
    assert [each.name for each in (served.root / "notes").iterdir()] == ["ideas.txt"]
    assert (served.root / "notes" / "ideas.txt").read_text() == "inside"


def test_a_folder_with_more_than_fits_is_listed_in_part_and_says_so(served):
    for number in range(files.MAX_LISTED):
        (served.root / "notes" / f"{number:03}").touch()
    (served.root / "notes" / "ideas.txt").unlink()
    full = served.bench.call("list_files", {"folder": "notes"}).value
    assert (len(full["entries"]), full["complete"]) == (files.MAX_LISTED, True)
    (served.root / "notes" / "one more").touch()
    over = served.bench.call("list_files", {"folder": "notes"}).value
    assert (len(over["entries"]), over["complete"]) == (files.MAX_LISTED, False)
    found = served.bench.call("list_files", {"folder": "notes", "pattern": "o*"}).value
    assert [each["path"] for each in found["entries"]] == ["notes/one more"]
    assert found["complete"] is True


def test_listings_at_the_same_time_are_each_complete(served):
    names = {f"{number:03}" for number in range(100)}
    for name in names:
        (served.root / name).touch()
    with ThreadPoolExecutor(8) as pool:
        for listed in pool.map(lambda _: served.bench.call("list_files").value, range(32)):
            assert {each["path"] for each in listed["entries"]} == {"notes", *names}


def test_what_has_no_name_that_could_be_asked_for_is_left_out_and_the_listing_says_so(served):
    (served.root / os.fsdecode(b"\xff\xfe")).mkdir()
    (served.root / "bell\x07").touch()
    (served.root / "back\\slash").touch()
    listed = served.bench.call("list_files").value
    assert [each["path"] for each in listed["entries"]] == ["notes"]
    assert listed["complete"] is False


# Root may read everything: then the server goes on as nobody, and may do in its root what nobody may.
NOBODY = """
import os, sys
from pathlib import Path
from mcp_workbench.starters import files
server = files.make_server(Path(sys.argv[1]))
if os.geteuid() == 0:
    os.setuid(65534)
server.run()
"""


def test_a_folder_that_may_not_be_read_is_named_without_its_place(served):
    (served.root / "closed").mkdir(mode=0)
    with Workbench([sys.executable, "-c", NOBODY, str(served.root)]) as wb:
        for tool, ask in ASK.items():
            result = wb.call(tool, ask("closed/file"))
            assert BOOK[tool].outcome_of(result) == "unavailable"
            served.assert_kept(result)
        assert BOOK["list_files"].outcome_of(wb.call("list_files", {"folder": "closed"})) == "unavailable"


PARTS = ["..", ".", "", "notes", "ideas.txt", "link", "file", "outside", "secret.txt", "root", "\x00", "\\", "/"]
HOSTILE = st.one_of(st.text(max_size=40), st.lists(st.sampled_from([*PARTS, *ELSEWHERE]), max_size=8).map("/".join))


@settings(max_examples=100)
@given(HOSTILE, st.sampled_from(sorted(ASK)))
@example("link/secret.txt", "read_file")
@example("../outside/secret.txt", "read_file")
def test_no_path_at_all_leads_outside(once, path, tool):
    result = once.bench.call(tool, ASK[tool](path))
    once.assert_kept(result)
    known = {"ok", *(failure.code for failure in BOOK[tool].failures or ())}
    assert BOOK[tool].outcome_of(result) in known or "validation error" in result.text


def test_the_file_runs_as_a_script(served):
    with Workbench([sys.executable, files.__file__, str(served.root)]) as wb:
        assert wb.call("read_file", {"path": "notes/ideas.txt"}).value == {"text": "inside"}
        assert wb.check(BOOK).differences == ()


@pytest.mark.parametrize("words", [[], ["no/such/folder"]])
def test_a_wrong_start_is_told_in_one_sentence(words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["server.py", *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(files.__file__, run_name="__main__")
    assert ended.value.code == "Give the folder to serve: python server.py ROOT"


def test_the_copied_file_needs_nothing_of_the_workbench(served, tmp_path):
    copy = shutil.copy(files.__file__, tmp_path / "server.py")
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); sys.exit('mcp_workbench' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, copy], cwd=tmp_path, timeout=60).returncode == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see what is open")
def test_the_root_is_closed_when_the_server_is_gone(tmp_path):
    def held() -> int:
        return sum(each.is_symlink() and each.readlink() == tmp_path for each in Path("/proc/self/fd").iterdir())

    server = files.make_server(tmp_path)
    assert held() == 1
    del server
    gc.collect()
    assert held() == 0
