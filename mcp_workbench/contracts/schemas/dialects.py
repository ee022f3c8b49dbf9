"""The dialects of JSON Schema: which keywords each of them knows, all of them read into the words of 2020-12.

Sources: JSON Schema core and validation, drafts 4, 6, 7, 2019-09 and 2020-12. Keywords that a dialect does not know
are ignored, as the drafts have it; so are annotations. Where a keyword's value is not what the draft demands it is
set apart as odd: nobody can say what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mcp_workbench.contracts.schemas.values import number

TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect.

    Attributes:
        year: 4, 6, 7, 2019 or 2020: which one it is, and their order.
        words: the keywords that assert something.
    """

    year: int
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keywords:
    """What one schema object asserts, in the words of 2020-12.

    Attributes:
        known: keyword to value, each value as the draft demands it.
        odd: keyword to value where the value is not so.
    """

    known: dict[str, Any]
    odd: dict[str, Any]


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


_FOUR = words(
    "$ref additionalItems additionalProperties allOf anyOf dependencies enum exclusiveMaximum exclusiveMinimum format "
    "items maxItems maxLength maxProperties maximum minItems minLength minProperties minimum multipleOf not oneOf "
    "pattern patternProperties properties required type uniqueItems"
)
_SIX = _FOUR | words("const contains propertyNames")
_SEVEN = _SIX | words("if then else")
_NINETEEN = (_SEVEN - {"dependencies"}) | words(
    "$recursiveRef dependentRequired dependentSchemas minContains maxContains unevaluatedItems unevaluatedProperties"
)
_TWENTY = (_NINETEEN - {"additionalItems", "$recursiveRef"}) | words("$dynamicRef prefixItems")

LATEST: Final = Dialect(2020, _TWENTY)
_DIALECTS: Final = {
    "http://json-schema.org/draft-04/schema": Dialect(4, _FOUR),
    "http://json-schema.org/draft-06/schema": Dialect(6, _SIX),
    "http://json-schema.org/draft-07/schema": Dialect(7, _SEVEN),
    "https://json-schema.org/draft/2019-09/schema": Dialect(2019, _NINETEEN),
    "https://json-schema.org/draft/2020-12/schema": LATEST,
}


def dialect_of(said: object) -> Dialect | None:
    """Return the dialect that a ``$schema`` names, or ``None`` for one that is not known here.

    The addresses of drafts 4 to 7 with https name nothing: some validators take them for 2020-12.
    """
    return _DIALECTS.get(said.removesuffix("#")) if isinstance(said, str) else None


def _is_schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def _is_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_type(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def _is_count(value: object) -> bool:
    exact = number(value)
    return exact is not None and exact >= 0 and exact.denominator == 1


def _is_number(value: object) -> bool:
    return number(value) is not None


def _is_step(value: object) -> bool:
    exact = number(value)
    return exact is not None and exact > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_any(value: object) -> bool:
    del value
    return True


_CHECKS: Final[dict[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), _is_schemas),
    **dict.fromkeys(("prefixItems", "enum"), lambda value: isinstance(value, list)),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), _is_map),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(
        words("minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains"), _is_count
    ),
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "pattern", "format"), _is_text),
    "dependentRequired": lambda value: _is_map(value) and all(map(_is_names, value.values())),  # type: ignore[attr-defined]
    "multipleOf": _is_step,
    "required": _is_names,
    "type": _is_type,
    "uniqueItems": lambda value: isinstance(value, bool),
    "items": lambda value: not isinstance(value, list),
}

# What may evaluate properties or items from beside: with one of these, unevaluated* is more than additional*.
_IN_PLACE: Final = ("$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas")


def keywords_of(raw: dict[Any, Any], dialect: Dialect, *, said_so: bool = True, counted: bool = False) -> Keywords:
    """Return what the schema object ``raw`` asserts in ``dialect``, in the words of 2020-12.

    Args:
        raw: the schema.
        dialect: the dialect.
        said_so: whether the document names the dialect; if not, the words that an older one has are odd.
        counted: whether it matters which properties and items a schema evaluates, even where it allows all of them.
    """
    if dialect.year <= 7 and raw.get("$ref") is not None:
        said = {"$ref": raw["$ref"]}  # its siblings are ignored: draft 7, core, section 8.3
    else:
        said = {word: raw[word] for word in raw if isinstance(word, str) and word in dialect.words}
    odd: dict[str, Any] = {}
    if not said_so:
        odd.update((word, raw[word]) for word in ("dependencies", "$recursiveRef") if word in raw)
        if isinstance(raw.get("items"), list) and "additionalItems" in raw:
            odd["additionalItems"] = raw["additionalItems"]
    if dialect.year == 4:
        _read_draft_4(said, odd)
    if dialect.year < 2020:
        _read_old_items(said)
    if "dependencies" in said:
        _read_dependencies(said, odd)
    for word in list(said):
        if not _CHECKS.get(word, _is_any)(said[word]):
            odd[word] = said.pop(word)
    _drop_idle(said, counted)
    return Keywords(said, odd)


def _read_draft_4(said: dict[str, Any], odd: dict[str, Any]) -> None:
    for word, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        flag = said.pop(exclusive, False)
        if flag is True and word in said:
            said[exclusive] = said.pop(word)
        elif not isinstance(flag, bool):
            odd[exclusive] = flag


def _read_old_items(said: dict[str, Any]) -> None:
    rest = {"items": said.pop("additionalItems")} if "additionalItems" in said else {}
    if isinstance(said.get("items"), list):
        said["prefixItems"] = said.pop("items")
        said.update(rest)


def _read_dependencies(said: dict[str, Any], odd: dict[str, Any]) -> None:
    whole = said.pop("dependencies")
    if not _is_map(whole) or any(isinstance(each, list) and not _is_names(each) for each in whole.values()):
        odd["dependencies"] = whole
        return
    said["dependentRequired"] = {name: each for name, each in whole.items() if isinstance(each, list)}
    said["dependentSchemas"] = {name: each for name, each in whole.items() if not isinstance(each, list)}


def _drop_idle(said: dict[str, Any], counted: bool) -> None:
    """Drop what asserts nothing where it stands, and spell unevaluated* as additional* where they are the same."""
    if "if" not in said or not ("then" in said or "else" in said or counted):
        for word in ("if", "then", "else"):
            said.pop(word, None)
    if "contains" not in said:
        said.pop("minContains", None)
        said.pop("maxContains", None)
    for word, plain in (("unevaluatedProperties", "additionalProperties"), ("unevaluatedItems", "items")):
        if word not in said:
            continue
        if plain in said or (said[word] is True and not counted):
            del said[word]
        elif not any(each in said for each in _IN_PLACE) and not (plain == "items" and "contains" in said):
            said[plain] = said.pop(word)
    for word in ("dependentRequired", "dependentSchemas", "prefixItems"):
        if word in said and not said[word]:
            del said[word]


_FOUND_IN_ALL: Final = frozenset({"", "^", "$", ".*", "^.*", "(.*)", "^(.*)", r"[\s\S]*", r"^[\s\S]*", r"^[\s\S]*$"})


def matches_everything(pattern: str) -> bool:
    """Return whether a pattern is one of the few that are plainly found in every text."""
    # Not ^.*$: a line break is no match for the dot.
    return pattern in _FOUND_IN_ALL
