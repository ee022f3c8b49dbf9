"""What a value must be: said in words, and checked. Knows nothing of widgets.

Patterns are shown, never matched: a server's regular expression can run for hours.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from mcp_workbench import untrusted
from mcp_workbench.contracts.schemas.references import ABSENT
from mcp_workbench.widgets.fields import (
    AnyField,
    ArrayField,
    BooleanField,
    DictField,
    EnumField,
    Field,
    NumberField,
    ObjectField,
    StringField,
    TupleField,
    UnionField,
)
from mcp_workbench.widgets.values import canonical, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME_CHARACTERS: Final = 60
"""How much of one name is shown in a label or a path."""
PROBLEMS_TOLD: Final = 20
"""How many problems one sentence names."""

# RFC 3339, section 5.6; a time may leave out its offset, because pydantic's does.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_FORMATS: Final = {
    "date": ("a date", "2026-01-31", _DATE),
    "time": ("a time", "14:30:00", _TIME),
    "date-time": ("a date and time with an offset", "2026-01-31T14:30:00+00:00", _DATE_TIME),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: where, such as ``limits.days`` or ``tags[0]``; empty for the arguments as a whole.
        text: what is wrong and what to do, to be read after the path.
    """

    path: str
    text: str


def child(path: str, name: str) -> str:
    """Return the path of an object's member."""
    shown_name = untrusted.one_line(name, NAME_CHARACTERS) or '""'
    return f"{path}.{shown_name}" if path else shown_name


def sentence(found: list[Problem]) -> str:
    """Return problems as one sentence."""
    told = [f"{problem.path or 'arguments'}: {problem.text}" for problem in found[:PROBLEMS_TOLD]]
    if len(found) > PROBLEMS_TOLD:
        told.append(f"and {len(found) - PROBLEMS_TOLD} more")
    return "; ".join(told)


def fits(field: Field, value: Any) -> bool:
    """Tell whether a JSON value is one that ``field`` asks for, as far as it can be told here."""
    return next(problems(field, value, ""), None) is None


def best_branch(field: UnionField, value: Any) -> int | None:
    """Return which branch of a union shows ``value`` with the fewest unnamed members, or ``None``."""
    found = [(_unnamed(branch, value), i) for i, branch in enumerate(field.branches) if fits(branch, value)]
    return min(found)[1] if found else None


def problems(field: Field, value: Any, path: str) -> Iterator[Problem]:
    """Yield what is wrong with a JSON value and with all that it holds."""
    if value is None and field.nullable:
        return
    own = list(own_problems(field, value, path))
    yield from own
    if own:
        return
    match field:
        case ArrayField():
            for place, item in enumerate(value):
                yield from problems(field.items, item, f"{path}[{place}]")
        case TupleField():
            for place, (inner, item) in enumerate(zip(field.items, value, strict=False)):
                yield from problems(inner, item, f"{path}[{place}]")
        case DictField():
            for name, item in value.items():
                yield from problems(field.values, item, child(path, name))
        case ObjectField():
            yield from _member_problems(field, value, path)


def own_problems(field: Field, value: Any, path: str) -> Iterator[Problem]:
    """Yield what is wrong with a JSON value itself, whatever it holds; null is not asked for here."""
    texts: Iterable[str] = ()
    match field:
        case StringField():
            texts = _string(field, value)
        case NumberField():
            texts = _number(field, value)
        case EnumField():
            if canonical(value) not in field.numbers:
                texts = [f"{shown(value)} is none of the choices: choose {_some(field.values)}"]
        case BooleanField():
            texts = [] if isinstance(value, bool) else [f"{shown(value)} is neither true nor false"]
        case ArrayField() | TupleField():
            texts = _list(field, value)
        case DictField():
            texts = _dict(field, value)
        case ObjectField():
            texts = [] if isinstance(value, dict) else [f"{shown(value)} is not an object"]
        case UnionField():
            texts = _union(field, value)
    for text in texts:
        yield Problem(path, text)


def kind_of(field: Field) -> str:
    """Return the kind of a field in a few words."""
    match field:
        case StringField():
            return _FORMATS[field.format][0] if field.format in _FORMATS else "text"
        case NumberField():
            return "a whole number" if field.whole else "a number"
        case BooleanField():
            return "true or false"
        case EnumField() if len(field.values) == 1:
            return shown(field.values[0])
        case EnumField():
            return "one of the choices"
        case ArrayField() | TupleField():
            return "a list"
        case DictField() | ObjectField():
            return "an object"
        case UnionField():
            return "one of several kinds"
    return "any JSON"


def branch_name(field: Field) -> str:
    """Return what tells one branch of a union from the others: its title, its tags or its kind."""
    name = untrusted.one_line(field.title, NAME_CHARACTERS) or kind_of(field)
    if isinstance(field, ObjectField):
        tags = [
            f"{child('', member.name)} = {shown(member.field.values[0], 30)}"
            for member in field.members
            if isinstance(member.field, EnumField) and len(member.field.values) == 1
        ]
        name = f"{name} ({', '.join(tags[:3])})" if tags else name
    elif isinstance(field, ArrayField):
        name = f"{name} of {kind_of(field.items)}"
    return f"{name} or null" if field.nullable else name


def instruction(field: Field) -> str:
    """Return what to do about a required field that is blank."""
    return _instruction(field) + (", or tick null" if field.nullable else "")


def _instruction(field: Field) -> str:
    match field:
        case EnumField() | BooleanField():
            return "is required: choose one"
        case DictField():
            return "is required: write a JSON object, such as {}"
        case AnyField():
            return 'is required: write JSON, such as 5, "text" or {}'
        case StringField() if field.format in _FORMATS:
            return f"is required: give {kind_of(field)}, such as {_FORMATS[field.format][1]}"
    return f"is required: give {kind_of(field)}"


def example_of(field: StringField) -> str:
    """Return an example of a text's format; empty where there is none."""
    return _FORMATS[field.format][1] if field.format in _FORMATS else ""


def help_line(field: Field, *, required: bool) -> str:
    """Return the line under a field: description, kind, bounds and default; plain text, to be escaped."""
    alone = isinstance(field, EnumField) and len(field.values) == 1
    kind = f"always {kind_of(field)}" if alone else kind_of(field)
    parts = [untrusted.one_line(field.description, 400).rstrip(".")]
    # That a text is text is seen, where something else is said of it.
    obvious = kind == "text" and not _bounds(field) and not field.nullable and field.description
    if not obvious:
        parts.append(
            ", ".join([kind[:1].upper() + kind[1:], *_bounds(field)]) + (", or null" if field.nullable else "")
        )
    if isinstance(field, StringField) and field.pattern:
        parts.append(f"Pattern, which the server checks: {untrusted.one_line(field.pattern, 120)}")
    if isinstance(field, AnyField | DictField):
        parts.append("Written as JSON" + (f", because {field.note}" if field.note else ""))
    elif field.note:
        parts.append(f"Note: {field.note}")
    if field.default is not ABSENT and not (isinstance(field, StringField) and field.format == "password"):
        parts.append(f"Default: {shown(field.default, 80)}")
    elif not required and field.default is ABSENT:
        blank = isinstance(field, StringField | NumberField | AnyField | DictField)
        parts.append("Optional: left out when blank" if blank else "Optional")
    return ". ".join(part for part in parts if part) + "."


def _bounds(field: Field) -> list[str]:
    match field:
        case NumberField():
            said = [
                ("at least", field.minimum),
                ("above", field.exclusive_minimum),
                ("at most", field.maximum),
                ("below", field.exclusive_maximum),
                ("a multiple of", field.multiple_of),
            ]
            return [f"{words} {shown(bound)}" for words, bound in said if bound is not None]
        case StringField():
            formatted = field.format and field.format not in _FORMATS
            format_words = [f"format {untrusted.one_line(field.format, NAME_CHARACTERS)}"] if formatted else []
            return format_words + _size(field.min_length, field.max_length, "character")
        case ArrayField() | TupleField() | DictField():
            unique = ["no two equal"] if isinstance(field, ArrayField) and field.unique else []
            return _size(field.min_items, field.max_items, "item") + unique
    return []


def _size(low: int, high: int | None, unit: str) -> list[str]:
    def many(number: int) -> str:
        return f"{shown(number)} {unit}{'' if number == 1 else 's'}"

    if high is not None and low == high:
        return [f"exactly {many(low)}"]
    return ([f"at least {many(low)}"] if low else []) + ([] if high is None else [f"at most {many(high)}"])


def _string(field: StringField, value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{shown(value)} is not text: give it in double quotes"
        return
    yield from _size_problems(value, field.min_length, field.max_length, "character", "text")
    if field.format in _FORMATS:
        kind, example, pattern = _FORMATS[field.format]
        if not (pattern.fullmatch(value) and _is_real(field.format, value)):
            yield f"{shown(value)} is not {kind}: write one such as {example}"


def _is_real(kind: str, text: str) -> bool:
    try:
        if kind == "date":
            dt.date.fromisoformat(text)
        elif kind == "time":
            dt.time.fromisoformat(text.upper())
        else:
            dt.datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def _number(field: NumberField, value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{shown(value)} is not {kind_of(field)}"
        return
    if field.whole and value != int(value):
        yield f"{shown(value)} is not a whole number"
        return
    if field.minimum is not None and value < field.minimum:
        yield f"{shown(value)} is below the minimum {shown(field.minimum)}"
    if field.exclusive_minimum is not None and value <= field.exclusive_minimum:
        yield f"{shown(value)} is not above {shown(field.exclusive_minimum)}"
    if field.maximum is not None and value > field.maximum:
        yield f"{shown(value)} is above the maximum {shown(field.maximum)}"
    if field.exclusive_maximum is not None and value >= field.exclusive_maximum:
        yield f"{shown(value)} is not below {shown(field.exclusive_maximum)}"
    # As fractions of what is written, 0.3 is a multiple of 0.1; as binary floats it is not.
    if field.multiple_of is not None and Fraction(str(value)) % Fraction(str(field.multiple_of)):
        yield f"{shown(value)} is not a multiple of {shown(field.multiple_of)}"


def _list(field: ArrayField | TupleField, value: Any) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{shown(value)} is not a list"
        return
    yield from _size_problems(value, field.min_items, field.max_items, "item", "list")
    if isinstance(field, ArrayField) and field.unique:
        seen: dict[str, int] = {}
        for place, item in enumerate(value):
            before = seen.setdefault(canonical(item), place)
            if before != place:
                yield f"items {before} and {place} are equal: keep one of them"
                return


def _dict(field: DictField, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{shown(value)} is not a JSON object: write one such as {{}}"
        return
    yield from _size_problems(value, field.min_items, field.max_items, "item", "object")


def _size_problems(value: Any, low: int, high: int | None, unit: str, kind: str) -> Iterator[str]:
    size = len(value)
    many = f"{size} {unit}{'' if size == 1 else 's'}"
    if size < low:
        yield f"the {kind} has {many}, fewer than the minimum {shown(low)}"
    if high is not None and size > high:
        yield f"the {kind} has {many}, more than the maximum {shown(high)}"


def _union(field: UnionField, value: Any) -> list[str]:
    if any(fits(branch, value) for branch in field.branches):
        return []
    names = [branch_name(branch) for branch in field.branches[:5]]
    more = " or another kind" if len(field.branches) > len(names) else ""
    return [f"{shown(value)} is not {' or '.join(names)}{more}"]


def _member_problems(field: ObjectField, value: dict[str, Any], path: str) -> Iterator[Problem]:
    names = {member.name for member in field.members}
    for member in field.members:
        if member.name in value:
            yield from problems(member.field, value[member.name], child(path, member.name))
        elif member.required:
            yield Problem(child(path, member.name), instruction(member.field))
    for name, item in value.items():
        if name not in names:
            yield from extra_problems(field, name, item, path)


def extra_problems(field: ObjectField, name: str, value: Any, path: str) -> Iterator[Problem]:
    """Yield what is wrong with a value under a name that the object does not list."""
    if field.extra == "closed":
        yield Problem(child(path, name), "is no field here: remove it")
    else:
        yield from problems(field.values, value, child(path, name))


def _some(values: tuple[Any, ...]) -> str:
    listed = " or ".join(shown(value, 30) for value in itertools.islice(values, 5))
    return listed if len(values) <= 5 else f"{listed} or another"


def _unnamed(field: Field, value: Any) -> int:
    if not isinstance(value, dict):
        return 0
    names = {member.name for member in field.members} if isinstance(field, ObjectField) else set()
    return len(value.keys() - names)
