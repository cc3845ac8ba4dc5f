"""More figures of notebook 07 and its side page: what their experiments show about intervals, calibration and bias."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from rmlib.practice.figures import reliability_on
from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled


@styled
def price_of_a_gap(gaps: np.ndarray, paired: np.ndarray, apart: np.ndarray, disagree: float,
                   here: tuple[float, float]) -> Figure:
    """Pairs to tell two models apart, by the gap between them, (G,): on the same pairs, on others; a dot at `here`.

    Below them the labels that the same pairs take: those of the share on which the two models disagree. The axes stay
    where they are when that share moves.
    """
    figure, (axes,) = canvas(height=4.6)
    axes.plot(100 * gaps, apart, color=REJECTED, linestyle="--", label="each on pairs of its own, all labelled")
    axes.plot(100 * gaps, paired, color=MODEL, label="both on the same pairs: to score")
    axes.plot(100 * gaps, disagree * paired, color=CHOSEN, linestyle=":", label="of these, to label")
    axes.plot(100 * here[0], here[1], "o", color=THEORY, markersize=12)
    axes.set(title="pairs needed", xlabel="gap between the accuracies, points", yscale="log", ylim=(3, 3e5),
             xlim=(0, 10))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.legend(loc="upper right")
    return figure


@styled
def perfect_models(errors: np.ndarray, marked: Mapping[str, tuple[float, str]]) -> Figure:
    """Histogram of the calibration errors of simulated perfect models; a line for each name in `marked`."""
    figure, (axes,) = canvas(height=3.6)
    axes.hist(errors, 30, color=FAINT, edgecolor=NEUTRAL, label="perfect models")
    for name, (error, colour) in marked.items():
        axes.axvline(error, color=colour, label=name)
    axes.set(title="simulations", xlabel="calibration error (ECE)", xlim=(0, None))
    axes.legend(loc="upper center", bbox_to_anchor=(0.57, 1))  # between the perfect models and one far off
    return figure


@styled
def temperature(margins: np.ndarray, chosen: float, temperatures: np.ndarray, losses: np.ndarray) -> Figure:
    """Left, the reliability of margins / `chosen`; right, the loss by temperature, (K,), with a dot where we are."""
    figure, (left, right) = canvas(columns=2, height=4.4)
    reliability_on(left, margins / chosen)
    right.plot(temperatures, losses, color=THEORY)
    right.plot(chosen, np.logaddexp(0, -margins / chosen).mean(), "o", color=MODEL, markersize=13)
    right.axhline(np.log(2), color=NEUTRAL, linestyle=":", linewidth=1.8)
    right.text(temperatures[-1], np.log(2), "a coin", color=NEUTRAL, ha="right", va="bottom")
    right.set(title="negative log-likelihood", xlabel="temperature T", xscale="log", ylim=(None, 0.9))
    ticks = [tick for tick in (0.25, 0.5, 1, 2, 4) if temperatures[0] <= tick <= temperatures[-1]]
    right.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    right.minorticks_off()
    return figure


@styled
def offsets(gold: np.ndarray, learned: np.ndarray, prompts: np.ndarray) -> Figure:
    """Learned against gold rewards, (N,), a colour for each prompt, before and after its mean is taken away."""
    figure, axes = canvas(columns=2, height=4.6)
    means = [np.bincount(prompts, values) / np.bincount(prompts) for values in (gold, learned)]
    centred = gold - means[0][prompts], learned - means[1][prompts]
    jitter = np.random.default_rng(0).normal(0, 0.03, len(gold))  # many gold rewards are equal
    order = means[1].argsort().argsort()
    titles = "second model's reward", "each prompt's mean removed"
    for panel, title, (across, up) in zip(axes, titles, ((gold, learned), centred), strict=True):
        panel.scatter(across + jitter, up, s=26, c=order[prompts], cmap="cividis", linewidths=0)
        panel.axhline(0, color=FAINT, linewidth=1.2, zorder=0)
        panel.axvline(0, color=FAINT, linewidth=1.2, zorder=0)
        panel.set(title=title, xlabel="gold reward")
    return figure


@styled
def taste_for_length(extra_words: np.ndarray, rests: Mapping[str, np.ndarray], slopes: Mapping[str, float],
                     wanted: float) -> Figure:
    """What of the margins the gold reward leaves, by extra words, in bins; fitted lines, and the slope put in.

    extra_words: (N,); rests: margins, (N,), of each model, scaled to the gold reward's unit and less the gold margin.
    slopes and `wanted` are for ten words.
    """
    figure, (axes,) = canvas(height=4.4)
    edges = np.array([-24, -16, -12, -9, -6, -3, 0, 3, 6, 9, 12, 16, 24]) + 0.5
    across = np.array([edges[0], edges[-1]])
    axes.plot(across, wanted * across / 10, color=THEORY, linestyle="--", linewidth=1.8, label="put into the labels")
    for (name, rest), colour, marker in zip(rests.items(), (MODEL, REJECTED), "os", strict=True):
        axes.plot(across, slopes[name] * across / 10, color=colour, linewidth=1.8)
        which = np.digitize(extra_words, edges)
        inside = [which == number for number in range(1, len(edges)) if (which == number).sum() > 9]
        axes.plot([extra_words[one].mean() for one in inside], [rest[one].mean() for one in inside], marker,
                  color=colour, label=name)
    axes.axhline(0, color=FAINT, linewidth=1.2, zorder=0)
    axes.set(title="margin beyond what is deserved", xlabel="words that the chosen response has more", xlim=across)
    axes.legend(loc="upper left")
    return figure


@styled
def slices_by_lot(rows: Sequence[tuple[float, float, float]], overall: float) -> Figure:
    """Intervals (accuracy, low, high) of slices, side by side; those that miss `overall` stand out."""
    figure, (axes,) = canvas(height=3.6)
    for number, (accuracy, low, high) in enumerate(rows, start=1):
        missed = not low <= overall <= high
        colour = REJECTED if missed else NEUTRAL
        axes.plot([number, number], [low, high], color=colour, linewidth=3.4 if missed else 1.8)
        axes.plot(number, accuracy, "s" if missed else "o", color=colour, markersize=9 if missed else 6)
    axes.axhline(overall, color=THEORY, linestyle="--", linewidth=1.6)
    axes.set(title="accuracy", xlabel="slice", xlim=(0, len(rows) + 1))
    return figure


@styled
def leads(rows: Mapping[str, Sequence[tuple[float, float, float]]]) -> Figure:
    """A model's lead over each rule, one (lead, low, high) for each seed, as shares: a lead that is sure stands out."""
    figure, (axes,) = canvas(height=1.6 + 0.7 * len(rows))
    heights = np.arange(len(rows))[::-1]
    for height, seeds in zip(heights, rows.values(), strict=True):
        for spot, (lead, low, high) in zip(height + np.linspace(0.22, -0.22, len(seeds)), seeds, strict=True):
            colour, marker = (MODEL, "o") if low > 0 else (NEUTRAL, "s")
            axes.plot([100 * low, 100 * high], [spot, spot], color=colour, linewidth=3)
            axes.plot(100 * lead, spot, marker, color=colour, markersize=8)
    axes.axvline(0, color=THEORY, linestyle="--", linewidth=1.6)
    axes.set(title="lead of the model", xlabel="points", yticks=heights, yticklabels=list(rows),
             ylim=(-0.6, len(rows) - 0.4))
    axes.tick_params(axis="y", length=0)
    return figure


@styled
def same_worth(groups: Mapping[str, np.ndarray], worth: float) -> Figure:
    """Learned rewards of responses that are all worth the same, a row of dots for each group; a line at `worth`."""
    figure, (axes,) = canvas(height=1.6 + 0.42 * len(groups))
    heights = np.arange(len(groups))[::-1]
    for height, rewards in zip(heights, groups.values(), strict=True):
        spread = np.random.default_rng(0).uniform(-0.22, 0.22, len(rewards))
        axes.plot(rewards, height + spread, ".", color=MODEL, markersize=6, markeredgewidth=0)
        axes.plot(rewards.mean(), height, "|", color=REJECTED, markersize=24, markeredgewidth=3,
                  label="mean" if height == 0 else None)
    axes.axvline(worth, color=THEORY, linestyle="--", linewidth=1.6, label="the gold reward of each")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
    axes.set(title="learned reward of right answers", yticks=heights, yticklabels=list(groups),
             ylim=(-0.7, len(groups) - 0.3))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    return figure


@styled
def margins_of_kinds(kinds: Mapping[str, np.ndarray]) -> Figure:
    """Histograms of the margins, (N,), of each kind of pairs, on one another."""
    figure, (axes,) = canvas(height=3.8)
    widest = max(np.abs(margins).max() for margins in kinds.values())
    for (name, margins), colour in zip(kinds.items(), (LIT_EDGE, MODEL), strict=True):
        axes.hist(margins, np.linspace(-widest, widest, 41), color=colour, alpha=0.55, label=name)
    axes.axvline(0, color=THEORY, linewidth=1.4)
    axes.set(title="pairs", xlabel="margin Δ")
    axes.legend(loc="upper left")
    return figure


@styled
def weights(names: Sequence[str], gold: np.ndarray, learned: np.ndarray) -> Figure:
    """What each feature of a response is worth, (F,): to the gold reward, and to a model."""
    figure, (axes,) = canvas(height=4.4)
    spots = np.arange(len(names))
    axes.barh(spots + 0.2, gold, 0.38, color=FAINT, edgecolor=NEUTRAL, label="gold reward")
    axes.barh(spots - 0.2, learned, 0.38, color=MODEL, label="our model")
    axes.axvline(0, color=THEORY, linewidth=1.4)
    axes.set(title="worth of one more", yticks=spots, yticklabels=names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower right")
    return figure
