"""A server for the files of one folder: list, search, read, write, delete.

What keeps it inside: the root folder is opened once and held open. Every path is walked from there, one name after the
other, each opened in the folder before it and never through a link. Nothing is checked by its path and then opened by
its path again, so a link that somebody swaps in meanwhile leads nowhere. Only plain files with a single name are
touched: no links, pipes or devices, and no hard links, whose other name may be anywhere.
"""

import errno
import os
import secrets
import stat
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, cast

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

MAX_BYTES, MAX_CHARACTERS = 200_000, 50_000  # A character takes up to four bytes: what was written can be read again.
MAX_PATH, MAX_NAMES, MAX_NAME_BYTES = 1_000, 32, 255
MAX_LISTED, MAX_SEARCHED = 500, 10_000

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
BAD_PATH = "bad_path: give visible names joined by '/', relative to the root and without '..': notes/ideas.txt"
NOT_A_FILE = "not_a_file: {!r} is a folder, a link or a device, or has a second name; use the path of a plain file"
FAULTS = {
    errno.ENOENT: "not_found: there is no {!r} in the root; list_files shows what there is",
    errno.EEXIST: "exists: there is a {!r} already; choose another name, or set overwrite to replace a file",
    errno.ENOTDIR: "not_a_folder: {!r} is no folder, or leads through a file or a link; list_files shows what there is",
} | dict.fromkeys((errno.ELOOP, errno.EISDIR, errno.ENXIO), NOT_A_FILE)

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
FilePath = Annotated[str, Field(min_length=1, max_length=MAX_PATH, description="A file, relative to the root.")]
FolderPath = Annotated[str, Field(min_length=1, max_length=MAX_PATH, description='A folder; "." is the root.')]
Pattern = Annotated[str, Field(min_length=1, max_length=200, description="A name; * and ? stand for any characters.")]
Text = Annotated[str, Field(max_length=MAX_CHARACTERS, description="The whole of the new text.")]
Overwrite = Annotated[bool, Field(description="Whether a file that is there already is replaced.")]


class Entry(BaseModel, extra="forbid"):
    """One thing in the root."""

    path: str = Field(max_length=MAX_PATH, description="Its path, relative to the root.")
    kind: Literal["file", "folder", "other"] = Field(description="What it is; links and devices are other.")
    size_bytes: int = Field(ge=0, description="The size of a file; 0 for anything else.")


class Listing(BaseModel, extra="forbid"):
    """What was found."""

    entries: list[Entry] = Field(max_length=MAX_LISTED, description="What was found, ordered by path.")
    complete: bool = Field(description="False if a limit was met, or something could not be opened or named.")


class FileText(BaseModel, extra="forbid"):
    """A file as text."""

    path: str = Field(max_length=MAX_PATH, description="The file, relative to the root.")
    text: str = Field(max_length=MAX_BYTES, description="The whole of its text.")


def is_path(path: str) -> bool:
    """Tell whether ``path`` is visible names joined by "/": nothing absolute, no "..", no control characters."""
    names = path.split("/")
    bounded = path.isprintable() and "\\" not in path and len(path) <= MAX_PATH and len(names) <= MAX_NAMES
    return bounded and all(name not in ("", ".", "..") and len(name.encode()) <= MAX_NAME_BYTES for name in names)


def described(path: str, info: os.stat_result) -> Entry:
    """Return what is known of ``path``; a file with a second name (a hard link) is not called a file."""
    if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
        return Entry(path=path, kind="file", size_bytes=info.st_size)
    return Entry(path=path, kind="folder" if stat.S_ISDIR(info.st_mode) else "other", size_bytes=0)


def plain_file(path: str, info: os.stat_result) -> Entry:
    """Return what is known of ``path``, which must be a plain file."""
    if (entry := described(path, info)).kind != "file":
        raise ToolError(NOT_A_FILE.format(path))
    return entry


class Root:
    """The root folder, held open: the only way to what is in it."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, self._fd)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """Open a folder for the ``with``, name by name; what the system refuses becomes a sentence about ``path``."""
        if path != "." and not is_path(path):
            raise ToolError(BAD_PATH)
        at = os.open(".", FOLDER, dir_fd=self._fd)
        try:
            for name in path.split("/"):
                below = os.open(name, FOLDER, dir_fd=at)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)
