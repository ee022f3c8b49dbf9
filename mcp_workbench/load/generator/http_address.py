"""The address that is loaded: what of it is sent, what of it may be shown, and why it cannot be reached."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from base64 import b64encode
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from mcp_workbench.load.generator.answers import GENERATOR_NO_SOCKETS, NAME_NOT_FOUND

# What stands in a path and a query as it is; a percent sign, too, so that nothing is encoded twice.
_IN_ADDRESSES: Final = "!#$%&'()*+,/:;=?@[]~"
_OWN_LACKS: Final = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)


class Address:
    """A parsed ``http`` or ``https`` address; its text is what may be shown of it.

    Args:
        url: with a host; a user, a password and a query may be in it.

    Attributes:
        host: its host.
        port: its port, the usual one if none is named.
        encrypted: whether it is spoken to over TLS.
        authority: host and port as the header ``Host`` has them.
        authorization: the header that sends its user and password; empty if it has none.
        path: path and query, in ASCII.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host = parts.hostname
        self.encrypted = parts.scheme == "https"
        self.port = parts.port or (443 if self.encrypted else 80)
        shown = parts.netloc.rpartition("@")[2]
        self.authority = shown if shown.isascii() else shown.encode("idna").decode()
        self.authorization = _authorization(parts)
        self.path = _path(parts)
        self._parts = parts
        # User, password, query and fragment may be secret.
        self._shown = f"{parts.scheme}://{shown}{parts.path}"

    def __str__(self) -> str:
        """Return what of the address may be shown."""
        return self._shown

    def goes_on_at(self, location: str) -> bool:
        """Take the path to which a server sends its client; to the same server only: frameworks send /mcp to /mcp/.

        Args:
            location: what the server says, as it came.

        Returns:
            Whether it is another path of the same server.
        """
        try:
            to = urlsplit(urljoin(self._parts.geturl(), quote(location.encode("latin-1"), safe=_IN_ADDRESSES)))
            elsewhere = (to.scheme, to.hostname, to.port) != (self._parts.scheme, self.host, self._parts.port)
        except ValueError:
            return False
        if not location or elsewhere or _path(to) == self.path:
            return False
        self._parts, self.path = to, _path(to)
        return True


def unconnected(error: OSError) -> str:
    """Return the code of a call for which no connection could be opened; it says whose fault that was."""
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if isinstance(error, socket.gaierror):
        # Looking for a name takes a descriptor, too, and what is said without one is that the name is not there.
        return NAME_NOT_FOUND if _has_descriptor() else GENERATOR_NO_SOCKETS
    if isinstance(error, ssl.SSLError):
        return "tls_failed"
    return GENERATOR_NO_SOCKETS if error.errno in _OWN_LACKS else "connection_refused"


def _has_descriptor() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


def _authorization(parts: SplitResult) -> dict[str, str]:
    if not parts.username and not parts.password:
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _path(parts: SplitResult) -> str:
    """Return what a request asks for at an address, in ASCII."""
    return quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_IN_ADDRESSES)
