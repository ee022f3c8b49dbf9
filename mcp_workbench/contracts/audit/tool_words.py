"""Names and sentences of tools as words: what a name says it does, and which words two tools share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_NAME_CHARACTERS = 128
_TEXT_CHARACTERS = 2_000

# HTTPServer is HTTP, Server; v2 and v3 are told apart by the number.
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_SENTENCE_END: Final = re.compile(r"\n\s*\n|(?<=[.!?])\s")


def word_set(text: str) -> frozenset[str]:
    """Return words that are written side by side as a set."""
    return frozenset(text.split())


_EMPTY: Final = word_set(
    "a an and any are as at be by for from given if in into is it its of on or one per specific specified that the "
    "their them these this those to tool use used uses using via when which with you your"
)

# Verbs between which nobody can choose by the name alone.
_SAME: Final = {
    word: group.split()[0]
    for group in (
        "get fetch retrieve read load show view",
        "search find lookup query",
        "create add new make insert",
        "update edit modify change alter",
        "delete remove erase destroy del rm",
        "run execute exec invoke",
        "stop kill terminate halt",
    )
    for word in group.split()
}


def words_of_name(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case: those of ``delete_user``, ``delete-user`` and ``deleteUser``."""
    return tuple(word.lower() for word in _WORD.findall(name[:_NAME_CHARACTERS]))


def shared_beginning(names: Iterable[tuple[str, ...]], verbs: frozenset[str]) -> str | None:
    """Return the word with which most names of a server begin, as in ``git_status``; it says nothing of the tool.

    Args:
        names: the words of each name.
        verbs: words that say what a tool does, and so are no such beginning.
    """
    beginnings = Counter(words[0] for words in names if len(words) > 1)
    total = beginnings.total()
    word, count = beginnings.most_common(1)[0] if total else ("", 0)
    return word if count >= 3 and 2 * count > total and word not in verbs else None


def first_sentence(text: str | None) -> str:
    """Return the first sentence of a purpose, which is what lists show and models compare."""
    return _SENTENCE_END.split((text or "").strip()[:_TEXT_CHARACTERS], maxsplit=1)[0]


def telling_words(words: Iterable[str]) -> frozenset[str]:
    """Return the words that tell something, in the singular; verbs of the same meaning become one."""
    return frozenset(_SAME.get(stem, stem) for word in words if word not in _EMPTY and (stem := _singular(word)))


def words_of_text(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def _singular(word: str) -> str:
    # Only so that "files" and "file", "searches" and "search" are one word; no grammar is meant.
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
