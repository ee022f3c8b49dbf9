"""Pictures of latency and of prices, readable in grey: lines differ by their dashes, not by colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_workbench.charts import Chart, empty_figure, label
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.load.samples.prices import Price
    from mcp_workbench.load.samples.summary import ToolSummary

_DASHES = ("-", "--", ":", "-.", (0, (1, 3)), (0, (6, 2, 1, 2, 1, 2)))
_GREYS = ("0.0", "0.35", "0.55")
_DRAWN = 12


def latency_chart(rows: Sequence[ToolSummary]) -> Chart:
    """Draw, for each row, the share of calls that were answered within a time.

    Args:
        rows: at most 12 are drawn, those with the most calls.

    Returns:
        The picture; a notebook shows it as PNG.
    """
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    figure, axes = empty_figure(3.6)
    drawn = sorted(rows, key=lambda row: -row.calls)[:_DRAWN]
    for at, row in enumerate(drawn):
        shares = [100 * (rank + 1) / len(row.latencies_ms) for rank in range(len(row.latencies_ms))]
        axes.step(
            row.latencies_ms,
            shares,
            where="post",
            label=label(f"{one_line(row.tool, 40)} over {row.transport}"),
            linestyle=_DASHES[at % len(_DASHES)],
            color=_GREYS[at // len(_DASHES) % len(_GREYS)],
        )
    spread = [value for row in drawn for value in (row.latencies_ms[0], row.latencies_ms[-1])]
    # A log scale over less than a decade has next to no figures on it.
    wide = bool(spread) and max(spread) > 10 * min(spread)
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 103)
    axes.set_xlabel("latency (ms, log scale)" if wide else "latency (ms)")
    axes.set_ylabel("calls answered within (%)")
    axes.set_title("How long the calls took")
    axes.grid(visible=True, alpha=0.3)
    if drawn:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small")
    names = ", ".join(f"{one_line(row.tool, 40)} over {row.transport}" for row in drawn) or "no calls"
    return Chart(figure, f"Chart: share of calls answered within a time, for {names}")


def price_chart(tool: str, prices: Sequence[Price]) -> Chart:
    """Draw one horizontal bar for what each control costs, and between what it lies.

    Args:
        tool: the tool that was called.
        prices: from the top down; what is below the noise is drawn light.
    """
    figure, axes = empty_figure(1.4 + 0.28 * max(len(prices), 2))
    places = range(len(prices))
    for words, light, grey, hatch in (("price", False, "0.65", ""), ("below the noise", True, "0.92", "..")):
        chosen = [(at, price) for at, price in zip(places, prices, strict=True) if price.below_noise is light]
        if chosen:
            axes.barh(
                [at for at, _ in chosen],
                [price.price_us for _, price in chosen],
                color=grey,
                hatch=hatch,
                edgecolor="0.3",
                label=words,
            )
    for at, price in zip(places, prices, strict=True):
        words = "" if at else "95 % interval of the median"
        axes.plot(price.interval_us, (at, at), color="0.0", linewidth=1.5, label=words)
    names = [": ".join(filter(None, (price.stage, price.control))) for price in prices]
    axes.set_yticks(places, [label(name) for name in names])
    axes.invert_yaxis()
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_xlabel("price (CPU microseconds a call)")
    axes.set_ylabel("stage and control")
    axes.set_title(label(f"What each control costs: {one_line(tool, 40)}"))
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    if prices:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small")
    told = "; ".join(
        f"{name}: " + ("below the noise" if price.below_noise else f"{price.price_us:.1f}")
        for name, price in zip(names, prices, strict=True)
    )
    return Chart(figure, f"Chart: CPU microseconds a call of {one_line(tool, 40)}. {told or 'nothing to draw'}")
