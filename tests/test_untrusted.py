"""Text from a server: visible, bounded, escaped."""

import html
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench.untrusted import SHOWN_CHARACTERS, escaped, one_line, plain

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=300)
# Text in which the characters that matter are not one in a million.
HOSTILE_TEXT = st.text(
    st.sampled_from("ab <>&\"'\t\r\n\x00\x07\x1b\x7f\x85\x9b\u200b\u202e\u2028\u2066\ufeff\ud800é字$")
)
TEXT = st.one_of(ANY_TEXT, HOSTILE_TEXT)


def obeyed(text: str) -> list[str]:
    """Return the characters that a terminal or a reader's eye would obey instead of show."""
    kinds = ("LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return [
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\t\n")
        or unicodedata.bidirectional(character) in kinds
        or character in "\u200b\u200e\u200f\u00ad\u061c\u2060\ufeff"
        or 0xE0000 <= ord(character) <= 0xE007F
    ]


@given(TEXT)
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert obeyed(plain(text)) == []


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)])
def test_every_control_is_shown_by_its_code(code: int) -> None:
    if chr(code) in "\t\n":
        assert plain(f"a{chr(code)}b") == f"a{chr(code)}b"
    else:
        assert plain(f"a{chr(code)}b") in (f"a\\x{code:02x}b", f"a\\u{code:04x}b")


def test_a_character_beyond_the_first_plane_is_shown_by_its_eight_digits() -> None:
    assert plain("\U000e0041") == "\\U000e0041"


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=300))
def test_plain_text_leaves_what_is_visible_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_emoji_and_joined_scripts_are_left_whole() -> None:
    joined = "👩\u200d💻 क\u200dष \u0645\u06cc\u200c\u062e\u0648"
    assert plain(joined) == joined


def test_the_line_ends_of_other_systems_are_line_ends() -> None:
    assert plain("a\r\nb\nc") == "a\nb\nc"
    assert plain("progress\rdone") == "progress\\x0ddone"


@given(TEXT)
def test_making_text_plain_twice_is_making_it_plain_once(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(TEXT, st.integers(0, 50))
def test_plain_text_is_bounded_and_says_how_much_there_was(text: str, limit: int) -> None:
    shown = plain(text, limit)
    if len(text) > limit:
        assert shown.endswith(f"… [{len(text):,} characters in all, the first {limit:,} shown]")
    # The longest code that stands for one character has ten, and the note is short.
    assert len(shown) <= 10 * limit + 80


def test_a_long_text_is_cut_without_being_told_to() -> None:
    shown = plain("x" * 1_000_000)
    assert shown.startswith("x" * SHOWN_CHARACTERS + "… [1,000,000 characters")
    assert len(shown) < SHOWN_CHARACTERS + 100


def test_text_that_becomes_shorter_by_its_line_ends_is_not_called_cut_when_it_is_whole() -> None:
    assert plain("a\r\nb\r\n", 6) == "a\nb\n"


def test_what_is_no_text_is_shown_as_text() -> None:
    assert (plain(7), one_line(None), escaped(["<b>"])) == ("7", "None", "[&#x27;&lt;b&gt;&#x27;]")


@given(TEXT, st.integers(1, 60))
def test_one_line_is_one_line_and_never_longer_than_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert "\t" not in line
    assert obeyed(line) == []


def test_a_cut_line_ends_in_an_ellipsis_and_a_whole_one_does_not() -> None:
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdefg", 6) == "abcde…"
    assert one_line("a" + " " * 5_000 + "b", 50) == "a…"


def test_lines_and_columns_become_single_spaces() -> None:
    assert one_line(" a\n\tb\r\n  c ") == "a b c"


@given(TEXT)
def test_escaped_text_is_text_to_a_browser_in_an_element_and_in_an_attribute(text: str) -> None:
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(f"<{tag}>" if tag != "p" or len(attrs) != 1 else f"title={attrs[0][1]}")

        def handle_data(self, data: str) -> None:
            seen.append(data)

    for quote in "\"'":
        seen.clear()
        reader = Reader()
        reader.feed(f"<p title={quote}{escaped(text)}{quote}>{escaped(text)}")
        reader.close()
        assert "".join(seen) == f"title={plain(text)}{plain(text)}"
    assert html.unescape(escaped(text)) == plain(text)
