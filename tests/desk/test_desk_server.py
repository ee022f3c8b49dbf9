"""The incident desk's read-only server: what it finds and refuses, and that it changes nothing."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import pytest
from five_tools import BOOK, TOOLS
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent, TextResourceContents

from mcp_workbench import Workbench
from mcp_workbench.contracts.schemas.changes import Verdict
from mcp_workbench.controls import Failure
from mcp_workbench.desk.cursors import Place, read_cursor, write_cursor
from mcp_workbench.desk.history import AS_OF, BEGIN, Incident, history
from mcp_workbench.desk.queries import Desk, Search
from mcp_workbench.desk.server import make_server
from mcp_workbench.desk.store import create, digest
from mcp_workbench.desk.times import read_time, write_time

KNOWN = history()
NEWEST_FIRST = list(reversed(KNOWN.incidents))
SERVICES = [service.name for service in KNOWN.services]

T = TypeVar("T")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database that only the server reads; at the end it is as it was."""
    made = tmp_path_factory.mktemp("desk") / "desk.sqlite"
    create(made)
    before, file_before = digest(made), made.read_bytes()
    yield made
    assert digest(made) == before
    assert made.read_bytes() == file_before


@pytest.fixture(scope="module")
def desk(database: Path) -> Desk:
    return Desk(database)


@pytest.fixture(scope="module")
def bench(database: Path) -> Iterator[Workbench]:
    with Workbench(make_server(database)) as opened:
        yield opened


def found(bench: Workbench, **arguments: Any) -> dict[str, Any]:
    result = bench.call("search_incidents", arguments)
    assert result.ok, result
    return dict(result.structured)


def outcome(bench: Workbench, tool: str, **arguments: Any) -> str:
    return BOOK[tool].outcome_of(bench.call(tool, arguments))


def name_of(incident: Incident) -> str:
    return f"INC-{incident.number:04d}"


def status_of(incident: Incident) -> str:
    if incident.resolved_at is not None:
        return "resolved"
    return "open" if incident.acknowledged_at is None else "acknowledged"


def test_its_schemas_are_those_of_the_contract(bench: Workbench) -> None:
    drift = bench.check(BOOK)
    assert drift.at_or_above(Verdict.BREAKING) == ()
    # Nothing but names and words, and that the SDK leaves open what a tool is not asked for.
    behind = {(each.tool, each.where) for each in drift.at_or_above(Verdict.COMPATIBLE)}
    assert behind == {(tool, "input: {}") for tool in TOOLS}


def test_its_tools_are_described_as_the_contract_does(bench: Workbench) -> None:
    told = {tool.name: " ".join((tool.description or "").split()) for tool in bench.session.tools()}
    assert told == {tool.name: tool.purpose for tool in BOOK.tools}


def test_an_audit_finds_no_errors_but_what_no_listing_can_say(bench: Workbench) -> None:
    errors = {(finding.tool, finding.where) for finding in bench.audit().findings if finding.severity == "error"}
    assert errors == {(tool, "failures") for tool in TOOLS}


@pytest.mark.parametrize("tool", TOOLS)
def test_each_example_of_the_contract_comes_out_as_promised(bench: Workbench, tool: str) -> None:
    examples = BOOK[tool].examples or ()
    assert examples
    assert [outcome(bench, tool, **one.arguments) for one in examples] == [one.outcome for one in examples]


def test_an_incident_is_told_as_it_is_known(bench: Workbench) -> None:
    for incident in (KNOWN.incidents[0], KNOWN.incidents[200], *KNOWN.incidents[-6:]):
        told = bench.call("get_incident", {"incident_id": name_of(incident)}).structured
        assert told == {
            "id": name_of(incident),
            "title": incident.title,
            "description": incident.description,
            "service": incident.service,
            "severity": incident.severity,
            "status": status_of(incident),
            "opened_at": write_time(incident.opened_at),
            "opened_by": incident.opened_by,
            "acknowledged_at": None if incident.acknowledged_at is None else write_time(incident.acknowledged_at),
            "acknowledged_by": incident.acknowledged_by,
            "resolved_at": None if incident.resolved_at is None else write_time(incident.resolved_at),
            "resolution": incident.resolution,
        }


def test_the_services_are_listed_by_name(bench: Workbench) -> None:
    listed = bench.call("list_services").structured["services"]
    assert listed == [{"name": each.name, "team": each.team, "tier": each.tier} for each in KNOWN.services]


@pytest.mark.parametrize("number", ["INC-0000", "INC-0401", "INC-9999"])
@pytest.mark.parametrize("tool", ["get_incident", "incident_timeline"])
def test_an_incident_that_is_not_there_is_not_found(bench: Workbench, tool: str, number: str) -> None:
    result = bench.call(tool, {"incident_id": number})
    assert BOOK[tool].outcome_of(result) == "not_found"
    assert result.text.endswith(f"there is no incident {number!r}; search for it and take its id from there")


def test_a_name_that_is_no_service_is_unknown_and_its_text_stays_in_the_sentence(bench: Workbench) -> None:
    for name in ("nobody", "Payments", "payments ", "' OR 1=1 --", "%", "a\nb\x1b[31m", "☃" * 40):
        for tool in ("search_incidents", "service_health"):
            result = bench.call(tool, {"service": name})
            assert BOOK[tool].outcome_of(result) == "unknown_service"
            assert "\n" not in result.text
            assert "\x1b" not in result.text


# Search


@pytest.mark.parametrize("limit", [7, 100])
def test_paging_visits_each_incident_once_newest_first(bench: Workbench, limit: int) -> None:
    visited: list[str] = []
    cursor: str | None = None
    while True:
        page = found(bench, limit=limit, cursor=cursor)
        assert page["total"] == 400
        visited += [line["id"] for line in page["incidents"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["incidents"]) == limit
        assert len(cursor) <= 200
    assert visited == [name_of(incident) for incident in NEWEST_FIRST]


def test_those_of_the_same_second_are_not_lost_between_pages(desk: Desk) -> None:
    openings = [incident.opened_at for incident in NEWEST_FIRST]
    cut = next(at for at in range(1, 400) if openings[at - 1] == openings[at])
    first = desk.search(Search(), limit=cut)
    second = desk.search(Search(), limit=1, cursor=first.next_cursor)
    assert first.incidents[-1].opened_at == second.incidents[0].opened_at
    assert second.incidents[0].id == name_of(NEWEST_FIRST[cut])


def test_the_page_size_may_change_on_the_way(bench: Workbench) -> None:
    first = found(bench, limit=3, text="latency")
    rest = found(bench, limit=100, text="latency", cursor=first["next_cursor"])
    wanted = [name_of(incident) for incident in NEWEST_FIRST if "latency" in incident.title.casefold()]
    assert [line["id"] for line in first["incidents"] + rest["incidents"]] == wanted


def test_without_filters_a_page_has_twenty(bench: Workbench) -> None:
    assert len(found(bench)["incidents"]) == 20


WORDS = st.sampled_from(["latency", "LATENCY", "time", "of", "a", "disk", "Full", "deploy", "%", "_", "in the", "zz"])
SEARCHES = st.builds(
    Search.told,
    text=st.lists(WORDS, max_size=3).map(" ".join),
    service=st.none() | st.sampled_from(SERVICES),
    severity=st.none() | st.sampled_from(["sev1", "sev2", "sev3", "sev4"]),
    status=st.none() | st.sampled_from(["open", "acknowledged", "resolved"]),
    opened_after=st.none() | st.integers(BEGIN, BEGIN + 20_000_000).map(write_time),
    opened_before=st.none() | st.integers(BEGIN + 20_000_000, AS_OF).map(write_time),
)


def fits(incident: Incident, search: Search) -> bool:
    """Say in plain Python what SQL is to say."""
    return (
        search.service in (None, incident.service)
        and search.severity in (None, incident.severity)
        and search.status in (None, status_of(incident))
        and (search.after is None or incident.opened_at >= search.after)
        and (search.before is None or incident.opened_at < search.before)
        and all(word in incident.title.casefold() for word in search.words)
    )


@settings(max_examples=150)
@given(SEARCHES, st.integers(1, 100))
def test_a_search_finds_what_a_look_at_each_incident_finds(desk: Desk, search: Search, limit: int) -> None:
    wanted = [name_of(incident) for incident in NEWEST_FIRST if fits(incident, search)]
    page = desk.search(search, limit)
    assert page.total == len(wanted)
    assert [line.id for line in page.incidents] == wanted[:limit]
    assert (page.next_cursor is None) == (len(wanted) <= limit)
    if page.next_cursor is not None:
        following = desk.search(search, limit, page.next_cursor)
        assert [line.id for line in following.incidents] == wanted[limit : 2 * limit]


def test_words_are_found_in_any_order_and_case_and_are_no_patterns(bench: Workbench) -> None:
    forwards, backwards = found(bench, text="high latency"), found(bench, text="  LATENCY\thigh ")
    assert forwards["total"] == backwards["total"] > 0
    assert forwards["incidents"] == backwards["incidents"]
    # No title has one of these, and as patterns they would fit all.
    for text in ("%", "_", "late%", ".*", "*", "[a-z]", "\\", "'"):
        assert found(bench, text=text) == {"incidents": [], "total": 0, "next_cursor": None}
    assert found(bench, text=" \t ")["total"] == 400


def test_upper_and_lower_case_are_the_same_in_all_scripts() -> None:
    assert Search.told("STRASSE ΣΊΣΥΦΟΣ").holds("Die Straße des σίσυφος")


def test_the_bounds_of_time_are_from_and_before(bench: Workbench) -> None:
    incident = KNOWN.incidents[100]
    at, later = write_time(incident.opened_at), write_time(incident.opened_at + 1)
    assert name_of(incident) in [line["id"] for line in found(bench, opened_after=at, opened_before=later)["incidents"]]
    assert found(bench, opened_after=at, opened_before=at)["total"] == 0
    elsewhere = datetime.fromtimestamp(incident.opened_at, timezone(timedelta(hours=-9, minutes=-30))).isoformat()
    assert found(bench, opened_after=elsewhere) == found(bench, opened_after=at)


# Times


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - hypothesis wants them so
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_any_time_with_an_offset_is_read(at: datetime, minutes: int) -> None:
    aware = at.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert read_time(aware.isoformat(), "opened_after") == (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1),
        ("1970-01-01t00:00:01z", 1),
        ("1970-01-01 00:00:01+00:00", 1),
        ("1970-01-01T00:00:01.500-00:00", 1.5),
        ("1970-01-01T00:00:01.123456789Z", 1.123456),
        ("1970-01-01T01:00:00+01:00", 0),
    ],
)
def test_a_time_may_be_written_in_all_ways_of_rfc_3339(text: str, seconds: float) -> None:
    assert read_time(text, "opened_after") == seconds


NO_TIMES = (
    "2026-06-01T00:00:00",
    "2026-06-01",
    "20260601T000000Z",
    "2026-W23-1T00:00:00Z",
    "2026-06-01T00:00Z",
    "2026-06-01T00:00:00+0200",
    "2026-06-01T24:00:01Z",
    "2026-02-30T00:00:00Z",
    "2026-06-01T00:00:00+24:00",
    "0000-01-01T00:00:00Z",
    "٢٠٢٦-06-01T00:00:00Z",
    "2026-06-01T00:00:00Z\n",
    "yesterday",
    "1780272000",
    "",
)


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_with_an_offset_is_a_bad_time(bench: Workbench, text: str) -> None:
    for field in ("opened_after", "opened_before"):
        result = bench.call("search_incidents", {field: text})
        assert BOOK["search_incidents"].outcome_of(result) == "bad_time"
        advice = "send a time with an offset, such as 2026-06-01T00:00:00+00:00"
        assert result.text.endswith(f"bad_time: {field} is {text.rstrip()!r}; {advice}")


# Cursors


def test_a_cursor_of_another_search_is_bad(bench: Workbench) -> None:
    cursor = found(bench, text="latency", limit=1)["next_cursor"]
    same = [{"text": "latency"}, {"text": " LATENCY latency "}]
    others: list[dict[str, Any]] = [{}, {"text": "latency in"}, {"text": "latency", "severity": "sev2"}]
    others += [{"text": "latency", "opened_after": "2020-01-01T00:00:00Z"}, {"text": "latency", "service": "mail"}]
    assert [outcome(bench, "search_incidents", cursor=cursor, **each) for each in same] == ["ok"] * len(same)
    assert [outcome(bench, "search_incidents", cursor=cursor, **each) for each in others] == ["bad_cursor"] * 5


def test_a_cursor_in_which_anything_was_changed_is_bad(desk: Desk) -> None:
    cursor = desk.search(Search(), limit=1).next_cursor
    assert cursor is not None
    changed = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]
    changed += [cursor + "=", cursor + "A", cursor[:-1], " " + cursor, cursor + "\n", cursor.lower(), cursor * 2]
    for each in changed:
        with pytest.raises(Failure, match=r"^bad_cursor: "):
            read_cursor(each, Search().key)


@given(st.text(max_size=300) | st.text("ABCDEFabcdef0123456789_-=", max_size=300))
def test_a_cursor_that_was_made_up_is_bad(text: str) -> None:
    with pytest.raises(Failure, match=r"^bad_cursor: "):
        read_cursor(text, Search().key)


@given(st.integers(0, 10**12 - 1), st.integers(0, 9999), SEARCHES)
def test_a_cursor_leads_to_its_place_again(at: int, number: int, search: Search) -> None:
    place = Place(at, number)
    cursor = write_cursor(place, search.key)
    assert read_cursor(cursor, search.key) == place
    assert len(cursor) <= 200
    assert not set(cursor) & set("=+/")


# Health and timelines


@pytest.mark.parametrize("days", [1, 30, 365])
def test_health_is_what_the_incidents_say_at_the_desks_own_now(bench: Workbench, days: int) -> None:
    since = AS_OF - days * 86_400
    seen = set()
    for service in SERVICES:
        own = [incident for incident in KNOWN.incidents if incident.service == service]
        unresolved = [incident.severity for incident in own if incident.resolved_at is None]
        health = "down" if "sev1" in unresolved else "degraded" if unresolved else "healthy"
        told = bench.call("service_health", {"service": service, "days": days}).structured
        took = [
            (incident.resolved_at - incident.opened_at) / 3600
            for incident in own
            if incident.resolved_at is not None and incident.resolved_at >= since
        ]
        mean_hours = told.pop("mean_hours_to_resolve")
        assert (mean_hours is None) == (not took)
        assert mean_hours is None or mean_hours == pytest.approx(sum(took) / len(took), abs=0.006)
        assert told == {
            "service": service,
            "health": health,
            "open_incidents": len(unresolved),
            "incidents_in_days": sum(incident.opened_at >= since for incident in own),
        }
        seen.add(health)
    assert seen == {"healthy", "degraded", "down"}


def test_a_timeline_has_all_that_happened_in_its_order(bench: Workbench) -> None:
    most = max(KNOWN.incidents, key=lambda each: sum(note.incident == each.number for note in KNOWN.notes))
    alone = next(each for each in KNOWN.incidents if each.resolved_by == "monitor")
    for incident in (KNOWN.incidents[0], most, alone, *KNOWN.incidents[-6:]):
        told = bench.call("incident_timeline", {"incident_id": name_of(incident), "limit": 200}).structured
        assert told["omitted"] == 0
        times = [entry["at"] for entry in told["entries"]]
        assert times == sorted(times)
        wanted = [(write_time(incident.opened_at), "opened", incident.opened_by, incident.description)]
        if incident.acknowledged_at is not None and incident.acknowledged_by is not None:
            text = "Somebody looks after it."
            wanted.append((write_time(incident.acknowledged_at), "acknowledged", incident.acknowledged_by, text))
        notes = [note for note in KNOWN.notes if note.incident == incident.number]
        wanted += [(write_time(note.at), "note", note.author, note.text) for note in notes]
        if incident.resolved_at is not None and incident.resolved_by and incident.resolution:
            wanted.append((write_time(incident.resolved_at), "resolved", incident.resolved_by, incident.resolution))
        got = [(entry["at"], entry["kind"], entry["author"], entry["text"]) for entry in told["entries"]]
        assert got == wanted


def test_of_a_long_timeline_the_newest_entries_are_returned(bench: Workbench) -> None:
    whole = bench.call("incident_timeline", {"incident_id": "INC-0001"}).structured["entries"]
    for limit in range(1, len(whole) + 2):
        told = bench.call("incident_timeline", {"incident_id": "INC-0001", "limit": limit}).structured
        assert told["entries"] == whole[-limit:]
        assert told["omitted"] == max(0, len(whole) - limit)


# What others do to the database, and what callers try


CALLS: dict[str, dict[str, Any]] = {
    "search_incidents": {},
    "get_incident": {"incident_id": "INC-0001"},
    "list_services": {},
    "service_health": {"service": "payments"},
    "incident_timeline": {"incident_id": "INC-0001"},
}


def test_while_others_hold_the_database_each_tool_says_that_it_is_busy(tmp_path: Path) -> None:
    database = tmp_path / "locked.sqlite"
    create(database)
    server = make_server(database, busy_ms=20)
    with Workbench(server) as bench, closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert [outcome(bench, tool, **arguments) for tool, arguments in CALLS.items()] == ["store_busy"] * len(TOOLS)
        for ask in (services_of, incident_of("INC-0001"), review_of("INC-0001")):
            code, sentence = refusal(server, ask)
            assert code == -32603
            assert sentence.startswith("store_busy: the incidents were locked by others for more than 20 ms")
        other.execute("ROLLBACK")
        assert [outcome(bench, tool, **arguments) for tool, arguments in CALLS.items()] == ["ok"] * len(TOOLS)


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["'; DROP TABLE note; --", "INC-00010", "../x", "a\x00b", "%", "payments"]
)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
NAMES = ["text", "service", "severity", "status", "opened_after", "limit", "cursor", "incident_id", "days", "extra"]
# Such as no tool takes, and such as each of them takes, with any text in it.
ARGUMENTS = st.dictionaries(st.sampled_from(NAMES), ODD, max_size=4) | st.fixed_dictionaries(
    {"incident_id": st.from_regex("INC-[0-9]{4}", fullmatch=True), "service": TEXTS.filter(bool)},
    optional={
        "text": TEXTS,
        "cursor": TEXTS,
        "opened_after": TEXTS,
        "opened_before": TEXTS,
        "limit": st.integers(1, 100),
    },
)


@settings(max_examples=150)
@given(st.sampled_from(TOOLS), ARGUMENTS)
def test_nothing_that_a_client_sends_changes_the_database_or_ends_the_server(
    bench: Workbench, database: Path, tool: str, arguments: dict[str, Any]
) -> None:
    before = database.stat()
    result = bench.call(tool, arguments)
    assert result.ok or "Traceback" not in result.text
    assert "sqlite" not in result.text
    after = database.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
    assert bench.call("list_services").ok


# Resources and the prompt


Ask = Callable[[Client], Awaitable[T]]


def asked(server: MCPServer, ask: Ask[T]) -> T:
    async def ran() -> T:
        async with Client(server) as client:
            return await ask(client)

    return asyncio.run(ran())


def refusal(server: MCPServer, ask: Ask[Any]) -> tuple[int, str]:
    async def refused(client: Client) -> tuple[int, str]:
        with pytest.raises(MCPError) as sentence:
            await ask(client)
        return sentence.value.error.code, sentence.value.error.message

    return asked(server, refused)


async def services_of(client: Client) -> str:
    return text_of((await client.read_resource("desk://services")).contents)


def incident_of(number: str) -> Ask[str]:
    async def ask(client: Client) -> str:
        return text_of((await client.read_resource(f"desk://incidents/{number}")).contents)

    return ask


def review_of(number: str) -> Ask[str]:
    async def ask(client: Client) -> str:
        (message,) = (await client.get_prompt("incident_review", {"incident_id": number})).messages
        assert message.role == "user"
        assert isinstance(message.content, TextContent)
        return message.content.text

    return ask


def text_of(contents: list[Any]) -> str:
    (content,) = contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return content.text


def test_the_resources_say_what_the_tools_say(bench: Workbench, database: Path) -> None:
    assert json.loads(asked(make_server(database), services_of)) == bench.call("list_services").structured
    one = bench.call("get_incident", {"incident_id": "INC-0042"}).structured
    assert json.loads(asked(make_server(database), incident_of("INC-0042"))) == one


def test_resources_and_prompt_are_listed_with_what_they_are_for(bench: Workbench) -> None:
    (resource,), (template,), (prompt,) = (
        bench.session.resources(),
        bench.session.resource_templates(),
        bench.session.prompts(),
    )
    assert (str(resource.uri), template.uri_template) == ("desk://services", "desk://incidents/{incident_id}")
    assert [argument.name for argument in prompt.arguments or []] == ["incident_id"]
    described = [resource.description, template.description, prompt.description]
    assert all([*described, *(argument.description for argument in prompt.arguments or [])])


def test_a_review_has_all_the_facts_in_it(bench: Workbench, database: Path) -> None:
    asks = asked(make_server(database), review_of("INC-0042"))
    one = bench.call("get_incident", {"incident_id": "INC-0042"}).structured
    for value in one.values():
        assert json.dumps(value, ensure_ascii=False) in asks
    for entry in bench.call("incident_timeline", {"incident_id": "INC-0042"}).structured["entries"]:
        assert json.dumps(entry["text"], ensure_ascii=False) in asks


def test_an_incident_that_is_not_there_has_no_resource_and_no_review(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for ask in (incident_of("INC-9999"), review_of("INC-9999"), incident_of("nonsense"), review_of("a\nb")):
        code, sentence = refusal(make_server(database), ask)
        assert code == -32602
        assert sentence.startswith("not_found: there is no incident ")
        assert "\n" not in sentence
    assert not [record for record in caplog.records if record.exc_info]
