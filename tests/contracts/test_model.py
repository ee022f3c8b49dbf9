"""The contract itself: what may be said, how it is filled, and how a call's end is read by it."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from mcp_workbench import ContractError, UsageError
from mcp_workbench.contracts.gaps import PARTS
from mcp_workbench.contracts.model import UNKNOWN_FAILURE, ContractBook, ServerIdentity, ToolContract, first_fault

FULL: dict[str, Any] = {
    "name": "open_ticket",
    "purpose": "Open a ticket for a customer.",
    "effects": "write",
    "idempotency": "none",
    "input_schema": {"type": "object", "properties": {"title": {"type": "string"}}},
    "output_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
    "failures": [{"code": "over_limit", "when": "Too many.", "retryable": True, "caller": "Wait."}],
    "examples": [{"arguments": {"title": "Lamp"}}],
}


@dataclass
class Answered:
    ok: bool = False
    text: str = ""
    structured: Any = None


def test_a_contract_begins_with_a_name_and_seven_gaps() -> None:
    gaps = ToolContract(name="open_ticket").gaps()
    assert (gaps.ok, gaps.count) == (False, 7)
    assert gaps.headline() == "open_ticket: 1 of 8 parts are stated"
    assert list(gaps.frame["part"]) == [part.name for part in PARTS]
    assert all(gaps.frame["what to write"][1:]), "each gap says what to write"


def test_gaps_close_one_by_one_as_parts_are_filled() -> None:
    contract = ToolContract(name="open_ticket")
    for number, part in enumerate(PARTS[1:], start=1):
        contract = contract.filled(**{part.field: FULL[part.field]})
        assert contract.gaps().count == 7 - number
    assert contract.gaps().ok
    assert contract == ToolContract.model_validate(FULL)


def test_an_empty_list_of_failures_is_said_and_no_gap() -> None:
    gaps = ToolContract(name="x").filled(failures=[]).gaps()
    assert gaps.count == 6
    assert "never fails on purpose" in str(gaps)


@pytest.mark.parametrize("deadline_ms", [1, 2000, 3_600_000, None])
def test_a_deadline_may_be_said_and_is_no_gap_if_it_is_not(deadline_ms: int | None) -> None:
    contract = ToolContract.model_validate(FULL)
    assert contract.deadline_ms is None
    assert contract.filled(deadline_ms=deadline_ms).deadline_ms == deadline_ms
    assert contract.gaps().ok
    assert contract.filled(deadline_ms=deadline_ms).gaps().headline() == "open_ticket: 8 of 8 parts are stated"


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("effects", "deletes", "effects: Input should be 'read', 'write' or 'destructive'"),
        ("idempotency", "yes", "idempotency: Input should be 'none', 'natural' or 'by key'"),
        (
            "failures",
            [{"code": "Not Found"}],
            "failures.0.code: 'Not Found' can be no code; write small letters, digits and _, such as not_found",
        ),
        ("failures", [{"code": "a"}, {"code": "a"}], "the failure 'a' is there twice"),
        ("deadline_ms", 0, "deadline_ms: Input should be greater than or equal to 1"),
        ("deadline_ms", 3_600_001, "deadline_ms: Input should be less than or equal to 3600000"),
        ("deadline_ms", 2.0, "deadline_ms: Input should be a valid integer"),
        ("deadline_ms", True, "deadline_ms: Input should be a valid integer"),
        ("deadline_ms", "2000", "deadline_ms: Input should be a valid integer"),
        ("colour", "red", "colour: Extra inputs are not permitted"),
    ],
)
def test_a_part_that_is_not_what_it_should_be_is_refused_in_one_sentence(part: str, value: Any, told: str) -> None:
    contract = ToolContract(name="open_ticket")
    with pytest.raises(ContractError) as caught:
        contract.filled(**{part: value})
    assert str(caught.value).startswith("the contract of 'open_ticket': ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_book_keeps_one_contract_a_tool() -> None:
    tool = ToolContract(name="a")
    with pytest.raises(ValidationError) as caught:
        ContractBook(server=ServerIdentity(name="s"), tools=(tool, tool))
    assert first_fault(caught.value) == "the tool 'a' is there twice; keep one contract per tool"


@pytest.mark.parametrize("version", ["1", "1.0", "one", "1.0.0.0", "-1.0.0", "", "v1.0.0"])
def test_a_contract_version_is_a_semantic_version(version: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ContractBook(server=ServerIdentity(name="s"), contract=version)
    assert "is not a semantic version; write one like 1.0.0" in first_fault(caught.value)


def test_a_book_gives_its_tools_by_name_and_says_which_there_are() -> None:
    book = ContractBook(server=ServerIdentity(name="s"), tools=(ToolContract(name="a"), ToolContract(name="b")))
    assert book["b"].name == "b"
    with pytest.raises(UsageError, match="the contract has no tool 'c'; it has a, b"):
        book["c"]


def test_a_tool_takes_the_place_of_the_one_with_its_name_or_comes_last() -> None:
    book = ContractBook(server=ServerIdentity(name="s"), tools=(ToolContract(name="a"), ToolContract(name="b")))
    changed = book.with_tool(ToolContract(name="a", effects="read")).with_tool(ToolContract(name="c"))
    assert [(tool.name, tool.effects) for tool in changed.tools] == [("a", "read"), ("b", None), ("c", None)]
    assert book.tools[0].effects is None, "the first book is as it was"
    same = changed.with_tool(changed.tools[1])
    assert same == changed


def test_a_book_shows_a_row_a_tool() -> None:
    book = ContractBook(
        server=ServerIdentity(name="desk"), tools=(ToolContract(name="a"), ToolContract.model_validate(FULL))
    )
    assert list(book.gaps().frame["gaps"]) == [7, 0]
    assert book.gaps().headline() == "desk: 9 of 16 parts are stated"
    assert repr(book) == "contract 0.1.0 of desk: 9 of 16 parts are stated, 2 tools"
    assert "open_ticket" in str(book)
    assert "<table" in book._repr_html_()


def test_names_from_a_server_are_text_in_a_contracts_tables() -> None:
    contract = ToolContract(name="<script>x</script>\x1b[31m", purpose="<b>bold</b>")
    html = contract._repr_html_()
    assert "<script" not in html
    assert "<b>bold" not in html
    assert "\x1b" not in str(contract) + repr(contract)


def test_how_a_call_ended_is_read_in_the_words_of_the_contract() -> None:
    contract = ToolContract.model_validate(FULL | {"failures": [{"code": "over_limit"}, {"code": "not_found"}]})
    assert contract.outcome_of(Answered(ok=True)) == "ok"
    assert contract.outcome_of(Answered(text="Error executing tool open_ticket: not_found: no such")) == "not_found"
    assert contract.outcome_of(Answered(text="over_limit: wait")) == "over_limit"
    assert contract.outcome_of(Answered(structured={"code": "over_limit"}, text="")) == "over_limit"
    assert contract.outcome_of(Answered(structured={"code": "other"}, text="all is not_found")) == UNKNOWN_FAILURE
    assert contract.outcome_of(Answered(text="")) == UNKNOWN_FAILURE
    assert contract.outcome_of(Answered(text="a title: with: a colon: not_found: deep inside")) == UNKNOWN_FAILURE


def test_a_structured_code_that_cannot_be_looked_up_is_an_unknown_failure() -> None:
    contract = ToolContract.model_validate(FULL)
    assert contract.outcome_of(Answered(structured={"code": ["over_limit"]})) == UNKNOWN_FAILURE
