"""What a server lists, as tables for people: tools, resources, prompts."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mcp_types import Prompt, Resource, ResourceTemplate, Tool

from mcp_workbench.errors import UnknownToolError
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line

HINTS = {
    "read-only": "read_only_hint",
    "destructive": "destructive_hint",
    "idempotent": "idempotent_hint",
    "open world": "open_world_hint",
}
"""The four hints of a tool, by the heading under which they are shown. What a server does not say is a dash."""

_PURPOSE_CHARACTERS = 240
_SHOWN_ARGUMENTS = 20


def tools_table(tools: Sequence[Tool]) -> Table:
    """Return one row a tool: name, purpose, arguments, whether results have a schema, and the four hints."""
    rows = [
        {
            "name": one_line(tool.name, 128),
            "purpose": purpose(tool),
            "arguments": arguments_in_words(tool.input_schema),
            "output schema": tool.output_schema is not None,
            **{heading: _hint(tool, attribute) for heading, attribute in HINTS.items()},
        }
        for tool in tools
    ]
    return table(rows, ["name", "purpose", "arguments", "output schema", *HINTS])


def resources_table(resources: Sequence[Resource], templates: Sequence[ResourceTemplate]) -> Table:
    """Return one row a resource or resource template: name, address, kind, purpose."""
    items: list[Resource | ResourceTemplate] = [*resources, *templates]
    rows = [
        {
            "name": one_line(item.name, 128),
            "uri": one_line(item.uri if isinstance(item, Resource) else item.uri_template, 200),
            "template": isinstance(item, ResourceTemplate),
            "kind": one_line(item.mime_type or "-", 60),
            "purpose": one_line(item.description or "-", _PURPOSE_CHARACTERS),
        }
        for item in items
    ]
    return table(rows, ["name", "uri", "template", "kind", "purpose"])


def prompts_table(prompts: Sequence[Prompt]) -> Table:
    """Return one row a prompt: name, purpose, arguments."""
    rows = [
        {
            "name": one_line(prompt.name, 128),
            "purpose": one_line(prompt.description or "-", _PURPOSE_CHARACTERS),
            "arguments": "; ".join(
                one_line(argument.name, 60) + ("" if argument.required else " (optional)")
                for argument in (prompt.arguments or [])[:_SHOWN_ARGUMENTS]
            )
            or "none",
        }
        for prompt in prompts
    ]
    return table(rows, ["name", "purpose", "arguments"])


def unknown_tool(target: str, tool: object, names: Sequence[str]) -> UnknownToolError:
    """Return the error for a tool that ``target`` does not list, with the one that may be meant."""
    near = difflib.get_close_matches(str(tool), names, n=1)
    if near:
        hint = f"did you mean {one_line(near[0], 80)!r}?"
    else:
        shown = ", ".join(one_line(name, 60) for name in names[:12]) or "no tools at all"
        hint = f"it lists {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return UnknownToolError(f"{target!r} has no tool {one_line(tool, 80)!r}; {hint}")


def purpose(tool: Tool) -> str:
    """Return the first sentence of a tool's description on one line; its title, if there is no description."""
    told = (tool.description or tool.title or "").strip()[:4_000]
    first = re.split(r"\n\n|(?<=[.!?])\s", told, maxsplit=1)[0]
    return one_line(first, _PURPOSE_CHARACTERS) or "-"


def arguments_in_words(schema: Mapping[str, Any]) -> str:
    """Return the arguments that an input schema names, as ``city: string; days: integer = 3``.

    An argument that may be left out and has no default is followed by a question mark.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return "none"
    required = schema.get("required")
    needed = set(filter(lambda name: isinstance(name, str), required)) if isinstance(required, list) else set()
    words = [
        _argument(str(name), inner if isinstance(inner, Mapping) else {}, name in needed)
        for name, inner in list(properties.items())[:_SHOWN_ARGUMENTS]
    ]
    if len(properties) > _SHOWN_ARGUMENTS:
        words.append(f"and {len(properties) - _SHOWN_ARGUMENTS} more")
    return "; ".join(words)


def _argument(name: str, schema: Mapping[str, Any], needed: bool) -> str:
    words = f"{one_line(name, 60)}: {_kind(schema)}"
    if "default" in schema and schema["default"] is not None:
        return f"{words} = {one_line(json.dumps(schema['default'], ensure_ascii=False, default=str), 40)}"
    return words if needed else f"{words}?"


def _kind(schema: Mapping[str, Any], depth: int = 0) -> str:
    if depth > 3:
        return "…"
    if isinstance(values := schema.get("enum"), list):
        shown = " | ".join(one_line(json.dumps(value, ensure_ascii=False, default=str), 30) for value in values[:6])
        return shown + (" | …" if len(values) > 6 else "")
    for word in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(word), list):
            kinds = [_kind(branch, depth + 1) for branch in branches[:6] if isinstance(branch, Mapping)]
            return " or ".join(dict.fromkeys(kinds)) or "any"
    if isinstance(reference := schema.get("$ref"), str):
        return one_line(reference.rsplit("/", 1)[-1], 40)
    kind = schema.get("type", "any")
    if kind == "array" and isinstance(items := schema.get("items"), Mapping):
        return f"list of {_kind(items, depth + 1)}"
    return one_line(" or ".join(map(str, kind[:6])) if isinstance(kind, list) else kind, 60)


def _hint(tool: Tool, attribute: str) -> bool | None:
    told: bool | None = getattr(tool.annotations, attribute, None)
    return told
