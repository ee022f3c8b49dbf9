"""Audit: texts that a model reads: those that try to instruct it, hide something from people, or are too long.

Every text of a tool reaches the model as it is, not only the description (Invariant Labs, "Tool poisoning attacks",
April 2025; CyberArk, "Poison everywhere", May 2025; the MCP specification therefore has clients distrust servers). The
phrases here are those of published attacks and what comes close. Who hides on purpose finds words that are not here:
no finding is no proof.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from mcp_workbench.contracts.audit.findings import Fault, Rules, Severity, Subject, named
from mcp_workbench.contracts.audit.tool_texts import Text
from mcp_workbench.untrusted import one_line

MAX_TOOL_TOKENS: Final = 1_000
"""More than this for one tool is a burden: ours; ten such tools fill a tenth of a context of 100,000."""

_SHOWN_CHARACTERS = 100

_Phrase = tuple[str, re.Pattern[str]]


def _phrase(needle: str, pattern: str) -> _Phrase:
    """Return a phrase with a word that is always in it: to look for that first costs next to nothing."""
    return needle, re.compile(pattern)


def _phrases(needles: str, pattern: str) -> tuple[_Phrase, ...]:
    return tuple(_phrase(needle, pattern.replace("NEEDLE", needle)) for needle in needles.split())


_NEVER = r"\b(?:do not|don't|never) (?:ever )?"
_FORGET = r"\b(?:ignore|disregard|forget|override) (?:[\w']+ ){0,3}"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|your)"
_USER = r"\b(?:to |with |from )?(?:the |your )?user\b"
_TOOL = r"(?:tool|function)s?\b"
_ALL_OF = r"(?:(?:the|all|of|full|entire|whole|complete|current|previous|prior) ){0,4}"
_GIVE = r"\b(?:pass|include|send|append|attach|provide|add|forward|print|output|reveal|repeat|leak) "

_USING = r"(?:using|calling|invoking|running|you use|you call)"

_ORDERS: Final = (
    _phrase(
        "instructions", rf"{_FORGET}(?:all|any|every|other|system|safety|{_EARLIER}) (?:[\w']+ ){{0,2}}instructions\b"
    ),
    *_phrases("prompt rules guidelines directives", rf"{_FORGET}{_EARLIER} (?:[\w']+ ){{0,2}}NEEDLE"),
    _phrase("user", rf"{_NEVER}(?:tell|inform|mention|reveal|disclose)\b[^.!?]{{0,40}}{_USER}"),
    _phrase("user", rf"\bwithout (?:telling|informing|mentioning)\b[^.!?]{{0,20}}{_USER}"),
    _phrase("mention", rf"{_NEVER}mention (?:that|this|it|these|those|any of this)\b"),
    _phrase("keep", rf"\bkeep (?:this|it|that) (?:a )?(?:secret|hidden)\b[^.!?]{{0,20}}{_USER}"),
    _phrase("hide", rf"\bhide (?:this|it|that)\b[^.!?]{{0,20}}{_USER}"),
    _phrase("system prompt", rf"{_GIVE}{_ALL_OF}your (?:own |full |entire |current )?system prompt\b"),
    _phrase(">", r"<\s?/?\s?(?:important|system|secret|hidden|instructions?|admin|override|sys)\s?/?>"),
    _phrase("<|", r"<\|(?:im_start|im_end|system|user|assistant|end_of_turn)\|>"),
    _phrase("inst]", r"\[/?inst\]"),
)
_URGES: Final = (
    _phrase("before", rf"\bbefore {_USING} (?:any|all|every|each|other|another)\b[^.!?]{{0,20}}\b{_TOOL}"),
    _phrase(
        "first",
        r"\b(?:always|must) (?:be )?(?:use|call|invoke|run)d? (?:(?:this|the [\w-]+) )?(?:tool |function )?first\b",
    ),
    _phrase("called first", r"\b(?:always|must) (?:always )?be called first\b"),
    *_phrases("before instead over", rf"\balways (?:use|call|invoke|run|prefer) this {_TOOL} NEEDLE\b"),
    _phrase("for", rf"\balways (?:use|call|invoke|run|prefer) this {_TOOL} for (?:all|any|every)\b"),
    _phrase("instead of", rf"\binstead of (?:using |calling )?(?:[\w.'`\"-]+ ){{0,3}}{_TOOL}"),
    _phrase("other", rf"{_NEVER}(?:use|call|invoke) (?:any |the )?other\b[^.!?]{{0,20}}\b{_TOOL}"),
    _phrase("prefer", rf"\bprefer this (?:{_TOOL} )?over\b"),
    _phrase("system prompt", r"\byour (?:own |full |entire |current )?system prompt\b"),
    _phrase("you", r"\byou\b[^.!?]{0,60}\b(?:were|been) (?:told|advised|instructed|trained)\b"),
    _phrase("you are now", r"\byou are now (?:a|an|in)\b"),
    _phrase("confirmation", rf"{_NEVER}ask (?:the user )?(?:for )?confirmation\b"),
    *_phrases(
        "conversation chat", rf"{_GIVE}{_ALL_OF}(?:your )?NEEDLE (?:history|log|transcript|context|so far|as|in|into)\b"
    ),
)

# Hidden from people: directions of text (UAX 9, CVE-2021-42574), tag characters, terminal controls. The rest is mostly
# an accident of copying. Marks of direction belong into Arabic and Hebrew.
_HIDING: Final = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0001-\U000e007f\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_STRAY: Final = re.compile("[\u00ad\u180e\u200b\u2060-\u2065\ufeff\ufff9-\ufffb]")
_MARK: Final = re.compile("[\u061c\u200e\u200f]")
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]")
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_-]{160,}")

# Secrets that are carried off: their contents as an argument, or anything worth having to an address.
_CARRY: Final = re.compile(r"\b(?:pass|include|send|attach|append|upload|copy|put|forward|paste|insert|provide|post)\b")
_SECRETS: Final = re.compile(
    r"~/\.ssh|\bid_rsa|\bid_ed25519|\.aws/credentials|/etc/passwd|/etc/shadow|/mcp\.json|\.netrc|\.env file"
)
_CONTENTS: Final = re.compile(r"\bcontents?\b")
_ADDRESS: Final = re.compile(r"\bto (?:the )?(?:url |server |endpoint |webhook |address )?https?://")
_GOODS: Final = re.compile(
    r"~/\.ssh|\b(?:conversation|chat history|secrets?|credentials|passwords?|api keys?|access tokens?|"
    r"environment variables|private keys?|user'?s? (?:data|files|messages|prompts?))\b"
)
_NEAR_CHARACTERS = 120


def instructs_model(tool: Subject) -> Iterator[Fault]:
    """No text gives the model orders: to ignore what it was told, to keep something from the user, to carry secrets.

    Source: see the module.
    """
    found = [(text, told) for text in tool.texts for told in _orders(text.flat)]
    yield from _spoken(
        found,
        Severity.ERROR,
        "the text gives orders to the model",
        "the model may obey: it takes tool texts for part of its instructions, and users rarely see them",
        "say what the tool does, and nothing of what the model should do or hide; do not connect a server that "
        "somebody else wrote like this",
    )


def _orders(text: str) -> Iterator[str]:
    yield from _found(_ORDERS, text)
    for pattern, with_it in ((_SECRETS, _CONTENTS), (_ADDRESS, _GOODS)):
        for match in itertools.islice(pattern.finditer(text), 20):
            near = text[max(0, match.start() - _NEAR_CHARACTERS) : match.end() + _NEAR_CHARACTERS]
            if _CARRY.search(near) and with_it.search(near):
                yield near


def _found(phrases: tuple[_Phrase, ...], text: str) -> Iterator[str]:
    for needle, pattern in phrases:
        if needle in text and (match := pattern.search(text)):
            yield match.group()


def urges_model(tool: Subject) -> Iterator[Fault]:
    """No text pushes the tool before others, or speaks of how the model was instructed.

    "Use ``other_tool`` instead" is good advice where the server has that tool. Source: see the module.
    """
    found = [
        (text, told)
        for text in tool.texts
        for told in _found(_URGES, text.flat)
        if not (told.startswith("instead of") and any(name.lower() in told for name in tool.others))
    ]
    yield from _spoken(
        found,
        Severity.WARNING,
        "the text urges the model",
        "the model follows the text and not the user: it calls the wrong tool, or hands over too much",
        "say what the tool does and when it is useful, and leave the choice to the model",
    )


def _spoken(found: list[tuple[Text, str]], severity: Severity, what: str, why: str, mend: str) -> Iterator[Fault]:
    if found:
        finding = f'{what}: "{one_line(found[0][1], _SHOWN_CHARACTERS)}"'
        yield Fault(named(text.where for text, _ in found), finding, severity, why, mend)


def hidden_characters(tool: Subject) -> Iterator[Fault]:
    """No text has characters that nobody sees. Source: Unicode UAX 9 and UTS 39; CVE-2021-42574."""
    hiding = [(text.where, match) for text in tool.texts if (match := _HIDING.search(text.text))]
    stray = [(text.where, match) for text in tool.texts if not text.text.isascii() and (match := _stray(text.text))]
    for found, severity, why in (
        (hiding, Severity.ERROR, "the model reads what people cannot see: an instruction can stand there"),
        (stray, Severity.WARNING, "names and values that look alike are not the same; searching finds nothing"),
    ):
        if found:
            yield Fault(
                named(where for where, _ in found),
                f"the text holds invisible characters, U+{ord(found[0][1].group()):04X} among them",
                severity,
                why,
                "take them out; type the text anew if you do not see them",
            )


def _stray(text: str) -> re.Match[str] | None:
    return _STRAY.search(text) or (None if _RIGHT_TO_LEFT.search(text) else _MARK.search(text))


def hidden_comment(tool: Subject) -> Iterator[Fault]:
    """No text has an HTML comment: pages hide it, models read it. Source: see the module."""
    found = [text for text in tool.texts if "<!--" in text.text]
    if found:
        yield Fault(
            named(text.where for text in found),
            "the text holds an HTML comment",
            Severity.WARNING,
            "where the text is shown as a page people do not see it, and the model does",
            "take the comment out of the text",
        )


def encoded_text(tool: Subject) -> Iterator[Fault]:
    """No text has a long run of what looks like base64. Source: see the module."""
    found = [text for text in tool.texts if len(text.text) >= 160 and _ENCODED.search(text.text)]
    if found:
        yield Fault(
            named(text.where for text in found),
            "the text holds encoded data",
            Severity.WARNING,
            "it fills the model's context, people cannot read it, and the model can",
            "take it out, or give it as a resource",
        )


def tool_too_long(tool: Subject) -> Iterator[Fault]:
    """A tool takes at most about 1,000 tokens of each conversation. Source: ours; see ``estimated_tokens``."""
    if tool.tokens > MAX_TOOL_TOKENS:
        longest = max(tool.texts, key=lambda text: len(text.text), default=None)
        yield Fault(
            longest.where if longest else "purpose",
            f"the tool takes about {tool.tokens:,} tokens (estimated) of every conversation",
            Severity.WARNING,
            "its text is sent with each request: it costs money and time, and crowds out the task",
            "shorten this text first, it is the longest one; leave details to the documentation",
        )


RULES: Final[Rules] = {
    "instructs-model": instructs_model,
    "urges-model": urges_model,
    "hidden-characters": hidden_characters,
    "hidden-comment": hidden_comment,
    "encoded-text": encoded_text,
    "tool-too-long": tool_too_long,
}
"""The rules on texts."""
