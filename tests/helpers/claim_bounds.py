"""Whether what `holds` says names the bounds by which it is tested: "four standard errors" beside `< 4 * error`.

A guard of a page calls it with the page's own cells, so that a bound which is looser than its sentence turns the page
red though the sentence still holds; and it runs a cell again where the claim would be false, to see that it is tested.
"""

import ast
import contextlib
import io
import math
import re

import numpy as np
from claim_sides import one_sided_claims

WORDS = {"two": 2, "three": 3, "four": 4, "half": 0.5, "fifth": 0.2, "hundredth": 0.01, "million": 1e6,
         "millionth": 1e-6}
ROOM = 1e-3  # a smaller bound is room for rounding, and need not be told where the sentence has no such number
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?: ?%)?")


def numbers(sentence: str) -> list[float]:
    """The numbers of a sentence, in digits and in words: a percentage as a share."""
    digits = [float(each.rstrip(" %")) / (100 if each.endswith("%") else 1) for each in NUMBER.findall(sentence)]
    return digits + [WORDS[word] for word in re.findall(r"\w+", sentence) if word in WORDS]


def bounds(node: ast.AST) -> list[float]:
    """The numbers by which a side of a comparison is moved or stretched; not those in its indices, powers, calls; but
    those in `max` and `min`, where only 1 needs no word."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return [node.value]
    if isinstance(node, ast.UnaryOp):
        return bounds(node.operand)
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Pow):
        return bounds(node.left) + bounds(node.right)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("max", "min"):
        return [each for side in node.args for each in bounds(side) if abs(each) != 1]
    return []


def untold_bounds(source: str) -> list[tuple[str, float]]:
    """Each claim of a cell with each bound that it does not tell: 0.15 may be told as 0.85, 1.15 or, a fifth, as 5."""
    found = []
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for sentence, condition in (call.args for call in calls if getattr(call.func, "id", "") == "holds"):
        sentence = ast.unparse(sentence)
        told = numbers(sentence)
        for compare in (node for node in ast.walk(condition) if isinstance(node, ast.Compare)):
            for bound in (each for side in [compare.left, *compare.comparators] for each in bounds(side) if each):
                forms = (bound, 1 / bound, *([abs(1 - bound)] if bound < 2 else []))
                is_told = any(math.isclose(form, number, rel_tol=1e-9) for form in forms for number in told)
                if not is_told and not (bound < ROOM and all(number >= ROOM for number in told)):
                    found.append((sentence, bound))
    return found


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


def weak_claims(source: str) -> list:
    """What is compared with itself in the claims of a cell, what is tested on one side only, and untold bounds."""
    same, sided = compared_with_themselves(source), one_sided_claims(source)
    return [f"{each} is compared with itself" for each in same] + [
        f"{each} on one side only" for each in sided] + untold_bounds(source)


def verdicts(source: str, names: dict) -> dict[str, bool]:
    """What the claims of a cell come to, by their sentences, where its names mean these things."""
    found = {}
    claims = {"holds": lambda claim, condition: found.update({claim: bool(np.asarray(condition).all())})}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(source, names | claims)
    return found
