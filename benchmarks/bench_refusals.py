"""Every bad target is refused within the timeout: seconds taken as a share of the timeout; bound 1.1.

``python benchmarks/bench_refusals.py [--timeout 3]``: prints one line a target, exits 1 if the bound is not held.
"""

import argparse
import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable

from mcp_workbench import Workbench, WorkbenchError

BOUND = 1.1
PYTHON = sys.executable
GARBAGE = "import time\nwhile True: print('listening', flush=True); time.sleep(0.1)"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"


def web_server(answer: bytes | None) -> str:
    """Start a server that gives one answer, or none; return its address. It ends with this process."""
    address: list[str] = []
    ready = threading.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if answer is None:
            await asyncio.sleep(600)
        writer.write(answer or b"")
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp")
        ready.set()
        await asyncio.sleep(3_600)

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    ready.wait()
    return address[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float, default=3.0)
    timeout_s = parser.parse_args().timeout
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"
    targets: dict[str, Callable[[], object]] = {
        "no such command": lambda: "no-such-server",
        "not executable": lambda: "/etc/passwd",
        "ends at once": lambda: ["false"],
        "prints garbage": lambda: [PYTHON, "-c", GARBAGE],
        "never answers": lambda: ["sleep", "600"],
        "never answers and will not end": lambda: [PYTHON, "-c", STUBBORN],
        "nobody listens": lambda: "http://127.0.0.1:9/mcp",
        "web page": lambda: web_server(page),
        "wrong path": lambda: web_server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        "address that never answers": lambda: web_server(None),
    }
    worst = 0.0
    for name, make in targets.items():
        target = make()
        start = time.perf_counter()
        try:
            Workbench(target, timeout=timeout_s)
        except WorkbenchError as error:
            share = (time.perf_counter() - start) / timeout_s
            worst = max(worst, share)
            print(f"{name}: {share:.2f} of the timeout: {str(error).splitlines()[0][:110]}")
        else:
            print(f"{name}: connected, which it must not")
            return 1
    print(f"worst: {worst:.2f} of the timeout (bound {BOUND}); load {os.getloadavg()[0]:.1f}")
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(main())
