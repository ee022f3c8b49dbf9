"""The incident desk: an MCP server for teams on call, built step by step; all of its data are invented."""

from mcp_workbench.desk.steps import DATABASE, STEPS, contract_file, incident_desk
from mcp_workbench.desk.store import digest

__all__ = ["DATABASE", "STEPS", "contract_file", "digest", "incident_desk"]
