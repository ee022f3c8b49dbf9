"""Git: what one repository holds: its state, commits, differences and branches; nothing is changed.

Copy this file to begin a server of your own; ``python server.py REPOSITORY`` runs it. What keeps it safe:

- Git gets lists of arguments, never a line for a shell. Of a revision only the full hash that git finds for it goes on,
  and a path comes after "--" and is taken literally: nothing that is sent can become an option.
- A repository's own config can run programs: hooks, monitors, filters, external diffs. It is never read. Git looks for
  it in GIT_COMMON_DIR, and that is a private folder with nothing in it but links to the refs.
- A repository that has parts of another one, by links or by reference, is not served.
- Time and output are bounded while git runs.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

MAX_SECONDS, MAX_BYTES, MAX_FOUND = 10, 200_000, 200
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*([~^][0-9]{0,4})*")  # No -option, no name:path, no name@{...}.
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # Looking at a repository writes nothing into it.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
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
Hash = Annotated[str, Field(pattern="^[0-9a-f]{40}$", description="The full hash of the commit.")]
Complete = Annotated[bool, Field(description="False if there is more than a limit allows.")]


class Change(BaseModel, extra="forbid"):
    """A file that differs from the last commit."""

    state: str = Field(max_length=2, description="Git's two letters, for index and work tree; ?? is not tracked.")
    path: Line = Field(description="The file, from the top of the repository.")


class Status(BaseModel, extra="forbid"):
    """What is not committed."""

    changes: list[Change] = Field(max_length=MAX_FOUND, description="The files that differ, the tracked ones first.")
    complete: Complete


class Commit(BaseModel, extra="forbid"):
    """A commit."""

    hash: Hash
    date: Line = Field(description="When it was written (ISO 8601).")
    author: Line = Field(description="Who wrote it.")
    subject: Line = Field(description="The first paragraph of its message, on one line.")


class Log(BaseModel, extra="forbid"):
    """A part of the history."""

    commits: list[Commit] = Field(max_length=MAX_FOUND, description="The commits, the newest first.")
    complete: Complete


class Branch(BaseModel, extra="forbid"):
    """A branch, and the commit that it is at."""

    name: Line = Field(description="Its name.")
    hash: Hash
    current: bool = Field(description="Whether it is checked out.")


class Branches(BaseModel, extra="forbid"):
    """The branches of the repository itself, not of its remotes."""

    branches: list[Branch] = Field(max_length=MAX_FOUND, description="The branches, ordered by name.")
    complete: Complete


class Text(BaseModel, extra="forbid"):
    """What git wrote."""

    text: Line = Field(description="The text, with changes as a unified diff.")
    complete: Complete


def rows(written: Text, width: int) -> list[list[str]]:
    """Return the fields of what git wrote with a NUL after each, ``width`` to a row; what was cut off is left out."""
    fields = written.text.split("\0")[:-1]
    return [fields[at : at + width] for at in range(0, len(fields) - width + 1, width)]


def as_path(path: str) -> list[str]:
    """Return the end of a command that is about ``path`` alone, or about all; after "--" there are no options."""
    if not path.isprintable() or path.startswith("/") or ".." in path.split("/"):
        raise ToolError("bad_path: give a path from the top of the repository, without '..', such as 'docs/index.md'")
    return ["--", path] if path else ["--"]


def is_ordinary(repository: Path) -> bool:
    """Tell whether .git is a folder and holds what is the repository's own: no links, nothing borrowed from another."""
    home = repository / ".git"
    links = [home, *home.glob("*"), *home.glob("objects/*"), *home.glob("refs/**/*")]
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
        self._environment = ENVIRONMENT | {f"GIT_{name}": str(place) for name, place in places.items()}
        self._command = ("git", "-C", str(home.parent), *SAFE)

    def run(self, *arguments: str, fault: str = FAILED) -> Text:
        """Return what git writes, as far as the limits go; ``fault`` is what it means if git fails."""
        command = [*self._command, *arguments]
        with Popen(command, env=self._environment, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL) as git:
            alarm = threading.Timer(MAX_SECONDS, git.kill)
            alarm.start()
            try:
                assert git.stdout is not None
                written = git.stdout.read(MAX_BYTES + 1)  # No more than this is held, however much there is.
                if len(written) > MAX_BYTES:
                    git.kill()
                status = git.wait()
            finally:
                alarm.cancel()
        complete = len(written) <= MAX_BYTES
        if complete and status:
            late = f"timed_out: git took more than {MAX_SECONDS} seconds; ask for less, such as for one path"
            raise ToolError(late if status == -signal.SIGKILL else fault)
        return Text(text=written[:MAX_BYTES].decode(errors="replace"), complete=complete)

    def commit(self, revision: str) -> str:
        """Return the full hash of the commit that ``revision`` means."""
        if not REVISION.fullmatch(revision) or ".." in revision:
            raise ToolError("bad_revision: give a branch, a tag or a hash, and ~ or ^ after it if need be: HEAD~2")
        fault = f"not_found: there is no commit {revision!r}; git_log and git_branches show what there is"
        words = ("--verify", "--quiet", "--end-of-options", revision + "^{commit}")
        return self.run("rev-parse", *words, fault=fault).text.strip()


def make_server(repository: Path) -> MCPServer:
    """Return a server for the git repository in the folder ``repository``."""
    server = MCPServer("git", version="1.0.0", log_level="WARNING")
    git = Git(repository)

    @server.tool(annotations=READS)
    def git_status() -> Status:
        """List the files that differ from the last commit, and those that git does not track."""
        words = ("--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=all")
        written = git.run("status", *words)
        changes = [Change(state=row[:2], path=row[3:]) for (row,) in rows(written, 1)]
        return Status(changes=changes[:MAX_FOUND], complete=written.complete and len(changes) <= MAX_FOUND)

    @server.tool(annotations=READS)
    def git_log(revision: Revision = "HEAD", path: FilePath = "", limit: Limit = 20) -> Log:
        """List the commits that lead to a commit, itself included, the newest first."""
        words = ("-z", "--format=%H%x00%aI%x00%an%x00%s", f"--max-count={limit + 1}")
        written = git.run("log", *words, git.commit(revision), *as_path(path))
        commits = [Commit(hash=a, date=b, author=c, subject=d) for a, b, c, d in rows(written, 4)]
        return Log(commits=commits[:limit], complete=written.complete and len(commits) <= limit)

    @server.tool(annotations=READS)
    def git_show(revision: Revision) -> Text:
        """Show one commit: who, when, the whole message, and what it changed."""
        return git.run("show", *PATCH, "--format=fuller", "--date=iso-strict", git.commit(revision), "--")

    @server.tool(annotations=READS)
    def git_diff(older: Revision = "HEAD", newer: Newer = "", path: FilePath = "") -> Text:
        """Show what changed from one commit to another or, without another, to the files as they are now."""
        commits = [git.commit(older), git.commit(newer)] if newer else ["--ignore-submodules=all", git.commit(older)]
        return git.run("diff", *PATCH, *commits, *as_path(path))

    @server.tool(annotations=READS)
    def git_branches() -> Branches:
        """List the local branches, and the commit that each is at."""
        words = ("--format=%(HEAD)%00%(objectname)%00%(refname:lstrip=2)%00", f"--count={MAX_FOUND + 1}")
        written = git.run("for-each-ref", *words, "refs/heads/")
        branches = [Branch(name=c, hash=b, current=a.strip() == "*") for a, b, c in rows(written, 3)]
        return Branches(branches=branches[:MAX_FOUND], complete=written.complete and len(branches) <= MAX_FOUND)

    return server


def demo(folder: Path) -> MCPServer:
    """Make a repository of three commits, always the same, in ``folder``; return a server for it."""

    def git(*words: str, day: int = 1) -> None:
        who = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": f"2026-01-0{day}T09:00:00+00:00"}
        made = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        fixed = {"GIT_DEFAULT_HASH": "sha1", "GIT_DEFAULT_REF_FORMAT": "files"}
        subprocess.run(["git", "-C", str(folder), *words], env=ENVIRONMENT | made | fixed, check=True)

    git("init", "--quiet", "--initial-branch=main", "--template=")
    for day, (lamps, message) in enumerate([(4, "Count the lamps"), (5, "One more lamp"), (6, "And another")], start=1):
        (folder / "desk.py").write_text(f"LAMPS = {lamps}\n")
        git("add", "--all")
        git("commit", "--quiet", f"--message={message}", day=day)
    git("branch", "quiet", "HEAD~1")
    (folder / "desk.py").write_text("LAMPS = 7\n")
    (folder / "notes.txt").write_text("Ask before deleting.\n")
    return make_server(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not is_ordinary(Path(sys.argv[1])):
        sys.exit(f"python server.py REPOSITORY: {START}")
    make_server(Path(sys.argv[1])).run()
