"""YAML text, parsed into plain data and the line of everything.

The reading is YAML 1.2 (core schema) as far as JSON goes: ``yes`` and ``2024-01-01`` are texts, ``<<`` is a key like
any other, and what JSON does not know (tags, keys that are no texts, ``.nan``) is refused. All work is bounded, so that
no file can hang or crash its reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from mcp_workbench.errors import FileError
from mcp_workbench.untrusted import one_line

MAX_BYTES: Final = 20_000_000
MAX_DEPTH: Final = 100
"""How many mappings and lists may stand in each other."""
MAX_NODES: Final = 500_000
"""How many keys, values, mappings and lists a document may have, each alias counted as what it stands for.

A text counts once more for each :data:`_COUNTED_CHARACTERS`, so that aliases cannot repeat a long one without end.
"""
MAX_DIGITS: Final = 400
"""Of one number; Python itself converts no more than 4,300."""

_MAX_SLOW_CHARACTERS = 1_000_000
_COUNTED_CHARACTERS = 200
_MAX_NAME_CHARACTERS = 500

# What YAML 1.2 forbids (section 5.1, c-printable), and what is invisible besides: NEL, U+2028 and U+2029, which end a
# line in YAML 1.1 and not in 1.2, and the byte order mark inside of a text.
_UNREADABLE = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAG_DIRECTIVE = re.compile(r"^%TAG\b", re.MULTILINE)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")

# YAML 1.2.2, section 10.3.2: the core schema. What is nothing of this is a text.
_NO_TEXT = re.compile(
    r"(?P<null>null|Null|NULL|~|)|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    r"|(?P<decimal>[-+]?[0-9]+)|(?P<octal>0o[0-7]+)|(?P<hexadecimal>0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<endless>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
_CONSTANTS = {"null": None, "true": True, "false": False}
_BASES = {"decimal": 10, "octal": 8, "hexadecimal": 16}

_HINTS = {
    "mapping values are not allowed": "a text that holds ': ' needs quotes, or the line is indented too far",
    "tab character": "indent with spaces",
    "cannot start any token": "indent with spaces; a text that begins with a sign such as @ or ` needs quotes",
    "unexpected end of stream": "a quote is not closed",
    "unknown escape": "between double quotes, a backslash is written twice",
    "hexdecimal number": "between double quotes, a backslash is written twice",
    "invalid Unicode character escape": "write the character itself",
    "could not find expected ':'": "a key needs ': ' after it, and the same indentation as its neighbours",
    "did not find expected key": "the line is indented too far or too little, or a quoted text holds a quote",
    "expected <document start>": "the line is indented too little",
    "did not find expected ',' or": "a bracket that is opened is not closed",
    "did not find expected '-' indicator": "the line is indented too far or too little, or its '-' is missing",
}

Place = tuple[str | int, ...]


@dataclass(slots=True)
class Node:
    """A value, the line where it (or its key) begins, and what is in it.

    Attributes:
        value: plain JSON-like Python.
        line: from 1.
        inner: for a mapping its nodes by key, for a list by index; nothing for a scalar.
        height: how many mappings and lists stand in each other from here on; 0 for a scalar.
    """

    value: Any
    line: int
    inner: dict[str | int, Node] = field(default_factory=dict)
    height: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document that was read.

    Attributes:
        name: the file's name, for messages.
        data: dict with str keys, list, str, int, float, bool and None. What an alias stands for is the same object in
            each place.
        root: the same with lines.
    """

    name: str
    data: Any
    root: Node = field(repr=False)

    def line(self, place: Place) -> int:
        """Return the line, from 1, where ``place`` begins, or the nearest parent of it that the document has.

        Args:
            place: keys and indices from the root, such as ``("tools", 3, "effects")``.
        """
        node = self.root
        for part in place:
            if part not in node.inner:
                break
            node = node.inner[part]
        return node.line


def read_document(file: Path) -> Document:
    """Read a YAML file of at most ``MAX_BYTES`` bytes.

    Raises:
        FileError: it cannot be read, or is no YAML document; see :func:`parse_document`.
    """
    name = one_line(file, _MAX_NAME_CHARACTERS)
    try:
        if file.exists() and not file.is_file():
            raise FileError(f"{name} is no file; give the path of one")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FileError(f"the file {name!r} cannot be read: {why}; check its path") from None
    if len(content) > MAX_BYTES:
        raise FileError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB; split it into several files")
    try:
        return parse_document(content.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(f"{name}, line {line}: not UTF-8 text; save the file as UTF-8") from None


def parse_document(text: str, name: str) -> Document:
    """Read the text of one YAML document.

    Args:
        text: YAML of which JSON knows everything. Anchors and aliases are allowed.
        name: what messages call it.

    Raises:
        FileError: it is something else, or too much; the sentence names the line and what to do there.
    """
    return _Reading(one_line(name, _MAX_NAME_CHARACTERS), text.removeprefix("\ufeff")).document()


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet; in a mapping also the key whose value comes next."""

    node: Node
    anchor: str | None
    nodes_before: int
    key: str | None = None
    key_line: int = 0


class _Reading:
    # PyYAML's composers are recursive, and the fast one is C: a deeply nested file crashes the process. Hence events.
    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        # libyaml refuses the halves of surrogate pairs, as JSON has them; the slower parser takes them.
        self._halves = len(text) <= _MAX_SLOW_CHARACTERS and bool(_SURROGATE_ESCAPE.search(text))
        self._root: Node | None = None
        self._open: list[_Open] = []
        self._nodes = 0
        # By anchor: what it is, and how many nodes; None while it is open.
        self._anchored: dict[str, tuple[Node, int] | None] = {}

    def document(self) -> Document:
        self._check_characters()
        begun = False
        for event in self._events():
            line = event.start_mark.line + 1
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event, line)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event, line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.AliasEvent():
                    self._alias(str(event.anchor), line)
                case yaml.DocumentStartEvent():
                    if begun:
                        self._fail(line, "a second document begins here", "keep one document in a file")
                    begun = True
        if self._root is None:
            raise FileError(f"{self._name}: there is nothing in it; write something, or give another file")
        return Document(self._name, self._root.value, self._root)

    def _check_characters(self) -> None:
        if found := _UNREADABLE.search(self._text):
            code = f"U+{ord(found.group()):04X}"
            what = f"the character {code} is not allowed in YAML, or cannot be seen"
            self._fail(self._line_at(found.start()), what, "take it out, or write it as an escape in double quotes")
        # libyaml compares each of these with all before it.
        if found := _TAG_DIRECTIVE.search(self._text):
            self._fail(self._line_at(found.start()), "tags are not understood here", "take the %TAG line out")

    def _line_at(self, index: int) -> int:
        return self._text.count("\n", 0, index) + 1

    def _events(self) -> Iterator[Any]:
        loader: Any = yaml.SafeLoader if self._halves else getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            yield from yaml.parse(self._text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            self._fail_syntax(error)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # Of the slower parser: an escape beyond U+10FFFF, a version of a thousand digits.
            raise FileError(f"{self._name} is not valid YAML: {one_line(error)}; mend that") from None

    def _fail_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        last = self._text.rstrip("\n").count("\n") + 1
        line = min(error.problem_mark.line + 1, last) if error.problem_mark else last
        what = one_line(f"not valid YAML: {error.problem}")
        if error.context and error.context_mark:
            what += f" {one_line(error.context)} that begins in line {error.context_mark.line + 1}"
        hint = next((hint for words, hint in _HINTS.items() if words in what), None)
        self._fail(line, f"{what} ({hint})" if hint else what, "mend that line")

    def _fail(self, line: int, what: str, remedy: str) -> NoReturn:
        raise FileError(f"{self._name}, line {line}: {what}; {remedy}") from None

    def _count(self, line: int, nodes: int = 1) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            what = f"more than {MAX_NODES:,} values, those counted that aliases repeat"
            self._fail(line, what, "split the file, or take aliases out")

    def _check_depth(self, line: int, height: int) -> None:
        if len(self._open) + height > MAX_DEPTH:
            self._fail(line, f"nested deeper than {MAX_DEPTH} levels", "make it flatter")

    def _refuse_tag(self, tag: str | None, line: int) -> None:
        if tag is not None:
            what = f"the tag {one_line(tag, 60)!r} is not understood here"
            self._fail(line, what, "take it out, and put a text that begins with ! into quotes")

    @property
    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].node.value, dict) and self._open[-1].key is None

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        self._refuse_tag(event.tag, line)
        nodes = 1 + len(event.value) // _COUNTED_CHARACTERS
        self._count(line, nodes)
        # The second says: a text without a tag that is quoted, or a block.
        value: Any = event.value if event.implicit[1] else self._resolved(event.value, line)
        if event.style == '"' and self._halves:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        node = Node(value, line)
        if event.anchor is not None:
            self._anchored[event.anchor] = (node, nodes)
        self._place(node, line, event.value)

    def _resolved(self, text: str, line: int) -> Any:
        found = _NO_TEXT.fullmatch(text)
        if found is None:
            return text
        kind = str(found.lastgroup)
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind == "endless":
            self._fail(line, f"{text} is no number that JSON knows", "write a number, or put a text into quotes")
        number: int | float | None = None
        if len(text) <= MAX_DIGITS + len("-"):
            number = int(text, _BASES[kind]) if kind in _BASES else float(text)
        if number is None or not -(10**MAX_DIGITS) < number < 10**MAX_DIGITS:
            what = f"{one_line(text, 40)} is too long or too large for a number"
            self._fail(line, what, "write a smaller one, or put a text into quotes")
        return number

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        self._refuse_tag(event.tag, line)
        self._check_depth(line, 1)
        if self._awaits_key:
            self._fail(line, "a key is no text", "put a text that begins with [, { or - into quotes")
        empty: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(Node(empty, line, height=1), event.anchor, self._nodes))
        self._count(line)
        if event.anchor is not None:
            self._anchored[event.anchor] = None

    def _end(self) -> None:
        ended = self._open.pop()
        if ended.anchor is not None:
            self._anchored[ended.anchor] = (ended.node, self._nodes - ended.nodes_before)
        self._place(ended.node, ended.node.line)

    def _alias(self, anchor: str, line: int) -> None:
        shown = one_line(anchor, 60)
        if anchor not in self._anchored:
            self._fail(line, f"*{shown} stands for nothing", f"write &{shown} where it is meant to point, before this")
        known = self._anchored[anchor]
        if known is None:
            self._fail(line, f"*{shown} stands inside of what it stands for", "write it out")
        node, nodes = known
        self._count(line, nodes)
        self._check_depth(line, node.height)
        self._place(Node(node.value, line, node.inner, node.height), line)

    def _place(self, node: Node, line: int, written: str = "") -> None:
        if not self._open:
            self._root = node if written or node.value is not None else None
            return
        parent = self._open[-1]
        parent.node.height = max(parent.node.height, node.height + 1)
        if self._awaits_key:
            self._key(parent, node.value, line, written)
            return
        if parent.key is None:
            parent.node.inner[len(parent.node.value)] = node
            parent.node.value.append(node.value)
        else:
            node.line = parent.key_line
            parent.node.inner[parent.key] = node
            parent.node.value[parent.key] = node.value
            parent.key = None

    def _key(self, parent: _Open, key: Any, line: int, written: str) -> None:
        if not isinstance(key, str):
            self._fail(line, f"the key {one_line(written, 60) or 'before :'} is no text", "put it into quotes")
        if (twin := parent.node.inner.get(key)) is not None:
            what = f"the key {one_line(key, 60)!r} is there twice, in line {twin.line} and here"
            self._fail(line, what, "keep one of them")
        parent.key, parent.key_line = key, line
