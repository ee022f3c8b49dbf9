"""JUnit XML that other programs can read, whatever was in the texts."""

import xml.etree.ElementTree as ET

import junitparser
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.junit import Case, junit_xml


def test_a_case_fails_by_its_failures_and_passes_with_notes() -> None:
    text = junit_xml("s", [Case("good", notes=["by the way"]), Case("bad", ["first", "second"])], {"step": "major"})
    suite = next(iter(junitparser.JUnitXml.fromstring(text.encode())))
    assert (suite.name, suite.tests, suite.failures) == ("s", 2, 1)
    good, bad = suite
    assert (good.is_passed, bad.is_passed) == (True, False)
    assert "by the way" in good.system_out
    assert (bad.result[0].message, bad.result[0].text) == ("first", "first\nsecond")
    assert [(each.name, each.value) for each in suite.properties()] == [("step", "major")]


@given(st.text(), st.lists(st.text(), min_size=1, max_size=3))
def test_any_text_of_a_server_makes_a_document_that_can_be_parsed(name: str, failures: list[str]) -> None:
    text = junit_xml(name, [Case(name, failures, failures)], {name or "x": name})
    root = ET.fromstring(text.encode())
    assert [each.tag for each in root.iter("failure")] == ["failure"]
    assert "<script" not in junit_xml("<script>", [Case("<script>", ["<script>"])])


def test_characters_that_xml_cannot_hold_are_shown_by_their_code_or_replaced() -> None:
    text = junit_xml("s", [Case("a\x00\x1b\ud800\ufffe", ["]]>\x08"])])
    case = next(ET.fromstring(text.encode()).iter("testcase"))
    assert case.get("name") == "a\\x00\\x1b\\ud800\N{REPLACEMENT CHARACTER}"
