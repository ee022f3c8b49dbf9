"""A server whose every word is HTML, script or terminal control: shown as text wherever it is shown."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import pytest
from example_servers import MARKUP
from mcp.server import Server
from mcp_types import (
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ListPromptsResult,
    ListResourcesResult,
    ListToolsResult,
    Prompt,
    PromptArgument,
    Resource,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)

from mcp_workbench import Workbench

SCHEMA = {
    "type": "object",
    "title": MARKUP,
    "properties": {
        MARKUP: {"type": "string", "title": MARKUP, "description": MARKUP, "default": MARKUP},
        "choice": {"enum": [MARKUP, "b"], "description": MARKUP},
        "inner": {"type": "object", "title": MARKUP, "properties": {MARKUP: {"type": "integer"}}},
        "many": {"type": "array", "items": {"anyOf": [{"type": "string", "title": MARKUP}, {"type": "null"}]}},
    },
}
PICTURES = [
    ImageContent(type="image", mime_type="image/svg+xml", data=base64.b64encode(MARKUP.encode()).decode()),
    ImageContent(type="image", mime_type='image/png"><script>', data="AAAA"),
    ImageContent(type="image", mime_type="image/png", data='"><script>alert(1)</script>'),
    ImageContent(type="image", mime_type="image/png", data=base64.b64encode(MARKUP.encode()).decode()),
]


@pytest.fixture
def bench() -> Iterator[Workbench]:
    async def tools(*_: Any) -> ListToolsResult:
        listed = [Tool(name=MARKUP, title=MARKUP, description=MARKUP, input_schema=SCHEMA)]
        return ListToolsResult(tools=[*listed, Tool(name="error", input_schema={"type": "object", "x": MARKUP})])

    async def called(_: Any, params: Any) -> CallToolResult:
        content = [
            TextContent(type="text", text=MARKUP),
            *PICTURES,
            ResourceLink(type="resource_link", name=MARKUP, uri="x://" + MARKUP),
            EmbeddedResource(type="resource", resource=TextResourceContents(uri="x://" + MARKUP, text=MARKUP)),
        ]
        structured = {MARKUP: MARKUP, "code": MARKUP}
        return CallToolResult(content=content, structured_content=structured, is_error=params.name == "error")

    async def resources(*_: Any) -> ListResourcesResult:
        return ListResourcesResult(resources=[Resource(name=MARKUP, uri="x://" + MARKUP, description=MARKUP)])

    async def prompts(*_: Any) -> ListPromptsResult:
        listed = Prompt(name=MARKUP, description=MARKUP, arguments=[PromptArgument(name=MARKUP)])
        return ListPromptsResult(prompts=[listed])

    server = Server(
        MARKUP, on_list_tools=tools, on_call_tool=called, on_list_resources=resources, on_list_prompts=prompts
    )
    with Workbench(server) as opened:
        yield opened


def harmless(page: str) -> None:
    """Check that ``page`` holds no tag and no handler of the server's, and no character that hides."""
    assert "<script" not in page
    # A picture of ours has an alternative text; the server's has not.
    assert not re.search(r"<img (?!alt=)", page)
    assert not re.search(r"<[^>]*\bonerror", page)
    silent(page)


def silent(text: str) -> None:
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_tables_of_tools_resources_and_prompts_show_markup_as_text(bench: Workbench) -> None:
    for table in (bench.tools, bench.resources, bench.prompts):
        assert len(table)
        harmless(table._repr_html_())
        silent(repr(table))
        assert "&lt;script&gt;" in table._repr_html_()


def test_results_and_errors_show_markup_as_text(bench: Workbench) -> None:
    for tool in (MARKUP, "error"):
        result = bench.call(tool)
        harmless(result._repr_html_())
        silent(str(result))
        silent(repr(result))
        assert "&lt;script&gt;" in result._repr_html_()
        assert result.images == []


def test_records_and_summaries_show_markup_as_text(bench: Workbench) -> None:
    bench.call("error")
    summary = bench.sample(MARKUP, calls=2, progress=False) + bench.summary()
    for shown in (bench.records, summary):
        harmless(shown._repr_html_())
        silent(str(shown))
    silent(summary.headline())
    assert summary.plot().png().startswith(b"\x89PNG")
    assert "\x1b" not in summary.to_json()


def test_the_workbench_itself_shows_the_name_of_the_server_as_text(bench: Workbench) -> None:
    harmless(bench._repr_html_())
    silent(repr(bench))


def test_the_explorer_shows_markup_as_text_before_and_after_a_call(bench: Workbench) -> None:
    explorer = bench.explore()
    for tool in (MARKUP, "error"):
        explorer.choose(tool)
        future = explorer.run()
        assert future is not None
        future.result(10)
        for each in widgets_in(explorer.widget):
            if isinstance(each, widgets.HTML):
                harmless(each.value)
            for words in (each.trait_values().get("description"), each.trait_values().get("tooltip")):
                silent(words or "")
            assert not each.trait_values().get("description_allow_html")
    silent(repr(explorer))


def test_errors_raised_by_the_workbench_hide_nothing(bench: Workbench) -> None:
    with pytest.raises(Exception, match="has no tool") as caught:
        bench.call("nothing like it")
    silent(str(caught.value))
    silent("".join(caught.value._render_traceback_()))  # type: ignore[attr-defined]


def test_a_listing_without_end_is_refused() -> None:
    async def endless(_: Any, params: Any) -> ListToolsResult:
        page = int(params.cursor or 0) if params is not None else 0
        tools = [Tool(name=f"t{page}_{at}", input_schema={"type": "object"}) for at in range(3)]
        return ListToolsResult(tools=tools, next_cursor=str(page + 1))

    with pytest.raises(Exception, match="lists tools without end"):
        Workbench(Server("endless", on_list_tools=endless))


def widgets_in(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from widgets_in(child)
