"""50 open-and-close cycles of each kind of target leak no thread, socket, process or file descriptor.

``python benchmarks/proof_leaks.py [--cycles 50]``: prints one line a kind, exits 1 if anything was leaked.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from conftest import HttpServer  # noqa: E402
from example_servers import make_server  # noqa: E402
from held import cycle, held  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=50)
    cycles = parser.parse_args().cycles
    elsewhere = HttpServer()
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "in-process": (make_server(), {}),
        "in-process, handshake": (make_server(), {"mode": "legacy"}),
        "in-kernel-http": (make_server(), {"transport": "http"}),
        "stdio": ([sys.executable, str(TESTS / "example_servers.py"), "stdio"], {}),
        "file.py:attribute": (f"{TESTS / 'example_servers.py'}:server", {}),
        "http": (elsewhere.url, {}),
    }
    failed = False
    for kind, (target, options) in kinds.items():
        cycle(target, options)
        before, started_s = held(), time.perf_counter()
        for _ in range(cycles):
            cycle(target, options)
        after = held()
        leaked = {what: after[what] - before[what] for what in after if after[what] != before[what]}
        failed |= bool(leaked)
        each_ms = (time.perf_counter() - started_s) / cycles * 1e3
        print(f"{kind}: {cycles} cycles, {each_ms:.0f} ms each, leaked: {leaked or 'nothing'}", flush=True)
    elsewhere.kill()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
