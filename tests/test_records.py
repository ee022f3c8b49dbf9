"""Records and arguments: what is kept of a call, and what may be sent."""

import json
import re
import threading
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.errors import ArgumentsError
from mcp_workbench.records import CallLog, CallRecord, Outcome, now_ns, read_arguments, records_table

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=5)


def record(number: int = 0, **changes: Any) -> CallRecord:
    made = CallRecord(f"{number:032x}", "desk", "stdio", "add", "0" * 16, 1_000, 2_000, 3_500_000, Outcome.OK)
    return replace(made, **changes)


def reordered(value: Any) -> Any:
    """Return ``value`` with the keys of every object in the other order."""
    if isinstance(value, dict):
        return {key: reordered(inner) for key, inner in reversed(value.items())}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value


@given(OBJECT)
def test_a_json_object_is_sent_as_it_is(arguments: dict[str, Any]) -> None:
    read = read_arguments(arguments)
    assert read.values == arguments
    assert read.values == json.loads(json.dumps(arguments))
    assert re.fullmatch("[0-9a-f]{16}", read.digest)


@given(OBJECT)
def test_reordered_keys_make_the_same_digest_and_size(arguments: dict[str, Any]) -> None:
    one, other = read_arguments(arguments), read_arguments(reordered(arguments))
    assert (one.digest, one.size_bytes) == (other.digest, other.size_bytes)


@given(OBJECT, OBJECT)
def test_different_arguments_make_different_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (read_arguments(one).digest == read_arguments(other).digest) is same


def test_the_size_is_that_of_the_json_in_bytes_not_in_characters() -> None:
    assert read_arguments({"a": "é"}).size_bytes == len('{"a":"é"}'.encode())


def test_no_arguments_are_an_empty_object() -> None:
    assert read_arguments(None) == read_arguments({})
    assert read_arguments(None).values == {}


def test_what_is_sent_is_a_copy_that_later_changes_do_not_reach() -> None:
    arguments = {"a": [1, (2, 3)]}
    read = read_arguments(arguments)
    arguments["a"].append(4)
    assert read.values == {"a": [1, [2, 3]]}


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("a=1", "arguments are a dict of name and value, as in {'city': 'Bern'}; this is a str"),
        ([("a", 1)], "this is a list"),
        ({"a": 1, "b": object()}, "argument 'b' is of type object, which is not JSON"),
        ({"a": {"b": [1, {2}]}}, "argument 'a'.b[1] is of type set, which is not JSON"),
        ({"a": b"x"}, "argument 'a' is of type bytes, which is not JSON"),
        ({"a": [0.5, float("nan")]}, "argument 'a'[1] is nan, which JSON cannot carry; give a finite number"),
        ({"a": float("-inf")}, "argument 'a' is -inf, which JSON cannot carry"),
        ({"a": {"b": "x\udc80"}}, "argument 'a'.b holds half a character (a lone surrogate); give whole text"),
        ({1: 2}, "the arguments: the key 1 is no text; keys of JSON are text"),
        ({"a": {(1, 2): 3}}, "argument 'a': the key (1, 2) is no text"),
        ({"a": LOOP}, "is nested more than 100 deep, or contains itself"),
        ({"a\n\x1b[31m": object()}, "argument 'a\\n\\x1b[31m' is of type object"),
    ],
)
def test_the_sentence_names_the_argument_that_is_not_json(arguments: Any, sentence: str) -> None:
    with pytest.raises(ArgumentsError, match=re.escape(sentence)) as caught:
        read_arguments(arguments)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(OBJECT, TEXT, st.sampled_from([object(), b"", {1}, float("inf"), 1j, "\ud800"]))
def test_one_bad_value_among_good_ones_is_the_one_that_is_named(good: dict[str, Any], key: str, bad: Any) -> None:
    with pytest.raises(ArgumentsError) as caught:
        read_arguments({**good, key: bad})
    assert str(caught.value).startswith(f"argument {' '.join(repr(key).split())}")


@pytest.mark.parametrize("arguments", [{"a": 10**5_000}, {"\ud800": 1}], ids=["number", "key"])
def test_no_refusal_is_an_empty_sentence(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsError, match="argument"):
        read_arguments(arguments)


def test_a_key_that_is_no_text_is_refused_further_in_as_well() -> None:
    with pytest.raises(ArgumentsError, match="the key 1 is no text"):
        read_arguments({"a": {1: 2}})


def test_a_deep_argument_is_not_blamed_for_another_that_is_no_json() -> None:
    deep: Any = 1
    for _ in range(80):
        deep = [deep]
    read_arguments({"a": deep})
    with pytest.raises(ArgumentsError, match="argument 'b' is of type object"):
        read_arguments({"a": deep, "b": object()})


def test_a_record_cannot_be_changed_and_knows_its_latency() -> None:
    kept = record()
    assert kept.latency_ms == pytest.approx(3.498)
    with pytest.raises(FrozenInstanceError):
        kept.tool = "other"  # type: ignore[misc]
    assert not hasattr(kept, "__dict__")


def test_there_are_nine_outcomes_and_each_is_its_own_word() -> None:
    assert len(Outcome) == 9
    assert all(str(outcome) == outcome.value == outcome.name.lower() for outcome in Outcome)


def test_the_table_of_records_has_a_row_a_call_and_every_field_in_it() -> None:
    frame = records_table([record(1), record(2, outcome=Outcome.TIMEOUT, error_code="-32001")])
    assert list(frame["correlation_id"]) == [f"{1:032x}", f"{2:032x}"]
    assert list(frame["outcome"]) == ["ok", "timeout"]
    assert {"intended_start_ns", "start_ns", "end_ns"} == set(CallRecord.__dataclass_fields__) - set(frame.columns)
    assert list(records_table([]).columns) == list(frame.columns)


def test_the_start_in_the_table_is_a_time_in_utc() -> None:
    start = records_table([record(start_ns=1_700_000_000_000_000_000)])["start"].iloc[0]
    assert start.isoformat() == "2023-11-14T22:13:20+00:00"


def test_a_log_keeps_the_newest_records_and_counts_what_it_dropped() -> None:
    log = CallLog(capacity=3)
    for number in range(5):
        log.append(record(number))
    assert [int(kept.correlation_id, 16) for kept in log] == [2, 3, 4]
    assert (len(log), log.dropped) == (3, 2)
    assert [int(kept.correlation_id, 16) for kept in log.last(2)] == [4, 3]
    assert len(log.last(10)) == 3
    assert len(log.frame) == 3


def test_a_log_can_be_read_while_others_write_into_it() -> None:
    log = CallLog(capacity=50)
    writers = [threading.Thread(target=lambda: [log.append(record()) for _ in range(2_000)]) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert len(list(log)) <= 50
        assert len(log.last(7)) <= 7
    assert len(log) + log.dropped == 4_000


def test_the_clock_never_goes_back() -> None:
    moments = [now_ns() for _ in range(1_000)]
    assert moments == sorted(moments)
