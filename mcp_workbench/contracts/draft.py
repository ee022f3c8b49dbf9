"""Draft: the contract that a server's own listing amounts to, with everything that it does not say left as a gap."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rfc8785

from mcp_workbench.contracts.model import (
    Annotations,
    ContractBook,
    Effects,
    Idempotency,
    Schema,
    ServerIdentity,
    ToolContract,
)
from mcp_workbench.errors import ContractError
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_types import Tool

MAX_DEPTH = 80
"""A schema that is nested deeper cannot be written into a contract; no server means one."""


def draft_book(server: str, version: str | None, tools: Sequence[Tool]) -> ContractBook:
    """Return the contracts of a server as far as its listing says them; nothing is invented.

    Args:
        server: the server's name.
        version: its version, if it says one.
        tools: what it lists.

    Returns:
        A book of version 0.1.0. Schemas and hints are taken over as they are, ``$ref`` and all; effects, idempotency
        and open world are filled only where a hint says them.

    Raises:
        ContractError: the listing cannot be a contract: a name twice, or a schema that is no JSON.
    """
    drafted: dict[str, ToolContract] = {}
    for tool in tools:
        if tool.name in drafted:
            raise ContractError(
                f"{one_line(server, 80)!r} lists the tool {one_line(tool.name, 80)!r} twice; "
                "clients cannot tell them apart: give each a name of its own in the server"
            )
        drafted[tool.name] = draft_tool(tool)
    identity = ServerIdentity(name=server, version=version or None)
    return ContractBook(server=identity, tools=tuple(drafted.values()))


def draft_tool(tool: Tool) -> ToolContract:
    """Return the contract of one listed tool; see :func:`draft_book`."""
    said: dict[str, Any] = {
        "title": tool.title,
        "purpose": (tool.description or "").strip() or None,
        "input_schema": _plain(tool.input_schema, tool.name),
        "output_schema": None if tool.output_schema is None else _plain(tool.output_schema, tool.name),
    }
    listed = tool.annotations
    hints = None if listed is None else Annotations.model_validate(listed.model_dump(by_alias=True, exclude_none=True))
    if hints is not None:
        said |= {
            "effects": effects_of(hints),
            "idempotency": idempotency_of(hints),
            "open_world": hints.open_world,
            "annotations": hints,
        }
    said["wording"] = _digest({"title": tool.title, "description": tool.description})
    said["fingerprint"] = fingerprint(tool)
    return ToolContract(name=tool.name, **{part: value for part, value in said.items() if value is not None})


def effects_of(hints: Annotations) -> Effects | None:
    """Return what hints say of a tool's effects; ``None`` where they leave it open or contradict each other.

    By the MCP specification (schema, ``ToolAnnotations``) the destructive hint counts only for a tool that is not
    read-only, which is what a tool is that does not say.
    """
    if hints.read_only:
        return None if hints.destructive else "read"
    if hints.destructive:
        return "destructive"
    return "write" if hints.read_only is False and hints.destructive is False else None


def idempotency_of(hints: Annotations) -> Idempotency | None:
    """Return what hints say of idempotency: nothing of keys, and a "no" only for a tool that is not read-only."""
    if hints.idempotent:
        return "natural"
    return "none" if hints.idempotent is False and not hints.read_only else None


def fingerprint(tool: Tool) -> str:
    """Return one number for all that a model or a client reads of a tool: name, title, description, schemas, hints.

    Returns:
        ``sha256:`` and the digest of the canonical JSON (RFC 8785), so that the order of keys does not matter.
    """
    hints = tool.annotations
    read = {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
        "annotations": None if hints is None else hints.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    return _digest(read)


def _digest(read: Mapping[str, Any]) -> str:
    said = {key: value for key, value in read.items() if value is not None}
    try:
        canonical = rfc8785.dumps(said)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        # RFC 8785 knows no whole numbers beyond 2**53 and no lone surrogates; Python's own order is as good here.
        canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), default=str).encode()
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def _plain(schema: Mapping[str, Any], tool: str) -> Schema:
    """Return a copy of a schema as plain JSON, or say why it is none."""
    fault = _json_fault(schema)
    if fault:
        raise ContractError(f"a schema of the tool {one_line(tool, 80)!r} {fault}; mend it in the server")
    plain: Schema = json.loads(json.dumps(schema))
    return plain


def _json_fault(value: object) -> str:
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} deep"
        if isinstance(one, Mapping):
            if not all(isinstance(key, str) for key in one):
                return "has a key that is no text"
            waiting += [(inner, depth + 1) for inner in one.values()]
        elif isinstance(one, list | tuple):
            waiting += [(inner, depth + 1) for inner in one]
        elif isinstance(one, float) and not math.isfinite(one):
            return f"holds {one}, which is not JSON"
        elif not (one is None or isinstance(one, str | int | float)):
            return f"holds a {type(one).__name__}, which is not JSON"
    return ""
