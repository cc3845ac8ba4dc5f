"""Guards of the side page on data and training, which run in its kernel after the last cell."""

import contextlib
import io
import sys
from types import SimpleNamespace

import numpy as np


def run_again(part, **instead):
    """What the names of the cell that holds `part` mean after it, run with `instead` for what it has of the page."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of

    [source] = [each for each in code_of("more_about_data_and_training.ipynb") if part in each]
    names = globals() | instead
    with contextlib.redirect_stdout(io.StringIO()):
        exec(source, names)
    return SimpleNamespace(**{name: names.get(name) for name in ("by", "own", "labels", "kept_back")})


def test_every_set_is_of_the_size_and_the_part_that_the_page_says():
    """Fewer models or labellings than are told, the training part in place of the validation pairs."""
    sys.path.insert(0, "../../tests/helpers")
    from parts_of_pages import parts

    assert parts(world, few=few, many=world.pairs(128, seed=3)) == {"few": (500, "validation"), "many": (128, "train")}
    assert len(many) == 128 and noise.shape == (400, 2000) and samples.shape == (1000,)
    assert abs(noise.std() - 0.1) < 5e-4
    if by == "a stand-in":
        assert parts(world, labels=labels) == {"labels": (160, "train")}


def test_whose_labels_are_taken_and_that_the_kept_back_ones_are_not_trained_on():
    """A person's where four prompts were chosen for; the stand-in's, who likes long answers as notebook 04's does."""
    for prompts, chosen, wanted in ((4, True, "a person"), (3, True, "a stand-in"), (9, False, "a stand-in")):
        asked, read = [], []

        def pairs_of(path, prompts=prompts, read=read):
            read.append(path)
            return SimpleNamespace(pairs=[PreferencePair(f"Question {i}?", "Yes.", "No.") for i in range(prompts)])

        found = run_again("a stand-in's are taken", has_choices=lambda path, chosen=chosen: chosen,
                          labels_path=lambda: Path("mine.jsonl"),
                          read_pairs=pairs_of, annotate=lambda *given, asked=asked: asked.append(given),
                          split_by_conversation=lambda rows, held_out: (rows, held_out))
        assert found.by == wanted and found.kept_back == 0.25
        if wanted == "a person":
            assert not asked and read == [Path("../mine.jsonl")]
        else:
            [(given, of, path, person)] = asked
            assert len(given) == 160 and of is world and person == Annotator(length_bias=3.0) and read[-1] == path
    calls = []
    torch.manual_seed(1)
    run_again("mine = RewardModel", RewardModel=lambda _: torch.initial_seed(),
              train=lambda *given, progress: calls.append(given))
    assert calls == [(0, own, TrainingConfig(epochs=2, batch_size=8, learning_rate=5e-4, precision="fp32"))]


def test_each_world_bears_its_own_name_and_lies_in_the_band():
    """Temperatures exchanged, or an agreement that is not that of two alike."""
    for name, temperature in (("τ = 0.5", 0.5), ("τ = 1", 1.0), ("τ = 2", 2.0)):
        chance = 1 / (1 + np.exp(-gaps / temperature))
        a, best = (chance**2 + (1 - chance) ** 2).mean(), np.maximum(chance, 1 - chance).mean()
        assert np.allclose(worlds[name], (a, best))
        top = (1 + np.sqrt(2 * a - 1)) / 2
        assert a <= best <= top and top - best < best - a  # nearer to the upper end, as the page says
    for a, low, high in ((0.726, 0.73, 0.84), (0.773, 0.77, 0.87)):
        assert (round(a, 2), round((1 + np.sqrt(2 * a - 1)) / 2, 2)) == (low, high)


def test_luck_is_within_what_variances_allow():
    """Against a score of the other sign, and an error that is not divided by the number of pairs."""
    limits = bayes_limits(p)
    for name, expected_score in (("accuracy", limits.accuracy), ("NLL", limits.nll), ("Brier score", limits.brier)):
        u, v = scores[name]
        assert abs((p * u + (1 - p) * v).mean() - expected_score) < 1e-9
        assert abs(off[name]) < 4
    assert off["accuracy"] > 0 > max(off["NLL"], off["Brier score"])  # lucky: more accuracy, lower losses
    assert abs(samples.mean() - limit) < 4 * error / np.sqrt(1000) and abs(samples.std() / error - 1) < 0.1
    assert abs(scores["accuracy"][0].mean() - realised) < 1e-9 and abs(realised - limit) < 2 * error


def test_some_models_beat_the_truth_by_little():
    assert 0.1 < (ahead > 0).mean() < 0.9 and ahead.max() < 3 * error


def test_the_best_forecast_is_the_probability():
    assert abs(q[brier.argmin()] - 0.8) < 1e-9 and abs(brier.min() - 0.16) < 1e-9


def test_no_special_token_comes_in_through_a_text():
    assert counts == [1, 0]
    assert [("best answer" in tokenizer.decode(ids).lower()) for ids in (naive, ours)] == [True, True]


def test_the_padding_moves_with_its_slider():
    """A batch size that is not used, or the two ways to batch exchanged."""
    shares = {}
    for doublings in (0, 4, 7):
        for name, rows in (("as they come", many), ("by length", sorted(many, key=lambda pair: pair.length))):
            lengths = np.array([(len(pair.chosen), len(pair.rejected)) for pair in rows])  # (128, 2)
            cut = np.split(lengths, range(2**doublings, len(rows), 2**doublings))
            shares[doublings, name] = 1 - lengths.sum() / sum(batch.size * batch.max() for batch in cut)
        here = {name: share for (step, name), share in shares.items() if step == doublings}
        figure, said = batched(doublings)
        assert said == (f"{2**doublings} pairs a batch; pads: "
                        + ", ".join(f"{name} {share:.1%}" for name, share in here.items()))
        for axes, (name, share) in zip(figure.axes, here.items(), strict=True):
            drawn = np.asarray(axes.images[0].get_array())
            assert axes.get_title(loc="left") == f"{name}: {share:.0%} pads"
            assert abs((drawn == 2).sum() / (drawn > 0).sum() - share) < 1e-9
    assert abs(shares[0, "as they come"] - 1 / 7) < 0.01 and shares[7, "by length"] == shares[7, "as they come"]
    assert abs(shares[4, "as they come"] - 2 / 5) < 0.02 and abs(shares[4, "by length"] - 1 / 5) < 0.02


def test_no_micro_batch_is_over_its_budget_and_larger_ones_have_more_pads():
    wastes = []
    for budget in (512, 1024, 2048):
        pieces = micro_batches(many, budget)
        assert all(2 * len(piece) * max(pair.length for pair in piece) <= budget for piece in pieces)
        assert sum(map(len, pieces)) == len(many)
        wastes.append(padded(lengths_of(pieces)))
    assert wastes == sorted(wastes)


def test_each_change_is_of_the_runs_that_its_name_says():
    """Two settings exchanged, or seeds in another order; and what the text says of the signs."""
    rows = {(row["start"], row["learning_rate"], row["seed"]): (row["nll"], row["accuracy"])
            for row in runs if row["batch_size"] == 16}
    pooled, half = "pretrained, mean pooling", "pretrained, mean pooling, lower half frozen"
    for name, after, before in (("half the rate", ("pretrained", 2.5e-4), ("pretrained", 5e-4)),
                                ("then the mean", (pooled, 2.5e-4), ("pretrained", 2.5e-4)),
                                ("then frozen", (half, 2.5e-4), (pooled, 2.5e-4)),
                                ("then the usual rate", (half, 5e-4), (half, 2.5e-4))):
        wanted = [np.subtract(rows[*after, seed], rows[*before, seed]) for seed in (0, 1, 2)]
        assert np.allclose(change[name].T, wanted)
    assert change["half the rate"][0].max() < 0 and change["then the usual rate"][0].max() < 0
    assert change["then the mean"][1].min() > 0 and (change["then frozen"][0] > 0).sum() == 2
    others = [settings[each][0].mean() for each in settings if each != (frozen, "usual")]
    assert abs(settings[frozen, "usual"][0].mean() - min(others)) < 0.005  # level with the best of the others
    assert len({(row["start"], row["learning_rate"], row["batch_size"]) for row in runs}) == 9


def test_the_model_has_taken_the_stand_in_s_taste_over():
    """Shares exchanged, or asked of all pairs. A reader's own labels may say otherwise, and the text says so."""
    words = np.array([len(pair.chosen.split()) - len(pair.rejected.split()) for pair in few])
    golden = [margin * more > 0 for margin, more in zip(truth, words) if more]
    assert np.isclose(longer[1], np.mean(golden))
    if by == "a stand-in":
        assert longer[0] > longer[1] + 0.2 and 0.5 < realised_agreement(taste) < 0.7 and kept.accuracy > 0.55
        assert len(own) == 120 and len(kept_back) == 40


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../../tests/helpers")
    from live_sliders import ends

    assert ends() == {"log2 of the batch size": (0, 7, 1)}
