"""The progress bar of a notebook, with its figures in words beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import ipywidgets as widgets
from IPython.display import display

VIEW = "application/vnd.jupyter.widget-view+json"
"""The media type of a live widget."""


@contextlib.contextmanager
def notebook_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar, hidden until it is first told something, and take it away at the end of the block."""
    bar = widgets.IntProgress(description=label, style={"description_width": "initial"})
    words = widgets.Label()
    box = widgets.HBox([bar, words])
    box.layout.display = "none"
    # Only the live view: a text beside it would stay in the stored notebook when the bar is gone.
    display({VIEW: {"version_major": 2, "version_minor": 0, "model_id": box.model_id}}, raw=True)  # type: ignore[no-untyped-call]

    def draw(done: int, total: int) -> None:
        bar.max, bar.value, words.value = total, done, f"{done:,} of {total:,}"
        box.layout.display = "flex"

    try:
        yield draw
    finally:
        for widget in (bar, words, box):
            widget.close()
