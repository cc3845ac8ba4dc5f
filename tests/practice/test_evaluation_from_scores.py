"""`evaluate --json` against figures that follow from the lines of `score` and the raw file, by json and numpy."""

import json
import math
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
import tiny
import torch
from scored_rows import calibration_error, rows, text_of

from rmlib.practice.command_line import main


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """(figures of evaluate, margins from score, conversations, lengths of both responses)"""
    directory = tmp_path_factory.mktemp("evaluation")
    model = tiny.reward_model("distilbert")
    with torch.no_grad():
        model.head.weight.mul_(60)  # margins that reach every bin
    model.save_pretrained(directory / "model")
    made = list(rows(600))
    (directory / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row, _ in made))

    def run(*arguments):
        with redirect_stdout(StringIO()) as out:
            assert main([*arguments, str(directory / "model"), str(directory / "pairs.jsonl")]) == 0
        return [json.loads(line) for line in out.getvalue().splitlines()]

    [figures] = run("evaluate", "--json")
    scored = run("score")
    used = [i for i, line in enumerate(scored) if "error" not in line]
    margins = np.array([scored[i]["chosen"] - scored[i]["rejected"] for i in used])
    lengths = [[len(text_of(made[i][0][side]).strip()) for side in ("chosen", "rejected")] for i in used]
    return figures, margins, [made[i][1] for i in used], np.array(lengths)


def test_counts_and_shares(seen):
    figures, margins, conversations, lengths = seen
    n = len(margins)
    assert figures["pairs"] == n == 600 - 15 and figures["conversations"] == len(set(conversations)) > 200
    assert figures["ties"] == (margins == 0).sum() > 10
    share = ((margins > 0).sum() + (margins == 0).sum() / 2) / n
    assert figures["accuracy"] == pytest.approx(share, abs=1e-6)
    z = 1.959963984540054
    for name, sign in (("accuracy_low", -1), ("accuracy_high", 1)):
        end = (share + z * z / (2 * n) + sign * z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
        assert figures[name] == pytest.approx(end / (1 + z * z / n), abs=1e-6)
    longer = lengths[:, 0] - lengths[:, 1]
    even = (longer == 0).mean()
    assert figures["baselines"]["longer"] == pytest.approx((longer > 0).mean() + even / 2, abs=1e-6)
    assert figures["baselines"]["shorter"] == pytest.approx((longer < 0).mean() + even / 2, abs=1e-6)


def test_likelihood_brier_score_and_calibration(seen):
    figures, margins, *_ = seen
    p = 1 / (1 + np.exp(-margins))
    assert figures["nll"] == pytest.approx(-np.log(p).mean(), abs=1e-6)
    assert figures["brier"] == pytest.approx(((1 - p) ** 2).mean(), abs=1e-6)
    assert np.histogram(np.maximum(p, 1 - p), 15, (0.5, 1))[0].min() > 0
    assert figures["ece"] == pytest.approx(calibration_error(np.maximum(p, 1 - p), margins), abs=1e-6)


def test_the_floor_and_the_interval_of_conversations_are_those_of_another_simulation(seen):
    """Within 5 standard errors of the simulations: the floor is exact, and the interval one of 2,000 draws."""
    figures, margins, conversations, _ = seen
    rng, confidence = np.random.default_rng(99), 1 / (1 + np.exp(-np.abs(margins)))
    lucky = (np.where(rng.random(len(margins)) < confidence, 1, -1) for _ in range(300))
    errors = [calibration_error(confidence, np.where(margins == 0, 0, outcome)) for outcome in lucky]
    assert figures["ece_floor"] == pytest.approx(np.mean(errors), abs=5 * np.std(errors) * math.sqrt(1 / 300))
    right, names = (np.sign(margins) + 1) / 2, np.array(conversations)
    each = [right[names == name] for name in sorted(set(conversations))]
    sums, sizes = np.array([part.sum() for part in each]), np.array([part.size for part in each])
    ends = []
    for _ in range(8):
        drawn = rng.integers(len(sums), size=(2000, len(sums)))
        ends.append(np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975]))
    error = np.std(ends, axis=0, ddof=1).max() * math.sqrt(1 + 1 / 8)
    assert error < 0.002
    found = (figures["clustered_low"], figures["clustered_high"])
    assert found == pytest.approx(np.mean(ends, axis=0), abs=5 * error)


