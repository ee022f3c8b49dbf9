"""The last words of a server's standard error: read while it runs, bounded, kept for when something fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TextIO

KEPT_BYTES = 64 * 1024
"""How much of a server's standard error is kept; older text goes first."""


class StderrTail(asyncio.Protocol):
    """The reading end of a server's standard error, on the background loop."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._total = 0
        self._ended = asyncio.Event()
        self._transport: asyncio.ReadTransport | None = None
        self._write_end: TextIO | None = None

    async def open(self) -> TextIO:
        """Return the writing end, to be handed to the process; close it with :meth:`handed_over`."""
        read, write = os.pipe()
        self._write_end = os.fdopen(write, "w")
        reading = os.fdopen(read, "rb", buffering=0)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: self, reading)
        return self._write_end

    def handed_over(self) -> None:
        """Close our copy of the writing end, so that the pipe ends with the process."""
        if self._write_end is not None:
            self._write_end.close()
            self._write_end = None

    def data_received(self, data: bytes) -> None:
        """Keep what came, and forget what is older than the bound."""
        self._total += len(data)
        self._kept += data
        del self._kept[:-KEPT_BYTES]

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note that the process closed its end."""
        self._ended.set()

    @property
    def position(self) -> int:
        """How many bytes have come so far."""
        return self._total

    def text(self, since: int = 0) -> str:
        """Return what is kept of the bytes after position ``since``."""
        fresh = max(0, min(self._total - since, len(self._kept)))
        return self._kept[len(self._kept) - fresh :].decode(errors="replace").strip()

    async def drained(self, limit_s: float = 0.2) -> None:
        """Wait for the last words of a process that is ending, but not for long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), limit_s)

    def close(self) -> None:
        """Close both ends; what was read stays."""
        self.handed_over()
        if self._transport is not None:
            self._transport.close()
