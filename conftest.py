"""How notebooks are tested: nbval runs each cell, and this file says when its output still is what was stored.

Words and integers have to be the same. A float may differ from the stored one by atol + rtol x |stored|, or by one
in its last printed digit where that digit is worth at most 1% of it: 0.616 for 0.617, but not 0.7 for 0.8. A cell
that needs more room says so in its metadata: {"rmlib": {"rtol": 0.05, "atol": 0.001}}, either or both.
Spaces are not compared, lines are. Widgets are left out, as in what is stored.

Pictures are held against the stored ones in order: the same size, and at most 0.03% of the pixels look different. A
figure of rounding noise, or of a trained model's numbers, differs more between CPUs, so its cell states its own share:
{"rmlib": {"picture": 0.002}}. Another version of matplotlib than the one in constraints.txt draws other pixels; there
pictures are only counted.

After its last cell a notebook NN runs its guards: each function `test_...` of tests/notebooks/NN.py, in the notebook's
own kernel and namespace; notebooks/side/name.ipynb runs those of tests/notebooks/side/name.py. They hold what no
comparison with stored outputs can see, such as sliders that are moved.

Inputs that are drawn at random are the same in every run, so that luck has no say in what is told of a change;
RMLIB_DRAW_AFRESH=1 draws others.
"""

import ast
import base64
import io
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

import hypothesis
import nbformat
import numpy as np
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image

if os.environ.get("RMLIB_DRAW_AFRESH") != "1":
    hypothesis.settings.register_profile("same", derandomize=True, database=None)
    hypothesis.settings.load_profile("same")

ROOT = Path(__file__).resolve().parent
DEFAULT_TOLERANCE = {"rtol": 1e-3, "atol": 1e-12}
DEFAULT_PICTURE = 0.0003  # of its pixels
LAST_DIGIT_SHARE = 0.01
SEEN = 32  # of 255: a smaller difference in red, green or blue could be the palette's
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
OUTPUT_TIMEOUT = 60  # seconds; nbval's own 5 are too few on a busy machine

FLOAT = re.compile(r"(?<![\w.])[+-]?(?:\d*\.\d+(?:[eE][+-]?\d+)?(?!\.?\d)|\d+[eE][+-]?\d+(?!\w))")
OTHER = re.compile(r"\w+|\n|[^\w\s]")


def tokens(text: str) -> Iterator[str]:
    """The floats, words, integers, signs and line ends of a text, in order."""
    position = 0
    while position < len(text):
        match = FLOAT.match(text, position) or OTHER.match(text, position)
        if match:
            yield match.group()
        position = match.end() if match else position + 1


def last_digit(number: str) -> float:
    """What a one in the last printed digit is worth: 0.01 for '3.14', 1e-5 for '2.71e-3'."""
    digits, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


def close(stored: str, new: str, rtol: float, atol: float) -> bool:
    """Whether two tokens say the same: equal, or floats within the tolerance."""
    if stored == new:
        return True
    if not (FLOAT.fullmatch(stored) and FLOAT.fullmatch(new)):
        return False
    size, difference = abs(float(stored)), abs(float(stored) - float(new))
    unit = max(last_digit(stored), last_digit(new))
    rounding = unit * (1 + 1e-9) if unit <= LAST_DIGIT_SHARE * size else 0.0
    return difference <= max(atol + rtol * size, rounding)


def first_difference(stored: str, new: str, rtol: float, atol: float) -> str | None:
    """What the first two tokens that differ are, or None where the texts agree."""
    for old_token, new_token in zip_longest(tokens(stored), tokens(new), fillvalue=""):
        if not close(old_token, new_token, rtol, atol):
            return f"first difference: stored {old_token!r}, now {new_token!r} (rtol {rtol:g}, atol {atol:g})"
    return None


def only_a_widget(output: dict) -> bool:
    """Whether an output shows a live widget and nothing that a stored notebook could keep."""
    data = output.get("data", {})
    return WIDGET_VIEW in data and set(data) <= {WIDGET_VIEW, "text/plain"}


def pictures(outputs: list[dict]) -> list[str]:
    """The PNGs of a cell's outputs, each as a notebook keeps it: in base64."""
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def pixels(picture: str) -> np.ndarray:
    """What is seen of a PNG in base64: (height, width, 3) int16, red, green and blue from 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB"), dtype=np.int16)


def changed_picture(stored: str, new: str, most: float) -> str | None:
    """How two pictures differ where not more than a share `most` of their pixels may, or None where they look alike."""
    before, after = pixels(stored), pixels(new)
    if before.shape != after.shape:
        (height, width), (old_height, old_width) = after.shape[:2], before.shape[:2]
        return f"has {width} x {height} pixels, stored were {old_width} x {old_height}"
    share = (abs(before - after) > SEEN).any(axis=2).mean()
    return f"differs in {share:.3%} of its pixels, at most {most:.3%} may" if share > most else None


def drawn_by_the_pinned_matplotlib() -> bool:
    """Whether constraints.txt names the installed matplotlib, which drew the stored pictures."""
    return f"matplotlib=={version('matplotlib')}" in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()


class Text(str):
    """An output's text; two are equal where no token differs by more than the cell's tolerance."""

    tolerance: dict[str, float]

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, str) or first_difference(self, other, **self.tolerance) is not None

    def __eq__(self, other: object) -> bool:
        return not self != other

    __hash__ = None


class Cell(IPyNbCell):
    """A code cell that nbval runs, held against its stored outputs by this file's rules."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.output_timeout = OUTPUT_TIMEOUT
        wanted = self.cell.metadata.get("rmlib", {})
        self.tolerance = {key: float(wanted.get(key, default)) for key, default in DEFAULT_TOLERANCE.items()}
        self.most_pixels = float(wanted.get("picture", DEFAULT_PICTURE))

    def setup(self) -> None:
        if self.parent.timed_out:
            pytest.skip("an earlier cell of this notebook ran out of time")

    def runtest(self) -> None:
        # nbval would run the cell and compare nothing.
        if self.cell.execution_count is None and not self.options["skip"]:
            self.raise_cell_error("The stored cell was never run (its execution count is null): make run REFRESH=1")
        super().runtest()

    def sanitize(self, s: object) -> object:
        """Called by nbval on every value before it compares: texts become tolerant ones."""
        if not isinstance(s, str):
            return s
        text = Text(super().sanitize(s))
        text.tolerance = self.tolerance
        return text

    def compare_outputs(self, test: list, ref: list, skip_compare: tuple | None = None) -> bool:
        test = [output for output in test if not only_a_widget(output)]
        if not super().compare_outputs(test, ref, skip_compare):
            return False
        complaint = self.compare_pictures(pictures(ref), pictures(test))
        self.comparison_traceback += [complaint] if complaint else []
        return complaint is None

    def compare_pictures(self, stored: list[str], new: list[str]) -> str | None:
        """What is wrong with the first picture that changed, or with how many there are; None where nothing is."""
        if len(stored) != len(new):
            return f"{len(stored)} pictures were stored, now there are {len(new)}"
        if not drawn_by_the_pinned_matplotlib():
            return None
        for number, (before, after) in enumerate(zip(stored, new, strict=True), start=1):
            if change := changed_picture(before, after, self.most_pixels):
                advice = "make run REFRESH=1 stores the new one if it is meant"
                return f"picture {number} of {len(new)} of this cell {change}: {advice}"
        return None

    def format_output_compare(self, key: str, left: object, right: object) -> None:
        super().format_output_compare(key, left, right)
        if isinstance(left, str) and isinstance(right, str):
            self.comparison_traceback.append(first_difference(left, right, **self.tolerance))


def guards(notebook: Path) -> Iterator[tuple[str, str]]:
    """The name of each guard of a notebook, and the code that runs it."""
    if notebook.parent.name == "side":
        file = notebook.parents[2] / "tests" / "notebooks" / "side" / f"{notebook.stem}.py"
    else:
        file = notebook.parents[1] / "tests" / "notebooks" / f"{notebook.name[:2]}.py"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    names = [each.name for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
    for name in (name for name in names if name.startswith("test_")):
        yield name, f"exec(compile({text!r}, {str(file)!r}, 'exec'))\n{name}()"


class Notebook(IPyNbFile):
    """A notebook whose kernel sees this copy of rmlib, the quick profile, no network for models, and no labels."""

    def collect(self) -> Iterator[Cell]:
        number = 0
        for cell in super().collect():
            number = cell.cell_num + 1
            yield Cell.from_parent(
                self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options
            )
        for name, source in guards(self.path):
            cell = nbformat.v4.new_code_cell(source, execution_count=number)
            yield Cell.from_parent(self, name=name, cell_num=number, cell=cell, options=defaultdict(bool, check=True))

    def setup(self) -> None:
        with pytest.MonkeyPatch.context() as environment:
            for knob in ("RMLIB_PROFILE", "RMLIB_BACKBONE", "RMLIB_PAIRS"):
                environment.delenv(knob, raising=False)
            self.labels = tempfile.TemporaryDirectory()  # a reader's own labels would change what notebooks print
            environment.setenv("RMLIB_LABELS", str(Path(self.labels.name) / "labels.jsonl"))
            environment.setenv("HF_HUB_OFFLINE", "1")
            environment.setenv("CUDA_VISIBLE_DEVICES", "")  # stored outputs are a CPU's
            environment.setenv("RMLIB_STRICT_EXERCISES", "1")  # a wrong answer stops the cell
            environment.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
            super().setup()

    def teardown(self) -> None:
        super().teardown()
        self.labels.cleanup()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector):
    collected = yield
    return [Notebook.from_parent(parent, path=file_path) if type(node) is IPyNbFile else node for node in collected]
