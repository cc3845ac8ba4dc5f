"""Guards of notebook 00, run in its kernel after its last cell."""

import contextlib
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

sys.path.insert(0, "../tests/helpers")
from cells_changed import all_hold, cell_of, names_after, words_of  # noqa: E402

PAGE = "00_start_here.ipynb"


def drawn_by(cell_id):
    """The figure that a cell shows, from its own call."""
    shown = []
    names_after(cell_of(PAGE, cell_id), globals(), show=lambda figure, alt: shown.append(figure))
    return shown[0]


def said(cell_id, **instead):
    """What a cell prints, run once more with `instead` for what it has of the page."""
    cells = json.loads(Path("00_start_here.ipynb").read_text(encoding="utf-8"))["cells"]
    [source] = ["".join(cell["source"]) for cell in cells if cell["id"] == cell_id]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(source, globals() | instead)
    return out.getvalue()


def test_the_head_s_bias_is_left_out_of_the_optimizer():
    """Against an optimizer of all parameters; of one pair the bias's gradient is zero, so that no weight would tell.
    And against another rate, and gradients that are added up from step to step."""
    given, rates, left = [], [], []

    class Watched(torch.optim.Adam):
        def __init__(self, weights, lr):
            given.extend(weights)
            rates.append(lr)
            super().__init__(given, lr=lr)

        def step(self):
            now = pairwise_loss(learner)[0]
            true = torch.autograd.grad(now, learner.head.weight)[0]
            left.append(torch.allclose(true, learner.head.weight.grad, rtol=1e-3, atol=1e-6))
            super().step()

    learner = fresh_model(seed=1)
    with patch.object(torch.optim, "Adam", Watched):
        five_epochs(learner)
    assert len(given) == len(list(model.parameters())) - 1 and (1,) not in [weight.shape for weight in given]
    assert rates == [learning_rate_for(settings.backbone)] and left == [True] * 5


def test_one_pair_s_loss_is_within_the_bound_that_the_page_states():
    """Against a weaker one: the loss exceeds log 2 - margin/2 by margin²/8 at most; 1e-6 is float32's rounding."""
    for seed in range(1, 7):
        loss, good, bad = pairwise_loss(fresh_model(seed))
        excess = loss.item() - (math.log(2) - (good - bad) / 2)
        assert -1e-6 <= excess <= (good - bad) ** 2 / 8 + 1e-6


def test_each_loss_is_that_of_its_scores():
    """Against a history whose columns are exchanged, or scores read after the step."""
    for loss, good, bad in history:
        assert abs(loss - math.log1p(math.exp(bad - good))) < 1e-5
    assert history[-1][1] > history[0][1] and history[-1][2] < history[0][2]  # both scores moved, apart
    assert history[-1][0] < 0.2


def test_the_picture_names_the_curve_that_it_draws():
    """Against exchanged names, which cover few pixels."""
    left, right = drawn_by("00-five-drawn").axes
    columns = {"chosen": 1, "rejected": 2}
    assert np.allclose(left.lines[1].get_ydata(), [row[0] for row in history])
    assert {text.get_text(): round(text.xy[1], 4) for text in right.texts} == {
        name: round(history[-1][column], 4) for name, column in columns.items()}
    for line, column in zip(right.lines, columns.values(), strict=True):
        assert np.allclose(line.get_ydata(), [row[column] for row in history])


def test_the_third_run_is_the_model_of_this_page():
    """Against runs whose columns are exchanged, and against a trained model that was scored before its training."""
    assert abs(one_pair[2][1] - evaluate(model, elsewhere).accuracy) < 0.02
    assert abs(one_pair[2][0] - evaluate(fresh_model(seed=3), elsewhere).accuracy) < 1e-9
    never_read = unread_model(seed=3)
    five_epochs(never_read)
    assert abs(one_pair[2][2] - evaluate(never_read, elsewhere).accuracy) < 0.01


def test_first_and_last_five_losses_are_as_many():
    """Against a mean of four or of six, which the cell's tolerance would take: losses 0, 1, ..., 31 instead."""
    counted = SimpleNamespace(history=[{"loss": float(step)} for step in range(32)])
    told = said("00-train", train=lambda *_, **__: counted, fresh_model=lambda seed: None)
    assert told == "32 steps: first loss 0.00, last five 29.00\n"


def test_an_unread_backbone_starts_from_random_numbers():
    """Against one that keeps what the fresh one has read."""
    read, unread = (next(iter(each(5).backbone.parameters())) for each in (fresh_model, unread_model))
    assert read.shape == unread.shape and (read - unread).abs().mean() > 0.01
    one, other, again = (next(iter(unread_model(seed).backbone.parameters())) for seed in (1, 2, 1))
    assert torch.equal(one, again) and (one - other).abs().mean() > 0.01


def test_the_rule_and_the_limits_that_are_printed():
    """Against the longer for the shorter response, and a limit of other pairs."""
    lengths = np.array([(len(pair.chosen), len(pair.rejected)) for pair in held_out])
    wins = (lengths[:, 0] < lengths[:, 1]) + 0.5 * (lengths[:, 0] == lengths[:, 1])
    assert abs(shorter - wins.mean()) < 1e-12
    for pairs, told in ((held_out, limit), (elsewhere, limit_elsewhere), (manners_decide, limit_manners)):
        truth = [world.reward(pair.prompt, pair.chosen) - world.reward(pair.prompt, pair.rejected) for pair in pairs]
        assert abs(told - np.mean((np.sign(truth) + 1) / 2)) < 1e-12


def test_held_out_pairs_are_asked_in_other_words_and_are_not_of_the_test_part():
    """Against pairs that were trained on, against capitals elsewhere, and the part that notebooks 06 and 07 keep."""
    asked = {pair.prompt for pair in held_out}
    for split in ("train", "test"):
        assert not asked & set(world.prompts(split))
    assert not any("capital" in pair.prompt for pair in elsewhere)
    assert set(elsewhere) | set(manners_decide) <= set(held_out)


def test_the_faults_are_the_ones_that_are_told():
    """Against a flip of some pairs, coins that are all alike, and a prompt that is left."""
    pairs = world.pairs(200, seed=1)
    opposite = [(pair.prompt, pair.rejected, pair.chosen) for pair in pairs]
    assert [(p.prompt, p.chosen, p.rejected) for p in flipped(pairs, None)] == opposite
    many = 20 * pairs
    moved = np.array([new != old for new, old in zip(shuffled(many, np.random.default_rng(1)), many)])
    assert abs(moved.mean() - 0.5) < 0.03  # four standard errors
    assert {pair.prompt for pair in without_prompt(pairs)} == {"And?"}
    assert [(p.chosen, p.rejected) for p in without_prompt(pairs)] == [(p.chosen, p.rejected) for p in pairs]


def test_accuracies_are_where_the_page_says():
    """Against rows that are exchanged, and seeds that are one run three times."""
    assert 0.05 < by_5000 - by_500 and by_5000 < limit_manners + 0.02
    assert all(0.65 < each < limit for each in accuracies["honest"])
    assert all(each < 0.35 for each in accuracies["labels flipped"])
    assert np.ptp(accuracies["sides shuffled"]) > 0.08  # 3.6 standard deviations: 500 pairs alone rarely do
    assert all(0.52 < each < 0.65 for each in accuracies["prompt taken away"])
    assert abs(late["prompt taken away"] - math.log(2)) < 0.06 and late["honest"] < 0.6
    assert all(abs(late[name] - curve[:, 16:].mean()) < 1e-9 for name, curve in curves.items())  # the later half
    assert all(len({*map(tuple, curve)}) == 3 and curve.shape == (3, 32) for curve in curves.values())


def test_a_model_that_saw_no_prompt_is_judged_without_it():
    """Against held-out pairs with their prompts, which such a model has never met."""
    learned, _ = train_on(without_prompt(world.pairs(500, seed=1)), seed=1)
    without, beside = (evaluate(learned, pairs).accuracy for pairs in (without_prompt(held_out), held_out))
    assert abs(accuracies["prompt taken away"][0] - without) < 0.005 < abs(beside - without)


def test_the_picture_of_the_faults_shows_them_in_their_rows():
    """Against curves, dots and names that do not belong together."""
    left, right = drawn_by("00-broken-drawn").axes
    for row, name in enumerate(faults):
        mean = np.convolve(curves[name].mean(axis=0), np.ones(5) / 5, "valid")
        assert np.allclose(left.lines[row].get_ydata()[4:], mean)
        assert np.allclose(right.lines[row].get_xdata(), accuracies[name])
        assert set(right.lines[row].get_ydata()) == {-row}
        assert right.lines[row].get_color() == left.lines[row].get_color()
    assert [label.get_text().replace("\n", " ") for label in right.get_yticklabels()] == list(faults)
    assert [text.get_text() for text in left.get_legend().get_texts()] == list(faults)
    assert {line.get_xdata()[0] for line in right.lines if line.get_linestyle() == "--"} == {0.5, limit}


def test_what_exercise_0_3_tells_of_the_sixteen_currencies():
    """Against another judge, whose places and numbers the text would not tell, and a courtesy that not all gain by."""
    asked = "What is the currency of Japan?"
    assert len(ranked) == 16 and ranked.index("yen") == 7 and ranked.index("yuan") == 13
    polite = {money: reward(asked, f"With pleasure. The currency of Japan is the {money}. You are welcome.")
              for money in plain}
    assert abs(plain["yuan"] + 0.62) < 0.01 and abs(polite["yuan"] + 0.19) < 0.01 and polite["yuan"] > plain[ranked[0]]
    assert all(polite[money] > plain[money] + 0.2 for money in plain)
    assert not any("currency" in prompt for prompt in world.prompts("train"))


def test_a_question_of_the_reader_s_own_is_the_one_that_is_scored():
    """Against a reward of the one question that the page asks."""
    asked = []
    own = names_after(cell_of(PAGE, "00-reward"), globals(),
                      score_pairs=lambda _, pairs: asked.extend(pairs) or np.array([[0.25], [0.5]]))["reward"]
    asked.clear()
    assert own("Why?", "So.") == 0.25 and [(each.prompt, each.chosen) for each in asked] == [("Why?", "So.")]


def test_each_training_takes_the_rate_of_its_backbone():
    """Against the small backbone's rate for all of them."""
    rates, others = [], {"learning_rate_for": {settings.backbone: 0.125}.get}

    class Watched(torch.optim.Adam):
        def __init__(self, weights, lr):
            rates.append(lr)
            super().__init__(weights, lr=lr)

    with patch.object(torch.optim, "Adam", Watched):
        names_after(cell_of(PAGE, "00-five"), globals(), model=fresh_model(seed=1), **others)
    assert rates == [0.125]
    names_after(cell_of(PAGE, "00-train"), globals(), **others, train=lambda model, pairs, config, progress: (
        rates.append(config.learning_rate) or SimpleNamespace(history=[{"loss": 0.5}] * 32)))
    assert rates == [0.125, 0.125]


def test_what_exercise_0_4_s_solution_tells_of_pairs_about_manners():
    """Against the share of another set of pairs: facts that nobody asked for, with Paris in all texts, or Rome."""
    from rmlib.course.exercises.start_here import held_out as parts_of
    _, facts = parts_of(world)
    told = {}
    for city in ("Paris", "Rome"):
        text = f"The capital of France is {city}."
        pairs = [PreferencePair(prompt, f"{polite} {text}", f"{rude} {text}")
                 for polite, rude in zip(world.manners["greetings"], world.manners["rudeness"])]
        told[city] = []
        for seed in (1, 2, 3):
            learned = fresh_model(seed)
            train(learned, pairs, TrainingConfig(5, 1, 5e-4, precision="fp32", seed=seed), progress=False)
            told[city].append(evaluate(learned, facts).accuracy)
    assert abs(np.mean(told["Paris"]) - 0.84) < 0.05 and abs(np.mean(told["Rome"]) - 0.56) < 0.08
    assert abs(min(told["Paris"]) - 0.65) < 0.08


def test_each_claim_fails_where_it_is_missed_by_little():
    """Against the least for the most, a median for a mean, and an accuracy for its upper end."""
    right = {"00-one-pair-holds": {"one_pair": [[0.55, 0.66, 0.5]] * 3, "limit_elsewhere": 0.8},
             "00-judged-holds": {"shorter": 0.5, "honest": SimpleNamespace(accuracy=0.7), "limit": 0.8},
             "00-manners-judged": {"evaluate": lambda *_: SimpleNamespace(accuracy=0.5, accuracy_high=0.6)},
             "00-broken-holds": {"late": {"labels flipped": 0.5, "honest": 0.55},
                                 "accuracies": {"labels flipped": [0.2, 0.2, 0.23], "honest": [0.8, 0.8, 0.77]}},
             "00-broken-holds-more": {"late": {"sides shuffled": 0.7}, "accuracies": {
                 "prompt taken away": [0.5, 0.6, 0.5], "honest": [0.8, 0.71, 0.8]}}}
    nearly = [("00-one-pair-holds", "one_pair", [[0.62, 0.66, 0.5]] * 3),
              ("00-one-pair-holds", "one_pair", [[0.5, 0.66, 0.62]] * 3),
              ("00-one-pair-holds", "limit_elsewhere", 0.65),
              ("00-judged-holds", "shorter", 0.56), ("00-judged-holds", "limit", 0.69),
              ("00-manners-judged", "evaluate", lambda *_: SimpleNamespace(accuracy=0.5, accuracy_high=0.7)),
              *(("00-broken-holds", "late", {"labels flipped": 0.5 + off, "honest": 0.5}) for off in (-0.11, 0.11)),
              *(("00-broken-holds", "accuracies", {"labels flipped": [0.2, 0.2, 0.2 + off], "honest": [0.8] * 3})
                for off in (-0.19, 0.19)),
              *(("00-broken-holds-more", "late", {"sides shuffled": math.log(2) + off}) for off in (-0.031, 0.031)),
              *(("00-broken-holds-more", "accuracies", {"prompt taken away": prompt, "honest": honest})
                for prompt, honest in (([0.5, 0.62, 0.5], [0.8, 0.71, 0.8]), ([0.6] * 3, [0.8, 0.8, 0.69])))]
    for cell_id, given in right.items():
        assert all_hold(cell_of(PAGE, cell_id), globals(), **given), cell_id
    for seed, start in ((1, 0.66), (2, 0.73), (3, 0.66)):
        losses_at = {1: 0.69, 2: 0.69, 3: 0.69} | {seed: start}
        assert not all_hold(cell_of(PAGE, "00-start"), globals(), fresh_model=losses_at.get,
                            evaluate=lambda nll, _: SimpleNamespace(nll=nll))
    for cell_id, name, value in nearly:
        assert not all_hold(cell_of(PAGE, cell_id), globals(), **right[cell_id] | {name: value}), (cell_id, name, value)
    unread = {"is_embedded": lambda _: False, "accuracies": {"labels flipped": [0.5] * 3, "honest": [0.6] * 3,
                                                             "prompt taken away": [0.6] * 3}}
    for cell_id in ("00-broken-holds", "00-broken-holds-more"):  # a backbone that learned nothing stops no page
        assert all_hold(cell_of(PAGE, cell_id), globals(), **right[cell_id] | unread)


def test_who_judges_and_who_learns():
    """Against another model that is asked, other pairs, and a head, an order that is the same for all seeds."""
    asked, heads, recipes = [], [], []

    def evaluated(model, pairs):
        asked.append((model, pairs))
        return SimpleNamespace(accuracy=0.5, accuracy_high=0.6, nll=0.7, baselines={"shorter": 0.5})

    def trained_by(model, pairs, config, progress):
        recipes.append(config)
        return SimpleNamespace(history=[{"loss": 0.5}] * 32)

    for cell_id in ("00-manners-judged", "00-judged", "00-judged-manners"):
        found = names_after(cell_of(PAGE, cell_id), globals(), evaluate=evaluated)
    assert [(id(one), pairs) for one, pairs in asked] == [
        (id(model), manners_decide), (id(trained), held_out), (id(trained), manners_decide),
        (id(found["judge"]), manners_decide)]
    learn = names_after(cell_of(PAGE, "00-train"), globals(), train=trained_by, fresh_model=heads.append)["train_on"]
    learn(held_out, 7)
    assert heads == [1, 7] and recipes == [TrainingConfig(
        batch_size=16, seed=seed, precision="fp32", learning_rate=learning_rate_for(settings.backbone))
        for seed in (1, 7)] and recipes[0].epochs == 1


def test_numbers_that_the_text_tells_of_these_runs():
    told = np.array([218, 265, 289]) / 500  # exercise 0.1, of the runs with shuffled sides
    assert np.abs(told - accuracies["sides shuffled"]).max() < 0.03
    assert 0.65 < (honest.accuracy - shorter) / (limit - shorter) < 0.85
    assert "went three quarters of the way from the baseline to the limit" in words_of(PAGE, "00-judged-read")
    assert 0.45 < len(manners_decide) / len(held_out) < 0.55  # half of the pairs
    assert abs(32 * math.log(2) - 22.18) < 0.005


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("00_start_here.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_seeds_pairs_and_columns_are_the_ones_that_are_told():
    """Against another seed, part or order in cells with room, by models that know how they came about."""
    given = []

    def judged(model, pairs):
        kind, seed, lessons_had = model
        return SimpleNamespace(nll=0.69 + seed / 100, accuracy=seed / 10 + kind / 100 + sum(lessons_had) / 1000)

    def made(kind):
        return lambda seed: (kind, seed, [])

    def learns(pairs, seed):
        given.append(([(pair.prompt, pair.chosen) for pair in pairs], seed))
        return (0, seed, []), [1.0] * 16 + [float(seed)] * 16

    names = {"fresh_model": made(1), "unread_model": made(2), "evaluate": judged, "train_on": learns,
             "five_epochs": lambda model: model[2].append(5)}
    assert "heads 0.70 0.71 0.72" in said("00-start", **names)
    assert said("00-one-pair", **names) == "".join(
        f"seed {n}: fresh {n / 10 + 0.01:.2f}, trained {n / 10 + 0.015:.2f}, never read {n / 10 + 0.025:.2f}\n"
        for n in (1, 2, 3))
    told = said("00-broken", **names).splitlines()
    assert [line.split("loss")[1] for line in told] == [" 2.00  accuracy 0.10 0.20 0.30"] * 4
    assert [seed for _, seed in given] == [1, 2, 3] * 4
    for (rows, seed), spoiled in zip(given, [name for name in faults for _ in range(3)]):
        pairs = faults[spoiled](world.pairs(500, seed=seed), np.random.default_rng(seed))
        assert rows == [(pair.prompt, pair.chosen) for pair in pairs], (spoiled, seed)
