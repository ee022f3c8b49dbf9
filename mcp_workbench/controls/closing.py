"""Schemas closed: objects that name their properties take no others.

An object of a schema is closed where it has ``properties`` and says nothing of others (``additionalProperties``,
``patternProperties``, ``unevaluatedProperties``, ``propertyNames``, ``minProperties``). Where several schemas hold for
one object (``allOf``, ``anyOf``, ``oneOf``, ``$ref``, ``if``, ...), each of them names only a part: the object takes
what any of them names. Two things always hold, and are tested:

- what the closed schema allows, the schema itself allows, too;
- what the schema allows, and has only names that are named for its place, the closed schema allows, too.

A definition that stands for itself in one place and is a part of others elsewhere (a model alone, and in a union) stays
open, and the places where it stands for itself refer to a closed copy.

Where that cannot be shown, a schema stays as open as it was: below ``not``, ``if`` and ``oneOf``, where refusing more
may mean allowing more; where one alternative is free to have any property; where a part of others is not referred to
but stands there itself; and everywhere in a schema with ``$dynamicRef``, ``$recursiveRef`` or an inner ``$id``. What is
no schema (``properties`` that are a number) stays as it is, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from mcp_workbench.contracts.schemas.dialects import LATEST, dialect_of
from mcp_workbench.controls.surveying import Survey
from mcp_workbench.controls.weighing import as_map

# By these words a reference may lead to another place than it says; what has one of the others may stand only once.
_ELSEWHERE: Final = ("$dynamicRef", "$recursiveRef", "$id")
_ONLY_ONCE: Final = ("$anchor", "$dynamicAnchor")
_MOST_COPIES: Final = 100
# What holds values and no schemas, and what holds schemas by names that are no keywords.
_VALUES: Final = ("const", "default", "enum", "example", "examples")
_MAPS: Final = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its objects closed; nothing in it is changed, what is not is shared.

    Args:
        schema: a schema; JSON Schema 2020-12 unless it says another draft.
    """
    whole = dict(schema)
    dialect = dialect_of(schema["$schema"]) if "$schema" in schema else LATEST
    if dialect is None:
        return whole
    survey = Survey(whole, dialect.words, refs_stand_alone=dialect.year <= 7)
    try:
        # The whole may have a name; what has one inside of it is a document of its own.
        if _says({word: each for word, each in whole.items() if word != "$id"}, _ELSEWHERE):
            return whole
        survey.visit(whole, allowed=True)
        return _Rewriting(whole, survey, "definitions" if dialect.year <= 7 else "$defs").done()
    except RecursionError:
        return whole


class _Rewriting:
    """A schema as it is with those schemas closed that can be.

    Args:
        root: the whole schema.
        survey: what is known of it.
        word: the keyword under which its draft has definitions.
    """

    def __init__(self, root: dict[str, Any], survey: Survey, word: str) -> None:
        self._root = root
        self._closable = survey.closable()
        self._word = word
        self._names: dict[int, str] = {}
        self._references: dict[int, str] = {}
        self._copied: list[tuple[dict[str, Any], set[str]]] = []
        taken = set(as_map(root.get(word)))
        copies = {} if _says(root, _ONLY_ONCE) else survey.copies(self._closable)
        for key, (alias, names) in copies.items():
            head = id(alias.head)
            if head not in self._names:
                if len(self._names) == _MOST_COPIES or not isinstance(root.get(word, {}), dict):
                    continue
                self._names[head] = _free_name(alias.schema["$ref"], taken)
                self._copied.append((alias.head, names))
            self._references[key] = f"#/{word}/{self._names[head]}"

    def done(self) -> dict[str, Any]:
        """Return the whole schema."""
        made: dict[str, Any] = self._rewritten(self._root)
        if self._copied:
            copies = {self._names[id(head)]: _shut(self._inside(head), names) for head, names in self._copied}
            made[self._word] = {**made.get(self._word, {}), **copies}
        return made

    def _rewritten(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._rewritten(each) for each in value]
        if not isinstance(value, dict):
            return value
        made = self._inside(value)
        names = self._closable.get(id(value))
        if id(value) in self._references:
            made["$ref"] = self._references[id(value)]
        return made if names is None else _shut(made, names)

    def _inside(self, value: dict[str, Any]) -> dict[str, Any]:
        return {word: self._rewritten(each) for word, each in value.items()}


def _shut(schema: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a schema that takes these names and no others."""
    properties = as_map(schema.get("properties"))
    if missing := sorted(names - properties.keys(), key=str):
        schema = {**schema, "properties": {**properties, **{name: {} for name in missing}}}
    return {**schema, "additionalProperties": False}


def _free_name(reference: str, taken: set[str]) -> str:
    """Return a name for the closed copy of a definition, and take it; people read it in listings."""
    last = reference.rpartition("/")[2][:60]
    stem = "".join(each for each in last if each.isascii() and (each.isalnum() or each in "_-")) or "Object"
    number = 1
    while (name := f"{stem}_alone" if number == 1 else f"{stem}_alone_{number}") in taken:
        number += 1
    taken.add(name)
    return name


def _says(schema: Any, words: Collection[str], *, named: bool = False) -> bool:
    """Return whether a schema, or one in it, has one of some words with a text.

    Args:
        schema: a schema, or what is in one.
        words: the words.
        named: whether what stands here are names of schemas, and no keywords.
    """
    if isinstance(schema, list):
        return any(_says(each, words) for each in schema)
    if not isinstance(schema, dict):
        return False
    return any(
        (word in words and isinstance(each, str)) or _says(each, words, named=not named and word in _MAPS)
        for word, each in schema.items()
        if named or word not in _VALUES
    )
