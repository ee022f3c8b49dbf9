"""Servers that misbehave in the middle of a load: each call is counted, the run ends on time, nothing is left behind.

``python benchmarks/proof_misbehaving_servers.py [--only WORD]``: each way of ``tests/load/misbehaving_server.py``, over
HTTP (both eras of the protocol) and stdio, under an open load (60 calls/s for 0.5 s) and a closed one (4 users). Each
server behaves for 3 calls first. Prints a line for each, exits 1 if one is not so.

A run has ended on time if its last call has ended within the timeout and a share of 0.5 s after the load's meant end;
nothing is left if no process carries its mark and no folder, file and socket is more than before. Every call that was
begun must be counted, and calls may be counted as well after the first ones if and only if the answers are good ones.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "load"))

from misbehaving_runs import counted, folders, late_s, listening, marked, open_files, over_http, over_stdio, plan_of
from misbehaving_server import HTTP_WAYS, STDIO_WAYS

from mcp_workbench.errors import WorkbenchError
from mcp_workbench.load.driving import drive
from mcp_workbench.load.plan import Arm

SECONDS = 0.5
TIMEOUT_S = 0.4
SHARE_S = 0.5
BEHAVED = 3
LOADS: tuple[tuple[str, float | None, int | None], ...] = (("open", 60.0, None), ("closed", None, 4))
# After these, an answer is still one: odd, but within the protocol, or beyond what a client can know. Over stdio
# nothing but the id says to which call an answer belongs.
STILL_GOOD = {"asks", "floods", "answers-twice", "carriage-returns", "stays", "forks", "swaps", "stream-without-end"}
STILL_GOOD |= {"until-closed", "announces-first", "closes"}
STILL_GOOD_OVER_STDIO = STILL_GOOD | {"earlier-id"}
# One more answer than behaved may be under way when the first bad one is given.
SPARE = 1


def prove(transport: str, load: tuple[str, float | None, int | None], arm: Arm) -> bool:
    kind, rate, users = load
    before = open_files(), folders()
    begun_s = time.perf_counter()
    try:
        run = asyncio.run(drive(plan_of([arm], [(rate, users)], SECONDS, TIMEOUT_S)))
    except WorkbenchError as error:
        print(f"{transport:12} {kind:6} {arm.name:22} FAILED: {error}", flush=True)
        return False
    took_s = time.perf_counter() - begun_s
    left = marked(), (open_files(), folders())
    calls = run.calls(0)
    told = counted(run, 0)
    good = STILL_GOOD_OVER_STDIO if transport.startswith("stdio") else STILL_GOOD
    # Two answers at once break HTTP, and not the lines of stdio.
    well = arm.name in good and not (arm.name == "answers-twice" and transport.startswith("HTTP"))
    all_counted = len(calls) == calls.offered - calls.dropped and (told.get("ok", 0) > BEHAVED + SPARE) is well
    on_time = late_s(run, 0) <= TIMEOUT_S + SHARE_S
    nothing_left = left == ([], before)
    words = ", ".join(f"{name or 'no code'} {number}" for name, number in told.items())
    print(
        f"{transport:12} {kind:6} {arm.name:22} counted: {'yes' if all_counted else 'NO'}, on time: "
        f"{'yes' if on_time else 'NO'} ({late_s(run, 0):.2f} s), left behind: {'nothing' if nothing_left else left}, "
        f"{took_s:.1f} s in all: {words}",
        flush=True,
    )
    return all_counted and on_time and nothing_left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only ways whose name has this in it")
    only = parser.parse_args().only
    held_up = []
    for protocol in ("2026-07-28", "2025-11-25"):
        for load in LOADS:
            for way in HTTP_WAYS:
                if only in way:
                    with listening(BEHAVED) as port:
                        held_up.append(prove(f"HTTP {protocol[:4]}", load, over_http(way, port, protocol)))
            held_up += [
                prove(f"stdio {protocol[:4]}", load, over_stdio(way, BEHAVED, protocol))
                for way in STDIO_WAYS
                if only in way
            ]
    print(f"{sum(held_up)} of {len(held_up)} as they should be")
    return int(not all(held_up))


if __name__ == "__main__":
    sys.exit(main())
