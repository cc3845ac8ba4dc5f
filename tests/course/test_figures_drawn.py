"""Every figure of the course is what it was when it was last looked at, artist by artist: see tests/course/drawn.

After a change that is wanted, look at the figures in the notebooks, and write the descriptions anew:
    PYTHONPATH=.:tests/helpers python tests/course/test_figures_drawn.py
"""

from importlib import import_module
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from described_figures import described

from rmlib.course import plots
from rmlib.course.plots import bradley_terry_limits as limits
from rmlib.course.plots import evaluation_lessons as lessons
from rmlib.course.plots import gradient_check as gradients
from rmlib.course.plots import pairwise_loss as loss
from rmlib.course.plots import preference_data as data
from rmlib.course.plots import preference_data_tokens as tokens
from rmlib.course.plots import training
from rmlib.course.plots import training_limits as more_training
from rmlib.course.plots import using_the_reward as using
from rmlib.course.plots.preflight import preflight_figure
from rmlib.pairs import PreferencePair
from rmlib.practice.preflight import preflight
from rmlib.practice.style import REJECTED

FOLDER = Path(__file__).parent / "drawn"
GAPS, MARGINS = np.linspace(0.005, 0.1, 40), np.sin(np.arange(60.0)) + 0.4
PAIRS = [PreferencePair("word " * (n % 40), "one two three", "one two three four") for n in range(50)]
LONG = [PreferencePair("word " * 99, "yes", "no")] * 90
LOSSES = {name: 0.7 - np.outer([0.1, 0.2], np.arange(30)) / 30 * part
          for part, name in enumerate(("right", "sign turned", "sides swapped", "no shuffle"))}


def report(pairs: list[PreferencePair], window: int, held_out: list[PreferencePair] | None = None):
    return preflight_figure(preflight(pairs, lambda texts: [text.split() for text in texts], window, held_out))


MORE = {
    "start_here": {
        "pipeline": plots.pipeline, "loss lit": lambda: plots.pipeline("loss"),
        "loss and scores": lambda: plots.loss_and_scores([(0.7, 0.1, 0.1), (0.5, 0.3, -0.1), (0.3, 0.6, -0.4)]),
        "one epoch": lambda: plots.loss_and_scores([(0.9, 0.1, 0.2)]),
        "broken": lambda: plots.broken(LOSSES, {name: [0.8, 0.78] for name in LOSSES}, 0.82),
        "window in the middle": lambda: report(PAIRS, 20, [PAIRS[1], PAIRS[39], PreferencePair("new", "a", "b")]),
        "window on the right": lambda: report(PAIRS, 40), "window beyond": lambda: report(PAIRS, 1000),
        "a long tail": lambda: report([*PAIRS, *LONG], 22), "nothing but the tail": lambda: report(LONG, 22),
        "one pair": lambda: report(PAIRS[:1], 3),
    },
    "evaluation_lessons": {
        "price": lambda: lessons.price_of_a_gap(GAPS, 100 / GAPS, 200 / GAPS, 0.2, (0.02, 5000.0)),
        "perfect": lambda: lessons.perfect_models(np.linspace(0.01, 0.02, 50), {"before": (0.03, REJECTED)}),
        "temperature": lambda: lessons.temperature(MARGINS, 2.0, np.linspace(0.5, 4, 15), np.linspace(1, 2, 15) ** 2),
        "offsets": lambda: lessons.offsets(MARGINS, MARGINS + np.arange(60) // 6, np.arange(60) // 6),
        "margins": lambda: lessons.margins_of_kinds({"one": MARGINS[:30], "two": MARGINS[30:] - 0.3}),
        "taste": lambda: lessons.taste_for_length(np.arange(-30, 30), {"our model": MARGINS, "biased": 2 * MARGINS},
                                                  {"our model": 0.1, "biased": 1.5}, 1.5),
        "lot": lambda: lessons.slices_by_lot([(0.7, 0.6, 0.8), (0.4, 0.3, 0.5), (0.9, 0.85, 0.95)], 0.7),
        "same worth": lambda: lessons.same_worth({"capitals": np.array([1.0, 2.0]), "books": np.array([0.5])}, 1.6),
        "weights": lambda: lessons.weights(["courtesy", "rudeness"], np.array([0.5, -0.8]), np.array([0.4, -0.2])),
        "leads": lambda: lessons.leads({"longer": [(0.18, 0.14, 0.22), (0.17, 0.13, 0.21)],
                                         "words": [(0.01, -0.01, 0.03), (-0.02, -0.05, -0.01)]}),
    },
}
STEPS = 10.0 ** -np.arange(13)
STUDY = [{"start": start, "pairs": pairs, "seed": seed, "accuracy": level + 0.01 * seed}
         for start, level in (("pretrained", 0.74), ("random", 0.55)) for pairs in (256, 1024) for seed in range(3)]
SWEEP = [{"learning_rate": rate, "batch_size": batch, "nll": 0.45 + 100 * rate / batch}
         for rate in (2.5e-4, 5e-4) for batch in (4, 8, 16, 32)]
MORE["branches"] = {  # what the figures of the other files do not come to
    "no limit": lambda: data.intervals({"longer": (0.45, 0.40, 0.48), "bag": (0.6, 0.57, 0.61)}),
    "four worlds": lambda: data.agreement_band({name: (0.6 + at / 20, 0.7 + at / 20) for at, name in enumerate("abcd")},
                                               {"63%": 0.63, "70%": 0.7}),
    "three cuts": lambda: data.stuck({name: MARGINS[:9] * at for at, name in enumerate("abc")}),
    "one batch": lambda: tokens.padding({"alone": [[3, 1]]}),
    "no numbers below": lambda: tokens.token_boxes([[("a", "prompt"), ("", "pad")]]),
    "four slopes": lambda: loss.slopes(MARGINS, {name: np.where(MARGINS < at, np.nan, -0.1 * at)
                                                 for at, name in enumerate("abcd")}),
    "four losses": lambda: loss.settling(np.arange(1, 31), {name: np.arange(30) + at for at, name in enumerate("abcd")},
                                         (None, 3.0, 4.0, None)),
    "five responses": lambda: limits.elo(np.outer(MARGINS, np.arange(5)), np.arange(5.0), list("ABCDE")),
    "four methods": lambda: gradients.methods({name: (STEPS, STEPS * (at + 1)) for at, name in enumerate("abcd")},
                                              "error of the sum"),
    "far secant": lambda: gradients.secant(-1.5, 0.5, -0.8, STEPS[:1], STEPS[:1]),
    "no limit of the loss": lambda: training.running_loss(0.9 - GAPS, 16),
    "wide steps": lambda: training.running_loss(GAPS, 2048, limit=0.05),
    "four loops": lambda: training.overfitting([0.7, 0.2], {name: GAPS * at for at, name in enumerate("abcd", 1)}),
    "realised above": lambda: more_training.learning_curve([*STUDY, {"start": "random", "pairs": 4096}], 0.806, 0.817),
    "four batches": lambda: more_training.settings([*SWEEP, {"learning_rate": 2e-3, "batch_size": 8}], 0.396),
    "a late end": lambda: more_training.stopping([0, 8, 16], [0.9, 0.5, 0.6], [0.5, 0.7, 0.69], 0.82, 1, 2),
    "a short window": lambda: more_training.human_curve(GAPS, [
        {"step": at, "nll": 0.6, "accuracy": 0.5 + at / 99, "low": 0.4, "high": 0.9} for at in (0, 9)], 16, 0.5, 48),
    "rows, shared": lambda: using.curves({name: {each: [([0, 1, 2], [0.2, 0.8, 0.5], [0.1, 0.1, 0.2])] for each in "xy"}
                                          for name in "abcd"}, "step", height=5.0, rows=2, shared=True),
    "stretched": lambda: using.curves({"a": {"one": [([0, 1, 3, 11], [0, 1, 2, 3])] * 2}}, "√KL", knee=3.0),
    "six names": lambda: using.estimates({name: MARGINS * (at + 1) for at, name in enumerate("abcdef")}),
}
NAMES = ("figures_readable", "gradient_figures", "reward_model_figures", "training_figures", "using_the_reward_figures")
DRAWN = MORE | {name: import_module(f"tests.course.test_{name}").DRAWN for name in NAMES}


def written(name: str) -> dict[str, str]:
    """The stored descriptions of a group of figures, by figure."""
    parts = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("== ")[1:]
    return {title: text.strip() for title, text in (part.split("\n", 1) for part in parts)}


def same(old: str, new: str) -> bool:
    """Whether two lines say the same: words as they are, numbers to a thousandth, since CPUs round differently."""
    both = [line.replace(",", " ").replace(";", " ").split() for line in (old, new)]
    return len(both[0]) == len(both[1]) and all(one == other or close(one, other) for one, other in zip(*both))


def close(one: str, other: str) -> bool:
    try:
        return np.isclose(float(one), float(other), rtol=1e-3, atol=1e-9)
    except ValueError:
        return False


@pytest.mark.parametrize("old, new, alike", [
    ("line #0072b2 - 2.8: x 1 2; y 0.6931", "line #0072b2 - 2.8: x 1 2; y 0.6932", True),
    ("line #0072b2 - 2.8: x 1 2", "line #0072b3 - 2.8: x 1 2", False), ("x 1 2", "x 1 2.01", False),
    ("text 'a'", "text 'b'", False), ("x 1 2", "x 1 2 3", False),
])
def test_what_is_the_same(old: str, new: str, alike: bool):
    assert same(old, new) is alike


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_is_what_it_was(name: str):
    stored, now = written(name), {title: described(draw()).strip() for title, draw in DRAWN[name].items()}
    assert list(stored) == list(now)
    changed = [(title, old, new) for title, text in now.items()
               for old, new in zip_longest(stored[title].splitlines(), text.splitlines(), fillvalue="")
               if not same(old, new)]
    assert not changed, "where that is wanted, write the descriptions anew as the first lines here say"


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, figures in DRAWN.items():
        text = "\n".join(f"== {title}\n{described(draw())}" for title, draw in figures.items())
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
