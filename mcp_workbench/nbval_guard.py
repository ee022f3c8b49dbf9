"""A pytest plugin that lets no failed cell pass under nbval.

IPython publishes no ``error`` message for a cell that raises an ``ExceptionGroup``, and nbval looks for nothing else:
the failing cell passes. The kernel's reply to the cell does say that it failed, so this plugin reads the reply as well.
It does nothing unless ``--nbval`` or ``--nbval-lax`` is given.
"""

from __future__ import annotations

from typing import Any

import pytest

_EXPECTED = "check_exception"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Fail a notebook cell whose execution failed, if nbval let it pass."""
    kernel = getattr(item.parent, "kernel", None)
    if type(item).__name__ != "IPyNbCell" or kernel is None:
        return (yield)
    replies: list[dict[str, Any]] = []
    get_message = kernel.get_message

    def keep_reply(stream: str, timeout: float | None = None) -> dict[str, Any]:
        message: dict[str, Any] = get_message(stream, timeout=timeout)
        if message["msg_type"] == "execute_reply":
            replies.append(message["content"])
        return message

    kernel.get_message = keep_reply
    try:
        result = yield
    finally:
        del kernel.get_message
    for reply in replies:
        _refuse_failure(item, reply)
    return result


def _refuse_failure(item: Any, content: dict[str, Any]) -> None:
    if content.get("status") == "error" and not item.options[_EXPECTED]:
        item.raise_cell_error(
            f"Cell execution caused an exception that the kernel did not publish: "
            f"{content.get('ename')}: {content.get('evalue')}",
            "\n".join(content.get("traceback", [])),
        )
