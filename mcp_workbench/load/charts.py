"""Pictures of latency, readable in grey: lines differ by their dashes, not by colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcp_workbench.load.summary import ToolSummary

_DASHES = ("-", "--", ":", "-.", (0, (1, 3)), (0, (6, 2, 1, 2, 1, 2)))
_GREYS = ("0.0", "0.35", "0.55")
_DRAWN = 12


def latency_chart(rows: Sequence[ToolSummary]) -> Figure:
    """Draw, for each row, the share of calls that were answered within a time.

    Args:
        rows: at most 12 are drawn, those with the most calls.

    Returns:
        A matplotlib figure that belongs to no window; a notebook shows it as PNG.
    """
    # Not pyplot: it would keep the figure alive, and choose a window system.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    drawn = sorted(rows, key=lambda row: -row.calls)[:_DRAWN]
    for at, row in enumerate(drawn):
        shares = [100 * (rank + 1) / len(row.latencies_ms) for rank in range(len(row.latencies_ms))]
        # A dollar sign would begin mathematics in matplotlib's text.
        label = f"{one_line(row.tool, 40)} over {row.transport}".replace("$", r"\$")
        axes.step(
            row.latencies_ms,
            shares,
            where="post",
            label=label,
            linestyle=_DASHES[at % len(_DASHES)],
            color=_GREYS[at // len(_DASHES) % len(_GREYS)],
        )
    axes.set_xscale("log")
    axes.set_ylim(0, 103)
    axes.set_xlabel("latency (ms, log scale)")
    axes.set_ylabel("calls answered within (%)")
    axes.set_title("How long the calls took")
    axes.grid(visible=True, alpha=0.3)
    if drawn:
        axes.legend(loc="lower right", fontsize="small")
    return figure
