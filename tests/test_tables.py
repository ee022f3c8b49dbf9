"""Tables: whole sentences, no index, no markup of a server's."""

import math

import pandas as pd
import pytest
from example_servers import MARKUP
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.tables import SHOWN_ROWS, Table, table

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(st.integers(), max_size=3),
)


def test_a_table_has_the_columns_it_was_asked_for_in_that_order_also_without_rows() -> None:
    assert list(table([], ["b", "a"]).columns) == ["b", "a"]
    assert list(table([{"a": 1, "b": 2, "c": 3}], ["b", "a"]).columns) == ["b", "a"]


def test_an_empty_table_says_that_it_has_no_rows() -> None:
    empty = table([], ["name"])
    assert repr(empty) == "name\n(no rows)"
    assert "<p>(no rows)</p>" in empty._repr_html_()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (math.nan, "-"),
        (pd.NaT, "-"),
        (pd.NA, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1234.5678, "1,234.57"),
        (math.inf, "inf"),
        (pd.Timestamp(1_700_000_000_123_456_789, unit="ns", tz="UTC"), "22:13:20.123"),
        ("", ""),
        ([1, 2], "[1, 2]"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
    ],
)
def test_a_cell_shows_its_value_the_way_people_write_it(value: object, shown: str) -> None:
    assert table([{"x": value}], ["x"]).texts() == [[shown]]


def test_a_column_of_some_missing_yes_and_no_shows_all_three() -> None:
    assert table([{"x": True}, {"x": None}, {"x": False}], ["x"]).texts() == [["yes"], ["-"], ["no"]]


def test_nothing_that_a_server_wrote_is_markup_in_a_cell_or_a_heading() -> None:
    page = table([{MARKUP: MARKUP}], [MARKUP])._repr_html_()
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") == 2
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_page_keeps_dollar_signs_from_being_read_as_mathematics() -> None:
    assert table([{"x": "$x$"}], ["x"])._repr_html_().startswith('<div class="mathjax_ignore tex2jax_ignore">')


def test_the_text_of_a_table_keeps_each_row_on_one_line_without_controls() -> None:
    lines = repr(table([{"x": MARKUP + "\nsecond line"}, {"x": "b"}], ["x"])).splitlines()
    assert len(lines) == 3
    assert not any("\x1b" in line or "\u202e" in line for line in lines)


def test_a_long_cell_is_bounded_in_the_page_and_in_the_text() -> None:
    long = table([{"x": "y" * 100_000}], ["x"])
    assert len(long._repr_html_()) < 2_000
    assert "[100,000 characters in all, the first 600 shown]" in long._repr_html_()
    assert len(repr(long)) < 200


def test_a_long_table_shows_its_first_rows_and_counts_the_rest() -> None:
    long = table([{"x": number} for number in range(SHOWN_ROWS + 1)], ["x"])
    assert len(long.texts()) == SHOWN_ROWS
    assert repr(long).endswith(f"{SHOWN_ROWS + 1} rows in all, the first {SHOWN_ROWS} shown")
    assert len(repr(long).splitlines()) == SHOWN_ROWS + 2
    assert long._repr_html_().count("<tr>") == SHOWN_ROWS + 1
    assert "rows in all" not in repr(long.head(SHOWN_ROWS))


def test_what_is_selected_from_a_table_is_a_table_and_a_column_is_a_plain_series() -> None:
    whole = table([{"a": "<b>", "b": 1}], ["a", "b"])
    assert isinstance(whole[["a"]], Table)
    assert isinstance(whole.query("b == 1"), Table)
    assert "<b>" not in whole[whole["b"] == 1]._repr_html_()
    assert type(whole["a"]) is pd.Series


@given(st.lists(st.fixed_dictionaries({"a": CELLS, "b": CELLS}), max_size=8))
def test_any_rows_make_a_text_with_a_line_each_and_a_page_with_a_row_each(rows: list[dict[str, object]]) -> None:
    made = table(rows, ["a", "b"])
    assert len(repr(made).splitlines()) == 1 + max(1, len(rows))
    assert made._repr_html_().count("<tr>") == 1 + len(rows)
    assert all(len(row) == 2 for row in made.texts())
