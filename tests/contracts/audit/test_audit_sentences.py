"""What the rules of the audit say: that it names the place, the word and the mend, and is true of the case."""

from pathlib import Path
from typing import Any

import argument_cases
import pytest
import validity_cases
from rule_cases import CITY, INPUT, WRITE, Case, findings_of, taking, tool

from mcp_workbench.contracts.audit import arguments, validity
from mcp_workbench.contracts.audit.metaschema import meant
from mcp_workbench.contracts.audit.report import Finding, audit_book
from mcp_workbench.contracts.files import read_book
from mcp_workbench.starters.copying import STARTERS, starter_contract

CONTRACTS = Path(__file__).parents[3] / "data" / "contracts"
SHIPPED = [*sorted(CONTRACTS.rglob("*.yaml")), *map(starter_contract, STARTERS)]


def finding_of(rule: str, case: Case) -> Finding:
    (finding,) = findings_of(rule, case)
    return finding


@pytest.mark.parametrize(
    ("word", "keyword"),
    [
        ("maxlength", "maxLength"),
        ("MINIMUM", "minimum"),
        ("minimun", "minimum"),
        ("require", "required"),
        ("requiredd", "required"),
        ("lenght", None),
        ("maxLenght", "maxLength"),
        ("aditionalProperties", "additionalProperties"),
        ("Not", "not"),
        ("nut", None),
        ("maxLength", None),
        ("x-maxlength", None),
        ("example", None),
        ("unit", None),
        ("", None),
        ("m" * 1_000, None),
    ],
)
def test_a_keyword_is_misspelt_by_its_case_or_by_one_letter(word: str, keyword: str | None) -> None:
    assert meant(word) == keyword


def test_a_misspelt_keyword_is_told_with_the_one_that_is_meant() -> None:
    found = finding_of("keyword-misspelt", taking(CITY | {"maxlength": 80}))
    assert (found.where, found.finding) == ("input: city", "unknown keyword 'maxlength'; did you mean maxLength?")


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_no_keyword_of_the_contracts_that_are_shipped_is_taken_for_misspelt(file: Path) -> None:
    assert {finding.rule for finding in audit_book(read_book(file)).findings}.isdisjoint({"keyword-misspelt"})


def test_unknown_keywords_beyond_counting_hold_nothing_up() -> None:
    many = taking(CITY | {f"max{number}": 1 for number in range(50_000)} | {"maxlength": 1})
    assert findings_of("keyword-misspelt", many) == []


TREE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "days": {"type": ["integer", "null"]},
        "unit": {"enum": ["c", "f"]},
        "city": {"type": "string", "pattern": "^O"},
        "leaves": {"type": "array", "items": {"$ref": "#"}},
        "name": {"$ref": "#/$defs/Name"},
    },
    "$defs": {"Name": {"type": "string", "maxLength": 3}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, ": city is missing"),
        ({"town": "Oslo"}, ": town is not declared"),
        ({"city": "Oslo", "days": "3"}, ": days is string instead of integer or null"),
        ({"city": "Oslo", "unit": "k"}, ": unit is not what its schema allows"),
        ({"city": "Rome", "name": "Rome"}, ": name is not what its schema allows"),
        (
            {"city": "Oslo", "leaves": [{"city": "Bergen"}], "days": True},
            ": days is boolean instead of integer or null",
        ),
        ({"city": "Oslo", "leaves": [{"days": 3}]}, ": leaves is not what its schema allows"),
    ],
)
def test_an_example_that_does_not_fit_is_told_with_the_first_argument_that_does_not(
    arguments: dict[str, Any], told: str
) -> None:
    failing = tool(input_schema=TREE, examples=[{"arguments": arguments}])
    assert finding_of("example-arguments", failing).finding == (
        f"the arguments of 1 example do not fit the input schema{told}"
    )


def test_what_only_the_schema_as_a_whole_refuses_is_told_without_a_name() -> None:
    schema = INPUT | {"not": {"required": ["city"]}}
    found = finding_of("example-arguments", tool(input_schema=schema, examples=[{"arguments": {"city": "Oslo"}}]))
    assert found.finding == "the arguments of 1 example do not fit the input schema"


def test_of_several_examples_the_first_is_explained() -> None:
    examples = [{"arguments": {"city": "Oslo"}}, {"arguments": {"town": "Oslo"}}, {"arguments": {}}]
    found = finding_of("example-arguments", tool(examples=examples))
    assert found.where == "examples: 2, 3"
    assert found.finding == "the arguments of 2 examples do not fit the input schema: in example 2 town is not declared"


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"celsius": "4"}, "celsius is string instead of number"),
        ([4], "result is array instead of object"),
        ({"celsius": 4, "\x1b[8m": 1}, "\\x1b[8m is not declared"),
    ],
)
def test_a_result_that_does_not_fit_is_told_with_its_part(result: Any, told: str) -> None:
    found = finding_of("example-result", tool(examples=[{"arguments": {"city": "Oslo"}, "result": result}]))
    assert found.finding == f"the result of 1 example does not fit the output schema: {told}"


def test_a_default_is_held_against_the_schema_that_its_references_mean() -> None:
    tree = TREE["properties"] | {"leaves": TREE["properties"]["leaves"] | {"default": [{"city": "Oslo"}]}}
    assert findings_of("default-invalid", tool(input_schema=TREE | {"properties": tree}, examples=None)) == []


SDK = "the Python SDK's @tool cannot say it yet, so refuse unknown arguments in the code"


def test_what_the_python_sdk_cannot_say_of_unknown_arguments_is_told_for_the_arguments_as_a_whole_only() -> None:
    open_object = {"type": "object", "properties": {"name": CITY}}
    top = tool(input_schema={"type": "object", "properties": {}})
    nested = taking(open_object)
    both = tool(input_schema={"type": "object", "properties": {"city": open_object}}, examples=None)
    mends = [finding_of("additional-properties-unsaid", each).mend for each in (top, nested, both)]
    assert [SDK in mend for mend in mends] == [True, False, True]
    assert ["ConfigDict" in mend for mend in mends] == [False, True, True]


@pytest.mark.parametrize("rule", [*validity.RULES, *arguments.RULES])
def test_the_mend_of_a_schema_is_in_the_server(rule: str) -> None:
    _, case = (validity_cases.FIRES | argument_cases.FIRES)[rule][0]
    assert "in the server" in finding_of(rule, case).mend


def test_a_hint_that_is_not_given_is_told_with_what_clients_assume_of_it() -> None:
    assumed = "clients assume the worst of what is not said: "
    said = tool(open_world=False, annotations={"readOnlyHint": True})
    assert finding_of("hint-unsaid", said).why == f"{assumed}it reaches outside"
    unsaid = tool(**WRITE | {"idempotency": "natural"}, annotations={})
    assert finding_of("hint-unsaid", unsaid).why == f"{assumed}it destroys things, it cannot be repeated"
