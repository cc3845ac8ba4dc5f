"""What exercises take and give: numbers, arrays, tensors, truth values, words, and tuples of them.

Compared generously in kind (a float does for a 0-d tensor, a list for an array) and strictly in shape and value.
"""

import contextlib
import inspect
import io
import re
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from torch import Tensor, bfloat16

LONGEST = 160  # characters of one value on the page
NOTHING = "Nothing was returned (None): is there a `return`?"


class Mismatch(Exception):
    """Two values that can't be compared number by number; the message says why."""


@dataclass(eq=False)
class Raised:
    """What a function gave instead of a result. It equals another whose error is of its class or of one above it."""

    error: Exception

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raised) and isinstance(self.error, type(other.error))

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}".rstrip(".")


@dataclass
class Trial:
    """One call of the reader's function, and what is wanted of it."""

    arguments: tuple
    got: object
    wanted: object = None
    edge: bool = False
    warned: list[str] = field(default_factory=list)


class Outcome(NamedTuple):
    """What a function returned, or Raised, what it printed, and of what numpy warned, each thing once."""

    result: object
    printed: str
    warned: list[str]


def outcome(function: Callable, arguments: tuple) -> Outcome:
    """Call a function, whatever comes of it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        try:
            result = function(*arguments)
        except Exception as error:
            result = Raised(error)
    said = [str(warning.message) for warning in caught]
    return Outcome(result, printed.getvalue(), list(dict.fromkeys(one for one in said if " encountered in " in one)))


def as_array(value: object) -> np.ndarray | None:
    """A number, an array, a tensor or an even list of them as a numpy array; None for anything else."""
    try:
        return _as_array(value)
    except RecursionError:  # a list that contains itself
        return None


def _as_array(value: object) -> np.ndarray | None:
    if isinstance(value, Tensor):
        try:
            return (value.float() if value.dtype == bfloat16 else value).numpy(force=True)
        except (TypeError, RuntimeError):  # sparse, or without data
            return None
    if isinstance(value, list | tuple):
        parts = [_as_array(part) for part in value]
        if any(part is None or part.shape != parts[0].shape for part in parts):
            return None
        return np.array(parts)
    value = float(value) if isinstance(value, Fraction) else value
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | bool | int | float | complex) else None
    return array if array is not None and array.dtype.kind in "biufc" else None


def kind(value: object) -> str:
    """What a value is, in the reader's words."""
    array = as_array(value)
    if isinstance(value, Raised):
        return f"an error of class {type(value.error).__name__}"
    if isinstance(value, tuple) or array is None:
        return f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
    what = "truth value" if array.dtype == bool else "number"
    return f"a single {what}" if array.ndim == 0 else f"{what}s of shape {array.shape}"


def pairs(got: object, wanted: object) -> list[tuple]:
    """The parts of a result, each beside what is wanted in its place: (got, wanted), numbers as numpy arrays.

    Raises Mismatch where kinds, lengths or shapes differ.
    """
    if got is None and wanted is not None:
        raise Mismatch(NOTHING)
    numbers = as_array(wanted)
    if isinstance(wanted, tuple) or isinstance(wanted, list) and numbers is None:
        found, deepest = as_array(got), max((np.ndim(as_array(part)) for part in wanted), default=0)
        parts = found if isinstance(got, np.ndarray | Tensor) else got
        alone = found is not None and not isinstance(got, tuple) and found.ndim <= deepest  # its length may fit
        if alone or not (isinstance(parts, list | tuple) or np.ndim(parts)) or len(parts) != len(wanted):
            raise Mismatch(f"Wanted are {len(wanted)} results, not {kind(got)}.")
        return [pair for one, other in zip(parts, wanted, strict=True) for pair in pairs(one, other)]
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or set(got) != set(wanted):
            raise Mismatch(f"A dict with the keys {sorted(map(str, wanted))} is wanted.")
        return [pair for key in wanted for pair in pairs(got[key], wanted[key])]
    if numbers is None:
        if not isinstance(got, type(wanted)):
            raise Mismatch(f"Wanted is {kind(wanted)}, not {kind(got)}.")
        return [(got, wanted)]
    found = as_array(got)
    if found is None or (numbers.dtype == bool) != (found.dtype == bool):
        raise Mismatch(f"Wanted is {kind(wanted)}, not {kind(got)}.")
    if found.shape != numbers.shape:
        raise Mismatch(shapes_differ(found.shape, numbers.shape))
    return [(found, numbers)]


def shapes_differ(got: tuple, wanted: tuple) -> str:
    """Two shapes, and what would become of them in the same sum."""
    said = f"The shape is {got}, {wanted or 'a single number'} is wanted"
    if not got:
        return f"A single number came back, the shape {wanted} is wanted."
    try:
        together = np.broadcast_shapes(got, wanted)
    except ValueError:
        return f"{said}."
    surprising = together not in (got, wanted)
    return f"{said}: in a difference the two would broadcast to {together}, in silence." if surprising else f"{said}."


def close(got: object, wanted: object, rtol: float, atol: float) -> bool:
    """Whether one part agrees. Numbers: |got - wanted| <= atol + rtol |wanted|, nan equals nan; words: but for case.

    rtol is never finer than the rounding of the dtype that is wanted.
    """
    if isinstance(wanted, str):
        return got.strip().casefold() == wanted.strip().casefold()
    if as_array(wanted) is None:
        try:
            return bool(got == wanted)
        except (TypeError, ValueError, RuntimeError):  # things that == does not compare as a whole
            return got is wanted
    if wanted.dtype.kind in "fc":
        rtol = max(rtol, 16 * np.finfo(wanted.dtype).eps)
    with np.errstate(all="ignore"):
        return np.allclose(got, wanted, rtol, atol, equal_nan=True)


def agree(got: object, wanted: object, rtol: float, atol: float) -> bool:
    """Whether a result is the one that is wanted, in structure, shape and value."""
    try:
        return all(close(one, other, rtol, atol) for one, other in pairs(got, wanted))
    except (Mismatch, RecursionError):  # the latter of a list that contains itself
        return False


def shown(value: object, digits: int = 5) -> str:
    """A value on one short line."""
    if isinstance(value, tuple):
        return f"({', '.join(shown(part, digits) for part in value)})"
    array = as_array(value)
    if array is None and nested(value):
        return listed(value, digits)
    if array is None:
        named = getattr(value, "__name__", None) or (str(value) if isinstance(value, Raised) else repr(value))
        return textwrap.shorten(named, LONGEST, placeholder=" ...")
    return listed(array, digits) + (f" of shape {array.shape}" if array.ndim > 1 or array.size > 8 else "")


def listed(value: object, digits: int) -> str:
    """Numbers on one line, without the shapes: an array, or lists and dicts of arrays."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {listed(part, digits)}' for key, part in value.items())}}}"
    array = as_array(value)
    if array is None:
        return f"[{', '.join(listed(part, digits) for part in value)}]"
    numbers = {"float_kind": lambda number: f"{number + 0.0:.{digits}g}"}  # no -0
    text = np.array2string(array, separator=", ", threshold=8, edgeitems=3, formatter=numbers)
    return re.sub(r"\s+", " ", text)


def nested(value: object) -> bool:
    """Whether it is a list or a dict that holds numbers and nothing else."""
    try:
        return isinstance(value, list | dict) and is_made_of("biufc", value)
    except RecursionError:  # a list that contains itself
        return False


def simplicity(value: object) -> tuple[int, int]:
    """What to sort by, so that the simplest comes first: how many numbers a value holds, then how long they are."""
    return sum(part.size if isinstance(part, np.ndarray) else 1 for part, _ in pairs(value, value)), len(shown(value))


def names_of(function: Callable, count: int) -> list[str]:
    """The names of a function's first `count` arguments, as far as it tells them."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        names = []
    return names[:count] + [f"argument {position + 1}" for position in range(len(names), count)]


def is_made_of(kinds: str, value: object) -> bool:
    """Whether a value, or each part of it, is of these numpy kinds: "iufc" for numbers, "b" for truth values."""
    arrays = [as_array(part) for part, _ in pairs(value, value)]
    return all(array is not None and array.dtype.kind in kinds for array in arrays)


@dataclass(frozen=True)
class Rubric:
    """What a diagnosis knows: the right function, named mistakes, the arguments' names, the tolerance, the reader's."""

    answer: Callable
    mistakes: dict[str, Callable]
    names: list[str]
    rtol: float
    atol: float
    function: Callable | None = None
    part: int | None = None  # of several results, the one that is looked at

    def right(self, trial: Trial) -> bool:
        return agree(trial.got, trial.wanted, self.rtol, self.atol)
