"""What `holds` is given on the pages could also be false: nothing is compared with itself."""

import pytest
from claim_bounds import compared_with_themselves, untold_bounds, weak_claims
from notebook_rules import load
from places import ROOT

PAGES = sorted((ROOT / "notebooks").rglob("*.ipynb"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_claim_compares_a_thing_with_itself(page):
    sources = [cell["source"] for cell in load(page)["cells"] if cell["cell_type"] == "code"]
    assert [same for source in sources if "holds(" in source for same in compared_with_themselves(source)] == []


@pytest.mark.parametrize("condition", ["scores(a) == scores(a)", "abs(x - x) < 1e-5", "[p == q for p, q in zip(u, u)]"])
def test_a_claim_that_cannot_fail_is_seen(condition):
    assert compared_with_themselves(f"if true:\n    holds('both agree', {condition})")


@pytest.mark.parametrize("condition", ["scores(a) == scores(b)", "x * x < 1 < y", "f(0, 0) < x"])
def test_a_claim_that_can_fail_is_left_alone(condition):
    assert not compared_with_themselves(f"holds('both agree', {condition})")


@pytest.mark.parametrize("claim", [
    'holds("none is four standard errors away", abs(z) < 4)', 'holds("to 9%", abs(x / y - 1) < 0.09)',
    'holds("at least 15% too small", x < 0.85 * y)', 'holds("a fifth of the last", x[1:] < x[:-1] / 5)',
    'holds("too large by half", x > 1.5 * y)', 'holds("it starts at log 2", abs(x - math.log(2)) < 1e-5)',
    'holds(f"{name}: to 1e-12", [abs(x - y) < 1e-12 for x in rows])', 'holds("both fall", np.diff(x) < 0)',
])
def test_a_claim_that_names_its_bounds_is_left_alone(claim):
    assert untold_bounds(claim) == []


@pytest.mark.parametrize(("claim", "bound"), [
    ('holds("none is four standard errors away", abs(z) < 5)', 5),
    ('holds("within four errors, to 1e-9", abs(x - y) < 1e-8)', 1e-8),
    ('holds("to 9%", abs(x / y - 1) < 0.1)', 0.1), ('holds("both fall", np.diff(x) < 1)', 1),
    ('holds("over 0.15, in three of three", [x - y > 0.05 for x, y in rows])', 0.05),
    ('holds("a fifth of the last", x[1:] < x[:-1] / 2)', 2),
])
def test_a_bound_that_its_claim_does_not_tell_is_seen(claim, bound):
    assert [found for _, found in untold_bounds(f"if true:\n    {claim}")] == [bound]


def test_both_weaknesses_are_told_of_a_cell():
    assert weak_claims("holds('to 0.1', abs(x - x) < 0.2)") == ["x is compared with itself", ("'to 0.1'", 0.2)]
