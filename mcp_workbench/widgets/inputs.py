"""The inputs for single values: text, number, choice, date, JSON.

Each has ``widget``, ``read``, ``show``, ``reset`` and ``rename``. ``show`` says whether the input can hold exactly
that value; where it cannot, the value is shown as JSON instead, so that what is seen is what will be sent.
"""

from __future__ import annotations

import collections
import copy
import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import ipywidgets as w

from mcp_workbench import untrusted
from mcp_workbench.contracts.schemas.references import ABSENT
from mcp_workbench.widgets.checks import example_of, fits
from mcp_workbench.widgets.fields import (
    BooleanField,
    DictField,
    EnumField,
    Field,
    NumberField,
    StringField,
)
from mcp_workbench.widgets.values import canonical, is_visible, json_text, parse_json, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp_workbench.widgets.checks import Problem

LEFT_OUT: Final = "(left out)"
_UNCHOSEN: Final = -1
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MAX_NUMBER_CHARACTERS = 4_000
_EXACT_FLOAT = 2**53
_LONG_TEXT = 200
_LONG_TEXT_WORDS = re.compile(r"\b(text|contents?|body|message|markdown|source code)\b", re.ASCII | re.IGNORECASE)
_WIDE = "98%"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field stands, and what its label says after that.

    Attributes:
        path: such as ``limits.days`` or ``tags[0]``; empty for the arguments as a whole.
        words: what follows in the label, such as "(required)".
    """

    path: str
    words: str = ""

    @property
    def label(self) -> str:
        """The label's text."""
        return f"{label_text(self.path)} {self.words}".rstrip()

    def row(self, number: int) -> Place:
        """Return the place of an item of a list here."""
        return Place(f"{self.path}[{number}]")


class Control(Protocol):
    """What every input, and every group of inputs, can do."""

    @property
    def widget(self) -> Any:
        """What is shown."""

    def read(self, nested: list[Problem], /) -> Any:
        """Return the JSON value that is shown, or ``ABSENT`` when blank.

        Args:
            nested: takes what is wrong with the fields inside.

        Raises:
            UnreadableError: what is shown is no such value.
        """

    def show(self, value: Any, /) -> bool:
        """Show a JSON value; False when it cannot be shown exactly."""

    def reset(self) -> None:
        """Show nothing, or what a fresh form shows."""

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""


class UnreadableError(ValueError):
    """What an input shows is not a value of its kind."""


def label_text(text: str) -> str:
    """Return text for a label, where JupyterLab would set what looks like TeX as a formula."""
    line = untrusted.one_line(text, 400).replace("\\", "\\x5c")
    return line.replace("$", "\\x24") if line.count("$") > 1 else line


def labelled(kind: Any, label: str, **traits: Any) -> Any:
    """Return an input with a visible label of whatever length."""
    return kind(description=label, style={"description_width": "initial"}, **traits)


def checkbox(label: str, *, value: bool = False) -> Any:
    """Return a checkbox with its label beside it."""
    return labelled(w.Checkbox, label, value=value, indent=False, layout={"width": "auto"})


def button(label: str, action: Callable[[], None]) -> Any:
    """Return a button that does ``action``."""
    made = w.Button(description=label, layout={"width": "auto", "align_self": "flex-start"})
    made.on_click(lambda _: action())
    return made


def set_shown(widget: Any, shown_now: bool) -> None:
    """Show or hide a widget so that a keyboard cannot reach it while hidden."""
    widget.layout.display = None if shown_now else "none"


def dispose(widget: Any) -> None:
    """Close a widget and all that it holds."""
    for inner in getattr(widget, "children", ()):
        dispose(inner)
    for part in (widget.layout, getattr(widget, "style", None)):
        if isinstance(part, w.Widget):
            part.close()
    widget.close()


class SingleInput:
    """An input of one widget.

    Args:
        widget: the widget.
        blank: its value when nothing is chosen or written.
        words: what follows the place in the label.
    """

    def __init__(self, widget: Any, blank: Any, words: str = "") -> None:
        self.widget = widget
        self._blank = blank
        self._words = words

    def read(self, _nested: list[Problem], /) -> Any:
        """Return the JSON value that is shown, or ``ABSENT``."""
        return self._value(self.widget.value)

    def show(self, value: Any, /) -> bool:
        """Show a JSON value; False when it cannot be shown exactly."""
        held = self._held(value)
        if held is ABSENT:
            return False
        self.widget.value = held
        return True

    def reset(self) -> None:
        """Show nothing."""
        self.widget.value = self._blank

    def rename(self, place: Place, /) -> None:
        """Stand in another place."""
        self.widget.description = place.label + self._words

    def _value(self, held: Any) -> Any:
        """Return the JSON value of what the widget holds."""
        return held

    def _held(self, value: Any) -> Any:
        """Return what the widget holds to show a JSON value, or ``ABSENT``."""
        raise NotImplementedError


class TextInput(SingleInput):
    """Text on one line or, where it is likely to be long, on several.

    Args:
        field: what is asked for.
        place: where it stands.
        sends_blank: blank is the empty text; otherwise blank is no value.
    """

    def __init__(self, field: StringField, place: Place, *, sends_blank: bool) -> None:
        self._sends_blank = sends_blank
        self._many_lines = _is_long(field, place)
        kind = w.Password if field.format == "password" else w.Textarea if self._many_lines else w.Text
        traits = {"placeholder": example_of(field), "layout": {"width": _WIDE}}
        super().__init__(labelled(kind, place.label, **traits), "")

    def _value(self, held: Any) -> Any:
        return held if held or self._sends_blank else ABSENT

    def _held(self, value: Any) -> Any:
        # A browser drops line breaks from a line, and shows no control characters.
        if not isinstance(value, str) or not is_visible(value) or self._value(value) is ABSENT:
            return ABSENT
        return ABSENT if not self._many_lines and ("\n" in value or "\t" in value) else value


class NumberInput(SingleInput):
    """A number as text: it can be blank, and whole numbers of any size stay exact."""

    def __init__(self, field: NumberField, place: Place) -> None:
        self._whole = field.whole
        super().__init__(labelled(w.Text, place.label), "")

    def _value(self, held: Any) -> Any:
        text = held.strip()
        return parse_number(text, whole=self._whole) if text else ABSENT

    def _held(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ABSENT
        return json_text(int(value) if self._whole and value == int(value) else value)


class CheckInput(SingleInput):
    """True or false by a checkbox, for a field that is always sent."""

    def __init__(self, place: Place) -> None:
        super().__init__(checkbox(place.label), blank=False)

    def _held(self, value: Any) -> Any:
        return value if isinstance(value, bool) else ABSENT


class ChoiceInput(SingleInput):
    """One of some JSON values, told apart by their numbers in the list.

    Args:
        field: what is asked for.
        place: where it stands.
        unchosen: what the list says for no choice; empty where one is always chosen.
    """

    def __init__(self, field: EnumField, place: Place, unchosen: str) -> None:
        self._field = field
        options = [(unchosen, _UNCHOSEN)] if unchosen else []
        options += [(label, number) for number, label in enumerate(_choice_labels(field.values))]
        first = options[0][1]
        super().__init__(labelled(w.Dropdown, place.label, options=options, value=first), first)

    def _value(self, held: Any) -> Any:
        return ABSENT if held == _UNCHOSEN else copy.deepcopy(self._field.values[held])

    def _held(self, value: Any) -> Any:
        return self._field.numbers.get(canonical(value), ABSENT)


class DateInput(SingleInput):
    """A date by the browser's date input."""

    def __init__(self, field: StringField, place: Place) -> None:
        self._field = field
        super().__init__(labelled(w.DatePicker, place.label), None)

    def _value(self, held: Any) -> Any:
        return ABSENT if held is None else held.isoformat()

    def _held(self, value: Any) -> Any:
        fit = isinstance(value, str) and fits(self._field, value)
        return dt.date.fromisoformat(value) if fit else ABSENT


class TimeInput(SingleInput):
    """A time of day by the browser's time input: to the second, without an offset; others are written as JSON."""

    def __init__(self, field: StringField, place: Place) -> None:
        self._field = field
        super().__init__(labelled(w.TimePicker, place.label, step=1), None)

    def _value(self, held: Any) -> Any:
        return ABSENT if held is None else held.isoformat()

    def _held(self, value: Any) -> Any:
        fit = isinstance(value, str) and len(value) == len("14:30:00") and fits(self._field, value)
        return dt.time.fromisoformat(value) if fit else ABSENT


class JsonInput(SingleInput):
    """Any JSON value, written out."""

    def __init__(self, place: Place, words: str = ", as JSON") -> None:
        super().__init__(labelled(w.Textarea, place.label + words, layout={"width": _WIDE}), "", words)

    def _value(self, held: Any) -> Any:
        text = held.strip()
        if not text:
            return ABSENT
        try:
            return parse_json(text)
        except ValueError as error:
            raise UnreadableError(str(error)) from None

    def _held(self, value: Any) -> Any:
        return json_text(value, indent=2)


def parse_number(text: str, *, whole: bool) -> int | float:
    """Read a decimal number; exact when it has neither a point nor an exponent.

    Raises:
        UnreadableError: it is none, or none that a float can hold.
    """
    kind = "a whole number" if whole else "a number"
    if len(text) > _MAX_NUMBER_CHARACTERS:
        raise UnreadableError(f"{shown(text)} is too long for {kind}")
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise UnreadableError(f"{shown(text)} is not {kind}")
    number = float(text)
    if not math.isfinite(number) or (whole and abs(number) > _EXACT_FLOAT):
        raise UnreadableError(f"{shown(text)} is too large: write {kind} with all its digits")
    return int(number) if whole and number.is_integer() else number


def scalar_control(field: Field, place: Place, *, required: bool, prefilled: bool) -> Control:
    """Return the input for a field that is no group.

    Args:
        field: what is asked for.
        place: where it stands.
        required: it cannot be left out.
        prefilled: it has a default that is shown, so that blank is a choice of its own.
    """
    match field:
        case StringField(format="date"):
            return DateInput(field, place)
        case StringField(format="time"):
            return TimeInput(field, place)
        case StringField():
            # A blank that was never filled in is no value: sent as a path, it may mean the folder itself.
            return TextInput(field, place, sends_blank=prefilled and field.format != "date-time")
        case NumberField():
            return NumberInput(field, place)
        case BooleanField() if required or prefilled:
            return CheckInput(place)
        case BooleanField():
            return ChoiceInput(EnumField(values=(True, False)), place, LEFT_OUT)
        case EnumField() if required:
            return ChoiceInput(field, place, "(choose one)" if len(field.values) > 1 else "")
        case EnumField():
            return ChoiceInput(field, place, LEFT_OUT)
        case DictField():
            return JsonInput(place, ", as a JSON object")
    return JsonInput(place)


def _is_long(field: StringField, place: Place) -> bool:
    if field.format:
        return False
    words = f"{place.path.rpartition('.')[2]} {field.description}"
    said = _LONG_TEXT_WORDS.search(words.replace("_", " ")) is not None
    return said if field.max_length is None else field.max_length > _LONG_TEXT


def _choice_labels(choices: tuple[Any, ...]) -> list[str]:
    """Name the choices: texts as they are where all are plain texts, else all as JSON, which tells 1 from "1"."""
    bare = all(isinstance(choice, str) and choice.strip() and choice[0] not in '"(' for choice in choices)
    labels = [untrusted.one_line(choice, 100) if bare else shown(choice, 100) for choice in choices]
    # Those that look alike when they are cut get their numbers.
    times = collections.Counter(labels)
    return [f"{label} (#{number})" if times[label] > 1 else label for number, label in enumerate(labels, 1)]
