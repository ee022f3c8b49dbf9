"""The same bad call gives the same error object, the correlation id aside: 1,000 times in process, over stdio and HTTP.

``python benchmarks/proof_same_error.py [--calls 1000]``: makes the calls of each cause on each transport, in both
protocol eras and in processes with different hash seeds; prints how many different objects there were of each cause,
and exits 1 if it is not one.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "controls"))

import bad_calls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000, help="how often each bad call is made on each transport")
    times = parser.parse_args().calls
    found: dict[str, Counter[bytes]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as folder:
        for name, target, mode in bad_calls.targets(Path(folder), (bad_calls.MODES, bad_calls.MODES)):
            started_s = time.perf_counter()
            objects = asyncio.run(bad_calls.error_objects(target, mode, times))
            for cause, each in objects.items():
                found[cause].update(each)
            print(
                f"{name}: {sum(map(len, objects.values())):,} calls in {time.perf_counter() - started_s:.0f} s",
                flush=True,
            )
    for cause, kinds in found.items():
        print(f"{cause}: {kinds.total():,} calls, {len(kinds)} error objects")
        for kind, count in kinds.most_common(4) if len(kinds) > 1 else []:
            print(f"  {count:,} x {kind.decode()[:300]}")
    return int(len(found) <= len(bad_calls.CALLS) or any(len(kinds) != 1 for kinds in found.values()))


if __name__ == "__main__":
    sys.exit(main())
