"""The honesty block in plain words, a row a fact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.load.baselines.figures import ToolFigures
from mcp_workbench.load.baselines.honesty import FIRST_CALL, NEVER_SENT, UNSEEN_SERVER, Honesty
from mcp_workbench.untrusted import one_line

HONESTY_TITLE: Final = "How it was measured"
_NAMED: Final = 3


def honesty_words(honesty: Honesty, conditions: Conditions) -> list[tuple[str, str]]:
    """Return how a load was made: facts and their values, those first that decide whether to believe the figures."""
    meant = f", {conditions.rate:g} were meant" if conditions.rate is not None else ""
    busy = f"{honesty.generator_share:.0%} of a core, {honesty.worst_share:.0%} with waiting in the busiest fifth"
    if honesty.waiting_share is not None:
        busy += f", waited for a processor {honesty.waiting_share:.0%} of the time"
    slip = "no open load"
    if honesty.slip_p50_ms is not None and honesty.slip_p99_ms is not None:
        slip = f"p50 {honesty.slip_p50_ms:.2f} ms, p99 {honesty.slip_p99_ms:.2f} ms"
    server, else_ = "cannot be seen", f"{honesty.foreign_share:.0%} of a core, of {honesty.cores} cores"
    if honesty.server_share is not None:
        server = f"{honesty.server_share:.0%} of a core"
    elif conditions.placement == "in the generator":
        server = "in the generator's figures"
    elif conditions.placement == "in the kernel":
        server = "in one process with the other server"
    else:
        else_ += f", {UNSEEN_SERVER}"
    share = f" ({honesty.achieved / honesty.offered:.1%})" if honesty.offered else ""
    versions = ", ".join(f"{name} {version}" for name, version in honesty.versions.items())
    return [
        ("void", "; ".join(one_line(why) for why in honesty.void) or "no"),
        ("generator", busy),
        ("generator a call", f"{honesty.generator_us:.0f} us of CPU"),
        ("server", server),
        ("everything else", else_),
        ("calls were sent late by", slip),
        (
            "operations begun",
            f"{honesty.achieved:,} of {honesty.offered:,}{share}, {honesty.dropped:,} dropped, "
            f"{honesty.rate:,.1f} a second{meant}",
        ),
        ("most in flight", f"{honesty.peak_in_flight:,} of {conditions.max_in_flight:,} allowed"),
        ("Little's law", f"{honesty.little:.2f}"),
        ("answers checked in full", f"{honesty.sampled:,}, {honesty.sampled_wrong:,} did not fit"),
        ("connections opened again", f"{honesty.reconnected:,}"),
        ("conditions", f"{one_line(conditions.words())}, protocol {one_line(conditions.protocol, 40)}"),
        ("timeout", f"{conditions.timeout_s:g} s"),
        ("workload", f"{one_line(conditions.workload)} ({one_line(conditions.workload_digest, 16)})"),
        ("versions", one_line(versions)),
        ("machine", one_line(honesty.machine)),
        *(("note", one_line(note)) for note in honesty.notes),
    ]


def failing_words(tools: Sequence[ToolFigures], honesty: Honesty) -> str:
    """Return which tools failed with every call, and why as far as notes say; empty if none did."""
    failing = [one_line(row.tool, 60) for row in tools if row.calls and row.errors == row.calls]
    if not failing:
        return ""
    more = f" and {len(failing) - _NAMED} more" if len(failing) > _NAMED else ""
    of = "" if len(failing) == len(tools) else f", all calls of {', '.join(failing[:_NAMED])}{more}"
    why = [one_line(note) for note in honesty.notes if note.startswith(FIRST_CALL) or NEVER_SENT in note]
    return of + (f": {why[0]}" if why else "")
