"""The eight parts of a tool contract, and which of them are not stated yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_workbench.reports import Report
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.tables import Table

_SAID_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Part:
    """One of the eight parts.

    Attributes:
        name: what it is called in tables.
        field: the field of a contract that holds it; ``None`` there is a gap.
        write: what somebody who fills it writes.
        why: what goes wrong in production without it.
        short: from the value of the field to a few words.
    """

    name: str
    field: str
    write: str
    why: str
    short: Callable[[Any], str] = str


def _schema_in_short(schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        return ", ".join(map(str, list(properties)[:12])) or "an object without properties"
    kind = schema.get("type", "any JSON")
    return kind if isinstance(kind, str) else "a JSON Schema"


# The template of the build sequence: seven parts, and examples as the eighth.
PARTS: Final = (
    Part("name", "name", "the name under which clients call it", "nobody can call it"),
    Part(
        "purpose",
        "purpose",
        "what it is for, in a sentence or two: a model chooses by it",
        "models choose the wrong tool, or none",
    ),
    Part(
        "input schema",
        "input_schema",
        "a JSON Schema of the arguments, with bounds",
        "bad arguments reach the code and fail somewhere inside",
        _schema_in_short,
    ),
    Part(
        "output schema",
        "output_schema",
        "a JSON Schema of the structured result",
        "clients guess at results, and break when these change",
        _schema_in_short,
    ),
    Part(
        "idempotency",
        "idempotency",
        "none, natural, or by key (with idempotency_key)",
        "nobody knows whether a retry does the thing twice",
    ),
    Part(
        "effects",
        "effects",
        "read, write or destructive",
        "hosts cannot tell which calls a person must confirm",
    ),
    Part(
        "failures",
        "failures",
        "each failure: code, when, retryable, what the caller should do",
        "callers retry what cannot succeed, and give up on what could",
        lambda failures: ", ".join(failure.code for failure in failures) or "never fails on purpose",
    ),
    Part(
        "examples",
        "examples",
        "calls with the expected outcome, failures among them",
        "nothing shows that the contract is meant as it reads, and there is nothing to run as a test",
        lambda examples: f"{len(examples)}: " + ", ".join(example.outcome for example in examples[:6]),
    ),
)


@dataclass(frozen=True, slots=True, repr=False)
class Gaps(Report):
    """Which of the eight parts are stated, for one tool or for each tool of a book."""

    title: str
    tools: tuple[Mapping[str, Any], ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is left to say."""
        return not self.count

    @property
    def count(self) -> int:
        """How many parts are gaps, over all tools."""
        return sum(tool[part.field] is None for tool in self.tools for part in PARTS)

    @property
    def frame(self) -> Table:
        """For one tool a row a part, with what to write; for several a row a tool."""
        return self._parts(self.tools[0]) if len(self.tools) == 1 else self._overview()

    def headline(self) -> str:
        """Return how much of the template is filled."""
        all_parts = len(PARTS) * len(self.tools)
        return f"{one_line(self.title, 80)}: {all_parts - self.count} of {all_parts} parts are stated"

    def _parts(self, tool: Mapping[str, Any]) -> Table:
        # Only when somebody looks: a server that reads its contract needs no pandas.
        from mcp_workbench.tables import table

        rows = []
        for part in PARTS:
            value = tool[part.field]
            gap = value is None
            rows.append(
                {
                    "part": part.name,
                    "stated": not gap,
                    "what it states": None if gap else one_line(part.short(value), _SAID_CHARACTERS),
                    "what to write": part.write if gap else None,
                    "without it": part.why if gap else None,
                }
            )
        return table(rows, ["part", "stated", "what it states", "what to write", "without it"])

    def _overview(self) -> Table:
        from mcp_workbench.tables import table

        rows = [
            {"tool": one_line(tool["name"], 128), "gaps": sum(tool[part.field] is None for part in PARTS)}
            | {part.name: tool[part.field] is not None for part in PARTS[1:]}
            for tool in self.tools
        ]
        return table(rows, ["tool", "gaps", *(part.name for part in PARTS[1:])])
