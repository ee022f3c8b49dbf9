"""The form that a tool's input schema becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_workbench.errors import ArgumentsError
from mcp_workbench.widgets.checks import sentence
from mcp_workbench.widgets.fields import read_fields
from mcp_workbench.widgets.groups import ObjectControl
from mcp_workbench.widgets.inputs import Place, dispose
from mcp_workbench.widgets.slots import SlotBuilder
from mcp_workbench.widgets.values import json_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_workbench.widgets.checks import Problem


class Form:
    """The inputs for the arguments of one tool.

    An optional field without a default that is left blank is not sent; a default is filled in, and sent. What cannot
    be shown in a field's own input is shown as JSON beside it: what is seen is what is sent.

    Args:
        schema: the tool's input schema, of which nothing is trusted; any value makes a form.

    Attributes:
        fields: what the schema was understood to ask for.
        slots: the fields of the form, by argument.
        widget: the form, to be displayed.
    """

    def __init__(self, schema: object) -> None:
        self.fields = read_fields(schema)
        self._builder = SlotBuilder()
        self._root = ObjectControl(self.fields, Place(""), self._builder)
        self.slots = self._root.slots
        self.widget = self._root.widget

    def read(self) -> dict[str, Any]:
        """Return the arguments, and show beside each field what is wrong with it.

        Raises:
            ArgumentsError: fields are wrong; its sentence names each by its path and says what to do.
        """
        found: list[Problem] = []
        arguments: dict[str, Any] = self._root.read(found)
        if found:
            raise ArgumentsError(sentence(found))
        return arguments

    def fill(self, arguments: Mapping[str, Any]) -> None:
        """Show these arguments, and in every other field what a fresh form shows.

        Args:
            arguments: JSON values by name; they need not fit the schema: :meth:`read` says so then.

        Raises:
            ArgumentsError: they are not JSON; the form is left as it was.
        """
        given = dict(arguments)
        if fault := json_fault(given):
            raise ArgumentsError(f"The arguments cannot be shown: a value {fault}; give a JSON object.")
        self._builder.renew()
        self._root.show(given)

    def clear(self) -> None:
        """Show what a fresh form shows: the defaults, and blanks."""
        self._builder.renew()
        self._root.reset()

    def close(self) -> None:
        """Close all widgets of the form; it cannot be used afterwards."""
        dispose(self.widget)
