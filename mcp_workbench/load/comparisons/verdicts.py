"""The three verdicts of a comparison and of a gate."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

PASSED, FAILED, UNDECIDED = 0, 1, 4
"""How a command ends after each verdict."""


class Verdict(StrEnum):
    """What the calls say."""

    NO_REGRESSION = "no regression"
    """A regression as large as is looked for can be ruled out."""
    REGRESSION = "regression"
    """It is slower, or fails more often, by more than is allowed, and noise does not explain it."""
    NOT_ENOUGH = "not enough data"
    """Neither can be said: noise is too loud for so few calls, or the run is void."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of the whole: one regression makes it one, then one that cannot be decided."""
    found = set(verdicts)
    for verdict in (Verdict.REGRESSION, Verdict.NOT_ENOUGH):
        if verdict in found:
            return verdict
    return Verdict.NO_REGRESSION


def exit_code(verdict: Verdict) -> int:
    """Return how a command ends: 0 for no regression, 1 for a regression, 4 if it cannot be decided."""
    return {Verdict.NO_REGRESSION: PASSED, Verdict.REGRESSION: FAILED, Verdict.NOT_ENOUGH: UNDECIDED}[verdict]
