"""Each rule of the audit: where it fires, and where it is silent; each module of rules has a file of cases."""

from collections.abc import Mapping
from typing import Any

import argument_cases
import book_cases
import example_cases
import hint_cases
import promise_cases
import pytest
import text_cases
import validity_cases
from rule_cases import COMPLETE, Case, Fires, Silent, audited, findings_of

from mcp_workbench.contracts.audit import arguments, examples, hints, promises, texts, validity
from mcp_workbench.contracts.audit.report import BOOK_RULES, RULES, Severity

CASES = (
    (promises.RULES, promise_cases),
    (examples.RULES, example_cases),
    (hints.RULES, hint_cases),
    (validity.RULES, validity_cases),
    (arguments.RULES, argument_cases),
    (texts.RULES, text_cases),
    (BOOK_RULES, book_cases),
)
FIRES: Fires = {rule: each for _, cases in CASES for rule, each in cases.FIRES.items()}
SILENT: Silent = {rule: each for _, cases in CASES for rule, each in cases.SILENT.items()}


def test_a_complete_contract_has_nothing_to_find() -> None:
    assert audited(COMPLETE) == ()


def test_every_rule_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent() -> None:
    assert set(FIRES) == set(SILENT) == {*RULES, *BOOK_RULES}
    for rules, cases in CASES:
        assert set(cases.FIRES) == set(cases.SILENT) == set(rules), cases.__name__
    assert all(FIRES.values())
    assert all(SILENT.values())


def numbered(cases: Mapping[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(rule, each, id=f"{rule}-{number}") for rule in cases for number, each in enumerate(cases[rule])
    ]


@pytest.mark.parametrize(("rule", "case"), numbered(FIRES))
def test_a_rule_fires_once_with_its_severity_and_says_why_and_what_to_do(
    rule: str, case: tuple[Severity, Case]
) -> None:
    severity, tools = case
    found = findings_of(rule, tools)
    assert [finding.severity for finding in found] == [severity]
    assert all(len(text) > 10 for text in (found[0].finding, found[0].why, found[0].mend))
    assert found[0].where


@pytest.mark.parametrize(("rule", "case"), numbered(SILENT))
def test_a_rule_is_silent_where_there_is_nothing_to_say(rule: str, case: Case) -> None:
    assert findings_of(rule, case) == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_says_in_its_docstring_where_it_is_from(rule: str) -> None:
    assert "Source: " in (RULES[rule].__doc__ or "")
