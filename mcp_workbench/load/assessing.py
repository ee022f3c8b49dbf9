"""From what a run brought back to its honesty block: was the load made as it was meant to be?"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from typing import Final

import numpy as np
import psutil
from mcp_types import CallToolResult, Tool
from pydantic import ValidationError

from mcp_workbench.contracts.schemas.evaluation import conforms
from mcp_workbench.load.baselines.honesty import FLAGGED_SHARE, NEVER_SENT, UNSEEN_SERVER, VOID_SHARE, Honesty
from mcp_workbench.load.generator.answers import GENERATOR_NO_SOCKETS, read_message
from mcp_workbench.load.generator.references import UNIQUE, references
from mcp_workbench.load.measured import Calls
from mcp_workbench.load.run import Run, were_sent
from mcp_workbench.untrusted import one_line

_LATE_MS: Final = 2.0
_BUSIEST: Final = 0.2
_MUCH_ELSE: Final = 0.25
_LITTLE_TOLERANCE: Final = 0.05
# One that works less than this in all was not the bottleneck when something else took its processor for a while.
_WORKING_SHARE: Final = 0.3
_SHORTEST_NS: Final = 20_000_000
_MOST_STEPS: Final = 3


def assess(
    run: Run,
    arms: Sequence[int],
    calls: Calls,
    tools: Iterable[Tool],
    notes: Sequence[str] = (),
    *,
    blocks: Sequence[int] | None = None,
) -> Honesty:
    """Return how honest the figures of one target are.

    Args:
        run: the whole run; what the generator did, it did for all arms.
        arms: those of the target.
        calls: its measured calls.
        blocks: the blocks that these calls are of; all measured ones of the target if left out.
        tools: what it lists, with output schemas.
        notes: what a reader should know besides.
    """
    measured = [block for block in range(len(run.books)) if run.plan.blocks[block].phase == "measured"]
    wall_s = (run.books[measured[-1]].ended_ns - run.books[measured[0]].begun_ns) / 1e9 if measured else 0.0
    intervals = _intervals(run, measured if blocks is None else blocks)
    all_cpu_s = _cpu_s(run, measured)
    cpu_s = sum(cpu for _, cpu, _ in intervals) / 1e9
    known_s = sum(wall for wall, _, _ in intervals) / 1e9 or 1.0
    waited = [waited for _, _, waited in intervals if waited is not None]
    generator_share = cpu_s / known_s
    waiting_share = sum(waited) / 1e9 / known_s if waited else None
    worst_share = _busiest(intervals)
    in_process = run.plan.arms[arms[0]].wire.kind == "in-process"
    mine = run.measured_blocks(*arms)
    books = [run.books[block] for block in mine]
    open_load = all(run.plan.blocks[block].users is None for block in mine)
    late_ms = calls.latency_ms - calls.service_ms if open_load and len(calls) else None
    slip_p50_ms, slip_p99_ms = (None, None) if late_ms is None else map(float, np.percentile(late_ms, (50, 99)))
    server_s, all_servers_s = _servers_s(run, arms)
    mine_s = sum((book.ended_ns - book.begun_ns) for book in books) / 1e9 or 1.0
    foreign_s = max(0.0, run.server_cpu.busy_s - all_servers_s - all_cpu_s)
    # What another release of the target answers, it has promised elsewhere.
    sampled, wrong = _checked([(tool, answer) for block, tool, answer in run.samples if block in {*mine}], tools)
    found = Honesty(
        generator_share=generator_share,
        waiting_share=waiting_share,
        worst_share=worst_share,
        generator_us=1e6 * all_cpu_s / max(1, _measured_calls(run, measured)),
        server_share=None if server_s is None else server_s / mine_s,
        foreign_share=foreign_s / (wall_s or 1.0),
        cores=psutil.cpu_count() or 1,
        slip_p50_ms=slip_p50_ms,
        slip_p99_ms=slip_p99_ms,
        offered=calls.offered,
        achieved=calls.offered - calls.dropped,
        dropped=calls.dropped,
        peak_in_flight=max((book.peak_in_flight for book in books), default=0),
        rate=(calls.offered - calls.dropped) / (calls.seconds or 1.0),
        little=_little(calls, sum(run.books[block].in_flight_ns for block in (mine if blocks is None else blocks))),
        sampled=sampled,
        sampled_wrong=wrong,
        reconnected=sum(run.reconnected[arm] for arm in arms),
        versions={
            "Python": platform.python_version(),
            "mcp": version("mcp"),
            "mcp-server-workbench": version("mcp-server-workbench"),
        },
        machine=f"{platform.system()} {platform.machine()}, {psutil.cpu_count() or 1} cores",
    )
    void = (*_without_sockets(calls), *(_void_in_process(found, calls) if in_process else _void(found)))
    told = (
        *notes,
        *_never_sent(run, mine if blocks is None else blocks),
        *_left_out(run),
        *_notes(found, in_process, _unseen(run)),
    )
    return replace(found, void=void, notes=told)


def _never_sent(run: Run, blocks: Sequence[int]) -> Iterable[str]:
    """Say of which steps calls were never sent, and what they had needed of the steps before."""
    column = run.columns
    rows = np.flatnonzero(np.isin(column["block"], blocks) & ~were_sent(column))
    places = Counter(zip(column["operation"][rows].tolist(), column["step"][rows].tolist(), strict=True))
    for (kind, number), count in places.most_common(_MOST_STEPS):
        flow = run.plan.arms[run.plan.blocks[blocks[0]].arm].operations[kind]
        step = flow.steps[number]
        taken = [".".join(filter(None, each)) for each in references(list(step.arguments)) if each[0] != UNIQUE]
        yield (
            f"{count:,} calls of {one_line(step.tool, 60)} {NEVER_SENT}: step {number + 1} of "
            f"{one_line(flow.name, 60)!r} takes {one_line(', '.join(f'${{{each}}}' for each in taken), 120)}, which is "
            "not in the structured content of an earlier step; see what that tool answers"
        )


def _left_out(run: Run) -> Iterable[str]:
    planned = len(run.plan.blocks)
    if len(run.books) < planned:
        yield (
            f"answers had been waited for so long that {planned - len(run.books):,} of {planned:,} turns were left out"
        )


def _intervals(run: Run, blocks: Sequence[int]) -> list[tuple[int, int, int | None]]:
    """Return for each stretch between two looks at the clocks: nanoseconds of wall, CPU and waiting.

    Those that begin after a block's meant end are left out: there the generator only waits for answers, and a call that
    hangs would make it look idle.
    """
    chosen = set(blocks)
    found = []
    for before, after in pairwise(run.beats):
        began = after.block in chosen and before.at_ns < run.books[after.block].meant_end_ns
        if began and after.at_ns > before.at_ns:
            waited = None if after.waited_ns is None or before.waited_ns is None else after.waited_ns - before.waited_ns
            found.append((after.at_ns - before.at_ns, after.cpu_ns - before.cpu_ns, waited))
    return found


def _cpu_s(run: Run, blocks: Sequence[int]) -> float:
    """Return the CPU seconds of the generator in these blocks, until their last answers had come."""
    chosen = set(blocks)
    return sum(after.cpu_ns - before.cpu_ns for before, after in pairwise(run.beats) if after.block in chosen) / 1e9


def _servers_s(run: Run, arms: Sequence[int]) -> tuple[float | None, float]:
    """Return the CPU seconds of a target's servers, and those of all servers.

    A target's are ``None`` if some of them cannot be seen, or if another target's server is in the same process: nobody
    can say who of both has spent them.
    """
    told = run.server_cpu
    # Without a process that is known, an arm's server is taken for one of its own.
    processes = [pid or -1 - arm for arm, pid in enumerate(told.pids or (None,) * len(told.servers_s))]
    spent = dict(zip(processes, told.servers_s, strict=True))
    mine = {processes[arm] for arm in arms if processes}
    others = {process for arm, process in enumerate(processes) if arm not in arms}
    each = [spent[process] for process in mine - others]
    seen = [cpu_s for cpu_s in each if cpu_s is not None]
    whole = len(seen) == len(mine) > 0
    return sum(seen) if whole else None, sum(cpu_s for cpu_s in spent.values() if cpu_s is not None)


def _unseen(run: Run) -> bool:
    """Return whether what some server does is counted as that of other programs."""
    spent = run.server_cpu.servers_s or (None,) * len(run.plan.arms)
    return any(cpu_s is None and arm.wire.kind != "in-process" for arm, cpu_s in zip(run.plan.arms, spent, strict=True))


def _busiest(intervals: Sequence[tuple[int, int, int | None]]) -> float:
    """Return how busy the generator was, waiting for a processor included, in the busiest fifth of the time."""
    # Looks that come right after one another say more of the clock than of the generator.
    long = [(wall, cpu + (waited or 0)) for wall, cpu, waited in intervals if wall >= _SHORTEST_NS]
    left_ns = _BUSIEST * sum(wall for wall, _ in long)
    counted_ns = busy_ns = 0.0
    for wall, busy in sorted(long, key=lambda each: each[1] / each[0], reverse=True):
        if counted_ns >= left_ns:
            break
        counted_ns += wall
        busy_ns += busy
    return busy_ns / counted_ns if counted_ns else 0.0


def _void(found: Honesty) -> Iterable[str]:
    share = found.generator_share + (found.waiting_share or 0.0)
    if share >= VOID_SHARE:
        yield (
            f"the generator was the bottleneck: it was busy {found.generator_share:.0%} of the time and waited for a "
            f"processor {found.waiting_share or 0.0:.0%}; lower the rate, or free the machine"
        )
    elif found.worst_share >= VOID_SHARE and found.generator_share >= _WORKING_SHARE:
        yield (
            f"the generator was the bottleneck for a while: {found.worst_share:.0%} busy in a fifth of the time; "
            "lower the rate, or free the machine"
        )


def _without_sockets(calls: Calls) -> Iterable[str]:
    if lacking := sum(count for (_, code), count in calls.codes.items() if code == GENERATOR_NO_SOCKETS):
        yield (
            f"the generator had no socket left for {lacking:,} calls; lower the rate, or allow more open files "
            "(ulimit -n)"
        )


def _void_in_process(found: Honesty, calls: Calls) -> Iterable[str]:
    """A server in the generator's loop keeps it busy; what matters is whether calls began when they should."""
    if found.slip_p50_ms is None or not len(calls):
        return
    if found.dropped or found.slip_p50_ms > max(_LATE_MS, float(np.median(calls.service_ms))):
        yield (
            "the generator, in whose loop the server runs, did not keep up with the rate: what is told is its own "
            "queue; lower the rate, or measure the server in a process of its own"
        )


def _notes(found: Honesty, in_process: bool, unseen: bool) -> Iterable[str]:
    if in_process:
        yield "the server ran in the loop of the generator: its work is in the generator's figures"
    elif found.worst_share >= FLAGGED_SHARE:
        yield (
            f"the generator was {found.worst_share:.0%} busy in the busiest fifth of the time: some of its own "
            "queueing is in the latencies"
        )
    if found.slip_p99_ms is not None and found.slip_p99_ms > _LATE_MS:
        yield f"1 of 100 calls was sent {found.slip_p99_ms:.1f} ms late or later, which is in the latencies"
    if found.foreign_share > _MUCH_ELSE * found.cores:
        who = f"everything but the generator, {UNSEEN_SERVER}," if unseen else "other programs"
        yield (
            f"{who} kept {found.foreign_share:.1f} of {found.cores} cores busy: what that does to the figures is in "
            "them"
        )
    if found.dropped:
        yield (
            f"{found.dropped:,} operations never began, because too many calls were unanswered: what they would have "
            "waited is in no latency"
        )
    if found.sampled_wrong:
        yield f"{found.sampled_wrong:,} of {found.sampled:,} answers, checked in full, are not what was promised"
    if abs(found.little - 1) > _LITTLE_TOLERANCE:
        yield f"Little's law does not hold ({found.little:.2f} instead of 1): do not trust these figures"


def _measured_calls(run: Run, blocks: Sequence[int]) -> int:
    return int(np.isin(run.columns["block"], blocks).sum())


def _little(calls: Calls, in_flight_ns: int) -> float:
    """Return calls in flight on average, over arrival rate times mean time in flight; the seconds cancel out."""
    spent_ns = float(calls.service_ms.sum()) * 1e6
    return in_flight_ns / spent_ns if spent_ns else 1.0


def _checked(samples: Sequence[tuple[str, bytes]], tools: Iterable[Tool]) -> tuple[int, int]:
    """Hold the answers that were kept whole against the protocol and the tool's output schema."""
    schemas = {tool.name: tool.output_schema for tool in tools}
    wrong = 0
    checked = 0
    for tool, text in samples:
        message = read_message(text)
        if message is None or "result" not in message:
            continue
        checked += 1
        try:
            result = CallToolResult.model_validate(message["result"])
        except ValidationError:
            wrong += 1
            continue
        schema = schemas.get(tool)
        if schema is not None and not result.is_error and conforms(result.structured_content, schema) is False:
            wrong += 1
    return checked, wrong
