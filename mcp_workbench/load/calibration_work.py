"""What the calibration server does for each call: a fixed piece of work, of the kinds that servers do.

A server's call runs through much code once: it reads JSON, holds it against a schema, searches, puts texts together and
writes JSON. Work that repeats a little code stays in the processor's nearest memory, and follows neither a cold
processor nor a busy neighbour as servers do.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import copy
import csv
import dataclasses
import datetime as dt
import difflib
import email.parser
import hashlib
import html
import io
import ipaddress
import json
import re
import shlex
import string
import textwrap
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any, Final

CALIBRATION_VERSION: Final = "1"
"""Of this work. Figures of two versions cannot be compared: what changes the work raises it."""

_TEXT: Final = json.dumps(
    {
        "id": "INC-0001",
        "title": "Checkout answers slowly",
        "tags": ["latency", "checkout", "eu"],
        "numbers": [number / 7 for number in range(20)],
        "steps": [
            {
                "at": f"2026-01-{day:02d}T10:00:00+00:00",
                "by": f"user{day}@example.org",
                "note": f"the queue grew to {day * 37} entries; see <https://example.org/q?n={day}> & wait",
            }
            for day in range(1, 9)
        ],
    }
)
_STRINGS: Final = {"type": "array", "items": {"type": "string"}}
_STEP: Final = {
    "type": "object",
    "required": ["at", "by"],
    "properties": {"at": {"type": "string"}, "by": {"type": "string"}, "note": {"type": "string"}},
}
_SCHEMA: Final = {
    "type": "object",
    "required": ["id", "steps"],
    "properties": {
        "id": {"type": "string"},
        "title": {"type": "string"},
        "tags": _STRINGS,
        "numbers": {"type": "array", "items": {"type": "number"}},
        "steps": {"type": "array", "items": _STEP},
    },
}
_TYPES: Final[dict[str, Any]] = {"object": dict, "array": list, "string": str, "number": int | float}
_NUMBERED: Final = re.compile(r"([a-z]+)[-: =]*(\d+)")
_HEAD: Final = "Host: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"


@dataclasses.dataclass
class _Note:
    title: str
    weight: int
    parts: list[_Note]


async def reference() -> dict[str, Any]:
    """Do the work once: about half a millisecond of CPU time, spread over much code, as a server's work is.

    Returns:
        Always the same; the test that pins it fails when the work is changed.
    """
    document = json.loads(_TEXT)
    said: list[str] = []
    for piece in (_validated, _searched):
        said.append(piece(document))
        await asyncio.sleep(0)
    said += await asyncio.gather(_soon(_addressed, document), _soon(_written_out, document))
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()
    return {"digest": digest[:16], "characters": sum(map(len, said))}


async def _soon(piece: Callable[[dict[str, Any]], str], document: dict[str, Any]) -> str:
    await asyncio.sleep(0)
    return piece(document)


def _validated(document: dict[str, Any]) -> str:
    twin = copy.deepcopy(document)
    twin["steps"].reverse()
    return f"{_checked(document, _SCHEMA)} {_checked(twin, _SCHEMA)} {json.dumps(twin, sort_keys=True)}"


def _checked(value: Any, schema: dict[str, Any]) -> int:
    """Return how many values there are; all of them are of their types."""
    if not isinstance(value, _TYPES[schema["type"]]):
        raise TypeError(schema["type"])
    inner: list[tuple[Any, dict[str, Any]]] = []
    if isinstance(value, dict):
        if any(name not in value for name in schema["required"]):
            raise KeyError(schema["required"])
        inner = [(value[name], of) for name, of in schema["properties"].items() if name in value]
    elif isinstance(value, list):
        inner = [(item, schema["items"]) for item in value]
    return 1 + sum(_checked(item, of) for item, of in inner)


def _searched(document: dict[str, Any]) -> str:
    found: collections.Counter[str] = collections.Counter()
    for step in document["steps"]:
        for word, number in _NUMBERED.findall(step["note"]):
            found[word] += int(number)
        found[step["by"].partition("@")[0].upper()] += len(step["note"].split())
    notes = [step["note"] for step in document["steps"][:2]]
    likeness = difflib.SequenceMatcher(None, notes[0].split(), notes[1].split()).ratio()
    return f"{sorted(found.items())} {likeness:.6f}"


def _addressed(document: dict[str, Any]) -> str:
    told: list[str] = []
    for step in document["steps"][:3]:
        query = urllib.parse.urlencode({"by": step["by"], "at": step["at"]})
        parts = urllib.parse.urlsplit(f"https://example.org/q?{query}")
        told.append(f"{parts.hostname} {urllib.parse.parse_qs(parts.query)['by'][0]}")
        at = dt.datetime.fromisoformat(step["at"]) + dt.timedelta(hours=7)
        told.append(f"{at.isoformat()} {at.timetuple().tm_yday}")
    told += [f"{name}={value}" for name, value in email.parser.HeaderParser().parsestr(_HEAD).items()]
    told += shlex.split("reference --from 'a day' --to=\"another\"")
    told.append(str(uuid.uuid5(uuid.NAMESPACE_DNS, document["id"])))
    told.append(str(ipaddress.ip_network("10.1.2.0/24")[7]))
    return " ".join(told)


def _written_out(document: dict[str, Any]) -> str:
    steps = document["steps"][:3]
    table = io.StringIO()
    writer = csv.DictWriter(table, ["at", "by", "note"])
    writer.writeheader()
    writer.writerows(steps)
    note = _Note(document["title"], 3, [_Note(step["by"], 1, []) for step in steps])
    return "".join(
        (
            table.getvalue(),
            json.dumps(dataclasses.asdict(note), indent=1),
            textwrap.fill(" ".join(step["note"] for step in steps), 40),
            string.Template("$title of ${id}, $$ 3").substitute(title=document["title"], id=document["id"]),
            html.escape(steps[0]["note"]),
            base64.b64encode(_TEXT.encode()).decode()[:40],
        )
    )
