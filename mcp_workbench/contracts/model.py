"""The tool contract: what a server promises of each of its tools, as a team writes it down.

::

    ContractBook                 one server's contracts: server, contract version, tools
    └── ToolContract             name, purpose, input and output schema, effects, idempotency, failures, examples;
        │                        and a deadline, if there is one
        ├── FailureCase          code, when, retryable, what the caller should do
        └── Example              arguments and the expected outcome

What is not said is ``None``: a visible gap. A draft leaves them, an audit names them, nobody invents them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator
from semver import Version

from mcp_workbench.contracts.gaps import PARTS, Gaps
from mcp_workbench.errors import ContractError, UsageError
from mcp_workbench.untrusted import one_line

Effects = Literal["read", "write", "destructive"]
Idempotency = Literal["none", "natural", "by key"]
Schema = dict[str, Any]

SUCCESS = "ok"
"""The outcome of an example that succeeds; any other outcome is the code of a failure."""

UNKNOWN_FAILURE = "unknown failure"
"""How a call ended that failed with none of the contract's codes."""

MAX_DEADLINE_MS = 3_600_000
"""The longest deadline: ours, an hour; what takes longer is a job to be asked about, no call to be held open."""


class Answer(Protocol):
    """What is asked of the result of a call."""

    @property
    def ok(self) -> bool: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def structured(self) -> Any: ...  # noqa: D102


class _Part(BaseModel):
    # Frozen and closed: a misspelt field is an error with a name, not a promise that is silently lost.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


_CODE = re.compile("^[a-z][a-z0-9_]{0,59}$")


def _code(text: str) -> str:
    if _CODE.fullmatch(text):
        return text
    raise ValueError(f"{one_line(text, 40)!r} can be no code; write small letters, digits and _, such as not_found")


class FailureCase(_Part):
    """One way in which a tool fails on purpose."""

    code: Annotated[str, AfterValidator(_code)] = Field(
        description="The failure's own code, in lower case with underscores: not_found, over_limit.",
        json_schema_extra={"pattern": _CODE.pattern},
    )
    when: str | None = Field(default=None, description="What makes the tool answer with this failure.")
    retryable: StrictBool | None = Field(
        default=None, description="Whether the same call may succeed later, unchanged."
    )
    caller: str | None = Field(default=None, description="What the caller should do about it.")


class Example(_Part):
    """A call that everybody can read, and a test can make."""

    arguments: dict[str, Any] = Field(description="The arguments of the call.")
    outcome: str = Field(
        default=SUCCESS, description='"ok", or the code of the failure that the call is answered with.'
    )
    result: Any = Field(default=None, description="The structured result, if the example promises it to the letter.")


class Annotations(_Part):
    """The four hints, and the title, as the server announces them; what it does not say stays unsaid."""

    title: str | None = None
    read_only: StrictBool | None = Field(default=None, alias="readOnlyHint")
    destructive: StrictBool | None = Field(default=None, alias="destructiveHint")
    idempotent: StrictBool | None = Field(default=None, alias="idempotentHint")
    open_world: StrictBool | None = Field(default=None, alias="openWorldHint")


class ToolContract(_Part):
    """What one tool promises. Only the name is needed to begin with; the rest are gaps until somebody fills them."""

    name: str = Field(description="The tool's name, as the server lists it.")
    title: str | None = Field(default=None, description="The tool's title for people, if it has one.")
    purpose: str | None = Field(default=None, description="What the tool is for; a draft takes over the description.")
    effects: Effects | None = Field(
        default=None, description="What a call changes: read (nothing), write, or destructive."
    )
    idempotency: Idempotency | None = Field(
        default=None, description="Whether the same call twice is as good as once: none, natural, or by key."
    )
    idempotency_key: str | None = Field(default=None, description='With "by key": the argument that holds the key.')
    open_world: StrictBool | None = Field(
        default=None, description="Whether the tool reaches things outside of the server."
    )
    deadline_ms: Annotated[int, Field(strict=True, ge=1, le=MAX_DEADLINE_MS)] | None = Field(
        default=None, description="How long a call may take, in milliseconds; the server stops it then."
    )
    input_schema: Schema | None = Field(default=None, description="The JSON Schema of the arguments.")
    output_schema: Schema | None = Field(default=None, description="The JSON Schema of the structured result.")
    failures: tuple[FailureCase, ...] | None = Field(
        default=None, description="The ways in which the tool fails on purpose; an empty list says that there are none."
    )
    examples: tuple[Example, ...] | None = Field(default=None, description="Calls with their expected outcome.")
    annotations: Annotations | None = Field(
        default=None, description="The hints as the server announced them, taken over."
    )
    wording: str | None = Field(default=None, description="Title and description as they were listed, as a digest.")
    fingerprint: str | None = Field(default=None, description="The whole tool as it was listed, as a digest.")

    @model_validator(mode="after")
    def _failure_codes_are_told_apart(self) -> ToolContract:
        codes = [failure.code for failure in self.failures or ()]
        if twice := {code for code in codes if codes.count(code) > 1}:
            raise ValueError(f"the failure {sorted(twice)[0]!r} is there twice; give each failure a code of its own")
        return self

    def filled(self, **parts: Any) -> ToolContract:
        """Return a copy in which ``parts`` are said.

        Args:
            parts: fields of the contract by name, as plain values: ``effects="read"``,
                ``failures=[{"code": "not_found", "when": "...", "retryable": False, "caller": "..."}]``.

        Raises:
            ContractError: there is no such part, or its value is not what it should be.
        """
        said = {name: getattr(self, name) for name in self.model_fields_set}
        try:
            return ToolContract.model_validate(said | parts)
        except ValidationError as error:
            raise ContractError(f"the contract of {one_line(self.name, 80)!r}: {first_fault(error)}") from None

    def outcome_of(self, result: Answer) -> str:
        """Return how a call ended, in the words of the contract.

        Args:
            result: what the call returned, such as a ``CallResult``.

        Returns:
            ``"ok"``; the code of the failure that the answer names, as ``code`` in its structured content or at the
            beginning of its text (``not_found: there is no ...``); or ``"unknown failure"``.
        """
        if result.ok:
            return SUCCESS
        codes = [failure.code for failure in self.failures or ()]
        told = result.structured.get("code") if isinstance(result.structured, dict) else None
        if told in codes:
            return str(told)
        # SDKs put words of their own before a tool's: "Error executing tool x: not_found: ...".
        words = result.text[:500].split(": ")
        return next((word for word in words[:3] if word in codes), UNKNOWN_FAILURE)

    def gaps(self) -> Gaps:
        """Return the eight parts of the contract: what each says, or what is to be written there."""
        return Gaps(self.name, (_parts(self),))

    def __repr__(self) -> str:
        return self.gaps().headline()

    def __str__(self) -> str:
        return str(self.gaps())

    def _repr_html_(self) -> str:
        return self.gaps()._repr_html_()


class ServerIdentity(_Part):
    """Which server a book is about, as it names itself."""

    name: str = Field(description="The server's name.")
    version: str | None = Field(default=None, description="The server's version.")


class ContractBook(_Part):
    """The contracts of one server, with a version of their own."""

    server: ServerIdentity = Field(description="Which server this is about.")
    contract: str = Field(default="0.1.0", description="The version of this contract, as semantic versioning has it.")
    tools: tuple[ToolContract, ...] = Field(default=(), description="One contract a tool.")

    @model_validator(mode="after")
    def _names_and_version_hold(self) -> ContractBook:
        if not Version.is_valid(self.contract):
            raise ValueError(f"contract: {self.contract[:40]!r} is not a semantic version; write one like 1.0.0")
        seen: set[str] = set()
        for tool in self.tools:
            if tool.name in seen:
                raise ValueError(f"the tool {one_line(tool.name, 80)!r} is there twice; keep one contract per tool")
            seen.add(tool.name)
        return self

    def __getitem__(self, name: str) -> ToolContract:
        """Return the contract of the tool ``name``.

        Raises:
            UsageError: there is none.
        """
        for tool in self.tools:
            if tool.name == name:
                return tool
        known = ", ".join(one_line(tool.name, 60) for tool in self.tools[:12]) or "none"
        raise UsageError(f"the contract has no tool {one_line(name, 80)!r}; it has {known}")

    def gaps(self) -> Gaps:
        """Return which of the eight parts are stated for which tool."""
        return Gaps(self.server.name, tuple(map(_parts, self.tools)))

    def __repr__(self) -> str:
        return f"contract {self.contract} of {self.gaps().headline()}, {len(self.tools)} tools"

    def __str__(self) -> str:
        return str(self.gaps())

    def _repr_html_(self) -> str:
        return self.gaps()._repr_html_()

    def with_tool(self, tool: ToolContract) -> ContractBook:
        """Return a copy in which ``tool`` takes the place of the tool of that name, or comes last."""
        known = [tool if each.name == tool.name else each for each in self.tools]
        if tool not in known:
            known.append(tool)
        return self.model_copy(update={"tools": tuple(known)})


def _parts(tool: ToolContract) -> dict[str, Any]:
    return {part.field: getattr(tool, part.field) for part in PARTS}


def first_fault(error: ValidationError) -> str:
    """Return the first thing that pydantic found wrong, as one clause: the field, and what is wrong with it."""
    fault = error.errors()[0]
    message = fault["msg"].removeprefix("Value error, ")
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {message}" if place else message
