"""What can be asked of the incident desk's database; each question is one read transaction.

Callers' values reach SQL as parameters, never as part of a statement, and their words are text, not patterns.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_workbench.controls.failures import Failure
from mcp_workbench.desk.cursors import Place, read_cursor, write_cursor
from mcp_workbench.desk.models import (
    Entry,
    Incident,
    IncidentLine,
    IncidentPage,
    Service,
    ServiceHealth,
    Services,
    Timeline,
)
from mcp_workbench.desk.store import BUSY_MS, reading
from mcp_workbench.desk.times import read_time, write_time
from mcp_workbench.untrusted import one_line

_MATCHES: Final = """FROM incident
  WHERE (:service IS NULL OR service = :service) AND (:severity IS NULL OR severity = :severity)
  AND (:status IS NULL OR status = :status) AND (:after IS NULL OR opened_at >= :after)
  AND (:before IS NULL OR opened_at < :before) AND holds(title)"""
_COUNT: Final = f"SELECT count(*) {_MATCHES}"
# One more than the page holds tells whether there is another page.
_PAGE: Final = f"""SELECT number, title, service, severity, status, opened_at {_MATCHES}
  AND (:place_at IS NULL OR (opened_at, number) < (:place_at, :place_number))
  ORDER BY opened_at DESC, number DESC LIMIT :limit + 1"""
_HEALTH: Final = """SELECT coalesce(sum(status <> 'resolved'), 0) AS open,
  coalesce(sum(status <> 'resolved' AND severity = 'sev1'), 0) AS worst,
  coalesce(sum(opened_at >= since), 0) AS opened,
  avg(CASE WHEN resolved_at >= since THEN (resolved_at - opened_at) / 3600.0 END) AS mean_hours
  FROM incident, (SELECT as_of - :days * 86400 AS since FROM desk) WHERE service = :service"""
_NEWEST: Final = """SELECT at, author, kind, text FROM timeline WHERE incident = :number
  ORDER BY at DESC, step DESC, id DESC LIMIT :limit"""

_ID: Final = re.compile("INC-([0-9]{4})")


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; ``None`` for all. Times are seconds since 1970."""

    words: tuple[str, ...] = ()
    service: str | None = None
    severity: str | None = None
    status: str | None = None
    after: float | None = None
    before: float | None = None

    @classmethod
    def told(
        cls,
        text: str = "",
        service: str | None = None,
        severity: str | None = None,
        status: str | None = None,
        opened_after: str | None = None,
        opened_before: str | None = None,
    ) -> Search:
        """Read what a caller said.

        Raises:
            Failure: ``bad_time``, if a time has no offset, or the earlier one is the later one.
        """
        after = None if opened_after is None else read_time(opened_after, "opened_after")
        before = None if opened_before is None else read_time(opened_before, "opened_before")
        if after is not None and before is not None and after > before:
            raise Failure("bad_time", "opened_after is later than opened_before; exchange them")
        words = tuple(sorted(set(text.casefold().split())))
        return cls(words, service, severity, status, after, before)

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it another search, as JSON."""
        return (self.words, self.service, self.severity, self.status, self.after, self.before)

    def holds(self, title: str) -> bool:
        """Return whether a title holds all the words."""
        folded = title.casefold()
        return all(word in folded for word in self.words)


@dataclass(frozen=True, slots=True)
class Desk:
    """The incident desk's database, to be read.

    Attributes:
        database: the file.
        busy_ms: how long to wait for others who have locked it, in milliseconds.
    """

    database: Path
    busy_ms: int = BUSY_MS

    def search(self, search: Search, limit: int, cursor: str | None = None) -> IncidentPage:
        """Return a page of the incidents that a search finds, newest first.

        Raises:
            Failure: ``unknown_service``, ``bad_cursor`` or ``store_busy``.
        """
        place = None if cursor is None else read_cursor(cursor, search.key)
        asked = {
            "service": search.service,
            "severity": search.severity,
            "status": search.status,
            "after": search.after,
            "before": search.before,
            "place_at": place and place.opened_at,
            "place_number": place and place.number,
            "limit": limit,
        }
        with reading(self.database, self.busy_ms) as connection:
            if search.service is not None:
                _known_service(connection, search.service)
            connection.create_function("holds", 1, search.holds, deterministic=True)
            (total,) = connection.execute(_COUNT, asked).fetchone()
            rows = connection.execute(_PAGE, asked).fetchall()
        page = rows[:limit]
        more = len(rows) > limit
        return IncidentPage(
            incidents=[_line(row) for row in page],
            total=total,
            next_cursor=write_cursor(Place(page[-1]["opened_at"], page[-1]["number"]), search.key) if more else None,
        )

    def incident(self, incident_id: str) -> Incident:
        """Return one incident.

        Raises:
            Failure: ``not_found`` or ``store_busy``.
        """
        with reading(self.database, self.busy_ms) as connection:
            row = _known_incident(connection, incident_id)
        return Incident(
            id=_id(row["number"]),
            title=row["title"],
            description=row["description"],
            service=row["service"],
            severity=row["severity"],
            status=row["status"],
            opened_at=write_time(row["opened_at"]),
            opened_by=row["opened_by"],
            acknowledged_at=_time(row["acknowledged_at"]),
            acknowledged_by=row["acknowledged_by"],
            resolved_at=_time(row["resolved_at"]),
            resolution=row["resolution"],
        )

    def services(self) -> Services:
        """Return the services, by name.

        Raises:
            Failure: ``store_busy``.
        """
        with reading(self.database, self.busy_ms) as connection:
            rows = connection.execute("SELECT name, team, tier FROM service ORDER BY name LIMIT 200").fetchall()
        return Services(services=[Service(**dict(row)) for row in rows])

    def health(self, service: str, days: int) -> ServiceHealth:
        """Return how a service stands; the days end at the desk's own now.

        Raises:
            Failure: ``unknown_service`` or ``store_busy``.
        """
        with reading(self.database, self.busy_ms) as connection:
            _known_service(connection, service)
            row = connection.execute(_HEALTH, {"service": service, "days": days}).fetchone()
        return ServiceHealth(
            service=service,
            health="down" if row["worst"] else "degraded" if row["open"] else "healthy",
            open_incidents=row["open"],
            incidents_in_days=row["opened"],
            mean_hours_to_resolve=None if row["mean_hours"] is None else round(row["mean_hours"], 2),
        )

    def timeline(self, incident_id: str, limit: int) -> Timeline:
        """Return the newest entries of an incident's timeline, oldest first.

        Raises:
            Failure: ``not_found`` or ``store_busy``.
        """
        with reading(self.database, self.busy_ms) as connection:
            number = _known_incident(connection, incident_id)["number"]
            (count,) = connection.execute("SELECT count(*) FROM timeline WHERE incident = ?", (number,)).fetchone()
            rows = connection.execute(_NEWEST, {"number": number, "limit": limit}).fetchall()
        entries = [
            Entry(at=write_time(row["at"]), author=row["author"], kind=row["kind"], text=row["text"])
            for row in reversed(rows)
        ]
        return Timeline(incident_id=_id(number), entries=entries, omitted=count - len(entries))


def _known_service(connection: sqlite3.Connection, name: str) -> None:
    if connection.execute("SELECT 1 FROM service WHERE name = ?", (name,)).fetchone() is None:
        raise Failure("unknown_service", f"there is no service {one_line(name, 40)!r}; take a name from list_services")


def _known_incident(connection: sqlite3.Connection, incident_id: str) -> sqlite3.Row:
    told = _ID.fullmatch(incident_id)
    row: sqlite3.Row | None = None
    if told is not None:
        row = connection.execute("SELECT * FROM incident WHERE number = ?", (int(told[1]),)).fetchone()
    if row is None:
        raise Failure(
            "not_found", f"there is no incident {one_line(incident_id, 40)!r}; search for it and take its id from there"
        )
    return row


def _line(row: sqlite3.Row) -> IncidentLine:
    return IncidentLine(
        id=_id(row["number"]),
        title=row["title"],
        service=row["service"],
        severity=row["severity"],
        status=row["status"],
        opened_at=write_time(row["opened_at"]),
    )


def _id(number: int) -> str:
    return f"INC-{number:04d}"


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else write_time(seconds)
