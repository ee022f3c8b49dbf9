"""The explorer and the chooser: everything that a click does, without a browser."""

import concurrent.futures
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import pytest
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from mcp_types import ListToolsResult, Tool

from mcp_workbench import Chooser, UnknownToolError, UsageError, Workbench
from mcp_workbench.widgets.explorer import Explorer
from mcp_workbench.widgets.progress_bar import VIEW, notebook_bar


def shown(widget: Any) -> str:
    """Return all HTML in a widget and its children."""
    inside = [widget.value] if isinstance(widget, widgets.HTML | widgets.Label) else []
    return "\n".join(inside + [shown(child) for child in getattr(widget, "children", ())])


def all_widgets(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from all_widgets(child)


def button(explorer: Explorer, name: str) -> widgets.Button:
    found = [each for each in all_widgets(explorer.widget) if isinstance(each, widgets.Button)]
    return next(each for each in found if each.description == name)


@pytest.fixture
def bench(server: MCPServer) -> Iterator[Workbench]:
    with Workbench(server, name="example") as opened:
        yield opened


def test_running_a_filled_form_shows_the_result_and_the_call(bench: Workbench) -> None:
    explorer = bench.explore("add")
    assert "No calls yet" in shown(explorer.widget)
    explorer.fill({"a": 2, "b": 3})
    future = explorer.run()
    assert future is not None
    assert future.result(10).value == 5
    text = shown(explorer.widget)
    assert "add answered in" in text
    assert "&quot;result&quot;: 5" in text
    assert "The last calls, newest first" in text
    assert "<td" in text


def test_calls_from_cells_and_from_the_explorer_are_in_the_same_records(bench: Workbench) -> None:
    explorer = bench.explore("add")
    bench.call("add", {"a": 1})
    explorer.fill({"a": 1})
    future = explorer.run()
    assert future is not None
    future.result(10)
    assert len(bench.records) == 2


def test_an_error_of_the_tool_is_told_apart_from_a_result(bench: Workbench) -> None:
    explorer = bench.explore("fail")
    future = explorer.run()
    assert future is not None
    assert not future.result(10).ok
    text = shown(explorer.widget)
    assert "<b>ERROR</b> Error executing tool fail: the lamp is broken" in text
    assert "fail failed (tool_error)" in text


def test_a_form_that_is_not_filled_in_sends_nothing_and_names_the_field(bench: Workbench) -> None:
    explorer = bench.explore("add")
    assert explorer.run() is None
    assert "Error: a" in shown(explorer.widget)
    assert len(bench.session.log) == 0


def test_a_picture_is_drawn(bench: Workbench) -> None:
    explorer = bench.explore("picture")
    future = explorer.run()
    assert future is not None
    future.result(10)
    assert 'src="data:image/png;base64,' in shown(explorer.widget)


def test_a_call_under_way_can_be_cancelled_and_not_started_twice(bench: Workbench) -> None:
    explorer = bench.explore("slow")
    explorer.fill({"seconds": 600})
    future = explorer.run()
    assert future is not None
    assert explorer.run() is None
    assert button(explorer, "Run").disabled
    button(explorer, "Cancel").click()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(10)
    assert "cancelled" in shown(explorer.widget)
    assert not button(explorer, "Run").disabled
    explorer.cancel()
    explorer.close()


def test_a_lost_server_is_told_in_the_explorer(command: list[str]) -> None:
    with Workbench(command) as bench:
        explorer = bench.explore("die")
        future = explorer.run()
        assert future is not None
        with pytest.raises(Exception, match="lost"):
            future.result(10)
        assert "ConnectionLostError" in shown(explorer.widget)
        assert "reconnect()" in shown(explorer.widget)


def test_choosing_another_tool_changes_the_form(bench: Workbench) -> None:
    explorer = bench.explore()
    assert explorer.tool is not None
    assert explorer.tool.name == "add"
    explorer.choose("slow")
    assert explorer.form is not None
    assert set(explorer.form.slots) == {"seconds", "note"}
    with pytest.raises(UnknownToolError, match="no tool 'nothing'"):
        explorer.choose("nothing")
    with pytest.raises(UnknownToolError):
        bench.explore("nothing")


def test_a_click_is_the_same_as_the_method(bench: Workbench) -> None:
    explorer = bench.explore("quiet")
    button(explorer, "Run").click()
    while not len(bench.session.log):
        time.sleep(0.005)
    assert bench.session.log.last(1)[0].tool == "quiet"


def test_a_server_without_tools_says_so() -> None:
    async def listed(*_: Any) -> ListToolsResult:
        return ListToolsResult(tools=[])

    with Workbench(Server("empty", on_list_tools=listed)) as bench:
        explorer = bench.explore()
        assert "lists no tools" in shown(explorer.widget)
        assert explorer.run() is None
        assert repr(explorer) == "Explorer of 'empty': no tools (live when the cell is run)"


def test_two_tools_of_one_name_are_both_there() -> None:
    async def listed(*_: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="same", input_schema={"type": "object"}) for _ in range(2)])

    with Workbench(Server("twice", on_list_tools=listed)) as bench:
        choice = next(each for each in all_widgets(bench.explore().widget) if isinstance(each, widgets.Dropdown))
        assert len(choice.options) == 2


def test_every_input_of_every_form_has_a_label_that_is_text(bench: Workbench) -> None:
    explorer = bench.explore()
    for tool in bench.session.tools():
        explorer.choose(tool.name)
        for each in all_widgets(explorer.widget):
            if hasattr(each, "value") and not isinstance(each, widgets.HTML | widgets.Label):
                assert each.description
                assert not each.description_allow_html


def test_a_page_that_is_not_live_shows_names(bench: Workbench) -> None:
    bundle = bench.explore()._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Explorer of 'example': add, fail")
    assert set(bundle) == {"text/plain", VIEW}


def test_the_chooser_leads_from_a_domain_to_a_server() -> None:
    chooser = Chooser()
    assert "filesystem" in shown(chooser.widget)
    assert chooser.choose("memory").domain == "What was said before"
    assert "@modelcontextprotocol/server-memory" in shown(chooser.widget)
    assert repr(chooser).startswith("Chooser of 5 starting points")
    assert VIEW in chooser._repr_mimebundle_()
    with pytest.raises(UsageError, match="there is no starting point 'poetry'"):
        chooser.choose("poetry")


def test_the_progress_bar_says_its_figures_in_words_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(widgets.Widget, "_widget_construction_callback", staticmethod(made.append))
    with notebook_bar("sampling") as draw:
        box = next(each for each in made if isinstance(each, widgets.HBox))
        assert box.layout.display == "none"
        draw(3, 10)
        assert box.layout.display == "flex"
        assert [each.value for each in box.children] == [3, "3 of 10"]
    assert box.comm is None
