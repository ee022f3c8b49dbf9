"""One call under way in the generator, and what a wire must be able to do with it."""

from __future__ import annotations

from typing import Any, Protocol

Request = tuple[bytes, bytes]
"""A request that is ready but for its id: what goes before the id's nine digits, and what comes after."""

FIRST_ID = 100_000_000
"""Ids have nine digits each, so that requests of one kind have one length."""


class Call:
    """One call: made by the engine, sent by a wire, ended once.

    Attributes:
        id: of the JSON-RPC request.
        place: which operation and which of its steps.
        tool: the tool's name.
        intended_ns: when it was meant to be sent.
        start_ns: when it was.
        user: what goes on when it has ended.
        carrier: where the wire keeps what it sent the call with.
    """

    __slots__ = ("carrier", "id", "intended_ns", "place", "start_ns", "tool", "user")

    def __init__(self, number: int, place: tuple[int, int], tool: str, intended_ns: int, user: Any) -> None:
        self.id = number
        self.place = place
        self.tool = tool
        self.intended_ns = intended_ns
        self.start_ns = 0
        self.user = user
        self.carrier: Any = None


class Ended(Protocol):
    """What a wire tells the engine when an answer is there, or will never be."""

    def __call__(self, call: Call, outcome: int, code: str, answer: bytes = b"", message: Any = None) -> None: ...  # noqa: D102


class Wire(Protocol):
    """A connection, or several, to one target."""

    pid: int | None
    """The process that the wire has started, if it started one."""
    reopened: int
    """How many connections took the place of one that was lost."""

    async def open(self, users: int) -> None:
        """Connect; ``users`` is how many calls will be under way at once, as far as one can tell.

        Raises:
            UnreachableError: nothing is there, or what is there speaks no MCP.
        """

    async def close(self) -> None:
        """Leave the target, and end what was started."""

    def request(self, tool: str, arguments: dict[str, Any]) -> Request:
        """Return the request that calls ``tool``."""

    def send(self, call: Call, request: Request) -> None:
        """Send ``call``; its end is told to the engine, sooner or later, once."""

    def give_up(self, call: Call) -> None:
        """Forget ``call``, whose time is over: nothing is told of it any more."""
