"""The lecturer's plan: its links lead somewhere, and every exercise that it sets is in the notebook of that lecture."""

import re

from notebook_rules import HEADING, load
from places import ROOT

PLAN = (ROOT / "teach" / "plan.md").read_text(encoding="utf-8")


def exercises_of(number: str) -> set[str]:
    [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    text = "\n".join(cell["source"] for cell in load(path)["cells"])
    return set(re.findall(f"^{HEADING}", text, re.MULTILINE))


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)", PLAN)
    assert len(targets) > 9 and [each for each in targets if not (ROOT / "teach" / each).exists()] == []


def test_every_exercise_of_a_notebook_is_set_once_and_no_other():
    for row in re.findall(r"^\| \d+\. \[.*", PLAN, re.MULTILINE):
        number, (_, *cells) = re.search(r"notebooks/(\d\d)_", row)[1], row.split(" | ")
        told = re.findall(r"(\d\.\d)(?: to (\d\.\d))?", " ".join(cells[-2:]))
        each = [f"{int(number)}.{n}" for first, last in told for n in range(int(first[2]), int((last or first)[2]) + 1)]
        assert sorted(each) == sorted(exercises_of(number)), number
    tables = "\n".join(re.findall(r"^\|.*", PLAN, re.MULTILINE))
    assert set(re.findall(r"\b\d\.\d\b", tables)) <= {each for n in range(9) for each in exercises_of(f"0{n}")}
