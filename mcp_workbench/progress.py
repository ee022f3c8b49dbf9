"""Progress of long work: a bar in a notebook, a bar in a terminal, nothing where nobody looks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Progress = Callable[[int, int], None]
"""Told how many steps of how many are done; may be called from any thread."""

SHOWN_AFTER_S = 0.5
"""Work that is shorter shows no bar."""

_EVERY_S = 0.1


@contextlib.contextmanager
def shown_progress(label: str, wanted: bool) -> Iterator[Progress | None]:
    """Show a bar while the block runs, once it takes longer than half a second, and take it away afterwards.

    Args:
        label: what is being done, on one line.
        wanted: no bar at all if false.

    Yields:
        What to tell the progress to; ``None`` where there is nobody to look at it.
    """
    bar = _bar(label) if wanted else contextlib.nullcontext(None)
    with bar as draw:
        yield _seldom(draw) if draw is not None else None


def _bar(label: str) -> contextlib.AbstractContextManager[Progress | None]:
    if _in_notebook():
        from mcp_workbench.widgets.progress_bar import notebook_bar

        return notebook_bar(label)
    if sys.stderr.isatty():
        return _terminal_bar(label)
    return contextlib.nullcontext(None)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def _terminal_bar(label: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(label), total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _seldom(draw: Progress) -> Progress:
    next_s = time.monotonic() + SHOWN_AFTER_S

    def told(done: int, total: int) -> None:
        nonlocal next_s
        now_s = time.monotonic()
        if now_s >= next_s:
            next_s = now_s + _EVERY_S
            draw(done, total)

    return told
