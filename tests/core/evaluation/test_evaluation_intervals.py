"""Intervals and the paired test: against enumeration, brute force, and the coverage they promise."""

import math
from itertools import product

import numpy as np
import pytest

from rmlib.evaluation import clustered_bootstrap, mcnemar, pair_accuracies, wilson_interval
from rmlib.practice.conservative_interval import _student, conservative_interval

DATASETS = 600


def test_pair_accuracies_counts_a_tie_as_half():
    assert pair_accuracies(np.float32([-1e-30, 0.0, -0.0, 1e-30, 5])).tolist() == [0, 0.5, 0.5, 1, 1]


def test_wilson_covers_with_ties_too():
    """Exactly, over all outcomes of 30 pairs that are right, tied or wrong: half points make the interval cautious."""
    n, p_right, p_tied = 30, 0.5, 0.2
    covered = 0.0
    for right, tied in product(range(n + 1), repeat=2):
        if right + tied <= n:
            ways = math.comb(n, right) * math.comb(n - right, tied)
            low, high = wilson_interval(right + tied / 2, n)
            covered += ways * p_right**right * p_tied**tied * 0.3 ** (n - right - tied) * (low <= 0.6 <= high)
    assert 0.95 < covered < 0.98


# the clustered bootstrap


def bootstrap_by_hand(right, clusters, repeats, seed):
    """As the definition says: draw clusters, put all their values together, take the mean."""
    rng, names = np.random.default_rng(seed), sorted(set(clusters))
    values = {name: [value for value, cluster in zip(right, clusters) if cluster == name] for name in names}
    drawn = rng.integers(len(names), size=(repeats, len(names)))
    means = [np.mean([value for i in row for value in values[names[i]]]) for row in drawn]
    return np.quantile(means, [0.025, 0.975])


def clustered_data(rng, clusters=150):
    """(right, clusters): 1 to 6 pairs a conversation, whose chance of being right is its own; 0.7 on average."""
    sizes = rng.integers(1, 7, size=clusters)
    index = np.repeat(np.arange(clusters), sizes)
    chance = rng.beta(1.4, 0.6, size=clusters)
    return (rng.random(len(index)) < chance[index]).astype(float), index


def test_the_bootstrap_is_that_of_the_definition():
    right, clusters = clustered_data(np.random.default_rng(0), clusters=60)
    right[::9] = 0.5
    names = [f"conversation {i}" for i in clusters]
    by_hand = np.array([bootstrap_by_hand(right, names, 1000, seed) for seed in range(6)])
    ours = np.array([clustered_bootstrap(right, names, 1000, seed) for seed in range(40)])
    error = by_hand.std(axis=0, ddof=1) * math.sqrt(1 / 6 + 1 / 40)
    assert np.all(np.abs(by_hand.mean(axis=0) - ours.mean(axis=0)) < 5 * error)
    assert ours.std(axis=0).max() < 0.006 < np.diff(ours.mean(axis=0)) / 20  # so 5 errors are a small part of it


def coverage(interval, truth, draw):
    rng = np.random.default_rng(1)
    hits = [low <= truth <= high for low, high in (interval(*draw(rng)) for _ in range(DATASETS))]
    return np.mean(hits)


def test_the_bootstrap_covers_and_wilson_does_not_where_pairs_come_in_clusters():
    """The bound: 95%, less a point for a finite number of clusters, within 3 standard errors of the simulation."""
    error = 3 * math.sqrt(0.95 * 0.05 / DATASETS)
    found = coverage(lambda right, index: clustered_bootstrap(right, index, repeats=300), 0.7, clustered_data)
    assert 0.94 - error < found < 0.95 + error
    wilson = coverage(lambda right, _: wilson_interval(right.sum(), len(right)), 0.7, clustered_data)
    assert wilson < 0.88


def test_the_bootstrap_of_a_difference_covers():
    """Two models on the same pairs, 0.7 and 0.62 right, which agree more often than chance makes them."""

    def draw(rng):
        first, index = clustered_data(rng)
        keep = rng.random(len(first))
        return first - np.where(keep < 0.8, first, rng.random(len(first)) < 0.3), index  # 0.8 * 0.7 + 0.2 * 0.3

    error = 3 * math.sqrt(0.95 * 0.05 / DATASETS)
    found = coverage(lambda gain, index: clustered_bootstrap(gain, index, repeats=300), 0.08, draw)
    assert 0.94 - error < found < 0.95 + error


def test_clusters_of_one_pair_give_about_wilson_s_interval():
    right = np.repeat([1.0, 0.0], [700, 300])
    found = clustered_bootstrap(right, range(1000), repeats=20_000)
    assert found == pytest.approx(wilson_interval(700, 1000), abs=0.002)


def test_the_bootstrap_knows_no_order_and_obeys_its_seed():
    right, clusters = clustered_data(np.random.default_rng(3))
    shuffled = np.random.default_rng(4).permutation(len(right))
    once = clustered_bootstrap(right, clusters)
    assert clustered_bootstrap(right[shuffled], [f"c{i}" for i in clusters[shuffled]]) == once
    assert clustered_bootstrap(right, clusters, seed=1) != once


def test_one_cluster_says_nothing_of_others():
    assert clustered_bootstrap([1, 0, 1], ["a"] * 3) == (-math.inf, math.inf)
    assert clustered_bootstrap([1, 1, 1], ["a", "b", "c"]) == (1, 1)


def test_as_many_clusters_are_drawn_as_there_are():
    """Of four draws from one 1 and three 0, at least three are 1 in 5.1% of all cases, and all four in 0.4%: the 97.5%
    quantile of the mean is 3/4. Of three draws it would be 2/3, and of five 3/5."""
    assert clustered_bootstrap([1, 0, 0, 0], "abcd")[1] == 0.75


# the interval to go by


def few_clusters(rng, clusters, even):
    """Twenty pairs a conversation, or one to forty, whose chance of being right is anything from 0 to 1."""
    sizes = np.full(clusters, 20) if even else rng.integers(1, 41, size=clusters)
    index = np.repeat(np.arange(clusters), sizes)
    return (rng.random(len(index)) < rng.random(clusters)[index]).astype(float), index.tolist()


@pytest.mark.parametrize("clusters", [3, 10, 20])
@pytest.mark.parametrize("even", [True, False])
def test_the_interval_covers_where_conversations_are_few(clusters, even):
    """At least 95%, less 3 standard errors of 200 data sets: for accuracies and for differences between models."""
    rng, hits = np.random.default_rng(2), {"accuracy": 0, "difference": 0, "bootstrap": 0}
    for _ in range(200):
        right, index = few_clusters(rng, clusters, even)
        rule = (rng.random(len(right)) < 0.5).astype(float)
        found = {"accuracy": conservative_interval(right, index), "bootstrap": clustered_bootstrap(right, index),
                 "difference": conservative_interval(right - rule, index, least=-1)}
        for name, (low, high) in found.items():
            hits[name] += low <= (0 if name == "difference" else 0.5) <= high
    assert min(hits["accuracy"], hits["difference"]) > (0.95 - 3 * math.sqrt(0.95 * 0.05 / 200)) * 200
    assert clusters > 3 or hits["bootstrap"] < 0.85 * 200


def test_no_interval_is_without_width():
    assert conservative_interval([1, 1, 1], "abc") == wilson_interval(3, 3)
    alike = np.tile([1.0] * 17 + [0.0] * 3, 2)  # two conversations, by chance equally good
    low, high = conservative_interval(alike, [0] * 20 + [1] * 20)
    assert low < 0.5 < 0.9 < high
    low, high = conservative_interval(np.zeros(50), range(50), least=-1)  # two models that are always right together
    assert low == -high and 0.05 < high < 0.1
    assert conservative_interval([1, 0, 1], "aaa") == (0, 1)
    assert conservative_interval([1, 0, 1], "aaa", least=-1) == (-1, 1)


def test_of_many_clusters_the_interval_is_the_bootstrap_s_or_a_little_wider():
    right, index = clustered_data(np.random.default_rng(5), clusters=1000)
    drawn, found = clustered_bootstrap(right, index), conservative_interval(right, index)
    assert found[0] <= drawn[0] < drawn[1] <= found[1] and found[1] - found[0] < 1.1 * (drawn[1] - drawn[0])


@pytest.mark.parametrize("freedom, t", [(1, 12.706205), (2, 4.302653), (9, 2.262157), (120, 1.979930)])
def test_the_t_quantiles_are_those_of_the_tables(freedom, t):
    assert _student(freedom) == pytest.approx(t, rel=1e-5)


@pytest.mark.parametrize("right, clusters, words", [
    ([1, 0], ["a"], "2 values, 1 labels"),
    ([1, math.nan], ["a", "b"], "1 of 2 values are not finite"),
    ([], [], "at least one"),
    ([[1, 0]], ["a"], "shape"),
])  # fmt: skip
def test_what_can_t_be_drawn_is_refused(right, clusters, words):
    with pytest.raises(ValueError, match=words):
        clustered_bootstrap(right, clusters)
    with pytest.raises(ValueError, match=words):
        conservative_interval(right, clusters)


# the paired test


def two_models(only_first, only_second, both=0, neither=0):
    first = np.repeat([1.0, -1.0, 1.0, -1.0], [only_first, only_second, both, neither])
    second = np.repeat([-1.0, 1.0, 2.0, -2.0], [only_first, only_second, both, neither])
    return first, second


@pytest.mark.parametrize("k, n", [(0, 1), (0, 6), (2, 9), (5, 10), (3, 10), (4, 11), (9, 13)])
def test_the_paired_test_counts_all_ways_to_turn_the_pairs(k, n):
    """Between equal models each pair's two outcomes could as well be exchanged: 2^n ways, counted one by one."""
    found = mcnemar(*two_models(k, n - k, both=4, neither=3))
    as_uneven = [abs(2 * sum(ways) - n) >= abs(2 * k - n) for ways in product((0, 1), repeat=n)]
    assert (found.only_first, found.only_second, found.ties) == (k, n - k, 0)
    assert found.p_value == np.mean(as_uneven)


def test_the_p_value_of_equal_models_is_below_any_level_no_more_often_than_it_says():
    for n in (5, 20, 61):
        p = np.array([mcnemar(*two_models(k, n - k)).p_value for k in range(n + 1)])
        weight = np.array([math.comb(n, k) / 2**n for k in range(n + 1)])
        for level in set(p.tolist()):
            assert weight[p <= level].sum() == pytest.approx(level, rel=1e-12)  # exact, and so valid at every level


def test_thousands_of_pairs_neither_overflow_nor_lose_digits():
    logs = [math.lgamma(5001) - math.lgamma(i + 1) - math.lgamma(5001 - i) - 5000 * math.log(2) for i in range(2401)]
    found = mcnemar(*two_models(2400, 2600, both=9000)).p_value
    assert found == pytest.approx(2 * sum(map(math.exp, logs)), rel=1e-9)
    z = (2600 - 2400 - 1) / math.sqrt(5000)  # the normal approximation, with its correction
    assert found == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)
    assert 0 < mcnemar(*two_models(2000, 3000)).p_value < 1e-44
    assert mcnemar(*two_models(0, 3000)).p_value == 0  # 2^-2999 is below the least float64


def test_ties_are_half_right_and_told():
    found = mcnemar(np.array([0.0, 0.0, 0.0, 1.0, -1.0]), np.array([-1.0, 1.0, 0.0, 0.0, 0.0]))
    assert (found.only_first, found.only_second, found.ties) == (2, 2, 5) and found.p_value == 1
    equal = mcnemar(np.array([1.0, -2.0]), np.array([3.0, -4.0]))
    assert (equal.only_first, equal.only_second, equal.ties, equal.p_value) == (0, 0, 0, 1)


def test_the_two_models_trade_places():
    first, second = np.random.default_rng(0).normal(size=(2, 300))
    one, other = mcnemar(first + 0.3, second), mcnemar(second, first + 0.3)
    assert (one.only_first, one.only_second) == (other.only_second, other.only_first) and one.only_first > 90
    assert one.p_value == other.p_value < 0.1


def test_models_on_different_pairs_can_t_be_paired():
    with pytest.raises(ValueError, match="as many as their partners: 2 and 3"):
        mcnemar(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="1 of 2 margins of the second model are not finite"):
        mcnemar(np.ones(2), np.array([1, math.nan]))


def test_the_jackknife_by_hand():
    """Of three clusters of 2, 2 and 1: wider here than the bootstrap, and Wilson's is left out by `least`."""
    values, clusters = np.array([1, 1, 1, 0, 0.0]), np.array([0, 0, 1, 1, 2])
    surplus = [values[clusters != each].mean() - 0.6 for each in range(3)]
    half = 4.3026527 * math.sqrt(2 / 3 * np.square(surplus).sum())  # the 0.975 quantile of t with 2 degrees of freedom
    assert conservative_interval(values, clusters, least=-5)[0] == pytest.approx(0.6 - half, abs=1e-4)
