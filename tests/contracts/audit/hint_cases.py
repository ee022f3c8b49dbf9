"""Where the rules on hints and names fire, and where they are silent."""

from rule_cases import WRITE, Fires, Silent, tool

from mcp_workbench.contracts.audit.report import Severity

READ_HINTS = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": True}

FIRES: Fires = {
    "hints-contradict": [(Severity.ERROR, tool(annotations={"readOnlyHint": True, "destructiveHint": True}))],
    "hint-meaningless": [(Severity.NOTE, tool(annotations={"readOnlyHint": True, "idempotentHint": False}))],
    "hints-break-promise": [
        (Severity.ERROR, tool(annotations={"readOnlyHint": False})),
        (Severity.ERROR, tool(annotations={"destructiveHint": True})),
        (Severity.ERROR, tool(**WRITE, annotations={"readOnlyHint": True})),
        (Severity.ERROR, tool(**WRITE, annotations={"destructiveHint": True})),
        (Severity.ERROR, tool(**WRITE, annotations={"idempotentHint": True})),
        (Severity.ERROR, tool(**WRITE | {"effects": "destructive"}, annotations={"destructiveHint": False})),
        (Severity.ERROR, tool(**WRITE | {"idempotency": "natural"}, annotations={"idempotentHint": False})),
        (Severity.ERROR, tool(annotations={"openWorldHint": False})),
    ],
    "hint-unsaid": [
        (Severity.WARNING, tool(annotations={})),
        (Severity.WARNING, tool(fingerprint="sha256:0")),
        (Severity.WARNING, tool(**WRITE, annotations={"readOnlyHint": False})),
        (Severity.NOTE, tool(**WRITE | {"idempotency": "natural"}, annotations={"destructiveHint": False})),
        (Severity.NOTE, tool(open_world=False, annotations={"readOnlyHint": True})),
    ],
    "name-contradicts-effects": [
        (Severity.ERROR, tool(name="delete_user")),
        (Severity.ERROR, tool(name="user-delete")),
        (Severity.ERROR, tool(name="createUser")),
        (Severity.ERROR, tool(name="bulk_update_users")),
        (Severity.ERROR, tool(name="delete_user", effects=None, annotations={"readOnlyHint": True})),
        (
            Severity.ERROR,
            tool(name="delete_user", effects=None, annotations={"readOnlyHint": True, "destructiveHint": True}),
        ),
        (Severity.WARNING, tool(**WRITE | {"name": "purgeQueue"})),
        (Severity.WARNING, tool(name="list_users", effects="destructive")),
    ],
}

SILENT: Silent = {
    "hints-contradict": [tool(annotations=READ_HINTS), tool()],
    "hint-meaningless": [tool(annotations=READ_HINTS), tool(**WRITE, annotations={"idempotentHint": False})],
    "hints-break-promise": [
        tool(),
        tool(annotations=READ_HINTS),
        tool(annotations=READ_HINTS | {"idempotentHint": False}),
        tool(effects=None, idempotency=None, open_world=None, annotations={"destructiveHint": True}),
        tool(
            **WRITE | {"idempotency": "by key", "idempotency_key": "city"},
            annotations={"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True},
        ),
    ],
    "hint-unsaid": [
        tool(),  # written before its server
        tool(annotations=READ_HINTS),
        tool(**WRITE | {"effects": "destructive"}, annotations={}),  # what clients assume anyway
    ],
    "name-contradicts-effects": [
        tool(),
        tool(name="delete_user", effects="destructive"),
        tool(name="delete_user", effects=None),
        tool(name="list_deleted_users"),
        tool(name="get_and_delete_message", effects="destructive"),
        tool(name="preview_delete"),
        tool(name="soft_delete", effects="write"),
        tool(name="data_set_info"),
        tool(name="chess_move"),
        tool(name="get_drop_rate"),
        [tool(name=f"git_{name}", effects="destructive") for name in ("reset", "drop", "purge")],
    ],
}
