"""Everything that can go wrong, in one tree.

::

    WorkbenchError                 one plain sentence: what was wrong, where, what to do
    ├── UsageError                 the caller's side: nothing was sent
    │   ├── TargetError            the target cannot be understood
    │   ├── ArgumentsError         the arguments are no JSON object
    │   ├── UnknownToolError       the target lists no tool of that name
    │   ├── ContractError          a contract is not what it should be
    │   ├── FileError              a file that people edit cannot be read, or is not what it should be
    │   ├── ClosedError            the workbench was closed or replaced
    │   └── NestedLoopsError       allow_nested_loops() refuses here
    ├── UnreachableError           the target is not there, or no MCP server could be connected
    │   └── ConnectionLostError    it was connected, and is gone
    ├── CallTimeoutError           no answer within the timeout; the call was cancelled
    ├── ProtocolError              a request that is no tool call was answered with an error
    ├── VoidRunError               a load whose own generator was the bottleneck: nothing can be made of it
    └── LoopError                  the workbench's background loop cannot take the work

What a server *answers* to a tool call is never raised: it is a ``CallResult`` with an outcome. In a notebook a
``WorkbenchError`` shows as its sentence, without a traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_workbench.records import CallRecord


class WorkbenchError(Exception):
    """Base of every error that the workbench raises on purpose.

    Attributes:
        record: the record of the call that failed, where there was a call.
    """

    record: CallRecord | None = None

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a traceback: the sentence."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(WorkbenchError):
    """The caller's side was wrong; nothing was sent to a server."""


class TargetError(UsageError):
    """The target cannot be understood."""


class ArgumentsError(UsageError):
    """The arguments of a call are not a JSON object."""


class UnknownToolError(UsageError):
    """The target lists no tool of that name."""


class ContractError(UsageError):
    """A contract is not what it should be."""


class FileError(UsageError):
    """A file that people edit cannot be read, or is not what it should be."""


class ClosedError(UsageError):
    """The workbench was closed, or replaced by a newer one of the same name."""


class NestedLoopsError(UsageError):
    """``allow_nested_loops()`` refuses, because it is known to break here."""


class UnreachableError(WorkbenchError):
    """The target is not there, or no MCP server could be connected at it."""


class ConnectionLostError(UnreachableError):
    """The server was connected, and is gone; ``reconnect()`` opens a new connection."""


class CallTimeoutError(WorkbenchError):
    """No answer came within the timeout; the call was cancelled."""


class ProtocolError(WorkbenchError):
    """A request that is no tool call was answered with an error, or with nonsense."""


class VoidRunError(WorkbenchError):
    """The load generator was the bottleneck, so that its figures mean nothing, and nothing is made of them."""


class LoopError(WorkbenchError):
    """The background loop cannot take the work: asked from its own thread, or held up by blocking code."""
