"""The texts of a tool that reach a model, and about how many tokens they take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mcp_workbench.contracts.audit.subschemas import Subschemas
from mcp_workbench.contracts.model import ToolContract

CHARACTERS_A_TOKEN: Final = 4
"""Rule of thumb for English; the tokenizers of models differ by a third or so."""

_MAX_COUNTED_CHARACTERS = 4_000_000
_MAX_TEXT_CHARACTERS = 20_000
_MAX_TOOL_CHARACTERS = 200_000
_MAX_VALUES = 200
_WORDS: Final = ("title", "description", "const", "default", "$comment", "pattern")
_LISTS: Final = ("enum", "examples")


@dataclass(frozen=True, slots=True)
class Text:
    """One text that a model reads.

    Attributes:
        where: where it is, for people.
        text: the text, bounded.
        flat: the text on one line in lower case, as phrases are looked for.
    """

    where: str
    text: str
    flat: str


def texts_of(contract: ToolContract, schemas: list[tuple[str, Subschemas]]) -> tuple[Text, ...]:
    """Return all texts of a tool that its server writes, bounded in all.

    Args:
        contract: the tool's contract.
        schemas: its schemas, each with its side.
    """
    texts = []
    left = _MAX_TOOL_CHARACTERS
    for where, text in _all_texts(contract, schemas):
        if isinstance(text, str) and text and left > 0:
            shown = text[: min(left, _MAX_TEXT_CHARACTERS)]
            texts.append(
                Text(where, shown, " ".join(shown.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split()))
            )
            left -= len(shown)
    return tuple(texts)


def _all_texts(contract: ToolContract, schemas: list[tuple[str, Subschemas]]) -> Iterator[tuple[str, Any]]:
    yield "purpose", contract.purpose
    yield "title", contract.title
    yield "title", contract.annotations.title if contract.annotations else None
    yield "name", contract.name
    for side, subschemas in schemas:
        for each in subschemas.listed:
            if isinstance(each.schema, dict):
                where = f"{side}: {each.path}" if each.path else side
                yield from ((where, text) for text in _texts_in(each.schema))


def _texts_in(schema: dict[str, Any]) -> Iterator[Any]:
    for word in _WORDS:
        if word in schema:
            yield schema[word]
    for word in _LISTS:
        if isinstance(values := schema.get(word), list):
            yield from values[:_MAX_VALUES]
    # A name may be an instruction as well.
    if isinstance(properties := schema.get("properties"), dict):
        yield from properties


def estimated_tokens(tool: ToolContract) -> int:
    """Return about how many tokens a tool takes of a model's context: four characters of its listing are one token.

    Args:
        tool: its name, purpose and input schema count, as compact JSON; that is what clients hand on.

    Source:
        The four characters are the rule of thumb that providers of models give for English.
    """
    listing = {"name": tool.name, "description": tool.purpose or "", "inputSchema": tool.input_schema or {}}
    return math.ceil(_characters(listing) / CHARACTERS_A_TOKEN)


def _characters(listing: dict[str, Any]) -> int:
    """Return the length of a value as compact JSON, however deep it is; no further than a bound."""
    count = 0
    waiting: list[Any] = [listing]
    while waiting and count < _MAX_COUNTED_CHARACTERS:
        value = waiting.pop()
        if isinstance(value, dict):
            count += max(2, 1 + 4 * len(value)) + sum(map(len, map(str, value)))
            waiting += value.values()
        elif isinstance(value, list):
            count += max(2, 1 + len(value))
            waiting += value
        elif isinstance(value, str):
            count += 2 + len(value) + value.count("\n") + value.count('"') + value.count("\\")
        elif value is None or isinstance(value, bool):
            count += 5 if value is False else 4
        elif isinstance(value, int):
            count += 1 + value.bit_length() // 4
        else:
            count += len(str(value))
    return count
