"""The same bad call gives the same error object: each time, over each transport, in each process, in both eras."""

import asyncio
import json
import logging
from pathlib import Path

import bad_calls
import pytest

CODES = {
    "unknown tool": "unknown_tool",
    "wrong type": "invalid_arguments",
    "missing": "invalid_arguments",
    "unknown argument": "invalid_arguments",
    "too large": "arguments_too_large",
    "not found": "not_found",
    "with details": "locked",
    "on purpose": "tool_error",
    "crash": "internal",
    "invalid result": "invalid_result",
    "result too large": "result_too_large",
    "timeout": "timeout",
    bad_calls.OVERLOAD: "overloaded",
}


def test_the_same_bad_call_gives_the_same_error_object_everywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The SDK's tracebacks are costly to write, and nobody reads them here.
    caplog.set_level(logging.CRITICAL + 1)
    found: dict[str, set[bytes]] = {cause: set() for cause in (*CODES, bad_calls.NOT_BEGUN)}
    where = []
    for name, target, mode in bad_calls.targets(tmp_path, (("legacy",),)):
        where.append(name)
        for cause, objects in asyncio.run(bad_calls.error_objects(target, mode, 3)).items():
            found[cause] |= set(objects)
    assert [name.split(",")[0] for name in where] == ["in process", "in process", "stdio", "http", "http"]
    assert len(found.pop(bad_calls.NOT_BEGUN)) <= 1
    assert {cause: len(objects) for cause, objects in found.items()} == dict.fromkeys(CODES, 1)
    assert {cause: json.loads(objects.pop())["code"] for cause, objects in found.items()} == CODES
