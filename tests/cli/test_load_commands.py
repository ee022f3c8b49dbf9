"""``mcp-workbench baseline``, ``compare``, ``gate`` and ``trend``: what they print and write, and how they end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import junitparser
import psutil
import pytest
import typer

from mcp_workbench import Workbench
from mcp_workbench.cli.main import app
from mcp_workbench.cli.terminal import FOUND, UNDECIDED
from mcp_workbench.load.baselines.baseline import Baseline
from mcp_workbench.load.baselines.history import History

Run = Callable[..., tuple[int, str, str]]

FILE = Path(__file__).parents[1] / "example_servers.py"
ECHOING = f"{FILE}:server"
ADD = ("--tool", "add", "--args", '{"a": 1}')
# Of a server and itself no verdict is certain: noise may be loud.
VERDICTS = {"no regression": 0, "regression": FOUND, "not enough data": UNDECIDED}
QUICK = ("--duration", "0.3", "--warm-up", "0.02", "--no-calibration")


@pytest.fixture(scope="module")
def stored(http_address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a baseline with a calibration server beside it, and one failed call in three."""
    with Workbench(http_address) as bench:
        sets: list[dict[str, object]] = [{"a": 1}, {"a": 2}, {"a": "one"}]
        measured = bench.baseline("add", sets, rate=200, duration=0.4, warm_up=0.05, label="1.0")
    # Void or not is not what is tested: tests share the machine with other tests.
    measured = replace(measured, honesty=replace(measured.honesty, void=()))
    return measured.save(tmp_path_factory.mktemp("baselines") / "stored.json")


# Measuring.


def ran_unless_void(run: Run, *words: str) -> tuple[int, str, str]:
    """Run the command again if other tests kept the load generator from the processors, which makes a load void."""
    for _ in range(4):
        said = run(*words)
        if said[0] != UNDECIDED:
            break
    return said


def test_a_baseline_is_a_table_how_it_was_measured_and_a_file(run: Run, http_address: str, tmp_path: Path) -> None:
    file = tmp_path / "first.json"
    words = ("--rate", "100", "--arrivals", "constant", "--label", "1.4", "-o", str(file))
    history = tmp_path / "history.sqlite"
    code, out, err = ran_unless_void(run, "baseline", http_address, *ADD, *words, *QUICK, "--history", str(history))
    assert code == 0
    assert re.match(r"\S+ 1\.4: 30 calls of add over http, own process, open at 100 a second \(constant\): p50 ", out)
    assert re.search(r"│ add +│ 30 +│ [\d.]+ +│ 0 +│ 0\.0% ", out)
    assert "How it was measured" in out
    assert re.search(r"│ void +│ no ", out)
    assert err == f"{file}: a baseline of 30 calls\n{history}: baseline 1\n"
    assert Baseline.load(file) == History(history).baselines()[0]
    assert Baseline.load(file).label == "1.4"


def test_a_baseline_is_kept_even_if_nobody_reads_its_table(tmp_path: Path, http_address: str) -> None:
    file = tmp_path / "kept.json"
    words = [*ADD, "--rate", "100", *QUICK, "-o", str(file)]
    for _ in range(4):
        reads, writes = os.pipe()
        os.close(reads)
        command = [sys.executable, "-m", "mcp_workbench.cli", "baseline", http_address, *words]
        with os.fdopen(writes, "wb") as nobody:
            ended = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, text=True, timeout=60)
        if "void" not in ended.stderr:
            break
    assert "Traceback" not in ended.stderr
    assert Baseline.load(file).whole.calls > 0


def test_failed_calls_of_a_baseline_are_json_for_programs_and_exit_with_0(run: Run) -> None:
    words = ("--tool", "fail", "--concurrency", "1", *QUICK, "--json", "--http")
    code, out, err = ran_unless_void(run, "baseline", ECHOING, *words)
    told = json.loads(out)
    assert (code, err, out.isascii()) == (0, "", True)
    assert (told["ok"], told["conditions"]["transport"]) == (False, "in-kernel-http")
    assert told["rows"][0]["tool_error"] == told["rows"][0]["calls"] > 0


@pytest.fixture
def instant() -> Iterator[str]:
    """The address of a server that is quicker than the load generator."""
    command = [sys.executable, str(FILE.with_name("instant_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/mcp"
        server.kill()


def test_a_void_load_exits_with_4_and_writes_nothing(run: Run, instant: str, tmp_path: Path) -> None:
    file = tmp_path / "void.json"
    code, out, err = run("baseline", instant, "--tool", "nothing", "--rate", "100000", *QUICK, "-o", str(file))
    assert code == 4
    assert "VOID: the" in out
    assert err.startswith("the run is void, so nothing is written")
    assert not file.exists()


def test_a_load_without_a_call_exits_with_4_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    code, _, err = run("baseline", ECHOING, *ADD, "--rate", "0.01", *QUICK, "-o", str(file))
    assert code == 4
    assert err.startswith("no call was made, so nothing is written")
    assert not file.exists()


def test_the_interrupt_key_ends_a_load_its_generator_and_its_server(tmp_path: Path) -> None:
    file = tmp_path / "interrupted.json"
    server = f"{sys.executable} {FILE} stdio"
    command = [sys.executable, "-m", "mcp_workbench.cli", "baseline", server, *ADD, "--rate", "20", "-o", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        began: list[psutil.Process] = []
        # The command's own server, the generator, and the generator's server.
        while len(began) < 3:
            assert running.poll() is None
            time.sleep(0.02)
            began = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert (out, b"Traceback" in err) == (b"", False)
    assert psutil.wait_procs(began, timeout=5)[1] == []
    assert not file.exists()


# Comparing.


def test_two_targets_are_compared_live_and_the_verdict_is_the_exit_code(
    run: Run, http_address: str, tmp_path: Path
) -> None:
    junit, gate = tmp_path / "compared.xml", tmp_path / "gate.yaml"
    # Of so short a run only what no noise can change.
    gate.write_text(
        "least_pairs: 2\nleast_calls: 10\njudge_tail: never\np50_margin: 50\np50_found: 100\ntail_margin: 50\n"
        "tail_found: 100\nerrors_found: 0.99\nstall_margin: 1.0\n"
    )
    words = ("--rate", "200", "--duration", "0.5", "--warm-up", "0.02", "--gate", str(gate), "--junit", str(junit))
    code, out, err = run("compare", http_address, http_address, *ADD, *words)
    assert (code, err) == (0, "")
    assert out.startswith("no regression: p50 is ")
    assert re.search(r"│ p50 ms +│ \(all\) ", out)
    assert re.search(r"s of each; 1 process against 1; http, own process, open at 200 a second \(poisson\)\n", out)
    assert "Live comparisons of a server with itself" in out
    assert re.search(r"How it was measured\n(?s:.*)│ void +│ no +│ no ", out)
    assert {case.name for suite in junitparser.JUnitXml.fromfile(str(junit)) for case in suite} >= {"p50", "errors"}


def test_a_candidate_that_fails_more_often_than_the_stored_baseline_is_a_regression(
    run: Run, stored: Path, tmp_path: Path
) -> None:
    worse = tmp_path / "worse.json"
    told = json.loads(stored.read_text())
    for figures in told["figures"]:
        calls = sum(figures["outcomes"].values())
        figures["outcomes"] = {"ok": 1, "tool_error": calls - 1}
    worse.write_text(json.dumps(told))
    code, out, err = run("compare", str(stored), str(worse), "--json")
    told = json.loads(out)
    assert (code, err) == (1, "")
    assert told["verdict"] == "regression"
    assert (told["baseline"], told["candidate"]) == ("1.0 (baseline)", "1.0 (candidate)")


def test_a_target_is_called_as_the_stored_baseline_was(run: Run, http_address: str, stored: Path) -> None:
    arguments = '[{"a": 1}, {"a": 2}, {"a": "one"}]'
    words = ("--tool", "add", "--args", arguments, "--warm-up", "0.02", "--json")
    code, out, err = run("compare", str(stored), http_address, *words)
    told = json.loads(out)
    assert (code, err) == (VERDICTS[told["verdict"]], "")
    assert told["conditions"] == "http, own process, open at 200 a second (poisson)"


# The gate.


@pytest.mark.parametrize(
    ("limits", "code", "words"),
    [
        ("{min_rate: 1, max_error_rate: 0.9}", 4, "not enough data: min_rate of (all)"),
        ("{max_error_rate: 0.9}", 0, "passed: 1 limit kept"),
        ("{max_p50_ms: 0.001}", 1, "failed: max_p50_ms of (all)"),
        ("{max_p99_ms: 10000}", 4, "not enough data: max_p99_ms of (all)"),
    ],
    ids=["too many failed", "kept", "broken", "too few calls"],
)
def test_a_baseline_is_held_against_limits(
    run: Run, stored: Path, tmp_path: Path, limits: str, code: int, words: str
) -> None:
    thresholds, junit = tmp_path / "thresholds.yaml", tmp_path / "gate.xml"
    thresholds.write_text(f"limits: {limits}\n")
    left, out, err = run("gate", str(stored), "--gate", str(thresholds), "--junit", str(junit))
    assert (left, err) == (code, "")
    assert out.startswith(words)
    failures = sum(suite.failures for suite in junitparser.JUnitXml.fromfile(str(junit)))
    assert failures == (code != 0)


def test_the_verdict_is_printed_though_its_file_cannot_be_written(run: Run, stored: Path, tmp_path: Path) -> None:
    junit = tmp_path / "gate.xml"
    # Looks like a place for a file until it is written.
    junit.symlink_to(tmp_path / "no_such_folder" / "gate.xml")
    for words in (["gate", str(stored)], ["compare", str(stored), str(stored)]):
        code, out, err = run(*words, "--junit", str(junit))
        assert code == 2
        assert out.startswith(("failed: max_error_rate", "no regression", "not enough data"))
        assert "gate.xml' cannot be written" in err


def test_without_thresholds_few_calls_may_fail(run: Run, stored: Path) -> None:
    code, out, _ = run("gate", str(stored), "--json")
    assert (code, json.loads(out)["verdict"]) == (1, "regression")


def test_thresholds_that_limit_nothing_hold_nothing(run: Run, stored: Path, tmp_path: Path) -> None:
    thresholds = tmp_path / "thresholds.yaml"
    thresholds.write_text("p50_margin: 1.05\n")
    code, out, err = run("gate", str(stored), "--gate", str(thresholds))
    assert (code, out) == (2, "")
    assert err.endswith("limits nothing; write a limit below 'limits:', such as max_p95_ms: 50\n")


# The trend.


def test_a_history_is_a_trend_that_names_the_step(run: Run, stored: Path, tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    history, first = History(file), Baseline.load(stored)
    assert first.pairs is not None
    assert first.pairs.p50 is not None
    slower = replace(first.pairs, p50=replace(first.pairs.p50, target_ms=2 * first.pairs.p50.target_ms))
    for number in range(8):
        pairs = first.pairs if number < 4 else slower
        at = first.measured_at + timedelta(days=number)
        history.add(replace(first, label=f"1.{number}", measured_at=at, pairs=pairs))
    code, out, err = run("trend", str(file))
    assert (code, err) == (0, "")
    assert out.startswith("p50: a step of 2.00 x at 1.4, and none since")
    assert "2.00 x from here on" in out
    assert json.loads(run("trend", str(file), "--measure", "error rate", "--json")[1])["steps"] == []
    # Of another target, and newer than all.
    conditions = replace(first.conditions, target="desk")
    history.add(replace(first, conditions=conditions, measured_at=first.measured_at + timedelta(days=9)))
    assert run("trend", str(file))[1].startswith("p50: too few to say: 1 release")
    code, out, err = run("trend", str(file), "--target", first.conditions.target)
    assert (code, err, out.partition(",")[0]) == (0, "", "p50: a step of 2.00 x at 1.4")


# Wrong usage.

RATE = ("--rate", "10")
# Nothing answers there.
GONE = "http://127.0.0.1:9/mcp"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["baseline", ECHOING, *RATE], 2, "nothing says what is called; give --tool TOOL"),
        (["baseline", ECHOING, *ADD], 2, "nothing says how hard is called; give --rate R"),
        (["baseline", ECHOING, *ADD, *RATE, "--concurrency", "2"], 2, "--rate makes an open load and --concurrency"),
        (["baseline", ECHOING, *ADD, "--rate", "-3"], 2, "rate=-3.0 makes no load; give calls a second from 0.01"),
        (["baseline", ECHOING, *ADD, "--rate", "nan"], 2, "rate=nan makes no load"),
        (["baseline", ECHOING, *ADD, *RATE, "--duration", "0"], 2, "duration=0.0 makes no load; give seconds from 0.1"),
        (["baseline", ECHOING, *ADD, *RATE, "--seed", "-1"], 2, "seed=-1 makes no load"),
        (["baseline", ECHOING, *ADD, *RATE, "--workload", "mix.yaml"], 2, "--workload and --tool both say what"),
        (["baseline", ECHOING, "--args", "{}", *RATE], 2, "--args are those of a tool; give --tool, too"),
        (["baseline", ECHOING, "--workload", "no_such.yaml", *RATE], 2, "no_such.yaml"),
        (["baseline", ECHOING, "--tool", "add", "--args", "{'a'", *RATE], 2, "--args is no JSON: Expecting property"),
        (["baseline", ECHOING, "--tool", "add", "--args", "3", *RATE], 2, "--args is a JSON int; write an object"),
        (["baseline", ECHOING, "--tool", "add", "--args", "[]", *RATE], 2, "there are 0 sets of arguments"),
        (["baseline", ECHOING, "--tool", "add", "--args", "examples", *RATE], 2, "there is no contract; give one"),
        (["baseline", ECHOING, "--tool", "ad", *RATE], 2, "has no tool 'ad'; did you mean 'add'?"),
        (["baseline", ECHOING, *ADD, *RATE, "--contract", "no_such.yaml"], 2, "no_such.yaml"),
        (["baseline", ECHOING, *ADD, *RATE, "-o", "first.txt"], 2, "'first.txt' does not end in .json"),
        (["baseline", ECHOING, *ADD, *RATE, "-o", "no_such/first.json"], 2, "there is no folder 'no_such'"),
        (["baseline", ECHOING, *ADD, *RATE, "--history", str(FILE)], 2, "example_servers.py"),
        (["baseline", GONE, *ADD, *RATE], 3, "nothing answers there"),
        (["compare", ECHOING, ECHOING, *RATE], 2, "nothing says what is called; a target needs --tool TOOL"),
        (["compare", ECHOING, ECHOING, *ADD], 2, "nothing says how hard is called"),
        (["compare", "no_such.json", ECHOING, *ADD], 2, "there is no baseline at 'no_such.json'"),
        (["compare", ECHOING, GONE, *ADD, *RATE], 3, "nothing answers there"),
        (["compare", ECHOING, ECHOING, *ADD, *RATE, "--gate", "no_such.yaml"], 2, "no_such.yaml"),
        (["compare", GONE, GONE, *ADD, *RATE, "--junit", "no_such/x.xml"], 2, "there is no folder 'no_such'"),
        (["compare", GONE, GONE, *ADD, *RATE, "--junit", str(FILE.parent)], 2, "is a folder; give a file"),
        (["compare", GONE, GONE, *ADD, *RATE, "--junit", "x" * 300], 2, "cannot be written: "),
        (["gate", "no_such.json", "--junit", "no_such/x.xml"], 2, "there is no folder 'no_such'"),
        (["trend", "no_such.sqlite"], 2, "there is no history at 'no_such.sqlite'"),
        (["trend", str(FILE)], 2, "example_servers.py"),
        (["gate", "no_such.json"], 2, "no_such.json"),
        (["gate", str(FILE.parents[1] / "data" / "gates" / "default.yaml")], 2, "is no baseline"),
    ],
)
def test_every_error_is_one_sentence_and_an_exit_code(run: Run, words: list[str], code: int, sentence: str) -> None:
    left, out, err = run(*words)
    assert (left, out) == (code, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_two_baselines_are_compared_as_they_were_measured(run: Run, stored: Path) -> None:
    code, out, err = run("compare", str(stored), str(stored), "--duration", "3")
    assert (code, out) == (2, "")
    assert err.startswith("two baselines are compared as they were measured")


def test_other_populations_are_refused_by_name_before_anything_is_called(run: Run, stored: Path) -> None:
    code, out, err = run("compare", str(stored), ECHOING, *ADD)
    assert (code, out) == (2, "")
    assert "different populations (transport 'http' against 'in-process'; placement" in err


# What the help says.


def test_the_help_says_of_each_option_what_the_command_does_with_it() -> None:
    commands = typer.main.get_command(app).commands
    helps = {
        name: {option.name: option.help for option in commands[name].params}
        for name in ("baseline", "compare", "capacity", "gate")
    }
    assert helps["compare"]["thresholds"] == (
        "What counts as a regression: YAML, as in data/gates; its limits are for `gate`."
    )
    assert helps["gate"]["thresholds"] == "What counts as a regression, and limits: YAML, as in data/gates."
    for name in ("baseline", "compare", "capacity"):
        assert helps[name]["timeout"] == "For connecting and listing; calls of the load have --call-timeout."


# Capacity.


def test_a_capacity_is_a_table_and_the_rate_that_is_the_knee(run: Run) -> None:
    words = ("--stage", "0.1", "--resolution", "0.4", "--limit", "1", "--start-rate", "50", "--max-rate", "70")
    code, out, err = ran_unless_void(run, "capacity", ECHOING, *ADD, *words, "--http")
    assert (code, err) == (0, "")
    # The server takes far more, unless the machine has no time for it.
    assert re.search(r": [0-9.]+ calls/s.*; (all rates hold, up to 70 calls/s, the most|beyond it answers do not)", out)
    assert "How the last run was measured" in out
    assert re.search(r"│ conditions +│ in-kernel-http, in the kernel, open \(poisson\), protocol 20", out)


def test_a_tool_that_only_fails_has_no_capacity_and_exits_with_4(run: Run) -> None:
    words = ("--stage", "0.1", "--limit", "1", "--start-rate", "50", "--max-rate", "70", "--json")
    code, out, _ = run("capacity", ECHOING, "--tool", "fail", *words, "--http")
    assert (code, json.loads(out)["knee"]) == (UNDECIDED, None)


def test_what_makes_no_ramp_is_refused_before_anything_is_opened(run: Run) -> None:
    code, out, err = run("capacity", GONE, *ADD, "--stage", "0")
    assert (code, out) == (2, "")
    assert "stage=0.0 makes no ramp" in err
    code, _, err = run("capacity", GONE)
    assert (code, "nothing says what is called" in err) == (2, True)
