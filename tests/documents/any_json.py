"""Any JSON value, with a liking for what YAML could take for something else."""

import json

from hypothesis import strategies as st

NASTY_TEXTS = [
    *[
        "",
        " ",
        "~",
        "null",
        "Null",
        "true",
        "True",
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "n",
        "=",
        "<<",
        "-",
        "?",
        ":",
        "|",
        ">",
    ],
    *["1", "-1", "+1", "1.0", "1.", ".5", "1e3", "1E+3", "0o17", "0x1F", "017", "1_000", "0b1", "1:30", "190:20:30"],
    *[".inf", "-.Inf", ".nan", "2024-01-01", "2001-12-14t21:59:43.10-05:00", "1.2.3", "1.2.3-rc.1", "1.2"],
    *[
        "a: b",
        "a:b",
        "a:",
        ":a",
        "a #b",
        "a#b",
        "#a",
        "- a",
        "-a",
        "? a",
        "?a",
        "[a",
        "]",
        "{a",
        "}",
        "a, b",
        "&a",
        "*a",
    ],
    *["!a", "!!str", "%a", "%TAG ! x", "@a", "`a", "'a'", '"a"', "a'b", 'a"b', "a\\b", "\\", "\\ud800", "---", "..."],
    *["--- a", "... a", " a", "a ", "\ta", "a\t", "a\tb", "a  b", "\n", "\n\n", "a\n", "a\n\n", "\na", "a\nb", "a\n b"],
    *[
        "a \nb",
        "a\n \nb",
        "a\n\n\nb\n",
        "  a\nb",
        "\n  a\nb\n",
        "\ta\nb",
        "#a\n#b",
        "---\n...\n",
        "a\\\nb",
        'a\n"b"',
        "a\n ",
    ],
    *[
        "a: null  # gap: b\neffects: null",
        "null  # gap: x",
        "a\r\nb",
        "a\rb",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "\ufeffa",
    ],
    *[
        "a\ufeff",
        "a\x00b",
        "\x07",
        "\x7f",
        "\x9b",
        "\xa0",
        "a\xa0b",
        "\xad",
        "\u200b",
        "\u202ea",
        "\ufffe",
        "é",
        "日本語",
    ],
    *[
        "\U0001f600",
        "a\U0001f600\nb",
        "\U000e0041",
        "\ud800",
        "\udc00a",
        "\udc00\ud800",
        "a" * 1_100,
        "a\n" * 600,
        "é: " * 600,
    ],
]

texts = st.one_of(
    st.sampled_from(NASTY_TEXTS),
    st.text(),
    st.text(st.sampled_from("ab \n\t:#-'\"|>&*!%@`{}[],?~=<0.\\\r\x85\u2028\ufeff\x00\U0001f600é\xa0\ud800")),
    # JSON does not tell a surrogate pair from the character that it stands for.
).map(lambda text: json.loads(json.dumps(text)))

numbers = st.one_of(
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e16, 1e-7, -0.0, 5e-324, 1.7976931348623157e308, 10**399, -(2**64), 10**400 - 1]),
)


def values(keys: st.SearchStrategy[str] = texts, words: st.SearchStrategy[str] = texts) -> st.SearchStrategy[object]:
    """Return JSON values of all kinds, nested."""
    return st.recursive(
        st.one_of(st.none(), st.booleans(), numbers, words),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=12,
    )
