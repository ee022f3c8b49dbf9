"""The groups of inputs: lists, tuples, objects and unions, and the slot that every field stands in.

A slot adds to an input what is the same for all: the words below it, the error beside it, whether it is sent at all,
whether it is null, and the way to write it as JSON where its own input cannot show the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import ipywidgets as w

from mcp_workbench import untrusted
from mcp_workbench.widgets.checks import (
    Problem,
    best_branch,
    branch_name,
    child,
    extra_problems,
    fits,
    help_line,
    instruction,
    own_problems,
    problems,
)
from mcp_workbench.widgets.fields import ArrayField, DictField, Field, ObjectField, StringField, TupleField, UnionField
from mcp_workbench.widgets.inputs import (
    JsonControl,
    Place,
    UnreadableError,
    checkbox,
    dispose,
    labelled,
    scalar_control,
    set_shown,
)
from mcp_workbench.widgets.values import ABSENT

if TYPE_CHECKING:
    from mcp_workbench.widgets.inputs import Control

MAX_ROWS: Final = 100
"""A longer list is written as JSON."""
_MAX_FRESH_ROWS = 10
_INDENT = "0 0 8px 16px"
_Group: TypeAlias = ArrayField | TupleField | ObjectField | UnionField


class Slot:
    """One field of a form.

    Args:
        field: what is asked for.
        place: where it stands.
        required: it cannot be left out.

    Attributes:
        widget: what is shown.
        note: the words below the input: the error, if any, and the help line.
        include: the checkbox of an optional group: whether it is sent; ``None`` for others.
        null: the checkbox of a nullable field; ``None`` for others.
        raw: the checkbox "write as JSON"; ``None`` until it is needed.
        control: the input; ``None`` until it is needed.
    """

    def __init__(self, field: Field, place: Place, *, required: bool) -> None:
        self.field = field
        self.place = place
        self.required = required
        self.control: Control | None = None
        self.json: JsonControl | None = None
        self.raw: Any = None
        # A default that the schema itself refuses (a str that is null) is left to the server.
        usable = field.default is not ABSENT and fits(field, field.default)
        self._initial: Any = field.default if usable else ABSENT
        self._is_group = isinstance(field, _Group)
        self._quiet = False
        self.note = w.HTML()
        self.include = self.null = None
        if self._is_group and not required and not (field.nullable and usable):
            self.include = self._toggle("include")
        if field.nullable:
            self.null = self._toggle("null")
        if isinstance(field, ArrayField) or (isinstance(field, StringField) and field.format == "time"):
            self.raw = self._toggle("write as JSON")
        self._toggles = w.HBox(layout={"flex_flow": "row wrap"})
        self.widget = w.VBox()
        self.mark([])
        self.show(ABSENT)

    def read(self, found: list[Problem]) -> Any:
        """Return the value, or ``ABSENT`` when it is not to be sent; what is wrong is shown and put into ``found``."""
        nested: list[Problem] = []
        own: list[Problem] = []
        value: Any = ABSENT
        try:
            value = self._value(nested, own)
        except UnreadableError as error:
            own.append(Problem(self.place.path, str(error)))
        found.extend(nested + own)
        self.mark(own)
        return value

    def show(self, value: Any) -> None:
        """Show a JSON value, or for ``ABSENT`` what a fresh form shows."""
        given = self._initial if value is ABSENT else value
        is_null = self.null is not None and given is None
        self._quiet = True
        try:
            for box, checked in ((self.include, given is not ABSENT), (self.null, is_null), (self.raw, False)):
                if box is not None:
                    box.value = checked
            if given is ABSENT:
                if self.control is not None:
                    self.control.reset()
            elif not is_null and not self._made().show(given):
                self._made_json().show(given)
                self.raw.value = True
        finally:
            self._quiet = False
        self.mark([])
        self._arrange()

    def write_as_json(self, on: bool) -> None:
        """Change between the input and JSON, and take the value along where it is one."""
        source, target = (self._made(), self._made_json()) if on else (self._made_json(), self._made())
        nested: list[Problem] = []
        try:
            value = source.read(nested)
        except UnreadableError:
            value = ABSENT
        if value is not ABSENT and not nested:
            target.show(value)
        elif on:
            target.reset()
        self._arrange()

    def mark(self, own: list[Problem]) -> None:
        """Show what is wrong with this field, in words, above its help line."""
        inside = [
            problem.text if problem.path == self.place.path else f"{problem.path}: {problem.text}"
            for problem in own[:5]
        ]
        error = f'<span role="alert">Error: {untrusted.escaped("; ".join(inside))}</span><br>' if own else ""
        heading = f"<strong>{untrusted.escaped(self.place.label)}</strong>. " if self._is_group else ""
        said = help_line(self.field, required=self.required)
        self.note.value = f"{error}{heading}{untrusted.escaped(said)}"

    def rename(self, place: Place) -> None:
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

    def _value(self, nested: list[Problem], own: list[Problem]) -> Any:
        if not self._is_sent:
            return ABSENT
        if self._is_null:
            return None
        if self._is_raw:
            value = self._made_json().read([])
            own.extend([] if value is ABSENT else problems(self.field, value, self.place.path))
        else:
            value = self._made().read(nested)
            # With something wrong inside, the group is incomplete and says nothing of itself.
            own.extend([] if value is ABSENT or nested else own_problems(self.field, value, self.place.path))
        if value is ABSENT and self.required and not nested:
            own.append(Problem(self.place.path, instruction(self.field)))
        return value

    def _toggle(self, words: str) -> Any:
        box = checkbox(f"{self.place.label}: {words}")
        box.observe(self._on_toggle, names="value")
        return box

    def _on_toggle(self, change: Any) -> None:
        if self._quiet:
            return
        if change["owner"] is self.raw:
            self.write_as_json(bool(change["new"]))
        else:
            self._arrange()

    def _made(self) -> Control:
        if self.control is None:
            prefilled = self._initial is not ABSENT
            self.control = make_control(self.field, self.place, required=self.required, prefilled=prefilled)
        return self.control

    def _made_json(self) -> JsonControl:
        if self.raw is None:
            self.raw = self._toggle("write as JSON")
        if self.json is None:
            self.json = JsonControl(self.place)
        return self.json

    def _arrange(self) -> None:
        """Show the parts that count now; an input is made when it is first shown."""
        has_value = self._is_sent and not self._is_null
        if has_value:
            (self._made_json if self._is_raw else self._made)()
        toggles = [box for box in (self.include, self.null, self.raw) if box is not None]
        self._toggles.children = toggles
        set_shown(self._toggles, bool(toggles))
        if self.null is not None:
            set_shown(self.null, self._is_sent)
        if self.raw is not None:
            set_shown(self.raw, has_value)
        controls = []
        for control, now in ((self.control, not self._is_raw), (self.json, self._is_raw)):
            if control is not None:
                set_shown(control.widget, has_value and now)
                controls.append(control.widget)
        words, inputs = [self.note], [self._toggles, *controls]
        self.widget.children = words + inputs if self._is_group else inputs + words


class ArrayControl:
    """A list: a row for each item, with a button that removes it, and a button that adds one."""

    def __init__(self, field: ArrayField, place: Place) -> None:
        self._field = field
        self._place = place
        self.rows: list[Slot] = []
        self.removers: list[Any] = []
        self.adder = w.Button(layout={"width": "auto"})
        self.adder.on_click(lambda _: self.add())
        self.widget = w.VBox(layout={"margin": _INDENT})
        self.reset()

    def add(self) -> None:
        """Add a blank row at the end."""
        if len(self.rows) < self._limit:
            self._resize(len(self.rows) + 1)

    def remove(self, number: int) -> None:
        """Remove the row with that number; those behind it move up."""
        del self.rows[number]
        self._arrange()
        # The button that had the focus is gone: without this a keyboard would start from the top.
        self.adder.focus()

    def read(self, nested: list[Problem]) -> Any:
        return [row.read(nested) for row in self.rows]

    def show(self, value: Any) -> bool:
        if not isinstance(value, list) or len(value) > MAX_ROWS:
            return False
        self._resize(len(value))
        for row, item in zip(self.rows, value, strict=True):
            row.show(item)
        return True

    def reset(self) -> None:
        self._resize(min(self._field.min_items, _MAX_FRESH_ROWS, self._limit))
        for row in self.rows:
            row.show(ABSENT)

    def rename(self, place: Place) -> None:
        self._place = place
        self._arrange()

    @property
    def _limit(self) -> int:
        return MAX_ROWS if self._field.max_items is None else min(MAX_ROWS, self._field.max_items)

    def _resize(self, count: int) -> None:
        del self.rows[count:]
        while len(self.rows) < count:
            self.rows.append(Slot(self._field.items, self._place.row(len(self.rows)), required=True))
        self._arrange()

    def _arrange(self) -> None:
        before = self.widget.children
        shown_rows = {row.widget: row for row in self.rows}
        kept = {box.children[0]: box for box in before[:-1] if box.children[0] in shown_rows}
        boxes = []
        self.removers = []
        for number, row in enumerate(self.rows):
            place = self._place.row(number)
            box = kept.get(row.widget)
            if box is None:
                button = w.Button(layout={"width": "auto"})
                button.on_click(lambda _, row=row: self.remove(self.rows.index(row)))
                box = w.VBox([row.widget, button])
            if row.place != place:
                row.rename(place)
            box.children[1].description = f"Remove {place.label}"
            self.removers.append(box.children[1])
            boxes.append(box)
        self.adder.description = f"Add to {Place(self._place.path).label}"
        self.adder.disabled = len(boxes) >= self._limit
        self.widget.children = [*boxes, self.adder]
        for box in before[:-1]:
            if box.children[0] not in shown_rows:
                dispose(box)


class TupleControl:
    """A list with an input for each place."""

    def __init__(self, field: TupleField, place: Place) -> None:
        self.slots = [Slot(inner, place.row(number), required=True) for number, inner in enumerate(field.items)]
        self.widget = w.VBox([slot.widget for slot in self.slots], layout={"margin": _INDENT})

    def read(self, nested: list[Problem]) -> Any:
        return [slot.read(nested) for slot in self.slots]

    def show(self, value: Any) -> bool:
        if not isinstance(value, list) or len(value) != len(self.slots):
            return False
        for slot, item in zip(self.slots, value, strict=True):
            slot.show(item)
        return True

    def reset(self) -> None:
        for slot in self.slots:
            slot.show(ABSENT)

    def rename(self, place: Place) -> None:
        for number, slot in enumerate(self.slots):
            slot.rename(place.row(number))


class ObjectControl:
    """An object: a slot for each member and, where other names are invited or were put in, JSON for those.

    Attributes:
        slots: the slots of the members, by name.
        others: the slot of all other names; ``None`` until it is needed.
    """

    def __init__(self, field: ObjectField, place: Place) -> None:
        self._field = field
        self._place = place
        self.others: Slot | None = None
        self.slots = {
            member.name: Slot(
                member.field, place.member(member.name, required=member.required), required=member.required
            )
            for member in field.members
        }
        self.widget = w.VBox(layout={"margin": _INDENT if place.path else "0"})
        self._arrange(has_others=False)

    def read(self, nested: list[Problem]) -> Any:
        values = {name: slot.read(nested) for name, slot in self.slots.items()}
        values = {name: value for name, value in values.items() if value is not ABSENT}
        return values if self.others is None else self._read_others(self.others, nested) | values

    def show(self, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for name, slot in self.slots.items():
            slot.show(value.get(name, ABSENT))
        self._arrange(has_others=bool(value.keys() - self.slots.keys()))
        if self.others is not None:
            others = {name: item for name, item in value.items() if name not in self.slots}
            self.others.show(others or ABSENT)
        return True

    def reset(self) -> None:
        self.show({})

    def rename(self, place: Place) -> None:
        self._place = place
        for member in self._field.members:
            self.slots[member.name].rename(place.member(member.name, required=member.required))
        if self.others is not None:
            self.others.rename(self._others_place())

    def _read_others(self, others: Slot, nested: list[Problem]) -> dict[str, Any]:
        found: list[Problem] = []
        value = others.read(found)
        if not found and value is not ABSENT:
            for name, item in value.items():
                if name in self.slots:
                    found.append(Problem(child(self._place.path, name), "has a field of its own: write it there"))
                else:
                    found.extend(extra_problems(self._field, name, item, self._place.path))
            others.mark(found)
        nested.extend(found)
        return value if isinstance(value, dict) else {}

    def _others_place(self) -> Place:
        if not self.slots and not self._place.path:
            return Place("arguments")
        return Place(f"other fields of {self._place.path}" if self._place.path else "other arguments")

    def _arrange(self, *, has_others: bool) -> None:
        wanted = has_others or self._field.extra == "open"
        if wanted and self.others is None:
            words = DictField(values=self._field.values, note=self._field.note)
            self.others = Slot(words, self._others_place(), required=False)
        inner = [slot.widget for slot in self.slots.values()]
        if self.others is not None:
            set_shown(self.others.widget, wanted)
            inner.append(self.others.widget)
        self.widget.children = inner or [w.HTML("Nothing to fill in: it has no fields.")]


class UnionControl:
    """One of several kinds: a list of the kinds, and the chosen kind's own slot."""

    def __init__(self, field: UnionField, place: Place) -> None:
        self._field = field
        self._place = place
        self.slots: dict[int, Slot] = {}
        names = [branch_name(branch) for branch in field.branches]
        options = [(f"{number}. {name}", number - 1) for number, name in enumerate(names, 1)]
        self.kind = labelled(w.Dropdown, f"{place.label}: kind", options=options, value=0)
        self.kind.observe(lambda _: self._arrange(), names="value")
        self.widget = w.VBox(layout={"margin": _INDENT})
        self._arrange()

    @property
    def chosen(self) -> Slot:
        """The slot of the kind that is chosen; made when it is first chosen."""
        number = self.kind.value
        if number not in self.slots:
            self.slots[number] = Slot(self._field.branches[number], Place(self._place.path), required=True)
        return self.slots[number]

    def read(self, nested: list[Problem]) -> Any:
        return self.chosen.read(nested)

    def show(self, value: Any) -> bool:
        number = best_branch(self._field, value)
        if number is None:
            return False
        self.kind.value = number
        self.chosen.show(value)
        return True

    def reset(self) -> None:
        self.kind.value = 0
        for slot in self.slots.values():
            slot.show(ABSENT)

    def rename(self, place: Place) -> None:
        self._place = place
        self.kind.description = f"{place.label}: kind"
        for slot in self.slots.values():
            slot.rename(Place(place.path))

    def _arrange(self) -> None:
        chosen = self.chosen
        for slot in self.slots.values():
            set_shown(slot.widget, slot is chosen)
        self.widget.children = [self.kind, *(slot.widget for slot in self.slots.values())]


def make_control(field: Field, place: Place, *, required: bool, prefilled: bool) -> Control:
    """Return the input for a field; ``prefilled`` when a default is shown in it."""
    match field:
        case ArrayField():
            return ArrayControl(field, place)
        case TupleField():
            return TupleControl(field, place)
        case ObjectField():
            return ObjectControl(field, place)
        case UnionField():
            return UnionControl(field, place)
    return scalar_control(field, place, required=required, prefilled=prefilled)
