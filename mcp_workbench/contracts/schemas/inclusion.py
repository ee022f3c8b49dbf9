"""Whether the values of one schema are among those of another: a proof, or none.

The proof goes down both normal forms side by side. References that lead back are assumed to hold while they are being
proven: between a pair and the same pair further down lies at least one step into the value, and values are finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from mcp_workbench.contracts.schemas.combining import settled_number
from mcp_workbench.contracts.schemas.evaluation import accepts
from mcp_workbench.contracts.schemas.nodes import Budget, UndecidedError, bare
from mcp_workbench.contracts.schemas.reading import shape_of
from mcp_workbench.contracts.schemas.shapes import Alternative, Array, Node, Number, Object, Text, never
from mcp_workbench.contracts.schemas.values import Key, thaw

MAX_PAIRS_DEEP: Final = 40
MAX_SPREAD: Final = 64
"""How many whole numbers between two bounds are looked at one by one."""

Notes = frozenset[str]
"""The properties that a proof let pass by the rule on optional properties; empty where it holds to the letter."""

TO_THE_LETTER: Final[Notes] = frozenset()

_NARROWER: Final[dict[str, frozenset[str]]] = {
    "uri": frozenset({"uri-reference", "iri", "iri-reference"}),
    "uri-reference": frozenset({"iri-reference"}),
    "iri": frozenset({"iri-reference"}),
    "email": frozenset({"idn-email"}),
    "int8": frozenset({"int16", "int32", "int64"}),
    "int16": frozenset({"int32", "int64"}),
    "int32": frozenset({"int64"}),
    "uint8": frozenset({"uint16", "uint32", "uint64", "int16", "int32", "int64"}),
    "uint16": frozenset({"uint32", "uint64", "int32", "int64"}),
    "uint32": frozenset({"uint64", "int64"}),
}
"""Formats whose texts, or numbers, are all of these other formats too: RFC 3986 and 3987, RFC 6531.

Not hostname and idn-hostname: IDNA refuses some names that DNS has, such as ``ab--cd`` (RFC 5891, section 4.2.3.1).
"""


def formats_hold(small: frozenset[str], big: frozenset[str]) -> bool:
    """Return whether what has all formats of ``small`` has all those of ``big``."""
    return all(each in small or any(each in _NARROWER.get(ours, ()) for ours in small) for each in big)


class Prover:
    """Proofs about one pair of documents; what was found out is kept.

    Args:
        budget: pays for the work.
        lenient: whether a property that only the bigger side declares, and does not require, may pass where the
            smaller side leaves ``additionalProperties`` unsaid. Such properties are in the notes of the proof.
    """

    def __init__(self, budget: Budget, lenient: bool) -> None:
        self._budget = budget
        self._lenient = lenient
        self._known: dict[tuple[Node, Node], Notes | None] = {}
        self._open: dict[tuple[Node, Node], int] = {}
        self._lowest = MAX_PAIRS_DEEP
        self._after: dict[frozenset[tuple[str, str]], dict[str, list[str]]] = {}
        self._followed: dict[tuple[frozenset[tuple[str, str]], str], set[str]] = {}

    def proof(self, small: Node, big: Node) -> Notes | None:
        """Return the notes of a proof that all values of ``small`` are values of ``big``, or ``None`` without one.

        Raises:
            UndecidedError: the budget is spent, or the schemas are too deep.
        """
        if not big or small == big or never(small) or _same_text(small, big):
            return TO_THE_LETTER
        pair = (bare(small), bare(big))
        if pair in self._known:
            return self._known[pair]
        if pair in self._open:
            self._lowest = min(self._lowest, self._open[pair])
            return TO_THE_LETTER
        self._budget.spend()
        depth = len(self._open)
        if depth >= MAX_PAIRS_DEEP:
            raise UndecidedError("it is nested too deeply")
        outer, self._lowest = self._lowest, MAX_PAIRS_DEEP
        self._open[pair] = depth
        try:
            result = self._of_nodes(small, big)
        finally:
            del self._open[pair]
        # What rests on a pair that is still open may fall with it. What failed although more was assumed than is
        # known has failed for good.
        if result is None or self._lowest >= depth:
            self._known[pair] = result
        self._lowest = min(outer, self._lowest if self._lowest < depth else MAX_PAIRS_DEEP)
        return result

    def _of_nodes(self, small: Node, big: Node) -> Notes | None:
        notes = TO_THE_LETTER
        theirs = shape_of(big)
        for kind, alternatives in shape_of(small).items():
            for each in alternatives:
                found = self.covered(each, theirs.get(kind, ()), small, big)
                if found is None:
                    return None
                notes |= found
        return notes

    def covered(self, one: Alternative, others: Sequence[Alternative], small: Node, big: Node) -> Notes | None:
        """Return the notes of a proof that an alternative of ``small`` is among the ``others``, those of ``big``.

        Raises:
            UndecidedError: the budget is spent, or the schemas are too deep.
        """
        best: Notes | None = None
        for other in others:
            self._budget.spend()
            found = self.within(one, other)
            if found == TO_THE_LETTER:
                return found
            best = found if best is None else best
        if best is not None:
            return best
        values = one.values if not isinstance(one, Number) else _spread(one)
        if values is not None and self._each_covered(one, values, others, small, big):
            return TO_THE_LETTER
        if isinstance(one, Number) and _covered_together(one, others):
            return TO_THE_LETTER
        return TO_THE_LETTER if isinstance(one, Object) and self._impossible(one) else None

    def _each_covered(
        self, one: Alternative, values: frozenset[Key], others: Sequence[Alternative], small: Node, big: Node
    ) -> bool:
        for key in values:
            value = thaw(key, spelt=False)
            if accepts(value, big) or accepts(value, small) is False:
                continue
            if not any(_holds_but_for_texts(one, key, other) for other in others):
                return False
        return True

    def _impossible(self, one: Object) -> bool:
        return any(not shape_of(one.properties.get(name, () if one.patterns else one.rest)) for name in one.required)

    def within(self, one: Alternative, other: Alternative) -> Notes | None:
        """Return the notes of a proof that all values of one alternative are among those of one other, or ``None``.

        Raises:
            UndecidedError: the budget is spent, or the schemas are too deep.
        """
        if not other.tags <= one.tags:
            return None
        if other.values is not None and (one.values is None or not one.values <= other.values):
            return None
        if isinstance(one, Number) and isinstance(other, Number):
            return TO_THE_LETTER if number_within(one, other) else None
        if isinstance(one, Text) and isinstance(other, Text):
            return TO_THE_LETTER if text_within(one, other) else None
        if isinstance(one, Array) and isinstance(other, Array):
            return self._array_within(one, other)
        if isinstance(one, Object) and isinstance(other, Object):
            return self._object_within(one, other)
        return TO_THE_LETTER

    def _array_within(self, one: Array, other: Array) -> Notes | None:
        if one.least < other.least or (other.most is not None and (one.most is None or one.most > other.most)):
            return None
        if other.unique and not one.unique and (one.most is None or one.most > 1):
            return None
        notes = TO_THE_LETTER
        length = max(len(one.prefix), len(other.prefix))
        for position in range(length + 1):
            if one.most is not None and position >= one.most:
                break
            found = self.proof(one.item(position), other.item(position))
            if found is None:
                return None
            notes |= found
        return notes

    def _object_within(self, one: Object, other: Object) -> Notes | None:
        if not other.required <= one.required:
            return None
        if max(one.least, len(one.required)) < other.least:
            return None
        most = most_properties(one)
        if other.most is not None and (most is None or most > other.most):
            return None
        if not all(self.dependency_holds(one, pair) for pair in other.dependent):
            return None
        if other.names and not self.names_hold(one, other.names):
            return None
        notes = TO_THE_LETTER
        if most == 0:
            return notes
        for name in (*one.properties, *(each for each in other.properties if each not in one.properties)):
            found = self.property_within(one, other, name)
            if found is None:
                return None
            notes |= found
        found = self.undeclared_within(one, other)
        return None if found is None else notes | found

    def dependency_holds(self, one: Object, pair: tuple[str, str]) -> bool:
        """Return whether in all objects of an alternative the second property is there where the first one is."""
        first, second = pair
        if second in one.required or pair in one.dependent:
            return True
        if all(never(source) for source in sources(one, first)):
            return True
        return second in self._reached(one.dependent, first)

    def _reached(self, pairs: frozenset[tuple[str, str]], first: str) -> set[str]:
        """Return the properties that must be there, one leading to the next, where ``first`` is."""
        after = self._after.get(pairs)
        if after is None:
            after = self._after[pairs] = {}
            self._budget.spend(len(pairs) // 16)
            for name, other in pairs:
                after.setdefault(name, []).append(other)
        known = self._followed.get((pairs, first))
        if known is None:
            known = self._followed[pairs, first] = {first}
            waiting = [first]
            while waiting:
                others = after.get(waiting.pop(), [])
                self._budget.spend(1 + len(others) // 16)
                waiting += [other for other in others if other not in known]
                known.update(others)
        return known

    def names_hold(self, one: Object, names: Node) -> bool:
        """Return whether the names of all properties that objects of an alternative may have are valid under a node."""
        theirs = shape_of(names).get("string", ())
        ours = shape_of(one.names).get("string", ())
        if all(self.covered(each, theirs, one.names, names) == TO_THE_LETTER for each in ours):
            return True
        if not (never(one.rest) and not one.patterns):
            return False
        return all(accepts(name, names) for name, node in one.properties.items() if not never(node))

    def property_within(self, one: Object, other: Object, name: str) -> Notes | None:
        """Return the notes of a proof about the values of one declared property, or ``None`` without one.

        Which pattern matches the name is not known: whatever may be there must fit whatever may be demanded.
        """
        passes = (
            self._lenient
            and name not in one.properties
            and not one.said
            and name not in other.required
            and not other.patterns
        )
        notes = TO_THE_LETTER
        demand = other.properties.get(name, other.rest)
        for source in sources(one, name):
            found = self.proof(source, demand)
            if found is None:
                if not (passes and source is one.rest and name in other.properties):
                    return None
                found = frozenset({name})
            notes |= found
            for pattern, node in other.patterns.items():
                found = self._under_pattern(one, source, pattern, node)
                if found is None:
                    return None
                notes |= found
        return notes

    def _under_pattern(self, one: Object, source: Node, pattern: str, demand: Node) -> Notes | None:
        found = self.proof(source, demand)
        if found is None and pattern in one.patterns:
            return self.proof(one.patterns[pattern], demand)
        return found

    def undeclared_within(self, one: Object, other: Object) -> Notes | None:
        """Return the notes of a proof about the properties that neither alternative declares, or ``None``."""
        pairs = [(one.rest, other.rest)]
        pairs += [(node, other.rest) for pattern, node in one.patterns.items() if pattern not in other.patterns]
        for pattern, demand in other.patterns.items():
            if pattern in one.patterns:
                pairs.append((one.patterns[pattern], demand))
            else:
                pairs += [(source, demand) for source in (one.rest, *one.patterns.values())]
        notes = TO_THE_LETTER
        for source, demand in pairs:
            found = self.proof(source, demand)
            if found is None:
                return None
            notes |= found
        return notes


def sources(one: Object, name: str) -> list[Node]:
    """Return the schemas of which one holds for the values of a property, as far as that is known."""
    if name in one.properties:
        return [one.properties[name]]
    return [one.rest, *one.patterns.values()]


def most_properties(one: Object) -> int | None:
    """Return the greatest number of properties that objects of an alternative can have, or ``None``."""
    if never(one.rest) and not one.patterns:
        return len(one.properties) if one.most is None else min(one.most, len(one.properties))
    return one.most


def number_within(one: Number, other: Number) -> bool:
    """Return whether the bounds, the step and the formats of ``one`` keep it inside of ``other``."""
    if not formats_hold(one.formats, other.formats):
        return False
    if one.values is not None:
        return all(other.allows(key[1]) for key in one.values)
    if other.step is not None and (one.step is None or Fraction(one.step, other.step).denominator != 1):
        return False
    return _starts_inside(one, other) and _ends_inside(one, other)


def _starts_inside(one: Number, other: Number) -> bool:
    if other.low is None:
        return True
    return one.low is not None and (
        one.low > other.low or (one.low == other.low and (one.low_open or not other.low_open))
    )


def _ends_inside(one: Number, other: Number) -> bool:
    if other.high is None:
        return True
    return one.high is not None and (
        one.high < other.high or (one.high == other.high and (one.high_open or not other.high_open))
    )


def text_within(one: Text, other: Text) -> bool:
    """Return whether the length, the patterns and the formats of ``one`` keep it inside of ``other``."""
    if not other.patterns <= one.patterns or not formats_hold(one.formats, other.formats):
        return False
    if one.values is not None:
        return all(other.allows(key[1]) for key in one.values)
    return one.least >= other.least and (other.most is None or (one.most is not None and one.most <= other.most))


def _spread(one: Number) -> frozenset[Key] | None:
    if one.values is not None or one.step is None or one.low is None or one.high is None:
        return one.values
    count = Fraction(one.high - one.low, one.step)
    if count >= MAX_SPREAD:
        return None
    return frozenset(("number", one.low + place * one.step) for place in range(int(count) + 1))


def _covered_together(one: Number, others: Sequence[Alternative]) -> bool:
    """Return whether intervals cover a number alternative together, one beginning where another has ended."""
    if one.values is not None:
        return False
    candidates = [
        each
        for each in others
        if isinstance(each, Number)
        and each.values is None
        and each.tags <= one.tags
        and formats_hold(one.formats, each.formats)
        and (each.step is None or (one.step is not None and Fraction(one.step, each.step).denominator == 1))
    ]
    rest = one
    while True:
        before = rest
        for each in candidates:
            if _starts_inside(rest, each):
                if _ends_inside(rest, each):
                    return True
                assert each.high is not None
                above = Number(each.high, not each.high_open, rest.high, rest.high_open, rest.step)
                if rest.low is None or each.high > rest.low or (each.high == rest.low and not each.high_open):
                    left = settled_number(above)
                    if left is None:
                        return True
                    rest = Number(left.low, left.low_open, left.high, left.high_open, left.step)
                    if left.values is not None:
                        return all(any(each.allows(key[1]) for each in candidates) for key in left.values)
        if rest == before:
            return False


def _holds_but_for_texts(one: Alternative, key: Key, other: Alternative) -> bool:
    """Return whether ``other`` allows a value, its tags, patterns and formats being those of ``one`` as well."""
    if not other.tags <= one.tags:
        return False
    if isinstance(one, Text) and isinstance(other, Text):
        return other.patterns <= one.patterns and formats_hold(one.formats, other.formats) and other.allows(key[1])
    if isinstance(one, Number) and isinstance(other, Number):
        return formats_hold(one.formats, other.formats) and other.allows(key[1])
    return other.values is not None and key in other.values and not isinstance(other, Array | Object)


def _same_text(small: Node, big: Node) -> bool:
    if len(small) != 1 or len(big) != 1:
        return False
    one, other = small[0], big[0]
    return one.scope.dialect is other.scope.dialect and one.plain_text == other.plain_text != ""
