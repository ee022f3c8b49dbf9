"""Git: what one repository holds: its state, commits and differences; nothing is changed.

Copy this file to begin a server of your own; ``python server.py REPOSITORY`` runs it. What keeps it safe:

- Git gets lists of arguments, never a line for a shell. Of a revision only the full hash that git finds for it goes on,
  and a path comes after "--" and is taken literally: nothing that is sent can become an option.
- A repository's own config can run programs, such as hooks, filters and external diffs. It is never read: git looks for
  it in GIT_COMMON_DIR, and that is a private folder with nothing in it but links to the refs.
- A repository that has parts of another one is not served; that is seen to before each command. (Hard links in the work
  tree are the owner's own: they are shown as the files that they are.) Time and output are bounded while git runs.
"""

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, check_call
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

MAX_SECONDS, MAX_BYTES, MAX_FOUND = 10, 200_000, 200
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*([~^][0-9]{0,4})*")  # No -option, no name:path, no name@{...}.
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # Looking at a repository writes nothing into it.
    "GIT_NO_REPLACE_OBJECTS": "1",
}
# Without a config none of this is on; it stays off even if there were one.
SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")
PATCH = ("--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "--diff-merges=first-parent")
START = "give the top folder of an ordinary repository, with a .git folder in it that has no links to elsewhere"
FAILED = "unavailable: git could not do this; try again, and ask who runs this server if it stays so"

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
Revision = Annotated[str, Field(min_length=1, max_length=200, description="A commit: main, v1.0, 3f7c1e6, HEAD~2.")]
Newer = Annotated[str, Field(max_length=200, description="The later commit; empty for the files as they are now.")]
FilePath = Annotated[str, Field(max_length=1_000, description="One file or folder, from the top; empty for all.")]
Limit = Annotated[int, Field(ge=1, le=MAX_FOUND, description="The greatest number of commits.")]
Line = Annotated[str, Field(max_length=MAX_BYTES)]
Complete = Annotated[bool, Field(description="False if there is more than a limit allows.")]


class Lines(BaseModel, extra="forbid"):
    """What git listed."""

    lines: list[Line] = Field(max_length=MAX_FOUND, description="What was found, each in a line of its own.")
    complete: Complete


class Text(BaseModel, extra="forbid"):
    """What git wrote."""

    text: Line = Field(description="The text, with changes as a unified diff.")
    complete: Complete


def as_path(path: str) -> list[str]:
    """Return the end of a command that is about ``path`` alone, or about all; after "--" there are no options."""
    if not path.isprintable() or path.startswith("/") or ".." in path.split("/"):
        raise ToolError("bad_path: give a path from the top of the repository, without '..', such as 'docs/index.md'")
    return ["--", path] if path else ["--"]


def is_ordinary(repository: Path) -> bool:
    """Tell whether .git is a folder and holds what is the repository's own: no links, nothing borrowed from another."""
    home = repository / ".git"
    links = [home, *home.glob("*"), *home.glob("objects/**/*"), *home.glob("refs/**/*")]
    borrowed = (home / "commondir", home / "objects" / "info" / "alternates")
    linked = any(each.is_symlink() for each in links)
    return (home / "HEAD").is_file() and not linked and not any(each.exists() for each in borrowed)


class Git:
    """Git, at work on one repository and on no other."""

    def __init__(self, repository: Path) -> None:
        if not is_ordinary(repository):
            raise ValueError(START)
        home = repository.resolve() / ".git"
        private = Path(tempfile.mkdtemp(prefix="git-server-"))
        weakref.finalize(self, shutil.rmtree, private, ignore_errors=True)
        for shared in ("refs", "packed-refs", "shallow", "info"):
            (private / shared).symlink_to(home / shared)
        places = {"DIR": home, "COMMON_DIR": private, "OBJECT_DIRECTORY": home / "objects", "WORK_TREE": home.parent}
        self._top = home.parent
        self._environment = ENVIRONMENT | {f"GIT_{name}": str(place) for name, place in places.items()}
        self._command = ("git", "-C", str(home.parent), *SAFE)

    def run(self, *arguments: str, fault: str = FAILED) -> Text:
        """Return what git writes, as far as the limits go; ``fault`` is what it means if git fails."""
        if not is_ordinary(self._top):
            raise ToolError(FAILED)
        command = [*self._command, *arguments]
        with Popen(command, env=self._environment, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL) as git:
            alarm = threading.Timer(MAX_SECONDS, git.kill)
            alarm.start()
            assert git.stdout is not None
            written = git.stdout.read(MAX_BYTES + 1)  # No more than this is held, however much there is.
            complete = len(written) <= MAX_BYTES
            if not complete:
                git.kill()
        alarm.cancel()
        if complete and git.returncode == -signal.SIGKILL:
            raise ToolError(f"timed_out: git took more than {MAX_SECONDS} seconds; ask for less, such as for one path")
        if complete and git.returncode:
            raise ToolError(fault)
        return Text(text=written[:MAX_BYTES].decode(errors="replace"), complete=complete)

    def lines(self, limit: int, *arguments: str) -> Lines:
        """Return what git writes with a NUL after each; what was cut off in the middle is left out."""
        written = self.run(*arguments)
        found = written.text.split("\0")[:-1]
        return Lines(lines=found[:limit], complete=written.complete and len(found) <= limit)

    def commit(self, revision: str) -> str:
        """Return the full hash of the commit that ``revision`` means."""
        if not REVISION.fullmatch(revision) or ".." in revision:
            raise ToolError("bad_revision: give a branch, a tag or a hash, and ~ or ^ after it if need be: HEAD~2")
        fault = f"not_found: there is no commit {revision!r}; git_log shows what there is"
        words = ("--verify", "--quiet", "--end-of-options", revision + "^{commit}")
        return self.run("rev-parse", *words, fault=fault).text.strip()


def make_server(repository: Path) -> MCPServer:
    """Return a server for the git repository in the folder ``repository``."""
    server = MCPServer("git", version="1.0.0", log_level="WARNING")
    git = Git(repository)

    @server.tool(annotations=READS)
    def git_status() -> Lines:
        """List the files that differ from the last commit, after git's two letters; ?? is a file it does not track."""
        words = ("--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=all")
        return git.lines(MAX_FOUND, "status", *words)

    @server.tool(annotations=READS)
    def git_log(revision: Revision = "HEAD", path: FilePath = "", limit: Limit = 20) -> Lines:
        """List the commits that lead to a commit, itself included, the newest first: hash, date, author, subject."""
        words = ("-z", "--format=%H %aI %an: %s", f"--max-count={limit + 1}")
        return git.lines(limit, "log", *words, git.commit(revision), *as_path(path))

    @server.tool(annotations=READS)
    def git_show(revision: Revision) -> Text:
        """Show one commit: who, when, the whole message, and what it changed."""
        return git.run("show", *PATCH, "--format=fuller", "--date=iso-strict", git.commit(revision), "--")

    @server.tool(annotations=READS)
    def git_diff(older: Revision = "HEAD", newer: Newer = "", path: FilePath = "") -> Text:
        """Show what changed from one commit to another or, without another, to the files as they are now."""
        commits = [git.commit(older), git.commit(newer)] if newer else ["--ignore-submodules=all", git.commit(older)]
        return git.run("diff", *PATCH, *commits, *as_path(path))

    return server


def demo(folder: Path) -> MCPServer:
    """Make a repository of three commits, always the same, in ``folder``; return a server for it."""
    who = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": "2026-01-01T09:00:00+00:00"}
    made = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}

    def git(*words: str) -> None:
        check_call(["git", "-C", str(folder), *words], env=ENVIRONMENT | made | {"GIT_DEFAULT_REF_FORMAT": "files"})

    git("init", "--quiet", "--initial-branch=main", "--template=", "--object-format=sha1")
    for lamps, message in ((4, "Count the lamps"), (5, "One more lamp"), (6, "And another")):
        (folder / "desk.py").write_text(f"LAMPS = {lamps}\n")
        git("add", "--all")
        git("commit", "--quiet", f"--message={message}")
    git("branch", "quiet", "HEAD~1")
    (folder / "desk.py").write_text("LAMPS = 7\n")
    (folder / "notes.txt").write_text("Ask before deleting.\n")
    return make_server(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not is_ordinary(Path(sys.argv[1])):
        sys.exit(f"python server.py REPOSITORY: {START}")
    make_server(Path(sys.argv[1])).run()
