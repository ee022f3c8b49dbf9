"""The differences between two schemas, named at the most special place, each with its class.

The walk goes down the normal forms, so that other spellings of the same are no difference. Where the inclusion that
callers need is proven for a node, all below it is compatible; where it is not and nothing below says why, the node
itself is undecided. The worst class is so never better than the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mcp_workbench.contracts.schemas.annotations import below
from mcp_workbench.contracts.schemas.apart import named_values
from mcp_workbench.contracts.schemas.inclusion import TO_THE_LETTER, Notes, Prover, sources
from mcp_workbench.contracts.schemas.limits import (
    Difference,
    array_differences,
    is_whole,
    number_differences,
    object_differences,
    tag_differences,
    text_differences,
    value_differences,
)
from mcp_workbench.contracts.schemas.nodes import Budget, bare
from mcp_workbench.contracts.schemas.reading import shape_of
from mcp_workbench.contracts.schemas.shapes import Alternative, Array, Node, Number, Object, Shape, Text, never
from mcp_workbench.contracts.schemas.values import KINDS, Kind, listed
from mcp_workbench.contracts.schemas.verdicts import (
    NARROWED,
    NARROWED_PERHAPS,
    OTHER,
    UNDECIDED,
    WIDENED,
    WIDENED_PERHAPS,
    Change,
    Relation,
    Side,
    Verdict,
    consequence,
    made_good,
)
from mcp_workbench.untrusted import one_line

MAX_WALKED: Final = 1_000
"""After how many changes nobody looks for more."""

_NOT_DEFERRED: Final = 1_000_000
_NOT_FOUND: Final = "clients that rely on it may not find it any more"


class Differences:
    """A walk down two schemas side by side.

    Attributes:
        changes: what was found so far.
    """

    def __init__(self, side: Side, budget: Budget) -> None:
        self.changes: list[Change] = []
        self._side = side
        self._letter = Prover(budget, lenient=False)
        self._practice = Prover(budget, lenient=True)
        self._open: dict[tuple[Node, Node], int] = {}
        self._told: set[tuple[str, str]] = set()
        self._optional: list[str] = []

    def compare(self, old: Node, new: Node, where: str, settled: Notes | None = None) -> int:
        """Add the changes between two nodes.

        Args:
            old: the node as it was.
            new: the node as it is.
            where: its place.
            settled: the notes of a proof for a node above, which makes all below it compatible; else ``None``.

        Returns:
            How far above the pair lies that has to answer for what was left out here; a large number if none.

        Raises:
            UndecidedError: the budget is spent, or the schemas are too deep.
        """
        forth = self._letter.proof(old, new) is not None
        back = self._letter.proof(new, old) is not None
        if (forth and back) or len(self.changes) > MAX_WALKED:
            return _NOT_DEFERRED
        pair, depth = (bare(old), bare(new)), len(self._open)
        if pair in self._open:
            return self._open[pair]
        if settled is None:
            settled = self._proof(old, new, forth, back)
            proven_here = settled is not None
        else:
            proven_here = False
        begin, told = len(self.changes), len(self._optional)
        self._open[pair] = depth
        try:
            lowest = self._kinds(old, new, where, settled)
        finally:
            del self._open[pair]
        found = self.changes[begin:]
        if settled is None:
            if lowest >= depth and not any(each.verdict in (Verdict.BREAKING, Verdict.UNKNOWN) for each in found):
                self._tell(where, "changed in a way that cannot be decided", UNDECIDED, None)
        elif proven_here:
            for name in sorted(settled.difference(self._optional[told:])):
                self._tell_optional(below(where, name), name)
            if not found and lowest >= depth:
                relation = WIDENED if self._side == "input" else NARROWED
                self._tell(where, "other values are allowed now", relation, settled)
        return lowest if lowest < depth else _NOT_DEFERRED

    def _proof(self, old: Node, new: Node, forth: bool, back: bool) -> Notes | None:
        if self._side == "output":
            return TO_THE_LETTER if back else None
        return TO_THE_LETTER if forth else self._practice.proof(old, new)

    def _tell(
        self, where: str, what: str, relation: Relation, settled: Notes | None, why: str = "", harmless: str = ""
    ) -> None:
        # Of this side: why is what follows where the change breaks, harmless what follows where by itself it does not.
        verdict = relation.verdict(self._side) if settled is None else Verdict.COMPATIBLE
        reason = consequence(self._side, verdict)
        if verdict is Verdict.BREAKING:
            reason = why or reason
        elif verdict is Verdict.COMPATIBLE and relation.harm(self._side) is False:
            reason = harmless or reason
        elif verdict is Verdict.COMPATIBLE:
            reason = made_good(self._side, by_practice=bool(settled))
        if (where, what) not in self._told:
            self._told.add((where, what))
            self.changes.append(Change(where, one_line(what, 300), verdict, reason))

    def _tell_all(self, where: str, differences: Iterable[Difference], settled: Notes | None) -> None:
        for what, relation in differences:
            self._tell(where, what, relation, settled)

    def _tell_optional(self, where: str, name: str) -> None:
        self._optional.append(name)
        what = f"optional property {one_line(name, 60)!r} added"
        if (where, what) not in self._told:
            self._told.add((where, what))
            why = "practice: existing callers do not send it (additionalProperties was left unsaid)"
            self.changes.append(Change(where, what, Verdict.COMPATIBLE, why, "optional-added"))

    # Kinds and alternatives.

    def _kinds(self, old: Node, new: Node, where: str, settled: Notes | None) -> int:
        ours, theirs = shape_of(old), shape_of(new)
        shared = [kind for kind in KINDS if kind in ours and kind in theirs]
        if not shared:
            self._tell_replaced(where, ours, theirs, settled)
            return _NOT_DEFERRED
        gone = [kind for kind in KINDS if kind in ours and kind not in theirs]
        came = [kind for kind in KINDS if kind in theirs and kind not in ours]
        if gone:
            any_value = f"was any value, now only {_types(theirs)}" if len(ours) == len(KINDS) else ""
            self._tell(where, any_value or f"no longer allows {_types(ours, gone)}", NARROWED, settled)
        if came:
            any_value = f"was {_types(ours)}, now any value" if len(theirs) == len(KINDS) else ""
            self._tell(where, any_value or f"now allows {_types(theirs, came)}", WIDENED, settled)
        lowest = _NOT_DEFERRED
        for kind in shared:
            lowest = min(lowest, self._alternatives((old, ours[kind]), (new, theirs[kind]), where, settled))
        return lowest

    def _tell_replaced(self, where: str, ours: Shape, theirs: Shape, settled: Notes | None) -> None:
        if not theirs:
            self._tell(where, f"was {_types(ours)}, now no value is allowed", NARROWED, settled)
        elif not ours:
            self._tell(where, f"no value was allowed, now {_types(theirs)}", WIDENED, settled)
        else:
            self._tell(where, f"type changed from {_types(ours)} to {_types(theirs)}", OTHER, settled)

    def _alternatives(
        self,
        old: tuple[Node, Sequence[Alternative]],
        new: tuple[Node, Sequence[Alternative]],
        where: str,
        settled: Notes | None,
    ) -> int:
        if len(old[1]) == len(new[1]) == 1:
            return self._detail(old[1][0], new[1][0], where, settled)
        ours, theirs = list(old[1]), list(new[1])
        for one in old[1]:
            match = next((each for each in theirs if self._same(one, each)), None)
            if match is not None:
                ours.remove(one)
                theirs.remove(match)
        lowest = _NOT_DEFERRED
        count = max(len(old[1]), len(new[1]))
        for one, match in _paired(ours, theirs):
            ours.remove(one)
            theirs.remove(match)
            lowest = min(lowest, self._detail(one, match, f"{where} (one of {count})".strip(), settled))
        for one in ours:
            if self._letter.covered(one, new[1], *(old[0], new[0])) is None:
                relation = NARROWED_PERHAPS if one.tags or any(each.tags for each in new[1]) else NARROWED
                self._tell(where, f"an alternative is gone or narrower: {_described(one)}", relation, settled)
        for one in theirs:
            if self._letter.covered(one, old[1], *(new[0], old[0])) is None:
                relation = WIDENED_PERHAPS if one.tags or any(each.tags for each in old[1]) else WIDENED
                self._tell(where, f"an alternative is new or wider: {_described(one)}", relation, settled)
        return lowest

    def _same(self, one: Alternative, other: Alternative) -> bool:
        return self._letter.within(one, other) is not None and self._letter.within(other, one) is not None

    def _detail(self, old: Alternative, new: Alternative, where: str, settled: Notes | None) -> int:
        self._tell_all(where, tag_differences(old.tags, new.tags), settled)
        self._tell_all(where, value_differences(old, new), settled)
        if isinstance(old, Number) and isinstance(new, Number):
            self._tell_all(where, number_differences(old, new), settled)
        elif isinstance(old, Text) and isinstance(new, Text):
            self._tell_all(where, text_differences(old, new), settled)
        elif isinstance(old, Array) and isinstance(new, Array):
            return self._arrays(old, new, where, settled)
        elif isinstance(old, Object) and isinstance(new, Object):
            return self._objects(old, new, where, settled)
        return _NOT_DEFERRED

    # Arrays and objects.

    def _arrays(self, old: Array, new: Array, where: str, settled: Notes | None) -> int:
        self._tell_all(where, array_differences(old, new), settled)
        lowest = _NOT_DEFERRED
        length = max(len(old.prefix), len(new.prefix))
        for position in range(length + 1):
            if any(each.most is not None and position >= each.most for each in (old, new)):
                break
            place = f"{where}[{position}]" if position < length else f"{where}[]"
            lowest = min(lowest, self.compare(old.item(position), new.item(position), place, settled))
        return lowest

    def _objects(self, old: Object, new: Object, where: str, settled: Notes | None) -> int:
        lowest = _NOT_DEFERRED
        for name in dict.fromkeys((*old.properties, *new.properties, *sorted(old.required ^ new.required))):
            place = below(where, name)
            if name in old.properties and name in new.properties:
                self._tell_required(old, new, name, place, settled)
                lowest = min(lowest, self.compare(old.properties[name], new.properties[name], place, settled))
            elif name in new.properties:
                self._tell_added(old, new, name, place, settled)
            elif name in old.properties:
                self._tell_removed(old, new, name, place, settled)
            else:
                self._tell_required(old, new, name, place, settled)
        self._tell_all(where, object_differences(old, new), settled)
        self._tell_names(old, new, where, settled)
        for first, second in sorted(new.dependent - old.dependent):
            if not self._letter.dependency_holds(old, (first, second)):
                self._tell(where, f"{_name(second)} is now required where {_name(first)} is given", NARROWED, settled)
        for first, second in sorted(old.dependent - new.dependent):
            if not self._letter.dependency_holds(new, (first, second)):
                what = f"{_name(second)} is no longer required where {_name(first)} is given"
                self._tell(where, what, WIDENED, settled)
        return min(lowest, self._undeclared(old, new, where, settled))

    def _tell_required(self, old: Object, new: Object, name: str, place: str, settled: Notes | None) -> None:
        if name in new.required and name not in old.required:
            why = "callers that leave it out are refused now"
            self._tell(place, f"property {_name(name)} is now required", NARROWED, settled, why)
        elif name in old.required and name not in new.required:
            self._tell(place, f"property {_name(name)} is no longer required", WIDENED, settled, _NOT_FOUND)

    def _tell_added(self, old: Object, new: Object, name: str, place: str, settled: Notes | None) -> None:
        required = name in new.required and name not in old.required
        fits = all(self._letter.proof(source, new.properties[name]) is not None for source in sources(old, name))
        known = all(self._letter.proof(new.properties[name], source) is not None for source in sources(old, name))
        if name in old.required and name not in new.required:
            self._tell_required(old, new, name, place, settled)
        if not required and not fits and self._passes(old, new, name, settled):
            self._tell_optional(place, name)
            return
        kind = "required property" if required else "optional property" if name not in new.required else "property"
        if self._side == "output":
            refused = "them" if required else "those that have it"
            why = f"clients that check results against the old schema refuse {refused}"
        elif required:
            why = "callers that leave it out are refused now"
        else:
            why = "callers that send something else under this name are refused now"
        what = f"{kind} {_name(name)} added"
        if not known and all(map(never, sources(old, name))):
            what += " to a closed object"
        self._tell(place, what, Relation(required or not fits, not known), settled, why)

    def _passes(self, old: Object, new: Object, name: str, settled: Notes | None) -> bool:
        if self._side == "output":
            return False
        if settled is not None:
            return name in settled
        return name in (self._practice.property_within(old, new, name) or ())

    def _tell_removed(self, old: Object, new: Object, name: str, place: str, settled: Notes | None) -> None:
        released = name in old.required and name not in new.required
        fits = all(self._letter.proof(old.properties[name], source) is not None for source in sources(new, name))
        known = all(self._letter.proof(source, old.properties[name]) is not None for source in sources(new, name))
        if name in new.required and name not in old.required:
            self._tell_required(old, new, name, place, settled)
        refused = all(map(never, sources(new, name)))
        what = f"property {_name(name)} removed" + (" from a closed object" if refused else "")
        why = harmless = ""
        if self._side == "output":
            why = _NOT_FOUND if released else "nothing is promised of it any more"
        elif refused:
            why = "callers that send it are refused now"
        elif new.said:
            harmless = "calls that send it stay valid: other properties are allowed"
        else:
            harmless = "calls that send it stay valid, but it is ignored now"
        self._tell(place, what, Relation(not fits, released or not known), settled, why, harmless)

    def _tell_names(self, old: Object, new: Object, where: str, settled: Notes | None) -> None:
        narrowed = bool(new.names) and not self._letter.names_hold(old, new.names)
        widened = bool(old.names) and not self._letter.names_hold(new, old.names)
        if narrowed or widened:
            step = "changed" if old.names and new.names else "added" if new.names else "removed"
            relation = Relation(
                None if narrowed and old.names else narrowed, None if widened and new.names else widened
            )
            self._tell(f"{where}{{}}", f"propertyNames {step}", relation, settled)

    def _undeclared(self, old: Object, new: Object, where: str, settled: Notes | None) -> int:
        lowest = _NOT_DEFERRED
        for pattern in dict.fromkeys((*old.patterns, *new.patterns)):
            shown = repr(one_line(pattern, 40))
            if pattern in old.patterns and pattern in new.patterns:
                place = f"{where}{{{shown}}}"
                lowest = min(lowest, self.compare(old.patterns[pattern], new.patterns[pattern], place, settled))
            else:
                step = "added" if pattern in new.patterns else "removed"
                self._tell(where, f"patternProperties {shown} {step}", UNDECIDED, settled)
        if never(new.rest) and not never(old.rest):
            what = "closed: properties that are not declared are no longer allowed"
            self._tell(f"{where}{{}}", what, NARROWED, settled, "callers that send such properties are refused now")
        elif never(old.rest) and not never(new.rest):
            why = "clients that check results against the old schema refuse those that have such properties"
            self._tell(
                f"{where}{{}}", "opened: properties that are not declared are allowed now", WIDENED, settled, why
            )
        else:
            lowest = min(lowest, self.compare(old.rest, new.rest, f"{where}{{}}", settled))
        return lowest


def _name(name: str) -> str:
    return repr(one_line(name, 60))


def _types(shape: Shape, kinds: Sequence[Kind] | None = None) -> str:
    if kinds is None and len(shape) == len(KINDS):
        return "any value"
    return " or ".join(_type(kind, shape) for kind in KINDS if kind in (shape if kinds is None else kinds))


def _type(kind: Kind, shape: Shape) -> str:
    if kind != "number":
        return kind
    numbers = [each for each in shape[kind] if isinstance(each, Number)]
    whole = all(
        is_whole(each.step) if each.values is None else all(key[1].denominator == 1 for key in each.values)
        for each in numbers
    )
    return "integer" if whole else "number"


def _described(one: Alternative) -> str:
    if one.values is not None:
        return listed(one.values, 3)
    if isinstance(one, Object):
        marks = [f"{_name(name)} {listed(values, 2)}" for name, values in sorted(_marks(one).items())]
        names = marks or [_name(name) for name in one.properties]
        return "an object" + (f" with {', '.join(names[:4])}" if names else "")
    if isinstance(one, Number):
        return "an integer" if is_whole(one.step) else "a number"
    return "a string" if isinstance(one, Text) else "an array"


def _marks(one: Object) -> dict[str, frozenset[tuple[str, object]]]:
    found = {name: named_values(one.properties.get(name, ())) for name in one.required}
    return {name: values for name, values in found.items() if values is not None}


def _paired(ours: list[Alternative], theirs: list[Alternative]) -> list[tuple[Alternative, Alternative]]:
    """Return which alternatives belong together: those with the same marks, and the last of each side."""
    pairs: list[tuple[Alternative, Alternative]] = []
    left, right = list(ours), list(theirs)
    for one in ours:
        marks = _marks(one) if isinstance(one, Object) else {}
        alike = [each for each in right if marks and isinstance(each, Object) and _marks(each) == marks]
        if len(alike) == 1:
            pairs.append((one, alike[0]))
            left.remove(one)
            right.remove(alike[0])
    if len(left) == len(right) == 1:
        pairs.append((left[0], right[0]))
    return pairs
