"""Files of baselines: what was saved comes back, and whatever else a file holds is refused in one sentence."""

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_arms import CONDITIONS, HONESTY, arm, columns

from mcp_workbench.errors import FileError, UsageError, VoidRunError
from mcp_workbench.load.baselines.baseline import Baseline, baseline_of
from mcp_workbench.load.baselines.pairs import Pairs
from mcp_workbench.load.comparisons.stored import compare_stored
from mcp_workbench.load.comparisons.verdicts import Verdict

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WHOLE = baseline_of(
    arm(1, failing=0.1, tools=("add", "read")),
    CONDITIONS,
    HONESTY,
    turns=(arm(1, tools=("add", "read")), arm(2)),
    calibration_identity="fixed",
    label="1.4.0 \N{ROCKET}",
    measured_at=AT,
)
TEXT = WHOLE.to_text()


def changed(where: str, value: Any) -> str:
    """Return the text with another value at a place such as ``figures.0.seconds``."""
    content = at = json.loads(TEXT)
    *path, last = (int(part) if part.isdigit() else part for part in where.split("."))
    for part in path:
        at = at[part]
    at[last] = value
    return json.dumps(content)


def test_what_is_saved_is_loaded_and_the_same_again(tmp_path: Path) -> None:
    file = WHOLE.save(tmp_path / "one.json")
    assert Baseline.load(file) == WHOLE
    assert file.read_text(encoding="utf-8") == Baseline.load(str(file)).to_text() == TEXT
    assert Baseline.load(file).to_json() == WHOLE.to_json()
    assert [each.name for each in tmp_path.iterdir()] == ["one.json"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e-7, 1e7), min_size=1, max_size=12), st.text(max_size=60), st.floats(0, 10))
def test_whatever_was_measured_comes_back(latency_ms: list[float], label: str, share: float) -> None:
    calls = columns(np.array(latency_ms), np.arange(len(latency_ms)), len(latency_ms))
    honesty = replace(HONESTY, foreign_share=share, machine=label)
    made = baseline_of(calls, CONDITIONS, honesty, turns=(calls, calls), label=label, measured_at=AT)
    assert Baseline.from_text(made.to_text(), "it") == made


def test_a_file_is_replaced_as_a_whole_and_keeps_its_rights_and_its_link(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text("old")
    file.chmod(0o640)
    (tmp_path / "link.json").symlink_to(file)
    WHOLE.save(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert file.read_text(encoding="utf-8") == TEXT
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_void_run_is_never_a_file(tmp_path: Path) -> None:
    void = replace(WHOLE, honesty=replace(HONESTY, void=("the generator was the bottleneck",)))
    with pytest.raises(VoidRunError):
        void.save(tmp_path / "one.json")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileError, match="the run was void"):
        Baseline.from_text(changed("honesty.void", ["slow"]), "it")


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    folder, circle = tmp_path / "folder.json", tmp_path / "circle.json"
    folder.mkdir()
    circle.symlink_to(circle)
    for place in (tmp_path / "no" / "one.json", folder, circle, Path("a\0b.json")):
        with pytest.raises(FileError, match=r"cannot be written: .*; give another place"):
            WHOLE.save(place)


def test_what_could_not_be_read_again_is_not_written() -> None:
    for wrong in (replace(HONESTY, little=float("nan")), replace(HONESTY, rate=float("inf"))):
        with pytest.raises(UsageError, match=r"this baseline cannot be kept: honesty.* finite number; measure again"):
            replace(WHOLE, honesty=wrong).to_text()


@pytest.mark.parametrize(
    ("where", "value", "told"),
    [
        ("format", "other", "it is no baseline"),
        ("version", 2, "it has version 2 of the baseline's format, and this workbench reads version 1"),
        ("version", "\x1b[2J" * 90, "it has version"),
        ("figures", [], "figures: "),
        ("figures.0.seconds", -1, r"figures\[0\].seconds: "),
        ("figures.0.seconds", 1e300, "a number is too great"),
        ("figures.0.outcomes.ok", 1, r"figures\[0\].latency: it has 300 calls, and the outcomes are of"),
        ("figures.0.outcomes", {"fine": 300}, r"figures\[0\].outcomes"),
        ("figures.0.latency", "AAAA", r"figures\[0\].latency: no histogram of latencies"),
        ("figures.1.service", 7, r"figures\[1\].service: should be text"),
        ("figures.0.codes", {str(at): 1 for at in range(99)}, r"figures\[0\].codes: "),
        ("measured_at", "2026-03-01T12:00:00", "measured_at: "),
        ("measured_at", "0001-01-01T00:00:00+14:00", "measured_at: should be a time that a calendar has"),
        ("conditions.transport", "pigeon", "conditions.transport: "),
        ("conditions.users", 3, "conditions: an open load has a rate and no users"),
        ("conditions.rate", None, "conditions: an open load has a rate and no users"),
        ("conditions.rate", "inf", "conditions.rate: should be a finite number"),
        ("honesty.little", "NaN", "honesty.little: should be a finite number"),
        ("honesty.nothing", 1, "honesty.nothing: "),
        ("calibration", None, "pairs: they go with a calibration"),
        ("pairs.blocks", -1, "pairs: they have blocks, and at most 20 tools"),
        ("pairs.blocks", 0, "pairs: they have blocks, and at most 20 tools"),
        ("pairs.p50.calibration_ms", 0.0, "pairs: every latency is above 0"),
        ("pairs.quick.target_ms", 0.0, "pairs: every latency is above 0"),
        ("pairs.quick.error", -1.0, "pairs: every latency is above 0, and no error is below"),
        ("pairs.tools.add.target_ms", -1.0, "pairs: every latency is above 0"),
        ("over_time.slice_s", 0, "over_time: slices have some length"),
        ("over_time.slices.0.max_ms", -1, "over_time: slices have some length, and nothing in them is below 0"),
        ("processes", 0, "processes: "),
        ("processes", 16_001, "processes: should be less than or equal to 16000"),
        ("honesty.foreign_share", -1.0, "honesty: foreign_share is below 0, which no share, time or count is"),
        ("honesty.generator_share", -0.1, "honesty: generator_share is below 0"),
        ("honesty.waiting_share", -0.1, "honesty: waiting_share is below 0"),
        ("honesty.worst_share", -0.1, "honesty: worst_share is below 0"),
        ("honesty.server_share", -0.1, "honesty: server_share is below 0"),
        ("honesty.generator_us", -1.0, "honesty: generator_us is below 0"),
        ("honesty.slip_p99_ms", -1.0, "honesty: slip_p99_ms is below 0"),
        ("honesty.dropped", -1, "honesty: dropped is below 0"),
        ("honesty.little", -1.0, "honesty: little is below 0"),
        ("honesty.cores", 0, "honesty: cores is 0, and a machine has one at least"),
        ("honesty.achieved", 601, "honesty: achieved is above offered, of which it is a part"),
        ("honesty.dropped", 601, "honesty: dropped is above offered, of which it is a part"),
        ("honesty.sampled_wrong", 1, "honesty: sampled_wrong is above sampled, of which it is a part"),
        ("extra", 1, "extra: there is no such field"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_the_field(where: str, value: Any, told: str) -> None:
    with pytest.raises(FileError, match=f"^it.*{told}" if not told.startswith("it ") else f"^{told}") as caught:
        Baseline.from_text(changed(where, value), "it")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", "{", "[]", "a: 1", "\x00", "[" * 5_000, '"' + "x" * 100_000])
def test_a_file_that_is_no_baseline_at_all_is_refused(text: str) -> None:
    with pytest.raises(FileError):
        Baseline.from_text(text, "it")


def test_more_slices_than_are_ever_written_are_refused() -> None:
    slices = json.loads(TEXT)["over_time"]["slices"]
    with pytest.raises(FileError, match="over_time: it has more than 60 slices"):
        Baseline.from_text(changed("over_time.slices", slices * 4), "it")


def test_blocks_are_asked_for_only_where_something_was_related() -> None:
    unrelated = {"blocks": 0, "p50": None, "quick": None, "tools": {}}
    assert Baseline.from_text(changed("pairs", unrelated), "it").pairs == Pairs(0, None, None)
    for name in ("p50", "quick", "tools"):
        with pytest.raises(FileError, match="pairs: they have blocks"):
            Baseline.from_text(changed("pairs", unrelated | {name: json.loads(TEXT)["pairs"][name]}), "it")


def test_what_was_measured_in_one_block_by_as_many_processes_as_there_may_be_is_read_and_compared() -> None:
    one = Baseline.from_text(changed("pairs.blocks", 1), "it")
    many = Baseline.from_text(changed("processes", 16_000), "it")
    assert compare_stored(one, many).verdict is Verdict.NOT_ENOUGH


def test_texts_of_a_file_are_made_safe_to_print() -> None:
    for where in ("label", "conditions.target", "conditions.arrivals", "honesty.machine", "calibration.identity"):
        found = Baseline.from_text(changed(where, "\x1b[2J" + "x" * 900), "it")
        assert "\x1b" not in str(found) + found.headline() + repr(found.plot())
    with pytest.raises(FileError, match=r"figures\[0\].tool: "):
        Baseline.from_text(changed("figures.0.tool", "x" * 2_000), "it")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no\.json"):
        Baseline.load(tmp_path / "no.json")


def test_a_file_that_is_not_there_or_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no baseline at '.*none\.json'; check the path, or measure"):
        Baseline.load(tmp_path / "none.json")
    code = tmp_path / "server.py"
    code.write_text("app = server(name: str)\n")
    with pytest.raises(FileError, match=r"server\.py' is no baseline, whose name ends in \.json"):
        Baseline.load(code)
