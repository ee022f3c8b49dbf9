"""Whether the load generator tells the truth: of a server that stalls, of the rate it makes, and of itself.

``python benchmarks/proof_load_honesty.py [--runs 20] [--seconds 10]``: prints the figures, exits 1 if one is broken.

- Stall: a server that stands still for 300 ms every 1.5 s. What p99 truly is comes from the schedule: calls that arrive
  at random and are answered one after the other, when the server does not stand still. An open load must report it
  within 10 %; what a closed loop reports is printed beside it.
- Rate: 100 to 2,000 calls/s with constant gaps against a bare server. From the times at which calls were really sent:
  within 1 % of the rate, all of them, less than 2 ms late (p99), and all answered.
- Saturation: asked for more than it can make, a run must be void; with a saturated server, or little to do, never. At
  a rate that keeps it busy for 0.65 of the time at most it must not be; that needs a machine that does nothing else.
  Asked for 0.9 times of the most it made, on one core beside two processes that spin on it, it must be (needs
  Linux and two cores). The server has the other cores: if they were taken, too, it would be the bottleneck as often.
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from bench_load_generator import ARGUMENTS, ECHO, EXAMPLE, listening

from mcp_workbench import Baseline, Workbench
from mcp_workbench.kernel.connection import Connection
from mcp_workbench.kernel.loop import background
from mcp_workbench.load.assessing import assess
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.driving import drive
from mcp_workbench.load.plan import Arm, Arrivals, Block, Operation, Plan, Step
from mcp_workbench.load.preparing import prepared
from mcp_workbench.load.run import Run

# Faster than the generator: a server that is not would be the bottleneck itself.
INSTANT = EXAMPLE.with_name("instant_server.py")
STALL_S, EVERY_S, RATE = 0.3, 1.5, 100
BUSY = 0.65
STALLING = f"""
EVERY_S, STALL_S = {EVERY_S}, {STALL_S}
import asyncio, socket, time
import anyio, uvicorn
from mcp.server.mcpserver import MCPServer
server = MCPServer("stalling", log_level="ERROR")
@server.tool()
async def add(a: int, b: int = 0) -> int:
    return a + b
listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listening.bind(("127.0.0.1", 0))
listening.listen()
print(listening.getsockname()[1], flush=True)
async def stall():
    begin = time.monotonic()
    while True:
        begin += EVERY_S
        await asyncio.sleep(begin - time.monotonic())
        time.sleep(STALL_S)
async def main():
    asyncio.create_task(stall())
    await uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="critical")).serve(sockets=[listening])
asyncio.run(main())
"""


def true_p99_ms(service_ms: float) -> float:
    """Return p99 of calls that come at random and are answered one after the other, between stalls."""
    dice = random.Random(0)
    service_s, now_s, free_s = service_ms / 1e3, 0.0, 0.0
    latencies = []
    for _ in range(400_000):
        now_s += dice.expovariate(RATE)
        begin_s = max(now_s, free_s)
        into_s = begin_s % EVERY_S
        if into_s < STALL_S:
            begin_s += STALL_S - into_s
        free_s = begin_s + service_s
        latencies.append(1e3 * (free_s - now_s))
    return statistics.quantiles(latencies, n=100)[98]


def told(words: str, holds: bool) -> bool:
    print(f"{words}{'' if holds else '   BROKEN'}", flush=True)
    return holds


def measured(bench: Workbench, **hard: float | str) -> Baseline:
    return bench.baseline("add", ARGUMENTS, calibrated=False, progress=False, **hard)


def stalls(seconds: float) -> bool:
    with listening(sys.executable, "-c", STALLING) as url, Workbench(url) as bench:
        closed = measured(bench, users=1, duration=seconds).whole
        found = measured(bench, rate=RATE, duration=3 * seconds).whole
    truth_ms = true_p99_ms(closed.percentile_ms(50) or 0.0)
    p99_ms = found.percentile_ms(99) or 0.0
    off = p99_ms / truth_ms - 1
    closed_ms = closed.percentile_ms(99) or 1.0
    print(f"stall: a closed loop's p99 is {closed_ms:.1f} ms, {truth_ms / closed_ms:.0f} x too low")
    words = f"stall: p99 of the open load {p99_ms:.1f} ms, in truth {truth_ms:.1f} ms: {off:+.1%} (bound 10 %)"
    return told(words, abs(off) <= 0.1)


async def driven(connection: Connection, rate: float, seconds: float) -> tuple[Run, Honesty]:
    """Make a load of constant arrivals, and return its calls with the times at which they were sent."""
    async with prepared(connection) as ready:
        operations = (Operation("add", 1.0, (Step("add", (ARGUMENTS,)),)),)
        blocks = (Block(0, 1.0, rate, None, "warm-up"), Block(0, seconds, rate, None))
        plan = Plan((Arm(ready.name, ready.wire, operations),), blocks, "constant")
        run = await drive(plan, servers=[ready.server])
        return run, assess(run, (0,), run.calls(0), ready.tools)


def rates(seconds: float) -> bool:
    good = True
    with listening(sys.executable, "-c", ECHO) as url, Workbench(url) as bench:
        for rate in (100, 200, 500, 1_000, 2_000):
            run, honesty = background().run(driven(bench.session.connection, rate, seconds))
            start_ns = run.columns["start_ns"][np.isin(run.columns["block"], run.measured_blocks(0))]
            # What was planned is the rate by construction: how many were sent in how long is not.
            made = 1e9 * (len(start_ns) - 1) / float(np.ptp(start_ns))
            off, lacking = made / rate - 1, 1 - len(start_ns) / (rate * seconds)
            failed = int(run.calls(0).failed.sum())
            late_ms = honesty.slip_p99_ms or 0.0
            words = (
                f"rate {rate:5}/s: sent {made:8.1f} ({off:+.2%}), {len(start_ns):,} calls of {rate * seconds:,.0f}, "
                f"{failed} failed, sent late p50 {honesty.slip_p50_ms:.2f} ms, p99 {late_ms:.2f} ms, "
                f"generator {honesty.generator_share:.0%}"
            )
            good &= told(words, abs(off) <= 0.01 and abs(lacking) <= 0.01 and late_ms < 2 and not failed)
    return good


async def keep_to(cores: set[int]) -> None:
    os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def starved() -> Iterator[None]:
    """Give what the background loop starts one core, and let two processes spin on it."""
    all_cores = os.sched_getaffinity(0)
    core = min(all_cores)
    # They end with whoever started them, however that ends.
    spin = f"import os\nos.sched_setaffinity(0, {{{core}}})\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    background().run(keep_to({core}))
    spinning = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
        background().run(keep_to(all_cores))


def instant(bench: Workbench, rate: float, arrivals: Arrivals = "poisson") -> Baseline:
    return bench.baseline("nothing", rate=rate, arrivals=arrivals, duration=2, calibrated=False, progress=False)


def busy_rate(bench: Workbench, most: float) -> float:
    """Return a rate that keeps the generator busy for :data:`BUSY` of the time at most.

    Not that share of what a saturated one makes: few calls at once cost more each.
    """
    rate = most
    while instant(bench, rate).honesty.generator_share > BUSY:
        rate *= 0.9
    return rate


def void_words(what: str, found: Sequence[Baseline]) -> str:
    shares = [each.honesty.generator_share for each in found]
    waited = [each.honesty.waiting_share or 0.0 for each in found]
    return (
        f"{what}: void {sum(bool(each.void) for each in found)} times of {len(found)}, generator {min(shares):.0%} to "
        f"{max(shares):.0%}, waited for a processor {min(waited):.0%} to {max(waited):.0%}"
    )


def saturation(runs: int) -> bool:
    with listening(sys.executable, str(INSTANT)) as url, Workbench(url) as bench:
        found = [
            instant(bench, 60_000) if number % 2 else instant(bench, 50_000, arrivals="constant")
            for number in range(runs)
        ]
        good = told(void_words("saturated generator", found), all(each.void for each in found))
        made = [each.honesty.rate for each in found]
        often = statistics.median(made)
        rate = busy_rate(bench, often)
        found = [instant(bench, rate) for _ in range(runs)]
        words = void_words(f"generator that has a third left ({rate / often:.2f} x {often:,.0f} calls/s)", found)
        good &= told(words, not any(each.void for each in found))
    good &= starvation(runs, 0.9 * max(made))
    honest: list[tuple[bool, float]] = []
    with listening(sys.executable, str(EXAMPLE), "http") as url, Workbench(url) as bench:
        for number in range(runs):
            hard = [{"users": 32}, {"rate": 200}, {"rate": 600}, {"users": 4}][number % 4]
            each = measured(bench, duration=2, **hard)
            honest.append((bool(each.void), each.honesty.worst_share))
    return good & told(
        f"generator with time to spare: void {sum(each for each, _ in honest)} times of {runs}, busiest fifth "
        f"{min(share for _, share in honest):.0%} to {max(share for _, share in honest):.0%}",
        not any(each for each, _ in honest),
    )


def starvation(runs: int, rate: float) -> bool:
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        return told("starved generator: NOT CHECKED (needs Linux and two cores)", True)
    with listening(sys.executable, str(INSTANT)) as url, Workbench(url) as bench, starved():
        found = [instant(bench, rate) for _ in range(runs)]
    return told(void_words(f"starved generator ({rate:,.0f} calls/s)", found), all(each.void for each in found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    good = [stalls(chosen.seconds), rates(chosen.seconds), saturation(chosen.runs)]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
