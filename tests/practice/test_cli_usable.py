"""The command line on rivals, subsets and whether a model can be used: told after training, and by evaluate."""

import hashlib
import json

import numpy as np
import pytest
import tiny

from rmlib.evaluation import pair_accuracies, reward_margins
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import read_pairs
from rmlib.practice import command_line
from rmlib.practice.command_line import evaluating
from rmlib.practice.rivals import BAGS, KEPT_IN, fit_rivals, read_rivals
from rmlib.practice.usable import NO_BAGS

SUBJECTS = "France egg sky grass capital sum hot cold blue green Paris London water minutes seven five".split()
MANY = [
    {"prompt": f"What is the {one} of {other}? {i}", "chosen": f"The {one} is {other}.",
     "rejected": "I do not " * (1 + i % 3), "domain": ["billing", "returns"][i % 2]}
    for i, (one, other) in enumerate(4 * list(zip(SUBJECTS, SUBJECTS[1:])))
]
del MANY[3]["domain"]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def run(capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        capsys.readouterr()
        code = command_line.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def trained(run, tmp_path):
    """(directory of a model trained on MANY, what the training told)."""
    source = write(tmp_path / "many.jsonl", MANY)
    backbone = tiny.save("distilbert", tmp_path / "backbone")
    code, out, err = run("train", source, "--out", tmp_path / "run", "--backbone", backbone, "--by", "domain",
                         "--held-out", 0.5)
    assert code == 0
    return tmp_path / "run", out, err


def figures(run, *arguments):
    code, out, _ = run("evaluate", *arguments, "--json")
    assert code == 0
    return json.loads(out)


def test_rivals_are_fitted_to_the_training_part_kept_and_told(trained, run, tmp_path):
    directory, out, _ = trained
    held_out = read_pairs(directory / "held_out.jsonl").pairs
    everything = read_pairs(tmp_path / "many.jsonl").pairs
    apart = {pair.prompt for pair in held_out + read_pairs(directory / "validation.jsonl").pairs}
    training = [pair for pair in everything if pair.prompt not in apart]
    kept, fitted = read_rivals(directory), fit_rivals(training)
    assert kept.pairs == len(training) == len(everything) - len(apart)
    found = figures(run, directory, directory / "held_out.jsonl")
    model = pair_accuracies(reward_margins(score_pairs(RewardModel.from_pretrained(directory), held_out)))
    for name in BAGS:
        assert np.array_equal(kept.bags[name].weights, fitted.bags[name].weights)
        bag = pair_accuracies(kept.margins(held_out)[name])
        rule = found["rules"][name]
        assert (rule["accuracy"], rule["lead"]) == pytest.approx((bag.mean(), (model - bag).mean()))
        assert f"{rule['accuracy']:.3f}, and the model's lead over it {rule['lead']:.3f} (95% interval " in out
    assert found["bags"] == {"fitted_to": len(training)}
    for told in (out, run("evaluate", directory, directory / "held_out.jsonl")[1]):
        assert "the bag of words that sees no prompt: " in told
        assert "{answer}: {why}".format(**found["usable"]) in told


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_model_without_rivals_is_evaluated_and_a_damaged_file_is_told(trained, run, change):
    directory, *_ = trained
    change(directory / KEPT_IN)
    code, out, err = run("evaluate", directory, directory / "held_out.jsonl")
    if (directory / KEPT_IN).exists():
        assert code == 2 and f"error: {directory / KEPT_IN}: does not hold the bags of words" in err
    else:
        assert code == 0 and NO_BAGS in out and "not shown to be usable: " in out
        assert figures(run, directory, directory / "held_out.jsonl")["bags"] == {"reason": NO_BAGS}


def test_accuracy_is_told_by_subset(trained, run, tmp_path):
    directory, _, err = trained
    held_out = read_pairs(directory / "held_out.jsonl").pairs
    given = {row["prompt"]: row.get("domain") for row in MANY}
    assert [pair.subset for pair in held_out] == [given[pair.prompt] for pair in held_out]
    assert "--by domain: 1 of the 60 pairs of" in err and "keys that are not read" not in err
    model = RewardModel.from_pretrained(directory)
    for source, by in ((directory / "held_out.jsonl", []), (tmp_path / "many.jsonl", ["--by", "domain"])):
        pairs = read_pairs(source).pairs
        right = pair_accuracies(reward_margins(score_pairs(model, pairs)))
        subsets = np.array([given[pair.prompt] or "without domain" for pair in pairs])
        page = tmp_path / "report.html"
        rows = figures(run, directory, source, *by, "--report", page)["slices"][by[1] if by else "subset"]
        wanted = sorted(set(subsets) - {"without domain"}, key=lambda name: -(subsets == name).sum())
        wanted += ["without domain"] if by else []
        assert [row["name"] for row in rows] == wanted and len(rows) == 2 + bool(by)
        for row in rows:
            inside = subsets == row["name"]
            assert row["pairs"] == inside.sum() and row["accuracy"] == pytest.approx(right[inside].mean())
            assert row["low"] <= row["accuracy"] <= row["high"] and row["low"] < row["high"]
            assert f">{row['name']}" in page.read_text()
    assert "subset" not in figures(run, directory, write(tmp_path / "plain.jsonl", [
        {key: value for key, value in row.items() if key != "domain"} for row in MANY]))["slices"]


def test_pairs_that_are_given_apart_keep_their_subset(run, trained, tmp_path):
    other = write(tmp_path / "other.jsonl", [row | {"prompt": f"Say. {i}"} for i, row in enumerate(MANY[4:8])])
    code, _, _ = run("train", tmp_path / "many.jsonl", "--out", tmp_path / "new", "--backbone", tmp_path / "backbone",
                     "--eval", other, "--by", "domain", "--limit", 20)
    held_out = read_pairs(tmp_path / "new" / "held_out.jsonl").pairs
    assert code == 0 and [pair.subset for pair in held_out] == ["billing", "returns"] * 2


def test_a_single_subset_is_told_and_many_are_in_json(trained, run, tmp_path):
    directory, *_ = trained
    source = write(tmp_path / "one.jsonl", [row | {"subset": "x", "n": rf"$\frac${i} {'long ' * 9}"} for i, row in
                                            enumerate(MANY)])
    [row] = figures(run, directory, source)["slices"]["subset"]
    assert row["name"] == "x" and row["pairs"] == len(MANY)
    page = tmp_path / "report.html"
    assert len(figures(run, directory, source, "--by", "n", "--report", page)["slices"]["n"]) == 60
    text = page.read_text()
    assert "30 smaller parts are told by --json alone" in text
    assert r"$\frac$29 long" in text and r"$\frac$30 long" not in text


def test_a_key_that_no_row_has_is_an_error(trained, run, tmp_path):
    directory, *_ = trained
    new = ["--out", tmp_path / "new", "--backbone", tmp_path / "backbone"]
    for command, source, more in (("train", tmp_path / "many.jsonl", new), ("train", "world", new),
                                  ("evaluate", directory / "held_out.jsonl", []), ("evaluate", "world", [])):
        model = [directory] if command == "evaluate" else []
        code, out, err = run(command, *model, source, *more, "--by", "nothing")
        assert code == 2 and out == "" and not (tmp_path / "new").exists()
        assert f"error: --by nothing: no row of {source} that can be used has a value there" in err


def test_the_file_of_its_training_shows_nothing(trained, run, tmp_path):
    directory, *_ = trained
    source = tmp_path / "many.jsonl"
    data = json.loads((directory / "training.json").read_text())["data"]
    assert data["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    page = tmp_path / "report.html"
    found = figures(run, directory, source, "--report", page)["usable"]
    assert found["answer"] != "usable" and ("new to it" in found["why"]) == ("not usable" != found["answer"])
    text = page.read_text()
    assert "data: name</th><td>many.jsonl" in text and f"data: sha256</th><td>{data['sha256'][:40]}<" in text
    assert "settings: epochs</th><td>1<" in text and f"Fingerprint of their file</th><td>{data['sha256'][:16]}<" in text
    assert "new to it" not in figures(run, directory, directory / "held_out.jsonl")["usable"]["why"]
    written = (directory / "training.json").read_text()
    for other in (None, written.replace('"weights": "', '"weights": "0')):
        (directory / "training.json").unlink() if other is None else (directory / "training.json").write_text(other)
        assert "new to it" in figures(run, directory, source, "--report", page)["usable"]["why"]
        assert "not written down beside the model" in page.read_text()


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_account_of_the_training_is_told(trained, run, monkeypatch, content):
    directory, *_ = trained
    (directory / "training.json").write_text(content)
    monkeypatch.setattr(evaluating, "score_pairs_distributed", lambda *_: pytest.fail("the pairs were scored first"))
    code, out, err = run("evaluate", directory, directory / "held_out.jsonl")
    assert code == 2 and out == "" and f"error: {directory / 'training.json'}: not what train writes" in err
