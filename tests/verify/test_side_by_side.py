"""The same calls to several targets: every answer has its place, also those that never came."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer

from mcp_workbench import UsageError, Workbench
from mcp_workbench.controls import harden
from mcp_workbench.verify.side_by_side import SideBySide, aside_by_side, side_by_side

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("add", {"a": 1, "b": 2}),
    ("add", {"a": 1, "c": 3}),
    ("fail", {}),
    ("nothing", {}),
    ("markup", {}),
]


@pytest.fixture
def benches() -> Iterator[dict[str, Workbench]]:
    from example_servers import make_server

    strict = make_server("strict")
    harden(strict)
    opened = {"before": Workbench(make_server("lenient")), "after": Workbench(strict)}
    yield opened
    for bench in opened.values():
        bench.close()


@pytest.fixture
def compared(benches: dict[str, Workbench]) -> SideBySide:
    return side_by_side(benches, CALLS)


def test_each_call_has_a_row_and_each_target_a_column(compared: SideBySide) -> None:
    frame = compared.frame
    assert [*frame.columns] == ["tool", "arguments", "before", "after"]
    assert [*frame["tool"]] == [tool for tool, _ in CALLS]
    assert frame["before"][1] == "✓ 1"
    assert frame["after"][1].startswith("✗ invalid_arguments: ")
    assert "UnknownToolError" in str(compared.answers[3][0].code)


def test_the_headline_and_the_picture_count_how_the_calls_ended(compared: SideBySide) -> None:
    assert compared.headline() == (
        "5 calls; before: 2 failed without a code, 0 failed with a code, 3 answered; "
        "after: 1 failed without a code, 2 failed with a code, 2 answered"
    )
    assert "after: 1 failed without a code, 2 failed with a code, 2 answered" in repr(compared.plot())
    assert compared.plot().png().startswith(b"\x89PNG")


def test_it_is_ok_if_all_targets_answer_alike(benches: dict[str, Workbench], compared: SideBySide) -> None:
    assert not compared.ok
    assert side_by_side(benches, CALLS[:1]).ok
    assert side_by_side({"one": benches["before"]}, CALLS).ok


def test_what_a_server_sends_is_no_markup(compared: SideBySide) -> None:
    assert "<script>" not in compared._repr_html_()
    assert "\x1b" not in str(compared)


def test_awaited_it_says_the_same(benches: dict[str, Workbench], compared: SideBySide) -> None:
    async def asked() -> SideBySide:
        return await aside_by_side(benches, CALLS)

    assert asyncio.run(asked()).answers == compared.answers


def test_a_server_that_is_gone_has_its_sentence_in_each_row(benches: dict[str, Workbench]) -> None:
    benches["after"].close()
    compared = side_by_side(benches, CALLS[:2])
    assert [row[1].code for row in compared.answers] == ["ClosedError"] * 2
    assert [row[0].kind for row in compared.answers] == ["answered"] * 2


@pytest.mark.parametrize(
    ("targets", "calls", "said"),
    [
        ({}, CALLS, "nothing to put side by side"),
        ({"x": None}, [], "nothing to put side by side"),
        ({"tool": None}, CALLS, "cannot be called 'tool'"),
        ({"x": None}, [("add",)], "call 1 is no pair"),
        ({"x": None}, [("add", {}), ("add", [1])], "call 2 is no pair"),
        ({"x": None}, CALLS, "must be a dict of names and workbenches"),
        (["x"], CALLS, "must be a dict of names and workbenches"),
        (MCPServer("x", log_level="ERROR"), CALLS, "must be a dict of names and workbenches"),
    ],
)
def test_what_cannot_be_called_is_refused_before_anything_is(targets: Any, calls: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        side_by_side(targets, calls)


def test_no_target_is_left_out_of_a_long_answer(server: MCPServer) -> None:
    with Workbench(server) as bench:
        compared = side_by_side({"long": bench}, [("large", {"characters": 5_000})])
    assert len(compared.frame["long"][0]) <= 182
