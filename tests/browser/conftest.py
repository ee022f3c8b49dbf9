"""A real JupyterLab in a real Chromium, for tests that click."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# What says that the notebook is there and its kernel answers; the toolbar's "idle" comes too early.
READY = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    const kernel = panel.sessionContext.session.kernel;
    await kernel.info;
    await kernel.requestKernelInfo();
}"""
ALL_RUN = """() => {
    const cells = [...window.jupyterapp.shell.currentWidget.content.widgets];
    return cells.every(cell => cell.model.type !== 'code' || cell.model.executionCount);
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab over a copy of the notebooks."""
    place = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, place / "notebooks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    private = {f"JUPYTER_{kind}_DIR": str(place / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    private |= {f"JUPYTERLAB_{kind}_DIR": str(place / kind.lower()) for kind in ("SETTINGS", "WORKSPACES")}
    private |= {"IPYTHONDIR": str(place / "ipython"), "MCP_WORKBENCH_SERVERS": str(NOTEBOOKS.parent / ".servers")}
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=", "--allow-root"),
        *("--LabApp.expose_app_in_browser=True", "--LabApp.news_url="),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    # No question about news in the corner of every picture.
    quiet = place / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with (place / "lab.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=place / "notebooks", env=os.environ | private, stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            assert process.poll() is None, (place / "lab.log").read_text()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=5):
                break
            # It needs the processor more than this does.
            time.sleep(0.05)
        yield address
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        # Not asked to end: JupyterLab would wait for its kernels, and while it is still starting it may never end.
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=10)
        process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; closed after its file, because Playwright keeps an event loop running in this thread."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; install your system's package chromium to run the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def first_notebook(lab: str, browser: Any) -> Iterator[Any]:
    """The page of the first notebook after all its cells have run."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(f"{lab}/doc/tree/00_start_here.ipynb?reset", wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context", timeout=60_000)
    page.evaluate(READY)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(ALL_RUN, timeout=90_000)
    yield page
    page.close()
