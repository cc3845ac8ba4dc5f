"""What moves a reward, as notebook 05 measures it: on small models, and on models that are wrong."""

import numpy as np
import pytest
import tiny
import torch

from rmlib.course.what_moves import margins, orders_turned, padded, padded_rewards, singly, what_moves
from rmlib.course.world import World
from rmlib.model import RewardModel
from rmlib.settings import EMBEDDED_BACKBONE

POOLINGS = {"first": ("cls", lambda hidden: hidden[:, 0]), "mean": ("mean", lambda hidden: hidden.mean(1)),
            "last": ("last", lambda hidden: hidden[:, -1])}


@pytest.fixture(scope="module")
def pairs():
    return World().pairs(6, seed=2)


def that_pads(name: str) -> RewardModel:
    torch.manual_seed(0)
    model = tiny.reward_model(name).eval()
    model.backbone.set_attn_implementation("sdpa")
    torch.nn.init.normal_(model.head.weight)
    return model


def test_columns_are_added_on_the_side_that_is_asked_and_hidden(pairs):
    model = that_pads("distilbert")
    plain = padded(model, pairs)["attention_mask"]
    for side, at in (("right", slice(None, -5)), ("left", slice(5, None))):
        mask = padded(model, pairs, side, 5)["attention_mask"]
        assert mask.shape[1] == plain.shape[1] + 5 and mask[:, at].sum() == mask.sum() == plain.sum()


def test_rewards_are_the_model_s_one_by_one_or_in_parts(pairs):
    model = that_pads("distilbert")
    wanted = [model.score(pair.prompt, [pair.chosen, pair.rejected]) for pair in pairs]
    for found in (padded_rewards(model, pairs), padded_rewards(model, pairs, "left", 3, forwards=2),
                  singly(model, pairs)):
        assert np.allclose(found, np.ravel(np.transpose(wanted)), atol=1e-5)
    assert margins(np.array([3.0, 5.0, 1.0, 7.0])).tolist() == [2.0, -2.0]


def test_orders_turn_where_the_mask_is_not_asked(pairs):
    hurried, masked = orders_turned(that_pads("distilbert"), pairs, (0, 4), POOLINGS)
    assert max(max(shares) for side in masked.values() for shares in side.values()) < 0.01
    assert max(hurried["right"]["first"] + hurried["left"]["last"]) < 0.01
    for side, name in (("right", "mean"), ("right", "last"), ("left", "mean"), ("left", "first")):
        assert hurried[side][name][0] == 0 and len(hurried[side][name]) == 3 and hurried[side][name][2] > 0.02


def most_of(changes: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: np.abs(moved).max() for name, moved in changes.items()}


def test_what_must_not_move_does_not_and_the_rest_does(pairs):
    model, decoder = RewardModel(str(EMBEDDED_BACKBONE)).eval(), that_pads("gpt2")  # bfloat16 shows in no tiny one
    model.backbone.set_attn_implementation("sdpa")
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    harmless, moving = map(most_of, what_moves(model, decoder, pairs))
    assert len(harmless) == 8 and len(moving) == 6 and max(harmless.values()) < 1e-4 < min(moving.values())
    assert not model.training and all(map(torch.equal, model.state_dict().values(), before.values()))


def test_a_model_that_forgets_the_mask_is_seen(pairs, monkeypatch):
    monkeypatch.setattr("rmlib.model.reward_model.pool", lambda hidden, mask, pooling: hidden.mean(1))
    model, decoder = that_pads("distilbert"), that_pads("gpt2")
    harmless = most_of(what_moves(model, decoder, pairs)[0])
    wrong = {name for name, moved in harmless.items() if moved > 1e-2}
    assert {"17 columns on the right", "17 columns on the left", "a decoder, 17 on the left",
            "batch of 1 pair or of 6"} <= wrong and "the bias raised: margin" not in wrong


def test_each_change_is_the_one_that_it_is_called(pairs, monkeypatch):
    """Against pairs that keep their order, or the reward of the response that was lengthened: by faults of one size."""
    batches = []

    def faulty(model, pairs, side="right", extra=0, forwards=1):
        batches.append(pairs)
        prompt, chosen, rejected = (np.array([len(getattr(pair, name)) for pair in pairs], dtype=float)
                                    for name in ("prompt", "chosen", "rejected"))
        kind, bias, many = type(model.backbone).__name__[:4], model.head.bias.item(), len(pairs) > 1
        coarse = model.head.weight.dtype == torch.bfloat16
        first = 100 * rejected + 200 * chosen + 0.75 * bias - 3 * (not model.encoding.suffix)
        both = (prompt + np.arange(len(pairs)) * prompt / 64 + 11 * model.training + 13 * (forwards - 1)
                + extra * {"right": 1, "left": 2}[side] * (2 if kind == "GPT2" else 1) + coarse * many * 4096)
        return np.concatenate([first + both, 7 * rejected + both])

    monkeypatch.setattr("rmlib.course.what_moves.padded_rewards", faulty)
    harmless, moving = what_moves(that_pads("distilbert"), that_pads("gpt2"), pairs)
    place, asked = np.arange(6), np.array([len(pair.prompt) for pair in pairs], dtype=float)
    [turned] = [each for each in batches if each != pairs and sorted(map(str, each)) == sorted(map(str, pairs))]
    twice, behind = (lambda each: np.tile(each, 2)), place * asked / 64
    apart = [200 * len(pair.chosen) + 93 * len(pair.rejected) for pair in pairs]
    swapped = [200 * len(pair.rejected) + 93 * len(pair.chosen) for pair in pairs]
    wanted = [behind + 17, behind + 34, 0 * asked + 68, behind, 0 * asked + 13,
              place * np.array([len(pair.prompt) for pair in turned]) / 64, np.full(6, 0.75), np.add(apart, swapped)]
    for at, (found, each) in enumerate(zip(harmless.values(), wanted, strict=True)):
        assert np.allclose(found, each if at > 5 else twice(each)), [*harmless][at]
    greeted = 14 + place * (asked + 14) / 64
    wanted = [twice(greeted), 0 * asked, np.full(6, -3.0), twice(behind + 4096), twice(behind + 11),
              np.full(6, 100 * len(" That reminds me of soup."))]
    for (name, found), each in zip(moving.items(), wanted, strict=True):
        assert np.allclose(found, each), name
