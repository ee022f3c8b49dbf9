"""``import mcp_workbench`` against ``import mcp``: ratio of medians of fresh processes, in turns; bound 1.3 x.

``python benchmarks/bench_import.py [--rounds 15]``: prints the ratio, exits 1 if the bound is not held. The first use
of ``Workbench`` is measured beside it, since names load when they are first used.
"""

import argparse
import os
import statistics
import subprocess
import sys

BOUND = 1.3
SCRIPT = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
STATEMENTS = {
    "import mcp": "import mcp",
    "import mcp_workbench": "import mcp_workbench",
    "import mcp_workbench and mcp": "import mcp_workbench, mcp",
    "from mcp_workbench import Workbench": "from mcp_workbench import Workbench",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    took_s: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(parser.parse_args().rounds):
        for name, statement in STATEMENTS.items():
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT.format(statement)], capture_output=True, text=True, check=True
            )
            took_s[name].append(float(done.stdout))
    base = statistics.median(took_s["import mcp"])
    print(f"import mcp: {base * 1e3:.0f} ms (median), load {os.getloadavg()[0]:.1f}")
    for name in list(STATEMENTS)[1:]:
        print(f"{name}: {statistics.median(took_s[name]) / base:.2f} x import mcp")
    ratio = statistics.median(took_s["import mcp_workbench"]) / base
    print(f"bound for import mcp_workbench: {BOUND} x")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
