"""Alternatives and shapes put together: what two of them allow both, what any of some allows, and their normal form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from mcp_workbench.contracts.schemas.shapes import (
    ANYTHING,
    Alternative,
    Array,
    Number,
    Object,
    Plain,
    Shape,
    Tags,
    Text,
    both,
    never,
)
from mcp_workbench.contracts.schemas.values import MAX_NUMBER_BITS, Exact, Key, Kind

MAX_ALTERNATIVES: Final = 64
"""How many alternatives of one kind are held apart; an ``anyOf`` that makes more is not interpreted."""


class TooManyAlternativesError(Exception):
    """A union, or a product of unions, is larger than is held apart."""


def settled_number(one: Number) -> Number | None:
    """Return a number alternative in normal form, or ``None`` if no number is left.

    On a step the bounds are multiples of it, and closed: ``minimum: 0`` for an integer is ``exclusiveMinimum: -1``.
    """
    low, low_open, high, high_open, step = one.low, one.low_open, one.high, one.high_open, one.step
    if one.values is not None:
        kept = frozenset(key for key in one.values if one.allows(key[1]))
        return Number(values=kept, formats=one.formats, tags=one.tags) if kept else None
    if step is not None:
        if low is not None:
            multiple = math.ceil(Fraction(low, step)) * step
            low, low_open = (multiple + step if low_open and multiple == low else multiple), False
        if high is not None:
            multiple = math.floor(Fraction(high, step)) * step
            high, high_open = (multiple - step if high_open and multiple == high else multiple), False
    if low is not None and high is not None:
        if low > high or (low == high and (low_open or high_open)):
            return None
        if low == high:
            return Number(values=frozenset({("number", low)}), formats=one.formats, tags=one.tags)
    return Number(low, low_open, high, high_open, step, one.formats, None, one.tags)


def settled_text(one: Text) -> Text | None:
    """Return a string alternative in normal form, or ``None`` if no string is left."""
    values = one.values
    if values is None:
        if one.most is not None and one.least > one.most:
            return None
        if one.most != 0:
            return one
        values = frozenset({("string", "")})
    kept = frozenset(key for key in values if one.allows(key[1]))
    return Text(patterns=one.patterns, formats=one.formats, values=kept, tags=one.tags) if kept else None


def settled_array(one: Array) -> Array | None:
    """Return an array alternative in normal form, or ``None`` if no array is left."""
    prefix = list(one.prefix)
    while prefix and prefix[-1] == one.rest:
        prefix.pop()
    lengths = [position for position, node in enumerate((*prefix, one.rest)) if never(node)]
    most = min([*lengths, *([one.most] if one.most is not None else [])], default=None)
    if most is not None and one.least > most:
        return None
    if lengths:
        prefix = prefix[: lengths[0]]
    unique = one.unique and (most is None or most > 1)
    # Behind the greatest length there is nothing, whatever the schema says of it.
    gone = most is not None and most <= len(prefix)
    return Array(tuple(prefix[:most]), () if gone else one.rest, one.least, most, unique, one.values, one.tags)


def settled_object(one: Object) -> Object | None:
    """Return an object alternative in normal form, or ``None`` if no object is left."""
    properties = one.properties
    for name in one.required:
        node = properties.get(name)
        if never(node if node is not None else () if one.patterns else one.rest):
            return None
    if one.most is not None and max(one.least, len(one.required)) > one.most:
        return None
    if never(one.rest) and not one.patterns:
        if any(map(never, properties.values())):
            properties = {name: node for name, node in properties.items() if not never(node)}
            one = replace(one, properties=properties)
        if one.least > len(properties):
            return None
    return one


def _least_common_multiple(one: Exact | None, other: Exact | None) -> Exact | None:
    if one is None or other is None:
        return other if one is None else one
    numerator = math.lcm(one.numerator * other.denominator, other.numerator * one.denominator)
    step = Fraction(numerator, one.denominator * other.denominator)
    if step.numerator.bit_length() + step.denominator.bit_length() > MAX_NUMBER_BITS:
        raise TooManyAlternativesError
    return step.numerator if step.denominator == 1 else step


def _shared(one: frozenset[Key] | None, other: frozenset[Key] | None) -> frozenset[Key] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _least_of(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def meet(one: Alternative, other: Alternative) -> Alternative | None:
    """Return what two alternatives of one kind allow both, or ``None`` if that is plainly nothing."""
    tags = one.tags | other.tags
    if isinstance(one, Plain) and isinstance(other, Plain):
        values = one.values & other.values
        return Plain(values, tags) if values else None
    if isinstance(one, Number) and isinstance(other, Number):
        return _meet_numbers(one, other, tags)
    if isinstance(one, Text) and isinstance(other, Text):
        return settled_text(
            Text(
                max(one.least, other.least),
                _least_of(one.most, other.most),
                one.patterns | other.patterns,
                one.formats | other.formats,
                _shared(one.values, other.values),
                tags,
            )
        )
    if isinstance(one, Array) and isinstance(other, Array):
        values_or_none = _shared(one.values, other.values)
        if values_or_none is not None and not values_or_none:
            return None
        length = max(len(one.prefix), len(other.prefix))
        return settled_array(
            Array(
                tuple(both(one.item(position), other.item(position)) for position in range(length)),
                both(one.rest, other.rest),
                max(one.least, other.least),
                _least_of(one.most, other.most),
                one.unique or other.unique,
                values_or_none,
                tags,
            )
        )
    assert isinstance(one, Object)
    assert isinstance(other, Object)
    return _meet_objects(one, other, tags)


def _meet_numbers(one: Number, other: Number, tags: Tags) -> Number | None:
    low, low_open = one.low, one.low_open
    if other.low is not None and (low is None or other.low > low or (other.low == low and other.low_open)):
        low, low_open = other.low, other.low_open
    high, high_open = one.high, one.high_open
    if other.high is not None and (high is None or other.high < high or (other.high == high and other.high_open)):
        high, high_open = other.high, other.high_open
    step = _least_common_multiple(one.step, other.step)
    values = _shared(one.values, other.values)
    return settled_number(Number(low, low_open, high, high_open, step, one.formats | other.formats, values, tags))


def _rest_carries_over(one: Object, other: Object) -> bool:
    """Return whether what ``one`` says of undeclared properties can be said beside the properties of ``other``.

    Which names a pattern matches is not known here. So the properties of ``other`` that ``one`` does not declare may
    or may not be under the patterns of ``one``, and those under other patterns may or may not be its rest.
    """
    if not one.rest:
        return True
    return other.patterns.keys() <= one.patterns.keys() and (
        not one.patterns or other.properties.keys() <= one.properties.keys()
    )


def _meet_objects(one: Object, other: Object, tags: Tags) -> Object | None:
    values = _shared(one.values, other.values)
    if values is not None and not values:
        return None
    if not (_rest_carries_over(one, other) and _rest_carries_over(other, one)):
        raise TooManyAlternativesError
    properties = {
        name: both(
            one.properties.get(name, one.rest),
            other.properties.get(name, other.rest),
        )
        for name in (*one.properties, *(name for name in other.properties if name not in one.properties))
    }
    patterns = dict(one.patterns)
    for pattern, node in other.patterns.items():
        patterns[pattern] = both(patterns.get(pattern, ()), node)
    return settled_object(
        Object(
            properties,
            patterns,
            both(one.rest, other.rest),
            one.said or other.said,
            one.required | other.required,
            max(one.least, other.least),
            _least_of(one.most, other.most),
            both(one.names, other.names),
            one.dependent | other.dependent,
            values,
            tags,
        )
    )


def intersection(one: Shape, other: Shape) -> Shape:
    """Return the shape of what two shapes allow both.

    Raises:
        TooManyAlternativesError: it cannot be held exactly.
    """
    if one is ANYTHING or other is ANYTHING:
        return other if one is ANYTHING else one
    result: dict[Kind, tuple[Alternative, ...]] = {}
    for kind, ours in one.items():
        theirs = other.get(kind)
        if theirs is None:
            continue
        if theirs == ANYTHING[kind] or ours == ANYTHING[kind]:
            result[kind] = ours if theirs == ANYTHING[kind] else theirs
            continue
        if len(ours) * len(theirs) > MAX_ALTERNATIVES * 4:
            raise TooManyAlternativesError
        met = [each for mine in ours for yours in theirs if (each := meet(mine, yours)) is not None]
        if kept := distinct(met):
            result[kind] = kept
    return result


def union(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of what any of some shapes allows.

    Raises:
        TooManyAlternativesError: there would be too many alternatives of one kind.
    """
    if any(shape is ANYTHING for shape in shapes):
        return ANYTHING
    result: dict[Kind, tuple[Alternative, ...]] = {}
    for kind in dict.fromkeys(kind for shape in shapes for kind in shape):
        result[kind] = distinct([each for shape in shapes for each in shape.get(kind, ())])
    return result


def distinct(alternatives: list[Alternative]) -> tuple[Alternative, ...]:
    """Return alternatives of one kind without repetition, those made of values put together.

    Raises:
        TooManyAlternativesError: there are too many.
    """
    if len(alternatives) < 2:
        return tuple(alternatives)
    kept: list[Alternative] = []
    places: dict[object, int] = {}
    for each in alternatives:
        if each.values is None or isinstance(each, Array | Object):
            if each not in kept:
                kept.append(each)
            if len(kept) > MAX_ALTERNATIVES:
                raise TooManyAlternativesError
            continue
        alike = (each.tags, *((each.formats,) if isinstance(each, Number | Text) else ())) + (
            (each.patterns,) if isinstance(each, Text) else ()
        )
        if alike in places:
            before = kept[places[alike]]
            kept[places[alike]] = replace(before, values=(before.values or frozenset()) | each.values)
        else:
            places[alike] = len(kept)
            kept.append(each)
    return tuple(kept)
