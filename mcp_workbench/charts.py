"""Pictures for notebooks and static pages, readable in grey; matplotlib loads when the first one is drawn."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DRAWN_BARS = 30
_FILLS = (("0.15", ""), ("0.6", "///"), ("0.92", ".."), ("0.75", "xx"))
_KINDS = {"done": ("0.35", ""), "failed": ("1.0", "xxxx"), "rest": ("0.92", "..")}
# Of the longest of a waterfall: about two pixels.
_LEAST_WIDTH = 0.005


@dataclass(frozen=True, slots=True, repr=False)
class Chart:
    """A picture for a notebook or a static page, with what it says in words.

    Attributes:
        figure: the matplotlib figure; it belongs to no window.
        words: what it shows, for those who do not see it.
    """

    figure: Figure
    words: str

    def png(self) -> bytes:
        """Return the picture as PNG."""
        buffer = io.BytesIO()
        # Without its date and version, so that the same picture is the same file.
        with warnings.catch_warnings():
            # A name in a script that the font lacks is drawn as boxes; no reason to write on standard error.
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
            self.figure.savefig(buffer, format="png", dpi=96, metadata={"Software": None})
        return buffer.getvalue()

    def __repr__(self) -> str:
        """Return what the picture shows, in words."""
        return self.words

    def _repr_png_(self) -> bytes:
        return self.png()


def empty_figure(height_inches: float) -> tuple[Figure, Axes]:
    """Return a figure as wide as a notebook's page, and its axes."""
    # Not pyplot: it would keep the figure alive, and choose a window system.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, height_inches), layout="constrained")
    return figure, figure.add_subplot()


def label(text: str) -> str:
    """Return ``text`` as matplotlib shows it to the letter."""
    # A dollar sign would begin mathematics in matplotlib's text, an underscore hides a line from the legend.
    shown = one_line(text, 80).replace("$", r"\$")
    return f"\u2009{shown}" if shown.startswith("_") else shown


def stacked_bars(
    title: str, counted: str, named: str, kinds: Sequence[str], rows: Mapping[str, Sequence[int]]
) -> Chart:
    """Draw one horizontal bar a row, of one piece a kind.

    Args:
        title: the title of the picture.
        counted: what the pieces count.
        named: what the rows are.
        kinds: the names of the pieces, darkest first; at most four.
        rows: for each bar, from the top down, a count for each kind; at most 30 are drawn.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = list(rows.items())[:_DRAWN_BARS]
    figure, axes = empty_figure(1.2 + 0.28 * max(len(drawn), 2))
    places = range(len(drawn))
    begin = [0] * len(drawn)
    for at, kind in enumerate(kinds):
        counts = [counts[at] for _, counts in drawn]
        grey, hatch = _FILLS[at % len(_FILLS)]
        axes.barh(places, counts, left=begin, label=label(kind), color=grey, hatch=hatch, edgecolor="0.3")
        begin = [before + count for before, count in zip(begin, counts, strict=True)]
    axes.set_yticks(places, [label(name) for name, _ in drawn])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(label(f"{counted} (count)"))
    axes.set_ylabel(label(named))
    axes.set_title(label(title))
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small")
    told = "; ".join(
        f"{one_line(name, 40)}: " + ", ".join(f"{count} {kind}" for count, kind in zip(counts, kinds, strict=True))
        for name, counts in drawn
    )
    return Chart(figure, f"Chart: {one_line(title, 120)}. {told or 'nothing to draw'}")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a waterfall.

    Attributes:
        name: what it stands for.
        start: where it begins.
        length: how long it is; ``None`` for a row without a bar.
        words: what is written beside it.
        kind: how it is filled: ``done``, ``failed`` or ``rest``.
    """

    name: str
    start: float
    length: float | None
    words: str
    kind: Literal["done", "failed", "rest"] = "done"


def waterfall(title: str, measured: str, named: str, bars: Sequence[Bar]) -> Chart:
    """Draw horizontal bars from where they begin to where they end, the first on top.

    Args:
        title: the title of the picture.
        measured: what the axis measures, with its unit.
        named: what the bars are.
        bars: at most 30 are drawn; one that is too short to be seen is drawn as a line.
    """
    drawn = bars[:_DRAWN_BARS]
    figure, axes = empty_figure(1.2 + 0.28 * max(len(drawn), 2))
    most = max((bar.start + (bar.length or 0.0) for bar in drawn), default=0.0) or 1.0
    for at, bar in enumerate(drawn):
        end = bar.start
        if bar.length is not None:
            grey, hatch = _KINDS[bar.kind]
            width = max(bar.length, _LEAST_WIDTH * most)
            axes.barh(at, width, left=bar.start, color=grey, hatch=hatch, edgecolor="0.1", height=0.7)
            end += width
        axes.text(end + 0.01 * most, at, label(bar.words), va="center", fontsize="small")
    axes.set_yticks(range(len(drawn)), [label(bar.name) for bar in drawn])
    # Room for the words beside the longest bar.
    axes.set_xlim(0, 1.5 * most)
    axes.set_ylim(max(len(drawn), 1) - 0.5, -0.5)
    axes.set_xlabel(label(measured))
    axes.set_ylabel(label(named))
    axes.set_title(label(title))
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    told = "; ".join(f"{one_line(bar.name, 40)}: {one_line(bar.words, 80)}" for bar in drawn)
    return Chart(figure, f"Chart: {one_line(title, 120)}. {told or 'nothing to draw'}")
