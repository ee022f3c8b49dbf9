"""Whether a load that four generators of a cluster share is the load that one makes: the same percentiles.

``python benchmarks/proof_shards.py [--seconds 4]``: needs the extra ``cluster``. One shard and four at the same total
rate call a tool whose latency is spread evenly from 10 to 300 ms, in the order 1, 4, 4, 1, so that a slow minute of the
machine is in both; each percentile's interval (99 %, by order statistics) must meet the other's. Exits 1 if one does
not.
"""

import argparse
import sys

from bench_load_generator import EXAMPLE, listening
from distributed import LocalCluster
from scipy.stats import binom

from mcp_workbench import Baseline, Workbench
from mcp_workbench.load.baselines.histograms import Histogram

SPREAD = [{"seconds": round(0.01 + 0.29 * at / 50, 4)} for at in range(51)]


def interval_ms(histogram: Histogram, percent: float) -> tuple[float, float]:
    count = histogram.count
    low, high = binom.ppf([0.005, 0.995], count, percent / 100)
    ends = [histogram.percentile_ms(100 * min(max(rank, 1), count) / count) for rank in (low, high + 1)]
    assert ends[0] is not None
    assert ends[1] is not None
    return ends[0], ends[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    seconds = parser.parse_args().seconds
    good = True
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster,
        listening(sys.executable, str(EXAMPLE), "http") as url,
        Workbench(url) as bench,
    ):
        found: dict[int, list[Baseline]] = {1: [], 4: []}
        for shards in (1, 4, 4, 1):
            load = {"rate": 200, "duration": seconds, "cluster": cluster, "shards": shards, "progress": False}
            found[shards].append(bench.baseline("slow", SPREAD, **load))
    one, four = (first.whole.latency.merged(second.whole.latency) for first, second in found.values())
    for percent in (25, 50, 75, 90, 95, 99):
        (low, high), (other_low, other_high) = (interval_ms(each, percent) for each in (one, four))
        meet = max(low, other_low) <= min(high, other_high)
        good &= meet
        print(
            f"p{percent}: 1 shard {low:6.1f} to {high:6.1f} ms, 4 shards {other_low:6.1f} to {other_high:6.1f} ms"
            f"{'' if meet else '   BROKEN'}"
        )
    for shards, measured in found.items():
        for each in measured:
            void = "; ".join(each.void) or "no"
            print(f"{shards} shards: {each.whole.calls:,} calls, {each.whole.errors} failed, void: {void}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
