"""Schemas made into validators: nothing is fetched, formats count, no pattern takes for ever."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mcp_workbench.controls.compiling import UncompilableError, compiled


@pytest.fixture
def offered() -> Iterator[tuple[str, list[str]]]:
    """The address of a schema on a web server, and what was asked of it."""
    asked: list[str] = []

    class Schemas(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "integer"}')

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Schemas) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/schema.json", asked
        web.shutdown()
        thread.join()


def test_a_reference_to_another_document_is_never_followed(offered: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = offered
    file = tmp_path / "schema.json"
    file.write_text('{"type": "integer"}', encoding="utf-8")
    for reference in (address, file.as_uri(), f"{address}#/properties/x"):
        for schema in ({"$ref": reference}, {"$id": reference, "properties": {"a": {"$ref": "other.json"}}}):
            with pytest.raises(UncompilableError, match="cannot be used"):
                compiled(schema)
    assert asked == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"$schema": "https://example.com/a-draft-of-our-own"},
        {"$schema": 7},
        {"$ref": "#/$defs/missing"},
        {"pattern": "("},
        {"pattern": "(a{1000}){1000}"},
        {"default": {1, 2}},
        {1: 2},
        {"title": "\ud800"},
    ],
)
def test_what_is_no_schema_is_refused_in_one_sentence(schema: dict[Any, Any]) -> None:
    with pytest.raises(UncompilableError) as refused:
        compiled(schema)
    assert len(str(refused.value).splitlines()) == 1
    assert str(refused.value).startswith("the schema cannot be used: ")


def test_a_schema_that_is_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5_000):
        schema = {"not": schema}
    with pytest.raises(UncompilableError):
        compiled(schema)


def test_the_draft_is_the_one_that_the_schema_names() -> None:
    # Up to draft 4 these are flags, later they are limits; in 2020-12 a list of schemas for items is none.
    assert compiled({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True})
    assert compiled({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]})
    for newest in ({"exclusiveMinimum": True}, {"items": [{"type": "integer"}]}):
        with pytest.raises(UncompilableError):
            compiled(newest)


def test_formats_count_where_they_are_known() -> None:
    moment = compiled({"format": "date-time"})
    assert moment.is_valid("2026-11-23T07:00:00Z")
    assert not moment.is_valid("2026-11-23T07:00:00")
    assert moment.is_valid(7)
    assert compiled({"format": "a-format-of-our-own"}).is_valid("x")


def test_a_pattern_without_look_around_takes_a_time_that_grows_with_the_text_only() -> None:
    # A backtracking engine would need 2 to the power of 100,000 steps.
    assert not compiled({"pattern": "^(a|a)*$"}).is_valid("a" * 100_000 + "b")


def test_a_pattern_with_look_around_is_bounded_and_then_does_not_match() -> None:
    # Without a bound, a text of 60 characters keeps the engine busy for days.
    assert not compiled({"pattern": "^((?!x)a+)+$"}).is_valid("a" * 60 + "b")
    each = compiled({"pattern": "^((?!x)[a-z])*$"})
    assert each.is_valid("a" * 9_000)
    assert not each.is_valid("a" * 100_000)


BEYOND = {"pattern": "^((?!x)a+)+$"}


@pytest.mark.parametrize(
    ("schema", "settled"),
    [
        ({"not": BEYOND}, False),
        ({"not": {"not": BEYOND}}, False),
        ({"not": {"anyOf": [BEYOND, {"maxLength": 1}]}}, False),
        ({"if": BEYOND, "then": {"maxLength": 1}}, False),
        ({"if": BEYOND, "else": {"maxLength": 1}}, False),
        ({"if": BEYOND, "then": {"minLength": 1}, "else": {"minLength": 1}}, True),
        ({"oneOf": [BEYOND, {"minLength": 1}]}, False),
        ({"anyOf": [{"not": BEYOND}, {"maxLength": 1}]}, False),
        ({"anyOf": [BEYOND, {"minLength": 1}]}, True),
        ({"not": {"allOf": [{"maxLength": 1}, BEYOND]}}, True),
    ],
)
def test_what_cannot_be_matched_within_the_bound_proves_nothing(schema: dict[str, Any], settled: bool) -> None:
    # Valid is only what is valid whether or not the pattern matches.
    assert compiled(schema).is_valid("a" * 60 + "b") is settled
