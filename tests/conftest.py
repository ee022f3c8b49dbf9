"""What several tests need: the example server as an object, as a command and at an address."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from example_servers import make_server
from hypothesis import settings
from mcp.server.mcpserver import MCPServer

from mcp_workbench.cli.main import main

# The same examples in each run: a red test stays red until somebody mends it.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

EXAMPLE = Path(__file__).with_name("example_servers.py")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage of tests that are marked ``no_cover``, nor of those that draw their examples.

    pytest-cov alone does not do it in the workers of pytest-xdist: it stops what it measures there, and that makes
    another measurement go on, which it began while it read the options.
    """
    drawn = getattr(getattr(item, "function", None), "is_hypothesis_test", False)
    if not drawn and item.get_closest_marker("no_cover") is None:
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)


@pytest.fixture(scope="session", autouse=True)
def _other_processes_start_quickly() -> Iterator[None]:
    """Keep from the processes that tests start, not from this one, what jsonschema checks IRIs with where it is there.

    Jupyter brings it, it takes a second of each process that imports jsonschema, and nothing in them checks an IRI.
    """
    folders = [str(Path(__file__).with_name("quick")), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(folders))
        yield


@pytest.fixture
def server() -> MCPServer:
    """The example server as an object in this process."""
    return make_server()


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The example server as a command that speaks stdio."""
    return [sys.executable, str(EXAMPLE), "stdio"]


class HttpServer:
    """The example server in a process of its own, at an address."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, str(EXAMPLE), "http"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/mcp"

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def http_server() -> Iterator[HttpServer]:
    """The example server in a process of its own, at an address."""
    running = HttpServer()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def http_address() -> Iterator[str]:
    """The address of the example server in a process of its own, for tests that let it live."""
    running = HttpServer()
    yield running.url
    running.kill()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process: exit code, standard output, standard error."""

    def ran(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mcp-workbench", *words])
        with pytest.raises(SystemExit) as left:
            main()
        assert isinstance(left.value.code, int)
        return (left.value.code, *capsys.readouterr())

    return ran
