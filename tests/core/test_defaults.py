"""What is done where nothing is said: a default that changes changes every result that was made without it."""

import inspect
import math
from dataclasses import asdict

import pytest

from rmlib import encoding, evaluation, files, gradients, losses
from rmlib.evaluation.accuracy import clustered_bootstrap
from rmlib.model import RewardModel, saving, score_pairs, score_pairs_distributed, scoring, unpadded
from rmlib.model import backbone as backbones
from rmlib.pairs import iter_rows, read_pairs, split_by_conversation
from rmlib.training import TrainingConfig, TrainingResult, train
from rmlib.training.validation import Validation

PLAIN = {"target_margin": None, "reduction": "mean"}
DEFAULTS = {
    losses.bradley_terry_loss: PLAIN, losses.smoothed_loss: PLAIN, losses.centring_penalty: {"reduction": "mean"},
    gradients.directional_checks: {"step": 1e-4, "generator": None, "atol": 1e-10, "rtol": 1e-6},
    files.read_lines: {}, iter_rows: {"ignored": None}, read_pairs: {"strict": False, "limit": None},
    split_by_conversation: {"seed": 0},
    encoding.read_spec: {"rendering": "auto"}, encoding.encode: {"overlong": "keep_response", "same_cut": False},
    encoding.collate: {"pad_id": 0, "pad_side": "right"},
    RewardModel: {"model_name": "distilbert-base-uncased", "pooling": "auto", "max_length": None, "rendering": "auto",
                  "backbone": None, "tokenizer": None, "encoding": None},
    score_pairs: {"token_budget": 8192}, score_pairs_distributed: {"token_budget": 8192},
    scoring.score_encoded: {"token_budget": 8192}, scoring.score_encoded_distributed: {"token_budget": 8192},
    Validation: {"token_budget": 8192}, evaluation.evaluate: {"token_budget": 8192},
    clustered_bootstrap: {"repeats": 2000, "seed": 0}, evaluation.reliability: {"bins": 15},
    evaluation.expected_calibration_error: {"bins": 15}, evaluation.ece_floor: {"bins": 15},
    evaluation.perfect_model_errors: {"bins": 15, "repeats": 200, "seed": 0},
    train: {"config": TrainingConfig(), "validation": (), "loss": None, "train_bias": False, "checkpoint_dir": None,
            "resume": False, "on_step": None, "should_stop": None, "progress": True},
}


@pytest.mark.parametrize("function", DEFAULTS, ids=lambda function: function.__name__)
def test_what_is_left_out(function):
    given = {name: each.default for name, each in inspect.signature(function).parameters.items()
             if each.default is not each.empty}
    assert given == DEFAULTS[function]
    assert all(type(given[name]) is type(value) for name, value in DEFAULTS[function].items())


def test_settings_of_a_training_run():
    assert asdict(TrainingConfig()) == {
        "epochs": 1, "batch_size": 16, "learning_rate": 5e-5, "warmup": 0.1, "weight_decay": 0.01, "max_grad_norm": 1.0,
        "token_budget": None, "precision": "auto", "dropout": False, "use_target_margin": False, "label_smoothing": 0.0,
        "centring": 0.0, "overlong": "keep_response", "checkpoint_every": 100, "validate_every": None,
        "patience": None, "seed": 0}
    assert asdict(TrainingResult()) == {
        "history": [], "validation": [], "steps": 0, "pairs_seen": 0, "seconds": 0.0, "precision": "fp32",
        "device": "cpu", "interrupted": False}


def test_numbers_that_documents_and_files_rely_on():
    assert backbones.DEFAULT_MAX_LENGTH == 512 and saving.RELOADED == 1_000_000_000 and saving.FORMAT == 2
    assert unpadded.UNPADDED_FAMILIES == ("bert", "distilbert", "roberta", "gpt2", "llama")
    # The quantile: 2.5% of the normal law lie above it.
    assert math.erfc(inspect.signature(evaluation.wilson_interval).parameters["z"].default / math.sqrt(2)) == (
        pytest.approx(0.05, rel=1e-14))
