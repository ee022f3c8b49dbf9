"""Audit: whether there are schemas, and whether they are schemas at all: keywords, references, circles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mcp_workbench.contracts.audit.findings import (
    NAMED_PLACES,
    Fault,
    Rules,
    Severity,
    Subject,
    counted,
    in_server,
    located,
)
from mcp_workbench.contracts.audit.metaschema import faults, meant
from mcp_workbench.contracts.audit.places import MAX_PLACES
from mcp_workbench.contracts.schemas.dialects import LATEST, dialect_of
from mcp_workbench.untrusted import one_line

_REF_CHARACTERS = 80
_WORD_CHARACTERS = 40
_MAX_UNKNOWN_WORDS = 1_000


def input_schema_missing(tool: Subject) -> Iterator[Fault]:
    """A tool has an input schema. Source: MCP specification, ``Tool``: it is required."""
    if tool.contract.input_schema is None:
        yield Fault(
            "input",
            "there is no input schema",
            Severity.ERROR,
            "bad arguments reach the code and fail somewhere inside; a model guesses what to send",
            in_server(
                'write the JSON Schema of the arguments, for a tool without: {"type": "object", "properties": {}, '
                '"additionalProperties": false}'
            ),
        )


def output_schema_missing(tool: Subject) -> Iterator[Fault]:
    """A tool has an output schema. Source: the build sequence's contract template; MCP specification, ``Tool``."""
    if tool.contract.output_schema is None:
        yield Fault(
            "output",
            "there is no output schema",
            Severity.WARNING,
            "clients guess at results, and break when these change",
            in_server(
                "write the JSON Schema of the structured result, in Python: return a pydantic model or a TypedDict"
            ),
        )


def schema_invalid(tool: Subject) -> Iterator[Fault]:
    """A schema is valid by the metaschema of its dialect. Source: see ``metaschema``; MCP specification, ``Tool``."""
    for side, schemas in tool.schemas:
        dialect = dialect_of(schemas.root["$schema"]) if "$schema" in schemas.root else LATEST
        found = list(faults(schemas.listed, (dialect or LATEST).year))
        if found:
            told = "; ".join(clause for _, clause in found[:NAMED_PLACES])
            more = f"; and {len(found) - NAMED_PLACES:,} more" if len(found) > NAMED_PLACES else ""
            yield Fault(
                located(side, (path for path, _ in found)),
                f"the schema is not a valid JSON Schema: {told}{more}",
                Severity.ERROR,
                "clients that check schemas refuse the tool, often all tools of the server; others ignore the rule",
                in_server("correct the keyword, in Python: let pydantic write the schema"),
            )


def keyword_misspelt(tool: Subject) -> Iterator[Fault]:
    """No keyword is a known one but for a letter or its case.

    Source: ours; JSON Schema 2020-12, core, section 4.3.1: keywords that are not known are ignored.
    """
    for side, schemas in tool.schemas:
        intended: dict[str, str | None] = {}
        found: list[tuple[str, str]] = []
        for each in schemas.listed:
            for word in each.schema if isinstance(each.schema, dict) else ():
                if isinstance(word, str) and (word in intended or len(intended) < _MAX_UNKNOWN_WORDS):
                    if word not in intended:
                        intended[word] = meant(word)
                    if intended[word] is not None:
                        found.append((each.path, word))
        if found:
            words = list(dict.fromkeys(word for _, word in found))
            told = "; ".join(
                f"unknown keyword {one_line(word, _WORD_CHARACTERS)!r}; did you mean {intended[word]}?"
                for word in words[:NAMED_PLACES]
            )
            yield Fault(
                located(side, (path for path, _ in found)),
                told + (f" (and {len(words) - NAMED_PLACES:,} more)" if len(words) > NAMED_PLACES else ""),
                Severity.WARNING,
                "validators ignore what they do not know: the rule that was meant does not hold, and nobody is told",
                in_server('correct the keyword, or begin it with "x-" if it is one of your own'),
            )


def dialect_unknown(tool: Subject) -> Iterator[Fault]:
    """``$schema`` names a draft from 4 to 2020-12.

    Source: MCP specification, JSON Schema usage: without it 2020-12 is meant, and another dialect may be refused.
    """
    for side, schemas in tool.schemas:
        said = schemas.root.get("$schema")
        if isinstance(said, str) and dialect_of(said) is None:
            yield Fault(
                side,
                f'"$schema" names a dialect that nobody knows: {one_line(said, _REF_CHARACTERS)}',
                Severity.WARNING,
                "a client that cannot read the schema refuses the tool, or does not check arguments",
                in_server('leave "$schema" out, which means 2020-12'),
            )


def input_no_object(tool: Subject) -> Iterator[Fault]:
    """The input schema says ``"type": "object"`` at its top. Source: MCP specification, ``Tool``: it is required."""
    schema = tool.contract.input_schema
    if schema is not None and schema.get("type") != "object":
        yield Fault(
            "input",
            'the input schema does not say "type": "object" at its top',
            Severity.ERROR,
            "arguments are always an object: clients refuse the tool, or cannot make its form",
            in_server('write "type": "object" beside the other keywords'),
        )


def reference_lost(tool: Subject) -> Iterator[Fault]:
    """A ``$ref`` leads to a schema inside the same document. Source: JSON Schema 2020-12, core, section 8.2.3.1.

    References out of the document count as lost: nobody should fetch what a server names.
    """
    for side, schemas in tool.schemas:
        if schemas.lost:
            refs = list(dict.fromkeys(ref for _, ref in schemas.lost))
            shown = ", ".join(one_line(ref, _REF_CHARACTERS) for ref in refs[:NAMED_PLACES])
            yield Fault(
                located(side, (path for path, _ in schemas.lost)),
                f"{counted(len(refs), 'reference')} lead{'s' * (len(refs) == 1)} to nothing in the schema: {shown}",
                Severity.ERROR,
                "validators fail on every call that comes here, or let everything pass",
                in_server('put what is meant under "$defs", and refer to it as "#/$defs/NAME"'),
            )


def reference_circle(tool: Subject) -> Iterator[Fault]:
    """No value is described by itself. Source: JSON Schema 2020-12, core, section 9.4.1."""
    for side, schemas in tool.schemas:
        if found := schemas.circles():
            yield Fault(
                located(side, found),
                "a reference comes back to itself without going into a part of the value",
                Severity.ERROR,
                "validators never end: one call holds up a client or the server",
                in_server("take the reference out, or put it under properties or items"),
            )


def schema_recursive(tool: Subject) -> Iterator[Fault]:
    """A schema that contains itself is right, and worth knowing. Source: ours."""
    for side, schemas in tool.schemas:
        if not schemas.circles() and (found := schemas.recursions()):
            yield Fault(
                located(side, found),
                "the schema contains itself",
                Severity.NOTE,
                "models fill such arguments badly, and some clients refuse schemas that have no end",
                in_server("bound the depth by hand if two or three levels are enough"),
            )


def schema_too_large(tool: Subject) -> Iterator[Fault]:
    """A schema is small enough to be read in full. Source: ours; see :data:`~.places.MAX_PLACES`."""
    for side, schemas in tool.schemas:
        if not schemas.complete or (side == "input" and not tool.places_complete):
            yield Fault(
                side,
                f"the schema is too large to audit in full: only its first {MAX_PLACES:,} parts were looked at",
                Severity.NOTE,
                "no model reads such a schema, and clients take long over it",
                in_server("make several tools of it, or take an identifier instead of the whole"),
            )


RULES: Final[Rules] = {
    "input-schema-missing": input_schema_missing,
    "output-schema-missing": output_schema_missing,
    "schema-invalid": schema_invalid,
    "keyword-misspelt": keyword_misspelt,
    "dialect-unknown": dialect_unknown,
    "input-no-object": input_no_object,
    "reference-lost": reference_lost,
    "reference-circle": reference_circle,
    "schema-recursive": schema_recursive,
    "schema-too-large": schema_too_large,
}
"""The rules on schemas as such."""
