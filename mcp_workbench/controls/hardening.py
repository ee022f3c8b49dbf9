"""``harden``: the six stages around every tool of a server, with one call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp.server import Server
from mcp.server.mcpserver import MCPServer

from mcp_workbench.contracts.files import read_book
from mcp_workbench.contracts.model import ContractBook
from mcp_workbench.controls.chain import Chain
from mcp_workbench.controls.settings import Settings
from mcp_workbench.errors import UsageError
from mcp_workbench.reports import Report
from mcp_workbench.stages import STAGES
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from mcp_workbench.tables import Table

_WORK: Final = {
    "context": ("correlation id, caller, wished deadline", "a wished deadline that is none"),
    "inputs": ("arguments are checked, missing ones filled in", "arguments that the schema does not allow"),
    "policy": ("allows everything: there is no policy yet", "none"),
    "execution": ("the tool runs: deadline, retries, limits", "overload, deadline, the tool's own failures"),
    "outputs": ("results are checked, failures get one form", "a result that the schema does not allow"),
    "telemetry": ("the call's span says how it went", "none"),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Hardened(Report):
    """What :func:`harden` put around the tools of a server: the six stages in their order.

    Attributes:
        server: the server's name.
        settings: what each control does.
        contracted: the tools that the contract names.
    """

    server: str
    settings: Settings
    contracted: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether all stages are on."""
        return not self.settings.off

    @property
    def frame(self) -> Table:
        """One row for each stage, in the order in which they work."""
        # Only when somebody looks: a server needs no pandas.
        from mcp_workbench.tables import table

        rows = [
            {
                "stage": stage,
                "on": stage not in self.settings.off,
                "what it does": _WORK[stage][0],
                "a call ends here by": _WORK[stage][1],
                "settings": _settings_of(stage, self.settings),
            }
            for stage in STAGES
        ]
        return table(rows, ["stage", "on", "what it does", "a call ends here by", "settings"])

    def headline(self) -> str:
        """Return how many stages are on, and how many tools the contract names."""
        on = len(STAGES) - len(self.settings.off)
        named = len(self.contracted)
        tools = f"the contract names {named} tool{'s' * (named != 1)}" if named else "there is no contract"
        return f"{one_line(self.server, 80)}: {on} of {len(STAGES)} stages are on; {tools}"


def harden(
    server: MCPServer[Any] | Server[Any],
    contract: ContractBook | Path | str | None = None,
    settings: Settings | None = None,
) -> Hardened:
    """Put the six stages around every tool of a server, in process, over stdio and over HTTP.

    Args:
        server: the server; its tools stay as they are, and may be added before or after.
        contract: the contracts of its tools, or the path of their file. They say which failures there are, what may
            be tried again, and how long a call may take (``deadline_ms``). Without them nothing is tried again.
        settings: what each control does; safe defaults if left out.

    Returns:
        The stages in their order, as a table.

    Raises:
        UsageError: this is no server of the MCP SDK, or it is hardened already.
        FileError: the file is no contract; the sentence names line and field.
    """
    if not isinstance(server, MCPServer | Server):
        raise UsageError(
            f"only a server object of the MCP SDK (MCPServer or the low-level Server) can be hardened; this is a "
            f"{type(server).__name__}"
        )
    if any(isinstance(each, Chain) for each in server.middleware):
        raise UsageError(
            f"the server {one_line(server.name, 60)!r} is hardened already; make a new server object, or soften it"
        )
    if settings is not None and not isinstance(settings, Settings):
        raise UsageError(f"settings must be Settings(...); this is a {type(settings).__name__}")
    book = _book(contract)
    chosen = Settings() if settings is None else settings
    server.middleware.append(Chain(server, book, chosen))
    return Hardened(server.name, chosen, tuple(tool.name for tool in book.tools) if book is not None else ())


def _book(contract: object) -> ContractBook | None:
    if contract is None or isinstance(contract, ContractBook):
        return contract
    if isinstance(contract, str | Path):
        return read_book(contract)
    meant = "; write settings=..." if isinstance(contract, Settings) else ""
    raise UsageError(
        f"contract must be a ContractBook or the path of a contract's file; this is a {type(contract).__name__}{meant}"
    )


def soften(server: MCPServer[Any] | Server[Any]) -> None:
    """Take the six stages off again; a server that has none is left as it is."""
    server.middleware[:] = [each for each in server.middleware if not isinstance(each, Chain)]


def _settings_of(stage: str, settings: Settings) -> str:
    if stage in settings.off:
        return "off"
    names = _SETTINGS[stage]
    told = settings.model_dump(mode="json")
    return ", ".join(f"{name}: {_word(told[name])}" for name in names) or "none"


_SETTINGS: Final = {
    "context": ("show_stages",),
    "inputs": ("max_argument_bytes", "max_argument_depth", "unknown_arguments", "fill_defaults"),
    "policy": (),
    "execution": (
        "deadline_ms",
        "stop_grace_ms",
        "concurrency",
        "concurrency_per_tool",
        "queue",
        "retry_after_ms",
        "attempts",
        "backoff_ms",
        "max_backoff_ms",
        "retry_budget",
    ),
    "outputs": ("max_result_bytes", "check_results", "structured_errors"),
    "telemetry": ("sample_spans",),
}


def _word(value: object) -> str:
    return {True: "yes", False: "no", None: "none"}[value] if value is None or isinstance(value, bool) else str(value)
