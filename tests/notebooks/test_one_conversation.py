"""A reader's file may hold one conversation: the cells that would hold out some say so, and the pages go on."""

import json

import pytest
from places import ROOT

from rmlib.pairs import conversation_keys, split_by_conversation
from rmlib.practice import forms
from rmlib.settings import read_settings

ROWS = [{"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"},
        {"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."},
                    {"role": "user", "content": "Bye"}], "chosen": "Bye.", "rejected": "No."}]


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
    notebook = json.loads((ROOT / "notebooks" / "07_evaluation.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    [source] = [source for source in sources if "= human_pairs(settings" in source]
    rows = [{"prompt": f"What is {n}?", "chosen": "This.", "rejected": "That."} for n in range(20)]
    asked = []
    names = {"human_pairs": lambda settings, limit=None: forms.read(rows), "settings": read_settings(),
             "conversation_keys": conversation_keys, "split_by_conversation": split_by_conversation,
             "null_baselines": lambda fitted, judged: asked.append((fitted, judged)) or {}}
    exec(source, names)
    [(fitted, judged)] = asked
    assert len(fitted) == 16 and len(judged) == 4
    assert not {pair.turns for pair in fitted} & {pair.turns for pair in judged}
