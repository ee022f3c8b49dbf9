"""The measured calls of one target, as columns: what every figure, comparison and picture is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.records import Outcome

OUTCOMES = tuple(Outcome)
"""What the numbers in :attr:`Calls.outcome` stand for."""

OK = OUTCOMES.index(Outcome.OK)
_INVALID_OUTPUT = OUTCOMES.index(Outcome.INVALID_OUTPUT)


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """The measured calls of one target, without those of the warm-up; columns of equal length.

    Attributes:
        tools: the tools that were called.
        tool: for each call, which of ``tools``.
        block: for each call, in which block of this target it was begun, counted from 0.
        outcome: for each call, which of :data:`OUTCOMES`.
        at_s: for each call, when it was meant to begin, in seconds since the first block began.
        latency_ms: for each call, from when it was meant to begin to its end; with a timeout, what was waited.
        service_ms: for each call, from when it was sent to its end.
        blocks: how many blocks there were, those without calls among them.
        block_s: how long each block was.
        offered: how many operations were meant to begin.
        dropped: how many of them never were, because too many calls were unanswered.
        codes: why calls failed, and how many, as ``(tool, code)``: the server's codes and the generator's own.
        waited_s: for each block, how long calls were waited for after its meant end; empty if that is not known.
        answered_s: by what to divide the calls that were sent for the rate at which they were answered; 0 if that is
            ``seconds``.
    """

    tools: tuple[str, ...]
    tool: NDArray[np.uint16]
    block: NDArray[np.uint32]
    outcome: NDArray[np.uint8]
    at_s: NDArray[np.float64]
    latency_ms: NDArray[np.float64]
    service_ms: NDArray[np.float64]
    blocks: int
    block_s: NDArray[np.float64]
    offered: int
    dropped: int
    codes: Counter[tuple[str, str]]
    waited_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    answered_s: float = 0.0

    def __len__(self) -> int:
        """Return how many calls there are."""
        return len(self.tool)

    @property
    def seconds(self) -> float:
        """How long was measured: all blocks together."""
        return float(self.block_s.sum())

    @property
    def answer_rate(self) -> float:
        """Calls a second that were answered, while calls were begun."""
        seconds = self.answered_s or self.seconds
        return int(self.sent.sum()) / seconds if seconds else 0.0

    @property
    def sent(self) -> NDArray[np.bool_]:
        """For each call, whether it was sent; those of a flow that lacked what the call needs took no time at all."""
        sent: NDArray[np.bool_] = (self.outcome != _INVALID_OUTPUT) | (self.service_ms > 0)
        return sent

    def of_tool(self, name: str) -> Calls:
        """Return the calls of one tool; what was offered and dropped is known of all tools together only."""
        chosen = self.tool == self.tools.index(name)
        return self.where(chosen)

    def where(self, chosen: NDArray[np.bool_]) -> Calls:
        """Return the calls for which ``chosen`` is true."""
        columns = ("tool", "block", "outcome", "at_s", "latency_ms", "service_ms")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})

    def outcomes(self) -> Counter[Outcome]:
        """Return how many calls ended in each way."""
        counts = np.bincount(self.outcome, minlength=len(OUTCOMES))
        return Counter({outcome: int(count) for outcome, count in zip(OUTCOMES, counts, strict=True) if count})

    @property
    def failed(self) -> NDArray[np.bool_]:
        """For each call, whether it did not end well."""
        failed: NDArray[np.bool_] = self.outcome != OK
        return failed
