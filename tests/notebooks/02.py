"""Guards of notebook 02, which run in its kernel after the last cell."""

import math
import re
import sys

import numpy as np


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
    for percent, agree in ((0, 99), (49, 60), (25, 75)):
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
    rng = np.random.default_rng(0)
    for spread, mean in zip(spreads, means, strict=True):
        losses = np.logaddexp(0, -rng.normal(scale=spread, size=400_000))
        assert abs(losses.mean() - mean) < 4 * losses.std() * (1 / 400_000 + 1 / 100_000) ** 0.5


def test_the_loud_start_of_exercise_2_2_is_as_loud_as_the_page_says():
    from rmlib.course.exercises.pairwise_loss import loud_model

    chosen, rejected = chosen_and_rejected(loud_model())
    margin = chosen - rejected
    assert abs(bradley_terry_loss(chosen, rejected).item() - 1.56) < 0.02
    assert abs(margin.mean() + 0.70) < 0.01 and abs(margin.std() - 2.4) < 0.05
    excess = {divisor: -margin.mean() / 2 / divisor + margin.square().mean() / 8 / divisor**2 for divisor in (13, 14)}
    assert excess[14] < 0.03 < excess[13]
    assert loss(margin / 14).mean() < math.log(2) + 0.03 < loss(margin / 13).mean()


def test_the_naive_forms_break_where_the_page_says():
    """Infinite and nan at -100, and a pull that the constant has taken away."""
    for form in naive.values():
        margin = torch.tensor(-100.0, requires_grad=True)
        value = form(margin)
        value.backward()
        assert value.isinf() and margin.grad.isnan()
    at = list(places).index(-30)
    assert found["rmlib"][at] == -1 and abs(found["log(sigmoid + 1e-7)"][at]) < 1e-5


def test_the_regression_is_at_its_minimum_and_flips_leave_a_third():
    """Against a fit that stopped early, standard errors that are variances, and labels that were not flipped."""
    slope = -(x.T @ torch.sigmoid(-x @ w)) / len(x)
    assert slope.abs().max() < 1e-4
    for row, name in enumerate(WEIGHTS):
        nudged = w.clone()
        nudged[row] += 1e-3
        assert loss(x @ nudged).mean() > loss(x @ w).mean() - 1e-9, name
    assert 0.05 < errors.min() and errors.max() < 0.1
    assert 0.3 < (w_flipped @ gold) / (gold @ gold) < 0.4
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


def test_the_sum_shrinks_by_one_factor():
    steps = np.arange(200)
    assert np.allclose(free.sum(dim=1), 6) and np.allclose(centred.sum(dim=1), 6 * 0.96**steps)


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
