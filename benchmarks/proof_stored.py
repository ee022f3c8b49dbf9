"""How far a stored baseline can be trusted: runs that are at least 20 minutes apart, under different foreign load.

``python benchmarks/proof_stored.py [--pairs 30] [--apart-minutes 20] [--seconds 6]``: measures a server's baseline
``--pairs`` times; later, at least so many minutes after each of them, the same server again, and one that is 20 %
slower on every call. Where another process took half a core beside the first run, none does beside the second, and the
other way round. Each pair is compared by ``compare`` as files are; prints the shares of false alarms (a regression in
either direction) and of slowdowns that were found, and exits 1 if a bound is broken.
"""

import argparse
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from proof_gate import RATE, better, half_a_core, server, slower_by

from mcp_workbench import Workbench, compare
from mcp_workbench.load.comparisons.comparison import Comparison

MOST_ALARMS, LEAST_FOUND = 0.05, 0.90


def record(command: Sequence[str], file: Path, seconds: float, seed: int, loaded: bool) -> None:
    """Measure a baseline into a file, again if the run was void."""
    for attempt in range(3):
        with half_a_core(loaded), Workbench(list(command)) as bench:
            measured = bench.baseline("work", rate=RATE, duration=seconds, seed=seed + 1_000 * attempt, progress=False)
        if not measured.void:
            measured.save(file)
            return
        print(f"  void, measured again: {measured.headline()}", flush=True)
    raise SystemExit(f"{file.name} was void three times")


def told(case: str, found: Sequence[Comparison]) -> dict[str, int]:
    """Print what became of the pairs of a case, and return how many there were of each verdict."""
    verdicts = Counter("better" if better(each) else str(each.verdict) for each in found)
    for measure in ("p10", "p50"):
        changes = [finding.change for each in found for finding in each.findings if finding.measure == measure]
        logs = np.array([math.log(change.estimate) for change in changes if change is not None])
        print(f"  {case:7} {measure}: ratio {math.exp(logs.mean()):.3f}, sd of its logarithm {logs.std(ddof=1):.3f}")
    print(f"  {case:7} {dict(verdicts)}", flush=True)
    return verdicts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--apart-minutes", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--folder", type=Path, help="where the baselines are kept; a temporary one if left out")
    chosen = parser.parse_args()
    slower = server("--slower", slower_by(0.2))
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        measured_at = []
        for number in range(chosen.pairs):
            record(server(), folder / f"before-{number}.json", chosen.seconds, number, bool(number % 2))
            measured_at.append(time.monotonic())
        print(f"measured {chosen.pairs} baselines; now they age", flush=True)
        same, slow = [], []
        for number, at in enumerate(measured_at):
            time.sleep(max(0.0, at + 60 * chosen.apart_minutes - time.monotonic()))
            before, after, late = (folder / f"{word}-{number}.json" for word in ("before", "after", "slower"))
            record(server(), after, chosen.seconds, 100 + number, not number % 2)
            record(slower, late, chosen.seconds, 200 + number, not number % 2)
            same.append(compare(before, after))
            slow.append(compare(before, late))
    alarms, found = told("A / A", same), told("+20 %", slow)
    false = (alarms["regression"] + alarms["better"]) / len(same)
    caught = found["regression"] / len(slow)
    good = false < MOST_ALARMS and caught >= LEAST_FOUND
    print(
        f"stored: {len(same)} pairs, {chosen.apart_minutes:g} minutes apart, {chosen.seconds:g} s each: false alarms "
        f"{false:.1%} (bound {MOST_ALARMS:.0%}), +20 % found {caught:.1%} (bound {LEAST_FOUND:.0%})"
        f"{'' if good else '   BROKEN'}"
    )
    sys.exit(not good)


if __name__ == "__main__":
    main()
