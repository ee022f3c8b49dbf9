"""What a stage makes of a tool once, and keeps while the tool stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from mcp_workbench.controls.catalogue import ToolEntry

# A server may add and remove tools for as long as it runs.
_MOST_KEPT: Final = 2_000

_Made = TypeVar("_Made")


class PerTool(Generic[_Made]):
    """Things made once for each tool; made again when the tool changes, and of the newest tools only.

    Args:
        make: makes the thing for a tool.
    """

    def __init__(self, make: Callable[[ToolEntry], _Made]) -> None:
        self._make = make
        self._kept: dict[str, tuple[ToolEntry, _Made]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, entry: ToolEntry) -> _Made:
        """Return the thing of a tool.

        Args:
            entry: the tool; another entry of the same name is another tool.
        """
        kept = self._kept.get(entry.name)
        if kept is not None and kept[0] is entry:
            return kept[1]
        self._kept.pop(entry.name, None)
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        made = self._make(entry)
        self._kept[entry.name] = (entry, made)
        return made
