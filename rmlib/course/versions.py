"""Are the libraries that are here new enough? For machines like Colab, whose own versions the course never touches."""

from importlib.metadata import distributions, requires

from packaging.requirements import Requirement

from rmlib import COURSE


def too_old() -> list[str]:
    """A line for each library that is missing or older than the installed course requires.

    The floors stand in pyproject.toml and nowhere else. Optional requirements (extras) are not looked at.
    """
    lines = []
    for needed in map(Requirement, requires(COURSE)):
        here = next((found.version for found in distributions(name=needed.name)), None)
        if needed.marker is None and not needed.specifier.contains(here or "0", prereleases=True):
            lines.append(
                f"{needed.name} {here or '(missing)'} is here, the course needs {needed.specifier}. "
                f"To renew it yourself: %pip install -U {needed.name}, then restart the kernel."
            )
    return lines


def tell_old() -> None:
    """Print what `too_old` finds; nothing where all is well."""
    for line in too_old():
        print(line)
