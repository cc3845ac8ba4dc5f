"""Whether what `holds` is given hears every number of which it speaks: a claim of twelve losses has to fail by one.

A guard of a page calls `deaf` with the page's cells and what their names mean at its end. Each array and list of
numbers in a condition, or a slice of one, is changed in one place at a time, up and down: a claim that stays true is
deaf to that place. A claim of nearness has to fail both ways, so that no `abs` is forgotten.
"""

import ast
import re
from collections.abc import Iterator
from itertools import chain

import numpy as np

NEARNESS = re.compile(r"\bto \d|\bwithin\b|\baway\b|\bagree\b|\boff by\b")
MOST_PLACES = 16  # of an array that are tried


def claims(source: str) -> Iterator[tuple[str, ast.expr]]:
    """The sentence and the condition of each claim of a cell."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "holds":
            yield ast.unparse(node.args[0]), node.args[1]


def is_true(condition: ast.expr, names: dict) -> bool | None:
    """What a condition comes to, or None where it can't be told from these names alone."""
    try:
        with np.errstate(all="ignore"):
            return bool(np.all(eval(compile(ast.Expression(condition), "claim", "eval"), names)))
    except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError):
        return None


def picked_alone(condition: ast.expr) -> set[str]:
    """The names of which the condition takes single entries: nothing is said of the others."""
    return {node.value.id for node in ast.walk(condition) if isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name) and not isinstance(node.slice, ast.Slice)}


def numbers_of(value: object) -> np.ndarray | None:
    """An array or a list as an array of numbers, or None for what is none."""
    if not isinstance(value, np.ndarray | list | tuple):
        return None
    try:
        found = np.array(value)
    except ValueError:  # rows of different lengths
        return None
    return found.astype(float) if found.dtype.kind in "iuf" and found.size else None


def parts_alone(condition: ast.expr) -> list[str]:
    """What the condition takes only a slice of, though it was computed as a whole."""
    return [ast.unparse(node) for node in ast.walk(condition) if isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Slice) and isinstance(node.value, ast.Call | ast.BinOp)]


def deaf(cells: list[str], names: dict, aside: frozenset[str] = frozenset()) -> list[tuple[str, str, int]]:
    """(claim, name, place): numbers of the page that could be anything, and the claim would be made all the same."""
    found = []
    for sentence, condition in chain.from_iterable(map(claims, cells)):
        found += [(sentence, part, -1) for part in parts_alone(condition)]
        if not is_true(condition, names):
            continue  # its names mean something else by now
        used = {node.id for node in ast.walk(condition) if isinstance(node, ast.Name)} - picked_alone(condition)
        enough = any if NEARNESS.search(sentence) else all
        for name in sorted(used - aside):
            value = numbers_of(names.get(name))
            if value is None:
                continue
            for place in np.unique(np.linspace(0, value.size - 1, MOST_PLACES).astype(int)):
                told = []
                for sign in (1, -1):
                    other = value.copy()
                    other.flat[place] += sign * 10 * (1 + abs(other.flat[place]))
                    told.append(is_true(condition, names | {name: other}))
                if enough(told):
                    found.append((sentence, name, int(place)))
    return found
