"""``asyncio.run(main())`` in a cell: what nest-asyncio can do, and where it is refused.

The workbench itself needs none of this, and works the same whether it is on or off.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

from mcp_workbench.errors import NestedLoopsError
from mcp_workbench.kernel.loop import background


def allow_nested_loops() -> None:
    """Let scripts that call ``asyncio.run(main())`` run in a cell, by patching asyncio for the rest of this process.

    What it does not do: ``anyio.run()`` and ``server.run()`` still fail in a cell (write ``await main()``, or give
    the server to ``Workbench``), and nested runs end in the reverse order of their start, so a timeout in an
    outer one may come late. Calling it twice is the same as calling it once.

    Raises:
        NestedLoopsError: it is known to break here: on Python 3.14 and later, on the workbench's own loop, on a loop
            that is not asyncio's own, or where no loop runs and there is nothing to nest.
    """
    if sys.version_info >= (3, 14):
        raise NestedLoopsError(
            "nested loops break anyio, and with it the MCP SDK, on Python 3.14 and later; "
            "write `await main()` in the cell instead of `asyncio.run(main())`"
        )
    if background().is_current():
        raise NestedLoopsError("this is the workbench's own loop, which nobody may block; call it from a cell")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise NestedLoopsError(
            "no loop is running in this thread, so asyncio.run() works as it is; call this in a notebook cell"
        ) from None
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise NestedLoopsError(
            f"the running loop is a {type(loop).__module__}.{type(loop).__name__}, which cannot be nested; "
            "write `await main()` in the cell instead of `asyncio.run(main())`"
        )
    # Imported after the patch, uvicorn takes the patched run for Python's own, and its Server.run() breaks.
    importlib.import_module("uvicorn")
    nest_asyncio = importlib.import_module("nest_asyncio")
    nest_asyncio.apply(loop)
