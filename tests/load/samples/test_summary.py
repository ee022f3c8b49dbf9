"""The table of latency and error rate."""

import json
import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from example_servers import MARKUP
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.load.samples.summary import PERCENTILES, percentile, summarise
from mcp_workbench.records import CallRecord, Outcome

LATENCIES = st.lists(st.floats(0, 1e6), min_size=1, max_size=300).map(sorted)
BASE = ["tool", "transport", "calls", "errors", "error rate"]
FIGURES = ["p50 ms", "p90 ms", "p95 ms", "p99 ms", "max ms"]


def record(latency_ms: float = 1.0, **changes: Any) -> CallRecord:
    made = CallRecord("0" * 32, "desk", "stdio", "add", "0" * 16, 0, 0, round(latency_ms * 1e6), Outcome.OK)
    return replace(made, **changes)


RECORDS = st.lists(
    st.builds(
        record,
        st.integers(0, 10_000),
        tool=st.sampled_from(["add", "fail"]),
        transport=st.sampled_from(["stdio", "http", "in-process"]),
        outcome=st.sampled_from(list(Outcome)),
        purpose=st.sampled_from(["call", "sample", "warm-up"]),
    ),
    max_size=60,
)


@given(LATENCIES, st.sampled_from(PERCENTILES))
def test_a_percentile_is_numpys_inverted_cdf(values: list[float], percent: int) -> None:
    assert percentile(values, percent) == np.percentile(values, percent, method="inverted_cdf")


@given(LATENCIES, st.integers(1, 100))
def test_a_percentile_was_observed_and_is_the_first_that_enough_calls_kept(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


@given(LATENCIES)
def test_percentiles_never_fall_as_the_percentage_rises(values: list[float]) -> None:
    found = [percentile(values, percent) for percent in (0.1, 25, 50, 75, 90, 99.9, 100)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (values[0], values[-1])


@given(RECORDS)
def test_every_call_but_the_warm_up_is_in_exactly_one_row(records: list[CallRecord]) -> None:
    summary = summarise(records)
    kept = [each for each in records if each.purpose != "warm-up"]
    assert sum(row.calls for row in summary.tools) == len(kept)
    assert [(row.tool, row.transport) for row in summary.tools] == list(
        dict.fromkeys((each.tool, each.transport) for each in kept)
    )
    for row in summary.tools:
        of_row = [each for each in kept if (each.tool, each.transport) == (row.tool, row.transport)]
        assert list(row.latencies_ms) == sorted(each.latency_ms for each in of_row)
        assert row.errors == sum(each.outcome not in (Outcome.OK, Outcome.CANCELLED) for each in of_row)
        assert row.error_rate == row.errors / len(of_row)


@given(RECORDS)
def test_the_table_has_a_column_for_each_outcome_that_occurred_and_they_add_up(records: list[CallRecord]) -> None:
    frame = summarise(records).frame
    shown = list(frame.columns)
    occurred = {each.outcome.value for each in records if each.purpose != "warm-up"} - {"ok"}
    words = [outcome.value for outcome in Outcome if outcome.value in occurred]
    assert shown == [*BASE, *words, *FIGURES]
    failures = [word for word in words if word != "cancelled"]
    assert all(row[failures].sum() == row["errors"] for _, row in frame.iterrows())


def test_the_first_table_of_a_few_calls_is_right_to_the_digit() -> None:
    records = [record(number) for number in range(1, 99)]
    records += [record(500, outcome=Outcome.TOOL_ERROR), record(900, outcome=Outcome.TIMEOUT)]
    records += [record(5_000, purpose="warm-up"), record(7, transport="http")]
    frame = summarise(records).frame
    assert frame.texts() == [
        ["add", "stdio", "100", "2", "2.0%", "1", "1", "50.00", "90.00", "95.00", "500.00", "900.00"],
        ["add", "http", "1", "0", "0.0%", "0", "0", "-", "-", "-", "-", "7.00"],
    ]


def test_two_transports_are_never_in_one_row_and_both_are_in_the_headline() -> None:
    summary = summarise([record(), record(transport="http"), record(transport="in-process", tool="other"), record()])
    assert [(row.tool, row.transport, row.calls) for row in summary.tools] == [
        ("add", "stdio", 2),
        ("add", "http", 1),
        ("other", "in-process", 1),
    ]
    assert summary.headline() == "4 calls over stdio, http, in-process, 0 failed (0.0%)"


@pytest.mark.parametrize(
    ("records", "note", "headline", "ok"),
    [
        ([], "", "no calls yet", False),
        ([], "dropped some", "no calls yet; dropped some", False),
        ([record(purpose="warm-up")], "", "no calls yet", False),
        ([record()], "", "1 call over stdio, 0 failed (0.0%)", True),
        ([record()] * 1_234, "", "1,234 calls over stdio, 0 failed (0.0%)", True),
        ([record(), record(outcome=Outcome.TIMEOUT)], "", "2 calls over stdio, 1 failed (50.0%)", False),
        ([record()], "dropped some", "1 call over stdio, 0 failed (0.0%); dropped some", True),
    ],
    ids=["nothing", "nothing but a note", "warm-up only", "one", "many", "a failure", "a note"],
)
def test_the_headline_counts_calls_and_failures_and_only_a_whole_sample_without_failures_is_ok(
    records: list[CallRecord], note: str, headline: str, ok: bool
) -> None:
    summary = summarise(records, note=note)
    assert (summary.headline(), summary.ok) == (headline, ok)
    assert not summarise(records, note=note, cut_short=True).ok


@given(RECORDS, RECORDS)
def test_adding_two_summaries_is_the_summary_of_all_their_calls(one: list[CallRecord], other: list[CallRecord]) -> None:
    assert summarise(one) + summarise(other) == summarise(one + other)


def test_adding_two_summaries_keeps_the_notes_of_both() -> None:
    cut = summarise([record()], note="cut short", cut_short=True)
    added = cut + summarise([record()]) + summarise([], note="dropped")
    assert added.note == "cut short; dropped"
    assert not added.ok


def test_a_summary_without_calls_is_still_a_table_a_text_a_page_and_json() -> None:
    empty = summarise([])
    assert list(empty.frame.columns) == BASE + FIGURES
    assert str(empty).splitlines()[0] == "no calls yet"
    assert "(no rows)" in empty._repr_html_()
    assert json.loads(empty.to_json()) == {"ok": False, "headline": "no calls yet", "rows": []}


def test_the_json_of_a_summary_has_the_figures_as_numbers() -> None:
    rows = json.loads(summarise([record(1.5), record(2.5, outcome=Outcome.REJECTED)]).to_json())["rows"]
    assert rows[0] | {"p50 ms": 1.5, "max ms": 2.5, "calls": 2, "errors": 1, "rejected": 1} == rows[0]


def test_a_hostile_name_of_a_tool_is_text_in_every_form() -> None:
    summary = summarise([record(tool=MARKUP)])
    assert "<script" not in summary._repr_html_()
    assert "\x1b" not in str(summary) + summary._repr_html_() + summary.to_json()


def test_the_rows_of_a_summary_cannot_be_changed() -> None:
    summary = summarise([record()])
    with pytest.raises(FrozenInstanceError):
        summary.tools[0].tool = "other"  # type: ignore[misc]
    assert math.isclose(summary.tools[0].percentile_ms(50), 1.0)
