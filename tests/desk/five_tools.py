"""The five read-only tools of the incident desk, as its contract promises them."""

from mcp_workbench import read_book
from mcp_workbench.desk import contract_file

TOOLS = ("search_incidents", "get_incident", "list_services", "service_health", "incident_timeline")
_WHOLE = read_book(contract_file())
BOOK = _WHOLE.model_copy(update={"tools": tuple(_WHOLE[name] for name in TOOLS)})
