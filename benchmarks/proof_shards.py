"""Whether a load that four generators of a cluster share is the load that one makes: the same percentiles.

``python benchmarks/proof_shards.py [--seconds 8]``: needs the extra ``cluster``. One shard and four call a tool whose
latency is spread evenly from 10 to 300 ms, each at 100 calls/s, on the same server and at the same time: what keeps the
server from its processor is in both, and nothing but who calls is different. Twice, with other draws. Each percentile's
interval (99 %, by order statistics) must meet the other's, and all calls must have been made. Exits 1 if one is not so.
"""

import argparse
import asyncio
import sys

from bench_load_generator import EXAMPLE, listening
from distributed import LocalCluster
from scipy.stats import binom

from mcp_workbench import Baseline, Workbench
from mcp_workbench.load.baselines.histograms import Histogram

SHARDS = (1, 4)
RATE = 100
SPREAD = [{"seconds": round(0.01 + 0.29 * at / 50, 4)} for at in range(51)]


def interval_ms(histogram: Histogram, percent: float) -> tuple[float, float]:
    count = histogram.count
    low, high = binom.ppf([0.005, 0.995], count, percent / 100)
    ends = [histogram.percentile_ms(100 * min(max(rank, 1), count) / count) for rank in (low, high + 1)]
    assert ends[0] is not None
    assert ends[1] is not None
    return ends[0], ends[1]


async def both(bench: Workbench, cluster: LocalCluster, seconds: float, seed: int) -> list[Baseline]:
    load = {"rate": RATE, "duration": seconds, "cluster": cluster, "progress": False}
    return await asyncio.gather(
        *(bench.abaseline("slow", SPREAD, **load, shards=shards, seed=seed + shards) for shards in SHARDS)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    seconds = parser.parse_args().seconds
    with (
        LocalCluster(n_workers=2, threads_per_worker=3, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster,
        listening(sys.executable, str(EXAMPLE), "http") as url,
        Workbench(url) as bench,
    ):
        found = [asyncio.run(both(bench, cluster, seconds, seed)) for seed in (0, 100)]
    good = True
    one, four = (first.whole.latency.merged(second.whole.latency) for first, second in zip(*found, strict=True))
    for percent in (25, 50, 75, 90, 95, 99):
        (low, high), (other_low, other_high) = (interval_ms(each, percent) for each in (one, four))
        meet = max(low, other_low) <= min(high, other_high)
        good &= meet
        print(
            f"p{percent}: 1 shard {low:6.1f} to {high:6.1f} ms, 4 shards {other_low:6.1f} to {other_high:6.1f} ms"
            f"{'' if meet else '   BROKEN'}"
        )
    for shards, each in ((shards, each) for measured in found for shards, each in zip(SHARDS, measured, strict=True)):
        whole = each.whole.calls == each.honesty.offered and not each.whole.errors and not each.void
        good &= whole
        print(
            f"{shards} shards: {each.whole.calls:,} of {each.honesty.offered:,} calls, {each.whole.errors} failed, "
            f"sent {each.honesty.slip_p99_ms:.1f} ms late (p99), void: {'; '.join(each.void) or 'no'}"
            f"{'' if whole else '   BROKEN'}"
        )
    sys.exit(not good)


if __name__ == "__main__":
    main()
