"""Is all here that the course needs, and new enough? Asked at every start of a notebook, before the first import.

It runs where nothing else is installed, and on a Python that is too old for the rest of the package.
"""

import re
import sys
from importlib.metadata import distributions, requires
from pathlib import Path

from rmlib import COURSE, __version__

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 14)


def floors() -> dict[str, str]:
    """The oldest version that will do of each library: from pyproject.toml in a clone, else from the installed course.

    Optional requirements (extras) are left out.
    """
    clone = Path(__file__).parents[2] / "pyproject.toml"
    if clone.exists() and COURSE in clone.read_text(encoding="utf-8"):
        text = clone.read_text(encoding="utf-8")
        lines = re.findall('"(.+?)"', re.search(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)[1])
    else:
        lines = [line for line in requires(COURSE) if ";" not in line]
    return dict(line.split(">=") for line in lines)


def release(version: str) -> list[int]:
    """[2, 11, 0] for "2.11.0+cpu"; a pre-release counts as the release."""
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]


def what_is_amiss() -> list[str]:
    """What is missing, what is too old, and the cure, a line each; or that Python itself is too old or too new."""
    python = sys.version_info[:2]
    if not OLDEST_PYTHON <= python <= NEWEST_PYTHON:
        here, oldest, newest = ("{}.{}".format(*each) for each in (python, OLDEST_PYTHON, NEWEST_PYTHON))
        return [f"This is Python {here}; the course needs {oldest} to {newest}."]
    needed = floors()
    here = {name: next((found.version for found in distributions(name=name)), None) for name in needed}
    missing = [name for name in needed if not here[name]]
    old = [name for name in needed if here[name] and release(here[name]) < release(needed[name])]
    told = ["Missing here: " + ", ".join(missing) + "."] if missing else []
    told += [f"Too old here: {name} {here[name]}; the course needs {needed[name]} or newer." for name in old]
    renew = " ".join(f'"{name}>={needed[name]}"' for name in missing + old)
    return told + ([f"What helps: %pip install {renew}, then restart the kernel."] if told else [])


def tell_what_is_amiss(notebook: str = __version__) -> None:
    """Print what `what_is_amiss` finds, and whether notebook and code are of two versions; nothing if all is well."""
    for line in what_is_amiss():
        print(line)
    if notebook != __version__:
        print(f"This notebook is of version {notebook} of the course, and its code, in {Path(__file__).parents[1]}, "
              f"of version {__version__}.\nWhat helps: in a clone, `git pull` and `make reset`; elsewhere %pip "
              f"uninstall -y {COURSE}, put the wheel of version {notebook} beside the notebook if the code came from "
              "one, restart the kernel, and run this cell again.")
