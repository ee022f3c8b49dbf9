"""Random JSON Schemas, and edits that change one a little: pairs that are related, so that most verdicts say something.

References that lead back do so below a property or an item only: a schema that is its own alternative means nothing.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
LATEST = "https://json-schema.org/draft/2020-12/schema"

NAMES = ("a", "b", "c", "d", "x-1")
PATTERNS = ("^a", "b$", "^[a-z]+$", "1", ".*", "")
NAME_PATTERNS = ("^x-", "^[ab]$", "c", "^")
FORMATS = ("date", "ipv4", "email", "idn-email", "uint8")
STEPS = (1, 2, 3, 4, 6, 0.5, 1.5)
SCALARS = (None, True, False, 0, 1, 1.0, 2, -1, 3, 0.5, "", "a", "ab", "b", "x-1", 10)
CONSTANTS = (*SCALARS, [], [1], ["a", 1], {}, {"a": 1}, {"a": "b", "c": None})
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

_HOLDING_ONE = (
    *("items", "additionalItems", "additionalProperties", "unevaluatedProperties", "propertyNames", "contains"),
    *("not", "if", "then", "else"),
)

Schema = Any


class SchemaMaker:
    """A source of schemas with definitions ``d0`` to ``d2``, of one dialect.

    Args:
        rng: decides everything.
        latest: whether it is 2020-12, else draft 7.
    """

    def __init__(self, rng: random.Random, latest: bool) -> None:
        self.rng = rng
        self.latest = latest
        self.definitions = "$defs" if latest else "definitions"
        self.first_inside = 0
        self.patterned = rng.random() < 0.15  # some documents are about names and patterns more than others

    def document(self) -> dict[str, Any]:
        """Return a whole schema: most times an object, as tools have them."""
        rng = self.rng
        root = self.object(3, 0) if rng.random() < 0.7 else self.schema(3, 0)
        if self.patterned and rng.random() < 0.5:
            root = {"allOf": [self.object(2, 3), self.object(2, 3)]}
        if not isinstance(root, dict):
            root = {"allOf": [root]}
        if "$ref" in root and not self.latest:
            root = {"allOf": [root]}
        root["$schema"] = LATEST if self.latest else DRAFT_7
        root[self.definitions] = {f"d{place}": self.schema(2, place + 1) for place in range(3)}
        used = _used(root)
        root[self.definitions] = {name: each for name, each in root[self.definitions].items() if name in used}
        return root

    def schema(self, depth: int, first: int) -> Schema:
        """Return a schema; in place it refers to definitions from ``first`` on only, so that nothing goes in a circle.

        Args:
            depth: how deep it may go.
            first: the first definition that may be referred to; 3 for none.
        """
        rng = self.rng
        makers: list[tuple[int, Callable[[], Schema]]] = [
            (3, self.string),
            (4, self.number),
            (1, lambda: {"type": rng.choice(["null", "boolean"])}),
            (3, self.listed),
            (2, lambda: self.mixed(depth)),
            (1, lambda: rng.choice([{}, True, {}, True, False])),
            (2 if first < 3 else 0, lambda: {"$ref": f"#/{self.definitions}/d{rng.randrange(first, 3)}"}),
        ]
        if depth > 0:
            makers += [
                (4, lambda: self.object(depth, first)),
                (3, lambda: self.array(depth)),
                (3, lambda: self.combined(depth, first)),
            ]
        weights = [weight for weight, _ in makers]
        return rng.choices(makers, weights)[0][1]()

    def inner(self, depth: int) -> Schema:
        """Return a schema for something inside of the value: it may refer to everything that is there."""
        return self.schema(depth - 1, self.first_inside)

    def string(self) -> Schema:
        made: dict[str, Any] = {"type": "string"}
        self._maybe(made, 0.3, "minLength", lambda: self.rng.randrange(3))
        self._maybe(made, 0.3, "maxLength", lambda: self.rng.randrange(1, 5))
        self._maybe(made, 0.2, "pattern", lambda: self.rng.choice(PATTERNS))
        self._maybe(made, 0.15, "format", lambda: self.rng.choice(FORMATS))
        return made

    def number(self) -> Schema:
        rng = self.rng
        made: dict[str, Any] = {"type": rng.choice(["integer", "number"])}
        self._maybe(made, 0.35, rng.choice(["minimum", "exclusiveMinimum"]), lambda: rng.choice([-1, 0, 0.5, 1, 2]))
        self._maybe(made, 0.35, rng.choice(["maximum", "exclusiveMaximum"]), lambda: rng.choice([2, 3, 5.5, 6, 10]))
        self._maybe(made, 0.15, "multipleOf", lambda: rng.choice(STEPS))
        self._maybe(made, 0.05, "format", lambda: rng.choice(FORMATS))
        return made

    def listed(self) -> Schema:
        rng = self.rng
        if rng.random() < 0.3:
            return {"const": copy.deepcopy(rng.choice(CONSTANTS))}
        pool = CONSTANTS if rng.random() < 0.5 else ("a", "b", "ab", "x-1", "")
        made: dict[str, Any] = {"enum": copy.deepcopy(rng.sample(pool, rng.randrange(1, 5)))}
        self._maybe(made, 0.2, "type", lambda: rng.sample(TYPES, 3))
        self._maybe(made, 0.1, "minimum", lambda: 1)
        self._maybe(made, 0.1, "minLength", lambda: 1)
        self._maybe(made, 0.05, "pattern", lambda: rng.choice(PATTERNS))
        return made

    def mixed(self, depth: int) -> Schema:
        """Return a schema for several kinds, or for none in particular, with keywords of some of them."""
        rng = self.rng
        made: dict[str, Any] = {}
        for part in rng.sample([self.string(), self.number(), self.string(), self.number()], 2):
            made.update(part)
        made.pop("type")
        if depth > 0 and rng.random() < 0.4:
            made.update({word: value for word, value in self.object(1, 3).items() if word != "type"})
        if rng.random() < 0.8:
            made["type"] = rng.sample(TYPES, rng.randrange(1, 4))
        return made

    def object(self, depth: int, first: int) -> Schema:
        rng = self.rng
        names = rng.sample(NAMES, rng.choice([0, 1, 2, 2, 3, 3]))
        made: dict[str, Any] = {"type": "object", "properties": {name: self.inner(depth) for name in names}}
        self._maybe(made, 0.5, "required", lambda: rng.sample(NAMES, rng.randrange(1, 3)))
        if "required" in made and rng.random() < 0.7:
            made["required"] = [name for name in made["required"] if name in names]
        self._maybe(made, 0.4, "additionalProperties", lambda: rng.choice([False, False, True, self.inner(depth)]))
        self._maybe(made, 0.1, "minProperties", lambda: rng.choice([0, 0, 1, 1, 2, 2, 11]))
        self._maybe(made, 0.1, "maxProperties", lambda: rng.choice([1, 2, 3, 4, 12, 23, 123]))
        self._maybe(
            made,
            0.8 if self.patterned else 0.12,
            "patternProperties",
            lambda: {each: self.inner(depth) for each in rng.sample(NAME_PATTERNS, rng.randrange(1, 3))},
        )
        self._maybe(made, 0.06, "propertyNames", lambda: rng.choice([self.string(), {"enum": ["a", "b", "c"]}]))
        words = ("dependentRequired", "dependentSchemas") if self.latest else ("dependencies", "dependencies")
        self._maybe(made, 0.1, words[0], lambda: {rng.choice(NAMES): rng.sample(NAMES, rng.randrange(1, 3))})
        self._maybe(made, 0.04, words[1], lambda: {rng.choice(NAMES): self.schema(1, 3)})
        if self.latest:
            self._maybe(made, 0.05, "unevaluatedProperties", lambda: rng.choice([False, True, self.inner(depth)]))
        if not made["properties"] and rng.random() < 0.5:
            del made["properties"]
        return made

    def array(self, depth: int) -> Schema:
        rng = self.rng
        made: dict[str, Any] = {"type": "array"}
        first = [self.inner(depth) for _ in range(rng.choice([0, 0, 1, 2, 3]))]
        if first:
            made["prefixItems" if self.latest else "items"] = first
        if not first or rng.random() < 0.5:
            word = "items" if self.latest or not first else "additionalItems"
            made[word] = rng.choice([self.inner(depth), self.inner(depth), False])
        self._maybe(made, 0.25, "minItems", lambda: rng.randrange(4))
        self._maybe(made, 0.25, "maxItems", lambda: rng.randrange(4))
        self._maybe(made, 0.15, "uniqueItems", lambda: rng.random() < 0.8)
        self._maybe(made, 0.1, "contains", lambda: self.schema(0, 3))
        if self.latest:
            self._maybe(made, 0.05, "unevaluatedItems", lambda: rng.choice([False, True]))
        if self.latest and "contains" in made:
            self._maybe(made, 0.4, "minContains", lambda: rng.randrange(3))
            self._maybe(made, 0.3, "maxContains", lambda: rng.randrange(1, 3))
        return made

    def combined(self, depth: int, first: int) -> Schema:
        rng = self.rng
        kind = rng.choice(["anyOf", "anyOf", "anyOf", "oneOf", "oneOf", "allOf", "allOf", "not", "if", "tagged"])
        made: dict[str, Any] = {}
        if kind == "tagged":
            branches = [self.object(depth, 3) for _ in range(rng.randrange(2, 4))]
            for place, branch in enumerate(branches):
                branch.setdefault("properties", {})["d"] = {"const": "abc"[place]}
                branch["required"] = sorted({*branch.get("required", ()), "d"})
            return {"oneOf": branches}
        if kind == "not":
            made["not"] = rng.choice([self.schema(0, first), {"type": rng.choice(TYPES)}, {"required": ["a"]}])
        elif kind == "if":
            for word, chance in (("if", 1), ("then", 0.8), ("else", 0.8)):
                self._maybe(made, chance, word, lambda: self.schema(depth - 1, 3))
            if self.latest and rng.random() < 0.2:
                made["unevaluatedProperties"] = rng.choice([False, True])
        else:
            branch = self.object if self.patterned and depth > 1 else self.schema
            made[kind] = [branch(depth - 1, first) for _ in range(rng.randrange(2, 4))]
        if (
            rng.random() < 0.3
            and (beside := self.schema(0, 3)) not in (True, False)
            and not beside.keys() & made.keys()
        ):
            made.update(beside)
        return made

    def _maybe(self, made: dict[str, Any], chance: float, word: str, value: Callable[[], Any]) -> None:
        if self.rng.random() < chance:
            made[word] = value()


def _used(document: dict[str, Any]) -> set[str]:
    definitions = document.get("$defs") or document.get("definitions") or {}
    waiting = [{word: value for word, value in document.items() if word not in ("$defs", "definitions")}]
    used: set[str] = set()
    while waiting:
        text = json.dumps(waiting.pop())
        for name in definitions.keys() - used:
            if f'/{name}"' in text:
                used.add(name)
                waiting.append(definitions[name])
    return used


def places(document: Schema) -> Iterator[tuple[Any, Any]]:
    """Yield where each schema in a document is held: its container, and its key there."""
    waiting: list[tuple[Any, Any]] = [({"": document}, "")]
    while waiting:
        holder, key = waiting.pop()
        yield holder, key
        schema = holder[key]
        if not isinstance(schema, dict):
            continue
        for word, value in schema.items():
            if word in ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"):
                waiting += [(value, name) for name in value]
            elif word == "dependencies":
                waiting += [(value, name) for name in value if not isinstance(value[name], list)]
            elif word in ("allOf", "anyOf", "oneOf", "prefixItems") or (word == "items" and isinstance(value, list)):
                waiting += [(value, place) for place in range(len(value))]
            elif word in _HOLDING_ONE:
                waiting.append((schema, word))


def tidied(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document after dropping each ``additionalItems`` that is idle, over which ``jsonschema`` may trip."""
    for holder, key in places(document):
        schema = holder[key]
        if isinstance(schema, dict) and not isinstance(schema.get("items"), list):
            schema.pop("additionalItems", None)
    return document


def edited(rng: random.Random, document: dict[str, Any], edits: int, latest: bool) -> dict[str, Any]:
    """Return a copy of a document with some edits at random places."""
    result = copy.deepcopy(document)
    editor = _Editor(rng, latest)
    done = 0
    for _ in range(edits * 10):
        spots = list(places(result))[1:]
        # Most schemas are near the root of what a reader would call the tool: its properties.
        holder, key = rng.choice(spots) if spots and rng.random() < 0.75 else ({"": result}, "")
        if editor.edit(holder, key):
            done += 1
        if done == edits:
            break
    return tidied(result)


class _Editor:
    def __init__(self, rng: random.Random, latest: bool) -> None:
        self.rng = rng
        self.maker = SchemaMaker(rng, latest)
        self.maker.first_inside = 3  # what is put in refers to nothing: the definitions may not be there

    def edit(self, holder: Any, key: Any) -> bool:
        """Change one schema a little, in place; return whether anything was done."""
        schema, rng = holder[key], self.rng
        if not isinstance(schema, dict) or "$ref" in schema:
            if key == "":
                return False
            if rng.random() < 0.5:
                holder[key] = self.maker.schema(1, 3)
            elif rng.random() < 0.5:
                holder[key] = {rng.choice(["anyOf", "allOf"]): [schema, self.maker.schema(0, 3)]}
            else:
                return False
            return True
        words = [word for word in schema if word not in ("$schema", "$defs", "definitions", "$ref")]
        choice = rng.random()
        if choice < 0.16 and key != "":
            holder[key] = self._wrapped(schema) if choice < 0.1 else self.maker.schema(1, 3)
            return True
        if choice < 0.26 and words:
            del schema[rng.choice(words)]
            return True
        if choice < 0.4:
            return self._add(schema)
        return bool(words) and self._change(schema, rng.choice(words))

    def _wrapped(self, schema: Schema) -> Schema:
        word = self.rng.choice(["anyOf", "anyOf", "oneOf", "allOf"])
        return {word: [schema, self.maker.schema(1, 3)]}

    def _add(self, schema: dict[str, Any]) -> bool:
        rng = self.rng
        fresh = rng.choice([self.maker.string, self.maker.number, lambda: self.maker.object(1, 3), self._array])()
        kind = fresh.pop("type")
        if not fresh or (kind not in str(schema.get("type", kind)) and rng.random() < 0.8):
            return False
        word = rng.choice(list(fresh))
        if word in schema or (word in ("properties", "items") and rng.random() < 0.5):
            return False
        schema[word] = fresh[word]
        return True

    def _array(self) -> Schema:
        return self.maker.array(1)

    def _change(self, schema: dict[str, Any], word: str) -> bool:
        rng, value = self.rng, schema[word]
        if word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            schema[word] = value + rng.choice([-1, -0.5, 0.5, 1])
            if rng.random() < 0.2:
                flip = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}
                other = (flip | {to: word for word, to in flip.items()})[word]
                schema[other] = schema.pop(word)
        elif word.startswith(("min", "max")):
            schema[word] = max(0, value + rng.choice([-1, 1]))
        elif word == "type":
            self._change_type(schema, value)
        elif word in ("enum", "required"):
            self._change_list(schema, word, list(NAMES) if word == "required" else list(CONSTANTS))
        elif word in ("anyOf", "oneOf", "allOf"):
            if rng.random() < 0.5 and len(value) > 1:
                value.pop(rng.randrange(len(value)))
            else:
                value.insert(rng.randrange(len(value) + 1), self.maker.schema(1, 3))
        elif word in ("properties", "patternProperties"):
            self._change_members(value, NAMES if word == "properties" else NAME_PATTERNS)
        elif word in ("additionalProperties", "items", "additionalItems", "unevaluatedProperties", "not", "contains"):
            if isinstance(value, list):
                return False
            schema[word] = rng.choice([False, True, self.maker.schema(1, 3), self.maker.schema(0, 3)])
        elif word == "pattern":
            schema[word] = rng.choice(PATTERNS)
        elif word == "format":
            schema[word] = rng.choice(FORMATS)
        elif word == "multipleOf":
            schema[word] = rng.choice(STEPS)
        elif word == "const":
            schema[word] = copy.deepcopy(rng.choice(CONSTANTS))
        elif word == "prefixItems":
            if rng.random() < 0.5 and len(value) > 1:
                value.pop()
            else:
                value.append(self.maker.schema(1, 3))
        elif word == "dependentRequired":
            schema[word] = {rng.choice(NAMES): [rng.choice(NAMES)]}
        else:
            return False
        return True

    def _change_type(self, schema: dict[str, Any], value: Any) -> None:
        types = [value] if isinstance(value, str) else list(value)
        rng = self.rng
        if types in (["integer"], ["number"]) and rng.random() < 0.4:
            types = ["number" if types == ["integer"] else "integer"]
        elif len(types) > 1 and rng.random() < 0.5:
            types.pop(rng.randrange(len(types)))
        else:
            types = list(dict.fromkeys([*types, rng.choice(["null", *TYPES])]))
        schema["type"] = types if len(types) > 1 else types[0]

    def _change_list(self, schema: dict[str, Any], word: str, pool: list[Any]) -> None:
        rng, value = self.rng, schema[word]
        if rng.random() < 0.5 and len(value) > 1:
            value.pop(rng.randrange(len(value)))
        else:
            value.append(copy.deepcopy(rng.choice(pool)))

    def _change_members(self, value: dict[str, Any], names: tuple[str, ...]) -> None:
        rng = self.rng
        if value and rng.random() < 0.4:
            del value[rng.choice(list(value))]
        else:
            value[rng.choice(names)] = self.maker.schema(1, 3)


def related_pair(rng: random.Random) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return a schema, the same after one to three edits (either may come first), and whether both are 2020-12."""
    latest = rng.random() < 0.7
    document = SchemaMaker(rng, latest).document()
    other = edited(rng, document, rng.choice([1, 1, 1, 2, 2, 3]), latest)
    return (document, other, latest) if rng.random() < 0.5 else (other, document, latest)
