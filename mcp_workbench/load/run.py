"""What a generator brings back from a run: columns of calls, and the books of each block."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.errors import WorkbenchError
from mcp_workbench.load.generator.answers import INVALID_OUTPUT
from mcp_workbench.load.generator.ledger import COLUMNS
from mcp_workbench.load.measured import Calls
from mcp_workbench.load.plan import Plan

_NS_A_MS: Final = 1e6
# Fewer answers than this say less of a rate than the calls that were begun.
_FEWEST_ANSWERS: Final = 10


@dataclass(frozen=True, slots=True)
class Books:
    """What was counted of one block; times in nanoseconds of a clock that never goes back.

    Attributes:
        begun_ns: when it began.
        meant_end_ns: from when on no operation was begun.
        ended_ns: when the last call had ended.
        offered: how many operations were meant to begin.
        dropped: how many of them were not.
        peak_in_flight: the most calls that were unanswered at once.
        in_flight_ns: the number of unanswered calls, summed over time.
        under_way_ns: how long its operations took, thinking among it, summed over them.
    """

    begun_ns: int
    meant_end_ns: int
    ended_ns: int
    offered: int
    dropped: int
    peak_in_flight: int
    in_flight_ns: int
    under_way_ns: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """How far the clocks were at one moment.

    Attributes:
        at_ns: when.
        block: in which block.
        cpu_ns: CPU time of the generator so far.
        waited_ns: how long it had waited for a processor so far; ``None`` if the system does not tell.
    """

    at_ns: int
    block: int
    cpu_ns: int
    waited_ns: int | None


@dataclass(frozen=True, slots=True)
class ServerCpu:
    """What others did with the processors while it was measured, in CPU seconds.

    Attributes:
        servers_s: for each arm, its server's processes; ``None`` where they cannot be seen.
        busy_s: all cores together, this run among it.
        pids: for each arm, its server's process; arms that name the same one share it. Empty if each has its own.
    """

    servers_s: tuple[float | None, ...] = ()
    busy_s: float = 0.0
    pids: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All that one generator measured.

    Attributes:
        plan: what it was told; it may hold secrets.
        columns: one entry a call, as :data:`~mcp_workbench.load.generator.ledger.COLUMNS` names them.
        books: one for each block that was begun.
        beats: the clocks, ten times a second.
        codes: the words for the numbers of the column ``code``.
        samples: answers that were kept whole, each with its block and its tool.
        reconnected: for each arm, how many connections took the place of one that was lost while it was measured.
        server_cpu: what the servers and others did meanwhile.
    """

    plan: Plan
    columns: dict[str, NDArray[Any]]
    books: tuple[Books, ...]
    beats: tuple[Beat, ...]
    codes: tuple[str, ...]
    samples: tuple[tuple[int, str, bytes], ...]
    reconnected: tuple[int, ...]
    server_cpu: ServerCpu

    def measured_blocks(self, *arms: int) -> list[int]:
        """Return the numbers of the measured blocks of ``arms`` that were begun."""
        blocks = enumerate(self.plan.blocks[: len(self.books)])
        return [number for number, block in blocks if block.arm in arms and block.phase == "measured"]

    def calls(self, *arms: int, blocks: list[int] | None = None) -> Calls:
        """Return the measured calls of one arm, or of several that are one target.

        Args:
            arms: which arms of the plan.
            blocks: which of their blocks; all measured ones if left out.
        """
        chosen = self.measured_blocks(*arms) if blocks is None else blocks
        order = np.full(len(self.plan.blocks) + 1, -1)
        order[chosen] = range(len(chosen))
        place = order[self.columns["block"]]
        mine = place >= 0
        steps = [
            (operation_number, step_number, step.tool)
            for operation_number, operation in enumerate(self.plan.arms[arms[0]].operations)
            for step_number, step in enumerate(operation.steps)
        ]
        tools = tuple(dict.fromkeys(tool for _, _, tool in steps))
        column = {name: values[mine] for name, values in self.columns.items()}
        tool = np.zeros(int(mine.sum()), np.uint16)
        for operation_number, step_number, name in steps:
            if name != tools[0]:
                tool[(column["operation"] == operation_number) & (column["step"] == step_number)] = tools.index(name)
        books = [self.books[number] for number in chosen]
        begun_ns = min((book.begun_ns for book in books), default=0)
        arrived = np.argsort(column["intended_ns"], kind="stable")
        end_ns = column["end_ns"]
        coded = zip(tool.tolist(), column["code"].tolist(), (column["outcome"] != 0).tolist(), strict=True)
        codes = Counter((tools[at], self.codes[code]) for at, code, failed in coded if failed)
        return Calls(
            tools=tools,
            tool=tool[arrived],
            block=place[mine].astype(np.uint32)[arrived],
            outcome=column["outcome"][arrived],
            at_s=((column["intended_ns"] - begun_ns) / 1e9)[arrived],
            latency_ms=((end_ns - column["intended_ns"]) / _NS_A_MS)[arrived],
            service_ms=((end_ns - column["start_ns"]) / _NS_A_MS)[arrived],
            blocks=len(chosen),
            block_s=np.array([self._seconds(number) for number in chosen], float),
            answered_s=self._answered_s(chosen, place[mine], column),
            offered=sum(book.offered for book in books),
            dropped=sum(book.dropped for book in books),
            codes=codes,
            waited_s=np.array([max(0, book.ended_ns - book.meant_end_ns) / 1e9 for book in books], float),
        )

    def _seconds(self, number: int) -> float:
        """Return how long a block was, so that calls divided by seconds are the rate."""
        block, book = self.plan.blocks[number], self.books[number]
        meant_ns = book.meant_end_ns - book.begun_ns
        if block.users is None:
            return meant_ns / 1e9
        # The users of a closed loop end one after the other: how long all of them were busy, by Little's law. A user
        # who thinks is.
        return min(max(meant_ns, book.under_way_ns / block.users), book.ended_ns - book.begun_ns) / 1e9

    def _answered_s(self, chosen: list[int], place: NDArray[Any], column: dict[str, NDArray[Any]]) -> float:
        """Return the seconds by which to divide calls for the rate at which they were answered.

        Args:
            chosen: the numbers of the blocks.
            place: for each call, which of them it is of.
            column: the columns of these calls.
        """
        # Calls that were never sent are no throughput.
        sent = np.flatnonzero(were_sent(column))
        order = sent[np.argsort(place[sent], kind="stable")]
        bounds = np.searchsorted(place[order], np.arange(len(chosen) + 1))
        seconds = 0.0
        for at, number in enumerate(chosen):
            rows = order[bounds[at] : bounds[at + 1]]
            if self.plan.blocks[number].users is not None or not len(rows):
                seconds += self._seconds(number)
                continue
            end_ns, step = column["end_ns"][rows], column["step"][rows]
            # Later steps of a flow begin to be answered later.
            rates = [self._answer_rate(self.books[number], end_ns[step == each]) for each in np.unique(step)]
            seconds += len(rows) / sum(rates)
        return seconds

    def _answer_rate(self, book: Books, end_ns: NDArray[np.int64]) -> float:
        """Return how many of a block's calls ended a second, as long as more were begun.

        From the first end on, that is what was offered whatever the latency, or what an overloaded server manages.
        """
        first_ns = int(end_ns.min())
        count = int(((end_ns > first_ns) & (end_ns <= book.meant_end_ns)).sum())
        if count < _FEWEST_ANSWERS:
            return 1e9 * len(end_ns) / max(1, max(int(end_ns.max()), book.meant_end_ns) - book.begun_ns)
        # Even arrivals are counted from one of them to anywhere between two: half a call is missed on average.
        missed = 0.5 if self.plan.arrivals == "constant" else 0.0
        answered = 1e9 * (count + missed) / (book.meant_end_ns - first_ns)
        # What a stall in the beginning held back comes all at once.
        return min(answered, 1e9 * len(end_ns) / (book.meant_end_ns - book.begun_ns))


def were_sent(column: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Return for each call of a run's columns whether it was sent; those of :attr:`Calls.sent` are the same."""
    sent: NDArray[np.bool_] = (column["outcome"] != INVALID_OUTPUT) | (column["end_ns"] > column["start_ns"])
    return sent


def read_run(plan: Plan, folder: Path, server_cpu: ServerCpu) -> Run:
    """Return what a generator has written into ``folder``.

    Raises:
        WorkbenchError: it is not all there.
    """
    try:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        # The letters of `array` and of numpy name the same types.
        columns = {name: np.fromfile(folder / f"{name}.column", dtype=kind) for name, kind in COLUMNS.items()}
        samples = tuple(_samples((folder / "samples").read_bytes()))
    except (OSError, ValueError) as error:
        raise WorkbenchError(
            f"what the load generator measured cannot be read ({type(error).__name__}); is the disk full?"
        ) from None
    return Run(
        plan,
        columns,
        tuple(Books(*book) for book in facts["books"]),
        tuple(Beat(*beat) for beat in facts["pulse"]),
        tuple(facts["codes"]),
        samples,
        tuple(facts["reconnected"]),
        server_cpu,
    )


def _samples(data: bytes) -> list[tuple[int, str, bytes]]:
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        pieces.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    each = zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)
    return [(int(block), tool.decode(), answer) for block, tool, answer in each]
