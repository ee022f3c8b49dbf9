"""Verdicts on schema changes against the meaning of the schemas, on many more random pairs than the tests try.

``python benchmarks/proof_schema_changes.py [--pairs 20000] [--seed 1000]``: prints what was seen, exits 1 if a value
contradicts a verdict or if fewer than 95 % of the rewrites are accepted.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "contracts" / "schemas"))

from schema_pairs import related_pair
from schema_proof import Tally, hold_pairs, judge_rewrites
from tiny_schemas import tiny_pair


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1_000)
    options = parser.parse_args()
    contradictions = 0
    for name, make in (("related pairs", related_pair), ("small pairs", tiny_pair)):
        started_s = time.perf_counter()
        tally = hold_pairs(make, options.seed, options.pairs, 30)
        contradictions += _told(f"{options.pairs:,} {name}", tally, started_s)
    started_s = time.perf_counter()
    tally = judge_rewrites(options.seed, options.pairs // 10)
    contradictions += _told(f"{options.pairs // 10:,} rewrites", tally, started_s)
    accepted = tally.counts["rewrites accepted"] / max(1, options.pairs // 10)
    print(f"rewrites accepted: {accepted:.1%}", flush=True)
    return int(contradictions > 0 or accepted < 0.95)


def _told(title: str, tally: Tally, started_s: float) -> int:
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(tally.counts.items()))
    spent_s = time.perf_counter() - started_s
    print(f"{title}: {counts}; {len(tally.contradictions)} contradictions; {spent_s:.0f} s", flush=True)
    for each in tally.contradictions[:5]:
        print(f"  {each}", flush=True)
    return len(tally.contradictions)


if __name__ == "__main__":
    sys.exit(main())
