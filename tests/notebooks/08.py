"""Guards of notebook 08, run in its kernel after the last cell: what no comparison with stored outputs can see."""

import copy
import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch


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


def test_who_falls():
    """Of the judges none, on either source of texts; with a length penalty one of six, as the text tells."""
    source = json.loads(Path("08_using_the_reward.ipynb").read_text(encoding="utf-8"))
    [text] = ["".join(each["source"]) for each in source["cells"] if each["id"] == "08-falls-text"]
    assert not [run for run in choices["runs"] if run["fall"][1] > 0]
    penalised = {(run["source"], run["seed"]): run for run in runs(choices, judge="length-lover")}
    [falls] = [name for name, run in penalised.items() if run["penalised_fall"][1] > 0]
    assert falls[0] == "policy" and "by {:.2f} ({:.2f} to {:.2f})".format(*penalised[falls]["penalised_fall"]) in text
    of_16, of_256 = (penalised[falls]["penalised"][choices["sizes"].index(n)] for n in (16, 256))
    assert abs(of_16[0] - of_256[0] - penalised[falls]["penalised_fall"][0]) < 2e-3


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
    [dips] = runs(choices, judge="100 pairs", source="world", seed=2)
    assert np.allclose([dips["gold"][at][0] for at in (3, 5, 8)], [1.28, 1.16, 1.24], atol=0.006)  # 8, 32, 256
    whole = [[row["well_formed"][0] for row in curve if row["step"] in (0, 40)] for curve in curves]
    assert all(two / one < 0.7 for one, two in whole)
    assert max(last(with_kl, key="kl")) < 4.2 < 30 < min(last(curves, key="kl"))
    assert abs(np.mean(np.subtract(last(late_rows := [[row] for row in late], key="gold"),
                                   [row["gold"][0] for row in early])) + 0.15) < 0.006 and len(late_rows) == 3
    for one, two in zip(early, late):
        assert (two["gold"][0] > one["gold"][0]) == (two["chosen_check"][0] > one["chosen_check"][0])
    for beta in (0.0, 0.1, 0.3):
        assert all(rows["proxy"][0] > other["proxy"][0] for rows, other in zip(by_beta[0.03], by_beta[beta]))
    for rows, other in zip(by_beta[0.03], by_beta[0.1]):
        assert abs(rows["gold"][0] - other["gold"][0]) < 0.1 and rows["well_formed"][0] < other["well_formed"][0] - 0.05
    for name in ("gold", "well_formed"):
        ends = {remedy: [row[name][0] for row in rows] for remedy, rows in by_remedy.items()}
        assert min(ends.pop("β = 0.1")) > max(sum(ends.values(), [])), name
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
    assert min(row["kl"][0] for row in by_remedy["least of 3"]) > max(row["kl"][0] for row in by_remedy["500 pairs"])
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
    right = [(prompt, text) for prompt, text, _ in several if world.features(prompt, text)["correctness"] == 1]
    at_the_end = sum(world.features(prompt, text.rpartition(". ")[2])["correctness"] == 1 for prompt, text in right)
    for asked, before, behind, most in (model, proxy, 0.0, 0.03), (weak, of_weak, 0.65, 0.25):
        deviation = begin.score(asked).std()
        groups = [((before - scored(asked, mixed)) / deviation)[(truth == 1) & longer & which]
                  for which in (~answers, answers)]
        assert [*map(len, groups)] == [len(right) - at_the_end, at_the_end] and at_the_end > 50
        assert abs(groups[0].mean() - behind) < most
        assert 0.5 < groups[1].mean() < (before[truth == 1].mean() - before[truth == -1].mean()) / deviation


def test_the_live_run_is_the_one_that_was_described():
    assert list(live) == [0, 20, 60] and not live[0]["kl"].any() and len(told_on) == 66
    assert not set(told_on) & set(world.prompts("train") + world.prompts("validation"))
    moved = {name: live[60][name].mean() - live[0][name].mean() for name in ("proxy", "gold", "right", "well_formed")}
    assert moved["proxy"] > 0.5 and moved["gold"] > 0.8 and moved["right"] > 0.1 and moved["well_formed"] < -0.2
    assert live[60]["ended"].mean() > 0.95 and abs(live[0]["proxy"].mean()) < 0.25
    begun, told_text = live[0]["well_formed"].mean(), text_of("08-live-read")
    assert abs(begun - float(re.search(r"where (\d+)% were", told_text)[1]) / 100) < 0.02
    assert cell_again("well formed at the start")[0].splitlines()[4] == f"well formed at the start: {begun:.2f}"


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


def cell_again(part, **instead):
    """What a cell of this page prints, and its names, where some of them mean something else."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import again, code_of

    return again(code_of("08_using_the_reward.ipynb"), part, globals(), **instead)


def claims(part, **instead):
    """Whether each claim of a cell holds there, in order."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import verdicts

    code = code_of("08_using_the_reward.ipynb")
    return [*verdicts(next(each for each in code if part in each), globals() | instead).values()]


def moved(rows, by, *places):
    """A copy of rows in which one number, or the first of a pair, lies so much higher."""
    rows = copy.deepcopy(rows)
    *way, last = places
    inner = rows
    for each in way:
        inner = inner[each]
    inner[last] = [inner[last][0] + by, inner[last][1]] if isinstance(inner[last], list) else inner[last] + by
    return rows


def test_what_holds_would_be_seen_to_fail():
    """For a claim of all that is tested on some: one number at a time, so far off that the sentence is false."""
    code_of_claims = {"chances are the formula's": [True], "add 0.25 and more": [True], "the study's run is": [True],
                      "the proxy gains over": [True] * 2, "no text is right": [True] * 2, "chosen texts lost": [True],
                      "within 0.1 of each": [True], "the mean over all": [True]}
    assert {part: claims(part) for part in code_of_claims} == code_of_claims
    for at, by in ((0, 1e-9), (63, -1e-9)):
        off = chances_of_best(proxy, 4).clone()
        off[0, at] += by
        assert claims("chances are the formula's",
                      chances_of_best=lambda judge, n, off=off: off if n == 4 else chances_of_best(judge, n)) == [False]
    for step, name in ((0, "gold"), (20, "proxy"), (60, "gold"), (60, "proxy")):
        far = {number: dict(each) for number, each in live.items()}
        [near] = [row[name][0] for row in curves[0] if row["step"] == step]
        for apart, close_by in ((0.34, True), (0.36, False), (-0.36, False)):
            far[step][name] = np.full(66, near + apart)
            assert claims("the study's run is", live=far) == [close_by], (step, name)
    places = {step: [row["step"] for row in curves[0]].index(step) for step in (40, 120)}
    for seed, step, name, by, told in (
            (1, 120, "proxy", -0.3, [False, True]), (2, 40, "well_formed", -0.4, [True, False]),
            (0, 120, "well_formed", 0.1, [True, False])):
        assert claims("the proxy gains over", curves=moved(curves, by, seed, places[step], name)) == told, (seed, step)
    for beta, seed in ((0.03, 1), (0.1, 2)):
        worse = {each: moved(by_beta[each], -1, seed, "gold") if each == beta else by_beta[each] for each in by_beta}
        assert claims("add 0.25 and more", at_80=lambda judge, beta, worse=worse: worse[beta]) == [False], beta
    for name, which, told in (
            ("right", 4, [False, True]), ("well_formed", 11, [False, True]), ("proxy", 1, [True, False])):
        found = [run for run in policies["runs"] if run["learning_rate"] == 3e-3]
        at_fault = found[which] if name != "proxy" else [run for run in found if run["start"] == 0.5][which]
        all_runs = [moved(run, 0.01 if name != "proxy" else -0.7, "curve", -1, name) if run is at_fault else run
                    for run in policies["runs"]]
        assert claims("no text is right", policies={"runs": all_runs}) == told, name
    assert claims("chosen texts lost", direct=moved(direct, 2, "runs", 2, "curve", -1, "chosen")) == [False]
    for n, apart in ((2, 0.11), (16, -0.11)):
        assert claims("within 0.1 of each",
                      at_equal_kl=lambda each, far=n, by=apart: (1, 1, 1 + by * (each == far))) == [False]
    assert claims("the mean over all", rloo_advantages=lambda worth: 1.001 * rloo_advantages(worth)) == [False]


def test_the_tilt_has_the_picks_own_kl():
    """For another budget than the pick's, in a cell with room: by a table of tilts."""
    ranks, true = proxy.argsort(1).argsort(1).numpy(), gold.numpy()
    lifted = (proxy - proxy.amax(1, keepdim=True)).numpy()
    table = []
    for beta in np.geomspace(0.05, 20, 400):
        even = np.exp(lifted / beta) / np.exp(lifted / beta).sum(1, keepdims=True)
        table.append(((even * np.log(64 * np.maximum(even, 1e-300))).sum(1).mean(), (even * true).sum(1).mean()))
    kls, golds = np.transpose(table[::-1])
    for n in (2, 4, 16):
        chance_of_rank = np.array([math.comb(i, n - 1) / math.comb(64, n) for i in range(64)])
        spent = sum(c * math.log(64 * c) for c in chance_of_rank if c)
        wanted = spent, (chance_of_rank[ranks] * true).sum(1).mean(), np.interp(spent, kls, golds)
        assert np.allclose(at_equal_kl(n), wanted, atol=2e-3), n


def test_the_runs_have_the_settings_that_are_told():
    """For other sizes, rates and seeds in cells with room: what each hands on, and the study's own settings."""
    handed = []

    def spy(come=None):
        return lambda *given, **named: handed.append((given, named)) or come

    _, names = cell_again("weak = RewardModel(", train=spy(), RewardModel=lambda path: path)
    assert handed.pop() == ((str(EMBEDDED_BACKBONE), world.pairs(100, "train", seed=100), TrainingConfig(
        learning_rate=3e-4, precision="fp32", epochs=3)), {"progress": False}) and torch.initial_seed() == 0
    _, names = cell_again("told_on = ", sample=spy("begun"), standardised=spy("judge"), measure=spy())
    names["look"]("learner", 20)
    assert handed[0] == ((policy, tokenizer, world.prompts("train")[::8], 2), {"seed": 1000})
    assert handed[1:] == [(([model], "begun"), {}), (
        ("learner", policy, tokenizer, {"proxy": "judge"}, world.prompts("test")[::3], 8, (0, 20)), {})]
    handed.clear()
    told, names = cell_again("lesson = learn(", learn=spy(range(60)), look=lambda learner, step: (id(learner), step))
    [((learner_there, *others), named)] = handed
    assert others == [tokenizer, judged["proxy"], world.prompts("train"), 60] and learner_there is not policy
    assert named == {"beta": 0.0, "learning_rate": 5e-4, "seed": 0}
    assert names["live"] == {step: (id(learner_there), step) for step in (0, 20, 60)}
    handed.clear()
    rates = SimpleNamespace(AdamW=lambda weights, **named: handed.append(named) or torch.optim.SGD(weights, lr=0.0))
    seen = []

    def four_numbers(learner, batch):
        seen.append(batch)
        weight = next(learner.parameters()).sum() * 0
        return torch.zeros(2, 16) + weight, torch.zeros(2, 16)

    _, names = cell_again("AdamW(learner", log_ratios=four_numbers, dpo_loss=lambda *four, beta: handed.append(
        beta) or dpo_loss(*four, beta=beta), torch=SimpleNamespace(**vars(torch) | {"optim": rates}))
    of_study = direct["runs"][0]
    assert handed == [{"lr": of_study["learning_rate"], "weight_decay": 0}] + 20 * [of_study["beta"]]
    assert seen == [pairs[at:at + of_study["batch"]] for at in range(0, 320, 16)] and len(pairs) == 320


def test_of_log_ratios_the_first_are_the_chosen_texts():
    """For chosen and rejected exchanged: the loss falls as well, towards the texts that were not wanted."""
    few_pairs = pairs[:3]
    twice = encode_responses(model, *zip(*((pair.prompt, pair.chosen, pair.chosen) for pair in few_pairs)))
    with torch.no_grad():
        wanted = log_probs(policy, twice).view(2, -1)[0]
    for each in log_ratios(policy, few_pairs):
        assert torch.allclose(each[0], wanted, atol=1e-4) and not torch.allclose(each[1], wanted, atol=0.1)


def test_his_loss_has_the_third_bug():
    """A penalty through which the gradient flows: its slope beside that of the number."""
    log_policy = torch.tensor([[[-1.0, -2.0], [-4.0, -5.0]]], requires_grad=True)
    told = his_loss(log_policy, torch.zeros(1, 2, 2), torch.tensor([[[0, 1], [0, 1]]]), torch.tensor([[1.0, 3.0]]), 0.5)
    [slope] = torch.autograd.grad(told, log_policy)
    log_p = np.array([-1.0, -4.0])  # of the first tokens: the mask is one late, and goes round

    def by_hand(x):
        worth = np.array([1.0, 3.0]) - 0.5 * x
        return -((worth - worth.mean()) * x).mean()

    steps = [(by_hand(log_p + 1e-6 * unit) - by_hand(log_p - 1e-6 * unit)) / 2e-6 for unit in np.eye(2)]
    assert np.allclose(slope[0, :, 0], steps, atol=1e-4) and not slope[0, :, 1].any()


def text_of(cell):
    """A text cell's words on one line."""
    cells = json.loads(Path("08_using_the_reward.ipynb").read_text(encoding="utf-8"))["cells"]
    [source] = [each["source"] for each in cells if each["id"] == cell]
    return " ".join("".join(source).split()).replace("−", "-")


def test_the_numbers_that_the_text_tells():
    """For one that was true of another run of the study, and stands in no output."""
    def ends(values, form=".1f"):
        return f"{min(values):{form}} to {max(values):{form}}"

    def of(rows, name):
        return [row[name][0] for row in rows]

    def gained(name, before, after):
        return np.subtract(of([curve[-1] for curve in after], name), of([curve[0] for curve in before], name))

    accuracies = [each["accuracy"] for each in choices["judges"] if each["judge"] in ("shipped", "500 pairs")]
    picks = {name: [run["gold"][-1][0] for run in runs(choices, judge=name, source="world")] for name in judges}
    apart = [picks["shipped"][0] - each for each in picks["500 pairs"]]
    said = text_of("08-falls-text")
    assert f"{ends(accuracies[1:], '.2f')} for 500 pairs, {accuracies[0]:.2f} for the course" in said
    assert f"are {ends(apart)} points" in said
    lovers, poor, best = (stored(**wanted) for wanted in ({"judge": "length-lover"}, {"start": 0.5}, {"start": 0.8}))
    # each proxy is zero on the start's samples
    assert f"rises by {ends(of([curve[-1] for curve in lovers], 'proxy'))} deviations" in text_of("08-lovers-read")
    ours, silent = (stored(learning_rate=3e-3, start=0.65, beta=beta) for beta in (0.0, 0.1))
    said = text_of("08-large-read")
    rises = gained("proxy", poor, poor)
    assert f"rose by {min(rises):.1f} to {max(rises) + 5e-4:.1f} deviations" in said  # of numbers with three digits
    assert "gained {:.2f}, {:.2f} and {:.2f}; gold fell".format(*gained("proxy", curves, ours)) in said
    assert f"fell in one seed, by {-gained('gold', curves, ours).min():.2f}." in said
    assert min(gained("proxy", best, best)) > 0 and max(of([curve[-1] for curve in best], "gold")) <= 0
    assert {f"{curve[-1]['proxy'][0]:.1f}" for curve in silent} == {"0.3"} and "still gives them 0.3" in said
    said, remedy = text_of("08-helps-read"), {name: by_remedy[name] for name in by_remedy}
    with_penalty, without, checked_rows = (remedy[name] for name in ("β = 0.1", "no remedy", "stopped by check"))
    assert f"has {ends(of(with_penalty, 'gold'))} in gold, {ends(of(without, 'gold'))} without," in said
    assert f"at 2 nats, not {ends(of(without, 'kl'), '.0f')}" in said and max(of(with_penalty, "kl")) < 2.55
    assert f"only {ends(of(checked_rows, 'well_formed'))} are well formed" in said
    longer_golds = [ends(of(remedy[name], "gold")) for name in ("length-lover", "length-lover, penalised")]
    assert f"at most {longer_golds[0][-3:]} to {longer_golds[1]}," in said
    assert sum(each < 0.2 for each in of(remedy["length-lover, penalised"], "well_formed")) == 2


def figure_of(part, before=None):
    """The figure of a cell, with the panels of the cell before."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, shown

    return shown(code_of("08_using_the_reward.ipynb"), part, cell_again(before)[1] if before else globals())


def test_the_figures_name_what_they_show():
    """For a letter too few or too many, which the comparison of pictures takes for nothing."""
    from cells_again import words_on

    judges_there = ["gold", "shipped", "500 pairs", "100 pairs", "length-lover"]
    four_titles, n = ["proxy", "gold reward", "share right", "share well formed"], "responses to choose from, n"
    words = {part: words_on(figure_of(part, before)) for part, before in {
        "figures.best_of_n(": "choices, policies, direct = map", "figures.gradients(": None, "knee=3": None,
        "figures.remedies(": None, 'panels, "step"': "def by_step(", "figures.at_equal_kl(": None}.items()}
    assert [*words.values()] == [
        ["gold reward of the pick", n, "share right", n, *judges_there],
        ["rewards", "gradient, word 1", "gradient, word 2", "rewards + 5", "gradient, word 1", "leave one out",
         "gradient, word 1", "exact", "mean"],
        [*four_titles[:2], "share right", "√KL", "share well formed", "√KL", "no penalty", "β = 0.1"],
        ["gold reward", "share right", "well formed"],
        ["log π/π₀, held-out", "step", "gold reward", "step", "shares", "step", "chosen", "rejected", "right",
         "well formed"],
        [each for title in ("gold reward", "share right", "well formed") for each in (title, "KL, nats")]
        + ["best of n", "tilt", "RLOO", "RLOO, β = 0.1", "DPO"]], words
    for panel in figure_of("figures.gradients(").axes:
        [marked] = [line.get_xydata()[0] for line in panel.lines if line.get_label() == "exact"]
        assert np.allclose(marked, [-0.111514, -0.242417], atol=5e-5)


def test_three_claims_that_other_numbers_would_turn():
    """For the least difference in place of the largest, a standard error of fewer, one mean in place of two."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import but, code_of
    from claim_bounds import verdicts

    of_page = code_of("08_using_the_reward.ipynb")
    _, names = cell_again("fresh = copy.deepcopy(policy).double()")
    names["mean"] = names["mean"] + 1e-9 * next(names["fresh"].parameters()).sum()
    assert [*verdicts(next(each for each in of_page if "retain_graph" in each), names).values()] == [False]
    for power, told in ((1.0, True), (1.05, False)):  # seven standard errors
        drawn_so = SimpleNamespace(default_rng=lambda seed, by=power: SimpleNamespace(
            random=lambda shape: np.random.default_rng(seed).random(shape) ** by))
        assert claims("best of {n}: simulated", np=but(np, random=drawn_so)) == [told], power
    calls = []
    _, names = cell_again("the mean over all pairs",
                          rloo_advantages=lambda worth: calls.append(worth) or rloo_advantages(worth))
    assert len(names["means"]) == 2 and len(calls) == 1


def test_the_sliders_start_where_their_descriptions_say():
    """Against another start, whose picture a refresh would store above the old words."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import starts

    assert starts() == {"β": 0.5}


def test_log_ratios_and_shares_are_drawn_under_their_own_names():
    """For chosen and rejected exchanged, or right and well formed."""
    left, _, right = figure_of('panels, "step"', "def by_step(").axes
    for axes, keys in ((left, {"chosen": "chosen", "rejected": "rejected"}),
                       (right, {"right": "right", "well formed": "well_formed"})):
        lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
        assert [line.get_label() for line in lines[::3]] == [*keys] and len(lines) == 6
        for at, (key, run) in enumerate((key, run) for key in keys.values() for run in direct["runs"]):
            assert np.array_equal(lines[at].get_ydata(), [row[key][0] for row in run["curve"]]), key


def test_the_table_s_errors_by_hand():
    """For a spread of seeds in place of their mean's error, and one run, which has no seeds."""
    three = [{"kl": [0.0, 2.0], "gold": [[0.0, 0.1], [end, 0.3]], "well_formed": [[1.0, 0.0], [0.5, 0.0]]}
             for end in (1.0, 2.0, 3.0)]
    assert np.allclose(at(three, 1), (1.0, 2 * math.sqrt(0.2**2 + 0.25 / 3), 0.75))
    assert np.allclose(at(three[:1], 1), (0.5, 2 * 0.2, 0.75))
