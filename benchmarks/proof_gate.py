"""How often the gate cries wolf, and how often it finds what was planted: fresh processes for every pair.

``python benchmarks/proof_gate.py [--pairs 60] [--cases aa slower errors tail] [--quiet-only]``: prints a line a case
and exits 1 if a bound is broken. In every second pair another process takes half a core. A false alarm is a regression
in either direction. What is planted is relative to the whole call as a client sees it, which is measured first: +20 %
of its p50 on every call, +50 % on the calls that are slow (5 of 100, which wait for 60 ms),
2 % errors.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gate_server import work_units

from mcp_workbench import Workbench, compare
from mcp_workbench.load.comparisons.comparison import Comparison

SERVER = str(Path(__file__).with_name("gate_server.py"))
UNITS = 170
SLOW_MS = 60.0
RATE = 200
# It ends with whoever started it, however that ends.
HALF_A_CORE = """
import os, time
parent = os.getppid()
while os.getppid() == parent:
    until = time.perf_counter() + 0.05
    while time.perf_counter() < until:
        pass
    time.sleep(0.05)
"""
BOUNDS = {"aa": ("false alarms", 0.05), "slower": ("found", 0.95), "errors": ("found", 0.95), "tail": ("found", 0.90)}


def server(*words: str) -> list[str]:
    return [sys.executable, SERVER, str(UNITS), *words]


@contextlib.contextmanager
def half_a_core(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", HALF_A_CORE])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def p50_ms(*words: str) -> float:
    with Workbench(server(*words)) as bench:
        # By a user alone: nothing waits for anything, and the machine's noise is not taken for the call.
        found = bench.baseline("work", users=1, duration=3, calibrated=False, progress=False).whole.percentile_ms(50)
        assert found is not None
        return found


def work_ms() -> float:
    """Return how long the work of a call takes by itself."""
    took_s = []
    for _ in range(50):
        begun = time.perf_counter()
        work_units(UNITS)
        took_s.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(took_s)


def slower_by(share: float) -> str:
    """Return how many times as much work makes a call of one user take so much longer, as ``--slower`` takes it."""
    return f"{1 + share * p50_ms() / work_ms():.3f}"


def better(found: Comparison) -> bool:
    """Whether the candidate would be the baseline's regression."""
    gate = found.settings
    latency = 1 / gate.p50_margin
    bounds = {"p10": latency, "p50": latency, "tail": 1 / gate.tail_margin, "errors": -gate.error_margin}
    return any(
        each.decides and each.change is not None and each.change.high < bounds[each.measure]
        for each in found.findings
        if each.measure in bounds
    )


def pairs(case: str) -> tuple[list[str], list[str], float, float]:
    """Return both servers, the rate, and the seconds of an arm."""
    if case == "aa":
        return server(), server(), RATE, 3.0
    if case == "errors":
        return server(), server("--errors", "0.02"), RATE, 3.0
    if case == "slower":
        return server(), server("--slower", slower_by(0.2)), RATE, 3.0
    slow = ["--slow-share", "0.05", "--slow-ms"]
    whole_ms = p50_ms() + SLOW_MS
    return server(*slow, f"{SLOW_MS}"), server(*slow, f"{SLOW_MS + 0.5 * whole_ms:.1f}"), RATE, 10.0


def prove(case: str, count: int, quiet_only: bool) -> bool:
    first, second, rate, seconds = pairs(case)
    verdicts: Counter[str] = Counter()
    alarms: Counter[bool] = Counter()
    begun = time.perf_counter()
    ratios = []
    for number in range(count):
        loaded = bool(number % 2) and not quiet_only
        with half_a_core(loaded):
            found = compare(first, second, tool="work", rate=rate, duration=seconds, seed=number, progress=False)
        verdict = "regression (reversed)" if case == "aa" and better(found) else str(found.verdict)
        verdicts[verdict] += 1
        alarms[loaded] += verdict.startswith("regression")
        p50 = next(each for each in found.findings if each.measure == "p50")
        ratios.append(p50.change.estimate if p50.change is not None else float("nan"))
        if case == "aa" and verdict != "no regression":
            print(f"    pair {number}{' (loaded)' if loaded else ''}: {found.headline()}", flush=True)
    share = sum(alarms.values()) / count
    what, bound = BOUNDS[case]
    good = share < bound if case == "aa" else share >= bound
    ratios.sort()
    took = time.perf_counter() - begun
    print(
        f"{case:8} {count} pairs, {seconds:g} s an arm: {what} {share:.1%} (bound {bound:.0%}; "
        f"loaded {alarms[True]}, quiet {alarms[False]}); {dict(verdicts)}; p50 ratio {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}, median {ratios[len(ratios) // 2]:.3f}; took {took:.0f} s{'' if good else '   BROKEN'}",
        flush=True,
    )
    return good


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--cases", nargs="*", default=list(BOUNDS), choices=list(BOUNDS))
    parser.add_argument("--quiet-only", action="store_true")
    chosen = parser.parse_args()
    good = [prove(case, chosen.pairs, chosen.quiet_only) for case in chosen.cases]
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
