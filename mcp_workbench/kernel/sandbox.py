"""A sandbox: files, a git repository and a web page that servers may be tried on, gone when it is closed."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path

from mcp_workbench.errors import UnreachableError
from mcp_workbench.kernel.loop import background
from mcp_workbench.kernel.targets import search_path

_FILES = {
    "minutes.md": "# Minutes\n\n- The desk moves to the second floor.\n- Next meeting on Tuesday.\n",
    "inventory.csv": "item,count\nlamp,4\nchair,12\ndesk,6\n",
    "notes/ideas.txt": "Ask before deleting.\nWrite down what was asked.\n",
}
_COMMITS = (
    ("README.md", "# Desk\n", "Begin the desk"),
    ("desk.py", "def lamps() -> int:\n    return 4\n", "Count the lamps"),
    ("desk.py", "def lamps() -> int:\n    return 5\n", "One more lamp"),
)
_PAGE = (
    "<!doctype html><html lang='en'><head><title>The desk</title></head><body><article><h1>The desk</h1>"
    "<p>It stands on the second floor and has <strong>five lamps</strong>.</p>"
    "<p>Nobody deletes anything here without being asked.</p></article></body></html>"
)


class Sandbox:
    """A private folder with something in it for each kind of server, always the same.

    ``files`` holds three small files, ``repository`` a git repository of three commits, and ``page`` is the address
    of a page on this machine. Used in a ``with`` or closed by hand; otherwise it goes when the kernel ends.

    Attributes:
        folder: the folder of it all.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mcp-workbench-")).resolve()
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._serving: asyncio.Server | None = None
        self.empty.mkdir()
        for name, text in _FILES.items():
            file = self.files / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    @property
    def files(self) -> Path:
        """The folder with three small files."""
        return self.folder / "files"

    @property
    def empty(self) -> Path:
        """A folder with nothing in it."""
        return self.folder / "empty"

    @property
    def repository(self) -> Path:
        """The git repository; made at the first look.

        Raises:
            UnreachableError: there is no git on this machine.
        """
        place = self.folder / "repository"
        if not place.exists():
            # Made aside and put in place when it is whole.
            with tempfile.TemporaryDirectory(dir=self.folder) as aside:
                made = Path(aside) / "repository"
                self._make_repository(made)
                made.rename(place)
        return place

    @property
    def page(self) -> str:
        """The address of the page; served from the first look on."""
        if self._serving is None:
            self._serving = background().run(_serve_page())
            background().on_exit(self._stop_page)
        host, port = self._serving.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}/"

    def close(self) -> None:
        """Stop the page and remove the folder; closing twice is no error."""
        if self._serving is not None:
            background().run(self._stop_page())
        self._finalizer()

    async def _stop_page(self) -> None:
        background().not_on_exit(self._stop_page)
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.close()

    def _make_repository(self, place: Path) -> None:
        place.mkdir()
        # The same people and times each time, so that the commits have the same names everywhere.
        who = {"NAME": "Desk", "EMAIL": "desk@example.org", "DATE": "2026-01-05T09:00:00+0000"}
        environment = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        environment |= {"PATH": search_path(), "HOME": str(self.empty), "GIT_CONFIG_NOSYSTEM": "1"}
        _git(["init", "--quiet", "--initial-branch=main"], place, environment)
        for name, text, message in _COMMITS:
            (place / name).write_text(text, encoding="utf-8")
            _git(["add", name], place, environment)
            _git(["commit", "--quiet", "--no-gpg-sign", "-m", message], place, environment)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        """Return what is in it, without its path, which differs from run to run."""
        return "<Sandbox: files, repository, page>"


def _git(words: Iterable[str], place: Path, environment: dict[str, str]) -> None:
    try:
        subprocess.run(["git", *words], cwd=place, env=environment, check=True, capture_output=True, timeout=30)
    except FileNotFoundError:
        raise UnreachableError("git is not installed; install it with your system's package manager") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise UnreachableError(f"git {' '.join(words)} failed in {os.fspath(place)}: {said}") from None


async def _serve_page() -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        body = _PAGE.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)
