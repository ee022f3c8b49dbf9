"""Throughput: the rate at which calls were answered, whatever their latency, and not the rate at which they begin."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_arms import CONDITIONS, HONESTY

from mcp_workbench.errors import FileError
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.baselines.figures import figures_of
from mcp_workbench.load.generator.ledger import COLUMNS
from mcp_workbench.load.plan import Arm, Arrivals, Block, Operation, Plan, Step, Wire
from mcp_workbench.load.run import Books, Run, ServerCpu
from mcp_workbench.load.shards import Shard, merged_calls

NS = 1e9
LATENCY_S = st.floats(0.0005, 2.0)
ARRIVALS = st.sampled_from(["constant", "poisson"])


def run_of(
    *blocks: tuple[np.ndarray, np.ndarray],
    rate: float,
    seconds: float,
    arrivals: Arrivals = "poisson",
    step: np.ndarray | None = None,
) -> Run:
    """Return a run with a block for each pair of starts and ends of its calls, in seconds since the block began."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
    books, at_s = [], 0.0
    for number, (starts_s, ends_s) in enumerate(blocks):
        order = np.argsort(ends_s)
        for parts in columns.values():
            parts.append(np.zeros(len(order), np.int64))
        columns["block"][-1] += number
        if step is not None:
            columns["step"][-1] += step[order]
        columns["intended_ns"][-1] += ((at_s + starts_s[order]) * NS).astype(np.int64)
        columns["start_ns"][-1] += columns["intended_ns"][-1]
        columns["end_ns"][-1] += ((at_s + ends_s[order]) * NS).astype(np.int64)
        ended_s = max(seconds, float(ends_s.max(initial=0.0)))
        times_ns = (round(each * NS) for each in (at_s, at_s + seconds, at_s + ended_s))
        books.append(Books(*times_ns, len(order), 0, 1, 0))
        at_s += ended_s
    operations = (Operation("add", 1.0, (Step("add", ({},)), Step("add", ({},)))),)
    plan = Plan(
        (Arm("shop", Wire("http", "2026-07-28"), operations),),
        tuple(Block(0, seconds, rate, None) for _ in blocks),
        arrivals,
    )
    arrays = {name: np.concatenate(parts).astype(COLUMNS[name]) for name, parts in columns.items()}
    return Run(plan, arrays, tuple(books), (), ("",), (), (0,), ServerCpu())


def arrivals_s(rate: float, seconds: float, arrivals: Arrivals, seed: int = 0) -> np.ndarray:
    if arrivals == "constant":
        return np.arange(0, seconds, 1 / rate)
    # As many as were offered, at random: what chance offers more or less is not the server's.
    return np.sort(np.random.default_rng(seed).uniform(0, seconds, round(rate * seconds)))


def managed_s(starts_s: np.ndarray, work_s: float) -> np.ndarray:
    """Return when a server that does one call after the other has answered."""
    ends_s = np.empty_like(starts_s)
    free_s = 0.0
    for at, start_s in enumerate(starts_s):
        free_s = ends_s[at] = max(free_s, start_s) + work_s
    return ends_s


def throughput(run: Run) -> float:
    return figures_of(run.calls(0))[-1].throughput


@given(LATENCY_S, st.floats(100, 1_000), ARRIVALS, st.integers(0, 5))
def test_a_server_in_balance_answers_what_is_offered_whatever_its_latency(
    latency_s: float, rate: float, arrivals: Arrivals, seed: int
) -> None:
    starts_s = arrivals_s(rate, 100.0, arrivals, seed)
    run = run_of((starts_s, starts_s + latency_s), rate=rate, seconds=100.0, arrivals=arrivals)
    assert throughput(run) == pytest.approx(rate, rel=0.02)


@given(st.floats(50, 500), st.floats(0.3, 0.9), ARRIVALS)
def test_an_overloaded_server_answers_what_it_manages(rate: float, share: float, arrivals: Arrivals) -> None:
    starts_s = arrivals_s(rate, 20.0, arrivals)
    run = run_of((starts_s, managed_s(starts_s, 1 / (share * rate))), rate=rate, seconds=20.0, arrivals=arrivals)
    assert throughput(run) == pytest.approx(share * rate, rel=0.03)


@pytest.mark.parametrize("manages", [60.0, 1_000.0])
def test_a_straggler_changes_no_throughput(manages: float) -> None:
    starts_s = arrivals_s(100.0, 10.0, "constant")
    ends_s = managed_s(starts_s, 1 / manages)
    late_s = ends_s.copy()
    late_s[500] += 30.0
    usual, late = (
        throughput(run_of((starts_s, ends), rate=100.0, seconds=10.0, arrivals="constant")) for ends in (ends_s, late_s)
    )
    assert usual == pytest.approx(min(manages, 100.0), rel=0.01)
    assert late == pytest.approx(usual, rel=0.005)


def test_what_a_stall_held_back_is_no_greater_throughput() -> None:
    starts_s = arrivals_s(100.0, 10.0, "constant")
    ends_s = np.maximum(starts_s + 0.002, 5.0 + starts_s / 1e3)
    assert throughput(run_of((starts_s, ends_s), rate=100.0, seconds=10.0)) == pytest.approx(100, rel=0.01)


def test_a_few_calls_are_counted_over_the_time_that_they_took() -> None:
    starts_s = np.array([0.1, 0.2, 0.3, 1.1])
    assert throughput(run_of((starts_s, starts_s + 0.1), rate=2.0, seconds=2.0)) == pytest.approx(2)
    assert throughput(run_of((starts_s, starts_s + 6.9), rate=2.0, seconds=2.0)) == pytest.approx(0.5)
    assert throughput(run_of((starts_s[:0], starts_s[:0]), rate=2.0, seconds=2.0)) == 0


def test_processes_that_took_turns_answer_at_the_rate_of_all_together() -> None:
    starts_s = arrivals_s(100.0, 10.0, "constant")
    quick, slow = starts_s + 0.002, managed_s(starts_s, 1 / 50)
    run = run_of((starts_s, quick), (starts_s, slow), rate=100.0, seconds=10.0, arrivals="constant")
    calls = run.calls(0)
    assert calls.answered_s == pytest.approx(10 + 20, rel=0.01)
    assert throughput(run) == pytest.approx(2_000 / 30, rel=0.01)
    assert calls.seconds == 20


def test_shards_are_answered_at_the_sum_of_their_rates() -> None:
    starts_s = arrivals_s(100.0, 10.0, "constant")
    runs = [
        run_of((starts_s, ends_s), rate=100.0, seconds=10.0, arrivals="constant")
        for ends_s in (starts_s + 0.002, managed_s(starts_s, 1 / 50))
    ]
    merged = merged_calls([Shard(run.calls(0), HONESTY, at, "here") for at, run in enumerate(runs)])
    assert figures_of(merged)[-1].throughput == pytest.approx(150, rel=0.01)
    none = merged_calls([Shard(run.calls(0, blocks=[]), HONESTY, 0.0, "here") for run in runs])
    assert figures_of(none)[-1].throughput == 0


def test_a_baselines_file_keeps_the_throughput(tmp_path: Path) -> None:
    starts_s = arrivals_s(100.0, 10.0, "constant")
    run = run_of((starts_s, managed_s(starts_s, 1 / 60)), rate=100.0, seconds=10.0, arrivals="constant")
    file = baseline_of(run.calls(0), CONDITIONS, HONESTY).save(tmp_path / "kept.json")
    read = Baseline.load(file).whole
    assert (read.throughput, read.seconds) == (throughput(run), 10.0)
    told = json.loads(file.read_text(encoding="utf-8"))
    for wrong in ({"answered_s": 0}, {"answered_s": -1.0}, {}):
        row = {name: value for name, value in told["figures"][0].items() if name != "answered_s"} | wrong
        file.write_text(json.dumps({**told, "figures": [row]}), encoding="utf-8")
        with pytest.raises(FileError, match="answered_s"):
            Baseline.load(file)


def test_a_flow_that_thinks_is_answered_as_often_as_it_was_begun() -> None:
    starts_s = arrivals_s(100.0, 10.0, "constant")
    later_s = starts_s + 3.0
    both = np.concatenate([starts_s, later_s])
    step = np.repeat([0, 1], len(starts_s))
    run = run_of((both, both + 0.001), rate=100.0, seconds=10.0, arrivals="constant", step=step)
    assert throughput(run) == pytest.approx(200, rel=0.01)


@given(st.integers(1, 20), st.floats(0.01, 3.0))
def test_users_who_think_are_busy_as_long_as_they_are_under_way(users: int, think_s: float) -> None:
    round_s = think_s + 0.01
    rounds = int(np.ceil(2.0 / round_s))
    starts_s = np.repeat(np.arange(rounds) * round_s, users)
    run = run_of((starts_s, starts_s + 0.01), rate=1.0, seconds=2.0)
    under_way_ns = round(users * rounds * round_s * NS)
    ended_ns = round(rounds * round_s * NS)
    closed = replace(
        run,
        plan=replace(run.plan, blocks=(Block(0, 2.0, None, users),)),
        books=(replace(run.books[0], ended_ns=ended_ns, under_way_ns=under_way_ns),),
    )
    assert throughput(closed) == pytest.approx(users / round_s, rel=1e-6)
