r"""Texts that a pattern finds, drawn by reading it: no pattern of a server is ever compiled.

What is read is what people write into schemas: characters, ``.``, ``\d``, ``\w``, ``\s``, classes, groups, ``|``, and
how often each comes. Look-around, back-references and what else there is are not read.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

MAX_PATTERN_CHARACTERS: Final = 500
MAX_TEXT_CHARACTERS: Final = 4_000
"""How long a drawn text may be."""

Draw = Callable[[int], int]
"""Returns a whole number from 0 to below what it is given."""

_MAX_DEPTH = 20
_MAX_STEPS = 20_000
_MAX_REPEATS = 10_000
_RANGE = 255
_MORE_REPEATS = 3
"""How much more often than needed a thing comes, at most."""

_WORD = string.ascii_lowercase + string.digits + "_"
_CLASSES = {"d": string.digits, "w": _WORD, "s": " "}
_COMPLEMENTS = {"D": string.ascii_lowercase, "W": " -", "S": _WORD}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_PLAIN = string.ascii_lowercase + string.digits
# What a class that begins with ^ leaves is drawn from these.
_PRINTABLE = string.ascii_letters + string.digits + " -_.,:;/!?#%&@+*=()[]{}<>|~^$'\"\\`"


class UnreadPatternError(ValueError):
    """A pattern holds what is not read, or asks for a text without end; says which."""


@dataclass(frozen=True, slots=True)
class _Characters:
    """One character of several."""

    choices: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of several sequences of things, each with how often it comes at least and at most."""

    branches: list[list[tuple[Any, int, int]]] = field(default_factory=lambda: [[]])


def pattern_text(pattern: str, draw: Draw) -> str:
    """Return a text in which ``pattern`` is found from its beginning to its end.

    Args:
        pattern: a regular expression as JSON Schema has them (ECMA-262).
        draw: where chance comes from.

    Raises:
        UnreadPatternError: the pattern holds what is not read here, or the text would be too long.

    Source:
        JSON Schema 2020-12, core, section 6.4, says which expressions a schema should keep to: these are they.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise UnreadPatternError("it is too long")
    reader = _Reader(pattern)
    whole = reader.choice(0)
    if reader.at < len(pattern):
        raise UnreadPatternError("it closes a group that it does not open")
    writer = _Writer(draw)
    writer.write(whole)
    return "".join(writer.written)


class _Writer:
    """Writes one text in a bounded number of steps: a thing that is nothing may be repeated without end."""

    def __init__(self, draw: Draw) -> None:
        self.written: list[str] = []
        self._draw = draw
        self._left = _MAX_STEPS

    def write(self, thing: _Characters | _Choice) -> None:
        self._left -= 1
        if self._left < 0 or len(self.written) == MAX_TEXT_CHARACTERS:
            raise UnreadPatternError("it asks for too long a text")
        if isinstance(thing, _Characters):
            self.written.append(thing.choices[self._draw(len(thing.choices))])
            return
        for inner, least, most in thing.branches[self._draw(len(thing.branches))]:
            for _ in range(least + self._draw(min(most - least, _MORE_REPEATS) + 1)):
                self.write(inner)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def choice(self, depth: int) -> _Choice:
        """Read up to the end of a group, or of the pattern."""
        if depth > _MAX_DEPTH:
            raise UnreadPatternError("its groups are nested too deep")
        read = _Choice()
        while self.at < len(self._pattern) and self._pattern[self.at] != ")":
            sign = self._next()
            if sign == "|":
                read.branches.append([])
            elif sign == "^":
                # Only where it holds by itself: what is before it is nothing.
                if read.branches[-1] or depth:
                    raise UnreadPatternError("it has ^ in its middle")
            elif sign == "$":
                if depth or (self.at < len(self._pattern) and self._pattern[self.at] != "|"):
                    raise UnreadPatternError("it has $ in its middle")
            else:
                read.branches[-1].append((self._thing(sign, depth), *self._times()))
        return read

    def _next(self) -> str:
        if self.at >= len(self._pattern):
            raise UnreadPatternError("it ends too early")
        self.at += 1
        return self._pattern[self.at - 1]

    def _thing(self, sign: str, depth: int) -> _Characters | _Choice:
        if sign == "(":
            return self._group(depth)
        if sign == "[":
            return self._class()
        if sign == ".":
            return _Characters(_PLAIN)
        if sign == "\\":
            return _Characters(self._escaped())
        if sign in "*+?{":
            raise UnreadPatternError(f"it repeats nothing with {sign}")
        return _Characters(sign)

    def _group(self, depth: int) -> _Choice:
        if self._pattern.startswith("?:", self.at):
            self.at += 2
        elif self._pattern.startswith("?", self.at):
            raise UnreadPatternError("it looks around, or names a group")
        read = self.choice(depth + 1)
        if self._next() != ")":
            raise UnreadPatternError("it does not close a group")
        return read

    def _escaped(self) -> str:
        sign = self._next()
        if choices := _CLASSES.get(sign) or _COMPLEMENTS.get(sign) or _CONTROLS.get(sign):
            return choices
        if sign.isalnum():
            raise UnreadPatternError(f"it holds \\{sign}")
        return sign

    def _class(self) -> _Characters:
        negated = self._pattern.startswith("^", self.at)
        self.at += negated
        choices: dict[str, None] = {}
        complements = False
        while (sign := self._next()) != "]":
            if sign == "[" and self._pattern.startswith(":", self.at):
                raise UnreadPatternError("it names a class of characters")
            if sign == "\\":
                complements |= self._pattern[self.at : self.at + 1] in _COMPLEMENTS
                choices |= dict.fromkeys(self._escaped())
                if self._is_range():
                    raise UnreadPatternError("it has a range of characters that begins with a backslash")
            elif self._is_range():
                self.at += 1
                choices |= dict.fromkeys(_range(sign, self._next()))
            else:
                choices[sign] = None
        if negated:
            if complements:
                raise UnreadPatternError("it says twice what a character is not")
            # \w stands for capitals, too, and \s for every space.
            out = set(choices) | ({each.upper() for each in choices} if set(_WORD) <= set(choices) else set())
            choices = dict.fromkeys(each for each in _PRINTABLE if each not in out)
        wanted = [each for each in choices if each in _PRINTABLE] or list(choices)
        if not wanted or any("\ud800" <= each <= "\udfff" for each in wanted):
            raise UnreadPatternError("it has a class without characters that can be sent")
        return _Characters("".join(wanted))

    def _is_range(self) -> bool:
        # A dash at the end of a class is a dash.
        return self._pattern[self.at : self.at + 1] == "-" and self._pattern[self.at + 1 : self.at + 2] not in ("]", "")

    def _times(self) -> tuple[int, int]:
        sign = self._pattern[self.at : self.at + 1]
        if sign not in ("*", "+", "?", "{"):
            return 1, 1
        self.at += 1
        least, most = {"*": (0, _MAX_REPEATS), "+": (1, _MAX_REPEATS), "?": (0, 1)}.get(sign) or self._braces()
        following = self._pattern[self.at : self.at + 1]
        if following == "?":
            self.at += 1  # fewer are tried first; the text is the same
        elif following in ("*", "+", "{"):
            raise UnreadPatternError("it repeats a repetition")
        return least, most

    def _braces(self) -> tuple[int, int]:
        end = self._pattern.find("}", self.at)
        low, comma, high = self._pattern[self.at : end].partition(",")
        if end < 0 or not _is_count(low) or (high and not _is_count(high)):
            raise UnreadPatternError("it has braces that say no number of times")
        self.at = end + 1
        least = int(low)
        most = int(high) if high else _MAX_REPEATS if comma else least
        if not least <= most <= _MAX_REPEATS:
            raise UnreadPatternError("it repeats a thing too often")
        return least, most


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_REPEATS))


def _range(first: str, last: str) -> list[str]:
    if last == "\\" or not first <= last:
        raise UnreadPatternError("it has a range of characters that is none")
    # Of a long one, such as all of Unicode, the first are enough.
    return [chr(code) for code in range(ord(first), min(ord(last), ord(first) + _RANGE) + 1)]
