"""The seven public reference servers, connected for real: each lists, and each named tool answers."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from mcp_workbench import Outcome, Sandbox, Workbench, starting_points
from mcp_workbench.kernel.starting_points import npm_script

# How many resources and prompts they list; the others have none.
LISTED = {"memory": (1, 0), "fetch": (0, 1)}

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.mark.parametrize("name", ["filesystem", "git", "memory", "time", "fetch"])
def test_a_starting_point_connects_lists_and_answers_its_first_call(sandbox: Sandbox, name: str) -> None:
    point = starting_points()[name]
    assert point.missing() is None
    with Workbench(point.target(sandbox)) as bench:
        assert point.first_call.tool in set(bench.tools["name"])
        assert (len(bench.resources), len(bench.prompts)) == LISTED.get(name, (0, 0))
        result = bench.call(point.first_call.tool, point.arguments(sandbox))
        assert result.ok, str(result)
        summary = bench.sample(point.first_call.tool, point.arguments(sandbox), calls=3, progress=False)
        assert summary.ok
        assert summary.tools[0].calls == 3


@pytest.mark.parametrize(
    ("package", "tool", "arguments"),
    [
        ("@modelcontextprotocol/server-everything", "echo", {"message": "hello"}),
        (
            "@modelcontextprotocol/server-sequential-thinking",
            "sequentialthinking",
            {"thought": "begin", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1},
        ),
    ],
)
def test_the_other_reference_servers_connect_list_and_answer(
    package: str, tool: str, arguments: dict[str, Any]
) -> None:
    script = npm_script(package)
    assert script is not None
    with Workbench(["node", str(script)], name="reference") as bench:
        assert tool in set(bench.tools["name"])
        assert bench.call(tool, arguments).ok


def test_the_time_server_answers_the_same_by_command_and_by_configuration(tmp_path: Any) -> None:
    configuration = tmp_path / "clients.json"
    configuration.write_text(
        '{"mcpServers": {"time": {"command": "python", "args": ["-m", "mcp_server_time"], "disabled": false}}}'
    )
    question = {"source_timezone": "Asia/Kolkata", "time": "09:30", "target_timezone": "Asia/Tokyo"}
    targets = [f"{configuration}#time", f"{sys.executable} -m mcp_server_time"]
    answers = []
    for target in targets:
        with Workbench(target) as bench:
            answers.append(bench.call("convert_time", question).structured)
    assert answers[0] == answers[1]
    assert answers[0]["time_difference"] == "+3.5h"


def test_a_server_of_the_handshake_era_and_one_of_today_refuse_in_the_same_words_of_ours(sandbox: Sandbox) -> None:
    points = starting_points()
    outcomes = []
    for name in ("filesystem", "time"):
        with Workbench(points[name].target(sandbox)) as bench:
            outcomes.append(bench.session.call("no_such_tool").outcome)
            outcomes.append(bench.call(points[name].first_call.tool, {}).outcome)
    assert set(outcomes) <= {Outcome.TOOL_ERROR, Outcome.PROTOCOL_ERROR}
