"""The files around the package: that `make lab` and `make test` work on a fresh machine, or say what it lacks."""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make") or "/usr/bin/make"
SCAFFOLDING = [
    "Makefile",
    ".ci/run",
    ".ci/install.py",
    "constraints.txt",
    "data/reference_servers/package.json",
    "data/reference_servers/package-lock.json",
]

# A stand-in for an interpreter: `%s` is a real one.
TOO_OLD = """#!/bin/sh
exec %s -c 'import sys; sys.version_info = (3, 9, 18); exec(sys.argv[1])' "$2"
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of what an installation reads, so that nothing here touches the real .venv."""
    folder = tmp_path / "a checkout"
    for name in [*SCAFFOLDING, "pyproject.toml", "LICENSE"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "README.md").touch()
    (folder / "mcp_workbench").mkdir()
    (folder / "mcp_workbench" / "__init__.py").touch()
    return folder


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def make(checkout, home):
    """Run make in the copy, with nothing of the make and the environment that these tests run in."""

    def run(*words, path="/usr/bin:/bin", **variables):
        return subprocess.run(
            [MAKE, "--no-print-directory", *words],
            cwd=checkout,
            env={"PATH": str(path), "HOME": str(home), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def installer(checkout):
    """The installer as a module; `ran` collects the commands that it would have run."""
    spec = importlib.util.spec_from_file_location("workbench_installer", checkout / ".ci" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ran = []
    module.output = ""

    def run(command, log, folder, environment=None):
        module.ran.append((command, environment))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(module.output)
        return not module.output

    module.run = run
    # There is an interpreter wherever an environment has been made.
    module.version_of = lambda python: sys.version if python.parents[1].exists() else None
    return module


def script(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return folder / name


def the_sentence(done):
    """What make's command said before make itself said that it failed."""
    assert done.returncode != 0
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make:")]
    assert "Traceback" not in done.stderr
    return said[-1]


def test_make_alone_says_what_there_is_to_make(make):
    said = make().stdout
    for target in ["lab", "test", "proof", "notebooks", "format", "renew", "clean"]:
        assert f"make {target} " in said


def test_a_python_that_is_too_old_is_one_sentence_with_the_way_out(make, tmp_path):
    script(tmp_path / "bin", "python3", TOO_OLD % sys.executable)
    done = make("lab", path=tmp_path / "bin")
    assert the_sentence(done) == (
        "Python 3.11 or newer is needed and only Python 3.9.18 was found: install one, "
        "or name it like this: make lab PYTHON=/path/to/python3."
    )
    assert done.stdout == ""


def test_real_old_pythons_are_passed_over_without_a_traceback(make, checkout):
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    old = [path for path in versions.glob("[23].*/bin/python") if re.match(r"2\.|3\.\d\.|3\.10\.", path.parts[-3])]
    if not old:
        pytest.skip("no Python older than 3.11 here")
    for python in old:
        assert f"only Python {python.parts[-3]} was found" in the_sentence(make("lab", f"PYTHON={python}"))
    (checkout / ".ci" / "install.py").write_text("import sys\nprint(sys.argv[1:])\n")
    done = make("lab", f"PYTHON={' '.join(map(str, old))} {sys.executable}")
    assert done.stdout == "['notebooks', '--this-python']\n"


def test_no_python_at_all_is_one_sentence_with_the_way_out(make, tmp_path):
    (tmp_path / "bin").mkdir()
    assert the_sentence(make("test", path=tmp_path / "bin")) == (
        "Python 3.11 or newer is needed and none was found: install one, "
        "or name it like this: make test PYTHON=/path/to/python3."
    )


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_a_python_without_venv_or_ensurepip_is_one_sentence_with_the_package_to_install(make, tmp_path, missing):
    # As on Debian without python3-venv: a module that is first on the path and cannot be imported.
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{missing}.py").write_text("raise ImportError\n")
    without = f'#!/bin/sh\nPYTHONPATH={tmp_path / "broken"} exec {sys.executable} "$@"\n'
    python = script(tmp_path / "bin", "python3", without)
    said = the_sentence(make("lab", path=python.parent))
    version = ".".join(map(str, sys.version_info[:3]))
    assert said == (
        f"python3 is Python {version} but cannot make environments (no venv or ensurepip): install it "
        "(Debian, Ubuntu: apt install python3-venv) and run the same command again."
    )


def test_a_suitable_python_is_found_behind_unsuitable_ones(make, checkout, tmp_path):
    (checkout / ".ci" / "install.py").write_text("import sys\nprint(sys.argv[1:])\n")
    script(tmp_path / "bin", "python3.13", "#!/bin/sh\nexit 127\n")
    script(tmp_path / "bin", "python3.12", TOO_OLD % sys.executable)
    script(tmp_path / "bin", "python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    assert "['notebooks']\n" in make("lab", path=tmp_path / "bin").stdout


def test_without_a_network_pip_fails_in_one_sentence_and_leaves_nothing_outside_the_checkout(make, checkout, home):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: it refuses at once
        done = make(
            "lab",
            f"PYTHON={sys.executable}",
            PIP_CONFIG_FILE="/dev/null",
            PIP_INDEX_URL=f"http://127.0.0.1:{closed.getsockname()[1]}/simple",
            PIP_RETRIES="0",
        )
    assert the_sentence(done) == (
        "pip could not reach its package registry: connect this machine to a network (or set the registry in pip's "
        "own configuration) and run the same command again; all it said is in .cache/logs/pip.log."
    )
    assert (checkout / ".cache" / "logs" / "pip.log").stat().st_size
    assert list(home.iterdir()) == []
    # pip had changed nothing, so the environment is kept for the next try.
    assert "unfinished" not in json.loads((checkout / ".venv" / "installed.json").read_text())


def test_a_second_installation_runs_nothing(installer, checkout):
    installer.install(checkout, {"notebooks"}, this_python=False)
    tools = [next(word for word in ("venv", "pip", "ci") if word in command) for command, _ in installer.ran]
    assert tools == ["venv", "pip", "ci"]
    installer.install(checkout, {"notebooks"}, this_python=False)
    assert len(installer.ran) == 3


def test_a_later_lab_keeps_what_the_tests_installed(installer, checkout):
    installer.install(checkout, {"notebooks", "dev"}, this_python=False)
    (checkout / "constraints.txt").write_text("\n")
    installer.ran.clear()
    installer.install(checkout, {"notebooks"}, this_python=False)
    ((command, _),) = installer.ran
    assert command[-1] == ".[dev,notebooks]"


def test_new_server_versions_are_installed_without_touching_the_python_packages(installer, checkout):
    installer.install(checkout, {"notebooks"}, this_python=False)
    (checkout / "data" / "reference_servers" / "package-lock.json").write_text("{}")
    installer.ran.clear()
    installer.install(checkout, {"notebooks"}, this_python=False)
    ((command, _),) = installer.ran
    assert command[1] == "ci"


@pytest.mark.parametrize("how", ["cut off", "moved", "another Python"])
def test_an_environment_that_cannot_be_trusted_is_made_anew(installer, checkout, how):
    installer.install(checkout, {"notebooks"}, this_python=False)
    stamp = checkout / ".venv" / "installed.json"
    known = json.loads(stamp.read_text())
    wrong = {
        "cut off": {"unfinished": True},
        "moved": {"path": "/somewhere/else"},
        "another Python": {"python": "3.11.0 (as it was)"},
    }
    stamp.write_text(json.dumps(known | wrong[how]))
    (checkout / ".venv" / "leftover").touch()
    installer.install(checkout, {"notebooks"}, this_python=False)
    assert not (checkout / ".venv" / "leftover").exists()
    assert json.loads(stamp.read_text()) == known


def test_a_failure_before_pip_changes_anything_keeps_a_working_environment(installer, checkout):
    installer.install(checkout, {"notebooks"}, this_python=False)
    before = (checkout / ".venv" / "installed.json").read_text()
    installer.output = "ERROR: No matching distribution found for hatchling (from versions: none)"
    with pytest.raises(installer.Stop, match="could not reach its package registry"):
        installer.install(checkout, {"notebooks", "dev"}, this_python=False)
    assert (checkout / ".venv" / "installed.json").read_text() == before


def test_a_failure_after_pip_began_to_change_things_is_repaired_by_the_next_run(installer, checkout):
    installer.install(checkout, {"notebooks"}, this_python=False)
    installer.output = "Installing collected packages: a, b\nERROR: No space left on device"
    with pytest.raises(installer.Stop, match=r"pip failed: read the end of \.cache/logs/pip\.log"):
        installer.install(checkout, {"notebooks", "dev"}, this_python=False)
    installer.output = ""
    installer.ran.clear()
    installer.install(checkout, {"notebooks"}, this_python=False)
    assert [command[2] for command, _ in installer.ran] == ["venv", "pip"]


def test_npm_finds_the_node_of_the_environment_first(installer, checkout):
    installer.install(checkout, {"notebooks"}, this_python=False)
    command, environment = installer.ran[-1]
    binaries = str(checkout / ".venv" / "bin")
    assert command[0] == f"{binaries}/npm"
    assert environment["PATH"].split(os.pathsep)[0] == binaries
    assert "--ignore-scripts" in command


def test_an_npm_that_reaches_nothing_is_one_sentence(installer, checkout):
    installer.make_environment(checkout, this_python=False)
    installer.output = "npm error code ECONNREFUSED"
    with pytest.raises(installer.Stop, match=r"^npm could not reach its package registry: .*\.cache/logs/npm\.log\.$"):
        installer.install_servers(checkout)
    installer.output = ""
    installer.install_servers(checkout)
    assert "servers" in json.loads((checkout / ".servers" / "installed.json").read_text())


def test_every_cache_and_setting_is_inside_the_checkout_and_home_stays(make, checkout, home):
    (checkout / "show.mk").write_text("include Makefile\nshow: ; @env\n")
    done = make("-f", "show.mk", "show", PYTHONPATH="/elsewhere")
    assert done.returncode == 0, done.stderr
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    inside = {
        "BREAKPAD_DUMP_LOCATION",
        "COVERAGE_FILE",
        "HYPOTHESIS_STORAGE_DIRECTORY",
        "IPYTHONDIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "MPLCONFIGDIR",
        "MYPY_CACHE_DIR",
        "NODE_COMPILE_CACHE",
        "PIP_CACHE_DIR",
        "RUFF_CACHE_DIR",
        "XDG_CACHE_HOME",
        "npm_config_cache",
    }
    assert {name for name, value in shown.items() if value.startswith(f"{checkout}/.cache/")} == inside
    assert shown["HOME"] == str(home)
    assert not {"TMPDIR", "PYTHONPATH", "XDG_CONFIG_HOME", "npm_config_userconfig"} & shown.keys()


def test_make_clean_removes_what_was_made_and_nothing_else(make, checkout):
    kept = sorted(path for path in checkout.rglob("*") if path.is_file())
    for name in [".venv/bin", ".servers/node_modules", ".cache/pip", "mcp_workbench/__pycache__", "build"]:
        (checkout / name).mkdir(parents=True)
        (checkout / name / "made").touch()
    done = make("clean")
    assert done.returncode == 0, done.stderr
    assert sorted(path for path in checkout.rglob("*") if path.is_file()) == kept
    assert not (checkout / ".venv").exists()


def test_one_test_is_run_without_the_other_checks(make):
    everything = make("test", "--dry-run").stdout
    assert "--cov=mcp_workbench" in everything
    assert "tests notebooks" in everything
    one = make("test", "ARGS=-k name", "--dry-run").stdout
    assert "tests notebooks -k name" in one
    assert "--cov" not in one
    assert "ruff" not in one
    assert "tests notebooks" not in make("test", "ARGS=tests/test_a.py", "--dry-run").stdout


def test_the_constraints_are_names_and_exact_versions_only():
    first, *lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert first.startswith("#")
    assert "make renew" in first
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+]*", line)] == []


def test_every_dependency_has_a_constraint_that_it_allows():
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    pinned = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(word for extra in project["optional-dependencies"].values() for word in extra)]
    for requirement in map(Requirement, asked):
        assert pinned.get(canonicalize_name(requirement.name), "no version") in requirement.specifier, requirement


def test_the_reference_servers_are_locked_at_exact_versions_without_addresses():
    folder = ROOT / "data" / "reference_servers"
    asked = json.loads((folder / "package.json").read_text())
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert asked["private"] is True
    assert packages.pop("")["dependencies"] == asked["dependencies"]
    for name in ["everything", "filesystem", "memory", "sequential-thinking"]:
        server = f"@modelcontextprotocol/server-{name}"
        assert packages[f"node_modules/{server}"]["version"] == asked["dependencies"][server]
    assert [name for name, package in packages.items() if "resolved" in package or "integrity" not in package] == []


@pytest.mark.parametrize("name", SCAFFOLDING)
def test_no_address_is_written_in(name):
    assert re.findall(r"\w+://[^\s\"']*", (ROOT / name).read_text()) == []


def test_git_ignores_every_folder_that_make_makes():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {".venv/", ".servers/", ".cache/", "__pycache__/", ".ipynb_checkpoints/"} <= set(ignored)


def test_ci_runs_make_test_and_nothing_after_it():
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"]).returncode == 0
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"


@pytest.mark.no_cover
def test_no_coverage_is_measured_in_a_test_that_is_marked_so() -> None:
    assert sys.gettrace() is None


@given(st.none())
def test_no_coverage_is_measured_in_a_test_that_draws_its_examples(nothing: None) -> None:
    assert sys.gettrace() is nothing
