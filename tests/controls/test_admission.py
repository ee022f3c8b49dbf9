"""Places to run, and the queue for them: never too many, given back exactly once, and nobody overtaken."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.controls.admission import Admission

TOOLS = ["a", "b", "c"]


async def turns() -> None:
    """Let everything happen that is due."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_call_beyond_the_limit_gets_no_place() -> None:
    places = Admission(total=3, per_tool=2, queue=0)
    assert [places.take(tool) for tool in "aaabb"] == [True, True, False, True, False]
    assert (places.taken, places.running("a"), places.running("b")) == (3, 2, 1)


def test_without_limits_every_call_gets_a_place() -> None:
    places = Admission(total=None, per_tool=None, queue=0)
    assert all(places.take("a") for _ in range(10_000))


def test_nothing_is_kept_of_a_tool_without_places() -> None:
    places = Admission(total=3, per_tool=2, queue=0)
    for number in range(100):
        places.take(f"tool {number}")
        places.give_back(f"tool {number}")
    assert places._running == {}


def test_a_place_goes_to_the_call_that_waited_longest() -> None:
    async def story() -> list[int]:
        places, served = Admission(total=1, per_tool=None, queue=9), []
        places.take("a")

        async def call(number: int) -> None:
            assert await places.wait(TOOLS[number % 3], None)
            served.append(number)
            places.give_back(TOOLS[number % 3])

        calls = [asyncio.ensure_future(call(number)) for number in range(9)]
        await turns()
        places.give_back("a")
        await asyncio.gather(*calls)
        assert (places.taken, places.waiting) == (0, 0)
        return served

    assert asyncio.run(story()) == list(range(9))


def test_a_tool_at_its_limit_holds_up_no_other_tool() -> None:
    async def story() -> None:
        places = Admission(total=3, per_tool=1, queue=9)
        places.take("a")
        waiting = [asyncio.ensure_future(places.wait("a", None)) for _ in range(5)]
        await turns()
        assert places.take("b")
        places.give_back("b")
        assert places.waiting == 5
        for call in waiting:
            places.give_back("a")
            assert await call
        assert places.running("a") == 1

    asyncio.run(story())


def test_who_waits_too_long_leaves_the_queue_without_a_place() -> None:
    async def story() -> None:
        places = Admission(total=1, per_tool=None, queue=1)
        places.take("a")
        assert not places.queue_is_full
        call = asyncio.ensure_future(places.wait("a", 0.01))
        await turns()
        assert places.queue_is_full
        assert not await call
        assert (places.taken, places.waiting) == (1, 0)

    asyncio.run(story())


def test_a_place_handed_to_a_call_that_is_cancelled_in_the_same_moment_goes_to_the_next() -> None:
    async def story() -> None:
        places = Admission(total=1, per_tool=None, queue=2)
        places.take("a")
        first, second = (asyncio.ensure_future(places.wait("a", None)) for _ in range(2))
        await turns()
        places.give_back("a")
        first.cancel()
        assert await second
        assert first.cancelled()
        assert (places.taken, places.waiting) == (1, 0)

    asyncio.run(story())


def test_a_place_is_not_handed_to_a_call_that_was_cancelled_before() -> None:
    async def story() -> None:
        places = Admission(total=1, per_tool=None, queue=2)
        places.take("a")
        first, second = (asyncio.ensure_future(places.wait("a", None)) for _ in range(2))
        await turns()
        first.cancel()
        places.give_back("a")
        assert await second
        assert (places.taken, places.waiting) == (1, 0)

    asyncio.run(story())


STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "cancel", "late", "turn"]), st.integers(0, 30)), max_size=60
)


@given(STEPS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 5))
def test_whatever_happens_the_limits_hold_and_every_place_comes_back(
    steps: list[tuple[str, int]], total: int, per_tool: int, queue: int
) -> None:
    async def story() -> None:
        places = Admission(total=total, per_tool=per_tool, queue=queue)
        inside: list[str] = []
        waiting: list[tuple[str, asyncio.Future[bool]]] = []

        def settle() -> None:
            """Move calls whose wait is over, and compare the counts with what they must be."""
            for tool, call in [each for each in waiting if each[1].done()]:
                waiting.remove((tool, call))
                if not call.cancelled() and call.result():
                    inside.append(tool)
            assert places.taken == len(inside) <= total
            assert all(places.running(tool) == inside.count(tool) <= per_tool for tool in TOOLS)
            assert places.waiting == len(waiting) <= queue
            # Nobody waits for a place that is there.
            assert not any(len(inside) < total and inside.count(tool) < per_tool for tool, _ in waiting)

        for step, number in steps:
            tool = TOOLS[number % 3]
            if step == "enter" and places.take(tool):
                inside.append(tool)
            elif step in ("enter", "late") and not places.queue_is_full and not _free(inside, tool, total, per_tool):
                waiting.append((tool, asyncio.ensure_future(places.wait(tool, 0 if step == "late" else None))))
                await asyncio.sleep(0)
            elif step == "leave" and inside:
                places.give_back(inside.pop(number % len(inside)))
            elif step == "cancel" and waiting:
                waiting[number % len(waiting)][1].cancel()
            elif step == "turn":
                await turns()
                settle()
        await turns()
        settle()
        while inside or waiting:
            if inside:
                places.give_back(inside.pop())
            else:
                waiting[0][1].cancel()
            await turns()
            settle()
        assert (places.taken, places.waiting, places._running) == (0, 0, {})

    asyncio.run(story())


def _free(inside: list[Any], tool: str, total: int, per_tool: int) -> bool:
    return len(inside) < total and inside.count(tool) < per_tool
