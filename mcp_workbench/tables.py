"""Tables: DataFrames that show themselves in full, and escape what came from a server."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd

from mcp_workbench.untrusted import one_line, plain

SHOWN_ROWS = 200
"""How many rows a table shows; the rest are counted in a line below it."""

_CELL_CHARACTERS = 600
_TEXT_CHARACTERS = 80
_STYLE = "text-align:left;vertical-align:top;padding:2px 8px;white-space:pre-wrap;max-width:42em"


class Table(pd.DataFrame):
    """A DataFrame for reading: whole sentences in its cells, no index, nothing that a server wrote is markup."""

    @property
    def _constructor(self) -> type[Table]:
        return Table

    @property
    def _constructor_sliced(self) -> type[pd.Series[Any]]:
        return pd.Series

    def headings(self) -> list[str]:
        """Return the headings as they are shown."""
        return [plain(name, 100) for name in self._with_groups().columns]

    def _with_groups(self) -> pd.DataFrame:
        """Return the rows with the names of groups as columns; an index that only counts is not shown."""
        named = any(name is not None for name in self.index.names)
        return pd.DataFrame(self).reset_index() if named else pd.DataFrame(self)

    def texts(self) -> list[list[str]]:
        """Return the rows as they are shown, at most :data:`SHOWN_ROWS`: printable and bounded, not escaped."""
        shown = self._with_groups().head(SHOWN_ROWS)
        columns = [
            [_text(value, share=str(name).endswith("rate")) for value in shown.iloc[:, at]]
            for at, name in enumerate(shown.columns)
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def _note(self) -> str:
        if self.empty:
            return "(no rows)"
        return f"{len(self):,} rows in all, the first {SHOWN_ROWS} shown" if len(self) > SHOWN_ROWS else ""

    def _repr_html_(self) -> str:
        """Return the table as HTML in which every cell and heading is escaped."""
        heads = "".join(f'<th scope="col" style="{_STYLE}">{html.escape(name)}</th>' for name in self.headings())
        body = "".join(
            "<tr>" + "".join(f'<td style="{_STYLE}">{html.escape(text)}</td>' for text in row) + "</tr>"
            for row in self.texts()
        )
        note = f"<p>{self._note()}</p>" if self._note() else ""
        # mathjax_ignore: a dollar sign in a server's text is a dollar sign.
        return (
            '<div class="mathjax_ignore tex2jax_ignore"><table class="dataframe">'
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
        )

    def __repr__(self) -> str:
        """Return the table as text, a line a row; long cells are cut."""
        rows = [[one_line(text, _TEXT_CHARACTERS) for text in row] for row in [self.headings(), *self.texts()]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, self._note()] if self._note() else lines)


def _text(value: Any, *, share: bool = False) -> str:
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1%}" if share else f"{value:,.2f}"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%H:%M:%S.%f")[:-3]
    return plain(value, _CELL_CHARACTERS)


def table(rows: list[dict[str, Any]], columns: list[str]) -> Table:
    """Return ``rows`` as a table with just ``columns``, in that order, also when there are no rows."""
    return Table(pd.DataFrame(rows, columns=pd.Index(columns)))
