"""What users say of a load, in their words: what is called, how hard, and how a ramp goes; read when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from mcp_workbench.errors import UsageError
from mcp_workbench.untrusted import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_workbench.contracts.model import ContractBook
    from mcp_workbench.load.capacities.ramp import RampSettings
    from mcp_workbench.load.measuring import Load
    from mcp_workbench.load.workloads.workload import Workload

_IN_FLIGHT: Final = 512

Arguments = dict[str, Any] | Sequence[dict[str, Any]] | str | None


class LoadOptions(TypedDict, total=False):
    """How hard a target is called, and for how long; all of it may be left out but ``rate`` or ``users``.

    Attributes:
        rate: calls a second, begun whether or not earlier ones have ended: an open load, as many users make it.
        users: users in a closed loop, each of whom waits for an answer before the next call; instead of ``rate``.
        duration: seconds that are measured; 10.
        warm_up: seconds that are called before, in no figure; 1.
        arrivals: ``"poisson"`` (at random, as users come) or ``"constant"``.
        timeout: seconds after which a call is given up; 10.
        max_in_flight: how many calls may be unanswered at once; beyond it calls are dropped, and counted; 512, or as
            many as there are users.
        starts: how many processes of a command take turns, so that the luck of one is not taken for the server's; 3, or
            1 without calibration.
        seed: of all that is drawn; 0.
    """

    rate: float
    users: int
    duration: float
    warm_up: float
    arrivals: Literal["poisson", "constant"]
    timeout: float
    max_in_flight: int
    starts: int
    seed: int


class RampOptions(TypedDict, total=False):
    """How a ramp goes; all of it may be left out.

    Attributes:
        slo_p95_ms: what p95 from the intended start may be, in milliseconds; only throughput is judged if left out.
        start_rate: where the ramp begins, in calls a second; found by a burst if left out.
        max_rate: beyond which nothing is asked, in calls a second; 20,000.
        stage: seconds that each stage takes; 2, up to three times as long where it would have less than 40 calls, and
            at least five times as long as an operation takes alone, as far as ``limit`` allows.
        resolution: how far apart the closest rates are, as a share; 0.1.
        limit: seconds within which the search is to end, for each target: no rates are begun that would take longer,
            except for the first ones; 180.
        timeout: seconds after which a call is given up; 5.
        max_in_flight: how many calls may be unanswered at once; 512.
        seed: of all that is drawn; 0.
    """

    slo_p95_ms: float
    start_rate: float
    max_rate: float
    stage: float
    resolution: float
    limit: float
    timeout: float
    max_in_flight: int
    seed: int


@dataclass(frozen=True, slots=True)
class Called:
    """What is to be called, in a user's words.

    Attributes:
        tool: the tool; or ``None``, for a workload.
        arguments: what the tool is called with.
        workload: a mix of tools and flows, or its file.
        contract: where examples come from, or its file.
    """

    tool: str | None
    arguments: Arguments
    workload: Workload | Path | str | None
    contract: ContractBook | Path | str | None

    @property
    def said(self) -> bool:
        """Whether anything is to be called."""
        return self.tool is not None or self.workload is not None

    def read_workload(self) -> Workload:
        """Return what is to be called.

        Raises:
            UsageError: neither a tool nor a workload is given, or both.
            FileError: the workload's file is not what it should be.
        """
        from mcp_workbench.load.workloads.workload import Workload, one_call, read_workload

        if (self.tool is None) == (self.workload is None):
            raise UsageError(
                "give either a tool (and its arguments) or workload= (a file, or a Workload), and not both"
            )
        if self.tool is not None:
            return one_call(self.tool, self.arguments)
        if self.arguments is not None:
            raise UsageError("arguments= belong to a tool; those of a workload are in the workload")
        assert self.workload is not None
        return self.workload if isinstance(self.workload, Workload) else read_workload(self.workload)

    def read_contract(self) -> ContractBook | None:
        """Return the contract, or that of the file.

        Raises:
            FileError: the contract's file is not what it should be.
        """
        from mcp_workbench.contracts.files import read_book
        from mcp_workbench.contracts.model import ContractBook

        if self.contract is None or isinstance(self.contract, ContractBook):
            return self.contract
        return read_book(self.contract)


def read_load(options: LoadOptions) -> Load:
    """Return what a user has said of a load.

    Raises:
        UsageError: it makes no load.
    """
    from mcp_workbench.load.measuring import Load

    return Load(**load_fields(options))


def load_fields(options: LoadOptions) -> dict[str, Any]:
    """Return what a user has said of a load as fields of ``Load``.

    Raises:
        UsageError: a word is none of them.
    """
    fields = _fields(options, LoadOptions, "a load")
    users = fields.get("users")
    if isinstance(users, int) and "max_in_flight" not in fields and users > _IN_FLIGHT:
        fields["max_in_flight"] = users
    return fields


def read_ramp(options: RampOptions) -> RampSettings:
    """Return what a user has said of a ramp.

    Raises:
        UsageError: it makes no ramp.
    """
    from mcp_workbench.load.capacities.ramp import RampSettings

    return RampSettings(**_fields(options, RampOptions, "a ramp"))


_IN_SECONDS = {name: f"{name}_s" for name in ("duration", "warm_up", "timeout", "stage", "limit")}


def _fields(options: Any, known: Any, of: str) -> dict[str, Any]:
    for name in options:
        if name not in known.__annotations__:
            raise UsageError(f"{one_line(name, 60)}= says nothing of {of}; there is {', '.join(known.__annotations__)}")
    return {_IN_SECONDS.get(name, name): value for name, value in options.items() if value is not None}
