"""What leaves of a failure's text: no traceback, no absolute path, no secret, and nothing invisible."""

import re
import traceback
from typing import Any

import pydantic_core
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_workbench.controls.scrubbing import PATH, REDACTED, read_environment, scrubbed, scrubbed_details

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Variables as a server has them, read as when its chain is made."""
    for name, value in {
        "DESK_API_TOKEN": SECRET,
        "db_password": f"{SECRET} and more of it",
        "SHORT_SECRET": "abc",
        "GREETING": "good morning everybody",
    }.items():
        monkeypatch.setenv(name, value)
    read_environment()
    yield
    monkeypatch.undo()
    read_environment()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot open /srv/desk/incidents.sqlite, sorry", "cannot open [path], sorry"),
        ("desk.py: /home/me/desk.py:12: no", "desk.py: [path]: no"),
        ("failed./etc/passwd", "failed.[path]"),
        ("path=/var/x (see /etc/desk.)", "path=[path] (see [path].)"),
        ("No such file: '/home/Jo Smith/a b.txt'", "No such file: '[path]'"),
        (r"C:\Program Files\desk\x.db is locked", "[path] is locked"),
        (r"No such file: 'C:\\Users\\Jo Smith\\x.db'", "No such file: '[path]'"),
        ("D:/desk/x.db is locked", "[path] is locked"),
        (r"\\files\team\x.db is locked", "[path] is locked"),
        ("~/.ssh/id_ed25519 and ~root/x", "[path] and [path]"),
        ("file:///etc/passwd and sqlite:////srv/x.db", "[path] and [path]"),
        ("//etc/passwd", "[path]"),
    ],
)
def test_an_absolute_path_is_taken_out(text: str, left: str) -> None:
    assert scrubbed(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.com/a/b?x=/y#z",
        "ask http://localhost:8080/mcp again",
        "data/desk.yaml, ./x/y and ../z are missing",
        "5/3 is and/or n/a; 1 / 2 too",
        "12:30, a:b, C: is a drive",
        "the page is 4 of 10; max_tokens: 4096",
    ],
)
def test_what_is_no_absolute_path_and_no_secret_stays(text: str) -> None:
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic {}",
        "'authorization': 'Digest username=\"jo\", response={}'",
        "Authorization: Bearer {}, sent at noon",
        "sent bearer {} along",
        "password={}",
        "DB_PASSWORD = '{}'",
        'the field "api_key": "{}" is wrong',
        "https://api.example.com/x?access_token={}&page=2",
        "postgres://desk:{}@db.example.com/desk",
        "redis://:{}@cache/0",
        "client_secret:{}",
        "{{'session_id': '{}'}}",
        "x-amz-signature={}",
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n{}",
    ],
)
def test_a_secret_is_known_by_what_stands_beside_it(text: str) -> None:
    told = scrubbed(text.format("hunter2hunter2"))
    assert "hunter2" not in told
    assert REDACTED in told


@pytest.mark.parametrize(
    "token",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1_" * 20,
        "glpat-" + "x" * 20,
        "sk-proj-" + "a1-" * 12,
        "xoxb-1234-" + "a" * 20,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)
def test_a_secret_is_known_by_its_shape(token: str) -> None:
    assert scrubbed(f"cannot log in with {token}, try another") == f"cannot log in with {REDACTED}, try another"


def test_words_that_look_a_little_like_tokens_stay() -> None:
    text = "task-forces-and-desk-offices met; AKIA is a prefix, and sk-short too"
    assert scrubbed(text) == text


def test_a_secret_of_the_environment_is_taken_out_wherever_it_stands(environment: None) -> None:
    assert scrubbed(f"<{SECRET}>") == f"<{REDACTED}>"
    # The longer one is taken out as a whole, not up to where the shorter one ends.
    assert scrubbed(f"{SECRET} and more of it!") == f"{REDACTED}!"


def test_a_variable_that_is_short_or_has_an_ordinary_name_is_no_secret(environment: None) -> None:
    assert scrubbed("abc: good morning everybody") == "abc: good morning everybody"


@pytest.mark.parametrize("margin", range(0, 40, 3))
def test_a_secret_at_the_cut_of_a_long_text_does_not_leave_in_part(environment: None, margin: int) -> None:
    # The path shrinks to a few characters, so that what stands at the cut would be shown.
    text = f"/{'x' * (8_096 - margin - 2)} {SECRET}"
    assert SECRET[:4] not in scrubbed(text)


def test_a_traceback_is_cut_off() -> None:
    try:
        raise ValueError("the reason")
    except ValueError:
        text = traceback.format_exc()
    assert scrubbed(f"it failed: {text}") == "it failed: [traceback]"
    assert scrubbed("".join(traceback.format_stack())) == "[traceback]"
    assert scrubbed("it failed\n  + Exception Group Traceback (most recent call last):\n").endswith("[traceback]")


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert scrubbed("a\x1b[31mb\u202ec\ud800") == "a\\x1b[31mb\\u202ec\\ud800"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert scrubbed("ab " * 10_000, 10) == "ab ab ab a…"
    assert scrubbed("\0" * 1_000, 10) == "\\x00\\x00\\x…"


@pytest.mark.parametrize(
    "piece",
    ["/", "/.", "a/", "a:", "\\", "C:\\", "C:\\a ", "'/", '"', "password", "password=", "token: ", "://", "http://a",
     "http://a@", "eyJ", "eyJaaaaaa.", 'File "', "Traceback ", "-----BEGIN PRIVATE KEY-----", "bearer ", "~", "a-",
     "authorization:", " ", "\0"],
)  # fmt: skip
def test_a_hostile_megabyte_is_bounded(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert len(scrubbed(text)) <= 1_001


@given(st.text(alphabet=st.sampled_from("a/.:\\ '\"=@~-[]\nC"), max_size=200))
def test_what_is_left_holds_no_absolute_path(text: str) -> None:
    told = scrubbed(text)
    assert not re.search(r"(?:^|[\s'\"=])/[\w.]*\w", re.sub(r"[A-Za-z][\w+.-]+://\S*", "", told))


@given(st.text(max_size=300))
def test_scrubbing_what_was_scrubbed_changes_nothing(text: str) -> None:
    assert scrubbed(scrubbed(text)) == scrubbed(text)


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.frozensets(st.integers()),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=20), _JSON, max_size=5))
def test_details_are_json_whatever_a_tool_puts_into_them(details: dict[str, Any]) -> None:
    told = scrubbed_details(details)
    assert pydantic_core.from_json(pydantic_core.to_json(told)) == told


def test_details_are_scrubbed_at_each_depth() -> None:
    details = {"a": [{"file": "/etc/x"}, ["see /etc/y"]], "password": 12345, "credentials": {"pin": 1}, "/etc/z": True}
    assert scrubbed_details(details) == {
        "a": [{"file": PATH}, [f"see {PATH}"]],
        "password": REDACTED,
        "credentials": REDACTED,
        PATH: True,
    }


def test_what_is_no_json_is_named_as_such() -> None:
    details: dict[Any, Any] = {"a": float("nan"), "b": -float("inf"), "c": 2**63, "d": {1}, "e": b"x", 7: 1, "f": 2**62}
    assert scrubbed_details(details) == {
        "a": "[no number]",
        "b": "[no number]",
        "c": "[too large a number]",
        "d": "[no JSON]",
        "e": "[no JSON]",
        "[no name]": 1,
        "f": 2**62,
    }


def test_details_are_small() -> None:
    circle: dict[str, Any] = {}
    circle["inner"] = circle
    assert "nested too deep" in str(scrubbed_details(circle))
    for wide in ({"values": list(range(10**6))}, {"x" * 5_000 + str(n): ["x" * 5_000] * 99 for n in range(500)}):
        assert len(pydantic_core.to_json(scrubbed_details(wide))) < 50_000


@pytest.mark.parametrize("details", [None, 3, "text", [1], {1}])
def test_details_that_are_no_object_are_none(details: object) -> None:
    assert scrubbed_details(details) == {}
