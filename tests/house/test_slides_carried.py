"""A deck carries each library once, the course's own style and script, and its notebook's title."""

import re

from places import ROOT

from tools import make_slides


def test_a_deck_holds_what_it_carries_once():
    carried = {name: f"/* {name} is here */" for name in make_slides.LIBRARIES}
    path = ROOT / "notebooks/00_start_here.ipynb"
    text = make_slides.deck(path, carried)
    assert {name: text.count(each) for name, each in carried.items()} == dict.fromkeys(carried, 1)
    for name in ("deck.css", "deck.js"):
        assert text.count((ROOT / "tools/slides" / name).read_text(encoding="utf-8").strip()) == 1, name
    [title] = re.findall("<title>(.*?)</title>", text)
    first = make_slides.pages(make_slides.deck_of(path))[0].text.splitlines()[0]
    assert title == first.removeprefix("# ") and '.ipynb"' not in text and 'href="../README' not in text
    places = [text.index(f"/* {name} is here */") for name in ("reveal_css", "reveal_js", "notes_js")]
    assert places == sorted(places)
