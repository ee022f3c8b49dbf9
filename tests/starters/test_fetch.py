"""The fetch starter: it keeps its contract, and reaches nothing but what it checked; all of it over loopback."""

import errno
import gzip
import runpy
import socket
import ssl
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from itertools import repeat
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mcp_workbench import CallResult, Workbench, audit_book, read_book
from mcp_workbench.contracts.model import Example
from mcp_workbench.starters import fetch
from mcp_workbench.starters.copying import starter_contract

BOOK = read_book(starter_contract("fetch"))
TOOL = BOOK["fetch"]
PUBLIC = "93.184.215.14"
numbers_only = partial(fetch.look_up, flags=socket.AI_NUMERICHOST)


@dataclass
class Network:
    """What was looked up, and which addresses were connected to; only loopback can be reached."""

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

    def looked_up(host: Any, *words: Any, **named: Any) -> Any:
        seen.looked_up.append(host.decode() if isinstance(host, bytes) else host)
        return getaddrinfo(host, *words, **named)

    monkeypatch.setattr(socket.socket, "connect", connected)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return seen


class Site:
    """A site on loopback whose pages are written by the test, byte for byte."""

    def __init__(self, answer: Callable[[str], Any], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
                with suppress(OSError):
                    for piece in answer(self.path):
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
    answer: Callable[[str], Any], tls: ssl.SSLContext | None = None, **options: Any
) -> Iterator[tuple[Workbench, Site]]:
    """Open a fetch server to which site.test is a site that answers so."""
    site = Site(answer, tls)
    options = {"resolve": numbers_only, "seconds": 10.0} | options
    try:
        with Workbench(fetch.make_server({"site.test": ("127.0.0.1", site.port)}, **options)) as bench:
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


def outcome_of(answer: Callable[[str], Any], **options: Any) -> str:
    with serving(answer, **options) as (bench, _):
        return outcome(bench)


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
    with Workbench(fetch.make_server({"site.test": ("127.0.0.1", 9)}, numbers_only)) as bench:
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
        "http://other.test:25/",
        "http://other.test:6379/",
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
        ("http://[::1]:8080/", "refused_address"),
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
def test_a_redirect_is_checked_like_a_first_address(to: str, code: str, network: Network) -> None:
    with serving(lambda _: moved(to)) as (bench, site):
        assert outcome(bench) == code
        assert len(site.asked) == (6 if code == "too_many_redirects" else 1)
    assert network.connected == ["127.0.0.1"] * len(site.asked)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Again", "308 For Good"])
def test_five_redirects_are_followed_and_not_one_more(status: str) -> None:
    def answer(path: str) -> list[bytes]:
        left = int(path[1:])
        return moved(f"/{left - 1}", status) if left else page(b"here")

    with serving(answer) as (bench, _):
        assert get(bench, "http://site.test/5").structured["url"] == "http://site.test/0"
        assert outcome(bench, "http://site.test/6") == "too_many_redirects"


def test_a_redirect_in_a_circle_ends() -> None:
    assert outcome_of(lambda path: moved("/b" if path == "/a" else "/a")) == "too_many_redirects"


def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_the_one_connected_to(network: Network) -> None:
    answers = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
    asked: list[str] = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    with Workbench(fetch.make_server(resolve=resolve)) as bench:
        assert outcome(bench, "http://rebinding.test/") == "unreachable"
    assert asked == ["rebinding.test"]
    assert network.connected == [PUBLIC]
    assert network.looked_up == []


def test_the_system_is_asked_once_for_a_name_and_never_again(network: Network) -> None:
    with Workbench(fetch.make_server(resolve=numbers_only)) as bench:
        assert outcome(bench, f"http://{PUBLIC}/") == "unreachable"
    assert network.looked_up == [PUBLIC]
    assert network.connected == [PUBLIC]


@pytest.mark.parametrize("private", ["10.0.0.1", "::1", "::ffff:10.0.0.1"])
def test_one_private_address_among_public_ones_is_enough_to_refuse(private: str, network: Network) -> None:
    async def resolve(_: str) -> list[str]:
        return [PUBLIC, private]

    with Workbench(fetch.make_server(resolve=resolve)) as bench:
        assert outcome(bench, "http://mixed.test/") == "refused_address"
    assert network.connected == []


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), None])
def test_a_name_without_an_address_is_unknown(error: Exception | None) -> None:
    async def resolve(_: str) -> list[str]:
        if error is not None:
            raise error
        return []

    with Workbench(fetch.make_server(resolve=resolve)) as bench:
        assert outcome(bench, "http://nowhere.test/") == "unknown_host"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.2:9/")
    assert outcome_of(lambda _: page(b"direct")) == "ok"
    assert network.connected == ["127.0.0.1"]


def test_a_site_hears_its_name_and_nothing_of_an_earlier_answer() -> None:
    def answer(path: str) -> list[bytes]:
        cookie = ("Set-Cookie: session=1; Path=/", "Location: /b?c=%20d#e")
        return page(b"", "text/plain", "302 Found", *cookie) if path == "/a" else page(b"here")

    with serving(answer) as (bench, site):
        assert get(bench, "http://site.test:8080/a").ok
    assert [path for path, _ in site.asked] == ["/a", "/b?c=%20d"]
    for _, headers in site.asked:
        assert set(headers) <= {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert headers["host"] == "site.test:8080"


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


def empty_blocks(_: str) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    yield page(b"", "text/plain", "200 OK", "Content-Encoding: gzip")[0]
    while True:
        time.sleep(0.02)
        yield packer.flush(zlib.Z_FULL_FLUSH)


def slow_circle(_: str) -> Iterator[bytes]:
    time.sleep(0.15)
    yield moved("/")[0]


@pytest.mark.parametrize("answer", [drip, slow_headers, early_hints, empty_blocks, slow_circle])
def test_the_deadline_is_for_the_whole_fetch_however_busy_the_site_seems(answer: Callable[[str], Any]) -> None:
    assert outcome_of(answer, seconds=0.4) == "timed_out"


def test_a_look_up_that_never_ends_and_a_site_that_never_answers_time_out() -> None:
    with Workbench(fetch.make_server(resolve=lambda _: anyio.sleep_forever(), seconds=0.1)) as bench:
        assert outcome(bench, "http://nowhere.test/") == "timed_out"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = fetch.make_server({"site.test": silent.getsockname()}, seconds=0.1)
        with Workbench(server) as bench:
            assert outcome(bench) == "timed_out"


def test_a_body_without_end_is_too_large() -> None:
    def endless(_: str) -> Iterator[bytes]:
        yield page(b"")[0]
        yield from repeat(b"x" * 100_000)

    assert outcome_of(endless) == "too_large"


def test_what_follows_the_end_of_gzip_is_not_waited_for() -> None:
    def endless(_: str) -> Iterator[bytes]:
        yield page(gzip.compress(b"words"), "text/plain", "200 OK", "Content-Encoding: gzip")[0]
        yield from repeat(b"x" * 100_000)

    assert outcome_of(endless) == "ok"


def test_a_body_of_just_the_greatest_size_is_read() -> None:
    assert outcome_of(lambda _: page(b"x" * fetch.MAX_BYTES)) == "ok"
    assert outcome_of(lambda _: page(b"x" * (fetch.MAX_BYTES + 1))) == "too_large"


def test_a_gzip_bomb_is_never_unpacked_as_a_whole() -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
    tracemalloc.start()
    try:
        code = outcome_of(lambda _: page(bomb, "text/plain", "200 OK", "Content-Encoding: gzip"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert code == "too_large"
    assert most < 20_000_000


@pytest.mark.parametrize(
    ("coding", "body", "code"),
    [
        ("gzip", gzip.compress(b"words"), "ok"),
        ("GZIP", gzip.compress(b"words") + b"and more that is no gzip", "ok"),
        ("identity", b"words", "ok"),
        ("gzip", gzip.compress(b"words")[:-4], "unreachable"),
        ("gzip", b"these are no packed words", "unreachable"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"words")), "not_text"),
        ("deflate", zlib.compress(b"words"), "not_text"),
        ("br", b"words", "not_text"),
        ("unheard-of", b"words", "not_text"),
    ],
)
def test_only_gzip_is_unpacked_and_only_once(coding: str, body: bytes, code: str) -> None:
    with serving(lambda _: page(body, "text/plain", "200 OK", f"Content-Encoding: {coding}")) as (bench, _):
        result = get(bench)
    assert TOOL.outcome_of(result) == code
    assert code != "ok" or result.structured["text"] == "words"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (page(b"short", "text/plain", "200 OK", "Content-Length: 100"), "unreachable"),
        ([b"this is no HTTP\r\n\r\n"], "unreachable"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000], "unreachable"),
        ([], "unreachable"),
        (page(b"", "text/plain", "204 No Content"), "ok"),
        (page(b"", "text/plain", "304 Not Modified"), "http_error"),
        (page(b"", "text/plain", "302 Found"), "http_error"),
        (page(b"", "text/plain", "401 Unauthorized"), "http_error"),
        (page(b"", "text/plain", "404 Not Found"), "http_error"),
        (page(b"", "text/plain", "429 Too Many"), "unavailable"),
        (page(b"", "text/plain", "500 Error"), "unavailable"),
    ],
)
def test_what_is_no_good_answer_is_told_apart(answer: list[bytes], code: str) -> None:
    assert outcome_of(lambda _: answer) == code


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
def test_only_text_is_returned(kind: str, code: str) -> None:
    assert outcome_of(lambda _: page(b"<p>words</p>", kind)) == code


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", "Öl 🜁".encode(), "Öl 🜁"),
        ("ISO-8859-1", "Öl".encode("latin-1"), "Öl"),
        ('"windows-1252"', "€".encode("cp1252"), "€"),
        ("shift_jis", "潮".encode("shift_jis"), "潮"),
        ("utf-8", b"\xff\xfe", "\ufffd\ufffd"),
        ("punycode", b"-" + b"a" * 100, "-" + "a" * 100),
        ("hex", b"4142", "4142"),
        ("unicode_escape", rb"\x41\ud800", r"\x41\ud800"),
        ("no-such-charset", b"words", "words"),
        ("", b"words", "words"),
    ],
)
def test_text_is_read_by_its_charset_if_that_is_one_of_the_web(charset: str, body: bytes, text: str) -> None:
    with serving(lambda _: page(body, f"text/plain; charset={charset}")) as (bench, _):
        assert get(bench).structured["text"] == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<title>A</title><h1>B</h1><p>C <b>d</b>e\n  f</p>", "A\nB\nC de f"),
        ("<style>p {}</style><script>alert('<p>no</p>')</script>yes", "yes"),
        ("<!-- no --><p>&lt;b&gt; &amp; &eacute; &#x2603;</p>", "<b> & é ☃"),
        ("<ul><li>one<li>two</ul><table><tr><td>x</table>", "one\ntwo\nx"),
        ("no markup", "no markup"),
        ("<p>open <b", "open\n<b"),
        ("<script>never closed", ""),
        ("&#xd800;&#0;", "\ufffd\ufffd"),
    ],
)
def test_html_is_reduced_to_what_it_says(markup: str, text: str) -> None:
    with serving(lambda _: page(markup.encode(), "text/html")) as (bench, _):
        said = get(bench).structured["text"]
    # How much of a tag without an end is kept differs between versions of Python.
    assert said == text or (markup.endswith("<b") and said.startswith("open"))


@pytest.mark.parametrize("markup", ["<![x[", "<![", "&#" + "1" * 5_000 + ";"])
def test_markup_that_the_parser_cannot_read_is_a_failure_with_a_name_or_text(markup: str) -> None:
    # Newer versions of Python read some of these.
    assert outcome_of(lambda _: page(markup.encode(), "text/html")) in ("not_text", "ok")


@pytest.mark.parametrize("unit", ["<!--", "<a ", "<a b='\"", "</a ", "<script></", "&", "<p>"])
def test_markup_that_costs_the_parser_too_much_is_given_up(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PARSE_SECONDS", 0.05)
    body = unit.encode() * (fetch.MAX_BYTES // len(unit))
    assert outcome_of(lambda _: page(body, "text/html")) in ("timed_out", "ok")


def test_the_parts_of_a_page_make_the_whole_of_it() -> None:
    whole = "".join(f"word {number}\n" for number in range(100))
    with serving(lambda _: page(whole.encode())) as (bench, _):
        parts, start = [], 0
        while start is not None:
            part = get(bench, start_at=start, max_characters=97).structured
            assert part["characters"] == len(whole)
            parts.append(part["text"])
            start = part["next_start"]
        assert "".join(parts) == whole
        beyond = get(bench, start_at=len(whole) + 1).structured
        assert (beyond["text"], beyond["next_start"]) == ("", None)


@pytest.mark.parametrize(
    "arguments",
    [{"max_characters": 0}, {"max_characters": 50_001}, {"start_at": -1}, {"url": "http://a/" + "x" * 2_000}],
)
def test_what_is_out_of_bounds_is_refused_by_the_schema(arguments: dict[str, Any]) -> None:
    with serving(lambda _: page(b"")) as (bench, site):
        result = bench.call("fetch", {"url": "http://site.test/"} | arguments)
        assert not result.ok
        assert "validation error" in result.text
        assert site.asked == []


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Return what a site proves with that it is ``name``, and the certificate that a client may trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(*form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


@pytest.mark.parametrize(
    ("named", "trusted", "code"),
    [("site.test", True, "ok"), ("other.test", True, "unreachable"), ("site.test", False, "unreachable")],
)
def test_the_certificate_is_checked_against_the_name_although_an_address_is_connected_to(
    named: str, trusted: bool, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = certified(tmp_path, named)
    heard: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: heard.append(name)
    if trusted:
        trusting = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(httpx2, "create_ssl_context", lambda **_: trusting)
    # The environment cannot make it trust anybody.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(lambda _: page(b"secret"), tls=context) as (bench, site):
        assert outcome(bench, "https://site.test/") == code
        assert len(site.asked) == (code == "ok")
    assert heard == ["site.test"]
