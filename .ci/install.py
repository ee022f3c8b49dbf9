# ruff: noqa: T201 - it is a command: what it says goes to the terminal
"""Installs the workbench inside this checkout: .venv for the Python packages, .servers for the npm reference servers.

make runs it with the Python that it chose and with every cache set to a folder under .cache:

    python .ci/install.py notebooks        what `make lab` needs
    python .ci/install.py notebooks dev    what `make test` needs
    python .ci/install.py renew            the newest versions into constraints.txt and package-lock.json

It needs nothing but the standard library. It is quiet and quick when there is nothing to do, and an installation
that was cut off is put right by the next run.
"""

import argparse
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

OLDEST = (3, 11)
REFERENCE_SERVERS = Path("data", "reference_servers")

# From this line of its output on, pip changes the environment; before it, a failure leaves it as it was.
PIP_CHANGES = "Installing collected packages"
# What pip and npm print when nothing answered them. pip's last line is "from versions: none" then.
UNREACHABLE = (
    "from versions: none",
    "connection broken",
    "Max retries exceeded",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENOTFOUND",
    "ETIMEDOUT",
    "EAI_AGAIN",
)


class Stop(Exception):  # noqa: N818 - it is the end of the installation, said in one sentence
    """The installation cannot go on; the text is the one sentence that says why and what to do."""


def install(root: Path, extras: set[str], this_python: bool) -> None:
    """Bring `.venv` and `.servers` to what the project's files ask for."""
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another installation in this folder.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = make_environment(root, this_python)
        install_packages(root, extras, stamp)
        install_servers(root)


def make_environment(root: Path, this_python: bool) -> dict:
    """Keep the environment if it still runs and was made here by the same Python; otherwise make it anew."""
    folder = root / ".venv"
    stamp = read_stamp(folder)
    version = version_of(folder / "bin" / "python")
    usable = (
        version is not None
        and tuple(int(part) for part in version.split(".")[:2]) >= OLDEST
        and (version == sys.version or not this_python)
        and stamp.get("python", version) == version
        and stamp.get("path", str(root)) == str(root)
        and not stamp.get("unfinished")
    )
    if not usable:
        if sys.version_info < OLDEST:
            raise Stop(f"Python 3.11 or newer is needed, and this is {sys.version.split()[0]}: install a newer one.")
        print(f"Making the environment .venv with Python {sys.version.split()[0]}.", flush=True)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        write_stamp(folder, {"unfinished": True})
        # The base interpreter, because this one may be the .venv that has just been removed.
        python = getattr(sys, "_base_executable", sys.executable)
        if not run([python, "-m", "venv", str(folder)], log_of(root, "venv"), root):
            raise Stop(
                f"Python could not make an environment: read {shown(root, 'venv')}, "
                "put right what it names and run the same command again."
            )
        version = version_of(folder / "bin" / "python")
        stamp = {"python": version, "path": str(root)}
        write_stamp(folder, stamp)
    return {"python": version, "path": str(root), **stamp}


def install_packages(root: Path, extras: set[str], stamp: dict) -> None:
    """Install the project itself, editable, with the extras asked for now or earlier."""
    folder = root / ".venv"
    wanted = digest(root / "pyproject.toml", root / "constraints.txt")
    had = set(stamp.get("extras", ()))
    if stamp.get("packages") == wanted and extras <= had:
        return
    extras = extras | had
    print("Installing the Python packages: about a minute the first time.", flush=True)
    write_stamp(folder, {**stamp, "unfinished": True})
    log = log_of(root, "pip")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    try:
        if not run([*pip, "-c", "constraints.txt", "-e", f".[{','.join(sorted(extras))}]"], log, root):
            raise Stop(why_not(root, "pip"))
    except BaseException:
        # Offline, a working environment must not be thrown away because something could not be added to it.
        if PIP_CHANGES not in log.read_text(errors="replace"):
            write_stamp(folder, stamp)
        raise
    write_stamp(folder, {**stamp, "packages": wanted, "extras": sorted(extras)})


def install_servers(root: Path) -> None:
    """Install the npm reference servers, by the npm that the environment brings."""
    folder = root / ".servers"
    files = [root / REFERENCE_SERVERS / name for name in ("package.json", "package-lock.json")]
    wanted = digest(*files)
    if read_stamp(folder).get("servers") == wanted:
        return
    print("Installing the npm reference servers.", flush=True)
    folder.mkdir(exist_ok=True)
    write_stamp(folder, {"unfinished": True})
    for file in files:
        shutil.copy(file, folder)
    # npm ci removes what an earlier run left, so it needs no repair. Offline, npm would go on trying for 80 seconds.
    quick = "--fetch-retry-maxtimeout=10000"
    if not run_npm(root, ["ci", "--ignore-scripts", "--no-audit", "--no-fund", quick], folder):
        raise Stop(why_not(root, "npm"))
    write_stamp(folder, {"servers": wanted})


def renew(root: Path) -> None:
    """Resolve the newest versions that are served now into constraints.txt and package-lock.json."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = str(folder / "bin" / "python")
        print("Resolving the Python packages.", flush=True)
        log = log_of(root, "pip")
        if not run([sys.executable, "-m", "venv", name], log, root):
            raise Stop(f"Python could not make an environment: read {shown(root, 'pip')}.")
        if not run([python, "-m", "pip", "--no-input", "install", *asked], log, root):
            raise Stop(why_not(root, "pip"))
        freeze = [python, "-m", "pip", "freeze", "--local"]
        frozen = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    first = "# The exact versions that make installs; to renew them: make renew PYTHON=python3.11\n"
    (root / "constraints.txt").write_text(first + frozen)

    print("Resolving the npm reference servers.", flush=True)
    folder = root / REFERENCE_SERVERS
    newest = [f"{name}@latest" for name in json.loads((folder / "package.json").read_text())["dependencies"]]
    (folder / "package-lock.json").unlink(missing_ok=True)
    quiet = ["--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
    if not run_npm(root, ["install", "--save-exact", *quiet, *newest], folder):
        raise Stop(why_not(root, "npm"))
    lock = json.loads((folder / "package-lock.json").read_text())
    for package in lock["packages"].values():
        # No addresses: every machine takes the packages from the registry that its own npm is configured for.
        package.pop("resolved", None)
        package.pop("funding", None)
    (folder / "package-lock.json").write_text(json.dumps(lock, indent=2) + "\n")


def run_npm(root: Path, arguments: list[str], folder: Path) -> bool:
    """Run the environment's npm, which must find the environment's node before any other on the machine."""
    binaries = root / ".venv" / "bin"
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    return run([str(binaries / "npm"), *arguments], log_of(root, "npm"), folder, environment)


def run(command: list[str], log: Path, folder: Path, environment: dict[str, str] | None = None) -> bool:
    """Run a command with all its output in the log, and say whether it succeeded."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode == 0


def why_not(root: Path, tool: str) -> str:
    """One sentence for a pip or npm that failed."""
    if any(sign in log_of(root, tool).read_text(errors="replace") for sign in UNREACHABLE):
        return (
            f"{tool} could not reach its package registry: connect this machine to a network (or set the registry "
            f"in {tool}'s own configuration) and run the same command again; all it said is in {shown(root, tool)}."
        )
    return (
        f"{tool} failed: read the end of {shown(root, tool)}, put right what it names and run the same command again."
    )


def log_of(root: Path, tool: str) -> Path:
    """Where a tool's full output is kept."""
    return root / ".cache" / "logs" / f"{tool}.log"


def shown(root: Path, tool: str) -> str:
    """The same place as a person types it."""
    return str(log_of(root, tool).relative_to(root))


def version_of(python: Path) -> str | None:
    """The `sys.version` of an environment's Python, or None if it does not run or has no pip."""
    command = [str(python), "-I", "-c", "import pip, sys; print(sys.version)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def digest(*files: Path) -> str:
    """One hash of all the files."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def read_stamp(folder: Path) -> dict:
    """What an earlier run wrote about this folder; nothing if there was none."""
    try:
        return json.loads((folder / "installed.json").read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        return {"unfinished": True}


def write_stamp(folder: Path, stamp: dict) -> None:
    """Write down how far the installation has come."""
    (folder / "installed.json").write_text(json.dumps(stamp, indent=2) + "\n")


def main() -> int:
    """Do what the command line asks, and say in one sentence what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["notebooks", "dev", "renew"])
    parser.add_argument("--this-python", action="store_true", help="remake an environment of another Python")
    asked = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    extras = set(asked.what) - {"renew"}
    try:
        # What resolves on the oldest Python is right for the newer ones too, and not the other way round.
        if "renew" in asked.what and sys.version_info[:2] != OLDEST:
            raise Stop("Renew with the oldest supported Python: make renew PYTHON=python3.11")
        if extras:
            install(root, extras, asked.this_python)
        if "renew" in asked.what:
            renew(root)
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped: the same command goes on from here.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"The installation stopped: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
