"""JSON Schemas made into validators: nothing is fetched, formats count, and no pattern takes for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from mcp_workbench.untrusted import one_line

# Patterns without look-around and back-references run in linear time, whatever the text: the engine hands them to an
# automaton. For the others it goes back at most this often for each place where a match may begin. Then it gives up,
# and that proves nothing: the value is invalid, below "not" and "if" as well, unless the rest of the schema settles it
# either way (measured; see the tests). Less would refuse good texts: a look-ahead at each character is good for 10,000
# of them. Text made to go back at each of its places took 23 us a character: such a pattern wants a maxLength, too.
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000)


class UncompilableError(ValueError):
    """A schema cannot be made a validator; the sentence says why, for the people who run the server."""


def compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """Return the validator of a schema; it is made once and used for many values.

    The draft is that of ``$schema``, 2020-12 without one (MCP specification, JSON Schema usage). ``format`` is asserted
    where it is known. A ``$ref`` leads to the schema itself or to the published meta-schemas, never to a network or a
    file.

    Args:
        schema: the schema.

    Raises:
        UncompilableError: it is no valid schema, has a draft that nobody knows, or refers to another document.
    """
    try:
        return jsonschema_rs.validator_for(dict(schema), validate_formats=True, pattern_options=_PATTERNS, offline=True)
    except ValueError as error:
        reason = one_line(getattr(error, "message", None) or error, 300)
        raise UncompilableError(f"the schema cannot be used: {reason}; correct it") from None
