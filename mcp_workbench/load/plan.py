"""What the load generator is told: whom to call, with what, when, for how long. Plain data that travels as JSON.

::

    Plan
    ├── Arm          one target: how it is spoken to, and the operations that its users do
    │   └── Operation    a call, or several in a row for a flow, with its share in the mix
    │       └── Step         a tool, and the arguments that are drawn from
    └── Block        a stretch of time in which one arm is called, at a rate or by a number of users

This module and those of the generator load neither the SDK nor pandas: the process that makes the load starts at once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Arrivals = Literal["poisson", "constant"]
"""How the starts of an open load are spread: at random, as independent users come, or one after the other evenly."""

Phase = Literal["warm-up", "measured"]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of an operation.

    Attributes:
        tool: the tool's name, sent as it is.
        arguments: what it is called with; with several, one is drawn for each call.
        keep: the name under which later steps of the operation find its structured result, in texts such as
            ``${opened.incident_id}``; empty if none needs it.
        think_s: seconds that a user waits before it.
    """

    tool: str
    arguments: tuple[dict[str, Any], ...]
    keep: str = ""
    think_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Operation:
    """What a user does once: one call, or the steps of a flow one after the other.

    Attributes:
        name: the tool's name, or the flow's.
        weight: its share in the mix, above 0; shares need not add up to one.
        steps: at least one.
    """

    name: str
    weight: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """How the generator speaks to one target.

    Attributes:
        kind: ``http``, ``stdio`` or ``in-process``.
        protocol: the protocol version that is spoken, such as ``2026-07-28``.
        url: of ``http``: the address.
        headers: of ``http``: headers of the user's own, sent with each request.
        tool_headers: of ``http``: for each tool, the headers that a request for it carries.
        argument_headers: of ``http``: for each tool, the headers that repeat an argument, each with the names that lead
            to it.
        command: of ``stdio``: program and arguments, the program with its full path.
        environment: of ``stdio``: all of the process's environment.
        folder: of ``stdio``: where it runs; the generator's own folder if ``None``.
        word: of ``in-process``: ``FILE.py:ATTRIBUTE`` or ``MODULE:ATTRIBUTE``.
    """

    kind: Literal["http", "stdio", "in-process"]
    protocol: str
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    tool_headers: dict[str, dict[str, str]] = field(default_factory=dict)
    argument_headers: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    folder: str | None = None
    word: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    """One target of a plan.

    Attributes:
        name: what it is called in messages.
        wire: how it is spoken to.
        operations: what is done with it.
    """

    name: str
    wire: Wire
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of time in which one arm is called: by an open load at ``rate``, or by ``users`` in a closed loop.

    Attributes:
        arm: which arm, counted from 0.
        seconds: how long operations are begun.
        rate: operations a second that are begun whether or not earlier ones have ended; ``None`` for a closed loop.
        users: how many users begin their next operation when the last one has ended; ``None`` for an open load.
        phase: what is done during a warm-up is in no figure.
    """

    arm: int
    seconds: float
    rate: float | None
    users: int | None
    phase: Phase = "measured"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a generator does.

    Attributes:
        arms: the targets.
        blocks: in their order; one begins when all calls of the one before have ended.
        arrivals: how the starts of an open load are spread.
        timeout_s: after which a call without an answer is given up.
        max_in_flight: how many calls may be unanswered at once; operations that would begin beyond it are dropped, and
            counted. Users who think are none of them, and the later steps of an operation that has begun are made.
        seed: of all that is drawn.
        samples: how many answers are kept whole, to be held against the protocol and the output schema.
        first_after: how much of the time between two constant arrivals passes before an arm's first one, from 0 to 1;
            shards that all began with an arrival would arrive in bursts.
    """

    arms: tuple[Arm, ...]
    blocks: tuple[Block, ...]
    arrivals: Arrivals = "poisson"
    timeout_s: float = 10.0
    max_in_flight: int = 512
    seed: int = 0
    samples: int = 50
    first_after: float = 0.0

    def to_json(self) -> str:
        """Return the plan as JSON; it may hold secrets (headers, environments), and is never written to a file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan that :meth:`to_json` wrote."""
        told = json.loads(text)
        arms = tuple(
            Arm(
                arm["name"],
                Wire(**{**arm["wire"], "command": tuple(arm["wire"]["command"])}),
                tuple(
                    Operation(
                        operation["name"],
                        operation["weight"],
                        tuple(Step(**{**step, "arguments": tuple(step["arguments"])}) for step in operation["steps"]),
                    )
                    for operation in arm["operations"]
                ),
            )
            for arm in told["arms"]
        )
        blocks = tuple(Block(**block) for block in told["blocks"])
        return cls(**{**told, "arms": arms, "blocks": blocks})
