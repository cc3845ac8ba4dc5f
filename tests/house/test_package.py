"""The house rules of the package: three layers, small files, one address for each name, and no torch where it has no
place."""

import ast
import importlib
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import rmlib
from tools import house_map

PACKAGE = Path(rmlib.__file__).parent
# Each room of the core may import only from rooms before it; practice from all of these; course from practice, too.
CORE = ["losses", "gradients", "files", "settings", "pairs", "rendering", "encoding", "model", "training", "evaluation"]
LAYERS = {**dict.fromkeys(CORE, "core"), "practice": "practice", "course": "course"}
ROOMS = ["rmlib.pairs", "rmlib.model", "rmlib.training", "rmlib.evaluation", "rmlib.practice.report",
         "rmlib.practice.command_line"]
DOOR = "practice.command_line"  # which alone may import from course, for the word `world`
MOST_LINES = {"core": 3_420, "practice": 3_750, "course": 8_600}


def module(path: Path) -> str:
    """The name of a file inside the package: "losses", "pairs.rows"; of a folder's __init__.py: "pairs"."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(path): path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE or path.stem in CORE}


def room(name: str) -> str:
    return name.partition(".")[0]


def imports(path: Path) -> set[tuple[str, str]]:
    """(module, name) of what a file imports from this package, anywhere in it; no name where a module is imported."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, and so easy to follow"
            found |= {(node.module, alias.name) for alias in node.names}
    return {each for each in found if each[0] == "rmlib" or each[0].startswith("rmlib.")}


def wrong_imports(name: str, found: set[tuple[str, str]]) -> list[str]:
    """Of what a file imports, what it may not: what stands above it, and what has another address."""
    wrong = []
    for source, what in found - {("rmlib", "COURSE"), ("rmlib", "__version__")}:
        other = (f"{source}.{what}" if source == "rmlib" else source).removeprefix("rmlib.")
        here, there = LAYERS[room(name)], LAYERS.get(room(other))
        if there is None:
            wrong.append(f"{other}: the eight names of the way in are for users")
        elif here == "core" != there or there == "course" != here and not f"{name}.".startswith(f"{DOOR}."):
            wrong.append(f"{other}: {there} stands above {here}")
        elif there == here == "core" and CORE.index(room(other)) > CORE.index(room(name)):
            wrong.append(f"{other}: {room(other)} stands above {room(name)}")
        for address in ROOMS:
            inside = f"rmlib.{name}.".startswith(f"{address}.")
            public = importlib.import_module(address).__all__
            if not inside and source.startswith(f"{address}.") and what in {"*", "", *public}:
                wrong.append(f"{source}.{what}: its address is {address}.{what}")
    return sorted(wrong)


def test_every_file_has_its_place():
    assert {room(name) for name in FILES} == set(LAYERS)
    assert {path.stem for path in PACKAGE.glob("*.py")} - set(CORE) == {"__init__", "__main__"}


@pytest.mark.parametrize("name", FILES)
def test_imports_go_down_only(name):
    assert wrong_imports(name, imports(FILES[name])) == []


@pytest.mark.parametrize("name, source, what, told", [
    ("pairs.rows", "rmlib.encoding", "encode", "encoding: encoding stands above pairs"),
    ("training.loop", "rmlib.evaluation", "evaluate", "evaluation: evaluation stands above training"),
    ("evaluation.summary", "rmlib.practice.bias", "slices", "practice.bias: practice stands above core"),
    ("model.saving", "rmlib.course.world", "World", "course.world: course stands above core"),
    ("practice.report.page", "rmlib.course.world", "World", "course.world: course stands above practice"),
    ("practice.command_line_too", "rmlib.course.world", "World", "course.world: course stands above practice"),
    ("practice.bias", "rmlib.pairs.rows", "PreferencePair", "its address is rmlib.pairs.PreferencePair"),
    ("practice.bias", "rmlib.pairs.rows", "*", "its address is rmlib.pairs.*"),
    ("practice.bias", "rmlib.pairs.rows", "", "its address is rmlib.pairs."),
    ("training.loop", "rmlib", "RewardModel", "the eight names of the way in are for users"),
    ("losses", "rmlib.files", "sha256", "files: files stands above losses"),
])
def test_an_import_upwards_is_named(name, source, what, told):
    [complaint] = wrong_imports(name, {(source, what)})
    assert complaint.endswith(told)


@pytest.mark.parametrize("name", FILES)
def test_a_file_can_be_read_in_one_sitting(name):
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250 or LAYERS[room(name)] == "course"
    assert not [number for number, line in enumerate(lines, 1) if len(line) > 120]


@pytest.mark.parametrize("layer", MOST_LINES)
def test_a_layer_stays_small(layer):
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for name, path in FILES.items()
                if LAYERS[room(name)] == layer)
    assert lines <= MOST_LINES[layer]


def test_no_two_public_things_of_core_and_practice_share_a_name():
    places = defaultdict(set)
    for name, path in FILES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body if LAYERS[room(name)] != "course" else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found = [node.name]
            else:  # whatever is assigned, in tuples too
                stored = [one for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
                found = [one.id for one in stored]
            for public in found:
                if not public.startswith("_"):
                    places[public].add(name)
    assert {public: where for public, where in places.items() if len(where) > 1} == {}


def test_the_map_shows_every_file_and_the_lines_that_are_counted_here(capsys):
    house_map.main()
    told = capsys.readouterr().out
    for name in MOST_LINES:
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for file, path in FILES.items()
                    if LAYERS[room(file)] == name)
        assert f"{name}: {lines:,} lines\n" in told
    shown = [line.split()[0] for line in told.splitlines() if re.match(r" +\w+\.py ", line)]
    assert sorted(shown) == sorted(path.name for path in PACKAGE.rglob("*.py"))


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent).stdout


def test_the_way_in_needs_one_import():
    names = ["RewardModel", "compute_pairwise_loss", "bradley_terry_loss", "PreferencePair", "read_pairs", "train",
             "TrainingConfig", "evaluate"]
    assert sorted(rmlib.__all__) == sorted(names)
    for name in names:
        assert getattr(rmlib, name).__name__ == name and name in dir(rmlib)
    with pytest.raises(AttributeError, match="no attribute 'tain'"):
        rmlib.tain  # noqa: B018


@pytest.mark.parametrize("code", [
    "import rmlib", "import rmlib.pairs, rmlib.course.world", "import rmlib; dir(rmlib); rmlib.PreferencePair",
    "import rmlib.__main__, contextlib, io\n"
    "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): rmlib.__main__.main(['--help'])",
])
def test_torch_is_loaded_where_it_is_used(code):
    loaded = set(python(f"{code}\nimport sys; print(*sys.modules)").split())
    assert "rmlib" in loaded and not {"torch", "transformers", "accelerate"} & loaded


def test_the_command_line_offers_what_the_core_takes():
    from rmlib.model import POOLINGS
    from rmlib.practice.command_line import arguments
    from rmlib.training import PRECISIONS

    assert (arguments._POOLINGS, arguments._PRECISIONS) == (POOLINGS, PRECISIONS)
