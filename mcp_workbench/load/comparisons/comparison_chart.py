"""A picture of a comparison: how much each latency changed, and between what that lies; readable in grey."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from mcp_workbench.charts import Chart, empty_figure, label
from mcp_workbench.load.comparisons.verdicts import Verdict
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.load.comparisons.comparison import Comparison

_DRAWN = 20
_FARTHEST = 100.0
_MARKS: Final = {
    Verdict.REGRESSION: ("s", "0.0"),
    Verdict.NO_REGRESSION: ("o", "1.0"),
    Verdict.NOT_ENOUGH: ("D", "0.7"),
}


def comparison_chart(comparison: Comparison) -> Chart:
    """Draw the ratio of each latency with its interval, beside what is tolerated.

    Args:
        comparison: at most 20 of its findings are drawn; shares of calls or of time, such as errors, are no ratio.
    """
    drawn = [each for each in comparison.findings if each.unit != "%" and each.change is not None][:_DRAWN]
    figure, axes = empty_figure(1.6 + 0.3 * max(len(drawn), 2))
    for verdict, (mark, fill) in _MARKS.items():
        chosen = [(at, each.change) for at, each in enumerate(drawn) if each.verdict is verdict]
        # An interval that is not bounded is drawn to the picture's edge.
        for at, change in chosen:
            assert change is not None
            ends = (max(change.low, 1 / _FARTHEST), min(change.high, _FARTHEST))
            axes.plot(ends, (at, at), color="0.3", linewidth=1.5)
        if chosen:
            ratios = [change.estimate for _, change in chosen if change is not None and math.isfinite(change.estimate)]
            places = [at for at, change in chosen if change is not None and math.isfinite(change.estimate)]
            axes.plot(ratios, places, mark, color="0.0", markerfacecolor=fill, linestyle="", label=verdict.value)
    axes.axvline(1, color="0.3", linewidth=0.8)
    margin = comparison.settings.p50_margin
    axes.axvline(margin, color="0.3", linewidth=0.8, linestyle="--", label=f"tolerated for p50: {margin:g}")
    axes.set_yticks(range(len(drawn)), [label(each.title) for each in drawn])
    axes.set_ylim(max(len(drawn), 1) - 0.5, -0.5)
    sure = next((each.change.confidence for each in drawn if each.change is not None), comparison.settings.confidence)
    axes.set_xlabel(f"ratio of latencies (candidate / baseline), {sure:.0%} interval")
    axes.set_ylabel("measure")
    names = f"{one_line(comparison.names[1], 30)} against {one_line(comparison.names[0], 30)}"
    axes.set_title(label(f"{names}: {comparison.verdict}"))
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small")
    told = "; ".join(each.words for each in comparison.findings[:_DRAWN]) or "nothing to draw"
    return Chart(figure, f"Chart: {names}: {comparison.verdict}. {told}")
