"""What the incident desk's tools take and return, as its contract promises it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

_AS_TIME: Final[dict[str, Any]] = {"format": "date-time"}

Severity = Literal["sev1", "sev2", "sev3", "sev4"]
Status = Literal["open", "acknowledged", "resolved"]
Time = Annotated[str, Field(max_length=40, json_schema_extra=_AS_TIME)]
ServiceName = Annotated[str, Field(max_length=40)]
Person = Annotated[str, Field(max_length=80)]
Title = Annotated[str, Field(max_length=200)]
LongText = Annotated[str, Field(max_length=4000)]
IncidentId = Annotated[
    str, Field(description="The incident's number, INC- and four digits.", pattern="^INC-[0-9]{4}$", max_length=8)
]
Count = Annotated[int, Field(ge=0)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IncidentLine(_Answer):
    """An incident in a list: what it is called and how it stands."""

    id: IncidentId
    title: Title
    service: ServiceName
    severity: Severity
    status: Status
    opened_at: Time


class IncidentPage(_Answer):
    """One page of what a search found."""

    incidents: Annotated[list[IncidentLine], Field(max_length=100)]
    total: Count = Field(description="How many incidents there are in all pages.")
    next_cursor: Annotated[str, Field(max_length=200)] | None = Field(
        description="What to send as cursor for the next page; null after the last."
    )


class Incident(_Answer):
    """All that is known of one incident, except its timeline."""

    id: IncidentId
    title: Title
    description: LongText
    service: ServiceName
    severity: Severity
    status: Status
    opened_at: Time
    opened_by: Person
    acknowledged_at: Time | None
    acknowledged_by: Person | None
    resolved_at: Time | None
    resolution: LongText | None


class Service(_Answer):
    """A service and the team that answers for it."""

    name: ServiceName
    team: Annotated[str, Field(max_length=80)]
    tier: Annotated[int, Field(description="1 for what customers notice at once, 3 for what they do not.", ge=1, le=3)]


class Services(_Answer):
    """The services that the desk watches."""

    services: Annotated[list[Service], Field(max_length=200)]


class ServiceHealth(_Answer):
    """How one service stands. The days end at the desk's own now, which is in its data and no clock's."""

    service: ServiceName
    health: Literal["healthy", "degraded", "down"] = Field(
        description="Down with a sev1 open, degraded with any other open, healthy without."
    )
    open_incidents: Count
    incidents_in_days: Count
    mean_hours_to_resolve: Annotated[float, Field(ge=0)] | None = Field(
        description="Over the incidents resolved in these days; null if there are none."
    )


class Entry(_Answer):
    """One thing that happened in an incident."""

    at: Time
    author: Person
    kind: Literal["opened", "acknowledged", "resolved", "note"]
    text: LongText


class Timeline(_Answer):
    """What happened in one incident, oldest first."""

    incident_id: IncidentId
    entries: Annotated[list[Entry], Field(max_length=200)]
    omitted: Count = Field(description="How many older entries were left out.")
