"""The incident desk's history: a year of invented incidents, the same on every machine.

Only ``Random.random()`` is used, which Python promises to keep for a given seed, and only arithmetic that IEEE 754
rounds in one way: no logarithms, no powers, no order of a set. So the digest of the history can be held by a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final, TypeVar

from mcp_workbench.desk.scenes import PARTS, PEOPLE, SERVICES, TROUBLES, UPDATES, WATCHERS, Service, Trouble

INCIDENTS: Final = 400
BEGIN: Final = int(datetime(2025, 12, 1, tzinfo=UTC).timestamp())
"""No incident is older, in seconds since 1970."""
AS_OF: Final = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp())
"""The desk's own "now", in seconds since 1970: the end of the year that it knows of."""

_SEED: Final = 20_251_208
_UNRESOLVED: Final = 6  # the youngest ones
_SHARES: Final = {1: (8, 27, 40, 25), 2: (4, 18, 43, 35), 3: (1, 9, 40, 50)}  # of sev1 to sev4, in percent, by tier
_MINUTES_TO_ACKNOWLEDGE: Final = {"sev1": 3.0, "sev2": 9.0, "sev3": 40.0, "sev4": 180.0}  # the middle ones
_PATIENCE: Final = {"sev1": 0.8, "sev2": 1.0, "sev3": 4.0, "sev4": 12.0}  # how much longer it takes than it must
_ALONE: Final = 0.2  # the share of sev4 that are over before anybody looks
_OWN: Final = 0.2  # the share that the team finds before anybody else
_TOGETHER: Final = 0.02  # the share that is opened in the same second as another one
_DAY_SECONDS: Final = 86_400
_SATURDAY: Final = 5

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident; times are seconds since 1970. One that is resolved by itself was never acknowledged."""

    number: int
    service: str
    severity: str
    title: str
    description: str
    opened_at: int
    opened_by: str
    acknowledged_at: int | None
    acknowledged_by: str | None
    resolved_at: int | None
    resolved_by: str | None
    resolution: str | None


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote into the timeline of the incident of that number."""

    incident: int
    at: int
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """All that the desk knows when it is new: services by name, incidents and notes by time."""

    services: tuple[Service, ...]
    incidents: tuple[Incident, ...]
    notes: tuple[Note, ...]


def history() -> History:
    """Return the history; each call makes the same one."""
    random = Random(_SEED)  # noqa: S311 - invented data, nothing is secret
    incidents: list[Incident] = []
    notes: list[Note] = []
    for number, opened_at in enumerate(_openings(random), start=1):
        incident, trouble, part = _incident(random, number, opened_at)
        incidents.append(incident)
        notes += _notes(random, incident, trouble, part)
    return History(SERVICES, tuple(incidents), tuple(notes))


def _openings(random: Random) -> list[int]:
    """Return when incidents are opened: more on working days and in working hours, when people deploy."""
    openings: list[int] = []
    while len(openings) < INCIDENTS:
        if openings and random.random() < _TOGETHER:
            openings.append(_pick(random, openings))
            continue
        at = BEGIN + int(random.random() * (AS_OF - BEGIN))
        weekend = datetime.fromtimestamp(at, UTC).weekday() >= _SATURDAY
        working = 8 <= at % _DAY_SECONDS // 3600 < 18
        if random.random() < (0.4 if weekend else 0.6) + (0.4 if working else 0.0):
            openings.append(at)
    return sorted(openings)


def _incident(random: Random, number: int, opened_at: int) -> tuple[Incident, Trouble, str]:
    """Return an incident, its trouble and the part of the service that has it."""
    service = _pick(random, SERVICES)
    severity = f"sev{_weighted(random, _SHARES[service.tier]) + 1}"
    trouble = TROUBLES[_weighted(random, [each.weight for each in TROUBLES])]
    part = _pick(random, PARTS[service.name])
    words = _Words(service.name, part, 2 + int(random.random() * 38), 900 + 50 * int(random.random() * 80))
    person = _pick(random, PEOPLE[service.team])

    alone = severity == "sev4" and random.random() < _ALONE
    acknowledged_at = opened_at + 20 + int(60 * _MINUTES_TO_ACKNOWLEDGE[severity] * _spread(random))
    worked_seconds = 120 + int(3600 * trouble.hours * _PATIENCE[severity] * _spread(random))
    resolved_at = (opened_at if alone else acknowledged_at) + worked_seconds
    # The youngest ones are still under way, whatever was thrown for them, half of them with nobody on it.
    unresolved = number > INCIDENTS - _UNRESOLVED
    seen = number % 2 == 0 and acknowledged_at < AS_OF if unresolved else not alone
    resolved_at = min(resolved_at, AS_OF)
    acknowledged_at = min(acknowledged_at, resolved_at)
    resolution = words.fill(_pick(random, trouble.resolutions))
    incident = Incident(
        number=number,
        service=service.name,
        severity=severity,
        title=words.fill(_pick(random, trouble.titles)),
        description=words.fill(_pick(random, trouble.descriptions)),
        opened_at=opened_at,
        opened_by=person if random.random() < _OWN else _pick(random, WATCHERS),
        acknowledged_at=acknowledged_at if seen else None,
        acknowledged_by=person if seen else None,
        resolved_at=None if unresolved else resolved_at,
        resolved_by=None if unresolved else "monitor" if alone else _pick(random, PEOPLE[service.team]),
        resolution=None if unresolved else "It was over before anybody looked." if alone else resolution,
    )
    return incident, trouble, part


def _notes(random: Random, incident: Incident, trouble: Trouble, part: str) -> list[Note]:
    """Return the notes of those who worked on an incident: more of them, the worse it was."""
    if incident.acknowledged_at is None:
        return []
    until = AS_OF if incident.resolved_at is None else incident.resolved_at
    people = PEOPLE[next(service.team for service in SERVICES if service.name == incident.service)]
    known = [*trouble.notes, *UPDATES]
    count = min(len(known), 1 + int(random.random() * (8 - int(incident.severity[-1]))))
    since = incident.acknowledged_at
    times = sorted(since + int(random.random() * (until - since)) for _ in range(count))
    return [
        Note(incident.number, at, _pick(random, people), known.pop(int(random.random() * len(known))).format(part=part))
        for at in times
    ]


@dataclass(frozen=True, slots=True)
class _Words:
    """What the texts of one incident are filled with."""

    service: str
    part: str
    low: int
    high: int

    def fill(self, text: str) -> str:
        filled = text.format(service=self.service, part=self.part, low=self.low, high=self.high)
        return filled[0].upper() + filled[1:]


def _pick(random: Random, among: Sequence[_T]) -> _T:
    return among[int(random.random() * len(among))]


def _weighted(random: Random, weights: Sequence[int]) -> int:
    """Return a place in ``weights``, each as likely as its weight says."""
    thrown = int(random.random() * sum(weights))
    for place, weight in enumerate(weights):
        if thrown < weight:
            return place
        thrown -= weight
    raise AssertionError("random() is less than 1")


def _spread(random: Random) -> float:
    """Return a factor around 1 with a long tail: a product of many is log-normal, as durations of incidents are."""
    factor = 1.0
    for _ in range(6):
        factor *= (1 + 2 * random.random()) / (1 + 2 * random.random())
    return factor
