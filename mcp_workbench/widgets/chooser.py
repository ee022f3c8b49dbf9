"""The chooser: from the domain of the server that somebody wants to build to the closest reference server."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from mcp_workbench.kernel.starting_points import StartingPoint, StartingPoints, starting_points
from mcp_workbench.untrusted import escaped
from mcp_workbench.widgets.progress_bar import VIEW


class Chooser:
    """A list of domains, and the card of the reference server for the chosen one.

    Attributes:
        widget: the widget itself.
    """

    def __init__(self, points: StartingPoints | None = None) -> None:
        self._points = points or starting_points()
        self._domain = widgets.Dropdown(
            description="My server is about",
            options=[(point.domain, point.name) for point in self._points.points],
            style={"description_width": "initial"},
            layout=widgets.Layout(width="auto", max_width="40em"),
        )
        self._card = widgets.HTML()
        self.widget = widgets.VBox([self._domain, self._card])
        self._domain.observe(lambda _change: self._show(), names="value")
        self._show()

    @property
    def chosen(self) -> StartingPoint:
        """The starting point of the chosen domain."""
        return self._points[self._domain.value]

    def choose(self, name: str) -> StartingPoint:
        """Choose a starting point by its name and return it."""
        self._domain.value = self._points[name].name
        return self.chosen

    def _show(self) -> None:
        point = self.chosen
        state = point.missing() or "ready on this machine"
        rows = {
            "Begin with": f"{point.name} ({point.package}, runs on {point.runtime})",
            "when": point.when,
            "learn from it": point.structure,
            "state": state,
        }
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left;vertical-align:top;padding-right:1em">{escaped(head)}</th>'
            f'<td style="text-align:left;max-width:42em">{escaped(text)}</td></tr>'
            for head, text in rows.items()
        )
        self._card.value = f"<table>{cells}</table>"

    def __repr__(self) -> str:
        """Return what a page shows that is not live."""
        return f"Chooser of {len(self._points.points)} starting points (live when the cell is run)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            "text/plain": repr(self),
            VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id},
        }
