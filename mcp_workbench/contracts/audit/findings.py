"""What an audit finds: a fault, where it is, how bad it is, why it hurts, and the mend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from mcp_workbench.contracts.audit.places import Place
from mcp_workbench.contracts.audit.subschemas import Subschemas
from mcp_workbench.contracts.audit.tool_texts import Text
from mcp_workbench.contracts.model import ToolContract

NAMED_PLACES: Final = 5
"""How many places one finding names; the others are counted."""


class Severity(StrEnum):
    """How bad a finding is.

    An error breaks calls, or says what is not so. A warning lets something go wrong in production. A note is worth
    knowing.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """The place in the order from bad to harmless: 0 for an error."""
        return _BY_RANK.index(self)


_BY_RANK: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, slots=True)
class Fault:
    """What one rule found in one tool.

    Attributes:
        where: where, for people: ``input: filters.tags[]``, ``failures: not_found``.
        finding: what is wrong.
        severity: how bad it is.
        why: why it hurts in production.
        mend: what to do.
    """

    where: str
    finding: str
    severity: Severity
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a tool, and the rule that found it.

    Attributes:
        tool: the tool's name as the contract has it; empty for what concerns all tools together.
        where: see :class:`Fault`, as are the others.
        rule: the rule's id, such as ``purpose-missing``.
        finding: what is wrong.
        severity: how bad it is.
        why: why it hurts in production.
        mend: what to do.
    """

    tool: str
    where: str
    rule: str
    finding: str
    severity: Severity
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One tool as the rules see it: its contract, and what was read once for all of them.

    Attributes:
        contract: the contract.
        input: the nodes of the input schema, if there is one.
        output: the nodes of the output schema, if there is one.
        texts: all texts that the server wrote.
        tokens: about how many tokens the tool takes of a model's context.
        places: the values that the input schema describes, the arguments as a whole first; empty without a schema.
        places_complete: whether these are all.
        words: the words of the name, without what the names of the book begin with.
        others: the names of all tools in the book.
    """

    contract: ToolContract
    input: Subschemas | None
    output: Subschemas | None
    texts: tuple[Text, ...]
    tokens: int
    places: tuple[Place, ...]
    places_complete: bool
    words: tuple[str, ...]
    others: frozenset[str]

    @property
    def schemas(self) -> list[tuple[str, Subschemas]]:
        """The schemas that there are, each with its side."""
        return [(side, read) for side, read in (("input", self.input), ("output", self.output)) if read is not None]


class Rule(Protocol):
    """A rule: it yields the faults of one tool. Its docstring says the rule, and where it is from."""

    def __call__(self, tool: Subject, /) -> Iterator[Fault]:
        """Yield what is wrong with ``tool`` by this rule."""


Rules = Mapping[str, Rule]
"""Rules by their ids."""


def named(places: Iterable[str]) -> str:
    """Return places as ``a, b and 3 more``: each once, the first :data:`NAMED_PLACES` by name."""
    all_places = list(dict.fromkeys(places))
    shown = ", ".join(place or "top level" for place in all_places[:NAMED_PLACES])
    more = len(all_places) - NAMED_PLACES
    return f"{shown} and {more:,} more" if more > 0 else shown


def located(side: str, places: Iterable[str]) -> str:
    """Return where ``places`` of a schema are: ``input: city, days``; just ``input`` for the schema as a whole."""
    shown = list(dict.fromkeys(places))
    return side if shown == [""] else f"{side}: {named(shown)}"


def in_server(mend: str) -> str:
    """Return the mend of a schema, which belongs to the server: that the contract differs from it is no mend."""
    return f"in the server: {mend}; contract update then takes it over"


def counted(count: int, noun: str) -> str:
    """Return ``1 argument`` or ``3 arguments``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
