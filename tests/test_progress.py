"""Progress: a bar where somebody looks, nothing elsewhere, and never too often."""

import io
import itertools
import threading
from contextlib import redirect_stderr
from types import SimpleNamespace

import pytest
from example_servers import MARKUP

from mcp_workbench import Workbench, progress
from mcp_workbench.progress import shown_progress
from mcp_workbench.untrusted import one_line


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of the plain kind, to redirect standard error to, and bars that are shown at once."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    return Terminal()


def test_a_terminal_shows_label_and_share_and_is_clean_afterwards(terminal: Terminal) -> None:
    with redirect_stderr(terminal), shown_progress("sampling add", wanted=True) as told:
        assert told is not None
        told(5, 20)
    drawn = terminal.getvalue()
    assert "sampling add" in drawn
    assert "25%" in drawn
    # The last things that are written: the line is erased, the cursor is back.
    assert drawn.rstrip().endswith("\x1b[2K")
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


def test_a_terminal_is_clean_after_an_error_too(terminal: Terminal) -> None:
    def fail() -> None:
        with shown_progress("sampling add", wanted=True) as told:
            assert told is not None
            told(1, 2)
            raise KeyError

    with redirect_stderr(terminal), pytest.raises(KeyError):
        fail()
    assert terminal.getvalue().rstrip().endswith("\x1b[2K")


def test_work_that_is_never_told_of_shows_no_label(terminal: Terminal) -> None:
    with redirect_stderr(terminal), shown_progress("sampling add", wanted=True):
        pass
    assert "sampling" not in terminal.getvalue()


def test_a_label_with_markup_of_the_terminal_library_is_shown_as_it_is(terminal: Terminal) -> None:
    label = one_line(f"[red]x[/red] [/] {MARKUP}", 60)
    with redirect_stderr(terminal), shown_progress(label, wanted=True) as told:
        assert told is not None
        told(1, 2)
    assert "[red]x[/red] [/] <script>" in terminal.getvalue()
    assert "\x1b[31mred" not in terminal.getvalue()


def test_a_sample_draws_its_bar_on_the_terminal(terminal: Terminal, server: object) -> None:
    with redirect_stderr(terminal), Workbench(server) as bench:
        bench.sample("add", {"a": 1}, calls=3, warm_up=0)
    assert "sampling add" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_nobody_is_shown_a_bar_who_does_not_want_one(terminal: Terminal, server: object) -> None:
    with redirect_stderr(terminal), shown_progress("sampling add", wanted=False) as told:
        assert told is None
    with redirect_stderr(terminal), Workbench(server) as bench:
        bench.sample("add", {"a": 1}, calls=3, progress=False)
    assert terminal.getvalue() == ""


def test_nothing_is_drawn_where_nobody_looks(
    server: object, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    with shown_progress("sampling add", wanted=True) as told:
        assert told is None
    with Workbench(server) as bench:
        bench.sample("add", {"a": 1}, calls=3)
    assert capfd.readouterr() == ("", "")


def test_short_work_is_not_drawn_and_long_work_not_more_often_than_ten_times_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    drawn: list[tuple[int, float]] = []
    told = progress._seldom(lambda done, _: drawn.append((done, clock.now_s - 100)))
    for step in range(1, 2_001):
        clock.now_s = 100 + step / 1_000
        told(step, 2_000)
    assert drawn[0][0] == 500
    assert len(drawn) <= 16
    assert all(later - earlier > 0.099 for (_, earlier), (_, later) in itertools.pairwise(drawn))


def test_a_bar_may_be_told_from_another_thread(terminal: Terminal) -> None:
    with redirect_stderr(terminal), shown_progress("sampling add", wanted=True) as told:
        assert told is not None
        teller = threading.Thread(target=told, args=(3, 4))
        teller.start()
        teller.join()
    assert "75%" in terminal.getvalue()
