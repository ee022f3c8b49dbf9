"""Where the rules on what a contract promises fire, and where they are silent."""

from rule_cases import CITY, NOT_FOUND, WRITE, Fires, Silent, taking, tool

from mcp_workbench.contracts.audit.report import Severity

BUSY = {"code": "busy", "when": "Too many calls.", "retryable": True, "caller": "Wait a minute."}

FIRES: Fires = {
    "purpose-missing": [(Severity.ERROR, tool(purpose=None)), (Severity.ERROR, tool(purpose=" \n"))],
    "purpose-thin": [
        (Severity.WARNING, tool(purpose="Get the temperature.")),
        (Severity.WARNING, tool(name="getTemperature", purpose="get_temperature tool")),
        (Severity.WARNING, tool(purpose="Weather.")),
    ],
    "effects-unsaid": [(Severity.ERROR, tool(effects=None))],
    "idempotency-unsaid": [
        (Severity.WARNING, tool(name="create_order", effects="write", idempotency=None)),
        (Severity.WARNING, tool(effects=None, idempotency=None)),
    ],
    "idempotency-key": [
        (Severity.ERROR, tool(**WRITE | {"idempotency": "by key"})),
        (Severity.ERROR, tool(**WRITE | {"idempotency": "by key", "idempotency_key": "request_id"})),
        (
            Severity.ERROR,
            taking(CITY, required=[]) | WRITE | {"idempotency": "by key", "idempotency_key": "city"},
        ),
        (Severity.WARNING, tool(idempotency_key="city")),
    ],
    "failures-unsaid": [(Severity.ERROR, tool(failures=None))],
    "failure-incomplete": [
        (Severity.WARNING, tool(failures=[{"code": "not_found"}])),
        (Severity.WARNING, tool(failures=[NOT_FOUND | {"caller": ""}])),
        (Severity.WARNING, tool(failures=[NOT_FOUND | {"retryable": None}])),
    ],
    "failures-denied": [(Severity.WARNING, tool(failures=[], examples=None))],
    "retry-repeats": [
        (Severity.WARNING, tool(**WRITE, failures=[BUSY], examples=None)),
        (Severity.WARNING, tool(**WRITE | {"effects": "destructive"}, failures=[BUSY], examples=None)),
    ],
    "open-world-unsaid": [(Severity.NOTE, tool(open_world=None))],
}

SILENT: Silent = {
    "purpose-missing": [tool()],
    "purpose-thin": [tool(purpose="查询城市天气"), tool(purpose="Get the temperature of a city."), tool(purpose=None)],
    "effects-unsaid": [tool()],
    "idempotency-unsaid": [tool(idempotency=None), tool(**WRITE)],
    "idempotency-key": [
        tool(**WRITE),
        tool(**WRITE | {"idempotency": "by key", "idempotency_key": "city"}),
        tool(**WRITE | {"idempotency": "by key", "idempotency_key": "id"}, input_schema=None),
        tool(**WRITE | {"idempotency": "by key", "idempotency_key": "id"}, input_schema={"$ref": "#/$defs/Gone"}),
    ],
    "failures-unsaid": [tool(), tool(failures=[])],
    "failure-incomplete": [tool(), tool(failures=None)],
    "failures-denied": [tool(), tool(failures=[], input_schema={"type": "object", "properties": {}})],
    "retry-repeats": [
        tool(failures=[BUSY]),
        tool(**WRITE, failures=[NOT_FOUND]),
        tool(**WRITE | {"idempotency": "natural"}, failures=[BUSY]),
        tool(**WRITE, failures=[BUSY | {"when": "Too many calls; nothing was changed."}]),
    ],
    "open-world-unsaid": [tool(), tool(open_world=False)],
}
