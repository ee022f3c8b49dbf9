"""The audit as a report: order, counts, tables; and what a hostile book does to it, which is nothing."""

import datetime as dt
import json
import sys
from typing import Any

import junitparser
import pytest
from example_servers import MARKUP, make_server
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench import UsageError, Workbench
from mcp_workbench.contracts.audit.report import Audit, Finding, Severity, audit_book, estimated_tokens
from mcp_workbench.contracts.audit.subschemas import MAX_SUBSCHEMAS
from mcp_workbench.contracts.draft import draft_book
from mcp_workbench.contracts.model import ContractBook, ToolContract


def book_of(*tools: dict[str, Any], server: str = "weather") -> ContractBook:
    return ContractBook.model_validate({"server": {"name": server}, "tools": tools})


def rules_of(audit: Audit, tool: str) -> list[str]:
    return [finding.rule for finding in audit.findings if finding.tool == tool]


@pytest.fixture(scope="module")
def example() -> Audit:
    """The audit of a draft of the example server."""
    with Workbench(make_server()) as bench:
        return audit_book(draft_book("example", None, bench.session.tools()))


def test_the_draft_of_a_server_is_audited_with_its_gaps_as_errors(example: Audit) -> None:
    assert not example.ok
    assert example.worst is Severity.ERROR
    assert {"effects-unsaid", "failures-unsaid"} <= set(rules_of(example, "add"))
    assert "hidden-characters" in rules_of(example, "markup")


def test_findings_are_in_the_order_of_severity_then_of_the_tools_then_of_the_rules() -> None:
    audit = audit_book(book_of({"name": "b"}, {"name": "a"}))
    order = [(finding.severity.rank, finding.tool != "b") for finding in audit.findings]
    assert order == sorted(order)
    assert rules_of(audit, "b")[:3] == ["purpose-missing", "effects-unsaid", "failures-unsaid"]


def test_severities_are_ranked_from_bad_to_harmless() -> None:
    assert sorted(Severity, key=lambda severity: severity.rank) == [Severity.ERROR, Severity.WARNING, Severity.NOTE]


def test_findings_at_or_above_a_severity_leave_the_milder_ones_out(example: Audit) -> None:
    errors, warnings = example.at_or_above(Severity.ERROR), example.at_or_above(Severity.WARNING)
    assert {finding.severity for finding in errors} == {Severity.ERROR}
    assert 0 < len(errors) < len(warnings) < len(example.at_or_above(Severity.NOTE)) == len(example.findings)


def test_warnings_alone_are_no_reason_to_fail() -> None:
    finding = Finding("a", "input", "type-missing", "no type", Severity.WARNING, "why", "mend")
    assert Audit("weather", (finding,), ("a",), (10,)).ok
    assert not Audit("weather", (Finding("a", "", "r", "f", Severity.ERROR, "w", "m"), finding), ("a",), (10,)).ok


def test_a_book_without_tools_promises_nothing_and_that_is_an_error() -> None:
    audit = audit_book(book_of())
    assert audit.worst is Severity.ERROR
    assert audit.headline() == "weather: 0 tools, about 0 tokens (estimated): 1 error"
    assert audit.frame["finding"].tolist() == ["there are no tools in this contract"]
    assert cases_of(audit.to_junit()) == {"all tools": True}


def test_an_audit_that_found_nothing_has_empty_tables() -> None:
    audit = Audit("weather", (), ("a",), (10,))
    assert audit.worst is None
    assert audit.headline() == "weather: 1 tool, about 10 tokens (estimated): nothing found"
    assert audit.frame.empty
    assert audit.summary.empty


def test_the_headline_counts_tools_tokens_and_findings() -> None:
    audit = audit_book(book_of({"name": "wait", "input_schema": {"type": "object"}}))
    assert audit.headline() == "weather: 1 tool, about 16 tokens (estimated): 3 errors, 4 warnings, 1 note"


def test_the_table_has_a_row_a_finding_with_why_it_hurts_and_the_mend(example: Audit) -> None:
    assert list(example.frame.columns) == ["tool", "where", "severity", "finding", "why it hurts", "mend", "rule"]
    assert example.frame["rule"].tolist() == [finding.rule for finding in example.findings]
    assert len(example.frame) == len(example.findings)
    assert example.frame["severity"].tolist() == [finding.severity.value for finding in example.findings]
    assert json.loads(example.to_json())["ok"] is False


def test_the_summary_has_a_row_a_rule_and_severity_the_worst_and_the_most_frequent_first(example: Audit) -> None:
    summary = example.summary
    assert sum(summary["findings"]) == len(example.findings)
    ranks = [Severity(severity).rank for severity in summary["severity"]]
    assert ranks == sorted(ranks)
    errors = summary[summary["severity"] == "error"]["findings"].tolist()
    assert errors == sorted(errors, reverse=True)


def test_what_many_arguments_share_is_one_finding_that_names_the_first_five() -> None:
    names = {f"part{number}": {"type": "string"} for number in range(8)}
    audit = audit_book(book_of({"name": "add", "input_schema": {"type": "object", "properties": names}}))
    found = [finding for finding in audit.findings if finding.rule == "parameter-undocumented"]
    assert [finding.where for finding in found] == ["input: part0, part1, part2, part3, part4 and 3 more"]
    assert found[0].finding == "8 arguments have no description"


def test_places_are_named_by_the_way_into_the_arguments() -> None:
    line = {"type": "object", "properties": {"sku": {"type": "string"}, "labels": {"type": "array", "items": {}}}}
    schema = {
        "type": "object",
        "$defs": {"Line": line},
        "properties": {
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            "pair": {"prefixItems": [{"type": "integer"}, {"type": "boolean"}], "type": "array"},
            "prices": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    }
    audit = audit_book(book_of({"name": "order", "input_schema": schema}))
    where = {finding.rule: finding.where for finding in audit.findings}
    assert where["unbounded-string"] == "input: lines[].sku"
    assert where["unbounded-number"] == "input: pair[0], prices.*"
    assert where["type-missing"] == "input: lines[].labels[]"
    assert where["additional-properties-unsaid"] == "input: top level, lines[]"


def test_tokens_are_a_quarter_of_the_characters_of_the_compact_listing() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["é", 1, 2.5, True, False, None, [], {}]}}, "required": []}
    tool = ToolContract(name="wait", purpose='Wait for "it".\nThen go.', input_schema=schema)
    listing = {"name": tool.name, "description": tool.purpose, "inputSchema": schema}
    characters = len(json.dumps(listing, separators=(",", ":"), ensure_ascii=False))
    assert estimated_tokens(tool) == -(-characters // 4)


def cases_of(written: str) -> dict[str, bool]:
    """Return which test cases a JUnit file has, and whether they failed."""
    suite = next(iter(junitparser.JUnitXml.fromstring(written.encode())))
    return {case.name: bool(case.result) for case in suite}


def test_the_junit_file_has_a_case_a_tool_that_fails_by_what_is_bad_enough() -> None:
    finding = Finding("a", "input", "type-missing", "no type", Severity.WARNING, "why", "mend")
    audit = Audit("weather", (finding,), ("a", "b"), (4, 6))
    assert cases_of(audit.to_junit()) == {"a": False, "b": False}
    assert cases_of(audit.to_junit(Severity.WARNING)) == {"a": True, "b": False}
    assert cases_of(audit.to_junit(None)) == {"a": False, "b": False}
    assert "warning: input: no type (why); mend" in audit.to_junit()


def test_the_junit_file_has_a_case_for_all_tools_together_where_something_is_found_there() -> None:
    finding = Finding("", "all tools together", "book-too-long", "long", Severity.WARNING, "why", "mend")
    audit = Audit("weather", (finding,), ("a",), (10,))
    assert cases_of(audit.to_junit(Severity.NOTE)) == {"a": False, "all tools": True}


def test_nothing_that_a_server_wrote_is_markup_or_moves_the_cursor_in_the_report() -> None:
    schema = {"type": "object", "properties": {MARKUP: {"$ref": MARKUP}}, "required": [MARKUP * 2], "$schema": MARKUP}
    tools = [{"name": MARKUP + str(number), "purpose": MARKUP, "input_schema": schema} for number in range(2)]
    audit = audit_book(book_of(*tools, server=MARKUP))
    for finding in audit.findings:
        assert "\x1b" not in finding.where + finding.finding + finding.mend
    assert "\x1b" not in str(audit) + str(audit.summary)
    assert "\x1b" not in audit.to_junit()
    page = audit._repr_html_()
    assert "<script" not in page
    assert "<img" not in page


def nested(depth: int, keyword: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"properties": {"a": schema}} if keyword == "properties" else {keyword: _held(keyword, schema)}
    return schema | {"type": "object"}


def _held(keyword: str, schema: dict[str, Any]) -> Any:
    return [schema] if keyword in ("allOf", "anyOf") else schema


@pytest.mark.no_cover
@pytest.mark.parametrize("keyword", ["properties", "items", "allOf", "anyOf", "not", "additionalProperties"])
def test_a_schema_that_is_nested_beyond_the_stack_is_audited(keyword: str) -> None:
    tool = ToolContract(name="deep", input_schema=nested(3 * sys.getrecursionlimit(), keyword))
    audit = audit_book(book_of().with_tool(tool))
    assert "effects-unsaid" in rules_of(audit, "deep")
    assert max(len(finding.where) for finding in audit.findings) < 2_000


def test_a_schema_that_holds_itself_as_an_object_is_audited() -> None:
    schema: dict[str, Any] = {"type": "object", "enum": []}
    schema |= {"properties": {"self": schema}, "anyOf": [schema], "default": schema, "items": [schema]}
    schema["enum"].append(schema["enum"])
    audit = audit_book(book_of().with_tool(ToolContract(name="loop", input_schema=schema)))
    assert "reference-circle" in rules_of(audit, "loop")


def test_a_schema_that_doubles_with_each_level_is_read_once() -> None:
    schema: dict[str, Any] = {"type": "string", "default": 1}
    for _ in range(60):
        schema = {"type": "object", "properties": {"a": schema, "b": schema, "c": schema}}
    audit = audit_book(book_of().with_tool(ToolContract(name="bomb", input_schema=schema)))
    assert "unbounded-string" in rules_of(audit, "bomb")


@pytest.mark.no_cover
def test_a_union_that_doubles_with_each_level_is_read_in_part() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for level in range(60):
        schema = {"properties": {str(level): schema}, "anyOf": [schema, schema, schema], "enum": [schema, schema]}
    example = {"arguments": {"a": schema}, "result": schema}
    tool = {"name": "bomb", "input_schema": schema, "output_schema": schema, "examples": [example]}
    assert "schema-too-large" in rules_of(audit_book(book_of(tool)), "bomb")


@pytest.mark.no_cover
def test_a_schema_with_too_many_parts_is_audited_in_part_and_says_so() -> None:
    many = [{"type": "string", "minLength": number} for number in range(MAX_SUBSCHEMAS + 1)]
    for schema in (
        {"anyOf": many},
        {"properties": {str(n): each for n, each in enumerate(many)}},
        {"prefixItems": many},
    ):
        audit = audit_book(book_of().with_tool(ToolContract(name="wide", input_schema=schema)))
        assert "schema-too-large" in rules_of(audit, "wide")


def test_texts_that_repeat_the_beginning_of_a_phrase_are_searched_in_one_go() -> None:
    repeated = ["ignore all ", "do not tell ", "you were ", "include the full ", "instead of a ", "<", "id_rsa pass "]
    tools = [{"name": f"t{number}", "purpose": words * 40_000} for number, words in enumerate(repeated)]
    assert audit_book(book_of(*tools)).tools == len(repeated)


def test_numbers_that_python_refuses_to_write_are_audited() -> None:
    huge = 1 << 40_000
    properties = {"a": {"type": "integer", "maxLength": -huge, "default": huge}, "b": {"const": huge, "minimum": huge}}
    audit = audit_book(book_of().with_tool(ToolContract(name="big", input_schema={"properties": properties})))
    assert "schema-invalid" in rules_of(audit, "big")


def test_keys_and_values_that_only_yaml_has_are_audited() -> None:
    day = dt.date(2026, 1, 31)
    schema = {"type": day, "properties": {1: {"maxLength": day}, None: {"$ref": 3}, 2.5: []}, "required": [1, "a"]}
    audit = audit_book(book_of({"name": "odd", "input_schema": schema | {"$defs": {2: {"minimum": day}}}}))
    assert "schema-invalid" in rules_of(audit, "odd")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "#", "string", "object", "a", MARKUP]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", MARKUP]), inner, max_size=3),
    max_leaves=4,
)
KEYWORDS = [
    *("type", "properties", "items", "prefixItems", "required", "additionalProperties", "patternProperties", "$ref"),
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "enum", "const", "default", "minimum", "maximum", "maxLength"),
    *("$defs", "definitions", "dependentSchemas", "dependencies", "pattern", "format", "description", "$schema", "$id"),
]
SCHEMAS = st.recursive(
    st.dictionaries(st.sampled_from(KEYWORDS), JSON, max_size=4),
    lambda inner: st.dictionaries(
        st.sampled_from(KEYWORDS),
        inner | st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2) | JSON,
        max_size=4,
    ),
    max_leaves=6,
)


@given(SCHEMAS, SCHEMAS, JSON)
def test_whatever_stands_where_schemas_belong_the_audit_ends_with_findings(
    input_schema: dict[str, Any], output_schema: dict[str, Any], value: Any
) -> None:
    tool = ToolContract.model_validate(
        {
            "name": "any",
            "input_schema": input_schema,
            "output_schema": output_schema,
            "examples": [{"arguments": {"a": value}, "result": value}],
        }
    )
    audit = audit_book(book_of().with_tool(tool))
    assert "purpose-missing" in rules_of(audit, "any")
    assert len(str(audit).splitlines()) == len(audit.findings) + 2


def test_the_findings_of_one_tool_are_an_audit_of_their_own() -> None:
    audit = audit_book(book_of({"name": "a"}, {"name": "b"}))
    one = audit["b"]
    assert {finding.tool for finding in one.findings} == {"b"}
    assert (one.names, one.tokens) == (("b",), audit.tool_tokens[1])
    assert one.headline().startswith("weather, b: 1 tool")
    with pytest.raises(UsageError, match="the audit is of no tool 'c'; it is of a, b"):
        audit["c"]


def test_the_picture_has_a_bar_a_tool_and_says_the_same_in_words() -> None:
    audit = audit_book(book_of({"name": "a"}, {"name": "b"}))
    errors = [sum(one.severity is Severity.ERROR for one in audit[name].findings) for name in audit.names]
    assert f"a: {errors[0]} error" in repr(audit.plot())
    assert f"b: {errors[1]} error" in repr(audit.plot())
