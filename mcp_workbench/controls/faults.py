"""What is wrong with a value, in words of our own: where, by which rule of its schema, and what it should be.

The words name what the schema asks for and never what was sent: a caller's values may be secrets, and texts of a
validator change with its version. Only names of unknown properties are told, bounded and made visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import jsonschema_rs
import pydantic_core

from mcp_workbench.controls.failures import Failure
from mcp_workbench.untrusted import one_line

MOST_FAULTS: Final = 8
"""How many faults one failure tells; the others are counted."""

_TOLD: Final = 3
_NAME: Final = 60
_PATTERN: Final = 100
_POINTER: Final = 300
_OPTIONS: Final = 10
_UNION_DEPTH: Final = 4
# The engine gave up: whether the text matches is not known.
_GIVEN_UP: Final = (
    jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded,
    jsonschema_rs.ValidationErrorKind.RegexEngineFailure,
)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        at: where, as a JSON pointer (RFC 6901) into the value; empty for the value as a whole.
        rule: the keyword of the schema that is not met; ``json`` for what is no JSON.
        problem: what it must be, to be read after the place.
    """

    at: str
    rule: str
    problem: str

    @classmethod
    def at_place(cls, path: Iterable[object], rule: str, problem: str) -> Self:
        """Return a fault at the place to which names and numbers lead."""
        return cls(pointer(path), rule, problem)

    @classmethod
    def of_rule(cls, path: Iterable[object], rule: str, asked: Any) -> Self:
        """Return a fault in the words of its rule.

        Args:
            path: the names and numbers that lead to its place.
            rule: the keyword of the schema that is not met.
            asked: what the schema says there; for ``required`` the name that is missing, for ``additionalProperties``
                the one that is too many.
        """
        say = _WORDS.get(rule, lambda _: f"must meet {one_line(rule, _NAME)} of the schema")
        return cls(pointer(path), rule, say(asked))

    def told(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"at": self.at, "rule": self.rule, "problem": self.problem}


def pointer(path: Iterable[object]) -> str:
    """Return names and numbers as a JSON pointer, bounded and made visible."""
    parts = (one_line(part, _NAME).replace("~", "~0").replace("/", "~1") for part in path)
    return one_line("".join(f"/{part}" for part in parts), _POINTER)


def faults_in(
    errors: Iterable[jsonschema_rs.ValidationError], schema: Mapping[str, Any], path: Sequence[object] = ()
) -> list[Fault]:
    """Return what a validator's errors say, in one order whatever order they came in.

    Args:
        errors: the errors.
        schema: the schema that the value was held against.
        path: where the value stands that was validated.
    """
    return sorted({fault for error in errors for fault in _read(error, schema, path, 0)})


def refusal(tool: str, faults: Sequence[Fault]) -> Failure:
    """Return the failure for arguments that are wrong.

    Args:
        tool: the tool's name.
        faults: what is wrong with them, at least one fault.
    """
    said = [f"{fault.at or 'the arguments'} {fault.problem}" for fault in faults[:_TOLD]]
    if len(faults) > _TOLD:
        said.append(f"and {len(faults) - _TOLD} more faults" if len(faults) > _TOLD + 1 else "and one more fault")
    return Failure(
        "invalid_arguments",
        f"{one_line(tool, _NAME)} was not run: {'; '.join(said)}; correct the arguments and call again",
        details=told(faults),
    )


def told(faults: Sequence[Fault]) -> dict[str, Any]:
    """Return faults as the details of a failure: the first ones, and how many more there are."""
    details: dict[str, Any] = {"faults": [fault.told() for fault in faults[:MOST_FAULTS]]}
    if len(faults) > MOST_FAULTS:
        details["more"] = len(faults) - MOST_FAULTS
    return details


def _read(
    error: jsonschema_rs.ValidationError, schema: Mapping[str, Any], path: Sequence[object], depth: int
) -> Iterator[Fault]:
    kind = error.kind
    rule = kind.name
    place = [*path, *error.instance_path]
    if isinstance(kind, _GIVEN_UP):
        # The library's texts for these hold no pattern, and are nobody's business.
        yield Fault.at_place(place, "pattern", _given_up(schema, error.schema_path))
    elif rule == "anyOf" and depth < _UNION_DEPTH and (inner := _beside_null(kind.value)) is not None:
        for each in inner:
            if each.kind.name == "type" and each.instance_path == error.instance_path:
                yield Fault.at_place(place, "type", f"{_type(each.kind.value)} or null")
            else:
                yield from _read(each, schema, path, depth + 1)
    elif rule in ("additionalProperties", "unevaluatedProperties"):
        for name in kind.value:
            yield Fault.of_rule(place, rule, name)
    else:
        yield Fault.of_rule(place, rule, kind.value)


def _given_up(schema: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """Return the words for a text that a pattern cannot be held against within the bound of the engine."""
    found: Any = schema
    for step in path:
        if isinstance(found, Mapping):
            found = found.get(step)
        else:
            found = found[step] if isinstance(found, list) and isinstance(step, int) and step < len(found) else None
    # In patternProperties the pattern is the name itself.
    pattern = found if isinstance(found, str) else path[-1]
    return f"must be shorter or simpler: it takes too long to hold it against the pattern {one_line(pattern, _PATTERN)}"


def _beside_null(branches: list[list[jsonschema_rs.ValidationError]]) -> list[jsonschema_rs.ValidationError] | None:
    """Return the errors of the one branch that is not just null; ``None`` if this is another union."""
    others = [errors for errors in branches if not _is_null(errors)]
    return others[0] if len(others) == 1 and len(branches) == 2 else None


def _is_null(errors: list[jsonschema_rs.ValidationError]) -> bool:
    return len(errors) == 1 and errors[0].kind.name == "type" and errors[0].kind.value == ["null"]


def _quoted(name: object) -> str:
    return f'"{one_line(name, _NAME)}"'


def _json(value: object) -> str:
    return one_line(pydantic_core.to_json(value).decode(), 40)


_ARTICLES: Final = {"array": "an", "integer": "an", "object": "an"}


def _type(types: str | list[str]) -> str:
    types = [types] if isinstance(types, str) else types
    names = [name if name == "null" else f"{_ARTICLES.get(name, 'a')} {name}" for name in sorted(types)]
    return f"must be {' or '.join(names)}"


def _options(options: list[Any]) -> str:
    shown = ", ".join(map(_json, options[:_OPTIONS]))
    return f"must be one of {shown}" + (f" and {len(options) - _OPTIONS} others" if len(options) > _OPTIONS else "")


def _format(name: str) -> str:
    more = ", with the offset from UTC (RFC 3339)" if name == "date-time" else ""
    return f"must be a text of the format {one_line(name, _NAME)}{more}"


def _forms(branches: list[Any]) -> str:
    return f"must be one of the {len(branches)} forms that the schema allows, and only one"


_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "type": _type,
    "required": lambda name: f"must have {_quoted(name)}",
    "enum": _options,
    "const": lambda value: f"must be {_json(value)}",
    "minimum": lambda limit: f"must be at least {limit}",
    "maximum": lambda limit: f"must be at most {limit}",
    "exclusiveMinimum": lambda limit: f"must be more than {limit}",
    "exclusiveMaximum": lambda limit: f"must be less than {limit}",
    "multipleOf": lambda step: f"must be a multiple of {step}",
    "minLength": lambda limit: f"must have at least {limit} characters",
    "maxLength": lambda limit: f"must have at most {limit} characters",
    "minItems": lambda limit: f"must have at least {limit} items",
    "maxItems": lambda limit: f"must have at most {limit} items",
    "minProperties": lambda limit: f"must have at least {limit} properties",
    "maxProperties": lambda limit: f"must have at most {limit} properties",
    "pattern": lambda pattern: f"must match the pattern {one_line(pattern, _PATTERN)}",
    "format": _format,
    "uniqueItems": lambda _: "must not hold a value twice",
    "contains": lambda _: "must hold as many items of a kind as the schema says",
    "anyOf": lambda branches: f"must be one of the {len(branches)} forms that the schema allows",
    "oneOf": _forms,
    "not": lambda _: "must not be of the form that the schema excludes",
    "falseSchema": lambda _: "must be left out",
    "propertyNames": lambda _: "must have only names that the schema allows",
    "additionalProperties": lambda name: f"must not have {_quoted(name)}",
    "unevaluatedProperties": lambda name: f"must not have {_quoted(name)}",
    "additionalItems": lambda _: "must not have more items than the schema names",
    "unevaluatedItems": lambda _: "must not have more items than the schema names",
}
