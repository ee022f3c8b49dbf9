"""What the generator says to a server, as bytes: the messages of both eras of the protocol."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

from mcp_workbench.errors import UnreachableError
from mcp_workbench.load.generator.answers import Message
from mcp_workbench.load.generator.call import FIRST_ID, Request

_ID: Final = b"%d" % FIRST_ID
_NAMED: Final = {"name": "mcp-workbench", "version": "1"}
_META: Final = "io.modelcontextprotocol/"
# The first version without a handshake.
_MODERN: Final = "2026-07-28"
_ENCODED: Final = re.compile(r"=\?base64\?.*\?=")


def is_modern(protocol: str) -> bool:
    """Whether a protocol version has no handshake: each request says for itself what was agreed on."""
    return protocol >= _MODERN


def tool_call(tool: str, arguments: dict[str, Any], protocol: str) -> Request:
    """Return the message that calls ``tool``, in the two parts around its id."""
    return _request("tools/call", {"name": tool, "arguments": arguments}, protocol)


def repeated(places: dict[str, list[str]], arguments: dict[str, Any]) -> dict[str, str]:
    """Return the headers that repeat arguments, as the SDK's client sends them.

    Args:
        places: for each header, the names that lead to its argument.
        arguments: those of the call; a header whose argument is not there is left out.
    """
    headers = {}
    for name, path in places.items():
        value: Any = arguments
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, bool):
            headers[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            headers[name] = _header_value(str(value))
    return headers


def _header_value(text: str) -> str:
    if text.isascii() and text.isprintable() and text == text.strip() and not _ENCODED.fullmatch(text):
        return text
    # Half of a surrogate pair is no UTF-8: the server refuses it, and the load goes on.
    return f"=?base64?{base64.b64encode(text.encode(errors='surrogatepass')).decode()}?="


def list_tools(protocol: str) -> Request:
    """Return the message that lists the tools, in the two parts around its id."""
    return _request("tools/list", {}, protocol)


def _request(method: str, params: dict[str, Any], protocol: str) -> Request:
    if is_modern(protocol):
        params["_meta"] = {
            f"{_META}protocolVersion": protocol,
            f"{_META}clientInfo": _NAMED,
            f"{_META}clientCapabilities": {},
        }
    message = written({"jsonrpc": "2.0", "id": FIRST_ID, "method": method, "params": params})
    # The first one is the id: it comes before anything that somebody else has written.
    before, _, after = message.partition(_ID)
    return before, after


def initialize(protocol: str) -> bytes:
    """Return the message that begins a handshake."""
    params = {"protocolVersion": protocol, "capabilities": {}, "clientInfo": _NAMED}
    return written({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})


INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


def cancelled(number: int) -> bytes:
    """Return the message that says that nobody waits for the answer to request ``number`` any more."""
    params = {"requestId": number, "reason": "no answer in time"}
    return written({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})


def refusal(number: object) -> bytes:
    """Return the answer to a server that asks something: there is nobody here who could answer."""
    error = {"code": -32601, "message": "a load generator answers no questions"}
    if not isinstance(number, str | int | float):
        # No id that JSON-RPC knows; one that is nested deep enough could not even be written.
        number = None
    return written({"jsonrpc": "2.0", "id": number, "error": error})


def agreed(answer: Message | None, where: str) -> str:
    """Return the protocol version to which a server has agreed in its answer to ``initialize``.

    Raises:
        UnreachableError: it is no such answer.
    """
    result = (answer or {}).get("result")
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    if not isinstance(version, str) or not version.isascii() or not version.isprintable() or len(version) > 40:
        raise UnreachableError(f"{where} did not answer the handshake as MCP servers do; is it still the same server?")
    return version


def written(message: Message) -> bytes:
    """Return a message as JSON on one line."""
    # In ASCII: what came from a server may hold half of a surrogate pair, which is no UTF-8.
    return json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode()
