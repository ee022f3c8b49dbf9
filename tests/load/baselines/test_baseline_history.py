"""The history of baselines: kept in one file, by any number of processes, and never taken from a file that is none."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from invented_arms import CONDITIONS, HONESTY, arm

from mcp_workbench.errors import FileError, VoidRunError
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.baselines.history import History

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONE = baseline_of(arm(1), CONDITIONS, HONESTY, label="1.0.0", measured_at=AT)


def release(at: int, target: str = "shop") -> Baseline:
    conditions = replace(CONDITIONS, target=target)
    return replace(ONE, conditions=conditions, label=f"1.{at}.0", measured_at=AT + timedelta(days=at))


def executed(file: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return file


def test_baselines_come_back_in_the_order_in_which_they_were_measured(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    assert [history.add(release(at)) for at in (2, 0, 1)] == [1, 2, 3]
    assert history.baselines() == (release(0), release(1), release(2))
    assert list(history.frame["label"]) == ["1.0.0", "1.1.0", "1.2.0"]
    assert list(history.frame["id"]) == [2, 3, 1]
    assert history.ok
    assert history.headline().endswith("history.sqlite: 3 baselines, from 2026-03-01 to 2026-03-03")
    assert [each.name for each in tmp_path.iterdir()] == ["history.sqlite"]


def test_times_of_one_second_keep_their_order(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history.sqlite"))
    moments = [AT + timedelta(microseconds=each) for each in (500, 0, 1_000)]
    for moment in moments:
        history.add(replace(ONE, measured_at=moment))
    assert [each.measured_at for each in history.baselines()] == sorted(moments)


def test_other_targets_and_other_conditions_can_be_left_out(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    history.add(release(0))
    history.add(release(1, "desk"))
    history.add(replace(release(2), conditions=replace(CONDITIONS, rate=500.0)))
    assert [each.label for each in history.baselines("shop")] == ["1.0.0", "1.2.0"]
    assert [each.label for each in history.baselines(like=CONDITIONS)] == ["1.0.0", "1.1.0"]
    assert history.baselines("shop' OR 1 --") == ()


def test_a_history_that_nobody_added_to_is_empty_and_no_file(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    assert (history.baselines(), history.ok, len(history.frame)) == ((), False, 0)
    assert history.headline().endswith("0 baselines")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "history.sqlite").touch()
    assert history.baselines() == ()
    assert history.add(ONE) == 1


def test_a_void_run_is_not_added(tmp_path: Path) -> None:
    void = replace(ONE, honesty=replace(HONESTY, void=("the generator was the bottleneck",)))
    with pytest.raises(VoidRunError):
        History(tmp_path / "history.sqlite").add(void)
    assert list(tmp_path.iterdir()) == []


def test_writers_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    # Each has a connection of its own, as processes have.
    with ThreadPoolExecutor(4) as writers:
        numbers = list(writers.map(lambda at: History(file).add(release(at)), range(20)))
    assert sorted(numbers) == list(range(1, 21))
    assert History(file).baselines() == tuple(release(at) for at in range(20))


def test_a_file_that_is_no_history_is_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no database at all, " * 100)
    other = executed(tmp_path / "other", "CREATE TABLE baseline (id)")
    trigger = tmp_path / "trigger"
    History(trigger).add(ONE)
    executed(trigger, "CREATE TRIGGER t AFTER INSERT ON baseline BEGIN DELETE FROM baseline; END")
    newer = tmp_path / "newer"
    History(newer).add(ONE)
    executed(newer, "PRAGMA user_version = 2")
    for file, told in (
        (text, "cannot be used: file is not a database; check the path"),
        (other, "is no history of baselines; give another file"),
        (trigger, "is no history of baselines; give another file"),
        (newer, "is a history of version 2, and this workbench reads version 1"),
        (tmp_path, "cannot be used: "),
    ):
        before = file.read_bytes() if file.is_file() else b""
        for use in (lambda history: history.baselines(), lambda history: history.add(ONE)):
            with pytest.raises(FileError, match=told) as caught:
                use(History(file))
            assert "\n" not in str(caught.value)
        assert not before or file.read_bytes() == before
    for place in (tmp_path / "no" / "history.sqlite", Path("a\0b")):
        with pytest.raises(FileError, match="cannot be used: "):
            History(place).add(ONE)


def test_what_is_no_baseline_in_a_history_is_named(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    History(file).add(ONE)
    for content, told in (("{}", "baseline 1 is no baseline"), ("x" * 6_000_000, "baseline 1: there is nothing in it")):
        executed(file, f"UPDATE baseline SET content = '{content}'")
        with pytest.raises(FileError, match=told):
            History(file).baselines()
