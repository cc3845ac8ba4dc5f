"""Guards of notebook 06: the slider at other positions, whose curve bears which name, which run was which."""

import json
from pathlib import Path

import numpy as np


def drawn(words):
    """The figure that the cell with these words shows, drawn once more."""
    cells = json.loads(Path("06_training.ipynb").read_text(encoding="utf-8"))["cells"]
    [cell] = [source for source in ("".join(cell["source"]) for cell in cells)
              if source.startswith("show(") and words in source]
    found = []
    exec(cell, globals() | {"show": lambda figure, alt: found.append(figure)})
    return found[0]


def named(axes):
    """What is drawn, by the name in the legend."""
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def to_bfloat16(number):
    """The nearest number with eight binary digits, of two the even one."""
    bits = int(np.float32(number).view(np.uint32))
    return float(np.uint32((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32))


def test_the_slider_rounds_every_step_at_other_positions():
    """A rate, a start or a sum that is right at the first position only; the two names exchanged."""
    for exponent in (-4.4, -3.9, -3.6, -3.3, -3.0):
        figure, line = forty_steps(exponent)
        rate, weights = 10**exponent, [to_bfloat16(0.05)]
        for _ in range(40):
            weights.append(to_bfloat16(np.float32(weights[-1]) + np.float32(rate)))
        lines = named(figure.axes[0])
        assert np.allclose(lines["bfloat16"], weights, rtol=0, atol=1e-9)
        assert np.allclose(lines["float32"], weights[0] + rate * np.arange(41), rtol=0, atol=1e-9)
        assert line == (f"learning rate {rate:.1e}, gap {2**-12:.1e}: float32 moved by {40 * rate:.4f}, "
                        f"bfloat16 by {weights[-1] - weights[0]:.4f}")


def test_every_curve_bears_the_name_of_its_run():
    """Two runs exchanged in a figure: a thin line is less than a picture's tolerance."""
    for words, runs in (('"dropout off"', {"dropout off": plain, "dropout on": dropout}),
                        ('"warm-up"', {"warm-up": plain, "none": cold}),
                        ('"4 pairs a step"', {"4 pairs a step": small, "16 pairs": plain, "64 pairs": large}),
                        ('"float32 weights"', {"float32 weights": in_fp32, "bfloat16 weights": in_bf16})):
        lines = named(drawn(words).axes[0])
        for name, run in runs.items():
            assert np.allclose(lines[name], figures.still_missing(*run)), name
    sixteen_lines = named(drawn('"as it should be"').axes[1])
    for name, losses in (("as it should be", right), ("another copy", other_copy), ("sides shuffled", shuffled)):
        assert np.allclose(sixteen_lines[name], losses), name
    for noise, pairs in both.values():
        assert abs(noise.mean()) < 0.1 and len(noise) == len(pairs) == 120
    assert both["trained on sixteen pairs"][0].std() < 1 < both["trained on sixteen pairs"][1].std()


def test_every_run_is_the_one_that_its_name_says():
    """Two experiments exchanged where they are run, or another batch's gold losses: seen in the first two losses."""
    first, second = ([few[i] for i in batch] for batch in batches(512, 16)[:2])
    start, after = (np.logaddexp(0, -np.subtract(*score_pairs(fresh(), part))).mean() for part in (first, second))
    assert abs(plain[1][0] - start) < 1e-4 and abs(plain[1][1] - after) < 1e-4  # the first step has rate zero
    assert abs(cold[1][1] - after) > 1e-3 and abs(in_fp32[1][0] - start) < 1e-4
    assert abs(dropout[1][0] - start) > 1e-3 and abs(in_bf16[1][0] - start) > 1e-5
    assert [len(run[1]) for run in (small, plain, large)] == [128, 32, 8]
    assert np.isclose(plain[2][1], np.logaddexp(0, -world.margins(second)).mean())
    assert np.isclose(on_training[0], plain[1].mean()) and nlls[0] == untrained.nll


def test_the_seeds_of_every_change_are_those_of_the_study():
    """Two changes exchanged: a few dots, fewer than a picture's tolerance."""
    plain_start, rounded = "pretrained", "pretrained, bfloat16 weights"
    wanted = {"usual": (plain_start, 5e-4, 16, 0.1, False), "dropout": (plain_start, 5e-4, 16, 0.1, True),
              "no warm-up": (plain_start, 5e-4, 16, 0, False), "2 x rate": (plain_start, 1e-3, 16, 0.1, False),
              "4 x rate": (plain_start, 2e-3, 16, 0.1, False), "1/5 rate": (plain_start, 1e-4, 16, 0.1, False),
              "4 pairs": (plain_start, 5e-4, 4, 0.1, False), "64 pairs": (plain_start, 5e-4, 64, 0.1, False),
              "bf16 weights": (rounded, 5e-4, 16, 0.1, False)}
    dots = {line.get_label(): line.get_xdata() for line in drawn("limits.changes").axes[0].lines}
    for name, setting in wanted.items():
        rows = [row["nll"] for row in ingredients if tuple(row[key] for key in USUAL) == setting]
        assert len(rows) == 3 and np.allclose(dots[name], rows, atol=6e-4), name


def test_the_long_training_is_drawn_below_its_limits_and_was_what_the_page_says():
    """A half that was not frozen, or another pooling; accuracies or limits exchanged."""
    axes = drawn("limits.against_the_limit").axes[0]
    lines = named(axes)
    assert pretrained[0] == [0, 2_048, 20_000] and np.allclose(lines["20,000 pairs"], pretrained[1])
    assert np.allclose(lines["512 pairs"], [untrained.accuracy, after_512.accuracy])
    [dashed] = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert np.isclose(dashed, bayes_limits(world.probabilities(few_validation)).accuracy)
    still = ("backbone.embeddings", "backbone.transformer.layer.0", "backbone.transformer.layer.1", "head.bias")
    for (name, ours), first in zip(trained_model.named_parameters(), fresh().parameters(), strict=True):
        assert torch.equal(ours, first) == name.startswith(still), name
    assert trained_model.pooling == "mean" and usual_model.pooling != "mean"


def test_what_is_drawn_by_epoch_is_what_was_measured():
    """Losses drawn for accuracies, training for validation."""
    left, right_side = drawn("limits.epochs").axes
    assert np.allclose(named(left)["training pairs"], on_training)
    assert np.allclose(named(left)["validation pairs"], nlls)
    assert np.allclose(right_side.lines[0].get_ydata(), accuracies)


def test_the_test_part_s_figures_agree_with_each_other():
    """An interval of another confidence, or of independent pairs; a temperature that is not the best."""
    assert len(test) == 4_000 and len({pair.prompt for pair in test}) == 197
    assert np.isclose(agreement, 0.802, atol=6e-4) and np.isclose(gap.mean(), 100 * (agreement - accuracy))
    middle, half = (accuracy + 1.96**2 / 8_000) / (1 + 1.96**2 / 4_000), 1.96 * np.sqrt(
        accuracy * (1 - accuracy) / 4_000 + 1.96**2 / (4 * 4_000**2)) / (1 + 1.96**2 / 4_000)
    assert np.allclose([low, high], [middle - half, middle + half], atol=1e-5)
    sums = {}
    for pair, points in zip(test, gap - gap.mean(), strict=True):
        sums[pair.prompt] = sums.get(pair.prompt, 0) + points
    error_of_mean = np.sqrt(sum(total**2 for total in sums.values())) / 4_000
    assert np.allclose([least, gap.mean(), most], gap.mean() + 1.96 * error_of_mean * np.arange(-1, 2), atol=0.12)
    nll_at = [np.logaddexp(0, -learned / t).mean() for t in (best, 1.05 * best, best / 1.05)]
    assert nll_at[0] == min(nll_at) and np.isclose(sure[0], (1 / (1 + np.exp(-abs(margins)))).mean())


def test_the_gold_reward_s_shares_of_facts_and_of_long_answers():
    """Shares exchanged, or asked of all pairs."""
    assert by_kind[1][0] > 0.9 > 0.7 > by_kind[1][1] and np.isclose(realised_agreement(gold_margins[:16]), 14 / 16)
    words = np.array([len(pair.chosen.split()) - len(pair.rejected.split()) for pair in few_validation])
    gold_longer = [margin * more > 0 for margin, more in zip(world.margins(few_validation), words) if more]
    assert np.isclose(longer[1], np.mean(gold_longer))


def test_confidence_grows_where_pairs_are_seen_again():
    """The page says so, and prints losses."""
    sure_of = [evaluation.confidences(np.subtract(*score_pairs(model, few_validation))).mean()
               for model in (usual_model, again)]
    assert sure_of[0] + 0.05 < sure_of[1]
