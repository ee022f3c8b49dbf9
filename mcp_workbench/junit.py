"""JUnit XML, the form in which CI systems read verdicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import junitparser

from mcp_workbench.untrusted import one_line, plain

# XML 1.0, section 2.2: these may stand in no document, not even as references. `plain` shows all other controls.
_NO_XML = re.compile("[\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: a tool, a check.

    Attributes:
        name: what was looked at.
        failures: what was found that fails it, a line each; none for a pass.
        notes: what was found that does not fail it.
    """

    name: str
    failures: Sequence[str] = ()
    notes: Sequence[str] = ()


def junit_xml(suite: str, cases: Sequence[Case], properties: Mapping[str, str] | None = None) -> str:
    """Return ``cases`` as one JUnit test suite.

    Args:
        suite: the suite's name.
        cases: one test case each; the first failure is its message, all of them are its text.
        properties: facts of the whole suite.
    """
    made = junitparser.TestSuite(_text(suite, 200))
    for name, value in (properties or {}).items():
        made.add_property(_text(name, 100), _text(value, 1_000))
    for case in cases:
        test = junitparser.TestCase(_text(case.name, 200), classname=_text(suite, 200))
        if case.failures:
            failure = junitparser.Failure(_text(case.failures[0], 500))
            failure.text = _text("\n".join(case.failures), 100_000, lines=True)
            test.result = [failure]
        if case.notes:
            test.system_out = _text("\n".join(case.notes), 100_000, lines=True)
        made.add_testcase(test)
    made.update_statistics()  # type: ignore[no-untyped-call]
    file = junitparser.JUnitXml()
    file.add_testsuite(made)
    text: str = file.tostring().decode()  # type: ignore[no-untyped-call]
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n"


def _text(value: str, limit: int, *, lines: bool = False) -> str:
    shown = plain(value, limit) if lines else one_line(value, limit)
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", shown)
