"""Audit: a tool's hints against each other, against the contract's promise, and against the tool's name.

Source of what a hint means, and of what is assumed where it is not given: MCP specification, ``ToolAnnotations``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mcp_workbench.contracts.audit.findings import Fault, Rules, Severity, Subject
from mcp_workbench.contracts.audit.tool_words import word_set
from mcp_workbench.contracts.draft import effects_of
from mcp_workbench.contracts.model import Annotations

DESTROYING: Final = word_set(
    "delete del remove rm drop purge destroy truncate wipe erase shred kill terminate uninstall reset"
)
CHANGING: Final = word_set(
    "create insert add append write send update upsert modify edit set put post patch move rename replace save upload "
    "publish deploy commit merge assign approve reject submit cancel enable disable install register archive"
)
READING: Final = word_set("get list search read find fetch describe show count lookup view inspect")

# They are names of things as well (a data set, a chess move), so they are verbs only at the beginning.
_NOUNS_TOO: Final = word_set("set move drop kill reset update edit change post put patch commit merge archive register")
# What only speaks of a change, or makes it one that can be taken back.
_SPEAKING: Final = word_set(
    "preview check validate verify test simulate dry plan draft estimate suggest explain compare diff is has can "
    "should soft undo request schedule mark confirm analyze analyse"
)
_MANNERS: Final = word_set("bulk batch mass multi force safe async quick try")

# What clients assume of a hint that is not given: MCP specification, ``ToolAnnotations``.
_ASSUMED: Final = {
    "readOnlyHint": "it changes things",
    "destructiveHint": "it destroys things",
    "idempotentHint": "it cannot be repeated",
    "openWorldHint": "it reaches outside",
}
_WRONG_CONFIRMATION = "clients go by the hints: they skip a confirmation, or ask for one, where they should not"


def hints_contradict(tool: Subject) -> Iterator[Fault]:
    """A tool that changes nothing destroys nothing. Source: see the module."""
    hints = tool.contract.annotations
    if hints and hints.read_only and hints.destructive:
        yield Fault(
            "hints",
            "readOnlyHint and destructiveHint are both true",
            Severity.ERROR,
            "clients that look at readOnlyHint first run a destructive tool without asking anybody",
            "set the one that is wrong to false in the server",
        )


def hint_meaningless(tool: Subject) -> Iterator[Fault]:
    """Idempotency means nothing for a tool that changes nothing. Source: see the module."""
    hints = tool.contract.annotations
    if hints and hints.read_only and hints.idempotent is False:
        yield Fault(
            "hints",
            "idempotentHint is false beside readOnlyHint true",
            Severity.NOTE,
            "a client that looks at idempotentHint alone does not retry a call that is safe to retry",
            "leave idempotentHint out, or set it to true, in the server",
        )


def hints_break_promise(tool: Subject) -> Iterator[Fault]:
    """The server's hints say what the contract says. Source: see the module."""
    contract, hints = tool.contract, tool.contract.annotations
    if hints is None:
        return
    wrong: list[tuple[str, object, str, object]] = []
    effects, changes = contract.effects, contract.effects in ("write", "destructive")
    if (effects == "read" and hints.read_only is False) or (changes and hints.read_only):
        wrong.append(("effects", effects, "readOnlyHint", hints.read_only))
    if (effects in ("read", "write") and hints.destructive and not hints.read_only) or (
        effects == "destructive" and hints.destructive is False
    ):
        wrong.append(("effects", effects, "destructiveHint", hints.destructive))
    # "The same arguments": with a key among them, the second call has no further effect either.
    repeatable = {"none": False, "natural": True, "by key": True}.get(contract.idempotency or "")
    if effects != "read" and None not in (repeatable, hints.idempotent) and repeatable != hints.idempotent:
        wrong.append(("idempotency", contract.idempotency, "idempotentHint", hints.idempotent))
    if None not in (contract.open_world, hints.open_world) and contract.open_world != hints.open_world:
        wrong.append(("open_world", _json(contract.open_world), "openWorldHint", hints.open_world))
    if wrong:
        yield Fault(
            "hints",
            "; ".join(
                f'the contract says {part} "{said}", the server {hint} {_json(is_)}' for part, said, hint, is_ in wrong
            ),
            Severity.ERROR,
            _WRONG_CONFIRMATION,
            f"correct {', '.join(hint for *_, hint, _ in wrong)} in the server, or "
            f"{', '.join(dict.fromkeys(part for part, *_ in wrong))} in the contract",
        )


def hint_unsaid(tool: Subject) -> Iterator[Fault]:
    """What the contract promises the server announces, unless clients assume it anyway. Source: see the module.

    Only for a contract that was drafted from a server: one that is written before its server has no hints yet.
    """
    contract = tool.contract
    if contract.annotations is None and contract.fingerprint is None:
        return
    hints = contract.annotations or Annotations.model_validate({})
    unsaid = {}
    if contract.effects == "read" and hints.read_only is None:
        unsaid["readOnlyHint"] = True
    if contract.effects == "write" and hints.destructive is None:
        unsaid["destructiveHint"] = False
    grave = bool(unsaid)
    if contract.effects in ("write", "destructive") and contract.idempotency in ("natural", "by key"):
        unsaid |= {"idempotentHint": True} if hints.idempotent is None else {}
    if contract.open_world is False and hints.open_world is None:
        unsaid["openWorldHint"] = False
    if unsaid:
        yield Fault(
            "hints",
            f"the server does not announce what the contract promises: {', '.join(unsaid)}",
            Severity.WARNING if grave else Severity.NOTE,
            f"clients assume the worst of what is not said: {', '.join(_ASSUMED[hint] for hint in unsaid)}",
            "set " + ", ".join(f"{hint} to {_json(value)}" for hint, value in unsaid.items()) + " in the server",
        )


def name_contradicts_effects(tool: Subject) -> Iterator[Fault]:
    """A name does not promise less, or more, than the tool does. Source: ours; only verbs that leave no doubt count.

    A verb decides that stands first in the name, or last. Where no word is surely a verb, nothing is said.
    """
    contract = tool.contract
    marked = contract.effects or (effects_of(contract.annotations) if contract.annotations else None)
    # Hints that contradict each other leave the effects open; a client may still take the first of them for true.
    if marked is None and contract.annotations and contract.annotations.read_only:
        marked = "read"
    verb = deciding_verb(tool.words)
    if verb is None or marked is None:
        return
    says = f"the name says {verb}, {'the contract' if contract.effects else 'a hint'} says {marked}"
    why = "people and models go by the name, clients by the effects: one of them is misled"
    if verb in DESTROYING | CHANGING and marked == "read":
        finding, severity = says, Severity.ERROR
        mend = "correct effects, in the contract and in the server's readOnlyHint; or give the tool another name"
    elif verb in DESTROYING and marked == "write":
        finding, severity = f"{says}, which destroys nothing", Severity.WARNING
        mend = "mark it destructive, in the contract and in the server's destructiveHint; or give it another name"
    elif verb in READING and marked == "destructive" and not (DESTROYING | CHANGING) & set(tool.words):
        finding, severity = says, Severity.WARNING
        mend = "name what it destroys; or correct effects, in the contract and in the server's hints"
    else:
        return
    yield Fault("name", finding, severity, why, mend)


def deciding_verb(words: tuple[str, ...]) -> str | None:
    """Return the verb that says what a tool of this name does, or ``None`` where that would be a guess."""
    plain = [word for word in words if word not in _MANNERS]
    if not plain or plain[0] in DESTROYING | CHANGING | READING:
        return plain[0] if plain else None
    surely = (DESTROYING | CHANGING) - _NOUNS_TOO
    return plain[-1] if plain[-1] in surely and not _SPEAKING & set(plain) else None


def _json(value: object) -> str:
    return str(value).lower()


RULES: Final[Rules] = {
    "hints-contradict": hints_contradict,
    "hint-meaningless": hint_meaningless,
    "hints-break-promise": hints_break_promise,
    "hint-unsaid": hint_unsaid,
    "name-contradicts-effects": name_contradicts_effects,
}
"""The rules on hints and names."""
