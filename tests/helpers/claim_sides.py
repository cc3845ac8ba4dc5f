"""Whether what `holds` says of a distance is tested on both its sides: `a - b < 1e-5` holds of any a that is too small.

A guard of a page calls it with the page's own cells. It reads names that are assigned in the same cell, and no others.
"""

import ast

SIGNLESS = {"abs", "absolute", "fabs", "norm", "square", "ptp", "std"}


def called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def has_a_sign(node: ast.AST, meanings: dict[str, ast.AST]) -> bool:
    """Whether a value is a difference that may be far below zero, also where it is stretched, reduced or named."""
    if isinstance(node, ast.Name):
        rest = {name: value for name, value in meanings.items() if name != node.id}
        return node.id in meanings and has_a_sign(meanings[node.id], rest)
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Sub):
            return not all(isinstance(side, ast.Call) and called(side) in ("max", "min", "amax", "amin")
                           for side in (node.left, node.right))
        return isinstance(node.op, ast.Add | ast.Mult | ast.Div) and any(
            has_a_sign(side, meanings) for side in (node.left, node.right))
    if isinstance(node, ast.UnaryOp):
        return has_a_sign(node.operand, meanings)
    if isinstance(node, ast.Subscript):
        return has_a_sign(node.value, meanings)
    if isinstance(node, ast.Call) and called(node) not in SIGNLESS:
        inner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return any(has_a_sign(each, meanings) for each in [*inner, *node.args])
    return False


def one_sided_claims(source: str) -> list[str]:
    """The comparisons in the claims of a cell by which a difference is small as soon as it is negative."""
    tree = ast.parse(source)
    meanings = {target.id: node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)
                for target in node.targets if isinstance(target, ast.Name)}
    claims = [node.args[1] for node in ast.walk(tree)
              if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "holds"]
    compared = [node for claim in claims for node in ast.walk(claim)
                if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.LtE) and len(node.ops) == 1]
    return [ast.unparse(node) for node in compared
            if has_a_sign(node.left, meanings) and any(isinstance(each, ast.Constant) for each in ast.walk(
                node.comparators[0]))]
