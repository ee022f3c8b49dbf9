"""The ledger: what is kept of each call while the load is made, as columns of numbers, written at the end."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from mcp_workbench.load.generator.answers import OK

COLUMNS = {
    "block": "I",
    "operation": "H",
    "step": "H",
    "outcome": "B",
    "code": "H",
    "intended_ns": "q",
    "start_ns": "q",
    "end_ns": "q",
    "bytes": "I",
}
"""The columns, each with its type as :mod:`array` names it."""

_MOST_CODES = 200
_OTHERS = 1
_MOST_SAMPLE_BYTES = 200_000


def opened(folder: Path) -> dict[str, BinaryIO]:
    """Open the files of a ledger, before the load takes what descriptors there are; :meth:`Ledger.save` closes them."""
    names = [*(f"{name}.column" for name in COLUMNS), "samples", "facts.json"]
    return {name: (folder / name).open("wb") for name in names}


class _Kept:
    """The answers of one tool of one arm that were kept whole, each with its block."""

    __slots__ = ("answers", "every", "seen")

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.every = 1
        self.seen = 0


class Ledger:
    """Columns of calls, the words for why they failed, and some answers kept whole.

    Args:
        samples: about how many answers are kept, of all arms and tools together; never twice as many.
    """

    def __init__(self, samples: int) -> None:
        self.columns = {name: array(kind) for name, kind in COLUMNS.items()}
        self.codes: dict[str, int] = {"": 0, "(others)": _OTHERS}
        self.failed = 0
        self.recent_ns: list[int] = []
        self._most_samples = samples
        self._samples = 0
        self._block = 0
        self._arms: dict[int, dict[str, _Kept]] = {}
        # Those of the arm that is called now, by tool.
        self._kept: dict[str, _Kept] | None = None
        columns = self.columns
        self._append = tuple(columns[name].append for name in COLUMNS)

    def __len__(self) -> int:
        """Return how many calls are in it."""
        return len(self.columns["outcome"])

    def write(
        self,
        block: int,
        operation: int,
        step: int,
        outcome: int,
        code: str,
        intended_ns: int,
        start_ns: int,
        end_ns: int,
        size: int,
    ) -> None:
        """Add one call."""
        number = self.codes.get(code)
        if number is None:
            # A server that thinks of a new code for each call fills no memory.
            number = _OTHERS
            if len(self.codes) < _MOST_CODES:
                number = self.codes[code] = len(self.codes)
        if outcome != OK:
            self.failed += 1
        a_block, a_operation, a_step, a_outcome, a_code, a_intended, a_start, a_end, a_size = self._append
        a_block(block)
        a_operation(operation)
        a_step(step)
        a_outcome(outcome)
        a_code(number)
        a_intended(intended_ns)
        a_start(start_ns)
        a_end(end_ns)
        a_size(size)
        self.recent_ns.append(end_ns - intended_ns)

    def begin(self, block: int, arm: int, *, measured: bool) -> None:
        """Note that a block begins; of one that is not measured no answer is kept."""
        self._block = block
        self._kept = self._arms.setdefault(arm, {}) if measured and self._most_samples else None

    def keep(self, tool: str, answer: bytes) -> None:
        """Keep an answer whole, if it is its turn: all in the beginning, then ever fewer, evenly over the run."""
        if self._kept is None:
            return
        kept = self._kept.get(tool)
        if kept is None:
            kept = self._kept[tool] = _Kept()
        kept.seen += 1
        if kept.seen % kept.every or len(answer) > _MOST_SAMPLE_BYTES:
            return
        kept.answers.append((self._block, bytes(answer)))
        self._samples += 1
        if self._samples >= 2 * self._most_samples:
            self._thin()

    def _thin(self) -> None:
        """Drop half of what is kept of the arm and tool with the most: a tool that is seldom called is checked, too."""
        most = max((kept for arm in self._arms.values() for kept in arm.values()), key=lambda kept: len(kept.answers))
        self._samples -= (len(most.answers) + 1) // 2
        del most.answers[::2]
        most.every *= 2

    def sampled(self) -> Iterator[tuple[int, str, bytes]]:
        """Yield the answers that were kept, each with its block and its tool."""
        for arm in self._arms.values():
            for tool, kept in arm.items():
                for block, answer in kept.answers:
                    yield block, tool, answer

    def save(self, files: Mapping[str, BinaryIO], facts: dict[str, Any]) -> None:
        """Write columns, samples and ``facts`` into the files that :func:`opened` has opened, and close them."""
        for name, column in self.columns.items():
            column.tofile(files[f"{name}.column"])
        for block, tool, answer in self.sampled():
            for piece in (str(block).encode(), tool.encode(), answer):
                files["samples"].write(len(piece).to_bytes(4, "big") + piece)
        told = {**facts, "codes": list(self.codes), "calls": len(self)}
        files["facts.json"].write(json.dumps(told).encode())
        for file in files.values():
            file.close()
