"""What holds in a real kernel: cells run again, nested loops, interrupts, nothing left behind."""

import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from jupyter_client.manager import KernelManager

EXAMPLE = """
import sys
sys.path.insert(0, {tests!r})
from example_servers import make_server
from mcp_workbench import Workbench, allow_nested_loops, serve
import psutil
"""


class Kernel:
    """A kernel that runs cells and says what they printed, or how they failed."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def start(self, source: str) -> str:
        return str(self.client.execute(source))

    def wait(self, message: str) -> str:
        said = []
        while True:
            got = self.client.get_iopub_msg(timeout=60)
            if got["parent_header"].get("msg_id") != message:
                continue
            content = got["content"]
            if got["msg_type"] == "stream":
                said.append(content["text"])
            elif got["msg_type"] == "error":
                said.append(f"{content['ename']}: {content['evalue']}")
            elif got["msg_type"] == "execute_result":
                said.append(content["data"]["text/plain"])
            elif got["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(said).strip()

    def run(self, source: str) -> str:
        return self.wait(self.start(source))

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.manager.provisioner.pid).children(recursive=True)  # type: ignore[union-attr]


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    running = Kernel()
    tests = str(request.config.rootpath / "tests")
    assert running.run(EXAMPLE.format(tests=tests)) == ""
    yield running
    running.client.stop_channels()
    running.manager.shutdown_kernel(now=True)


def test_running_a_cell_again_replaces_the_server_that_it_started(kernel: Kernel, command: list[str]) -> None:
    cell = f"wb = Workbench({command!r}, name='example'); print(wb.call('process_id').value)"
    first = int(kernel.run(cell))
    kernel.run("old = wb")
    second = int(kernel.run(cell))
    assert first != second
    assert not psutil.pid_exists(first)
    assert "a later cell opened the same target again; to keep both" in kernel.run("old.call('add')")
    assert kernel.run("wb.call('add', {'a': 1}).value") == "1"


def test_running_a_cell_again_replaces_a_hosted_server_and_frees_its_port(kernel: Kernel) -> None:
    port = int(kernel.run("hosted = serve(make_server()); print(hosted.url.split(':')[2].split('/')[0])"))
    # The same port can only be had if the first one is gone.
    assert kernel.run(f"serve(make_server(), port={port})") == "<HostedServer 'example', listening>"


def test_the_same_server_called_directly_and_over_http_lives_side_by_side_in_two_cells(kernel: Kernel) -> None:
    kernel.run("server = make_server()\ndirect = Workbench(server)")
    kernel.run("hosted = Workbench(server, transport='http')")
    assert kernel.run("direct.call('add', {'a': 1}).value + hosted.call('add', {'a': 2}).value") == "3"


def test_two_of_one_name_in_one_cell_live_side_by_side(kernel: Kernel) -> None:
    kernel.run("a, b = Workbench(make_server()), Workbench(make_server())")
    assert kernel.run("a.call('add', {'a': 1}).value + b.call('add', {'a': 2}).value") == "3"


def test_a_workbench_that_nobody_holds_any_more_leaves_its_server(kernel: Kernel, command: list[str]) -> None:
    process = int(kernel.run(f"wb = Workbench({command!r}, name='example'); print(wb.call('process_id').value)"))
    kernel.run("import gc; wb = None; gc.collect()")
    psutil.wait_procs([psutil.Process(process)] if psutil.pid_exists(process) else [], timeout=20)
    assert not psutil.pid_exists(process)


@pytest.mark.parametrize("how", ["shut down", "restarted", "killed"])
def test_a_kernel_leaves_no_process_behind(kernel: Kernel, command: list[str], how: str) -> None:
    assert kernel.run(f"wb = Workbench({command!r}); wb.call('add', {{'a': 1}}).value") == "1"
    servers = kernel.processes()
    assert servers
    if how == "shut down":
        kernel.manager.shutdown_kernel()
    elif how == "restarted":
        kernel.manager.restart_kernel()
    else:
        psutil.Process(kernel.manager.provisioner.pid).kill()  # type: ignore[union-attr]
    _, left = psutil.wait_procs(servers, timeout=20)
    assert not left


def test_the_interrupt_button_stops_a_blocking_and_an_awaited_call(kernel: Kernel) -> None:
    kernel.run("wb = Workbench(make_server())")
    cells = {
        "wb.call('slow', {'seconds': 600})": "KeyboardInterrupt",
        # ipykernel cancels what a cell awaits.
        "await wb.acall('slow', {'seconds': 600})": "CancelledError",
    }
    for cell, expected in cells.items():
        before = int(kernel.run("print(len(wb.records))"))
        message = kernel.start(f"print('begun', flush=True)\n{cell}")
        begun(kernel, message)
        kernel.manager.interrupt_kernel()
        assert expected in kernel.wait(message)
        assert kernel.run("wb.records.iloc[-1]['outcome']") == "'cancelled'"
        assert int(kernel.run("print(len(wb.records))")) == before + 1
    assert kernel.run("wb.call('add', {'a': 1}).value") == "1"


def begun(kernel: Kernel, message: str) -> None:
    """Wait until a cell has begun, and a little more, so that the interrupt meets the call and not its beginning."""
    while True:
        got = kernel.client.get_iopub_msg(timeout=60)
        if got["parent_header"].get("msg_id") == message and got["msg_type"] == "stream":
            break
    time.sleep(0.5)


NOWHERE = """
from threading import Thread
def there():
    try:
        allow_nested_loops()
    except Exception as error:
        print(error)
"""

PASTED = """
import asyncio
async def main():
    await asyncio.sleep(0)
    return "ran"
"""


def test_without_nested_loops_a_pasted_asyncio_run_fails_and_with_them_it_runs(kernel: Kernel) -> None:
    kernel.run(PASTED)
    assert "asyncio.run() cannot be called from a running event loop" in kernel.run("asyncio.run(main())")
    assert kernel.run("allow_nested_loops()\nallow_nested_loops()") == ""
    assert kernel.run("asyncio.run(main())") == "'ran'"


def test_the_workbench_works_the_same_with_nested_loops_on(kernel: Kernel, command: list[str]) -> None:
    kernel.run("before = Workbench(make_server('before'))")
    kernel.run("allow_nested_loops()")
    assert kernel.run("before.call('add', {'a': 1}).value") == "1"
    for target, options in [("make_server()", ""), ("make_server()", ", transport='http'"), (repr(command), "")]:
        kernel.run(f"wb = Workbench({target}, name='x'{options})")
        assert kernel.run("wb.call('add', {'a': 1}).value, wb.sample('add', {'a': 1}, calls=5).ok") == "(1, True)"
        assert "CallTimeoutError" in kernel.run("wb.call('slow', {'seconds': 600}, timeout=0.2)")
        assert kernel.run("(await wb.acall('add', {'a': 2})).value") == "2"
        kernel.run("wb.close()")
        assert kernel.run(f"other = await Workbench.aopen({target}, name='y'{options})\nawait other.aclose()") == ""


def test_nested_loops_are_refused_on_the_workbenchs_own_loop_and_where_no_loop_runs(kernel: Kernel) -> None:
    kernel.run("from mcp_workbench.kernel.loop import background\nasync def own():\n    allow_nested_loops()")
    assert "NestedLoopsError: this is the workbench's own loop" in kernel.run("background().run(own())")
    kernel.run(NOWHERE)
    assert "no loop is running in this thread" in kernel.run(
        "thread = Thread(target=there); thread.start(); thread.join()"
    )


def test_progress_is_shown_in_a_notebook_only_as_a_live_view(kernel: Kernel) -> None:
    kernel.run("wb = Workbench(make_server())")
    message = kernel.start("s = wb.sample('slow', {'seconds': 0.05}, calls=20)")
    shown: list[Any] = []
    while True:
        got = kernel.client.get_iopub_msg(timeout=60)
        if got["parent_header"].get("msg_id") != message:
            continue
        if got["msg_type"] == "display_data":
            shown.append(set(got["content"]["data"]))
        if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle":
            break
    assert shown == [{"application/vnd.jupyter.widget-view+json"}]
    assert kernel.run("s.ok") == "True"
