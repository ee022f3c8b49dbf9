"""Audit: what in a contract book is incomplete or contradicts itself, why that hurts, and the mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mcp_workbench.charts import Chart, stacked_bars
from mcp_workbench.contracts.audit import arguments, examples, hints, promises, texts, validity
from mcp_workbench.contracts.audit.findings import Fault, Finding, Rules, Severity, Subject, counted
from mcp_workbench.contracts.audit.likeness import MAX_COMPARED_TOOLS, near_duplicates
from mcp_workbench.contracts.audit.places import read_places
from mcp_workbench.contracts.audit.subschemas import read_subschemas
from mcp_workbench.contracts.audit.tool_texts import estimated_tokens, texts_of
from mcp_workbench.contracts.audit.tool_words import shared_beginning, words_of_name
from mcp_workbench.contracts.model import ContractBook, ToolContract
from mcp_workbench.errors import UsageError
from mcp_workbench.junit import Case, junit_xml
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line

__all__ = ["BOOK_RULES", "RULES", "Audit", "Finding", "Severity", "audit_book", "estimated_tokens"]

MAX_BOOK_TOKENS: Final = 10_000
"""More than this for all tools together is a burden: ours; a tenth of a context of 100,000."""

RULES: Final[Rules] = {
    **promises.RULES,
    **examples.RULES,
    **hints.RULES,
    **validity.RULES,
    **arguments.RULES,
    **texts.RULES,
}
"""The rules that look at one tool, by their ids."""

BOOK_RULES: Final = ("book-empty", "near-duplicate", "book-too-long", "book-too-large")
"""The ids of the rules that look at all tools together."""

ALL_TOOLS: Final = "all tools"
"""What stands for the name of a tool in findings on all tools together."""

_COLUMNS = ["tool", "where", "severity", "finding", "why it hurts", "mend", "rule"]
_NAME_CHARACTERS = 128


@dataclass(frozen=True, slots=True, repr=False)
class Audit(Report):
    """What an audit found, the worst first.

    Attributes:
        server: which server the contract is about.
        findings: what was found, by severity, then in the order of the tools, then by rule.
        names: the names of all tools, also of those in which nothing was found.
        tool_tokens: about how many tokens each tool takes of a model's context; see :func:`estimated_tokens`.
    """

    server: str
    findings: tuple[Finding, ...]
    names: tuple[str, ...]
    tool_tokens: tuple[int, ...]

    def __getitem__(self, tool: str) -> Audit:
        """Return what was found in one tool.

        Raises:
            UsageError: there is no tool of that name.
        """
        if tool not in self.names:
            known = ", ".join(one_line(name, 60) for name in self.names[:12]) or "none"
            raise UsageError(f"the audit is of no tool {one_line(tool, 80)!r}; it is of {known}")
        findings = tuple(finding for finding in self.findings if finding.tool == tool)
        return Audit(f"{self.server}, {tool}", findings, (tool,), (self.tool_tokens[self.names.index(tool)],))

    @property
    def tokens(self) -> int:
        """About how many tokens all tools together take of a model's context."""
        return sum(self.tool_tokens)

    @property
    def tools(self) -> int:
        """How many tools there are."""
        return len(self.names)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.worst is not Severity.ERROR

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; ``None`` if nothing was found."""
        return self.findings[0].severity if self.findings else None

    def at_or_above(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings that are as bad as ``severity``, or worse."""
        return tuple(finding for finding in self.findings if finding.severity.rank <= severity.rank)

    @property
    def frame(self) -> Table:
        """One row a finding, the worst first."""
        rows = [
            {
                "tool": one_line(finding.tool, _NAME_CHARACTERS) or ALL_TOOLS,
                "where": finding.where,
                "severity": finding.severity.value,
                "finding": finding.finding,
                "why it hurts": finding.why,
                "mend": finding.mend,
                "rule": finding.rule,
            }
            for finding in self.findings
        ]
        return table(rows, _COLUMNS)

    @property
    def summary(self) -> Table:
        """One row a rule that found something: in how many tools, the worst first."""
        counts = Counter((finding.severity, finding.rule) for finding in self.findings)
        examples = {(finding.severity, finding.rule): finding for finding in reversed(self.findings)}
        rows = [
            {
                "severity": severity.value,
                "rule": rule,
                "findings": count,
                "for example": one_line(examples[severity, rule].tool, _NAME_CHARACTERS) or ALL_TOOLS,
                "why it hurts": examples[severity, rule].why,
            }
            for (severity, rule), count in sorted(counts.items(), key=lambda each: (each[0][0].rank, -each[1]))
        ]
        return table(rows, ["severity", "rule", "findings", "for example", "why it hurts"])

    def plot(self) -> Chart:
        """Return the picture of how much was found in which tool."""
        rows = {name or ALL_TOOLS: [0] * len(Severity) for name in self.names}
        for finding in self.findings:
            rows.setdefault(finding.tool or ALL_TOOLS, [0] * len(Severity))[finding.severity.rank] += 1
        title = f"What the audit of {one_line(self.server, 60)} found"
        return stacked_bars(title, "findings", "tool", [severity.value for severity in Severity], rows)

    def headline(self) -> str:
        """Return how many tools were looked at, what they cost, and how much was found."""
        size = f"{one_line(self.server, 80)}: {counted(self.tools, 'tool')}, about {self.tokens:,} tokens (estimated)"
        counts = Counter(finding.severity for finding in self.findings)
        found = ", ".join(counted(counts[severity], severity.value) for severity in Severity if counts[severity])
        return f"{size}: {found or 'nothing found'}"

    def to_junit(self, fail_on: Severity | None = Severity.ERROR) -> str:
        """Return JUnit XML: a test case a tool, failed by findings of ``fail_on`` or worse; by nothing if ``None``.

        What concerns all tools together is a test case of its own, where there is such a finding.
        """
        failing = -1 if fail_on is None else fail_on.rank
        together = [""] if any(not finding.tool for finding in self.findings) else []
        failures: dict[str, list[str]] = {name: [] for name in [*self.names, *together]}
        notes: dict[str, list[str]] = {name: [] for name in failures}
        for finding in self.findings:
            (failures if finding.severity.rank <= failing else notes)[finding.tool].append(_line(finding))
        cases = [Case(name or ALL_TOOLS, failures[name], notes[name]) for name in failures]
        return junit_xml(f"audit of {one_line(self.server, 80)!r}", cases, {"tokens, estimated": str(self.tokens)})


def audit_book(book: ContractBook) -> Audit:
    """Audit the contracts of a server.

    Args:
        book: drafted, or written by hand; its schemas and texts may be hostile. Nothing is fetched, and no
            pattern is compiled.

    Returns:
        The findings. A fault that many arguments of a tool share is one finding that names them.
    """
    subjects = _subjects(book.tools)
    order = {rule: number for number, rule in enumerate([*RULES, *BOOK_RULES])}
    found: list[tuple[tuple[int, int, int], Finding]] = []

    def add(number: int, name: str, rule: str, fault: Fault) -> None:
        finding = Finding(name, fault.where, rule, fault.finding, fault.severity, fault.why, fault.mend)
        found.append(((fault.severity.rank, number, order[rule]), finding))

    for number, subject in enumerate(subjects):
        for rule, check in RULES.items():
            for fault in check(subject):
                add(number, subject.contract.name, rule, fault)
    numbers = {tool.name: number for number, tool in enumerate(book.tools)}
    for subject, fault in near_duplicates(subjects):
        add(numbers[subject.contract.name], subject.contract.name, "near-duplicate", fault)
    tokens = tuple(subject.tokens for subject in subjects)
    for rule, fault in _book_faults(len(subjects), sum(tokens)):
        add(-1, "", rule, fault)
    found.sort(key=lambda each: each[0])
    return Audit(
        book.server.name, tuple(finding for _, finding in found), tuple(tool.name for tool in book.tools), tokens
    )


def _subjects(tools: Sequence[ToolContract]) -> list[Subject]:
    words = [words_of_name(tool.name) for tool in tools]
    beginning = shared_beginning(words, hints.DESTROYING | hints.CHANGING | hints.READING)
    names = frozenset(tool.name for tool in tools)
    subjects = []
    for tool, each in zip(tools, words, strict=True):
        plain = each[1:] if beginning is not None and len(each) > 1 and each[0] == beginning else each
        read = {
            side: read_subschemas(schema)
            for side, schema in (("input", tool.input_schema), ("output", tool.output_schema))
            if schema is not None
        }
        places, complete = read_places(tool.input_schema) if tool.input_schema is not None else ((), True)
        subjects.append(
            Subject(
                contract=tool,
                input=read.get("input"),
                output=read.get("output"),
                texts=texts_of(tool, list(read.items())),
                tokens=estimated_tokens(tool),
                places=places,
                places_complete=complete,
                words=plain,
                others=names,
            )
        )
    return subjects


def _book_faults(tools: int, tokens: int) -> Iterator[tuple[str, Fault]]:
    """Yield what is wrong with the tools together: their size, by the model's context and by ours."""
    if not tools:
        yield (
            "book-empty",
            Fault(
                "all tools together",
                "there are no tools in this contract",
                Severity.ERROR,
                "it promises nothing, and every check of it passes",
                "draft it from the server again, or write its tools down",
            ),
        )
    if tokens > MAX_BOOK_TOKENS:
        yield (
            "book-too-long",
            Fault(
                "all tools together",
                f"{counted(tools, 'tool')} take about {tokens:,} tokens (estimated) of every conversation",
                Severity.WARNING,
                "models choose worse among many tools, and pay for all of them with each request",
                "split the server by subject, or shorten the longest tools",
            ),
        )
    if tools > MAX_COMPARED_TOOLS:
        yield (
            "book-too-large",
            Fault(
                "all tools together",
                f"only the first {MAX_COMPARED_TOOLS:,} tools were compared with each other",
                Severity.NOTE,
                "tools that are alike may have been missed",
                "audit the server in parts",
            ),
        )


def _line(finding: Finding) -> str:
    return f"{finding.severity.value}: {finding.where}: {finding.finding} ({finding.why}); {finding.mend}"
