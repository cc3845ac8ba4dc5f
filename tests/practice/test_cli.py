"""python -m rmlib: data on stdout, talk on stderr, exit code 2 with one clear message where the user can mend it."""

import gzip
import json
import logging
import math
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, fields

import numpy as np
import pytest
import tiny
import torch
from places import ROOT

from rmlib.evaluation import Evaluation, reward_margins, summarise
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import conversation_keys, read_pairs
from rmlib.practice import command_line as cli
from rmlib.practice.command_line import scoring, sources, training
from rmlib.practice.command_line.arguments import parser

SUBJECTS = "France egg sky grass capital sum hot cold blue green Paris London water minutes seven five".split()
ROWS = [
    {"prompt": f"What is the {one} of {other}?", "chosen": f"The {one} is {other}.", "rejected": "I do not " * size}
    for one, other, size in zip(SUBJECTS, SUBJECTS[1:], 5 * [1, 2, 3])
]
GOOD = ROWS[0]
HH = "\n\nHuman: Is grass green?\n\nAssistant:"
BAD = {
    "not JSON": b'{"prompt": "a", ',
    "blank": b" ",
    "not UTF-8": b'{"prompt": "a\xff", "chosen": "b", "rejected": "c"}',
    "not an object": b'["prompt", "chosen"]',
    "number on a line": b"7",
    "missing key": b'{"prompt": "a", "chosen": "b"}',
    "null": b'{"prompt": "a", "chosen": null, "rejected": "c"}',
    "number for text": b'{"prompt": "a", "chosen": "b", "rejected": 3}',
    "empty response": b'{"prompt": "a", "chosen": " ", "rejected": "c"}',
    "chosen is rejected": b'{"prompt": "a", "chosen": "b", "rejected": "b "}',
    "prompts differ": json.dumps({"chosen": HH + " Yes", "rejected": HH[:-20] + "?\n\nAssistant: No"}).encode(),
    "no assistant turn": b'{"chosen": "\\n\\nHuman: a", "rejected": "\\n\\nHuman: b"}',
    "unknown role": json.dumps({"chosen": [{"role": "wizard", "content": "a"}], "rejected": [{}]}).encode(),
    "lone surrogate": b'{"prompt": "a", "chosen": "\\ud800", "rejected": "c"}',
    "NUL": b'{"prompt": "a", "chosen": "b\\u0000", "rejected": "c"}',
}


def write(path, rows):
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A directory with a backbone, a saved model and a file of good pairs."""
    directory = tmp_path_factory.mktemp("cli")
    tiny.save("distilbert", directory / "backbone")
    tiny.reward_model("distilbert").save_pretrained(directory / "model")
    write(directory / "pairs.jsonl", ROWS)
    return directory


@pytest.fixture
def run(capsys):
    """Run a command in this process: (exit code, stdout, stderr), and never a traceback."""

    def call(*arguments):
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse
            code = leaving.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture
def refused(run):
    """Run a command that must fail: exit code 2, no data, one message, which is returned."""

    def call(*arguments):
        code, out, err = run(*arguments)
        told = [line for line in err.splitlines() if "error: " in line]
        assert code == 2 and out == "" and len(told) == 1
        return told[0]

    return call


@pytest.fixture
def train(run, room, tmp_path):
    def call(*arguments, pairs=room / "pairs.jsonl", out=tmp_path / "run"):
        return run("train", pairs, "--out", out, "--backbone", room / "backbone", *arguments)

    return call


# train


def test_train_leaves_a_model_its_held_out_rows_and_the_figures(train, tmp_path):
    code, out, err = train("--epochs", 2, "--batch-size", 4, "--learning-rate", 0.001)
    assert code == 0 and "accuracy" in out and "training" not in out and "15 pairs" in err
    history = json.loads((tmp_path / "run" / "training.json").read_text())["history"]
    held_out = read_pairs(tmp_path / "run" / "held_out.jsonl").pairs
    assert len(held_out) == 3 and len(history) == 2 * 3
    model = RewardModel.from_pretrained(tmp_path / "run")
    assert str(summarise(reward_margins(score_pairs(model, held_out)), held_out)) in out


def test_held_out_rows_of_a_run_that_left_no_checkpoint_are_written_anew(train, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / training.STARTED).touch()
    write(tmp_path / "run" / "held_out.jsonl", [GOOD | {"prompt": "of an earlier run"}])
    assert train()[0] == 0
    assert "of an earlier run" not in (tmp_path / "run" / "held_out.jsonl").read_text()


@pytest.mark.parametrize("rendering", ["transcript", "template"])
def test_how_conversations_are_rendered_is_told_and_chosen(train, room, tmp_path, rendering):
    shutil.copytree(room / "backbone", tmp_path / "backbone")
    template = "{% for m in messages %}{{ m['content'] }} . {% endfor %}"
    (tmp_path / "backbone" / "chat_template.jinja").write_text(template)
    chosen = ["--rendering", rendering] if rendering == "transcript" else []
    code, _, err = train("--backbone", tmp_path / "backbone", *chosen)
    told = {"template": "the tokenizer's chat template", "transcript": "a single question as bare text"}
    assert code == 0 and f"conversations are rendered as {told[rendering]}" in err
    assert RewardModel.from_pretrained(tmp_path / "run").encoding.rendering == {"transcript": "prompt"}.get(
        rendering, rendering)


def test_negative_margins_that_are_wanted_are_told(train, tmp_path):
    source = write(tmp_path / "pairs.jsonl", [row | {"margin": (-1) ** i} for i, row in enumerate(ROWS)])
    code, _, err = train("--use-target-margin", pairs=source)
    assert code == 0 and f"{len(ROWS) // 2} of {len(ROWS)} pairs have a negative margin" in err


def test_what_is_held_out_is_no_conversation_of_the_training(train, tmp_path):
    rows = [row | {"prompt": f"\n\nHuman: question {i % 6}\n\nAssistant: {i}\n\nHuman: on\n\nAssistant:"}
            for i, row in enumerate(ROWS)]
    source = write(tmp_path / "turns.jsonl", rows)
    assert train("--held-out", 0.4, "--seed", 3, pairs=source)[0] == 0
    held_out = read_pairs(tmp_path / "run" / "held_out.jsonl").pairs
    everything = read_pairs(source).pairs
    keys = set(conversation_keys(held_out))
    whole = [pair.prompt for pair, key in zip(everything, conversation_keys(everything)) if key in keys]
    assert sorted(pair.prompt for pair in held_out) == sorted(whole)
    history = json.loads((tmp_path / "run" / "training.json").read_text())
    validation = read_pairs(tmp_path / "run" / "validation.jsonl").pairs
    assert len(held_out) and len(validation) and not keys & set(conversation_keys(validation))
    assert history["pairs_seen"] == len(everything) - len(held_out) - len(validation) > 0


def test_train_looks_its_pairs_over_before_it_trains(train, tmp_path):
    rows = [{"prompt": "grass " * 20, "chosen": "is green", "rejected": "is blue"}, ROWS[0], ROWS[0], *ROWS[1:4]]
    source = write(tmp_path / "pairs.jsonl", [*rows, BAD["empty response"]])
    other = write(tmp_path / "other.jsonl", [ROWS[1], GOOD | {"prompt": "hot?"}])
    code, out, err = train("--eval", other, "--max-length", 20, "--validation-share", 0, pairs=source)
    assert code == 0 and "identical" not in out
    told = err[: err.index("pairs encoded")].splitlines()  # what training itself says begins here
    report = told[next(i for i, line in enumerate(told) if line.split() == ["training", "held", "out"]) :]
    lines = {line[:38].strip(): line[38:].split() for line in report}
    assert lines["rows"] == ["7", "2"] and lines["bad"] == ["1", "14.3%", "0"]
    assert lines["longer than 17 tokens"] == lines["identical if the end were cut off"] == ["1", "16.7%", "0"]
    assert lines["if the prompt is cut instead"] == ["0", "0"]
    assert lines["repeat of an earlier pair"] == ["1", "16.7%", "0"]
    assert lines["held-out pairs whose prompt is here"] == lines["whose conversation is"] == ["1", "50.0%"]


def test_parts_of_one_file_share_no_conversation_and_its_bad_rows_are_told_with_the_training(train, tmp_path):
    code, _, err = train(pairs=write(tmp_path / "mixed.jsonl", [BAD["null"], *ROWS]))
    lines = {line[:38].strip(): line[38:].split() for line in err.splitlines()}
    assert code == 0 and lines["rows"] == ["12", "3"] and lines["bad"] == ["1", "8.3%", "0"]
    assert lines["held-out pairs whose prompt is here"] == lines["whose conversation is"] == ["0"]


def test_train_changes_the_weights_and_the_seed_decides_them(train, tmp_path, room):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = ("--seed", seed, "--learning-rate", 0.01, "--eval", room / "pairs.jsonl")
        assert train(*arguments, out=tmp_path / name)[0] == 0
    a, b, c = (RewardModel.from_pretrained(tmp_path / name).state_dict() for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a) and not torch.equal(a["head.weight"], c["head.weight"])
    embeddings = tiny.build("distilbert")[0].state_dict()["embeddings.word_embeddings.weight"]
    assert not torch.equal(a["backbone.embeddings.word_embeddings.weight"], embeddings)


def test_pairs_to_evaluate_on_can_be_given_and_shared_conversations_are_told(train, tmp_path):
    other = write(tmp_path / "other.jsonl", [GOOD | {"prompt": "Is it cold?"}, GOOD, GOOD | {"prompt": "hot?"}])
    code, out, err = train("--eval", other)
    assert code == 0 and "held out: 3 pairs" in out
    assert "1 of the 3 pairs of --eval are of conversations that are in PAIRS" in err


def test_limit_takes_the_first_good_rows_or_all_there_are(train, tmp_path):
    source = write(tmp_path / "mixed.jsonl", [BAD["null"], *ROWS])
    for limit, seen in ((5, 5), (10_000, 15)):
        code, _, err = train("--limit", limit, pairs=source, out=tmp_path / str(limit))
        assert code == 0 and f"of {seen} pairs, in whole conversations" in err


def test_the_gold_world_is_a_source_of_pairs(train, run, monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "WORLD_PAIRS", {"train": 24, "validation": 8, "test": 40})
    code, out, err = train("--limit", 24, pairs="world")
    assert re.search(r"\n  pairs +24 +40\n", err) and re.search(r"\nheld-out pairs whose prompt is here +0\n", err)
    assert code == 0 and "held out: 40 pairs" in out and "the gold reward itself agrees with 0." in out
    code, out, _ = run("evaluate", tmp_path / "run", "world", "--json")
    assert code == 0 and json.loads(out)["pairs"] == 40


def test_the_report_in_the_readme_is_what_train_says(run, monkeypatch, tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"-m rmlib (train world [^`]*) --out short` says:\n\n```\n([^`]*)```", readme)

    def stop(*_, **__):
        raise ValueError("the training would begin here")

    monkeypatch.setattr(training, "train", stop)
    code, _, err = run(*shown[1].split(), "--out", tmp_path / "run")
    assert code == 2 and "would begin here" in err and shown[2] in err


def test_the_seed_decides_what_is_held_out(train, tmp_path):
    kept = []
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        assert train("--seed", seed, "--out", tmp_path / name)[0] == 0
        kept.append((tmp_path / name / "held_out.jsonl").read_text())
    assert kept[0] == kept[1] != kept[2]


def test_options_reach_the_model(train, tmp_path):
    assert train("--pooling", "mean", "--max-length", 20)[0] == 0
    model = RewardModel.from_pretrained(tmp_path / "run")
    assert model.pooling == "mean" and model.encoding.max_length == 20


def test_target_margins_are_used_where_asked_for(train, tmp_path):
    source = write(tmp_path / "margins.jsonl", [row | {"margin": 3} for row in ROWS])
    losses = {}
    for option in ([], ["--use-target-margin"]):
        assert train(*option, "--epochs", 1, "--batch-size", 100, pairs=source, out=tmp_path / str(option))[0] == 0
        [record] = json.loads((tmp_path / str(option) / "training.json").read_text())["history"]
        losses[bool(option)] = record["loss"]
    assert losses[False] == pytest.approx(math.log(2), abs=0.3)
    assert losses[True] == pytest.approx(math.log1p(math.exp(3)), abs=0.6)  # rewards begin near zero
    code, _, err = train("--use-target-margin", out=tmp_path / "none")
    assert code == 2 and "no pair has one: give the rows a `margin`" in err


def test_an_earlier_run_is_resumed_or_left_alone(train, tmp_path, refused, room):
    assert train("--checkpoint-every", 1)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, out, err = train("--checkpoint-every", 1)
    assert code == 2 and "--resume continues it" in err and out == ""
    assert {path: path.read_bytes() for path in before} == before
    code, out, err = train("--checkpoint-every", 1, "--resume")
    assert code == 0 and "resumed at step 1 of 1" in err and "accuracy" in out
    (tmp_path / "run" / "reward_model.json").unlink()  # as if it had been stopped after the last checkpoint
    assert train("--checkpoint-every", 1)[0] == 2
    assert train("--checkpoint-every", 1, "--resume")[0] == 0
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before[tmp_path / "run" / "model.safetensors"]
    held_out = (tmp_path / "run" / "held_out.jsonl").read_bytes()
    code, _, err = train("--checkpoint-every", 1, "--resume", "--seed", 9)
    assert code == 2 and "the run put other pairs aside" in err
    assert (tmp_path / "run" / "held_out.jsonl").read_bytes() == held_out


@pytest.mark.parametrize("name", ["backbone", "model"])
@pytest.mark.parametrize("option", [[], ["--resume"]])
def test_a_model_of_another_origin_is_not_overwritten(refused, room, name, option):
    before = (room / name / "model.safetensors").read_bytes()
    told = refused("train", room / "pairs.jsonl", "--out", room / name, "--backbone", room / "backbone", *option)
    assert "holds config.json and no checkpoint" in told
    assert (room / name / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("option, value, words", [
    ("--pooling", "max", "--pooling"),
    ("--backbone", "/no/such/backbone", "/no/such/backbone: no such directory"),
    ("--max-length", "4", "no room for text"),
    ("--max-length", "5000", "5000 is more than the 128 positions"),
    ("--max-length", "0", "a whole number above 0, not '0'"),
    ("--max-length", "x", "a whole number above 0, not 'x'"),
    ("--held-out", "2", "above 0 and below 1, not '2'"),
    ("--held-out", "nan", "above 0 and below 1, not 'nan'"),
    ("--epochs", "0", "--epochs"),
    ("--limit", "-1", "--limit"),
    ("--limit", "1", "can't be split"),
    ("--learning-rate", "0", "--learning-rate"),
    ("--seed", "-1", "--seed"),
    ("--precision", "fp8", "--precision"),
    ("--eval", "nowhere.jsonl", "nowhere.jsonl: no such file"),
    ("--out", "{room}/pairs.jsonl", "is a file"),
    ("--out", "{room}/pairs.jsonl/run", "pairs.jsonl"),
    ("--nonsense", "1", "--nonsense"),
])  # fmt: skip
def test_a_bad_argument_of_train(refused, room, tmp_path, option, value, words):
    before = sorted(room.rglob("*"))
    arguments = {"--out": tmp_path / "run", "--backbone": room / "backbone", option: value.format(room=room)}
    flat = [part for pair in arguments.items() for part in pair]
    assert words in refused("train", room / "pairs.jsonl", *flat)
    assert sorted(room.rglob("*")) == before


@pytest.mark.parametrize("option, taken, refused", [
    ("--seed", ["0", str(2**32 - 1)], ["-1", str(2**32), "0.5"]), ("--epochs", ["1"], ["0"]),
    ("--held-out", ["0.01", "0.99"], ["0", "1"]), ("--validation-share", ["0", "1"], ["-0.1", "1.1", "nan"]),
    ("--label-smoothing", ["0", "0.5"], ["-0.01", "0.51"]), ("--centring", ["0", "1e9"], ["-1", "inf", "nan"]),
    ("--learning-rate", ["1e-9"], ["0", "inf"]), ("--token-budget", ["1"], ["0"]), ("--patience", ["1"], ["0"]),
])  # fmt: skip
def test_numbers_are_taken_to_the_ends_of_their_range_and_no_further(option, taken, refused, capsys):
    name = option.removeprefix("--").replace("-", "_")
    for value in taken:
        options = parser().parse_args(["train", "pairs.jsonl", "--out", "run", option, value])
        assert getattr(options, name) == float(value)
    for value in refused:
        with pytest.raises(SystemExit):
            parser().parse_args(["train", "pairs.jsonl", "--out", "run", option, value])
        assert f"{option}: should be a " in capsys.readouterr().err


# evaluate


def test_evaluate_tells_the_figures_or_gives_one_object(run, room):
    code, out, _ = run("evaluate", room / "model", room / "pairs.jsonl")
    assert code == 0 and "95% interval" in out
    code, out, err = run("evaluate", room / "model", room / "pairs.jsonl", "--json")
    assert code == 0 and out.count("\n") == 1 and "15 pairs" in err
    figures = json.loads(out)
    assert list(figures)[: len(fields(Evaluation))] == [field.name for field in fields(Evaluation)]
    assert {"rules", "confidence", "length", "slices", "margins"} < set(figures)
    assert set(figures["baselines"]) == {"longer", "shorter"}
    model, pairs = RewardModel.from_pretrained(room / "model"), read_pairs(room / "pairs.jsonl").pairs
    expected = asdict(summarise(reward_margins(score_pairs(model, pairs)), pairs))
    assert figures.pop("baselines") == expected.pop("baselines")
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_the_figures_follow_from_the_scores(run, room):
    scored = [json.loads(line) for line in run("score", room / "model", room / "pairs.jsonl")[1].splitlines()]
    figures = json.loads(run("evaluate", room / "model", room / "pairs.jsonl", "--json")[1])
    margins = np.array([row["chosen"] - row["rejected"] for row in scored])
    assert figures["pairs"] == len(margins) == len(ROWS)
    assert figures["accuracy"] == pytest.approx((margins > 0).mean() + (margins == 0).mean() / 2, abs=1e-6)
    assert figures["nll"] == pytest.approx(np.log1p(np.exp(-margins)).mean(), abs=1e-6)
    extra = np.array([len(row["chosen"].strip()) - len(row["rejected"].strip()) for row in ROWS])
    shorter = (extra < 0).mean() + (extra == 0).mean() / 2
    assert figures["baselines"]["shorter"] == pytest.approx(shorter)


# score


def test_score_has_a_line_for_each_line(run, room, tmp_path):
    big = GOOD | {"chosen": "is " * 350_000, "id": 7}
    tie = {"prompt": "a", "responses": ["b", "c"], "label": "tie"}
    source = write(tmp_path / "all.jsonl", [GOOD | {"id": "é"}, *BAD.values(), tie, big, GOOD])
    code, out, err = run("score", room / "model", source)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(lines) == len(BAD) + 4
    assert list(lines[0]) == ["id", "chosen", "rejected"] and lines[0]["id"] == "é"
    assert [row["line"] for row in lines[1:-2]] == list(range(2, len(BAD) + 3))
    assert all(set(row) == {"line", "error"} and row["error"] for row in lines[1:-2])
    assert "tie" in lines[-3]["error"]
    assert lines[-2]["id"] == 7 and math.isfinite(lines[-2]["chosen"])
    assert lines[-1] == pytest.approx({key: lines[0][key] for key in ("chosen", "rejected")})
    assert f"{len(BAD) + 1} of {len(lines)} rows have no score" in err


def test_scores_are_the_model_s_in_the_order_of_the_rows(run, room, monkeypatch):
    monkeypatch.setattr(scoring, "SCORE_CHUNK", 4)
    scored = [json.loads(line) for line in run("score", room / "model", room / "pairs.jsonl")[1].splitlines()]
    pairs = read_pairs(room / "pairs.jsonl").pairs
    chosen, rejected = score_pairs(RewardModel.from_pretrained(room / "model"), pairs)
    assert [row["chosen"] for row in scored] == pytest.approx(chosen.tolist(), rel=1e-5)
    assert [row["rejected"] for row in scored] == pytest.approx(rejected.tolist(), rel=1e-5)


@pytest.mark.parametrize("kinds, code, told", [
    ("bggbg", 0, "2 of 5 rows have no score"), ("ggb", 0, "1 of 3 rows have no score"),
    ("bbb", 2, "no row can be used")])
def test_rows_without_a_score_are_counted_over_all_chunks(kinds, code, told, run, room, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "SCORE_CHUNK", 2)
    rows = {"b": BAD["null"], "g": GOOD}
    found, out, err = run("score", room / "model", write(tmp_path / "rows.jsonl", [rows[kind] for kind in kinds]))
    assert found == code and len(out.splitlines()) == len(kinds) and told in err


def test_a_file_without_a_good_row_is_scored_line_by_line_and_refused(run, room, tmp_path):
    code, out, err = run("score", room / "model", write(tmp_path / "bad.jsonl", [BAD["null"], BAD["NUL"]]))
    assert code == 2 and [json.loads(line)["line"] for line in out.splitlines()] == [1, 2]
    assert "bad.jsonl: no row can be used" in err


# Bad input, for every command


@pytest.mark.parametrize("row", BAD.values(), ids=BAD)
def test_a_bad_row_is_told_with_file_and_line(run, refused, room, tmp_path, row):
    source = write(tmp_path / "pairs.jsonl", [GOOD, GOOD, row, GOOD])
    code, out, err = run("evaluate", room / "model", source, "--json")
    assert code == 0 and json.loads(out)["pairs"] == 3
    assert f"{source}:3: skipped: " in err and "1 row skipped" in err
    assert f"error: {source}:3: " in refused("evaluate", room / "model", source, "--strict")
    assert f"error: {source}:3: " in refused("train", source, "--out", tmp_path / "run", "--strict")
    alone = write(tmp_path / "alone.jsonl", [row])
    assert f"at {alone}:1: " in refused("evaluate", room / "model", alone)


@pytest.mark.parametrize("bad, told", [(5, None), (6, "... and 1 bad row more"), (8, "... and 3 bad rows more")])
def test_of_many_bad_rows_five_are_told_and_the_others_counted(bad, told, tmp_path, caplog):
    source = write(tmp_path / "pairs.jsonl", [GOOD, *[BAD["null"]] * bad])
    with caplog.at_level(logging.WARNING, logger="rmlib"):
        sources.read_source(str(source), False, None, "test")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    skipped = [line.split(": skipped: ")[0] for line in lines if ": skipped: " in line]
    assert skipped == [f"{source}:{line}" for line in range(2, 7)]
    assert [line for line in lines if "more" in line] == ([told] if told else [])


def damaged_gzip(path):
    rows = "".join(json.dumps(GOOD | {"prompt": str(i) * 50}) + "\n" for i in range(500))
    path.write_bytes(gzip.compress(rows.encode())[:-200])


@pytest.mark.parametrize("make, words", [
    (damaged_gzip, "gzip data is damaged or cut short after line"),
    (lambda path: path.write_bytes(b""), "empty"),
    (lambda path: path.mkdir(), "irectory"),
    (lambda path: None, "no such file"),
])  # fmt: skip
def test_a_file_that_cannot_be_read(run, refused, room, tmp_path, make, words):
    source = tmp_path / "pairs.jsonl.gz"
    make(source)
    for told in (refused("evaluate", room / "model", source), refused("train", source, "--out", tmp_path / "run")):
        assert words in told and str(source) in told
    code, _, err = run("score", room / "model", source)
    assert code == 2 and words in err and str(source) in err
    assert not (tmp_path / "run").exists()


def test_a_bom_and_gzip_are_read(run, room, tmp_path):
    source = tmp_path / "pairs.jsonl"
    source.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n"))
    code, out, _ = run("evaluate", room / "model", source, "--json", "--strict")
    assert code == 0 and json.loads(out)["pairs"] == 1


@pytest.mark.parametrize("command", ["evaluate", "score"])
def test_a_directory_without_a_model(refused, room, tmp_path, command):
    for directory in (tmp_path / "nowhere", room / "backbone", room / "pairs.jsonl"):
        assert "holds no saved reward model" in refused(command, directory, room / "pairs.jsonl")


def test_a_model_that_was_tampered_with(refused, room, tmp_path):
    tiny.reward_model("bert").save_pretrained(tmp_path / "model")
    tiny.configured(hidden_act="relu")(tmp_path / "model")
    assert "config.json: missing, or changed" in refused("evaluate", tmp_path / "model", room / "pairs.jsonl")


def test_no_command_is_an_error(refused):
    assert "COMMAND" in refused()


def test_a_reader_that_goes_away_is_no_error(room, tmp_path):
    source = write(tmp_path / "many.jsonl", ROWS * 200)
    command = [sys.executable, "-m", "rmlib", "score", room / "model", source]
    root = ROOT
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        first = json.loads(process.stdout.readline())
        process.stdout.close()
        told = process.stderr.read().decode()
    assert set(first) == {"chosen", "rejected"} and process.returncode == 0
    assert "Traceback" not in told and "Broken" not in told


def test_a_training_whose_reader_goes_away_does_not_pass_for_a_success(room, tmp_path):
    """Its messages and its bar have nowhere to go: train 2>&1 | head -1."""
    command = [sys.executable, "-m", "rmlib", "train", room / "pairs.jsonl", "--out", tmp_path / "run", "--backbone",
               room / "backbone", "--epochs", "20"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        process.stdout.readline()
        process.stdout.close()
    assert process.returncode == 2 or (tmp_path / "run" / "reward_model.json").exists()


@pytest.mark.parametrize("option, values", [("--label-smoothing", ("0", "0.1", "0.5")), ("--centring", ("0", "0.01"))])
def test_smoothing_and_centring_reach_the_training(train, tmp_path, option, values):
    for value in values:
        assert train(option, value, "--out", tmp_path / value)[0] == 0
        settings = json.loads((tmp_path / value / "training.json").read_text())["settings"]
        assert settings[option[2:].replace("-", "_")] == float(value)


@pytest.mark.parametrize("option, value", [("--label-smoothing", "0.6"), ("--label-smoothing", "-0.1"),
                                           ("--centring", "-1"), ("--centring", "inf"), ("--centring", "much")])
def test_smoothing_and_centring_out_of_range_are_told(train, option, value):
    code, _, err = train(f"{option}={value}")
    assert code == 2 and f"argument {option}: should be a number from 0 to" in err


def test_rows_of_responses_are_scored_beside_pairs(run, room, tmp_path):
    rows = [
        GOOD, {"id": "a", "prompt": "Is it hot?", "responses": ["yes", "no", "It is cold."]},
        {"prompt": "Is it hot?", "responses": []}, {"prompt": "hot?", "responses": ["yes", "no"], "label": "tie"},
        {"messages": [{"role": "user", "content": "Is it hot?"}], "system": "Be short.", "responses": ["yes"]},
        {"prompt": "Is it hot?", "responses": ["yes", 7]}, ROWS[1], {"prompt": "", "responses": ["no", "yes", "no"]},
    ]
    code, out, err = run("score", room / "model", write(tmp_path / "rows.jsonl", rows))
    model = RewardModel.from_pretrained(room / "model")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and "4 of 8 rows have no score" in err
    system = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Is it hot?"}]
    expected = {1: model.score("Is it hot?", rows[1]["responses"]), 4: model.score(system, ["yes"])}
    for at, rewards in expected.items():
        assert lines[at].pop("best") == int(np.argmax(rewards))
        assert lines[at].pop("rewards") == pytest.approx(rewards, abs=1e-5)
    assert lines[1] == {"id": "a"} and lines[4] == {}
    assert [lines[at].get("line") for at in (2, 3, 5, 7)] == [3, 4, 6, 8] and "at least" in lines[2]["error"]
    assert "response 1 should be text" in lines[5]["error"] and "labelled tie" in lines[3]["error"]
    pairs = score_pairs(model, read_pairs(write(tmp_path / "pairs.jsonl", ROWS[:2])).pairs)
    assert [lines[0]["chosen"], lines[6]["rejected"]] == pytest.approx([pairs[0, 0], pairs[1, 1]], abs=1e-5)
