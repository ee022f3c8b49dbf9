"""The incident desk's SQLite file: whole or not there, read without a trace, and proven unchanged by its digest."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest

from mcp_workbench.controls import Failure
from mcp_workbench.desk.history import AS_OF, history
from mcp_workbench.desk.store import check, create, digest, reading
from mcp_workbench.errors import UsageError

ODD_NAMES = ("a b.sqlite", "it's.sqlite", 'say "x".sqlite', "a#b?mode=rw&c.sqlite", "100%25.sqlite", "grün\n☃.sqlite")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that no test writes into."""
    database = tmp_path_factory.mktemp("made") / "desk.sqlite"
    create(database)
    return database


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A database that a test may write into."""
    database = tmp_path / "own.sqlite"
    database.write_bytes(made.read_bytes())
    return database


@pytest.fixture
def writer(own: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(own, isolation_level=None)) as connection:
        yield connection


def test_it_holds_the_whole_history_and_nothing_else(made: Path) -> None:
    known = history()
    with reading(made) as connection:
        rows = [tuple(row) for row in connection.execute("SELECT * FROM incident ORDER BY number")]
        services = [tuple(row) for row in connection.execute("SELECT * FROM service ORDER BY name")]
        notes = [tuple(row) for row in connection.execute("SELECT incident, at, author, text FROM note ORDER BY id")]
        desk = [tuple(row) for row in connection.execute("SELECT * FROM desk")]
        sound = [tuple(row) for row in connection.execute("PRAGMA integrity_check")]
        assert [tuple(row) for row in connection.execute("PRAGMA foreign_key_check")] == []
    # The last column says how it stands, and follows from the others.
    assert [row[:-1] for row in rows] == [astuple(incident) for incident in known.incidents]
    assert [row[-1] for row in rows[:-6]] == ["resolved"] * 394
    assert {row[-1] for row in rows[-6:]} == {"open", "acknowledged"}
    assert services == [astuple(service) for service in known.services]
    assert notes == [astuple(note) for note in known.notes]
    assert desk == [(AS_OF,)]
    assert sound == [("ok",)]


def test_the_tables_refuse_what_makes_no_sense(writer: sqlite3.Connection) -> None:
    writer.execute("PRAGMA foreign_keys = ON")
    for nonsense in (
        "UPDATE incident SET severity = 'sev9' WHERE number = 1",
        "UPDATE incident SET service = 'nobody' WHERE number = 1",
        "UPDATE incident SET resolved_at = opened_at - 1 WHERE number = 1",
        "UPDATE incident SET resolution = NULL WHERE number = 1",
        "UPDATE incident SET acknowledged_by = NULL WHERE number = 1",
        "UPDATE incident SET number = 10000 WHERE number = 1",
        "UPDATE service SET tier = 4",
        "INSERT INTO note (incident, at, author, text) VALUES (9999, 0, 'x', 'x')",
        "INSERT INTO desk VALUES ('today')",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            writer.execute(nonsense)


def test_it_is_one_file_and_reading_leaves_no_trace(made: Path) -> None:
    before = made.read_bytes()
    with reading(made) as connection:
        assert connection.execute("SELECT count(*) FROM incident").fetchone()[0] == 400
        # A folder that cannot be written has no room for a second file.
        assert [each.name for each in made.parent.iterdir()] == [made.name]
    assert [each.name for each in made.parent.iterdir()] == [made.name]
    assert made.read_bytes() == before


@pytest.mark.parametrize(
    "statement", ["DELETE FROM note", "CREATE TABLE mine (x)", "PRAGMA user_version = 9", "VACUUM"]
)
def test_what_is_opened_for_reading_cannot_be_written(own: Path, statement: str) -> None:
    before = own.read_bytes()
    with reading(own) as connection:
        connection.execute("ROLLBACK")
        with pytest.raises(sqlite3.OperationalError, match="readonly database"):
            connection.execute(statement)
    assert own.read_bytes() == before


def test_a_database_that_is_there_is_kept_as_it_is(own: Path, writer: sqlite3.Connection) -> None:
    writer.execute("UPDATE incident SET title = 'Mine' WHERE number = 7")
    before = digest(own)
    create(own)
    assert digest(own) == before


def test_those_who_make_it_at_the_same_time_all_have_it(tmp_path: Path, made: Path) -> None:
    database = tmp_path / "new" / "desk.sqlite"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, [database] * 4))
    assert digest(database) == digest(made)
    assert [each.name for each in database.parent.iterdir()] == [database.name]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_its_path_may_hold_anything(tmp_path: Path, made: Path, name: str) -> None:
    database = tmp_path / f"in {name}" / name
    create(database)
    check(database)
    assert digest(database) == digest(made)
    assert [each.name for each in database.parent.iterdir()] == [name]


def test_a_path_may_be_relative(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create(Path("desk.sqlite"))
    assert digest(Path("desk.sqlite")) == digest(made)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE desk SET as_of = as_of + 1",
        "UPDATE service SET team = 'others' WHERE name = 'mail'",
        "UPDATE incident SET title = title || ' ' WHERE number = 400",
        "UPDATE incident SET acknowledged_at = NULL, acknowledged_by = NULL WHERE number = 3",
        "DELETE FROM incident WHERE number = 200",
        "UPDATE note SET at = at - 1 WHERE id = 500",
        "INSERT INTO note (incident, at, author, text) VALUES (1, 0, '', '')",
        "CREATE TABLE mine (x)",
        "DROP INDEX note_by_incident",
    ],
)
def test_the_digest_tells_any_change(own: Path, writer: sqlite3.Connection, change: str) -> None:
    before = digest(own)
    writer.execute("BEGIN")
    writer.execute(change)
    writer.execute("COMMIT")
    assert digest(own) != before


def test_the_digest_is_of_the_content_and_not_of_the_file(own: Path, writer: sqlite3.Connection) -> None:
    before, bytes_before = digest(own), own.read_bytes()
    writer.execute("DELETE FROM note WHERE id > 1000")
    assert digest(own) != before
    notes = [(number, *astuple(note)) for number, note in enumerate(history().notes, start=1)]
    writer.executemany("INSERT INTO note VALUES (?, ?, ?, ?, ?)", [note for note in notes if note[0] > 1000])
    writer.execute("VACUUM")
    assert digest(own) == before
    assert own.read_bytes() != bytes_before


def test_a_database_that_others_have_locked_is_busy_and_then_free_again(own: Path, writer: sqlite3.Connection) -> None:
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Failure) as busy, reading(own, busy_ms=20) as connection:
        connection.execute("SELECT count(*) FROM incident")
    assert str(busy.value) == (
        "store_busy: the incidents were locked by others for more than 20 ms; send the same call again a little later"
    )
    assert busy.value.retryable
    writer.execute("COMMIT")
    with reading(own, busy_ms=20) as connection:
        assert connection.execute("SELECT count(*) FROM incident").fetchone()[0] == 400


def test_what_is_read_in_one_go_is_of_one_moment(own: Path, writer: sqlite3.Connection) -> None:
    writer.execute("PRAGMA busy_timeout = 0")
    with reading(own) as connection:
        assert connection.execute("SELECT count(*) FROM note").fetchone()[0] == len(history().notes)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            writer.execute("DELETE FROM note")
        assert connection.execute("SELECT count(*) FROM note").fetchone()[0] == len(history().notes)
    writer.execute("DELETE FROM note")


def test_any_other_trouble_of_the_database_is_not_called_busy(own: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), reading(own) as connection:
        connection.execute("SELECT * FROM nowhere")


def refused(database: Path) -> str:
    with pytest.raises(UsageError) as refusal:
        check(database)
    return str(refusal.value)


def test_what_is_no_database_of_the_desk_is_one_sentence(tmp_path: Path, own: Path, writer: sqlite3.Connection) -> None:
    advice = "name another folder, or move the file away"
    absent, text, empty, other = (tmp_path / name for name in ("absent", "text", "empty", "other"))
    text.write_text("this is no database, but a text of more than a hundred bytes. " * 4)
    empty.touch()
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE desk (as_of INTEGER)")
    cannot = "cannot be opened as the incident desk's database"
    assert refused(absent) == f"{str(absent)!r} {cannot}: unable to open database file; {advice}"
    assert not absent.exists()
    assert refused(tmp_path).startswith(f"{str(tmp_path)!r} {cannot}: ")
    assert refused(text) == f"{str(text)!r} {cannot}: file is not a database; {advice}"
    for strange in (empty, other):
        assert refused(strange) == f"{str(strange)!r} is not a database of the incident desk; {advice}"
    writer.execute("PRAGMA user_version = 7")
    assert refused(own) == (
        f"{str(own)!r} has version 7 of the incident desk's layout, and version 1 is needed; "
        "move the file away, and a new one is made"
    )


def test_a_database_that_is_locked_while_it_is_opened_is_one_sentence(own: Path, writer: sqlite3.Connection) -> None:
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UsageError) as refusal:
        check(own, busy_ms=20)
    assert str(refusal.value) == f"{str(own)!r} is locked by others; try again when they are done"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, why in ((tmp_path / "file" / "desk.sqlite", "'.*file' is a file"), (Path("/dev/null/x"), "")):
        sentence = f"^the incident desk's database cannot be made at .*: {why}.*; name a folder that may be written$"
        with pytest.raises(UsageError, match=sentence):
            create(place)
    with pytest.raises(UsageError, match=r"name a folder that may be written$"):
        create(Path("nul\0"))


# A process that makes the database again and again, and each time is killed at another of its steps.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from mcp_workbench.desk.store import check, create, digest

folder = Path(sys.argv[1])

def run(database, last):
    steps = 0
    def step(frame, event, argument):
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(step)
    create(database)
    sys.setprofile(None)
    return steps

# What is done only once in a process is done by the first run.
whole = [run(folder / f"{number}.sqlite", None) for number in range(2)][-1]
told = []
for last in sorted({*range(1, whole, whole // 5), *range(whole - 150, whole, 25)}):
    database = folder / f"{last}" / "desk.sqlite"
    child = os.fork()
    if not child:
        run(database, last)
        os._exit(0)
    killed = os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    there = database.exists() and digest(database)
    create(database)
    check(database)
    told.append([killed, there, digest(database)])
print(json.dumps(told))
"""


def test_a_process_that_is_killed_while_making_it_leaves_all_of_it_or_nothing(tmp_path: Path, made: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    whole = digest(made)
    assert len(told) >= 10
    assert [killed for killed, _, _ in told] == [True] * len(told)
    # Absent at first, there at last, never anything else; and it can be made afterwards.
    left = [there for _, there, _ in told]
    assert left == [False] * left.count(False) + [whole] * left.count(whole)
    assert 0 < left.count(whole) < len(told)
    assert {again for _, _, again in told} == {whole}
