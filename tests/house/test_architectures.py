"""The benchmark of architectures: what it calls right, wrong and refused."""

import sys
import time

import numpy as np
import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import architectures  # noqa: E402


def test_a_right_one_and_a_refused_one():
    found = {name: architectures.judge(name) for name in ("distilbert", "fnet", "bart")}
    right = dict.fromkeys(architectures.STEPS, "right")
    assert found["distilbert"] == right and not architectures.wrong(found)
    assert "other vectors beside a longer text" in found["fnet"]["refused"]
    told = architectures.table(found)
    assert "| distilbert |" + " right |" * len(right) in told
    assert "refused: it gives a text other vectors beside a longer text than alone |" in told
    assert "| is an encoder-decoder | 1 |" in told


@pytest.mark.parametrize("step, name, value", [
    ("forward", "reference", lambda *_: np.random.rand()), ("padding", "padded", lambda *_: np.zeros((2, 4))),
    ("mates", "score_pairs", lambda model, pairs, budget: np.full((2, 4), budget)),
])  # fmt: skip
def test_a_planted_fault_is_called_wrong(monkeypatch, step, name, value):
    monkeypatch.setattr(architectures, name, value)
    found = {"distilbert": architectures.judge("distilbert")}
    assert found["distilbert"][step].startswith("WRONG") and architectures.wrong(found) == ["distilbert"]


def test_what_dies_is_wrong_and_what_hangs_is_not_judged(monkeypatch):
    monkeypatch.setattr(architectures, "SECONDS", 0.2)
    monkeypatch.setattr(architectures, "judge", lambda _: time.sleep(60))
    assert architectures.in_a_process("bert") == {"not judged": "no end within 0.2 seconds"}
    monkeypatch.undo()
    monkeypatch.setattr(architectures, "judge", lambda _: sys.exit())
    assert architectures.in_a_process("bert") == {"WRONG": "its process died"}


def test_traceback_is_wrong_and_what_is_not_built_is_told(monkeypatch):
    def fail(*_):
        raise RuntimeError("shapes")

    monkeypatch.setattr(architectures, "expected", fail)
    found = {"distilbert": architectures.judge("distilbert")}
    assert "shapes" in found["distilbert"]["WRONG"]
    monkeypatch.setattr(architectures, "backbone_of", fail)
    found["bert"] = architectures.judge("bert")
    assert "- bert: `RuntimeError: shapes`" in architectures.table(found)
    assert architectures.wrong(found) == ["distilbert"]
