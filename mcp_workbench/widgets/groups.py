"""The groups of inputs: lists, tuples, objects and unions. What they hold are slots, which a builder makes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import ipywidgets as w

from mcp_workbench.contracts.schemas.references import ABSENT
from mcp_workbench.widgets.checks import Problem, best_branch, branch_name, child, extra_problems, kind_of
from mcp_workbench.widgets.fields import AnyField, ArrayField, DictField, Field, ObjectField, TupleField, UnionField
from mcp_workbench.widgets.inputs import Place, button, dispose, labelled, set_shown

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ROWS: Final = 100
"""A longer list is written as JSON."""
_INDENT = "0 0 8px 16px"


class Holder(Protocol):
    """What a group asks of the slots in it."""

    place: Place
    widget: Any

    def read(self, found: list[Problem], /) -> Any:
        """Return the value or ``ABSENT``; what is wrong goes into ``found``."""

    def show(self, value: Any, /) -> None:
        """Show a JSON value, or for ``ABSENT`` what a fresh form shows."""

    def mark(self, own: list[Problem], /) -> None:
        """Show what is wrong."""

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""


class Builder(Protocol):
    """Makes the slots of one form."""

    def slot(self, field: Field, place: Place, *, required: bool, value: Any = ABSENT) -> Holder:
        """Return a slot that shows ``value``, or for ``ABSENT`` what a fresh form shows."""

    def renew(self) -> None:
        """Begin a new action of the user, which may make as many slots as a form may have."""


class ArrayControl:
    """A list: a row for each item, with a button that removes it, and a button that adds one.

    Attributes:
        rows: the slots of the items.
        adder: the button that adds a row.
    """

    def __init__(self, field: ArrayField, place: Place, builder: Builder) -> None:
        self._field = field
        self._place = place
        self._builder = builder
        self._boxes: list[Any] = []
        self.rows: list[Holder] = []
        self._limit = MAX_ROWS if field.max_items is None else min(MAX_ROWS, field.max_items)
        self.adder = button("", self.add)
        self.widget = w.VBox(layout={"margin": _INDENT})
        self.reset()

    def add(self) -> None:
        """Add a blank row at the end."""
        if len(self.rows) < self._limit:
            self._builder.renew()
            self._append(ABSENT)
            self._arrange()

    def remove(self, number: int) -> None:
        """Remove the row with that number; those behind it move up."""
        del self.rows[number]
        dispose(self._boxes.pop(number))
        self._arrange()
        # The button that had the focus is gone: without this a keyboard would start from the top.
        self.adder.focus()

    def read(self, nested: list[Problem], /) -> Any:
        """Return the items."""
        return [row.read(nested) for row in self.rows]

    def show(self, value: Any, /) -> bool:
        """Show a list that is not too long, a row for each item."""
        if not isinstance(value, list) or len(value) > MAX_ROWS:
            return False
        self._show_rows(value)
        return True

    def reset(self) -> None:
        """Show no rows, or a blank one where an empty list is not allowed."""
        self._show_rows([ABSENT] * min(self._field.min_items, self._limit, 1))

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""
        self._place = place
        self._arrange()

    def _show_rows(self, values: list[Any]) -> None:
        while len(self.rows) > len(values):
            self.rows.pop()
            dispose(self._boxes.pop())
        for row, value in zip(self.rows, values, strict=False):
            row.show(value)
        for value in values[len(self.rows) :]:
            self._append(value)
        self._arrange()

    def _append(self, value: Any) -> None:
        row = self._builder.slot(self._field.items, self._place.row(len(self.rows)), required=True, value=value)
        self.rows.append(row)
        self._boxes.append(w.VBox([row.widget, button("", lambda: self.remove(self.rows.index(row)))]))

    def _arrange(self) -> None:
        for number, (row, box) in enumerate(zip(self.rows, self._boxes, strict=True)):
            place = self._place.row(number)
            if row.place != place:
                row.rename(place)
            box.children[1].description = f"Remove {place.label}"
        self.adder.description = f"Add to {Place(self._place.path).label}"
        self.adder.disabled = len(self.rows) >= self._limit
        self.widget.children = [*self._boxes, self.adder]


class TupleControl:
    """A list with a slot for each place.

    Attributes:
        slots: the slots.
    """

    def __init__(self, field: TupleField, place: Place, builder: Builder) -> None:
        self.slots = [builder.slot(inner, place.row(number), required=True) for number, inner in enumerate(field.items)]
        self.widget = w.VBox([slot.widget for slot in self.slots], layout={"margin": _INDENT})

    def read(self, nested: list[Problem], /) -> Any:
        """Return the items."""
        return [slot.read(nested) for slot in self.slots]

    def show(self, value: Any, /) -> bool:
        """Show a list of as many items as there are slots."""
        if not isinstance(value, list) or len(value) != len(self.slots):
            return False
        for slot, item in zip(self.slots, value, strict=True):
            slot.show(item)
        return True

    def reset(self) -> None:
        """Show what a fresh form shows."""
        for slot in self.slots:
            slot.show(ABSENT)

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""
        for number, slot in enumerate(self.slots):
            slot.rename(place.row(number))


class ObjectControl:
    """An object: a slot for each member and, where other names are invited or were put in, JSON for those.

    Attributes:
        slots: the slots of the members, by name.
        others: the slot of all other names; ``None`` until it is needed.
    """

    def __init__(self, field: ObjectField, place: Place, builder: Builder) -> None:
        self._field = field
        self._place = place
        self._builder = builder
        self._required = {member.name for member in field.members if member.required}
        self.others: Holder | None = None
        self.slots = {
            member.name: builder.slot(member.field, self._member_place(member.name), required=member.required)
            for member in field.members
        }
        self._nothing = [] if field.members else [w.HTML("Nothing to fill in: there are no fields here.")]
        self.widget = w.VBox(layout={"margin": _INDENT if place.path else "0"})
        self._arrange(has_others=False)

    def read(self, nested: list[Problem], /) -> Any:
        """Return the members that are sent, in the schema's order, and then the others."""
        values = {name: slot.read(nested) for name, slot in self.slots.items()}
        sent = {name: value for name, value in values.items() if value is not ABSENT}
        return sent if self.others is None else sent | self._read_others(self.others, nested)

    def show(self, value: Any, /) -> bool:
        """Show an object; names that are no members are shown as JSON."""
        if not isinstance(value, dict):
            return False
        for name, slot in self.slots.items():
            slot.show(value.get(name, ABSENT))
        others = {name: item for name, item in value.items() if name not in self.slots}
        self._arrange(has_others=bool(others))
        if self.others is not None:
            self.others.show(others or ABSENT)
        return True

    def reset(self) -> None:
        """Show what a fresh form shows."""
        self.show({})

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""
        self._place = place
        for name, slot in self.slots.items():
            slot.rename(self._member_place(name))
        if self.others is not None:
            self.others.rename(self._others_place())

    def _read_others(self, others: Holder, nested: list[Problem]) -> dict[str, Any]:
        found: list[Problem] = []
        value = others.read(found)
        if found or value is ABSENT:
            nested.extend(found)
            return {}
        for name, item in value.items():
            if name in self.slots:
                text = f"has a field of its own: write it there, not among the {others.place.label}"
                found.append(Problem(child(self._place.path, name), text))
            else:
                found.extend(extra_problems(self._field, name, item, self._place.path))
        others.mark(found)
        nested.extend(found)
        return {name: item for name, item in value.items() if name not in self.slots}

    def _member_place(self, name: str) -> Place:
        return Place(child(self._place.path, name), "(required)" if name in self._required else "")

    def _others_place(self) -> Place:
        if self._place.path:
            return Place(f"other fields of {self._place.path}")
        return Place("other arguments" if self._field.members else "arguments")

    def _arrange(self, *, has_others: bool) -> None:
        wanted = has_others or self._field.extra == "open"
        if wanted and self.others is None:
            values = self._field.values
            words = "" if isinstance(values, AnyField) else f"Each is to be {kind_of(values)}"
            field = DictField(description=words, note=self._field.note, values=AnyField())
            self.others = self._builder.slot(field, self._others_place(), required=False)
        inner = [slot.widget for slot in self.slots.values()]
        if self.others is not None:
            set_shown(self.others.widget, wanted)
            inner.append(self.others.widget)
        self.widget.children = inner if wanted else [*inner, *self._nothing]


class UnionControl:
    """One of several kinds: a list of the kinds, and the chosen kind's own slot.

    Attributes:
        kind: the list of the kinds.
        slots: the slots of the kinds that were chosen so far, by number.
    """

    def __init__(self, field: UnionField, place: Place, builder: Builder) -> None:
        self._field = field
        self._place = place
        self._builder = builder
        self.slots: dict[int, Holder] = {}
        names = [branch_name(branch) for branch in field.branches]
        options = [(f"{number}. {name}", number - 1) for number, name in enumerate(names, 1)]
        self.kind = labelled(w.Dropdown, f"{place.label}: kind", options=options, value=0)
        self.kind.observe(self._on_kind, names="value")
        self.widget = w.VBox(layout={"margin": _INDENT})
        self._choose(ABSENT)

    @property
    def chosen(self) -> Holder:
        """The slot of the kind that is chosen."""
        return self.slots[self.kind.value]

    def read(self, nested: list[Problem], /) -> Any:
        """Return the value of the chosen kind."""
        return self.chosen.read(nested)

    def show(self, value: Any, /) -> bool:
        """Choose the kind that fits best, and show the value there."""
        number = best_branch(self._field, value)
        if number is None:
            return False
        self._set_kind(number)
        self._choose(value)
        return True

    def reset(self) -> None:
        """Choose the first kind, and show in all what a fresh form shows."""
        self._set_kind(0)
        self._choose(ABSENT)
        for slot in self.slots.values():
            slot.show(ABSENT)

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""
        self._place = place
        self.kind.description = f"{place.label}: kind"
        for slot in self.slots.values():
            slot.rename(Place(place.path))

    def _on_kind(self, _change: Any) -> None:
        self._builder.renew()
        if self.kind.value not in self.slots:
            self._choose(ABSENT)
        self._arrange()

    def _set_kind(self, number: int) -> None:
        self.kind.unobserve(self._on_kind, names="value")
        self.kind.value = number
        self.kind.observe(self._on_kind, names="value")

    def _choose(self, value: Any) -> None:
        """Show a value in the chosen kind's slot, which is made when it is first chosen."""
        number = self.kind.value
        if number in self.slots:
            self.slots[number].show(value)
        else:
            branch = self._field.branches[number]
            self.slots[number] = self._builder.slot(branch, Place(self._place.path), required=True, value=value)
        self._arrange()

    def _arrange(self) -> None:
        for slot in self.slots.values():
            set_shown(slot.widget, slot is self.chosen)
        self.widget.children = [self.kind, *(slot.widget for slot in self.slots.values())]


def group_maker(field: Field) -> Callable[[Any, Place, Builder], Any] | None:
    """Return what makes the input for a group, or ``None`` for a field that is none."""
    match field:
        case ArrayField():
            return ArrayControl
        case TupleField():
            return TupleControl
        case ObjectField():
            return ObjectControl
        case UnionField():
            return UnionControl
    return None
