"""What is called under load, read from files and resolved against what a server lists."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from mcp_types import Tool, ToolAnnotations

from mcp_workbench import Workbench
from mcp_workbench.contracts.files import read_book
from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.desk import contract_file, incident_desk
from mcp_workbench.errors import ArgumentsError, FileError, UnknownToolError, UsageError
from mcp_workbench.load.generator.references import fill
from mcp_workbench.load.plan import Operation, Step
from mcp_workbench.load.workloads.resolving import Resolved, resolve
from mcp_workbench.load.workloads.workload import Workload, one_call, read_workload
from mcp_workbench.workbook import shipped

ADD = Tool(
    name="add",
    input_schema={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    },
)
SUB = Tool(name="sub", input_schema={"type": "object"})
TOOLS = [ADD, SUB]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "load.yaml") -> Path:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture(scope="module")
def desk() -> ContractBook:
    return read_book(contract_file())


def listed(book: ContractBook) -> list[Tool]:
    return [Tool(name=tool.name, input_schema=tool.input_schema or {}) for tool in book.tools]


def book_of(*examples: dict[str, Any], **parts: Any) -> ContractBook:
    tool = {"name": "add", "examples": list(examples), **parts}
    return ContractBook.model_validate({"server": {"name": "s"}, "tools": [tool]})


def test_one_call_is_one_operation_of_one_step() -> None:
    resolved = resolve(one_call("add", {"a": 1}), TOOLS)
    assert resolved.operations == (Operation("add", 1.0, (Step("add", ({"a": 1},)),)),)
    assert (resolved.words, resolved.notes) == ("add", ())


@pytest.mark.parametrize("given", [[{"a": 1}, {"a": 2}], ({"a": 1}, {"a": 2})])
def test_one_call_may_draw_from_several_arguments(given: Any) -> None:
    assert resolve(one_call("add", given), TOOLS).operations[0].steps[0].arguments == ({"a": 1}, {"a": 2})


def test_one_call_without_arguments_sends_none() -> None:
    assert resolve(one_call("sub"), TOOLS).operations[0].steps[0].arguments == ({},)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("exampels", "'exampels' is no arguments; write a mapping or a list of mappings, or examples, generated"),
        ([], "there are 0 sets"),
        ([{}] * 10_001, "there are 10,001 sets"),
        ([1], "these are no arguments"),
        (3, "these are no arguments"),
        ({"a": {1, 2}}, "not JSON"),
        ({"a": float("nan")}, "argument 'a'"),
    ],
)
def test_arguments_that_are_none_are_refused_in_words(arguments: Any, why: str) -> None:
    with pytest.raises(ArgumentsError, match=why):
        one_call("add", arguments)


@pytest.mark.parametrize("name", ["", 3, "x" * 201])
def test_a_name_that_is_none_is_refused(name: Any) -> None:
    with pytest.raises(UsageError, match="the name of a tool"):
        one_call(name)


def test_a_file_is_read_with_shares_flows_and_pauses(write: Write) -> None:
    workload = read_workload(
        write("""
            name: mixed
            calls:
              - {tool: add, weight: 3, arguments: {a: 1}}
              - {tool: sub, arguments: [{x: 1}, {x: 2}]}
            flows:
              - name: both
                weight: 0.5
                steps:
                  - {tool: add, arguments: {a: 1}, keep: sum}
                  - {tool: sub, arguments: {from: "${sum.result}", key: "k-${unique}"}, think_ms: 50}
        """)
    )
    assert resolve(workload, TOOLS).operations == (
        Operation("add", 3.0, (Step("add", ({"a": 1},)),)),
        Operation("sub", 1.0, (Step("sub", ({"x": 1}, {"x": 2})),)),
        Operation(
            "both",
            0.5,
            (
                Step("add", ({"a": 1},), "sum"),
                Step("sub", ({"from": "${sum.result}", "key": "k-${unique}"},), "", 0.05),
            ),
        ),
    )


FLOW = "name: x\nflows:\n  - name: f\n    steps:\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: x", "line 1: nothing is called; write calls, or flows"),
        ("calls: [{tool: add}]", "name: is missing"),
        ("name: x\ncalls:\n  - tool: add\n    weigth: 2", "line 4, calls[0].weigth: there is no such field"),
        ("name: x\ncalls:\n  - tool: add\n    weight: 0", "line 4, calls[0].weight"),
        ("name: x\ncalls:\n  - tool: add\n    weight: true", "line 4, calls[0].weight"),
        ("name: x\ncalls:\n  - tool: add\n    arguments: 3", "line 4, calls[0].arguments: these are no arguments"),
        ("name: x\ncalls:\n  - tool: add\n    arguments: []", "there are 0 sets of arguments; write 1 to 10,000"),
        ("name: x\ncalls:\n  - tool: add\n    arguments: [{}, 1]", "calls[0].arguments: these are no arguments"),
        ("name: x\ncalls:\n  - tool: add\n    arguments: made", "line 4, calls[0].arguments: 'made' is no arguments"),
        (FLOW + "      []", "line 4, flows[0].steps: there are 0 steps; write 1 to 100"),
        (FLOW + "      - {tool: add, keep: a b}", "line 5, flows[0].steps[0].keep: nothing can be kept as 'a b'"),
        (FLOW + "      - {tool: add, keep: unique}", "line 4, flows[0].steps: 'unique' is kept by the generator"),
        (FLOW + "      - {tool: add, think_ms: -1}", "flows[0].steps[0].think_ms"),
        (FLOW + "      - {tool: add, keep: a}\n      - {tool: add, keep: a}", "flows[0].steps: two of them keep 'a'"),
        (
            FLOW + "      - {tool: add, keep: a}\n      - tool: add\n        arguments: {x: 1, y: ['${b.c}']}",
            "line 7, flows[0].steps[1].arguments: nothing before it is kept as 'b'; there is unique, a",
        ),
        (
            FLOW + "      - {tool: add, arguments: {x: '${later.c}'}, keep: later}",
            "line 5, flows[0].steps[0].arguments: nothing before it is kept as 'later'",
        ),
        (
            "name: x\nflows:\n  - &f {name: f, steps: [{tool: add}]}\n  - *f",
            "line 2, flows: two are called 'f'; give each a name of its own",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_workload_is_refused_with_line_and_field(write: Write, text: str, why: str) -> None:
    with pytest.raises(FileError) as told:
        read_workload(write(text))
    assert why in str(told.value)
    assert "load.yaml, line " in str(told.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_workload(tmp_path / "gone.yaml")


def with_file(write: Write, content: str, name: str = "sets.jsonl") -> Workload:
    write(content, name)
    return read_workload(write(f"name: x\ncalls:\n  - {{tool: add, arguments: {name}}}"))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('{"a": 1}\n\n  {"a": 2, "b": 0}\r\n', "sets.jsonl"),
        ('\ufeff{"a": 1}\n{"a": 2, "b": 0}', "sets.jsonl"),
        ('[{"a": 1},\n {"a": 2, "b": 0}]', "sets.json"),
    ],
)
def test_arguments_come_from_a_file_beside_the_workload(write: Write, content: str, name: str) -> None:
    resolved = resolve(with_file(write, content, name), TOOLS)
    assert resolved.operations[0].steps[0].arguments == ({"a": 1}, {"a": 2, "b": 0})


def test_what_ends_a_line_for_python_may_stand_in_a_text(write: Write) -> None:
    made = with_file(write, '{"a": "x\u2028y\x85z"}')
    assert made.calls[0].arguments == ({"a": "x\u2028y\x85z"},)


def test_a_workload_that_was_not_read_from_a_file_finds_its_files_in_a_folder(write: Write, tmp_path: Path) -> None:
    write('{"a": 1}', "sets.jsonl")
    assert resolve(one_call("add", "sets.jsonl"), TOOLS, folder=tmp_path).operations[0].steps[0].arguments == (
        {"a": 1},
    )


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        ("", "sets.jsonl", "holds no arguments"),
        ("[]", "sets.json", "holds no arguments"),
        ('{"a": 1}\n{"a": }', "sets.jsonl", "sets.jsonl, line 2: the line is not JSON"),
        ('{"a": 1}\n[1]', "sets.jsonl", "sets.jsonl, line 2: arguments are a JSON object"),
        ('[{"a": 1}, 7]', "sets.json", "sets.json, entry 2: arguments are a JSON object"),
        ('{"a": 1}', "sets.json", "put [ and ] around them"),
        ("[", "sets.json", "the file is not JSON"),
        ('{"a": NaN}', "sets.jsonl", "line 1: the line holds NaN"),
        ('{"a": 1, "a": 2}', "sets.jsonl", "twice"),
        ("[" * 200, "sets.json", "is not JSON"),
        ("{}\n" * 10_001, "sets.jsonl", "more than 10,000 sets"),
        ('{"a": "' + "x" * 5_000_000 + '"}', "sets.jsonl", "larger than 5 MB"),
    ],
)
def test_a_file_of_arguments_that_is_none_is_refused(write: Write, content: str, name: str, why: str) -> None:
    with pytest.raises(FileError) as told:
        with_file(write, content, name)
    assert why in str(told.value)


def test_a_file_of_arguments_that_cannot_be_read_is_refused(write: Write, tmp_path: Path) -> None:
    workload = write("name: x\ncalls:\n  - {tool: add, arguments: sets.jsonl}")
    with pytest.raises(FileError, match=r"sets\.jsonl' cannot be read: No such file"):
        read_workload(workload)
    (tmp_path / "sets.jsonl").write_bytes(b'{}\n{"a": "\xff"}')
    with pytest.raises(FileError, match=r"sets\.jsonl, line 2: not UTF-8"):
        read_workload(workload)
    (tmp_path / "sets.jsonl").unlink()
    (tmp_path / "sets.jsonl").mkdir()
    with pytest.raises(FileError, match="is no file"):
        read_workload(workload)


def test_examples_are_those_of_the_contract_that_succeed() -> None:
    book = book_of({"arguments": {"a": 1}}, {"arguments": {"a": -1}, "outcome": "negative"}, {"arguments": {"a": 2}})
    resolved = resolve(one_call("add", "examples"), TOOLS, book)
    assert resolved.operations[0].steps[0].arguments == ({"a": 1}, {"a": 2})


@pytest.mark.parametrize(
    ("book", "why"),
    [
        (None, "there is no contract; give one with contract=, or write arguments"),
        (book_of(), "no example of 'add' that succeeds; add one to the contract, or write arguments"),
        (book_of({"arguments": {}, "outcome": "bad"}), "no example of 'add' that succeeds"),
        (book_of(name="other"), "no example of 'add' that succeeds"),
    ],
)
def test_examples_that_are_not_there_are_missed_in_words(book: ContractBook | None, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        resolve(one_call("add", "examples"), TOOLS, book)


def test_generated_arguments_are_made_from_what_the_server_lists() -> None:
    sets = resolve(one_call("add", "generated"), TOOLS).operations[0].steps[0].arguments
    assert len(sets) == 20
    assert all(isinstance(each["a"], int) for each in sets)


def test_a_schema_from_which_nothing_can_be_made_is_told_with_its_tool() -> None:
    odd = Tool(name="odd\x1b[31m", input_schema={"type": "object", "not": {}})
    with pytest.raises(UsageError, match=r"^the tool 'odd\\\\x1b\[31m': no arguments can be made"):
        resolve(one_call(odd.name, "generated"), [odd])


def test_arguments_of_a_workload_made_in_python_are_json_too() -> None:
    made = Workload.model_validate({"name": "x", "calls": [{"tool": "sub", "arguments": {"a": {1}}}]})
    with pytest.raises(ArgumentsError, match="the tool 'sub': argument 'a' is of type set"):
        resolve(made, TOOLS)


def test_a_tool_that_is_not_listed_is_refused_with_what_may_be_meant() -> None:
    with pytest.raises(UnknownToolError, match="'desk' has no tool 'ad'; did you mean 'add'"):
        resolve(one_call("ad"), TOOLS, target="desk")


def test_a_reference_in_a_file_of_arguments_is_checked_as_well(write: Write) -> None:
    write('{"a": "${opened.id}"}', "sets.jsonl")
    workload = read_workload(write(FLOW + "      - {tool: sub}\n      - {tool: add, arguments: sets.jsonl}"))
    with pytest.raises(UsageError, match=r"the flow 'f', step 2 \(add\): nothing before it is kept as 'opened'"):
        resolve(workload, TOOLS)


def test_in_a_single_call_what_looks_like_a_reference_is_text() -> None:
    arguments = {"path": "${HOME}/x"}
    assert resolve(one_call("sub", arguments), TOOLS).operations[0].steps[0].arguments == (arguments,)


def test_arguments_that_the_schema_refuses_are_sent_and_noted() -> None:
    assert resolve(one_call("add", {"b": 1}), TOOLS).notes == (
        "add: the arguments are not what its input schema asks for",
    )
    assert resolve(one_call("add", [{"a": 1}, {"a": "1"}, {}]), TOOLS).notes == (
        "add: 2 of 3 sets of arguments are not what its input schema asks for",
    )


def test_tools_that_change_things_are_noted_by_the_contract_or_by_what_they_announce() -> None:
    tool = Tool(name="add", input_schema={}, annotations=ToolAnnotations(destructive_hint=True))
    assert resolve(one_call("add"), [tool]).notes == ("known to be destructive, and every call is a real one: add",)
    assert resolve(one_call("add"), [tool], book_of(effects="read")).notes == ()
    assert resolve(one_call("add"), [tool], book_of(effects="write")).notes == (
        "known to write, and every call is a real one: add",
    )


def test_the_digest_is_of_what_is_called_not_of_what_it_is_called() -> None:
    def digest(**changes: Any) -> str:
        made = {"name": "x", "calls": [{"tool": "add", "arguments": {"a": 1, "b": 2}}, {"tool": "sub"}]} | changes
        return resolve(Workload.model_validate(made), TOOLS).digest

    assert (
        digest() == digest(name="y") == digest(calls=[{"tool": "add", "arguments": {"b": 2, "a": 1}}, {"tool": "sub"}])
    )
    others = [
        digest(calls=[{"tool": "add", "arguments": {"a": 1, "b": 3}}, {"tool": "sub"}]),
        digest(calls=[{"tool": "add", "arguments": {"a": 1, "b": 2}}, {"tool": "sub", "weight": 2}]),
        digest(calls=[{"tool": "add", "arguments": {"a": 1, "b": 2}}, {"tool": "add"}]),
        digest(flows=[{"name": "f", "steps": [{"tool": "sub"}]}]),
    ]
    assert len({digest(), *others}) == 5
    assert resolve(one_call("add", {"a": 1}), TOOLS).digest == "81e36bb8d42e7094"


def test_a_resolved_workload_travels_as_json(desk: ContractBook) -> None:
    resolved = resolve(read_workload(shipped("data") / "workloads" / "find-and-read.yaml"), listed(desk), desk)
    assert json.loads(json.dumps([asdict(each) for each in resolved.operations]))


def answered(resolved: Resolved, bench: Workbench) -> list[str]:
    """Do each operation once with each of its arguments, as the generator would; return the tools that failed."""
    failed = []
    for operation in resolved.operations:
        kept: dict[str, Any] = {}
        for step in operation.steps:
            for arguments in step.arguments:
                result = bench.call(step.tool, fill(arguments, kept))
                failed += [] if result.ok else [step.tool]
            if step.keep:
                kept[step.keep] = result.structured
    return failed


def test_the_workloads_that_are_shipped_run_on_the_incident_desk(tmp_path: Path, desk: ContractBook) -> None:
    files = sorted((shipped("data") / "workloads").glob("*.yaml"))
    assert [file.stem for file in files] == ["find-and-read", "mixed-reading"]
    with Workbench(incident_desk(tmp_path)) as bench:
        for file in files:
            resolved = resolve(read_workload(file), listed(desk), desk)
            assert resolved.notes == ()
            assert answered(resolved, bench) == []
