"""What may leave of a failure's text: no traceback, no absolute path, no secret.

It is a net under tools that put too much into their messages, made of shapes and of this process's environment. It
rather takes out too much; it cannot know a secret that looks like a word.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any, Final

from mcp_workbench.untrusted import one_line, plain

REDACTED: Final = "[redacted]"
PATH: Final = "[path]"
TRACEBACK: Final = "[traceback]"

# No more of a text is looked at than this, and than four times what is returned; each pattern below needs a time that
# grows with the length only.
_LOOKED_AT: Final = 20_000
_FOR_EACH: Final = 4
# A text that was cut may end inside of a secret, which then has no shape: its end is not shown.
_END: Final = 4_096

_SHORTEST_SECRET: Final = 8
_SECRET_VARIABLE: Final = re.compile("TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL", re.IGNORECASE)
_NOTHING: Final = re.compile("(?!)")

_MOST_DEPTH: Final = 6
_MOST_VALUES: Final = 100
_LONGEST_KEY: Final = 100
_LONGEST_VALUE: Final = 300
_LARGEST_INTEGER: Final = 2**63

_NAMES: Final = (
    r"pass(?:word|wd|phrase)|pwd|secret|token(?!s)|api[_-]?key|access[_-]?key|private[_-]?key|credential|signature"
    r"|session[_-]?id|cookie"
)
_SECRET_NAME: Final = re.compile(f"(?i:{_NAMES})")
_STACK: Final = re.compile(r'Traceback \(most recent call last\)|File "[^"\n]{1,1000}", line \d+')
_SECRETS: Final = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)"
        ),
        REDACTED,
    ),
    # https://user:password@host
    (re.compile(r"(?<=://)[^\s/'\"<>]{1,1000}@"), f"{REDACTED}@"),
    (re.compile(r"(?i)(authorization[\"']?\s{0,5}[:=])[^\r\n]{1,4000}"), rf"\1 {REDACTED}"),
    (re.compile(r"(?i)\b(bearer\s{1,5})[\w.~+/=-]{8,4000}"), rf"\1{REDACTED}"),
    # Amazon, GitHub, GitLab, Slack, Google, OpenAI and its likes, JSON Web Tokens (RFC 7519).
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:A[KS]IA[0-9A-Z]{16}|gh[pousr]_\w{16,255}|github_pat_\w{16,255}|glpat-[\w-]{16,255}"
            r"|xox[abeoprs]-[\w-]{10,255}|AIza[\w-]{30,255}|[sr]k[-_][\w-]{16,255}"
            r"|eyJ[\w-]{6,4000}\.[\w-]{2,4000}(?:\.[\w-]{0,4000})?)"
        ),
        REDACTED,
    ),
    (
        re.compile(
            rf"(?i)((?:{_NAMES})[\w-]{{0,40}}[\"']?\s{{0,5}}[:=]{{1,2}}>?\s{{0,5}})"
            r"(?:\"[^\"\n]{0,2000}\"?|'[^'\n]{0,2000}'?|[^\s,;&\"']{1,2000})"
        ),
        rf"\1{REDACTED}",
    ),
)

_SEGMENTS: Final = r"[^\s'\"<>`,;]*[^\s'\"<>`,;.:!?)\]}]"
_PATHS: Final = re.compile(
    # The path of a URL stays, unless it has no host: file:///x, sqlite:////x.
    r"(?P<url>[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/'\"<>][^\s'\"<>]*)"
    rf"|[A-Za-z][A-Za-z0-9+.-]{{1,30}}:///{_SEGMENTS}"
    # In quotes a path may hold spaces.
    r"|(?<=['\"])(?:[A-Za-z]:[\\/]|\\\\|/|~/)[^'\"\n]+(?=['\"])"
    # C:\x, \\host\x, also where a repr doubled the backslashes; names in the middle may hold spaces.
    rf"|(?:(?<!\w)[A-Za-z]:[\\/]|(?<![\w\\])\\\\)(?:[^\\/:*?\"'<>|\r\n]{{0,100}}[\\/])*(?:{_SEGMENTS})?"
    rf"|(?<![\w/~])~[\w.-]{{0,32}}/{_SEGMENTS}"
    # /x, but not a/x, ./x and ../x.
    rf"|(?<![\w/~%@+-])(?<!(?<!\w)\.)/{_SEGMENTS}"
)


class _Environment:
    """The secrets of this process's environment, as they were when they were last read."""

    def __init__(self) -> None:
        self._values: re.Pattern[str] | None = None

    def read(self) -> None:
        found = {
            value
            for name, value in os.environ.items()
            if len(value) >= _SHORTEST_SECRET and _SECRET_VARIABLE.search(name)
        }
        # The longest first: one may begin with another.
        ordered = sorted(found, key=lambda value: (-len(value), value))
        self._values = re.compile("|".join(map(re.escape, ordered))) if ordered else _NOTHING

    def without(self, text: str) -> str:
        if self._values is None:
            self.read()
        assert self._values is not None
        return self._values.sub(REDACTED, text)


_ENVIRONMENT: Final = _Environment()


def read_environment() -> None:
    """Note the secrets of this process's environment: the values of variables such as ``API_TOKEN``.

    Values shorter than 8 characters are left alone: they would tear holes into ordinary words.
    """
    _ENVIRONMENT.read()


def scrubbed(text: str, limit: int = 1_000) -> str:
    """Return ``text`` without traceback, absolute paths and secrets, its control characters visible.

    Args:
        text: what a tool says of its failure.
        limit: the greatest number of characters that are returned, the mark of a cut aside.
    """
    window = min(_LOOKED_AT, _FOR_EACH * limit + _END)
    cut = len(text) > window
    shown = _ENVIRONMENT.without(text[:window])
    if (stack := _STACK.search(shown)) is not None:
        shown = f"{shown[: stack.start()].rstrip()} {TRACEBACK}".lstrip()
        cut = False
    for shape, instead in _SECRETS:
        shown = shape.sub(instead, shown)
    # The one costly pattern; most messages have no path.
    if "/" in shown or "\\" in shown:
        shown = _PATHS.sub(_without_path, shown)
    if cut:
        shown = shown[:-_END]
    visible = plain(shown[:limit], limit)
    return visible[:limit] + "…" if cut or len(shown) > limit or len(visible) > limit else visible


def scrubbed_details(details: object) -> dict[str, Any]:
    """Return a failure's details as a small JSON object whose texts are scrubbed.

    Depth and number of values are bounded; what is no JSON is named as such.

    Args:
        details: what a tool gave; anything but an object becomes an empty one.
    """
    return _Details().members(details, 0) if isinstance(details, dict) else {}


class _Details:
    """One walk through details, which counts what it has seen."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def members(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for key, inner in value.items():
            self._left -= 1
            if self._left < 0:
                break
            name = one_line(scrubbed(str(key), _LONGEST_KEY), _LONGEST_KEY) if isinstance(key, str) else "[no name]"
            secret = _SECRET_NAME.search(name) is not None and not isinstance(inner, bool | None)
            told[name] = REDACTED if secret else self._value(inner, depth + 1)
        return told

    def _value(self, value: object, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return scrubbed(value, _LONGEST_VALUE)
        if isinstance(value, int):
            return int(value) if abs(value) < _LARGEST_INTEGER else "[too large a number]"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else "[no number]"
        if not isinstance(value, dict | list | tuple):
            return "[no JSON]"
        if depth >= _MOST_DEPTH:
            return "[nested too deep]"
        return self.members(value, depth) if isinstance(value, dict) else self._list(value, depth)

    def _list(self, values: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        told = []
        for inner in values:
            self._left -= 1
            if self._left < 0:
                break
            told.append(self._value(inner, depth + 1))
        return told


def _without_path(match: re.Match[str]) -> str:
    return match.group() if match["url"] is not None else PATH
