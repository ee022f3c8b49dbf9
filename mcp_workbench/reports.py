"""What every result of the workbench has in common: a verdict, a table, a text, a page, and JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from mcp_workbench.untrusted import escaped

if TYPE_CHECKING:
    import pandas as pd


class Report(ABC):
    """A result that shows itself as text, as HTML and as JSON, and prints nothing by itself."""

    __slots__ = ()

    @property
    @abstractmethod
    def ok(self) -> bool:
        """Whether all is as it should be."""

    @property
    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """The rows of the report."""

    @abstractmethod
    def headline(self) -> str:
        """Return what the report says, in one sentence."""

    def __str__(self) -> str:
        """Return the headline and the table as plain text."""
        return f"{self.headline()}\n{self.frame!r}"

    def __repr__(self) -> str:
        """Return what ``str`` returns: a report in a cell is there to be read."""
        return str(self)

    def _repr_html_(self) -> str:
        table = self.frame._repr_html_()  # type: ignore[operator]
        return f"<p>{escaped(self.headline(), 2_000)}</p>{table}"

    def facts(self) -> dict[str, Any]:
        """Return what the report knows besides its rows, by name; for its JSON."""
        return {}

    def to_json(self, indent: int | None = 2) -> str:
        """Return ``ok``, the headline, the facts and the rows as a JSON object."""
        rows: list[dict[str, Any]] = json.loads(self.frame.to_json(orient="records", date_format="iso"))
        told = {"ok": self.ok, "headline": self.headline(), **self.facts(), "rows": rows}
        return json.dumps(told, indent=indent)
