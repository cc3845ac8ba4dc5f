"""Guards of notebook 02, which run in its kernel after the last cell."""

import math
import re
import sys

import numpy as np

from rmlib.encoding import encode

sys.path.insert(0, "../tests/helpers")
from cells_again import printed  # noqa: E402
from cells_changed import all_hold, cell_of, names_after  # noqa: E402

PAGE = "02_pairwise_loss.ipynb"


def said(cell_id, **instead):
    """What a cell prints, run once more with `instead` for what it has of the page."""
    return printed([cell_of(PAGE, cell_id)], "", globals(), **instead)


def drawn_by(cell_id):
    """The axes that a cell shows, from its own call."""
    shown = []
    names_after(cell_of(PAGE, cell_id), globals(), show=lambda figure, alt: shown.append(figure))
    return shown[0].axes


def numbers(text):
    return [float(each) for each in re.findall(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def test_one_pair_at_other_margins():
    """The slope's sign, the loss of the other answer, or bars that are exchanged."""
    for margin in (-6.0, 2.5):
        figure, text = one_pair(margin)
        chance = 1 / (1 + math.exp(-margin))
        assert np.allclose(numbers(text), [chance, -math.log(chance), chance - 1], rtol=0, atol=6e-5)
        curve, tangent, dot = figure.axes[0].lines
        x, y = tangent.get_xdata(), tangent.get_ydata()
        assert np.isclose((y[-1] - y[0]) / (x[-1] - x[0]), chance - 1)
        assert np.isclose(dot.get_ydata()[0], -math.log(chance))
        assert np.allclose(curve.get_ydata(), np.log(1 + np.exp(-x)))
        assert np.allclose([bar.get_height() for bar in figure.axes[1].patches], [chance, 1 - chance])


def test_flips_at_other_positions():
    """Shares that are not of a hundred, p* and ε exchanged, a minimum that is marked elsewhere."""
    for percent, agree in ((0, 99), (49, 60), (25, 75), (10, 51)):
        figure, text = flips(percent, agree)
        chance = agree / 100 + percent / 100 - 2 * percent * agree / 1e4
        best, clean_best = (math.log(p) - math.log(1 - p) for p in (chance, agree / 100))
        assert np.allclose(numbers(text), [chance, best, clean_best], rtol=0, atol=6e-4)
        valley, dot = figure.axes[0].lines
        assert abs(valley.get_xdata()[valley.get_ydata().argmin()] - best) < 0.051
        assert np.isclose(dot.get_xdata()[0], best)
        _, noisy, here = figure.axes[1].lines
        clean_chance = 1 / (1 + np.exp(-noisy.get_xdata()))
        flipped = clean_chance + percent / 100 * (1 - 2 * clean_chance)
        assert np.allclose(noisy.get_ydata(), np.log(flipped) - np.log(1 - flipped))
        assert np.allclose([here.get_xdata()[0], here.get_ydata()[0]], [clean_best, best])


def test_the_first_loss_lies_between_the_page_s_bounds():
    """Against a middle term of the other sign, a square that is not halved thrice, and normals with another spread."""
    for seed, (spread, first) in enumerate(starts):
        torch.manual_seed(seed)
        one, other = chosen_and_rejected(RewardModel(backbone)).numpy()
        margin = one - other
        upper = math.log(2) - margin.mean() / 2 + (margin**2).mean() / 8
        assert abs(first - np.logaddexp(0, -margin).mean()) < 1e-6 and math.isclose(spread, margin.std(ddof=1))
        assert math.log(2) - margin.mean() / 2 < first < upper + 1e-6 and upper - first < 1e-4
        assert np.quantile(np.abs(margin), 0.5) < 0.1
    assert len({*starts}) == 4  # four heads, not one four times
    assert abs(drawn.mean()) < 1e-12
    for spread, mean in zip(spreads, means, strict=True):  # beside sums over a fine grid of the normal density
        z = np.arange(-8000, 8001) / 1000
        density = np.exp(-(z**2) / 2) / 2506.628274631
        even = (np.logaddexp(0, spread * z) + np.logaddexp(0, -spread * z)) / 2
        true = (density * even).sum()
        assert abs(mean - true) < 4 * ((density * (even - true) ** 2).sum() / 100_000) ** 0.5


def test_the_loud_start_of_exercise_2_2_is_as_loud_as_the_page_says():
    from rmlib.course.exercises.pairwise_loss import loud_model

    chosen, rejected = chosen_and_rejected(loud_model())
    margin = chosen - rejected
    assert abs(bradley_terry_loss(chosen, rejected).item() - 1.56) < 0.02
    assert abs(margin.mean() + 0.70) < 0.01 and abs(margin.std() - 2.4) < 0.05
    excess = {divisor: -margin.mean() / 2 / divisor + margin.square().mean() / 8 / divisor**2 for divisor in (13, 14)}
    assert excess[14] < 0.03 < excess[13]
    assert loss(margin / 14).mean() < math.log(2) + 0.03 < loss(margin / 13).mean()


def test_a_head_of_zeros_leaves_the_backbone_as_it_is_for_one_step():
    """What the solution of 2.2 says: against a head that is stuck, and a backbone that moves at once."""
    from rmlib.course.exercises.pairwise_loss import loud_model

    model = loud_model()
    with torch.no_grad():
        model.head.weight.zero_()
    batch = model.collate(encode(model.tokenizer, pairs[:8], model.encoding))
    reached = []
    for _ in range(2):
        rewards = model(**batch)
        model.zero_grad()
        bradley_terry_loss(rewards[:8], rewards[8:]).backward()
        reached.append(any(w.grad.any() for w in model.backbone.parameters()))
        assert model.head.weight.grad.any()
        with torch.no_grad():
            model.head.weight -= model.head.weight.grad
    assert reached == [False, True]


def test_the_naive_forms_break_where_the_page_says():
    """Infinite and nan at -100, and a pull that the constant has taken away."""
    for form in naive.values():
        margin = torch.tensor(-100.0, requires_grad=True)
        value = form(margin)
        value.backward()
        assert value.isinf() and margin.grad.isnan()
    at = list(places).index(-30)
    assert found["rmlib"][at] == -1 and abs(found["log(sigmoid + 1e-7)"][at]) < 1e-5


def test_the_regression_is_at_its_minimum_and_flips_leave_well_under_half():
    """Against a fit that stopped early, standard errors that are variances, and labels that were not flipped."""
    slope = -(x.T @ torch.sigmoid(-x @ w)) / len(x)
    assert slope.abs().max() < 1e-4
    for row, name in enumerate(WEIGHTS):
        nudged = w.clone()
        nudged[row] += 1e-3
        assert loss(x @ nudged).mean() > loss(x @ w).mean() - 1e-9, name
    assert 0.05 < errors.min() and errors.max() < 0.1
    assert 0.3 < (w_flipped @ gold) / (gold @ gold) < 0.4
    assert (w_flipped / w < 0.45).all()
    q = 0.2 + 0.6 * torch.sigmoid(x @ gold)  # the same of endless labels: no luck of one draw
    endless = fitted(x, lambda gap: q * loss(gap) + (1 - q) * loss(-gap))
    assert (endless / gold - 0.37).abs().max() < 0.02
    assert (torch.sign(x @ w_flipped) == torch.sign(x @ w)).double().mean() > 0.9


def test_the_known_rate_brings_correctness_back():
    """What the solution of 2.5 says of the page's own labels."""
    aware = fitted(x_flipped, lambda margin: -torch.log(0.2 + 0.6 * torch.sigmoid(margin)))
    assert abs(aware[0] - 1.6) < 0.06


def test_the_minima_are_where_theory_has_them():
    """Against a target that moves the wrong curve: the slope of the risk is zero at the printed minimum."""
    assert abs(paths["no smoothing"][-1] + math.exp(paths["no smoothing"][-1]) - 2001) < 10
    assert abs(paths["smoothing 0.05"][-1] - math.log(19)) < 1e-9
    for m in (0.0, 1.0, 2.0, 3.0):
        c = math.exp(-m)
        formula = math.log((3 - 1 + math.sqrt((3 - 1) ** 2 + 4 * c**2 * 3)) / (2 * c))  # q = 3/4: κ = 3
        best_gap = grid[(0.75 * loss(grid - m) + 0.25 * loss(-grid - m)).argmin()]
        assert abs(formula - best_gap) < 1.01e-4
    for m, told in ((0, 1.10), (1, 1.78), (2, 2.71), (3, 3.69)):
        here = -0.75 / (1 + math.exp(told - m)) + 0.25 / (1 + math.exp(-m - told))
        assert abs(here) < 0.002
    here = -0.55 / (1 + math.exp(-0.96)) + 0.45 / (1 + math.exp(0.96 - 3))
    assert abs(here) < 0.002 and a < b


def test_what_is_found_is_not_what_theory_says():
    """Against a number of theory that is printed twice: with a loss for which the theory does not hold they part."""
    def squared(gap):
        return (1 - gap) ** 2

    rows = [re.findall(r"[\d.]+(?=[,;\n])", each + "\n") for each in said("02-risk-table", loss=squared).splitlines()]
    for row, (truth, flip_rate) in zip(rows, ((1.0, 0.1), (0.8, 0.0), (0.8, 0.1), (0.8, 0.3)), strict=True):
        q = truth + flip_rate * (1 - 2 * truth)
        entropy = -(q * math.log(q) + (1 - q) * math.log(1 - q))
        wanted = [2 * q - 1, math.log(q / (1 - q)), 4 * q * (1 - q), entropy]
        assert np.allclose([float(each) for each in row[-4:]], wanted, rtol=0, atol=6e-4), row
    other = torch.tensor([1.0, 2.0, 6.0])
    assert said("02-product", surprises=other).split()[-1] == "3.000"
    assert said("02-product", probabilities=other / 8, surprises=other).startswith(
        "likelihood 0.023, -log(likelihood) / 3 1.251")
    assert said("02-below", loss=lambda z: loss(z) / 2, holds=lambda *_: None).startswith(
        "L < 0-1 loss from -1.85 to 0.00; -log(e - 1) = -0.54")
    halved = [[float(each) for each in re.findall(r"[+-]?\d+\.\d+", line)] for line in said(
        "02-fresh-starts", RewardModel=lambda _: None, bradley_terry_loss=lambda c, r: torch.tensor(0.25),
        chosen_and_rejected=lambda _: (torch.tensor([0.5, 1.0]), torch.tensor([0.0, 0.0]))).splitlines()]
    assert halved == [[0.35, 0.75, 0.25, round(math.log(2) - 0.375 + 1.25 / 16, 3)]] * 4
    ends = {"no smoothing": [1.0, 2.5], "smoothing 0.05": [1.0, 1.5]}
    told = said("02-smoothed", train_margin=lambda s: np.array(ends["smoothing 0.05" if s else "no smoothing"]))
    assert told == "ends at 2.50 1.50\nlog t = 7.60, logit(0.95) = 2.94\n"
    assert "best gap 0.00; slope at 0: -0.55 sigma(0) + 0.45 sigma(3) = +0.154" in said(
        "02-minority", loss=lambda z: z**2 * (z.max() > 7.9) * (z.min() > -8.1))
    flat = said("02-targeted", loss=lambda z: (z - 1) ** 2).splitlines()
    assert [line.split("best gap ")[1][:4] for line in flat] == ["0.50", "1.00", "1.50", "2.00"]


def test_the_accuracies_with_and_without_flips_are_of_their_own_weights():
    """Against one fit that is judged twice, and pairs with flips for those without."""
    one, other = torch.eye(6, dtype=torch.float64)[:2]
    told = said("02-regressed-flips", fitted=lambda given, _: other, w=one, world=world)
    for line, each in zip(told.splitlines()[-2:], (one, other), strict=True):
        margin = (x @ each).numpy()
        assert numbers(line) == [round(np.mean(margin > 0), 2), round(np.logaddexp(0, -margin).mean(), 2)]
    assert torch.equal(x, differences(world.pairs(4000, seed=1))) and not torch.equal(x, x_flipped)


def test_the_four_names_are_four_functions():
    """Against one function that stands for another, whose numbers are the same."""
    from unittest.mock import patch

    for row, name in enumerate(("logsigmoid", "softplus", "binary_cross_entropy_with_logits", "cross_entropy")):
        with patch.object(F, name, lambda *_, **__: torch.full((3,), 7.0)):
            values = four_names(torch.ones(3), torch.zeros(3))
        assert [int(abs(each[0]) == 7) for each in values] == [int(at == row) for at in range(4)], name


def test_each_picture_shows_what_its_names_say():
    """Against names that are exchanged, a dot that is missing, and steps counted from another one."""
    for axes in drawn_by("02-fresh-drawn"):
        _, normal, stars, _ = axes.lines
        assert np.array_equal(normal.get_xydata(), np.stack([spreads, means], axis=1)) and len(spreads) == 5
        assert np.array_equal(stars.get_xydata(), starts) and len(starts) == 4
        assert [line.get_label() for line in (normal, stars)] == ["normal margins", "fresh models"]
    [axes] = drawn_by("02-smoothed-drawn")
    curves = {line.get_label(): line.get_xydata() for line in axes.lines if len(line.get_xdata()) > 2}
    for smoothing, name in ((0.0, "no smoothing"), (0.05, "smoothing 0.05")):
        margin = 0.0
        for step in range(3):
            margin += 0.1 * (1 / (1 + math.exp(margin)) - smoothing)
            assert np.allclose(curves[name][step], (step + 1, margin)), name
        assert len(curves[name]) == 20_000
    [axes] = drawn_by("02-centred-drawn")
    sums = {line.get_label(): line.get_xydata().sum(axis=1) for line in axes.lines if "λ" in str(line.get_label())}
    assert np.allclose(sums["λ = 0"], 6) and abs(sums["λ = 0.05"][-1]) < 0.01 and len(sums) == 2
    [path] = [line.get_xydata() for line in axes.lines if line.get_label() == "λ = 0"]
    assert tuple(path[0]) == (5, 1) and len(path) == 200  # rejected, chosen
    [axes] = drawn_by("02-guard-drawn")
    for name, form in forms.items():
        [line] = [line for line in axes.lines if line.get_label() == name]
        at = torch.tensor([-30.0, -15.0, 0.0, 5.0], requires_grad=True)
        wanted = torch.autograd.grad(form(at).sum(), at)[0].numpy()
        assert np.allclose(np.interp(at.detach().numpy(), line.get_xdata(), line.get_ydata()), wanted, atol=1e-4), name
    assert [*forms] == ["rmlib", "log(sigmoid + 1e-7)", "log(1 + exp)", "log(sigmoid)"]
    assert abs(naive["log(sigmoid)"](torch.tensor(6.0).bfloat16())) > 0 == naive["log(1 + exp)"](
        torch.tensor(6.0).bfloat16())
    fine = np.linspace(-2.9, 2.9, 59)
    lines = {line.get_label(): line for line in drawn_by("02-bound")[0].lines}
    at, step = lines["0-1 loss"].get_data()
    assert np.array_equal(step, np.where(at < 1e-9, 1, 0)) and abs(at[300]) < 1e-12  # a tie is an error
    for name, factor in (("L", 1), ("L / log 2", 1 / math.log(2))):
        told = np.interp(fine, *lines[name].get_data())
        assert np.allclose(told, factor * np.log1p(np.exp(-fine)), atol=1e-4), name


def test_each_claim_fails_where_one_entry_is_wrong():
    """Against a mean or a single entry of what is claimed of all."""
    for at, off in ((0, 2e-12), (80_000, -2e-12), (160_000, 2e-12)):
        def nearly(function, at=at, off=off):
            def wrong(*given, **more):
                found = function(*given, **more).clone()
                found[..., at] += off
                return found
            return wrong
        for name in ("four_names", "bradley_terry_loss"):
            assert not all_hold(cell_of(PAGE, "02-four-holds"), globals(), **{name: nearly(globals()[name])}), name
        assert not all_hold(cell_of(PAGE, "02-torchs"), globals(), smoothed_loss=nearly(smoothed_loss))
    for at in (0, 199):
        one_off = {0.0: torch.zeros(200, 2), 0.05: torch.zeros(200, 2)}
        one_off[0.05][at, 1] = 2e-12
        assert not all_hold(cell_of(PAGE, "02-centred"), globals(), train_scores=one_off.get)
    for row, off in ((0, 3.1), (5, -3.1)):
        scattered = gold + off * errors * (torch.arange(6) == row)
        assert not all_hold(cell_of(PAGE, "02-regressed-weights"), globals(), w=scattered)


def test_the_sum_shrinks_by_one_factor():
    steps = np.arange(200)
    assert np.allclose(free.sum(dim=1), 6) and np.allclose(centred.sum(dim=1), 6 * 0.96**steps)


def test_flips_steps_and_rates_other_than_the_page_s():
    """Against functions that take them and go on with those of the page."""
    for gap, rate in ((3.0, 0.25), (-1.0, 0.4), (2.0, 0.0)):
        odds = (rate + (1 - rate) * math.exp(gap)) / (1 - rate + rate * math.exp(gap))
        assert math.isclose(with_flips(gap, rate), math.log(odds), rel_tol=1e-9)
    margin, path_by_hand = 0.0, []
    for _ in range(3):
        margin += 0.5 * (0.8 / (1 + math.exp(margin)) - 0.2 / (1 + math.exp(-margin)))
        path_by_hand.append(margin)
    assert np.allclose(train_margin(0.2, steps=3, rate=0.5), path_by_hand, rtol=1e-12)
    one, other, scores = 1.0, 5.0, []
    for _ in range(3):
        scores.append((one, other))
        pull, push = 0.1 / (1 + math.exp(one - other)), 0.1 * 2 * 0.3 * (one + other)
        one, other = one + pull - push, other - pull - push
    assert np.allclose(train_scores(0.3, steps=3, rate=0.1), scores, rtol=1e-12)


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("02_pairwise_loss.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_the_bounds_are_neither_looser_nor_tighter_than_their_sentences():
    """Against room to spare, and a grid of other ends: a loss on the bound is within it, one 1e-9 beyond is not."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import verdicts

    code = code_of("02_pairwise_loss.ipynb")
    source = next(each for each in code if 'holds("the identity' in each)

    def holds_for(claim, wrong_loss):
        return verdicts(source, globals() | {"loss": wrong_loss})[claim]

    identity, line, exponential = verdicts(source, globals())
    assert not holds_for(identity, lambda z: loss(z) + 1e-9 * (z > 0))
    for claim, bound, beyond in ((line, lambda z: -z, -1e-9), (line, lambda z: -z + z.exp(), 1e-9),
                                 (exponential, lambda z: (-z).exp(), 1e-9),
                                 (exponential, lambda z: (-z).exp() - (-2 * z).exp() / 2, -1e-9)):
        assert holds_for(claim, bound) and not holds_for(claim, lambda z, f=bound, off=beyond: f(z) + off), claim
    assert torch.equal(grid, torch.tensor([n / 10_000 for n in range(-80_000, 80_001)], dtype=torch.float64))
    below_it = next(each for each in code if 'nowhere below it"' in each)
    assert not any(verdicts(below_it, globals() | {"loss": lambda z: loss(z) * (1 - 1e-9)}).values())


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import ends

    assert ends() == {"margin": (-6, 6, 0.1), "flips (%)": (0, 49, 1), "truly prefer the first (%)": (51, 99, 1)}


def test_the_loss_that_exercise_2_4_gives_is_a_mean():
    told = unguarded_loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])).item()
    assert abs(told - (math.log(2) + math.log1p(math.exp(-2))) / 2) < 1e-6


def test_the_sliders_start_where_their_descriptions_say():
    """Against another start, whose picture a refresh would store above the old words."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import starts

    assert starts() == {"margin": -1.5, "flips (%)": 10, "truly prefer the first (%)": 90}


def test_where_the_naive_loss_fails_in_theory():
    """Against a roundoff of one unit, not half of one: 24 and 8 binary digits, and the largest number of both."""
    rows = [numbers(line)[-4:] for line in said("02-where").splitlines()[1:]]
    for (_, most, _, least), digits in zip(rows, (24, 8), strict=True):
        assert abs(most + 128 * math.log(2)) < 0.006 and abs(least - digits * math.log(2)) < 0.0051
