"""The gate: what counts as a regression, and limits that hold whatever was measured before; a file that people edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mcp_workbench.documents.checking import checked
from mcp_workbench.documents.parsing import read_document
from mcp_workbench.load.comparisons.verdicts import PASSED, UNDECIDED, Verdict, exit_code
from mcp_workbench.workbook import shipped

_Ratio = Annotated[float, Field(strict=True, ge=1, le=100)]
_Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_Above = Annotated[float, Field(strict=True, gt=0, le=1e9)]
_Sd = Annotated[float, Field(strict=True, ge=0, le=1)]
_Confidence = Annotated[float, Field(strict=True, ge=0.5, le=0.9999)]
_Count = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]


class _Part(BaseModel):
    # Frozen and closed: a misspelt limit is an error with a name, not a limit that nothing is held against.
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Part):
    """Limits that hold whatever was measured before; those that are ``None`` limit nothing."""

    max_p50_ms: _Above | None = Field(default=None, description="Half of the calls take no longer, in milliseconds.")
    max_p95_ms: _Above | None = Field(default=None, description="95 of 100 calls take no longer, in milliseconds.")
    max_p99_ms: _Above | None = Field(default=None, description="99 of 100 calls take no longer, in milliseconds.")
    max_error_rate: _Share | None = Field(
        default=None, description="The greatest share of calls that fail, 0 to 1; 0: none does."
    )
    min_rate: _Above | None = Field(default=None, description="At least so many calls a second end.")


class GateSettings(_Part):
    """What a comparison calls a regression, and the limits of a gate.

    The defaults hold both kinds of mistakes low on a noisy machine; ``benchmarks/RESULTS.md`` has the figures.

    Attributes, with their defaults:
        p50_margin: the ratio of p50 that is tolerated; its interval must lie above it for a regression (1.03).
        p50_found: the ratio of p50 that "no regression" rules out (1.20).
        tail_margin: the same as ``p50_margin`` for the slow end, p97 to p99 (1.08).
        tail_found: the same as ``p50_found`` for the slow end (1.50).
        error_margin: the measured share of the candidate's failed calls may be greater by so much; a difference by luck
            alone is none (0.005).
        errors_found: how much greater a share "no regression" rules out (0.02).
        stall_margin: for how much longer a candidate may keep calls waiting after its turns, as a share of their time;
            nothing arrives meanwhile, so that latencies do not show it (0.10).
        confidence: of the intervals of latencies: the upper bound, on which "no regression" rests, holds with half of
            the doubt (0.90).
        alarm_confidence: the same of the lower bound, on which a regression rests where two targets take turns: several
            measures may raise an alarm (0.95).
        error_confidence: of the intervals of error rates (0.95).
        process_sd: the standard deviation between processes of the same code, for as long as they live, as the
            logarithm of p50 (0.05); it is assumed, and mended by what the processes do differ by.
        quick_process_sd: the same for the quick calls, p10 of the service time (0.03).
        tail_process_sd: the same for the slow end (0.04).
        run_sd: of two runs of one process each at different times, after division by the calibration server's, as the
            logarithm of a latency (0.08); it is divided by the root of the number of processes.
        foreign_sd: the same for each core that other programs were busy on during a run, for p50 (0.4): the
            calibration server makes up for a part of it only.
        quick_foreign_sd: the same for the quick calls (0.05).
        speed_sd: the same for the logarithm of how much faster the calibration server was in one of the runs (0.25):
            what of a server's time is waiting does not follow the machine.
        judge_tail: ``when possible`` (the slow end may find a regression; calls too few for it hold up no verdict),
            ``always`` (without calls enough for it nothing is decided) or ``never``.
        least_pairs: fewer pairs of blocks decide nothing (8).
        least_calls: fewer calls of an arm decide nothing (100).
        tail_least_calls: fewer calls of an arm decide nothing about the slow end (800).
        on_not_enough: whether "not enough data" ends a command as a failure of its own, 4, or as a pass (fail); a void
            run always ends with 4.
        limits: of all calls together: ``max_p50_ms``, ``max_p95_ms``, ``max_p99_ms``, ``max_error_rate`` (0 to 1; with
            0 no call may fail), ``min_rate`` (calls a second); one that is left out limits nothing.
        tools: the same of single tools, by name; each of them has to be measured.

    As a file: ``data/gates/default.yaml`` has all of it, with the reasons.
    """

    p50_margin: _Ratio = Field(default=1.03, description="The ratio of p50 that is tolerated.")
    p50_found: _Ratio = Field(default=1.20, description="The ratio of p50 that no regression rules out.")
    tail_margin: _Ratio = Field(default=1.08, description="The ratio of the slow end that is tolerated.")
    tail_found: _Ratio = Field(default=1.50, description="The ratio of the slow end that no regression rules out.")
    error_margin: _Share = Field(
        default=0.005, description="By how much the measured share of failed calls may be greater."
    )
    errors_found: _Share = Field(default=0.02, description="The greater share that no regression rules out.")
    stall_margin: _Share = Field(default=0.10, description="The longer share of waiting after turns that is tolerated.")
    confidence: _Confidence = Field(default=0.90, description="Of the upper bounds of latencies, 0.5 to 0.9999.")
    alarm_confidence: _Confidence = Field(default=0.95, description="Of their lower bounds, 0.5 to 0.9999.")
    error_confidence: _Confidence = Field(default=0.95, description="Of the intervals of error rates, 0.5 to 0.9999.")
    process_sd: _Sd = Field(default=0.05, description="What processes of the same code differ by, as a logarithm.")
    quick_process_sd: _Sd = Field(default=0.03, description="The same for the quick calls.")
    tail_process_sd: _Sd = Field(default=0.04, description="The same for the slow end.")
    run_sd: _Sd = Field(default=0.08, description="What runs at different times differ by, as a logarithm.")
    foreign_sd: _Sd = Field(default=0.4, description="The same for a core of other work beside a run, for p50.")
    quick_foreign_sd: _Sd = Field(default=0.05, description="The same for the quick calls.")
    speed_sd: _Sd = Field(default=0.25, description="The same for a machine that was faster beside one run.")
    judge_tail: Literal["when possible", "always", "never"] = Field(
        default="when possible", description="Whether the slow end decides: when possible, always or never."
    )
    least_pairs: _Count = Field(default=8, description="Fewer pairs of blocks decide nothing.")
    least_calls: _Count = Field(default=100, description="Fewer calls of an arm decide nothing.")
    tail_least_calls: _Count = Field(default=800, description="Fewer calls decide nothing about the slow end.")
    on_not_enough: Literal["fail", "pass"] = Field(
        default="fail", description="How a command ends if it cannot be decided: fail (4) or pass (0)."
    )
    limits: Limits = Field(default=Limits(), description="Limits of all calls together.")
    tools: dict[str, Limits] = Field(default={}, description="Limits of single tools, by name.")

    @model_validator(mode="after")
    def _ordered(self) -> GateSettings:
        for found, margin in (
            ("p50_found", "p50_margin"),
            ("tail_found", "tail_margin"),
            ("errors_found", "error_margin"),
        ):
            if getattr(self, found) <= getattr(self, margin):
                raise ValueError(f"{found}: is not above {margin}, {getattr(self, margin):g}; give a greater number")
        return self

    def exit_code(self, verdict: Verdict, *, void: bool = False) -> int:
        """Return how a command ends: 0 pass, 1 regression, 4 not enough data, which ``on_not_enough`` may let pass.

        Args:
            verdict: of the whole.
            void: whether the figures mean nothing: nothing lets that pass.
        """
        if void:
            return UNDECIDED
        if verdict is Verdict.NOT_ENOUGH and self.on_not_enough == "pass":
            return PASSED
        return exit_code(verdict)


def read_gate(path: Path | str | None = None) -> GateSettings:
    """Read the settings of a gate from a YAML file; without one, those that come with the package.

    Raises:
        FileError: it cannot be read, or is no gate; the sentence names file, line and field.
    """
    file = Path(path) if path is not None else shipped("data") / "gates" / "default.yaml"
    return checked(read_document(file), GateSettings)
