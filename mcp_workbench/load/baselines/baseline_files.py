"""The file of a baseline: JSON with a version, checked field by field when read, replaced as a whole when written.

JSON is read as the YAML that it is, so that messages name the line.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)

from mcp_workbench.documents import Document, checked, parse_document, read_document, write_whole
from mcp_workbench.errors import FileError, UsageError
from mcp_workbench.load.baselines.conditions import Conditions
from mcp_workbench.load.baselines.figures import MOST_CODES, MOST_SLICES, OverTime
from mcp_workbench.load.baselines.histograms import Histogram, decode
from mcp_workbench.load.baselines.honesty import Honesty
from mcp_workbench.load.baselines.pairs import MOST_TOOLS, Calibration, Pairs
from mcp_workbench.records import Outcome
from mcp_workbench.untrusted import one_line

FORMAT: Final = "mcp-workbench baseline"
VERSION: Final = 1

_MOST_TOOLS: Final = 1_000
# 16 of each of 1,000 shards.
_MOST_PROCESSES: Final = 16_000
_GREATEST: Final = 2**53
# What no YAML may hold, and one_line() lets through.
_NO_CHARACTERS: Final = re.compile("[\ufffe\uffff]")


def _histogram(value: object) -> Histogram:
    if isinstance(value, Histogram):
        return value
    if not isinstance(value, str):
        raise ValueError("should be text; take the file as the workbench wrote it, or measure again")
    try:
        return decode(value)
    except FileError as error:
        raise ValueError(str(error)) from None


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("should be a time that a calendar has; measure again") from None


_Count = Annotated[int, Field(ge=0)]
_Text = Annotated[str, StringConstraints(max_length=1_000)]
_Encoded = Annotated[Histogram, BeforeValidator(_histogram), PlainSerializer(Histogram.encode)]


class _Part(BaseModel):
    # What is written is checked like what is read: a file that nobody can read again is no baseline.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        revalidate_instances="always",
    )


class FiguresPart(_Part):
    """The figures of one tool, as the file has them; see :class:`~mcp_workbench.load.baselines.figures.ToolFigures`."""

    tool: _Text
    seconds: Annotated[float, Field(ge=0)]
    answered_s: Annotated[float, Field(gt=0)]
    outcomes: dict[Outcome, _Count]
    latency: _Encoded
    service: _Encoded
    codes: Annotated[dict[_Text, _Count], Field(max_length=MOST_CODES + 1)]

    @model_validator(mode="after")
    def _agree(self) -> FiguresPart:
        calls = sum(self.outcomes.values())
        # Calls that were never sent have no latency.
        fewest = calls - self.outcomes.get(Outcome.INVALID_OUTPUT, 0)
        for name in ("latency", "service"):
            if not fewest <= (held := getattr(self, name).count) <= calls:
                raise ValueError(f"{name}: it has {held:,} calls, and the outcomes are of {calls:,}; measure again")
        if self.latency.count != self.service.count:
            raise ValueError("service: it is of other calls than latency; measure again")
        return self


class BaselineFile(_Part):
    """All that the file of a baseline says; see :class:`~mcp_workbench.load.baselines.baseline.Baseline`."""

    format: Literal["mcp-workbench baseline"] = FORMAT
    version: Literal[1] = VERSION
    label: _Text
    measured_at: Annotated[AwareDatetime, AfterValidator(_in_utc)]
    processes: Annotated[int, Field(ge=1, le=_MOST_PROCESSES)]
    conditions: Conditions
    honesty: Honesty
    calibration: Calibration | None
    pairs: Pairs | None
    figures: Annotated[tuple[FiguresPart, ...], Field(min_length=1, max_length=_MOST_TOOLS)]
    over_time: OverTime

    @model_validator(mode="after")
    def _agree(self) -> BaselineFile:
        conditions, over_time = self.conditions, self.over_time
        if (conditions.model == "open") != (conditions.rate is not None) or (conditions.rate is None) != (
            conditions.users is not None
        ):
            raise ValueError(
                "conditions: an open load has a rate and no users, a closed one the opposite; measure again"
            )
        if len(over_time.slices) > MOST_SLICES:
            raise ValueError(f"over_time: it has more than {MOST_SLICES} slices; measure again")
        counted = [each for part in over_time.slices for each in astuple(part) if each is not None]
        if over_time.slice_s <= 0 or any(each < 0 for each in counted):
            raise ValueError("over_time: slices have some length, and nothing in them is below 0; measure again")
        _refuse_impossible(self.honesty)
        if self.honesty.void:
            raise ValueError("honesty: the run was void, and no baseline can be made of it; measure again")
        if (self.pairs is None) != (self.calibration is None):
            raise ValueError("pairs: they go with a calibration, and only one of both is there; measure again")
        if self.pairs is not None:
            related = [*filter(None, (self.pairs.p50, self.pairs.quick)), *self.pairs.tools.values()]
            # What was related was related block by block.
            if self.pairs.blocks < bool(related) or len(self.pairs.tools) > MOST_TOOLS:
                raise ValueError(f"pairs: they have blocks, and at most {MOST_TOOLS} tools; measure again")
            if any(each.target_ms <= 0 or each.calibration_ms <= 0 or (each.error or 0) < 0 for each in related):
                raise ValueError("pairs: every latency is above 0, and no error is below; measure again")
        return self


def _refuse_impossible(honesty: Honesty) -> None:
    """Refuse figures that no run has: a comparison reckons with them."""
    for name, value in asdict(honesty).items():
        if isinstance(value, int | float) and value < 0:
            raise ValueError(f"honesty: {name} is below 0, which no share, time or count is; measure again")
    if honesty.cores < 1:
        raise ValueError("honesty: cores is 0, and a machine has one at least; measure again")
    for part, whole in (("achieved", "offered"), ("dropped", "offered"), ("sampled_wrong", "sampled")):
        if getattr(honesty, part) > getattr(honesty, whole):
            raise ValueError(f"honesty: {part} is above {whole}, of which it is a part; measure again")


def content_of(parts: dict[str, Any]) -> BaselineFile:
    """Return what a file will say.

    Raises:
        UsageError: no file could be read again that said so.
    """
    try:
        return BaselineFile(**parts)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        what = one_line(f"{'.'.join(map(str, fault['loc']))} {fault['msg']}")
        raise UsageError(f"this baseline cannot be kept: {what}; measure again") from None


def file_text(content: BaselineFile) -> str:
    """Return the text of the file; the same content is always the same text."""
    text = json.dumps(content.model_dump(mode="json"), indent=1, allow_nan=False, ensure_ascii=False)
    return _NO_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def parse_file(text: str, name: str) -> BaselineFile:
    """Read the text of a baseline's file.

    Args:
        text: what :func:`file_text` wrote.
        name: what messages call it.

    Raises:
        FileError: it is something else; the sentence names the field.
    """
    return _checked(parse_document(text, name))


def read_file(file: Path | str) -> BaselineFile:
    """Read a baseline's file.

    Raises:
        FileError: it cannot be read, or is no baseline; the sentence names file, line and field.
    """
    path = Path(file).expanduser()
    name = one_line(file, 200)
    if not path.exists():
        raise FileError(f"there is no baseline at {name!r}; check the path, or measure one first")
    if path.suffix != ".json":
        raise FileError(
            f"{name!r} is no baseline, whose name ends in .json; give a file that the workbench saved one in"
        )
    return _checked(read_document(path))


def write_file(content: BaselineFile, file: Path | str) -> Path:
    """Write a baseline to a file, all of it or nothing; a file that is there is replaced.

    Raises:
        FileError: the file cannot be written.
    """
    return write_whole(file_text(content), file)


def _checked(document: Document) -> BaselineFile:
    data = document.data
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise FileError(f"{document.name} is no baseline; give a file that the workbench saved one in")
    if data.get("version") != VERSION:
        raise FileError(
            f"{document.name} has version {one_line(data.get('version'), 20)} of the baseline's format, and this "
            f"workbench reads version {VERSION}; measure again, or read it with the workbench that wrote it"
        )
    _refuse_great_numbers(document)
    return checked(document, BaselineFile)


def _refuse_great_numbers(document: Document) -> None:
    """Refuse numbers that nothing can be counted with; no field has a use for them."""
    waiting = [document.root]
    while waiting:
        node = waiting.pop()
        if isinstance(node.value, int | float) and abs(node.value) > _GREATEST:
            raise FileError(f"{document.name}, line {node.line}: a number is too great; measure again")
        waiting.extend(node.inner.values())
