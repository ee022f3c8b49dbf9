"""Reports: one look for every result."""

import json

import pytest
from example_servers import MARKUP

from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table


class Lamps(Report):
    """A report on lamps, for the tests."""

    def __init__(self, rows: list[dict[str, object]], headline: str = "two lamps") -> None:
        self._rows = rows
        self._headline = headline

    @property
    def ok(self) -> bool:
        return len(self._rows) == 2

    @property
    def frame(self) -> Table:
        return table(self._rows, ["lamp", "watts"])

    def headline(self) -> str:
        return self._headline


LAMPS = [{"lamp": "tall", "watts": 7.5}, {"lamp": "small", "watts": None}]


def test_a_report_without_verdict_rows_and_headline_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"abstract methods? .*frame.*headline.*ok"):
        type("Unfinished", (Report,), {})()


def test_the_text_of_a_report_is_its_headline_and_its_table() -> None:
    assert str(Lamps(LAMPS)).splitlines() == ["two lamps", "lamp   watts", "tall   7.50", "small  -"]
    assert repr(Lamps(LAMPS)) == str(Lamps(LAMPS))


def test_the_page_of_a_report_escapes_headline_and_rows() -> None:
    page = Lamps([{"lamp": MARKUP, "watts": 1.0}], MARKUP)._repr_html_()
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") == 2
    assert "<table" in page


def test_the_json_of_a_report_is_verdict_headline_and_rows() -> None:
    assert json.loads(Lamps(LAMPS).to_json()) == {"ok": True, "headline": "two lamps", "rows": LAMPS}
    assert "\n" not in Lamps(LAMPS).to_json(indent=None)


def test_the_json_of_a_report_is_ascii_so_that_no_terminal_obeys_it() -> None:
    written = Lamps([{"lamp": MARKUP, "watts": 1.0}], MARKUP).to_json()
    assert written.isascii()
    assert "\x1b" not in written
    assert json.loads(written)["rows"][0]["lamp"] == MARKUP


def test_a_report_prints_nothing_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    report = Lamps(LAMPS)
    str(report), report._repr_html_(), report.to_json(), report.frame
    assert capsys.readouterr() == ("", "")
