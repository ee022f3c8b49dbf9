"""The slot that every field of a form stands in.

A slot adds to an input what is the same for all: the words below it, the error beside it, whether it is sent at all,
whether it is null, and the way to write it as JSON where its own input cannot show the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ipywidgets as w

from mcp_workbench import untrusted
from mcp_workbench.contracts.schemas.references import ABSENT
from mcp_workbench.widgets.checks import Problem, fits, help_line, instruction, own_problems, problems
from mcp_workbench.widgets.fields import ArrayField, Field, StringField, TupleField
from mcp_workbench.widgets.groups import group_maker
from mcp_workbench.widgets.inputs import JsonInput, UnreadableError, checkbox, scalar_control, set_shown

if TYPE_CHECKING:
    from mcp_workbench.widgets.inputs import Control, Place

MAX_SLOTS: Final = 400
"""One action of the user makes so many slots; after that, lists and objects come as JSON. A schema of nested
defaults could otherwise ask for millions."""
_PROBLEMS_SHOWN = 5


class SlotBuilder:
    """Makes the slots of one form, a bounded number for each action of the user."""

    def __init__(self) -> None:
        self._left = MAX_SLOTS
        # By identity: a field may hold lists, which have no hash. The form keeps the fields alive.
        self._defaults: dict[int, Any] = {}

    def slot(self, field: Field, place: Place, *, required: bool, value: Any = ABSENT) -> Slot:
        """Return a slot that shows ``value``, or for ``ABSENT`` what a fresh form shows."""
        self._left -= 1
        return Slot(field, place, self, required=required, value=value)

    def renew(self) -> None:
        """Begin a new action of the user."""
        self._left = MAX_SLOTS

    @property
    def is_exhausted(self) -> bool:
        """No more slots are to be made now."""
        return self._left <= 0

    def default(self, field: Field) -> Any:
        """Return the default to fill in; one that the schema itself refuses (a text that is null) is the server's."""
        if id(field) not in self._defaults:
            usable = field.default is not ABSENT and fits(field, field.default)
            self._defaults[id(field)] = field.default if usable else ABSENT
        return self._defaults[id(field)]


class Slot:
    """One field of a form.

    Args:
        field: what is asked for.
        place: where it stands.
        builder: makes the slots inside.
        required: it cannot be left out.
        value: what to show; ``ABSENT`` for what a fresh form shows.

    Attributes:
        widget: what is shown.
        note: the words below the input: the error, if any, and the help line.
        include: the checkbox of an optional group: whether it is sent; ``None`` for others.
        null: the checkbox of a nullable field; ``None`` for others.
        raw: the checkbox "write as JSON"; ``None`` until it is needed.
        control: the input; ``None`` until it is needed.
        json: the input for JSON; ``None`` until it is needed.
    """

    def __init__(self, field: Field, place: Place, builder: SlotBuilder, *, required: bool, value: Any) -> None:
        self.field = field
        self.place = place
        self.required = required
        self.control: Control | None = None
        self.json: JsonInput | None = None
        self.include: Any = None
        self.null: Any = None
        self.raw: Any = None
        self._builder = builder
        self._default = builder.default(field)
        self._group = group_maker(field)
        self._quiet = False
        self.note = w.HTML()
        self._toggles: Any = None
        self.widget = w.VBox()
        if self._group is not None and not required and not (field.nullable and self._default is not ABSENT):
            self.include = self._toggle("include")
        if field.nullable:
            self.null = self._toggle("null")
        if isinstance(field, ArrayField | TupleField) or (isinstance(field, StringField) and field.format == "time"):
            self.raw = self._toggle("write as JSON")
        self.show(value)

    def read(self, found: list[Problem], /) -> Any:
        """Return the value, or ``ABSENT`` when it is not to be sent; what is wrong is shown and put into ``found``."""
        nested: list[Problem] = []
        own: list[Problem] = []
        value: Any = ABSENT
        try:
            value = self._value(nested, own)
        except UnreadableError as error:
            own.append(Problem(self.place.path, str(error)))
        self.mark(own)
        found.extend(nested + own)
        return value

    def show(self, value: Any, /) -> None:
        """Show a JSON value, or for ``ABSENT`` what a fresh form shows."""
        given = self._default if value is ABSENT else value
        is_null = self.null is not None and given is None
        self._set(self.include, given is not ABSENT)
        self._set(self.null, is_null)
        self._set(self.raw, False)
        if given is ABSENT:
            if self.control is not None:
                self.control.reset()
        elif not is_null and (self._is_beyond or not self._made().show(given)):
            self._made_json().show(given)
            self._set(self.raw, True)
        self.mark([])
        self._arrange()

    def write_as_json(self, on: bool) -> None:
        """Change between the input and JSON, and take the value along; what only JSON can show stays JSON."""
        source, target = (self._made(), self._made_json()) if on else (self._made_json(), self._made())
        nested: list[Problem] = []
        stays = ""
        try:
            value = source.read(nested)
        except UnreadableError as error:
            value, stays = ABSENT, str(error)
        if value is ABSENT or nested:
            target.reset()
        elif not target.show(value):
            stays = "only JSON can show this value"
        if stays and not on:
            self._set(self.raw, True)
        self.mark([Problem(self.place.path, stays)] if stays and not on else [])
        self._arrange()

    def mark(self, own: list[Problem], /) -> None:
        """Show what is wrong with this field, in words, above its help line."""
        here = self.place.path
        said = [p.text if p.path == here else f"{p.path}: {p.text}" for p in own[:_PROBLEMS_SHOWN]]
        error = f'<span role="alert">Error: {untrusted.escaped("; ".join(said))}</span><br>' if own else ""
        heading = f"<strong>{untrusted.escaped(self.place.label)}</strong>. " if self._group else ""
        self.note.value = f"{error}{heading}{untrusted.escaped(help_line(self.field, required=self.required))}"

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""
        self.place = place
        for box, words in ((self.include, "include"), (self.null, "null"), (self.raw, "write as JSON")):
            if box is not None:
                box.description = f"{place.label}: {words}"
        for control in (self.control, self.json):
            if control is not None:
                control.rename(place)
        self.mark([])

    @property
    def _is_sent(self) -> bool:
        return self.include is None or bool(self.include.value)

    @property
    def _is_null(self) -> bool:
        return self.null is not None and bool(self.null.value)

    @property
    def _is_raw(self) -> bool:
        return self.raw is not None and bool(self.raw.value)

    @property
    def _is_beyond(self) -> bool:
        """A group that there is no room for."""
        return self._group is not None and self.control is None and self._builder.is_exhausted

    def _value(self, nested: list[Problem], own: list[Problem]) -> Any:
        if not self._is_sent:
            return ABSENT
        if self._is_null:
            return None
        value = self._made_json().read([]) if self._is_raw else self._made().read(nested)
        if value is ABSENT:
            if self.required and not nested:
                own.append(Problem(self.place.path, instruction(self.field)))
        elif self._is_raw or self._group is None:
            own.extend(problems(self.field, value, self.place.path))
        elif not nested:  # the slots inside have checked themselves
            own.extend(own_problems(self.field, value, self.place.path))
        return value

    def _toggle(self, words: str) -> Any:
        box = checkbox(f"{self.place.label}: {words}")
        box.observe(self._on_toggle, names="value")
        return box

    def _set(self, box: Any, checked: bool) -> None:
        if box is not None:
            self._quiet = True
            box.value = checked
            self._quiet = False

    def _on_toggle(self, change: Any) -> None:
        if self._quiet:
            return
        self._builder.renew()
        if change["owner"] is self.raw:
            self.write_as_json(bool(change["new"]))
        else:
            self._arrange()

    def _made(self) -> Control:
        if self.control is None:
            if self._group is not None:
                made: Control = self._group(self.field, self.place, self._builder)
            else:
                prefilled = self._default is not ABSENT
                made = scalar_control(self.field, self.place, required=self.required, prefilled=prefilled)
            self.control = made
        return self.control

    def _made_json(self) -> JsonInput:
        if self.raw is None:
            self.raw = self._toggle("write as JSON")
        if self.json is None:
            self.json = JsonInput(self.place)
        return self.json

    def _arrange(self) -> None:
        """Show the parts that count now; an input is made when it is first shown."""
        has_value = self._is_sent and not self._is_null
        if has_value:
            if self._is_beyond and not self._is_raw:
                self._made_json().reset()
                self._set(self.raw, True)
            if not self._is_raw:
                self._made()
        parts = []
        toggles = [box for box in (self.include, self.null, self.raw) if box is not None]
        if toggles:
            if self._toggles is None:
                self._toggles = w.HBox(layout={"flex_flow": "row wrap"})
            self._toggles.children = toggles
            parts.append(self._toggles)
        if self.null is not None:
            set_shown(self.null, self._is_sent)
        if self.raw is not None:
            set_shown(self.raw, has_value)
        for control, is_now in ((self.control, not self._is_raw), (self.json, self._is_raw)):
            if control is not None:
                set_shown(control.widget, has_value and is_now)
                parts.append(control.widget)
        self.widget.children = [self.note, *parts] if self._group else [*parts, self.note]
