"""What `holds` is given on the pages could also be false: nothing is compared with itself."""

import ast

import pytest
from notebook_rules import load
from places import ROOT

PAGES = sorted((ROOT / "notebooks").rglob("*.ipynb"))


def operands(node: ast.AST) -> list[ast.expr]:
    """What a comparison, a difference or a call holds against each other."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div):
        return [node.left, node.right]
    return node.args if isinstance(node, ast.Call) else []


def compared_with_themselves(source: str) -> set[str]:
    """Operands of one such node that are the same, inside of `holds`."""
    found = set()
    for claim in ast.walk(ast.parse(source)):
        if isinstance(claim, ast.Call) and getattr(claim.func, "id", "") == "holds":
            for node in ast.walk(claim):
                told = [ast.unparse(each) for each in operands(node) if not isinstance(each, ast.Constant)]
                found |= {each for each in told if told.count(each) > 1}
    return found


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
