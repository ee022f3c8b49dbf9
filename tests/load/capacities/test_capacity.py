"""Capacities and their prices, as reports and of real servers."""

import asyncio
import json
from dataclasses import replace

import anyio
import pytest
from invented_arms import HONESTY
from invented_stages import RATES, READY, TAKE, capacity, invented, measured
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from mcp_workbench import UnreachableError, UsageError, Workbench
from mcp_workbench.load.capacities import capacity_prices as capacity_prices_module
from mcp_workbench.load.capacities.capacity import Capacity, capacity_of
from mcp_workbench.load.capacities.capacity_prices import CapacityPrices, acapacity_prices, capacity_prices
from mcp_workbench.load.capacities.ramp import Ramp, RampSettings
from mcp_workbench.load.run import Run
from mcp_workbench.load.workloads.resolving import Resolved

SILENT_S = 3_600.0


def queue_server(work_s: float = 0.002) -> MCPServer:
    """Return a server that does one call after the other, which takes as long."""
    server = MCPServer("queue", log_level="ERROR")
    lock = anyio.Lock()

    @server.tool()
    async def take() -> str:
        async with lock:
            await anyio.sleep(work_s)
        return "done"

    @server.tool()
    async def refuse() -> str:
        raise ToolError("no")

    return server


def test_a_capacity_shows_notes_and_honesty_in_text_on_a_page_and_in_json() -> None:
    found = measured("desk", 120, ["first", "<script>alert(1)</script>\x1b[2J"])
    told = json.loads(found.to_json())
    assert (told["knee"], told["criterion"], len(told["rows"])) == (found.knee, "throughput", len(RATES))
    assert told["honesty"]["foreign_share"] == HONESTY.foreign_share
    facts = dict(zip(found.honesty_frame["fact"], found.honesty_frame["value"], strict=True))
    assert facts["conditions"] == "http, own process, open (poisson), protocol 2026-07-28"
    assert facts["void"] == "no"
    assert facts["most in flight"] == "3 of 512 allowed"
    text, page = str(found), found._repr_html_()
    for words in ("first", "alert(1)", "How the last run was measured", "everything else", "take"):
        assert words in text
        assert words in page
    assert "calls/s" in text
    assert ("\x1b" in text + page, "<script>" in page, "<it>" in page) == (False, False, False)
    assert found.plot().png().startswith(b"\x89PNG")
    assert "beyond it" in repr(found.plot())


def test_what_is_void_about_all_stages_is_void_in_the_honesty_block() -> None:
    ramp = Ramp(READY, TAKE, RampSettings(), [invented(50, 1_000), invented(70, 60, share=0.99)], HONESTY)
    found = capacity_of("desk", ramp, Resolved(TAKE, "0" * 16, "take"), [])
    assert found.honesty_frame["value"][0] == found.void != ""


def test_without_a_run_there_is_nothing_to_be_honest_about() -> None:
    none = capacity([])
    assert len(none.honesty_frame) == 0
    assert none.reason == "nothing was measured"
    assert "no capacity was found" in none._repr_html_()


def test_capacities_are_priced_against_the_first_one() -> None:
    slow = measured("<b>slow</b>", 80, ["of all", "of <b>one</b>"])
    found = CapacityPrices(
        "take",
        {"bare": measured("bare", 160, ["of all"]), "<b>slow</b>": slow},
        80.0,
        {"bare": 2.0, "<b>slow</b>": 4.0},
    )
    assert found.ok
    assert found.frame["target"].tolist() == ["bare", "<b>slow</b>"]
    assert found.frame["ends it"].tolist() == ["throughput"] * 2
    ratio, low, high = found.ratio("<b>slow</b>")
    assert ratio == pytest.approx(0.5, rel=0.1)
    assert (low, high) == (pytest.approx(ratio, rel=0.1), pytest.approx(ratio, rel=0.1))
    assert "bare takes" in found.headline()
    assert {"of all", "<b>slow</b>: of <b>one</b>"} <= set(found.notes)
    assert found.honesty_frame["target"].unique().tolist() == ["bare", "<b>slow</b>"]
    page = found._repr_html_()
    assert ("<b>" in page, "of all" in page, "Little" in page, "of all" in str(found), "Little" in str(found)) == (
        False,
        *(True,) * 4,
    )
    assert found.plot().png().startswith(b"\x89PNG")


# Real servers. What this machine does with them is no claim of these tests.


@pytest.fixture(scope="module")
def prices() -> CapacityPrices:
    """One ladder of two servers, which ends at the limit of the search."""

    async def measured() -> CapacityPrices:
        targets = {"one": queue_server(), "two": queue_server()}
        return await acapacity_prices(targets, "take", start_rate=400, stage=0.1, limit=1, progress=False)

    return asyncio.run(measured())


def test_real_servers_are_offered_the_same_rates_in_turns(prices: CapacityPrices) -> None:
    for each in prices.capacities.values():
        assert [stage.rate for stage in each.stages] == [400.0, 560.0, 784.0, 1_100.0]
        assert all(stage.offered and len(stage.latency_ms) for stage in each.stages)
        assert any(stage.ended_well for stage in each.stages)
        # A call takes 2 ms, and no two are made at once; after a stage of 0.1 s the last may take 0.05 s at most.
        assert all(stage.achieved < 800 for stage in each.stages)
        assert each.honesty is not None
        assert len(each.honesty_frame) >= 16
    assert set(prices.half_p50_ms) <= set(prices.capacities)


def test_a_search_ends_at_its_limit_and_says_so(prices: CapacityPrices) -> None:
    assert any("at its limit of 1 s" in note for note in prices.notes)


def test_a_target_that_does_not_answer_is_named_and_keeps_no_other_from_being_measured() -> None:
    targets = {"hangs": queue_server(SILENT_S), "answers": queue_server(0.0)}
    found = capacity_prices(targets, "take", timeout=0.4, stage=0.1, max_rate=50, limit=1, progress=False)
    silent = found.capacities["hangs"]
    assert (silent.ok, silent.knee, silent.reason) == (False, None, "it did not answer within 0.4 s")
    assert found.frame["ends it"][0] == "no answer"
    assert found.headline().endswith("it did not answer within 0.4 s")
    assert found.capacities["answers"].stages


@pytest.mark.parametrize(
    ("ended", "words"),
    [(False, "no target answered at http://x; is it there?"), (True, "no target answers any more; see their logs")],
)
def test_targets_that_are_gone_after_the_search_cost_none_of_what_was_found(
    monkeypatch: pytest.MonkeyPatch, ended: bool, words: str
) -> None:
    async def found(connections: dict[str, object], *_: object, **__: object) -> dict[str, Capacity]:
        why = "it did not answer within 5 s" if ended else ""
        return {name: replace(measured(name, 120), ended=why) for name in connections}

    async def gone(*_: object, **__: object) -> Run:
        raise UnreachableError("no target answered at http://x; is it there?")

    monkeypatch.setattr(capacity_prices_module, "find_capacities", found)
    monkeypatch.setattr(capacity_prices_module, "drive", gone)
    prices = capacity_prices({"one": queue_server(), "two": queue_server()}, "take", progress=False)
    assert [each.knee is not None for each in prices.capacities.values()] == [True, True]
    assert (prices.half_p50_ms, prices.frame["p50 ms at half"].isna().all()) == ({}, True)
    assert prices.notes[-1].startswith(f"p50 at half of what the first one takes was not measured: {words}")
    assert prices.notes[-1] in str(prices)


def test_a_tool_that_always_fails_has_no_capacity() -> None:
    with Workbench(queue_server()) as wb:
        found = wb.capacity("refuse", start_rate=100, stage=0.1, progress=False)
    assert found.knee is None
    assert "calls fail" in found.reason
    assert any("the first call" in note for note in found.notes)


def test_a_real_tool_that_is_too_slow_for_any_stage_is_offered_none() -> None:
    with Workbench(queue_server(0.1)) as wb:
        found = wb.capacity("take", start_rate=20, stage=0.1, limit=1, progress=False)
    assert found.knee is None
    assert found.stages == ()
    assert found.reason.startswith("an operation alone takes")
    assert "no capacity was found; an operation alone takes" in found.headline()


def test_what_cannot_be_priced_is_refused() -> None:
    with pytest.raises(UsageError, match="targets= takes 1 to 20 targets"):
        capacity_prices({}, "take", progress=False)
