"""What is made once for a tool: kept while the tool stays as it is, and not for ever."""

from __future__ import annotations

from mcp_workbench.controls.catalogue import ToolEntry
from mcp_workbench.controls.per_tool import PerTool


def tool(name: str) -> ToolEntry:
    """Return a tool."""
    return ToolEntry(name, None, {}, None)


def test_a_thing_is_made_once_for_a_tool_and_again_when_the_tool_changes() -> None:
    made: list[ToolEntry] = []
    things: PerTool[int] = PerTool(lambda entry: made.append(entry) or len(made))  # type: ignore[func-returns-value]
    first, changed = tool("a"), tool("a")
    assert [things.of(first), things.of(first), things.of(changed), things.of(changed)] == [1, 1, 2, 2]
    assert made == [first, changed]


def test_tools_that_come_and_go_are_not_all_kept() -> None:
    things = PerTool(lambda entry: entry.name)
    for number in range(2_100):
        assert things.of(tool(f"t{number}")) == f"t{number}"
    assert len(things) == 2_000
