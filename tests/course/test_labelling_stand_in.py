"""Who labelled: a stand-in that says so and makes way for a person, and how often the choices are the gold reward's."""

import json

import pytest
from labelling_parts import OTHER, PAIRS, WORLD, label_first, path, rows  # noqa: F401

from rmlib.course.labels import LabelFile, agreement, annotate, has_choices
from rmlib.course.world import Annotator
from rmlib.evaluation import wilson_interval
from rmlib.pairs import read_pairs


def test_the_stand_in_labels_as_the_annotator_would_and_says_so(path, capsys):
    annotator = Annotator(temperature=2.0)
    annotate(PAIRS, WORLD, path, annotator, seed=3)
    assert capsys.readouterr().out == (
        "labels.jsonl: nobody has labelled yet, so a seeded annotator stands in and labels all 8 pairs.\n")
    expected = [(pair.prompt, pair.chosen, pair.rejected, pair.id) for pair in WORLD.relabel(PAIRS, annotator, 3)]
    assert [(each.prompt, each.chosen, each.rejected, each.id) for each in read_pairs(path).pairs] == expected
    assert all(row["by"] == "stand-in" for row in rows(path))
    before = path.read_bytes()
    annotate(PAIRS, WORLD, path, annotator, seed=3)
    assert path.read_bytes() == before
    annotate(PAIRS, WORLD, path, annotator, seed=4)
    assert path.read_bytes() != before and len(rows(path)) == 8


def test_the_stand_in_makes_way_for_a_person_and_does_not_come_back(path, capsys):
    path.parent.mkdir()
    path.write_text(json.dumps(OTHER) + "\n")
    annotate(PAIRS, WORLD, path)
    file = LabelFile(path, PAIRS)
    assert len(file.waiting()) == 8 and len(rows(path)) == 9 and file.undo() is None
    label_first(file, ["B", "skip"])
    kept = rows(path)
    assert kept[0] == OTHER and [row.get("by") for row in kept] == [None] * 3
    capsys.readouterr()
    annotate(PAIRS, WORLD, path)
    assert rows(path) == kept
    assert capsys.readouterr().out == ("labels.jsonl: 2 of 8 labelled: 1 choice, 1 skip. "
                                       "These labels are a person's: no stand-in is needed.\n")


def test_whether_a_person_has_chosen(path):
    assert not has_choices(path)
    annotate(PAIRS, WORLD, path)
    assert not has_choices(path)
    file = LabelFile(path, PAIRS)
    label_first(file, ["tie", "skip"])
    assert not has_choices(path)
    label_first(file, "B")
    assert has_choices(path)
    file.undo()
    assert not has_choices(path)


def test_agreement_counts_choices_and_equal_responses_by_half(path):
    pairs = WORLD.pairs(60, seed=11)
    annotate(pairs, WORLD, path, seed=2)
    gold = [(WORLD.reward(r["prompt"], r["chosen"]), WORLD.reward(r["prompt"], r["rejected"])) for r in rows(path)]
    right = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in gold)
    assert any(a == b for a, b in gold) and 30 < right < 60
    found = agreement(path, WORLD)
    assert found == pytest.approx((right / 60, *wilson_interval(right, 60), 60))
    assert agreement(rows(path), WORLD) == found
    assert str(found) == f"{right / 60:.2f} of 60 choices (95% interval {found.low:.2f} to {found.high:.2f})"


def test_agreement_leaves_ties_and_skips_out_and_needs_a_choice(path):
    file = LabelFile(path, PAIRS)
    label_first(file, ["tie", "skip"])
    with pytest.raises(ValueError, match="no row can be used.*2 rows left out"):
        agreement(path, WORLD)
    better = file.waiting()[0]
    rewards = [WORLD.reward(better.prompt, response) for response in (better.left, better.right)]
    file.add(better, "A" if rewards[0] > rewards[1] else "B")
    share, _, high, n = agreement(path, WORLD)
    assert (share, high, n) == (1.0, 1.0, 1)
