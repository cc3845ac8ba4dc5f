"""Figures of notebook 08: what choosing by a reward gains and costs, and what optimising it does."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmlib.practice.style import CHOSEN, DPI, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, WIDTH, canvas, styled

Curve = tuple[Sequence[float], ...]  # x, y, and a standard error of y, if there is one
LOOKS = ((MODEL, "-", "o"), (REJECTED, "--", "s"), (CHOSEN, "-", "^"), (LIT_EDGE, "-.", "v"), (NEUTRAL, ":", "D"),
         (THEORY, "--", "P"))
BAND = 2  # standard errors to either side


@styled
def curves(panels: Mapping[str, Mapping[str, Sequence[Curve]]], across: str, height: float = 4.2, rows: int = 1,
           shared: bool = False, knee: float | None = None) -> Figure:
    """Panels by title, in rows: of each name in one its curves (x, y, error of y), one a seed, in the name's colour.

    across: the label of the axes below. shared: names mean the same in all panels, and stand above them once.
    knee: up to it the axes across are stretched: half of each is for what lies before.
    """
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(rows, len(panels) // rows, squeeze=False).flatten()
    most = max(max(x) for named in panels.values() for seeds in named.values() for x, *_ in seeds)
    for number, (panel, (title, named)) in enumerate(zip(axes, panels.items(), strict=True)):
        for (name, seeds), (colour, line, marker) in zip(named.items(), LOOKS, strict=False):
            for seed, (x, y, *error) in enumerate(seeds):
                panel.plot(x, y, line, marker=marker, markersize=5, linewidth=2.4 if len(seeds) == 1 else 1.8,
                           color=colour, label=name if not seed else "_")
                for each in error:
                    panel.errorbar(x, y, BAND * np.array(each), fmt="none", ecolor=colour, elinewidth=1.4, alpha=0.45)
        panel.set_title(title)
        panel.grid(axis="y", color=FAINT, linewidth=0.8)
        if number >= len(panels) - len(panels) // rows:
            panel.set_xlabel(across)
        if knee:
            stretch(panel, knee, most)
        if len(named) > 1 and not shared:
            panel.legend(loc="best")
    if shared:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(LOOKS))
    return figure


def stretch(axes: Axes, knee: float, most: float) -> None:
    """Give half of an axis to [0, knee] and half to [knee, most]; a line marks where the scale changes."""
    points = [0.0, knee, max(most, knee + 1) * 1.02]
    axes.set_xscale("function", functions=(lambda x: np.interp(x, points, [0, 1, 2]),
                                           lambda x: np.interp(x, [0, 1, 2], points)))
    ticks = [*range(round(knee) + 1), *np.linspace(knee, most, 4)[1:].round().astype(int)]
    axes.set_xlim(0, points[-1])
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.axvline(knee, color=NEUTRAL, linewidth=1.0, linestyle=":")


@styled
def best_of_n(sizes: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[Curve]]]) -> Figure:
    """By title of a panel and by judge: what the best of n is worth, (y, error of y) for each seed; n on log scale."""
    figure, axes = canvas(columns=len(panels), height=4.8)
    for panel, (title, judges) in zip(axes, panels.items(), strict=True):
        for (name, seeds), (colour, line, marker) in zip(judges.items(), LOOKS, strict=False):
            for seed, (y, *error) in enumerate(seeds):
                panel.plot(sizes, y, line, marker=marker, markersize=6, color=colour, label=name if not seed else "_")
                for each in error:
                    panel.fill_between(sizes, *(np.add(y, side * np.array(each)) for side in (-BAND, BAND)),
                                       color=colour, alpha=0.13, linewidth=0)
        panel.set(title=title, xlabel="responses to choose from, n", xscale="log")
        panel.set_xticks(sizes[::2], [str(size) for size in sizes[::2]])
        panel.minorticks_off()
        panel.grid(axis="y", color=FAINT, linewidth=0.8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(LOOKS))
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
        panel.plot(*exact[:2], "+", color=THEORY, markersize=20, markeredgewidth=2, label="exact")
        panel.plot(*cloud.mean(0)[:2], "x", color=REJECTED, markersize=9, markeredgewidth=2.4, label="mean")
        panel.set(title=name, xlabel="gradient, word 1", xlim=(-widest, widest), ylim=(-widest, widest))
    axes[0].set_ylabel("gradient, word 2")
    axes[0].legend(loc="upper right")
    return figure


@styled
def at_equal_kl(panels: Mapping[str, Mapping[str, Curve]], most: float) -> Figure:
    """By title of a panel and by method: worth against KL; a line where KL only grows, else dots, of several runs."""
    figure, axes = canvas(columns=len(panels), height=4.6)
    for panel, (title, methods) in zip(axes, panels.items(), strict=True):
        for (name, (kl, worth)), (colour, line, marker) in zip(methods.items(), LOOKS, strict=False):
            grows = list(kl) == sorted(kl)
            panel.plot(kl, worth, linestyle=line if grows else "none", marker="" if grows else marker, color=colour,
                       markersize=7, label=name)
        panel.set(title=title, xlabel="KL, nats", xlim=(-0.02 * most, 1.02 * most))
        panel.grid(axis="y", color=FAINT, linewidth=0.8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(LOOKS))
    return figure


@styled
def remedies(panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], start: Mapping[str, float]) -> Figure:
    """By title of a panel and by remedy, (value, its standard error) of each seed: dots with bars; a line at the start.

    start: of each title what the policy was worth before.
    """
    names = list(next(iter(panels.values())))
    figure, axes = canvas(columns=len(panels), height=1.4 + 0.42 * len(names))
    heights = np.arange(len(names))[::-1]
    for number, (panel, (title, rows)) in enumerate(zip(axes, panels.items(), strict=True)):
        for height, seeds in zip(heights, rows.values(), strict=True):
            spots = height + np.linspace(0.22, -0.22, len(seeds))
            values, errors = np.array(seeds).T
            panel.errorbar(values, spots, xerr=BAND * errors, fmt="o", color=MODEL, markersize=6, elinewidth=1.6)
        panel.axvline(start[title], color=NEUTRAL, linestyle=":", linewidth=1.6)
        panel.set(title=title, yticks=heights, ylim=(-0.6, len(names) - 0.4))
        panel.set_yticklabels([] if number else names)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="x", color=FAINT, linewidth=0.8)
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
