"""What a report says in words: each judgement follows from the figures, and changes with them."""

import re

import numpy as np
import pytest
from report_pages import Parts, findings, pairs_of_lengths

from rmlib.course.report import report, verdict


@pytest.mark.parametrize("kind, margins, words", [
    ("accuracy", [1.0] * 90 + [-1.0] * 10, "Better than a coin"),
    ("accuracy", [-1.0] * 90 + [1.0] * 10, "Worse than a coin"),
    ("accuracy", [-1.0] * 50 + [1.0] * 50, "Not shown to be better than a coin"),
    ("against_rules", [1.0] * 90 + [-1.0] * 10, "Right more often than the best rule"),
    ("against_rules", [-1.0] * 90 + [1.0] * 10, "Right less often than always the longer response"),
    ("against_rules", [-1.0] * 45 + [1.0] * 55, "Not shown to differ"),
    ("calibration", [2.2] * 90 + [-2.2] * 10, "Its confidence fits"),
    ("calibration", [5.0] * 60 + [-5.0] * 40, "overconfident"),
    ("calibration", [0.1] * 90 + [-0.1] * 10, "underconfident"),
    ("calibration", [1.8] * 76 + [0.1] * 24 + [-1.8] * 1 + [-0.1] * 24, "right on average, and off in places"),
])  # fmt: skip
def test_a_verdict_follows_from_the_figures(kind, margins, words):
    judged, text = getattr(verdict, kind)(findings(margins, uneven(len(margins))))
    assert words in Parts(text).text()
    good = ("Better than", "Right more", "Its confidence fits")
    assert judged == (verdict.GOOD if words.startswith(good) else verdict.BAD)


@pytest.mark.parametrize("preferred_longer, words", [
    (96, "leans to long responses"), (61, "no more than the choices do"), (20, "leans to short responses"),
])  # fmt: skip
def test_a_lean_to_length_is_one_that_the_choices_do_not_share(preferred_longer, words):
    pairs = uneven(100)
    longer_chosen = np.array([len(pair.chosen) > len(pair.rejected) for pair in pairs])
    prefers_longer = np.arange(100) < preferred_longer
    _, text = verdict.length(findings(np.where(longer_chosen == prefers_longer, 1.0, -1.0), pairs))
    told = Parts(text).text()
    assert words in told and f"{preferred_longer}.0% of the pairs; in 60.0% the longer one was chosen" in told


def uneven(n):
    """n pairs, a multiple of ten, of which the longer response is chosen in six of ten."""
    return pairs_of_lengths([5] * n, [2 if i % 10 < 6 else 9 for i in range(n)])


def test_parts_without_enough_pairs_are_marked():
    text = Parts(report(findings(np.ones(40), uneven(40)))).text()
    assert "rejected is longer, too few to tell" in text and "chosen is longer, too few" in text
    assert re.search(r"by 3 words or less, too few to tell\s*24\s*100.0%.*by 4 words, too few to tell\s*16", text)
