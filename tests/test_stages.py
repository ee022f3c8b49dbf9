"""What client and server tell each other about the stages of a call: read from a server that may send anything."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.stages import CALL_META, STAGES, CallStory, StageTime, read_story

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
STAGE = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from([*STAGES, "other", 7, None]) | ANYTHING,
        "start_ms": st.floats() | st.integers() | ANYTHING,
        "duration_ms": st.floats() | st.integers() | ANYTHING,
        "code": ANYTHING,
        "note": ANYTHING,
    },
)
STORY = st.fixed_dictionaries(
    {},
    optional={
        "correlation_id": ANYTHING,
        "attempts": st.integers() | ANYTHING,
        "defaults": ANYTHING,
        "stages": st.lists(STAGE, max_size=10) | ANYTHING,
    },
)


def test_a_story_is_read_as_it_was_told() -> None:
    stages = (StageTime("inputs", 0.5, 0.25, None, "1 filled in"), StageTime("execution", 1.0, 2.0, "timeout"))
    told = {
        "correlation_id": "ab" * 16,
        "attempts": 3,
        "defaults": {"limit": 20},
        "stages": [stage.told() for stage in stages],
    }
    assert read_story({CALL_META: told}) == CallStory("ab" * 16, 3, {"limit": 20}, stages)


@pytest.mark.parametrize("meta", [None, 7, "x", [], {}, {CALL_META: None}, {CALL_META: [1]}])
def test_a_server_that_says_nothing_of_the_call_has_no_story(meta: object) -> None:
    assert read_story(meta) is None


@given(STORY)
def test_whatever_a_server_sends_the_story_is_bounded_and_in_order(told: dict[str, Any]) -> None:
    story = read_story({CALL_META: told})
    assert story is not None
    assert 0 <= story.attempts <= 1_000
    assert len(story.correlation_id) <= 64
    assert len(story.defaults or {}) <= 100
    assert [stage.stage for stage in story.stages] == sorted({s.stage for s in story.stages}, key=STAGES.index)
    for stage in story.stages:
        assert all(math.isfinite(ms) and 0 <= ms <= 86_400_000 for ms in (stage.start_ms, stage.duration_ms))
        assert len(stage.note) <= 200
        assert stage.code is None or len(stage.code) <= 60


@pytest.mark.parametrize("value", [10**400, -1, True, "1", None, math.nan, math.inf])
def test_a_stage_whose_times_are_no_times_is_left_out(value: object) -> None:
    told = {"stages": [{"stage": "inputs", "start_ms": value, "duration_ms": 1}]}
    story = read_story({CALL_META: told})
    assert story is not None
    assert story.stages == ()
