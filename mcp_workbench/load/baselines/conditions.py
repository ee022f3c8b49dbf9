"""Under which conditions a load was measured: the population that its figures speak of, and no other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mcp_workbench.records import Transport

LoadModel = Literal["open", "closed"]
Placement = Literal["own process", "in the kernel", "in the generator"]
"""Where the server runs: by itself, in the notebook's kernel, or in the loop of the generator that calls it."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be the same for two measurements to be compared, and whom was measured.

    Attributes:
        target: the target's name; two targets may be compared.
        transport: how the target is spoken to.
        placement: where the server runs.
        protocol: the protocol version that was spoken.
        model: ``open`` (operations begin at a rate, whatever the server does) or ``closed`` (a number of users).
        arrivals: ``poisson`` or ``constant``; empty in a closed loop.
        rate: operations a second; ``None`` in a closed loop.
        users: users of a closed loop; ``None`` in an open load.
        workload: what is called, in words, such as ``get_incident`` or ``mixed reading``.
        workload_digest: 16 hexadecimal digits of the SHA-256 of the whole workload: tools, arguments, weights.
        timeout_s: after which a call was given up.
        max_in_flight: how many calls could be unanswered at once.
    """

    target: str
    transport: Transport
    placement: Placement
    protocol: str
    model: LoadModel
    arrivals: str
    rate: float | None
    users: int | None
    workload: str
    workload_digest: str
    timeout_s: float
    max_in_flight: int

    def words(self) -> str:
        """Return the conditions in one line, such as ``stdio, own process, open at 200 a second (poisson)``."""
        closed = f"closed, {self.users} user{'s' * (self.users != 1)}"
        at = closed if self.rate is None else f"open at {self.rate:g} a second ({self.arrivals})"
        return f"{self.transport}, {self.placement}, {at}"

    def differences(self, other: Conditions) -> list[str]:
        """Return what keeps two measurements from being compared, a clause each; empty if nothing does."""
        mine, theirs = asdict(self), asdict(other)
        # The targets are what is compared; their workloads' names are words for what the digest pins down.
        names = [name for name in mine if name not in ("target", "workload")]
        return [
            f"{name.replace('_', ' ')} {mine[name]!r} against {theirs[name]!r}"
            for name in names
            if mine[name] != theirs[name]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)
