"""YAML documents that people edit: read with the line of everything, checked against a model, and written."""

from mcp_workbench.documents.checking import checked
from mcp_workbench.documents.files import write_whole
from mcp_workbench.documents.parsing import Document, parse_document, read_document
from mcp_workbench.documents.writing import Gap, written

__all__ = ["Document", "Gap", "checked", "parse_document", "read_document", "write_whole", "written"]
