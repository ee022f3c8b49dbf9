"""The incident desk's history: invented, believable, and the same on every machine."""

import hashlib
import json
import random
from collections import Counter
from dataclasses import asdict
from statistics import mean, median

from mcp_workbench.desk.history import AS_OF, BEGIN, Incident, history
from mcp_workbench.desk.scenes import PARTS, PEOPLE, SERVICES

KNOWN = history()
SEVERITIES = ("sev1", "sev2", "sev3", "sev4")


def of(severity: str) -> list[Incident]:
    return [incident for incident in KNOWN.incidents if incident.severity == severity]


def test_it_is_the_same_history_on_every_machine() -> None:
    written = json.dumps(asdict(KNOWN), sort_keys=True).encode()
    assert hashlib.sha256(written).hexdigest() == "a8d87922efc67a081a46cfc260434625568abe0e044e86dafc80f9102ddf0d16"


def test_nobody_elses_random_numbers_change_it_and_it_changes_nobody_elses() -> None:
    random.seed(1)
    before = random.getstate()
    assert history() == KNOWN
    assert random.getstate() == before


def test_there_are_twelve_services_and_four_hundred_incidents_numbered_by_time() -> None:
    assert [service.name for service in KNOWN.services] == sorted(PARTS)
    assert len(KNOWN.services) == 12
    assert {service.tier for service in KNOWN.services} == {1, 2, 3}
    assert [incident.number for incident in KNOWN.incidents] == list(range(1, 401))
    openings = [incident.opened_at for incident in KNOWN.incidents]
    assert openings == sorted(openings)
    assert openings[0] >= BEGIN
    assert openings[-1] < AS_OF
    assert 1_000 <= len(KNOWN.notes) <= 1_500


def test_some_incidents_are_opened_in_the_same_second() -> None:
    assert max(Counter(incident.opened_at for incident in KNOWN.incidents).values()) >= 2


def test_everything_happens_in_its_order_and_before_the_desks_now() -> None:
    for incident in KNOWN.incidents:
        happened = [incident.opened_at, incident.acknowledged_at, incident.resolved_at, AS_OF]
        times = [at for at in happened if at is not None]
        assert times == sorted(times), incident
        assert (incident.acknowledged_at is None) == (incident.acknowledged_by is None)
        assert {incident.resolved_at is None} == {incident.resolved_by is None, incident.resolution is None}
    by_number = {incident.number: incident for incident in KNOWN.incidents}
    for note in KNOWN.notes:
        incident = by_number[note.incident]
        assert incident.acknowledged_at is not None
        assert incident.acknowledged_at <= note.at <= (incident.resolved_at or AS_OF)


def test_all_are_resolved_but_the_six_youngest_and_some_of_those_are_acknowledged() -> None:
    unresolved = [incident for incident in KNOWN.incidents if incident.resolved_at is None]
    assert unresolved == list(KNOWN.incidents[-6:])
    assert Counter(incident.acknowledged_at is not None for incident in unresolved) == {True: 3, False: 3}
    assert KNOWN.incidents[0].resolved_at is not None


def test_the_worse_it_is_the_rarer_it_is_and_the_sooner_somebody_looks() -> None:
    counts = {severity: len(of(severity)) for severity in SEVERITIES}
    assert 0 < counts["sev1"] < counts["sev2"] < min(counts["sev3"], counts["sev4"])
    waits = [
        median(each.acknowledged_at - each.opened_at for each in of(severity) if each.acknowledged_at is not None)
        for severity in SEVERITIES
    ]
    assert waits == sorted(waits)
    assert len(set(waits)) == 4


def test_how_long_it_takes_has_a_long_tail() -> None:
    for severity in SEVERITIES:
        took = [each.resolved_at - each.opened_at for each in of(severity) if each.resolved_at is not None]
        assert mean(took) > 1.2 * median(took)


def test_some_were_over_before_anybody_looked() -> None:
    alone = [each for each in KNOWN.incidents if each.resolved_at is not None and each.acknowledged_at is None]
    assert alone
    assert {each.severity for each in alone} == {"sev4"}
    assert {each.resolved_by for each in alone} == {"monitor"}


def test_it_is_worth_searching() -> None:
    titles = [incident.title.casefold() for incident in KNOWN.incidents]
    for word in ("latency", "timeout", "certificate", "disk", "queue", "deploy", "memory", "database"):
        assert sum(word in title for title in titles) >= 5, word
    assert any("latency" in incident.title.casefold() for incident in of("sev1"))


def test_its_texts_are_filled_in_and_fit_what_the_contract_promises() -> None:
    texts = [(incident.title, 200) for incident in KNOWN.incidents]
    texts += [(incident.description, 4_000) for incident in KNOWN.incidents]
    texts += [(incident.resolution or "x", 4_000) for incident in KNOWN.incidents]
    texts += [(note.text, 4_000) for note in KNOWN.notes]
    for text, longest in texts:
        assert 0 < len(text) <= longest
        assert not set("{}") & set(text)
        assert text == text.strip()


def test_those_who_act_are_of_the_team_that_answers_for_the_service() -> None:
    teams = {service.name: PEOPLE[service.team] for service in SERVICES}
    for incident in KNOWN.incidents:
        assert incident.acknowledged_by in (None, *teams[incident.service])
        assert incident.resolved_by in (None, "monitor", *teams[incident.service])
