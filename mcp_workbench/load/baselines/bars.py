"""Pictures for terminals: a line a row, its bar made of characters that every terminal and every log has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mcp_workbench.untrusted import one_line

WIDTH: Final = 40
_NAME_CHARACTERS: Final = 24
_MOST_ROWS: Final = 200


def bars(title: str, rows: Sequence[tuple[str, float | None, str]], mark: str = "#") -> str:
    """Draw one bar a row, the longest as long as :data:`WIDTH`.

    Args:
        title: the line above.
        rows: for each its name, how much it is (at least 0; ``None`` if that is not known) and the words behind its
            bar; at most 200 are drawn.
        mark: the character that bars are made of.
    """
    drawn = rows[:_MOST_ROWS]
    most = max((value for _, value, _ in drawn if value is not None), default=0.0) or 1.0
    names = [one_line(name, _NAME_CHARACTERS) for name, _, _ in drawn]
    wide = max(map(len, names), default=0)
    lines = [one_line(title, 200)]
    for name, (_, value, words) in zip(names, drawn, strict=True):
        # What is not nothing is seen.
        length = 0 if not value else max(1, round(WIDTH * value / most))
        lines.append(f"{name:>{wide}} |{mark * length:<{WIDTH}}| {one_line(words, 120)}".rstrip())
    if len(rows) > len(drawn):
        lines.append(f"{len(rows):,} rows in all, the first {len(drawn)} drawn")
    return "\n".join(lines)
