"""Texts that a pattern finds."""

import random
import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcp_workbench.load.workloads.pattern_texts import MAX_PATTERN_CHARACTERS, UnreadPatternError, pattern_text

LEAVES = st.sampled_from(
    [
        *("a", "Z", "0", " ", "-", "_", "/", "é", ".", r"\.", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\/", r"\\"),
        *("[a-z]", "[A-Z0-9_-]", "[^/]", r"[^\s.]", r"[\w.-]", "[-a]", "[a^]", r"[\]\[]", r"[^\w]", "[à-ü]", r"[\t ]"),
    ]
)
TIMES = st.sampled_from(["*", "+", "?", "{0}", "{2}", "{1,3}", "{2,}", "+?", "*?", "??"])
PATTERNS = st.recursive(
    LEAVES | st.builds("{}{}".format, LEAVES, TIMES),
    lambda inner: (
        st.builds("{}{}".format, inner, inner)
        | st.builds("({})".format, inner)
        | st.builds("(?:{}|{}){}".format, inner, inner, TIMES)
    ),
    max_leaves=8,
)


def drawing(seed: int) -> Callable[[int], int]:
    chance = random.Random(seed)
    return lambda below: int(chance.random() * below)


@given(PATTERNS, st.integers(0, 1_000))
def test_the_whole_text_is_what_the_pattern_describes(pattern: str, seed: int) -> None:
    text = pattern_text(pattern, drawing(seed))
    assert re.fullmatch(pattern, text), (pattern, text)
    assert pattern_text(f"^{pattern}$", drawing(seed)) == text


@pytest.mark.parametrize(
    "pattern",
    [
        "^INC-[0-9]{4}$",
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$",
        r"^(?:\+|00)\d{2,3}[ -]?\d{6,}$",
        r"^[\w.+-]+@[a-z]+\.(com|org)$",
        "^a|b$",
        "^$",
        "",
    ],
)
def test_patterns_that_people_write_are_read(pattern: str) -> None:
    assert all(re.search(pattern, pattern_text(pattern, drawing(seed))) for seed in range(20))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)b", "looks around"),
        ("(?<=a)b", "looks around"),
        ("(?P<a>b)", "names a group"),
        (r"(a)\1", r"holds \\1"),
        (r"\bword", r"holds \\b"),
        (r"\p{L}", r"holds \\p"),
        (r"\u0041", r"holds \\u"),
        ("a^b", "in its middle"),
        ("(a$)b", "in its middle"),
        ("(a", "ends too early"),
        ("a)", "does not open"),
        ("[a", "ends too early"),
        ("a\\", "ends too early"),
        ("[]", "without characters"),
        ("[z-a]", "range"),
        ("[[:alpha:]]", "names a class"),
        (r"[^\D]", "says twice"),
        ("*a", "repeats nothing"),
        ("{2}", "repeats nothing"),
        (r"[\.-a]", "begins with a backslash"),
        ("a**", "repeats a repetition"),
        ("a{x}", "braces"),
        ("a{2,1}", "too often"),
        ("a{99999}", "too often"),
        ("a{999999999999}", "braces"),
        ("a{5000}", "too long a text"),
        ("(" * 400, "nested too deep"),
        ("a" * (MAX_PATTERN_CHARACTERS + 1), "too long"),
        ("(((a{50}){50}){50}){50}", "too long a text"),
        ("((((((((a{0}){9999}){9999}){9999}){9999}){9999}){9999}){9999})", "too long a text"),
    ],
)
def test_what_is_not_read_is_refused_in_words(pattern: str, why: str) -> None:
    with pytest.raises(UnreadPatternError, match=why):
        pattern_text(pattern, drawing(0))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # [[, && and the like, which may mean more in a later Python
@given(st.text(st.sampled_from("ab01(){}[]|^$*+?.,\\-dwS:=<!"), max_size=30), st.integers(0, 20))
def test_any_text_at_all_is_read_truly_or_refused(pattern: str, seed: int) -> None:
    assume("[^]" not in pattern)  # any character in ECMA-262, and no pattern for Python
    try:
        text = pattern_text(pattern, drawing(seed))
    except UnreadPatternError:
        return
    assert re.search(pattern, text), (pattern, text)
