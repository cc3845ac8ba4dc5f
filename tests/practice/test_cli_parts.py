"""What the commands read, from where, with which limits and seeds; and what they hand on."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from training_parts import made_up_pairs

from rmlib.model import RewardModel
from rmlib.pairs import BadRow, PairSet, PreferencePair, Turn
from rmlib.practice.candidates import Candidates
from rmlib.practice.command_line import evaluating, parts, scoring
from rmlib.practice.command_line.arguments import parser

PAIRS = made_up_pairs(60)


@pytest.fixture
def read(monkeypatch):
    """What is asked of `read_source`: source, strict, limit, split and by; each part has pairs of its own."""
    asked, left = [], {"train": PAIRS[:40], "test": PAIRS[40:50], "validation": PAIRS[50:]}

    def read_source(source, strict, limit, split, by=None):
        asked.append((source, strict, limit, split, by))
        return PairSet(left[split], [], [], source)

    for module in (parts, evaluating):
        monkeypatch.setattr(module, "read_source", read_source)
    return asked


@pytest.fixture
def cut(monkeypatch):
    """What is asked of `split_by_conversation`: the number of pairs, the share and the seed."""
    asked = []

    def split(pairs, share, seed):
        asked.append((len(pairs), pytest.approx(share), seed))
        at = round(len(pairs) * (1 - share))
        return pairs[:at], pairs[at:]

    monkeypatch.setattr(parts, "split_by_conversation", split)
    return asked


def train(*given):
    return parts.training_data(parser().parse_args(["train", *given, "--out", "out"]))


def test_all_three_files_are_read_as_strictly_and_the_limit_is_of_the_training(read, cut):
    training, held_out, validation = train("a", "--eval", "e", "--validation", "v", "--strict", "--limit", "7", "--by",
                                           "kind")
    assert read == [("a", True, 7, "train", "kind"), ("e", True, None, "test", "kind"),
                    ("v", True, None, "validation", None)]
    assert (training.name, held_out.name, validation.name) == ("a", "e", "v") and not cut
    read.clear()
    train("a", "--eval", "e", "--validation", "v")
    assert [strict for _, strict, *_ in read] == [False] * 3


def test_the_world_has_splits_of_its_own_and_the_limit_is_of_the_training(read, cut):
    train("world", "--limit", "7")
    assert read == [("world", False, 7, "train", None), ("world", False, None, "test", None),
                    ("world", False, None, "validation", None)]
    read.clear()
    _, _, validation = train("world", "--validation-share", "0")
    assert [split for *_, split, _ in read] == ["train", "test"] and validation.pairs == [] and not cut


def test_parts_of_one_file_are_drawn_by_the_seed_and_a_share_is_of_all_pairs(read, cut):
    training, held_out, validation = train("a", "--seed", "5", "--held-out", "0.25", "--validation-share", "0.15")
    assert cut == [(40, 0.25, 5), (30, 0.15 * 40 / 30, 5)]
    assert list(map(len, (training.pairs, held_out.pairs, validation.pairs))) == [24, 10, 6]
    cut.clear()
    train("a", "--seed", "6", "--eval", "e")
    assert cut == [(40, 0.1, 6)]  # what is evaluated on stands beside
    with pytest.raises(ValueError, match="of the 40 pairs 20 are not held out"):
        train("a", "--held-out", "0.5", "--validation-share", "0.5")  # all that is left


def test_a_conversation_that_goes_on_in_an_unknown_template_is_told_as_shared(caplog):
    first = PreferencePair("Q: Why?", "So.", "No.")
    later = PreferencePair("Q: Why?\nA: So.\nQ: And now?", "Yes.", "Hm.")
    with caplog.at_level(logging.WARNING, logger="rmlib"):
        for pairs, others in (([first], [later]), ([later, later], [first]), ([later], [PAIRS[0]])):
            parts.warn_of_shared(pairs, others, "--eval", "there")
    assert [record.getMessage()[:19] for record in caplog.records] == ["1 of the 1 pairs of", "2 of the 2 pairs of"]


def test_an_evaluation_reads_both_files_as_strictly_and_scores_both_within_the_budget(read, monkeypatch):
    budgets, warned, told = [], [], []

    def score(model, pairs, budget):
        budgets.append((len(pairs), budget))
        return np.array([np.zeros(len(pairs)), np.where(np.arange(len(pairs)) % 4, -0.8, 0.4)])

    monkeypatch.setattr(RewardModel, "from_pretrained", lambda *_: SimpleNamespace(to=lambda device: None))
    monkeypatch.setattr(evaluating, "score_pairs_distributed", score)
    monkeypatch.setattr(evaluating, "read_rivals", lambda _: None)
    monkeypatch.setattr(evaluating, "read_training", lambda _: {})
    monkeypatch.setattr(evaluating, "warn_of_shared", lambda pairs, others, *_: warned.append((pairs, others)))
    monkeypatch.setattr(evaluating, "_tell_all", lambda *given: told.append(given))
    options = parser().parse_args(["evaluate", "m", "a", "--validation", "v", "--strict", "--by", "kind",
                                   "--token-budget", "77"])
    assert evaluating.run_evaluate(options) == 0
    assert read == [("a", True, None, "test", "kind"), ("v", True, None, "validation", None)]
    assert budgets == [(10, 77), (10, 77)] and warned == [(PAIRS[50:], PAIRS[40:50])]
    [(_, found, margins, gold, calibrated, *_)] = told
    assert (found.name, len(margins), gold, calibrated["validation_pairs"]) == ("a", 10, None, 10)


def test_a_row_keeps_its_id_whatever_it_is_and_cuts_are_counted_from_the_first_token(caplog):
    model = tiny.reward_model("distilbert", max_length=16)  # room for 13

    def candidates(words, *responses, **of):
        return Candidates((Turn("user", " ".join(["grass"] * words)),), [*responses], line=1, **{"id": None, **of})

    rows = [candidates(11, "yes yes", id=0), candidates(12, "yes yes", id=""), candidates(3, "yes " * 20, *["no"] * 3),
            PreferencePair("Is it?", "Yes.", "No.", id=0), BadRow(5, "null", "no text"),
            candidates(3, *["no"] * 2, "yes " * 20)]  # cut in its second pair alone
    with caplog.at_level(logging.WARNING, logger="rmlib"):
        first, second, third, pair, bad, _ = scoring._score_rows(model, rows, 8192)
    assert (first["id"], second["id"], pair["id"], "id" in third) == (0, "", 0, False)
    rewards = third["rewards"]
    assert rewards[1:] == pytest.approx([max(rewards)] * 3, abs=1e-5) and rewards[0] < max(rewards) - 0.1
    assert third["best"] == rewards.index(max(rewards))
    assert list(pair) == ["id", "chosen", "rejected"] and bad == {"line": 5, "error": "no text"}
    assert [record.getMessage() for record in caplog.records] == [
        "3 of 5 prompts lost their oldest tokens, 2 of these a response its end"]


@pytest.mark.parametrize("text", ["[1]", "3", "{", '"a"', "null"])
def test_what_is_no_object_beside_a_model_is_told_with_its_place(text, tmp_path):
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(ValueError, match=r"training\.json: not what train writes beside a model, and it can go: "):
        evaluating.read_training(Path(tmp_path))
