"""What a team may set of the controls, with defaults that are safe and no surprise."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from mcp_workbench.errors import UsageError
from mcp_workbench.stages import STAGES
from mcp_workbench.untrusted import one_line

StageName = Literal["context", "inputs", "policy", "execution", "outputs", "telemetry"]

_Count = Annotated[int, Field(strict=True, ge=1)]


class Settings(BaseModel):
    """The settings of a hardened server; each control can be switched off by itself, and each stage as a whole.

    Attributes, with their defaults:
        off: the stages that do nothing (none).
        max_argument_bytes: the greatest size of a call's arguments as JSON, in bytes; ``None`` for none
            (262144).
        max_argument_depth: how deep arguments may be nested (32).
        unknown_arguments: what happens to arguments that the input schema does not name (refuse).
        fill_defaults: whether missing optional arguments get the default of the contract or schema (yes).
        deadline_ms: the deadline of a tool whose contract has none, in milliseconds; ``None`` for none (30000).
        stop_grace_ms: how long a stopped tool may take to clean up before the caller is answered (50).
        concurrency: how many calls run at once, as many as the SDK has threads for; ``None`` for no limit (40).
        concurrency_per_tool: how many calls of one tool run at once; ``None`` for no limit (32).
        queue: how many calls may wait for a place to run; one more is refused at once (128).
        retry_after_ms: what an overloaded server tells its callers to wait (1000).
        attempts: how often a tool is run for one call, if its contract allows retries; 1 for no retry (3).
        backoff_ms: the longest wait before the first retry; it doubles each time (50).
        max_backoff_ms: the longest wait before any retry; a tool that asks for a longer one is not run again
            (2000).
        retry_budget: how many retries there are for each call of a tool, in the long run (0.2).
        max_result_bytes: the greatest size of a result as JSON, in bytes; ``None`` for none (1000000).
        check_results: whether results are held against the output schema (yes).
        structured_errors: whether the error object is structured content. Clients made with the TypeScript SDK
            1.x hold it against the tool's output schema and fail: for them it can be a second text block (yes).
        show_stages: whether a caller who asks is told the stages' times (yes).
        sample_spans: the share of the recorded traces that get a span for each stage (0.01).

    Raises:
        UsageError: a setting is not known, or is not what it should be; the sentence names it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    off: frozenset[StageName] = Field(default=frozenset(), description="The stages that do nothing.")

    max_argument_bytes: _Count | None = Field(
        default=262_144, description="The greatest size of a call's arguments as JSON, in bytes; null for none."
    )
    max_argument_depth: Annotated[int, Field(strict=True, ge=1, le=200)] = Field(
        default=32, description="How deep arguments may be nested."
    )
    unknown_arguments: Literal["refuse", "pass"] = Field(
        default="refuse", description="What happens to arguments that the input schema does not name."
    )
    fill_defaults: StrictBool = Field(
        default=True, description="Whether missing optional arguments get the default of the contract or schema."
    )

    deadline_ms: _Count | None = Field(
        default=30_000, description="The deadline of a tool whose contract has none, in milliseconds; null for none."
    )
    stop_grace_ms: Annotated[int, Field(strict=True, ge=0, le=5_000)] = Field(
        default=50, description="How long a stopped tool may take to clean up before the caller is answered."
    )
    concurrency: _Count | None = Field(
        default=40, description="How many calls run at once, as many as the SDK has threads for; null for no limit."
    )
    concurrency_per_tool: _Count | None = Field(
        default=32, description="How many calls of one tool run at once; null for no limit."
    )
    queue: Annotated[int, Field(strict=True, ge=0)] = Field(
        default=128, description="How many calls may wait for a place to run; one more is refused at once."
    )
    retry_after_ms: _Count = Field(default=1_000, description="What an overloaded server tells its callers to wait.")
    attempts: Annotated[int, Field(strict=True, ge=1, le=10)] = Field(
        default=3, description="How often a tool is run for one call, if its contract allows retries; 1 for no retry."
    )
    backoff_ms: _Count = Field(default=50, description="The longest wait before the first retry; it doubles each time.")
    max_backoff_ms: _Count = Field(
        default=2_000,
        description="The longest wait before any retry; a tool that asks for a longer one is not run again.",
    )
    retry_budget: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.2, description="How many retries there are for each call of a tool, in the long run."
    )

    max_result_bytes: _Count | None = Field(
        default=1_000_000, description="The greatest size of a result as JSON, in bytes; null for none."
    )
    check_results: StrictBool = Field(default=True, description="Whether results are held against the output schema.")
    structured_errors: StrictBool = Field(
        default=True,
        description="Whether the error object is structured content. Clients made with the TypeScript SDK 1.x hold it "
        "against the tool's output schema and fail: for them it can be a second text block.",
    )

    show_stages: StrictBool = Field(default=True, description="Whether a caller who asks is told the stages' times.")
    sample_spans: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description="The share of the recorded traces that get a span for each stage."
    )

    def __init__(self, *unnamed: object, **settings: Any) -> None:
        if unnamed:
            raise UsageError("Settings takes names, such as Settings(deadline_ms=5_000)")
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise UsageError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else "."
        return f"there is no setting {name!r}{meant} The settings are {', '.join(Settings.model_fields)}"
    if name == "off":
        stages = ", ".join(STAGES)
        return f"the setting 'off' must be a set of stages, such as off={{\"telemetry\"}}; the stages are {stages}"
    return f"the setting {name!r}: {fault['msg']}, not {one_line(repr(fault['input']), 60)}; give such a value"
