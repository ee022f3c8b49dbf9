"""Where the rules on examples fire, and where they are silent."""

from rule_cases import Fires, Silent, taking, tool

from mcp_workbench.contracts.audit.report import Severity

FIRES: Fires = {
    "examples-missing": [(Severity.WARNING, tool(examples=None)), (Severity.WARNING, tool(examples=[]))],
    "example-arguments": [
        (Severity.ERROR, tool(examples=[{"arguments": {"town": "Oslo"}}])),
        (Severity.WARNING, tool(examples=[{"arguments": {}, "outcome": "not_found"}])),
    ],
    "example-outcome": [
        (Severity.ERROR, tool(examples=[{"arguments": {"city": "Oslo"}, "outcome": "over_limit"}])),
        (Severity.ERROR, tool(failures=None)),
    ],
    "example-result": [(Severity.ERROR, tool(examples=[{"arguments": {"city": "Oslo"}, "result": {"celsius": "4"}}]))],
}

SILENT: Silent = {
    "examples-missing": [tool()],
    "example-arguments": [
        tool(),
        tool(input_schema=None),
        # A pattern is not compiled, so whether the argument fits is not known.
        taking({"type": "string", "pattern": "^B"}) | {"examples": [{"arguments": {"city": "Oslo"}}]},
    ],
    "example-outcome": [tool()],
    "example-result": [tool(), tool(output_schema=None), tool(examples=[{"arguments": {"city": "Oslo"}}])],
}
