"""Where the rules on schemas as such fire, and where they are silent."""

from typing import Any

from rule_cases import CITY, INPUT, OUTPUT, Fires, Silent, taking, tool

from mcp_workbench.contracts.audit.places import MAX_PLACES
from mcp_workbench.contracts.audit.report import Severity


def wide(properties: int) -> dict[str, Any]:
    names = {f"p{number}": CITY | {"default": ""} for number in range(properties)}
    return tool(input_schema=INPUT | {"properties": names, "required": []}, examples=None)


FIRES: Fires = {
    "input-schema-missing": [(Severity.ERROR, tool(input_schema=None))],
    "output-schema-missing": [(Severity.WARNING, tool(output_schema=None))],
    "schema-invalid": [
        (Severity.ERROR, taking({"type": "text"})),
        (Severity.ERROR, taking("string")),
        (Severity.ERROR, taking({"type": "string", "maxLength": "80"})),
        (Severity.ERROR, taking({"type": "string", "required": True})),
        (Severity.ERROR, taking({"type": "array", "items": [{"type": "string"}]})),
        (Severity.ERROR, taking(CITY, properties=["city"])),
        (Severity.ERROR, tool(output_schema={"type": "object", "$defs": {"Unused": {"minimum": "0"}}})),
    ],
    "keyword-misspelt": [
        (Severity.WARNING, taking(CITY | {"maxlength": 80})),
        (Severity.WARNING, taking({"type": "integer", "minimun": 0})),
        (Severity.WARNING, taking(CITY, require=["city"])),
        (Severity.WARNING, taking(CITY | {"maxLenght": 80, "Type": "string"})),
        (Severity.WARNING, tool(output_schema=OUTPUT | {"$defs": {"Unused": {"max_length": 80}}})),
    ],
    "dialect-unknown": [(Severity.WARNING, taking(CITY, **{"$schema": "https://schemas.test/v9"}))],
    "input-no-object": [
        (Severity.ERROR, tool(input_schema={"properties": {}})),
        (Severity.ERROR, tool(input_schema={})),
    ],
    "reference-lost": [
        (Severity.ERROR, taking({"$ref": "#/$defs/City"})),
        (Severity.ERROR, taking({"$ref": "https://schemas.test/city.json"})),
        (Severity.ERROR, taking({"$ref": "#/properties/city/description", "description": "The city."})),
        (Severity.ERROR, tool(output_schema=OUTPUT | {"$defs": {"Unused": {"$ref": "#/$defs/Gone"}}})),
    ],
    "reference-circle": [
        (Severity.ERROR, taking({"$ref": "#/properties/city"})),
        (Severity.ERROR, taking({"$ref": "#/$defs/A"}, **{"$defs": {"A": {"anyOf": [CITY, {"$ref": "#/$defs/A"}]}}})),
        (
            Severity.ERROR,
            taking(
                {"$ref": "#/$defs/A"},
                **{"$defs": {"A": {"allOf": [{"$ref": "#/$defs/B"}]}, "B": {"$ref": "#/$defs/A"}}},
            ),
        ),
    ],
    "schema-recursive": [
        (Severity.NOTE, taking({"type": "array", "items": {"$ref": "#"}})),
        (Severity.NOTE, tool(output_schema=OUTPUT | {"properties": {"next": {"$ref": "#"}}})),
    ],
    "schema-too-large": [(Severity.NOTE, wide(MAX_PLACES + 1))],
}

SILENT: Silent = {
    "input-schema-missing": [tool()],
    "output-schema-missing": [tool()],
    "schema-invalid": [
        tool(),
        taking(
            {"type": "array", "items": [{"type": "string"}]}, **{"$schema": "http://json-schema.org/draft-07/schema#"}
        ),
        taking(
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            **{"$schema": "http://json-schema.org/draft-04/schema#"},
        ),
        taking({"type": "string", "pattern": "("}),
        taking({"type": "string", "x-unit": 3, "maxLength": 3.0}),
        taking(False),
    ],
    "keyword-misspelt": [
        tool(),
        taking(CITY, properties={"city": CITY, "maxlength": CITY, "require": CITY}),
        taking(CITY, **{"$defs": {"minimun": CITY, "Titel": CITY}}),
        taking(CITY | {"x-maxlength": 3, "example": "Oslo", "nullable": True, "note": "", "units": "", "of": 1}),
        taking(CITY | {"default": {"require": 1}, "examples": [{"minimun": 1}], "enum": [{"titel": 1}]}),
        taking({"type": "string", "contentEncoding": "base64", "$comment": "", "readOnly": True}),
    ],
    "dialect-unknown": [tool(), taking(CITY, **{"$schema": "https://json-schema.org/draft/2020-12/schema"})],
    "input-no-object": [tool(), tool(input_schema=None)],
    "reference-lost": [
        taking({"$ref": "#/$defs/City"}, **{"$defs": {"City": CITY}}),
        taking({"$ref": "#city"}, **{"$defs": {"City": CITY | {"$anchor": "city"}}}),
        taking({"$ref": "https://me.test/s#/$defs/City"}, **{"$id": "https://me.test/s", "$defs": {"City": CITY}}),
        taking({"$ref": "#/$defs/a~1b%20c"}, **{"$defs": {"a/b c": CITY}}),
        taking({"$id": "https://me.test/inner", "$ref": "#/$defs/C", "$defs": {"C": CITY}}),
        taking(CITY, properties={"$ref": CITY}),
    ],
    "reference-circle": [
        tool(),
        taking({"type": "array", "items": {"$ref": "#"}}),
        taking({"allOf": [{"$ref": "#/$defs/C"}, {"$ref": "#/$defs/C"}]}, **{"$defs": {"C": CITY}}),
    ],
    "schema-recursive": [tool(), taking({"$ref": "#/$defs/C"}, **{"$defs": {"C": CITY}})],
    "schema-too-large": [tool(), wide(100)],
}
