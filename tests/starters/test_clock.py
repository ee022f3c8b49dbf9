"""The clock starter: it keeps its contract, takes no name for a path, and guesses at no time."""

import runpy
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench import Workbench, audit_book, read_book
from mcp_workbench.starters import clock
from mcp_workbench.starters.copying import starter_contract

BOOK = read_book(starter_contract("clock"))
CONVERTS = BOOK["convert_time"]
FIRST, LAST = datetime.fromisoformat("1900-01-02"), datetime.fromisoformat("2200-01-01")


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench(clock.make_server()) as opened:
        yield opened


def test_the_contract_is_whole_and_every_failure_has_an_example() -> None:
    assert BOOK.gaps().ok
    assert audit_book(BOOK).ok
    for tool in BOOK.tools:
        assert {one.outcome for one in tool.examples or ()} == {"ok", *(one.code for one in tool.failures or ())}


def test_it_runs_as_a_script() -> None:
    with Workbench([sys.executable, clock.__file__]) as bench:
        assert bench.check(BOOK).differences == ()
        assert bench.call("current_time").ok


def test_an_argument_too_many_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["server.py", "Europe/Berlin"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(clock.__file__, run_name="__main__")
    assert left.value.code == "The clock takes no arguments: python server.py"


def test_it_tells_the_time(bench: Workbench) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    told = bench.call("current_time", {"timezone": "Asia/Kathmandu"}).structured
    assert before < datetime.fromisoformat(told["time"]) <= datetime.now(UTC)
    assert told["time"].endswith("+05:45")
    assert told["timezone"] == "Asia/Kathmandu"


def test_every_timezone_of_the_system_can_be_used(bench: Workbench) -> None:
    told = {name: bench.call("current_time", {"timezone": name}) for name in available_timezones() if len(name) <= 60}
    assert [name for name, result in told.items() if not result.ok] == []
    assert len(told) > 400


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Berlin",
        "Europe//Berlin",
        "./UTC",
        "Europe",
        "UTC\x00",
        "UTC ",
        "europe/berlin",
        "zone.tab",
        "posix/UTC",
        "UTC\nUTC",
    ],
)
def test_a_name_that_is_in_no_list_is_never_used_as_a_path(bench: Workbench, name: str) -> None:
    for result in (
        bench.call("current_time", {"timezone": name}),
        bench.call("convert_time", {"time": "2024-07-01T12:00", "source": "UTC", "target": name}),
    ):
        assert CONVERTS.outcome_of(result) == "unknown_timezone"
        assert "etc" not in result.text


def test_a_misspelt_timezone_is_answered_with_those_that_are_close(bench: Workbench) -> None:
    assert "Europe/Berlin" in bench.call("current_time", {"timezone": "Europe/Berln"}).text


def convert(bench: Workbench, time: str, source: str, target: str, which: str = "first") -> str:
    """Return the time in the target timezone, or the code of the failure."""
    arguments = {"time": time, "source": source, "target": target, "which": which}
    result = bench.call("convert_time", arguments)
    return result.structured["target"]["time"] if result.ok else CONVERTS.outcome_of(result)


@pytest.mark.parametrize(
    ("time", "source"),
    [
        ("2024-03-31T02:00", "Europe/Berlin"),
        ("2024-03-31T02:59", "Europe/Berlin"),
        ("2024-03-10T02:30", "America/New_York"),
        ("2024-10-06T02:15", "Australia/Lord_Howe"),  # half an hour
        ("2011-12-30T12:00", "Pacific/Apia"),  # a whole day
    ],
)
def test_a_time_that_clocks_skip_is_refused(bench: Workbench, time: str, source: str) -> None:
    for which in ("first", "second"):
        assert convert(bench, time, source, "UTC", which) == "skipped_time"


def test_the_minutes_around_a_gap_are_times_like_others(bench: Workbench) -> None:
    assert convert(bench, "2024-03-31T01:59", "Europe/Berlin", "UTC") == "2024-03-31T00:59:00+00:00"
    assert convert(bench, "2024-03-31T03:00", "Europe/Berlin", "UTC") == "2024-03-31T01:00:00+00:00"


def test_of_a_time_that_comes_twice_the_caller_says_which_one(bench: Workbench) -> None:
    assert convert(bench, "2024-10-27T02:30", "Europe/Berlin", "UTC", "first") == "2024-10-27T00:30:00+00:00"
    assert convert(bench, "2024-10-27T02:30", "Europe/Berlin", "UTC", "second") == "2024-10-27T01:30:00+00:00"


@pytest.mark.parametrize(("time", "twice"), [("2024-10-27T02:30", True), ("2024-10-27T03:00", False)])
def test_it_tells_whether_a_time_comes_twice(bench: Workbench, time: str, twice: bool) -> None:
    told = bench.call("convert_time", {"time": time, "source": "Europe/Berlin", "target": "UTC"}).structured
    assert told["twice"] is twice


@pytest.mark.parametrize(
    "time", ["2024-13-01T12:00", "2023-02-29T12:00", "2024-01-01T24:30", "2024-01-01T12:60", "0000-01-01T12:00"]
)
def test_a_time_that_is_in_no_calendar_is_bad(bench: Workbench, time: str) -> None:
    assert convert(bench, time, "UTC", "UTC") == "bad_time"


@pytest.mark.parametrize(("time", "source"), [("0001-01-01T00:00", "Asia/Tokyo"), ("9999-12-31T23:59", "Etc/GMT+12")])
def test_the_ends_of_the_calendar_are_bad_times_and_no_crash(bench: Workbench, time: str, source: str) -> None:
    assert convert(bench, time, source, "UTC") == "bad_time"


@pytest.mark.parametrize(
    "time", ["noon", "2024-07-01", "2024-07-01T12:00+02:00", "2024-07-01T12:00:00", "\uff12024-07-01T12:00"]
)
def test_a_time_in_another_form_is_refused_by_the_schema(bench: Workbench, time: str) -> None:
    result = bench.call("convert_time", {"time": time, "source": "UTC", "target": "UTC"})
    assert not result.ok
    assert "validation error" in result.text


@given(
    moment=st.datetimes(min_value=FIRST, max_value=LAST),
    source=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Africa/Casablanca"]),
    target=st.sampled_from(["Asia/Kathmandu", "America/New_York", "Pacific/Pago_Pago"]),
)
def test_both_times_of_an_answer_are_one_moment(bench: Workbench, moment: datetime, source: str, target: str) -> None:
    time = moment.strftime("%Y-%m-%dT%H:%M")
    result = bench.call("convert_time", {"time": time, "source": source, "target": target})
    if result.ok:
        first, second = result.structured["source"], result.structured["target"]
        assert datetime.fromisoformat(first["time"]) == datetime.fromisoformat(second["time"])
        assert first["time"].startswith(time)
        assert datetime.fromisoformat(second["time"]).strftime("%A") == second["day"]
    else:
        assert CONVERTS.outcome_of(result) == "skipped_time"
