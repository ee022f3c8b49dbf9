"""Whether alternatives plainly share no value, so that exactly one of them holds where one holds."""

from __future__ import annotations

from mcp_workbench.contracts.schemas.shapes import Alternative, Array, Node, Number, Object, Text, never
from mcp_workbench.contracts.schemas.values import Key


def named_values(node: Node, depth: int = 0) -> frozenset[Key] | None:
    """Return the values that a node plainly lists, or ``None``: a look at its words that reads nothing."""
    for part in node:
        known = part.bare.keywords.known
        listed_here = part.bare.listed
        if listed_here is not None:
            return listed_here[0] if listed_here[1] else None
        for word in ("anyOf", "oneOf"):
            if word in known and depth < 4:
                listed = [named_values(part.bare.node(each), depth + 1) for each in known[word]]
                if not any(each is None for each in listed):
                    return frozenset(key for each in listed if each is not None for key in each)
    return None


def apart_from(one: Alternative, other: Alternative) -> bool:
    """Return whether two alternatives of one kind plainly share no value."""
    if one.values is not None and other.values is not None:
        return not one.values & other.values
    if isinstance(one, Number) and isinstance(other, Number):
        if one.values is None and other.values is None:
            return _ends_before(one, other) or _ends_before(other, one)
        values, open_one = (one.values, other) if one.values is not None else (other.values, one)
        return not any(open_one.allows(key[1]) for key in values or ())
    if isinstance(one, Text) and isinstance(other, Text):
        return any(
            each.most is not None and each.most < rival.least for each, rival in ((one, other), (other, one))
        ) or _no_value_fits(one, other)
    if isinstance(one, Array) and isinstance(other, Array):
        return any(each.most is not None and each.most < rival.least for each, rival in ((one, other), (other, one)))
    if isinstance(one, Object) and isinstance(other, Object):
        return _objects_apart(one, other)
    return False


def _ends_before(one: Number, other: Number) -> bool:
    if one.high is None or other.low is None:
        return False
    return one.high < other.low or (one.high == other.low and (one.high_open or other.low_open))


def _no_value_fits(one: Text, other: Text) -> bool:
    values, open_one = (one.values, other) if one.values is not None else (other.values, one)
    return values is not None and not any(open_one.allows(key[1]) for key in values)


def _objects_apart(one: Object, other: Object) -> bool:
    for name in one.required | other.required:
        for each, rival in ((one, other), (other, one)):
            if name in each.required and name not in rival.properties and not rival.patterns and never(rival.rest):
                return True
        if name in one.required and name in other.required:
            ours = named_values(one.properties.get(name, ()))
            theirs = named_values(other.properties.get(name, ()))
            if ours is not None and theirs is not None and ours.isdisjoint(theirs):
                return True
    return False
