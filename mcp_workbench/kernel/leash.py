"""The leash: no server process outlives the kernel, not even one whose kernel was killed.

Every server that the workbench starts carries a mark in its environment. A small process of its own holds the other
end of a pipe to the kernel; when the pipe closes without a word, the kernel is gone, and the leash ends whatever still
carries the mark. Run as a script, this file is that process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import threading
import time
import uuid

MARK = "MCP_WORKBENCH_KERNEL"
# Most servers end by themselves when their standard input closes; these are the seconds that they are given.
_GRACE_S = 2.0
_TERMINATE_S = 1.0


class Leash:
    """Starts the watching process with the first server and ends it with the last."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._held = 0
        self._process: subprocess.Popen[bytes] | None = None

    def take(self) -> dict[str, str]:
        """Count one more server, and return the environment variable that marks it."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    # Without this file's folder on the path, where modules of ours have common names.
                    [sys.executable, "-P", __file__, self.mark],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._held += 1
        return {MARK: self.mark}

    def drop(self) -> None:
        """Count one server less; with the last one the watching process ends."""
        with self._lock:
            self._held -= 1
            if self._held <= 0 and self._process is not None:
                self._process.kill()
                self._process.wait()
                if self._process.stdin is not None:
                    self._process.stdin.close()
                self._process = None


@functools.cache
def leash() -> Leash:
    """Return the process's leash."""
    os.register_at_fork(after_in_child=leash.cache_clear)
    return Leash()


def end_marked(mark: str, variable: str = MARK) -> int:
    """End every process that carries ``mark`` in ``variable``: first asked, then killed; return how many there were."""
    import psutil

    marked = []
    for process in psutil.process_iter():
        # Processes of other users, and those that end while one looks, have no environment to read.
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(variable) == mark:
                marked.append(process)
    for process in marked:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(marked, timeout=_TERMINATE_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return len(marked)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    time.sleep(_GRACE_S)
    end_marked(sys.argv[1])
