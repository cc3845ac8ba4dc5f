"""The field's known traps, one test for each: what goes wrong elsewhere, and that it does not here."""

import math

import numpy as np
import pytest
import tiny
import torch

from rmlib.encoding import describe, encode
from rmlib.evaluation import evaluate, reward_margins, summarise
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel, compute_pairwise_loss, score_pairs
from rmlib.pairs import PreferencePair, conversation_keys, split_by_conversation
from rmlib.training import Trainer, TrainingConfig, train

WORDS = "france egg sky grass capital sum hot cold blue green paris london water minutes seven five".split()
PAIRS = [PreferencePair(f"What is {word} {i}?", f"It is {word}.", f"No {word}" * (i % 4 + 1), id=i)
         for i, word in enumerate(WORDS)]
LONG = PreferencePair("old " * 400 + "new?", "It is hot.", "It is cold.")


def settings(**changes):
    return TrainingConfig(**{"batch_size": 4, "precision": "fp32", **changes})


def test_truncation_that_removes_the_response():
    """Cut on the right the two sequences are one, and the loss is log 2 for ever, without an error."""
    model = tiny.reward_model("bert")
    cut = model.tokenizer([LONG.prompt] * 2, [LONG.chosen, LONG.rejected], truncation="only_first", max_length=64)
    right = [model.tokenizer(f"{LONG.prompt} {response}", truncation=True, max_length=64)["input_ids"]
             for response in (LONG.chosen, LONG.rejected)]
    assert right[0] == right[1] and cut["input_ids"][0] != cut["input_ids"][1]
    [encoded] = encode(model.tokenizer, [LONG], model.encoding)
    assert not encoded.identical and encoded.length == tiny.POSITIONS
    loss, *_ = compute_pairwise_loss(model, model.tokenizer, LONG.prompt, LONG.chosen, LONG.rejected, "cpu")
    assert abs(loss.item() - math.log(2)) > 1e-3
    # The library's only_first keeps the oldest tokens; what was asked last is what counts.
    newest = model.tokenizer("new?", add_special_tokens=False)["input_ids"]
    assert encoded.chosen[: encoded.response_start - 1].tolist()[-len(newest) :] == newest
    assert newest[0] not in cut["input_ids"][0][:50]


def test_a_cut_of_the_prompt_that_differs_between_the_responses():
    """Then the prompt's own effect on the score no longer cancels in the margin."""
    model = tiny.reward_model("bert")
    [encoded] = encode(model.tokenizer, [PreferencePair("old " * 400, "yes", "no " * 90)], model.encoding)
    start = encoded.response_start
    assert encoded.chosen[:start].tolist() == encoded.rejected[:start].tolist()
    assert len(encoded.chosen) < len(encoded.rejected) == tiny.POSITIONS  # the shorter one was not filled up


def test_long_pairs_that_are_filtered_in_silence(caplog):
    model = tiny.reward_model("bert")
    assert all(np.isfinite(side).all() and len(side) == 17 for side in score_pairs(model, [*PAIRS, LONG]))
    dropped = encode(model.tokenizer, [*PAIRS, LONG], model.encoding, "drop")
    assert "16 of 17 pairs encoded" in describe(dropped, 17) and "1 dropped" in describe(dropped, 17)
    with caplog.at_level("INFO", logger="rmlib"):
        Trainer(model, [*PAIRS, LONG], settings())
    assert "17 of 17 pairs encoded: 1 with the prompt's oldest tokens cut" in caplog.text


@pytest.mark.parametrize("name", tiny.DECODERS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_token_pooled_when_padding_is_on_the_left_or_is_the_eos(name, side):
    """The last column may be padding, and the last token that is not the padding id comes before an eos that counts."""
    model = tiny.reward_model(name)
    alone = score_pairs(model, PAIRS, token_budget=1)
    model.tokenizer.pad_token, model.tokenizer.padding_side = model.tokenizer.eos_token, side
    together = score_pairs(model, PAIRS, token_budget=10**6)
    np.testing.assert_allclose(together, alone, atol=1e-5 * np.maximum(1, np.abs(alone)).max())
    batch = model.tokenizer(["yes", "a longer one, it is"], padding=True, return_tensors="pt")
    single = model.tokenizer(["yes"], return_tensors="pt")
    assert batch["attention_mask"][0].sum() == single["attention_mask"].sum() < batch["attention_mask"].shape[1]
    with torch.no_grad():
        expected = model.head(model.backbone(**single).last_hidden_state[0, -1]).item()
        assert model(**batch)[0].item() == pytest.approx(expected, abs=1e-5)


def test_a_head_that_is_drawn_anew_at_reload(tmp_path):
    model = tiny.reward_model("gpt2")
    model.save_pretrained(tmp_path / "model")
    torch.manual_seed(7)
    again = RewardModel.from_pretrained(tmp_path / "model")
    assert torch.equal(again.head.weight, model.head.weight) and torch.equal(again.head.bias, model.head.bias)
    np.testing.assert_array_equal(score_pairs(again, PAIRS), score_pairs(model, PAIRS))


def test_scores_that_change_with_the_batch_size():
    model = tiny.reward_model("bert")
    one, many = (score_pairs(model, PAIRS, token_budget=budget) for budget in (1, 10**6))
    assert np.all(np.abs(one - many) <= 1e-5 * np.maximum(1, np.abs(one)))


def test_scores_of_two_axes_that_broadcast():
    """(B, 1) against (B,) is (B, B): the mean of it is a number, and the wrong one."""
    model = tiny.reward_model("bert")
    batch = model.collate(encode(model.tokenizer, PAIRS, model.encoding))
    rewards = model(**batch)
    assert rewards.shape == (2 * len(PAIRS),)
    chosen, rejected = rewards.chunk(2)
    with pytest.raises(ValueError, match="one length"):
        bradley_terry_loss(chosen[:, None], rejected)


@pytest.mark.parametrize("margin", [-200.0, -89.0, 0.0, 17.0, 104.0, 200.0])
def test_log_of_one_plus_exp(margin):
    """In float32 log(1 + exp(x)) is infinite from 89 on, and log(sigmoid + 1e-7) is stuck at 16, without a gradient."""
    chosen = torch.tensor([margin], requires_grad=True)
    loss = bradley_terry_loss(chosen, torch.zeros(1))
    loss.backward()
    assert loss.item() == pytest.approx(float(np.logaddexp(0, -margin)), rel=1e-6, abs=1e-45)
    assert chosen.grad.item() == pytest.approx(-1 / (1 + math.exp(margin)), rel=1e-5, abs=1e-45)


def test_scores_summed_over_the_batch_before_the_sigmoid():
    """Additivity finds it: the loss of a batch is the mean of its pairs' losses."""
    model = tiny.reward_model("bert")
    encoded = encode(model.tokenizer, PAIRS, model.encoding)
    trainer = Trainer(model, PAIRS, settings())
    alone = [trainer.loss([pair]).item() for pair in encoded]
    assert np.std(alone) > 0.1
    assert trainer.loss(encoded).item() == pytest.approx(sum(alone), rel=1e-5)
    step = train(tiny.reward_model("bert"), PAIRS, settings(batch_size=len(PAIRS), token_budget=100), progress=False)
    assert step.history[0]["loss"] == pytest.approx(np.mean(alone), rel=1e-5)


def test_the_mean_of_means_of_unequal_batches_and_ties_that_count_as_wrong():
    model, tie = tiny.reward_model("bert"), PreferencePair("Why?", "\x01", "\x02")
    rows = [*PAIRS[:10], tie]
    figures = [evaluate(model, rows, token_budget=budget) for budget in (1, 150, 10**6)]
    margins = np.subtract(*score_pairs(model, rows)).astype(float)
    expected = np.logaddexp(0, -margins).mean()
    assert [found.nll for found in figures] == pytest.approx([expected] * 3, rel=1e-5)
    assert all(found.ties == 1 and found.accuracy == ((margins > 0).sum() + 0.5) / 11 for found in figures)


def test_evaluation_rows_that_were_trained_on():
    turns = [PreferencePair([("user", word), ("assistant", f"{i}"), ("user", "on")], "a", "b")
             for i in range(5) for word in WORDS]
    training, held_out = split_by_conversation(turns, 0.25)
    assert len(held_out) == 20 and len(training) == 60
    assert not set(conversation_keys(training)) & set(conversation_keys(held_out))


def test_weights_in_bfloat16_that_swallow_adam_s_steps():
    """A step of 1e-5 on a weight of 1 is below bfloat16's rounding; the weights stay where they were."""
    swallowed = torch.ones(1, dtype=torch.bfloat16)
    assert torch.equal(swallowed - 1e-5, swallowed)
    model = tiny.reward_model("bert")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(model, PAIRS, settings(precision="bf16", learning_rate=1e-5, warmup=0), progress=False)
    after = dict(model.named_parameters())
    assert {parameter.dtype for parameter in after.values()} == {torch.float32}
    norm = "backbone.encoder.layer.0.output.LayerNorm.weight"  # ones, where bfloat16's steps are 1/128
    moved = (after[norm] - before[norm]).abs()
    assert 0 < moved.max().item() < 1e-3


def test_accuracy_without_a_baseline_or_an_interval():
    figures = evaluate(tiny.reward_model("bert"), PAIRS)
    told = str(figures)
    assert all(word in told for word in ("accuracy", "95% interval", "ties", "longer", "shorter", "a coin"))
    assert figures.accuracy_low < figures.accuracy < figures.accuracy_high


def test_the_reward_taken_for_a_probability():
    """Only differences within a prompt mean anything: an offset for each prompt changes no figure."""
    rng = np.random.default_rng(0)
    chosen, rejected, offset = rng.normal(size=(3, len(PAIRS)))
    figures, moved = (summarise(reward_margins(rewards), PAIRS)
                      for rewards in ((chosen, rejected), (chosen + offset, rejected + offset)))
    for name in ("accuracy", "nll", "ece"):
        assert getattr(moved, name) == pytest.approx(getattr(figures, name), rel=1e-9)


@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_a_template_that_differs_between_training_and_scoring(tmp_path, name):
    model = tiny.reward_model(name)
    fed = []

    def watch(_, __, inputs):
        fed.append([row[mask.bool()].tolist() for row, mask in zip(inputs["input_ids"], inputs["attention_mask"])])

    model.register_forward_pre_hook(watch, with_kwargs=True)
    compute_pairwise_loss(model, model.tokenizer, LONG.prompt, LONG.chosen, LONG.rejected, "cpu")
    score_pairs(model, [LONG])
    Trainer(model, [LONG], settings()).backward([0])
    model.save_pretrained(tmp_path / "model")
    again = RewardModel.from_pretrained(tmp_path / "model")
    again.register_forward_pre_hook(watch, with_kwargs=True)
    score_pairs(again, [LONG])
    by_loss, by_scoring, _, by_training, by_reloaded = *fed[:4], fed[-1]  # the third: what a training tries first
    assert by_loss == by_scoring == by_training == by_reloaded
    assert all(row[-1] in (model.tokenizer.sep_token_id, model.tokenizer.eos_token_id) for row in by_loss)
