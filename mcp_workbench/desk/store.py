"""The incident desk's SQLite file: how it is laid out, made, opened and proven unchanged.

The file keeps a rollback journal, not a write-ahead log. A reader of a write-ahead log has to make a file beside the
database, so that it cannot serve from a folder that it may not write, and leaves files where it may; a reader of this
one needs nothing but the file itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mcp_workbench.controls.failures import Failure
from mcp_workbench.desk.history import AS_OF, history
from mcp_workbench.errors import UsageError
from mcp_workbench.untrusted import one_line

BUSY_MS: Final = 500
"""How long a tool waits for a database that others have locked."""

_APPLICATION_ID: Final = 0x4465736B  # "Desk": https://sqlite.org/pragma.html#pragma_application_id
_VERSION: Final = 1
_RETRY_AFTER_MS: Final = 500

# Times are seconds since 1970. How an incident stands, and its timeline, follow from what happened to it and when: they
# are no second truth. STRICT and generated columns need SQLite 3.37.
_LAYOUT: Final = """
CREATE TABLE desk (as_of INTEGER NOT NULL) STRICT;
CREATE TABLE service (
  name TEXT PRIMARY KEY, team TEXT NOT NULL, tier INTEGER NOT NULL CHECK (tier BETWEEN 1 AND 3)) STRICT;
CREATE TABLE incident (
  number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 9999),
  service TEXT NOT NULL REFERENCES service (name),
  severity TEXT NOT NULL CHECK (severity IN ('sev1', 'sev2', 'sev3', 'sev4')),
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  opened_by TEXT NOT NULL,
  acknowledged_at INTEGER CHECK (acknowledged_at >= opened_at),
  acknowledged_by TEXT,
  resolved_at INTEGER CHECK (resolved_at >= opened_at),
  resolved_by TEXT,
  resolution TEXT,
  status TEXT NOT NULL AS (CASE WHEN resolved_at IS NOT NULL THEN 'resolved'
    WHEN acknowledged_at IS NOT NULL THEN 'acknowledged' ELSE 'open' END) VIRTUAL,
  CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
  CHECK ((resolved_at IS NULL) = (resolved_by IS NULL) AND (resolved_at IS NULL) = (resolution IS NULL))) STRICT;
CREATE TABLE note (
  id INTEGER PRIMARY KEY, incident INTEGER NOT NULL REFERENCES incident (number) ON DELETE CASCADE,
  at INTEGER NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL) STRICT;
CREATE INDEX incident_by_time ON incident (opened_at, number);
CREATE INDEX incident_by_service ON incident (service, opened_at);
CREATE INDEX note_by_incident ON note (incident, at);
CREATE VIEW timeline (incident, at, step, id, kind, author, text) AS
  SELECT number, opened_at, 0, 0, 'opened', opened_by, description FROM incident
  UNION ALL SELECT number, acknowledged_at, 1, 0, 'acknowledged', acknowledged_by, 'Somebody looks after it.'
    FROM incident WHERE acknowledged_at IS NOT NULL
  UNION ALL SELECT incident, at, 2, id, 'note', author, text FROM note
  UNION ALL SELECT number, resolved_at, 3, 0, 'resolved', resolved_by, resolution
    FROM incident WHERE resolved_at IS NOT NULL;
"""
_CONTENT: Final = {
    "layout": "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
    "desk": "SELECT * FROM desk",
    "service": "SELECT * FROM service ORDER BY name",
    "incident": "SELECT * FROM incident ORDER BY number",
    "note": "SELECT * FROM note ORDER BY id",
}


def create(database: Path) -> None:
    """Make the database with the whole history in it, unless there is one.

    It is written beside its place and then moved there: a process that is killed meanwhile leaves no database, not half
    of one. A folder whose name begins with ``.desk-`` may be left, and can be deleted.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        if database.exists():
            return
        database.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=database.parent, prefix=".desk-") as beside:
            new = Path(beside, "new.sqlite")
            with closing(sqlite3.connect(new)) as connection:
                _write(connection)
            # Others may have made it meanwhile, and may write into theirs already.
            if not database.exists():
                new.replace(database)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"the incident desk's database cannot be made at {one_line(database)!r}: {one_line(error.filename)!r} is a "
            "file; name a folder that may be written"
        ) from None
    except (OSError, ValueError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(
            f"the incident desk's database cannot be made at {one_line(database)!r}: {one_line(why)}; "
            "name a folder that may be written"
        ) from None


def check(database: Path, busy_ms: int = BUSY_MS) -> None:
    """Make sure that the file is a database of the incident desk, of the version that this package reads.

    Args:
        database: the file.
        busy_ms: how long to wait for others who have locked it, in milliseconds.

    Raises:
        UsageError: it is not.
    """
    named = f"{one_line(database)!r}"
    try:
        with reading(database, busy_ms) as connection:
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except Failure:
        raise UsageError(f"{named} is locked by others; try again when they are done") from None
    except (sqlite3.Error, ValueError) as error:
        raise UsageError(
            f"{named} cannot be opened as the incident desk's database: {one_line(error)}; "
            "name another folder, or move the file away"
        ) from None
    if application_id != _APPLICATION_ID:
        raise UsageError(f"{named} is not a database of the incident desk; name another folder, or move the file away")
    if version != _VERSION:
        raise UsageError(
            f"{named} has version {version} of the incident desk's layout, and version {_VERSION} is needed; "
            "move the file away, and a new one is made"
        )


@contextmanager
def reading(database: Path, busy_ms: int = BUSY_MS) -> Iterator[sqlite3.Connection]:
    """Give a connection that cannot write, for one transaction, so that all that is read is of one moment.

    A connection for each call costs about 0.1 ms and needs no thought about threads.

    Args:
        database: the file.
        busy_ms: how long to wait for others who have locked it, in milliseconds.

    Raises:
        Failure: ``store_busy``, if it was locked for longer.
    """
    try:
        with closing(_connect(database, busy_ms)) as connection:
            connection.execute("BEGIN")
            yield connection
    except sqlite3.OperationalError as error:
        # The low byte is the code without what is particular: https://sqlite.org/rescode.html
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise Failure(
            "store_busy",
            f"the incidents were locked by others for more than {busy_ms} ms; send the same call again a little later",
            retryable=True,
            retry_after_ms=_RETRY_AFTER_MS,
        ) from None


def digest(database: Path) -> str:
    """Return 64 hexadecimal digits that stand for all that is in the database: the same digits, the same content."""
    whole = hashlib.sha256()
    with reading(database) as connection:
        for table, select in _CONTENT.items():
            whole.update(f"{table}\n".encode())
            for row in connection.execute(select):
                # The values are numbers, texts and None, and each looks different from all others.
                whole.update(f"{tuple(row)!r}\n".encode())
    return whole.hexdigest()


def _connect(database: Path, busy_ms: int) -> sqlite3.Connection:
    # as_uri quotes what means something in a URI: a path may hold #, ? and %.
    where = f"{database.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(where, uri=True, timeout=busy_ms / 1000, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _write(connection: sqlite3.Connection) -> None:
    """Lay out the tables and fill them, in one transaction."""
    known = history()
    # The journal's mode is SQLite's usual one; it is said here because the readers depend on it.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(f"BEGIN; {_LAYOUT}")
    connection.execute("INSERT INTO desk VALUES (?)", (AS_OF,))
    connection.executemany("INSERT INTO service VALUES (?, ?, ?)", map(astuple, known.services))
    connection.executemany(
        "INSERT INTO incident VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(astuple, known.incidents)
    )
    connection.executemany(
        "INSERT INTO note (incident, at, author, text) VALUES (?, ?, ?, ?)", map(astuple, known.notes)
    )
    connection.commit()
