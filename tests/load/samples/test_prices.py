"""The price list of the controls: the right arms, in turns, added up rightly; how long anything takes is not tested."""

import asyncio
import gc
import itertools
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from example_servers import MARKUP
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from mcp.server.mcpserver import MCPServer

from mcp_workbench import ContractBook, LoopError, ToolContract, UnreachableError, UsageError
from mcp_workbench.contracts.model import ServerIdentity
from mcp_workbench.controls import Settings, current_call, harden
from mcp_workbench.controls.chain import Chain
from mcp_workbench.kernel.loop import background
from mcp_workbench.load.samples.charts import price_chart
from mcp_workbench.load.samples.prices import Price, PriceList, aprice_list, price_list
from mcp_workbench.load.samples.turns import Turns, cpu_in_turns
from mcp_workbench.stages import STAGES

FEW: Any = {"calls": 1, "rounds": 3, "progress": False}
DIFFERENCES = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40).map(tuple)


class Shop:
    """Makes servers with one tool, and remembers them and their calls."""

    def __init__(self) -> None:
        self.servers: list[MCPServer] = []
        self.calls: list[int] = []
        self.deadlines_ms: dict[int, int | None] = {}

    def make(self) -> MCPServer:
        """Return a new server."""
        server, number = MCPServer("shop", log_level="ERROR"), len(self.servers)
        self.servers.append(server)

        @server.tool()
        async def add(a: int, b: int = 1) -> int:
            """Add two numbers."""
            self.calls.append(number)
            call = current_call()
            self.deadlines_ms[number] = None if call is None else call.deadline_ms
            return a + b

        return server

    def chains(self) -> list[Chain | None]:
        """Return, for each server, the chain that was put into it."""
        return [next((each for each in made.middleware if isinstance(each, Chain)), None) for made in self.servers]


def server_of(tool: Callable[..., Any], **options: Any) -> Callable[[], MCPServer]:
    """Return what makes servers that have just this tool."""

    def make() -> MCPServer:
        server = MCPServer("shop", log_level="ERROR", **options)
        server.add_tool(tool)
        return server

    return make


def prices_of(*prices: Price, bare_us: float = 100.0, hardened_us: float = 130.0, bound: float = 1.5) -> PriceList:
    return PriceList("add", 10, (bare_us,) * 3, (hardened_us,) * 3, prices, bound)


@pytest.fixture(scope="module")
def measured() -> tuple[Shop, PriceList]:
    """A price list of few calls, and the servers that were made for it."""
    shop = Shop()
    contract = ToolContract(name="add", effects="read", deadline_ms=7_000)
    book = ContractBook(server=ServerIdentity(name="shop"), tools=(contract,))
    return shop, price_list(shop.make, "add", {"a": 1}, contract=book, calls=25, rounds=3, progress=False)


def test_there_is_a_price_for_all_stages_for_each_stage_and_for_no_difference(
    measured: tuple[Shop, PriceList],
) -> None:
    prices = measured[1].prices
    assert prices[0].control == "all six stages"
    assert [price.stage for price in prices if price.control == "the whole stage"] == list(STAGES)
    assert prices[-1].control == "nothing: the same again"
    # The controls of a stage stand below it.
    assert [stage for stage, _ in itertools.groupby(price.stage for price in prices[1:-1])] == list(STAGES)
    assert len({(price.stage, price.control) for price in prices}) == len(prices)


def test_each_control_is_measured_against_a_server_that_has_just_this_one_switched_off(
    measured: tuple[Shop, PriceList],
) -> None:
    shop, listed = measured
    bare, hardened, *others = shop.chains()
    assert bare is None
    assert hardened is not None
    assert hardened.settings == Settings()
    for price, chain in zip(listed.prices[1:], others, strict=True):
        assert chain is not None
        # What the table says can be given to Settings as it stands.
        said = eval(f"Settings({price.setting})", {"Settings": Settings})
        assert chain.settings == said
        assert (said == Settings()) is (price is listed.prices[-1])


def test_every_server_is_called_equally_often_in_short_turns_and_each_time_in_another_order(
    measured: tuple[Shop, PriceList],
) -> None:
    shop, listed = measured
    number = len(shop.servers)
    assert number == len(listed.prices) + 1
    assert shop.calls[: 6 * number] == [each for each in range(number) for _ in range(6)]
    # 25 calls are a turn of 20 and one of 5.
    left, orders = shop.calls[6 * number :], []
    for calls in [20, 5] * 3:
        turns, left = left[: calls * number], left[calls * number :]
        orders.append(tuple(turns[::calls]))
        assert turns == [each for each in orders[-1] for _ in range(calls)]
        assert sorted(orders[-1]) == list(range(number))
    assert left == []
    assert len(set(orders)) == len(orders)


def test_without_the_deadline_means_without_that_of_the_contract_too(measured: tuple[Shop, PriceList]) -> None:
    shop, listed = measured
    at = 1 + next(at for at, price in enumerate(listed.prices) if price.setting == "deadline_ms=None")
    execution = 1 + next(at for at, price in enumerate(listed.prices) if price.setting == "off={'execution'}")
    without = {number for number, deadline_ms in shop.deadlines_ms.items() if deadline_ms is None}
    assert without == {0, at, execution}
    assert {shop.deadlines_ms[number] for number in range(len(shop.servers)) if number not in without} == {7_000}


def test_a_price_is_what_the_rounds_with_and_without_the_control_differ_by(measured: tuple[Shop, PriceList]) -> None:
    listed = measured[1]
    assert len(listed.bare_us) == len(listed.hardened_us) == 3
    assert min(*listed.bare_us, *listed.hardened_us) > 0
    together = tuple(on - off for on, off in zip(listed.hardened_us, listed.bare_us, strict=True))
    assert listed.prices[0].differences_us == together
    assert {price.floor_us for price in listed.prices} == {abs(listed.prices[-1].price_us)}


def test_the_table_has_each_price_in_microseconds_and_percent_and_says_what_is_below_the_noise() -> None:
    frame = prices_of(
        Price("all six stages", "", "soften(server)", (29.0, 30.0, 31.0)),
        Price("retries", "execution", "attempts=1", (-4.0, 1.0, 6.0)),
    ).frame
    names = ["control", "stage", "switched off by", "price us", "from us", "to us", "% of bare call", "reading"]
    assert list(frame.columns) == names
    assert frame.texts() == [
        ["all six stages", "", "soften(server)", "30.00", "29.00", "31.00", "30.00", ""],
        ["retries", "execution", "attempts=1", "1.00", "-4.00", "6.00", "1.00", "below the noise"],
    ]


def test_a_price_no_larger_than_what_two_equal_servers_differ_by_is_below_the_noise() -> None:
    clear = Price("deadline", "execution", "deadline_ms=None", (4.0, 5.0, 6.0))
    assert not clear.below_noise
    assert not replace(clear, floor_us=4.9).below_noise
    assert replace(clear, floor_us=5.0).below_noise
    # Also where a control seems to make calls cheaper.
    assert not replace(clear, differences_us=(-6.0, -5.0, -4.0), floor_us=4.9).below_noise


@pytest.mark.parametrize("rounds", range(6, 13))
def test_of_all_ways_in_which_pure_noise_can_fall_at_most_one_in_twenty_counts_as_a_price(rounds: int) -> None:
    ways = list(itertools.product((-1, 1), repeat=rounds))
    seen = sum(
        not Price("", "", "", tuple(sign * size for size, sign in enumerate(way, 1))).below_noise for way in ways
    )
    assert 0 < seen <= 0.05 * len(ways)


@given(DIFFERENCES)
def test_the_median_lies_in_its_interval_and_both_ends_were_observed(differences_us: tuple[float, ...]) -> None:
    price = Price("", "", "", differences_us)
    low, high = price.interval_us
    assert {low, high} <= set(differences_us)
    assert low <= price.price_us <= high
    if len(differences_us) < 6:
        assert (low, high) == (min(differences_us), max(differences_us))


@pytest.mark.parametrize(
    ("hardened_us", "headline", "ok"),
    [
        (120.0, "add: a call through all six stages costs 1.2 x the bare call, within the bound of 1.5 x", True),
        (150.0, "add: a call through all six stages costs 1.5 x the bare call, within the bound of 1.5 x", True),
        (154.0, "add: a call through all six stages costs 1.5 x the bare call, above the bound of 1.5 x", False),
        (300.0, "add: a call through all six stages costs 3.0 x the bare call, above the bound of 1.5 x", False),
    ],
)
def test_the_headline_has_the_ratio_and_whether_it_keeps_the_bound(hardened_us: float, headline: str, ok: bool) -> None:
    listed = prices_of(hardened_us=hardened_us)
    assert (listed.headline(), listed.ok) == (headline, ok)


def test_the_bound_is_the_callers_to_choose() -> None:
    assert prices_of(hardened_us=190.0, bound=2).ok
    assert price_list(Shop().make, "add", {"a": 1}, bound=1_000, **FEW).ok
    assert not price_list(Shop().make, "add", {"a": 1}, bound=0.01, **FEW).ok


def test_the_ratio_is_the_median_of_the_rounds_and_not_of_all_calls() -> None:
    # A machine that was twice as slow for two rounds, for both servers alike.
    listed = PriceList("add", 10, (100.0, 200.0, 200.0), (110.0, 240.0, 220.0), ())
    assert listed.ratio == pytest.approx(1.1)


def test_the_json_says_where_with_what_and_how_often_it_was_measured(measured: tuple[Shop, PriceList]) -> None:
    told = json.loads(measured[1].to_json())
    assert told | {"tool": "add", "calls": 25, "rounds": 3, "bound": 1.5} == told
    assert told["bare_us"] == statistics.median(measured[1].bare_us)
    assert {"mcp", "pydantic"} <= set(told["versions"])
    assert told["machine"]
    assert told["python"]
    assert len(told["rows"]) == len(measured[1].prices)


def test_the_time_of_worker_threads_is_counted() -> None:
    def burn() -> int:
        """Use up a millisecond of this thread's time."""
        end_ns = time.thread_time_ns() + 1_000_000
        while time.thread_time_ns() < end_ns:
            pass
        return 1

    servers = [("here", server_of(burn)())]
    (spent_us,) = background().run(cpu_in_turns(servers, Turns("burn", None, 2, 3)))
    assert min(spent_us) >= 1_000


def test_awaiting_the_list_gives_the_same_rows() -> None:
    listed = asyncio.run(aprice_list(Shop().make, "add", {"a": 1}, **FEW))
    assert [price.setting for price in listed.prices] == [
        price.setting for price in price_list(Shop().make, "add", {"a": 1}, **FEW).prices
    ]


def test_the_blocking_form_refuses_to_wait_on_the_loop_for_itself() -> None:
    async def wrong() -> None:
        price_list(Shop().make, "add", {"a": 1}, **FEW)

    with pytest.raises(LoopError, match="await the name that begins with 'a'"):
        background().run(wrong())


def test_progress_is_told_after_each_round() -> None:
    told: list[tuple[int, int]] = []
    servers = [("here", Shop().make())]
    background().run(cpu_in_turns(servers, Turns("add", {"a": 1}, 1, 4), lambda done, of: told.append((done, of))))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("collecting", [True, False])
def test_the_garbage_collector_is_left_as_it_was(collecting: bool) -> None:
    before = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    try:
        price_list(Shop().make, "add", {"a": 1}, **FEW)
        assert gc.isenabled() is collecting
        with pytest.raises(UsageError):
            price_list(Shop().make, "add", {"a": "x"}, **FEW)
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()


def test_a_function_that_returns_one_object_twice_is_refused_and_the_object_is_left_bare() -> None:
    shop = Shop()
    server = shop.make()
    with pytest.raises(UsageError, match=r"make_server\(\) returned the same server object twice"):
        price_list(lambda: server, "add", {"a": 1}, **FEW)
    assert shop.chains() == [None]
    assert shop.calls == []


def test_a_server_that_is_hardened_already_is_refused() -> None:
    def make() -> MCPServer:
        server = Shop().make()
        harden(server)
        return server

    with pytest.raises(UsageError, match="the server 'shop' is hardened already"):
        price_list(make, "add", {"a": 1}, **FEW)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            Shop().make(),
            "make_server must be a function that returns a new server object each time; this is a MCPServer",
        ),
        (lambda: "a server", "only a server object of the MCP SDK"),
        (lambda: None, "this is a NoneType"),
    ],
)
def test_what_makes_no_server_is_refused(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        price_list(make, "add", {"a": 1}, **FEW)


def fails() -> int:
    """Fail on purpose."""
    raise ValueError("at home")


@pytest.mark.parametrize(
    ("make", "tool", "arguments", "words"),
    [
        (server_of(fails), "fails", {}, "the tool 'fails' failed on the bare server: Error executing tool fails; give"),
        (Shop().make, "other", {}, "the tool 'other' failed on the bare server: Unknown tool: other; give"),
        (Shop().make, "add", {"a": "x"}, "the tool 'add' failed on the bare server: "),
        # The SDK lets it pass, the controls do not.
        (
            Shop().make,
            "add",
            {"a": 1, "c": 2},
            "the tool 'add' failed on the hardened server with all six stages on: invalid_arguments: ",
        ),
    ],
    ids=["a crash", "an unknown tool", "wrong arguments", "refused by the controls"],
)
def test_a_tool_that_fails_has_no_price_and_one_sentence_says_where_it_failed(
    make: Callable[[], MCPServer], tool: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as raised:
        price_list(make, tool, arguments, **FEW)
    assert str(raised.value).startswith(words)
    assert str(raised.value).endswith("; give arguments with which it succeeds each time")
    assert "\n" not in str(raised.value)


def test_a_tool_that_fails_only_now_and_then_is_found_out() -> None:
    calls = itertools.count()

    def moody() -> int:
        """Fail once, late."""
        if next(calls) == 120:
            raise ValueError
        return 1

    with pytest.raises(UsageError, match="the tool 'moody' failed on the hardened server with "):
        price_list(server_of(moody), "moody", **FEW)


def test_a_server_that_cannot_be_connected_is_one_sentence() -> None:
    @asynccontextmanager
    async def broken(_: MCPServer) -> AsyncIterator[None]:
        raise OSError("no disk")
        yield

    with pytest.raises(UnreachableError, match="the server object 'shop' in this process: OSError: no disk"):
        price_list(server_of(fails, lifespan=broken), "fails", **FEW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"calls": 0}, "calls=0 makes no measurement; give a whole number from 1 up"),
        ({"calls": True}, "calls=True makes no measurement"),
        ({"rounds": 2}, "rounds=2 makes no measurement; give a whole number from 3 up"),
        ({"rounds": 2.5}, "rounds=2.5 makes no measurement"),
        ({"bound": 0}, "bound=0 is no bound"),
        ({"bound": float("nan")}, "bound=nan is no bound"),
        ({"bound": "1.5"}, "bound='1.5' is no bound"),
        ({"arguments": [1]}, "arguments are a dict"),
        ({"contract": "no such file.yaml"}, "no such file.yaml"),
    ],
)
def test_what_makes_no_measurement_is_refused_before_any_server_is_made(change: dict[str, Any], words: str) -> None:
    shop = Shop()
    with pytest.raises(UsageError, match=words):
        price_list(shop.make, **{"tool": "add", "arguments": {"a": 1}, **FEW, **change})
    assert shop.servers == []


def test_a_hostile_name_of_a_tool_is_text_in_every_form() -> None:
    listed = replace(prices_of(Price("retries", "execution", "attempts=1", (1.0, 2.0, 3.0))), tool=MARKUP)
    assert "<script" not in listed._repr_html_()
    assert "\x1b" not in str(listed) + listed._repr_html_() + listed.to_json() + repr(listed.plot())
    assert listed.plot().png().startswith(b"\x89PNG")


def test_the_picture_has_a_bar_a_price_its_interval_and_units() -> None:
    listed = prices_of(
        Price("all six stages", "", "soften(server)", (29.0, 30.0, 31.0)),
        Price("retries", "execution", "attempts=1", (-4.0, 1.0, 6.0)),
    )
    (axes,) = listed.plot().figure.axes
    assert axes.get_title() == "What each control costs: add"
    assert axes.get_xlabel() == "price (CPU microseconds a call)"
    assert axes.get_ylabel() == "stage and control"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["all six stages", "execution: retries"]
    assert sorted(bar.get_width() for bar in axes.patches) == [1.0, 30.0]
    assert [list(line.get_xdata()) for line in axes.lines[:2]] == [[29.0, 31.0], [-4.0, 6.0]]
    assert repr(listed.plot()) == (
        "Chart: CPU microseconds a call of add. all six stages: 30.0; execution: retries: below the noise"
    )


def test_the_picture_has_no_colour_and_what_is_below_the_noise_looks_different() -> None:
    chart = price_chart("add", [Price("", "a", "", (3.0, 3.0, 3.0)), Price("", "b", "", (-1.0, 0.5, 1.0))])
    bars = chart.figure.axes[0].patches
    greys = {to_rgb(bar.get_facecolor()) for bar in bars}
    assert len(greys) == 2
    assert all(red == green == blue for red, green, blue in greys)
    assert len({bar.get_hatch() for bar in bars}) == 2


def test_no_prices_make_an_empty_picture() -> None:
    assert repr(price_chart("add", [])).endswith("nothing to draw")
    assert price_chart("add", []).png()
