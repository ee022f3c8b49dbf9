"""Baselines: what a table says of a load, and whether it can be believed."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from example_servers import MARKUP
from invented_arms import CONDITIONS, HONESTY, arm, columns

from mcp_workbench.errors import FileError, UsageError, VoidRunError
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.baselines.pairs import MOST_TOOLS, pairs_of
from mcp_workbench.load.comparisons.gate import GateSettings, Limits
from mcp_workbench.load.measured import OUTCOMES, Calls
from mcp_workbench.records import Outcome
from mcp_workbench.untrusted import one_line

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = MARKUP + "\x1b[2J\n$x$" + "z" * 5_000
NOTHING = columns(np.array([]), np.array([], int), 3)


def made(calls: Calls, **told: object) -> Baseline:
    return baseline_of(calls, CONDITIONS, HONESTY, **{"measured_at": AT, **told})  # type: ignore[arg-type]


def test_the_headline_says_what_was_called_how_and_how_it_went() -> None:
    found = made(arm(1), label="1.4.0")
    assert found.ok
    assert found.headline().startswith(
        "shop 1.4.0: 600 calls of add over http, own process, open at 200 a second (poisson): p50 2."
    )
    assert found.headline().endswith("0 failed (0.0%)")
    assert "calls of 2 tools" in made(arm(1, tools=("add", "read"))).headline()


def test_the_headline_names_tools_that_always_fail_and_why() -> None:
    note = "the first call, made through the SDK, failed: 'query' is a required property"
    tried = replace(HONESTY, notes=("other programs kept 1.0 of 2 cores busy", note))
    every = replace(made(arm(1, failing=1.0)), honesty=tried)
    assert every.headline().endswith(f"600 failed (100.0%): {note}")
    tools = arm(1, tools=("add", MARKUP))
    one = made(replace(tools, outcome=np.where(tools.tool == 1, OUTCOMES.index(Outcome.TOOL_ERROR), tools.outcome)))
    assert one.headline().endswith(f"300 failed (50.0%), all calls of {one_line(MARKUP, 60)}")
    assert one_line(MARKUP, 60) not in one._repr_html_()
    assert made(arm(1, failing=0.5)).headline().endswith("%)")


def test_the_table_has_a_row_a_tool_and_a_column_for_each_failure_that_occurred() -> None:
    frame = made(arm(1, failing=0.1, tools=("add", "read"))).frame
    assert list(frame["tool"]) == ["add", "read", "(all)"]
    assert list(frame["calls"]) == [300, 300, 600]
    assert list(frame["tool_error"]) == list(frame["errors"])
    assert "timeout" not in frame.columns
    assert (frame["lowest error rate"] < frame["error rate"]).all()
    assert (frame["p50 ms"] < frame["p95 ms"]).all()
    assert frame["p99.9 ms"].isna().all()


def test_failures_and_void_runs_are_not_ok() -> None:
    assert not made(arm(1, failing=0.1)).ok
    assert not made(NOTHING).ok
    void = replace(made(arm(1)), honesty=replace(HONESTY, void=("the generator was the bottleneck",)))
    assert not void.ok
    assert void.headline().endswith("; VOID: the generator was the bottleneck")
    with pytest.raises(VoidRunError, match=r"the run is void \(the generator was the bottleneck\).*; measure again"):
        void.to_text()


def test_how_it_was_measured_stands_below_the_figures() -> None:
    found = made(arm(1))
    facts = dict(zip(found.honesty_frame["fact"], found.honesty_frame["value"], strict=True))
    assert (facts["void"], facts["Little's law"], facts["calibration server"]) == ("no", "1.00", "none")
    assert facts["generator"].startswith("10% of a core, 20% with waiting in the busiest fifth")
    assert facts["operations begun"] == "600 of 600 (100.0%), 0 dropped, 200.0 a second, 200 were meant"
    for shown in (str(found), found._repr_html_()):
        assert "How it was measured" in shown
        assert "Little" in shown
    assert json.loads(found.to_json())["rows"][0]["tool"] == "add"


def test_what_is_not_known_is_not_invented() -> None:
    blind = replace(
        HONESTY, waiting_share=None, server_share=None, slip_p50_ms=None, slip_p99_ms=None, offered=0, achieved=0
    )
    closed = replace(CONDITIONS, model="closed", rate=None, users=1, arrivals="")
    found = baseline_of(NOTHING, closed, blind, measured_at=AT)
    facts = dict(zip(found.honesty_frame["fact"], found.honesty_frame["value"], strict=True))
    assert (facts["server"], facts["calls were sent late by"]) == ("cannot be seen", "no open load")
    assert facts["operations begun"] == "0 of 0, 0 dropped, 200.0 a second"
    assert "closed, 1 user: p50 -, p99 -, 0 failed" in found.headline()
    assert "max | " in found.text_percentiles()
    assert found.text_over_time().endswith("p50 -, p95 -, 0 calls, 0 failed")
    assert "too few calls" in repr(found.plot())
    assert found.plot().png()[:4] == found.plot_over_time().png()[:4] == b"\x89PNG"
    assert Baseline.from_text(found.to_text(), "it") == found


@pytest.mark.parametrize("calls", [columns(np.array([2.0]), np.array([0]), 1), arm(1, failing=1.1)])
def test_one_call_and_calls_that_all_failed_are_shown_and_kept(calls: Calls) -> None:
    found = made(calls, turns=(calls, calls), calibration_identity="fixed")
    assert found.plot().png()
    assert found.plot_over_time().png()
    assert str(found)
    assert Baseline.from_text(found.to_text(), "it") == found


def test_nothing_hostile_leaves_a_baseline() -> None:
    calls = replace(arm(1, tools=(HOSTILE,), failing=0.2), codes=Counter({(HOSTILE, HOSTILE): 3}))
    found = baseline_of(
        calls,
        replace(CONDITIONS, target=HOSTILE, workload=HOSTILE),
        replace(HONESTY, notes=(HOSTILE,) * 500, versions={HOSTILE: HOSTILE}, machine=HOSTILE),
        label=HOSTILE,
        measured_at=AT,
    )
    shown = [str(found), found.headline(), found.text_percentiles(), found.text_over_time(), repr(found.plot())]
    for text in [*shown, found.to_text(), repr(found.plot_over_time())]:
        assert "\x1b" not in text
        assert len(text) < 60_000
    assert "<img" not in found._repr_html_()
    assert "<script" not in found._repr_html_()
    assert found.plot().png()
    assert found.plot_over_time().png()
    assert Baseline.from_text(found.to_text(), "it") == found


def test_the_target_is_related_to_the_calibration_server_in_the_turns_of_both() -> None:
    target, calibration = arm(1), arm(2, factor=0.5)
    found = made(arm(3, factor=9), turns=(target, calibration), calibration_identity="fixed")
    assert found.pairs is not None
    assert found.calibration is not None
    assert found.pairs.blocks == 30
    assert found.pairs.ratio == pytest.approx(
        np.median(target.latency_ms) / np.median(calibration.latency_ms), rel=0.01
    )
    assert found.calibration.p50_ms == pytest.approx(1.0, rel=0.1)
    assert found.whole.percentile_ms(50) == pytest.approx(18, rel=0.1)
    assert "30 pairs of turns, the target's p50 is 2." in str(found)
    assert found.facts()["ratio_to_calibration"] == found.pairs.ratio
    assert made(arm(1), turns=(arm(1), NOTHING)).pairs is None
    failed = made(arm(1), turns=(arm(1, failing=1.1), arm(2)), calibration_identity="fixed")
    assert failed.pairs is not None
    assert (failed.pairs.ratio, failed.pairs.quick) == (None, None)


def test_the_quick_calls_are_those_of_all_turns_from_when_they_were_sent() -> None:
    target, calibration = arm(1), arm(2, factor=0.5)
    waited = replace(target, latency_ms=target.latency_ms + 100)
    quick = pairs_of(waited, calibration).quick
    assert quick is not None
    assert quick.target_ms == pytest.approx(np.percentile(target.service_ms, 10), rel=0.01)
    assert quick.ratio == pytest.approx(2.0, rel=0.1)
    assert quick.error is not None
    assert 0 < quick.error < 0.1
    single = columns(np.ones(3), np.zeros(3, dtype=int), 1)
    few = pairs_of(single, single).quick
    assert few is not None
    assert few.error is None


def test_of_several_tools_the_quick_calls_of_each_are_kept_of_so_many() -> None:
    names = tuple(f"tool-{number}" for number in range(MOST_TOOLS + 5))
    target = arm(1, seconds=10, tools=names)
    slower = np.where(target.tool == 3, 5, 1)
    found = pairs_of(replace(target, service_ms=target.service_ms * slower), arm(2, seconds=10))
    assert len(found.tools) == MOST_TOOLS
    assert found.tools["tool-3"].ratio == pytest.approx(5 * found.tools["tool-4"].ratio, rel=0.3)
    assert pairs_of(arm(1), arm(2)).tools == {}


def test_pictures_are_titled_with_units_and_grey() -> None:
    found = made(arm(1, seconds=10, failing=0.05, tools=("add", "read")))
    (axes,) = found.plot().figure.axes
    assert axes.get_title(loc="left").startswith("Latency: http, own process")
    assert axes.get_xlabel() == "percentile of the calls (%, log scale of the rest)"
    assert axes.get_ylabel().startswith("latency (ms")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["50 %", "90 %", "99 %", "99.9 %"]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["(all)", "add", "read", "(all): from when it was sent"]
    lines, counts = found.plot_over_time().figure.axes
    assert lines.get_xlabel() == "since the first block began (s)"
    assert counts.get_ylabel() == "failed calls in the slice (count)"
    assert sum(bar.get_height() for bar in counts.patches) == found.whole.errors


def test_what_no_slice_has_calls_enough_for_is_not_in_the_legend() -> None:
    lines = made(arm(1, seconds=1, rate=100)).plot_over_time().figure.axes[0]
    assert [text.get_text() for text in lines.get_legend().get_texts()] == ["longest", "p50"]


def test_a_baseline_is_held_against_limits(tmp_path: Path) -> None:
    found = made(arm(1))
    file = tmp_path / "limits.yaml"
    file.write_text("limits: {max_p50_ms: 500}\n")
    assert found.judge(file).ok
    assert not found.judge(GateSettings(limits=Limits(max_p50_ms=0.01))).ok
    assert found.judge().ok
    file.write_text("p50_margin: 1.05\n")
    with pytest.raises(FileError, match="limits nothing; write a limit below 'limits:'"):
        found.judge(file)


def test_bars_of_characters_show_it_in_a_terminal() -> None:
    found = made(arm(1))
    lines = found.text_percentiles().splitlines()
    assert [line.split("|")[0].strip() for line in lines] == [
        "latency (ms)",
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
        "max",
    ]
    assert lines[-1].count("#") == 40
    assert 0 < lines[1].count("#") < lines[4].count("#")
    assert found.text_over_time().isascii()


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="has no time zone"):
        made(arm(1), measured_at=datetime(2026, 3, 1))  # noqa: DTZ001
