"""Measuring from a Dask cluster: each shard of a load is a task on a worker, with a generator process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import platform
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.errors import UnreachableError, UsageError, WorkbenchError
from mcp_workbench.kernel.connection import Connection
from mcp_workbench.kernel.targets import UrlTarget
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.measuring import Load, conditions_of, first_call
from mcp_workbench.load.plan import Arm, Plan
from mcp_workbench.load.preparing import prepared
from mcp_workbench.load.shards import Shard, merged_calls, merged_honesty, shard_plans
from mcp_workbench.load.workloads.resolving import resolve
from mcp_workbench.load.workloads.workload import Workload
from mcp_workbench.progress import Progress
from mcp_workbench.untrusted import one_line

# Dask tells only of some of its methods what they take.
_Client = Any
_Future = Any

_CONNECT_LIMIT_S: Final = 10.0
_WORKERS_LIMIT_S: Final = 5.0
_READY_LIMIT_S: Final = 60.0
_SPARE_S: Final = 60.0
_LEAVE_LIMIT_S: Final = 5.0
_CLOCK_LIMIT_S: Final = 1.0
_HEAD_START_S: Final = 0.5
_TICK_S: Final = 0.1
_LOOK_S: Final = 0.5


async def measure_sharded(
    connection: Connection,
    workload: Workload,
    load: Load,
    *,
    cluster: object,
    shards: int = 4,
    contract: ContractBook | None = None,
    label: str = "",
    progress: Progress | None = None,
) -> Baseline:
    """Measure a target at an address from the workers of a Dask cluster; the caller is on the background loop.

    Each shard makes its part of the load, all at the same time. The plan travels to the workers: arguments, and headers
    with their secrets, unencrypted unless the cluster uses TLS.

    Args:
        connection: an open connection to the target.
        workload: what is called.
        load: how hard all shards together call it, and for how long.
        cluster: a scheduler's address such as ``tcp://HOST:8786``, a ``distributed.Client``, or a cluster.
        shards: how many generators make the load; each needs a thread of a worker to itself.
        contract: where examples come from.
        label: what is measured, such as a release.
        progress: told of thousandths of the time.

    Raises:
        UsageError: the target has no address, the load cannot be split like this, or the cluster does not fit.
        UnreachableError: the cluster, or from one of its workers the target, is not there.
        WorkbenchError: a worker ended, or its generator failed.
    """
    target = connection.target
    if not isinstance(target, UrlTarget):
        raise UsageError(
            f"{target} has no address that the workers of a cluster could call, and each would start a server of its "
            "own; serve it over HTTP and give its address, such as http://HOST:8000/mcp"
        )
    async with contextlib.AsyncExitStack() as stack:
        ready = await stack.enter_async_context(prepared(connection))
        resolved = resolve(workload, ready.tools, contract, target=ready.name)
        blocks = (load.block(0, max(load.warm_up_s, 0.01), "warm-up"), load.block(0, load.duration_s))
        arm = Arm(ready.name, ready.wire, resolved.operations)
        whole = Plan((arm,), blocks, load.arrivals, load.timeout_s, load.max_in_flight, load.seed)
        plans = shard_plans(whole, shards)
        crew = await stack.enter_async_context(_crew(cluster, len(plans)))
        _, note = await first_call(connection, resolved.operations, load.timeout_s)
        begun = datetime.now(UTC)
        tools = json.dumps([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in ready.tools])
        made = await crew.run(plans, tools, ready.server, progress)
        calls = merged_calls(made)
        notes = [*resolved.notes, *filter(None, [note]), _who(made, crew.places)]
        return baseline_of(
            calls, conditions_of(ready, resolved, load), merged_honesty(made, notes), label=label, measured_at=begun
        )


def _who(shards: Sequence[Shard], places: Sequence[str]) -> str:
    begun_s = [shard.begun_s for shard in shards]
    counts = [
        f"{count} {name}{'s' * (count != 1)}"
        for name, count in (
            ("shard", len(shards)),
            ("worker", len(set(places))),
            ("machine", len({shard.machine for shard in shards})),
        )
    ]
    apart = f", which began up to {1e3 * (max(begun_s) - min(begun_s)):.0f} ms apart" if len(shards) > 1 else ""
    return (
        f"the load was made by {counts[0]} on {counts[1]} of {counts[2]}{apart}; "
        "no calibration server was called, so that it cannot be compared with other days or machines"
    )


@dataclass(frozen=True, slots=True)
class _Crew:
    """The workers that will run the shards.

    Attributes:
        client: connected to their scheduler.
        address: the scheduler's, for messages.
        places: for each shard, the address of its worker.
        machines: for each of these workers, the name of its machine.
    """

    client: _Client
    address: str
    places: tuple[str, ...]
    machines: dict[str, str]

    async def run(
        self, plans: Sequence[Plan], tools: str, server: int | None, progress: Progress | None
    ) -> list[Shard]:
        """Run one plan on each place; the results come in the order of the plans."""
        whole = plans[0]
        planned_s = sum(block.seconds for block in whole.blocks)
        begin_at_s = time.time() + _HEAD_START_S
        futures = []
        for plan, place in zip(plans, self.places, strict=True):
            seen = server if self.machines[place] == platform.node() else None
            futures.append(_submit(self.client, place, _shard_task(plan.to_json(), begin_at_s, tools, seen)))

        def told() -> None:
            if progress is not None:
                done = (time.time() - begin_at_s) / planned_s
                progress(round(1_000 * min(max(done, 0.0), 1.0)), 1_000)

        # Each generator ends itself in time; this is for a cluster that says nothing any more.
        limit_s = 2 * planned_s + 5 * whole.timeout_s + _SPARE_S
        found: list[Shard] = await _results(self, futures, self.places, limit_s, told)
        return found


@contextlib.asynccontextmanager
async def _crew(cluster: object, shards: int) -> AsyncIterator[_Crew]:
    """Connect to a cluster, and find a ready worker for each shard."""
    async with _connected(cluster) as (client, address):
        threads = await _threads(client, address, shards)
        crew = _Crew(client, address, _places(threads, shards), {})
        workers = sorted(set(crew.places))
        sent_s = time.time()
        futures = [_submit(client, worker, _facts_task()) for worker in workers]
        facts = await _results(crew, futures, workers, _READY_LIMIT_S, lambda: None)
        arrived_s = time.time()
        mine = version("mcp-server-workbench")
        for worker, told in zip(workers, facts, strict=True):
            if told["version"] != mine:
                raise UsageError(
                    f"the worker at {worker} has mcp-server-workbench {one_line(told['version'], 40)}, and here it is "
                    f"{mine}; install the same version on both"
                )
            wrong_s = max(sent_s - told["clock_s"], told["clock_s"] - arrived_s)
            if wrong_s > _CLOCK_LIMIT_S:
                raise UsageError(
                    f"the clocks of the worker at {worker} and of this machine differ by {wrong_s:.0f} s or more, and "
                    "shards begin by the clock; set both by a time server"
                )
            crew.machines[worker] = told["machine"]
        yield crew


@contextlib.asynccontextmanager
async def _connected(cluster: object) -> AsyncIterator[tuple[_Client, str]]:
    """Connect to a cluster on the running loop, whatever loop the user's own objects live on."""
    try:
        import distributed
        from distributed.utils import silence_logging_cmgr
    except ModuleNotFoundError:
        raise UsageError(
            "a load is split over a cluster by Dask, which is not installed; pip install mcp-server-workbench[cluster]"
        ) from None
    make: Any = distributed.Client
    address, security = _scheduler(cluster)
    client: _Client = None
    try:
        try:
            client = make(address, asynchronous=True, set_as_default=False, timeout=_CONNECT_LIMIT_S, security=security)
            async with asyncio.timeout(_CONNECT_LIMIT_S + 1):
                await client
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise UnreachableError(
                f"no Dask scheduler answered at {one_line(address, 100)} ({one_line(error, 120) or 'no word'}); "
                "check the address, and that the scheduler runs"
            ) from None
        yield client, one_line(address, 100)
    finally:
        if client is not None:
            # Its tasks end with it. A scheduler that is gone cannot be told, and Dask would log that with a traceback.
            silent = silence_logging_cmgr(logging.CRITICAL)
            with contextlib.suppress(OSError, RuntimeError), silent:
                async with asyncio.timeout(_LEAVE_LIMIT_S):
                    await client.close()


def _scheduler(cluster: object) -> tuple[str, Any]:
    """Return the address of a cluster's scheduler, and how to speak to it."""
    address: object = cluster
    if not isinstance(cluster, str):
        # A client has a scheduler with an address, a cluster has the address itself.
        scheduler = getattr(cluster, "scheduler", None)
        address = getattr(cluster, "scheduler_address", None) or getattr(scheduler, "address", None)
    if not isinstance(address, str) or not address.strip():
        raise UsageError(
            f"cluster={one_line(cluster, 80)!r} is no running cluster; give a scheduler's address such as "
            "tcp://HOST:8786, a distributed.Client, or a cluster"
        )
    return address.strip(), getattr(cluster, "security", None)


async def _threads(client: _Client, address: str, shards: int) -> dict[str, int]:
    """Return how many threads each worker has; those of a cluster that has just been started are waited for."""
    until_s = time.monotonic() + _WORKERS_LIMIT_S
    while True:
        workers = await _workers(client, address)
        threads = {worker: int(told["nthreads"]) for worker, told in workers.items()}
        if sum(threads.values()) >= shards:
            return threads
        if time.monotonic() > until_s:
            break
        await asyncio.sleep(_TICK_S)
    if not threads:
        raise UsageError(f"the cluster at {address} has no workers; start some (dask worker {address})")
    raise UsageError(
        f"{shards} shards need a thread each, and the cluster at {address} has {sum(threads.values())}; "
        f"give shards={sum(threads.values())} at most, or start more workers"
    )


async def _workers(client: _Client, address: str) -> dict[str, Any]:
    try:
        # Dask would wait for a scheduler that comes back, and know nothing of these tasks then.
        if client.status != "running":
            raise OSError
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            found: dict[str, Any] = (await client.scheduler.identity(n_workers=-1))["workers"]
    except (OSError, RuntimeError):
        raise UnreachableError(f"the Dask scheduler at {address} is gone; start it, and measure again") from None
    return found


def _places(threads: dict[str, int], shards: int) -> tuple[str, ...]:
    """Return a worker for each shard, so that all have about as many; no more than a worker has threads."""
    placed: Counter[str] = Counter()
    places = []
    for _ in range(shards):
        free = [worker for worker in sorted(threads) if placed[worker] < threads[worker]]
        places.append(min(free, key=lambda worker: placed[worker]))
        placed[places[-1]] += 1
    return tuple(places)


def _submit(client: _Client, worker: str, task: Callable[[], Any]) -> _Future:
    # On that worker or not at all: a shard that is done again later would call alone.
    return client.submit(task, workers=[worker], allow_other_workers=False, pure=False, retries=0)


def _facts_task() -> Callable[[], dict[str, Any]]:
    # Functions inside functions travel as code. The scheduler looks into tasks, and needs no package of ours for these.
    def look_at_worker() -> dict[str, Any]:
        from mcp_workbench.load.shards import worker_facts

        return worker_facts()

    return look_at_worker


def _shard_task(plan: str, begin_at_s: float, tools: str, server: int | None) -> Callable[[], Shard]:
    # Dask writes the arguments of a task that failed into its logs; what a function was made with it does not.
    def load_shard() -> Shard:
        from distributed import get_worker

        from mcp_workbench.load.shards import run_shard

        worker = get_worker()
        key = worker.get_current_task()

        def wanted() -> bool:
            # Otherwise whoever submitted it has cancelled it, or is gone: the worker notes that and tells no thread.
            state = worker.state.tasks.get(key)
            # A worker that has lost its scheduler closes, and would wait for its threads.
            return worker.status.name in ("running", "paused") and state is not None and state.state == "executing"

        return run_shard(plan, begin_at_s, tools, server, wanted)

    return load_shard


async def _results(
    crew: _Crew, futures: Sequence[_Future], places: Sequence[str], limit_s: float, told: Callable[[], None]
) -> list[Any]:
    """Wait for all tasks, as long as all of their workers are there."""
    until_s = time.monotonic() + limit_s
    look_s = 0.0
    while True:
        for future, place in zip(futures, places, strict=True):
            if future.status == "error":
                raise _plain(await future.exception(), place)
        if all(future.status == "finished" for future in futures):
            break
        now_s = time.monotonic()
        if now_s > until_s:
            raise WorkbenchError(
                f"the workers of the cluster at {crew.address} have not answered within {limit_s:.0f} s; "
                "wait until they have no other work, and measure again"
            )
        if now_s > look_s:
            look_s = now_s + _LOOK_S
            _all_there(await _workers(crew.client, crew.address), places)
        told()
        await asyncio.sleep(_TICK_S)
    try:
        async with asyncio.timeout(_READY_LIMIT_S):
            return list(await crew.client.gather(list(futures)))
    except (OSError, RuntimeError, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raise WorkbenchError("a worker of the cluster ended before its result was fetched; measure again") from None


def _all_there(workers: dict[str, Any], places: Sequence[str]) -> None:
    for place in places:
        if place not in workers:
            raise WorkbenchError(
                f"the worker at {place} ended before its shard did, so that nothing was measured; "
                "see its log, and measure again"
            )


def _plain(error: BaseException | None, place: str) -> WorkbenchError:
    if isinstance(error, WorkbenchError):
        return type(error)(f"on the worker at {place}, {error}")
    if isinstance(error, ModuleNotFoundError):
        return UsageError(
            f"the worker at {place} has no {one_line(error.name, 60)}; install mcp-server-workbench[cluster] there, "
            "of the same version as here"
        )
    return WorkbenchError(f"the worker at {place} failed: {type(error).__name__}: {one_line(error, 200)}")
