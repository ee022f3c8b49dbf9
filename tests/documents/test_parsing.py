"""YAML that people write: read as JSON would have it, with the line of everything, and refused in one sentence."""

from pathlib import Path
from typing import Any

import pytest
from any_json import texts, values
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench import FileError
from mcp_workbench.documents import parse_document, read_document, written
from mcp_workbench.documents.parsing import MAX_BYTES, MAX_DEPTH, MAX_DIGITS, MAX_NODES


def parsed(text: str) -> Any:
    return parse_document(text, "a.yaml").data


def refusal(text: str) -> str:
    with pytest.raises(FileError) as caught:
        parse_document(text, "a.yaml")
    assert caught.value.__cause__ is None
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 400
    return told


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[(text, None) for text in ("null", "Null", "NULL", "~", "")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[("1", 1), ("-1", -1), ("+1", 1), ("017", 17), ("0o17", 15), ("0x1F", 31), ("0", 0), ("-0", 0)],
        *[("1.0", 1.0), ("1.", 1.0), (".5", 0.5), ("1e3", 1000.0), ("-1E+3", -1000.0), ("1e-7", 1e-7), ("-0.0", -0.0)],
        *[("9" * MAX_DIGITS, 10**MAX_DIGITS - 1), ("-" + "9" * MAX_DIGITS, 1 - 10**MAX_DIGITS), ("1e-999", 0.0)],
    ],
)
def test_a_plain_scalar_is_what_the_core_schema_says(written: str, value: object) -> None:
    assert repr(parsed(f"- {written}")) == repr([value])


@pytest.mark.parametrize(
    "written",
    [
        *["yes", "no", "on", "off", "y", "N", "tRUE", "nULL", "2024-01-01", "2001-12-14t21:59:43.10-05:00", "1:30"],
        *["190:20:30", "1_000", "0b101", "-0x1F", "-0o7", "0o8", "0xG", "1e", "e3", ".", "..e1", "+", "=", "<<"],
        *["1.0.0", "inf", "nan", "+.nan", "\u0661", "²", "1 2"],
    ],
)
def test_everything_else_is_a_text_and_so_is_what_stands_in_quotes(written: str) -> None:
    assert parsed(f"k: {written}") == {"k": written}
    assert parsed(f"- \"{written}\"\n- '{written}'\n- |-\n  {written}\n- >-\n  {written}") == [written] * 4
    assert parsed(f"{written}: 1") == {written: 1}


def test_a_quoted_number_is_a_text_and_an_empty_text_is_something() -> None:
    assert parsed('"1"') == "1"
    assert parsed('""') == ""
    assert parsed("null") is None
    assert parsed("{}") == {}


def test_two_less_than_signs_are_a_key_like_any_other() -> None:
    assert parsed("base: &base {a: 1}\nmore: {<<: *base, b: 2}")["more"] == {"<<": {"a": 1}, "b": 2}


def test_a_document_may_begin_with_marks_and_comments_and_a_byte_order_mark() -> None:
    assert parsed("\ufeff%YAML 1.2\n# about\n---\na: 1 # one\n...\n") == {"a": 1}


def test_lines_may_end_as_windows_ends_them() -> None:
    document = parse_document("a: 1\r\nb: |\r\n  x\r\n  y\r\nc: 3\r\n", "a.yaml")
    assert document.data == {"a": 1, "b": "x\ny\n", "c": 3}
    assert document.line(("c",)) == 5


def test_json_may_have_its_halves_of_characters() -> None:
    assert parsed('["\\ud83d\\ude00", "\\ud83d", "x"]') == ["😀", "\ud83d", "x"]
    assert parsed("pattern: '\\ud83d\\ude00'") == {"pattern": "\\ud83d\\ude00"}


LINES = """\
# about
server: {name: a,
  version: b}
tools:
  - name: one
    purpose: |
      Many

      lines.
    failures:
    - code: x
      when:
        y
  -
    name: &two two
    copy: *two
    "a b": [1,
      2]
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((), 2),
        (("server",), 2),
        (("server", "version"), 3),
        (("tools",), 4),
        (("tools", 0), 5),
        (("tools", 0, "purpose"), 6),
        (("tools", 0, "failures"), 10),
        (("tools", 0, "failures", 0, "when"), 12),
        (("tools", 1), 15),
        (("tools", 1, "copy"), 16),
        (("tools", 1, "a b", 1), 18),
        # The nearest parent.
        (("tools", 0, "effects"), 5),
        (("tools", 2), 4),
        (("tools", "name"), 4),
        (("tools", 0, "failures", 0, "code", "deeper", 7), 11),
        (("nothing",), 2),
    ],
)
def test_every_place_has_the_line_where_it_begins(place: tuple[str | int, ...], line: int) -> None:
    assert parse_document(LINES, "a.yaml").line(place) == line


def test_what_an_alias_stands_for_has_its_own_lines_and_is_the_same_object() -> None:
    document = parse_document("a: &x\n  b: 1\n\nc: *x\n", "a.yaml")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.data["a"] is document.data["c"]
    assert [document.line(place) for place in (("c",), ("c", "b"))] == [4, 2]


def test_an_anchor_may_be_given_again_and_an_alias_may_be_a_key() -> None:
    assert parsed("- &a x\n- *a\n- &a y\n- *a\n- {*a : 1}") == ["x", "x", "y", "y", {"y": 1}]


REFUSED = [
    ("", "a.yaml: there is nothing in it; write something, or give another file"),
    ("# about\n\n", "a.yaml: there is nothing in it"),
    ("---\n", "a.yaml: there is nothing in it"),
    (
        "a: b: c",
        "a.yaml, line 1: not valid YAML: mapping values are not allowed in this context (a text that holds ': ' n",
    ),
    (
        "a: 1\n\tb: 2",
        "a.yaml, line 2: not valid YAML: found a tab character that violates indentation while scanning a plain",
    ),
    ("a: @x", "a.yaml, line 1: not valid YAML: found character that cannot start any token"),
    (
        "a:\n  - [1,\n  2\n",
        "a.yaml, line 3: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence th",
    ),
    (
        'a: 1\nb: "x\n\nc: 2\n',
        "a.yaml, line 4: not valid YAML: found unexpected end of stream while scanning a quoted scalar",
    ),
    (
        'a: "C:\\Users"',
        "that begins in line 1 (between double quotes, a backslash is written twice); mend that line",
    ),
    ("a: 1\n b: 2", "a.yaml, line 2: not valid YAML: mapping values are not allowed"),
    ("a: 1\nb\nc: 2", "a.yaml, line 3: not valid YAML: could not find expected ':'"),
    ("a:\n  b: 1\n c: 2", "a.yaml, line 3: not valid YAML: did not find expected key"),
    ('"\\ud800\\U00110000"', "a.yaml is not valid YAML: "),
    (f"%YAML 1.{'9' * 5_000}\n--- \\ud800", "a.yaml is not valid YAML: "),
    ("%YAML 3.0\n---\na: 1", "a.yaml, line 1: not valid YAML: found incompatible YAML document"),
    (
        "a: 1\nb: \x07",
        "a.yaml, line 2: the character U+0007 is not allowed in YAML, or cannot be seen; take it out,",
    ),
    ("a\n\u2028", "a.yaml, line 2: the character U+2028"),
    ("a \x85", "a.yaml, line 1: the character U+0085"),
    ("a\ufeff", "a.yaml, line 1: the character U+FEFF"),
    ("a \ud800", "a.yaml, line 1: the character U+D800"),
    (
        "x:\n  !!python/object/apply:os.system [id]",
        "a.yaml, line 2: the tag 'tag:yaml.org,2002:python/object/apply:o",
    ),
    (
        "x: !!str 1",
        "a.yaml, line 1: the tag 'tag:yaml.org,2002:str' is not understood here; take it out, and put a t",
    ),
    ("x: ! 1", "a.yaml, line 1: the tag '!' is not understood here"),
    ("x: !mine {a: 1}", "a.yaml, line 1: the tag '!mine' is not understood here"),
    ("# x\n%TAG !a! b\n---\nc", "a.yaml, line 2: tags are not understood here; take the %TAG line out"),
    ("a: 1\n404: x", "a.yaml, line 2: the key 404 is no text; put it into quotes"),
    ("true: x", "a.yaml, line 1: the key true is no text; put it into quotes"),
    ("{1.5: x}", "a.yaml, line 1: the key 1.5 is no text"),
    ("?\n: x", "a.yaml, line 1: the key before : is no text"),
    ("a: &n 1\n*n : 2", "a.yaml, line 2: the key before : is no text"),
    ("? [a]\n: b", "a.yaml, line 1: a key is no text; put a text that begins with [, { or - into quotes"),
    ("a:\n  {{x}}: 1", "a.yaml, line 2: a key is no text"),
    ("a: &l []\n? *l\n: b", "a.yaml, line 2: the key before : is no text"),
    ("a: 1\nb:\n  - 2\na: 3", "a.yaml, line 4: the key 'a' is there twice, in line 1 and here; keep one of them"),
    ('{a: 1, "a": 2}', "a.yaml, line 1: the key 'a' is there twice"),
    ("a: 1\n---\nb: 2", "a.yaml, line 2: a second document begins here; keep one document in a file"),
    ("- .inf", "a.yaml, line 1: .inf is no number that JSON knows; write a number, or put a text into quotes"),
    ("a: -.INF", "a.yaml, line 1: -.INF is no number"),
    ("a: .NaN", "a.yaml, line 1: .NaN is no number"),
    (
        "a: 1e999",
        "a.yaml, line 1: 1e999 is too long or too large for a number; write a smaller one, or put a text in",
    ),
    (f"a: {'9' * (MAX_DIGITS + 1)}", "is too long or too large for a number"),
    (f"a: 0x{'f' * (MAX_DIGITS - 2)}", "is too long or too large for a number"),
    (f"a: 1.{'9' * MAX_BYTES}", "is too long or too large for a number"),
    ("a: *b", "a.yaml, line 1: *b stands for nothing; write &b where it is meant to point, before this"),
    ("a: &a\n  b: *a", "a.yaml, line 2: *a stands inside of what it stands for; write it out"),
    ("&a [&b [*a]]", "a.yaml, line 1: *a stands inside of what it stands for"),
]


@pytest.mark.parametrize(("written", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_json_in_yaml_is_refused_with_line_and_remedy(written: str, told: str) -> None:
    assert told in refusal(written)
    assert "; " in refusal(written)


def test_a_hundred_levels_are_read_and_one_more_is_refused_by_whatever_they_are_made() -> None:
    for opening, inner, closing in (("[", "", "]"), ("{a: ", "{}", "}"), ("- ", "[]", ""), ("? ", "[]", "")):
        if opening != "? ":
            levels = MAX_DEPTH - (1 if inner else 0)
            assert parsed(opening * levels + inner + closing * levels)
        for levels in (MAX_DEPTH + 1, 3_000, 500_000):
            assert refusal(opening * levels).startswith("a.yaml, line 1: ")
    assert "nested deeper than 100 levels; make it flatter" in refusal("[" * 101 + "]" * 101)


def test_aliases_do_not_nest_deeper_than_what_is_written_out() -> None:
    lists = ["- &a0 " + "[" * 60 + "]" * 60]
    assert parsed(lists[0])
    chained = "\n".join([*lists, "- &a1 " + "[" * 60 + "*a0" + "]" * 60])
    assert "line 2: nested deeper than 100 levels" in refusal(chained)


@pytest.mark.parametrize("slow", ["", "# \\ud800\n"], ids=["fast", "slow"])
def test_a_yaml_bomb_is_refused(slow: str) -> None:
    laughs = slow + "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
    laughs += "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(40))
    assert "more than 500,000 values, those counted that aliases repeat; split the file, or take" in refusal(laughs)
    flat = slow + "a: &a [" + "1, " * 2_000 + "]\nb: [" + "*a, " * 2_000 + "]\n"
    assert "more than 500,000 values" in refusal(flat)


@pytest.mark.no_cover
def test_the_number_of_values_is_bounded_without_aliases_too() -> None:
    assert len(parsed("- \n" * (MAX_NODES - 1))) == MAX_NODES - 1
    assert f"line {MAX_NODES:,}".replace(",", "") in refusal("- \n" * MAX_NODES)


def test_many_tag_directives_hold_nothing_up() -> None:
    assert "tags are not understood" in refusal("".join(f"%TAG !a{n}! x\n" for n in range(500_000)) + "---\na: 1\n")


def test_what_a_message_repeats_of_a_file_is_short_and_visible() -> None:
    assert len(refusal("!" + "a" * 10_000 + " x")) < 200
    assert len(refusal(f"? {'1' * 300}\n: 1")) < 200
    assert "\\u202e" in refusal('"a\\u202e": 1\n"a\\u202e": 1\n')


def read_or_refused(text: str) -> bool:
    """Return whether it is read; what else becomes of it must be one sentence."""
    told = ""
    try:
        parse_document(text, "a.yaml")
    except FileError as error:
        told = str(error)
    assert "\n" not in told
    assert not told or told.startswith("a.yaml")
    return not told


@given(st.one_of(st.text(st.sampled_from("ab01 \n\t:#-'\"|>&*!%@{}[],?~=<.\\\r\x00é"), max_size=60), texts))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    for tried in (text, text + "\n# \\ud800"):
        if read_or_refused(tried):
            data = parsed(tried)
            assert repr(parsed(written(data))) == repr(data)


@given(values(), st.data())
def test_a_damaged_document_is_read_or_refused(value: object, data: st.DataObject) -> None:
    text = written(value)
    at = data.draw(st.integers(0, len(text)))
    put = data.draw(
        st.sampled_from(["", "[", "}", '"', "'", "\t", " ", "\n", ": ", "- ", "*a", "&a ", "!", "\x00", "|"])
    )
    cut = data.draw(st.integers(0, 5))
    read_or_refused(text[:at] + put + text[at + cut :])


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: é\n", encoding="utf-8")
    document = read_document(file)
    assert (document.name, document.data) == (str(file), {"a": "é"})
    assert str(file) in repr(document)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: 1\nb: \xff\n", "a.yaml, line 2: not UTF-8 text; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "a.yaml, line 1: not UTF-8 text"),
        (b"#" * (MAX_BYTES + 1), "a.yaml is larger than 20 MB; split it into several files"),
        (b"", "a.yaml: there is nothing in it"),
    ],
    ids=["Latin-1", "UTF-16", "large", "empty"],
)
def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_document(file)
    assert told in str(caught.value)


def test_a_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(
        FileError, match=r"the file '.*none\.yaml' cannot be read: No such file or directory; check its"
    ):
        read_document(tmp_path / "none.yaml")
    with pytest.raises(FileError, match="is no file; give the path of one"):
        read_document(tmp_path)
    with pytest.raises(FileError, match="is no file; give the path of one"):
        read_document(Path("/dev/zero"))
    with pytest.raises(FileError, match="cannot be read: File name too long"):
        read_document(tmp_path / ("a" * 300))
    with pytest.raises(FileError, match="cannot be read: embedded null byte"):
        read_document(tmp_path / "a\x00b")


def test_a_long_text_cannot_be_repeated_without_end_by_aliases() -> None:
    text = "- &long " + "x" * 100_000 + "\n" + "- *long\n" * 2_000
    with pytest.raises(FileError, match="more than 500,000 values, those counted that aliases repeat"):
        parse_document(text, "bomb.yaml")
    assert len(parse_document("- &long " + "x" * 100_000 + "\n" + "- *long\n" * 900, "fine.yaml").data) == 901
