"""Cursors: where a search goes on, as a text that means nothing to its caller.

A cursor holds the last incident of a page, and a digest of that place and of the search. A text that was made up, or
that another search gave out, does not fit its digest. There is no secret in it: who reads this module can make one, and
gains nothing, since it leads only to a place in a list that may be read anyway.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

from mcp_workbench.controls.failures import Failure

_LONGEST: Final = 200
_PLACE: Final = re.compile(r"([0-9]{1,12})\.([0-9]{1,4})\.[0-9a-f]{16}")


class Place(NamedTuple):
    """An incident's place in the order of the list: by time, then by number."""

    opened_at: int
    number: int


def write_cursor(place: Place, search: tuple[object, ...]) -> str:
    """Return the cursor that leads on from ``place`` in a search.

    Args:
        place: the last incident of the page.
        search: what was searched for, as JSON: not the size of the page, which may change on the way.
    """
    proof = hashlib.sha256(json.dumps([place, search]).encode()).hexdigest()[:16]
    return urlsafe_b64encode(f"{place.opened_at}.{place.number}.{proof}".encode()).decode().rstrip("=")


def read_cursor(cursor: str, search: tuple[object, ...]) -> Place:
    """Return the place that a cursor leads on from.

    Raises:
        Failure: ``bad_cursor``, if it is none, or belongs to another search.
    """
    try:
        told = _PLACE.fullmatch(urlsafe_b64decode(cursor[:_LONGEST].encode("ascii") + b"==").decode("ascii"))
    except ValueError:
        told = None
    place = None if told is None else Place(int(told[1]), int(told[2]))
    # Written anew it must be the same text, to the letter: nothing else was ever given out.
    if place is None or write_cursor(place, search) != cursor:
        raise Failure(
            "bad_cursor",
            "the cursor is none of this search; search again without a cursor",
        )
    return place
