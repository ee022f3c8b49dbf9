"""Text that came from a server: made visible, bounded and escaped before anybody sees it.

Names, descriptions and results of a server are hostile until shown otherwise. Two doors lead out: :func:`plain` for
terminals and plain text, :func:`escaped` for HTML. Both cut long text and say so; both show control characters, and
the characters that reorder text, by their code instead of obeying them.
"""

from __future__ import annotations

import html
import re

SHOWN_CHARACTERS = 20_000
"""How much of one text is shown unless the caller says otherwise."""

# C0 and C1 controls but tab and newline; the bidirectional controls of Unicode UAX #9 ("Trojan Source",
# CVE-2021-42574); zero-width and other invisible format characters, the tag characters, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff]"
)


def plain(text: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Return ``text`` with invisible characters shown by their code, cut at ``limit`` characters.

    Args:
        text: anything; what is no string is shown by ``str``.
        limit: the greatest number of characters of the text that are kept.

    Returns:
        Text that is safe to print: it moves no cursor, hides nothing and is bounded.
    """
    whole = text if isinstance(text, str) else str(text)
    # Cut first: replacing in what is not shown would cost for nothing.
    shown = _INVISIBLE.sub(_code, whole[:limit].replace("\r\n", "\n"))
    if len(whole) > limit:
        shown += f"… [{len(whole):,} characters in all, the first {limit:,} shown]"
    return shown


def one_line(text: object, limit: int = 200) -> str:
    """Return ``text`` on one line, as :func:`plain` makes it, cut at ``limit`` characters with an ellipsis."""
    whole = text if isinstance(text, str) else str(text)
    line = " ".join(plain(whole[: limit * 4], limit * 4).split())
    return line if len(line) <= limit and len(whole) <= limit * 4 else line[: limit - 1] + "…"


def escaped(text: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Return ``text`` as :func:`plain` makes it, escaped for HTML text and attribute values."""
    return html.escape(plain(text, limit), quote=True)


def _code(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
