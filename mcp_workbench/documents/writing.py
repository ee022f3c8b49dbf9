"""JSON-like data, written as YAML for people: block style, one line a value, long texts as they are read.

PyYAML's own writers were no help: the fast one writes emoji as escapes, neither writes comments. The writing of plain
data is small, and ``parse_document`` is the proof of it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from mcp_workbench.documents.parsing import MAX_BYTES, MAX_DEPTH, MAX_DIGITS, MAX_NODES
from mcp_workbench.errors import FileError
from mcp_workbench.untrusted import one_line

# A key on one line may have 1,024 characters (YAML 1.2.2, section 8.2.2), its quotes included.
_MAX_KEY_CHARACTERS = 1_000
_LIMIT = 10**MAX_DIGITS

# What is a text without quotes to YAML 1.1 and 1.2 alike: it begins like a word, or is a version, and holds no ": ", no
# " #", no ":" at its end.
_PLAIN = re.compile(r"(?:[^\W\d]|[/($])[^:#]*(?:(?::(?! |$)|(?<! )#)[^:#]*)*(?<! )|[0-9]+\.[0-9]+\.[0-9]+")
_NO_TEXT = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Gap:
    """A null that says beside it what somebody is to write in its place.

    Attributes:
        what: a few words on one line.
    """

    what: str


def written(value: Any) -> str:
    """Return data as a YAML document, such that ``parse_document`` reads the same data from it, types and all.

    Args:
        value: dict with str keys, list, str, int, float, bool, None, each where it is wanted; a tuple is written as a
            list, a ``Gap`` as a null with a comment. Characters that cannot be seen are written as escapes.

    Raises:
        FileError: it is something else, or more than ``parse_document`` reads.
    """
    writing = _Writing()
    writing.node("", value, 0)
    text = "\n".join(writing.lines) + "\n"
    if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES:
        raise FileError(f"this makes a file of more than {MAX_BYTES // 1_000_000} MB; write less of it")
    return text


class _Writing:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._nodes = 0

    def node(self, head: str, value: Any, depth: int) -> None:
        """Write a value behind ``head``, which is what stands on its line already: a key and colon, a dash, nothing.

        ``depth`` is how many mappings and lists it stands in: its own entries are indented by two spaces for each.
        """
        self._count(depth + isinstance(value, dict | list | tuple))
        if isinstance(value, dict | list | tuple) and value:
            if head.endswith("-"):
                begin = f"{head} "
            else:
                begin = "  " * depth
                self.lines += [head] if head else []
            self._entries(begin, value, depth)
        else:
            scalar = self._scalar(value, depth)
            self.lines.append(f"{head} {scalar}" if head else scalar)

    def _entries(self, begin: str, value: dict[str, Any] | list[Any] | tuple[Any, ...], depth: int) -> None:
        indent = "  " * depth
        if not isinstance(value, dict):
            for inner in value:
                self.node(f"{begin}-", inner, depth + 1)
                begin = indent
            return
        for key, inner in value.items():
            if not isinstance(key, str):
                raise FileError(f"the key {one_line(repr(key), 60)} is no text; write texts as keys")
            self._nodes += 1
            shown = key if _is_plain(key) else f'"{_escaped(key)}"'
            if len(shown) > _MAX_KEY_CHARACTERS:
                self.lines.append(f"{begin}? {shown}")
                self.node(f"{indent}:", inner, depth + 1)
            else:
                self.node(f"{begin}{shown}:", inner, depth + 1)
            begin = indent

    def _count(self, height: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise FileError(f"this is more than {MAX_NODES:,} values, more than a file may have; write less of it")
        if height > MAX_DEPTH:
            raise FileError(f"this is nested deeper than {MAX_DEPTH} levels, more than a file may be; make it flatter")

    def _scalar(self, value: Any, depth: int) -> str:
        match value:
            case None:
                return "null"
            case Gap():
                return f"null  # gap: {one_line(value.what)}"
            case bool():
                return "true" if value else "false"
            case int() if abs(value) < _LIMIT:
                return str(int(value))
            case float() if math.isfinite(value):
                return _float(value)
            case str():
                return _text(value, depth)
            case dict():
                return "{}"
            case list() | tuple():
                return "[]"
            case int() | float():
                what = "a number that JSON does not know" if isinstance(value, float) else "a number of too many digits"
                raise FileError(f"this holds {what}; write another")
            case _:
                raise FileError(f"this holds a {type(value).__name__}, which no YAML file can; write what JSON knows")


def _float(value: float) -> str:
    text = repr(float(value))
    # To YAML 1.1 a number like 1e+16 is a text: it wants a point.
    return text if "." in text else text.replace("e", ".0e")


def _text(text: str, depth: int) -> str:
    if _is_plain(text):
        return text
    lines = text.split("\n")
    if len(lines) == 1:
        return f'"{_escaped(text)}"'
    indent = "  " * max(depth, 1)
    # A text on the root level has no indentation to count from; what ends in spaces does not survive every editor.
    body = lines[:-1] if lines[-1] == "" else lines
    if depth and body[-1] and all(line.replace("\t", "").isprintable() and line == line.rstrip() for line in body):
        head = "|2" if text[0] in " \t\n" else "|"
        head += "" if lines[-1] == "" else "-"
        return "\n".join([head, *(indent + line if line else "" for line in body)])
    # A backslash at the end joins the lines; one before a space keeps the space.
    pieces = (f"\\{piece}" if piece.startswith(" ") else piece for piece in map(_escaped, lines))
    return '"' + f"\\n\\\n{indent}".join(pieces) + '"'


def _is_plain(text: str) -> bool:
    return text.isprintable() and text.lower() not in _NO_TEXT and _PLAIN.fullmatch(text) is not None


def _escaped(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(_ESCAPES.get(each) or (each if each.isprintable() else _code(each)) for each in text)


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
