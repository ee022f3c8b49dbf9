"""The explorer: choose a tool, fill in its form, run it, read the result and the last calls."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import ipywidgets as widgets
from mcp_types import Tool

from mcp_workbench.errors import ArgumentsError, WorkbenchError
from mcp_workbench.kernel.listings import HINTS, purpose, unknown_tool
from mcp_workbench.kernel.loop import background
from mcp_workbench.kernel.results import CallResult
from mcp_workbench.kernel.session import Session
from mcp_workbench.records import records_table
from mcp_workbench.untrusted import escaped, one_line
from mcp_workbench.widgets.form import Form
from mcp_workbench.widgets.progress_bar import VIEW

_SHOWN_CALLS = 8
_SHOWN_COLUMNS = ["start", "tool", "outcome", "error_code", "latency_ms", "result_bytes"]


class Explorer:
    """A tool, its form, its result and the last calls, as one widget.

    Everything that a click does is a plain method, so it works the same without a browser.

    Args:
        session: an open session; calls made here are in its records like all others.
        tool: the tool to begin with; the first one if ``None``.

    Attributes:
        widget: the widget itself, for those who put it into a layout of their own.
        form: the form of the chosen tool; ``None`` if the server has no tools.

    Raises:
        UnknownToolError: the server lists no such tool.
    """

    def __init__(self, session: Session, *, tool: str | None = None) -> None:
        self._session = session
        self._tools: list[Tool] = session.tools()
        self._running: concurrent.futures.Future[CallResult] | None = None
        self.form: Form | None = None
        self._choice = widgets.Dropdown(
            description="Tool",
            # Chosen by position: two tools of a hostile server may have one name.
            options=[(one_line(each.name, 80), at) for at, each in enumerate(self._tools)],
            layout=widgets.Layout(width="auto", max_width="40em"),
        )
        self._about = widgets.HTML()
        self._form_box = widgets.VBox()
        self._run = widgets.Button(description="Run", icon="play", button_style="primary")
        self._cancel = widgets.Button(description="Cancel", icon="stop", disabled=True)
        self._status = widgets.HTML()
        self._result = widgets.HTML()
        self._calls = widgets.HTML()
        self.widget = widgets.VBox(
            [
                self._choice,
                self._about,
                self._form_box,
                widgets.HBox([self._run, self._cancel, self._status]),
                self._result,
                self._calls,
            ]
        )
        self._choice.observe(lambda _change: self._show_tool(), names="value")
        self._run.on_click(lambda _button: self.run())
        self._cancel.on_click(lambda _button: self.cancel())
        if tool is not None:
            self._choice.value = self._position(tool)
        self._show_tool()
        self._show_calls()

    @property
    def tool(self) -> Tool | None:
        """The chosen tool."""
        return None if self._choice.value is None else self._tools[self._choice.value]

    def choose(self, name: str) -> None:
        """Choose a tool by its name and show its form.

        Raises:
            UnknownToolError: the server lists no such tool.
        """
        self._choice.value = self._position(name)

    def run(self) -> concurrent.futures.Future[CallResult] | None:
        """Call the chosen tool with what the form holds, without waiting.

        Returns:
            The future of the call, done once its end is shown; ``None`` if nothing was sent, because the form is not
            filled in well or a call is under way. What is wrong is then shown.
        """
        if self._running is not None or self.tool is None or self.form is None:
            return None
        try:
            arguments = self.form.read()
        except ArgumentsError as error:
            self._say(f"Error: {error}")
            return None
        self._busy(True)
        self._say(f"calling {self.tool.name} …")
        shown: concurrent.futures.Future[CallResult] = concurrent.futures.Future()
        self._running = self._session.submit(self.tool.name, arguments)
        self._running.add_done_callback(lambda call: self._finished(call, shown))
        return shown

    def cancel(self) -> None:
        """Cancel the call that is under way, if there is one."""
        if self._running is not None and self._running.cancel() and not background().is_current():
            # The record is written on the loop, a moment later.
            background().settle()
            self._show_calls()

    def fill(self, arguments: dict[str, Any]) -> None:
        """Put ``arguments`` into the form."""
        if self.form is not None:
            self.form.fill(arguments)

    def _position(self, name: str) -> int:
        for at, tool in enumerate(self._tools):
            if tool.name == name:
                return at
        raise unknown_tool(self._session.target.name, name, [tool.name for tool in self._tools])

    def _show_tool(self) -> None:
        tool = self.tool
        if tool is None:
            self._about.value = "<p>This server lists no tools.</p>"
            self._run.disabled = True
            return
        hints = [f"{words}: {_said(tool, attribute)}" for words, attribute in HINTS.items()]
        self._about.value = (
            f"<p>{escaped(purpose(tool))}<br><small>Hints by the server: {escaped(', '.join(hints))}</small></p>"
        )
        self.form = Form(tool.input_schema)
        self._form_box.children = (self.form.widget,)
        self._result.value = ""
        self._say("")

    def _finished(
        self, call: concurrent.futures.Future[CallResult], shown: concurrent.futures.Future[CallResult]
    ) -> None:
        """Show how a call ended; called on the loop's thread, or by whoever cancelled."""
        try:
            self._show_end(call)
        finally:
            self._running = None
            self._busy(False)
            self._show_calls()
            if call.cancelled():
                shown.cancel()
            elif (error := call.exception()) is not None:
                shown.set_exception(error)
            else:
                shown.set_result(call.result())

    def _show_end(self, call: concurrent.futures.Future[CallResult]) -> None:
        try:
            result = call.result()
        except concurrent.futures.CancelledError:
            self._say("✗ cancelled")
        except WorkbenchError as error:
            self._say(f"✗ {type(error).__name__}")
            self._result.value = f"<pre style='white-space:pre-wrap'><b>ERROR</b> {escaped(str(error))}</pre>"
        else:
            self._say(result.headline())
            self._result.value = result._repr_html_()

    def _busy(self, busy: bool) -> None:
        # The answer belongs to the tool that was called: another is chosen when it is there.
        self._run.disabled = self._choice.disabled = busy
        self._cancel.disabled = not busy

    def _say(self, words: str) -> None:
        self._status.value = escaped(words, 2_000)

    def _show_calls(self) -> None:
        last = self._session.log.last(_SHOWN_CALLS)
        if not last:
            self._calls.value = "<p>No calls yet.</p>"
            return
        table = records_table(last)[_SHOWN_COLUMNS]
        self._calls.value = f"<p>The last calls, newest first:</p>{table._repr_html_()}"

    def __repr__(self) -> str:
        """Return what a page shows that is not live."""
        names = ", ".join(one_line(tool.name, 60) for tool in self._tools[:12])
        return f"Explorer of {self._session.target.name!r}: {names or 'no tools'} (live when the cell is run)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            "text/plain": repr(self),
            VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id},
        }

    def close(self) -> None:
        """Take the widget away; a call under way is cancelled."""
        self.cancel()
        self.widget.close()


def _said(tool: Tool, attribute: str) -> str:
    told = getattr(tool.annotations, attribute, None)
    return "not said" if told is None else "yes" if told else "no"
