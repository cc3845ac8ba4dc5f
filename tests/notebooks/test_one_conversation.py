"""Cells that only a reader's own pairs set going: what they hold out, and that one conversation stops no page."""

import json
import math
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from places import ROOT

from rmlib.course.plots import training as figures
from rmlib.pairs import conversation_keys, split_by_conversation
from rmlib.practice import forms
from rmlib.settings import learning_rate_for, read_settings
from rmlib.training import TrainingConfig

ROWS = [{"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"},
        {"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."},
                    {"role": "user", "content": "Bye"}], "chosen": "Bye.", "rejected": "No."}]


def source_of(name, cell_id):
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    [source] = ["".join(cell["source"]) for cell in notebook["cells"] if cell["id"] == cell_id]
    return source


def twenty_questions():
    return [{"prompt": f"What is {n}?", "chosen": "This.", "rejected": "That."} for n in range(20)]


@pytest.mark.parametrize("name, left", [
    ("04_preference_data", {"enough": False}), ("06_training", {"human": None}), ("07_evaluation", {"found": None})])
def test_the_cell_that_reads_the_readers_pairs_says_that_they_are_one_conversation(name, left, capsys):
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    [source] = [source for source in sources if "= human_pairs(settings" in source]
    names = {"human_pairs": lambda settings, limit=None: forms.read(ROWS), "settings": read_settings(),
             "conversation_keys": conversation_keys, "split_by_conversation": split_by_conversation}
    exec(source, names)
    assert {name: names[name] for name in left} == left
    assert "conversation" in capsys.readouterr().out


def test_the_rules_are_fitted_on_other_pairs_than_they_are_judged_on():
    source, rows = source_of("07_evaluation", "07-yours"), twenty_questions()
    asked = []
    names = {"human_pairs": lambda settings, limit=None: forms.read(rows), "settings": read_settings(),
             "conversation_keys": conversation_keys, "split_by_conversation": split_by_conversation,
             "null_baselines": lambda fitted, judged: asked.append((fitted, judged)) or {}}
    exec(source, names)
    [(fitted, judged)] = asked
    assert len(fitted) == 16 and len(judged) == 4
    assert not {pair.turns for pair in fitted} & {pair.turns for pair in judged}


def test_a_readers_pairs_are_looked_over_beside_others_than_the_rules_were_fitted_on(capsys):
    asked = []
    names = {"enough": True, "human": forms.read(twenty_questions()), "tokenizer": "its words", "spec": "its window",
             "split_by_conversation": split_by_conversation,
             "preflight_encoded": lambda *given: asked.append(given) or "report",
             "null_baselines": lambda fitted, judged: asked.append((fitted, judged)) or {"longer": "margins"},
             "with_interval": lambda of_rule, judged: asked.append((of_rule, judged)) or (0.5, 0.4, 0.6)}
    exec(source_of("04_preference_data", "04-own-report"), names)
    seen, unseen = names["seen"], names["unseen"]
    assert (len(seen), len(unseen)) == (14, 6) and not {one.turns for one in seen} & {one.turns for one in unseen}
    assert asked == [(seen, "its words", "its window", unseen), (seen, unseen), ("margins", unseen)]
    assert capsys.readouterr().out.split() == ["report", "longer", "0.500", "(0.400", "to", "0.600)"]


@pytest.mark.parametrize("device, number", [("cuda", 297), ("cpu", 230)])
def test_a_training_on_a_readers_pairs_counts_its_last_batch_and_is_judged_on_others(device, number, capsys):
    rows = [{"prompt": f"What is {n}?", "chosen": "This.", "rejected": "That."} for n in range(330)]
    told, judged = [], []

    @contextmanager
    def live(steps):
        told.append(steps)
        yield "tell"

    def train(model, pairs, config, on_step, progress):
        told.append((pairs, on_step))
        return SimpleNamespace(history=[{"loss": 0.5}] * math.ceil(len(pairs) / config.batch_size))

    names = {"human_pairs": lambda settings: forms.read(rows), "settings": read_settings(), "live": live,
             "device": SimpleNamespace(type=device), "conversation_keys": conversation_keys, "train": train,
             "split_by_conversation": split_by_conversation, "TrainingConfig": TrainingConfig, "torch": torch,
             "RewardModel": lambda backbone: SimpleNamespace(to=lambda device: "model"),
             "learning_rate_for": learning_rate_for, "watch_memory": lambda device: None, "figures": figures,
             "show": lambda figure, alt: told.append(figure), "measure_speed": lambda *given: "fast",
             "evaluate": lambda model, pairs: judged.append(pairs) or "good"}
    for cell_id in ("06-full", "06-full-train"):
        exec(source_of("06_training", cell_id), names)
    training, size = names["training"], names["config"].batch_size
    assert len(training) == number and number % size  # the last batch is smaller
    steps, (trained_on, on_step), figure = told
    assert steps == math.ceil(number / size) and trained_on == training and on_step == "tell"
    assert figure.axes[0].lines[0].get_xdata()[-1] == steps * size and len(figure.axes[0].texts) == 1  # no gold reward
    assert judged == [names["held_out"]]
    assert not {pair.turns for pair in training} & {pair.turns for pair in names["held_out"]}
