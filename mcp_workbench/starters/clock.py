"""Clock: what time it is, and what a time in one timezone is in another.

What keeps it safe and right: the name of a timezone is looked up in a list and never used as a path, which is what
``zoneinfo`` would do with it. Where clocks are put forward some times do not exist, where they are put back some come
twice. Neither is guessed at: the first is refused, of the second the caller says which is meant, and hears of it.
"""

import difflib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
Day = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
DAYS: tuple[Day, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Timezone = Annotated[str, Field(description="An IANA timezone such as Europe/Berlin.", min_length=1, max_length=60)]
LocalTime = Annotated[
    str,
    Field(
        description="Date and time on the clocks of the source, such as 2026-03-29T14:30.",
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$",
        max_length=16,
    ),
]
Which = Annotated[
    Literal["first", "second"], Field(description="Which one is meant, where clocks are put back and it comes twice.")
]


class Moment(BaseModel, extra="forbid"):
    """A moment, as it is told in one timezone."""

    timezone: str = Field(description="The timezone.", max_length=60)
    time: str = Field(
        description="Date, time and offset from UTC (ISO 8601): 2026-03-29T14:30:00+02:00.", max_length=32
    )
    day: Day = Field(description="The day of the week.")
    abbreviation: str = Field(description="What this time is called there: CEST.", max_length=20)


class Conversion(BaseModel, extra="forbid"):
    """One moment, told in two timezones."""

    source: Moment = Field(description="The moment in the timezone that it was given in.")
    target: Moment = Field(description="The same moment in the other one.")
    twice: bool = Field(description="Whether the given time comes twice in its timezone; see the argument which.")


def told(moment: datetime) -> Moment:
    """Return ``moment`` in words."""
    return Moment(
        timezone=str(moment.tzinfo),
        time=moment.isoformat(timespec="seconds"),
        day=DAYS[moment.weekday()],
        abbreviation=moment.tzname() or "",
    )


def make_server() -> MCPServer:
    """Return a server that tells and converts times."""
    server = MCPServer("clock", version="1.0.0", log_level="WARNING")
    known = available_timezones()

    def zone(name: str) -> ZoneInfo:
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, known, n=3))
            raise ToolError(f"unknown_timezone: no timezone has this name; use one like {near or 'Europe/Berlin'}.")
        return ZoneInfo(name)

    @server.tool(annotations=READS)
    def current_time(timezone: Timezone = "UTC") -> Moment:
        """Tell what time it is now in a timezone."""
        return told(datetime.now(zone(timezone)))

    @server.tool(annotations=READS)
    def convert_time(time: LocalTime, source: Timezone, target: Timezone, which: Which = "first") -> Conversion:
        """Convert a time in one timezone into the time in another."""
        fold = ("first", "second").index(which)
        try:
            given = datetime.fromisoformat(time).replace(tzinfo=zone(source), fold=fold)
            # Through UTC and back: a time that was skipped comes back as another one.
            there = given.astimezone(UTC).astimezone(zone(target))
            back = given.astimezone(UTC).astimezone(given.tzinfo)
        except (ValueError, OverflowError):
            raise ToolError("bad_time: there is no such date or time; write it like 2026-03-29T14:30.") from None
        if back.replace(tzinfo=None) != given.replace(tzinfo=None):
            raise ToolError("skipped_time: clocks are put forward past this time; give one before or after the gap.")
        twice = given.replace(fold=0).utcoffset() != given.replace(fold=1).utcoffset()
        return Conversion(source=told(given), target=told(there), twice=twice)

    return server


def demo(_folder: Path) -> MCPServer:
    """Return a server on which the examples of the contract hold; it keeps nothing in a folder."""
    return make_server()


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit("The clock takes no arguments: python server.py")
    make_server().run()
