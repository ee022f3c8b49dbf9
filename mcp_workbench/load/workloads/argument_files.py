"""Files of arguments: JSON Lines, an object a line, or one JSON list of objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mcp_workbench.errors import FileError
from mcp_workbench.untrusted import one_line
from mcp_workbench.widgets.values import parse_json

FILE_ENDINGS: Final = (".jsonl", ".json")
MAX_BYTES: Final = 5_000_000
MAX_SETS: Final = 10_000
"""How many sets of arguments one call may draw from."""

_MAX_NAME_CHARACTERS = 500


def arguments_in(file: Path) -> tuple[dict[str, Any], ...]:
    """Return the sets of arguments that a file holds.

    Args:
        file: a ``.jsonl`` file, with an object in each line that is not empty, or a ``.json`` file with a list of
            objects; at most :data:`MAX_BYTES` long.

    Raises:
        FileError: it cannot be read, or holds something else or too much; the sentence names the place.
    """
    name = one_line(file, _MAX_NAME_CHARACTERS)
    text = _text(file, name)
    sets = _lines(text, name) if file.name.endswith(".jsonl") else _list(text, name)
    if not sets:
        raise FileError(f"{name} holds no arguments; write at least one JSON object, {{}} for a call without any")
    if len(sets) > MAX_SETS:
        raise FileError(f"{name} holds more than {MAX_SETS:,} sets of arguments; leave some out")
    for place, one in sets:
        if not isinstance(one, dict):
            raise FileError(f'{name}, {place}: arguments are a JSON object such as {{"city": "Bern"}}; write one')
    return tuple(one for _, one in sets)


def _text(file: Path, name: str) -> str:
    try:
        if file.exists() and not file.is_file():
            raise FileError(f"{name} is no file; give the path of one")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FileError(f"the file of arguments {name!r} cannot be read: {why}; check its path") from None
    if len(content) > MAX_BYTES:
        raise FileError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB; leave some arguments out")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(f"{name}, line {line}: not UTF-8 text; save the file as UTF-8") from None


def _lines(text: str, name: str) -> list[tuple[str, Any]]:
    sets = []
    # Not splitlines(): what ends a line for Python may stand in a JSON text.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                sets.append((f"line {number}", parse_json(line)))
            except ValueError as error:
                raise FileError(f"{name}, line {number}: the line {error}") from None
    return sets


def _list(text: str, name: str) -> list[tuple[str, Any]]:
    try:
        whole = parse_json(text)
    except ValueError as error:
        raise FileError(f"{name}: the file {error}") from None
    if not isinstance(whole, list):
        raise FileError(f"{name}: what is read is a list of JSON objects; put [ and ] around them")
    return [(f"entry {number}", one) for number, one in enumerate(whole, 1)]
