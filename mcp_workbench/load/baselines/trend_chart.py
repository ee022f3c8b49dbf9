"""A picture of a trend: the figure of each release, and the levels between its steps; readable in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_workbench.charts import Chart, empty_figure, label
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.load.baselines.trend import Trend

_DRAWN: Final = 200
_NAMED: Final = 12


def trend_chart(trend: Trend) -> Chart:
    """Draw a trend.

    Args:
        trend: at most its 200 newest releases are drawn.
    """
    first = max(0, len(trend.points) - _DRAWN)
    drawn = trend.points[first:]
    factor = 100 if trend.unit == "share" else 1
    places = range(first, len(trend.points))
    figure, axes = empty_figure(3.6)
    axes.plot(places, [factor * point.value for point in drawn], "o", color="0.3", markersize=4, label="release")
    for number, step in enumerate(trend.steps):
        begin = max(first, trend.steps[number - 1].at if number else 0)
        end = trend.steps[number + 1].at if number + 1 < len(trend.steps) else len(trend.points)
        for level, left, right in ((step.before, begin, step.at), (step.after, step.at, end)):
            if right > first:
                axes.plot((max(left, first) - 0.5, right - 0.5), (factor * level,) * 2, color="0.0", linewidth=1.5)
        if step.at >= first:
            axes.axvline(
                step.at - 0.5, color="0.3", linestyle="--", linewidth=0.8, label="" if number else "a step is here"
            )
    shown = sorted({*range(first, len(trend.points), max(1, -(-len(drawn) // _NAMED)))})
    axes.set_xticks(shown, [label(one_line(trend.points[at].label, 20)) for at in shown], rotation=45, ha="right")
    axes.set_xlim(first - 0.7, len(trend.points) - 0.3)
    # Room above the highest; nothing but zeros would have no room at all.
    axes.set_ylim(0, 1.1 * factor * max((point.value for point in drawn), default=0) or 1)
    axes.set_xlabel("release")
    axes.set_ylabel(label(f"{trend.measure} (%)" if trend.unit == "share" else f"{trend.measure} ({trend.unit})"))
    axes.set_title(label(trend.headline()))
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small")
    return Chart(figure, f"Chart: {one_line(trend.headline(), 400)}")
