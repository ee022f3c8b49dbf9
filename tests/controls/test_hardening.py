"""harden(): one call, refused clearly where it cannot be, told as a table."""

from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer

from mcp_workbench import FileError, UsageError, read_book
from mcp_workbench.controls import Settings, harden, soften
from mcp_workbench.stages import STAGES
from mcp_workbench.workbook import shipped

DESK = shipped("data") / "contracts" / "incident-desk.yaml"


def test_the_table_names_the_stages_in_their_order_with_their_settings(server: MCPServer) -> None:
    hardened = harden(server, settings=Settings(deadline_ms=700, off=frozenset({"telemetry"})))
    frame = hardened.frame
    assert [*frame["stage"]] == list(STAGES)
    assert [*frame["on"]] == [True] * 5 + [False]
    assert "deadline_ms: 700" in frame["settings"][3]
    assert not hardened.ok
    assert hardened.headline() == "example: 5 of 6 stages are on; there is no contract"
    assert "deadline_ms: 700" in hardened._repr_html_()


def test_every_setting_is_shown_beside_its_stage(server: MCPServer) -> None:
    told = " ".join(harden(server).frame["settings"])
    assert [name for name in Settings.model_fields if f"{name}:" not in told] == ["off"]


def test_every_setting_is_described_with_its_default_where_help_shows_it() -> None:
    described = " ".join((Settings.__doc__ or "").split())
    for name, field in Settings.model_fields.items():
        plain = ("yes" if field.default else "no") if isinstance(field.default, bool) else field.default
        told = "none" if field.default == frozenset() else plain
        words = str(field.description).rstrip(".").replace("; null for", "; ``None`` for")
        assert f"{name}: {words[0].lower()}{words[1:]} ({told})." in described


@pytest.mark.parametrize(
    ("contract", "settings", "said"),
    [
        ({"x": 1}, None, "contract must be a ContractBook or the path of a contract's file; this is a dict"),
        (Settings(), None, "this is a Settings; write settings="),
        (None, {"deadline_ms": 5}, "settings must be Settings"),
    ],
)
def test_what_is_no_contract_and_no_settings_is_told_in_one_sentence(
    server: MCPServer, contract: Any, settings: Any, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        harden(server, contract, settings)
    assert harden(server).ok


def test_settings_that_are_not_named_are_refused() -> None:
    with pytest.raises(UsageError, match="Settings takes names"):
        Settings({"deadline_ms": 5})


@pytest.mark.parametrize("given", ["object", "path", "text"])
def test_a_contract_is_a_book_or_the_path_of_its_file(given: str, server: MCPServer) -> None:
    contract = {"object": read_book(DESK), "path": DESK, "text": str(DESK)}[given]
    assert "the contract names 11 tools" in harden(server, contract).headline()


def test_a_file_that_is_no_contract_leaves_the_server_as_it_was(server: MCPServer, tmp_path: Path) -> None:
    wrong = tmp_path / "contract.yaml"
    wrong.write_text("server: {name: x}\ntools:\n  - nam: add\n")
    before = list(server.middleware)
    with pytest.raises(FileError, match=r"line 3.*nam"):
        harden(server, wrong)
    assert server.middleware == before


def test_a_server_is_hardened_once(server: MCPServer) -> None:
    harden(server)
    with pytest.raises(UsageError, match="'example' is hardened already"):
        harden(server)
    soften(server)
    assert harden(server).ok


@pytest.mark.parametrize("server", ["http://localhost/mcp", None, object()])
def test_what_is_no_server_is_refused_in_one_sentence(server: object) -> None:
    with pytest.raises(UsageError, match="only a server object of the MCP SDK"):
        harden(server)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"deadline_ms": 0}, "deadline_ms"),
        ({"deadline_ms": "5"}, "deadline_ms"),
        ({"retry_budget": 2}, "retry_budget"),
        ({"off": {"inputs", "policies"}}, "off"),
        ({"deadline": 5}, "deadline"),
        ({"unknown_arguments": "drop"}, "unknown_arguments"),
        ({"fill_defaults": 1}, "fill_defaults"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=f"setting '{named}'"):
        Settings(**wrong)
