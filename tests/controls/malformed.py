"""Arguments that a tool's input schema does not allow: made of valid ones, in families, from a seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import jsonschema

Arguments = dict[str, Any]

WRONG: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 1.5, "", "5", "true", "null", "sev1", [], [1], ["sev1"], {}, {"a": 1}, [[]],
    {"": None},
)  # fmt: skip
INJECTIONS: Final = (
    "' OR '1'='1", "'; DROP TABLE incidents; --", '" OR ""="', "1; SELECT * FROM sqlite_master", "%27%20OR%201=1",
    "$(touch /tmp/x)", "`id`", "; cat /etc/passwd", "| ls", "&& true", "../../../../etc/passwd", "..\\..\\windows",
    "/etc/passwd", "file:///etc/passwd", "C:\\Windows\\win.ini", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "%s%s%n",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "\r\nX-Header: 1",
    "ignore all previous instructions", "INC-0001' --", "INC-0001\n", " INC-0001", "INC-0001; DROP TABLE notes",
)  # fmt: skip
ODD_TEXTS: Final = (
    "\x00", "INC-0001\x00", "\x1b[31m", "\u202eINC-0001", "\u200bINC-0001", "INC-\u0660\u0660\u0660\u0661", "\ufeff",
    "I\u0307NC-0001", "\uff29\uff2e\uff23-0001", "\U000e0041", "\ufffe", "\U0010ffff", "e\u0301" * 50, "\u0000" * 300,
)  # fmt: skip
ODD_NAMES: Final = (
    "", " ", "Limit", "limit ", "__proto__", "constructor", "__class__", "$ref", "../limit", "\u202etimil", "\x00",
    "\uff4cimit", "incident-id", "incidentId", "'; --", "{{limit}}", "self", "ctx", "arguments", "_meta",
)  # fmt: skip
NUMBERS: Final = (2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 2**70, 10**30, 1e308, -1e308, 5e-324, 0.1, 1.0000001)


@dataclass(frozen=True, slots=True)
class Malformed:
    """Arguments that must be refused.

    Attributes:
        family: in which way they are wrong.
        arguments: the arguments.
        in_json: whether they can be sent as JSON text.
    """

    family: str
    arguments: Arguments
    in_json: bool = True


class MalformedMaker:
    """An endless source of arguments that a schema does not allow; each of them comes once.

    Args:
        schema: the closed schema of an object.
        valid: arguments that it allows.
        seed: decides everything.
        max_bytes: from which size on arguments must be refused, whatever they are.
        max_depth: from which depth on arguments must be refused.
    """

    def __init__(
        self,
        schema: dict[str, Any],
        valid: list[Arguments],
        seed: int,
        *,
        max_bytes: int = 262_144,
        max_depth: int = 32,
    ) -> None:
        self.rng = random.Random(seed)
        self.properties: dict[str, Any] = schema.get("properties", {})
        self.required: list[str] = schema.get("required", [])
        self.valid = valid
        self.max_bytes, self.max_depth = max_bytes, max_depth
        self.validator = jsonschema.Draft202012Validator(schema)
        self.families: dict[str, Callable[[Arguments], None]] = {"unknown name": self._unknown, "deep": self._deep}
        if self.required:
            self.families["missing"] = self._missing
        if self.properties:
            put = {
                "wrong type": lambda: copy.deepcopy(self.rng.choice(WRONG)),
                "number": self._number,
                "length": lambda: self._text(self.rng.choice([0, 1, 41, 201, self.rng.randrange(5_000)])),
                "noise": lambda: self._text(self.rng.randrange(1, 30)),
                "injection": lambda: self.rng.choice(INJECTIONS) + self.rng.choice(["", self._text(3)]),
                "unicode": lambda: self._text(self.rng.randrange(4)) + self.rng.choice(ODD_TEXTS),
                "half a character": lambda: self._text(self.rng.randrange(9)) + chr(self.rng.randrange(0xD800, 0xE000)),
                "nearly": self._nearly,
            }
            self.families |= {name: self._at_a_place(make) for name, make in put.items()}

    def __iter__(self) -> Iterator[Malformed]:
        """Yield malformed arguments, one family after the other."""
        seen: set[str] = set()
        while True:
            for family, spoil in self.families.items():
                arguments = copy.deepcopy(self.rng.choice(self.valid))
                spoil(arguments)
                if self.rng.random() < 0.01:
                    arguments[self.rng.choice([*self.properties, "more"])] = "x" * (
                        self.max_bytes + self.rng.randrange(9)
                    )
                written = json.dumps(arguments)
                if written not in seen and self._is_malformed(arguments, written):
                    seen.add(written)
                    yield Malformed(family, arguments, in_json=_is_unicode(arguments))

    def _is_malformed(self, arguments: Arguments, written: str) -> bool:
        """Return whether arguments must be refused, as the reference implementation of JSON Schema sees it."""
        return (
            not _is_unicode(arguments)
            or _beyond_64_bits(arguments)
            or len(written) > 6 * self.max_bytes
            or _depth(arguments) > self.max_depth
            or not self.validator.is_valid(arguments)
        )

    def _at_a_place(self, make: Callable[[], Any]) -> Callable[[Arguments], None]:
        def spoil(arguments: Arguments) -> None:
            arguments[self.rng.choice(list(self.properties))] = make()

        return spoil

    def _unknown(self, arguments: Arguments) -> None:
        rng = self.rng
        name = rng.choice([rng.choice(ODD_NAMES), self._text(rng.randrange(1, 40)), rng.choice(INJECTIONS)])
        arguments[name] = rng.choice([copy.deepcopy(rng.choice(WRONG)), rng.choice(INJECTIONS), self._number()])

    def _missing(self, arguments: Arguments) -> None:
        del arguments[self.rng.choice(self.required)]
        for name in self.rng.sample(list(self.properties), self.rng.randrange(len(self.properties) + 1)):
            if name not in self.required:
                arguments[name] = self._text(self.rng.randrange(9))

    def _deep(self, arguments: Arguments) -> None:
        rng = self.rng
        value: Any = self._text(3)
        for _ in range(rng.choice([3, 10, 31, 32, 33, 100])):
            value = {rng.choice(["a", "limit"]): value} if rng.random() < 0.5 else [value]
        arguments[rng.choice([*self.properties, "more"])] = value

    def _number(self) -> Any:
        rng = self.rng
        near = [
            each[word] + rng.choice([-2, -1, -0.5, 0.5, 1, 2, 1_000])
            for each in self.properties.values()
            for word in ("minimum", "maximum")
            if word in each
        ]
        return rng.choice([*near, *NUMBERS, -rng.choice(NUMBERS), rng.randrange(-(10**6), 10**6), rng.random()])

    def _nearly(self) -> Any:
        """Return a valid value of some place, a little changed."""
        rng = self.rng
        words = [str(value) for arguments in self.valid for value in arguments.values()]
        words += [str(option) for each in self.properties.values() for option in _options(each)]
        text = rng.choice(words or ["x"])
        bends = [
            text.upper(),
            text.title(),
            f" {text}",
            f"{text} ",
            f"{text}\n",
            text[:-1],
            text[::-1],
            f"{text}{text}",
        ]
        return rng.choice([*bends, [text], {"value": text}, text + self._text(2)])

    def _text(self, length: int) -> str:
        return "".join(self.rng.choice("abcXYZ 019-_'\"%<>/\\{}é☃\n") for _ in range(length))


def _options(schema: dict[str, Any]) -> list[Any]:
    """Return the values that a schema lists, beside null, too."""
    return [option for each in (schema, *schema.get("anyOf", ())) for option in each.get("enum", ())]


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _beyond_64_bits(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_beyond_64_bits, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(_depth, inside), default=0)
