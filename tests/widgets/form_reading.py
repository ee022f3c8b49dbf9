"""What the tests of schemas and forms share: a form and the way to its inputs; one field; any JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from mcp_workbench.errors import ArgumentsError
from mcp_workbench.widgets.fields import Field, read_fields
from mcp_workbench.widgets.form import Form
from mcp_workbench.widgets.keywords import KEYWORDS

STRING = {"type": "string"}
INTEGER = {"type": "integer"}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["#", "#/a", "null"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(KEYWORDS), inner, max_size=5)
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["array", "object", "string", "number", ["null", "array"]])},
            optional={key: inner for key in KEYWORDS if key != "type"},
        )
    ),
    max_leaves=20,
)


def form_of(required: list[str] | None = None, **properties: Any) -> Form:
    return Form({"type": "object", "properties": properties, "required": required or []})


def slot(form: Form, path: str) -> Any:
    """Find a slot by the names and numbers of its path."""
    at: Any = form
    for part in path.split("."):
        control = getattr(at, "control", at)
        control = getattr(control, "chosen", control)
        control = getattr(control, "control", control)
        at = control.rows[int(part)] if part.isdigit() and hasattr(control, "rows") else control.slots[part]
    return at


def box(form: Form, path: str) -> Any:
    """Return the widget that a field is written in."""
    return slot(form, path).control.widget


def every(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in every(child))]


def is_shown(form: Form, widget: Any) -> bool:
    """Tell whether a widget and all around it are displayed."""

    def shown(at: Any) -> bool:
        if at.layout.display == "none":
            return False
        return at is widget or any(shown(child) for child in getattr(at, "children", ()))

    return shown(form.widget)


def refusal(form: Form) -> str:
    with pytest.raises(ArgumentsError) as raised:
        form.read()
    return str(raised.value)


def one(node: Any, **more: Any) -> Field:
    """Read one argument called x."""
    return read_fields({"type": "object", "properties": {"x": node}, **more}).members[0].field
