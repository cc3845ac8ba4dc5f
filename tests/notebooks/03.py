"""Guards of notebook 03, which run in its kernel after the last cell."""

import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F


def numbers(text):
    return [float(each) for each in re.findall(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def test_a_secant_of_other_steps():
    """Halvings counted from elsewhere, a one-sided difference, an error against another slope."""
    tangent = -1 / (1 + math.e)
    for halvings in (0, 3, 10):
        figure, text = at_step(halvings)
        step = 4 / 2**halvings
        rise = math.log1p(math.exp(-1 - step)) - math.log1p(math.exp(-1 + step))
        slope = rise / (2 * step)
        assert np.allclose(numbers(text), [step, slope, tangent, abs(slope - tangent)], rtol=0.05, atol=0)
        assert abs(numbers(text)[1] - slope) < 6e-6 and abs(numbers(text)[2] - tangent) < 6e-6
        _, touching, secant, ends = figure.axes[0].lines
        assert np.allclose(ends.get_xdata(), [1 - step, 1 + step])
        for line, expected in ((touching, tangent), (secant, slope)):
            assert np.isclose(np.ptp(line.get_ydata()) / -np.ptp(line.get_xdata()), expected)
        errors, here = figure.axes[1].lines
        assert np.allclose(errors.get_xdata(), 4 / 2.0 ** np.arange(halvings + 1)) and here.get_xdata() == [step]
        assert np.isclose(errors.get_ydata()[-1], abs(slope - tangent), rtol=1e-6)
    assert numbers(at_step(54)[1])[3] > 1e-3 > 1e-9 > numbers(at_step(19)[1])[3]  # rounding has won; the U's bottom


def test_the_slopes_are_those_of_the_formula_and_the_wrong_training_ends_higher():
    right = [-1 / (1 + math.exp(margin)) for margin in (-4, -1, 0, 1, 4)]
    assert np.allclose(slopes.numpy(), right, rtol=1e-14) and np.allclose(by_hand.numpy(), right, rtol=1e-14)
    assert max(loss_a[-1], loss_b[-1]) > min(loss_a[-1], loss_b[-1]) + 0.04


def test_the_u_is_drawn_with_its_two_lines():
    """Truncation and rounding exchanged, or one of them without its factor."""
    _, falling_line, rising, dots = u_figure.axes[0].lines
    at = falling_line.get_xdata()
    assert np.allclose(falling_line.get_ydata(), at**2 * 0.090858 / 6, rtol=1e-4)
    assert falling_line.get_linestyle() == "--" and rising.get_linestyle() == ":"
    assert np.allclose(rising.get_ydata(), 2.0**-52 * 0.313262 / at, rtol=1e-4)
    assert np.allclose(dots.get_ydata()[3:12], falling_line.get_ydata()[3:12], rtol=0.1)
    assert np.all(worst[20:] > rounding[20:] / 6) and 1e-12 < worst.min() < 1e-10
    assert near_one.shape == right.shape == (101,) and np.allclose(near_one + near_one[::-1], 2)


def test_each_bug_has_its_ratio_and_its_test():
    for name, ratio in {"right": 1, "sign": -1, "factor": 2}.items():
        assert np.allclose(points[name][1], ratio * points[name][0], rtol=1e-8)
    numeric, analytic = points["detach"]
    assert np.allclose(analytic[:8], numeric[:8], rtol=1e-8) and np.all(analytic[8:] == 0) and np.all(numeric[8:] != 0)
    assert [name for name, passed in passes.items() if passed] == ["right"]
    assert torch.autograd.gradcheck(flipped, random_scores(6), eps=1e-5, atol=1e-9, rtol=0)
    assert found.sum(axis=1).tolist() == [1] * 6 and found.sum(axis=0).tolist() == [3, 0, 1, 2]


def test_rounding_leaves_the_heads_bias_the_gradient_that_the_page_tells():
    """Against float64, which leaves 1e-17 at most: beside Adam's 1e-8 that is nothing."""
    generator, left = torch.Generator().manual_seed(0), []
    for _ in range(50):
        b = torch.zeros(1, requires_grad=True)
        scores = torch.randn(32, generator=generator) + b
        left.append(torch.autograd.grad(bradley_terry_loss(scores[:16], scores[16:]), b)[0].item())
    assert 1e-9 < np.median(np.abs(left)) < 1e-8


def test_the_heads_step_is_the_gradients():
    leaf = torch.tensor(w, requires_grad=True)
    [by_torch] = torch.autograd.grad(F.softplus(-torch.from_numpy(features[0] - features[1]) @ leaf), leaf)
    assert np.allclose(gradient, by_torch) and np.allclose(after, w - by_torch.numpy() / 2)


def test_misses_are_within_four_standard_errors_of_theory():
    """30,000 directions; the sum of squares counts, so that N = 128 is normal to within a percent."""
    for t, (one, three) in missed.items():
        p = math.erf(t / math.sqrt(2))
        assert abs(one - p) < 4 * math.sqrt(p / 30_000) + 0.01 * p and abs(0.8 * t / p - 1) < 0.04
        assert abs(three - p**3) < 4 * math.sqrt(p**3 / 10_000) + 0.03 * p**3
    assert np.linalg.norm(delta) > 0.01 and len(delta) == model.head.weight.numel()


def test_all_pass_and_the_zeros_are_the_three_that_the_page_explains():
    keys = [name for name in names if name.endswith(("k_lin.bias", "key.bias"))]  # DistilBERT's name and BERT's
    assert keys and zero == sorted([*keys, norms[-1] + ".bias", "head.bias"], key=names.index)
    assert [row.name for row in checks if row.ok] == names and pair_loss().dtype == torch.float64
    assert failed == [name for name in names[: names.index(place + ".bias") + 1] if name not in zero]
    assert alone == [place + ".bias"]


def test_float32_gives_few_tensors_four_digits():
    """Against a model in float64, which gives them to all: the worst of three directions at the best step."""
    def slope_of(at, name, u, step):
        tensor, ends = at.get_parameter(name), []
        origin = tensor.detach().clone()
        with torch.no_grad():
            for distance in (step, -step):
                tensor.copy_(origin + distance * u.to(tensor))
                ends.append(pair_loss(at).item())
            tensor.copy_(origin)
        return (ends[0] - ends[1]) / (2 * step)

    four_digits = []
    for name in [each for each in names[::4] if each not in zero]:
        generator, worst_of = torch.Generator().manual_seed(0), []
        for _ in range(3):
            u = torch.randn(model.get_parameter(name).shape, dtype=torch.float64, generator=generator)
            u /= u.norm()
            truth = slope_of(model, name, u, 1e-4)
            worst_of.append([abs(slope_of(single, name, u, step) / truth - 1) for step in (1, 0.3, 0.1, 0.03, 0.01)])
        four_digits.append(np.max(worst_of, axis=0).min() < 1e-4)
    assert len(four_digits) > 10 and np.mean(four_digits) < 0.4


def test_the_bug_is_drawn_where_it_is():
    """The two pictures of all tensors exchanged, or error and slope in one of them."""
    for figure, rows in ((as_it_is, checks), (with_bug, planted)):
        drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
        assert np.allclose(drawn["tolerance"], [1e-10 + 1e-6 * abs(row.numeric) for row in rows])
        assert [row.name for row, one in zip(rows, drawn["error"] > drawn["tolerance"], strict=True) if one] == [
            row.name for row in rows if not row.ok]
        visible = [k for k, row in enumerate(rows) if abs(row.analytic) > 1e-12]
        assert np.allclose(drawn["slope"][visible], [abs(rows[k].analytic) for k in visible])


def test_at_the_saddle_nothing_moves_and_next_to_it_everything_does():
    assert loss(second.prod()) == loss(first.prod()) and abs(halfway - math.log(2)) < 1e-15
    assert still == [still[0]] * 400 and abs(still[0] - math.log(2)) < 1e-12
    assert (chosen.prod(dim=1) >= rejected.prod(dim=1)).all() and len(chosen) == 200
    equal = train_two_layers(np.ones((16, 2)), np.zeros(16), chosen, rejected)[-1]
    away = [train_two_layers(np.random.default_rng(seed).normal(size=(16, 2)), np.zeros(16), chosen, rejected)[-1]
            for seed in range(3)]
    assert max(away) < 0.15 and 0.6 < equal < 0.69


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("03_gradient_check.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import ends

    assert ends() == {"halvings": (0, 54, 1)}


def test_of_the_four_slopes_of_exercise_3_1_one_is_wrong_away_from_zero():
    for margin in (-3.0, 0.0, 0.5, 2.0):
        right_there = -1 / (1 + math.exp(margin))
        assert np.allclose([slope_a(margin), slope_b(margin), slope_d(margin)], right_there, rtol=1e-12)
        assert math.isclose(slope_c(margin), right_there * math.exp(-margin))


def cell_again(part, **instead):
    """What a cell of this page prints, and its names, where some of them mean something else."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import again, code_of

    return again(code_of("03_gradient_check.ipynb"), part, globals(), **instead)


def claims(part, **instead):
    """Whether each claim of a cell holds there, in order."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import verdicts

    return [*verdicts(next(each for each in code_of("03_gradient_check.ipynb") if part in each),
                      globals() | instead).values()]


def test_what_holds_would_be_seen_to_fail():
    """For a claim of all that is tested on some, or of another step than it names."""
    for name, losses in (("loss_a", loss_a), ("loss_b", loss_b)):
        for at in (1, 59):
            risen = [*losses[:at], losses[at - 1], *losses[at + 1:]]
            assert claims("both fall at each step", **{name: risen}) == [False]
    assert claims("both fall at each step") == [True] and claims("no error is above three") == [True] * 3
    at_fault = np.arange(53)
    assert claims("no error is above three", worst=np.where(at_fault == 40, 9e5 * worst.min(), worst)) == [
        True, True, False]
    assert claims("no error is above three", worst=np.where(at_fault == 3, 3.1 * (truncation + rounding), worst)) == [
        True, False, True]
    assert claims("no error is above three", predicted=11 * best) == claims(
        "no error is above three", predicted=best / 11) == [False, True, True]
    for margin in (4, 0.01):  # a loss that is not the same to both sides of zero, at one step alone
        assert claims("at margin 0, all below", loss=lambda z, far=margin: np.log1p(np.exp(-z)) + 1e-12 * (
            abs(z - far) < 1e-9)) == [False]
    assert claims("at margin 0, all below") == [True]
    for failing in TESTS:
        rest = {name: (lambda loss_fn: False) if name == failing else test for name, test in TESTS.items()}
        assert claims("the right loss passes all four", TESTS=rest) == [False]


def test_the_worst_of_the_margins_is_taken():
    """For their mean, which falls and rises like the worst."""
    for k in (1, 6, 20, 40):
        h = 2.0**-k
        slope_of = (np.log1p(np.exp(-near_one - h)) - np.log1p(np.exp(-near_one + h))) / (2 * h)
        errors = abs(slope_of + 1 / (1 + np.exp(near_one)))
        assert np.isclose(worst[k], errors.max(), rtol=1e-3) and (errors < worst[k] * (1 + 1e-3)).all()
    assert np.allclose(near_one[[0, 50, 100]], [1 - 50 / 1024, 1, 1 + 50 / 1024]) and steps[-1] == 2.0**-52


def test_each_test_of_a_loss_is_as_strict_as_it_says():
    """For a tolerance that would take a percent, and a direction that is tried for one score alone."""
    right = bradley_terry_loss
    assert [test(right) for test in (value_is_known, falls_with_the_chosen, batch_is_mean_of_pairs)] == [True] * 3
    for off in (1e-9, -1e-9):
        assert not value_is_known(lambda c, r, by=off: right(c, r) + by)
        assert not batch_is_mean_of_pairs(lambda c, r, by=off: right(c, r) + by * len(c))
    for at in range(5):
        turned = torch.ones(5, dtype=torch.float64)
        turned[at] = -1
        assert not falls_with_the_chosen(lambda c, r, by=turned: F.softplus(by * (r - c)).mean())
    assert not gradient_is_right(lambda c, r: HandWritten.apply(c, r, -1.01, 1))


def test_the_flipped_loss_passes_to_nine_decimals():
    """For a tolerance that would take more: what the page hands to gradcheck."""
    given = []
    checker = SimpleNamespace(gradcheck=lambda fn, inputs, **named: given.append((fn, len(inputs[0]), named)) or True)
    cell_again("gradcheck's verdict on the flipped", torch=SimpleNamespace(**vars(torch) | {"autograd": checker}))
    [(_, pairs_there, named)] = given
    assert pairs_there == 6 and named == {"eps": 1e-5, "atol": 1e-9, "rtol": 0, "raise_exception": False}


def test_the_planted_percent_is_one():
    """For a bug of another size: the same tensors fail of half a percent, or of ten."""
    wrong = [row for row in planted if not row.ok]
    assert np.allclose([row.analytic / row.numeric for row in wrong], 1.01, atol=1e-4)
    seen = []
    cell_again("alone = [row.name", check_all=lambda: seen.append(torch.autograd.grad(pair_loss(), shift)[0]) or [])
    [clean] = torch.autograd.grad(pair_loss(), shift)
    assert torch.allclose(seen[0], 1.01 * clean, rtol=1e-9, atol=0)
    orders = np.log10([row.error / (1e-10 + 1e-6 * abs(row.numeric)) for row in wrong])
    assert 3 < np.median(orders) < 4


def test_a_step_of_two_layers_by_hand():
    """For another rate, or a layer that stays: at the saddle both layers get nothing."""
    W0, w0 = np.array([[0.5, -0.15], [0.3, 0.8]]), np.array([0.7, -0.4])
    one, other = torch.tensor([[1.0, 2.0]], dtype=torch.float64), torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    first_loss, second_loss = train_two_layers(W0.copy(), w0.copy(), one, other, steps=2)

    def loss_at(flat):
        below = np.maximum(flat[:4].reshape(2, 2) @ one[0].numpy(), 0) - np.maximum(
            flat[:4].reshape(2, 2) @ other[0].numpy(), 0)
        return math.log1p(math.exp(-below @ flat[4:]))

    flat = np.r_[W0.ravel(), w0]
    slope = np.array([(loss_at(flat + 1e-6 * u) - loss_at(flat - 1e-6 * u)) / 2e-6 for u in np.eye(6)])
    assert np.isclose(first_loss, loss_at(flat)) and np.isclose(second_loss, loss_at(flat - slope), rtol=1e-6)
    assert train_two_layers.__defaults__ == (400,) and len(error) == 30_000


def test_the_pairs_loss_is_that_of_its_chosen_answer():
    """For the two answers exchanged, whose gradient is as right."""
    rows = model.collate(encode(model.tokenizer, [PreferencePair(pair.prompt, pair.rejected, pair.chosen)],
                                model.encoding))
    with torch.no_grad():
        of_rejected, of_chosen = model(**{name: each.to(device) for name, each in rows.items()}).tolist()
    assert math.isclose(pair_loss().item(), math.log1p(math.exp(of_rejected - of_chosen)), rel_tol=1e-9)


def test_zero_is_less_than_any_slope_of_the_model():
    """For a bound that would take small slopes for none, with rows that lie to both sides."""
    slopes_there = {"a": 2e-14, "b": -2e-14, "c": 5e-15, "d": 0.0}
    made = [SimpleNamespace(name=name, analytic=value, ok=name != "d") for name, value in slopes_there.items()]
    told, _ = cell_again("zero = [row.name", check_all=lambda: made)
    assert told.startswith("3 of 70 tensors pass") and told.splitlines()[1:] == ["c", "d"]


def test_the_sliders_start_where_their_descriptions_say():
    """Against another start, whose picture a refresh would store above the old words."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import starts

    assert starts() == {"halvings": 1}


def test_the_text_tells_where_and_by_how_much_a_percent_stands_out():
    sys.path.insert(0, "../tests/helpers")
    from cells_changed import words_of

    orders = np.log10([row.error / (1e-10 + 1e-6 * abs(row.numeric)) for row in planted if not row.ok])
    assert 3 < np.median(orders) < 4 and max(orders) < 4.01
    assert "stands out by three to four orders of magnitude" in words_of("03_gradient_check.ipynb", "03-planted-read")
    assert names[0].startswith("backbone.embeddings") and names[-1].startswith("head")
    assert "rows go from the words to the head" in words_of("03_gradient_check.ipynb", "03-ex4-solution")


def test_each_training_is_drawn_under_its_own_letter():
    """Against panels that are exchanged, beside an answer that names one of them."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, shown

    made = SimpleNamespace(permutation=lambda both: [[0.5, 0.4], [0.6, 0.7]])
    figure = shown(code_of("03_gradient_check.ipynb"), "figures.two_trainings", globals(), rng=made, train=np.array)
    found = {axes.get_title("left"): list(axes.lines[1].get_ydata()) for axes in figure.axes}
    assert found == {"training A": [0.5, 0.4], "training B": [0.6, 0.7]}


def test_the_step_is_drawn_from_where_it_began():
    given = []
    cell_again("figures.head_step(", show=lambda *_, **__: None,
               figures=SimpleNamespace(head_step=lambda *each: given.extend(each)))
    assert [*map(id, given)] == [*map(id, (features, w, after))]
