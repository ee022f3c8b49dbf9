"""What the cases of the audit's rules are made of: a contract in which there is nothing to find, and changes of it."""

from collections.abc import Mapping
from typing import Any

from mcp_workbench.contracts.audit.report import Finding, Severity, audit_book
from mcp_workbench.contracts.model import ContractBook

Case = Mapping[str, Any] | list[Mapping[str, Any]]
Fires = dict[str, list[tuple[Severity, Case]]]
Silent = dict[str, list[Case]]

CITY = {"type": "string", "description": "The city's name.", "maxLength": 80}
INPUT = {"type": "object", "properties": {"city": CITY}, "required": ["city"], "additionalProperties": False}
OUTPUT = {
    "type": "object",
    "properties": {"celsius": {"type": "number"}},
    "required": ["celsius"],
    "additionalProperties": False,
}
NOT_FOUND = {"code": "not_found", "when": "There is no such city.", "retryable": False, "caller": "Ask for the city."}

# Each case changes what it is about.
COMPLETE: dict[str, Any] = {
    "name": "get_temperature",
    "purpose": "Return how warm it is in a city now, in degrees Celsius.",
    "effects": "read",
    "idempotency": "natural",
    "open_world": True,
    "input_schema": INPUT,
    "output_schema": OUTPUT,
    "failures": [NOT_FOUND],
    "examples": [
        {"arguments": {"city": "Oslo"}, "result": {"celsius": 4.5}},
        {"arguments": {"city": "Nowhere"}, "outcome": "not_found"},
    ],
}
WRITE = {"name": "create_order", "effects": "write", "idempotency": "none"}


def tool(**changed: Any) -> dict[str, Any]:
    return COMPLETE | changed


def taking(city: Any, **whole: Any) -> dict[str, Any]:
    """Return a tool whose argument ``city`` has this schema, without examples that it would refuse."""
    return tool(input_schema=INPUT | {"properties": {"city": city}} | whole, examples=None)


def audited(*tools: Mapping[str, Any]) -> tuple[Finding, ...]:
    book = ContractBook.model_validate({"server": {"name": "weather"}, "tools": tools})
    return audit_book(book).findings


def findings_of(rule: str, case: Case) -> list[Finding]:
    tools = case if isinstance(case, list) else [case]
    return [finding for finding in audited(*tools) if finding.rule == rule]
