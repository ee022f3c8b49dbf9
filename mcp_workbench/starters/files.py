"""Files: what is in one folder, the root, to list, read, write and delete.

Copy this file to begin a server of your own; ``python server.py ROOT`` runs it. What keeps it inside the root:

- The root is opened once and held open. A path is walked from there name by name, each opened in the folder before it
  and never through a link. Nothing is checked by its path and then opened by its path again, so a link that somebody
  swaps in meanwhile leads nowhere.
- Only plain files with a single name are touched: no links, pipes or devices, and no hard links, whose other name may
  be anywhere. Sizes and counts are bounded.
"""

import errno
import os
import secrets
import stat
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

MAX_BYTES, MAX_CHARACTERS = 200_000, 50_000  # Up to four bytes a character: what was written can be read again.
MAX_PATH, MAX_NAMES, MAX_NAME_BYTES = 1_000, 32, 255
MAX_LISTED, MAX_SEARCHED = 500, 10_000

FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW
FILE = os.O_NOFOLLOW | os.O_NONBLOCK  # Opening a pipe would wait for its other end.
WRONG_KIND = "wrong_kind: {!r} is not the plain file or the folder that is needed here; list_files tells what it is"
FAULTS = {
    errno.ENOENT: "not_found: there is no {!r} in the root; list_files shows what there is",
    errno.EEXIST: "exists: there is a {!r} already; choose another name, or set overwrite to replace a file",
} | dict.fromkeys((errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO), WRONG_KIND)

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
FilePath = Annotated[str, Field(min_length=1, max_length=MAX_PATH, description="A path, relative to the root.")]
FolderPath = Annotated[str, Field(min_length=1, max_length=MAX_PATH, description='A folder; "." is the root.')]
Pattern = Annotated[str, Field(min_length=1, max_length=200, description="Which names to list; * stands for any text.")]
Deep = Annotated[bool, Field(description="Whether to list what is in the folders below, too.")]
NewText = Annotated[str, Field(max_length=MAX_CHARACTERS, description="The whole of the new text.")]
Overwrite = Annotated[bool, Field(description="Whether a file that is there already is replaced.")]


class Entry(BaseModel, extra="forbid"):
    """One thing in the root."""

    path: FilePath
    kind: Literal["file", "folder", "other"] = Field(description="What it is; links and devices are other.")
    size_bytes: int = Field(ge=0, description="The size of a file; 0 for anything else.")


class Listing(BaseModel, extra="forbid"):
    """What was found."""

    entries: list[Entry] = Field(max_length=MAX_LISTED, description="What was found, ordered by path.")
    complete: bool = Field(description="False if a limit was met, or something could not be opened or named.")


class FileText(BaseModel, extra="forbid"):
    """A file as text."""

    text: str = Field(max_length=MAX_BYTES, description="The whole of its text.")


def is_path(path: str) -> bool:
    """Tell whether ``path`` is visible names joined by "/": nothing absolute, no "..", no control characters."""
    names = path.split("/")
    bounded = path.isprintable() and "\\" not in path and len(path) <= MAX_PATH and len(names) <= MAX_NAMES
    return bounded and all(name not in ("", ".", "..") and len(name.encode()) <= MAX_NAME_BYTES for name in names)


def entry_of(path: str, info: os.stat_result, must_be_file: bool = True) -> Entry:
    """Return what is known of ``path``; a file with a second name (a hard link) does not count as one."""
    if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
        return Entry(path=path, kind="file", size_bytes=info.st_size)
    if must_be_file:
        raise ToolError(WRONG_KIND.format(path))
    return Entry(path=path, kind="folder" if stat.S_ISDIR(info.st_mode) else "other", size_bytes=0)


class Root:
    """The root folder, held open: the only way to what is in it."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder, os.O_DIRECTORY)
        weakref.finalize(self, os.close, self._fd)

    @contextmanager
    def opened(self, path: str, inside: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that holds ``path``, or ``path`` itself if ``inside``; yield it with the path's last name."""
        if not is_path(path) and not (inside and path == "."):
            raise ToolError("bad_path: give visible names joined by '/', relative to the root: 'notes/ideas.txt'")
        names = path.split("/")
        at = os.dup(self._fd)
        try:
            for name in names if inside else names[:-1]:
                below = os.open(name, FOLDER, dir_fd=at)
                os.close(at)
                at = below
            yield at, names[-1]
        except OSError as error:
            other = f"unavailable: the system refused {{!r}} ({error.strerror}); try later, or ask who runs this server"
            raise ToolError(FAULTS.get(error.errno or 0, other).format(path)) from None
        finally:
            os.close(at)

    def found(self, folder: str, deep: bool) -> Iterator[Entry | None]:
        """Yield what is in ``folder``, and below it if ``deep``; ``None`` for what cannot be opened or named."""
        waiting = [folder]
        for each in waiting:
            try:
                with self.opened(each, inside=True) as (at, _), os.scandir(at) as names:
                    for one in names:
                        path = f"{each}/{one.name}".removeprefix("./")
                        with suppress(FileNotFoundError):  # It may be gone by now.
                            info = one.stat(follow_symlinks=False)
                            entry = entry_of(path, info, must_be_file=False) if is_path(path) else None
                            yield entry
                            if deep and entry and entry.kind == "folder":
                                waiting.append(path)
            except ToolError:
                if each == folder:
                    raise
                yield None


def make_server(root: Path) -> MCPServer:
    """Return a server for the files in the folder ``root``."""
    server = MCPServer("files", version="1.0.0", log_level="WARNING")
    held = Root(root)

    @server.tool(annotations=READS)
    def list_files(folder: FolderPath = ".", pattern: Pattern = "*", deep: Deep = False) -> Listing:
        """List what is in a folder and, if asked, in the folders below it; links are never followed."""
        seen = list(islice(held.found(folder, deep), MAX_SEARCHED + 1))
        entries = [each for each in seen if each and fnmatchcase(each.path.rpartition("/")[2], pattern)]
        complete = None not in seen and len(seen) <= MAX_SEARCHED and len(entries) <= MAX_LISTED
        return Listing(entries=sorted(entries, key=lambda entry: entry.path)[:MAX_LISTED], complete=complete)

    @server.tool(annotations=READS)
    def read_file(path: FilePath) -> FileText:
        """Read the whole of a text file in UTF-8."""
        with (
            held.opened(path) as (at, name),
            open(name, "rb", opener=lambda name, flags: os.open(name, flags | FILE, dir_fd=at)) as file,
        ):
            entry_of(path, os.fstat(file.fileno()))  # What is open cannot turn into anything else.
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ToolError(f"too_large: {path!r} has more than {MAX_BYTES:,} bytes; read a smaller file")
        try:
            return FileText(text=data.decode())
        except UnicodeDecodeError:
            raise ToolError(f"not_text: {path!r} is no text in UTF-8; read another file") from None

    @server.tool(annotations=CHANGES)
    def write_file(path: FilePath, text: NewText, overwrite: Overwrite = False) -> Entry:
        """Write a text file, all of it or nothing; a file that is there is replaced only if overwrite is set."""
        part, mode, data = f".{secrets.token_hex(8)}.part", 0o666, text.encode()
        with held.opened(path) as (at, name):
            if overwrite:
                with suppress(FileNotFoundError):
                    old = os.stat(name, dir_fd=at, follow_symlinks=False)
                    entry_of(path, old)
                    mode = old.st_mode & 0o777
            try:
                with open(part, "xb", opener=lambda name, flags: os.open(name, flags | FILE, mode, dir_fd=at)) as file:
                    file.write(data)
                if overwrite:
                    os.replace(part, name, src_dir_fd=at, dst_dir_fd=at)
                else:
                    # Unlike replace, it fails if the name is taken.
                    os.link(part, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=at)
        return Entry(path=path, kind="file", size_bytes=len(data))

    @server.tool(annotations=CHANGES)
    def delete_file(path: FilePath) -> Entry:
        """Delete a plain file for good; folders and links are refused."""
        with held.opened(path) as (at, name):
            entry = entry_of(path, os.stat(name, dir_fd=at, follow_symlinks=False))
            os.unlink(name, dir_fd=at)
        return entry

    return server


def demo(folder: Path) -> MCPServer:
    """Put a few small things into ``folder`` and return a server for it: what the contract's examples are made with."""
    (folder / "notes").mkdir()
    (folder / "notes" / "ideas.txt").write_text("Ask before deleting.\n")
    (folder / "inventory.csv").write_text("item,count\nlamp,4\nchair,12\n")
    (folder / "log.txt").write_text("one line\n" * 30_000)
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n")
    (folder / "latest").symlink_to("inventory.csv")
    return make_server(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("Give the folder to serve: python server.py ROOT")
    make_server(Path(sys.argv[1])).run()
