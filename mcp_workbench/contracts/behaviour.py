"""What a tool does besides its result, and what changes of that break.

That is effects, idempotency, open world, deadline and failures.

Effects and idempotency are compared as clients understand them. The MCP specification (schema, ToolAnnotations) says
what an unsaid hint means: not read-only, destructive, not idempotent, open world; and that the destructive and the
idempotent hint mean nothing for a read-only tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mcp_workbench.contracts.model import Annotations, FailureCase, ToolContract
from mcp_workbench.contracts.schemas.changes import Change, Verdict

Found = Iterator[tuple[str, Change]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What clients may rely on; the worst is assumed of what is not said."""

    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool


def announced(hints: Annotations | None) -> Behaviour:
    """Return what a listing with these hints lets clients rely on."""
    hints = hints or Annotations()
    return Behaviour(
        read_only=hints.read_only is True,
        destructive=hints.destructive is not False,
        idempotent=hints.idempotent is True,
        open_world=hints.open_world is not False,
    )


def promised(tool: ToolContract) -> Behaviour:
    """Return what a contract lets clients rely on: its own words, and where it has none, the hints it took over."""
    hints = announced(tool.annotations)
    said_effects = tool.effects is not None
    return Behaviour(
        read_only=tool.effects == "read" if said_effects else hints.read_only,
        destructive=tool.effects == "destructive" if said_effects else hints.destructive,
        idempotent=tool.idempotency != "none" if tool.idempotency is not None else hints.idempotent,
        open_world=tool.open_world if tool.open_world is not None else hints.open_world,
    )


def behaviour_changes(old: ToolContract, new: ToolContract, *, live: bool) -> Found:
    """Yield the flips of effects, idempotency and open world on which clients rely.

    Args:
        old: the contract.
        new: its next version, or with ``live`` the draft of the listed tool.
        live: compare what is announced: with the hints that the contract took over or, if it took over none, with
            what it promises.
    """
    if live:
        before = announced(old.annotations) if old.fingerprint is not None else promised(old)
        after = announced(new.annotations)
    else:
        before, after = promised(old), promised(new)
    flips = list(_effects(before, after))
    if not (before.read_only or after.read_only):
        flips += _idempotency(before, after)
    if live:
        known = {where for where, _ in flips}
        flips += [each for each in _denials(old, new.annotations or Annotations()) if each[0] not in known]
    yield from flips
    if before.open_world != after.open_world:
        words = "now reaches out to things outside of the server" if after.open_world else "no longer reaches out"
        why = "no call fails; look again at what its results may be trusted with"
        yield "open world", Change("", words, Verdict.COMPATIBLE, why)
    if not live:
        yield from _keys(old, new)


def _effects(before: Behaviour, after: Behaviour) -> Found:
    if before.read_only and not after.read_only:
        words = "read-only no longer" + (", and may destroy" if after.destructive else "")
        why = "hosts let read-only calls through without asking, and clients repeat them freely"
        yield "effects", Change("", words, Verdict.BREAKING, why)
    elif after.read_only and not before.read_only:
        why = "callers who were careful are still right; make sure that it is true, because hosts stop asking"
        yield "effects", Change("", "read-only now", Verdict.COMPATIBLE, why)
    elif not after.read_only and before.destructive != after.destructive:
        if after.destructive:
            why = "clients that call it without asking now destroy something"
            yield "effects", Change("", "destructive now", Verdict.BREAKING, why)
        else:
            why = "callers who asked first are still right"
            yield "effects", Change("", "destructive no longer", Verdict.COMPATIBLE, why)


def _idempotency(before: Behaviour, after: Behaviour) -> Found:
    if before.idempotent and not after.idempotent:
        why = "a client that repeats a call after a lost answer now does the thing twice"
        yield "idempotency", Change("", "idempotent no longer", Verdict.BREAKING, why)
    elif after.idempotent and not before.idempotent:
        yield "idempotency", Change("", "idempotent now", Verdict.COMPATIBLE, "callers who did not repeat are right")


def _denials(contract: ToolContract, hints: Annotations) -> Found:
    """Yield what the server says outright against the contract's promise."""
    why = "the server says the opposite of what the contract promises: one of them is wrong"
    if contract.effects == "read" and hints.read_only is False:
        words = "announced as not read-only, promised as read"
        yield "effects", Change("", words, Verdict.BREAKING, why)
    if contract.effects == "write" and hints.destructive and not hints.read_only:
        words = "announced as destructive, promised as write"
        yield "effects", Change("", words, Verdict.BREAKING, why)
    if contract.idempotency == "natural" and hints.idempotent is False and not hints.read_only:
        words = "announced as not idempotent, promised as idempotent"
        yield "idempotency", Change("", words, Verdict.BREAKING, why)


def _keys(old: ToolContract, new: ToolContract) -> Found:
    """Yield changes of the way in which a tool is idempotent; only contracts say that."""
    before, after = old.idempotency, new.idempotency
    if (before, after) == ("natural", "by key"):
        why = "a client that repeats a call without the key now does the thing twice"
        yield "idempotency", Change("", "only by key now", Verdict.BREAKING, why)
    elif (before, after) == ("by key", "natural"):
        yield "idempotency", Change("", "without a key now", Verdict.COMPATIBLE, "a key that is sent does no harm")
    elif before == after == "by key" and old.idempotency_key != new.idempotency_key:
        words = f"the key is now the argument {new.idempotency_key!r}, not {old.idempotency_key!r}"
        yield "idempotency", Change("", words, Verdict.BREAKING, "a client that sends the old key repeats the effect")


def deadline_changes(old: ToolContract, new: ToolContract) -> Found:
    """Yield the change of the time that a call may take; only contracts say that."""
    before, after = old.deadline_ms, new.deadline_ms
    if before == after:
        return
    words = f"{_time(before)} before, {_time(after)} now"
    if after is not None and (before is None or after < before):
        yield "deadline", Change("", words, Verdict.BREAKING, "calls that took longer now fail")
    else:
        why = "calls that were in time still are; clients that wait for the end may wait longer"
        yield "deadline", Change("", words, Verdict.COMPATIBLE, why)


def _time(deadline_ms: int | None) -> str:
    return "no deadline" if deadline_ms is None else f"{deadline_ms:,} ms"


def failure_changes(old: ToolContract, new: ToolContract) -> Found:
    """Yield the changes of the failure taxonomy between two contracts of a tool."""
    if old.failures is None or new.failures is None:
        if new.failures is not None:
            words = "the failures are said now"
            yield "failures", Change("", words, Verdict.COMPATIBLE, "nobody could rely on them before")
        elif old.failures is not None:
            words = "the failures are not said any more"
            yield "failures", Change("", words, Verdict.BREAKING, "clients cannot tell what to retry")
        return
    before = {failure.code: failure for failure in old.failures}
    after = {failure.code: failure for failure in new.failures}
    for code in before | after:
        yield from _failure(f"failures: {code}", before.get(code), after.get(code))


def _failure(where: str, old: FailureCase | None, new: FailureCase | None) -> Found:
    if old is None:
        why = "practice: clients treat a code that they do not know as a failure that is not to be retried"
        yield where, Change("", "new failure", Verdict.COMPATIBLE, why)
    elif new is None:
        yield where, Change("", "failure removed", Verdict.COMPATIBLE, "what handled it is not needed any more")
    elif old.retryable is True and new.retryable is not True:
        why = "clients that retry it now do so in vain, or do harm"
        yield where, Change("", "retryable no longer", Verdict.BREAKING, why)
    elif old.retryable is not True and new.retryable is True:
        yield where, Change("", "retryable now", Verdict.COMPATIBLE, "clients that gave up are still right")
    elif old.caller != new.caller:
        why = "what handled it before still gets the same code; read what the caller should do now"
        yield where, Change("", "the caller should do something else", Verdict.COMPATIBLE, why)
    elif old != new:
        yield (
            where,
            Change(
                "", "said in other words", Verdict.COSMETIC, "the code, and what the caller should do, stay the same"
            ),
        )
