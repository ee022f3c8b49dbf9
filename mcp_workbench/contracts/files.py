"""Contract files: a book read from YAML that people edit, and written as YAML in which the gaps are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mcp_workbench.contracts.gaps import PARTS
from mcp_workbench.contracts.model import Annotations, ContractBook, Example, FailureCase, ServerIdentity, ToolContract
from mcp_workbench.documents import Document, Gap, checked, read_document, write_whole, written
from mcp_workbench.errors import FileError
from mcp_workbench.untrusted import one_line

_HEAD: Final = """\
# What the server promises of each of its tools. A null is a gap: nobody has said it yet, and you can.
# mcp-workbench contract audit names what is missing or contradicts itself.
"""

_GAPS: Final = {part.field: part.write for part in PARTS} | {
    "idempotency_key": "the argument that holds the key",
    "open_world": "true if it reaches things outside of the server, else false",
    "when": "what makes the tool answer with this failure",
    "retryable": "true if the same call may succeed later, unchanged, else false",
    "caller": "what the caller should do about it",
}
_NO_GAPS: Final = {"title", "deadline_ms", "annotations", "wording", "fingerprint"}


def read_book(file: Path | str) -> ContractBook:
    """Read a contract file.

    Args:
        file: the path of a YAML file as ``contract_schema`` describes it.

    Raises:
        FileError: it cannot be read, or is no contract; the sentence names file, line and field. A schema in it that
            is no valid JSON Schema is no error here: the audit finds it.
    """
    document = read_document(Path(file))
    _refuse_twins(document)
    return checked(document, ContractBook)


def book_text(book: ContractBook, schema: str | None = None) -> str:
    """Return a book as the text of a contract file, from which ``read_book`` reads the same book.

    Args:
        book: the contracts. What is not said and should be is a null, with what to write beside it.
        schema: where editors find the JSON Schema of contracts, relative to the file; see ``contract_schema``.

    Raises:
        FileError: a schema or an example holds what no file can: nesting or numbers without end, no JSON.
    """
    head = "" if schema is None else f"# yaml-language-server: $schema={one_line(schema)}\n"
    data = {"server": _server(book.server), "contract": book.contract, "tools": [_tool(tool) for tool in book.tools]}
    return head + _HEAD + written(data)


def write_book(book: ContractBook, file: Path | str, schema: str | None = None) -> Path:
    """Write a book to a file, all of it or nothing; a file that is there is replaced, with the comments in it.

    Args:
        book: the contracts.
        file: the path of the file; its folder must be there.
        schema: as in :func:`book_text`.

    Returns:
        The path.

    Raises:
        FileError: the file cannot be written, or the book not be put into one.
    """
    return write_whole(book_text(book, schema), file)


def contract_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of contract files, with which editors complete and check them."""
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tool contracts of an MCP server",
        "description": "What a server promises of each of its tools. A null is a gap: nobody has said it yet.",
    }
    return about | {
        key: value for key, value in ContractBook.model_json_schema(by_alias=True).items() if key not in about
    }


def _refuse_twins(document: Document) -> None:
    """Name the lines of both, if two contracts are of one tool; the model sees no lines."""
    tools = document.data.get("tools") if isinstance(document.data, dict) else None
    seen: dict[str, int] = {}
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str):
            continue
        line = document.line(("tools", index, "name"))
        if name in seen:
            raise FileError(
                f"{document.name}, line {line}, tools[{index}].name: the tool {one_line(name, 80)!r} is there twice, "
                f"in line {seen[name]} and here; keep one contract per tool"
            )
        seen[name] = line


def _server(server: ServerIdentity) -> dict[str, Any]:
    return {"name": server.name} | ({} if server.version is None else {"version": server.version})


def _tool(tool: ToolContract) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for field in ToolContract.model_fields:
        value = getattr(tool, field)
        if value is None:
            wanted = tool.idempotency == "by key" if field == "idempotency_key" else field not in _NO_GAPS
            if wanted:
                data[field] = Gap(_GAPS[field])
        elif field == "failures":
            data[field] = [_failure(failure) for failure in value]
        elif field == "examples":
            data[field] = [_example(example) for example in value]
        elif field == "annotations":
            data[field] = _annotations(value)
        else:
            data[field] = value
    return data


def _failure(failure: FailureCase) -> dict[str, Any]:
    said = {field: getattr(failure, field) for field in FailureCase.model_fields}
    return {field: Gap(_GAPS[field]) if value is None else value for field, value in said.items()}


def _example(example: Example) -> dict[str, Any]:
    data: dict[str, Any] = {"arguments": example.arguments, "outcome": example.outcome}
    # A null may be just what a tool is promised to return.
    return data | ({"result": example.result} if "result" in example.model_fields_set else {})


def _annotations(annotations: Annotations) -> dict[str, Any]:
    return annotations.model_dump(by_alias=True, exclude_none=True)
