"""The stored notebooks: run from top to bottom, without errors, and good to read where nothing is live."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
VIEW = "application/vnd.jupyter.widget-view+json"


def unrun(cells: list[Any]) -> list[int]:
    """Return the positions of code cells that were stored without having been run, in order, from top to bottom."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    return [at for at, cell in enumerate(code, start=1) if cell.execution_count != at]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(request.param, as_version=4)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_the_notebooks_are_numbered_by_the_step_of_the_build_that_they_walk() -> None:
    numbers = [int(path.name[:2]) for path in NOTEBOOKS]
    assert numbers[:3] == [0, 1, 2]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= 12


def test_every_cell_was_run_in_order_before_it_was_stored(notebook: Any) -> None:
    assert unrun(notebook.cells) == []


def test_a_cell_that_was_stored_unrun_or_out_of_order_is_found() -> None:
    from nbformat.v4 import new_code_cell, new_markdown_cell

    run, text, forgotten = new_code_cell("1", execution_count=1), new_markdown_cell("x"), new_code_cell("2")
    assert unrun([run, text, forgotten]) == [2]
    assert unrun([new_code_cell("1", execution_count=7)]) == [1]


def test_no_cell_shows_an_error_or_writes_on_standard_error(notebook: Any) -> None:
    kinds = {(output.output_type, output.get("name")) for output in outputs(notebook)}
    assert ("error", None) not in kinds
    assert ("stream", "stderr") not in kinds


def test_nothing_live_is_stored_and_every_output_says_something(notebook: Any) -> None:
    for output in outputs(notebook):
        data = output.get("data", {"text/plain": output.get("text")})
        assert VIEW not in data
        assert data["text/plain"].strip()


def test_nothing_of_the_machine_is_stored(notebook: Any) -> None:
    stored = nbformat.writes(notebook)
    assert not re.search(r"/(home|root|Users|work)/", stored)


def test_a_reader_is_told_minutes_goals_and_needs_first_and_gets_a_recap_last(notebook: Any) -> None:
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    for word in ("**Minutes:**", "**Goals.**", "**Needs:**"):
        assert word in texts[0]
    assert texts[-1].startswith("## Recap")


def test_cells_are_short_and_there_are_tables_and_a_picture(notebook: Any) -> None:
    assert all(len(cell.source.splitlines()) <= 12 for cell in notebook.cells if cell.cell_type == "code")
    stored = [set(output.get("data", {})) for output in outputs(notebook)]
    assert any("image/png" in kinds for kinds in stored)
    assert sum("text/html" in kinds for kinds in stored) >= 5


def test_links_between_notebooks_lead_somewhere(notebook: Any) -> None:
    names = {path.name for path in NOTEBOOKS}
    for cell in notebook.cells:
        assert set(re.findall(r"\]\(([\w.]+\.ipynb)\)", cell.source)) <= names
