"""The MCP workbench: connect any MCP server from a notebook, look at it, call it, measure it.

>>> from mcp_workbench import Workbench
>>> wb = Workbench("python -m mcp_server_time")
>>> wb.tools
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_workbench.contracts.audit.report import Audit, audit_book
    from mcp_workbench.contracts.drift import Drift, compare_books
    from mcp_workbench.contracts.files import read_book, write_book
    from mcp_workbench.contracts.model import ContractBook, ToolContract
    from mcp_workbench.controls.call import Call, current_call
    from mcp_workbench.controls.failures import Failure
    from mcp_workbench.controls.hardening import Hardened, harden, soften
    from mcp_workbench.controls.settings import Settings
    from mcp_workbench.desk.steps import incident_desk
    from mcp_workbench.errors import (
        ArgumentsError,
        CallTimeoutError,
        ClosedError,
        ConnectionLostError,
        ContractError,
        FileError,
        LoopError,
        NestedLoopsError,
        ProtocolError,
        TargetError,
        UnknownToolError,
        UnreachableError,
        UsageError,
        VoidRunError,
        WorkbenchError,
    )
    from mcp_workbench.kernel.hosting import HostedServer, aserve, serve
    from mcp_workbench.kernel.nesting import allow_nested_loops
    from mcp_workbench.kernel.results import CallResult
    from mcp_workbench.kernel.sandbox import Sandbox
    from mcp_workbench.kernel.session import Session
    from mcp_workbench.kernel.starting_points import starting_points
    from mcp_workbench.kernel.tracing import Trace
    from mcp_workbench.load.baselines.baseline import Baseline
    from mcp_workbench.load.baselines.history import History
    from mcp_workbench.load.baselines.trend import Trend, trend
    from mcp_workbench.load.capacities.capacity import Capacity
    from mcp_workbench.load.capacities.capacity_prices import CapacityPrices, acapacity_prices, capacity_prices
    from mcp_workbench.load.compare import acompare, compare
    from mcp_workbench.load.comparisons.comparison import Comparison
    from mcp_workbench.load.comparisons.gate import GateSettings, read_gate
    from mcp_workbench.load.comparisons.judging import GateResult
    from mcp_workbench.load.comparisons.verdicts import Verdict
    from mcp_workbench.load.options import LoadOptions, RampOptions
    from mcp_workbench.load.samples.prices import PriceList, aprice_list, price_list
    from mcp_workbench.load.samples.summary import Summary
    from mcp_workbench.load.workloads.workload import Workload, read_workload
    from mcp_workbench.records import CallRecord, Outcome
    from mcp_workbench.starters.copying import new_server, starter_servers
    from mcp_workbench.verify.side_by_side import SideBySide, aside_by_side, side_by_side
    from mcp_workbench.widgets.chooser import Chooser
    from mcp_workbench.workbench import Workbench

__version__ = "0.1.0"

# Names load when they are first used: importing the package costs next to nothing, and has no side effects.
_HOMES = {
    "contracts.audit.report": ("Audit", "audit_book"),
    "contracts.drift": ("Drift", "compare_books"),
    "contracts.files": ("read_book", "write_book"),
    "contracts.model": ("ContractBook", "ToolContract"),
    "controls.call": ("Call", "current_call"),
    "controls.failures": ("Failure",),
    "controls.hardening": ("Hardened", "harden", "soften"),
    "controls.settings": ("Settings",),
    "desk.steps": ("incident_desk",),
    "errors": (
        "ArgumentsError",
        "CallTimeoutError",
        "ClosedError",
        "ConnectionLostError",
        "ContractError",
        "FileError",
        "LoopError",
        "NestedLoopsError",
        "ProtocolError",
        "TargetError",
        "UnknownToolError",
        "UnreachableError",
        "UsageError",
        "VoidRunError",
        "WorkbenchError",
    ),
    "kernel.hosting": ("HostedServer", "aserve", "serve"),
    "kernel.nesting": ("allow_nested_loops",),
    "kernel.results": ("CallResult",),
    "kernel.sandbox": ("Sandbox",),
    "kernel.session": ("Session",),
    "kernel.starting_points": ("starting_points",),
    "kernel.tracing": ("Trace",),
    "load.baselines.baseline": ("Baseline",),
    "load.capacities.capacity": ("Capacity",),
    "load.capacities.capacity_prices": ("CapacityPrices", "acapacity_prices", "capacity_prices"),
    "load.comparisons.comparison": ("Comparison",),
    "load.comparisons.gate": ("GateSettings", "read_gate"),
    "load.comparisons.judging": ("GateResult",),
    "load.baselines.history": ("History",),
    "load.compare": ("acompare", "compare"),
    "load.options": ("LoadOptions", "RampOptions"),
    "load.samples.prices": ("PriceList", "aprice_list", "price_list"),
    "load.samples.summary": ("Summary",),
    "load.baselines.trend": ("Trend", "trend"),
    "load.comparisons.verdicts": ("Verdict",),
    "load.workloads.workload": ("Workload", "read_workload"),
    "records": ("CallRecord", "Outcome"),
    "starters.copying": ("new_server", "starter_servers"),
    "verify.side_by_side": ("SideBySide", "aside_by_side", "side_by_side"),
    "widgets.chooser": ("Chooser",),
    "workbench": ("Workbench",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArgumentsError",
    "Audit",
    "Baseline",
    "Call",
    "CallRecord",
    "CallResult",
    "CallTimeoutError",
    "Capacity",
    "CapacityPrices",
    "Chooser",
    "ClosedError",
    "Comparison",
    "ConnectionLostError",
    "ContractBook",
    "ContractError",
    "Drift",
    "Failure",
    "FileError",
    "GateResult",
    "GateSettings",
    "Hardened",
    "History",
    "HostedServer",
    "LoadOptions",
    "LoopError",
    "NestedLoopsError",
    "Outcome",
    "PriceList",
    "ProtocolError",
    "RampOptions",
    "Sandbox",
    "Session",
    "Settings",
    "SideBySide",
    "Summary",
    "TargetError",
    "ToolContract",
    "Trace",
    "Trend",
    "UnknownToolError",
    "UnreachableError",
    "UsageError",
    "Verdict",
    "VoidRunError",
    "Workbench",
    "WorkbenchError",
    "Workload",
    "acapacity_prices",
    "acompare",
    "allow_nested_loops",
    "aprice_list",
    "aserve",
    "aside_by_side",
    "audit_book",
    "capacity_prices",
    "compare",
    "compare_books",
    "current_call",
    "harden",
    "incident_desk",
    "new_server",
    "price_list",
    "read_book",
    "read_gate",
    "read_workload",
    "serve",
    "side_by_side",
    "soften",
    "starter_servers",
    "starting_points",
    "trend",
    "write_book",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = globals()[name] = getattr(import_module(f"mcp_workbench.{_HOME_OF[name]}"), name)
        return value
    raise AttributeError(f"module 'mcp_workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
