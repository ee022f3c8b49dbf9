"""The verb of a tool's name, by which the audit holds the name against the tool's effects."""

import pytest
from rule_cases import audited, tool

from mcp_workbench.contracts.audit.hints import deciding_verb
from mcp_workbench.contracts.audit.tool_words import words_of_name


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("delete_user", "delete"),
        ("userDelete", "delete"),
        ("force-delete-user", "delete"),
        ("search", "search"),
        ("list_deleted", "list"),
        ("user_set", None),
        ("card_drop", None),
        ("weather", None),
        ("simulate_delete", None),
        ("", None),
        ("!!", None),
    ],
)
def test_the_verb_of_a_name_is_the_one_that_leaves_no_doubt(name: str, verb: str | None) -> None:
    assert deciding_verb(words_of_name(name)) == verb


def test_a_word_with_which_all_names_begin_does_not_hide_the_verb() -> None:
    tools = [
        tool(name=f"git_{name}", purpose=f"Do {name} in the repository here.") for name in ("add", "set", "status")
    ]
    found = [finding.tool for finding in audited(*tools) if finding.rule == "name-contradicts-effects"]
    assert found == ["git_add", "git_set"]
