"""The wire over HTTP, against small servers of this loop: where its requests go, and what it says of lost ones."""

import asyncio
import contextlib
import errno
import json
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mcp.shared.inbound import mcp_param_headers

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.generator.answers import GENERATOR_NO_SOCKETS, NAME_NOT_FOUND
from mcp_workbench.load.generator.call import Call
from mcp_workbench.load.generator.http_address import unconnected
from mcp_workbench.load.generator.http_wire import HttpWire
from mcp_workbench.load.plan import Wire

DAY = timedelta(days=1)

Leading = Callable[[str], str | None]
"""Where a server sends a client that asks for a path; ``None`` if it answers there."""


async def _asked(
    path: str,
    leading: Leading,
    *,
    user: str = "",
    headers: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> tuple[list[str], list[list[str]]]:
    """Open a wire at ``path`` and send one call; return which paths were asked for, and on whose authority."""
    paths: list[str] = []
    authorities: list[list[str]] = []
    serving: set[Any] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                paths.append(line.decode("ascii").split(" ")[1])
                length = 0
                authorities.append([])
                while (header := (await reader.readline()).strip()) != b"":
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split()[1])
                    if header.lower().startswith(b"authorization:"):
                        authorities[-1].append(header.decode("ascii").partition(": ")[2])
                number = json.loads(await reader.readexactly(length))["id"]
                body = json.dumps({"jsonrpc": "2.0", "id": number, "result": {"content": [], "tools": []}})
                to = leading(paths[-1])
                head = "200 OK" if to is None else f"307 Temporary Redirect\r\nLocation: {to}"
                writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        ended = asyncio.Event()

        def told(*_: Any) -> None:
            ended.set()

        port = server.sockets[0].getsockname()[1]
        url = f"{'https' if tls else 'http'}://{user}127.0.0.1:{port}{path}"
        wire = HttpWire(Wire("http", "2026-07-28", url, headers or {}), told)
        try:
            await wire.open(1)
            wire.send(Call(100_000_000, (0, 0), "a", 0, None), wire.request("a", {}))
            async with asyncio.timeout(10):
                await ended.wait()
        finally:
            await wire.close()
            await asyncio.gather(*serving)
    return paths, authorities


def asked(path: str, leading: Leading = lambda _: None) -> list[str]:
    return asyncio.run(_asked(path, leading))[0]


@pytest.mark.parametrize("location", ["/mcp/?key=1", "mcp/?key=1"])
def test_a_redirect_keeps_the_query_that_it_names(location: str) -> None:
    paths = asked("/mcp?key=1", lambda path: location if path == "/mcp?key=1" else None)
    assert paths == ["/mcp?key=1", "/mcp/?key=1", "/mcp/?key=1"]


def test_three_redirects_are_followed_and_no_more() -> None:
    def onwards(last: int) -> Leading:
        return lambda path: f"/{int(path[1:]) + 1}" if int(path[1:]) < last else None

    assert asked("/0", onwards(3)) == ["/0", "/1", "/2", "/3", "/3"]
    with pytest.raises(UnreachableError, match="HTTP 307"):
        asked("/0", onwards(4))


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/x", "http://other:1/x", "http://127.0.0.1:99999999/x", "http://["]
)
def test_a_redirect_to_another_server_is_not_followed(location: str) -> None:
    with pytest.raises(UnreachableError, match="HTTP 307"):
        asked("/mcp", lambda _: location)


def test_an_address_in_any_script_is_asked_for_in_ascii() -> None:
    assert asked("/wärme%20x/☃?q=ü&r=a b") == ["/w%C3%A4rme%20x/%E2%98%83?q=%C3%BC&r=a%20b"] * 2
    assert asked("/mcp", lambda path: "/wärme" if path == "/mcp" else None)[-1] == "/w%C3%A4rme"


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer mine"}])
def test_user_and_password_of_an_address_are_sent_as_the_sdks_client_sends_them(headers: dict[str, str]) -> None:
    with_user = _asked("/mcp", lambda _: None, user="ad%40a:p%3Aw@", headers=headers)
    by_httpx = httpx2.BasicAuth("ad@a", "p:w")._auth_header
    assert asyncio.run(with_user)[1] == [[by_httpx]] * 2


def test_without_a_user_in_the_address_the_header_is_sent() -> None:
    assert (
        asyncio.run(_asked("/mcp", lambda _: None, headers={"authorization": "Bearer mine"}))[1]
        == [["Bearer mine"]] * 2
    )
    assert asyncio.run(_asked("/mcp", lambda _: None))[1] == [[]] * 2


def test_no_message_repeats_what_may_be_secret_in_an_address() -> None:
    with pytest.raises(UnreachableError) as caught:
        asyncio.run(_asked("/mcp?key=secret", lambda path: f"{path}0", user="ada:secret@"))
    assert "secret" not in str(caught.value)
    assert re.match(r"http://127\.0\.0\.1:\d+/mcp answered with HTTP 307", str(caught.value))


def request_headers(wire: Wire, arguments: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    """Return the headers of a request for the tool "a", in their order."""
    before, _ = HttpWire(wire, lambda *_: None).request("a", arguments or {})
    lines = before.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


@pytest.mark.parametrize("name", ["Host", "host", "HOST"])
def test_a_host_of_the_users_own_is_sent_alone(name: str) -> None:
    sent = request_headers(Wire("http", "2026-07-28", "http://127.0.0.1:1/mcp", {name: "shop.example"}))
    assert [value for each, value in sent if each.lower() == "host"] == ["shop.example"]


@pytest.mark.parametrize(
    "name", ["content-length", "CONTENT-TYPE", "accept", "mcp-protocol-version", "mcp-method", "mcp-param-city"]
)
def test_what_the_protocol_demands_is_sent_once_whatever_the_users_headers(name: str) -> None:
    plain = Wire(
        "http",
        "2026-07-28",
        "http://127.0.0.1:1/mcp",
        tool_headers={"a": {"Mcp-Method": "tools/call"}},
        argument_headers={"a": {"Mcp-Param-City": ["city"]}},
    )
    mine = request_headers(plain, {"city": "Bern"})
    assert name.lower() in [each.lower() for each, _ in mine]
    assert request_headers(replace(plain, headers={name: "wrong"}), {"city": "Bern"}) == mine


PLACES = {("value",): "Value", ("deep", "er"): "Deeper", ("other",): "Other"}
HEADERS = {"Mcp-Param-Value": ["value"], "Mcp-Param-Deeper": ["deep", "er"], "Mcp-Param-Other": ["other"]}


@pytest.mark.parametrize(
    "arguments",
    [
        *({"value": text} for text in ("Bern", "", " ", "a b", " a", "a\t", "a\nb", "Zürich", "☃", "\x7f", "~")),
        *({"value": text} for text in ("=?base64?YQ==?=", "=?base64??=", "=?base64?=", "x=?base64?YQ==?=")),
        *({"value": number} for number in (0, -7, 10**30, 1.0, 0.1, 1e300, True, False)),
        *({"value": nothing} for nothing in (None, [], {}, ["Bern"])),
        *({"deep": deep} for deep in ({"er": "x"}, {"er": None}, {}, [], "er", None)),
        {},
        {"value": "ä", "deep": {"er": 3}, "other": False, "more": "x"},
    ],
)
def test_headers_repeat_arguments_as_the_sdks_client_sends_them(arguments: dict[str, Any]) -> None:
    wire = Wire("http", "2026-07-28", "http://127.0.0.1:1/mcp", argument_headers={"a": HEADERS})
    sent = {name: value for name, value in request_headers(wire, arguments) if name.startswith("Mcp-Param-")}
    assert sent == mcp_param_headers(PLACES, arguments)


def test_half_of_a_surrogate_pair_in_a_repeated_argument_ends_no_load() -> None:
    wire = Wire("http", "2026-07-28", "http://127.0.0.1:1/mcp", argument_headers={"a": HEADERS})
    assert ("Mcp-Param-Value", "=?base64?7aCA?=") in request_headers(wire, {"value": "\ud800"})


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that nobody vouches for, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return file, context


def test_calls_are_encrypted_where_the_address_says_so(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert asyncio.run(_asked("/mcp", lambda _: None, tls=context))[0] == ["/mcp"] * 2


def test_a_certificate_that_nobody_vouches_for_is_refused_in_one_sentence(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    with pytest.raises(UnreachableError, match=r"agree on no encryption \(self-signed certificate\); .*SSL_CERT_FILE"):
        asyncio.run(_asked("/mcp", lambda _: None, tls=certificate[1]))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((OSError(number, "x"), GENERATOR_NO_SOCKETS) for number in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)),
        (OSError(errno.ENOBUFS, "x"), GENERATOR_NO_SOCKETS),
        (socket.gaierror(socket.EAI_NONAME, "x"), NAME_NOT_FOUND),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection_refused"),
        (OSError("Multiple exceptions: x, y"), "connection_refused"),
        (TimeoutError(), "connect_timeout"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "tls_failed"),
    ],
)
def test_what_prevents_a_connection_is_told_apart(error: OSError, code: str) -> None:
    assert unconnected(error) == code
