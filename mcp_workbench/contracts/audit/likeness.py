"""Audit: tools that are so alike that a model may take one for the other.

The names and the first sentences of the purposes are compared as sets of words (Jaccard, 1901: shared words over all
words). Each set is one integer with a bit for each word, so that 500 tools, 125,000 pairs, take a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mcp_workbench.contracts.audit.findings import NAMED_PLACES, Fault, Severity, Subject
from mcp_workbench.contracts.audit.tool_words import first_sentence, telling_words, words_of_text
from mcp_workbench.untrusted import one_line

MAX_COMPARED_TOOLS: Final = 1_000
"""How many tools are compared with each other."""
LIKENESS: Final = 0.75
"""From this share of common words on, two purposes are alike. Ours, by the listings of the reference servers."""

_WHY = "a model chooses between them by chance, and the wrong one is called"
_NAME_CHARACTERS = 60
_FEWEST_WORDS = 3


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of one tool, as bits."""

    name: int
    purpose: int
    both: int
    count: int
    parameters: frozenset[str]


def near_duplicates(tools: Sequence[Subject]) -> Iterator[tuple[Subject, Fault]]:
    """Tools can be told apart by name and purpose. Source: ours; see the module.

    A tool is reported with the tools before it that it is like. Two are alike when their names mean the same, or their
    purposes say the same, or nearly the same for the same arguments. Where the word in which the names differ is also
    one in which the purposes differ (user, group), they tell themselves apart.
    """
    bits: dict[str, int] = {}
    compared = [_words(tool, bits) for tool in tools[:MAX_COMPARED_TOOLS]]
    for at, mine in enumerate(compared):
        alike = [tools[before].contract.name for before in range(at) if _alike(compared[before], mine)]
        if alike:
            shown = ", ".join(one_line(name, _NAME_CHARACTERS) for name in alike[:NAMED_PLACES])
            more = f" and {len(alike) - NAMED_PLACES:,} more" if len(alike) > NAMED_PLACES else ""
            yield (
                tools[at],
                Fault(
                    "name and purpose",
                    f"hard to tell apart from {shown}{more}",
                    Severity.WARNING,
                    _WHY,
                    "say in both purposes when to use this one and when the other; or make one tool of them",
                ),
            )


def _alike(one: _Words, other: _Words) -> bool:
    if one.name and one.name == other.name:
        return True
    if one.purpose == other.purpose and one.purpose.bit_count() >= _FEWEST_WORDS:
        return True
    # Sets of such different sizes cannot share so many words.
    if min(one.count, other.count) < LIKENESS * max(one.count, other.count):
        return False
    shared = (one.both & other.both).bit_count()
    if shared < LIKENESS * (one.count + other.count - shared) or one.parameters != other.parameters:
        return False
    return not (one.name ^ other.name) & (one.purpose ^ other.purpose)


def _words(tool: Subject, bits: dict[str, int]) -> _Words:
    name = _bits(telling_words(tool.words), bits)
    purpose = _bits(telling_words(words_of_text(first_sentence(tool.contract.purpose))), bits)
    both = name | purpose
    whole = tool.places[0].said("properties") if tool.places else ()
    parameters = frozenset(name for names in whole if isinstance(names, dict) for name in names)
    return _Words(name, purpose, both, both.bit_count(), parameters)


def _bits(words: frozenset[str], bits: dict[str, int]) -> int:
    return sum(1 << bits.setdefault(word, len(bits)) for word in words)
