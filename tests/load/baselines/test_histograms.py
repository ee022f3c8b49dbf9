"""Histograms: no call is lost, no percentile is further off than promised, and no text from a file does harm."""

import base64
import struct
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_workbench.errors import FileError
from mcp_workbench.load.baselines.histograms import LONGEST_MS, MAX_TEXT, Histogram, decode, histogram_of

latencies = st.lists(st.floats(0, 2 * LONGEST_MS), max_size=60).map(np.array)


def encoded(body: bytes, *, cookie: int = 0x1C849313, digits: int = 3, cut: int = 0) -> str:
    """Return a text in the encoding of histograms whose counts are ``body``."""
    inner = struct.pack(">IIIIQQd", cookie, len(body), 0, digits, 1, round(LONGEST_MS * 1e6), 1.0) + body
    packed = zlib.compress(inner)
    packed = packed[: len(packed) - cut]
    return base64.b64encode(struct.pack(">II", 0x1C849314, len(packed)) + packed).decode()


@settings(max_examples=50, deadline=None)
@given(latencies, latencies)
def test_histograms_that_are_merged_are_the_histogram_of_all_calls(first: np.ndarray, second: np.ndarray) -> None:
    merged = histogram_of(first).merged(histogram_of(second))
    assert merged == histogram_of(np.concatenate([first, second]))
    assert hash(merged) == hash(histogram_of(np.concatenate([second, first])))


@settings(max_examples=50, deadline=None)
@given(latencies)
def test_what_is_encoded_is_decoded_to_the_same(latency_ms: np.ndarray) -> None:
    histogram = histogram_of(latency_ms)
    assert decode(histogram.encode()) == histogram
    assert histogram.count == len(latency_ms)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.001, LONGEST_MS), min_size=1, max_size=60).map(np.array), st.floats(0.1, 100))
def test_a_percentile_is_off_by_at_most_one_part_in_2048(latency_ms: np.ndarray, percent: float) -> None:
    exact = float(np.percentile(latency_ms, percent, method="inverted_cdf"))
    found = histogram_of(latency_ms).percentile_ms(percent)
    # Half a nanosecond of rounding comes to it.
    assert found == pytest.approx(exact, rel=1 / 2048, abs=1e-6)


def test_other_tools_read_the_same_figures_from_the_text() -> None:
    latency_ms = np.random.default_rng(1).lognormal(1, 1, 2_000)
    mine, theirs = histogram_of(latency_ms), HdrHistogram.decode(histogram_of(latency_ms).encode())
    assert theirs.get_total_count() == 2_000
    for percent in (50, 90, 99, 99.9, 100):
        assert theirs.get_value_at_percentile(percent) / 1e6 == pytest.approx(mine.percentile_ms(percent), rel=1 / 1024)
    one_by_one = HdrHistogram(1, round(LONGEST_MS * 1e6), 3)
    for each in latency_ms:
        one_by_one.record_value(round(each * 1e6))
    assert decode(one_by_one.encode().decode()) == mine


def test_a_histogram_without_calls_says_so() -> None:
    nothing = histogram_of(np.array([]))
    assert (nothing.count, nothing.beyond) == (0, 0)
    assert (nothing.max_ms, nothing.mean_ms, nothing.percentile_ms(50)) == (None, None, None)
    assert repr(nothing) == "<Histogram: 0 calls>"
    assert decode(nothing.encode()) == nothing
    assert nothing != "a text"


def test_the_mean_and_the_longest_call_are_known() -> None:
    histogram = histogram_of(np.array([1.0, 2.0, 9.0]))
    assert histogram.mean_ms == pytest.approx(4.0, rel=1 / 2048)
    assert histogram.max_ms == pytest.approx(9.0, rel=1 / 2048)
    assert repr(histogram) == "<Histogram: 3 calls, p50 2.00 ms, max 9.00 ms>"


def test_calls_of_more_than_an_hour_count_as_an_hour_and_those_before_their_time_as_none() -> None:
    histogram = histogram_of(np.array([-1.0, 5.0, 4e6, np.inf]))
    assert (histogram.count, histogram.beyond) == (4, 2)
    assert histogram.max_ms == pytest.approx(LONGEST_MS, rel=1 / 2048)
    assert histogram.percentile_ms(25) == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is cut, or too long"),
        ("no base64!", "it is garbled"),
        ("é", "it is garbled"),
        (base64.b64encode(b"12345678").decode(), "it is cut, or too long"),
        (base64.b64encode(b"12345678no zlib").decode(), "it is garbled"),
        (encoded(b"\x02", cut=2), "it is cut, or too long"),
        (encoded(b"\x00" * 2_000_000), "it is cut, or too long"),
        (encoded(b"\x02", digits=5), "its values are no nanoseconds of three digits up to an hour"),
        (encoded(b"\x02", cookie=7), "Invalid cookie: 7"),
        (encoded(b"\xff" * 8), "Zigzag varint decoding error"),
        (encoded(b"\x7f" * 1_000 + b"\x02"), "Destination array overrun"),
        (encoded(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff" * 3), "it has more calls than anybody can make"),
        ("A" * (MAX_TEXT + 1), "it has more than 400,000 characters"),
    ],
)
def test_a_text_that_is_no_histogram_is_refused_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(FileError, match=f"^no histogram of latencies: {why}.*; take the file as") as caught:
        decode(text)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80))
def test_no_content_makes_the_reader_fail_otherwise(body: bytes) -> None:
    try:
        found = decode(encoded(body))
    except FileError:
        return
    assert isinstance(found, Histogram)
    assert decode(found.encode()) == found
