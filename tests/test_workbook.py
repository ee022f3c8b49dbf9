"""The files that come with the package, and the copy that a reader works in."""

from pathlib import Path

import pytest

from mcp_workbench.errors import UsageError
from mcp_workbench.workbook import FIRST_NOTEBOOK, copy_notebooks, shipped


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_the_data_that_the_notebooks_read_is_there() -> None:
    assert (shipped("data") / "reference_servers" / "servers.yaml").is_file()


def test_copying_makes_the_folder_and_puts_every_notebook_and_nothing_else_into_it(tmp_path: Path) -> None:
    place = tmp_path / "new" / "notebooks"
    assert copy_notebooks(place) == place
    assert names(place) == {file.name for file in shipped("notebooks").glob("*.ipynb")}


def test_the_copies_are_what_was_shipped(tmp_path: Path) -> None:
    copy_notebooks(tmp_path)
    for copy in tmp_path.iterdir():
        assert copy.read_bytes() == (shipped("notebooks") / copy.name).read_bytes()


def test_a_notebook_that_is_there_is_never_touched(tmp_path: Path) -> None:
    mine = tmp_path / FIRST_NOTEBOOK
    mine.write_text("my own work")
    copy_notebooks(tmp_path)
    copy_notebooks(tmp_path)
    assert mine.read_text() == "my own work"


def test_a_folder_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, why in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "inside", "Not a directory")):
        with pytest.raises(UsageError, match=f"cannot be put into '{place}': {why}; give another folder"):
            copy_notebooks(place)
