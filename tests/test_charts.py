"""Pictures: drawn from counts, said in words, and safe with whatever a server is called."""

import struct

import pytest

from mcp_workbench.charts import Bar, label, stacked_bars, waterfall


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


STEPS = [
    Bar("inputs", 0.0, 2.0, "2.00 ms"),
    Bar("policy", 2.0, 0.0001, "✗ denied, 0.00 ms", "failed"),
    Bar("execution", 0.0, None, "not reached"),
    Bar("the rest", 2.0, 8.0, "8.00 ms", "rest"),
]


def test_a_waterfall_has_a_bar_a_row_from_its_begin_to_its_end_and_says_so_in_words() -> None:
    chart = waterfall("One call", "time (ms)", "stage", STEPS)
    axes = chart.figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["inputs", "policy", "execution", "the rest"]
    assert [bar.get_x() for bar in axes.patches] == [0.0, 2.0, 2.0]
    assert [bar.get_width() for bar in axes.patches][::2] == [2.0, 8.0]
    assert [text.get_text() for text in axes.texts] == [bar.words for bar in STEPS]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (ms)", "stage")
    # The first row is on top.
    assert axes.yaxis_inverted()
    assert (
        repr(chart) == "Chart: One call. inputs: 2.00 ms; policy: ✗ denied, 0.00 ms; execution: not reached; "
        "the rest: 8.00 ms"
    )


def test_the_shortest_bar_of_a_waterfall_can_be_seen() -> None:
    axes = waterfall("One call", "time (ms)", "stage", STEPS).figure.axes[0]
    pixels = axes.transData.transform([(0, 0), (axes.patches[1].get_width(), 0)])[:, 0]
    assert pixels[1] - pixels[0] >= 1


def test_the_bars_of_a_waterfall_are_told_apart_without_colour() -> None:
    fills = {(bar.get_facecolor(), bar.get_hatch()) for bar in waterfall("O", "ms", "s", STEPS).figure.axes[0].patches}
    assert len(fills) == 3
    assert all(red == green == blue for (red, green, blue, _), _ in fills)


@pytest.mark.parametrize("bars", [[], STEPS[2:3], [Bar(f"step {at}", at, 1.0, "1") for at in range(200)]])
def test_a_waterfall_of_nothing_or_of_too_much_has_a_bounded_height(bars: list[Bar]) -> None:
    png = waterfall("O", "ms", "s", bars).png()
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height < 1_000) == (816, True)


def test_words_beside_bars_are_drawn_to_the_letter() -> None:
    chart = waterfall("$\\frac{", "ms", "$", [Bar("_x\x1b$", 0.0, 1.0, "$\\frac{ \x1b" * 100)])
    assert chart.png().startswith(b"\x89PNG")
    assert "\x1b" not in chart.words
