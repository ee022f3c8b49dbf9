"""The files that come with the package: notebooks, and the data that they read."""

from __future__ import annotations

import shutil
from pathlib import Path

from mcp_workbench.errors import UsageError

FIRST_NOTEBOOK = "00_start_here.ipynb"


def shipped(folder: str) -> Path:
    """Return ``folder`` (``data`` or ``notebooks``) as it came with the package, installed or in a checkout."""
    here = Path(__file__).resolve().parent
    inside = here / folder
    return inside if inside.is_dir() else here.parent / folder


def copy_notebooks(folder: Path) -> Path:
    """Put the notebooks into ``folder``, unless they are there already; a notebook that is there is never touched.

    Returns:
        The folder.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in sorted(shipped("notebooks").glob("*.ipynb")):
            if not (folder / notebook.name).exists():
                shutil.copyfile(notebook, folder / notebook.name)
    except OSError as error:
        raise UsageError(
            f"the notebooks cannot be put into {str(folder)!r}: {error.strerror}; give another folder"
        ) from None
    return folder
