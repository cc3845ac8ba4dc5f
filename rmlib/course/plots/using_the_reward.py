"""Figures of notebook 08: what choosing by a reward gains and costs, and what optimising it does."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled

Curve = tuple[Sequence[float], Sequence[float]]
LOOKS = ((MODEL, "-", "o"), (REJECTED, "--", "s"), (CHOSEN, "-", "^"), (LIT_EDGE, "-.", "v"), (NEUTRAL, ":", "D"),
         (THEORY, "--", "P"))


@styled
def curves(panels: Mapping[str, Mapping[str, Sequence[Curve]]], across: str, height: float = 4.2,
           shared: bool = False) -> Figure:
    """Panels side by side, by title: of each name in one its curves (x, y), one a seed, in the name's colour.

    across: the label of the axes below. shared: names mean the same in all panels, and stand in the first alone.
    """
    figure, axes = canvas(columns=len(panels), height=height)
    for number, (panel, (title, named)) in enumerate(zip(axes, panels.items(), strict=True)):
        for (name, seeds), (colour, line, marker) in zip(named.items(), LOOKS, strict=False):
            for seed, (x, y) in enumerate(seeds):
                panel.plot(x, y, line, marker=marker, markersize=5, linewidth=2.4 if len(seeds) == 1 else 1.8,
                           color=colour, label=name if not seed else "_")
        panel.set(title=title, xlabel=across)
        panel.grid(axis="y", color=FAINT, linewidth=0.8)
        if len(named) > 1 and (number == 0 or not shared):
            panel.legend(loc="best")
    return figure


@styled
def best_of_n(sizes: Sequence[int], judges: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Gold reward of the best of n, a curve for each seed of each judge; n on a logarithmic scale."""
    figure, (axes,) = canvas(height=4.8)
    for (name, seeds), (colour, line, marker) in zip(judges.items(), LOOKS, strict=False):
        for seed, gold in enumerate(seeds):
            axes.plot(sizes, gold, line, marker=marker, markersize=6, color=colour, label=name if not seed else "_")
    axes.set(title="gold reward of the pick", xlabel="responses to choose from, n", xscale="log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def tilted(rewards: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> Figure:
    """Candidates of one prompt by reward and gold reward, (M,) each: dots as large as the tilt's weights."""
    figure, (left, right) = canvas(columns=2, height=4.2)
    left.scatter(rewards, gold, s=8, color=FAINT, linewidths=0)
    left.scatter(rewards, gold, s=600 * weights, color=MODEL, alpha=0.5, linewidths=0)
    left.axhline(weights @ gold, color=MODEL, linewidth=1.8)
    left.set(title="gold reward", xlabel="reward", xlim=(rewards.min() - 0.3, rewards.max() + 0.3))
    edges = np.linspace(rewards.min(), rewards.max(), 25)
    right.hist(rewards, edges, weights=np.full(len(rewards), 1 / len(rewards)), color=FAINT, label="before")
    right.hist(rewards, edges, weights=weights, histtype="step", linewidth=2.8, color=MODEL, label="tilted")
    right.set(title="probability", xlabel="reward")
    right.legend(loc="upper left")
    return figure


@styled
def gradients(clouds: Mapping[str, np.ndarray], exact: np.ndarray) -> Figure:
    """Estimates of a gradient, (N, 3) by name, their first two entries; a cross at the exact one, one at their mean."""
    figure, axes = canvas(columns=len(clouds), height=4.2)
    widest = max(np.abs(cloud[:, :2]).max() for cloud in clouds.values()) * 1.05
    jitter = np.random.default_rng(0).normal(0, 0.01 * widest, (max(map(len, clouds.values())), 2))
    for panel, (name, cloud) in zip(axes, clouds.items(), strict=True):
        panel.plot(*(cloud[:, :2] + jitter[: len(cloud)]).T, ".", color=NEUTRAL, markersize=4, alpha=0.4)
        panel.plot(*exact[:2], "+", color=THEORY, markersize=22, markeredgewidth=3, label="exact")
        panel.plot(*cloud.mean(0)[:2], "x", color=REJECTED, markersize=12, markeredgewidth=3, label="mean")
        panel.set(title=name, xlabel="first entry", xlim=(-widest, widest), ylim=(-widest, widest))
    axes[0].legend(loc="upper right")
    return figure


@styled
def at_equal_kl(methods: Mapping[str, Curve], most: float) -> Figure:
    """Gold reward against KL by method: a line where KL only grows, else dots, of several runs."""
    figure, (axes,) = canvas(height=4.6)
    for (name, (kl, gold)), (colour, line, marker) in zip(methods.items(), LOOKS, strict=False):
        grows = list(kl) == sorted(kl)
        axes.plot(kl, gold, linestyle=line if grows else "none", marker="" if grows else marker, color=colour,
                  markersize=7, label=name)
    axes.set(title="gold reward", xlabel="KL from the start, nats", xlim=(-0.1, most))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.legend(loc="lower right")
    return figure


@styled
def remedies(rows: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """By remedy, one (gold at the end, best gold on the way) for each seed: a dot and a tick."""
    figure, (axes,) = canvas(height=1.6 + 0.7 * len(rows))
    heights = np.arange(len(rows))[::-1]
    for height, seeds in zip(heights, rows.values(), strict=True):
        for spot, (end, best) in zip(height + np.linspace(0.22, -0.22, len(seeds)), seeds, strict=True):
            axes.plot([end, best], [spot, spot], color=FAINT, linewidth=3)
            axes.plot(best, spot, "|", color=NEUTRAL, markersize=14, markeredgewidth=2.4)
            axes.plot(end, spot, "o", color=MODEL, markersize=8)
    axes.set(title="gold reward: best on the way (tick), at the end (dot)", xlabel="gold reward", yticks=heights,
             yticklabels=list(rows), ylim=(-0.6, len(rows) - 0.4))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    return figure


@styled
def estimates(values: Mapping[str, np.ndarray]) -> Figure:
    """Histograms of estimates of a KL, (N,) each, one above the other, on one axis; a line at each mean."""
    figure, (axes,) = canvas(height=4.0)
    edges = np.linspace(min(each.min() for each in values.values()),
                        max(np.quantile(each, 0.99) for each in values.values()), 50)
    for (name, each), (colour, *_) in zip(values.items(), LOOKS, strict=False):
        axes.hist(each, edges, histtype="step", linewidth=2.4, color=colour, label=name)
        axes.axvline(each.mean(), color=colour, linewidth=1.4, linestyle=":")
    axes.set(title="responses", xlabel="estimate of KL, nats")
    axes.legend(loc="upper right")
    return figure
