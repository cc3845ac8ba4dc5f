"""Guards of notebook 01, run in its kernel after its last cell."""

import itertools
import re
import sys
from types import SimpleNamespace

from matplotlib.colors import to_hex

from rmlib.course.exercises.bradley_terry import PRINTED
from rmlib.practice.style import CHOSEN


def probability(gap):
    return 1 / (1 + math.exp(-gap))


def test_the_slider_counts_and_draws_the_votes_of_its_gap():
    """Against a sign, a fixed gap or exchanged colours, at positions where the slider does not start."""
    for gap in (-5.0, -1.3, 0.0, 0.7, 5.0):
        figure, line = a_thousand_votes(gap)
        wanted = sum(number < probability(gap) for number in draws)
        shown, votes = re.fullmatch(r"probability (\S+); votes (\d+) of 1,000", line).groups()
        assert abs(float(shown) - probability(gap)) < 6e-4 and int(votes) == wanted
        left, right = figure.axes
        dot, squares = left.lines[-1], right.collections[0]
        assert dot.get_xdata() == gap and abs(dot.get_ydata()[0] - probability(gap)) < 1e-12
        blue = [to_hex(colour) == CHOSEN.lower() for colour in squares.to_rgba(squares.get_array().ravel())]
        assert sum(blue) == wanted


def test_the_likelihood_and_its_slope_by_a_loop_over_votes():
    """Against a sum over half of the pairs, or of the other side; against a slope that is not the likelihood's."""
    somewhere, h = np.array([0.3, -0.1, 0.5, 0.0, -1.0]), 1e-5
    for rewards in (gold, fitted, somewhere):
        by_hand = sum(wins[i, j] * math.log(probability(rewards[i] - rewards[j]))
                      for i, j in itertools.permutations(range(5), 2))
        assert abs(by_hand - log_likelihood(wins, rewards)) < 1e-8
        rises = [log_likelihood(wins, rewards + step) - log_likelihood(wins, rewards - step) for step in h * np.eye(5)]
        assert np.abs(np.array(rises) / (2 * h) - slope(wins, rewards)).max() < 1e-6
    for i in range(5):
        won = sum(60 * probability(fitted[i] - fitted[j]) for j in range(5) if j != i)
        assert abs(won - wins[i].sum()) < 1e-4
    assert log_likelihood(wins, fitted) > log_likelihood(wins, gold)


def test_each_number_of_repetitions_is_the_one_that_the_page_tells():
    """Fewer steps, people, tournaments or votes, where what is printed hardly moves."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, printed

    code, asked = code_of("01_bradley_terry.ipynb"), []

    def climb(table, steps, penalty=0.0):
        asked.append((steps, penalty))
        return gradient_ascent(table, 400, penalty) if table is wins else np.zeros((steps + 1, 3))

    for part in ("fitted = gradient_ascent", "held = gradient_ascent"):
        printed(code, part, globals(), gradient_ascent=climb)
    assert asked == [(400, 0.0), (100_000, 0.1), (10_000, 0.05)]
    assert again.shape == (1000, 5) and draws.shape == (1000,) and moods.shape == (2, 13, 100_000)
    assert votes_by_person.__defaults__ == (60,) and len(studies) == 300


def test_the_colleague_s_rule_forgets_the_votes_that_were_lost():
    """Against another bug than the one that exercise 1.1 looks for: of two responses many give the same scores."""
    table, strengths = np.array([[0, 3, 1], [1, 0, 2], [4, 1, 0]]), [1.0, 1.0, 1.0]
    for i, (j, k) in enumerate(((1, 2), (0, 2), (0, 1))):
        won = table[i, j] / (strengths[i] + strengths[j]) + table[i, k] / (strengths[i] + strengths[k])
        strengths[i] = (table[i, j] + table[i, k]) / won
    logs = np.log(strengths)
    assert np.allclose(broken_fit(table, 1), logs - logs.mean())


def test_a_small_bend_is_none_of_the_shift_s():
    """Against a pseudo-inverse that takes what votes do tell, if little, for nothing."""
    apart = 1e-6 * (np.eye(3) - 1 / 3) + np.outer([1, -1, 0], [1, -1, 0])
    assert np.allclose(covariance(apart) @ apart, np.eye(3) - 1 / 3, atol=1e-6)


def test_the_rows_are_the_votes():
    """Against a row whose winner and loser are exchanged, and a vote that is counted once for many."""
    counted = np.zeros((5, 5))
    for row in rows:
        counted[row.argmax(), row.argmin()] += 1
    assert (counted == wins).all() and (rows.sum(axis=1) == 0).all()


def test_a_climb_with_a_penalty_ends_where_its_slope_is_zero():
    """Against a penalty of another weight, and a path that is still under way."""
    for path_of, weight in ((held, 0.1), (looser, 0.05)):
        assert np.abs(slope(chain, path_of[-1]) - 2 * weight * path_of[-1]).max() < 1e-9
    assert (np.diff([log_likelihood(chain, each) for each in path[::100]]) > 0).all()
    for path_of, weight in ((path, 0.0), (held, 0.1), (looser, 0.05)):  # from zero, by half of B's 31 votes
        assert np.allclose(path_of[1] * (31 / 2 + 2 * weight), [15, -14.5, -0.5])


def test_the_sigmoid_can_t_overflow_and_votes_are_whole():
    """Against the plain formula, and a number of votes that is rounded down."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, printed

    with np.errstate(all="raise"):
        assert sigmoid([-1000.0, 0.0, 1000.0]).tolist() == [0, 0.5, 1]
    asked = []
    counts = SimpleNamespace(sqrt=math.sqrt, ceil=lambda number: asked.append(number) or len(asked))
    told = printed(code_of("01_bradley_terry.ipynb"), "z_level, z_power", globals(), math=counts)
    assert re.findall(r"(\d+) votes", told) == ["1", "2", "3"]
    for number, share in zip(asked, (0.6, 0.55, 0.53), strict=True):  # its power, by the normal curve
        bound = 0.5 + NormalDist().inv_cdf(0.975) * 0.5 / math.sqrt(number)
        assert abs(NormalDist(share, math.sqrt(share * (1 - share) / number)).cdf(bound) - 0.2) < 1e-9


def test_the_gaps_grow_by_the_logarithm_of_the_steps_and_their_ratio_goes_to_one():
    """Against what the text says of the run-away."""
    by_steps = np.array([-np.diff(path[steps]) for steps in (1000, 10_000, 100_000)])
    assert np.abs(np.diff(by_steps, axis=0) - math.log(10)).max() < 0.1
    assert (np.diff(by_steps[:, 0] / by_steps[:, 1]) < 0).all()
    assert abs(by_steps[-1, 0] - by_steps[-1, 1] - math.log(30)) < 0.01


def test_the_picture_of_the_run_away_names_its_lines():
    """Against the other pair's gap, or the other path's, under a name."""
    drawn = {line.get_label(): line.get_ydata()[-1] for line in figures.runaway(path, held).axes[0].lines}
    for told, scores in (("votes alone", path[-1]), ("with a prior", held[-1])):
        assert [drawn[f"{pair}, {told}"] for pair in ("A over B", "B over C")] == [*(scores[:2] - scores[1:])]


def test_strong_connection_by_splits():
    """Against a check of comparisons for one of wins."""
    for table in (wins, chain, subtle, np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3))):
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
    assert np.allclose(np.sqrt(np.diag(centring @ full @ centring)), errors)


def test_moods_leave_each_pair_s_probability_as_it_was():
    """Against votes of a person that are drawn one by one, and against another noise."""
    many = votes_by_person(np.random.default_rng(3), people=40_000)
    for i, j in itertools.combinations(range(5), 2):
        p = probability(gold[i] - gold[j])
        assert abs(many[:, i, j].mean() - p) < 4 * math.sqrt(p * (1 - p) / 40_000)
        assert (many[:, i, j] + many[:, j, i] == 1).all()
    assert (many.sum(axis=2).argsort(axis=1).argsort(axis=1) == many.sum(axis=2)).all()  # each person ranks


def test_errors_by_person_with_a_person_for_each_vote_are_those_of_the_information():
    """Against a filling of other slopes: scattered over many persons, votes give the plain errors."""
    rng = np.random.default_rng(4)
    lone = []
    for i, j in itertools.combinations(range(5), 2):
        for won in rng.random(600) < probability(gold[i] - gold[j]):
            vote = np.zeros((5, 5))
            vote[(i, j) if won else (j, i)] = 1
            lone.append(vote)
    plain = np.sqrt(np.diag(covariance(information(np.sum(lone, axis=0), gold))))
    assert np.abs(errors_by_person(np.array(lone)) / plain - 1).max() < 0.1


def test_circles_by_loops():
    """Against a step of the circle that is walked backwards, and crowds that are no Bradley-Terry models."""
    def odds(table, i, j):
        return math.log(table[i, j] / table[j, i])
    for table in (*crowds, mixture, everyone):
        triples = itertools.permutations(range(len(table)), 3)
        worst = max(abs(odds(table, i, j) + odds(table, j, k) + odds(table, k, i)) for i, j, k in triples)
        assert abs(worst - worst_circle(table)) < 1e-9
    assert max(map(worst_circle, crowds)) < 1e-9 and worst_circle(mixture) > 2 and worst_circle(everyone) > 1
    assert np.ptp(everyone[[0, 1, 2], [1, 2, 0]]) < 1e-12
    assert np.allclose([odds(kind(2, 0, 1), i, j) for i, j in ((2, 0), (0, 1), (2, 1))], [2, 2, 4])


def test_the_information_is_that_of_the_rows():
    """Against weights of other gaps, and a table that counts each vote twice."""
    expected = rows.T @ np.diag(sigmoid(rows @ gold) * sigmoid(-rows @ gold)) @ rows
    assert np.abs(information(wins, gold) - expected).max() < 1e-9


def test_the_pooled_fit_is_the_nearest_model():
    """Against a fit that has not arrived, and shares of another row under a name."""
    assert np.abs(slope(np.where(np.eye(5), 0, mixture), pooled)).max() < 1e-9
    upper = np.triu_indices(5, 1)

    def divergence(scores):  # from the mixture's shares, the mean over the ten pairs
        q, p = mixture[upper], sigmoid(scores[:, None] - scores)[upper]
        return (q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))).mean()
    rng = np.random.default_rng(5)
    for scores in pooled + 0.1 * rng.normal(size=(50, 5)):
        assert divergence(scores) > divergence(pooled)
    assert 0.45 < np.ptp(pooled) / np.ptp(truth) < 0.65  # "about half"
    surer = [row[0] for row in compared if row[3] < min(row[1:3])]
    assert surer == ["C over A", "D over B"]


def test_the_crowds_picture_names_what_it_draws():
    """Against exchanged names of the crowds or of the responses in a pair."""
    right = more_figures.crowds(compared).axes[0]
    marks = {line.get_label(): line.get_xdata() for line in right.lines}
    labels = [text.get_text() for text in right.get_yticklabels()]
    drawn = (labels, marks["likes long"], marks["likes short"], marks["pooled fit"])
    for label, one, two, fit in zip(*drawn, strict=True):
        i, j = names.index(label[0]), names.index(label[-1])
        assert (one, two, fit) == (crowds[0][i, j], crowds[1][i, j], nearest[i, j])
        assert (one > two) == (words[i] > words[j]) or words[i] == words[j]
    assert sum(min(row[1:3]) < 0.5 < max(row[1:3]) for row in compared) == 5  # as the description says


def test_exercise_1_2_knows_the_tables_that_stand_above_it():
    """Against a printed table that counts as a reader's own."""
    assert {"chain": chain.tolist(), "subtle": subtle.tolist()} == PRINTED


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence, and another number of steps than the eight that it names."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims
    from deaf_claims import deaf

    code = code_of("01_bradley_terry.ipynb")
    assert [each for source in code for each in weak_claims(source)] == [] and fit.__defaults__ == (8,)
    assert deaf(code, globals(), aside=frozenset({"wins"})) == []  # its diagonal holds no votes


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import ends

    assert ends() == {"gap d": (-5, 5, 0.1)}


def test_the_check_that_is_too_kind_asks_for_comparisons_alone():
    """Against one that asks for wins, or that walks too few steps: a line of seven, each beaten by the one before."""
    line = np.eye(7, k=1)
    assert all(map(scores_are_finite, (wins, chain, subtle, line, line.T))) and not strongly_connected(line)
    assert strongly_connected(np.roll(np.eye(12), 1, axis=1)) and scores_are_finite(np.eye(12, k=1))  # eleven steps
    assert not scores_are_finite(both) and not scores_are_finite(np.kron(np.eye(2), line))


def test_the_bars_are_two_standard_errors_and_the_columns_bear_their_own_names():
    """Against bars of one, and columns that are exchanged: each is a table or a picture that looks as likely."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, printed, shown

    code = code_of("01_bradley_terry.ipynb")
    [bars] = shown(code, "figures.scores_against_truth", globals()).axes[0].containers
    ends = np.array(bars.lines[2][0].get_segments())[:, :, 1]  # (5, 2)
    assert np.allclose(ends, np.stack([fitted - 2 * errors, fitted + 2 * errors], axis=1))
    assert np.allclose(bars.lines[0].get_xydata(), np.stack([truth, fitted], axis=1))
    ends_of_fits = itertools.cycle([np.full(5, 0.25), np.full(5, -0.25)])
    said = printed(code, "studies = [votes_by_person", globals(), votes_by_person=lambda rng: np.zeros((1, 5, 5)),
                   errors_by_person=lambda votes: np.full(5, 0.5), fit=lambda votes: next(ends_of_fits),
                   holds=lambda *_: None)
    assert said.startswith(f"A: by vote {errors[0]:.2f}, by person 0.50, measured 0.25\n")
