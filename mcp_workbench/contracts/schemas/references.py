"""Local references in a JSON Schema, followed inside the schema itself and nowhere else."""

from __future__ import annotations

import enum
import urllib.parse
from typing import Any, Final, Literal


class Absent(enum.Enum):
    """The type of :data:`ABSENT`, which says that there is no value, where ``None`` says that it is null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final[Literal[Absent.ABSENT]] = Absent.ABSENT
"""What stands where there is no value: a default that is not said, a reference that leads nowhere."""

MAX_REF_CHARACTERS: Final = 1_000


def resolve(root: object, ref: object) -> Any:
    """Return what a local reference points at in ``root`` (a JSON pointer, RFC 6901), or ``ABSENT``.

    Args:
        root: the whole schema.
        ref: the text of a ``$ref``; only those that start with ``#`` are followed. Nothing is ever fetched.
    """
    if not isinstance(ref, str) or not ref.startswith("#") or len(ref) > MAX_REF_CHARACTERS:
        return ABSENT
    pointer = urllib.parse.unquote(ref[1:])
    if pointer and pointer[0] != "/":
        return ABSENT
    at: Any = root
    for escaped in pointer.split("/")[1:]:
        part = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and part in at:
            at = at[part]
        elif isinstance(at, list) and part.isascii() and part.isdigit() and int(part) < len(at):
            at = at[int(part)]
        else:
            return ABSENT
    return at
