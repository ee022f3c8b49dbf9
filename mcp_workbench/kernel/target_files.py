"""Server objects of files and modules: code of the user's own, which is run in this process."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from mcp.server import Server
from mcp.server.mcpserver import MCPServer

from mcp_workbench.errors import UnreachableError
from mcp_workbench.untrusted import one_line


def server_of_file(file: Path, attribute: str, word: str) -> MCPServer[Any] | Server[Any]:
    """Run a file and return a server object of it.

    Args:
        file: the file.
        attribute: the object's name in it, with dots for what is inside others.
        word: both, as the user wrote them.

    Raises:
        UnreachableError: the file is not there or fails, or there is no server of that name.
    """
    return _attribute(_module_of_file(file), attribute, word)


def server_of_module(name: str, attribute: str, word: str) -> MCPServer[Any] | Server[Any]:
    """Import a module and return a server object of it.

    Args:
        name: the module's name, with dots.
        attribute: the object's name in it, with dots for what is inside others.
        word: both, as the user wrote them.

    Raises:
        UnreachableError: the module is not there or fails, or there is no server of that name.
    """
    return _attribute(_module_of_name(name), attribute, word)


class _AsItStands(SourceFileLoader):
    """Compiles a file anew each time.

    A compiled copy is known by the second and the size of its source only: after a quick edit it would be the old one.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _module_of_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise UnreachableError(f"there is no file {str(file)!r}; check the path")
    file = file.resolve()
    # A name of its own, so that the file neither hides nor replaces a module of the same name.
    name = f"_mcp_workbench_target_{abs(hash(file))}"
    loader = _AsItStands(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # As when Python runs the file, its neighbours can be imported, also later by a tool; but last, so that none of them
    # hides a module of the library.
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    try:
        with _no_input():
            loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's file may raise anything
        del sys.modules[name]
        raise UnreachableError(f"{_failed_line(error, file)}; mend it and try again") from None
    return module


@contextlib.contextmanager
def _no_input() -> Iterator[None]:
    """Give a file that calls ``server.run()`` at its top level an empty input, so that it ends instead of waiting."""
    before = sys.stdin
    with open(os.devnull) as nothing:  # noqa: PTH123 - it is no path of anybody's
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


def _module_of_name(name: str) -> ModuleType:
    importlib.invalidate_caches()
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        with _no_input():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UnreachableError(
                f"there is no module {name!r}; check the spelling, install it, or give the file: 'FILE.py:ATTRIBUTE'"
            ) from None
        raise UnreachableError(f"module {name!r} cannot be imported: {one_line(error)}; install it") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's file may raise anything
        raise UnreachableError(
            f"module {name!r} cannot be imported: {type(error).__name__}: {one_line(error)}; mend it and try again"
        ) from None


def _failed_line(error: BaseException, file: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line: int | None = error.lineno
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = frames[-1].lineno if frames else None
    where = f"{file}, line {line}" if line else str(file)
    return f"{where}: {type(error).__name__}: {one_line(error)}"


def _attribute(module: ModuleType, path: str, word: str) -> MCPServer[Any] | Server[Any]:
    value: object = module
    for part in path.split("."):
        if not hasattr(value, part):
            servers = [key for key, item in vars(module).items() if isinstance(item, MCPServer | Server)]
            hint = f"it has the server {', '.join(servers)}" if servers else "it has no server object at its top level"
            raise UnreachableError(f"{one_line(word, 80)!r}: there is no attribute {path!r}; {hint}")
        value = getattr(value, part)
    if not isinstance(value, MCPServer | Server):
        raise UnreachableError(
            f"{one_line(word, 80)!r} is a {type(value).__name__}, no server; name the MCPServer (or Server) object"
        )
    return value
