"""One call, drawn: the stages of a hardened server and the rest; of other servers what the client can see."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_workbench.charts import Bar, Chart, waterfall
from mcp_workbench.kernel.results import CallResult
from mcp_workbench.reports import Report
from mcp_workbench.stages import STAGES, CallStory, StageTime
from mcp_workbench.untrusted import escaped, one_line

if TYPE_CHECKING:
    from mcp_workbench.tables import Table

_COLUMNS: Final = ["stage", "outcome", "start_ms", "duration_ms", "server_share_percent", "note"]
_OUTCOMES: Final = ["stage", "outcome", "note"]
# They stand around the three stages in which a call can be ended, so that they work after a failure, too.
_AFTER: Final = frozenset({"outputs", "telemetry"})
_REST: Final = "client and transport"
_FAILED: Final = "failed: "


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a trace.

    Attributes:
        name: a stage of the server, or what the client saw.
        outcome: ``ok``, ``failed: CODE``, ``not reached`` or ``off``; ``None`` for what only takes time.
        start_ms: when it began; ``None`` if it never did, or nobody knows.
        duration_ms: how long it took; ``None`` if it never began.
        server_share_percent: its share of the server's time; ``None`` for what is not the server's.
        note: what it did.
    """

    name: str
    outcome: str | None
    start_ms: float | None = None
    duration_ms: float | None = None
    server_share_percent: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace(Report):
    """One call and where its time went: the six stages of a hardened server, or what the client can see of others.

    Attributes:
        result: what the server answered.
        called_ns: when the caller asked for the call; on the clock of the record.
        returned_ns: when the caller had the answer.
    """

    result: CallResult
    called_ns: int
    returned_ns: int

    @property
    def ok(self) -> bool:
        """Whether the tool answered, and answered well."""
        return self.result.ok

    @property
    def steps(self) -> tuple[Step, ...]:
        """The stages in their order and then the rest of the call; the parts that the client saw, if it knows no more.

        A stage's times count from the call's arrival at the server. The clocks of client and server are not compared,
        so how much of the rest came before the stages and how much after is not known.
        """
        story = self._story()
        if story is None:
            return tuple(self._seen())
        server_ms = _server_ms(story)
        return (*_stages(story), Step(_REST, None, None, max(0.0, self._latency_ms() - server_ms), None, self._rest()))

    @property
    def frame(self) -> Table:
        """One row for each step, with its times in milliseconds."""
        from mcp_workbench.tables import table

        rows = [
            {
                "stage": step.name,
                "outcome": step.outcome,
                "start_ms": step.start_ms,
                "duration_ms": step.duration_ms,
                "server_share_percent": step.server_share_percent,
                "note": step.note,
            }
            for step in self.steps
        ]
        return table(rows, _COLUMNS)

    @property
    def outcomes(self) -> Table:
        """What became of the call in each stage, without times, so that two calls can be compared."""
        from mcp_workbench.tables import table

        rows = [
            {"stage": step.name, "outcome": step.outcome, "note": step.note}
            for step in self.steps
            if step.outcome is not None
        ]
        return table(rows, _OUTCOMES)

    def plot(self) -> Chart:
        """The steps as bars on a time axis."""
        record = self.result.record
        told = self._story() is not None
        since = "the call arrived at the server" if told else "the call was made"
        title = f"One call of {one_line(record.tool, 40)} over {record.transport}"
        return waterfall(title, f"time since {since} (ms)", "stage" if told else "part", list(self._bars()))

    def headline(self) -> str:
        """Return how the call ended, how long it took, and what of that was the server's."""
        told = self.result.headline()
        story = self._story()
        if story is None:
            return (
                f"{told}; the answer tells nothing of the server's stages, so this is what the client saw. "
                "A server tells of them after harden(server) of mcp_workbench.controls"
            )
        longest = max(story.stages, key=lambda stage: stage.duration_ms)
        # With the stage switched off that runs the tool, the tool's time is in no stage.
        between_ms = _server_ms(story) - sum(stage.duration_ms for stage in story.stages)
        place = longest.stage if longest.duration_ms >= between_ms else "no stage"
        if _server_ms(story) > self._latency_ms():
            told = f"{told}; the server claims more time than that: do not believe its times"
        else:
            told = f"{told}, {_server_ms(story):.2f} ms of them in the server, most in {place}"
        failed = next((stage for stage in story.stages if stage.code is not None), None)
        return told if failed is None else f"{told}; it ended in {failed.stage}: {failed.code}"

    def facts(self) -> dict[str, Any]:
        """Return tool, transport, outcome, ids, attempts, and the times of client and server."""
        record, story = self.result.record, self._story()
        return {
            "tool": record.tool,
            "transport": record.transport,
            "outcome": record.outcome.value,
            "error_code": record.error_code,
            "correlation_id": record.correlation_id,
            "attempts": record.attempt,
            "latency_ms": self._latency_ms(),
            "server_ms": None if story is None else _server_ms(story),
        }

    def _repr_html_(self) -> str:
        picture = self.plot()
        return (
            f"<p>{escaped(self.headline(), 2_000)}</p>{self.frame._repr_html_()}"
            f'<img alt="{escaped(picture.words)}" style="max-width:100%" '
            f'src="data:image/png;base64,{base64.b64encode(picture.png()).decode()}">'
        )

    def _story(self) -> CallStory | None:
        """Return what the server says of its stages; ``None`` if it names none."""
        story = self.result.story
        return story if story is not None and story.stages else None

    def _latency_ms(self) -> float:
        return self.result.latency_ms

    def _rest(self) -> str:
        """Return the note of the row that is not the server's."""
        story = self._story()
        if story is not None and _server_ms(story) > self._latency_ms():
            return "the server claims more time than the call took: do not believe its times"
        return "the rest of the call's latency, before and after the stages"

    def _seen(self) -> Iterator[Step]:
        """Yield the parts that the client's own clock tells apart."""
        record = self.result.record
        sent_ms = (record.start_ns - self.called_ns) / 1e6
        answered_ms = (record.end_ns - self.called_ns) / 1e6
        returned_ms = (self.returned_ns - self.called_ns) / 1e6
        outcome = "ok" if self.ok else f"{_FAILED}{one_line(record.error_code or record.outcome.value, 60)}"
        yield Step("to the connection", None, 0.0, sent_ms, None, "arguments read and handed over")
        waited_ms = answered_ms - sent_ms
        yield Step("waiting for the server", outcome, sent_ms, waited_ms, None, "from sending to the parsed answer")
        yield Step(
            "back to the caller", None, answered_ms, returned_ms - answered_ms, None, "answer measured and handed over"
        )

    def _bars(self) -> Iterator[Bar]:
        story = self._story()
        for step in self.steps:
            start_ms = step.start_ms or 0.0
            if step.duration_ms is None:
                yield Bar(step.name, start_ms, None, step.outcome or "")
                continue
            took = f"{step.duration_ms:,.2f} ms"
            if step.name == _REST and story is not None:
                # Behind the stages, where it hides nothing; its true place is not known.
                told = f"{took}, before and after the stages"
                yield Bar(step.name, _server_ms(story), step.duration_ms, told, "rest")
            elif step.outcome is None:
                yield Bar(step.name, start_ms, step.duration_ms, took, "rest")
            elif step.outcome.startswith(_FAILED):
                code = one_line(step.outcome.removeprefix(_FAILED), 22)
                yield Bar(step.name, start_ms, step.duration_ms, f"✗ {code}, {took}", "failed")
            else:
                yield Bar(step.name, start_ms, step.duration_ms, took)


def _server_ms(story: CallStory) -> float:
    """Return the milliseconds from the call's arrival at the server to the end of its last stage."""
    return max(stage.start_ms + stage.duration_ms for stage in story.stages)


def _stages(story: CallStory) -> Iterator[Step]:
    """Yield a step for each of the six stages, also for those that did nothing."""
    told: dict[str, StageTime] = {stage.stage: stage for stage in story.stages}
    whole_ms = _server_ms(story)
    failed: str | None = None
    for name in STAGES:
        stage = told.get(name)
        if stage is None:
            # The first stage stands around all others; what ends a call in it, ends it for all of them.
            reached = failed is None or (name in _AFTER and failed != STAGES[0])
            yield Step(name, "off" if reached else "not reached")
            continue
        share = 100 * stage.duration_ms / whole_ms if whole_ms else 0.0
        outcome = "ok" if stage.code is None else f"{_FAILED}{stage.code}"
        yield Step(name, outcome, stage.start_ms, stage.duration_ms, share, stage.note)
        failed = failed or (name if stage.code is not None else None)
