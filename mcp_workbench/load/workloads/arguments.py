"""Arguments made from an input schema: valid, small, and the same in every process for one seed.

They are what a careful caller would send, not what a fuzzer would: the required ones alone first, then all of them,
then some. A pattern is read and never compiled, and nothing that a schema asks for makes the work endless.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import itertools
import math
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from mcp_workbench.contracts.audit.subschemas import read_subschemas
from mcp_workbench.contracts.schemas.changes import judge_of
from mcp_workbench.contracts.schemas.references import ABSENT
from mcp_workbench.errors import UsageError
from mcp_workbench.load.workloads.pattern_texts import UnreadPatternError, pattern_text
from mcp_workbench.untrusted import one_line
from mcp_workbench.widgets.fields import (
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
    read_fields,
)
from mcp_workbench.widgets.values import canonical, json_fault

MAX_COUNT: Final = 1_000
MAX_SIZE: Final = 10_000
"""How many values and characters one set of arguments may have."""

_TRIES_A_SET: Final = 5
_TRIES: Final = 40
_UNDECIDED: Final = 3
_MAX_SCHEMA_SIZE: Final = 500_000
_MORE_ITEMS: Final = 2
_SPAN: Final = 100
_WORDS: Final = (
    *("amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper", "kernel"),
    *("lagoon", "meadow", "north", "orchid", "pebble", "quartz", "river", "stone", "timber", "umber", "valley"),
)
_FIRST_DAY: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_YEAR_S: Final = 365 * 86_400


class _UnmadeError(ValueError):
    """A value cannot be made; says why."""


def generated_arguments(schema: Mapping[str, Any], count: int = 20, seed: int = 0) -> tuple[dict[str, Any], ...]:
    """Return arguments that an input schema allows.

    Args:
        schema: the JSON Schema of the arguments.
        count: how many at most; where the schema allows fewer there are fewer, and at least one.
        seed: for one seed and schema they are always the same.

    Raises:
        UsageError: none can be made; the sentence says why, and to write them.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_COUNT:
        raise UsageError(f"count={count!r} is no number of arguments; give 1 to {MAX_COUNT:,}")
    if fault := json_fault(schema, _MAX_SCHEMA_SIZE):
        raise _unmade(f"the schema {fault}")
    bare, fields = _without_texts(schema), read_fields(schema)
    made: dict[str, dict[str, Any]] = {}
    why, undecided = "it asks for more than is read here", 0
    for number in range(max(_TRIES, count * _TRIES_A_SET)):
        if len(made) == count or undecided > _UNDECIDED or (number >= _TRIES and not made):
            break
        try:
            value = _Maker(random.Random(f"{seed}/{number}"), number).value(fields)  # noqa: S311
        except (_UnmadeError, UnreadPatternError) as error:
            why = str(error)
            continue
        verdict = judge_of(bare)(value, bare)
        if verdict:
            made.setdefault(canonical(value), value)
        elif verdict is None:
            undecided += 1
            why = "it cannot be decided here what it allows"
    if not made:
        raise _unmade(why)
    return tuple(made.values())


def _unmade(why: str) -> UsageError:
    return UsageError(f"no arguments can be made from the input schema: {why}; write arguments of your own")


def _without_texts(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without patterns and formats: values are made to keep them, and the judge has no word on them."""
    bare = copy.deepcopy(dict(schema))
    for each in read_subschemas(bare).listed:
        if isinstance(each.schema, dict):
            each.schema.pop("pattern", None)
            each.schema.pop("format", None)
    return bare


class _Maker:
    """Makes one set of arguments.

    Args:
        chance: where chance comes from; only its ``random()``, which Python promises to keep as it is.
        number: the first set has what is required alone, the second all there is, the others something in between.
    """

    def __init__(self, chance: random.Random, number: int) -> None:
        self._chance = chance
        self._least = number == 0
        self._all = number == 1
        self._left = MAX_SIZE

    def value(self, field: Field) -> Any:
        """Return a value for a field.

        Raises:
            _UnmadeError: there is none that could be made.
            UnreadPatternError: it asks for a text with a pattern that is not read.
        """
        self._spend(1)
        if field.nullable and not self._all and self._draw(4) == 0:
            return None
        if field.default is not ABSENT and self._draw(3) == 0:
            return self._given(field.default)
        match field:
            case EnumField():
                return self._given(field.values[self._draw(len(field.values))])
            case StringField():
                return self._text(field)
            case NumberField():
                return self._number(field)
            case BooleanField():
                return self._draw(2) == 1
            case ArrayField():
                return self._array(field)
            case TupleField():
                return [self.value(each) for each in field.items]
            case ObjectField():
                return self._object(field)
            case DictField():
                return self._dict(field)
            case UnionField():
                return self._union(field)
        if field.note:
            raise _UnmadeError(field.note)
        return self._word()

    def _draw(self, below: int) -> int:
        return int(self._chance.random() * below)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _UnmadeError("it asks for arguments that are too large")

    def _given(self, value: Any) -> Any:
        self._spend(len(canonical(value)))
        return copy.deepcopy(value)

    def _word(self) -> str:
        return _WORDS[self._draw(len(_WORDS))]

    def _text(self, field: StringField) -> str:
        self._spend(min(field.min_length, MAX_SIZE + 1))
        most = math.inf if field.max_length is None else field.max_length
        for _ in range(_TRIES):
            if field.pattern:
                text = pattern_text(field.pattern, self._draw)
            elif field.format in _FORMATS:
                text = _FORMATS[field.format](self._word(), self._draw)
            else:
                text = self._plain(field.min_length, most)
            if field.min_length <= len(text) <= most:
                self._spend(len(text))
                return text
        raise _UnmadeError("no text was found that is as long as it has to be")

    def _plain(self, least: int, most: float) -> str:
        text = self._word()
        while len(text) < least:
            text += f" {self._word()}"
        if len(text) > most:
            text = text[: int(most)]
        return text.rstrip() + "x" * (len(text) - len(text.rstrip()))

    def _number(self, field: NumberField) -> float:
        try:
            return self._whole(field) if field.whole or field.multiple_of else self._between(field)
        except OverflowError:
            raise _UnmadeError("it asks for a number that is too large") from None

    def _whole(self, field: NumberField) -> float:
        """Return a multiple of 1, or of what it has to be a multiple of."""
        step = _fraction(field.multiple_of or 1)
        if field.whole or step.denominator & (step.denominator - 1):
            # Of a step such as 0.1 only whole multiples are multiples for every validator.
            step = Fraction(step.numerator)
        lows = [math.ceil(_fraction(field.minimum) / step)] if field.minimum is not None else []
        if field.exclusive_minimum is not None:
            lows.append(math.floor(_fraction(field.exclusive_minimum) / step) + 1)
        highs = [math.floor(_fraction(field.maximum) / step)] if field.maximum is not None else []
        if field.exclusive_maximum is not None:
            highs.append(math.ceil(_fraction(field.exclusive_maximum) / step) - 1)
        low = max(lows) if lows else min(0, min(highs, default=0))
        high = min([*highs, low + _SPAN])
        if high < low:
            raise _UnmadeError("it asks for a number between bounds that leave none")
        value = (low + self._draw(high - low + 1)) * step
        return int(value) if value.denominator == 1 else float(value)

    def _between(self, field: NumberField) -> float:
        lows = [bound for bound in (field.minimum, field.exclusive_minimum) if bound is not None]
        highs = [bound for bound in (field.maximum, field.exclusive_maximum) if bound is not None]
        low = float(max(lows) if lows else min([0, *highs]))
        high = float(min([*highs, low + _SPAN]))
        value = low + self._chance.random() * (high - low)
        for rounded in (round(value, 2), value):
            # A bound that is excluded is met by chance only, and refused later.
            if low <= rounded <= high and (rounded not in (field.exclusive_minimum, field.exclusive_maximum)):
                return rounded
        raise _UnmadeError("it asks for a number between bounds that leave none")

    def _array(self, field: ArrayField) -> list[Any]:
        made: list[Any] = []
        keys: set[str] = set()
        wanted = self._how_many(field.min_items, field.max_items)
        for _ in range(wanted + _TRIES * field.unique):
            if len(made) == wanted:
                break
            try:
                item = self.value(field.items)
            except _UnmadeError:
                if field.min_items == 0:
                    break
                raise
            if not field.unique or (key := canonical(item)) not in keys:
                made.append(item)
                keys |= {key} if field.unique else set()
        return made

    def _how_many(self, least: int, most: int | None) -> int:
        self._spend(min(least, MAX_SIZE + 1))
        high = least + _MORE_ITEMS if most is None else min(most, least + _MORE_ITEMS)
        if self._least or high <= least:
            return least
        return max(least, 1) + self._draw(high - max(least, 1) + 1)

    def _object(self, field: ObjectField) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for member in field.members:
            if member.required:
                made[member.name] = self._member(member.name, member.field)
            elif self._all or (not self._least and self._draw(2)):
                # What cannot be made, and need not be, is left out.
                with contextlib.suppress(_UnmadeError, UnreadPatternError):
                    made[member.name] = self._member(member.name, member.field)
        return made

    def _member(self, name: str, field: Field) -> Any:
        self._spend(len(name))
        try:
            return self.value(field)
        except UnreadPatternError as error:
            raise UnreadPatternError(f"the pattern of {one_line(name, 60)!r} is not read: {error}") from None

    def _dict(self, field: DictField) -> dict[str, Any]:
        names = itertools.islice(_names(), self._how_many(field.min_items, field.max_items))
        return {name: self.value(field.values) for name in names}

    def _union(self, field: UnionField) -> Any:
        first = self._draw(len(field.branches))
        why = ""
        for branch in (*field.branches[first:], *field.branches[:first]):
            try:
                return self.value(branch)
            except (_UnmadeError, UnreadPatternError) as error:
                why = why or str(error)
        raise _UnmadeError(why)


def _names() -> Iterator[str]:
    yield from _WORDS
    yield from (f"{word}_{number}" for number in itertools.count(2) for word in _WORDS)


def _fraction(value: float) -> Fraction:
    """Return the number that was written: of 0.1 a tenth."""
    return Fraction(value) if isinstance(value, int) else Fraction(str(value))


def _time(draw: Callable[[int], int]) -> dt.datetime:
    return _FIRST_DAY + dt.timedelta(seconds=draw(_YEAR_S))


# RFC 6761 and 5737 set these names and addresses aside: a tool that calls what it is given reaches nobody.
_FORMATS: Final[dict[str, Callable[[str, Callable[[int], int]], str]]] = {
    "date-time": lambda _, draw: _time(draw).isoformat(),
    "date": lambda _, draw: _time(draw).date().isoformat(),
    "time": lambda _, draw: f"{_time(draw):%H:%M:%S}Z",
    "duration": lambda _, draw: f"PT{1 + draw(59)}M",
    "email": lambda word, _: f"{word}@example.invalid",
    "hostname": lambda word, _: f"{word}.example.invalid",
    "ipv4": lambda _, draw: f"192.0.2.{1 + draw(254)}",
    "ipv6": lambda _, draw: f"2001:db8::{1 + draw(9_999)}",
    "uri": lambda word, _: f"https://example.invalid/{word}",
    "uri-reference": lambda word, _: f"/{word}",
    "uuid": lambda _, draw: str(uuid.UUID(int=draw(2**53) << 75 | draw(2**53), version=4)),
    "json-pointer": lambda word, _: f"/{word}",
}
