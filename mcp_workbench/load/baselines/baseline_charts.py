"""Pictures of a baseline, readable in grey: its percentiles to the end of the tail, and how the load went."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from mcp_workbench.charts import Chart, empty_figure, label
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mcp_workbench.load.baselines.baseline import Baseline
    from mcp_workbench.load.baselines.histograms import Histogram

_DASHES: Final = ("-", "--", "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)))
_GREYS: Final = ("0.0", "0.35", "0.55")
_DRAWN: Final = 12
_MARKS: Final = (50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 99.999)
_SHOWN: Final = (50, 90, 99, 99.9, 99.99, 99.999)
_STEPS: Final = 40


def percentile_chart(baseline: Baseline) -> Chart:
    """Draw latency against percentile, on an axis that gives each further nine of the tail the same room.

    Args:
        baseline: of its tools at most 11 are drawn, those with the most calls, and all of them together; a line ends
            where the number of calls carries no further percentile.

    Returns:
        The picture; a notebook shows it as PNG.
    """
    whole = baseline.whole
    tools = sorted(baseline.tools, key=lambda row: -row.calls)[: _DRAWN - 1] if len(baseline.figures) > 1 else []
    lines = [(row.tool, row.latency) for row in (whole, *tools)]
    figure, axes = empty_figure(3.8)
    farthest = 90.0
    for at, (name, histogram) in enumerate(lines):
        percents = _carried(histogram)
        farthest = max([farthest, *percents])
        axes.plot(
            [_nines(percent) for percent in percents],
            _heights_ms(histogram, percents),
            label=label(one_line(name, 40)),
            linestyle=_DASHES[at % len(_DASHES)],
            color=_GREYS[at // len(_DASHES) % len(_GREYS)],
        )
    percents = _carried(whole.service)
    axes.plot(
        [_nines(percent) for percent in percents],
        _heights_ms(whole.service, percents),
        label=f"{label(one_line(whole.tool, 40))}: from when it was sent",
        linestyle=":",
        color="0.35",
        linewidth=2,
    )
    shown = [percent for percent in _SHOWN if percent <= farthest]
    axes.set_xticks([_nines(percent) for percent in shown], [f"{percent:g} %" for percent in shown])
    _latency_axis(
        axes, [value for _, each in lines for value in (each.percentile_ms(50), each.percentile_ms(farthest))]
    )
    axes.set_xlabel("percentile of the calls (%, log scale of the rest)")
    # From the left edge: the legend takes room on the right, and a title in the middle would be cut.
    axes.set_title(label(f"Latency: {one_line(baseline.conditions.words(), 70)}"), loc="left")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small")
    told = ", ".join(f"p{mark:g} {value:.2f} ms" for mark in _MARKS if (value := whole.percentile_ms(mark)) is not None)
    return Chart(figure, f"Chart: latency by percentile of {one_line(whole.tool, 40)}: {told or 'too few calls'}")


def over_time_chart(baseline: Baseline) -> Chart:
    """Draw median, p95 and longest latency of each slice of time, and below how many calls failed in it.

    Returns:
        The picture; a notebook shows it as PNG.
    """
    over = baseline.over_time
    middles_s = [each.at_s + over.slice_s / 2 for each in over.slices]
    figure, axes = empty_figure(4.2)
    for words, values, style, grey in (
        ("longest", [each.max_ms for each in over.slices], ":", "0.35"),
        ("p95", [each.p95_ms for each in over.slices], "--", "0.2"),
        ("p50", [each.p50_ms for each in over.slices], "-", "0.0"),
    ):
        heights = [math.nan if value is None else value for value in values]
        # No slice may have calls enough for p95: then it is not in the legend either.
        named = words if any(map(math.isfinite, heights)) else "_none"
        axes.plot(middles_s, heights, style, color=grey, label=named, marker=".", markersize=4)
    _latency_axis(axes, [value for each in over.slices for value in (each.p50_ms, each.max_ms)])
    axes.set_xlabel("since the first block began (s)")
    axes.set_title(label(f"Over time: {one_line(baseline.conditions.words(), 66)}"))
    axes.grid(visible=True, alpha=0.3)
    failing = [(at_s, each.failed) for at_s, each in zip(middles_s, over.slices, strict=True) if each.failed]
    if failing:
        counts = axes.twinx()
        counts.bar(
            [at_s for at_s, _ in failing],
            [failed for _, failed in failing],
            width=over.slice_s * 0.8,
            color="0.85",
            edgecolor="0.4",
            hatch="//",
            label="failed",
        )
        counts.set_ylabel("failed calls in the slice (count)")
        counts.set_ylim(0, 3 * max(failed for _, failed in failing))
        # The lines stay in front of the bars.
        axes.set_zorder(counts.get_zorder() + 1)
        axes.patch.set_visible(False)
        counts.legend(loc="upper right", fontsize="small")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", fontsize="small")
    medians = [each.p50_ms for each in over.slices if each.p50_ms is not None]
    told = f"median from {min(medians):.2f} to {max(medians):.2f} ms" if medians else "too few calls"
    failed = sum(each.failed for each in over.slices)
    return Chart(
        figure, f"Chart: latency in {len(over.slices)} slices of {over.slice_s:g} s: {told}; {failed:,} failed"
    )


def _latency_axis(axes: Axes, values_ms: list[float | None]) -> None:
    spread = [value for value in values_ms if value]
    # A log scale over less than a decade has next to no figures on it.
    wide = bool(spread) and max(spread) > 10 * min(spread)
    if wide:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(bottom=0)
    axes.set_ylabel("latency (ms, log scale)" if wide else "latency (ms)")


def _nines(percent: float) -> float:
    """Return where a percentile stands on the axis: 90 at 1, 99 at 2, 99.9 at 3."""
    return -math.log10(1 - percent / 100)


def _heights_ms(histogram: Histogram, percents: list[float]) -> list[float]:
    return [value for percent in percents if (value := histogram.percentile_ms(percent)) is not None]


def _carried(histogram: Histogram) -> list[float]:
    """Return the percentiles that are drawn: evenly on the axis, from the first call to the last but one."""
    count = histogram.count
    if count < 2:
        return []
    return [100 * (1 - count ** -(at / _STEPS)) for at in range(1, _STEPS)]
