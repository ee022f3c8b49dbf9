"""10,000 malformed inputs against each tool of the incident desk: each is refused with an error object, none gets in.

``python benchmarks/proof_malformed_inputs.py [--cases 10000] [--stdio 500]``: the first number in process, the second
over stdio, for each tool. A counter behind the six stages sees what reaches a tool; the database's digest tells whether
anything was written. Prints one line a tool and transport, exits 1 if anything got in, crashed or took too long.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests" / "controls"
sys.path.insert(0, str(TESTS))

from malformed import Malformed, MalformedMaker  # noqa: E402
from mcp import Client, StdioServerParameters  # noqa: E402
from test_malformed_inputs import FIELDS, TOOLS, Beyond  # noqa: E402

from mcp_workbench.contracts.files import read_book  # noqa: E402
from mcp_workbench.controls import Settings  # noqa: E402
from mcp_workbench.desk import DATABASE, contract_file, digest, incident_desk  # noqa: E402

REFUSALS = {"invalid_arguments", "arguments_too_large"}
SEED = 20_261_123


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--stdio", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server, beyond = incident_desk(folder), Beyond()
        server.middleware.append(beyond)
        before = digest(Path(folder) / DATABASE)
        failed = asyncio.run(hold("in process", server, options.cases))
        if beyond.calls != dict.fromkeys(TOOLS, 1):
            failed = True
        print(f"calls that reached a tool, of which one each is valid: {dict(beyond.calls)}")
        command = StdioServerParameters(command=sys.executable, args=["-m", "mcp_workbench.desk", folder])
        failed |= asyncio.run(hold("stdio", command, options.stdio))
        unchanged = digest(Path(folder) / DATABASE) == before
        print(f"the database is {'as it was' if unchanged else 'CHANGED'}")
    return int(failed or not unchanged)


async def hold(transport: str, target: Any, cases: int) -> bool:
    """Send malformed arguments to each tool, then valid ones; return whether anything went wrong."""
    failed = False
    async with Client(target) as client:
        for tool in TOOLS:
            contract = read_book(contract_file())[tool]
            valid = [example.arguments for example in contract.examples or () if example.outcome == "ok"]
            assert contract.input_schema is not None
            made: Iterable[Malformed] = MalformedMaker(contract.input_schema, valid, SEED)
            made = (case for case in made if case.in_json or transport == "in process")
            families: Counter[str] = Counter()
            wrong: list[str] = []
            longest_s = 0.0
            for case in itertools.islice(made, cases):
                families[case.family] += 1
                started_s = time.perf_counter()
                result = await client.call_tool(tool, case.arguments)
                longest_s = max(longest_s, time.perf_counter() - started_s)
                told = result.structured_content
                if (
                    not result.is_error
                    or not isinstance(told, dict)
                    or list(told) != FIELDS
                    or told["code"] not in REFUSALS
                ):
                    wrong.append(f"{case.family}: {str(case.arguments)[:200]!r} gave {str(told)[:200]}")
            deadline_ms = contract.deadline_ms or Settings().deadline_ms
            assert deadline_ms is not None
            share = longest_s * 1e3 / deadline_ms
            alive = not (await client.call_tool(tool, valid[0])).is_error
            failed |= bool(wrong) or not alive or share >= 1
            counts = ", ".join(f"{name} {count}" for name, count in sorted(families.items()))
            print(
                f"{transport}, {tool}: {sum(families.values())} sent, {len(wrong)} not refused; longest "
                f"{longest_s * 1e3:.1f} ms, {share:.2%} of the deadline; "
                f"{'serves on' if alive else 'SERVES NO MORE'}; {counts}",
                flush=True,
            )
            for line in wrong[:5]:
                print(f"  {line}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
