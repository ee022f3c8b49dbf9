"""The controls of a server: six stages around every call of a tool.

>>> from mcp_workbench.controls import harden
>>> harden(server, contract="contract.yaml")
"""

from mcp_workbench.controls.call import Call, current_call
from mcp_workbench.controls.failures import OWN_CODES, Failure
from mcp_workbench.controls.hardening import Hardened, harden, soften
from mcp_workbench.controls.settings import Settings

__all__ = ["OWN_CODES", "Call", "Failure", "Hardened", "Settings", "current_call", "harden", "soften"]
