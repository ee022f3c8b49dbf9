"""Audit: what the schema of the arguments leaves open: bounds, defaults, descriptions, additional properties.

Only the input side: what a server returns it can bound by itself, and ought to; what it is sent it cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Final

from mcp_workbench.contracts.audit.findings import Fault, Rules, Severity, Subject, counted, in_server, located
from mcp_workbench.contracts.audit.places import Place
from mcp_workbench.contracts.audit.subschemas import is_modest, member
from mcp_workbench.contracts.audit.tool_words import word_set
from mcp_workbench.contracts.schemas.changes import judge_of
from mcp_workbench.contracts.schemas.values import number

# JSON Schema 2020-12, validation, section 7.3: formats whose texts are short by definition. URIs are not.
_SHORT_FORMATS: Final = word_set("date time date-time duration uuid ipv4 ipv6 hostname idn-hostname email idn-email")
_DECLARED_ELSEWHERE: Final = ("patternProperties", "if", "dependentSchemas", "dependencies", "$dynamicRef")
_PATTERN_CHARACTERS = 500
_CONTRADICTING: Final = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minimum", "maximum"),
)


def unbounded_string(tool: Subject) -> Iterator[Fault]:
    """A string has a greatest length. Source: JSON Schema 2020-12, validation, section 6.3.1; OWASP API4:2023."""
    yield from _unbounded(
        tool,
        lambda leaf: leaf.types and "string" in leaf.types and not _is_short(leaf),
        ("string has no maxLength", "strings have no maxLength"),
        "one call with megabytes of text fills memory, logs and the model's context",
        in_server('add "maxLength", in Python: Annotated[str, Field(max_length=200)]'),
    )


def unbounded_array(tool: Subject) -> Iterator[Fault]:
    """An array has a greatest length. Source: JSON Schema 2020-12, validation, section 6.4.1; OWASP API4:2023."""
    yield from _unbounded(
        tool,
        lambda leaf: leaf.types and "array" in leaf.types and not _is_short_list(leaf),
        ("array has no maxItems", "arrays have no maxItems"),
        "one call with a million entries holds up the server for everybody",
        in_server('add "maxItems", in Python: Annotated[list[str], Field(max_length=50)]'),
    )


def unbounded_number(tool: Subject) -> Iterator[Fault]:
    """A number has bounds on both sides. Source: JSON Schema 2020-12, validation, section 6.2; OWASP API4:2023."""
    yield from _unbounded(
        tool,
        lambda leaf: leaf.types and leaf.types & {"integer", "number"} and not _is_between(leaf),
        ("number lacks minimum, maximum or both", "numbers lack minimum, maximum or both"),
        "a limit of a billion, or of -1, is a valid argument, and the code meets it unprepared",
        in_server('add "minimum" and "maximum", in Python: Annotated[int, Field(ge=1, le=100)]'),
    )


def _unbounded(
    tool: Subject, lacks: Callable[[Place], object], words: tuple[str, str], why: str, mend: str
) -> Iterator[Fault]:
    found = [
        place.path
        for place in tool.places
        if any(not (leaf.opaque or leaf.is_enumerated) and lacks(leaf) for leaf in place.leaves())
    ]
    if found:
        count = len(set(found))
        yield Fault(located("input", found), f"{count:,} {words[count > 1]}", Severity.WARNING, why, mend)


def _is_short(leaf: Place) -> bool:
    return (
        leaf.says("maxLength")
        or any(isinstance(name, str) and name in _SHORT_FORMATS for name in leaf.said("format"))
        or any(ends_by_itself(pattern) for pattern in leaf.said("pattern"))
    )


def ends_by_itself(pattern: object) -> bool:
    """Tell whether a pattern allows texts of a bounded length only, as far as that is seen without compiling it."""
    if not isinstance(pattern, str) or len(pattern) > _PATTERN_CHARACTERS:
        return False
    bare = re.sub(r"\[[^\]]*\]", "x", re.sub(r"\\.", "x", pattern))
    anchored = bare.startswith("^") and bare.endswith("$")
    # Outside of brackets each side of a bar would need anchors of its own.
    outside = bare
    while (shorter := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = shorter
    return anchored and "|" not in outside and not any(sign in bare for sign in ("*", "+", ",}"))


def _is_short_list(leaf: Place) -> bool:
    closed = any(value is False for value in leaf.said("items", "additionalItems", "unevaluatedItems"))
    # Each of few values at most once is as good as a bound.
    unique = any(value is True for value in leaf.said("uniqueItems"))
    few = any(isinstance(items, dict) and ("enum" in items or "const" in items) for items in leaf.said("items"))
    return leaf.says("maxItems") or closed or (unique and few)


def _is_between(leaf: Place) -> bool:
    return leaf.says("minimum", "exclusiveMinimum") and leaf.says("maximum", "exclusiveMaximum")


def additional_properties_unsaid(tool: Subject) -> Iterator[Fault]:
    """An object says whether it may have properties that the schema does not name.

    Source: JSON Schema 2020-12, core, section 10.3.2.3: unsaid, everything is allowed.
    """
    found = [
        place.path
        for place in tool.places
        if any(
            not leaf.opaque
            and not leaf.is_enumerated
            and ("object" in (leaf.types or ()) or leaf.says("properties"))
            and not leaf.says("additionalProperties", "unevaluatedProperties")
            for leaf in place.leaves()
        )
    ]
    if found:
        # The SDK makes the model of the arguments itself, from the signature: there is no model_config to set.
        top = (
            'add "additionalProperties": false in the server; the Python SDK\'s @tool cannot say it yet, so refuse '
            "unknown arguments in the code"
        )
        nested = in_server(
            'add "additionalProperties": false, or true where any are welcome, in pydantic: '
            'model_config = ConfigDict(extra="forbid")'
        )
        both = len(set(found)) > 1 and "" in found
        mends = [f"at the top level {top}", f"inside, {nested}"] if both else [nested if found[0] else top]
        yield Fault(
            located("input", found),
            f"{counted(len(set(found)), 'object')} leave{'s' * (len(set(found)) == 1)} additional properties undecided",
            Severity.WARNING,
            "a misspelt optional argument is dropped in silence: the tool runs with the default instead",
            "; ".join(mends),
        )


def default_missing(tool: Subject) -> Iterator[Fault]:
    """An argument that may be left out says what is assumed then.

    Source: JSON Schema 2020-12, validation, section 9.2; the build sequence's contract template.
    """
    found = [
        place.path
        for place in tool.places
        if place.kind == "property" and not place.required and not place.opaque and not place.says("default", "const")
    ]
    if found:
        one = len(set(found)) == 1
        yield Fault(
            located("input", found),
            f"{counted(len(set(found)), 'argument')} may be left out and {'has' if one else 'have'} no default",
            Severity.WARNING,
            "nobody can tell what a call without it does, and a new server version may do something else",
            in_server('add "default" (null is one, where null is allowed), or put the name into "required"'),
        )


def parameter_undocumented(tool: Subject) -> Iterator[Fault]:
    """An argument says what it means. Source: JSON Schema 2020-12, validation, section 9.1; models read it."""
    found = [
        place.path
        for place in tool.places
        if place.kind == "property"
        and not place.opaque
        and not place.says("const")
        and not any(
            isinstance(text, str) and text.strip() for each in place.with_choices() for text in each.said("description")
        )
    ]
    if found:
        one = len(set(found)) == 1
        yield Fault(
            located("input", found),
            f"{counted(len(set(found)), 'argument')} {'has' if one else 'have'} no description",
            Severity.WARNING,
            "a model guesses at meaning, unit and format, and now and then guesses wrong",
            in_server(
                'add "description": what it means, in which unit, in which form, in Python: '
                'Annotated[str, Field(description="...")]'
            ),
        )


def type_missing(tool: Subject) -> Iterator[Fault]:
    """An argument says its type. Source: JSON Schema 2020-12, validation, section 6.1.1: unsaid, all are allowed."""
    found = []
    for place in tool.places:
        for leaf in place.leaves():
            if not (leaf.opaque or leaf.is_enumerated or place.kind == "entry"):
                if leaf.types is None and place.kind != "whole":
                    found.append(place.path)
                elif "array" in (leaf.types or ()) and not leaf.says("items", "prefixItems"):
                    found.append(f"{place.path}[]")
    if found:
        yield Fault(
            located("input", found),
            f"{counted(len(set(found)), 'argument')} say{'s' * (len(set(found)) == 1)} no type: any JSON is allowed",
            Severity.WARNING,
            "a model sends a text where the code expects a number, and forms have nothing to show",
            in_server('add "type", in Python: annotate the parameter, and the entries of a list: list[str]'),
        )


def default_invalid(tool: Subject) -> Iterator[Fault]:
    """A default is a value that its own schema allows. Source: JSON Schema 2020-12, validation, section 9.2."""
    root = tool.contract.input_schema or {}
    doubtful = [
        (place.path, written)
        for place in (tool.places if is_modest(root) else ())
        for written in place.written
        if isinstance(written, dict) and "default" in written and not _is_plainly_valid(written)
    ]
    judge = judge_of(root) if doubtful else None
    found = [path for path, written in doubtful if judge and judge(written["default"], written) is False]
    if found:
        one = len(set(found)) == 1
        yield Fault(
            located("input", found),
            f"{counted(len(set(found)), 'default')} {'is a value' if one else 'are values'} that the schema refuses",
            Severity.ERROR,
            "a client or a form that sends the default is refused",
            in_server(
                'correct the default; where it is null, allow it: "type": ["string", "null"], in Python: str | None'
            ),
        )


def _is_plainly_valid(schema: dict[str, Any]) -> bool:
    """Tell whether a default fits at first sight, which is true of most; to evaluate the schema takes much longer."""
    asserted = schema.keys() - {"default", "title", "description"}
    said, default, choices = schema.get("type"), schema["default"], schema.get("anyOf")
    if default is None:
        return asserted == {"anyOf"} and isinstance(choices, list) and {"type": "null"} in choices
    if default == []:
        return said == "array" and asserted <= {"type", "items", "maxItems"}
    plain = (said == "string" and isinstance(default, str)) or (said == "boolean" and isinstance(default, bool))
    return plain and asserted == {"type"}


def required_undeclared(tool: Subject) -> Iterator[Fault]:
    """A required property is among the properties. Source: ours; JSON Schema allows it, and it is mostly a misspelling.

    Nothing is said where properties may be declared in parts of a schema that hold only at times.
    """
    found = []
    for place in tool.places:
        spread = [rule for each in place.with_choices() for rule in each.rules]
        if place.opaque or any(word in rule for rule in spread for word in _DECLARED_ELSEWHERE):
            continue
        declared = {name for rule in spread if isinstance(rule.get("properties"), dict) for name in rule["properties"]}
        if declared:
            needed = {name for each in place.with_choices() for name in each.required_names()}
            found += [member(place.path, name) for name in sorted(needed - declared)]
    if found:
        yield Fault(
            located("input", found),
            f"{counted(len(set(found)), 'required argument')} {'is' if len(set(found)) == 1 else 'are'} not declared",
            Severity.WARNING,
            "callers must send something of which nothing is said; where the object is closed, no call is valid",
            in_server('declare the name under "properties", or take it out of "required"'),
        )


def bounds_contradict(tool: Subject) -> Iterator[Fault]:
    """A lower bound is not above the upper one. Source: ours; such a schema allows no value."""
    found = []
    for place in tool.places:
        for leaf in place.leaves():
            for lower, upper in _CONTRADICTING:
                least = _bounds(leaf.said(lower))
                most = _bounds(leaf.said(upper)) if least else []
                if most and max(least) > min(most):
                    found.append(place.path)
    if found:
        yield Fault(
            located("input", found),
            f"{counted(len(set(found)), 'argument')} cannot be given: the lower bound is above the upper one",
            Severity.ERROR,
            "every value is refused",
            in_server("correct the bounds"),
        )


def _bounds(said: Iterator[Any]) -> list[int | Fraction]:
    return [exact for value in said if (exact := number(value)) is not None]


RULES: Final[Rules] = {
    "unbounded-string": unbounded_string,
    "unbounded-array": unbounded_array,
    "unbounded-number": unbounded_number,
    "additional-properties-unsaid": additional_properties_unsaid,
    "default-missing": default_missing,
    "parameter-undocumented": parameter_undocumented,
    "type-missing": type_missing,
    "default-invalid": default_invalid,
    "required-undeclared": required_undeclared,
    "bounds-contradict": bounds_contradict,
}
"""The rules on what arguments leave open."""
