"""Update: the contract follows the server, and keeps what people wrote."""

from typing import Any

from mcp_types import Tool, ToolAnnotations

from mcp_workbench.contracts.draft import draft_book
from mcp_workbench.contracts.drift import check_book
from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.contracts.update import update_book

FAILURES = ({"code": "busy", "when": "Busy.", "retryable": True, "caller": "Wait."},)


def live(*names: str, **parts: Any) -> ContractBook:
    tools = [
        Tool(**{"name": name, "description": "Theirs.", "input_schema": {"type": "object"}} | parts) for name in names
    ]
    return draft_book("s", "2.0", tools)


def completed() -> ContractBook:
    book = live("a", "b")
    filled = book["a"].filled(purpose="Ours.", effects="read", idempotency="natural", failures=FAILURES, examples=())
    return book.with_tool(filled).model_copy(update={"contract": "1.4.0"})


def test_schemas_and_hints_become_the_servers_and_the_words_stay_the_teams() -> None:
    now = live("a", "b", input_schema={"type": "object", "required": ["x"]}, annotations=ToolAnnotations(title="T"))
    updated = update_book(completed(), now)
    ours = updated["a"]
    assert (ours.purpose, ours.effects, ours.idempotency, ours.examples) == ("Ours.", "read", "natural", ())
    assert [failure.code for failure in ours.failures or ()] == ["busy"]
    assert ours.input_schema == {"type": "object", "required": ["x"]}
    assert (ours.annotations, ours.fingerprint) == (now["a"].annotations, now["a"].fingerprint)
    assert updated.server.version == "2.0"


def test_a_deadline_stays_as_people_wrote_it_and_no_draft_has_one() -> None:
    assert live("a")["a"].deadline_ms is None
    written = completed().with_tool(completed()["a"].filled(deadline_ms=2000))
    updated = update_book(written, live("a", "b", input_schema={"type": "object", "required": ["x"]}))
    assert [tool.deadline_ms for tool in updated.tools] == [2000, None]


def test_an_updated_contract_checks_clean_and_takes_the_step_that_was_demanded() -> None:
    now = live("a", "b", input_schema={"type": "object", "required": ["x"]})
    updated = update_book(completed(), now)
    assert updated.contract == "2.0.0"
    assert check_book(updated, now).differences == ()
    assert update_book(updated, now) == updated


def test_gaps_are_filled_where_the_server_says_something_now() -> None:
    hints = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    book = update_book(completed(), live("a", "b", annotations=hints))
    assert (book["b"].effects, book["b"].idempotency, book["b"].open_world) == ("read", "natural", False)
    assert book["b"].failures is None


def test_a_tool_that_is_gone_goes_and_a_new_one_comes_last() -> None:
    book = update_book(completed(), live("c", "a"))
    assert [tool.name for tool in book.tools] == ["a", "c"]
    assert book.contract == "2.0.0"


def test_what_a_draft_took_from_the_hints_follows_them_and_what_people_wrote_does_not() -> None:
    destroying = live("a", "b", annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True))
    written = destroying.with_tool(destroying["b"].filled(effects="write", idempotency="natural"))
    reading = live("a", "b", annotations=ToolAnnotations(read_only_hint=True))
    book = update_book(written, reading)
    assert (book["a"].effects, book["b"].effects, book["b"].idempotency) == ("read", "write", "natural")


def test_a_tool_that_says_nothing_any_more_keeps_what_was_known() -> None:
    book = update_book(live("a", annotations=ToolAnnotations(read_only_hint=True)), live("a"))
    assert book["a"].effects == "read"
    assert book["a"].annotations is None
