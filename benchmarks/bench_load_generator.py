"""What the load generator can do, against its peers, on the same servers, in turns in one run.

``python benchmarks/bench_load_generator.py [--rounds 5] [--seconds 2] [--inspector PATH]``: prints the figures, exits 1
if a bound is broken, or if a run of the generator has errors or is void: a rate of rejected answers is none. Needs
``wrk`` (a package of most systems); the MCP Inspector's command is ``node_modules/.bin/mcp-inspector`` of an
``npm install @modelcontextprotocol/inspector``, and without it stdio is not checked, which is printed. The bare ASGI
echo is served by uvicorn, by httptools and uvloop where they are installed: then it can do more than the generator.
"""

import argparse
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mcp_workbench import Baseline, Workbench

USERS = 32
EXAMPLE = Path(__file__).parent.parent / "tests" / "example_servers.py"
ARGUMENTS = {"a": 1, "b": 2}
BODY = (
    '{"jsonrpc":"2.0","id":100000000,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2},"_meta":'
    '{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"wrk",'
    '"version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}'
)
LUA = f"""wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "2026-07-28"
wrk.headers["Mcp-Method"] = "tools/call"
wrk.headers["Mcp-Name"] = "add"
"""
# A trivial tool in the server's own loop, and answers as JSON: the less the server does, the more of a figure is the
# client's. As event streams the same server answers a third fewer calls, and is the limit before a plain client is.
SERVER = """
import socket, uvicorn
from mcp.server.mcpserver import MCPServer
server = MCPServer("bench", log_level="ERROR")

@server.tool()
async def add(a: int, b: int = 0) -> int:
    return a + b

listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listening.bind(("127.0.0.1", 0))
listening.listen(1024)
print(listening.getsockname()[1], flush=True)
app = server.streamable_http_app(json_response=True)
uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run([listening])
"""
ECHO = """
import json, socket, sys, uvicorn
TOOLS = {"tools": [{"name": "add", "inputSchema": {"type": "object"}}], "resultType": "complete", "ttlMs": 0,
         "cacheScope": "private"}
KNOWN = {"tools/list": TOOLS, "server/discover": {"capabilities": {"tools": {}}, "resultType": "complete", "ttlMs": 0,
         "cacheScope": "private", "supportedVersions": ["2026-07-28"]}}
AFTER = b',"result":{"content":[{"text":"3","type":"text"}],"isError":false,"resultType":"complete"}}'
async def app(scope, receive, send):
    body = (await receive())["body"]
    if b'"tools/call"' in body:
        number = body[22:body.index(b",", 22)]
        told = b'{"jsonrpc":"2.0","id":' + number + AFTER
    else:
        asked = json.loads(body)
        told = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": KNOWN[asked["method"]]}).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told})
listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listening.bind(("127.0.0.1", 0))
listening.listen(1024)
print(listening.getsockname()[1], flush=True)
server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", access_log=False))
server.run(sockets=[listening])
"""
CLIENT = """
import asyncio, json, sys, time
from mcp import Client
url, users, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
async def main():
    async with Client(url, cache=None) as client:
        await client.list_tools()
        took = []
        async def user(until):
            while (begun := time.perf_counter()) < until:
                await client.call_tool("add", {"a": 1, "b": 2})
                took.append(time.perf_counter() - begun)
        await asyncio.gather(*(user(time.perf_counter() + 0.3) for _ in range(users)))
        took.clear()
        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(user(begun + seconds) for _ in range(users)))
        wall = time.perf_counter() - begun
        took.sort()
        print(json.dumps({"rate": len(took) / wall, "p50_ms": took[len(took) // 2] * 1e3,
                          "cpu_us": (time.process_time() - cpu) / len(took) * 1e6}))
asyncio.run(main())
"""


@contextlib.contextmanager
def listening(*command: str) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
    finally:
        process.kill()
        process.wait()


def plain_client(url: str, users: int, seconds: float) -> dict[str, float]:
    words = [sys.executable, "-c", CLIENT, url, str(users), str(seconds)]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def wrk(url: str, seconds: float) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA)
        script.flush()
        words = ["wrk", "-t1", f"-c{USERS}", f"-d{max(1, round(seconds))}s", "-s", script.name, url]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if refused := re.search(r"Non-2xx or 3xx responses: (\d+)", told):
        raise SystemExit(f"wrk was refused {refused[1]} times")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])  # type: ignore[index]


def inspector(command: str, seconds: float) -> float:
    words = [command, "--cli", sys.executable, str(EXAMPLE), "stdio", "--method", "tools/call", "--tool-name", "add"]
    words += ["--tool-arg", "a=1", "--tool-arg", "b=2", "--load", "--load-concurrency", str(USERS)]
    words += ["--load-duration", f"{seconds:g}"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return float(json.loads(told[told.index("{") :])["throughput"])


def generator(bench: Workbench, users: int, seconds: float) -> Baseline:
    found = bench.baseline(
        "add", ARGUMENTS, users=users, duration=seconds, warm_up=0.3, calibrated=False, progress=False
    )
    whole, on = found.whole, f"{found.conditions.target} ({users} users)"
    if not whole.calls or whole.errors:
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in whole.outcomes.items()) or "no calls at all"
        raise SystemExit(
            f"BROKEN: not all calls of the generator to {on} ended well ({told}); see first why they do not"
        )
    if found.void:
        raise SystemExit(f"BROKEN: a run of the generator on {on} is void: {'; '.join(found.void)}")
    return found


def told(what: str, values: list[float], bound: str = "", holds: bool = True) -> bool:
    low, mid, high = min(values), statistics.median(values), max(values)
    print(f"{what:68} {mid:9.2f}   ({low:.2f} to {high:.2f})   {bound}{'' if holds else '   BROKEN'}", flush=True)
    return holds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--inspector", default="")
    chosen = parser.parse_args()
    rounds, seconds = chosen.rounds, chosen.seconds
    good = True
    with listening(sys.executable, "-c", SERVER) as url, Workbench(url) as bench:
        ours, plain, theirs, first, first_plain = [], [], [], [], []
        for _ in range(rounds):
            ours.append(generator(bench, USERS, seconds))
            plain.append(plain_client(url, USERS, seconds))
            theirs.append(wrk(url, seconds) if shutil.which("wrk") else float("nan"))
            first.append(generator(bench, 1, seconds / 2))
            first_plain.append(plain_client(url, 1, seconds / 2))
    rates = [each.whole.throughput for each in ours]
    told("HTTP, SDK server, 32 users: calls/s", rates)
    told("  the same by a plain mcp.Client", [each["rate"] for each in plain])
    told("  the same by wrk", theirs)
    against = [mine / each["rate"] for mine, each in zip(rates, plain, strict=True)]
    good &= told("rate / plain mcp.Client", against, ">= 2.5", statistics.median(against) >= 2.5)
    against = [mine / each for mine, each in zip(rates, theirs, strict=True)]
    good &= told("rate / wrk", against, ">= 0.95", statistics.median(against) >= 0.95)
    cpu = [each.honesty.generator_us for each in ours]
    good &= told("generator's CPU a call, us", cpu, "<= 80", statistics.median(cpu) <= 80)
    share = [each.honesty.generator_share for each in ours]
    good &= told("generator's share of a core", share, "<= 0.4", statistics.median(share) <= 0.4)
    against = [mine.whole.percentile_ms(50) / each["p50_ms"] for mine, each in zip(first, first_plain, strict=True)]
    good &= told("p50 with 1 user / plain mcp.Client", against, "<= 0.4", statistics.median(against) <= 0.4)
    with listening(sys.executable, "-c", ECHO) as url, Workbench(url) as bench:
        echo, echo_plain = [], []
        for _ in range(rounds):
            echo.append(generator(bench, USERS, seconds))
            echo_plain.append(plain_client(url, USERS, seconds))
    told("bare ASGI echo, 32 users: calls/s", [each.whole.throughput for each in echo])
    against = [mine.whole.throughput / each["rate"] for mine, each in zip(echo, echo_plain, strict=True)]
    good &= told("bare ASGI echo: rate / plain mcp.Client", against, ">= 7", statistics.median(against) >= 7)
    if chosen.inspector:
        stdio, peers = [], []
        with Workbench([sys.executable, str(EXAMPLE), "stdio"]) as bench:
            for _ in range(rounds):
                stdio.append(generator(bench, USERS, seconds).whole.throughput)
                peers.append(inspector(chosen.inspector, seconds))
        told("stdio, 32 users: calls/s", stdio)
        against = [mine / each for mine, each in zip(stdio, peers, strict=True)]
        good &= told("stdio: rate / MCP Inspector --load", against, ">= 1", statistics.median(against) >= 1)
    else:
        print("stdio: NOT CHECKED (give --inspector PATH)")
    sys.exit(not good)


if __name__ == "__main__":
    main()
