"""Differences between two constraints of a value, in words: bounds, lengths, steps, patterns, formats, values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final

from mcp_workbench.contracts.schemas.inclusion import formats_hold
from mcp_workbench.contracts.schemas.shapes import Alternative, Array, Number, Object, Tags, Text
from mcp_workbench.contracts.schemas.values import Exact, Key, figure, listed
from mcp_workbench.contracts.schemas.verdicts import (
    NARROWED,
    NARROWED_PERHAPS,
    UNDECIDED,
    WIDENED,
    WIDENED_PERHAPS,
    Relation,
)
from mcp_workbench.untrusted import one_line

Difference = tuple[str, Relation]
"""What is different, and whether less or more is allowed now."""

SHOWN_TEXT: Final = 60


def tag_differences(old: Tags, new: Tags) -> Iterator[Difference]:
    """Yield what is different in the assertions that are not interpreted."""
    gone = {tag.label for tag in old - new}
    came = {tag.label for tag in new - old}
    for label in sorted(gone | came):
        if label in gone and label in came:
            yield f"{label}: changed", UNDECIDED
        elif label in came:
            yield f"{label}: added", NARROWED_PERHAPS
        else:
            yield f"{label}: removed", WIDENED_PERHAPS


def value_differences(old: Alternative, new: Alternative) -> Iterator[Difference]:
    """Yield what is different in the values that two alternatives of one kind list, if one of them lists some."""
    if old.values is not None and new.values is not None:
        if gone := old.values - new.values:
            yield f"no longer allows {listed(gone)}", NARROWED
        if came := new.values - old.values:
            yield f"now allows {listed(came)}", WIDENED
    elif new.values is not None:
        strange = _refused(new.values, old)
        yield f"now limited to {listed(new.values)}", Relation(True, bool(strange))
    elif old.values is not None:
        yield f"no longer limited to {listed(old.values)}", WIDENED
        if lost := _refused(old.values, new):
            yield f"no longer allows {listed(lost)}", NARROWED


def _refused(values: frozenset[Key], by: Alternative) -> frozenset[Key]:
    if isinstance(by, Number | Text):
        allows: Callable[..., bool] = by.allows
        return frozenset(key for key in values if not allows(key[1]))
    return frozenset()


def number_differences(old: Number, new: Number) -> Iterator[Difference]:
    """Yield what is different in the bounds, the step and the formats of numbers."""
    if old.values is None and new.values is None:
        yield from _step_differences(old.step, new.step)
        yield from _bound_differences("minimum", (old.low, old.low_open), (new.low, new.low_open), 1)
        yield from _bound_differences("maximum", (old.high, old.high_open), (new.high, new.high_open), -1)
    yield from _format_differences(old.formats, new.formats)


def is_whole(step: Exact | None) -> bool:
    """Return whether all numbers on a step are whole."""
    return step is not None and step.denominator == 1


def _step_differences(old: Exact | None, new: Exact | None) -> Iterator[Difference]:
    if old == new:
        return
    if is_whole(old) != is_whole(new):
        names = ("integer", "number") if is_whole(old) else ("number", "integer")
        narrowed = new is not None and (old is None or Fraction(old, new).denominator != 1)
        widened = old is not None and (new is None or Fraction(new, old).denominator != 1)
        yield f"type changed from {names[0]} to {names[1]}", Relation(narrowed, widened)
    before = None if old == 1 else old
    after = None if new == 1 else new
    if before == after:
        return
    if after is None:
        assert before is not None
        yield f"multipleOf {figure(before)} removed", WIDENED
    elif before is None:
        yield f"multipleOf {figure(after)} added", NARROWED
    else:
        narrowed = Fraction(before, after).denominator != 1
        widened = Fraction(after, before).denominator != 1
        yield f"multipleOf changed from {figure(before)} to {figure(after)}", Relation(narrowed, widened)


def _bound_differences(
    word: str, old: tuple[Exact | None, bool], new: tuple[Exact | None, bool], upwards: int
) -> Iterator[Difference]:
    if old == new:
        return
    if old[0] is None:
        yield f"{word} {_bound(new)} added", NARROWED
    elif new[0] is None:
        yield f"{word} {_bound(old)} removed", WIDENED
    elif old[0] == new[0]:
        yield f"{word} changed from {_bound(old)} to {_bound(new)}", NARROWED if new[1] else WIDENED
    else:
        raised = new[0] > old[0]
        step = "raised" if raised else "lowered"
        yield f"{word} {step} from {_bound(old)} to {_bound(new)}", NARROWED if raised == (upwards > 0) else WIDENED


def _bound(bound: tuple[Exact | None, bool]) -> str:
    value, is_open = bound
    return ("exclusive " if is_open else "") + figure(0 if value is None else value)


def count_differences(word: str, old: int | None, new: int | None, upwards: int) -> Iterator[Difference]:
    """Yield what is different in a least (``upwards`` 1) or greatest (-1) length or number of things."""
    idle = 0 if upwards > 0 else None
    if old == new:
        return
    if old == idle or old is None:
        yield f"{word} {_count(new)} added", NARROWED
    elif new == idle or new is None:
        yield f"{word} {_count(old)} removed", WIDENED
    else:
        raised = new > old
        step = "raised" if raised else "lowered"
        yield f"{word} {step} from {_count(old)} to {_count(new)}", NARROWED if raised == (upwards > 0) else WIDENED


def _count(count: int | None) -> str:
    return figure(0 if count is None else count)


def text_differences(old: Text, new: Text) -> Iterator[Difference]:
    """Yield what is different in the length, the patterns and the formats of strings."""
    if old.values is None and new.values is None:
        yield from count_differences("minLength", old.least, new.least, 1)
        yield from count_differences("maxLength", old.most, new.most, -1)
    gone, came = sorted(old.patterns - new.patterns), sorted(new.patterns - old.patterns)
    if gone and came:
        yield f"pattern changed from {_quoted(gone)} to {_quoted(came)}", UNDECIDED
    elif came:
        yield f"pattern {_quoted(came)} added", NARROWED
    elif gone:
        yield f"pattern {_quoted(gone)} removed", WIDENED
    yield from _format_differences(old.formats, new.formats)


def _format_differences(old: frozenset[str], new: frozenset[str]) -> Iterator[Difference]:
    gone, came = sorted(old - new), sorted(new - old)
    if gone and came:
        narrower, wider = formats_hold(new, old), formats_hold(old, new)
        relation = UNDECIDED if narrower == wider else NARROWED if narrower else WIDENED
        yield f"format changed from {_quoted(gone)} to {_quoted(came)}", relation
    elif came:
        yield f"format {_quoted(came)} added", NARROWED
    elif gone:
        yield f"format {_quoted(gone)} removed", WIDENED


def _quoted(texts: list[str]) -> str:
    return " and ".join(repr(one_line(text, SHOWN_TEXT)) for text in texts[:3])


def array_differences(old: Array, new: Array) -> Iterator[Difference]:
    """Yield what is different in how many items arrays have, and in whether they are all different."""
    yield from count_differences("minItems", old.least, new.least, 1)
    yield from count_differences("maxItems", old.most, new.most, -1)
    if old.unique != new.unique:
        yield ("uniqueItems added", NARROWED) if new.unique else ("uniqueItems removed", WIDENED)


def object_differences(old: Object, new: Object) -> Iterator[Difference]:
    """Yield what is different in how many properties objects have."""
    yield from count_differences("minProperties", old.least, new.least, 1)
    yield from count_differences("maxProperties", old.most, new.most, -1)
