"""Writing a file: all of it or nothing."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from mcp_workbench.errors import FileError
from mcp_workbench.untrusted import one_line


def write_whole(text: str, file: Path | str) -> Path:
    """Write a text to a file, all of it or nothing; a file that is there is replaced.

    Args:
        text: what is to stand in it.
        file: its path; its folder must be there. A link stays a link: what it points at is replaced.

    Returns:
        The path.

    Raises:
        FileError: the file cannot be written.
    """
    path = Path(file)
    try:
        place = path.resolve()
        if place.is_symlink():
            # From Python 3.13 on, a circle of links resolves to itself.
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        with TemporaryDirectory(dir=place.parent, prefix=".new-") as beside:
            new = Path(beside, "file")
            new.write_text(text, encoding="utf-8", newline="\n")
            if place.exists():
                shutil.copymode(place, new)
            new.replace(place)
    except (OSError, ValueError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FileError(f"{one_line(path)!r} cannot be written: {one_line(why)}; give another place") from None
    return path
