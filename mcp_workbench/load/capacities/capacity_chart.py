"""Pictures of capacity, readable in grey: what is achieved of what is offered, and what it does to p95."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_workbench.charts import Chart, empty_figure, label
from mcp_workbench.load.capacities.knee import rate_words
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mcp_workbench.load.capacities.capacity import Capacity
    from mcp_workbench.load.capacities.capacity_prices import CapacityPrices

_DRAWN: Final = 30


def capacity_chart(capacity: Capacity) -> Chart:
    """Draw throughput, and p95, against what was offered, with the knee and its band.

    Args:
        capacity: void stages are left out.
    """
    figure, only = empty_figure(3.8)
    only.remove()
    left, right = figure.subplots(1, 2)
    told = sorted((stage for stage in capacity.stages if not stage.void and stage.offered), key=lambda each: each.rate)
    slo = capacity.settings.slo_p95_ms
    for words, mark, fill in (("holds", "o", "1.0"), ("does not hold", "s", "0.0")):
        chosen = [stage for stage in told if (stage.verdict(slo) == "holds") is (words == "holds")]
        offered = [stage.offered_rate for stage in chosen]
        style = {"linestyle": "", "color": "0.0", "markerfacecolor": fill, "label": words, "markersize": 5}
        if chosen:
            left.plot(offered, [stage.achieved for stage in chosen], mark, **style)
            right.plot(offered, [stage.percentile_ms(95) for stage in chosen], mark, **style)
    most = max((stage.offered_rate for stage in told), default=1.0)
    left.plot((0, most), (0, most), color="0.5", linewidth=1, linestyle="--", label="all that is offered")
    left.set_ylabel("achieved (calls/s)")
    right.set_ylabel("p95 from the intended start (ms, log scale)")
    if told:
        right.set_yscale("log")
    if slo is not None:
        right.axhline(slo, color="0.5", linewidth=1, linestyle="--", label=f"demanded: {slo:g} ms")
    for axes in (left, right):
        _mark_knee(axes, capacity)
        axes.set_xlim(0, 1.05 * most)
        axes.set_xlabel("offered (calls/s)")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small")
    figure.suptitle(label(f"How much {one_line(capacity.target, 50)} takes"))
    return Chart(figure, f"Chart: {capacity.headline()}")


def _mark_knee(axes: Axes, capacity: Capacity) -> None:
    low, high = capacity.band
    if low is not None and high is not None:
        axes.axvspan(low, high, color="0.9", zorder=0)
    if capacity.knee is not None:
        axes.axvline(capacity.knee, color="0.0", linewidth=1.2, label=f"knee: {rate_words(capacity.knee)} calls/s")


def capacity_price_chart(prices: CapacityPrices) -> Chart:
    """Draw one horizontal bar for the knee of each target, and between what it lies.

    Args:
        prices: at most 30 of its targets are drawn.
    """
    drawn = list(prices.capacities.items())[:_DRAWN]
    figure, axes = empty_figure(1.4 + 0.32 * max(len(drawn), 2))
    places = range(len(drawn))
    axes.barh(places, [each.knee or 0.0 for _, each in drawn], color="0.75", edgecolor="0.3", label="knee")
    words = "between what it lies"
    for at, (_, each) in enumerate(drawn):
        low, high = each.band
        if low is not None and high is not None:
            axes.plot((low, high), (at, at), color="0.0", linewidth=1.5, label=words)
            words = ""
    axes.set_yticks(places, [label(one_line(name, 40)) for name, _ in drawn])
    axes.invert_yaxis()
    axes.set_xlabel("knee (calls/s)")
    axes.set_ylabel("target")
    axes.set_title(label(f"How much each takes: {one_line(prices.workload, 40)}"))
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    if drawn:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small")
    told = "; ".join(f"{one_line(name, 40)}: {rate_words(each.knee or 0.0)} calls/s" for name, each in drawn)
    return Chart(figure, f"Chart: the knee of each target. {told or 'nothing to draw'}")
