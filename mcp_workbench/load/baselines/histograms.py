"""Latencies as an HDR histogram: a few kilobytes whatever the number of calls, merged without loss.

Values are whole nanoseconds, kept to three significant digits (1,024 places for each doubling). What is read from a
place is its middle, so that a value is off by at most 1 / 2048, which is 0.049 %. Microseconds would be coarser than
that for all that takes less than a millisecond, and calls in process do.

Source:
    layout and encoding are those of HdrHistogram V2 (https://hdrhistogram.github.io/HdrHistogram/): other tools read
    the texts that are written here.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mcp_workbench.errors import FileError
from mcp_workbench.untrusted import one_line

LONGEST_MS: Final = 3_600_000.0
"""An hour: what took longer is kept as an hour, and counted by :attr:`Histogram.beyond`."""
MAX_TEXT: Final = 400_000
"""How many characters an encoded histogram may have; one with a call in every place has fewer."""

_DIGITS: Final = 3
_LONGEST_NS: Final = round(LONGEST_MS * 1e6)
_PLACES_BITS: Final = 10
_PLACES: Final = 1 << _PLACES_BITS
_MOST_CALLS: Final = 2**53
# Cookie and length of what follows; in it cookie, length, offset, digits, least and greatest value, a factor.
_OUTER: Final = struct.Struct(">II")
_INNER: Final = struct.Struct(">IIIIQQd")
_SETTINGS: Final = (0, _DIGITS, 1, _LONGEST_NS, 1.0)
_MOST_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How many calls took how long.

    Attributes:
        places: the places of the histogram in which there are calls, ascending.
        counts: how many calls there are in each of them.
    """

    places: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same calls, as far as a histogram tells them apart."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return np.array_equal(self.places, other.places) and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        """Return the same number for equal histograms."""
        return hash((self.places.tobytes(), self.counts.tobytes()))

    def __repr__(self) -> str:
        """Return how many calls there are, and how long they took."""
        if not self.count:
            return "<Histogram: 0 calls>"
        return f"<Histogram: {self.count:,} calls, p50 {self.percentile_ms(50):.2f} ms, max {self.max_ms:.2f} ms>"

    @property
    def count(self) -> int:
        """How many calls there are."""
        return int(self.counts.sum())

    @property
    def beyond(self) -> int:
        """How many of them took an hour or more."""
        return int(self.counts[self.places >= _places(np.array([_LONGEST_NS]))[0]].sum())

    @property
    def max_ms(self) -> float | None:
        """The longest latency; ``None`` without calls."""
        return float(_middles_ms(self.places[-1:])[0]) if self.count else None

    @property
    def mean_ms(self) -> float | None:
        """The mean latency; ``None`` without calls."""
        return float(_middles_ms(self.places) @ self.counts) / self.count if self.count else None

    def percentile_ms(self, percent: float) -> float | None:
        """Return a percentile in milliseconds, by nearest rank; ``None`` without calls.

        Args:
            percent: above 0, at most 100.
        """
        if not self.count:
            return None
        at = np.searchsorted(np.cumsum(self.counts), rank(self.count, percent))
        return float(_middles_ms(self.places[at : at + 1])[0])

    def merged(self, other: Histogram) -> Histogram:
        """Return the histogram of the calls of both, the same as if they had been put into one."""
        places, which = np.unique(np.concatenate([self.places, other.places]), return_inverse=True)
        counts = np.zeros(len(places), np.int64)
        np.add.at(counts, which, np.concatenate([self.counts, other.counts]))
        return Histogram(places, counts)

    def encode(self) -> str:
        """Return the histogram as text: HdrHistogram V2, compressed, base64."""
        from hdrh.histogram import HdrHistogram

        whole = HdrHistogram(1, _LONGEST_NS, _DIGITS)
        np.frombuffer(whole.counts, dtype=np.uint64)[self.places] = self.counts
        if self.count:
            whole.set_internal_tacking_values(int(self.places[0]), int(self.places[-1]), self.count)
        return str(whole.encode(), "ascii")


def histogram_of(latency_ms: NDArray[np.float64]) -> Histogram:
    """Put latencies into a histogram.

    Args:
        latency_ms: in milliseconds, in any order; none may be NaN. Less than nothing counts as nothing, more than an
            hour as an hour.
    """
    whole_ns = np.rint(np.clip(latency_ms, 0.0, LONGEST_MS) * 1e6).astype(np.int64)
    places, counts = np.unique(_places(whole_ns), return_counts=True)
    return Histogram(places, counts.astype(np.int64))


def decode(text: str) -> Histogram:
    """Read a histogram from the text that :meth:`Histogram.encode` wrote; no text can use up time or memory.

    Raises:
        FileError: it is something else, or a histogram of other units or digits.
    """
    from hdrh.codec import HdrCookieException, HdrLengthException
    from hdrh.histogram import HdrHistogram

    _check(text)
    try:
        whole = HdrHistogram.decode(text)
    except (HdrCookieException, HdrLengthException, ValueError, OverflowError, IndexError) as error:
        raise _no_histogram(one_line(error, 80) or "its beginning is wrong") from None
    dense: NDArray[Any] = np.frombuffer(whole.counts, dtype=np.uint64)
    places = np.flatnonzero(dense)
    counts = dense[places]
    # As floats: whole numbers of a hostile text could add up to a small one again.
    if counts.astype(np.float64).sum() > _MOST_CALLS:
        raise _no_histogram("it has more calls than anybody can make")
    return Histogram(places.astype(np.int64), counts.astype(np.int64))


def rank(count: int, percent: float) -> int:
    """Return which of ``count`` ascending values is the percentile by nearest rank, counted from 1."""
    # 99.9 % of 1,000 are 999.0000000000001 in floating point, and mean the 999th.
    return max(1, math.ceil(round(count * percent / 100, 6)))


def _places(whole_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    # frexp tells how many bits a number has; exact, because an hour in nanoseconds has 42.
    bits = np.frexp(whole_ns.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(bits - _PLACES_BITS - 1, 0)
    return (shift << _PLACES_BITS) + (whole_ns >> shift)


def _middles_ms(places: NDArray[np.int64]) -> NDArray[np.float64]:
    shift = np.maximum((places >> _PLACES_BITS) - 1, 0)
    least = (places - (shift << _PLACES_BITS)) << shift
    width = np.left_shift(1, shift)
    middles_ms: NDArray[np.float64] = (least + (width - 1) / 2) / 1e6
    return middles_ms


def _check(text: str) -> None:
    """Refuse what the library would take too much time or memory for: it believes the lengths in the text."""
    if len(text) > MAX_TEXT:
        raise _no_histogram(f"it has more than {MAX_TEXT:,} characters")
    try:
        packed = base64.b64decode(text, validate=True)
        unpacking = zlib.decompressobj()
        inner = unpacking.decompress(packed[_OUTER.size :], _MOST_BYTES)
    except (ValueError, zlib.error):
        raise _no_histogram("it is garbled") from None
    if len(inner) < _INNER.size or not unpacking.eof:
        raise _no_histogram("it is cut, or too long")
    if _INNER.unpack_from(inner)[2:] != _SETTINGS:
        raise _no_histogram("its values are no nanoseconds of three digits up to an hour")


def _no_histogram(why: str) -> FileError:
    return FileError(f"no histogram of latencies: {why}; take the file as the workbench wrote it, or measure again")
