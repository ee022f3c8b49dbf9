"""What ``mcp-workbench capacity`` hands on of its options."""

from collections.abc import Callable
from typing import Any

import pytest

from mcp_workbench import Workbench
from mcp_workbench.cli.terminal import UNDECIDED
from mcp_workbench.load.capacities.capacity import Capacity
from mcp_workbench.load.capacities.knee import find_knee
from mcp_workbench.load.options import read_ramp

Run = Callable[..., tuple[int, str, str]]


def test_each_option_of_the_ramp_arrives_and_what_is_not_said_is_left_out(
    run: Run, http_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived: list[dict[str, Any]] = []

    def capacity(_: Workbench, *, workload: object, contract: object, **ramp: Any) -> Capacity:
        arrived.append(ramp)
        return Capacity("desk", "http", "add", (), find_knee([]), read_ramp(ramp))  # type: ignore[arg-type]

    monkeypatch.setattr(Workbench, "capacity", capacity)
    called = ("capacity", http_address, "--tool", "add", "--args", '{"a": 1}')
    code, _, err = run(*called, "--max-in-flight", "3", "--limit", "20", "--call-timeout", "0.5")
    assert (code, err) == (UNDECIDED, "")
    run(*called)
    assert arrived == [{"max_in_flight": 3, "limit": 20.0, "timeout": 0.5}, {}]


def test_a_number_of_unanswered_calls_that_makes_no_ramp_is_refused(run: Run) -> None:
    code, out, err = run("capacity", "http://127.0.0.1:9/mcp", "--tool", "add", "--max-in-flight", "0")
    assert (code, out) == (2, "")
    assert "max_in_flight=0 makes no ramp" in err
