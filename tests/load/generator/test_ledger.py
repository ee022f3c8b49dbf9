"""The ledger: which answers it keeps whole, and that they come back as they were."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.load.generator.ledger import Ledger, opened
from mcp_workbench.load.plan import Plan
from mcp_workbench.load.run import ServerCpu, read_run

MOST = 10


def keeping(*asked: tuple[int, str], samples: int = MOST) -> Ledger:
    """Return a ledger that was shown an answer for each arm and tool, in blocks that are the arms' turns."""
    ledger = Ledger(samples)
    for block, (arm, tool) in enumerate(asked):
        ledger.begin(block, arm, measured=True)
        ledger.keep(tool, f"{arm} {tool} {block}".encode())
    return ledger


def kept(ledger: Ledger) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for block, tool, answer in ledger.sampled():
        arm, asked, at = answer.decode().split()
        assert (tool, block) == (asked, int(at))
        found[arm, tool] += 1
    return found


@pytest.mark.parametrize("count", [1, 15, 16, 64, 1_000])
def test_in_a_flow_both_tools_are_checked_however_long_it_goes_on(count: int) -> None:
    found = kept(keeping(*((0, "open"), (0, "close")) * count))
    assert set(found) == {("0", "open"), ("0", "close")}
    assert abs(found["0", "open"] - found["0", "close"]) <= MOST / 2


def test_each_arm_keeps_answers_of_its_own_though_one_is_called_far_more_often() -> None:
    found = kept(keeping(*((0, "add"), *((1, "add"),) * 50) * 40))
    assert min(found["0", "add"], found["1", "add"]) >= MOST / 4


def test_answers_are_kept_evenly_over_the_run() -> None:
    blocks = [block for block, _, _ in keeping(*((0, "add"),) * 1_000).sampled()]
    assert blocks[0] < 200
    assert blocks[-1] > 800
    assert len({after - before for before, after in pairwise(blocks)}) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcdefghij")), max_size=300), st.integers(0, 8))
def test_never_more_are_kept_than_was_asked_for_twice_over(asked: list[tuple[int, str]], samples: int) -> None:
    assert kept(keeping(*asked, samples=samples)).total() <= max(0, 2 * samples - 1)


def test_of_a_warm_up_none_is_kept() -> None:
    ledger = Ledger(MOST)
    ledger.begin(0, 0, measured=False)
    ledger.keep("add", b"{}")
    assert list(ledger.sampled()) == []


def test_what_is_kept_is_read_again_with_its_block(tmp_path: Path) -> None:
    ledger = keeping((0, "add"), (1, "rück"))
    ledger.save(opened(tmp_path), {"books": [], "pulse": [], "reconnected": [0, 0]})
    run = read_run(Plan((), ()), tmp_path, ServerCpu())
    assert run.samples == tuple(ledger.sampled())
    assert [block for block, _, _ in run.samples] == [0, 1]
    assert json.loads((tmp_path / "facts.json").read_text())["calls"] == 0
