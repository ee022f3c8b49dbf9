"""The server keeps its contract. Run it with `pytest` in this folder.

A new tool is done when contract.yaml describes it, with examples, and this passes.
"""

from pathlib import Path

import pytest
from server import demo

from mcp_workbench import Workbench, audit_book, read_book

BOOK = read_book(Path(__file__).with_name("contract.yaml"))
EXAMPLES = [
    pytest.param(tool, example, id=f"{tool.name}-{number}-{example.outcome}")
    for tool in BOOK.tools
    for number, example in enumerate(tool.examples or (), start=1)
]


def test_the_contract_has_no_gaps_and_no_errors():
    assert BOOK.gaps().ok, str(BOOK.gaps())
    assert audit_book(BOOK).ok, str(audit_book(BOOK))


def test_the_server_is_what_the_contract_says(tmp_path):
    with Workbench(demo(tmp_path)) as wb:
        drift = wb.check(BOOK)
    assert not drift.differences, str(drift)


@pytest.mark.parametrize(("tool", "example"), EXAMPLES)
def test_an_example_ends_as_the_contract_says(tool, example, tmp_path):
    with Workbench(demo(tmp_path)) as wb:
        result = wb.call(tool.name, example.arguments)
    assert tool.outcome_of(result) == example.outcome, str(result)
    if example.result is not None:
        assert result.structured == example.result
