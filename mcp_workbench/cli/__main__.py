"""``python -m mcp_workbench.cli``, the same as ``mcp-workbench``."""

from mcp_workbench.cli.main import main

if __name__ == "__main__":
    main()
