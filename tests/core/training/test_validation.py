"""Validation while training: the best weights are kept, patience ends a run, and the training itself is untouched."""

import logging
import math
from dataclasses import replace

import pytest
import torch
from training_parts import CONFIG, PAIRS, losses, made_up_pairs, one_thread, run, tiny_model  # noqa: F401

from rmlib.losses import bradley_terry_loss
from rmlib.model import score_pairs
from rmlib.training import NEWEST, TrainingConfig
from rmlib.training.validation import Validation

APART = made_up_pairs(44)[34:]
LONG = replace(CONFIG, epochs=6, learning_rate=5e-3)  # the best of six looks is the fourth


def nll(model, pairs=APART) -> float:
    chosen, rejected = torch.from_numpy(score_pairs(model, pairs)).double()
    return bradley_terry_loss(chosen, rejected).item()


def weights(model) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(one, other) -> bool:
    return all(map(torch.equal, one, other))


def stopped_after(step: int, **options):
    """A run of the same settings that ends after a step: (model, result)."""
    taken = []
    return run(should_stop=lambda: taken.append(0) or len(taken) == step, **options)


def test_the_best_weights_are_kept_and_are_not_the_last():
    model, result = run(LONG, validation=APART)
    found = [record["nll"] for record in result.validation]
    best = min(result.validation, key=lambda record: record["nll"])["step"]
    assert [record["step"] for record in result.validation] == [4, 8, 12, 16, 20, 24] and 4 < best < 24
    assert nll(model) == pytest.approx(min(found), rel=1e-6) and found[-1] > min(found) + 0.01
    assert same(weights(model), weights(stopped_after(best, config=LONG)[0]))


def test_validation_changes_nothing_of_the_training():
    dropout = replace(LONG, dropout=True)
    with_it, without = run(dropout, validation=APART)[1], run(dropout)[1]
    assert losses(with_it) == losses(without) and without.validation == []


def test_it_is_looked_at_where_it_was_asked_for_and_at_the_end():
    _, result = run(replace(CONFIG, validate_every=3), validation=APART)
    assert [record["step"] for record in result.validation] == [3, 6, 8]


def test_patience_ends_the_run_and_a_resumed_one_stays_ended(tmp_path):
    patient = replace(LONG, patience=1)
    model, result = run(patient, validation=APART, checkpoint_dir=tmp_path)
    best = min(result.validation, key=lambda record: record["nll"])["step"]
    assert result.steps == best + 4 < 24 and result.validation[-1]["step"] == result.steps
    again, resumed = run(patient, validation=APART, checkpoint_dir=tmp_path, resume=True, model=tiny_model(1))
    assert resumed.steps == result.steps and resumed.validation == result.validation
    assert same(weights(model), weights(again))


def test_of_weights_that_are_equally_good_the_first_are_kept():
    model = tiny_model()
    model.head.weight.data.zero_()
    validation = Validation(model, APART, None)
    for step in (1, 2, 3):  # the bias cancels in every margin
        model.head.bias.data.fill_(step)
        validation.evaluate(step)
    assert [record["nll"] for record in validation.history] == [pytest.approx(math.log(2))] * 3
    assert validation.best["head.bias"].item() == 1
    validation.restore_best()
    assert model.head.bias.item() == 1


@pytest.mark.parametrize("found, is_over", [
    ([], False), ([0.7], False), ([0.7, 0.6, 0.6], False), ([0.7, 0.6, 0.6, 0.65], True), ([0.5, 0.6, 0.7], True),
    ([0.5, 0.6, 0.4], False),
])
def test_patience_counts_looks_that_were_no_better(found, is_over):
    validation = Validation(tiny_model(), APART, patience=2)
    validation.history = [{"step": at, "nll": value} for at, value in enumerate(found)]
    assert validation.is_over == is_over
    validation.patience = None
    assert not validation.is_over


def test_the_best_weights_survive_an_interruption(tmp_path):
    whole, result = run(LONG, validation=APART)
    last = min(result.validation, key=lambda record: record["nll"])["step"] + 3
    _, stopped = stopped_after(last, config=LONG, validation=APART, checkpoint_dir=tmp_path)
    assert stopped.interrupted and stopped.steps == last and (tmp_path / NEWEST).exists()
    resumed, ended = run(LONG, validation=APART, checkpoint_dir=tmp_path, resume=True, model=tiny_model(1))
    assert not ended.interrupted and ended.validation == result.validation
    assert same(weights(whole), weights(resumed))


def test_an_interrupted_run_ends_with_its_newest_weights():
    stopped, _ = stopped_after(7, config=LONG, validation=APART)
    assert same(weights(stopped), weights(stopped_after(7, config=LONG)[0]))


def test_other_validation_pairs_are_another_run(tmp_path):
    stopped_after(2, validation=APART, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match="made with another validation: 10 pairs.*now 9 pairs"):
        run(validation=APART[:9], checkpoint_dir=tmp_path, resume=True)


def test_what_was_found_is_told(caplog):
    with caplog.at_level(logging.INFO, "rmlib"):
        _, result = run(LONG, validation=APART)
    told = [record.message for record in caplog.records if record.message.startswith("validation")]
    assert len(told) == 6 and told[0].endswith("the best so far") and not told[-1].endswith("so far")
    assert f"{result.validation[0]['nll']:.4f}" in told[0] and "after step 4:" in told[0]


def test_a_validation_loss_that_is_no_number_stops_the_run():
    model = tiny_model()
    validation = Validation(model, APART, None)
    with torch.no_grad():
        model.head.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="validation loss after step 3 is nan"):
        validation.evaluate(3)
    assert not validation.history and not validation.best


@pytest.mark.parametrize("name", ["validate_every", "patience"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2"])
def test_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        TrainingConfig(**{name: value})
