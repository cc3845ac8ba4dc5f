"""The preflight report as a picture."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rmlib.practice.preflight import Preflight
from rmlib.practice.style import FAINT, LIT_EDGE, NEUTRAL, THEORY, canvas, styled

SMALLEST_SCALE = 0.05  # a share of 5% fills the width where none is larger, so that a small one does not look like all


@styled
def preflight_figure(report: Preflight) -> Figure:
    """Left, how long the pairs are, and which of them the window cuts; right, the problems as shares."""
    figure, (left, right) = canvas(columns=2, height=5.4)
    _lengths_on(left, report)
    _problems_on(right, problems(report))
    return figure


def problems(report: Preflight) -> dict[str, float]:
    """What the figure draws: the share of the rows that are bad, of the pairs, or of the held-out pairs, by name."""
    counts = {
        "rows that are bad": (sum(report.bad.values()), report.rows),
        "longer than the window": (report.overlong, report.pairs),
        "identical if the end were cut off": (report.identical_cut_right, report.pairs),
        "repeat of an earlier pair": (report.duplicates, report.pairs),
        "same texts, opposite choice": (report.contradictions, report.pairs),
        "an earlier turn of another's prompt": (report.earlier_turns, report.pairs),
    }
    if report.held_out:
        counts["held out, conversation trained on"] = (report.leaked_conversations, report.held_out)
    return {name: count / of for name, (count, of) in counts.items()}


def _lengths_on(axes: Axes, report: Preflight) -> None:
    edges, heights, window = report.edges, report.whole.histogram, report.max_length
    fits = [low < window for low in edges[:-1]]
    axes.bar(edges[:-1], heights, width=edges[1] - edges[0], align="edge", edgecolor="white", linewidth=0.8,
             color=[FAINT if whole else LIT_EDGE for whole in fits])
    reach, top = edges[-1], 1.3 * max(heights)
    if report.whole.longest > reach:  # the last bar holds all of them: where it towers above the others it is cut off
        top = min(top, 2 * max(heights[:-1], default=0) or top)
        axes.annotate(f"{heights[-1]:,} longer →", (edges[-2], min(heights[-1], 0.75 * top)),
                      xytext=(-4, 6), textcoords="offset points", ha="right")
    if window <= reach:
        axes.axvline(window, color=THEORY, linestyle="--", linewidth=1.8)
        on_the_right = window < reach / 2
        axes.annotate(f"window: {window:,}", (window, top), xytext=(8 if on_the_right else -8, -8),
                      textcoords="offset points", ha="left" if on_the_right else "right", va="top")
    else:
        axes.annotate(f"window: {window:,} →", (reach, top), xytext=(0, -8), textcoords="offset points", ha="right",
                      va="top")
    axes.set(title="pairs by length", xlabel="tokens: prompt and longer response", xlim=(0, reach), ylim=(0, top))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _problems_on(axes: Axes, shares: dict[str, float]) -> None:
    """A bar for each problem, its name above it and its share at its end."""
    scale = max(*shares.values(), SMALLEST_SCALE)
    for row, (name, share) in enumerate(shares.items()):
        axes.barh(row, share, height=0.3, color=LIT_EDGE)
        axes.text(0, row - 0.21, name, va="bottom")
        colour, gap = (THEORY, 6) if share else (NEUTRAL, 0)
        axes.annotate(_percent(share), (share, row), xytext=(gap, 0), textcoords="offset points", va="center",
                      color=colour)
    axes.set(title="what to look at", xlim=(0, 1.3 * scale), ylim=(len(shares) - 0.6, -0.95))
    axes.axis("off")


def _percent(share: float) -> str:
    return "none" if share == 0 else "under 0.1%" if share < 0.0005 else f"{share:.1%}"
