"""The honesty block: what a reader must know of how a load was made, before any of its figures are believed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FLAGGED_SHARE = 0.80
VOID_SHARE = 0.95
"""Of the time that there was, how much the generator may be busy or waiting for a processor: above the first its own
queueing begins to be billed to the server, above the second it was the bottleneck. Source: measured for this project
against a server of known speed; see ``benchmarks/``."""

FIRST_CALL = "the first call, made through the SDK,"
"""How a note begins that says why the call failed with which a load is tried out."""

NEVER_SENT = "were never sent"
"""What a note says of calls that lacked what an earlier step of their flow was to answer."""

UNSEEN_SERVER = "the server among it if it runs on this machine"
"""What everything else is told with where the server's processes cannot be seen."""


@dataclass(frozen=True, slots=True)
class Honesty:
    """How the load was made, and whether it was made as it was meant to be.

    Attributes:
        generator_share: of each second, how long the generator was on a processor.
        waiting_share: of each second, how long the generator was ready to run and had no processor; ``None`` where the
            system does not tell.
        worst_share: both together in the busiest fifth of the time.
        generator_us: CPU microseconds of the generator for each call.
        server_share: of each second, how long the server's processes were on processors; ``None`` where they cannot
            be seen, or are those of another measured server, too.
        foreign_share: of each second, how long everything else was on processors, all cores together; servers that
            cannot be seen are among it.
        cores: how many cores the machine has.
        slip_p50_ms: how late calls were sent, half of them less than this; of an open load only.
        slip_p99_ms: the same for 99 of 100 calls.
        offered: operations that were meant to begin.
        achieved: operations that were begun.
        dropped: operations that never were, because too many calls were unanswered.
        peak_in_flight: the most calls that were unanswered at once.
        rate: operations a second that were begun, while blocks lasted.
        little: mean number of calls in flight, divided by what the arrival rate and the mean time in flight make of it
            (Little's law); 1 where the books are right.
        sampled: how many answers were held against the protocol and the tool's output schema in full.
        sampled_wrong: how many of these did not fit.
        reconnected: how many connections took the place of one that was lost while it was measured.
        versions: of Python, the SDK and the workbench.
        machine: system, kind of machine, number of cores.
        void: why the figures mean nothing; empty if they do.
        notes: what a reader should know besides.
    """

    generator_share: float
    waiting_share: float | None
    worst_share: float
    generator_us: float
    server_share: float | None
    foreign_share: float
    cores: int
    slip_p50_ms: float | None
    slip_p99_ms: float | None
    offered: int
    achieved: int
    dropped: int
    peak_in_flight: int
    rate: float
    little: float
    sampled: int = 0
    sampled_wrong: int = 0
    reconnected: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    void: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, as JSON has them."""
        return asdict(self)
