"""The verdicts on random pairs held against what ``jsonschema`` says of values; for the tests and the longer proof."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from jsonschema import FormatChecker
from jsonschema.validators import validator_for
from schema_rewrites import rewritten_pair
from schema_values import ValueMaker

from mcp_workbench.contracts.schemas.changes import Change, Verdict, compare_schemas

Pair = tuple[dict[str, Any], dict[str, Any], Any]
SIDES: tuple[Literal["input", "output"], ...] = ("input", "output")
HARMFUL = (Verdict.BREAKING, Verdict.UNKNOWN)


@dataclass
class Tally:
    """What was seen: verdicts by side, values by use, and what contradicts a verdict, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    contradictions: list[str] = field(default_factory=list)


def harmful(changes: tuple[Change, ...]) -> bool:
    return any(change.verdict in HARMFUL for change in changes)


def hold_against_values(rng: random.Random, pair: Pair, count: int, tally: Tally) -> None:
    """Compare a pair on both sides; where that finds no harm, look for a value that was valid and is not any more.

    Args:
        rng: decides about the values.
        pair: the old and the new schema.
        count: how many values are built from each of them.
        tally: takes what was seen.
    """
    old, new, _ = pair
    # A format may be an annotation or an assertion: what is called compatible must be so either way.
    formats = FormatChecker() if rng.random() < 0.5 else None
    before, after = (validator_for(schema)(schema, format_checker=formats) for schema in (old, new))
    values: list[Any] = []
    for side in SIDES:
        changes = compare_schemas(old, new, side=side)
        if harmful(changes):
            tally.counts["harmful"] += 1
            continue
        tally.counts["compatible" if changes else "same"] += 1
        values = values or ValueMaker(rng, old).values(count) + ValueMaker(rng, new).values(count)
        given, wanted = (before, after) if side == "input" else (after, before)
        unknown = {change.where.rsplit(".", 1)[-1] for change in changes if change.rule == "optional-added"}
        for value in values:
            if unknown and _carries(value, unknown):
                # The rule on optional properties is about those who do not send them.
                tally.counts["values set aside"] += 1
                continue
            tally.counts["values"] += 1
            if given.is_valid(value):
                tally.counts["valid values"] += 1
                if not wanted.is_valid(value):
                    tally.contradictions.append(
                        f"{side}: {json.dumps(value)} is valid under one and not under the other of "
                        f"{json.dumps(old)} and {json.dumps(new)}, called {[each.what for each in changes]}"
                    )
                    break


def _carries(value: Any, names: set[str]) -> bool:
    """Return whether some object in a value has a property of one of these names."""
    if isinstance(value, dict):
        return any(name in names or _carries(each, names) for name, each in value.items())
    return isinstance(value, list) and any(_carries(each, names) for each in value)


def hold_pairs(make: Callable[[random.Random], Pair], seed: int, pairs: int, values: int) -> Tally:
    """Return what was seen on some pairs of a source."""
    tally = Tally()
    for place in range(pairs):
        rng = random.Random(seed * 1_000_003 + place)
        hold_against_values(rng, make(rng), values, tally)
    return tally


def judge_rewrites(seed: int, pairs: int, values: int = 5) -> Tally:
    """Return how many rewrites were called harmful in some direction, on some side, and which are no rewrites."""
    tally = Tally()
    for place in range(pairs):
        rng = random.Random(seed * 1_000_003 + place)
        one, other, used = rewritten_pair(rng)
        tally.counts.update(used)
        left, right = validator_for(one)(one), validator_for(other)(other)
        for value in ValueMaker(rng, one).values(values):
            if left.is_valid(value) != right.is_valid(value):
                tally.contradictions.append(f"{used}: {json.dumps(value)}, {json.dumps(one)}, {json.dumps(other)}")
        verdicts = [compare_schemas(*pair, side=side) for pair in ((one, other), (other, one)) for side in SIDES]
        tally.counts["rewrites called harmful" if any(map(harmful, verdicts)) else "rewrites accepted"] += 1
    return tally
