"""``mcp-workbench contract``: what it prints and writes, and with which exit code it ends."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import junitparser
import pytest

from mcp_workbench import ContractBook, read_book, write_book
from mcp_workbench.contracts.files import contract_schema

Run = Callable[..., tuple[int, str, str]]

SERVER = """
from typing import Annotated
from pydantic import BaseModel, Field
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("station", version="1.0.0", log_level="ERROR")

class Weather(BaseModel, extra="forbid"):
    celsius: float

@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def weather(city: Annotated[str, Field(max_length=MAX, description="Where.")]) -> Weather:
    \"\"\"Tell the weather of a city.\"\"\"
    return Weather(celsius=len(city))
"""


@pytest.fixture
def target(tmp_path: Path) -> Callable[[int], str]:
    """A server whose argument may have so many characters."""

    def made(longest: int) -> str:
        file = tmp_path / f"server_{longest}.py"
        file.write_text(SERVER.replace("MAX", str(longest)))
        return f"{file}:server"

    return made


def test_a_draft_is_a_contract_on_standard_output_or_in_a_file(
    run: Run, target: Callable[[int], str], tmp_path: Path
) -> None:
    file = tmp_path / "station.yaml"
    code, out, err = run("contract", "draft", target(80), "-o", str(file))
    assert (code, out) == (0, "")
    assert "station: 5 of 8 parts are stated" in err
    assert read_book(file)["weather"].effects == "read"
    code, out, err = run("contract", "draft", target(80))
    assert (code, err) == (0, "")
    assert out == file.read_text()


def test_a_file_that_people_may_have_filled_is_not_overwritten(
    run: Run, target: Callable[[int], str], tmp_path: Path
) -> None:
    file = tmp_path / "station.yaml"
    file.write_text("mine")
    code, out, err = run("contract", "draft", target(80), "-o", str(file))
    assert (code, out) == (2, "")
    assert "is there already" in err
    assert file.read_text() == "mine"
    assert run("contract", "draft", target(80), "-o", str(file), "--force")[0] == 0
    assert isinstance(read_book(file), ContractBook)


def test_an_audit_names_the_gaps_of_a_server_and_of_its_draft_alike(
    run: Run, target: Callable[[int], str], tmp_path: Path
) -> None:
    file = tmp_path / "station.yaml"
    run("contract", "draft", target(80), "-o", str(file))
    code, live, err = run("contract", "audit", target(80), "--json")
    assert (code, err) == (1, "")
    assert run("contract", "audit", str(file), "--json") == (1, live, "")
    findings = json.loads(live)["rows"]
    assert {"error", "warning"} <= {row["severity"] for row in findings}
    code, out, _ = run("contract", "audit", str(file))
    assert code == 1
    assert "failure" in out


def test_an_audit_fails_from_the_severity_that_is_asked_for(
    run: Run, target: Callable[[int], str], tmp_path: Path
) -> None:
    file = tmp_path / "station.yaml"
    run("contract", "draft", target(80), "-o", str(file))
    book = read_book(file)
    filled = book["weather"].filled(
        idempotency="natural",
        open_world=False,
        failures=[{"code": "unknown_city", "when": "No such city.", "retryable": False, "caller": "Ask again."}],
        examples=[{"arguments": {"city": "Bern"}}],
    )
    write_book(book.with_tool(filled), file)
    assert run("contract", "audit", str(file))[0] == 0
    assert run("contract", "audit", str(file), "--fail-on", "warning")[0] == 1
    assert run("contract", "audit", str(file), "--fail-on", "never")[0] == 0
    assert run("contract", "audit", str(file), "--fail-on", "perfection")[0] == 2


def test_a_check_is_good_until_server_and_contract_part(run: Run, target: Callable[[int], str], tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    run("contract", "draft", target(80), "-o", str(file))
    code, out, err = run("contract", "check", str(file), target(80))
    assert (code, out, err) == (0, "contract 0.1.0 against 'station' 1.0.0: no difference in 1 tools\n", "")
    code, out, err = run("contract", "check", str(file), target(40), "--json")
    assert (code, err) == (1, "")
    read = json.loads(out)
    assert (read["ok"], read["step"], read["next_version"]) == (False, "major", "0.2.0")
    assert next((row["where"], row["class"]) for row in read["rows"]) == ("input: city", "breaking")
    # A server that accepts more than it promises breaks nobody, unless one wants to hear of that too.
    assert run("contract", "check", str(file), target(120))[0] == 0
    assert run("contract", "check", str(file), target(120), "--fail-on", "compatible")[0] == 1
    assert run("contract", "check", str(file), target(40), "--fail-on", "never")[0] == 0


def test_a_contract_follows_a_change_that_was_meant_and_then_checks_clean(
    run: Run, target: Callable[[int], str], tmp_path: Path
) -> None:
    file, other = tmp_path / "station.yaml", tmp_path / "other.yaml"
    run("contract", "draft", target(80), "-o", str(file))
    before = file.read_text()
    code, out, err = run("contract", "update", str(file), target(40), "-o", str(other))
    assert code == 0
    assert "maxLength lowered from 80 to 40" in " ".join(out.split())
    assert "version 0.1.0 to 0.2.0" in err
    assert file.read_text() == before
    assert run("contract", "check", str(other), target(40))[0] == 0
    _, out, err = run("contract", "update", str(other), target(40))
    assert "no difference" in out
    assert "version 0.2.0 stays" in err
    assert run("contract", "update", str(file), target(40))[0] == 0
    assert read_book(file) == read_book(other)


def test_a_contract_keeps_naming_its_schema_for_editors_and_a_draft_names_the_one_beside_it(
    run: Run, target: Callable[[int], str], tmp_path: Path
) -> None:
    file, line = tmp_path / "station.yaml", "# yaml-language-server: $schema="
    run("contract", "draft", target(80), "-o", str(file))
    assert not file.read_text().startswith(line)
    run("contract", "schema", "-o", str(tmp_path / "contract.schema.json"))
    run("contract", "draft", target(80), "-o", str(file), "--force")
    assert file.read_text().startswith(f"{line}contract.schema.json\n")
    file.write_text(file.read_text().replace("contract.schema.json", "../other.json", 1))
    run("contract", "update", str(file), target(40))
    assert file.read_text().startswith(f"{line}../other.json\n")


def test_two_contracts_are_compared_and_the_version_may_be_the_bar(
    run: Run, target: Callable[[int], str], tmp_path: Path
) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    run("contract", "draft", target(80), "-o", str(old))
    run("contract", "draft", target(40), "-o", str(new))
    code, out, _ = run("contract", "diff", str(old), str(new))
    assert code == 1
    assert "raises the middle number), and 0.1.0 is too low" in " ".join(out.split())
    report = tmp_path / "report.xml"
    assert run("contract", "diff", str(old), str(new), "--fail-on", "version", "--junit", str(report))[0] == 1
    (suite,) = junitparser.JUnitXml.fromfile(str(report))
    assert [case.name for case in suite if case.result] == ["version"]
    stepped = read_book(new).model_copy(update={"contract": "0.2.0"})
    write_book(stepped, new)
    assert run("contract", "diff", str(old), str(new), "--fail-on", "version")[0] == 0
    assert run("contract", "diff", str(old), str(new))[0] == 1
    assert run("contract", "diff", str(old), str(old))[0] == 0


def test_junit_has_a_case_a_tool_that_fails_by_the_bar(run: Run, target: Callable[[int], str], tmp_path: Path) -> None:
    file, report = tmp_path / "station.yaml", tmp_path / "report.xml"
    run("contract", "draft", target(80), "-o", str(file))
    counted = []
    commands: list[list[str]] = [
        ["check", str(file), target(40)],
        ["check", str(file), target(40), "--fail-on", "never"],
        ["diff", str(file), str(file)],
        ["audit", str(file)],
        ["audit", str(file), "--fail-on", "never"],
    ]
    for words in commands:
        run("contract", *words, "--junit", str(report))
        (suite,) = junitparser.JUnitXml.fromfile(str(report))
        counted.append((suite.tests, suite.failures))
    assert counted == [(1, 1), (1, 0), (1, 0), (1, 1), (1, 0)]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["check", "nowhere.yaml", "x.py:server"], 2, "nowhere.yaml"),
        (["check", "{file}", f"{sys.executable} -c pass"], 3, ""),
        (["audit", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["audit", f"{sys.executable} -c pass"], 3, ""),
        (["audit", "{broken}"], 2, "line 2"),
        (["diff", "{file}", "{broken}"], 2, "line 2"),
        (["draft", f"{sys.executable} -c pass"], 3, ""),
        (["draft", "{target}", "-o", "/nowhere/at/all.yaml"], 2, "/nowhere/at/all.yaml"),
        (["check", "{file}", "{target}", "--junit", "/nowhere/at/all.xml"], 2, "cannot be written"),
        (["schema", "-o", "/nowhere/at/all.json"], 2, "cannot be written"),
    ],
)
def test_what_goes_wrong_is_one_sentence_on_standard_error(
    run: Run, target: Callable[[int], str], tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    file, broken = tmp_path / "station.yaml", tmp_path / "broken.yaml"
    run("contract", "draft", target(80), "-o", str(file))
    broken.write_text("server: {name: x}\ntools: 3\n")
    places = {"file": file, "broken": broken, "target": target(80)}
    ended, out, err = run("contract", *(word.format(**places) if "{" in word else word for word in words))
    assert (ended, out) == (code, "")
    assert told in err
    assert len(err.splitlines()) == 1, err
    assert "Traceback" not in err


def test_the_schema_of_contract_files_is_printed_or_written_for_editors(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("contract", "schema")
    assert code == 0
    assert json.loads(out) == contract_schema()
    file = tmp_path / "schema.json"
    assert run("contract", "schema", "-o", str(file))[:2] == (0, "")
    assert json.loads(file.read_text()) == contract_schema()


HOSTILE = """
from mcp.server.mcpserver import MCPServer

EVIL = "\\x1b]0;owned\\x07\\x1b[2J\\u202e<b>[red]"
server = MCPServer("evil" + EVIL, log_level="ERROR")
for number in range(3):
    server.add_tool(lambda text: text, name=f"evil{number}" + EVIL, description=EVIL * (1 + 200_000 * (number == 2)))
"""


@pytest.mark.no_cover
@pytest.mark.parametrize("words", [["draft"], ["audit"], ["audit", "--json"], ["check", "{file}"]])
def test_what_a_hostile_server_lists_reaches_the_terminal_as_visible_text(
    run: Run, target: Callable[[int], str], tmp_path: Path, words: list[str]
) -> None:
    file, server = tmp_path / "station.yaml", tmp_path / "hostile.py"
    run("contract", "draft", target(80), "-o", str(file))
    server.write_text(HOSTILE)
    code, out, err = run("contract", *(word.format(file=file) for word in words), f"{server}:server")
    assert (code, err) == (0 if words == ["draft"] else 1, "")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out)
    assert "owned" in out
    if words == ["draft"]:
        (tmp_path / "out.yaml").write_text(out)
        assert len(read_book(tmp_path / "out.yaml").tools) == 3


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
ONE = "server: {name: x}\ncontract: 1.0.0\ntools:\n  - name: t\n    input_schema: "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: [x", "line 1"),
        ("just words", "should be a mapping"),
        ("- a list", "should be a mapping"),
        ("server: {name: x}\ntools: {}\n", "tools"),
        (BOMB, "aliases"),
        ("a: &a [*a]\n", "stands inside of what it stands for"),
        ("[" * 100_000, "deep"),
        (ONE + "{}\n  - name: t\n", "twice"),
        (ONE + "{}\nfoo: 1\n", "foo"),
        ("!!python/object/apply:os.system ['true']", "tag"),
        ("\x00", "line 1"),
        ("", "there is nothing in it"),
    ],
    ids=lambda value: None if len(str(value)) > 20 else str(value),
)
def test_a_file_that_is_no_contract_is_one_sentence_and_exit_code_2(
    run: Run, tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    for words in (["audit", str(file)], ["check", str(file), "x.py:server"], ["diff", str(file), str(file)]):
        code, out, err = run("contract", *words)
        assert (code, out, len(err.splitlines())) == (2, "", 1), err
        assert told in err
        assert str(file) in err


@pytest.mark.parametrize(
    "schema",
    [
        "{type: strng}",
        "{properties: 5}",
        "{$ref: '#/$defs/Nowhere'}",
        "{$ref: '#'}",
        "{$ref: 'file:///etc/passwd'}",
        "{type: object, properties: {next: {$ref: '#'}}}",
        "{pattern: '(a+)+$', type: string}",
        "{allOf: [{$ref: '#'}, {$ref: '#'}]}",
    ],
)
def test_a_schema_that_is_none_or_leads_in_circles_is_a_finding(run: Run, tmp_path: Path, schema: str) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(f"{ONE}{schema}\n")
    new.write_text(ONE + "{type: object, properties: {a: {type: string}}}\n")
    code, out, err = run("contract", "audit", str(old), "--json")
    assert (code, err) == (1, "")
    found = [row for row in json.loads(out)["rows"] if row["where"].startswith("input")]
    assert found
    assert run("contract", "diff", str(old), str(old))[0] == 0
    assert run("contract", "diff", str(old), str(new))[::2] in ((0, ""), (1, ""))
