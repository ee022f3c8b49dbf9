"""What a team may set of the controls, with defaults that are safe and no surprise."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from mcp_workbench.errors import UsageError

StageName = Literal["context", "inputs", "policy", "execution", "outputs", "telemetry"]

_Count = Annotated[int, Field(strict=True, ge=1)]


class Settings(BaseModel):
    """The settings of a hardened server; each control can be switched off by itself, and each stage as a whole.

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
    concurrency: _Count | None = Field(default=64, description="How many calls run at once; null for no limit.")
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
    max_backoff_ms: _Count = Field(default=2_000, description="The longest wait before any retry.")
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

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"]))
            raise UsageError(
                f"the setting {place!r}: {fault['msg']}; see the descriptions in mcp_workbench.controls.Settings"
            ) from None
