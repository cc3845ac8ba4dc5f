"""The studies that notebook 07 and its side page show: every run that is planned is there."""

import json
import sys

import numpy as np
import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import evaluation_studies  # noqa: E402

STORED = ROOT / "rmlib/assets/studies"


@pytest.mark.parametrize("name", evaluation_studies.STUDIES)
def test_what_is_stored_holds_every_run_that_the_command_makes(name: str):
    study = json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))
    assert study["command"] == f"python benchmarks/evaluation_studies.py {name}" and study["threads"] == 1
    if name == "lucks":
        made = [(row["kind"], row["pairs"], row["seed"]) for row in study["runs"]]
        assert made == [("same pairs", 0, i) for i in range(8)] + [("other pairs", 300 * i, i) for i in range(8)]
        assert study["runs"][0]["few"] == study["runs"][8]["few"]  # the same pairs, the same seed
    else:
        assert [row["labels"] for row in study["runs"]] == [40_000] + 53 * [750]


def test_a_small_study_of_lucks(tmp_path, capsys):
    out = tmp_path / "lucks.json"
    assert evaluation_studies.main(["lucks", "--runs", "1", "--many", "40", "--json", str(out)]) == 0
    study = json.loads(out.read_text(encoding="utf-8"))
    assert study["runs"] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    same, other = study["runs"]
    assert {**same, "kind": ""} == {**other, "kind": ""} and same["few"] > 0.65
    stored = json.loads((STORED / "lucks.json").read_text(encoding="utf-8"))["runs"][0]
    assert abs(same["few"] - stored["few"]) < 0.02


def test_two_numbers_by_hand():
    """For a sign that is lost: labels drawn by two weights give these two back."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 2)) * 2
    chosen = rng.random(20_000) < evaluation_studies.sigmoid(features @ [0.7, -0.4])
    found = evaluation_studies.fit_logistic(np.where(chosen, 1, -1)[:, None] * features)
    assert np.allclose(found, [0.7, -0.4], atol=0.05)
