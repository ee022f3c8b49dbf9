"""The ``mcp-workbench`` command."""
