"""The starters, hardened as they are: every example of their contracts ends as promised."""

from pathlib import Path

import pytest

from mcp_workbench import Workbench, read_book
from mcp_workbench.controls import Settings, harden
from mcp_workbench.starters import clock, fetch, files, git, memory
from mcp_workbench.starters.copying import STARTERS, starter_contract

DEMOS = {"files": files.demo, "git": git.demo, "memory": memory.demo, "clock": clock.demo, "fetch": fetch.demo}


def test_every_starter_is_tried() -> None:
    assert set(DEMOS) == set(STARTERS)


@pytest.mark.parametrize("name", DEMOS)
def test_a_starter_works_unchanged_behind_the_six_stages(name: str, tmp_path: Path) -> None:
    book = read_book(starter_contract(name))
    for tool in book.tools:
        for at, example in enumerate(tool.examples or ()):
            # Each on a fresh one: an example may change what the next one finds.
            folder = tmp_path / f"{tool.name}-{at}"
            folder.mkdir()
            server = DEMOS[name](folder)
            # Once is enough here: retries of a slow page would only take longer.
            assert harden(server, book, Settings(attempts=1)).ok
            with Workbench(server) as wb:
                result = wb.call(tool.name, example.arguments)
                # What the schema itself rules out never reaches the tool any more.
                early = result.structured is not None and result.structured.get("code") == "invalid_arguments"
                assert early or tool.outcome_of(result) == example.outcome, f"{example.arguments}: {result}"
                assert not (early and example.outcome == "ok")
                strange = wb.call(tool.name, {"no such argument": 1})
                assert strange.structured["code"] == "invalid_arguments"
