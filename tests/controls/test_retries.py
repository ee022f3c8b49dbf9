"""Retries: only where the contract allows them, within attempts, deadline and budget, and seen from outside."""

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from mcp import Client
from mcp.server.mcpserver import MCPServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mcp_workbench.contracts.model import ContractBook, FailureCase, ServerIdentity, ToolContract
from mcp_workbench.controls import OWN_CODES, Failure, Settings, current_call, harden
from mcp_workbench.controls.chain import Chain
from mcp_workbench.controls.defaults import defaults_of
from mcp_workbench.controls.retries import RetryBudget, may_run_again, worth_retrying
from mcp_workbench.stages import CALL_META, DEADLINE_META

BUSY = FailureCase(code="busy", when="the dependency is busy", retryable=True, caller="try again")
QUICK = Settings(backoff_ms=1, max_backoff_ms=2, retry_budget=1.0)


def contract(**parts: Any) -> ToolContract:
    return ToolContract(**{"name": "work", "effects": "write", "idempotency": "natural", "failures": (BUSY,), **parts})


@dataclass
class Work:
    """A server with one tool that fails as often as it is told, and notes each of its runs."""

    contract: ToolContract | None
    failures: int
    code: str = "busy"
    retry_after_ms: int | None = None
    takes_s: float = 0
    default_key: str | None = None
    runs: list[float | None] = field(default_factory=list)

    def server(self, settings: Settings = QUICK) -> MCPServer:
        server = MCPServer("work", log_level="CRITICAL")

        @server.tool()
        async def work(key: str | None = self.default_key) -> str:
            if (call := current_call()) is not None:
                # Time passes for the call alone: so many seconds that no load on the machine counts beside them.
                call.began_ns -= round(self.takes_s * 1e9)
            if len(self.runs) <= self.failures:
                raise Failure(self.code, "the dependency is busy", retryable=True, retry_after_ms=self.retry_after_ms)
            return f"done in run {len(self.runs)}"

        tools = () if self.contract is None else (self.contract,)
        harden(server, ContractBook(server=ServerIdentity(name="work"), tools=tools), settings)

        async def noted(ctx: Any, call_next: Any) -> Any:
            call = current_call()
            if call is not None:
                self.runs.append(call.remaining_ms)
            return await call_next(ctx)

        # Inside of the stages: it sees each run.
        server.middleware.append(noted)
        return server

    def call(self, settings: Settings = QUICK, arguments: dict[str, Any] | None = None, **more: Any) -> Any:
        async def called() -> Any:
            async with Client(self.server(settings)) as client:
                return await client.call_tool("work", arguments or {}, **more)

        return asyncio.run(called())


@pytest.mark.parametrize(
    ("effects", "idempotency", "arguments", "allowed"),
    [
        ("write", "natural", {}, True),
        ("destructive", "natural", {}, True),
        ("write", "by key", {"key": "k1"}, True),
        ("write", "by key", {"key": 0}, True),
        ("write", "by key", {"key": None}, False),
        ("write", "by key", {"key": ""}, False),
        ("write", "by key", {"key": " \t\u00a0"}, False),
        ("write", "by key", {"key": []}, False),
        ("write", "by key", {"key": {}}, False),
        ("write", "by key", {}, False),
        ("read", None, {}, True),
        ("read", "none", {"key": "k1"}, False),
        ("read", "by key", {}, False),
        ("write", "none", {"key": "k1"}, False),
        ("write", None, {"key": "k1"}, False),
        (None, None, {}, False),
        (None, "natural", {}, True),
    ],
)
def test_the_contract_says_whether_a_call_may_run_again(
    effects: Any, idempotency: Any, arguments: dict[str, Any], allowed: bool
) -> None:
    promised = contract(effects=effects, idempotency=idempotency, idempotency_key="key")
    assert may_run_again(promised, arguments, {}) is allowed


def test_a_key_that_the_contract_does_not_name_is_no_key() -> None:
    assert not may_run_again(contract(idempotency="by key"), {"key": "k1"}, {})


@pytest.mark.parametrize("key", ["key", "a/b", "a~b", "~1"])
def test_a_key_that_was_filled_in_is_no_key_of_the_call(key: str) -> None:
    schema = {"properties": {key: {"type": "string", "default": "same"}}}
    filled: dict[str, Any] = {}
    arguments = defaults_of(schema).fill({}, filled)
    promised = contract(idempotency="by key", idempotency_key=key)
    assert may_run_again(promised, arguments, {})
    assert not may_run_again(promised, arguments, filled)


def test_without_a_contract_nothing_runs_again() -> None:
    work = Work(None, failures=1)
    assert work.call().is_error
    assert len(work.runs) == 1


def test_a_busy_dependency_is_asked_again_and_the_caller_is_told_how_often() -> None:
    work = Work(contract(), failures=2)
    result = work.call()
    assert result.content[0].text == "done in run 3"
    assert result.meta[CALL_META]["attempts"] == 3


def test_after_the_last_attempt_the_caller_gets_the_last_failure() -> None:
    work = Work(contract(), failures=9, retry_after_ms=2)
    result = work.call()
    told = {name: result.structured_content[name] for name in ("code", "retryable", "retry_after_ms", "details")}
    assert told == {"code": "busy", "retryable": True, "retry_after_ms": 2, "details": {}}
    assert result.meta[CALL_META]["attempts"] == len(work.runs) == 3


@pytest.mark.parametrize("retryable", [False, None])
def test_a_failure_that_the_contract_does_not_call_retryable_is_final(retryable: bool | None) -> None:
    work = Work(contract(failures=(FailureCase(code="busy", retryable=retryable),)), failures=1)
    assert work.call().is_error
    assert len(work.runs) == 1


@pytest.mark.parametrize("code", sorted(OWN_CODES))
def test_a_code_of_the_controls_is_never_worth_a_retry(code: str) -> None:
    promised = contract(failures=(FailureCase(code=code, retryable=True),))
    assert not worth_retrying(Failure(code, "no"), promised)


@dataclass(frozen=True)
class Case:
    """A call of a tool under a contract, and what the tool does."""

    promised: ToolContract
    arguments: dict[str, Any]
    attempts: int
    failures: int
    deadline_s: int
    takes_s: int
    default_key: str | None


CASES = st.builds(
    Case,
    promised=st.builds(
        contract,
        effects=st.sampled_from([None, "read", "write", "destructive"]),
        idempotency=st.sampled_from([None, "none", "natural", "by key"]),
        idempotency_key=st.sampled_from([None, "key"]),
        failures=st.sampled_from([None, (), (BUSY,), (FailureCase(code="busy", retryable=False),)]),
    ),
    arguments=st.sampled_from([{}, {"key": None}, {"key": ""}, {"key": "  "}, {"key": "k1"}]),
    attempts=st.integers(1, 4),
    failures=st.integers(0, 5),
    deadline_s=st.sampled_from([50, 150, 1_000]),
    takes_s=st.sampled_from([0, 20, 70]),
    default_key=st.sampled_from([None, "", "same"]),
)


@given(CASES)
@examples(max_examples=60)
def test_a_tool_runs_more_than_once_only_if_its_contract_allows_it_and_never_after_the_deadline(case: Case) -> None:
    work = Work(case.promised, case.failures, takes_s=case.takes_s, default_key=case.default_key)
    settings = Settings(
        backoff_ms=1, max_backoff_ms=3, attempts=case.attempts, retry_budget=1.0, deadline_ms=case.deadline_s * 1_000
    )
    work.call(settings, case.arguments)
    by_key = case.promised.idempotency_key == "key" and case.arguments.get("key") == "k1"
    safe = {
        "natural": True,
        "none": False,
        "by key": by_key,
        None: case.promised.effects == "read",
    }[case.promised.idempotency]
    named = case.promised.failures == (BUSY,)
    begun_in_time = case.deadline_s // case.takes_s + 1 if case.takes_s else case.attempts
    assert len(work.runs) == (min(case.attempts, case.failures + 1, begun_in_time) if safe and named else 1)
    assert all(remaining is not None and remaining > 0 for remaining in work.runs)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=400), st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.5, 1.0]))
def test_the_budget_holds_for_every_run_of_calls_from_the_first_on(wishes: list[int], share: float) -> None:
    budget, granted = RetryBudget(share), 0
    for calls, wished in enumerate(wishes, 1):
        budget.count_call()
        granted += sum(budget.take() for _ in range(wished))
        assert granted <= max(10 if share else 0, calls * share + 1e-6)


def test_a_tool_that_is_rarely_in_trouble_may_use_up_ten_retries_at_once() -> None:
    budget = RetryBudget(0.2)
    for _ in range(1_000):
        budget.count_call()
    assert sum(budget.take() for _ in range(50)) == 10


def test_calls_fill_an_empty_budget_with_their_share() -> None:
    budget = RetryBudget(0.25)
    for _ in range(40):
        budget.count_call()
    assert sum(budget.take() for _ in range(50)) == 10
    for _ in range(12):
        budget.count_call()
    assert sum(budget.take() for _ in range(50)) == 3


def test_a_failing_tool_is_run_no_oftener_than_its_budget_allows() -> None:
    work = Work(contract(), failures=10_000)
    settings = QUICK.model_copy(update={"retry_budget": 0.1})

    async def called() -> None:
        async with Client(work.server(settings)) as client:
            for _ in range(100):
                await client.call_tool("work", {})

    asyncio.run(called())
    assert len(work.runs) == 110


def test_calls_that_an_overloaded_server_refuses_pay_for_no_retry() -> None:
    work = Work(contract(), failures=10_000)
    settings = QUICK.model_copy(update={"retry_budget": 0.2, "concurrency": 1, "queue": 0})

    async def called() -> int:
        async with Client(work.server(settings)) as client:
            waves = [await asyncio.gather(*(client.call_tool("work", {}) for _ in range(10))) for _ in range(20)]
            return sum(result.structured_content["code"] == "overloaded" for wave in waves for result in wave)

    refused = asyncio.run(called())
    assert refused >= 100
    # The first ten retries are there from the start.
    assert len(work.runs) <= (200 - refused) + 10


def test_each_run_gets_the_arguments_as_they_were_sent() -> None:
    server = MCPServer("work", log_level="CRITICAL")
    seen: list[str] = []

    @server.tool()
    async def work(rows: list[Any], where: dict[str, Any]) -> str:
        seen.append(json.dumps([rows, where]))
        rows[0]["tags"].append("seen")
        where["deep"]["seen"] = True
        raise Failure("busy", "the dependency is busy")

    harden(server, ContractBook(server=ServerIdentity(name="work"), tools=(contract(),)), QUICK)

    async def spoil(ctx: Any, call_next: Any) -> Any:
        if ctx.method == "tools/call":
            ctx.params = {**ctx.params, "arguments": {**ctx.params["arguments"]}}
            ctx.params["arguments"]["rows"].append("spoilt")
        return await call_next(ctx)

    server.middleware.append(spoil)

    async def called() -> dict[str, Any]:
        arguments = {"rows": [{"tags": []}], "where": {"deep": {}}}
        async with Client(server) as client:
            await client.call_tool("work", arguments)
        return arguments

    asyncio.run(called())
    assert seen == ['[[{"tags": []}, "spoilt"], {"deep": {}}]'] * 3


def retries_in_the_span(work: Work, settings: Settings = QUICK, **more: Any) -> list[dict[str, Any]]:
    """Make a call, and return what the span around it tells of further attempts."""
    seen = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    server = work.server(settings)

    async def traced(ctx: Any, call_next: Any) -> Any:
        with provider.get_tracer("test").start_as_current_span("call"):
            return await call_next(ctx)

    # Just outside of the stages: the SDK's own span, which nobody records here, would hide it.
    chain = next(each for each in server.middleware if isinstance(each, Chain))
    server.middleware.insert(server.middleware.index(chain), traced)

    async def called() -> None:
        async with Client(server) as client:
            await client.call_tool("work", {}, **more)

    asyncio.run(called())
    events = itertools.chain.from_iterable(span.events for span in seen.get_finished_spans())
    return [dict(event.attributes or {}) for event in events if event.name == "retry"]


def test_further_attempts_are_seen_in_the_span_of_the_call() -> None:
    told = retries_in_the_span(Work(contract(), failures=2))
    assert [(each["attempt"], each["code"]) for each in told] == [(2, "busy"), (3, "busy")]
    assert all(0 <= each["wait_ms"] <= 2 for each in told)


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    work = Work(contract(), failures=9, retry_after_ms=300)
    patient = QUICK.model_copy(update={"max_backoff_ms": 1_000})
    assert retries_in_the_span(work, patient, meta={DEADLINE_META: 250}) == []
    assert len(work.runs) == 1


def test_a_tool_that_asks_for_a_longer_wait_than_any_has_failed_at_once() -> None:
    work = Work(contract(), failures=9, retry_after_ms=3_600_000)
    told = work.call(QUICK.model_copy(update={"deadline_ms": None})).structured_content
    assert (told["code"], told["retryable"], told["retry_after_ms"]) == ("busy", True, 3_600_000)
    assert len(work.runs) == 1
