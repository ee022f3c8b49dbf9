"""The audit of a listing of 500 tools, and the diff of two such books, in seconds; bound 1 s each.

``python benchmarks/bench_contracts.py [--tools 500] [--rounds 5]``: prints the best and the worst round, exits 1 if the
bound is not held by the best.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

from mcp_types import Tool, ToolAnnotations

from mcp_workbench.contracts.audit.report import audit_book
from mcp_workbench.contracts.draft import draft_book
from mcp_workbench.contracts.drift import compare_books
from mcp_workbench.contracts.model import ContractBook

BOUND_S = 1.0
VERBS = ["get", "list", "create", "update", "delete", "search", "archive", "export", "assign", "close"]
THINGS = ["invoice", "customer", "order", "shipment", "ticket", "contract", "report", "payment", "user", "team"]
PARTS = ["header", "line", "note", "history", "owner"]


def book_of(tools: int, *, limit: int = 20) -> ContractBook:
    """Return a drafted book: each tool with 6 parameters, a nested object, an enum and a ``$ref`` among them.

    Args:
        tools: how many.
        limit: the greatest value of one parameter in every tool; another one makes every tool another.
    """
    return draft_book("bench", "1.0.0", [_tool(number, limit) for number in range(tools)])


def _tool(number: int, limit: int) -> Tool:
    verb, thing = VERBS[number % 10], THINGS[number // 10 % 10]
    part = PARTS[number // 100 % 5] + (str(number // 500) if number >= 500 else "")
    arguments = {
        "type": "object",
        "$defs": {
            "Period": {
                "type": "object",
                "description": "From when to when.",
                "properties": {
                    "begin": {"type": "string", "format": "date", "description": "The first day."},
                    "end": {
                        "type": "string",
                        "format": "date",
                        "description": "The last day.",
                        "default": "2026-12-31",
                    },
                },
                "required": ["begin"],
            }
        },
        "properties": {
            "id": {"type": "string", "description": f"Which {thing} is meant."},
            "period": {"$ref": "#/$defs/Period"},
            "state": {"type": "string", "enum": ["open", "closed", "archived"], "default": "open"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 40}, "default": []},
            "limit": {"type": "integer", "maximum": limit, "default": 20, "description": "How many are returned."},
            "comment": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": ["id", "period"],
    }
    result = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "rows": {"type": "array", "items": {"type": "object"}}},
        "required": ["id"],
    }
    purpose = (
        f"{verb.capitalize()} the {part} of one {thing} or of several. The {thing} is named by its id; what is "
        f"returned is the {part} as it is stored, with the day of its last change. Use it when asked about a {thing}."
    )
    return Tool(
        name=f"{verb}_{thing}_{part}",
        description=purpose,
        input_schema=arguments,
        output_schema=result,
        annotations=ToolAnnotations(read_only_hint=verb in ("get", "list", "search", "export")),
    )


def seconds_of(work: Callable[[], object], rounds: int) -> list[float]:
    """Return how long each round took, shortest first."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return sorted(taken)


def bench_audit(tools: int, rounds: int) -> float:
    """Print and return how long the audit takes."""
    book = book_of(tools)
    audit = audit_book(book)
    taken = seconds_of(lambda: audit_book(book), rounds)
    print(f"audit of {tools} tools: best {taken[0]:.2f} s, worst {taken[-1]:.2f} s (bound {BOUND_S} s)")
    print(f"  {audit.headline()}")
    return taken[0]


def bench_diff(tools: int, rounds: int) -> float:
    """Print and return how long the diff takes of two books in which every tool is another."""
    old, new = book_of(tools, limit=50), book_of(tools, limit=40)
    drift = compare_books(old, new)
    taken = seconds_of(lambda: compare_books(old, new), rounds)
    print(f"diff of two books of {tools} tools: best {taken[0]:.2f} s, worst {taken[-1]:.2f} s (bound {BOUND_S} s)")
    print(f"  {drift.headline()}")
    return taken[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    worst = max(bench(options.tools, options.rounds) for bench in (bench_audit, bench_diff))
    print(f"load {os.getloadavg()[0]:.1f}")
    return int(worst > BOUND_S)


if __name__ == "__main__":
    sys.exit(main())
