"""Trends: a step that lasted is told with its release, chance is not, and what cannot be compared is left out."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from invented_arms import CONDITIONS, HONESTY, arm

from mcp_workbench.errors import UsageError
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.baselines.figures import ToolFigures
from mcp_workbench.load.baselines.histograms import histogram_of
from mcp_workbench.load.baselines.history import History
from mcp_workbench.load.baselines.pairs import Calibration, Pairs, Related
from mcp_workbench.load.baselines.trend import FEWEST, Trend, trend
from mcp_workbench.records import Outcome

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONE = baseline_of(arm(1, seconds=1), CONDITIONS, HONESTY, measured_at=AT)
FIXED = Calibration("fixed", "3.11.7", 1.0)


def release(at: int, value_ms: float, *, failed: int = 0, calls: int = 20) -> Baseline:
    """Return a baseline whose calls all took ``value_ms``."""
    latency = histogram_of(np.full(calls, value_ms))
    row = ToolFigures(
        "add", 1.0, Counter({Outcome.OK: calls - failed, Outcome.TIMEOUT: failed}), latency, latency, Counter()
    )
    return replace(ONE, figures=(row,), label=f"1.{at}.0", measured_at=AT + timedelta(days=at))


def releases(values_ms: Sequence[float]) -> list[Baseline]:
    return [release(at, value_ms) for at, value_ms in enumerate(values_ms)]


def noisy(seed: int, count: int = 30, noise: float = 0.03) -> np.ndarray:
    return 2 * np.exp(np.random.default_rng(seed).normal(0, noise, count))


def slower(values: np.ndarray, at: int, factor: float = 1.2) -> np.ndarray:
    return np.where(np.arange(len(values)) >= at, factor, 1) * values


def test_a_fifth_more_is_found_at_its_release_or_the_next_one() -> None:
    found = [trend(releases(slower(noisy(seed), 15))).steps for seed in range(40)]
    assert sum(any(abs(step.at - 15) <= 1 for step in steps) for steps in found) >= 38


def test_chance_is_no_step() -> None:
    found = [bool(trend(releases(noisy(seed))).steps) for seed in range(100)]
    assert sum(found) < 5


@pytest.mark.parametrize("count", [FEWEST, 10])
def test_chance_is_no_step_in_short_histories_either(count: int) -> None:
    found = [bool(trend(releases(noisy(seed, count))).steps) for seed in range(100)]
    assert sum(found) < 7


def test_the_headline_names_the_last_step_and_the_table_where_it_is() -> None:
    found = trend(releases(slower(noisy(1), 7)))
    assert not found.ok
    assert found.headline() == "p50: a step of 1.19 x at 1.7.0, and none since"
    assert list(found.frame["change"]) == [""] * 7 + ["1.19 x from here on"] + [""] * 22
    assert found.facts()["steps"][0]["release"] == "1.7.0"
    assert "<- 1.19 x from here on" in found.text_plot().splitlines()[8]
    assert '"headline"' in found.to_json()


def test_a_history_that_got_faster_is_fine() -> None:
    found = trend(releases(slower(slower(noisy(1), 8, 1.5), 20, 0.5)))
    assert found.ok
    assert [step.at for step in found.steps] == [8, 20]
    assert found.headline().endswith("at 1.20.0, and none since (1 earlier step)")


def test_one_odd_release_is_no_step_of_all_that_follow() -> None:
    values = noisy(3)
    values[12] *= 1.1
    assert trend(releases(values)).steps == ()


def test_no_step_and_too_few_releases_are_told_apart() -> None:
    assert trend(releases(noisy(0))).headline() == "p50: no step in 30 releases"
    few = trend(releases([1.0, 9.0]))
    assert not few.ok
    assert few.headline() == "p50: too few to say: 2 releases, and steps are looked for from 6 on"
    assert "1 release," in trend(releases([1.0])).headline()
    assert trend(releases([2.0] * 9)).ok


def test_failures_that_became_more_are_a_step_and_those_by_chance_are_none() -> None:
    random = np.random.default_rng(1)
    counts = [*random.binomial(1_000, 0.001, 12), *random.binomial(1_000, 0.02, 12)]
    made = [release(at, 2.0, failed=int(failed), calls=1_000) for at, failed in enumerate(counts)]
    found = trend(made, "error rate")
    assert [step.at for step in found.steps] == [12]
    assert " % to 1." in found.headline().replace("%", " %")
    assert found.unit == "share"
    assert trend(made[:12], "error rate").headline() == "error rate: no step in 12 releases"
    clean = trend(releases([2.0] * 8), "error rate")
    assert (clean.ok, list(clean.frame["value"])) == (True, ["0.00%"] * 8)
    assert clean.plot().png()


def test_beside_a_calibration_server_a_faster_machine_is_no_step() -> None:
    made = []
    for at, value_ms in enumerate(noisy(5, 20, 0.01)):
        machine = 0.5 if at >= 10 else 1.0
        one = release(at, value_ms * machine)
        pairs = Pairs(9, Related(value_ms * machine, machine, 0.01), None)
        made.append(replace(one, calibration=FIXED, pairs=pairs))
    found = trend(made)
    assert (found.unit, found.steps) == ("calibrations", ())
    assert found.points[0].value == pytest.approx(2.0, rel=0.05)
    assert [step.at for step in trend([replace(each, calibration=None, pairs=None) for each in made]).steps] == [10]
    other = replace(made[0], calibration=replace(FIXED, python="3.12"))
    assert trend([other, *made[1:]]).left_out == (("without the newest one's calibration server", 1),)


def test_what_was_measured_otherwise_is_left_out_and_counted() -> None:
    made = releases(noisy(0, 8))
    made[1] = replace(made[1], conditions=replace(CONDITIONS, rate=500.0))
    made[2] = replace(made[2], conditions=replace(CONDITIONS, target="desk\x1b[2J"))
    made[3] = release(3, 2.0, calls=1)
    found = trend(made)
    assert len(found.points) == 5
    assert found.headline().endswith(
        "; 1 left out: another target; 1 left out: measured otherwise (rate 200.0 against 500.0); 1 left out: no p50 ms"
    )


def test_one_tool_can_be_asked_for() -> None:
    conditions = replace(CONDITIONS, workload="mixed")
    made = [
        baseline_of(arm(at, tools=("add", "read")), conditions, HONESTY, label=str(at), measured_at=AT)
        for at in range(6)
    ]
    assert trend(made, "p95 ms", "read").measure == "p95 of read"
    assert trend(made, "calls/s").unit == "calls/s"
    with pytest.raises(UsageError, match=r"no baseline has the figure that is asked for \(no p50 ms of write\)"):
        trend(made, tool="write")


@pytest.mark.parametrize("measure", ["p0 ms", "p100 ms", "p", "mean", "\x1b[2J", "x" * 1_000])
def test_a_measure_that_is_not_known_is_refused(measure: str) -> None:
    with pytest.raises(UsageError, match=r"is not known; give 'p50 ms'") as caught:
        trend([ONE], measure)
    assert len(str(caught.value)) < 200


def test_a_history_is_read_and_an_empty_one_refused(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    with pytest.raises(UsageError, match="there is no baseline to make a trend of"):
        trend(history)
    for each in reversed(releases(noisy(0, 7))):
        history.add(each)
    assert [point.label for point in trend(history).points] == [f"1.{at}.0" for at in range(7)]


def test_thousands_of_other_targets_leave_no_release_of_this_one_unread(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    made = releases(noisy(0, 7))
    for each in made:
        history.add(each)
    with closing(sqlite3.connect(tmp_path / "history.sqlite")) as connection:
        # Measured between the last two releases.
        connection.execute(
            "INSERT INTO baseline (measured_at, label, target, content) "
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
            "SELECT '2026-03-07T00:00:00.000000+00:00', '', 'desk', '' FROM n"
        )
        connection.commit()
    found = trend(history)
    assert [point.label for point in found.points] == [each.label for each in made]
    assert found.left_out == (("another target", 2_000),)
    assert trend(history, target="shop").left_out == ()


def test_of_a_long_list_the_newest_thousand_are_taken() -> None:
    made = [replace(ONE, label=str(at), measured_at=AT + timedelta(minutes=at)) for at in range(1_002)]
    points = trend([*made[1_000:], *made[:1_000]]).points
    assert (len(points), points[0].label, points[-1].label) == (1_000, "2", "1001")


def test_a_target_can_be_named_in_a_history_and_in_a_list(tmp_path: Path) -> None:
    shop = releases(noisy(0, 7))
    desk = [
        replace(each, conditions=replace(CONDITIONS, target="desk"), label=f"desk {at}", measured_at=AT)
        for at, each in enumerate(releases(noisy(1, 3)))
    ]
    history = History(tmp_path / "history.sqlite")
    for each in [*shop, *desk]:
        history.add(each)
    assert history.targets() == {"shop": 7, "desk": 3}
    for both in (history, [*desk, *shop]):
        assert [point.label for point in trend(both, target="desk").points] == ["desk 0", "desk 1", "desk 2"]
        assert len(trend(both).points) == 7
        with pytest.raises(UsageError, match="there is no baseline of 'des'; name another target, such as '"):
            trend(both, target="des")


def drawn(found: Trend) -> list[str]:
    (axes,) = found.plot().figure.axes
    return [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]


def test_the_picture_has_a_title_units_and_the_levels() -> None:
    found = trend(releases(slower(noisy(1), 7)))
    assert drawn(found) == ["p50: a step of 1.19 x at 1.7.0, and none since", "release", "p50 (ms)"]
    (axes,) = found.plot().figure.axes
    # Releases, a level before and one after, the line between them.
    assert len(axes.lines) == 4
    hostile = [replace(each, label="$x$\x1b_" + "y" * 500) for each in releases(noisy(1, 7))]
    assert trend(hostile).plot().png()
    assert "\x1b" not in trend(hostile).text_plot()
