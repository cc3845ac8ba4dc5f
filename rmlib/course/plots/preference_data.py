"""Figures of notebook 04 about choices: the gold reward, the limits of a noisy world, baselines and leaks."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled

Interval = tuple[float, float, float]  # share, lower end, upper end


@styled
def gold_reward(chosen: Mapping[str, float], rejected: Mapping[str, float]) -> Figure:
    """What each feature adds to the gold reward of two responses, and the two sums at the bottom.

    chosen, rejected: contribution by feature, with the same features in the same order.
    """
    names = [*chosen, "gold reward"]
    rows = np.arange(len(names))
    figure, [axes] = canvas(height=4.6)
    for offset, colour, parts, label in ((-0.19, CHOSEN, chosen, "chosen"), (0.19, REJECTED, rejected, "rejected")):
        values = np.array([*parts.values(), sum(parts.values())])
        axes.barh(rows + offset, values, height=0.36, color=colour, label=label)
        axes.plot(np.zeros((values == 0).sum()), rows[values == 0] + offset, "|", color=colour, markersize=9)
    axes.axvline(0, color=THEORY, linewidth=1.2)
    axes.axhline(len(chosen) - 0.5, color=FAINT, linewidth=1.5)
    axes.set(yticks=rows, xlabel="what it adds")
    axes.set_yticklabels(names)
    axes.invert_yaxis()
    axes.legend(loc="best")
    return figure


@styled
def limits(better: np.ndarray, temperatures: np.ndarray, accuracy: np.ndarray, here: float) -> Figure:
    """How often each pair's better response wins, the surest pair first, and the best accuracy by temperature.

    better: max(p, 1 - p) of each pair, (N,), at the temperature `here`, where their mean is the best accuracy: the
    dashed line, at one height on both sides.
    """
    figure, (left, right) = canvas(columns=2)
    shares, mean = np.linspace(0, 100, len(better)), better.mean()
    left.fill_between(shares, 0.5, np.sort(better)[::-1], color=CHOSEN, alpha=0.25, linewidth=0)
    left.plot(shares, np.sort(better)[::-1], color=CHOSEN)
    left.axhline(mean, color=THEORY, linestyle="--", linewidth=2)
    left.text(100, mean, "mean", ha="right", va="bottom")
    left.set(title="how often the better one wins", xlabel="% of pairs, the surest first", xlim=(0, 100))
    right.plot(temperatures, accuracy, color=MODEL)
    right.axhline(mean, color=THEORY, linestyle="--", linewidth=2, zorder=0)
    right.plot([here], [mean], "o", color=LIT_EDGE, markersize=13)
    right.set(title="best accuracy", xlabel="temperature")
    for axes in (left, right):
        axes.set_ylim(0.5, 1.0)
    return figure


@styled
def realised(samples: np.ndarray, expected: float, error: float, ours: float) -> Figure:
    """Agreement with the gold reward in many samples of labels, the normal curve that theory says, and one sample."""
    figure, [axes] = canvas(height=4.2)
    grid = np.linspace(expected - 4 * error, expected + 4 * error, 200)
    axes.hist(samples, bins=25, density=True, color=FAINT)
    axes.plot(grid, np.exp(-((grid - expected) ** 2) / (2 * error**2)) / (error * np.sqrt(2 * np.pi)), color=THEORY)
    axes.axvline(expected, color=THEORY, linestyle="--", label="expected")
    axes.axvline(ours, color=LIT_EDGE, label="realised in our sample")
    axes.set(xlabel="share of labels that agree with the gold reward", yticks=[])
    axes.legend(loc="upper left")
    return figure


@styled
def agreement_band(points: Mapping[str, tuple[float, float]], marked: Mapping[str, float]) -> Figure:
    """Between which bounds the best accuracy lies, given how often two equal annotators agree.

    points: worlds where both are known, (agreement, best accuracy). marked: agreements found with people.
    """
    agreement = 0.5 + 0.5 * np.linspace(0, 1, 200) ** 2  # dense where the curve is steep
    figure, [axes] = canvas(height=5.0)
    highest = (1 + np.sqrt(2 * agreement - 1)) / 2
    axes.fill_between(agreement, agreement, highest, color=FAINT, alpha=0.6, linewidth=0)
    axes.plot(agreement, highest, color=THEORY, label="all pairs equally hard")
    axes.plot(agreement, agreement, color=THEORY, linestyle="--", label="some certain, all others coins")
    for marker, (name, (x, y)) in zip("osD^", points.items()):
        axes.plot(x, y, marker, color=MODEL, markersize=10)
        above = (x - 0.015, (1 + np.sqrt(2 * x - 1)) / 2 + 0.02)  # the free side of the upper curve
        leader = {"arrowstyle": "-", "color": MODEL}
        axes.annotate(name, (x, y), xytext=above, color=MODEL, ha="right", arrowprops=leader)
    for name, share in marked.items():
        axes.plot([share, share], [share, (1 + np.sqrt(2 * share - 1)) / 2], color=REJECTED, linewidth=4)
        axes.annotate(name, (share, share), xytext=(8, -12), textcoords="offset points", color=REJECTED)
    axes.set(xlabel="agreement of two annotators", ylabel="best accuracy of a model", xlim=(0.5, 1), ylim=(0.5, 1))
    axes.legend(loc="lower right")
    return figure


@styled
def intervals(rows: Mapping[str, Interval], limit: float | None = None) -> Figure:
    """A share with its interval for each rule, one below the other, beside a coin's 0.5 and the limit."""
    heights = np.arange(len(rows))
    share, low, high = np.array(list(rows.values())).T
    figure, [axes] = canvas(height=1.6 + 0.55 * len(rows))
    axes.axvline(0.5, color=NEUTRAL, linestyle=":")
    axes.annotate("a coin", (0.5, 0), xycoords=("data", "axes fraction"), xytext=(6, 6), textcoords="offset points",
                  color=NEUTRAL)
    if limit is not None:
        axes.axvline(limit, color=THEORY, linestyle="--")
        axes.annotate("gold reward", (limit, 0), xycoords=("data", "axes fraction"), xytext=(-6, 6),
                      textcoords="offset points", ha="right")
    axes.errorbar(share, heights, xerr=[share - low, high - share], fmt="o", color=MODEL, capsize=6, markersize=10)
    axes.set(yticks=heights, xlabel="share of pairs it has right", ylim=(-0.6, len(rows) - 0.1))
    axes.set_yticklabels(rows)
    axes.invert_yaxis()
    return figure


@styled
def leaks(short: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """By rule, and side by side for each split: accuracy held out less the gold reward's, in points.

    short: split -> rule -> one such difference a draw. A dot is a draw, a bar the mean of its dots; the line is gold.
    """
    figure, [axes] = canvas(height=4.4)
    rules = list(next(iter(short.values())))
    looks = zip((REJECTED, CHOSEN), "os", (-0.11, 0.11), strict=False)
    for (colour, marker, shift), (name, found) in zip(looks, short.items(), strict=False):
        for place, rule in enumerate(rules):
            dots = np.asarray(found[rule])
            axes.plot(place + shift + 0.05 * np.linspace(-1, 1, len(dots)), dots, marker, color=colour, alpha=0.8,
                      label="" if place else name)
            axes.hlines(dots.mean(), place + shift - 0.09, place + shift + 0.09, color=colour)
    axes.axhline(0, color=THEORY, linestyle="--")
    axes.annotate("gold reward, same rows", (0, 0), xycoords=("axes fraction", "data"), xytext=(6, 6),
                  textcoords="offset points", color=THEORY)
    axes.set(xticks=range(len(rules)), xlim=(-0.6, len(rules) - 0.4), ylim=(-36, 10), ylabel="points from gold")
    axes.set_xticklabels(rules)
    axes.legend(loc="upper right", ncols=2)
    return figure


@styled
def stuck(losses: Mapping[str, Sequence[float]]) -> Figure:
    """Training losses by step, for several ways to cut the same pairs, beside log 2."""
    figure, [axes] = canvas(height=4.2)
    for colour, dashes, (name, path) in zip((REJECTED, CHOSEN, MODEL), ("-", "-", "--"), losses.items(), strict=False):
        axes.plot(np.arange(len(path)), path, color=colour, linestyle=dashes, label=name)
    axes.annotate("log 2", (1, np.log(2)), xycoords=("axes fraction", "data"), xytext=(-4, 14), ha="right",
                  textcoords="offset points")
    axes.set(xlabel="step", ylabel="loss", ylim=(0, 0.9))
    axes.legend(loc="center right")
    return figure
