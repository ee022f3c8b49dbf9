"""Whether one value conforms to a schema: yes, no, or cannot be decided without running what a server sent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Final

from mcp_workbench.contracts.schemas.dialects import Dialect, matches_everything
from mcp_workbench.contracts.schemas.nodes import Budget, Part, Scope, UndecidedError, read_document
from mcp_workbench.contracts.schemas.shapes import Node
from mcp_workbench.contracts.schemas.values import Exact, freeze, kind_of, number

MAX_INSIDE: Final = 60
"""How deep values and schemas may go together; what is deeper is not decided."""


def conforms(value: object, schema: object) -> bool | None:
    """Return whether ``value`` is valid under ``schema``, or ``None`` where that cannot be decided here.

    No pattern is ever compiled and nothing is fetched: a pattern, a format, a reference out of the schema, what is no
    schema and what is too large are not decided, unless the rest of the schema decides by itself.

    Args:
        value: a JSON value.
        schema: a JSON Schema as it came from YAML or JSON; without ``$schema`` it is read as 2020-12.
    """
    return judge_of(schema)(value, schema)


def judge_of(root: object) -> Callable[[object, object], bool | None]:
    """Return a function like :func:`conforms` for the parts of one schema, which is read once.

    Args:
        root: the schema to which the references of its parts lead. All that is asked of it has one budget.
    """
    scope: Scope | None = None
    with contextlib.suppress(UndecidedError, RecursionError):
        scope = read_document(root, Budget()).scope

    def judge(value: object, part: object) -> bool | None:
        try:
            return None if scope is None or freeze(value) is None else accepts(value, (scope.part(part),))
        except (UndecidedError, RecursionError):
            return None

    return judge


def accepts(value: Any, node: Node) -> bool | None:
    """Return whether ``value`` is valid under all schemas of a node; ``None`` where it is not decided.

    Raises:
        UndecidedError: the budget is spent.
    """
    return _all_of(_accepted(value, part, 0) for part in node)


def _all_of(verdicts: Iterable[bool | None]) -> bool | None:
    result: bool | None = True
    for verdict in verdicts:
        if verdict is False:
            return False
        result = None if verdict is None else result
    return result


def _any_of(verdicts: Iterable[bool | None]) -> bool | None:
    result: bool | None = False
    for verdict in verdicts:
        if verdict:
            return True
        result = None if verdict is None else result
    return result


def _not(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict


def _accepted(value: Any, part: Part, depth: int) -> bool | None:
    raw = part.raw
    if isinstance(raw, bool):
        return raw
    if depth > MAX_INSIDE or not isinstance(raw, dict):
        return None
    part.scope.budget.spend()
    if not raw:
        return True
    return _all_of(_verdicts(value, part, depth + 1))


def _verdicts(value: Any, part: Part, depth: int) -> Iterable[bool | None]:
    known = part.keywords.known
    if "type" in known:
        yield _is_of_type(value, known["type"], part.scope.dialect)
    if part.listed is not None:
        keys, complete = part.listed
        yield True if freeze(value) in keys else False if complete else None
    if "enum" in known and "const" in known:
        key = freeze(known["const"])
        yield None if key is None else freeze(value) == key
    if isinstance(value, str):
        yield from _of_string(value, known)
    elif isinstance(value, list):
        yield from _of_array(value, part, depth)
    elif isinstance(value, dict):
        yield from _of_object(value, part, depth)
    elif (exact := number(value)) is not None:
        yield from _of_number(exact, known, isinstance(value, Fraction))
    yield from _combined(value, part, depth)
    if part.keywords.odd or any(word in known for word in _UNDECIDED):
        yield None


_UNDECIDED: Final = ("$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems")


def _is_of_type(value: Any, types: str | list[str], dialect: Dialect) -> bool | None:
    kind = kind_of(value)
    named = [types] if isinstance(types, str) else types
    if kind in named:
        return True
    exact = number(value)
    if "integer" not in named or exact is None or exact.denominator != 1:
        return False
    if dialect.year == 4 and not isinstance(value, int):
        return None if isinstance(value, Fraction) else False  # 1.0 is no integer there
    return True


def _combined(value: Any, part: Part, depth: int) -> Iterable[bool | None]:
    known = part.keywords.known

    def inner(raw: Any) -> bool | None:
        return _accepted(value, part.scope.part(raw), depth)

    if "$ref" in known:
        target = part.target()
        yield None if target is None else _accepted(value, target, depth)
    if "allOf" in known:
        yield _all_of(inner(each) for each in known["allOf"])
    if "anyOf" in known:
        yield _any_of(inner(each) for each in known["anyOf"])
    if "oneOf" in known:
        verdicts = [inner(each) for each in known["oneOf"]]
        yes, open_ones = verdicts.count(True), verdicts.count(None)
        yield False if yes > 1 or yes + open_ones == 0 else None if open_ones else True
    if "not" in known:
        yield _not(inner(known["not"]))
    if "if" in known:
        condition = inner(known["if"])
        yield _any_of((_not(condition), inner(known.get("then", True))))
        yield _any_of((condition, inner(known.get("else", True))))


def _of_number(value: Exact, known: dict[str, Any], thawed: bool) -> Iterable[bool | None]:
    for word, bound in known.items():
        if word == "minimum":
            yield value >= _exact(bound)
        elif word == "maximum":
            yield value <= _exact(bound)
        elif word == "exclusiveMinimum":
            yield value > _exact(bound)
        elif word == "exclusiveMaximum":
            yield value < _exact(bound)
        elif word == "multipleOf":
            step = _exact(bound)
            divides = Fraction(value, step).denominator == 1
            # A proof must hold for validators that divide floats, too: 0.3 / 0.1 is not whole there.
            yield None if thawed and value and step.denominator & (step.denominator - 1) else divides
    if "format" in known:
        yield None


def _exact(value: Any) -> Exact:
    exact = number(value)
    assert exact is not None
    return exact


def _of_string(value: str, known: dict[str, Any]) -> Iterable[bool | None]:
    yield len(value) >= known.get("minLength", 0)
    yield len(value) <= known.get("maxLength", len(value))
    if "format" in known or not matches_everything(known.get("pattern", "")):
        yield None


def _of_array(value: list[Any], part: Part, depth: int) -> Iterable[bool | None]:
    known, scope = part.keywords.known, part.scope
    yield len(value) >= known.get("minItems", 0)
    yield len(value) <= known.get("maxItems", len(value))
    prefix = known.get("prefixItems", [])
    yield _all_of(_accepted(item, scope.part(each), depth) for item, each in zip(value, prefix, strict=False))
    if "items" in known:
        rest = scope.part(known["items"])
        yield _all_of(_accepted(item, rest, depth) for item in value[len(prefix) :])
    if known.get("uniqueItems"):
        keys = [freeze(item) for item in value]
        yield None if None in keys else len(set(keys)) == len(keys)
    if "contains" in known:
        wanted = scope.part(known["contains"])
        verdicts = [_accepted(item, wanted, depth) for item in value]
        surely, perhaps = verdicts.count(True), len(verdicts) - verdicts.count(False)
        least, most = known.get("minContains", 1), known.get("maxContains", len(value))
        if perhaps < least or surely > most:
            yield False
        elif surely < least or perhaps > most:
            yield None


def _of_object(value: dict[str, Any], part: Part, depth: int) -> Iterable[bool | None]:
    known, scope = part.keywords.known, part.scope
    yield len(value) >= known.get("minProperties", 0)
    yield len(value) <= known.get("maxProperties", len(value))
    yield all(name in value for name in known.get("required", ()))
    declared = known.get("properties", {})
    patterns = known.get("patternProperties", {})
    yield _all_of(_accepted(value[name], scope.part(each), depth) for name, each in declared.items() if name in value)
    in_all = [each for pattern, each in patterns.items() if matches_everything(pattern)]
    for pattern, each in patterns.items():
        inner = scope.part(each)
        verdict = _all_of(_accepted(item, inner, depth) for item in value.values())
        yield verdict if verdict or matches_everything(pattern) else None
    if "additionalProperties" in known and not in_all:
        rest = scope.part(known["additionalProperties"])
        verdict = _all_of(_accepted(item, rest, depth) for name, item in value.items() if name not in declared)
        yield verdict if verdict or not patterns else None
    if "propertyNames" in known:
        names = scope.part(known["propertyNames"])
        yield _all_of(_accepted(name, names, depth) for name in value)
    for name, others in known.get("dependentRequired", {}).items():
        yield name not in value or all(other in value for other in others)
    for name, each in known.get("dependentSchemas", {}).items():
        if name in value:
            yield _accepted(value, scope.part(each), depth)
