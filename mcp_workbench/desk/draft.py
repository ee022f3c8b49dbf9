"""The incident desk's server as one writes it on a first afternoon: it works, as long as nobody asks for anything odd.

It is the beginning of a build, kept as it was, so that each later step can be held against it. It has what first
versions have: no bounds, no choices, no promises of results, errors as they fall out of Python. It cannot write either.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer

from mcp_workbench.desk.store import check, reading


def make_server(database: Path) -> MCPServer:
    """Return the first version of a server that reads the incident desk's ``database``.

    Raises:
        UsageError: the file is no such database.
    """
    check(database)
    server = MCPServer("incident-desk", version="0.1.0", log_level="WARNING")

    @server.tool()
    def search_incidents(
        text: str = "",
        service: str = "",
        severity: str = "",
        status: str = "",
        opened_after: str = "",
        opened_before: str = "",
        limit: int = 20,
        cursor: str = "",
    ) -> dict[str, Any]:
        """Search incidents."""
        after = datetime.fromisoformat(opened_after).timestamp() if opened_after else 0
        before = datetime.fromisoformat(opened_before).timestamp() if opened_before else 1e12
        offset = int(cursor or 0)
        with reading(database) as connection:
            rows = connection.execute(
                "SELECT number, title, service, severity, status, opened_at FROM incident WHERE title LIKE ?"
                " AND ? IN ('', service) AND ? IN ('', severity) AND ? IN ('', status) AND opened_at BETWEEN ? AND ?"
                " ORDER BY opened_at DESC LIMIT ? OFFSET ?",
                (f"%{text}%", service, severity, status, after, before, limit, offset),
            ).fetchall()
        return {"incidents": [_readable(row) for row in rows], "next_cursor": str(offset + len(rows))}

    @server.tool()
    def get_incident(incident_id: str) -> dict[str, Any]:
        """Get an incident."""
        with reading(database) as connection:
            row = connection.execute("SELECT * FROM incident WHERE number = ?", (_number(incident_id),)).fetchone()
        return _readable(row)

    @server.tool()
    def list_services() -> dict[str, Any]:
        """List services."""
        with reading(database) as connection:
            return {"services": [dict(row) for row in connection.execute("SELECT * FROM service")]}

    @server.tool()
    def service_health(service: str, days: int = 30) -> dict[str, Any]:
        """Get the health of a service."""
        with reading(database) as connection:
            (now,) = connection.execute("SELECT as_of FROM desk").fetchone()
            rows = connection.execute("SELECT * FROM incident WHERE service = ?", (service,)).fetchall()
        recent = [row for row in rows if row["opened_at"] >= now - days * 86400]
        hours = [(row["resolved_at"] - row["opened_at"]) / 3600 for row in recent if row["status"] == "resolved"]
        unresolved = [row["severity"] for row in rows if row["status"] != "resolved"]
        return {
            "service": service,
            "health": "down" if "sev1" in unresolved else "degraded" if unresolved else "healthy",
            "open_incidents": len(unresolved),
            "incidents_in_days": len(recent),
            "mean_hours_to_resolve": sum(hours) / len(hours),
        }

    @server.tool()
    def incident_timeline(incident_id: str, limit: int = 50) -> dict[str, Any]:
        """Get the timeline of an incident."""
        with reading(database) as connection:
            rows = connection.execute(
                "SELECT at, author, kind, text FROM timeline WHERE incident = ? ORDER BY at, step LIMIT ?",
                (_number(incident_id), limit),
            ).fetchall()
        return {"incident_id": incident_id, "entries": [_readable(row) for row in rows]}

    return server


def _number(incident_id: str) -> int:
    return int(incident_id.split("-")[1])


def _readable(row: sqlite3.Row) -> dict[str, Any]:
    """Return a row with its times as text."""
    found = dict(row)
    for key, value in found.items():
        if value and (key == "at" or key.endswith("_at")):
            found[key] = datetime.fromtimestamp(value, UTC).isoformat()
    return found
