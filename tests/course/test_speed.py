"""The full profile's section of notebook 06, on a tiny backbone and made-up pairs; and what it tells of a speed."""

import re
from types import SimpleNamespace

import pytest
import tiny
import torch
from notebook_rules import code_cells, load, tags
from places import ROOT
from training_parts import CONFIG, PAIRS, made_up_pairs, one_thread, run, save_backbone, tiny_model  # noqa: F401

from rmlib.course import speed as module
from rmlib.course.speed import Speed, measure_speed
from rmlib.model import RewardModel
from rmlib.practice.writing import write_pairs

NOTEBOOK = ROOT / "notebooks/06_training.ipynb"


def test_a_share_is_the_time_of_the_products_over_that_of_the_training(monkeypatch):
    model = tiny_model()
    model, result = run(CONFIG, model=model)  # two epochs
    monkeypatch.setattr(module.matrix_products, "seconds", lambda backbone, lengths, dtype, clock: sum(lengths) / 1e6)
    result.seconds = 0.5
    encoded = [len(row) for pair in module.encode(model.tokenizer, PAIRS, model.encoding)
               for row in (pair.chosen, pair.rejected)]
    found = measure_speed(model, PAIRS, result)
    assert found.share == pytest.approx(2 * sum(encoded) / 1e6 / 0.5)
    assert found.pairs_per_second == 2 * len(PAIRS) / 0.5
    assert found.precision == "fp32" and found.peak_memory is None and found.device == "CPU, 1 threads"


def test_a_family_whose_products_are_not_known_has_no_share():
    backbone, tokenizer = tiny.build("gpt2")
    result = SimpleNamespace(precision="fp32", pairs_seen=14, seconds=1.0)
    found = measure_speed(RewardModel("tiny", backbone=backbone, tokenizer=tokenizer), PAIRS, result)
    assert found.share is None and "unknown for this backbone" in str(found)


def test_the_peak_is_read_before_the_products_take_memory(monkeypatch):
    taken = [5]
    monkeypatch.setattr(module, "peak_memory", lambda device: taken[-1])
    monkeypatch.setattr(module.matrix_products, "seconds", lambda *_: taken.append(99) or 1.0)
    found = measure_speed(tiny_model(), PAIRS, SimpleNamespace(precision="fp32", pairs_seen=14, seconds=1.0))
    assert found.peak_memory == 5 and taken == [5, 99]


def test_a_speed_is_told_in_four_lines():
    lines = str(Speed("NVIDIA", "bf16", 1234.56, 0.5, 3 * 2**30)).splitlines()
    assert [line[25:] for line in lines] == ["NVIDIA, bf16", "1,234.6", "50%", "3.00 GiB"]


def test_the_products_are_measured_on_the_backbone_s_device_and_in_the_training_s_precision(monkeypatch):
    asked = []
    monkeypatch.setattr(module.matrix_products, "seconds",
                        lambda backbone, lengths, dtype, clock: asked.append(dtype) or clock() * 0 + 1.0)
    model = tiny_model()
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        measure_speed(model, PAIRS, SimpleNamespace(precision=precision, pairs_seen=14, seconds=1.0))
        assert asked[-1] == dtype


@pytest.mark.parametrize("kind, told", [("cuda", "a GPU"), ("cpu", "CPU, 1 threads"), ("mps", "mps")])
def test_a_device_is_told_by_the_name_that_is_known(kind, told, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(module, "peak_memory", lambda device: None)
    monkeypatch.setattr(module.matrix_products, "clock_of", lambda device: asked.append(device.type))
    monkeypatch.setattr(module.matrix_products, "seconds", lambda *_: 1.0)
    made = tiny_model()
    model = SimpleNamespace(tokenizer=made.tokenizer, encoding=made.encoding, backbone=None, device=torch.device(kind))
    found = measure_speed(model, PAIRS, SimpleNamespace(precision="bf16", pairs_seen=14, seconds=1.0))
    assert (found.device, found.precision) == (told, "bf16") and asked == [kind]


@pytest.mark.skipif(not NOTEBOOK.exists(), reason="notebook 06 is not here")
def test_the_full_profile_s_section_trains_and_tells_its_speed(tmp_path, monkeypatch, capsys):
    write_pairs(tmp_path / "pairs.jsonl", made_up_pairs(48))
    monkeypatch.setenv("RMLIB_PROFILE", "full")
    monkeypatch.setenv("RMLIB_BACKBONE", str(save_backbone(tmp_path / "backbone")))
    monkeypatch.setenv("RMLIB_PAIRS", str(tmp_path / "pairs.jsonl"))
    names: dict = {}
    for cell in code_cells(load(NOTEBOOK)):
        lines = [line for line in cell["source"].splitlines() if line.strip()]
        only_imports = all(line.startswith(("import ", "from ")) for line in lines)
        if "full" in tags(cell) or only_imports or lines[0].startswith("settings = read_settings("):
            exec(cell["source"], names)
    told = capsys.readouterr().out
    for words in ("48 pairs from pairs.jsonl", "held out", "device", "pairs a second", "of its products' rate",
                  "peak memory", "accuracy", "95% interval", "the shorter"):
        assert words in told
    assert names["result"].pairs_seen == len(names["training"]) and len(names["held_out"]) == 5


def test_the_side_page_s_speeds_are_what_was_recorded():
    page = load(ROOT / "notebooks/side/more_about_data_and_training.ipynb")
    [text] = [cell["source"] for cell in page["cells"] if "pairs a second one by one" in cell["source"]]
    shown = re.findall(r"\b\d\.\d\d\b", text)
    recorded = (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8").partition("## Training speed")[2]
    rows = ("reference", "two forwards", "TRL `RewardTrainer`", "`rmlib.training`, fp32")
    assert shown == [re.search(rf"^\| {re.escape(row)}[^|]*\| (\S+) \|", recorded, re.MULTILINE)[1] for row in rows]
