"""The picture of the preflight report: what it draws is what the report says, and it can be read."""

import itertools

import pytest
from figure_rules import boxes_of_text
from matplotlib.colors import to_hex

from rmlib.course.plots import preflight as drawing
from rmlib.course.plots.preflight import _percent, preflight_figure, problems
from rmlib.course.world import World
from rmlib.pairs import PreferencePair, read_pairs
from rmlib.practice.preflight import preflight
from rmlib.practice.style import LIT_EDGE

CHOSEN, REJECTED = "one two three", "one two three four"
PAIRS = [PreferencePair("word " * (n % 40), CHOSEN, REJECTED) for n in range(50)]


def words(texts):
    return [text.split() for text in texts]


def drawn(report):
    """(axes of lengths, axes of problems, all texts) of the report's figure, drawn."""
    figure = preflight_figure(report)
    boxes = boxes_of_text(figure)
    return *figure.axes, boxes


@pytest.mark.parametrize("window", [3, 4, 10, 43, 44, 1000])
def test_bars_beyond_the_window_hold_the_pairs_that_are_too_long(window):
    report = preflight(PAIRS, words, window)
    lengths, _, boxes = drawn(report)
    beyond = [bar for bar in lengths.patches if to_hex(bar.get_facecolor()) == LIT_EDGE.lower()]
    assert sum(bar.get_height() for bar in beyond) == report.overlong == sum(n % 40 + 4 > window for n in range(50))
    assert sum(bar.get_height() for bar in lengths.patches) == report.pairs
    assert all(bar.get_x() >= window for bar in beyond)
    texts = [text.get_text() for text, _ in boxes]
    assert f"window: {window:,}" + (" →" if window > 44 else "") in texts
    beyond_all = f"{report.whole.histogram[-1]:,} longer →"
    assert (beyond_all in texts) == (report.whole.longest > report.edges[-1])
    assert len(lengths.lines) == (window <= report.edges[-1])


def test_problems_are_drawn_as_shares():
    found = read_pairs([{}, *({"prompt": p.prompt or "-", "chosen": p.chosen, "rejected": p.rejected} for p in PAIRS)])
    report = preflight(found, words, 20, held_out=[PAIRS[1], PAIRS[39], PreferencePair("new", "a", "b")])
    assert problems(report) == {
        "rows that are bad": 1 / 51,
        "longer than the window": 23 / 50,
        "identical if the end were cut off": 23 / 50,
        "repeat of an earlier pair": 10 / 50,
        "same texts, opposite choice": 0,
        "an earlier turn of another's prompt": 0,
        "held out, conversation trained on": 2 / 3,
    }
    _, shares, boxes = drawn(report)
    assert [bar.get_width() for bar in shares.patches] == pytest.approx(list(problems(report).values()))
    texts = [text.get_text() for text, _ in boxes]
    assert [text for text in texts if "%" in text] == ["2.0%", "46.0%", "46.0%", "20.0%", "66.7%"]
    assert texts.count("none") == 2 and set(problems(report)) <= set(texts)


def test_a_long_tail_in_one_bar_leaves_room_for_the_others():
    long = [PreferencePair("word " * 99, CHOSEN, REJECTED)] * 500
    lengths, _, boxes = drawn(preflight([*PAIRS, *long], words, 22))
    *others, last = (bar.get_height() for bar in lengths.patches)
    assert last >= 500 and lengths.get_ylim()[1] == 2 * max(others)
    assert f"{last:.0f} longer →" in [text.get_text() for text, _ in boxes]


def test_without_held_out_pairs_nothing_is_said_of_them():
    for held_out in (None, []):
        assert not [name for name in problems(preflight(PAIRS, words, 20, held_out)) if "held out" in name]


@pytest.mark.parametrize("window", [4, 30, 509])
def test_texts_are_large_and_apart(window):
    pairs = World().pairs(200)
    lengths, _, boxes = drawn(preflight(pairs, words, window, pairs[:3]))
    assert min(text.get_fontsize() for text, _ in boxes) >= 14
    ticks = [*lengths.get_xticklabels(), *lengths.get_yticklabels()]  # some of them beyond the axes, and not to be seen
    boxes = [(text, box) for text, box in boxes if text not in ticks]
    assert len(boxes) >= 18
    assert not [(a.get_text(), b.get_text()) for (a, one), (b, two) in itertools.combinations(boxes, 2)
                if one.overlaps(two)]


@pytest.mark.parametrize("share, told", [
    (0, "none"), (0.0004, "under 0.1%"), (0.0006, "0.1%"), (0.004, "0.4%"), (0.25, "25.0%"), (1, "100.0%")])
def test_a_share_is_told_by_its_first_digit_after_the_point(share, told):
    assert drawing._percent(share) == told


def test_a_small_share_is_no_whole_bar():
    pairs = [PreferencePair(f"p {n}", "a", "b") for n in range(3000)]
    _, shares, boxes = drawn(preflight([*pairs, pairs[0]], words, 20))
    assert "under 0.1%" in [text.get_text() for text, _ in boxes]
    assert max(bar.get_width() for bar in shares.patches) < 0.01 * shares.get_xlim()[1]


@pytest.mark.parametrize("share, told", [
    (0, "none"), (1e-9, "under 0.1%"), (0.000499, "under 0.1%"), (0.0005, "0.1%"), (0.0149, "1.5%"), (1, "100.0%"),
])
def test_a_share_is_told_in_tenths_of_a_percent(share, told):
    assert _percent(share) == told
