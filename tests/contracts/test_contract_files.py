"""Contract files: a book in YAML that people and editors understand, and what is wrong with one, by line and field."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcp_workbench import FileError
from mcp_workbench.contracts.files import book_text, contract_schema, read_book, write_book
from mcp_workbench.contracts.model import Annotations, ContractBook, ServerIdentity, ToolContract
from mcp_workbench.documents import parse_document
from mcp_workbench.workbook import shipped

CONTRACTS = shipped("data") / "contracts"

BOOK = ContractBook(
    server=ServerIdentity(name="desk", version="2.1"),
    contract="1.2.0",
    tools=(
        ToolContract.model_validate(
            {
                "name": "open_ticket",
                "title": "Open a ticket",
                "purpose": "Open a ticket.\n\nOnce a customer.",
                "effects": "write",
                "idempotency": "by key",
                "input_schema": {"type": "object", "properties": {"effects": {"type": "string", "default": None}}},
                "failures": [{"code": "over_limit", "when": "Too many."}],
                "examples": [
                    {"arguments": {"title": "Lamp"}},
                    {"arguments": {}, "outcome": "over_limit", "result": None},
                ],
                "annotations": {"readOnlyHint": False},
                "fingerprint": "sha256:1",
            }
        ),
        ToolContract(
            name="close", open_world=True, deadline_ms=2000, failures=(), examples=(), annotations=Annotations()
        ),
    ),
)
TEXT = """\
# yaml-language-server: $schema=contract.schema.json
# What the server promises of each of its tools. A null is a gap: nobody has said it yet, and you can.
# mcp-workbench contract audit names what is missing or contradicts itself.
server:
  name: desk
  version: "2.1"
contract: 1.2.0
tools:
  - name: open_ticket
    title: Open a ticket
    purpose: |-
      Open a ticket.

      Once a customer.
    effects: write
    idempotency: by key
    idempotency_key: null  # gap: the argument that holds the key
    open_world: null  # gap: true if it reaches things outside of the server, else false
    input_schema:
      type: object
      properties:
        effects:
          type: string
          default: null
    output_schema: null  # gap: a JSON Schema of the structured result
    failures:
      - code: over_limit
        when: Too many.
        retryable: null  # gap: true if the same call may succeed later, unchanged, else false
        caller: null  # gap: what the caller should do about it
    examples:
      - arguments:
          title: Lamp
        outcome: ok
      - arguments: {}
        outcome: over_limit
        result: null
    annotations:
      readOnlyHint: false
    fingerprint: sha256:1
  - name: close
    purpose: null  # gap: what it is for, in a sentence or two: a model chooses by it
    effects: null  # gap: read, write or destructive
    idempotency: null  # gap: none, natural, or by key (with idempotency_key)
    open_world: true
    deadline_ms: 2000
    input_schema: null  # gap: a JSON Schema of the arguments, with bounds
    output_schema: null  # gap: a JSON Schema of the structured result
    failures: []
    examples: []
    annotations: {}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "desk.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_book_is_written_with_its_gaps_in_sight() -> None:
    assert book_text(BOOK, "contract.schema.json") == TEXT
    assert book_text(BOOK) == TEXT.partition("\n")[2]


def test_what_was_written_is_read_as_the_same_book(tmp_path: Path) -> None:
    file = tmp_path / "desk.yaml"
    assert write_book(BOOK, str(file), "contract.schema.json") == file
    assert file.read_text(encoding="utf-8") == TEXT
    read = read_book(str(file))
    assert read == BOOK
    assert [example.model_fields_set for example in read.tools[0].examples or ()] == [
        {"arguments", "outcome"},
        {"arguments", "outcome", "result"},
    ]


# What a server says of itself: text of which much looks like the file around it.
hostile_words = st.one_of(
    st.sampled_from(
        [
            *[
                "",
                " ",
                "null",
                "effects: null",
                "a\neffects: null\n",
                "x\n    effects: null  # gap: no",
                "null  # gap: a",
            ],
            *[
                "- name: x",
                "tools:\n  - name: y",
                "---",
                "...",
                "# yaml-language-server: $schema=x",
                "%TAG",
                "yes",
                "1.0",
            ],
            *["  a\n b", "a \n", "\n\n", "\t", "a\r\nb", "\x00", "\u2028", "\u202e", "\ufeff", "\ud800", "😀\n😀", "~"],
        ]
    ),
    st.text(),
    st.text(st.sampled_from("ab \n\t:#-'\"|>{}[],\\\ud83d\u2028\x85")),
).map(lambda text: json.loads(json.dumps(text)))
schema_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), hostile_words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(hostile_words, st.sampled_from(["effects", "purpose", "when", "examples", "$ref"])),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
schemas = st.dictionaries(hostile_words, schema_values, max_size=3)
codes = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
maybe = st.one_of(st.none(), st.booleans())


def said(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


tools = st.builds(
    lambda name, parts: ToolContract.model_validate({"name": name, **parts}),
    hostile_words,
    said(
        title=hostile_words,
        purpose=st.one_of(st.none(), hostile_words),
        effects=st.sampled_from([None, "read", "write", "destructive"]),
        idempotency=st.sampled_from([None, "none", "natural", "by key"]),
        idempotency_key=hostile_words,
        open_world=maybe,
        deadline_ms=st.one_of(st.none(), st.integers(1, 3_600_000)),
        input_schema=schemas,
        output_schema=schemas,
        failures=st.lists(
            st.tuples(codes, said(when=hostile_words, retryable=maybe, caller=hostile_words)).map(
                lambda pair: {"code": pair[0], **pair[1]}
            ),
            max_size=2,
            unique_by=lambda failure: failure["code"],
        ),
        examples=st.lists(
            st.tuples(schemas, said(outcome=hostile_words, result=schema_values)).map(
                lambda pair: {"arguments": pair[0], **pair[1]}
            ),
            max_size=2,
        ),
        annotations=said(title=hostile_words, readOnlyHint=maybe, destructiveHint=maybe, openWorldHint=maybe),
        fingerprint=hostile_words,
    ),
)
books = st.builds(
    ContractBook,
    server=st.builds(ServerIdentity, name=hostile_words, version=st.one_of(st.none(), hostile_words)),
    contract=st.sampled_from(["0.1.0", "1.0.0-rc.1+b.7", "10.20.30"]),
    tools=st.lists(tools, max_size=3, unique_by=lambda tool: tool.name).map(tuple),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("books") / "book.yaml"


@settings(max_examples=300)
@given(book=books)
@example(book=BOOK)
def test_any_book_comes_back_from_its_file_to_the_type_whatever_its_server_says(file: Path, book: ContractBook) -> None:
    text = book_text(book, "contract.schema.json")
    file.write_text(text, encoding="utf-8", newline="\n")
    read = read_book(file)
    assert read == book
    # Equal is not enough: 1 is equal to True, and to 1.0.
    assert repr(read.model_dump()) == repr(book.model_dump())
    assert book_text(read, "contract.schema.json") == text


@given(book=books)
def test_any_written_book_is_valid_by_the_published_schema(book: ContractBook) -> None:
    data = parse_document(book_text(book), "book.yaml").data
    assert [error.message for error in Draft202012Validator(contract_schema()).iter_errors(data)] == []


def test_the_schema_in_the_data_folder_is_that_of_the_model() -> None:
    stored = (CONTRACTS / "contract.schema.json").read_text(encoding="utf-8")
    assert stored == json.dumps(contract_schema(), indent=2) + "\n"


def test_the_published_schema_is_one_and_knows_what_readers_refuse() -> None:
    schema = contract_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]
    assert schema["title"]
    assert "gap" in schema["description"]
    valid = Draft202012Validator(schema).is_valid
    assert valid({"server": {"name": "a"}, "tools": [{"name": "a", "effects": None}]})
    assert not valid({"server": {"name": "a"}, "tools": [{"name": "a", "efects": None}]})
    assert not valid({"server": {"name": "a"}, "tools": {"name": "a"}})
    assert valid({"server": {"name": "a"}, "tools": [{"name": "a", "deadline_ms": 2000}]})
    for deadline in ("soon", 0, 3_600_001, True, 2.5):
        assert not valid({"server": {"name": "a"}, "tools": [{"name": "a", "deadline_ms": deadline}]})
    assert not valid({"tools": []})
    assert not valid({"server": {"name": "a"}, "contract": 1.0})


def test_the_contracts_that_are_shipped_are_read_and_valid_by_the_published_schema() -> None:
    validator = Draft202012Validator(contract_schema())
    for shipped_file in sorted(CONTRACTS.rglob("*.yaml")):
        book = read_book(shipped_file)
        data = parse_document(shipped_file.read_text(encoding="utf-8"), shipped_file.name).data
        assert [(shipped_file.name, error.message) for error in validator.iter_errors(data)] == []
        first = shipped_file.read_text(encoding="utf-8").partition("\n")[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (shipped_file.parent / first.partition("=")[2]).resolve() == (
            CONTRACTS / "contract.schema.json"
        ).resolve()
        assert parse_document(book_text(book), "again.yaml").data["tools"] != []


HEAD = "server: {name: desk}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: [", "line 1: not valid YAML: "),
        ("", "there is nothing in it"),
        ("- a", "line 1: should be a mapping, not a list"),
        ("a: 1", "line 1, server: is missing; add it (and 1 more)"),
        ("server: desk", "line 1, server: should be a mapping, not 'desk'"),
        (HEAD + "tools:\n  name: a", "line 2, tools: should be a list, not a mapping"),
        (HEAD + "tools: null", "line 2, tools: should be a list, not null"),
        (HEAD + "tools: [a]", "line 2, tools[0]: should be a mapping, not 'a'"),
        (HEAD + "tools:\n  - purpose: x", "line 3, tools[0].name: is missing; add it"),
        (HEAD + "contract: 1.0", "line 2, contract: should be text, not the number 1.0; put it into quotes"),
        (HEAD + "\ncontract: latest", "line 3, contract: 'latest' is not a semantic version; write one like 1.0.0"),
        (HEAD + "tool: []", "line 2, tool: there is no such field; did you mean 'tools'?"),
        (
            HEAD + "tools:\n  - name: a\n    efects: read",
            "line 4, tools[0].efects: there is no such field; did you mean 'effects'?",
        ),
        (
            HEAD + "tools:\n  - name: a\n  - name: b\n    effects: delete",
            "line 5, tools[1].effects: should be 'read', 'write' or 'destructive', not 'delete'; mend that field",
        ),
        *(
            (HEAD + f"tools:\n  - name: a\n    deadline_ms: {value}", f"line 4, tools[0].deadline_ms: {fault}")
            for value, fault in (
                ("soon", "should be a valid integer, not 'soon'; mend that field"),
                ('"2000"', "should be a valid integer, not '2000'; mend that field"),
                ("true", "should be a valid integer, not true; mend that field"),
                ("2.5", "should be a valid integer, not the number 2.5; mend that field"),
                ("2000.0", "should be a valid integer, not the number 2000.0; mend that field"),
                ("0", "should be greater than or equal to 1, not the number 0; mend that field"),
                ("3600001", "should be less than or equal to 3600000, not the number 3600001; mend that field"),
            )
        ),
        (
            HEAD + "tools:\n  - name: a\n    annotations: {readonlyHint: true}",
            "line 4, tools[0].annotations.readonlyHint: there is no such field; did you mean 'readOnlyHint'?",
        ),
        (
            HEAD + "tools:\n  - name: a\n    failures:\n      - code: Not Found",
            "line 5, tools[0].failures[0].code: 'Not Found' can be no code; write small letters",
        ),
        (
            HEAD + "tools:\n  - name: a\n    failures:\n      - {code: x}\n      - {code: x}",
            "line 3, tools[0]: the failure 'x' is there twice; give each failure a code of its own",
        ),
        (
            HEAD + "tools:\n  - name: a\n  - name: b\n  - purpose: x\n    name: a",
            "line 6, tools[2].name: the tool 'a' is there twice, in line 3 and here; keep one contract per tool",
        ),
        (
            HEAD + "tools:\n  - name: a\n    input_schema: 5",
            "line 4, tools[0].input_schema: should be a mapping, not th",
        ),
        (
            HEAD + "tools:\n  - name: a\n    input_schema: {404: x}",
            "line 4: the key 404 is no text; put it into quotes",
        ),
        (
            "a0: &a0 []\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)),
            "more than 500,000 values",
        ),
        (HEAD + "tools:\n  - name: a\n    input_schema: " + "{a: " * 200, "line 4: nested deeper than 100 levels"),
    ],
)
def test_what_is_wrong_with_a_contract_is_told_with_file_line_and_field(tmp_path: Path, text: str, told: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(FileError) as caught:
        read_book(file)
    assert str(caught.value).startswith(str(file))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_schema_that_is_none_is_read_for_the_audit_finds_it(tmp_path: Path) -> None:
    text = HEAD + "tools:\n  - name: a\n    input_schema: {type: 7, $ref: '#/nowhere', properties: [1]}"
    read = read_book(written(tmp_path, text))
    assert read["a"].input_schema == {"type": 7, "$ref": "#/nowhere", "properties": [1]}


def test_a_book_that_no_file_can_hold_is_refused_and_leaves_the_file_alone(tmp_path: Path) -> None:
    file = written(tmp_path, "old")
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep}
    for schema in (deep, {"a": float("nan")}, {"a": object()}, {"a": {1: 2}}):
        tool = ToolContract.model_construct(**{**ToolContract(name="a").__dict__, "input_schema": schema})
        with pytest.raises(FileError):
            write_book(BOOK.model_copy(update={"tools": (tool,)}), file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_there_is_replaced_and_keeps_its_rights_and_its_link(tmp_path: Path) -> None:
    file = written(tmp_path, "old")
    file.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    assert write_book(BOOK, link) == link
    assert link.is_symlink()
    assert read_book(file) == BOOK
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    file = write_book(BOOK, tmp_path / "desk.yaml")
    other = written(tmp_path / "..", "x")
    assert file.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none/desk.yaml", "No such file or directory"),
        ("file/desk.yaml", "Not a directory"),
        ("folder", "Is a directory"),
        ("a" * 300, "File name too long"),
        ("a\x00b", "embedded null"),
        ("loop", "ymlink|symbolic links"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_with_the_reason(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileError, match=rf"cannot be written: .*{told}.*; give another place") as caught:
        write_book(BOOK, tmp_path / name)
    assert caught.value.__cause__ is None
    assert sorted(tmp_path.iterdir()) == before
