"""Audit: the examples of a contract: whether there are any, and whether they fit its schemas and its failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mcp_workbench.contracts.audit.findings import Fault, Rules, Severity, Subject, counted, named
from mcp_workbench.contracts.audit.subschemas import is_modest
from mcp_workbench.contracts.model import SUCCESS, Schema
from mcp_workbench.contracts.schemas.changes import conforms, judge_of
from mcp_workbench.contracts.schemas.dialects import TYPES
from mcp_workbench.contracts.schemas.values import kind_of
from mcp_workbench.untrusted import one_line

_NAME_CHARACTERS = 60


def examples_missing(tool: Subject) -> Iterator[Fault]:
    """A contract has examples. Source: the build sequence's contract template."""
    if not tool.contract.examples:
        yield Fault(
            "examples",
            "there are no examples",
            Severity.WARNING,
            "nothing shows that the contract is meant as it reads, and there is nothing to run as a test",
            "write one call that succeeds and one that fails, each with its outcome",
        )


def example_arguments(tool: Subject) -> Iterator[Fault]:
    """The arguments of an example are what the input schema asks for.

    Those of a failing example as well: a server refuses other arguments before the tool can answer with its failure.
    Source: MCP specification, tools (servers validate inputs).
    """
    contract = tool.contract
    if contract.input_schema is None:
        return
    refused = [_refuses(contract.input_schema, example.arguments) for example in contract.examples or ()]
    for succeeds in (True, False):
        bad = [
            number
            for number, example in enumerate(contract.examples or (), 1)
            if (example.outcome == SUCCESS) is succeeds and refused[number - 1]
        ]
        if bad:
            arguments = (contract.examples or ())[bad[0] - 1].arguments
            yield Fault(
                f"examples: {named(map(str, bad))}",
                f"the arguments of {counted(len(bad), 'example')} do not fit the input schema"
                + _told(bad, _misfit(contract.input_schema, arguments, "arguments")),
                Severity.ERROR if succeeds else Severity.WARNING,
                "anyone who copies the example is refused"
                if succeeds
                else "the server refuses the call before the tool can answer with the promised failure",
                "correct the example; or the schema in the server, then contract update takes it over",
            )


def example_outcome(tool: Subject) -> Iterator[Fault]:
    """The outcome of an example is ``ok`` or the code of a failure that is listed. Source: the contract model."""
    codes = {SUCCESS, *(failure.code for failure in tool.contract.failures or ())}
    bad = [
        f"{number} ({one_line(example.outcome, _NAME_CHARACTERS)})"
        for number, example in enumerate(tool.contract.examples or (), 1)
        if example.outcome not in codes
    ]
    if bad:
        yield Fault(
            f"examples: {named(bad)}",
            f"{counted(len(bad), 'example')} promise{'s' * (len(bad) == 1)} an outcome that the failures do not list",
            Severity.ERROR,
            "callers meet a failure that the contract does not explain",
            f'write "{SUCCESS}" or the code of a failure, or add the failure to the list',
        )


def example_result(tool: Subject) -> Iterator[Fault]:
    """The promised result of an example is what the output schema describes. Source: the contract model."""
    contract = tool.contract
    if contract.output_schema is None:
        return
    bad = {
        number: example.result
        for number, example in enumerate(contract.examples or (), 1)
        if example.outcome == SUCCESS
        and example.result is not None
        and _refuses(contract.output_schema, example.result)
    }
    if bad:
        first = next(iter(bad.values()))
        yield Fault(
            f"examples: {named(map(str, bad))}",
            f"the result of {counted(len(bad), 'example')} does not fit the output schema"
            + _told(list(bad), _misfit(contract.output_schema, first, "result")),
            Severity.ERROR,
            "a server that answers like the example is refused by clients that check results",
            "correct the example; or the schema in the server, then contract update takes it over",
        )


def _refuses(schema: Schema, value: object) -> bool:
    """Tell whether ``value`` surely is not what ``schema`` describes."""
    return is_modest(schema) and is_modest(value) and conforms(value, schema) is False


def _told(numbers: list[int], misfit: str) -> str:
    """Return what does not fit in the first of several examples, as the end of a finding."""
    first = f"in example {numbers[0]} " if len(numbers) > 1 else ""
    return f": {first}{misfit}" if misfit else ""


def _misfit(schema: Schema, value: object, whole: str) -> str:
    """Return the first thing in a refused value that does not fit, as a clause, as far as the top of the schema tells.

    Args:
        schema: the schema.
        value: the value that it refuses.
        whole: what the value as a whole is called.
    """
    if clause := _wrong_type(whole, value, schema):
        return clause
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return ""
    judge = judge_of(schema)
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    for name, given in value.items():
        shown = one_line(name, _NAME_CHARACTERS)
        if name in properties and judge(given, properties[name]) is False:
            return _wrong_type(shown, given, properties[name]) or f"{shown} is not what its schema allows"
        if name not in properties and closed:
            return f"{shown} is not declared"
    needed = schema.get("required")
    missing = (name for name in (needed if isinstance(needed, list) else ()) if name not in value)
    name = next(missing, None)
    return "" if name is None else f"{one_line(name, _NAME_CHARACTERS)} is missing"


def _wrong_type(name: str, value: object, schema: Any) -> str:
    said = schema.get("type") if isinstance(schema, dict) else None
    types = [each for each in (said if isinstance(said, list) else [said]) if each in TYPES]
    if not types or conforms(value, {"type": types}) is not False:
        return ""
    return f"{name} is {kind_of(value)} instead of {' or '.join(types)}"


RULES: Final[Rules] = {
    "examples-missing": examples_missing,
    "example-arguments": example_arguments,
    "example-outcome": example_outcome,
    "example-result": example_result,
}
"""The rules on examples."""
