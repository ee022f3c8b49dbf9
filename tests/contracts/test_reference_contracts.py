"""The contracts that come with the workbook: of the desk, of the starters, and of the seven reference servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redraft import DATA, FOLDER, NAMES, file_of, opened, readme

from mcp_workbench import Sandbox, audit_book, compare_books, read_book
from mcp_workbench.contracts.files import book_text
from mcp_workbench.starters.copying import STARTERS, starter_contract

DESK = DATA / "contracts" / "incident-desk.yaml"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.mark.servers
@pytest.mark.parametrize("name", NAMES)
def test_a_reference_server_is_drafted_audited_and_checks_clean_against_its_draft(name: str, sandbox: Sandbox) -> None:
    with opened(name, sandbox) as bench:
        book = bench.draft()
        assert bench.check(book).differences == ()
        audit = bench.audit()
        assert audit == audit_book(book)
        assert {finding.tool for finding in audit.findings} >= {tool.name for tool in book.tools}
        # What is in the folder is what the server lists, to the letter.
        stored = read_book(file_of(name))
        assert stored == book
        assert bench.check(file_of(name)).ok


def test_the_readme_says_what_the_audit_says_of_the_stored_contracts() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == readme()
    assert sorted(FOLDER.glob("*.yaml")) == sorted(map(file_of, NAMES))


@pytest.mark.parametrize("file", [DESK, *map(starter_contract, STARTERS)], ids=lambda file: file.stem)
def test_our_own_contracts_have_no_gaps_and_no_errors(file: Path) -> None:
    book = read_book(file)
    assert book.gaps().ok, str(book.gaps())
    assert audit_book(book).ok, str(audit_book(book))
    assert compare_books(book, book).differences == ()


def test_the_desk_has_every_kind_of_tool_that_the_build_sequence_meets() -> None:
    desk = read_book(DESK)
    assert {tool.effects for tool in desk.tools} == {"read", "write", "destructive"}
    assert {tool.idempotency for tool in desk.tools} == {"natural", "by key"}
    assert {failure.retryable for tool in desk.tools for failure in tool.failures or ()} == {True, False}
    assert all(any(example.outcome != "ok" for example in tool.examples or ()) for tool in desk.tools[:1])


def test_the_desk_refuses_unknown_arguments_and_bounds_every_text() -> None:
    desk = read_book(DESK)
    assert {(tool.input_schema or {}).get("additionalProperties") for tool in desk.tools} == {False}
    rules = {finding.rule for finding in audit_book(desk).findings}
    assert not {rule for rule in rules if rule.startswith("unbounded")}, rules


def test_a_contract_that_is_written_again_is_the_same_contract(tmp_path: Path) -> None:
    for file in (DESK, *map(file_of, NAMES)):
        book = read_book(file)
        copy = tmp_path / file.name
        copy.write_text(book_text(book), encoding="utf-8")
        assert read_book(copy) == book
