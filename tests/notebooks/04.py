"""Guards of notebook 04: what its sliders show elsewhere, what its curves are called, and numbers its text tells."""

import math
import re

import numpy as np


def test_the_limits_move_with_both_sliders():
    """A slider that is not used, or whose numbers, histogram and curve are not those of its place."""
    for temperature, flips in ((0.2, 0.2), (0.5, 0.0), (2.0, 0.0), (3.1, 0.35)):
        chances = flips + (1 - 2 * flips) / (1 + np.exp(-gaps / temperature))
        better, least = np.maximum(chances, 1 - chances), np.clip([chances, 1 - chances], 1e-300, 1)
        wanted = (better.mean(), -(least * np.log(least)).sum(axis=0).mean(), (chances * (1 - chances)).mean(),
                  100 * (chances**2 + (1 - chances) ** 2).mean())
        figure, said = turned(temperature, flips)
        pattern = r"best accuracy (.*), best NLL (.*), best Brier score (.*); two such annotators agree in (.*)%"
        found = np.array(re.fullmatch(pattern, said).groups(), dtype=float)
        assert (np.abs(found - wanted) < [6e-4, 6e-4, 6e-4, 0.06]).all()
        left, right = figure.axes
        low = sum(bar.get_height() for bar in left.patches if bar.get_x() < 0.749)
        assert abs(low - 100 * (better < 0.75).mean()) < 0.5  # one bin begins at 0.75
        assert abs(left.lines[0].get_xdata()[0] - wanted[0]) < 1e-9
        curve, here = right.lines
        assert abs(np.interp(temperature, *curve.get_data()) - wanted[0]) < 1e-3
        assert np.allclose(np.ravel(here.get_data()), (temperature, wanted[0]))
    found = [float(turned(*place)[1].split()[2].rstrip(",")) for place in ((0.2, 0.2), (2.0, 0.0), (2.2, 0.0))]
    assert round(found[0], 2) == 0.77 and found[1] > 0.7 > found[2]  # what the text found


def test_the_padding_moves_with_its_slider():
    """A batch size that is not used, or the two ways to batch exchanged."""
    shares = {}
    for doublings in (0, 4, 7):
        for name, rows in (("as they come", many), ("by length", sorted(many, key=lambda pair: pair.length))):
            lengths = np.array([(len(pair.chosen), len(pair.rejected)) for pair in rows])  # (128, 2)
            batches = np.split(lengths, range(2**doublings, len(rows), 2**doublings))
            shares[doublings, name] = 1 - lengths.sum() / sum(batch.size * batch.max() for batch in batches)
        here = {name: share for (step, name), share in shares.items() if step == doublings}
        figure, said = batched(doublings)
        assert said == (f"batches of {2**doublings} pairs; share of pads: "
                        + ", ".join(f"{name} {share:.1%}" for name, share in here.items()))
        for axes, (name, share) in zip(figure.axes, here.items(), strict=True):
            drawn = np.asarray(axes.images[0].get_array())
            assert axes.get_title(loc="left") == f"{name}: {share:.0%} pads"
            assert abs((drawn == 2).sum() / (drawn > 0).sum() - share) < 1e-9
    assert abs(shares[0, "as they come"] - 1 / 7) < 0.01 and shares[7, "by length"] == shares[7, "as they come"]
    assert abs(shares[4, "as they come"] - 2 / 5) < 0.02 and abs(shares[4, "by length"] - 1 / 5) < 0.02


def test_each_loss_bears_its_own_name():
    """Names exchanged among the three training losses, whose thin lines no picture's tolerance would hold."""
    [axes] = three_trainings.axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    flat, restless = drawn["cut on the right"], drawn["cut on the right, dropout on"]
    assert np.abs(np.array(flat) - math.log(2)).max() < 1e-6 and drawn["ours"][-1] < 0.3
    assert np.ptp(restless) > 0.01 and min(restless) > 0.5


def test_each_cut_keeps_what_its_name_says():
    """Names exchanged among the four ways to cut, or a span that is not what the window leaves."""
    last, *sizes = map(number_of_tokens, (long[1].prompt, long[1].chosen, long[1].rejected))
    assert cuts == {
        "cut on the right": [((0, spec.max_length - 2), (0, 0))] * 2,
        "only_first, right": [((0, spec.room - size), (0, size)) for size in sizes],
        "only_first, left": [((last - spec.room + size, last), (0, size)) for size in sizes],
        "ours": [((last - spec.room + max(sizes), last), (0, size)) for size in sizes],
    }


def test_each_world_and_each_rule_bears_its_own_name():
    """Temperatures exchanged in the band, or rules exchanged among the baselines."""
    for name, temperature in (("τ = 0.5", 0.5), ("τ = 1", 1.0), ("τ = 2", 2.0)):
        chances = 1 / (1 + np.exp(-gaps / temperature))
        wanted = (chances**2 + (1 - chances) ** 2).mean(), np.maximum(chances, 1 - chances).mean()
        assert np.allclose(worlds[name], wanted)
    longer = np.array([np.sign(len(pair.chosen) - len(pair.rejected)) for pair in validation])
    assert abs(rules["longer"][0] - (1 + longer).mean() / 2) < 1e-9
    assert abs(rules["longer"][0] + rules["shorter"][0] - 1) < 1e-9
    for name, prompt in (("bag of words", True), ("bag of words, no prompt", False)):
        fitted = fit_bag_of_words(pairs, with_prompt=prompt).margins(validation)
        assert abs(rules[name][0] - (1 + np.sign(fitted)).mean() / 2) < 2e-3
    ours = world.margins(validation)
    assert abs(gold - (1 + np.sign(ours)).mean() / 2) < 1e-9


def test_the_text_tells_the_numbers_that_came():
    """A run whose numbers are no longer those of the sentences below them."""
    assert as_planted == len(wanted) == 12
    assert abs(spoiled_report.overlong / 1500 - 0.47) < 0.03
    assert abs(spoiled_report.leaked_conversations / 500 - 5 / 6) < 0.02
    assert abs(lost["split by rows"] - 0.11) < 0.01 and abs(lost["split by conversation"] - 0.18) < 0.01
    assert abs(leaks["split by rows"]["memoriser"][0] - 0.74) < 0.01
    assert abs(ties.mean() - 0.036) < 0.0005 and abs(in_sample - limits.accuracy) < error

