import asyncio
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer

from mcp_workbench import Workbench
from mcp_workbench.errors import UnreachableError, UsageError, WorkbenchError
from mcp_workbench.load import cluster as cluster_module
from mcp_workbench.load.baselines.figures import figures_of
from mcp_workbench.load.baselines.histograms import Histogram
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.measured import Calls
from mcp_workbench.load.plan import Arm, Block, Operation, Plan, Step, Wire
from mcp_workbench.load.shards import Shard, merged_calls, merged_honesty, run_shard, shard_plans
from mcp_workbench.records import Outcome

# Between 10 and 300 ms, so that how long a call takes is decided by what is drawn and not by the machine.
SPREAD = [{"seconds": round(0.01 + 0.29 * at / 50, 4)} for at in range(51)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes of two threads each, on loopback."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=True,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        silence_logs=50,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def bench(http_address: str) -> Iterator[Workbench]:
    with Workbench(http_address) as opened:
        yield opened


def plan(rate: float | None = 100.0, users: int | None = None, in_flight: int = 512) -> Plan:
    arm = Arm(
        "x", Wire("http", "2026-07-28", url="http://127.0.0.1:1/mcp"), (Operation("a", 1.0, (Step("a", ({},)),)),)
    )
    return Plan((arm,), (Block(0, 0.1, rate, users, "warm-up"), Block(0, 1.0, rate, users)), max_in_flight=in_flight)


def invented(seed: int, count: int, begun_s: float) -> Shard:
    dice = np.random.default_rng(seed)
    service_ms = dice.gamma(2, 3, count)
    outcome = (dice.random(count) < 0.2).astype(np.uint8)
    tool = dice.integers(0, 2, count).astype(np.uint16)
    codes = Counter({("ab"[at], "broken"): int(((tool == at) & (outcome == 1)).sum()) for at in (0, 1)})
    calls = Calls(
        ("a", "b"),
        tool,
        np.zeros(count, np.uint32),
        outcome,
        np.sort(dice.random(count)),
        service_ms + dice.random(count),
        service_ms,
        1,
        np.array([1.0]),
        count + 3,
        3,
        +codes,
    )
    return Shard(calls, HONEST, begun_s, "here")


HONEST = Honesty(0.1, 0.01, 0.2, 50.0, 0.3, 0.5, 2, 0.1, 0.9, 103, 100, 3, 4, 100.0, 1.0, versions={"Python": "3.11"})


def generators() -> list[psutil.Process]:
    """Return the generator processes that workers of this process's clusters have started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "mcp_workbench.load.generator" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(true: Callable[[], object]) -> None:
    end_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_sharded_load_says_who_made_it_and_is_of_the_same_population(bench: Workbench, cluster: LocalCluster) -> None:
    one, four = (
        bench.baseline(
            "slow", SPREAD, rate=100, duration=0.2, warm_up=0, cluster=cluster, shards=shards, progress=False
        )
        for shards in (1, 4)
    )
    assert one.conditions == four.conditions
    assert four.conditions.rate == 100
    assert four.honesty.notes[0].startswith("the load was made by 4 shards on 2 workers of 1 machine")
    assert four.calibration is None


def test_what_shards_count_adds_up_exactly(bench: Workbench, cluster: LocalCluster) -> None:
    with Client(cluster, set_as_default=False) as client:
        found = bench.baseline(
            "fail",
            rate=200,
            duration=0.4,
            warm_up=0,
            arrivals="constant",
            cluster=client,
            shards=4,
            label="v1",
            progress=False,
        )
    assert (found.honesty.offered, found.honesty.achieved, found.honesty.dropped) == (80, 80, 0)
    assert found.whole.outcomes == Counter({Outcome.TOOL_ERROR: 80})
    assert found.whole.latency.count == found.whole.service.count == 80
    assert sum(each.calls for each in found.over_time.slices) == 80
    assert found.honesty.rate == pytest.approx(200, rel=0.01)
    assert found.label == "v1"


def test_a_load_that_is_cancelled_leaves_no_generator_on_the_workers(bench: Workbench, cluster: LocalCluster) -> None:
    async def cancelled() -> None:
        work = asyncio.create_task(
            bench.abaseline("add", {"a": 1}, users=2, duration=60, cluster=cluster.scheduler_address, shards=2)
        )
        await asyncio.to_thread(until, generators)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cancelled())
    until(lambda: not generators())
    assert bench.call("add", {"a": 1}).ok


def test_a_worker_without_the_package_is_named(bench: Workbench, cluster: LocalCluster) -> None:
    def hide() -> None:
        sys.modules["mcp_workbench.load.shards"] = None  # type: ignore[assignment]

    def show() -> None:
        del sys.modules["mcp_workbench.load.shards"]

    with Client(cluster, set_as_default=False) as client:
        client.run(hide)
        try:
            with pytest.raises(UsageError, match=r"the worker at tcp://127.0.0.1:\d+ has no mcp_workbench.*install"):
                bench.baseline("add", {"a": 1}, rate=10, duration=0.1, cluster=client, progress=False)
        finally:
            client.run(show)


def test_a_server_that_workers_cannot_reach_is_unreachable_from_them(
    bench: Workbench, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(*told: Any) -> list[Plan]:
        return [plan()]

    monkeypatch.setattr(cluster_module, "shard_plans", moved)
    with pytest.raises(UnreachableError, match=r"on the worker at tcp://127.0.0.1:\d+, .*127.0.0.1:1"):
        bench.baseline("add", {"a": 1}, rate=10, duration=0.1, cluster=cluster, shards=1, progress=False)


def test_more_shards_than_threads_are_refused(
    bench: Workbench, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_WORKERS_LIMIT_S", 0.0)
    with pytest.raises(UsageError, match=r"5 shards need a thread each.*has 4; give shards=4 at most"):
        bench.baseline("add", {"a": 1}, rate=10, cluster=cluster, shards=5, progress=False)


def test_a_worker_that_is_killed_ends_the_load_in_one_sentence(bench: Workbench, cluster: LocalCluster) -> None:
    victims: list[int] = []

    def kill() -> None:
        until(lambda: len(generators()) == 2)
        worker = generators()[0].parent()
        assert worker is not None
        victims.append(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    with pytest.raises(WorkbenchError, match=r"the worker at tcp://127.0.0.1:\d+ ended before its shard did"):
        bench.baseline("add", {"a": 1}, rate=20, duration=60, cluster=cluster, shards=2, progress=False)
    killing.join()
    assert victims
    until(lambda: not generators())


def test_no_scheduler_at_the_address_is_one_sentence(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_CONNECT_LIMIT_S", 0.3)
    with pytest.raises(UnreachableError, match=r"no Dask scheduler answered at tcp://127.0.0.1:1 .*check the address"):
        bench.baseline("add", {"a": 1}, rate=10, cluster="tcp://127.0.0.1:1", progress=False)


@pytest.mark.parametrize("wrong", [5, "", object()])
def test_what_is_no_cluster_is_refused(bench: Workbench, wrong: object) -> None:
    with pytest.raises(UsageError, match="is no running cluster; give a scheduler's address"):
        bench.baseline("add", {"a": 1}, rate=10, cluster=wrong, progress=False)


def test_without_dask_the_sentence_says_what_to_install(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install mcp-server-workbench\[cluster\]"):
        bench.baseline("add", {"a": 1}, rate=10, cluster="tcp://127.0.0.1:1", progress=False)


def test_only_a_target_at_an_address_can_be_called_from_a_cluster(server: MCPServer) -> None:
    with (
        Workbench(server) as opened,
        pytest.raises(UsageError, match=r"has no address that the workers of a cluster could call.*serve it over HTTP"),
    ):
        opened.baseline("add", {"a": 1}, rate=10, cluster="tcp://127.0.0.1:1", progress=False)


def test_a_listener_is_refused_because_nobody_would_tell_it(bench: Workbench) -> None:
    with pytest.raises(UsageError, match="leave out listener="):
        bench.baseline("add", rate=10, cluster="tcp://127.0.0.1:1", listener=print, progress=False)


def test_a_shard_that_comes_too_late_does_not_call_alone() -> None:
    with pytest.raises(WorkbenchError, match=r"could begin only .* s after the others"):
        run_shard(plan().to_json(), time.time() - 60, "[]", None, lambda: True)


@given(st.floats(0.01, 1e5), st.integers(1, 64))
def test_rates_of_shards_add_up_and_each_has_arrivals_of_its_own(rate: float, shards: int) -> None:
    parts = shard_plans(plan(rate), shards)
    assert sum(part.blocks[1].rate or 0.0 for part in parts) == pytest.approx(rate)
    assert sum(part.max_in_flight for part in parts) == 512
    assert len({part.seed for part in parts}) == shards
    assert [part.arms for part in parts] == [plan(rate).arms] * shards
    assert shard_plans(plan(rate), shards) == parts


@given(st.integers(1, 64))
def test_constant_arrivals_of_shards_come_between_each_others(shards: int) -> None:
    parts = shard_plans(replace(plan(), arrivals="constant"), shards)
    first_s = [part.first_after / (part.blocks[1].rate or 0.0) for part in parts]
    assert first_s == pytest.approx([at / 100.0 for at in range(shards)])


@given(st.integers(1, 200), st.integers(1, 64))
def test_users_are_split_as_evenly_as_can_be_or_not_at_all(users: int, shards: int) -> None:
    whole = plan(None, users)
    if users < shards:
        with pytest.raises(UsageError, match=f"users={users} cannot be split over {shards} shards"):
            shard_plans(whole, shards)
        return
    counts = [part.blocks[1].users or 0 for part in shard_plans(whole, shards)]
    assert sum(counts) == users
    assert max(counts) - min(counts) <= 1


def test_one_shard_is_the_plan_itself() -> None:
    assert shard_plans(plan(), 1) == [plan()]


@pytest.mark.parametrize("wrong", [0, -1, True, 2.0, 10_000])
def test_a_number_that_splits_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="splits no load; give a whole number from 1 to 1,000"):
        shard_plans(plan(), wrong)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 200), st.floats(0, 0.5)), min_size=1, max_size=6))
def test_figures_of_merged_calls_are_the_merged_figures(shards: list[tuple[int, int, float]]) -> None:
    made = [invented(seed, count, 1e9 + late) for seed, count, late in shards]
    whole = merged_calls(made)
    of_shards = [figures_of(shard.calls) for shard in made]
    for number, found in enumerate(figures_of(whole)):
        rows = [of_shard[number] for of_shard in of_shards]
        assert found.latency == reduce(Histogram.merged, (row.latency for row in rows))
        assert found.service == reduce(Histogram.merged, (row.service for row in rows))
        assert found.outcomes == sum((row.outcomes for row in rows), Counter())
        assert found.codes == sum((row.codes for row in rows), Counter())
    assert whole.offered == len(whole) + 3 * len(made)
    assert (np.diff(whole.at_s) >= 0).all()


def test_calls_of_a_shard_that_began_later_are_later() -> None:
    first, second = invented(1, 50, 100.0), invented(2, 50, 107.5)
    whole = merged_calls([second, first])
    assert whole.at_s[:50] == pytest.approx(first.calls.at_s)
    assert whole.at_s[50:] == pytest.approx(second.calls.at_s + 7.5)
    assert whole.latency_ms[50:] == pytest.approx(second.calls.latency_ms)


def test_a_void_shard_voids_all_and_the_worst_of_each_is_told() -> None:
    good, other = invented(1, 100, 0.0), invented(2, 300, 0.0)
    worse = replace(
        HONEST,
        generator_share=0.97,
        worst_share=0.99,
        slip_p99_ms=5.0,
        generator_us=90.0,
        little=0.9,
        foreign_share=1.2,
        void=("the generator was the bottleneck",),
        notes=("late",),
    )
    found = merged_honesty([good, replace(other, honesty=worse)], ["made by two"])
    assert found.void == ("shard 2 of 2: the generator was the bottleneck",)
    assert found.notes == ("made by two", "shard 2 of 2: late")
    assert (found.generator_share, found.worst_share, found.slip_p99_ms, found.little) == (0.97, 0.99, 5.0, 0.9)
    assert (found.offered, found.achieved, found.dropped, found.rate) == (206, 200, 6, 200.0)
    assert found.generator_us == pytest.approx(80.0)
    # What the first shard's generator did on that machine was foreign to the second one, and is not to both.
    assert found.foreign_share == pytest.approx(1.1)


@pytest.mark.parametrize(("seconds", "late_s", "void"), [(1.0, 0.04, False), (1.0, 0.9, True), (10.0, 0.4, False)])
def test_shards_that_hardly_call_at_the_same_time_void_all(seconds: float, late_s: float, void: bool) -> None:
    shards = [invented(1, 50, 0.0), invented(2, 50, late_s)]
    lasting = [replace(shard, calls=replace(shard.calls, block_s=np.array([seconds]))) for shard in shards]
    found = merged_honesty(lasting)
    assert bool(found.void) is void
    if void:
        assert "the shards began 0.90 s apart and lasted 1 s" in found.void[0]
        assert "a longer duration" in found.void[0]


def test_notes_of_many_shards_stay_few() -> None:
    noisy = replace(invented(1, 5, 0.0), honesty=replace(HONEST, notes=("late", "dropped")))
    notes = merged_honesty([noisy] * 40).notes
    assert len(notes) == 10
    assert notes[-1] == "71 more notes of shards"
