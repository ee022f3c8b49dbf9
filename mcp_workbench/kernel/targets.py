"""Targets: what a workbench can be pointed at, and how the user's word for it is read.

================================  ==================================================================
the user writes                   the target
================================  ==================================================================
an ``MCPServer`` (or ``Server``)  that object, in this process
``"python -m mcp_server_time"``   a command spoken to over stdio; also a list of words or
                                  ``StdioServerParameters``
``"http://127.0.0.1:8000/mcp"``   a Streamable HTTP address
``"server.py:app"``               the server object ``app`` of a file, in this process
``"package.module:app"``          the server object ``app`` of an importable module, in this process
``"clients.json#time"``           the entry ``time`` of a client configuration (``mcpServers``)
================================  ==================================================================

A file is loaded as Python runs it: its neighbours can be imported. Two files that import different neighbours of one
name get the same one, since a process has one module of a name; give one of them as a command then.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from mcp import StdioServerParameters
from mcp.server import Server
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcp_workbench.errors import TargetError, UnreachableError
from mcp_workbench.kernel.target_files import server_of_file, server_of_module
from mcp_workbench.records import Transport
from mcp_workbench.untrusted import one_line


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """A server object in this process, called directly or over loopback HTTP.

    Attributes:
        server: the object.
        name: what it is called in tables.
        transport: how it is spoken to.
        word: ``FILE.py:ATTRIBUTE`` or ``MODULE:ATTRIBUTE`` if it was loaded from there; another process can, too.
    """

    server: MCPServer[Any] | Server[Any]
    name: str
    transport: Transport = "in-process"
    word: str = ""

    def __str__(self) -> str:
        """Return the server's name and where it lives."""
        return f"the server object {one_line(self.server.name, 60)!r} in this process"


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A command that is started and spoken to over its standard input and output."""

    command: str
    name: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    transport: Transport = "stdio"

    def __str__(self) -> str:
        """Return the command line, without its environment, which may hold secrets."""
        return f"the command {one_line(shlex.join(_masked((self.command, *self.arguments))), 200)!r}"


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """A Streamable HTTP address."""

    url: str = field(repr=False)
    name: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    transport: Transport = "http"

    def __str__(self) -> str:
        """Return the address without user, password, query and fragment, which may hold secrets."""
        parts = urlsplit(self.url)
        return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 200)


Target = ServerTarget | CommandTarget | UrlTarget

_SECRET_OPTION = re.compile(r"-.*(key|token|secret|password|auth)", re.IGNORECASE)


def _masked(words: Sequence[str]) -> list[str]:
    """Return a command's words with the values of options that sound secret covered."""
    shown: list[str] = []
    for at, word in enumerate(words):
        option, equals, _ = word.partition("=")
        if equals and _SECRET_OPTION.match(option):
            shown.append(f"{option}=***")
        elif at and _SECRET_OPTION.match(words[at - 1]) and "=" not in words[at - 1] and not word.startswith("-"):
            shown.append("***")
        else:
            shown.append(word)
    return shown


class _Entry(BaseModel):
    """One entry of ``mcpServers``, as desktop clients write it; keys of their own are let through."""

    model_config = ConfigDict(extra="ignore")

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: Path | None = None
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    headers: dict[str, str] = {}


_NAME = r"[^\W\d][\w.]*"
_FILE_ATTRIBUTE = re.compile(rf"(?P<file>.+\.py):(?P<attribute>{_NAME})")
_MODULE_ATTRIBUTE = re.compile(rf"(?P<module>{_NAME}):(?P<attribute>{_NAME})")
_CONFIGURATION = re.compile(r"(?P<file>.+?\.json)(?:#(?P<entry>.+))?")


def read_target(word: object, *, name: str | None = None, over_http: bool = False) -> Target:
    """Read what the user wrote as a target.

    Args:
        word: one of the forms in the table at the top of this module, or a target that was read before.
        name: what the target is called in tables; a name is made from the target if this is ``None``.
        over_http: host a server object over loopback HTTP instead of calling it directly.

    Raises:
        TargetError: what cannot be understood, in one sentence.
        UnreachableError: what is understood, but not there, or cannot be loaded.
    """
    try:
        target = _read(word, name)
    except (OSError, ValueError, RuntimeError, RecursionError) as error:
        # Names that no file can have, home folders of nobody, documents without end.
        raise TargetError(f"the target cannot be read ({type(error).__name__}: {one_line(error, 120)})") from None
    if over_http:
        if not isinstance(target, ServerTarget):
            raise TargetError(
                f"transport='http' hosts a server object in this process, but the target is {target}; "
                "leave the transport out, or give a server object"
            )
        target = replace(target, transport="in-kernel-http")
    return target


def _read(word: object, name: str | None) -> Target:
    if isinstance(word, ServerTarget | CommandTarget | UrlTarget):
        return replace(word, name=name) if name else word
    if isinstance(word, MCPServer | Server):
        return ServerTarget(word, name or one_line(word.name, 60))
    if isinstance(word, StdioServerParameters):
        folder = Path(word.cwd) if word.cwd is not None else None
        return _command([word.command, *word.args], name, word.env or {}, folder)
    if isinstance(word, Path):
        return _text(str(word), name)
    if isinstance(word, Mapping):
        return _entry(dict(word), name, "the given mapping")
    if isinstance(word, Sequence) and not isinstance(word, str | bytes) and word:
        if all(isinstance(part, str | os.PathLike) for part in word):
            return _command([os.fspath(part) for part in word], name, {}, None)
    elif isinstance(word, str) and word.strip():
        return _text(word.strip(), name)
    raise TargetError(
        f"{_type_words(word)} is no target: give a server object, a command, a URL, "
        "'file.py:attribute', 'module:attribute' or 'file.json#entry'"
    )


def _text(text: str, name: str | None) -> Target:
    if re.match(r"^https?://", text, re.IGNORECASE):
        return _url(text, name, {})
    if file := _file(_CONFIGURATION, text):
        return _configured(Path(file["file"]).expanduser(), file["entry"], name)
    if file := _file(_FILE_ATTRIBUTE, text):
        server = server_of_file(Path(file["file"]).expanduser(), file["attribute"], text)
        return ServerTarget(server, name or one_line(server.name, 60), word=text)
    if named := _MODULE_ATTRIBUTE.fullmatch(text):
        server = server_of_module(named["module"], named["attribute"], text)
        return ServerTarget(server, name or one_line(server.name, 60), word=text)
    if re.match(r"^[a-z][a-z0-9+.-]*://", text, re.IGNORECASE):
        raise TargetError(f"{_shown(text)!r} is no HTTP address; MCP servers are reached at http:// or https://")
    if re.match(r"^[\w.-]+:\d+(/|$)", text):
        raise TargetError(f"{_shown(text)!r} looks like an address; write it as http://HOST:PORT/mcp")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise TargetError(f"the command {one_line(text, 80)!r} cannot be read ({error}); close its quotes") from None
    if not words or not words[0]:
        raise TargetError(f"{one_line(text, 80)!r} names no command; write the program first")
    return _command(words, name, {}, None)


def _file(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Match a word that names a file; a word with spaces is a command, unless there really is such a file."""
    match = pattern.fullmatch(text)
    if match and (not re.search(r"\s", text) or Path(match["file"]).expanduser().is_file()):
        return match
    return None


def _shown(url: str) -> str:
    """Return a refused address for a message, without the user and password in it, and without its query."""
    return one_line(re.sub(r"(/?/).*@", r"\1", re.split(r"[?#]", url, maxsplit=1)[0]), 80)


def _type_words(word: object) -> str:
    """Return what is said of something that is no target; not what is in it, which may be secret."""
    return "an empty text" if isinstance(word, str) else f"a {type(word).__name__}"


def _url(url: str, name: str | None, headers: Mapping[str, str]) -> UrlTarget:
    try:
        host, port = urlsplit(url).hostname, urlsplit(url).port
    except ValueError as error:
        raise TargetError(f"the address {_shown(url)!r} cannot be read: {error}") from None
    if not host:
        raise TargetError(f"the address {_shown(url)!r} names no host; write http://HOST:PORT/mcp")
    for key, value in headers.items():
        # What HTTP refuses would be shown in its message, value and all: a token that was read with its line's end.
        if not value.isprintable() or not value.isascii() or value != value.strip() or not re.fullmatch(r"[!-~]+", key):
            raise TargetError(
                f"the header {one_line(key, 60)!r} cannot be sent: it has a line's end or an odd character"
            )
    return UrlTarget(url, name or (f"{host}:{port}" if port else host), headers)


def _command(
    words: Sequence[str], name: str | None, environment: Mapping[str, str], folder: Path | None
) -> CommandTarget:
    if any("\0" in word for word in words):
        raise TargetError("the command holds a NUL character, which no command may; check how it was put together")
    if folder is not None and not folder.is_dir():
        raise UnreachableError(f"the command's folder {str(folder)!r} does not exist; make it, or give another")
    return CommandTarget(words[0], name or _command_name(words), tuple(words[1:]), dict(environment), folder)


def _command_name(words: Sequence[str]) -> str:
    # What tells servers apart is rarely the interpreter: the module behind -m, else the first word that is a script.
    if "-m" in words[:-1]:
        word = words[words.index("-m") + 1]
    else:
        scripts = [word for word in words[1:] if word.endswith((".py", ".js", ".mjs", ".ts"))]
        word = scripts[0] if scripts and Path(words[0]).name.startswith(("python", "node")) else words[0]
    return one_line(Path(word).name.removesuffix(".py") or word, 60)


def search_path() -> str:
    """Return the ``PATH`` on which commands are found: this interpreter's own folder first, as if it were activated."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def find_program(target: CommandTarget) -> str:
    """Return the full path of the target's program.

    Raises:
        UnreachableError: there is no such program, or it may not be executed.
    """
    path = target.environment.get("PATH", search_path())
    if found := shutil.which(target.command, path=path):
        return found
    here = target.folder or Path.cwd()
    file = here / Path(target.command).expanduser()
    if "/" in target.command and file.exists():
        if os.access(file, os.X_OK) and file.is_file():
            return str(file)
        raise UnreachableError(
            f"{one_line(target.command, 80)!r} is not an executable file, so it cannot be started; "
            "make it executable (chmod +x), or name the interpreter before it"
        )
    if file.is_file():
        how = "python " if file.suffix == ".py" else "node " if file.suffix in (".js", ".mjs") else "./"
        raise UnreachableError(
            f"{one_line(target.command, 80)!r} is a file, and no command; write '{how}{one_line(target.command, 80)}'"
            + (", or 'FILE.py:ATTRIBUTE' for a server object in it" if file.suffix == ".py" else "")
        )
    raise UnreachableError(
        f"there is no command {one_line(target.command, 80)!r} on this machine; "
        "check the spelling, install it, or give its full path"
    )


def _configured(file: Path, entry: str | None, name: str | None) -> Target:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnreachableError(f"there is no configuration file {str(file)!r}; check the path") from None
    except OSError as error:
        raise UnreachableError(f"the configuration file {str(file)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreachableError(f"the configuration file {str(file)!r} is not UTF-8 text; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise UnreachableError(f"{file}, line {error.lineno}: no JSON ({error.msg}); mend that line") from None
    servers = document.get("mcpServers") if isinstance(document, dict) else None
    if not isinstance(servers, dict) or not servers:
        raise UnreachableError(f"{file} has no 'mcpServers' with entries in it; is it a client configuration?")
    known = ", ".join(one_line(key, 40) for key in list(servers)[:12])
    if entry is None:
        if len(servers) != 1:
            raise TargetError(f"{file} has {len(servers)} servers; say which one: {file.name}#NAME, with {known}")
        entry = next(iter(servers))
    if entry not in servers:
        raise UnreachableError(f"{file} has no server {one_line(entry, 40)!r}; it has {known}")
    return _entry(servers[entry], name or entry, f"{file}, mcpServers.{one_line(entry, 40)}")


def _entry(value: object, name: str | None, where: str) -> Target:
    if isinstance(value, dict) and set(value) == {"mcpServers"} and isinstance(value["mcpServers"], dict):
        if len(value["mcpServers"]) != 1:
            raise TargetError(f"{where} has {len(value['mcpServers'])} servers; give the entry of one of them")
        entry_name, inner = next(iter(value["mcpServers"].items()))
        return _entry(inner, name or str(entry_name), where)
    try:
        entry = _Entry.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([where, *(str(part) for part in first["loc"])])
        raise UnreachableError(f"{place}: {first['msg'].lower()}; mend the entry") from None
    if entry.command and not entry.url:
        words = [entry.command, *entry.args]
        return _command(words, name or _command_name(words), entry.env, entry.cwd)
    if entry.url and not entry.command:
        return _url(entry.url, name, entry.headers)
    raise UnreachableError(f"{where}: an entry has either 'command' or 'url'; give one of them")
