"""Whether the load generator tells the truth: of a server that stalls, of the rate it makes, and of itself.

``python benchmarks/proof_load_honesty.py [--runs 20] [--seconds 10]``: prints the figures, exits 1 if one is broken.

- Stall: a server that stands still for 300 ms every 1.5 s. What p99 truly is comes from the schedule: calls that arrive
  at random and are answered one after the other, when the server does not stand still. An open load must report it
  within 10 %; what a closed loop reports is printed beside it.
- Rate: 100 to 2,000 calls/s with constant gaps against a bare server, within 1 %, sent less than 2 ms late (p99).
- Saturation: asked for more than it can make, a run must be void; with a saturated server, or little to do, never.
"""

import argparse
import random
import statistics
import sys

from bench_load_generator import ARGUMENTS, ECHO, EXAMPLE, listening

from mcp_workbench import Baseline, Workbench

# Faster than the generator: a server that is not would be the bottleneck itself.
INSTANT = EXAMPLE.with_name("instant_server.py")
STALL_S, EVERY_S, RATE = 0.3, 1.5, 100
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


def rates(seconds: float) -> bool:
    good = True
    with listening(sys.executable, "-c", ECHO) as url, Workbench(url) as bench:
        for rate in (100, 200, 500, 1_000, 2_000):
            found = measured(bench, rate=rate, duration=seconds, arrivals="constant")
            off = found.whole.throughput / rate - 1
            late_ms = found.honesty.slip_p99_ms or 0.0
            words = (
                f"rate {rate:5}/s: made {found.whole.throughput:8.1f} ({off:+.2%}), sent late p50 "
                f"{found.honesty.slip_p50_ms:.2f} ms, p99 {late_ms:.2f} ms, "
                f"generator {found.honesty.generator_share:.0%}"
            )
            good &= told(words, abs(off) <= 0.01 and late_ms < 2)
    return good


def saturation(runs: int) -> bool:
    void: list[tuple[bool, float]] = []
    with listening(sys.executable, str(INSTANT)) as url, Workbench(url) as bench:
        for number in range(runs):
            hard = {"rate": 60_000} if number % 2 else {"rate": 50_000, "arrivals": "constant"}
            found = bench.baseline("nothing", duration=2, calibrated=False, progress=False, **hard)
            void.append((bool(found.void), found.honesty.generator_share))
    good = told(
        f"saturated generator: void {sum(each for each, _ in void)} times of {runs}, generator "
        f"{min(share for _, share in void):.0%} to {max(share for _, share in void):.0%}",
        all(each for each, _ in void),
    )
    honest: list[tuple[bool, float]] = []
    with listening(sys.executable, str(EXAMPLE), "http") as url, Workbench(url) as bench:
        for number in range(runs):
            hard = [{"users": 32}, {"rate": 200}, {"rate": 600}, {"users": 4}][number % 4]
            found = measured(bench, duration=2, **hard)
            honest.append((bool(found.void), found.honesty.worst_share))
    return good & told(
        f"generator with time to spare: void {sum(each for each, _ in honest)} times of {runs}, busiest fifth "
        f"{min(share for _, share in honest):.0%} to {max(share for _, share in honest):.0%}",
        not any(each for each, _ in honest),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    good = [stalls(chosen.seconds), rates(chosen.seconds), saturation(chosen.runs)]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
