"""What users' type checkers see of the public names: this file is checked by mypy, strictly."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
USE = """
from typing import assert_type
import concurrent.futures
from mcp_workbench import (
    Audit, Baseline, CallResult, Capacity, Comparison, ContractBook, Drift, Outcome, Session, Summary, ToolContract,
    Trace, Verdict, Workbench, acompare, audit_book, compare, compare_books, read_book, serve,
)

def use(wb: Workbench, session: Session) -> None:
    assert_type(wb.call("add", {"a": 1}), CallResult)
    assert_type(wb.call("add").ok, bool)
    assert_type(wb.call("add").outcome, Outcome)
    assert_type(wb.sample("add", calls=3), Summary)
    assert_type(wb.summary() + wb.summary(), Summary)
    assert_type(session.submit("add"), concurrent.futures.Future[CallResult])
    assert_type(wb.reconnect(), Workbench)
    assert_type(wb.draft(), ContractBook)
    assert_type(wb.audit(), Audit)
    assert_type(wb.check("contract.yaml"), Drift)
    assert_type(audit_book(read_book("contract.yaml")), Audit)
    assert_type(compare_books(wb.draft(), wb.draft()).next_version, str)
    assert_type(wb.draft()["add"].filled(effects="read"), ToolContract)
    assert_type(wb.trace("add", {"a": 1}), Trace)
    assert_type(wb.trace("add").result, CallResult)
    assert_type(wb.baseline("add", {"a": 1}, rate=200, duration=5), Baseline)
    assert_type(wb.compare("base.json", tool="add").verdict, Verdict)
    assert_type(compare("a.json", "b.json"), Comparison)
    assert_type(wb.capacity("add", slo_p95_ms=50).knee, float | None)
    assert_type(wb.capacity("add"), Capacity)
    wb.call("add", timeout="soon")

async def use_async(wb: Workbench) -> None:
    assert_type(await wb.acall("add"), CallResult)
    assert_type(await Workbench.aopen("x"), Workbench)
    assert_type(await wb.acheck(await wb.adraft()), Drift)
    assert_type(await wb.aaudit(), Audit)
    assert_type(await wb.atrace("add"), Trace)
    assert_type(await wb.abaseline(workload="mix.yaml", users=4), Baseline)
    assert_type(await acompare("a.json", wb, tool="add", rate=100), Comparison)
"""


def test_public_names_have_the_types_that_the_documentation_says(tmp_path: Path) -> None:
    file = tmp_path / "use.py"
    file.write_text(USE)
    # With the project's settings and its cache, if there is one: what mypy knows of the package is read once.
    cache = os.environ.get("MYPY_CACHE_DIR", str(tmp_path / "cache"))
    command = [sys.executable, "-m", "mypy", "--config-file", str(PROJECT), "--cache-dir", cache, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    errors = [
        line.split(": error: ")[1] for line in done.stdout.splitlines() if ": error: " in line and "use.py" in line
    ]
    # One mistake is planted, so that a checker that sees nothing is noticed.
    assert len(errors) == 1, done.stdout
    assert 'incompatible type "str"; expected "float | None"' in errors[0]
