"""What is called under load: a mix of tools and flows with their shares, and where the arguments come from.

::

    Workload             a name, and a mix of
    ├── CallShare        one tool, its share, and its arguments
    └── Flow             several calls in a row, and their share
        └── FlowStep     a tool, its arguments, what is kept of the answer, and how long is thought before

Arguments are written down, or taken from the contract's examples, made from the input schema, or read from a file.
:mod:`~mcp_workbench.load.workloads.resolving` makes of it what the generator is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mcp_workbench.documents import Document, checked, read_document
from mcp_workbench.errors import ArgumentsError, FileError, UsageError
from mcp_workbench.load.generator.references import NAME, UNIQUE, references
from mcp_workbench.load.workloads.argument_files import FILE_ENDINGS, MAX_SETS, arguments_in
from mcp_workbench.records import read_arguments
from mcp_workbench.untrusted import one_line

EXAMPLES: Final = "examples"
GENERATED: Final = "generated"
MAX_OPERATIONS: Final = 1_000
"""How many calls and flows a workload may mix."""
MAX_STEPS: Final = 100
"""How many steps a flow may have."""

_MAX_NAME_CHARACTERS: Final = 200
_MAX_WEIGHT: Final = 1_000_000
_MAX_THINK_MS: Final = 3_600_000
_SHOWN: Final = 80
_MAX_KEPT_CHARACTERS: Final = 60


def _arguments(given: Any) -> Any:
    """Check what stands for arguments; of a union, each member would have its own complaint."""
    match given:
        case dict():
            return given
        case list() | tuple() if all(isinstance(each, dict) for each in given):
            if 0 < len(given) <= MAX_SETS:
                return given
            raise ValueError(f"there are {len(given):,} sets of arguments; write 1 to {MAX_SETS:,}")
        case str() if given in (EXAMPLES, GENERATED) or given.endswith(FILE_ENDINGS):
            return given
    what = f"{one_line(given, 40)!r} is" if isinstance(given, str) else "these are"
    raise ValueError(
        f"{what} no arguments; write a mapping or a list of mappings, or {EXAMPLES}, {GENERATED}, or the name of a "
        f"file that ends in {' or '.join(FILE_ENDINGS)}"
    )


def _kept_name(text: str) -> str:
    if not text or (re.fullmatch(NAME, text) and len(text) <= _MAX_KEPT_CHARACTERS):
        return text
    raise ValueError(
        f"nothing can be kept as {one_line(text, 40)!r}; write letters, digits and _, at most {_MAX_KEPT_CHARACTERS}"
    )


def _some_steps(given: tuple[FlowStep, ...]) -> tuple[FlowStep, ...]:
    # Not min_length: of a list with a fault in it, pydantic also says that it is too short.
    if 0 < len(given) <= MAX_STEPS:
        return given
    raise ValueError(f"there are {len(given):,} steps; write 1 to {MAX_STEPS}")


_Set = dict[str, Any]
Arguments = Annotated[
    _Set | tuple[_Set, ...] | str,
    BeforeValidator(_arguments),
    Field(
        description="The arguments; a list of several, of which one is drawn for each call; examples, for those of the "
        "contract that succeed; generated, for some that the input schema allows; or a file of them."
    ),
]
_Name = Annotated[str, Field(min_length=1, max_length=_MAX_NAME_CHARACTERS)]
_Weight = Annotated[
    float,
    Field(strict=True, gt=0, le=_MAX_WEIGHT, allow_inf_nan=False, description="The share in the mix."),
]


class _Part(BaseModel):
    # Frozen and closed: a misspelt field is an error with a name, not a load that was never meant.
    model_config = ConfigDict(frozen=True, extra="forbid")


class CallShare(_Part):
    """One tool of the mix."""

    tool: _Name = Field(description="The tool's name.")
    weight: _Weight = 1.0
    arguments: Arguments = {}


class FlowStep(_Part):
    """One call of a flow."""

    tool: _Name = Field(description="The tool's name.")
    arguments: Arguments = {}
    keep: Annotated[str, AfterValidator(_kept_name)] = Field(
        default="",
        description="The name under which later steps find the structured result, as in ${name.path}.",
    )
    think_ms: Annotated[float, Field(strict=True, ge=0, le=_MAX_THINK_MS, allow_inf_nan=False)] = Field(
        default=0.0, description="How long a user waits before the call, in milliseconds."
    )


class Flow(_Part):
    """What a user does in several calls, one after the other."""

    name: _Name = Field(description="What the flow is called in tables.")
    weight: _Weight = 1.0
    steps: Annotated[tuple[FlowStep, ...], AfterValidator(_some_steps)] = Field(
        description="The calls, in their order."
    )

    @model_validator(mode="after")
    def _what_is_kept_is_told_apart(self) -> Flow:
        names = [step.keep for step in self.steps if step.keep]
        if UNIQUE in names:
            raise ValueError(f"steps: {UNIQUE!r} is kept by the generator itself; keep the result by another name")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"steps: two of them keep {twice!r}; give each result a name of its own")
        return self


class Workload(_Part):
    """What is called under load. Weights are shares: they need not add up to anything."""

    name: _Name = Field(description="What the workload is called in tables.")
    calls: tuple[CallShare, ...] = Field(default=(), description="Single calls.")
    flows: tuple[Flow, ...] = Field(default=(), description="Calls that belong together.")

    @model_validator(mode="after")
    def _is_a_mix(self) -> Workload:
        if not self.calls and not self.flows:
            raise ValueError("nothing is called; write calls, or flows")
        if len(self.calls) + len(self.flows) > MAX_OPERATIONS:
            raise ValueError(f"there are more than {MAX_OPERATIONS:,} calls and flows; leave some out")
        names = [flow.name for flow in self.flows]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"flows: two are called {one_line(twice, 40)!r}; give each a name of its own")
        return self


def one_call(tool: str, arguments: _Set | Sequence[_Set] | str | None = None) -> Workload:
    """Return the workload that calls one tool.

    Args:
        tool: its name.
        arguments: the same for each call; several, of which one is drawn for each call; or ``"examples"`` or
            ``"generated"``, or the name of a file of them.

    Raises:
        ArgumentsError: the arguments are nothing of this.
        UsageError: the name is none.
    """
    if not isinstance(tool, str) or not 0 < len(tool) <= _MAX_NAME_CHARACTERS:
        raise UsageError(f"the name of a tool is a text of at most {_MAX_NAME_CHARACTERS} characters; give tool=")
    given: Any = arguments
    if given is None or isinstance(given, dict):
        given = read_arguments(given).values
    else:
        try:
            given = _arguments(given)
        except ValueError as error:
            raise ArgumentsError(f"the tool {one_line(tool, _SHOWN)!r}: {error}") from None
        if not isinstance(given, str):
            given = tuple(read_arguments(each).values for each in given)
    return Workload(name=tool, calls=(CallShare(tool=tool, arguments=given),))


def read_workload(file: Path | str) -> Workload:
    """Read a workload file, and the files of arguments that it names.

    Args:
        file: the path of a YAML file; ``data/workloads`` holds examples. Paths in it are relative to it.

    Raises:
        FileError: it cannot be read, or is no workload; the sentence names file, line and field.
    """
    path = Path(file)
    document = read_document(path)
    workload = checked(document, Workload)
    _refuse_lost_references(document, workload)
    return with_files(workload, path.parent)


def lost_reference(sets: Sequence[Any], flow: Flow) -> tuple[int, str] | None:
    """Return the first step whose arguments refer to what no step before it keeps, and the sentence for it.

    Args:
        sets: the arguments of each step, as far as they are known.
        flow: the flow.
    """
    kept = [UNIQUE]
    for at, step in enumerate(flow.steps):
        for name, _ in references(sets[at]):
            if name not in kept:
                known = ", ".join(kept)
                return at, f"nothing before it is kept as {one_line(name, _SHOWN)!r}; there is {known}"
        if step.keep:
            kept.append(step.keep)
    return None


def _refuse_lost_references(document: Document, workload: Workload) -> None:
    for number, flow in enumerate(workload.flows):
        if lost := lost_reference([step.arguments for step in flow.steps], flow):
            at, words = lost
            line = document.line(("flows", number, "steps", at, "arguments"))
            raise FileError(f"{document.name}, line {line}, flows[{number}].steps[{at}].arguments: {words}")


def with_files(workload: Workload, folder: Path) -> Workload:
    """Return the workload with the contents of the files of arguments in the place of their names."""

    def read(given: Any) -> Any:
        return arguments_in(folder / given) if isinstance(given, str) and given.endswith(FILE_ENDINGS) else given

    calls = tuple(call.model_copy(update={"arguments": read(call.arguments)}) for call in workload.calls)
    flows = tuple(
        flow.model_copy(
            update={"steps": tuple(step.model_copy(update={"arguments": read(step.arguments)}) for step in flow.steps)}
        )
        for flow in workload.flows
    )
    return workload.model_copy(update={"calls": calls, "flows": flows})
