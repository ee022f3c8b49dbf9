"""The fetch starter: it keeps its contract, and reaches nothing but what it checked; all of it over loopback."""

import errno
import gzip
import runpy
import socket
import ssl
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from itertools import repeat
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench import CallResult, Workbench, audit_book, read_book
from mcp_workbench.contracts.model import Example
from mcp_workbench.starters import fetch
from mcp_workbench.starters.copying import starter_contract

BOOK = read_book(starter_contract("fetch"))
TOOL = BOOK["fetch"]
PUBLIC = "93.184.215.14"


@dataclass
class Network:
    """What was looked up, and which addresses were connected to; only loopback can be reached, and no name is known."""

    looked_up: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Watch the sockets of this process, and let none leave this machine."""
    seen = Network()
    connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

    def connected(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            seen.connected.append(address[0])
            if not ip_address(address[0]).is_loopback:
                raise OSError(errno.ENETUNREACH, "no network in a test")
        connect(self, address)

    def looked_up(host: Any, port: Any, family: int = 0, kind: int = 0, proto: int = 0, flags: int = 0) -> Any:
        seen.looked_up.append(host.decode() if isinstance(host, bytes) else host)
        return getaddrinfo(host, port, family, kind, proto, flags | socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket.socket, "connect", connected)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return seen


Answer = Callable[[str], Iterable[bytes]]


class Site:
    """A site on loopback whose pages are written by the test, byte for byte."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
                with suppress(OSError):
                    for piece in site.answer(self.path):
                        self.wfile.write(piece)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.thread = Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def port(self) -> int:
        return self.http.server_port

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@contextmanager
def serving(
    answer: Answer, tls: ssl.SSLContext | None = None, seconds: float = 10.0
) -> Iterator[tuple[Workbench, Site]]:
    """Open a fetch server to which site.test, also called alias.test, is a site that answers so."""
    site = Site(answer, tls)
    places = dict.fromkeys(("site.test", "alias.test"), ("127.0.0.1", site.port))
    try:
        with Workbench(fetch.make_server(places, seconds=seconds)) as bench:
            yield bench, site
    finally:
        site.close()


def page(body: bytes, kind: str = "text/plain", status: str = "200 OK", *headers: str) -> list[bytes]:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *headers, "", ""]
    return ["\r\n".join(lines).encode("latin-1") + body]


def moved(to: str, status: str = "302 Found") -> list[bytes]:
    return page(b"", "text/plain", status, f"Location: {to}", "Content-Length: 0")


def get(bench: Workbench, url: str = "http://site.test/", **arguments: Any) -> CallResult:
    return bench.call("fetch", {"url": url, **arguments})


def outcome(bench: Workbench, url: str = "http://site.test/") -> str:
    return TOOL.outcome_of(get(bench, url))


class Shared:
    """One fetch server and one site for many tests, each of which says how the site answers."""

    def __init__(self, bench: Workbench, site: Site) -> None:
        self.bench, self.site = bench, site

    def get(self, answer: Answer | list[bytes], path: str = "/", **arguments: Any) -> CallResult:
        self.site.answer = answer if callable(answer) else lambda _: answer
        self.site.asked.clear()
        return get(self.bench, f"http://site.test{path}", **arguments)

    def outcome(self, answer: Answer | list[bytes], path: str = "/") -> str:
        return TOOL.outcome_of(self.get(answer, path))


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    """A fetch server and its site."""
    with serving(lambda _: page(b"")) as opened:
        yield Shared(*opened)


@pytest.mark.parametrize("example", TOOL.examples or ())
def test_an_example_ends_as_the_contract_says(example: Example, tmp_path: Path, network: Network) -> None:
    with Workbench(fetch.demo(tmp_path)) as bench:
        result = bench.call("fetch", example.arguments)
    assert TOOL.outcome_of(result) == example.outcome
    assert example.result is None or result.structured == example.result
    assert set(network.connected) <= {"127.0.0.1"}


def test_the_contract_is_whole_and_every_failure_has_an_example() -> None:
    assert BOOK.gaps().ok
    assert audit_book(BOOK).ok
    codes = {failure.code for failure in TOOL.failures or ()}
    assert {example.outcome for example in TOOL.examples or ()} == {"ok", *codes}


def test_the_server_lists_what_the_contract_says(tmp_path: Path) -> None:
    with Workbench(fetch.demo(tmp_path)) as bench:
        assert bench.check(BOOK).differences == ()
        assert bench.draft()["fetch"].purpose == TOOL.purpose


def test_it_runs_as_a_script_that_reaches_nothing_private() -> None:
    with Workbench([sys.executable, fetch.__file__]) as bench:
        assert bench.check(BOOK).differences == ()
        assert outcome(bench, "http://127.0.0.1/") == "refused_address"
        assert outcome(bench, "http://[::1]/") == "refused_address"


def test_an_argument_too_many_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["server.py", "http://site.test/"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(fetch.__file__, run_name="__main__")
    assert left.value.code == "The server takes no arguments: python server.py"


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert fetch.is_public(address)


NOT_PUBLIC = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.1 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1
64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1:: 2002:c0a8:101::1
3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_an_address_that_is_not_of_the_public_internet_is_not_public(address: str) -> None:
    assert not fetch.is_public(address)


@pytest.fixture(scope="module")
def strict() -> Iterator[Workbench]:
    """A fetch server with one exception, at which nobody is."""
    with Workbench(fetch.make_server({"site.test": ("127.0.0.1", 9)})) as bench:
        yield bench


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://017700000001/",
        "http://0/",
        "http://127.0.0.1./",
        "http://127\u30020\u30020\u30021/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::FFFF:7F00:1]/",
        "http://[0:0:0:0:0:ffff:169.254.169.254]/",
        "https://169.254.169.254/latest/meta-data/",
    ],
)
def test_loopback_in_disguise_is_refused(url: str, strict: Workbench, network: Network) -> None:
    assert outcome(strict, url) == "refused_address"
    assert network.connected == []


@pytest.mark.parametrize(
    "url",
    [
        "site.test",
        "//site.test/",
        "http:site.test",
        "http:///etc/passwd",
        "http://",
        "file:///etc/passwd",
        "ftp://site.test/",
        "ftp://site.test:80/",
        "gopher://site.test:80/_x",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http://name@site.test/",
        "http://name:secret-word@site.test/",
        "http://:@site.test/",
        "http://other.test\\@site.test/",
        "http://site.test\\@other.test/",
        "http://site.test%2eevil.test/",
        "http://127%2e0.0.1/",
        "http://site.test%00.evil.test/",
        "http://127.0.0.01/",
        "http://0177.0.0.1/",
        "http://127.0.0.256/",
        "http://[::1/",
        "http://[::1%25lo]/",
        "http://[fe80::1%25lo]/",
        "http://[v1.x]/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://\u24dbocalhost/",
        "http://site.test /",
        "http://site.test\r\nX-Evil: 1/",
        "http://site.test/\x00",
        "http://other.test:22/",
        "http://other.test:443/",
        "http://other.test:8080/",
        "http://other.test:0/",
        "https://other.test:80/",
        "http://site.test:81/",
        "http://other.test:99999/",
        "http://other.test:-80/",
        "http://other.test:x/",
        "http://" + "a" * 254 + "/",
    ],
)
def test_an_address_that_is_odd_is_refused_before_anything_is_looked_up(
    url: str, strict: Workbench, network: Network
) -> None:
    result = get(strict, url)
    assert TOOL.outcome_of(result) == "bad_url"
    assert network == Network()
    assert "secret-word" not in result.text


PIECES = [
    *"htp:/[]@%.?#\\ \t\x00-_a1\u3002\uff11\u202e",
    "http://",
    "//",
    "[::1]",
    "%25",
    "xn--",
    "..",
    ":80",
    "127.0.0.1",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join), st.booleans())
def test_no_address_whatever_makes_it_crash(strict: Workbench, rest: str, begun: bool) -> None:
    assert outcome(strict, ("http://" if begun else "") + rest) in {"bad_url", "refused_address", "unknown_host"}


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("http://127.0.0.1/", "refused_address"),
        ("http://[::1]:80/", "refused_address"),
        ("http://[::1]:8080/", "bad_url"),
        ("//10.0.0.1/", "refused_address"),
        ("https://169.254.169.254/latest", "refused_address"),
        ("http://2130706433/", "refused_address"),
        ("http://unknown.test/", "unknown_host"),
        ("file:///etc/passwd", "bad_url"),
        ("ftp://site.test/", "bad_url"),
        ("http://name:word@site.test/", "bad_url"),
        ("http://other.test:22/", "bad_url"),
        ("http://[::1/", "bad_url"),
        (":http://[?h", "bad_url"),
        ("http://site.test/" + "x" * 2_000, "bad_url"),
        ("", "too_many_redirects"),
    ],
)
def test_a_redirect_is_checked_like_a_first_address(to: str, code: str, shared: Shared, network: Network) -> None:
    assert shared.outcome(moved(to)) == code
    assert len(shared.site.asked) == (6 if code == "too_many_redirects" else 1)
    assert network.connected == ["127.0.0.1"] * len(shared.site.asked)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Again", "308 For Good"])
def test_five_redirects_are_followed_and_not_one_more(status: str, shared: Shared) -> None:
    def answer(path: str) -> list[bytes]:
        left = int(path[1:])
        return moved(f"/{left - 1}", status) if left else page(b"here")

    assert shared.get(answer, "/5").structured["url"] == "http://site.test/0"
    assert shared.outcome(answer, "/6") == "too_many_redirects"


def test_a_redirect_in_a_circle_ends(shared: Shared) -> None:
    assert shared.outcome(lambda path: moved("/b" if path == "/a" else "/a")) == "too_many_redirects"


def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_the_one_connected_to(network: Network) -> None:
    answers = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    with Workbench(fetch.make_server(resolve=resolve)) as bench:
        assert outcome(bench, "http://rebinding.test/") == "unavailable"
    assert asked == ["rebinding.test"]
    assert network.connected == [PUBLIC]
    assert network.looked_up == []


def test_the_system_is_asked_once_for_a_name_and_never_again(network: Network) -> None:
    with Workbench(fetch.make_server()) as bench:
        assert outcome(bench, f"http://{PUBLIC}/") == "unavailable"
    assert network.looked_up == [PUBLIC]
    assert network.connected == [PUBLIC]


@pytest.mark.parametrize("private", ["10.0.0.1", "::1", "::ffff:10.0.0.1"])
def test_one_private_address_among_public_ones_is_enough_to_refuse(private: str, network: Network) -> None:
    async def resolve(_: str) -> list[str]:
        return [PUBLIC, private]

    with Workbench(fetch.make_server(resolve=resolve)) as bench:
        assert outcome(bench, "http://mixed.test/") == "refused_address"
    assert network.connected == []


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long")])
def test_a_name_without_an_address_is_unknown(error: Exception) -> None:
    async def resolve(_: str) -> list[str]:
        raise error

    with Workbench(fetch.make_server(resolve=resolve)) as bench:
        assert outcome(bench, "http://nowhere.test/") == "unknown_host"


def test_no_address_at_all_is_not_taken_for_a_public_one(network: Network) -> None:
    async def resolve(_: str) -> list[str]:
        return []

    with Workbench(fetch.make_server(resolve=resolve)) as bench:
        assert outcome(bench, "http://nowhere.test/") == "refused_address"
    assert network.connected == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.2:9/")
    with serving(lambda _: page(b"direct")) as (bench, _):
        assert outcome(bench) == "ok"
    assert network.connected == ["127.0.0.1"]


def test_a_site_hears_its_name_and_nothing_of_an_earlier_answer(shared: Shared) -> None:
    def answer(path: str) -> list[bytes]:
        cookie = ("Set-Cookie: session=1; Path=/", "Location: /b?c=%20d#e")
        return page(b"", "text/plain", "302 Found", *cookie) if path == "/a" else page(b"here")

    assert shared.get(answer, "/a").ok
    assert [path for path, _ in shared.site.asked] == ["/a", "/b?c=%20d"]
    for _, headers in shared.site.asked:
        assert set(headers) <= {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert headers["host"] == "site.test"
        assert headers["accept-encoding"] == "identity"


def drip(_: str) -> Iterator[bytes]:
    yield page(b"")[0]
    while True:
        time.sleep(0.02)
        yield b"."


def slow_headers(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(500):
        time.sleep(0.02)
        yield b"X-%d: 1\r\n" % number


def early_hints(_: str) -> Iterator[bytes]:
    while True:
        time.sleep(0.02)
        yield b"HTTP/1.1 103 Early Hints\r\n\r\n"


def slow_circle(_: str) -> Iterator[bytes]:
    time.sleep(0.1)
    yield moved("/")[0]


@pytest.mark.parametrize("answer", [drip, slow_headers, early_hints, slow_circle])
def test_the_deadline_is_for_the_whole_fetch_however_busy_the_site_seems(answer: Answer) -> None:
    with serving(answer, seconds=0.25) as (bench, _):
        assert outcome(bench) == "timed_out"


def test_a_look_up_that_never_ends_and_a_site_that_never_answers_time_out() -> None:
    async def resolve(_: str) -> list[str]:
        await anyio.sleep_forever()
        return []

    with Workbench(fetch.make_server(resolve=resolve, seconds=0.1)) as bench:
        assert outcome(bench, "http://nowhere.test/") == "timed_out"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = fetch.make_server({"site.test": silent.getsockname()}, seconds=0.1)
        with Workbench(server) as bench:
            assert outcome(bench) == "timed_out"


def test_a_body_without_end_is_too_large_and_never_held_as_a_whole(shared: Shared) -> None:
    def endless(_: str) -> Iterator[bytes]:
        yield page(b"")[0]
        yield from repeat(b"x" * 100_000)

    tracemalloc.start()
    try:
        code = shared.outcome(endless)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert code == "too_large"
    assert most < 20_000_000


def test_a_body_of_just_the_greatest_size_is_read(shared: Shared) -> None:
    assert shared.outcome(page(b"x" * fetch.MAX_BYTES)) == "ok"
    assert shared.outcome(page(b"x" * (fetch.MAX_BYTES + 1))) == "too_large"


@pytest.mark.parametrize(
    ("coding", "code"),
    [
        ("identity", "ok"),
        ("Identity", "ok"),
        ("gzip", "not_text"),
        ("GZIP", "not_text"),
        ("identity, gzip", "not_text"),
        ("deflate", "not_text"),
        ("br", "not_text"),
        ("zstd", "not_text"),
        ("unheard-of", "not_text"),
    ],
)
def test_nothing_is_ever_unpacked(coding: str, code: str, shared: Shared) -> None:
    body = gzip.compress(bytes(1_000_000)) if code == "not_text" else b"words"
    result = shared.get(page(body, "text/plain", "200 OK", f"Content-Encoding: {coding}"))
    assert TOOL.outcome_of(result) == code
    assert code != "ok" or result.structured["text"] == "words"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (page(b"short", "text/plain", "200 OK", "Content-Length: 100"), "unavailable"),
        ([b"this is no HTTP\r\n\r\n"], "unavailable"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000], "unavailable"),
        ([], "unavailable"),
        (page(b"", "text/plain", "204 No Content"), "ok"),
        (page(b"", "text/plain", "304 Not Modified"), "http_error"),
        (page(b"", "text/plain", "302 Found"), "http_error"),
        (page(b"", "text/plain", "401 Unauthorized"), "http_error"),
        (page(b"", "text/plain", "404 Not Found"), "http_error"),
        (page(b"", "text/plain", "429 Too Many"), "unavailable"),
        (page(b"", "text/plain", "500 Error"), "unavailable"),
    ],
)
def test_what_is_no_good_answer_is_told_apart(answer: list[bytes], code: str, shared: Shared) -> None:
    assert shared.outcome(answer) == code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("text/html", "ok"),
        ("TEXT/Plain; charset=utf-8", "ok"),
        ("text/csv", "ok"),
        ("application/json", "ok"),
        ("application/ld+json", "ok"),
        ("application/xhtml+xml", "ok"),
        ("application/xml", "ok"),
        ("application/octet-stream", "not_text"),
        ("application/pdf", "not_text"),
        ("image/svg+xml", "not_text"),
        ("image/png", "not_text"),
        ("text/", "not_text"),
        ("", "not_text"),
        ("text/" + "x" * 100, "not_text"),
    ],
)
def test_only_text_is_returned(kind: str, code: str, shared: Shared) -> None:
    assert shared.outcome(page(b"<p>words</p>", kind)) == code


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", "Öl 🜁".encode(), "Öl 🜁"),
        ("utf-8", b"\xff\xfe", "\ufffd\ufffd"),
        ("iso-8859-1", "Öl".encode("latin-1"), "\ufffdl"),
        ("punycode", b"-" + b"a" * 100, "-" + "a" * 100),
        ("hex", b"4142", "4142"),
        ("unicode_escape", rb"\x41\ud800", r"\x41\ud800"),
        ("", b"words", "words"),
    ],
)
def test_text_is_read_as_utf_8_whatever_the_site_calls_it(charset: str, body: bytes, text: str, shared: Shared) -> None:
    assert shared.get(page(body, f"text/plain; charset={charset}")).structured["text"] == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<title>A</title><h1>B</h1><p>C <b>d</b>e\n  f</p>", "A\nB\nC de f"),
        ("<style>p {}</style><script>alert('<p>no</p>')</script>yes", "yes"),
        ("<!-- no --><p>&lt;b&gt; &amp; &eacute; &#x2603;</p>", "<b> & é ☃"),
        ("<ul><li>one<li>two</ul><table><tr><td>x</table>", "one\ntwo\nx"),
        ("no markup", "no markup"),
        ("<p>open <b", "open <b"),
        ("1 < 2 <p>and 3 > 2", "1 < 2\nand 3 > 2"),
        ("<script>never closed", ""),
        ("seen<!-- never closed", "seen"),
        ("<SCRIPT type=x>no</style>no</SCRIPT >yes<style/>no</style\n>yes", "yes yes"),
        ("<scripted>yes</scripted>", "yes"),
        ("<![x[", "<![x["),
        ("&#" + "1" * 5_000 + ";", "&#" + "1" * 5_000 + ";"),
        ("&#xd800;&#0;", "\ufffd\ufffd"),
    ],
)
def test_html_is_reduced_to_what_it_says(markup: str, text: str, shared: Shared) -> None:
    assert shared.get(page(markup.encode(), "text/html")).structured["text"] == text


@pytest.mark.no_cover
@pytest.mark.parametrize("unit", ["<!--", "<a ", "<b b='\"", "</a ", "<script></", "<script", "<", "&#1", "&amp"])
def test_no_markup_costs_more_than_time_in_proportion_to_its_length(unit: str, shared: Shared) -> None:
    # What read the rest of the page again at each of these would take days, not the ten seconds of a call.
    body = unit.encode() * (fetch.MAX_BYTES // len(unit))
    assert shared.outcome(page(body, "text/html")) == "ok"


def test_the_parts_of_a_page_make_the_whole_of_it(shared: Shared) -> None:
    whole = "".join(f"word {number}\n" for number in range(3_000))
    parts: list[str] = []
    start: int | None = 0
    while start is not None:
        part = shared.get(page(whole.encode()), start_at=start).structured
        parts.append(part["text"])
        start = part["next_start"]
    assert "".join(parts) == whole
    assert {len(part) for part in parts[:-1]} == {fetch.MAX_PART}
    beyond = shared.get(page(whole.encode()), start_at=len(whole) + 1).structured
    assert (beyond["text"], beyond["next_start"]) == ("", None)


@pytest.mark.parametrize(
    "arguments", [{"start_at": -1}, {"start_at": fetch.MAX_BYTES + 1}, {"url": "http://a/" + "x" * 2_000}, {"url": ""}]
)
def test_what_is_out_of_bounds_is_refused_by_the_schema(arguments: dict[str, Any], shared: Shared) -> None:
    shared.site.asked.clear()
    result = shared.bench.call("fetch", {"url": "http://site.test/"} | arguments)
    assert not result.ok
    assert "validation error" in result.text
    assert shared.site.asked == []


# A throwaway key and its own certificate for site.test, from 2000 to 2125. They guard nothing but the tests below.
PROOF = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaV8pbDikwloXLs3L
j+WEGWO3fZqYB/8AD3LxKWSfKAyhRANCAARbUqLUQNZS1tihpzgKX/mj97wcIyBL
lfuvQWxV8r4TAF7tLM6zD0Slc0yzrX/NQOJIlJA2yhoFMDk7n8Jx8tMY
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBpTCCAUugAwIBAgIUOvyV0yUyQm1rXusN+eWBxsxy00UwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2l0ZS50ZXN0MCAXDTAwMDEwMTAwMDAwMFoYDzIxMjUwMTAx
MDAwMDAwWjAUMRIwEAYDVQQDDAlzaXRlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARbUqLUQNZS1tihpzgKX/mj97wcIyBLlfuvQWxV8r4TAF7tLM6zD0Sl
c0yzrX/NQOJIlJA2yhoFMDk7n8Jx8tMYo3kwdzAUBgNVHREEDTALgglzaXRlLnRl
c3QwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0OBBYEFOmy
TvpnknmZCXDAfoVB+L73muT/MB8GA1UdIwQYMBaAFOmyTvpnknmZCXDAfoVB+L73
muT/MAoGCCqGSM49BAMCA0gAMEUCIHjZNyxMAP8Tu1y3TI+3+VseTuGk9Mkne2EI
bjgBgtZbAiEAk64wDV2LR2TzFHtdb5J3uUualGE6vR8PhvBwzyZPGyw=
-----END CERTIFICATE-----
"""


@pytest.mark.parametrize(
    ("host", "trusted", "code"),
    [("site.test", True, "ok"), ("alias.test", True, "unavailable"), ("site.test", False, "unavailable")],
)
def test_the_certificate_is_checked_against_the_name_although_an_address_is_connected_to(
    host: str, trusted: bool, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = tmp_path / "proof.pem"
    proof.write_text(PROOF)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(proof)
    heard: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: heard.append(name)
    if trusted:
        trusting = ssl.create_default_context(cafile=str(proof))
        monkeypatch.setattr(httpx2, "create_ssl_context", lambda **_: trusting)
    # The environment cannot make it trust anybody.
    monkeypatch.setenv("SSL_CERT_FILE", str(proof))
    with serving(lambda _: page(b"secret"), tls=context) as (bench, site):
        assert outcome(bench, f"https://{host}/") == code
        assert len(site.asked) == (code == "ok")
    assert heard == [host]
