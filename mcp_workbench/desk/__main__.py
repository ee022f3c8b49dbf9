"""Serve the incident desk over stdio: ``python -m mcp_workbench.desk FOLDER [--step STEP]``."""

from __future__ import annotations

import argparse
import contextlib

from mcp_workbench.desk.steps import STEPS, incident_desk
from mcp_workbench.errors import UsageError


def main() -> None:
    """Read the command line and serve until the client leaves; what is wrong is one sentence, and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m mcp_workbench.desk", description="Serve the incident desk.")
    parser.add_argument("folder", help="where its database is, or is to be made")
    parser.add_argument("--step", default="strict", help=f"how far it is built: {', '.join(STEPS)} (%(default)s)")
    told = parser.parse_args()
    try:
        server = incident_desk(told.folder, told.step)
    except UsageError as error:
        parser.exit(2, f"{error}\n")
    # Ctrl-C is how people end it; the database is only read.
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


if __name__ == "__main__":
    main()
