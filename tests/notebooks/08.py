"""Guards of notebook 08, run in its kernel after the last cell: what no comparison with stored outputs can see."""

import re
import sys
from types import SimpleNamespace

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
        of_all = [np.exp((row - row.max()) / beta) @ true / np.exp((row - row.max()) / beta).sum()
                  for row, true in zip(proxy.numpy(), gold.numpy())]
        wanted = [kl, weights @ rewards_here, weights @ gold_here, np.mean(of_all)]
        assert np.abs(np.subtract(told, wanted)).max() < 0.0051, (beta, line)
        left = figure.axes[0]
        assert np.allclose(left.collections[1].get_offsets(), np.c_[rewards_here, gold_here])
        assert np.allclose(left.collections[1].get_sizes(), 600 * weights)


def test_the_smallest_beta_is_best_for_most_prompts():
    """What the page says below the slider: of twenty prompts three have their best β in between."""
    betas_here = np.arange(1, 61) / 20
    by_beta_here = np.array([(tilt(proxy, beta)[0] * gold).sum(1).numpy() for beta in betas_here])  # (60, 20)
    best = betas_here[by_beta_here.argmax(0)]
    assert (best > 0.05).sum() == 3 and best[1] == 0.15 and by_beta_here.mean(1).argmax() == 0
    assert np.allclose(by_beta_here.mean(1)[:2], [2.36, 2.28], atol=0.03)


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
    for judge in ("500 pairs", "length-lover", "mean of 3", "least of 3"):
        assert by_remedy[judge] == [[row for row in curve if row["step"] == 80][0] for curve in stored(judge=judge)]
    for curve, row in zip(curves, by_remedy["stopped by check"]):
        assert row["chosen_check"][0] == max(each["chosen_check"][0] for each in curve) and row in curve


def between(curve, nats, which):
    """By loop: the gold reward and the share well formed where KL passes so many nats, for the `which` time."""
    found = []
    for one, two in zip(curve, curve[1:]):
        low, high = one["kl"][0], two["kl"][0]
        if min(low, high) <= nats <= max(low, high):
            share = (nats - low) / (high - low)
            found.append([one[name][0] + share * (two[name][0] - one[name][0]) for name in ("gold", "well_formed")])
    return found[which]


def test_the_tables_by_loop():
    """At equal KL: between two points, where each seed last passes; and what the page says of where it first does."""
    for method, three, budgets in (("RLOO", curves, (1, 2, 2.5)), ("RLOO, β = 0.1", with_kl, (1, 2, 2.5)),
                                   ("DPO", dpo_curves, (1,))):
        for nats in budgets:
            worth, whole = np.transpose([between(curve, nats, -1) for curve in three])
            value, error, share = at(methods[method], nats)
            assert abs(value - worth.mean()) < 1e-9 and abs(share - whole.mean()) < 1e-9, (method, nats)
            by_prompt = max(row["gold"][1] for curve in three for row in curve)
            assert np.std(worth, ddof=1) / 3**0.5 < error / 2 < by_prompt + np.std(worth, ddof=1)
    assert all(np.isnan(at(methods[method], 2.5)[0]) for method in ("tilt", "DPO"))
    assert abs(np.mean([between(curve, 2.5, 0)[0] for curve in with_kl]) - 1.44) < 0.005
    assert abs(at(methods["best of n"], np.log(16) - 15 / 16)[0] - own["gold"][4][0]) < 1e-9
    assert [row["step"] for row in early + late] == [40] * 3 + [120] * 3


def test_what_the_page_says_of_the_studys_rows():
    """Numbers that are in the text alone, from the file."""
    def last(name, step=-1, key="proxy"):
        return [one[step][key][0] for one in name]

    assert np.allclose([min(last(with_kl)), max(last(with_kl))], [0.95, 1.04], atol=0.006)
    assert np.allclose([min(last(curves)), max(last(curves))], [0.94, 1.06], atol=0.006)
    assert max(last(with_kl, key="kl")) < 4.2 < 30 < min(last(curves, key="kl"))
    assert abs(np.mean(np.subtract(last(late_rows := [[row] for row in late], key="gold"),
                                   [row["gold"][0] for row in early])) + 0.15) < 0.006 and len(late_rows) == 3
    for one, two in zip(early, late):
        assert (two["gold"][0] > one["gold"][0]) == (two["chosen_check"][0] > one["chosen_check"][0])
    for beta in (0.0, 0.1, 0.3):
        assert all(rows["proxy"][0] > other["proxy"][0] for rows, other in zip(by_beta[0.03], by_beta[beta]))
    ratios = [few["well_formed"][0] / many["well_formed"][0] for few, many in zip(by_remedy["500 pairs"], by_beta[0.0])]
    assert 3 < min(ratios) and max(ratios) < 6
    for at, step, whole, course in ((1, 80, 0.76, 0.64), (0, 80, 0.67, 0.52), (0, 40, 0.57, 0.36)):
        [few] = [row for row in stored(judge="500 pairs")[at] if row["step"] == step]
        rising = [[(row["kl"][0], row["well_formed"][0]) for row in curve[:-1]] for curve in curves]
        there = [np.interp(few["kl"][0], *zip(*points)) for points in rising]
        assert np.allclose([few["well_formed"][0], np.mean(there)], [whole, course], atol=0.006), step
    alone, *together = ({name: np.mean([row[name][0] for row in by_remedy[judge]]) for name in ("gold", "well_formed")}
                        for judge in ("500 pairs", "mean of 3", "least of 3"))
    for one in together:
        assert abs(one["gold"] - alone["gold"]) < 0.1 and one["well_formed"] < alone["well_formed"] - 0.1
    endless = runs(policies, judge="100 pairs")[2]["curve"][-1]
    assert 200 < endless["kl"][0] < 205 and 0.13 < endless["ended"][0] < 0.145
    falls_of_own = [run["fall"] for run in runs(choices, source="policy") if run["judge"] in judges]
    assert len(falls_of_own) == 11 and all(low < 0 for _, low, _ in falls_of_own)


def test_scrambled_texts_have_the_same_words_and_are_no_longer_whole():
    several = [(prompt, text, other) for prompt, row, turned in zip(prompts, drawn, mixed)
               for text, other in zip(row, turned) if ". " in text]
    assert all(sorted(re.findall(r"\w+", text)) == sorted(re.findall(r"\w+", other)) for _, text, other in several)
    assert all(other.startswith(text.rpartition(". ")[0]) for _, text, other in several)
    assert np.mean([text != other for _, text, other in several]) > 0.85
    assert len(lost) == sum(world.features(prompt, text)["correctness"] == 1 for prompt, text, _ in several)
    assert 0 < lost.mean() < 0.3 * gap and gap > 1


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


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("08_using_the_reward.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import ends

    assert ends() == {"β": (0.05, 3, 0.05)}


def test_his_loss_has_the_two_bugs_that_exercise_8_4_looks_for():
    """A mask that is one token late, and a baseline with the text's own reward in it."""
    log_policy = torch.tensor([[[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]]])
    told = his_loss(log_policy, log_policy + 1, torch.tensor([[[0, 1, 1], [0, 0, 1]]]), torch.tensor([[1.0, 3.0]]), 0.5)
    log_p, worth = np.array([-1.0 - 3.0, -4.0]), np.array([1 + 0.5 * 2, 3 + 0.5 * 1])
    assert abs(told.item() + ((worth - worth.mean()) * log_p).mean()) < 1e-6


def test_each_number_of_a_cell_with_room_is_the_one_that_it_is_called():
    """Against another n, step, order or judge than the words say, by numbers that tell them apart."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, printed

    code = code_of("08_using_the_reward.ipynb")
    asked_for, names = [], ("proxy", "gold", "right", "well_formed")
    printed(code, "picked = [(chances_of_best", globals(),
            chances_of_best=lambda judge, n: asked_for.append((id(judge), n)) or chances_of_best(judge, n))
    assert asked_for == [(id(judge), n) for judge in (gold, proxy, of_weak) for n in (1, 4, 16, 64)] + [(id(proxy), 4)]
    steps = {step: {name: np.array([step * (k + 1) / 100, 0.0]) * (-1) ** (k == 3) for k, name in enumerate(names)}
             for step in (0, 20, 60)}
    told = printed(code, 'live[60][name].mean()', globals(), live=steps)
    assert re.findall(r"^(\w+) +(\S+)$", told, re.MULTILINE) == [*zip(names, ("+0.30", "+0.60", "+0.90", "-1.20"))]
    told = printed(code, "first loss {losses[0]", globals(), losses=[math.log(2), *range(1, 20)])
    assert told.startswith("first loss 0.693, then 17.00\n")
    told = printed(code, "rows = [at_equal_kl", globals(), at_equal_kl=lambda n: (n, n + 0.01, n + 0.02))
    assert told.splitlines()[:3] == [f"KL {n}.00: best of n {n}.01, tilt {n}.02" for n in (2, 4, 16)]


def test_a_step_of_four_texts_by_hand():
    """Against a penalty of the other sign, which is zero where the page tries it, and a gradient that is kept."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of

    code = code_of("08_using_the_reward.ipynb")
    log_p, log_q = torch.tensor([-1.0, -2.0, -3.0, -5.0], requires_grad=True), torch.full((4,), -2.0)
    models = [SimpleNamespace(log_p=each, parameters=lambda: [log_p]) for each in (log_p, log_q)]
    log_p.grad = torch.full((4,), 100.0)
    names = globals() | {"log_probs": lambda model, texts: model.log_p * 1}
    exec(next(each for each in code if each.startswith("def step(")), names)
    rewards_here = torch.tensor([1.0, 2.0, 3.0, 5.0])
    told = names["step"](*models, torch.optim.SGD([log_p], lr=1.0), None, rewards_here, k=2, beta=0.5)
    less_the_other = np.array([-1.5, 1.5, -3.0, 3.0])  # of 0.5 and 2, and of 3.5 and 6.5
    before = np.array([-1.0, -2.0, -3.0, -5.0])
    assert abs(told + (less_the_other * before).mean()) < 1e-6
    assert np.allclose(log_p.detach(), before + less_the_other / np.linalg.norm(less_the_other), atol=1e-5)  # cut at 1
