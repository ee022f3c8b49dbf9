"""The memory starter: it keeps its contract, takes text for text, and loses nothing that it said it kept."""

import runpy
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_workbench import Workbench, WorkbenchError, audit_book, read_book
from mcp_workbench.starters import memory
from mcp_workbench.starters.copying import starter_contract

BOOK = read_book(starter_contract("memory"))
# No disk is full in an example, and nobody else writes.
NOT_IN_EXAMPLES = {"unavailable"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Workbench(memory.make_server(tmp_path / "memory.sqlite")) as opened:
        yield opened


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A memory for many examples, each of which leaves it empty."""
    with Workbench(memory.make_server(tmp_path_factory.mktemp("emptied") / "memory.sqlite")) as opened:
        yield opened


def entity(name: str, *observations: str, **relations: str) -> dict[str, Any]:
    """Return an entity as it comes back; a relation is its kind, and the entity that it leads to."""
    related = [{"kind": kind, "target": target} for kind, target in relations.items()]
    return {"name": name, "kind": "thing", "observations": list(observations), "relations": related}


def remember(bench: Workbench, *entities: dict[str, Any]) -> str:
    return outcome(bench, "create_entities", entities=list(entities))


def create(bench: Workbench, *names: str) -> None:
    assert remember(bench, *map(entity, names)) == "ok"


def outcome(bench: Workbench, tool: str, **arguments: Any) -> str:
    return BOOK[tool].outcome_of(bench.call(tool, arguments))


def names(bench: Workbench, **arguments: Any) -> list[str]:
    return [each["name"] for each in everything(bench, **arguments)]


def everything(bench: Workbench, **arguments: Any) -> list[dict[str, Any]]:
    found = bench.call("search_nodes", arguments)
    assert found.ok, found
    return list(found.structured["result"])


def test_the_contract_is_whole_and_every_failure_has_an_example() -> None:
    assert BOOK.gaps().ok
    assert audit_book(BOOK).ok
    for tool in BOOK.tools:
        codes = {failure.code for failure in tool.failures or ()} - NOT_IN_EXAMPLES
        assert {example.outcome for example in tool.examples or ()} == {"ok", *codes}


def script(database: Path) -> list[str]:
    return [sys.executable, memory.__file__, str(database)]


def test_it_runs_as_a_script_and_remembers_for_the_next_one(tmp_path: Path) -> None:
    with Workbench(script(tmp_path / "m.sqlite")) as bench:
        assert bench.check(BOOK).differences == ()
        create(bench, "Ada")
    with Workbench(memory.make_server(tmp_path / "m.sqlite")) as bench:
        assert names(bench) == ["Ada"]


def refusal(*words: object) -> object:
    """Return what the file says when it is run as a script with these arguments, and leaves."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["server.py", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(memory.__file__, run_name="__main__")
    return left.value.code


def test_without_a_database_it_says_what_to_name(tmp_path: Path) -> None:
    said = "Name the file that keeps the memory, and nothing else: python server.py DATABASE"
    assert refusal() == refusal(tmp_path / "one", tmp_path / "two") == said


def test_a_database_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, but a text of more than a hundred bytes. " * 4)
    advice = "name a database in a folder that may be written."
    nowhere = "unable to open database file"
    assert refusal(tmp_path / "text") == f"The memory cannot be opened (file is not a database); {advice}"
    for place in (tmp_path, tmp_path / "nowhere" / "m.sqlite"):
        assert refusal(place) == f"The memory cannot be opened ({nowhere}); {advice}"


@settings(max_examples=25)
@given(
    st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4, unique=True), st.text(min_size=1, max_size=20)
)
def test_any_text_can_be_a_name_and_comes_back_as_it_was(emptied: Workbench, texts: list[str], fact: str) -> None:
    related = [{"kind": fact, "target": texts[-1]}]
    new = [entity(text, fact) | {"relations": related} for text in texts]
    assert emptied.call("create_entities", {"entities": new}).structured == {"result": len(texts)}
    assert emptied.call("open_nodes", {"names": texts}).structured == {"result": new}
    assert everything(emptied, query=fact) == sorted(new, key=lambda each: str(each["name"]))
    for text in texts:
        assert text in names(emptied, query=text)
    assert emptied.call("delete_entities", {"names": texts}).structured == {"result": len(texts)}
    assert names(emptied) == []


@pytest.mark.parametrize(
    "name",
    [
        "Robert'); DROP TABLE entity;--",
        '"',
        "''",
        "a\x00b",
        "%",
        "_",
        "\\",
        "[a-z]",
        "?1",
        ":words",
        "\u202edesrever",
        "🜁",
    ],
)
def test_a_hostile_name_is_only_a_name(bench: Workbench, name: str) -> None:
    create(bench, "plain", name)
    assert remember(bench, entity(name, name)) == "ok"
    assert bench.call("open_nodes", {"names": [name]}).structured == {"result": [entity(name, name)]}
    assert names(bench, query=name) == [name]
    assert sorted(names(bench)) == sorted(["plain", name])


@pytest.mark.parametrize(
    ("query", "found"), [("%", ["100%"]), ("_", ["a_b"]), ("a%b", []), ("a_b", ["a_b"]), ("*", [])]
)
def test_wildcards_in_a_query_are_text(bench: Workbench, query: str, found: list[str]) -> None:
    create(bench, "100%", "a_b", "aXb", "1000")
    assert names(bench, query=query) == found


@pytest.mark.parametrize("query", ["STRASSE", "straße", "THING", "am MARKT"])
def test_upper_and_lower_case_are_the_same_in_any_alphabet(bench: Workbench, query: str) -> None:
    bench.call("create_entities", {"entities": [entity("Straße", "Am Markt")]})
    assert names(bench, query=query) == ["Straße"]


def test_to_go_on_after_the_last_name_shows_everything_once(bench: Workbench) -> None:
    whole = sorted(f"entity {number}" for number in range(memory.MOST * 2 + 3))
    for begin in range(0, len(whole), memory.MOST):
        create(bench, *whole[begin : begin + memory.MOST])
    pages = [names(bench)]
    while pages[-1]:
        pages.append(names(bench, after=pages[-1][-1]))
    assert [name for page in pages for name in page] == whole
    assert max(map(len, pages)) == memory.MOST


def test_entities_of_one_call_may_be_related_in_any_order(bench: Workbench) -> None:
    both = [entity("Ada", knows="Alan"), entity("Alan", knows="Ada")]
    assert remember(bench, *both) == "ok"
    assert everything(bench) == both


def test_a_call_that_fails_keeps_nothing(bench: Workbench) -> None:
    create(bench, "Ada")
    assert remember(bench, entity("Alan"), {"name": "Ada", "kind": "another"}) == "conflict"
    assert remember(bench, entity("Ada", "x", knows="Alan"), entity("Alan", knows="Nobody")) == "not_found"
    assert remember(bench, entity("Alan"), entity("Ada", *map(str, range(memory.MOST)))) == "ok"
    assert remember(bench, entity("Grace"), entity("Ada", "one more")) == "full"
    assert remember(bench, entity("Ada", "one more"), entity("Ada", "and another")) == "full"
    assert everything(bench) == [entity("Ada", *map(str, range(memory.MOST))), entity("Alan")]


def test_the_same_call_twice_is_as_good_as_once(bench: Workbench) -> None:
    new = [entity("Ada", "is here", knows="Alan"), entity("Alan")]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create_entities", {"entities": new}),
        ("delete_entities", {"names": ["Alan", "Alan"]}),
    ]
    for tool, arguments in calls:
        assert bench.call(tool, arguments).structured["result"] > 0
        before = everything(bench)
        assert bench.call(tool, arguments).structured == {"result": 0}
        assert everything(bench) == before


def test_an_entity_that_is_there_gets_what_is_new_of_it(bench: Workbench) -> None:
    assert remember(bench, entity("Ada", "is here", knows="Alan"), entity("Alan")) == "ok"
    assert remember(bench, entity("Ada", "was here", "is here", likes="Alan", knows="Alan")) == "ok"
    assert everything(bench, query="ada") == [entity("Ada", "is here", "was here", knows="Alan", likes="Alan")]


def test_with_an_entity_go_its_observations_and_the_relations_to_it(bench: Workbench) -> None:
    assert remember(bench, entity("Ada", "is here", knows="Alan"), entity("Alan", knows="Ada")) == "ok"
    assert outcome(bench, "delete_entities", names=["Ada"]) == "ok"
    create(bench, "Ada")
    assert everything(bench) == [entity("Ada"), entity("Alan")]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_entities", {"entities": []}),
        ("create_entities", {"entities": [entity(f"{number}") for number in range(51)]}),
        ("create_entities", {"entities": [entity("x" * 101)]}),
        ("create_entities", {"entities": [entity("x", "y" * 501)]}),
        ("create_entities", {"entities": [entity("x") | {"colour": "red"}]}),
        ("create_entities", {"entities": [entity("x", *map(str, range(51)))]}),
        ("create_entities", {"entities": [entity("x", **{f"is {number}": "x" for number in range(51)})]}),
        ("search_nodes", {"query": "x" * 101}),
        ("open_nodes", {"names": [""]}),
        ("delete_entities", {"names": []}),
    ],
)
def test_what_is_too_much_or_unknown_is_refused_by_the_schema(
    bench: Workbench, tool: str, arguments: dict[str, Any]
) -> None:
    result = bench.call(tool, arguments)
    assert not result.ok
    assert "validation error" in result.text
    assert names(bench) == []


def test_a_memory_that_is_too_full_can_be_read_and_emptied(bench: Workbench, tmp_path: Path) -> None:
    create(bench, "a", "b", "c")
    with Workbench(memory.make_server(tmp_path / "memory.sqlite", max_entities=1)) as smaller:
        assert remember(smaller, entity("a", "x")) == "full"
        assert names(smaller) == ["a", "b", "c"]
        assert outcome(smaller, "delete_entities", names=["b", "c"]) == "ok"
        assert remember(smaller, entity("a", "x")) == "ok"


def test_an_entity_has_room_for_so_many_relations_and_not_one_more(bench: Workbench) -> None:
    assert remember(bench, entity("a", **{f"is {number}": "a" for number in range(memory.MOST)})) == "ok"
    assert remember(bench, entity("a", **{"is one more": "a"})) == "full"
    assert remember(bench, entity("b", **{f"is {number}": "a" for number in range(memory.MOST)})) == "ok"


def test_readers_do_not_wait_for_a_writer_and_writers_wait_only_so_long(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(bench, "Ada")
    monkeypatch.setattr(memory, "WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(tmp_path / "memory.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM entity")
        assert names(bench) == ["Ada"]
        assert remember(bench, entity("Ada", "x")) == "unavailable"
    assert remember(bench, entity("Ada", "x")) == "ok"


def test_a_database_that_was_destroyed_is_unavailable_and_its_place_is_not_told(tmp_path: Path) -> None:
    database = tmp_path / "memory.sqlite"
    with Workbench(memory.make_server(database)) as bench:
        database.write_bytes(b"rubbish" * 1000)
        result = bench.call("search_nodes")
        assert BOOK["search_nodes"].outcome_of(result) == "unavailable"
        assert str(tmp_path) not in result.text
        assert outcome(bench, "delete_entities", names=["x"]) == "unavailable"


def test_two_servers_that_write_into_one_file_lose_nothing(tmp_path: Path) -> None:
    database = tmp_path / "memory.sqlite"
    with Workbench(script(database)) as first, Workbench(memory.make_server(database)) as second:
        create(first, "shared")

        def write(number: int) -> bool:
            bench = (first, second)[number % 2]
            return remember(bench, entity("shared", f"fact {number}"), entity(f"entity {number}")) == "ok"

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(write, range(48)))
        assert len(names(first)) == 49
        (shared,) = second.call("open_nodes", {"names": ["shared"]}).structured["result"]
        assert set(shared["observations"]) == {f"fact {number}" for number in range(48)}


def test_many_servers_may_begin_one_file_at_the_same_time(tmp_path: Path) -> None:
    for number in range(4):
        database = tmp_path / f"{number}.sqlite"
        with ThreadPoolExecutor(8) as threads:
            assert len(list(threads.map(lambda _, at=database: memory.make_server(at), range(8)))) == 8


def test_a_server_can_begin_while_another_program_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "memory.sqlite"
    memory.make_server(database)
    monkeypatch.setattr(memory, "WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN")
        other.execute("SELECT * FROM entity")
        with Workbench(memory.make_server(database)) as bench:
            assert names(bench) == []
    with Workbench(memory.make_server(database)) as bench:
        create(bench, "Ada")


def test_a_server_that_is_killed_amid_writes_leaves_whole_calls_and_all_that_it_answered_for(tmp_path: Path) -> None:
    database = tmp_path / "memory.sqlite"
    answered: list[int] = []

    def write(bench: Workbench) -> None:
        for number in range(10_000):
            try:
                if not bench.call("create_entities", {"entities": [entity(f"{number} {at}") for at in range(5)]}).ok:
                    return
            except WorkbenchError:
                return
            answered.append(number)

    with Workbench(script(database)) as bench, ThreadPoolExecutor(1) as thread:
        (server,) = [each for each in psutil.Process().children(recursive=True) if str(database) in each.cmdline()]
        writing = thread.submit(write, bench)
        while len(answered) < 20 and not writing.done():
            time.sleep(0.001)
        server.kill()
        writing.result()
    assert 20 <= len(answered) < 10_000
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        kept = [name.split()[0] for (name,) in connection.execute("SELECT name FROM entity")]
    assert {number: kept.count(number) for number in set(kept)} == dict.fromkeys(set(kept), 5)
    assert {str(number) for number in answered} <= set(kept)
    with Workbench(memory.make_server(database)) as bench:
        create(bench, "after")
        assert names(bench, query="after") == ["after"]
