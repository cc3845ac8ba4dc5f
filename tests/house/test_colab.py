"""The set-up cell, tried on a Python without the course, and the command that writes it and the badges."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import pytest
from places import ROOT

import rmlib
from rmlib.course import versions
from tools import colab

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "rmlib")
OURS = "reward-models-from-first-principles"
NOT_THERE_BEFORE = ("rmlib", "reward_models", "__editable__")


LIST_INSTALLED = """
import importlib.metadata, json
print(json.dumps({found.name: found.version for found in importlib.metadata.distributions()}))
"""


@dataclass(frozen=True)
class Colab:
    """A Python of its own that has this one's packages but not rmlib, and an empty working directory."""

    python: Path
    packages: Path
    content: Path
    environment: dict[str, str]

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        variables = {**self.environment, **environment}
        command = [self.python, *arguments]
        return subprocess.run(command, cwd=self.content, env=variables, capture_output=True, text=True)

    def run_cell(self, repo: str = "", then: str = "", **environment: str) -> subprocess.CompletedProcess:
        """Run the set-up cell, and after it the statement `then`."""
        return self.call("-c", f"{colab.cell_source(repo, 'main')}\n{then}", **environment)

    def frozen(self) -> dict[str, str]:
        """Name and version of all that is installed here."""
        return json.loads(self.call("-c", LIST_INSTALLED).stdout)

    def without(self, *names: str) -> None:
        """Take libraries away, with what pip knows of them."""
        preinstalled = Path((self.packages / "preinstalled.pth").read_text().strip())
        for name in names:
            for path in [*preinstalled.glob(f"{name}-*.dist-info"), preinstalled / name]:
                path.unlink()

    def replace(self, name: str, version: str) -> None:
        """Have pip know a library by another version."""
        preinstalled = Path((self.packages / "preinstalled.pth").read_text().strip())
        next(preinstalled.glob(f"{name}-*.dist-info")).unlink()
        facts = preinstalled / f"{name}-{version}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def install_stranger(self) -> None:
        """What the unrelated project called rmlib would leave behind."""
        (self.packages / "rmlib").mkdir()
        (self.packages / "rmlib/__init__.py").write_text('"""Another project."""\n')
        facts = self.packages / "rmlib-9.9.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: rmlib\nVersion: 9.9\n")
        (facts / "INSTALLER").write_text("pip\n")
        (facts / "RECORD").write_text("rmlib/__init__.py,,\n" + "".join(
            f"{facts.name}/{name},,\n" for name in ("METADATA", "INSTALLER", "RECORD")))


@pytest.fixture
def machine(tmp_path: Path) -> Colab:
    """One with everything but rmlib, as on Colab."""
    home = tmp_path / "machine"
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    shared = tmp_path / "preinstalled"  # links, since torch is large
    shared.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(NOT_THERE_BEFORE):
            (shared / path.name).symlink_to(path)
    (packages / "preinstalled.pth").write_text(f"{shared}\n")
    content = tmp_path / "content"
    content.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return Colab(home / "bin" / "python", packages, content, environment)


def copy_sources(folder: Path) -> Path:
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course's wheel, built without a network."""
    folder = copy_sources(tmp_path_factory.mktemp("sources"))
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", "dist"]
    done = subprocess.run([*pip, "."], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture
def github(tmp_path: Path) -> dict[str, str]:
    """Variables with which git finds owner/name of GitHub in a local repository that holds these sources."""
    if not shutil.which("git"):
        pytest.skip("no git on PATH, which Colab has: install it to try the way from GitHub")
    folder = tmp_path / "github/owner/name"
    folder.mkdir(parents=True)
    copy_sources(folder)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "sources"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{(tmp_path / 'github').as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this 0 as "no isolation": the build then needs no network
    }


# --- the cell ------------------------------------------------------------------------------------------------------

RUN_NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, kernel_name="python3").execute()
"""


@pytest.mark.real  # it takes a minute or more
def test_notebook_00_runs_on_colab_from_the_repository(machine: Colab, github: dict[str, str], tmp_path: Path):
    assert "No module named 'rmlib'" in machine.call("-c", "import rmlib").stderr
    before = machine.frozen()
    assert {"torch", "numpy", "transformers", "ipykernel"} <= set(before) and OURS not in before
    notebook = nbformat.read(ROOT / "notebooks/00_start_here.ipynb", as_version=4)
    cell = colab.setup_cell(notebook, Path("00"))
    cell.source = colab.cell_source("owner/name", "main")
    again = nbformat.v4.new_code_cell(cell.source + "\nassert not importlib.util.find_spec('rmlib') is None")
    notebook.cells.insert(notebook.cells.index(cell) + 1, again)
    nbformat.write(notebook, machine.content / "00.ipynb")
    done = machine.call("-c", RUN_NOTEBOOK, "00.ipynb", **github)
    assert done.returncode == 0, done.stderr
    after = machine.frozen()
    assert after.pop(OURS) and after == before


def test_the_cell_fetches_once_and_is_silent_when_the_code_is_at_hand(machine: Colab, github: dict[str, str]):
    first = machine.run_cell("owner/name", "import rmlib; print(rmlib.__file__)", **github)
    assert first.returncode == 0, first.stderr
    assert Path(first.stdout.strip()) == machine.packages / "rmlib/__init__.py"
    unreachable = {"GIT_CONFIG_COUNT": "0", "PIP_NO_INDEX": "1", "https_proxy": "http://localhost:9"}
    second = machine.run_cell("owner/name", **unreachable)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def last_lines(done: subprocess.CompletedProcess) -> str:
    """The error's own words, below the traceback."""
    assert done.returncode == 1
    return done.stderr[done.stderr.rindex("\nImportError: "):]


def test_a_repository_that_is_not_there_is_told_in_words_and_then_in_gits(machine: Colab, github: dict[str, str]):
    told = last_lines(machine.run_cell("owner/nowhere", **github)).strip().splitlines()
    assert told[0].startswith("ImportError: Installing git+https://github.com/owner/nowhere@main failed. Is there")
    assert told[1].startswith("Else put the wheel")
    assert told[2].startswith("pip says: fatal: ") and len(told) == 3
    assert OURS not in machine.frozen()


def test_a_branch_that_is_not_there_is_told(machine: Colab, github: dict[str, str]):
    cell = colab.cell_source("owner/name", "no-such-branch")
    assert "pip says: " in last_lines(machine.call("-c", cell, **github))


def test_without_repo_or_wheel_two_lines_say_what_to_do(machine: Colab):
    told = last_lines(machine.run_cell())
    assert "The course's code is not here" in told and "`make lab`" in told and "`make wheel`" in told
    assert len(told.strip().splitlines()) == 2
    assert OURS not in machine.frozen()


def test_a_wheel_beside_the_notebook_is_installed_and_nothing_else(machine: Colab, wheel: Path):
    before = machine.frozen()
    shutil.copy(wheel, machine.content)
    done = machine.run_cell(then="import rmlib.course.world; print(rmlib.__file__)", PIP_NO_INDEX="1")
    assert done.returncode == 0, done.stderr
    assert str(machine.packages) in done.stdout and len(done.stdout.splitlines()) == 1
    assert machine.frozen() == before | {OURS: wheel.name.split("-")[1]}


@pytest.mark.parametrize("ending", [" (1).whl", "-2.whl"])
def test_the_newest_wheel_is_taken_by_whatever_name_a_browser_gave_it(machine: Colab, wheel: Path, ending: str):
    older = machine.content / wheel.name
    older.write_text("half a wheel")
    os.utime(older, (0, 0))
    shutil.copy(wheel, machine.content / f"{wheel.stem}{ending}")
    done = machine.run_cell(then="import rmlib; print(rmlib.COURSE)", PIP_NO_INDEX="1")
    assert (done.stdout, done.stderr) == (f"{OURS}\n", "")


def test_a_broken_wheel_is_told(machine: Colab, wheel: Path):
    (machine.content / wheel.name).write_bytes(wheel.read_bytes()[:1000])
    told = last_lines(machine.run_cell())
    assert f"{wheel.name} failed. Is the file whole?" in told and "pip says: ERROR: " in told
    assert OURS not in machine.frozen()


def floor(name: str) -> str:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    return next(line for line in lines if line.strip().startswith(f'"{name}>=')).strip().rstrip(",")


def test_a_library_that_is_too_old_is_told_at_every_start_and_left_alone(machine: Colab, wheel: Path):
    machine.replace("transformers", "4.0.0")
    shutil.copy(wheel, machine.content)
    for done in (machine.run_cell(PIP_NO_INDEX="1"), machine.run_cell(PIP_NO_INDEX="1")):
        assert done.returncode == 0, done.stderr
        old, cure = done.stdout.splitlines()
        assert old.startswith("Too old here: transformers 4.0.0; the course needs 5.")
        assert f"%pip install {floor('transformers')}, then restart the kernel" in cure
    assert machine.frozen()["transformers"] == "4.0.0"


def test_missing_libraries_are_told_before_an_import_fails_and_without_them(machine: Colab, tmp_path: Path):
    copy_sources(tmp_path)  # a clone, opened in a Jupyter of the reader's own
    machine.without("torch", "numpy", "packaging", "transformers")
    done = machine.run_cell(then="import rmlib.course.world")
    told, cure = done.stdout.splitlines()
    assert told == "Missing here: torch, transformers, numpy."
    assert f"%pip install {floor('torch')} {floor('transformers')} {floor('numpy')}, then" in cure
    assert "No module named" in done.stderr


def test_a_strangers_rmlib_is_told_apart(machine: Colab, wheel: Path):
    machine.install_stranger()
    shutil.copy(wheel, machine.content)
    done = machine.run_cell()
    assert done.returncode == 1
    assert f"{machine.packages}/rmlib/__init__.py is another project" in done.stderr
    assert "%pip uninstall -y rmlib" in done.stderr and OURS not in machine.frozen()
    assert machine.call("-m", "pip", "uninstall", "-y", "rmlib").returncode == 0
    assert machine.run_cell(then="import rmlib.course.world").returncode == 0


def deeper(folder: Path, depth: int) -> Path:
    for _ in range(depth):
        folder = folder / "side"
        folder.mkdir()
    return folder


@pytest.mark.parametrize("depth", [0, 1, 2])  # notebooks/, notebooks/side/, build/student/side/
def test_in_a_clone_the_cell_finds_the_clones_code(machine: Colab, tmp_path: Path, depth: int):
    copy_sources(tmp_path)  # above the working directory, as rmlib is beside notebooks/ and above notebooks/side/
    machine.install_stranger()
    machine = replace(machine, content=deeper(machine.content, depth))
    done = machine.run_cell(then="import rmlib; print(rmlib.COURSE)")
    assert (done.stdout, done.stderr) == (f"{OURS}\n", "")
    assert OURS not in machine.frozen()


@pytest.mark.parametrize(("version", "fits"), [("4.9", False), ("5.14.9", False), ("5.15", True), ("5.15.0.dev0", True),
                                              ("5.15.0+cpu", True), ("5.100", True), ("6", True)])
def test_versions_are_compared_as_numbers(version: str, fits: bool):
    assert (versions.release(version) >= versions.release("5.15")) == fits


@pytest.mark.parametrize(("python", "told"), [
    ((3, 10, 14), "3.10"), ((3, 15, 0), "3.15"), ((3, 11), ""), ((3, 14, 9), ""),
])
def test_a_python_that_is_too_old_or_too_new_is_told(monkeypatch: pytest.MonkeyPatch, python: tuple, told: str):
    monkeypatch.setattr(sys, "version_info", python)
    expected = [f"This is Python {told}; the course needs 3.11 to 3.14."] if told else []
    assert versions.what_is_amiss() == expected


def test_the_floors_of_a_clone_and_of_the_wheel_are_those_of_pyproject(machine: Colab, wheel: Path):
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert versions.floors() == dict(line.split(">=") for line in stated)
    shutil.copy(wheel, machine.content)
    done = machine.run_cell(then="from rmlib.course.versions import floors; print(floors())")
    assert done.stdout == f"{versions.floors()}\n"


def test_the_wheel_holds_the_package_with_its_assets_and_nothing_else(wheel: Path):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rmlib").rglob("*") if path.is_file()}
    assert packed == {name for name in here if "__pycache__" not in name}
    assert "rmlib/assets/facts.json" in packed


# --- make colab ----------------------------------------------------------------------------------------------------

@pytest.fixture
def course(tmp_path: Path) -> Path:
    """README and the notebooks, to write to."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "notebooks/side").mkdir(exist_ok=True)
    shutil.copy(ROOT / "notebooks/00_start_here.ipynb", tmp_path / "notebooks/side/more.ipynb")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in [folder / "README.md", *(folder / "notebooks").rglob("*.ipynb")]}


def write(folder: Path, repo: str, ref: str) -> None:
    for path, text in colab.changes(repo, ref, folder).items():
        path.write_text(text)


def test_readme_and_all_notebooks_agree_with_the_one_template():
    repo, ref = colab.written()
    assert [path.name for path in colab.changes(repo, ref)] == []


def test_the_cell_is_folded_in_jupyterlab_and_on_colab_under_a_title(course: Path):
    path = course / "notebooks/00_start_here.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for key in ("jupyter", "cellView"):
        colab.setup_cell(notebook, path).metadata.pop(key, None)
    nbformat.write(notebook, path)
    write(course, *colab.written())
    cell = colab.setup_cell(nbformat.read(path, as_version=4), path)
    assert cell.metadata["jupyter"] == {"source_hidden": True} and cell.metadata["cellView"] == "form"
    assert cell.source.startswith("#@title Set-up")


def test_repo_reaches_every_file_and_an_empty_repo_undoes_it(course: Path):
    write(course, "", "main")
    before = contents(course)
    write(course, "our/course", "v1.0")
    assert colab.changes("our/course", "v1.0", course) == {}
    assert colab.written(course) == ("our/course", "v1.0")
    for path, text in contents(course).items():
        assert text != before[path]
        assert "colab.research.google.com/github/our/course/blob/v1.0/notebooks/" in text
    write(course, "new/home", "main")
    assert not [path for path, text in contents(course).items() if "our/course" in text or text.count("badge.svg") < 1]
    write(course, "", "main")
    assert contents(course) == before


def test_a_version_has_a_tag_and_the_cell_knows_its_own(monkeypatch):
    asked = []
    monkeypatch.setattr(colab, "changes", lambda *given: asked.append(given) or {})
    assert colab.main(["--repo", "owner/name"]) == colab.main(["--repo", "owner/name", "--ref", "main"]) == 0
    assert asked == [("owner/name", f"v{rmlib.__version__}"), ("owner/name", "main")]
    assert f'tell_what_is_amiss(notebook="{rmlib.__version__}")' in colab.cell_source("", "main")


def test_every_place_has_the_same_version():
    version = rmlib.__version__
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1] == version
    assert colab.changes(*colab.written()) == {}  # the notebooks' set-up cells, too


def test_notebook_and_code_of_two_versions_are_told(capsys):
    versions.tell_what_is_amiss(notebook=rmlib.__version__)
    assert "version" not in capsys.readouterr().out
    versions.tell_what_is_amiss(notebook="0.0.9")
    told = capsys.readouterr().out
    assert "This notebook is of version 0.0.9" in told and f"of version {rmlib.__version__}" in told
    assert "`make reset`" in told and "%pip uninstall -y reward-models-from-first-principles" in told


def test_each_badge_opens_its_own_notebook(course: Path):
    write(course, "our/course", "main")
    readme = (course / "README.md").read_text()
    for path in (course / "notebooks").rglob("*.ipynb"):
        first = nbformat.read(path, as_version=4).cells[0].source
        place = path.relative_to(course).as_posix()
        assert first.endswith(f"/blob/main/{place})") and first.splitlines()[-1] in readme
    assert (course / "notebooks/side/more.ipynb").exists()


@pytest.mark.parametrize("repo", ["name", "https://github.com/owner/name", 'a/b"; import os #', "a/b/c", "owner/"])
def test_a_repo_that_is_no_owner_and_name_is_refused(repo: str, capsys: pytest.CaptureFixture):
    assert colab.main(["--repo", repo]) == 2
    assert "REPO must be owner/name" in capsys.readouterr().err


def test_a_notebook_without_the_cell_is_named(course: Path):
    stray = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(stray, course / "notebooks/99_stray.ipynb")
    with pytest.raises(ValueError, match="99_stray.ipynb must have one code cell tagged"):
        colab.changes("owner/name", "main", course)
