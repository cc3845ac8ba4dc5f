"""Run notebooks as Colab would, with the versions of tools/colab-versions.txt: `make test-colab [ONLY="00 03"]`.

An environment of its own, build/colab/venv, has just those versions, a stand-in for google.colab, and nothing of the
course. The notebooks lie alone with the course's wheel, as after an upload; the set-up cell installs it. Afterwards
every version has to be what it was. The environment is kept for the next time.

Python is Colab's where there is one that torch without CUDA can be had for; torch is the oldest such build that is not
older than Colab's. What differs from Colab is told.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ROOT / "tools" / "colab-versions.txt"
FOLDER = ROOT / "build" / "colab"
COURSE = "reward-models-from-first-principles"

# Runs there, where only Colab's packages are: executes a notebook, and says what is wrong with its outputs.
RUN = """
import sys, nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
path, view = sys.argv[1], "application/vnd.jupyter.widget-view+json"
notebook = nbformat.read(path, as_version=4)
try:
    NotebookClient(notebook, kernel_name="python3").execute()
except CellExecutionError as error:
    sys.exit(str(error))
cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
sliders = sum(line.startswith("explore(") for cell in cells for line in cell.source.splitlines())
outputs = [output for cell in cells for output in cell.outputs]
if warnings := "".join(output.text for output in outputs if output.get("name") == "stderr"):
    sys.exit(f"standard error: {warnings}")
if sliders > (live := sum(view in output.get("data", {}) for output in outputs)):
    sys.exit(f"{sliders} calls of explore showed {live} widgets")
"""


def call(*command: object, **options: object) -> str:
    """What the command prints; SystemExit with what it says where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def pythons(version: str) -> list[str]:
    """The first Python of this version that works, by its name or from pyenv, and the one that runs this."""
    for path in [f"python{version}", *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]:
        if shutil.which(path) and not subprocess.run([path, "-c", "import ensurepip"], capture_output=True).returncode:
            return [str(path), sys.executable]
    return [sys.executable]


def numbers(version: str) -> list[int]:
    """[2, 11, 0] for "2.11.0+cpu"."""
    return [int(number) for number in version.partition("+")[0].split(".")]


def torch_without_cuda(python: str, oldest: str) -> str | None:
    """The oldest build of torch, from this version on, that pip offers to this Python without CUDA, or None."""
    build = r"[\d.]+\+cpu" if sys.platform == "linux" else r"[\d.]+(?=,|\n)"  # elsewhere none has CUDA
    offered = re.findall(build, call(python, "-m", "pip", "index", "versions", "torch"))
    return min((each for each in offered if numbers(each) >= numbers(oldest)), key=numbers, default=None)


def environment(text: str) -> Path:
    """The Python of an environment that has the versions of this list, made anew where the list has changed."""
    wanted, theirs = re.search(r"Python (3\.\d+)", text)[1], re.search(r"^torch==([\d.]+)\S*$", text, re.MULTILINE)
    found = ((python, torch_without_cuda(python, theirs[1])) for python in pythons(wanted))
    python, torch = next(((python, torch) for python, torch in found if torch), (None, None))
    if python is None:
        raise SystemExit(f'no build of torch >= {theirs[1]} without CUDA is offered; see "CPU or GPU" in README.md')
    here = call(python, "-c", "import sys; print(*sys.version_info[:2], sep='.')").strip()
    print(f"Python {here} (Colab: {wanted}), torch {torch} ({theirs[0].removeprefix('torch==')})", flush=True)
    packages, venv = text.replace(theirs[0], f"torch=={torch}"), FOLDER / "venv"
    made, stamp = venv / "bin" / "python", f"# {here}\n{packages}"
    if not (venv / "versions.txt").exists() or (venv / "versions.txt").read_text(encoding="utf-8") != stamp:
        shutil.rmtree(venv, ignore_errors=True)
        print(f"installing {packages.count('==')} packages and what they need in {venv}", flush=True)
        call(python, "-m", "venv", venv)
        (FOLDER / "requirements.txt").write_text(packages, encoding="utf-8")
        call(made, "-m", "pip", "install", "--no-compile", "-r", FOLDER / "requirements.txt")
        site_packages = call(made, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        stand_in = Path(site_packages, "google", "colab")
        stand_in.mkdir(parents=True)
        (stand_in / "__init__.py").touch()
        (venv / "versions.txt").write_text(stamp, encoding="utf-8")
    return made


def run(python: Path, notebook: Path, home: dict[str, str]) -> str | None:
    """Execute one notebook in its folder, and tell how it went; the error, where there was one."""
    started = time.perf_counter()
    command = [str(python), "-c", RUN, notebook.name]
    done = subprocess.run(command, cwd=notebook.parent, env=home, capture_output=True, text=True)
    told = "failed" if done.returncode else "ok"
    print(f"{notebook.name}: {told}, {time.perf_counter() - started:.0f} s", flush=True)
    return f"{notebook.name}: {done.stderr[-3000:]}" if done.returncode else None


def main(arguments: list[str] | None = None) -> int:
    """Try the notebooks; exit code 1 where one failed or a version was touched."""
    parser = argparse.ArgumentParser(description="Run notebooks as Colab would, with the versions it publishes.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("notebooks", nargs="*", metavar="NN", help="the numbers of the notebooks to run, or all")
    options = parser.parse_args(arguments)
    content = FOLDER / "content"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir(parents=True)
    python = environment(VERSIONS.read_text(encoding="utf-8"))
    shutil.copy(options.wheel, content)
    for number in options.notebooks or [""]:
        for pattern in (f"{number}*.ipynb", f"side/{number}*.ipynb"):
            for path in (ROOT / "notebooks").glob(pattern):
                shutil.copy(path, content)
    notebooks = sorted(content.glob("*.ipynb"))
    if len(notebooks) < max(1, len(options.notebooks)):
        parser.error(f"no such notebook among {' '.join(options.notebooks)}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RMLIB_", "PYTHON"))}
    home = {**kept, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    call(python, "-m", "pip", "uninstall", "-y", COURSE)
    before = call(python, "-m", "pip", "freeze", "--all").splitlines()
    wrong = [error for error in (run(python, notebook, home) for notebook in notebooks) if error]
    after = [line for line in call(python, "-m", "pip", "freeze", "--all").splitlines() if not line.startswith(COURSE)]
    touched = sorted(set(before) ^ set(after))
    wrong += [f"versions were touched: {' '.join(touched)}"] if touched else []
    print("\n".join([*wrong, f"{len(notebooks)} notebooks, {len(after)} packages: {'wrong' if wrong else 'all well'}"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
