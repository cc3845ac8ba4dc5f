"""The training loop against a plain one written out here, and every promise of its settings."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from training_parts import CONFIG, PAIRS, losses, made_up_pairs, one_thread, run, tiny_model  # noqa: F401

from rmlib.encoding import encode
from rmlib.pairs import PreferencePair
from rmlib.training import Trainer, TrainingConfig


def plain_loop(model, pairs, config: TrainingConfig) -> list[dict]:
    """One pair at a time, two forwards a pair, no padding, AdamW and its schedule written out."""
    encoded = encode(model.tokenizer, pairs, model.encoding)
    parameters = [parameter for name, parameter in model.named_parameters() if name != "head.bias"]
    first, second = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    batches = list(Trainer(copy.deepcopy(model), pairs, config).batches())
    warmup, history = round(config.warmup * len(batches)), []
    model.eval()
    for step, (_, batch) in enumerate(batches):
        losses = []
        for i in batch:
            pair = encoded[i]
            chosen, rejected = (score(model, ids, pair.response_start) for ids in (pair.chosen, pair.rejected))
            losses.append(-F.logsigmoid(chosen - rejected))
        loss = torch.stack(losses).mean()
        gradients = torch.autograd.grad(loss, parameters)
        norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
        share = step / warmup if step < warmup else (len(batches) - step) / (len(batches) - warmup)
        rate = config.learning_rate * share
        with torch.no_grad():
            for parameter, gradient, m, v in zip(parameters, gradients, first, second):
                gradient = gradient * min(1, config.max_grad_norm / norm)
                m.mul_(0.9).add_(0.1 * gradient)
                v.mul_(0.999).add_(0.001 * gradient**2)
                if parameter.dim() > 1:
                    parameter.mul_(1 - rate * config.weight_decay)
                bias = [1 - beta ** (step + 1) for beta in (0.9, 0.999)]
                parameter.sub_(rate * (m / bias[0]) / ((v / bias[1]).sqrt() + 1e-8))
        history.append({"loss": loss.item(), "grad_norm": norm.item(), "learning_rate": rate})
    return history


def score(model, ids, response_start: int) -> torch.Tensor:
    ids = torch.from_numpy(ids).long()
    segments = (torch.arange(len(ids)) >= response_start).long()
    return model(ids[None], torch.ones(1, len(ids), dtype=torch.long), segments[None])[0]


# These cancel in the loss: their gradients are zero but for rounding, which Adam blows up to full steps.
WITHOUT_GRADIENT = ("key.bias", "layer.1.output.LayerNorm.bias")


def distance(model, other) -> float:
    """Largest difference of a weight that has a gradient."""
    pairs = [(a, b) for (name, a), b in zip(model.named_parameters(), other.parameters())
             if not name.endswith(WITHOUT_GRADIENT)]
    return max((a - b).abs().max().item() for a, b in pairs)


def test_equals_a_plain_loop():
    expected_model = tiny_model()
    expected = plain_loop(expected_model, PAIRS, CONFIG)
    model, result = run()
    assert len(expected) == len(result.history) == result.steps == 8 and result.pairs_seen == 28
    for record, wanted in zip(result.history, expected):
        assert {name: record[name] for name in wanted} == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert distance(model, expected_model) < 1e-5
    assert distance(model, tiny_model()) > 1e-3  # something was learned at all
    assert max(record["grad_norm"] for record in result.history) > CONFIG.max_grad_norm  # told before the clip


@pytest.mark.parametrize("token_budget", [1, 10_000])
def test_micro_batches_change_nothing(token_budget):
    model, result = run()
    other, repeated = run(replace(CONFIG, token_budget=token_budget))
    assert losses(repeated) == pytest.approx(losses(result), abs=1e-6)
    assert distance(model, other) < 1e-5


def test_batch_loss_and_gradient_are_means_over_pairs():
    trainer = Trainer(tiny_model(), PAIRS, CONFIG)
    total = trainer.backward([0, 1, 2])
    batch = [parameter.grad.clone() for parameter in trainer.core.parameters()]
    alone, sums = [], [torch.zeros_like(gradient) for gradient in batch]
    for i in range(3):
        trainer.core.zero_grad()
        alone.append(trainer.backward([i]).item())
        for gradient, parameter in zip(sums, trainer.core.parameters()):
            gradient += parameter.grad / 3
    assert total.item() == pytest.approx(sum(alone), abs=1e-6)
    for gradient, wanted in zip(batch, sums):
        assert torch.allclose(gradient, wanted, atol=1e-6)


def test_every_seed_and_epoch_has_an_order_of_its_own():
    """`seed + epoch` would give seed 0's second epoch the order of seed 1's first."""
    pairs = made_up_pairs(40)
    orders = [
        tuple(i for at, batch in Trainer(tiny_model(), pairs, replace(CONFIG, epochs=3, seed=seed)).batches()
              if at == epoch for i in batch)
        for seed in range(3) for epoch in range(3)
    ]
    assert len(set(orders)) == 9 and all(sorted(order) == list(range(40)) for order in orders)


@pytest.mark.parametrize("warmup, shares", [
    (0.0, [8, 7, 6, 5, 4, 3, 2, 1]), (1.0, [0, 1, 2, 3, 4, 5, 6, 7]),
    *((share, [0, 4, 8, 8 * 5 / 6, 8 * 4 / 6, 8 * 3 / 6, 8 * 2 / 6, 8 / 6]) for share in (0.2, 0.25, 0.3)),
])
def test_schedule_warms_up_and_decays(warmup, shares):
    """Of 8 steps 1.6, 2 and 2.4 are two whole ones to warm up."""
    _, result = run(replace(CONFIG, warmup=warmup))
    rates = [record["learning_rate"] / CONFIG.learning_rate for record in result.history]
    assert rates == pytest.approx([share / 8 for share in shares])


def test_the_rate_told_is_the_rate_used():
    # Two steps, one of them warm-up: the first has rate zero and moves nothing, the second has the peak.
    before, seen = tiny_model(), []
    model = tiny_model()
    run(replace(CONFIG, epochs=1, batch_size=7, warmup=0.5), model=model,
        on_step=lambda record: seen.append((record["learning_rate"], distance(model, before))))
    assert [rate for rate, _ in seen] == [0, CONFIG.learning_rate] and seen[0][1] == 0 < seen[1][1]


def test_dropout_is_off_unless_asked_for():
    plain = losses(run(model=tiny_model(dropout=0.0))[1])
    off = losses(run(model=tiny_model(dropout=0.5))[1])
    on = losses(run(replace(CONFIG, dropout=True), model=tiny_model(dropout=0.5))[1])
    assert off == plain and on != plain


def test_the_model_ends_ready_to_score():
    model, _ = run(replace(CONFIG, dropout=True))
    assert not any(module.training for module in model.modules())
    assert "forward" not in vars(model) and not hasattr(model, "_original_forward")


def test_target_margins_only_where_asked_for():
    unused = losses(run(pairs=[replace(pair, target_margin=5.0) for pair in PAIRS])[1])
    assert unused == losses(run()[1])
    trainer = Trainer(tiny_model(), PAIRS, replace(CONFIG, use_target_margin=True))
    for i in (0, 5):
        margin = -math.log(math.expm1(Trainer(tiny_model(), PAIRS, CONFIG).loss([trainer.encoded[i]]).item()))
        wanted = math.log1p(math.exp(-(margin - PAIRS[i].target_margin)))
        assert trainer.loss([trainer.encoded[i]]).item() == pytest.approx(wanted, abs=1e-5)


def test_pairs_without_a_target_margin_among_others_are_told(caplog):
    some = [replace(pair, target_margin=None if i in (2, 5) else 1.0) for i, pair in enumerate(PAIRS)]
    for config in (CONFIG, replace(CONFIG, use_target_margin=True)):
        Trainer(tiny_model(), some, config)
    assert caplog.messages == [f"2 of {len(PAIRS)} pairs have no target margin: 0 is taken"]


def test_overlong_pairs_are_dropped_and_margins_stay_with_their_pairs():
    long = PreferencePair("paris " * 40, "yes", "no", target_margin=100.0)
    config = replace(CONFIG, overlong="drop", use_target_margin=True)
    _, result = run(config, [long, *PAIRS])
    assert losses(result) == losses(run(config, PAIRS)[1]) and result.pairs_seen == 28
    assert run(pairs=[long, *PAIRS])[1].pairs_seen == 30
    with pytest.raises(ValueError, match="nothing to train on: none of the 1 pairs"):
        run(config, [long])


def test_no_pairs_is_an_error():
    with pytest.raises(ValueError, match="nothing to train on"):
        run(pairs=[])


@pytest.mark.parametrize("field, value", [("precision", "fp16"), ("batch_size", 0), ("epochs", 0), ("warmup", 1.5),
                                          ("checkpoint_every", 0), ("max_grad_norm", -1.0), ("overlong", "cut"),
                                          ("learning_rate", -1.0), ("learning_rate", math.nan), ("centring", -1.0),
                                          ("learning_rate", math.inf), ("learning_rate", "fast"), ("epochs", 1.5),
                                          ("max_grad_norm", math.nan), ("weight_decay", -1.0), ("token_budget", -3),
                                          ("token_budget", 0), ("warmup", math.nan), ("label_smoothing", 0.6),
                                          ("centring", math.inf), ("max_grad_norm", 0.0), ("warmup", -0.1),
                                          ("label_smoothing", -0.1), ("batch_size", 2.0), ("precision", "")])
def test_settings_out_of_range_are_told(field, value):
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        replace(CONFIG, **{field: value})


def test_settings_at_the_ends_of_their_range_are_taken():
    ends = {"warmup": 1, "label_smoothing": 0.5, "centring": 0, "max_grad_norm": math.inf, "weight_decay": 0,
            "learning_rate": 0, "token_budget": None, "patience": None, "validate_every": None, "batch_size": 1}
    assert {name: getattr(replace(CONFIG, **ends), name) for name in ends} == ends


def test_on_step_sees_every_record():
    seen = []
    _, result = run(on_step=seen.append)
    assert seen == result.history and [record["step"] for record in seen] == list(range(1, 9))
    assert [record["epoch"] for record in seen] == [0] * 4 + [1] * 4
    assert all(record["pairs_per_second"] > 0 for record in seen)


def test_frozen_parameters_stay_and_so_does_the_bias_that_cancels():
    model = tiny_model()
    model.backbone.embeddings.requires_grad_(False)
    model.head.bias.data.fill_(0.5)
    before = copy.deepcopy(model)
    run(model=model)
    for (name, ours), wanted in zip(model.named_parameters(), before.parameters()):
        assert torch.equal(ours, wanted) == name.startswith(("backbone.embeddings", "head.bias")), name
    assert model.head.bias.requires_grad and model.head.bias.grad is None  # as it was before


@pytest.mark.parametrize("progress", [True, False])
def test_progress_goes_to_stderr_alone(capsys, progress):
    run(progress=progress)
    out, err = capsys.readouterr()
    assert out == "" and ("28/28" in err and "loss=" in err and "pair/s" in err if progress else err == "")


@pytest.mark.parametrize("count", [1, 16])
def test_learns_a_few_pairs_by_heart(count):
    """If this fails, nothing else about training matters."""
    config = TrainingConfig(epochs=40, batch_size=count, learning_rate=1e-2, precision="fp32", token_budget=4096)
    assert losses(run(config, made_up_pairs(count))[1])[-1] < 0.05


def test_starts_near_log_two():
    assert losses(run(replace(CONFIG, epochs=1, batch_size=14))[1])[0] == pytest.approx(math.log(2), abs=0.05)
