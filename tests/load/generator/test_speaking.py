"""What the generator says to a server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.generator.call import FIRST_ID
from mcp_workbench.load.generator.speaking import agreed, cancelled, initialize, refusal, tool_call

MODERN, LEGACY = "2026-07-28", "2025-11-25"
ARGUMENTS = st.dictionaries(st.text(max_size=12), st.text(max_size=12) | st.integers() | st.just(str(FIRST_ID)))


@given(st.text(max_size=12) | st.just(str(FIRST_ID)), ARGUMENTS, st.integers(FIRST_ID, FIRST_ID * 9))
def test_a_call_says_what_was_asked_for_whatever_the_id(tool: str, arguments: dict[str, Any], number: int) -> None:
    before, after = tool_call(tool, arguments, LEGACY)
    message = json.loads(b"%b%d%b" % (before, number, after))
    assert message["id"] == number
    assert message["params"] == {"name": tool, "arguments": arguments}
    assert b"\n" not in before + after


def test_each_call_without_a_handshake_says_which_protocol_it_speaks() -> None:
    for protocol, says in ((MODERN, True), (LEGACY, False)):
        message = json.loads(b"1".join(tool_call("add", {}, protocol)))
        assert ("_meta" in message["params"]) is says
    assert (
        json.loads(b"1".join(tool_call("add", {}, MODERN)))["params"]["_meta"][
            "io.modelcontextprotocol/protocolVersion"
        ]
        == MODERN
    )


@pytest.mark.parametrize("number", [1, "a", 1.5, None])
def test_a_servers_question_is_refused_under_its_own_id(number: object) -> None:
    message = json.loads(refusal(number))
    assert message["id"] == number
    assert message["error"]["code"] == -32601


def test_half_of_a_surrogate_pair_is_said_as_it_came() -> None:
    broken = json.loads(r'"a\ud800"')
    assert json.loads(refusal(broken))["id"] == broken
    assert json.loads(b"1".join(tool_call("add", {"a": broken}, LEGACY)))["params"]["arguments"] == {"a": broken}


def test_a_question_whose_id_is_none_is_refused_under_none() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert json.loads(refusal(nested))["id"] is None


def test_a_cancellation_names_its_request() -> None:
    assert json.loads(cancelled(7))["params"]["requestId"] == 7


def test_a_handshake_settles_the_version_that_the_server_names() -> None:
    assert json.loads(initialize(LEGACY))["params"]["protocolVersion"] == LEGACY
    assert agreed({"id": 1, "result": {"protocolVersion": "2025-06-18"}}, "x") == "2025-06-18"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"result": None},
        {"result": {}},
        *({"result": {"protocolVersion": each}} for each in (7, "a\r\nb: c", "9" * 41, "é")),
    ],
)
def test_a_version_that_cannot_be_a_header_settles_nothing(answer: Any) -> None:
    with pytest.raises(UnreachableError, match="did not answer the handshake"):
        agreed(answer, "the server")
