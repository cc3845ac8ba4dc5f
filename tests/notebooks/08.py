"""Guards of notebook 08, run in its kernel after the last cell: what no comparison with stored outputs can see."""

import re

import numpy as np


def test_the_tilt_wherever_the_slider_stands():
    """For another prompt's candidates, a β that multiplies, or a KL in bits."""
    rewards_here, gold_here = proxy[1].numpy(), gold[1].numpy()
    for beta in (0.05, 0.2, 1.0, 3.0):
        figure, line = at_beta(beta)
        weights = np.exp((rewards_here - rewards_here.max()) / beta)
        weights /= weights.sum()
        kl = sum(w * np.log(64 * w) for w in weights if w > 0)
        told = [float(number) for number in re.findall(r"-?\d+\.\d+", line)]
        wanted = [kl, weights @ rewards_here, weights @ gold_here]
        assert np.abs(np.subtract(told, wanted)).max() < 0.0051, (beta, line)
        left = figure.axes[0]
        assert np.allclose(left.collections[1].get_offsets(), np.c_[rewards_here, gold_here])
        assert np.allclose(left.collections[1].get_sizes(), 600 * weights)


def test_best_of_n_against_drawing_again_and_again():
    """For chances that are not those of the best: the mean pick of 2,000 draws of eight."""
    rng_here = np.random.default_rng(1)
    for judge in (proxy, of_weak):
        drawn_best = [[max(rng_here.choice(64, 8, replace=False), key=lambda i: row[i].item()) for _ in range(100)]
                      for row in judge]
        by_draws = np.mean([gold[i, picks].mean().item() for i, picks in enumerate(np.array(drawn_best))])
        exact_mean = (chances_of_best(judge, 8) * gold).sum(1).mean().item()
        assert abs(by_draws - exact_mean) < 0.12


def test_the_weak_judge_is_another_and_the_candidates_are_the_worlds():
    assert not torch.allclose(proxy, of_weak) and proxy.shape == gold.shape == (20, 64)
    for i in (0, 7, 19):
        assert [world.reward(prompts[i], text) for text in drawn[i]] == gold[i].tolist()


def test_curves_stand_under_their_own_names():
    """For exchanged names in the figures: each curve is that of its judge, β and learning rate, in the study's file."""
    assert [[row["gold"] for row in curve] for curve in curves] == [
        [row["gold"] for row in run["curve"]] for run in policies["runs"]
        if (run["judge"], run["beta"], run["learning_rate"]) == ("shipped", 0.0, 5e-4)]
    assert len(curves) == len(with_kl) == len(dpo_curves) == 3
    assert [run["beta"] for run in broken] == [0] * 3 + [0.1] * 3
    for name, three in (("RLOO", curves), ("RLOO, β = 0.1", with_kl), ("DPO", dpo_curves)):
        kl, rewards_of = methods[name]
        assert kl == [row["kl"] for curve in three for row in curve]
        assert rewards_of == [row["gold"] for curve in three for row in curve]
    assert by_remedy["length-lover"] == [
        (run["curve"][-1]["gold"], max(row["gold"] for row in run["curve"]))
        for run in policies["runs"] if run["judge"] == "length-lover"]
    for curve, (end, best) in zip(curves, by_remedy["... stopped by the check"]):
        highest = max(row["check"] for row in curve)
        assert end in [row["gold"] for row in curve if row["check"] == highest] and best >= end


def test_the_stages_by_loop():
    for name, stages in table.items():
        for seed, curve in enumerate(curves):
            for steps, found in zip(((0,), (30, 40, 50), (100, 110, 120)), stages[:, seed]):
                values = [row[name] for row in curve if row["step"] in steps]
                assert len(values) == len(steps) and abs(found - sum(values) / len(values)) < 1e-9


def test_the_live_run_is_the_one_that_was_described():
    assert [row["step"] for row in live] == [0, 20, 40, 60] and live[0]["kl"] == 0
    assert live[-1]["proxy"] > live[0]["proxy"] + 0.3 and live[-1]["gold"] > live[0]["gold"] + 0.4
    assert live[-1]["right"] > live[0]["right"] and live[-1]["ended"] > 0.95


def test_clouds_have_the_spread_that_is_told():
    for name, shift, baseline in (("rewards", 0, False), ("rewards + 5", 5, False), ("leave one out", 0, True)):
        assert np.allclose(clouds[name], estimate(draws, shift, baseline).numpy(), atol=1e-9)  # a shift drops out
    assert clouds["rewards + 5"].std() > 2 * clouds["rewards"].std() > 0
    assert clouds["leave one out"].std() < 1.2 * clouds["rewards"].std()


def test_dpo_learned_something_in_twenty_steps():
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) and len(losses) == 20
