"""From a workload to what the generator is told: every tool is listed, every argument there, every reference leads.

What is resolved has a digest: two measurements are of one workload if theirs are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mcp_types import Tool

from mcp_workbench.contracts.model import SUCCESS, ContractBook
from mcp_workbench.contracts.schemas.changes import judge_of
from mcp_workbench.errors import ArgumentsError, UsageError
from mcp_workbench.kernel.listings import unknown_tool
from mcp_workbench.load.generator.references import references
from mcp_workbench.load.plan import Operation, Step
from mcp_workbench.load.workloads.arguments import generated_arguments
from mcp_workbench.load.workloads.workload import EXAMPLES, GENERATED, Workload, lost_reference, with_files
from mcp_workbench.records import read_arguments
from mcp_workbench.untrusted import one_line

GENERATED_SETS: Final = 20
"""How many sets of arguments are made from an input schema."""

_CHECKED_SETS: Final = 100
_SHOWN: Final = 80
_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Resolved:
    """A workload that is ready for the generator.

    Attributes:
        operations: what is done, each with its share.
        digest: the first 16 hexadecimal digits of the SHA-256 of the operations' canonical JSON.
        words: what the workload is called.
        notes: what a reader should know besides, a sentence each.
    """

    operations: tuple[Operation, ...]
    digest: str
    words: str
    notes: tuple[str, ...] = ()


def resolve(
    workload: Workload,
    tools: Iterable[Tool],
    contract: ContractBook | None = None,
    folder: Path | None = None,
    *,
    target: str = "the server",
) -> Resolved:
    """Return what the generator is told of a workload.

    Args:
        workload: what is to be called.
        tools: what the server lists.
        contract: where examples come from, and what says which tools change things.
        folder: where files of arguments are, for a workload that was not read from a file.
        target: the target's name, for messages.

    Raises:
        UnknownToolError: a tool is not listed.
        ArgumentsError: arguments are no JSON object.
        FileError: a file of arguments is not what it should be.
        UsageError: there are no examples, no arguments can be made, or a flow refers to what no step keeps.
    """
    listed = {tool.name: tool for tool in tools}
    names = [call.tool for call in workload.calls] + [step.tool for flow in workload.flows for step in flow.steps]
    for name in names:
        if name not in listed:
            raise unknown_tool(target, name, list(listed))
    resolver = _Resolver(listed, contract)
    operations = tuple(resolver.operations(with_files(workload, folder or Path())))
    notes = (*resolver.notes, *_changes(dict.fromkeys(names), listed, contract))
    return Resolved(operations, _digest(operations), one_line(workload.name, _SHOWN), notes)


class _Resolver:
    """Makes operations of calls and flows whose tools are listed and whose files were read.

    Attributes:
        notes: which arguments are not what the input schema asks for.
    """

    def __init__(self, listed: Mapping[str, Tool], contract: ContractBook | None) -> None:
        self._listed = listed
        self._contract = contract
        self.notes: list[str] = []

    def operations(self, workload: Workload) -> Iterator[Operation]:
        for call in workload.calls:
            yield Operation(call.tool, call.weight, (Step(call.tool, self._sets(call.tool, call.arguments)),))
        for flow in workload.flows:
            steps = tuple(
                Step(step.tool, self._sets(step.tool, step.arguments), step.keep, step.think_ms / 1_000)
                for step in flow.steps
            )
            if lost := lost_reference([step.arguments for step in steps], flow):
                at, words = lost
                place = f"the flow {one_line(flow.name, _SHOWN)!r}, step {at + 1} ({one_line(steps[at].tool, _SHOWN)})"
                raise UsageError(f"{place}: {words}")
            yield Operation(flow.name, flow.weight, steps)

    def _sets(self, tool: str, given: Any) -> tuple[dict[str, Any], ...]:
        shown = one_line(tool, _SHOWN)
        if given == EXAMPLES:
            written: Iterable[dict[str, Any]] = self._examples(tool)
        elif given == GENERATED:
            try:
                return generated_arguments(self._listed[tool].input_schema, GENERATED_SETS)
            except UsageError as error:
                raise UsageError(f"the tool {shown!r}: {error}") from None
        else:
            written = (given,) if isinstance(given, dict) else given
        try:
            sets = tuple(read_arguments(each).values for each in written)
        except ArgumentsError as error:
            raise ArgumentsError(f"the tool {shown!r}: {error}") from None
        self._note_misfits(tool, sets)
        return sets

    def _examples(self, tool: str) -> tuple[dict[str, Any], ...]:
        shown = one_line(tool, _SHOWN)
        if self._contract is None:
            raise UsageError(
                f"the arguments of {shown!r} are the contract's examples, and there is no contract; give one with "
                "contract=, or write arguments"
            )
        known = {each.name: each for each in self._contract.tools}
        examples = (known[tool].examples or ()) if tool in known else ()
        good = tuple(example.arguments for example in examples if example.outcome == SUCCESS)
        if not good:
            raise UsageError(
                f"the contract has no example of {shown!r} that succeeds; add one to the contract, or write arguments"
            )
        return good

    def _note_misfits(self, tool: str, sets: tuple[dict[str, Any], ...]) -> None:
        schema = self._listed[tool].input_schema
        judge = judge_of(schema)
        # What a reference stands for is not known yet.
        known = [each for each in sets[:_CHECKED_SETS] if not references(each)]
        bad = sum(judge(each, schema) is False for each in known)
        if bad:
            which = "the arguments are" if len(sets) == 1 else f"{bad} of {len(known)} sets of arguments are"
            self.notes.append(f"{one_line(tool, _SHOWN)}: {which} not what its input schema asks for")


def _changes(names: Iterable[str], listed: Mapping[str, Tool], contract: ContractBook | None) -> Iterator[str]:
    """Yield which tools are known to change things, by the contract or else by what they announce."""
    promised = {each.name: each.effects for each in contract.tools} if contract else {}
    changing: dict[str, list[str]] = {"write": [], "destructive": []}
    for name in names:
        hints = listed[name].annotations
        announced = "destructive" if hints and hints.destructive_hint and not hints.read_only_hint else None
        effects = promised.get(name) or announced
        if effects in changing:
            changing[effects].append(name)
    for effects, words in (("write", "to write"), ("destructive", "to be destructive")):
        if found := changing[effects]:
            shown = ", ".join(one_line(name, _SHOWN) for name in found[:_NAMED])
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            yield f"known {words}, and every call is a real one: {shown}{more}"


def _digest(operations: tuple[Operation, ...]) -> str:
    canonical = json.dumps([asdict(each) for each in operations], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
