"""Running a cell again: what it opened before is closed, so that a second run replaces instead of piling up."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    execution: int
    close: Callable[[], Awaitable[None]]


_opened: dict[tuple[str, str], list[_Opened]] = {}


async def replace_earlier(kind: str, name: str, close: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Close what an earlier cell opened under the same name, and remember ``close`` for the next time.

    Two of one name opened by the same cell live side by side; so do all those of a plain Python program, where no
    cell is run again.

    Args:
        kind: what is opened; a workbench never replaces a hosted server.
        name: what makes it the same thing when it is opened again.
        close: closes it; awaited on the background loop.

    Returns:
        What forgets ``close`` again, once the thing is closed.
    """
    execution = execution_count()
    if execution is None:
        return lambda: None
    there = _opened.setdefault((kind, name), [])
    stale = [opened for opened in there if opened.execution != execution]
    there[:] = [opened for opened in there if opened.execution == execution]
    mine = _Opened(execution, close)
    there.append(mine)
    for opened in stale:
        await opened.close()

    def forget() -> None:
        left = [opened for opened in _opened.get((kind, name), []) if opened is not mine]
        if left:
            _opened[kind, name] = left
        else:
            _opened.pop((kind, name), None)

    return forget


def execution_count() -> int | None:
    """Return the number of the cell that is being run; ``None`` outside of IPython."""
    # Asked only where IPython is loaded already: a plain program does not pay for it.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell.execution_count if shell is not None else None
