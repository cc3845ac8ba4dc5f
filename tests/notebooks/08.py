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


def stored(**wanted):
    """Curves of the study's file, whatever the page calls them."""
    return [run["curve"] for run in policies["runs"] if all(run[name] == value for name, value in wanted.items())]


def test_curves_stand_under_their_own_names():
    """For exchanged names in the figures: each curve is that of its judge, β and learning rate, in the study's file."""
    plain = {"judge": "shipped", "start": 0.65, "learning_rate": 5e-4}
    assert curves == stored(**plain, beta=0.0) and with_kl == stored(**plain, beta=0.1)
    assert len(curves) == len(with_kl) == 3 and dpo_curves == [run["curve"] for run in direct["runs"]]
    for name, three in (("RLOO", curves), ("RLOO, β = 0.1", with_kl), ("DPO", dpo_curves)):
        assert [one["gold"] for one in methods[name]] == [[row["gold"] for row in curve] for curve in three]
        assert [one["kl"] for one in methods[name]] == [[row["kl"][0] for row in curve] for curve in three]
    assert methods["best of n"][0]["gold"] == own["gold"] and own["source"] == "policy" and own["judge"] == "shipped"
    for judge in ("length-lover", "mean of 3", "least of 3"):
        assert by_remedy[judge] == [[row for row in curve if row["step"] == 80][0] for curve in stored(judge=judge)]
    for curve, row in zip(curves, by_remedy["stopped by check"]):
        assert row["chosen_check"][0] == max(each["chosen_check"][0] for each in curve) and row in curve


def test_the_tables_by_loop():
    """Within a budget of KL: the last step of each seed that keeps to it, whatever its gold reward is."""
    for method, three in (("RLOO", curves), ("RLOO, β = 0.1", with_kl), ("DPO", dpo_curves)):
        for nats in (1, 2, 3):
            rows = [[row for row in curve if row["kl"][0] <= nats][-1] for curve in three]
            value, error, whole = at(methods[method], nats)
            assert abs(value - np.mean([row["gold"][0] for row in rows])) < 1e-9, (method, nats)
            assert abs(whole - np.mean([row["well_formed"][0] for row in rows])) < 1e-9
            by_prompt = max(row["gold"][1] for row in rows)
            assert error < 2 * (by_prompt + np.std([row["gold"][0] for row in rows], ddof=1)) and error > by_prompt
    assert abs(at(methods["best of n"], 2)[0] - own["gold"][choices["sizes"].index(16)][0]) < 1e-9
    assert [row["step"] for row in early + late] == [40] * 3 + [120] * 3


def test_the_live_run_is_the_one_that_was_described():
    assert list(live) == [0, 20, 60] and not live[0]["kl"].any() and len(told_on) == 66
    assert not set(told_on) & set(world.prompts("train") + world.prompts("validation"))
    moved = {name: live[60][name].mean() - live[0][name].mean() for name in ("proxy", "gold", "right", "well_formed")}
    assert moved["proxy"] > 0.5 and moved["gold"] > 0.8 and moved["right"] > 0.1 and moved["well_formed"] < -0.2
    assert live[60]["ended"].mean() > 0.95 and abs(live[0]["proxy"].mean()) < 0.25


def test_clouds_have_the_spread_that_is_told():
    for name, shift, baseline in (("rewards", 0, False), ("rewards + 5", 5, False), ("leave one out", 0, True)):
        assert np.allclose(clouds[name], estimate(draws, shift, baseline).numpy(), atol=1e-9)  # a shift drops out
    assert clouds["rewards + 5"].std() > 2 * clouds["rewards"].std() > 0
    assert clouds["leave one out"].std() < 1.2 * clouds["rewards"].std()


def test_dpo_learned_something_in_twenty_steps():
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) and len(losses) == 20
