"""What a tool answered: text, structured values and images kept apart from errors, and safe to show."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from mcp_workbench.records import CallRecord, Outcome, records_table
from mcp_workbench.reports import Report
from mcp_workbench.stages import CallStory, read_story
from mcp_workbench.untrusted import escaped, one_line, plain

if TYPE_CHECKING:
    from mcp_workbench.tables import Table

# What every browser draws and what cannot carry a script; SVG can.
_PICTURES = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8",
    "image/webp": rb"RIFF....WEBP",
}
_SHOWN_BLOCKS = 20
# The end of what a server wrote tells the most.
_SAID_CHARACTERS = 2_000
_SHOWN_DEFAULTS = 10
_SHOWN_PICTURE_BYTES = 4_000_000
_PRE = "font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere;max-height:30em;overflow:auto;margin:2px 0"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CallResult(Report):
    """The answer to one call.

    Attributes:
        record: what is kept of the call: outcome, latency, sizes.
        raw: the SDK's result; ``None`` if the server answered with a protocol error or the answer was refused.
        error: the sentence that says what failed; ``None`` if the tool answered well.
        server_said: what the server wrote on its standard error, or logged, while it failed.
    """

    record: CallRecord
    raw: CallToolResult | None = None
    error: str | None = None
    server_said: str = ""

    @property
    def ok(self) -> bool:
        """Whether the tool answered, and answered well."""
        return self.record.outcome is Outcome.OK

    @property
    def outcome(self) -> Outcome:
        """How the call ended."""
        return self.record.outcome

    @property
    def latency_ms(self) -> float:
        """Milliseconds from start to end of the call."""
        return self.record.latency_ms

    @property
    def text(self) -> str:
        """The text blocks of the answer, joined by newlines, as the server sent them."""
        if self.raw is None:
            return ""
        return "\n".join(block.text for block in self.raw.content if isinstance(block, TextContent))

    @property
    def structured(self) -> Any:
        """The structured content; ``None`` if there is none."""
        return None if self.raw is None else self.raw.structured_content

    @property
    def value(self) -> Any:
        """What the tool returned: the structured content (unwrapped, if it is just ``result``), else the text."""
        if self.structured is None:
            return self.text
        if isinstance(self.structured, dict) and set(self.structured) == {"result"}:
            return self.structured["result"]
        return self.structured

    @property
    def images(self) -> list[bytes]:
        """The pictures of the answer (PNG, JPEG, GIF, WebP), decoded."""
        blocks = self.raw.content if self.raw is not None else []
        return [found[1] for block in blocks if (found := _picture(block)) is not None]

    @property
    def story(self) -> CallStory | None:
        """What a hardened server says of the call: id, attempts, defaults, stages; ``None`` if it says nothing."""
        return None if self.raw is None else read_story(self.raw.meta)

    @property
    def frame(self) -> Table:
        """The record of the call, as a table of one row."""
        return records_table([self.record])

    def headline(self) -> str:
        """Return tool, outcome and latency in one sentence."""
        how = "answered" if self.ok else f"failed ({self.outcome.value})"
        return f"{one_line(self.record.tool, 80)} {how} in {self.latency_ms:.2f} ms over {self.record.transport}"

    def __str__(self) -> str:
        """Return the answer as text: an error says so, then come structured values, text and the rest."""
        parts = [f"ERROR ({self.outcome.value}): {plain(self.error)}"] if self.error is not None else []
        if self.structured is not None:
            parts.append(plain(_indented(self.structured)))
        parts += [plain(words) for words in self._texts()]
        if filled := self._filled():
            parts.append(filled)
        if self.server_said:
            parts.append(f"the server said:\n{plain(self.server_said[-_SAID_CHARACTERS:])}")
        return "\n".join(parts) or "(an empty answer)"

    def __repr__(self) -> str:
        """Return outcome and a short form of the answer; without times, so that it can be compared."""
        return f"<CallResult {self.outcome.value}: {one_line(self, 200)}>"

    def _repr_html_(self) -> str:
        parts = [f"<div>{escaped(self._status(), 400)}</div>"]
        if self.error is not None:
            parts.append(f'<pre style="{_PRE}"><b>ERROR</b> {escaped(self.error)}</pre>')
        if self.structured is not None:
            parts.append(f'<div>structured:</div><pre style="{_PRE}">{escaped(_indented(self.structured))}</pre>')
        texts = self._texts()
        if texts:
            parts.append("<div>text:</div>")
            parts += [f'<pre style="{_PRE}">{escaped(words)}</pre>' for words in texts]
        for at, block in enumerate((self.raw.content if self.raw is not None else [])[:_SHOWN_BLOCKS]):
            if (found := _picture(block)) is not None:
                kind, data = found
                encoded = base64.b64encode(data).decode()
                parts.append(
                    f'<div>image ({kind}, {len(data):,} bytes):</div><img alt="image {at + 1} of the answer" '
                    f'src="data:{kind};base64,{encoded}" style="max-width:100%">'
                )
        if filled := self._filled():
            parts.append(f"<div>{escaped(filled)}</div>")
        if self.server_said:
            said = escaped(self.server_said[-_SAID_CHARACTERS:])
            parts.append(f'<div>the server said:</div><pre style="{_PRE}">{said}</pre>')
        return f'<div class="mathjax_ignore tex2jax_ignore">{"".join(parts)}</div>'

    def _status(self) -> str:
        word = "✓ ok" if self.ok else f"✗ {self.outcome.value}"
        return f"{word} · {one_line(self.record.tool, 80)} · {self.record.transport}"

    def _filled(self) -> str:
        """Return the line that says which arguments the server filled in; empty if it filled in none."""
        story = self.story
        if story is None or not story.defaults:
            return ""
        shown = [
            f"{one_line(name, 60)} = {one_line(json.dumps(value, ensure_ascii=False, default=str), 60)}"
            for name, value in list(story.defaults.items())[:_SHOWN_DEFAULTS]
        ]
        if len(story.defaults) > _SHOWN_DEFAULTS:
            shown.append("and more")
        return f"filled in by the server: {', '.join(shown)}"

    def _texts(self) -> list[str]:
        """Return the blocks as text, without the copy of the structured content that servers send for old clients."""
        if self.raw is None or self.error is not None:
            # The error sentence is made of the text blocks.
            return []
        shown = [words for block in self.raw.content[:_SHOWN_BLOCKS] if (words := _words(block)) is not None]
        if self.structured is not None and _is_copy(shown, self.structured):
            shown = []
        if len(self.raw.content) > _SHOWN_BLOCKS:
            shown.append(f"[{len(self.raw.content):,} blocks in all, the first {_SHOWN_BLOCKS} shown]")
        return shown


def error_text(result: CallToolResult) -> str:
    """Return the words of a result that is an error."""
    words = [said for block in result.content[:_SHOWN_BLOCKS] if (said := _words(block)) is not None]
    return plain("\n".join(words), 4_000) or "the tool failed and did not say why"


def _words(block: object) -> str | None:
    """Return the text that stands for a content block; ``None`` for a picture that is shown as such."""
    if isinstance(block, TextContent):
        return block.text
    if _picture(block) is not None:
        return None
    if isinstance(block, ImageContent | AudioContent):
        return f"[{one_line(block.mime_type, 60)}, {len(block.data):,} characters of base64, not shown]"
    if isinstance(block, ResourceLink):
        return f"[link to a resource: {one_line(block.name, 100)} {one_line(block.uri, 200)}]"
    if isinstance(block, EmbeddedResource):
        inside = block.resource
        if isinstance(inside, TextResourceContents):
            return f"[resource {one_line(inside.uri, 200)}]\n{inside.text}"
        assert isinstance(inside, BlobResourceContents)
        return f"[resource {one_line(inside.uri, 200)}, {len(inside.blob):,} characters of base64, not shown]"
    return f"[{type(block).__name__}, not shown]"


def _picture(block: object) -> tuple[str, bytes] | None:
    """Return kind and bytes of a picture that is what it says it is; the kind is one of our own words."""
    if not isinstance(block, ImageContent) or len(block.data) > _SHOWN_PICTURE_BYTES * 4 // 3:
        return None
    begins = _PICTURES.get(block.mime_type)
    if begins is None:
        return None
    try:
        data = base64.b64decode(block.data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return (block.mime_type, data) if re.match(begins, data, re.DOTALL) else None


def _indented(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _is_copy(texts: list[str], structured: Any) -> bool:
    # A schema must be an object, so servers wrap a plain value in one of a single field.
    wrapped = next(iter(structured.values())) if isinstance(structured, dict) and len(structured) == 1 else None
    if len(texts) == 1:
        return _says(texts[0], structured) or (wrapped is not None and _says(texts[0], wrapped))
    # MCPServer sends each item of a list as a block of its own.
    return isinstance(wrapped, list) and len(texts) == len(wrapped) and all(map(_says, texts, wrapped))


def _says(text: str, value: Any) -> bool:
    if text == value:
        return True
    try:
        told = json.loads(text, object_pairs_hook=_without_repetition)
        # Compared as text: to Python, true and 1 are equal.
        return json.dumps(told, sort_keys=True) == json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return False


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice: the text says more than its value")
    return dict(pairs)
