"""The model report: the numbers that --json prints, words that follow from them, and text that can't become markup."""

import json
import math
import re

import numpy as np
import pytest
import tiny
from report_pages import HOSTILE, Parts, findings, pairs_of_lengths

from rmlib.evaluation import nll
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import read_pairs
from rmlib.practice import command_line as cli
from rmlib.practice.command_line import evaluating, sources
from rmlib.practice.report import report_page
from rmlib.practice.report.mistakes import LONGEST, MOST

TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "article", "div",
    "p", "h1", "h2", "h3", "ol", "ul", "li", "a", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th",
    "td", "data", "figure", "figcaption", "img", "details", "summary", "strong", "code",
}
WORDS = "France egg sky grass capital sum hot cold blue green Paris London water minutes seven five".split()


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A model, and files of pairs and of validation pairs on which it is mostly, and not always, right."""
    directory = tmp_path_factory.mktemp("report")
    model = tiny.reward_model("distilbert")
    model.save_pretrained(directory / "<i>model & co")
    rows = [
        {"prompt": f"What is {one}? {HOSTILE[i % 7]}", "chosen": f"The {one} {HOSTILE[-i % 7]} is {other}.",
         "rejected": "I do not know " * (1 + i % 3)}
        for i, (one, other) in enumerate(2 * list(zip(WORDS, WORDS[1:])))
    ]
    for name, part in (("<b>pairs</b>.jsonl", rows[::2]), ("validation.jsonl", rows[1::2])):
        plain = directory / name.replace("/", "-")
        write(plain, part)
        chosen, rejected = score_pairs(model, read_pairs(plain).pairs)
        wrong = (chosen < rejected) ^ (np.arange(len(part)) % 4 == 0)  # the model is wrong on every fourth
        write(plain, [row | {"chosen": row["rejected"], "rejected": row["chosen"]} if swap else row
                      for row, swap in zip(part, wrong)])
    with open(directory / "<b>pairs<-b>.jsonl", "a", encoding="utf-8") as file:
        file.write("{garbage\n\n")
    return directory


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def evaluate(room, tmp_path, capsys):
    """Run the command: (exit code, stdout, stderr, the page or None)."""

    def call(*arguments, pairs=room / "<b>pairs<-b>.jsonl"):
        page = tmp_path / "out" / "report.html"
        given = ("evaluate", room / "<i>model & co", pairs, "--report", page, *arguments)
        code = cli.main(list(map(str, given)))
        out, err = capsys.readouterr()
        return code, out, err, page.read_text(encoding="utf-8") if page.exists() else None

    return call


def leaves(tree):
    branches = tree.values() if isinstance(tree, dict) else tree
    return [leaf for each in branches for leaf in (leaves(each) if isinstance(each, (dict, list)) else [each])]


def test_json_has_every_number_of_the_page(evaluate, room):
    code, out, err, page = evaluate("--validation", room / "validation.jsonl", "--json")
    figures = json.loads(out)
    assert code == 0 and "report in" in err and {"temperature", "calibrated", "validation_pairs"} < set(figures)
    known = {str(leaf) for leaf in leaves(figures)} | {str(math.log(2)), "0.25"}  # of a coin
    begin, end = page.index("Rows skipped"), page.index("Its worst mistakes</h2>")  # of single pairs
    shown = Parts(page[:begin]).values + Parts(page[page.index("How often is it right?</h2>") : end]).values
    assert [value for _, value in shown if value not in known | {"17"}] == [] and len(shown) > 60  # rows read
    told = evaluate("--validation", room / "validation.jsonl")[1]
    assert f"accuracy {figures['accuracy']:.3f}" in told and f"temperature {figures['temperature']:.3f}" in told
    assert "rules" not in told and out.count("\n") == 1


def test_the_tiles_are_the_main_figures(evaluate):
    _, out, _, page = evaluate("--json")
    figures = json.loads(out)
    tiles = re.findall(r"<dt>(.*?)</dt><dd>(?:<data value=\"(.*?)\")", page)
    assert {name: float(value) for name, value in tiles} == {
        "Right on": figures["accuracy"], "Calibration error": figures["ece"], "Pairs": figures["pairs"],
        "Best rival": max(figures["baselines"].values()),  # no ties of length here
    }
    ends = figures["interval_low"], figures["interval_high"]
    told = re.search('95% interval <data value="(.*?)">.*? to <data value="(.*?)">', page)
    assert (float(told[1]), float(told[2])) == ends
    assert {name: rule["accuracy"] for name, rule in figures["rules"].items()} == figures["baselines"]


def test_what_is_read_is_what_is_computed(evaluate, room):
    page = evaluate("--validation", room / "validation.jsonl")[3]
    values = Parts(page).values
    assert len(values) > 60
    for read, value in values:
        plain = read.strip("%").replace(",", "").replace("\N{MINUS SIGN}", "-")
        shown = float(plain.replace("below 0.0001", "0.00005"))
        digits = len(read.strip("%").partition(".")[2])
        scale = 100 if read.endswith("%") else 1
        least = 0.00005 if read == "below 0.0001" else 0.5 * 10**-digits
        assert shown == pytest.approx(scale * float(value), abs=1.001 * least)


def test_the_temperature_is_the_best_for_the_validation_pairs(evaluate, room):
    figures = json.loads(evaluate("--validation", room / "validation.jsonl", "--json")[1])
    model = RewardModel.from_pretrained(room / "<i>model & co")
    margins = {}
    for name in ("validation.jsonl", "<b>pairs<-b>.jsonl"):
        chosen, rejected = score_pairs(model, read_pairs(room / name).pairs).astype(float)
        margins[name] = chosen - rejected
    best, fitted = figures["temperature"], margins["validation.jsonl"]
    assert nll(fitted / best) < min(nll(fitted / (best * 1.01)), nll(fitted / (best / 1.01)))
    assert figures["calibrated"]["nll"] == pytest.approx(nll(margins["<b>pairs<-b>.jsonl"] / best), abs=1e-6)
    assert figures["validation_pairs"] == len(fitted)


def test_validation_pairs_of_evaluated_conversations_are_told(evaluate, room):
    _, _, err, _ = evaluate("--validation", room / "<b>pairs<-b>.jsonl")
    assert "15 of the 15 pairs of --validation are of conversations that are evaluated" in err


def test_text_of_pairs_and_names_stays_text(evaluate):
    page = evaluate()[3]
    parts = Parts(page)
    assert {tag for tag, _ in parts.tags} <= TAGS
    assert {key for _, attributes in parts.tags for key in attributes if key.startswith("on")} == set()
    assert page.count("<h1>") == 1 and parts.text().count("<i>model & co on <b>pairs<-b>.jsonl") == 2
    shown = [text for text in HOSTILE[:-1] if text in parts.text()]
    assert len(shown) >= 3 and "\x1b" not in page
    assert [tag for tag, _ in parts.tags if tag in ("script", "style")] == ["style"]


def test_the_same_evaluation_gives_the_same_page_and_no_place_or_day(evaluate, room, tmp_path):
    first, second = (evaluate()[3] for _ in range(2))
    assert first == second
    assert str(room) not in first and str(tmp_path) not in first
    assert not re.search(r"20\d\d-\d\d-\d\d|@import|url\(|https?:", first)


def test_the_gold_world_is_held_against_the_truth(room, evaluate, monkeypatch):
    monkeypatch.setattr(sources, "WORLD_PAIRS", {"train": 60, "validation": 60, "test": 60})
    code, out, _, page = evaluate(pairs="world")
    assert code == 0 and "the gold reward itself agrees" in out
    text = Parts(page).text()
    for told in ("Has it learned the true reward?", "Slope of learned on gold", "Family of the question", "capitals",
                 "What decides in the gold reward", "which answer is right", "beyond what the gold reward explains"):
        assert told in text
    assert "Has it learned the true reward?" not in Parts(evaluate()[3]).text()


def test_rows_that_were_not_used_are_counted(evaluate):
    text = Parts(evaluate()[3]).text()
    assert re.search(r"Rows read\s*17\s*Pairs used\s*15", text)
    assert re.search(r"Rows skipped: not JSON\s*1\s*Rows skipped: blank line\s*1", text)


def test_mistakes_are_the_surest_ones_first_and_no_more_than_fit():
    margins = np.arange(30) - 20.5
    pairs = pairs_of_lengths([3] * 30, [4] * 30)
    text = Parts(report_page(findings(margins, pairs))).text()
    told = re.findall(r"Mistake (\d+), line (\d+)", text)
    assert told == [(str(rank), str(rank)) for rank in range(1, MOST + 1)]
    assert "the 10 worst of 21 mistakes" in text and "Content note." in text
    assert "There are none" in Parts(report_page(findings(np.ones(30), pairs))).text()


def test_long_texts_are_cut_where_they_matter_least():
    [pair] = pairs_of_lengths([3], [4])
    long = type(pair)("first " + "word " * LONGEST + "last", "begun " + "word " * LONGEST + "ended", "no")
    text = Parts(report_page(findings([-1.0], [long]))).text()
    assert "… " in text and "word last" in text and "first word" not in text
    assert "begun word" in text and "word ended" not in text
    assert f"(its last {LONGEST:,} of {len(long.prompt):,} characters)" in text


@pytest.mark.parametrize("margins", [[1.0], [-1.0], [0.0, 0.0], [1.0, 2.0], [0.0, -3.0], [1e-9, 1.0], [800.0, -800.0]])
def test_few_pairs_and_odd_margins_have_a_page(margins):
    parts = Parts(report_page(findings(margins, pairs_of_lengths([3] * len(margins), [4, 2][: len(margins)]))))
    assert {"nan", "inf", "-inf"} & {value for _, value in parts.values} == set() and " nan" not in parts.text()


def test_equal_lengths_are_no_length_bias():
    text = Parts(report_page(findings([1.0, -1.0], pairs_of_lengths([3, 3], [3, 3])))).text()
    assert "there is no length bias to measure" in text


@pytest.mark.parametrize("place, words", [
    (".", "is a directory; give a file"), ("", "is a directory; give a file"), ("/dev/null", "is no file; give a file"),
    ("{room}/<i>model & co/config.json", "is, or is in, what this command reads"),
    ("{room}/<i>model & co/new/report.html", "is, or is in, what this command reads"),
    ("{room}/validation.jsonl", "is, or is in, what this command reads"),
    ("{room}/pairs/link", "is, or is in, what this command reads"),
    ("{room}/other.jsonl/report.html", "can't be written in {room}/other.jsonl: File exists"),
    ("/proc/nowhere/report.html", "can't be written in /proc/nowhere: "),
])  # fmt: skip
def test_a_place_for_the_report_is_refused_before_the_work(room, capsys, monkeypatch, place, words):
    monkeypatch.setattr(RewardModel, "from_pretrained", lambda *_: pytest.fail("the model was loaded first"))
    (room / "pairs").mkdir(exist_ok=True)
    (room / "pairs" / "link").unlink(missing_ok=True)
    (room / "pairs" / "link").symlink_to(room / "<b>pairs<-b>.jsonl")
    (room / "other.jsonl").touch()
    before = {path: path.read_bytes() for path in room.rglob("*") if path.is_file()}
    place, words = (text.format(room=room) for text in (place, words))
    assert cli.main(["evaluate", str(room / "<i>model & co"), str(room / "<b>pairs<-b>.jsonl"), "--report", place,
                     "--validation", str(room / "validation.jsonl")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and f"--report {place} {words}" in err and "rmlib-" not in err
    assert {path: path.read_bytes() for path in room.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("validation", ["nowhere.jsonl", ""])
def test_validation_pairs_are_read_before_the_work(evaluate, monkeypatch, validation):
    monkeypatch.setattr(evaluating, "score_pairs_distributed", lambda *_: pytest.fail("the pairs were scored first"))
    code, out, err, _ = evaluate("--validation", validation)
    assert code == 2 and out == "" and "error: " in err


def test_where_nothing_can_be_evaluated_an_earlier_report_stays(evaluate, tmp_path):
    earlier = tmp_path / "out" / "report.html"
    earlier.parent.mkdir()
    earlier.write_text("earlier")
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{garbage\n")
    code, out, err, page = evaluate(pairs=bad)
    assert code == 2 and out == "" and "no row can be used" in err and page == "earlier"


def test_without_a_best_temperature_the_figures_are_told_and_why(evaluate, room, tmp_path):
    rows = [json.loads(line) for line in (room / "validation.jsonl").read_text().splitlines()]
    swapped = tmp_path / "swapped.jsonl"
    write(swapped, [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in rows])
    code, out, err, page = evaluate("--validation", swapped, "--json")
    figures = json.loads(out)
    assert code == 2 and f"error: --validation {swapped}: no temperature fits" in err
    assert "temperature" not in figures and math.isfinite(figures["nll"])
    assert "At the temperature" not in page and "--validation" not in page
