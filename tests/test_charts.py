"""Pictures: drawn from counts, said in words, and safe with whatever a server is called."""

import struct

import pytest

from mcp_workbench.charts import label, stacked_bars


def test_a_bar_a_row_with_a_piece_a_kind_and_the_same_in_words() -> None:
    chart = stacked_bars("Findings", "findings", "tool", ["error", "note"], {"read": [2, 1], "write": [0, 3]})
    axes = chart.figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["read", "write"]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0, 2), (0, 0), (2, 1), (0, 3)]
    assert axes.get_xlabel() == "findings (count)"
    assert axes.get_ylabel() == "tool"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["error", "note"]
    assert repr(chart) == "Chart: Findings. read: 2 error, 1 note; write: 0 error, 3 note"


def test_the_pieces_are_told_apart_without_colour() -> None:
    chart = stacked_bars("F", "n", "row", ["a", "b", "c"], {"x": [1, 1, 1]})
    fills = {(bar.get_facecolor(), bar.get_hatch()) for bar in chart.figure.axes[0].patches}
    assert len(fills) == 3
    assert all(red == green == blue for (red, green, blue, _), _ in fills)


@pytest.mark.parametrize("rows", [{}, {f"tool {at}": [at] for at in range(200)}])
def test_no_rows_and_too_many_rows_make_a_picture_of_bounded_height(rows: dict[str, list[int]]) -> None:
    png = stacked_bars("F", "n", "row", ["a"], rows).png()
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height < 1_000) == (816, True)


def test_names_are_drawn_to_the_letter() -> None:
    assert label("$x^2$") == r"\$x^2\$"
    assert not label("_hidden").startswith("_")
    chart = stacked_bars("$\\frac{", "n", "$", ["$a"], {"_x\x1b$": [1], "名": [2]})
    assert chart.png().startswith(b"\x89PNG")
    assert "\x1b" not in chart.words
