"""Where the rules on all tools together fire, and where they are silent."""

from rule_cases import CITY, Fires, Silent, taking, tool

from mcp_workbench.contracts.audit.likeness import MAX_COMPARED_TOOLS
from mcp_workbench.contracts.audit.report import Severity

FIRES: Fires = {
    "book-empty": [(Severity.ERROR, [])],
    "near-duplicate": [
        (Severity.WARNING, [tool(name="fetch_temperature", purpose="Read the thermometer at a place."), tool()]),
        (Severity.WARNING, [tool(name="getTemperature", purpose="Read the thermometer at a place."), tool()]),
        (Severity.WARNING, [tool(name="weather_now"), tool()]),
        (Severity.WARNING, [tool(name="find_address", purpose="A?"), tool(name="addresses_search", purpose="B?")]),
        (
            Severity.WARNING,
            [
                tool(name="read_file", purpose="Read the complete contents of a file as text. Deprecated."),
                tool(name="read_text_file", purpose="Read the complete contents of a file from the system as text."),
            ],
        ),
    ],
    "book-too-long": [
        (Severity.WARNING, [tool(name=f"tool_{number}", purpose=f"{number} " * 500) for number in range(30)]),
    ],
    "book-too-large": [(Severity.NOTE, [{"name": f"t{number}"} for number in range(MAX_COMPARED_TOOLS + 1)])],
}

SILENT: Silent = {
    "book-empty": [[tool()]],
    "near-duplicate": [
        [tool(), tool(name="get_humidity", purpose="Return how humid it is in a city now, in percent.")],
        [
            tool(name=f"delete_{thing}", purpose=f"Delete the {thing} with the given number for good, and log it.")
            for thing in ("user", "group", "role")
        ],
        [
            tool(name="list_directory", purpose="List all files and directories in a path."),
            tool(name="list_directory_with_sizes", purpose="List all files and directories in a path, with sizes."),
        ],
        [tool(name="a", purpose=None), tool(name="b", purpose=None)],
        [tool(name="one", purpose="To do."), tool(name="two", purpose="To do.")],
        [tool(name="find_address", purpose="Where?"), tool(name="list_addresses", purpose="All?")],
        [
            tool(name="mark_open", purpose="Set the state of the ticket in the tracker of the team."),
            taking(CITY, properties={"id": CITY})
            | {"name": "mark_shut", "purpose": "Set the state of the ticket in the tracker of a customer."},
        ],
    ],
    "book-too-long": [[tool(), tool(name="b")]],
    "book-too-large": [[{"name": f"t{number}"} for number in range(20)]],
}
