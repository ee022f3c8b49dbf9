"""Where the rules on what arguments leave open fire, and where they are silent."""

from rule_cases import CITY, Fires, Silent, taking, tool

from mcp_workbench.contracts.audit.report import Severity

FIRES: Fires = {
    "unbounded-string": [
        (Severity.WARNING, taking({"type": "string"})),
        (Severity.WARNING, taking({"type": ["string", "null"]})),
        (Severity.WARNING, taking({"type": "string", "format": "uri"})),
        (Severity.WARNING, taking({"type": "string", "pattern": "^[a-z]+$"})),
        (Severity.WARNING, taking({"type": "string", "pattern": "^a|b$"})),
        (Severity.WARNING, taking({"type": "string", "pattern": "^" + "a?" * 300 + "$"})),
        (Severity.WARNING, taking({"type": "string", "pattern": 3})),
        (Severity.WARNING, taking({"anyOf": [CITY, {"type": "string", "minLength": 3}]})),
        (Severity.WARNING, taking({"type": "object", "additionalProperties": {"type": "string"}})),
    ],
    "unbounded-array": [
        (Severity.WARNING, taking({"type": "array", "items": CITY})),
        (Severity.WARNING, taking({"type": "array", "prefixItems": [CITY]})),
    ],
    "unbounded-number": [
        (Severity.WARNING, taking({"type": "integer"})),
        (Severity.WARNING, taking({"type": "number", "minimum": 0})),
        (Severity.WARNING, taking({"type": "number", "maximum": 100})),
    ],
    "additional-properties-unsaid": [
        (Severity.WARNING, tool(input_schema={"type": "object", "properties": {}})),
        (Severity.WARNING, taking({"type": "object", "properties": {"name": CITY}})),
    ],
    "default-missing": [
        (Severity.WARNING, taking(CITY, required=[])),
        (Severity.WARNING, taking({"type": ["string", "null"]}, required=[])),
    ],
    "parameter-undocumented": [
        (Severity.WARNING, taking({"type": "string", "title": "City"})),
        (Severity.WARNING, taking({"type": "string", "description": " "})),
        (
            Severity.WARNING,
            taking({"type": "object", "properties": {"name": {"type": "string"}}, "description": "A city."}),
        ),
    ],
    "type-missing": [
        (Severity.WARNING, taking({"description": "Anything."})),
        (Severity.WARNING, taking(True)),
        (Severity.WARNING, taking({"type": "array"})),
        (Severity.WARNING, taking({"type": "array", "items": {}})),
        (Severity.WARNING, taking({"anyOf": [{}, {"type": "null"}]})),
    ],
    "default-invalid": [
        (Severity.ERROR, taking({"type": "string", "default": None})),
        (Severity.ERROR, taking({"type": "integer", "minimum": 1, "default": 0})),
        (Severity.ERROR, taking({"type": "array", "minItems": 1, "default": []})),
        (Severity.ERROR, taking({"type": "boolean", "default": 0})),
        (Severity.ERROR, taking({"anyOf": [CITY, {"type": "integer"}], "default": None})),
        (
            Severity.ERROR,
            taking({"$ref": "#/$defs/Unit", "default": "kelvin"}, **{"$defs": {"Unit": {"enum": ["c", "f"]}}}),
        ),
    ],
    "required-undeclared": [(Severity.WARNING, taking(CITY, required=["city", "country"]))],
    "bounds-contradict": [
        (Severity.ERROR, taking({"type": "string", "minLength": 5, "maxLength": 3})),
        (Severity.ERROR, taking({"type": "integer", "allOf": [{"minimum": 5}, {"maximum": 4.5}]})),
    ],
}

SILENT: Silent = {
    "unbounded-string": [
        tool(),
        taking({"enum": ["Oslo", "Rome"]}),
        taking({"type": "string", "enum": ["Oslo", "Rome"]}),
        taking({"type": "string", "const": "Oslo"}),
        taking({"type": "string", "format": "uuid"}),
        taking({"type": "string", "pattern": r"^[A-Z+*]{3}-\d(a|b)\+$"}),
        taking({"anyOf": [CITY, {"type": "null"}]}),
        taking({"$ref": "#/$defs/Name", "maxLength": 9}, **{"$defs": {"Name": {"type": "string"}}}),
        taking({"allOf": [{"type": "string"}, {"maxLength": 9}]}),
        taking({"type": "string", "oneOf": [{"maxLength": 3}, {"format": "uuid"}]}),
        taking({"$ref": "#/$defs/Gone", "type": "string"}),
    ],
    "unbounded-array": [
        taking({"type": "array", "items": CITY, "maxItems": 9}),
        taking({"type": "array", "prefixItems": [CITY, CITY], "items": False}),
        taking({"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True}),
    ],
    "unbounded-number": [
        taking({"type": "integer", "minimum": 0, "exclusiveMaximum": 9}),
        taking({"type": "integer", "enum": [1, 2]}),
        taking({"type": "boolean"}),
    ],
    "additional-properties-unsaid": [
        tool(),
        taking({"type": "object", "additionalProperties": True}),
        taking({"type": "object", "unevaluatedProperties": False}),
        taking({"allOf": [{"type": "object", "properties": {}}, {"additionalProperties": False}]}),
        tool(output_schema={"type": "object"}),
    ],
    "default-missing": [
        tool(),
        taking(CITY | {"default": "Oslo"}, required=[]),
        taking({"anyOf": [CITY, {"type": "null"}], "default": None}, required=[]),
        taking(CITY, required=[], anyOf=[{"required": ["city"]}]),
        tool(output_schema={"type": "object", "properties": {"a": {"type": "string"}}}),
    ],
    "parameter-undocumented": [
        tool(),
        taking({"$ref": "#/$defs/City"}, **{"$defs": {"City": CITY}}),
        taking({"anyOf": [CITY, {"type": "null"}]}),
        taking({"const": "city"}),
    ],
    "type-missing": [
        tool(),
        taking({"enum": [1, "a"]}),
        taking({"$ref": "#/$defs/City"}, **{"$defs": {"City": CITY}}),
        taking({"$ref": "#/$defs/Gone"}),
        taking({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        taking({"type": "object", "additionalProperties": {}}),
        taking({"type": "array", "items": CITY, "allOf": [{"items": {"minLength": 1}}]}),
        taking({"type": "string", "anyOf": [{"minLength": 3}, {"const": ""}]}),
    ],
    "default-invalid": [
        taking(CITY | {"default": "Oslo"}),
        taking({"type": "array", "items": CITY, "maxItems": 3, "default": []}),
        taking({"type": "boolean", "default": False}),
        taking({"anyOf": [CITY, {"type": "null"}], "default": None}),
        taking({"type": ["string", "null"], "default": None}),
        taking({"type": "string", "pattern": "^O", "default": "Rome"}),
        taking({"$ref": "#/$defs/Unit", "default": "c"}, **{"$defs": {"Unit": {"enum": ["c", "f"]}}}),
    ],
    "required-undeclared": [
        tool(),
        tool(input_schema={"type": "object", "required": ["city"]}),
        taking(CITY, anyOf=[{"required": ["city"]}]),
        taking(CITY, required=["x1"], patternProperties={"^x": CITY}),
        taking(CITY, required=["a"], allOf=[{"properties": {"a": CITY}}]),
    ],
    "bounds-contradict": [tool(), taking({"type": "integer", "minimum": 3, "maximum": 3})],
}
