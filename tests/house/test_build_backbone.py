"""The command that builds the backbone: its recipe is the recorded one, its texts, losses and steps what it says."""

import json
import sys
from argparse import Namespace
from dataclasses import asdict

import numpy as np
import pytest
import torch
from builder_parts import STEPS, Stop, assert_same_shape, rates, recorded, taken  # noqa: F401
from torch.nn import functional as F

from rmlib.course.world import World
from rmlib.settings import EMBEDDED_BACKBONE
from tools import build_backbone

WORLD = World()
TOKENIZER = build_backbone.build_tokenizer(WORLD)
FRANCE = next(fact for fact in WORLD.facts if fact.subject == "France" and fact.family == "capitals")
QUESTION, ANSWER = "What is the capital of France?", "It is Paris."


def test_the_backbones_recipe_and_shape_are_the_recorded_ones():
    assert asdict(build_backbone.Recipe()) == recorded(EMBEDDED_BACKBONE)["recipe"]
    assert_same_shape(build_backbone.build_config(TOKENIZER).to_dict(), EMBEDDED_BACKBONE)


@pytest.mark.parametrize("words, wanted", [
    ([], (4000, 0)), (["--steps", "7", "--seed", "3"], (7, 3)),
])
def test_what_the_backbones_command_is_asked_reaches_the_training(monkeypatch, words, wanted):
    def pretrain(world, tokenizer, recipe, seed):
        assert (recipe.steps, seed) == wanted
        raise Stop

    monkeypatch.setattr(build_backbone, "pretrain", pretrain)
    monkeypatch.setattr(sys, "argv", ["build_backbone.py", *words])
    with pytest.raises(Stop):
        build_backbone.main()


def test_the_backbones_record_tells_of_its_run(tmp_path, monkeypatch, capsys):
    saved = []
    monkeypatch.setattr(build_backbone, "save", lambda model, tokenizer, *given: saved.append(given))
    monkeypatch.setattr(build_backbone, "answer_accuracy", lambda *given: {"train": 0.12344, "unseen": 0.0}.get(
        given[-1], 0.5))
    monkeypatch.setattr(build_backbone, "pretrain", lambda world, tokenizer, recipe, seed: Namespace(
        encoder=Namespace(num_parameters=lambda: 678_016)))
    for words, out in ((["--out", str(tmp_path)], tmp_path), ([], EMBEDDED_BACKBONE)):
        monkeypatch.setattr(sys, "argv", ["build_backbone.py", *words])
        build_backbone.main()
        record, where = saved[-1]
        assert where == out and record.keys() == recorded(EMBEDDED_BACKBONE).keys()
    assert record["masked_answer_accuracy"] == {"train": 0.1234, "validation": 0.5, "test": 0.5, "unseen": 0.0}
    assert record["versions"].keys() == recorded(EMBEDDED_BACKBONE)["versions"].keys()
    assert record["seconds"] == 0 and record["seed"] == 0 and record["parameters"] == 678_016
    assert json.loads(capsys.readouterr().out.partition("}\n{")[0] + "}") == record


# --- what is masked, swapped and asked -----------------------------------------------------------------------------

def corrupted(repeats: int = 400, **recipe: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A row, (T,), and of many corruptions of it the ids and what was chosen, (repeats, T) each."""
    corrupt = build_backbone.Corruptor(WORLD, TOKENIZER, build_backbone.Recipe(**recipe), np.random.default_rng(0))
    row = np.array(TOKENIZER(QUESTION, ANSWER).input_ids)
    ids, chosen = zip(*(corrupt(FRANCE, row) for _ in range(repeats)))
    return row, np.array(ids), np.array(chosen)


def test_the_subject_and_the_signs_of_the_template_are_left_whole():
    row, ids, chosen = corrupted(choose=1.0, choose_answer=1.0, mask=0.5, substitute=0.5)
    pieces = TOKENIZER.convert_ids_to_tokens(row)
    whole = np.isin(pieces, ["[CLS]", "[SEP]", "france"])
    assert chosen[:, ~whole].all() and not chosen[:, whole].any() and (ids[:, whole] == row[whole]).all()


def test_of_what_is_chosen_a_part_is_masked_a_part_swapped_and_the_rest_left():
    row, ids, chosen = corrupted(4000)
    pieces = np.array(TOKENIZER.convert_ids_to_tokens(row))
    answer, word = np.flatnonzero(pieces == "paris")[0], np.flatnonzero(pieces == "capital")[0]
    for place, share in ((answer, 0.6), (word, 0.15)):
        assert abs(chosen[:, place].mean() - share) < 4 * (share * (1 - share) / 4000) ** 0.5
        mine = ids[chosen[:, place], place]
        room = 4 * 0.5 / len(mine) ** 0.5
        assert abs((mine == TOKENIZER.mask_token_id).mean() - 0.35) < room
        swapped = mine[(mine != TOKENIZER.mask_token_id) & (mine != row[place])]
        assert abs(len(swapped) / len(mine) - 0.45) < room + 0.03  # one of 30 answers is swapped for itself
        assert (ids[~chosen[:, place], place] == row[place]).all()
        assert min(swapped) >= len(build_backbone.SPECIAL)
    capitals = {TOKENIZER.convert_tokens_to_ids(each.lower()) for family in WORLD.families
                if family.name == "capitals" for each in family.answers}
    answers = set(ids[chosen[:, answer], answer]) - {TOKENIZER.mask_token_id}
    assert answers <= capitals and len(answers) > 20
    assert len(set(ids[chosen[:, word], word])) > 100


def test_rows_are_padded_on_the_right_and_only_what_was_chosen_is_asked():
    def corrupt(fact, row):
        return row + 100, row % 2 == 0

    rows = [(FRANCE, np.array([2, 7, 8])), (FRANCE, np.array([5])), (FRANCE, np.array([4, 6]))]
    ids, mask, targets = build_backbone.collate(rows, corrupt)
    assert ids.tolist() == [[102, 107, 108], [105, 0, 0], [104, 106, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert targets.tolist() == [[2, -100, 8], [-100, -100, -100], [4, 6, -100]]


def test_a_batch_of_the_backbone_holds_right_answers_of_like_length():
    recipe = build_backbone.Recipe(batch_size=8, choose=0, choose_answer=1, mask=0, substitute=0)
    rng = np.random.default_rng(0)
    corrupt = build_backbone.Corruptor(WORLD, TOKENIZER, recipe, rng)
    source = build_backbone.batches(WORLD, TOKENIZER, corrupt, recipe, rng)
    drawn = [next(source) for _ in range(build_backbone.CHUNK)]
    lengths = [mask.sum(1).tolist() for _, mask, _ in drawn]
    assert build_backbone.CHUNK == 32 and {len(each) for each in lengths} == {8}
    ordered = sorted(lengths, key=sum)
    assert lengths != ordered and all(max(one) <= min(two) for one, two in zip(ordered, ordered[1:]))
    prompts = {prompt.lower().replace(" ", ""): prompt for prompt in WORLD.prompts("train")}
    for text in [TOKENIZER.decode(ids[0]) for ids, *_ in drawn]:
        asked, answered = (part.replace(" ", "") for part in text.split("[SEP]")[:2])
        prompt = prompts[asked.removeprefix("[CLS]")]
        assert WORLD.fact(prompt).answer.lower() in answered


def test_the_three_losses_by_loop():
    torch.manual_seed(0)
    model = build_backbone.Pretraining(build_backbone.build_config(TOKENIZER)).eval()
    ids = torch.tensor([[2, 50, 4, 60, 3], [2, 70, 80, 3, 0]])  # one masked, one swapped, one asked and left
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    targets = torch.tensor([[-100, -100, 55, 61, -100], [-100, 70, -100, -100, -100]])
    with torch.no_grad():
        found = model.losses(ids, mask, targets)
        hidden = model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        log_p, swapped = model.words(hidden).log_softmax(-1), model.swapped(hidden).squeeze(-1)
        library = model.names(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
    assert torch.allclose(log_p, library, atol=1e-5)
    in_place = -(log_p[0, 2, 55] + log_p[0, 3, 61] + log_p[1, 1, 70]) / 3
    from_cls = -(log_p[0, 0, 55] + log_p[0, 0, 61]) / 2
    places = [(0, 1), (0, 3), (1, 1), (1, 2)]  # the words that can be seen
    detector = -sum(F.logsigmoid(swapped[at] if at == (0, 3) else -swapped[at]) for at in places) / 4
    assert torch.allclose(torch.stack(found), torch.stack([in_place, from_cls, detector]), atol=1e-5)


def test_the_backbones_answers_are_counted_by_their_first_choice(monkeypatch):
    class Knows:
        """Names Paris, whatever is masked."""

        def encoder(self, input_ids, attention_mask):
            assert input_ids.shape == attention_mask.shape and (attention_mask.sum(1) > 5).all()
            return Namespace(last_hidden_state=torch.zeros(*input_ids.shape, 1))

        def words(self, hidden):
            return F.one_hot(torch.full(hidden.shape[:1], TOKENIZER.convert_tokens_to_ids("paris")), len(TOKENIZER))

    prompts = WORLD.prompts("validation")
    known = np.mean([WORLD.fact(prompt).answer == "Paris" for prompt in prompts])
    assert 0 < known == build_backbone.answer_accuracy(Knows(), TOKENIZER, WORLD, "validation")


# --- training ------------------------------------------------------------------------------------------------------

def test_the_backbone_takes_its_steps_and_tells(taken, monkeypatch, capsys):
    monkeypatch.setattr(build_backbone, "answer_accuracy", lambda *given: 0.25 if given[-1] == "validation" else 1.0)
    recipe = build_backbone.Recipe(steps=STEPS, batch_size=2)
    model = build_backbone.pretrain(WORLD, TOKENIZER, recipe, seed=5)
    assert [rate for rate, *_ in taken] == pytest.approx(rates(1.5e-3)) and not model.training
    assert {decay for _, decay, _ in taken} == {0.01} and max(length for *_, length in taken) == pytest.approx(1.0)
    first = [build_backbone.pretrain(WORLD, TOKENIZER, build_backbone.Recipe(steps=1, batch_size=2), seed)
             for seed in (5, 5, 6)]
    assert torch.equal(first[0].swapped.weight, first[1].swapped.weight)
    assert not torch.equal(first[0].swapped.weight, first[2].swapped.weight)
    told = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in told] == [f"step {STEPS}/{STEPS}", *["step 1/1"] * 3]
    assert {line[2] for line in told} == {"answers known to held-out questions 0.25"} and told[0][3].endswith(" s")
    assert told[1][1] == told[2][1] != told[3][1]
    loss = float(told[1][1].removeprefix("loss "))
    assert 2 * np.log(len(TOKENIZER)) + 5 < loss < 2 * np.log(len(TOKENIZER)) + 12  # two of V words, ten times log 2
