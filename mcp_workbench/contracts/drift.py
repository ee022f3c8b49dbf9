"""Drift: a contract against its server, or against its next version, every difference classed by what it breaks.

What a difference demands of the version follows from its class (semver.org): breaking, or not to be decided, is a major
step; compatible is a minor one; words only are a patch. Before 1.0.0 breaking changes step the minor number, and all
else the patch number, as package managers read such versions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from semver import Version

from mcp_workbench.contracts.behaviour import behaviour_changes, deadline_changes, failure_changes
from mcp_workbench.contracts.model import ContractBook, ToolContract
from mcp_workbench.contracts.schemas.changes import Change, Verdict, compare_schemas
from mcp_workbench.errors import UsageError
from mcp_workbench.junit import Case, junit_xml
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line

Step = Literal["none", "patch", "minor", "major"]

WORST_FIRST: Final = (Verdict.BREAKING, Verdict.UNKNOWN, Verdict.COMPATIBLE, Verdict.COSMETIC)
_STEPS: Final[dict[Verdict, Step]] = {
    Verdict.BREAKING: "major",
    Verdict.UNKNOWN: "major",
    Verdict.COMPATIBLE: "minor",
    Verdict.COSMETIC: "patch",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two contracts of a tool, or between a contract and the tool as it is listed.

    Attributes:
        tool: the tool's name.
        where: which part of its contract, and the place in it.
        change: what is different, in words.
        verdict: what it breaks.
        why: what follows for callers.
        rule: the rule of practice that the verdict comes from, where it is not the letter.
    """

    tool: str
    where: str
    change: str
    verdict: Verdict
    why: str
    rule: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Drift(Report):
    """What is different, what that breaks, and the version step that it demands.

    Attributes:
        title: what was compared.
        differences: worst first, then in the order of the contract.
        tools: the names of all tools on either side.
        version: the contract's version.
        taken: the other contract's version; ``None`` for a live server, which has none.
    """

    title: str
    differences: tuple[Difference, ...]
    tools: tuple[str, ...]
    version: str
    taken: str | None = None

    @property
    def ok(self) -> bool:
        """Whether callers of the old will not be broken by the new."""
        return not self.at_or_above(Verdict.BREAKING)

    @property
    def step(self) -> Step:
        """The version step that the differences demand."""
        return _STEPS[self.differences[0].verdict] if self.differences else "none"

    @property
    def next_version(self) -> str:
        """The least version that a contract with these differences may have."""
        old = Version.parse(self.version)
        step = self.step
        if old.major == 0 and step != "none":
            step = "minor" if step == "major" else "patch"
        return self.version if step == "none" else str(old.next_version(step))

    @property
    def version_ok(self) -> bool | None:
        """Whether the new contract's version takes at least the step that is demanded; ``None`` for a server."""
        return None if self.taken is None else Version.parse(self.taken) >= Version.parse(self.next_version)

    @property
    def frame(self) -> Table:
        """One row a difference: tool, where, change, class, why."""
        rows = [
            {
                "tool": one_line(each.tool, 128),
                "where": each.where,
                "change": each.change,
                "class": each.verdict.value,
                "why": each.why,
            }
            for each in self.differences
        ]
        return table(rows, ["tool", "where", "change", "class", "why"])

    def at_or_above(self, verdict: Verdict) -> tuple[Difference, ...]:
        """Return the differences of at least that class; what cannot be decided counts as breaking."""
        bar = max(WORST_FIRST.index(verdict), 1)
        return tuple(each for each in self.differences if WORST_FIRST.index(each.verdict) <= bar)

    def headline(self) -> str:
        """Return how many differences there are of each class, and the version step that they demand."""
        if not self.differences:
            return f"{self.title}: no difference in {len(self.tools)} tools"
        counts = Counter(each.verdict for each in self.differences)
        told = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in WORST_FIRST if counts[verdict])
        demanded = f"a {self.step} step, {self.version} to {self.next_version}"
        if Version.parse(self.version).major == 0:
            demanded += " (below 1.0.0 only a breaking change raises the middle number)"
        if self.version_ok is False:
            demanded += f", and {self.taken} is too low"
        return f"{self.title}: {told}; this demands {demanded}"

    def facts(self) -> dict[str, object]:
        """Return the version step, beside what every report has as JSON."""
        return {
            "step": self.step,
            "version": self.version,
            "next_version": self.next_version,
            "taken_version": self.taken,
            "version_ok": self.version_ok,
        }

    def to_junit(self, fail_on: Verdict | None = Verdict.BREAKING, *, version: bool = False) -> str:
        """Return JUnit XML with a test case per tool.

        Args:
            fail_on: differences of this class or worse fail a case; ``None`` if no difference does.
            version: one more case, which fails if the new version is lower than the differences demand.
        """
        failing = () if fail_on is None else self.at_or_above(fail_on)
        cases = [
            Case(
                tool,
                [_line(each) for each in failing if each.tool == tool],
                [_line(each) for each in self.differences if each.tool == tool and each not in failing],
            )
            for tool in self.tools
        ]
        if version:
            cases.append(Case("version", [self.headline()] if self.version_ok is False else []))
        return junit_xml(self.title, cases, {"step": self.step, "next version": self.next_version})


def compare_books(old: ContractBook, new: ContractBook) -> Drift:
    """Compare a contract with its next version: what would the step from ``old`` to ``new`` break?

    Raises:
        UsageError: the two are about different servers.
    """
    if old.server.name != new.server.name:
        raise UsageError(
            f"one contract is about {one_line(old.server.name, 60)!r}, the other about "
            f"{one_line(new.server.name, 60)!r}; compare two versions of the same server's contract"
        )
    title = f"contract {old.contract} to {new.contract} of {one_line(old.server.name, 60)!r}"
    return _drift(title, old, new, live=False, taken=new.contract)


def check_book(book: ContractBook, live: ContractBook) -> Drift:
    """Hold a contract against its server: does the server still do what the contract promises?

    Args:
        book: the contract.
        live: the draft of the server as it is now, see :func:`~mcp_workbench.contracts.draft.draft_book`. What no
            listing says (failures, examples, keys, deadlines) is not compared.
    """
    version = f" {one_line(live.server.version, 40)}" if live.server.version else ""
    # Two names are a hint that the contract was held against the wrong server.
    whose = "" if book.server.name == live.server.name else f" of {one_line(book.server.name, 60)!r}"
    title = f"contract {book.contract}{whose} against {one_line(live.server.name, 60)!r}{version}"
    return _drift(title, book, live, live=True, taken=None)


def _drift(title: str, old: ContractBook, new: ContractBook, *, live: bool, taken: str | None) -> Drift:
    before = {tool.name: tool for tool in old.tools}
    after = {tool.name: tool for tool in new.tools}
    names = tuple(before | after)
    found: list[Difference] = []
    for name in names:
        old_tool, new_tool = before.get(name), after.get(name)
        changes = list(_tool_changes(old_tool, new_tool, live=live))
        if not changes and old_tool is not None and new_tool is not None:
            changes += _unexplained(old_tool, new_tool)
        found += [Difference(name, where, each.what, each.verdict, each.why, each.rule) for where, each in changes]
    found.sort(key=lambda each: WORST_FIRST.index(each.verdict))
    return Drift(title, tuple(found), names, old.contract, taken)


def _tool_changes(old: ToolContract | None, new: ToolContract | None, *, live: bool) -> Iterator[tuple[str, Change]]:
    if old is None:
        words = "the server lists it, and the contract does not know it" if live else "new tool"
        yield "tool", Change("", words, Verdict.COMPATIBLE, "nobody could call it before; nobody is broken")
        return
    if new is None:
        words = "the server does not list it any more" if live else "tool removed"
        yield "tool", Change("", words, Verdict.BREAKING, "every call to it fails")
        return
    for change in compare_schemas(old.input_schema, new.input_schema, side="input"):
        yield f"input: {change.where}" if change.where else "input", change
    for change in compare_schemas(old.output_schema, new.output_schema, side="output"):
        yield f"output: {change.where}" if change.where else "output", change
    yield from behaviour_changes(old, new, live=live)
    if not live:
        yield from deadline_changes(old, new)
        yield from failure_changes(old, new)
    yield from _words(old, new, live=live)


def _words(old: ToolContract, new: ToolContract, *, live: bool) -> Iterator[tuple[str, Change]]:
    """Yield what is said in other words: no caller breaks, but a model reads it and may choose otherwise."""
    why = "no program breaks, but models choose tools by these words: read them again"
    # A purpose may be the team's own; then only a listing that changed since it was drafted counts.
    same = live and old.wording is not None and old.wording == new.wording
    for where, before, after in (("purpose", old.purpose, new.purpose), ("title", old.title, new.title)):
        announced = live and old.wording is not None and after is not None
        if not same and before != after and (before is not None or announced):
            yield where, Change("", _reworded(before, after), Verdict.COSMETIC, why)
    if not live and old.examples != new.examples:
        yield "examples", Change("", "other examples", Verdict.COSMETIC, "examples explain; they promise nothing more")


def _unexplained(old: ToolContract, new: ToolContract) -> Iterator[tuple[str, Change]]:
    """Yield that a listing changed since its fingerprint was taken, where nothing else says how."""
    if None not in (old.fingerprint, new.fingerprint) and old.fingerprint != new.fingerprint:
        words = "something in the listing changed since it was drafted"
        why = "nothing that is compared is different; read the tool's listing again"
        yield "fingerprint", Change("", words, Verdict.COSMETIC, why)


def _reworded(before: str | None, after: str | None) -> str:
    if before is None:
        return f"{one_line(after, 120)!r} added"
    if after is None:
        return f"{one_line(before, 120)!r} removed"
    return f"{one_line(before, 120)!r} is now {one_line(after, 120)!r}"


def _line(each: Difference) -> str:
    return f"{each.verdict.value}: {each.where}: {each.change} ({each.why})"
