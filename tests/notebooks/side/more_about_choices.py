"""Guards of the side page on choices, run in its kernel after its last cell."""

import sys

from rmlib.course.world import Annotator, World


def test_the_tournament_is_notebook_01_s():
    """Against a table that was typed wrongly, or that another world would give."""
    world = World()
    prompt = "What is the capital of France?"
    gold = np.array([world.reward(prompt, each) for each in world.responses(prompt, k=5, seed=4)])
    upper = np.random.default_rng(5).binomial(60, Annotator().probability(gold[:, None] - gold))
    assert (np.triu(wins, 1) == np.triu(upper, 1)).all() and (comparisons == 60 * (1 - np.eye(5))).all()


def test_zermelo_s_rule_never_goes_down_and_ends_on_the_summit():
    """Against a rule that overshoots, and against one that stops elsewhere."""
    def height(rewards):
        return -(wins * np.logaddexp(0, rewards - rewards[:, None])).sum()
    assert (np.diff([height(each) for each in by_mm]) > -1e-9).all()
    expected_wins = (comparisons * sigmoid(fitted[:, None] - fitted)).sum(axis=1)
    assert np.abs(expected_wins - wins.sum(axis=1)).max() < 1e-6
    assert 1.5 < needed[0] / needed[1] < 2.5


def test_softmax_is_what_the_race_gives():
    """Against a softmax of other rewards: the share of races that each one wins."""
    won = np.bincount(drawn[:, 0], minlength=3) / len(drawn)
    assert np.abs(won - softmax).max() < 4 * 0.5 / math.sqrt(len(drawn))
    assert abs(theory.sum() - 1) < 1e-12 and beats.prod(axis=1).sum() < 0.9


def test_the_gaussian_is_near_and_its_tail_is_not():
    """Against another scale, and a grid that misses the largest difference."""
    assert abs(scales[worst.argmin()] - 1.702) < 0.0015 and 0.009 < worst.min() < 0.010
    apart = (sigmoid(grid) - normal_cdf(grid / 1.702))[50:]  # from a gap of 1/2: at 0 there is nothing to see
    votes_to_see = 16 * (sigmoid(grid) * sigmoid(-grid))[50:] / apart**2  # four standard errors
    assert 2_000 < votes_to_see.min() < 5_000  # at a gap of 4 to 5; where the curves are furthest apart, 34,000
    assert 10 < upsets[0] / upsets[1] < 14


def test_the_spread_of_the_estimated_gap():
    """Against another number of votes in the formula than in the experiments."""
    theory = [math.sqrt((2 + 2 * math.cosh(gap)) / n) for gap in range(4)]
    assert np.abs(measured / theory - 1).max() < 0.05


def test_the_mixture_s_slope_by_mean_and_variance():
    """Against the formula of the text."""
    p = np.array([[sigmoid(d + bias), sigmoid(d - bias)] for d in (-3.0, 0.0, 1.0)])
    inside = (p * (1 - p)).mean(axis=1)
    assert np.allclose(inside / (inside + p.var(axis=1)), np.interp((-3.0, 0.0, 1.0), gaps, slopes), atol=2e-3)


def test_exact_power_by_whole_numbers():
    """Against a bound that is one vote off, and against one side of the test."""
    def tail(n, bound, p):
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1) if abs(2 * k - n) >= 2 * bound)
    for size in (194, *sizes[::9]):
        bound = next(b / 2 for b in range(size % 2, 2 * size, 2) if tail(size, b / 2, 0.5) <= 0.05)
        assert abs(tail(size, bound, 0.6) - powers[size - sizes[0]]) < 1e-9


def test_the_formula_s_curve_crosses_at_194():
    """Against another level, and a standard deviation of the other hypothesis."""
    assert formula[194 - sizes[0]] >= 0.80 > formula[193 - sizes[0]]
    assert (sizes[powers >= 0.80].min(), sizes[powers < 0.80].max() + 1) == (199, 210)


def test_ties_by_strengths():
    """Against a threshold on one side alone, and outcomes whose columns are exchanged."""
    for gap in (-2.0, 0.0, 1.5):
        first, second = math.exp(gap), 1.0
        for size in (1.0, 2.0, 3.5):
            kupper = first / (first + size * second), second / (second + size * first)
            assert np.allclose(rao_kupper(gap, size), [*kupper, 1 - sum(kupper)])
            parts = np.array([first, second, size * math.sqrt(first * second)])
            assert np.allclose(davidson(gap, size), parts / parts.sum())
    assert np.abs(decided[1] - d).max() < 1e-9 and 0.6 < decided[0][-1] - 5 < math.log(2)


def test_the_wobble_exceeds_a_standard_error():
    """Against the number that the text tells."""
    chances = sigmoid(fitted[:, None] - fitted)
    weights = comparisons * chances * chances.T
    inverse = np.linalg.pinv(np.diag(weights.sum(axis=1)) - weights, rcond=1e-10, hermitian=True)
    assert round(unit * math.sqrt(np.diag(inverse).max())) == 36 < wobble
    squares = np.square(np.array(history) - unit * fitted).reshape(4, 600, 5)  # a round is 600 votes
    assert np.isclose(wobble**2, squares[3].mean())


def test_as_many_zeros_as_parts():
    """Against eigenvalues of the wrong table: with and without the two votes of the bridge."""
    assert (np.abs(apart) < 1e-9).sum() == 2 and (np.abs(joined) < 1e-9).sum() == 1
    assert bridged.sum() - islands.sum() == 2 and 0.1 < np.sort(joined)[1] < 0.5


def test_the_next_vote_by_another_formula():
    """Against a variance of another gap: a vote saves w (gᵀCx)² / (1 + w xᵀCx) (Sherman and Morrison 1950)."""
    constant = np.full((5, 5), 1 / 5)
    inverse = np.linalg.inv(information(wins, fitted) + constant) - constant
    gap = np.array([0, -1, 0, 1, 0])
    for pair, share in saved.items():
        x, i, j = np.zeros(5), *map("ABCDE".index, pair)
        x[[i, j]] = 1, -1
        rate = 1 / (2 + 2 * math.cosh(fitted[i] - fitted[j]))
        expected = rate * (gap @ inverse @ x) ** 2 / (1 + rate * x @ inverse @ x) / (gap @ inverse @ gap)
        assert abs(share - expected) < 1e-9
    assert max(saved, key=saved.get) == "BE" and len(saved) == 10


def test_centring_three_ends_where_the_slope_is_zero():
    """Against a descent that has not arrived, and a penalty of another weight (1, the last one)."""
    margins, sums = ([a + sign * b for a, b in ((r[0], r[1]), (r[0], r[2]), (r[1], r[2]))] for sign in (-1, 1))
    push = [sigmoid(found) - sigmoid(true) for found, true in zip(margins, (2.0, 3.0, 1.0), strict=True)]
    assert abs(push[0] + push[1] + 2 * (sums[0] + sums[1])) < 1e-9
    assert abs(-push[0] + push[2] + 2 * (sums[0] + sums[2])) < 1e-9


def test_no_scores_are_nearer_than_the_fit():
    rng = np.random.default_rng(5)
    for scores in pooled + 0.1 * rng.normal(size=(50, 5)):
        assert divergence(q, shares_by(scores)) > legs[0]


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of
    from claim_bounds import verdicts, weak_claims
    from deaf_claims import deaf

    code = code_of("more_about_choices.ipynb")
    assert [each for source in code for each in weak_claims(source)] == [] == deaf(code, globals())
    [race] = [source for source in code if "none is four standard errors away" in source]
    [climbs] = [source for source in code if "both end on the same scores" in source]
    three_rewards = {"rewards": np.array([1.0, 0.2, -0.5])}
    for off in (0.02, -0.02):
        wrong = {"plackett_luce": lambda found, off=off: plackett_luce(found) + off}
        assert [*verdicts(race, globals() | three_rewards | wrong).values()] == [False]
        wrong = {"ascent": lambda steps, off=off: ascent(steps) + off * np.array([1, -1, 0, 0, 0])}
        assert [*verdicts(climbs, globals() | wrong).values()] == [False]
    told = {tuple(three_rewards["rewards"][order]): p for order, p in zip(orders, theory, strict=True)}
    for ranking, order in zip(told, orders, strict=True):  # Wilson's ends: so many of their own errors away
        share = (drawn == order).all(axis=1).mean()
        for away, near in ((3.9, True), (4.1, False)):
            middle, room = share + away**2 / 200_000, 1 + away**2 / 100_000
            reach = math.sqrt(middle**2 - room * share**2)
            for end in (middle - reach, middle + reach):
                others = {"plackett_luce": lambda found, told=told | {ranking: end / room}: told[tuple(found)]}
                assert [*verdicts(race, globals() | three_rewards | others).values()] == [near], (order, away)
    assert [*verdicts(race, globals() | three_rewards).values()] == [*verdicts(climbs, globals()).values()] == [True]


def test_the_dots_are_what_was_measured():
    """Theory and measurement lie so near each other that a picture hardly tells them apart."""
    from types import SimpleNamespace

    sys.path.insert(0, "../../tests/helpers")
    from cells_again import again, code_of

    given = []
    again(code_of("more_about_choices.ipynb"), "more_figures.information(", globals(), show=lambda *_, **__: None,
          more_figures=SimpleNamespace(information=lambda *each: given.extend(each)))
    assert given[-1] is measured and given[-2] is distances and given[-3] == n
    assert np.allclose(given[1], np.exp(-given[0]) / (1 + np.exp(-given[0])) ** 2)


def test_the_race_is_drawn_under_its_runners_names():
    from types import SimpleNamespace

    sys.path.insert(0, "../../tests/helpers")
    from cells_again import again, code_of

    given = []
    again(code_of("more_about_choices.ipynb"), "figures.convergence(", globals(), show=lambda *_, **__: None,
          figures=SimpleNamespace(convergence=lambda ascent, mm: given.extend((ascent, mm))))
    assert [(errors > 1e-6).sum() for errors in given] == needed and needed[0] > 1.5 * needed[1]
    assert np.allclose(given[1], np.abs(by_mm - fitted).max(axis=1))
