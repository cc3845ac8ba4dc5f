"""The set-up cell, tried on an imitation of Colab, and the command that writes it and the badges."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from tools import colab

ROOT = Path(__file__).resolve().parents[1]
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
def elsewhere(tmp_path: Path) -> Colab:
    """A machine that is no Colab, with everything but rmlib."""
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


@pytest.fixture
def machine(elsewhere: Colab) -> Colab:
    """An imitation of Colab."""
    (elsewhere.packages / "google/colab").mkdir(parents=True)
    (elsewhere.packages / "google/colab/__init__.py").touch()
    return elsewhere


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


def test_a_repository_that_is_not_there_is_told(machine: Colab, github: dict[str, str]):
    done = machine.run_cell("owner/nowhere", **github)
    assert done.returncode == 1 and "RuntimeError" in done.stderr and "git clone" in done.stderr


def test_without_repo_or_wheel_two_lines_say_what_to_do(machine: Colab):
    done = machine.run_cell()
    *_, first, second = done.stderr.splitlines()
    assert done.returncode == 1 and first.startswith("ImportError: The course's code is not here")
    assert "upload the wheel that `make wheel` builds" in second and "set REPO" in second
    assert OURS not in machine.frozen()


def test_an_uploaded_wheel_is_installed_and_nothing_else(machine: Colab, wheel: Path):
    before = machine.frozen()
    shutil.copy(wheel, machine.content)
    done = machine.run_cell(then="import rmlib.world; print(rmlib.__file__)", PIP_NO_INDEX="1")
    assert done.returncode == 0, done.stderr
    assert str(machine.packages) in done.stdout
    assert machine.frozen() == before | {OURS: wheel.name.split("-")[1]}


def test_a_library_that_is_too_old_is_told_and_left_alone(machine: Colab, wheel: Path):
    preinstalled = Path((machine.packages / "preinstalled.pth").read_text().strip())
    facts = next(preinstalled.glob("transformers-*.dist-info"))
    facts.unlink()
    (preinstalled / "transformers-4.0.0.dist-info").mkdir()
    (preinstalled / "transformers-4.0.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: transformers\nVersion: 4.0.0\n")
    shutil.copy(wheel, machine.content)
    done = machine.run_cell(PIP_NO_INDEX="1")
    assert done.returncode == 0, done.stderr
    floor = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if '"transformers>=' in line)
    line, = done.stdout.splitlines()
    assert line.startswith(f"transformers 4.0.0 is here, the course needs {floor.strip()[13:-2]}.")
    assert machine.frozen()["transformers"] == "4.0.0"


def test_a_strangers_rmlib_is_told_apart(machine: Colab, wheel: Path):
    machine.install_stranger()
    shutil.copy(wheel, machine.content)
    done = machine.run_cell()
    assert done.returncode == 1
    assert f"{machine.packages}/rmlib/__init__.py is another project" in done.stderr
    assert "%pip uninstall -y rmlib" in done.stderr and OURS not in machine.frozen()
    assert machine.call("-m", "pip", "uninstall", "-y", "rmlib").returncode == 0
    assert machine.run_cell(then="import rmlib.world").returncode == 0


def test_in_a_clone_the_cell_finds_the_clones_code(elsewhere: Colab, tmp_path: Path):
    copy_sources(tmp_path)  # beside the working directory, as rmlib is beside notebooks/
    elsewhere.install_stranger()
    done = elsewhere.run_cell(then="import rmlib; print(rmlib.COURSE)")
    assert (done.stdout, done.stderr) == (f"{OURS}\n", "")
    assert OURS not in elsewhere.frozen()


def test_elsewhere_the_cell_installs_nothing(elsewhere: Colab, wheel: Path):
    shutil.copy(wheel, elsewhere.content)
    done = elsewhere.run_cell("owner/name")
    assert done.returncode == 1 and "`make lab`" in done.stderr
    assert OURS not in elsewhere.frozen()


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
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in [folder / "README.md", *(folder / "notebooks").glob("*.ipynb")]}


def write(folder: Path, repo: str, ref: str) -> None:
    for path, text in colab.changes(repo, ref, folder).items():
        path.write_text(text)


def test_readme_and_all_notebooks_agree_with_the_one_template():
    repo, ref = colab.written()
    assert [path.name for path in colab.changes(repo, ref)] == []


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


def test_each_badge_opens_its_own_notebook(course: Path):
    write(course, "our/course", "main")
    readme = (course / "README.md").read_text()
    for path in (course / "notebooks").glob("*.ipynb"):
        first = nbformat.read(path, as_version=4).cells[0].source
        assert first.endswith(f"/blob/main/notebooks/{path.name})") and first.splitlines()[-1] in readme


@pytest.mark.parametrize("repo", ["name", "https://github.com/owner/name", 'a/b"; import os #', "a/b/c", "owner/"])
def test_a_repo_that_is_no_owner_and_name_is_refused(repo: str, capsys: pytest.CaptureFixture):
    assert colab.main(["--repo", repo]) == 2
    assert "REPO must be owner/name" in capsys.readouterr().err


def test_a_notebook_without_the_cell_is_named(course: Path):
    stray = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(stray, course / "notebooks/99_stray.ipynb")
    with pytest.raises(ValueError, match="99_stray.ipynb must have one code cell tagged"):
        colab.changes("owner/name", "main", course)
