"""A change and its class: what it means for callers, by the direction in which values flow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Side = Literal["input", "output"]


class Verdict(StrEnum):
    """What a change means for those who call the tool; worst first."""

    BREAKING = "breaking"
    UNKNOWN = "unknown"
    COMPATIBLE = "compatible"
    COSMETIC = "cosmetic"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two schemas.

    Attributes:
        where: the place inside the schema: ``""`` for the whole, ``city``, ``filters.tags[]``, ``filters{}`` for
            additional properties.
        what: what is different, in words.
        verdict: its class.
        why: what follows for callers, in one sentence.
        rule: the rule by which practice departs from the letter, or ``""``: ``optional-added``, ``default``.
    """

    where: str
    what: str
    verdict: Verdict
    why: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """How the allowed values changed; ``None`` where it cannot be decided.

    Attributes:
        narrowed: whether some value is not allowed any more.
        widened: whether some value is allowed now that was not.
    """

    narrowed: bool | None
    widened: bool | None

    def harm(self, side: Side) -> bool | None:
        """Return whether it hurts: callers send inputs, so fewer are worse; they get outputs, so more are."""
        return self.narrowed if side == "input" else self.widened

    def verdict(self, side: Side) -> Verdict:
        """Return what the change means by itself."""
        harm = self.harm(side)
        return Verdict.UNKNOWN if harm is None else Verdict.BREAKING if harm else Verdict.COMPATIBLE


NARROWED: Final = Relation(True, False)
WIDENED: Final = Relation(False, True)
OTHER: Final = Relation(True, True)
NARROWED_PERHAPS: Final = Relation(None, False)
WIDENED_PERHAPS: Final = Relation(False, None)
UNDECIDED: Final = Relation(None, None)

_CONSEQUENCES: Final[dict[tuple[Side, Verdict], str]] = {
    ("input", Verdict.BREAKING): "calls that were valid are refused now",
    ("input", Verdict.UNKNOWN): "whether calls that were valid still are cannot be decided; it counts as breaking",
    ("input", Verdict.COMPATIBLE): "every call that was valid still is",
    ("output", Verdict.BREAKING): "clients may get results that were not promised to them",
    ("output", Verdict.UNKNOWN): "whether results are still what was promised cannot be decided; it counts as breaking",
    ("output", Verdict.COMPATIBLE): "every result is still one that was promised",
}


def consequence(side: Side, verdict: Verdict) -> str:
    """Return what a change of that class means for callers (input) or for clients (output), in one sentence."""
    return _CONSEQUENCES[side, verdict]


def made_good(side: Side, *, by_practice: bool) -> str:
    """Return what a change means that is compatible only together with what stands around it, in one sentence.

    Args:
        side: which side it is on.
        by_practice: whether the proof of that needs the rule on optional properties.
    """
    return f"{'in practice' if by_practice else 'together with the rest'}, {_CONSEQUENCES[side, Verdict.COMPATIBLE]}"
