"""The same calls to several targets, side by side: before and after a change, one server and another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from mcp_workbench.errors import UsageError, WorkbenchError
from mcp_workbench.kernel.results import CallResult
from mcp_workbench.reports import Report
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.charts import Chart
    from mcp_workbench.tables import Table

Kind = Literal["answered", "failed with a code", "failed without a code"]

KINDS: Final[tuple[Kind, ...]] = ("failed without a code", "failed with a code", "answered")
"""How a call can end, the worst first: a program can act on a code, and only guess from words."""

_SHOWN_CHARACTERS: Final = 180
_TARGETS: Final = 'the targets must be a dict of names and workbenches, such as {"mine": Workbench(server)}'


class Callee(Protocol):
    """What is called: a workbench."""

    def call(self, tool: str, arguments: dict[str, Any] | None = None) -> CallResult: ...  # noqa: D102
    async def acall(self, tool: str, arguments: dict[str, Any] | None = None) -> CallResult: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Answer:
    """How one target answered one call.

    Attributes:
        kind: one of :data:`KINDS`.
        code: the code of the failure, if it has one.
        words: what was answered, or why it failed, on one line.
    """

    kind: Kind
    code: str | None
    words: str

    def __str__(self) -> str:
        """Return the answer as it stands in a table."""
        if self.kind == "answered":
            return f"✓ {self.words}"
        return f"✗ {self.words}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SideBySide(Report):
    """The answers of several targets to the same calls.

    Attributes:
        targets: what the targets are called.
        calls: tool and arguments of each call.
        answers: for each call, an answer for each target.
    """

    targets: tuple[str, ...]
    calls: tuple[tuple[str, dict[str, Any]], ...]
    answers: tuple[tuple[Answer, ...], ...]

    @property
    def ok(self) -> bool:
        """Whether all targets answered each call in the same way: well, or with the same code."""
        return all(len({(answer.kind, answer.code) for answer in row}) == 1 for row in self.answers)

    @property
    def frame(self) -> Table:
        """One row for each call: tool, arguments, and the answer of each target."""
        from mcp_workbench.tables import table

        rows = [
            {"tool": tool, "arguments": _json(arguments), **dict(zip(self.targets, map(str, row), strict=True))}
            for (tool, arguments), row in zip(self.calls, self.answers, strict=True)
        ]
        return table(rows, ["tool", "arguments", *self.targets])

    def headline(self) -> str:
        """Return how many of the calls each target answered, failed with a code, and without one."""
        told = "; ".join(
            f"{one_line(target, 60)}: "
            + ", ".join(f"{count} {kind}" for kind, count in zip(KINDS, counts, strict=True))
            for target, counts in self._counts().items()
        )
        return f"{len(self.calls)} calls; {told}"

    def plot(self) -> Chart:
        """Return how the calls ended, one bar for each target."""
        from mcp_workbench.charts import stacked_bars

        return stacked_bars(f"How {len(self.calls)} calls ended", "calls", "target", KINDS, self._counts())

    def _counts(self) -> dict[str, list[int]]:
        return {
            target: [sum(row[at].kind == kind for row in self.answers) for kind in KINDS]
            for at, target in enumerate(self.targets)
        }


def side_by_side(targets: Mapping[str, Callee], calls: Sequence[tuple[str, dict[str, Any]]]) -> SideBySide:
    """Make the same calls to several targets, one after the other, and put their answers side by side.

    Args:
        targets: workbenches, by what they are to be called.
        calls: for each call the tool's name and its arguments.

    Returns:
        The answers; what prevented one stands in its place.

    Raises:
        UsageError: there is nothing to call, or the calls are no pairs of a name and a dict.
    """
    _checked(targets, calls)
    rows = [[_asked(bench, *call) for bench in targets.values()] for call in calls]
    return SideBySide(tuple(targets), tuple(calls), tuple(map(tuple, rows)))


async def aside_by_side(targets: Mapping[str, Callee], calls: Sequence[tuple[str, dict[str, Any]]]) -> SideBySide:
    """Return what :func:`side_by_side` returns, without blocking the caller's loop."""
    _checked(targets, calls)
    rows = [[await _aasked(bench, *call) for bench in targets.values()] for call in calls]
    return SideBySide(tuple(targets), tuple(calls), tuple(map(tuple, rows)))


def _asked(bench: Callee, tool: str, arguments: dict[str, Any]) -> Answer:
    try:
        return _read(bench.call(tool, arguments))
    except WorkbenchError as error:
        return _prevented(error)


async def _aasked(bench: Callee, tool: str, arguments: dict[str, Any]) -> Answer:
    try:
        return _read(await bench.acall(tool, arguments))
    except WorkbenchError as error:
        return _prevented(error)


def _checked(targets: Mapping[str, Callee], calls: Sequence[tuple[str, dict[str, Any]]]) -> None:
    if not isinstance(targets, Mapping):
        raise UsageError(_TARGETS)
    if not targets or not calls:
        raise UsageError("there is nothing to put side by side; give at least one workbench and one call")
    if clash := {"tool", "arguments"} & set(targets):
        raise UsageError(f"a target cannot be called {sorted(clash)[0]!r}: a column has that name; give another one")
    for at, call in enumerate(calls):
        fits = isinstance(call, tuple | list) and len(call) == 2
        if not fits or not isinstance(call[0], str) or not isinstance(call[1], dict):
            raise UsageError(f"call {at + 1} is no pair of a tool's name and a dict: {one_line(repr(call), 80)}")
    if not all(hasattr(each, "acall") for each in targets.values()):
        raise UsageError(_TARGETS)


def _read(result: CallResult) -> Answer:
    if result.ok:
        return Answer("answered", None, one_line(_json(result.value), _SHOWN_CHARACTERS))
    told = result.structured
    code = told.get("code") if isinstance(told, dict) else None
    words = one_line(result.error or "", _SHOWN_CHARACTERS)
    if isinstance(code, str):
        return Answer("failed with a code", one_line(code, 60), words)
    return Answer("failed without a code", None, words)


def _prevented(error: WorkbenchError) -> Answer:
    return Answer("failed without a code", type(error).__name__, one_line(error, _SHOWN_CHARACTERS))


def _json(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return one_line(text, _SHOWN_CHARACTERS)
