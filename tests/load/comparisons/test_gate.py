"""The gate: a file that says what it means, or which line of it is wrong."""

from pathlib import Path

import pytest

from mcp_workbench.errors import FileError
from mcp_workbench.load.comparisons.gate import GateSettings, Limits, read_gate


def gate(tmp_path: Path, text: str) -> GateSettings:
    file = tmp_path / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    return read_gate(file)


def test_the_file_that_comes_with_the_package_says_what_the_defaults_are() -> None:
    assert read_gate() == GateSettings(limits=Limits(max_error_rate=0.01))


def test_lines_may_be_left_out(tmp_path: Path) -> None:
    found = gate(tmp_path, "p50_margin: 1.1\ntools:\n  add:\n    max_p95_ms: 30\n")
    assert (found.p50_margin, found.p50_found, found.tools["add"].max_p95_ms) == (1.1, 1.2, 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p50_margn: 1.1", "gate.yaml, line 1, p50_margn: there is no such field; did you mean 'p50_margin'?"),
        ("p50_margin: 0.9", "line 1, p50_margin: should be greater than or equal to 1"),
        ("p50_margin: '1.1'", "line 1, p50_margin: should be a valid number"),
        ("tail_found: 1.05", "line 1, tail_found: is not above tail_margin, 1.08; give a greater number"),
        ("judge_tail: sometimes", "line 1, judge_tail: should be 'when possible', 'always' or 'never'"),
        ("limits:\n  max_p95: 3", "line 2, limits.max_p95: there is no such field; did you mean 'max_p95_ms'?"),
        (
            "tools:\n  add:\n    max_error_rate: 1.5",
            "line 3, tools.add.max_error_rate: should be less than or equal to 1",
        ),
        ("limits: 3", "line 1, limits: should be a mapping"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(FileError) as caught:
        gate(tmp_path, text)
    assert words in str(caught.value)
