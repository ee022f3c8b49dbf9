"""The history of baselines: one SQLite file, to which every release adds its own.

The file keeps a rollback journal, not a write-ahead log: additions are rare, and it lies beside the code, often on a
drive of the network, where a write-ahead log does not work. It is one file whenever nobody writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp_workbench.errors import FileError
from mcp_workbench.load.baselines.baseline import Baseline
from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line

MOST_READ: Final = 1_000
"""How many baselines are read at most, the newest ones."""
MOST_CHARACTERS: Final = 5_000_000
"""How long the text of one baseline may be; that of a minute's load has some ten thousand characters."""

_APPLICATION_ID: Final = 0x4D57626C  # "MWbl": https://sqlite.org/pragma.html#pragma_application_id
_VERSION: Final = 1
_BUSY_S: Final = 10.0
_COLUMNS: Final = ["id", "measured at", "label", "target", "conditions", "calls", "p50 ms", "error rate", "calibrated"]
# measured_at is text in UTC, so that its order is that of time.
_LAYOUT: Final = (
    "CREATE TABLE baseline (id INTEGER PRIMARY KEY, measured_at TEXT NOT NULL, label TEXT NOT NULL, "
    "target TEXT NOT NULL, content TEXT NOT NULL) STRICT",
    "CREATE INDEX baseline_by_time ON baseline (target, measured_at, id)",
)


@dataclass(frozen=True, slots=True, repr=False)
class History(Report):
    """Baselines in a file, in the order in which they were measured.

    Attributes:
        file: the SQLite file; the first :meth:`add` makes it.
    """

    file: Path | str

    @property
    def ok(self) -> bool:
        """Whether there is a baseline in it."""
        return bool(self._stored(limit=1))

    @property
    def frame(self) -> Table:
        """One row a baseline, the oldest first."""
        return table([_row(key, baseline) for key, baseline in self._stored()], _COLUMNS)

    def headline(self) -> str:
        """Return how many baselines there are, and of when."""
        stored = [baseline for _, baseline in self._stored()]
        words = f"{self._name}: {len(stored):,} baseline{'s' * (len(stored) != 1)}"
        if not stored:
            return words
        return f"{words}, from {stored[0].measured_at:%Y-%m-%d} to {stored[-1].measured_at:%Y-%m-%d}"

    def add(self, baseline: Baseline) -> int:
        """Add a baseline; any number of processes may do so at once.

        Returns:
            Its number in the file.

        Raises:
            VoidRunError: its figures mean nothing.
            FileError: the file cannot be written, or is no history.
        """
        content = baseline.to_text()
        if len(content) > MOST_CHARACTERS:
            raise FileError(
                f"a baseline of {len(content):,} characters is too long for a history, which takes {MOST_CHARACTERS:,};"
                " measure fewer tools in one workload"
            )
        key = (_moment(baseline), baseline.label, baseline.conditions.target, content)
        with self._opened(writing=True) as connection:
            if not self._is_laid_out(connection):
                for statement in _LAYOUT:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            added = connection.execute(
                "INSERT INTO baseline (measured_at, label, target, content) VALUES (?, ?, ?, ?)", key
            )
            number = added.lastrowid
        assert number is not None
        return number

    def baselines(self, target: str | None = None, like: Conditions | None = None) -> tuple[Baseline, ...]:
        """Return the baselines, the oldest first; at most the newest 1,000.

        Args:
            target: only those of this target.
            like: only those that can be compared with what was measured under these conditions.

        Raises:
            FileError: the file cannot be read, is no history, or holds something else than baselines.
        """
        stored = [baseline for _, baseline in self._stored(target)]
        return tuple(each for each in stored if like is None or not like.differences(each.conditions))

    def targets(self) -> dict[str, int]:
        """Return how many baselines there are of each target; that of the newest baseline comes first.

        Raises:
            FileError: the file cannot be read, or is no history.
        """
        statement = (
            "SELECT target, count(*) FROM baseline GROUP BY target ORDER BY max(measured_at) DESC, max(id) DESC LIMIT ?"
        )
        return dict(self._read(statement, (MOST_READ,)))

    @property
    def _name(self) -> str:
        return one_line(self.file, 500)

    def _stored(self, target: str | None = None, limit: int = MOST_READ) -> list[tuple[int, Baseline]]:
        # What is too long is not even read: a file from somewhere else may hold anything.
        rows = self._read(
            "SELECT id, iif(length(content) <= ?, content, '') FROM baseline WHERE ? IS NULL OR target = ? "
            "ORDER BY measured_at DESC, id DESC LIMIT ?",
            (MOST_CHARACTERS, target, target, limit),
        )
        return [
            (number, Baseline.from_text(content, f"{self._name}, baseline {number}"))
            for number, content in reversed(rows)
        ]

    def _read(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        """Return the rows that a statement selects; none if there is nothing yet."""
        try:
            if not Path(self.file).exists():
                return []
        except (OSError, ValueError) as error:
            raise self._unusable(error) from None
        with self._opened(writing=False) as connection:
            return connection.execute(statement, values).fetchall() if self._is_laid_out(connection) else []

    @contextmanager
    def _opened(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction: all of what is done in it is kept, or nothing."""
        try:
            if "\0" in str(self.file):
                # SQLite would take what stands before it for the name.
                raise ValueError("there is a NUL in it")
            mode = "rwc" if writing else "ro"
            address = f"{Path(self.file).absolute().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                yield connection
                connection.execute("COMMIT")
        except (OSError, ValueError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def _is_laid_out(self, connection: sqlite3.Connection) -> bool:
        """Return whether the file is a history; ``False`` if there is nothing in it yet."""
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        layout = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema ORDER BY rowid LIMIT 10")]
        if (mark, version, layout) == (0, 0, []):
            return False
        if mark == _APPLICATION_ID and version != _VERSION:
            raise FileError(
                f"{self._name} is a history of version {version}, and this workbench reads version {_VERSION}; "
                "give another file, or use the workbench that wrote it"
            )
        # To the letter: a view or a trigger of somebody else's could do anything.
        if mark != _APPLICATION_ID or layout != list(_LAYOUT):
            raise FileError(f"{self._name} is no history of baselines; give another file, or a new name")
        return True

    def _unusable(self, error: Exception) -> FileError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        return FileError(f"the history {self._name!r} cannot be used: {one_line(why)}; check the path, or give another")


def _row(number: int, baseline: Baseline) -> dict[str, object]:
    whole = baseline.whole
    return {
        "id": number,
        "measured at": f"{baseline.measured_at:%Y-%m-%d %H:%M}",
        "label": baseline.label,
        "target": baseline.conditions.target,
        "conditions": one_line(baseline.conditions.words()),
        "calls": whole.calls,
        "p50 ms": whole.percentile_ms(50),
        "error rate": whole.error_rate if whole.calls else None,
        "calibrated": baseline.calibration is not None,
    }


def _moment(baseline: Baseline) -> str:
    # Always with microseconds, or texts would not be in the order of time.
    return baseline.measured_at.isoformat(timespec="microseconds")
