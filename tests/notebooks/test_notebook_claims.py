"""What `holds` is given on the pages could also be false: nothing is compared with itself, no distance on one side."""

import numpy as np
import pytest
from claim_bounds import compared_with_themselves, untold_bounds, weak_claims
from claim_sides import one_sided_claims
from deaf_claims import deaf
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
    'holds("to 1e-5 of its size", x < 1e-5 * max(1, y))',
    'holds(f"{name}: to 1e-12", [abs(x - y) < 1e-12 for x in rows])', 'holds("both fall", np.diff(x) < 0)',
])
def test_a_claim_that_names_its_bounds_is_left_alone(claim):
    assert untold_bounds(claim) == []


@pytest.mark.parametrize(("claim", "bound"), [
    ('holds("none is four standard errors away", abs(z) < 5)', 5),
    ('holds("within four errors, to 1e-9", abs(x - y) < 1e-8)', 1e-8),
    ('holds("to 9%", abs(x / y - 1) < 0.1)', 0.1), ('holds("both fall", np.diff(x) < 1)', 1),
    ('holds("over 0.15, in three of three", [x - y > 0.05 for x, y in rows])', 0.05),
    ('holds("a fifth of the last", x[1:] < x[:-1] / 2)', 2), ('holds("to 1e-5", x < 1e-5 * max(50, y))', 50),
])
def test_a_bound_that_its_claim_does_not_tell_is_seen(claim, bound):
    assert [found for _, found in untold_bounds(f"if true:\n    {claim}")] == [bound]


@pytest.mark.parametrize("source", [
    "holds('to 0.1', a - b < 0.1)", "off = a - b\nholds('to 0.1', off.max() < 0.1)", "holds('to 0.1', a[0] - b <= 0.1)",
    "holds('to 0.1', np.max(2 * (a - b)) < 0.1 * c)",
])
def test_a_distance_that_is_tested_on_one_side_is_seen(source):
    assert len(one_sided_claims(source)) == 1


@pytest.mark.parametrize("source", [
    "holds('to 0.1', abs(a - b) < 0.1)", "off = (a - b).abs()\nholds('to 0.1', off.max() < 0.1)",
    "holds('below', a - b < c)", "holds('above', a - b > 0.1)", "holds('narrow', max(a) - min(a) < 0.1)",
    "holds('to 0.1', np.linalg.norm(a - b) < 0.1)",
])
def test_other_claims_of_a_difference_are_left_alone(source):
    assert one_sided_claims(source) == []


def test_all_weaknesses_are_told_of_a_cell():
    assert weak_claims("holds('to 0.1', x - x < 0.2)") == [
        "x is compared with itself", "x - x < 0.2 on one side only", ("'to 0.1'", 0.2)]


@pytest.mark.parametrize(("claim", "places"), [
    ('holds("to 0.1", abs(x - y) < 0.1)', []), ('holds("all larger", x < z)', []),
    ('holds("to 0.1", abs(x[:2] - y[:2]) < 0.1)', [2, 2]), ('holds("to 0.1", x - y < 0.1)', [0, 1, 2, 0, 1, 2]),
    ('holds("to 0.1", abs(x - y)[:2] < 0.1)', [-1, 2, 2]),
    ('holds("to 0.1", abs(x[0] - y[0]) < 0.1)', []), ('holds("to 0.1", abs(x - y) < 0.1 / 0)', []),
])
def test_a_claim_that_hears_not_every_number_is_seen(claim, places):
    names = {"x": np.zeros(3), "y": np.full(3, 0.01), "z": np.ones(3)}
    assert [place for _, _, place in deaf([claim], names)] == places
