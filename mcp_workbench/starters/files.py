"""Files: what is in one folder, the root, to list, read, write and delete.

Copy this file to begin a server of your own; ``python server.py ROOT`` runs it. What keeps it inside the root:

- The root is held open, and a path walked from there name by name, each opened in the folder before it and never
  through a link. So a link that somebody swaps in meanwhile leads nowhere.
- Only plain files with a single name are touched: no links, pipes or devices, and no hard links, whose other name may
  be anywhere. What is written only its owner may read. Sizes and counts are bounded.
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

MAX_CHARACTERS, MAX_LISTED, MAX_PATH = 50_000, 500, 1_000
BAD_PATH = "bad_path: give visible names joined by '/', relative to the root, such as 'notes/ideas.txt'"
WRONG_KIND = "wrong_kind: this is not the plain file or the folder that is needed here; list_files tells what it is"
FAULTS = {
    errno.ENAMETOOLONG: BAD_PATH,
    errno.ENOENT: "not_found: the root has nothing of this name; list_files shows what there is",
    errno.EEXIST: "exists: there is something of this name; choose another, or set overwrite to replace a file",
} | dict.fromkeys((errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO), WRONG_KIND)

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
FILE = os.O_NOFOLLOW | os.O_NONBLOCK  # Opening a pipe would wait for its other end.
FilePath = Annotated[str, Field(min_length=1, max_length=MAX_PATH, description="A path, relative to the root.")]
FolderPath = Annotated[str, Field(min_length=1, max_length=MAX_PATH, description='A folder; "." is the root.')]
Pattern = Annotated[str, Field(min_length=1, max_length=200, description="Which names to list; * stands for any text.")]
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
    complete: bool = Field(description="False if there is more than a limit allows, or than can be named in a path.")


class FileText(BaseModel, extra="forbid"):
    """A file as text."""

    text: str = Field(max_length=MAX_CHARACTERS, description="The whole of its text.")


def is_path(path: str) -> bool:
    """Tell whether ``path`` is visible names joined by "/": nothing absolute, no "..", no control characters."""
    visible = path.isprintable() and "\\" not in path and len(path) <= MAX_PATH
    return visible and not {"", ".", ".."} & set(path.split("/"))


def entry_of(path: str, info: os.stat_result, must_be_file: bool = True) -> Entry:
    """Return what is known of ``path``; a file with a second name (a hard link) does not count as one."""
    if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
        return Entry(path=path, kind="file", size_bytes=info.st_size)
    if must_be_file:
        raise ToolError(WRONG_KIND)
    return Entry(path=path, kind="folder" if stat.S_ISDIR(info.st_mode) else "other", size_bytes=0)


def make_server(root: Path) -> MCPServer:
    """Return a server for the files in the folder ``root``."""
    server = MCPServer("files", version="1.0.0", log_level="WARNING")
    root_fd = os.open(root, os.O_DIRECTORY)

    @contextmanager
    def opened(path: str) -> Iterator[tuple[int, str]]:
        """Open the folder that holds ``path``; yield it with the path's last name."""
        if not is_path(path):
            raise ToolError(BAD_PATH)
        *folders, last = path.split("/")
        at = os.dup(root_fd)
        try:
            for name in [".", *folders]:  # A duplicate of the root shares its place in the listing; "." does not.
                below = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            yield at, last
        except OSError as error:
            raise ToolError(FAULTS.get(error.errno or 0, f"unavailable: {error.strerror}; try later")) from None
        finally:
            os.close(at)

    weakref.finalize(opened, os.close, root_fd)

    @server.tool(annotations=READS)
    def list_files(folder: FolderPath = ".", pattern: Pattern = "*") -> Listing:
        """List what is in a folder; links are never followed."""
        entries = []
        with opened("*" if folder == "." else f"{folder}/*") as (at, _), os.scandir(at) as found:
            matching = (each for each in found if fnmatchcase(each.name, pattern))
            seen = {f"{folder}/{each.name}".removeprefix("./"): each for each in islice(matching, MAX_LISTED + 1)}
            for path in filter(is_path, sorted(seen)):
                with suppress(FileNotFoundError):  # It may be gone by now.
                    entries.append(entry_of(path, seen[path].stat(follow_symlinks=False), must_be_file=False))
        return Listing(entries=entries[:MAX_LISTED], complete=len(entries) == len(seen) <= MAX_LISTED)

    @server.tool(annotations=READS)
    def read_file(path: FilePath) -> FileText:
        """Read the whole of a text file in UTF-8."""
        with (
            opened(path) as (at, name),
            open(name, "rb", opener=lambda name, flags: os.open(name, flags | FILE, dir_fd=at)) as file,
        ):
            entry_of(path, os.fstat(file.fileno()))  # What is open cannot turn into anything else.
            data = file.read(4 * MAX_CHARACTERS + 1)  # A character has up to four bytes.
        try:
            return FileText(text=data.decode())
        except ValueError:  # It is one, too, if the text is too long.
            raise ToolError(f"not_text: no UTF-8 text of up to {MAX_CHARACTERS:,} characters; read another") from None

    @server.tool(annotations=CHANGES)
    def write_file(path: FilePath, text: NewText, overwrite: Overwrite = False) -> Entry:
        """Write a text file, all of it or nothing; a file that is there is replaced only if overwrite is set."""
        part, data = f".{secrets.token_hex(8)}.part", text.encode()
        with opened(path) as (at, name):
            if overwrite:
                with suppress(FileNotFoundError):
                    entry_of(path, os.stat(name, dir_fd=at, follow_symlinks=False))
            try:
                with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600, dir_fd=at)) as file:
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
        with opened(path) as (at, name):
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
