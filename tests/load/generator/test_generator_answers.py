"""What an answer means to the generator: nothing is counted as well that is no answer to the question."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.load.generator.answers import OUTCOMES, judged, read_message
from mcp_workbench.records import Outcome

ASKED = 100_000_007
GOOD = {"content": []}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def told(message: Any) -> tuple[Outcome, str]:
    outcome, code = judged(message, ASKED)
    return OUTCOMES[outcome], code


@pytest.mark.parametrize(
    ("message", "outcome", "code"),
    [
        ({"id": ASKED, "result": GOOD}, Outcome.OK, ""),
        ({"id": ASKED, "result": {**GOOD, "isError": False, "resultType": "complete"}}, Outcome.OK, ""),
        ({"id": ASKED, "result": {**GOOD, "isError": True}}, Outcome.TOOL_ERROR, ""),
        (
            {"id": ASKED, "result": {"isError": True, "structuredContent": {"code": "not_found"}}},
            Outcome.TOOL_ERROR,
            "not_found",
        ),
        ({"id": ASKED, "error": {"code": -32602, "message": "no"}}, Outcome.PROTOCOL_ERROR, "-32602"),
        ({"id": None, "error": {"code": -32700, "message": "no"}}, Outcome.PROTOCOL_ERROR, "-32700"),
        ({"id": ASKED, "result": {"resultType": "input_required"}}, Outcome.DECLINED, "input_required"),
        ({"id": ASKED, "result": {}}, Outcome.INVALID_OUTPUT, "malformed_result"),
        ({"id": ASKED, "result": []}, Outcome.INVALID_OUTPUT, "malformed_result"),
        ({"id": ASKED}, Outcome.INVALID_OUTPUT, "malformed_result"),
        (None, Outcome.INVALID_OUTPUT, "not_json"),
    ],
)
def test_each_answer_has_one_outcome(message: Any, outcome: Outcome, code: str) -> None:
    assert told(message) == (outcome, code)


def test_a_code_can_be_written_to_a_file_whatever_it_is() -> None:
    error = {"code": json.loads(r'"a\ud800"'), "message": "no"}
    assert told({"id": ASKED, "error": error}) == (Outcome.PROTOCOL_ERROR, "a?")


@pytest.mark.parametrize("number", [ASKED + 1, str(ASKED), float(ASKED), None, True, [ASKED], {}])
def test_an_answer_to_another_question_is_none(number: Any) -> None:
    assert told({"id": number, "result": GOOD}) == (Outcome.INVALID_OUTPUT, "wrong_id")


def test_the_id_true_is_not_one() -> None:
    assert judged({"id": True, "result": GOOD}, 1) == judged({"id": 2, "result": GOOD}, 1)


@given(JSON, JSON)
def test_whatever_comes_is_judged(result: Any, error: Any) -> None:
    for message in ({"id": ASKED, "result": result}, {"id": ASKED, "error": error}, {"id": result, "error": error}):
        outcome, code = told(message)
        assert (outcome, code) != (Outcome.OK, "") or "content" in message["result"]
        assert len(code) <= 60


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_only_an_object_is_a_message(text: bytes) -> None:
    message = read_message(text)
    assert message is None or json.loads(text) == message


def test_json_that_is_too_deep_or_has_too_long_a_number_is_no_message() -> None:
    assert read_message(b'{"a":' * 200_000) is None
    assert read_message(b'{"id":' + b"9" * 10_000 + b"}") is None
