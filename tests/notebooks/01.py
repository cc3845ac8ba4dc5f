"""Guards of notebook 01, run in its kernel after its last cell."""

import itertools
import re

from matplotlib.colors import to_hex

from rmlib.practice.style import CHOSEN


def probability(gap):
    return 1 / (1 + math.exp(-gap))


def test_the_slider_counts_and_draws_the_votes_of_its_gap():
    """Against a sign, a fixed gap or exchanged colours, at positions where the slider does not start."""
    for gap in (-5.0, -1.3, 0.0, 0.7, 5.0):
        figure, line = a_thousand_votes(gap)
        wanted = sum(number < probability(gap) for number in draws)
        shown, votes = re.fullmatch(r"probability (\S+); (\d+) of these 1,000 votes go to the first .*", line).groups()
        assert abs(float(shown) - probability(gap)) < 6e-4 and int(votes) == wanted
        left, right = figure.axes
        dot, squares = left.lines[-1], right.collections[0]
        assert dot.get_xdata() == gap and abs(dot.get_ydata()[0] - probability(gap)) < 1e-12
        blue = [to_hex(colour) == CHOSEN.lower() for colour in squares.to_rgba(squares.get_array().ravel())]
        assert sum(blue) == wanted


def test_the_likelihood_by_a_loop_over_votes():
    """Against a sum over half of the pairs, or of the other side."""
    pairs_of = list(itertools.permutations(range(5), 2))
    for rewards in (gold, fitted, somewhere):
        by_hand = sum(wins[i, j] * math.log(probability(rewards[i] - rewards[j])) for i, j in pairs_of)
        assert abs(by_hand - log_likelihood(wins, rewards)) < 1e-8
    for i in range(5):
        won = sum(60 * probability(fitted[i] - fitted[j]) for j in range(5) if j != i)
        assert abs(won - wins[i].sum()) < 1e-4


def test_strong_connection_by_splits():
    """Against a check of comparisons for one of wins."""
    for table in (wins, few, subtle, islands, bridged):
        size = len(table)
        splits = [set(group) for k in range(1, size) for group in itertools.combinations(range(size), k)]
        ford = all(any(table[i, j] for i in group for j in set(range(size)) - group) for group in splits)
        assert strongly_connected(table) == ford


def test_the_errors_by_a_fixed_rival():
    """Against a variance for its root, and against another information."""
    rest = np.linalg.inv(information(wins, gold)[1:, 1:])  # with A's score held at zero
    full = np.zeros((5, 5))
    full[1:, 1:] = rest
    centring = np.eye(5) - 1 / 5
    assert np.allclose(np.sqrt(np.diag(centring @ full @ centring)), predicted_errors)


def test_lead_and_log_likelihood_of_the_runaway():
    """Against a lead over another response than the next best."""
    for n, lead, height in zip(checkpoints, leads, [-8.9807, -8.4741, -8.4295, -8.4251], strict=True):
        best = sorted(path[n])
        assert path[n][3] == best[-1] and abs(best[-1] - best[-2] - lead) < 1e-12
        assert abs(log_likelihood(few, path[n]) - height) < 1e-3


def test_circles_and_agreement_by_loops():
    """Against a step of the circle that is walked backwards, and an agreement that counts one outcome."""
    def odds(table, i, j):
        return math.log(table[i, j] / table[j, i])
    for table in (*crowds, mixture, everyone):
        triples = itertools.permutations(range(len(table)), 3)
        worst = max(abs(odds(table, i, j) + odds(table, j, k) + odds(table, k, i)) for i, j, k in triples)
        assert abs(worst - worst_circle(table)) < 1e-9
    for value, tables in ((same_crowd, crowds), (any_two, [mixture]), (believed, [pooled_chances])):
        twice = [table[i, j] ** 2 + table[j, i] ** 2 for table in tables for i in range(5) for j in range(i)]
        assert abs(np.mean(twice) - value) < 1e-12


def test_the_mixture_s_slope_by_mean_and_variance():
    """Against the formula of the text."""
    p = np.array([[probability(d + bias), probability(d - bias)] for d in (-3.0, 0.0, 1.0)])
    inside = (p * (1 - p)).mean(axis=1)
    assert np.allclose(inside / (inside + p.var(axis=1)), np.interp((-3.0, 0.0, 1.0), gaps, slopes), atol=2e-3)


def test_the_crowds_picture_names_what_it_draws():
    """Against exchanged names of the crowds or of the responses in a pair."""
    left, right = more_figures.two_crowds(gaps, mixed, bias, rows).axes
    drawn = {line.get_label(): line.get_ydata() for line in left.lines}
    assert (drawn["one crowd"] > drawn["mixture"]).all() and (drawn["the other"] < drawn["mixture"]).all()
    marks = {line.get_label(): line.get_xdata() for line in right.lines}
    labels = [text.get_text() for text in right.get_yticklabels()]
    drawn = (labels, marks["likes long"], marks["likes short"], marks["pooled fit"])
    for label, one, two, fit in zip(*drawn, strict=True):
        i, j = names.index(label[0]), names.index(label[-1])
        assert (one, two, fit) == (crowds[0][i, j], crowds[1][i, j], pooled_chances[i, j])
        assert (one > two) == (words[i] > words[j]) or words[i] == words[j]
    assert sum(min(row[1:3]) < 0.5 < max(row[1:3]) for row in rows) == 5  # as the description says


def test_exact_power_by_whole_numbers():
    """Against a bound that is one vote off, and against one side of the test."""
    def tail(n, bound, p):
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1) if abs(2 * k - n) >= 2 * bound)
    for size in (194, *sizes[::9]):
        bound = next(b / 2 for b in range(size % 2, 2 * size, 2) if tail(size, b / 2, 0.5) <= 0.05)
        assert abs(tail(size, bound, 0.6) - powers[size - sizes[0]]) < 1e-9
