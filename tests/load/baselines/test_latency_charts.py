"""Pictures of latency: titled, with units, readable in grey, told in words."""

from collections import Counter

import pytest
from example_servers import MARKUP
from matplotlib.colors import to_rgb

from mcp_workbench.charts import Chart
from mcp_workbench.load.samples.charts import latency_chart
from mcp_workbench.load.samples.summary import ToolSummary, summarise
from mcp_workbench.records import CallRecord, Outcome, Transport


def row(tool: str = "add", transport: Transport = "stdio", latencies: tuple[float, ...] = (1, 2, 3, 8)) -> ToolSummary:
    return ToolSummary(tool, transport, Counter({Outcome.OK: len(latencies)}), latencies)


def labels(chart: Chart) -> list[str]:
    legend = chart.figure.axes[0].get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_a_picture_has_a_title_and_axes_that_name_their_units() -> None:
    (axes,) = latency_chart([row()]).figure.axes
    assert axes.get_title() == "How long the calls took"
    assert axes.get_xlabel() == "latency (ms)"
    assert axes.get_ylabel() == "calls answered within (%)"
    assert axes.get_xscale() == "linear"
    (axes,) = latency_chart([row(latencies=(1.0, 11.0))]).figure.axes
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "latency (ms, log scale)")


def test_a_line_rises_to_a_hundred_percent_at_the_slowest_call() -> None:
    (line,) = latency_chart([row(latencies=(1.0, 2.0, 4.0, 9.0))]).figure.axes[0].lines
    assert list(line.get_xdata()) == [1.0, 2.0, 4.0, 9.0]
    assert list(line.get_ydata()) == [25, 50, 75, 100]
    assert line.get_drawstyle() == "steps-post"


@pytest.mark.parametrize("latencies", [(1.0, 900.0), (2.0, 90.0), (0.3, 4.0)])
def test_figures_of_the_time_axis_are_written_out_and_not_as_powers_of_ten(latencies: tuple[float, ...]) -> None:
    axis = latency_chart([row(latencies=latencies)]).figure.axes[0].xaxis
    assert [axis.get_major_formatter()(value) for value in (0.1, 10, 1_000)] == ["0.1", "10", "1000"]


def test_each_line_is_named_by_tool_and_transport() -> None:
    assert labels(latency_chart([row("add"), row("add", "http")])) == ["add over stdio", "add over http"]


def test_there_is_no_colour_and_no_two_lines_look_the_same() -> None:
    lines = latency_chart([row(f"tool {number}") for number in range(12)]).figure.axes[0].lines
    colours = [to_rgb(line.get_color()) for line in lines]
    assert all(red == green == blue for red, green, blue in colours)
    # Grey must stay visible on white paper.
    assert max(red for red, _, _ in colours) < 0.7
    assert len({(line.get_color(), str(line._unscaled_dash_pattern)) for line in lines}) == 12


def test_only_the_dozen_with_the_most_calls_is_drawn() -> None:
    rows = [row(f"tool {number}", latencies=tuple(range(1, number + 2))) for number in range(15)]
    assert labels(latency_chart(rows)) == [f"tool {number} over stdio" for number in range(14, 2, -1)]


@pytest.mark.parametrize(
    "name",
    ["$", "$x^{$", "$$\\frac{$$", "\\$x$", "\\\\$_$", "a_b^c", "%s {0} \\n", "{", MARKUP, "x" * 5_000],
)
def test_a_hostile_name_is_drawn_as_text_and_breaks_nothing(name: str) -> None:
    chart = latency_chart([row(name)])
    assert chart.png().startswith(b"\x89PNG")
    (label,) = labels(chart)
    for words in (label, repr(chart)):
        assert len(words) < 150
        assert "\x1b" not in words
        assert "\u202e" not in words
    # Mathematics begins at a dollar sign that has no backslash of its own before it.
    assert label.count("$") == label.count("\\$")


def test_a_tool_whose_name_begins_with_an_underscore_is_in_the_legend() -> None:
    assert [label.strip() for label in labels(latency_chart([row("_private")]))] == ["_private over stdio"]


def test_a_name_in_another_script_is_drawn_without_a_warning() -> None:
    assert latency_chart([row("天気")]).png()


def test_no_rows_make_an_empty_picture_without_a_legend() -> None:
    chart = latency_chart([])
    assert labels(chart) == []
    assert chart.figure.axes[0].get_xlabel()
    assert chart.png()
    assert repr(chart).endswith("for no calls")


def test_a_picture_says_in_words_what_it_shows() -> None:
    words = repr(latency_chart([row("add"), row("fail", "http")]))
    assert words == "Chart: share of calls answered within a time, for add over stdio, fail over http"


def test_the_same_calls_make_the_same_picture_and_it_is_what_a_notebook_shows() -> None:
    assert latency_chart([row()]).png() == latency_chart([row()])._repr_png_()


def test_a_summary_draws_itself_and_its_picture_belongs_to_no_window() -> None:
    from matplotlib import _pylab_helpers

    made = CallRecord("0" * 32, "desk", "stdio", "add", "0" * 16, 0, 0, 1_000_000, Outcome.OK)
    chart = summarise([made]).plot()
    assert labels(chart) == ["add over stdio"]
    assert chart.figure not in [manager.canvas.figure for manager in _pylab_helpers.Gcf.get_all_fig_managers()]
