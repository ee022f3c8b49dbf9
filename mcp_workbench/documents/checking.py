"""A document held against a pydantic model: the first fault, with its line, its place, and what to do."""

from __future__ import annotations

import difflib
import re
from typing import Any, TypeVar

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from mcp_workbench.documents.parsing import Document, Node, Place
from mcp_workbench.errors import FileError
from mcp_workbench.untrusted import one_line

T = TypeVar("T")

_PLACE_CHARACTERS = 200
_VALUE_CHARACTERS = 60
_KNOWN_FIELDS = 20

# pydantic speaks of Python; a file has mappings and lists.
_MAPPING, _LIST, _TEXT = "should be a mapping", "should be a list", "should be text"
_WORDS = {
    "missing": "is missing",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "string_type": _TEXT,
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
}


def checked(document: Document, model: type[T] | TypeAdapter[T]) -> T:
    """Return what a document says, as ``model``.

    Args:
        document: what was read.
        model: a pydantic model, any other type, or its adapter. It decides how strict it is. A validator of a whole
            model may begin its sentence with the name of the field that is at fault, and a colon.

    Raises:
        FileError: the document is something else; the sentence names file, line and place of the fault that comes
            first in the file, and how many more there are.
    """
    adapter: TypeAdapter[T] = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    try:
        return adapter.validate_python(document.data)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    # Of a union each member has its fault: what belongs to one place is told as one.
    by_place: dict[Place, list[ErrorDetails]] = {}
    for place, fault in (_placed(each, document.root) for each in faults):
        by_place.setdefault(place, []).append(fault)
    # Of a union, the member that fits best has its fault deepest.
    first = min(by_place, key=lambda place: (document.line(place), -len(place)))
    sentence = f"{document.name}, line {document.line(first)}"
    if first:
        sentence += f", {one_line(_shown_place(first), _PLACE_CHARACTERS)}"
    sentence += f": {_told(by_place[first], first, adapter)}"
    if len(by_place) > 1:
        sentence += f" (and {len(by_place) - 1} more)"
    raise FileError(sentence)


def _placed(fault: ErrorDetails, root: Node) -> tuple[Place, ErrorDetails]:
    """Return where in the document a fault is; pydantic puts members of unions and words of its own into the way."""
    place: list[str | int] = []
    at = root
    for part in fault["loc"]:
        if part in at.inner:
            at = at.inner[part]
            place.append(part)
    if fault["type"] == "missing":
        place.append(fault["loc"][-1])
    elif fault["type"] == "value_error":
        message = fault["msg"].removeprefix("Value error, ")
        named = re.match(r"(\w+): ", message)
        if named and named[1] in at.inner:
            place.append(named[1])
            message = message.removeprefix(named[0])
        fault = {**fault, "msg": message}
    return tuple(place), fault


def _shown_place(place: Place) -> str:
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w$-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{one_line(part, _VALUE_CHARACTERS)!r}]"
    return text


def _told(faults: list[ErrorDetails], place: Place, adapter: TypeAdapter[Any]) -> str:
    if faults[0]["type"] == "extra_forbidden":
        return _told_unknown(str(place[-1]), _known_fields(adapter, place[:-1]))
    words = list(dict.fromkeys(_words(fault) for fault in faults))
    told = " or ".join(words[:3])
    if faults[0]["type"] == "missing":
        return f"{told}; add it"
    if faults[0]["type"] == "value_error":
        return told if ";" in told else f"{told}; mend that field"
    value = faults[0]["input"]
    number = isinstance(value, int | float) and any(fault["type"] == "string_type" for fault in faults)
    return f"{told}, not {_shown_value(value)}; {'put it into quotes' if number else 'mend that field'}"


def _words(fault: ErrorDetails) -> str:
    message = one_line(fault["msg"]).removeprefix("Input ")
    return _WORDS.get(fault["type"]) or message[:1].lower() + message[1:]


def _shown_value(value: object) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {one_line(value, _VALUE_CHARACTERS)}"
        case _:
            return repr(one_line(value, _VALUE_CHARACTERS))


def _told_unknown(name: str, known: list[str]) -> str:
    if close := difflib.get_close_matches(name[:_PLACE_CHARACTERS], known, n=1):
        return f"there is no such field; did you mean {close[0]!r}?"
    if 0 < len(known) <= _KNOWN_FIELDS:
        return f"there is no such field; take it out, or choose one of {', '.join(known)}"
    return "there is no such field; take it out"


def _known_fields(adapter: TypeAdapter[Any], place: Place) -> list[str]:
    """Return the fields that may stand at ``place``, by the model's JSON Schema, which each kind of model has."""
    try:
        root = adapter.json_schema()
    except PydanticUserError:
        return []
    at = _alternatives(root, root)
    for part in place:
        below = []
        for schema in at:
            inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
            if inner is None and isinstance(part, str):
                inner = schema.get("additionalProperties")
            below += _alternatives(inner, root) if isinstance(inner, dict) else []
        at = below
    return list(dict.fromkeys(name for schema in at for name in schema.get("properties", {})))


def _alternatives(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas that a schema of pydantic's stands for: itself, what it refers to, the members of a union."""
    if "$ref" in schema:
        return _alternatives(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    members = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    return [schema, *(inner for member in members for inner in _alternatives(member, root))]
