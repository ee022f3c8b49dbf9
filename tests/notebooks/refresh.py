"""Run the notebooks and store their outputs: ``python tests/notebooks/refresh.py [NAME ...]``.

What is stored is what a static page can show: live widget views and the bars of finished progress are left out.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def refresh(path: Path) -> None:
    """Run one notebook from top to bottom and write it back with fresh outputs."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(path.parent)}}).execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    for at, cell in enumerate(notebook.cells):
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if "tags" in cell.metadata else {})
        # Ids by position, so that a refreshed notebook differs only where it says something else.
        cell.id = f"cell-{at:02d}"
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop(VIEW, None)
                if "metadata" in output:
                    output.metadata = nbformat.from_dict({})
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    nbformat.write(notebook, path)
    print(f"{path.name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} code cells run and stored")


if __name__ == "__main__":
    for each in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not sys.argv[1:] or any(word in each.name for word in sys.argv[1:]):
            refresh(each)
