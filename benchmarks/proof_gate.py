"""How often the gate cries wolf, and how often it finds what was planted: fresh processes for every pair.

``python benchmarks/proof_gate.py [--pairs 60] [--cases aa aa-long slower errors tail] [--quiet-only]``: prints a line
a case and exits 1 if a bound is broken. In every second pair another process takes half a core, in stretches of random
length. ``aa`` and ``aa-long`` compare a server with itself; in ``aa-long`` the slow end has calls enough to be judged.
A false alarm is a regression in either direction: by any measure as it stands, by p10, p50, p75-90 or the tail
in reverse. Stalls are not counted in reverse: a comparison says nothing of a candidate that stalls less.

What is planted is relative to the whole call as a client sees it, which is measured first: +20 % of its p50 on every
call, +50 % on the calls that are slow (5 of 100, which wait for 60 ms), 2 % errors. It is found if the measure of what
was planted is a regression: p50 or p10, the tail, errors. Regressions by other measures only are told, and count as
missed.
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
from mcp_workbench.load.comparisons.verdicts import Verdict

SERVER = str(Path(__file__).with_name("gate_server.py"))
UNITS = 170
SLOW_MS = 60.0
RATE = 200
# It ends with whoever started it, however that ends. Stretches of one length would be in step with the turns of 0.1 s,
# and meet both arms alike, which other work does not.
HALF_A_CORE = """
import os, random, time
parent = os.getppid()
while os.getppid() == parent:
    until = time.perf_counter() + random.uniform(0.02, 0.5)
    while time.perf_counter() < until and os.getppid() == parent:
        pass
    time.sleep(random.uniform(0.02, 0.5))
"""
ALIKE = ("aa", "aa-long")
BOUNDS = {
    "aa": ("false alarms", 0.05),
    "aa-long": ("false alarms", 0.05),
    "slower": ("found", 0.95),
    "errors": ("found", 0.95),
    "tail": ("found", 0.90),
}
PLANTED = {"slower": ("p50", "p10"), "errors": ("errors",), "tail": ("tail",)}


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


def better_by(found: Comparison) -> list[str]:
    """Return the measures by which the baseline would be the candidate's regression, in the order of the findings.

    They need calls enough to be judged, and an interval that lies wholly beyond the margin, as a regression does.
    Whether they decide is no matter: all but p50 do so only where they are regressions. Fewer errors are no alarm.
    """
    gate = found.settings
    quick, slow = 1 / gate.p50_margin, 1 / gate.tail_margin
    bounds = {"p10": quick, "p50": quick, "p75-90": slow, "tail": slow}
    if found.void:
        return []
    return [
        each.measure
        for each in found.findings
        if each.measure in bounds
        and each.verdict is Verdict.NO_REGRESSION
        and each.change is not None
        # As far down as the lower bound, upwards: what would be that bound if the two changed places.
        and each.change.estimate**2 / max(each.change.low, 1e-9) < bounds[each.measure]
    ]


def better(found: Comparison) -> bool:
    """Whether the baseline would be the candidate's regression; of stored baselines by p10 or p50 only."""
    return bool(better_by(found))


def worse_by(found: Comparison) -> list[str]:
    """Return the measures that made the comparison a regression."""
    deciding = [] if found.void else [each for each in found.findings if each.decides]
    return [each.measure for each in deciding if each.verdict is Verdict.REGRESSION]


def pairs(case: str) -> tuple[list[str], list[str], float, float]:
    """Return both servers, the rate, and the seconds of an arm."""
    if case in ALIKE:
        return server(), server(), RATE, 3.0 if case == "aa" else 10.0
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
    counted: Counter[bool] = Counter()
    otherwise = 0
    begun = time.perf_counter()
    ratios = []
    for number in range(count):
        loaded = bool(number % 2) and not quiet_only
        with half_a_core(loaded):
            found = compare(first, second, tool="work", rate=rate, duration=seconds, seed=number, progress=False)
        verdict, worse = str(found.verdict), worse_by(found)
        if case in ALIKE:
            if not worse and (reversed_by := better_by(found)):
                verdict = f"regression (reversed) by {', '.join(reversed_by)}"
            hit = verdict.startswith("regression")
        else:
            hit = any(measure in PLANTED[case] for measure in worse)
            otherwise += bool(worse) and not hit
        verdicts[verdict] += 1
        counted[loaded] += hit
        p50 = next(each for each in found.findings if each.measure == "p50")
        ratios.append(p50.change.estimate if p50.change is not None else float("nan"))
        if verdict != "no regression" if case in ALIKE else not hit:
            told = found.headline() if verdict == found.verdict else f"{verdict}; {found.headline()}"
            told += "".join(f"; {each.words}" for each in found.findings if each.measure in ("p10", "p50", "tail"))
            print(f"    pair {number}{' (loaded)' if loaded else ''}: {told}", flush=True)
    share = sum(counted.values()) / count
    what, bound = BOUNDS[case]
    good = share < bound if case in ALIKE else share >= bound
    others = "" if case in ALIKE else f", regressions by another measure only {otherwise}"
    ratios.sort()
    took = time.perf_counter() - begun
    print(
        f"{case:8} {count} pairs, {seconds:g} s an arm: {what} {share:.1%} (bound {bound:.0%}; "
        f"loaded {counted[True]}, quiet {counted[False]}){others}; {dict(verdicts)}; p50 ratio {ratios[0]:.2f} to "
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
