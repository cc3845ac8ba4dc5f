"""The exercise engine: `check` gives a reader's function fresh random inputs and says what came of it.

A function that still raises its own NotImplementedError is not attempted: one fixed line, and the notebook runs on. Of
a wrong one it tells what was expected, what came back, and which mistake that is. With RMLIB_STRICT_EXERCISES=1 in the
environment, as under the tests, a wrong one raises WrongAnswer.
"""

import copy
import dis
import functools
import importlib
import linecache
import os
import textwrap
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

import numpy as np

from rmlib.course.exercises.diagnose import diagnose
from rmlib.course.exercises.observed import UNKNOWN
from rmlib.course.exercises.values import (
    NOTHING,
    Raised,
    Rubric,
    Trial,
    agree,
    is_made_of,
    names_of,
    outcome,
    shown,
    simplicity,
)

NOTEBOOKS = {  # notebook -> file with its exercises
    "0": "start_here", "1": "bradley_terry", "2": "pairwise_loss", "3": "gradient_check",
    "4": "preference_data", "5": "reward_model", "6": "training", "7": "evaluation", "8": "using_the_reward",
}
PATIENCE = 10.0  # seconds, after which a slow function is spared further random inputs
FEWEST = 4  # ... but not these


class WrongAnswer(AssertionError):
    """A wrong answer to an exercise, where RMLIB_STRICT_EXERCISES=1 asks for an exception."""


@dataclass(frozen=True)
class Exercise:
    """What one exercise asks. Either `answer` and `draw`, or `judge`.

    number: "2.1", the first exercise of notebook 02.
    answer: the right function. Where it raises, the reader's has to raise an error of the same class.
    draw: makes a tuple of arguments, fresh at every check; vary sizes here, so that a wrong factor can't hide in one.
    mistakes: for each known mistake its name, as it is told to the reader, and a function that makes it.
    edges: tuples of arguments that are tried at every check, beside those drawn.
    judge: says what is wrong with a function, or None, where there is more than one right answer.
    silent: whether None is an answer, or the function changes what it is given. Elsewhere it is a forgotten return.
    """

    number: str
    answer: Callable | None = None
    draw: Callable[[np.random.Generator], tuple] | None = None
    mistakes: dict[str, Callable] = field(default_factory=dict)
    edges: tuple[tuple, ...] = ()
    rtol: float = 1e-9
    atol: float = 1e-12
    trials: int = 12
    judge: Callable[[Callable, np.random.Generator], str | None] | None = None
    silent: bool = False

    def __post_init__(self) -> None:
        if (self.judge is None) != (self.answer is not None and self.draw is not None):
            raise ValueError(f"exercise {self.number} needs answer and draw, or else judge")


@dataclass
class Call(Trial):
    """A trial of the reader's function, with what it printed and the positions of the arguments that it changed."""

    printed: str = ""
    changed: list[int] = field(default_factory=list)


def find(number: str) -> Exercise:
    """The exercise of this number, from the file of its notebook. Raises ValueError where there is none."""
    notebook = NOTEBOOKS.get(str(number).partition(".")[0])
    known = importlib.import_module(f"rmlib.course.exercises.{notebook}").EXERCISES if notebook else []
    for exercise in known:
        if exercise.number == number:
            return exercise
    there = ", ".join(exercise.number for exercise in known) or "numbers such as \"2.1\""
    raise ValueError(f"there is no exercise {number!r}; there are {there}")


def check(number: str, function: Callable) -> None:
    """Try `function` on fresh random inputs and print one line when it is right, and what is wrong when it is not.

    Raises ValueError for an unknown number or what is no function, and WrongAnswer under the tests (see above).
    """
    exercise = find(number)
    if not callable(function):
        raise ValueError(f'check("{number}", ...) takes the function itself, without brackets behind it, '
                         f"got {shown(function)}")
    rng = np.random.default_rng()
    verdict = judged(exercise, function, rng) if exercise.judge else compared(exercise, function, rng)
    if verdict.wrong and os.environ.get("RMLIB_STRICT_EXERCISES") == "1":
        raise WrongAnswer(f"{number}: {verdict.text}")
    print(f"{number}: {verdict.text}")


@dataclass(frozen=True)
class CheckResult:
    """What is told about a function, and whether it is a wrong one."""

    text: str
    wrong: bool = False


NOT_ATTEMPTED = CheckResult(
    "not attempted yet. Replace `raise NotImplementedError` by your lines and run the cell again.")


def is_own(frame: FrameType, function: Callable) -> bool:
    """Whether a frame belongs to the reader's function, or to a method of the reader's class."""
    name, module = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    inside = frame.f_code.co_qualname == name or frame.f_code.co_qualname.startswith(f"{name}.")
    return inside and frame.f_globals.get("__name__") == module


def unattempted(got: object, function: Callable) -> bool:
    """Whether the function's own body says `raise NotImplementedError`: not a library, and not a call that failed."""
    if not isinstance(got, Raised) or type(got.error) is not NotImplementedError or got.error.args:
        return False
    last = got.error.__traceback__
    while last.tb_next:
        last = last.tb_next
    raises = last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return raises and is_own(last.tb_frame, function)


def stopped(got: Raised, function: Callable) -> str:
    """The reader's own error: which one, and in which line of theirs."""
    own = [(frame, line) for frame, line in traceback.walk_tb(got.error.__traceback__) if is_own(frame, function)]
    if not own:
        return f"Calling it, or using what it returned, stopped with {got}."
    frame, number = own[-1]
    line = textwrap.shorten(linecache.getline(frame.f_code.co_filename, number), 100, placeholder=" ...")
    return f"It stopped with {got}, in {f'the line `{line}`' if line else f'line {number}'}."


def judged(exercise: Exercise, function: Callable, rng: np.random.Generator) -> CheckResult:
    """The verdict of an exercise that has no single answer."""
    returned = []

    @functools.wraps(function)
    def watched(*arguments: object, **named: object) -> object:
        returned.append(function(*arguments, **named))
        return returned[-1]

    complaint = outcome(exercise.judge, (watched, rng)).result
    if unattempted(complaint, function):
        return NOT_ATTEMPTED
    nothing = returned and all(one is None for one in returned) and not exercise.silent
    if nothing and complaint is not None:
        complaint = NOTHING
    elif isinstance(complaint, Raised):
        complaint = stopped(complaint, function)
    return CheckResult("right.") if complaint is None else CheckResult(f"not right yet. {complaint}", wrong=True)


def compared(exercise: Exercise, function: Callable, rng: np.random.Generator) -> CheckResult:
    """The verdict of an exercise that has one right answer."""
    calls = attempts(exercise, function, rng)
    if all(unattempted(call.got, function) for call in calls):
        return NOT_ATTEMPTED
    names = names_of(function, len(calls[0].arguments))
    question = Rubric(exercise.answer, exercise.mistakes, names, exercise.rtol, exercise.atol, function)
    for call in calls:
        call.wanted = outcome(exercise.answer, copy.deepcopy(call.arguments)).result
    wrong = [call for call in calls if not question.right(call)]
    changed = sorted({names[i] for call in calls for i in call.changed})
    in_place = [f"It changes `{'` and `'.join(changed)}` in place: work on a copy."] if changed else []
    if wrong:
        told = diagnose(question, calls)
        if UNKNOWN in told and by_chance(wrong, function):
            told = ["Called again with the same arguments it returns something else: is it drawn at random?"]
        return CheckResult(mismatch_report(wrong, len(calls), names, function, told + in_place), wrong=True)
    if in_place:
        return CheckResult(f"not right yet. The result is right. {in_place[0]}", wrong=True)
    fixed = f", {len(exercise.edges)} more at the edges" if exercise.edges else ""
    drawn = len(calls) - len(exercise.edges)
    return CheckResult(f"right, on {drawn} inputs drawn just now{fixed}." if names else "right.")


def attempts(exercise: Exercise, function: Callable, rng: np.random.Generator) -> list[Call]:
    """The function's results on the edges and on fresh inputs."""
    calls, deadline = [], time.monotonic() + PATIENCE
    for number in range(len(exercise.edges) + exercise.trials):
        edge = number < len(exercise.edges)
        if time.monotonic() > deadline and number >= len(exercise.edges) + FEWEST:
            break
        arguments = tuple(exercise.edges[number] if edge else exercise.draw(rng))
        if calls and not arguments:
            break  # nothing can differ from call to call
        given = copy.deepcopy(arguments)
        got, printed, warned = outcome(function, given)
        changed = [i for i, one in enumerate(arguments) if is_made_of("biufc", one) and not agree(given[i], one, 0, 0)]
        calls.append(Call(arguments, got, edge=edge, warned=warned, printed=printed, changed=changed))
    return calls


def by_chance(calls: list[Call], function: Callable) -> bool:
    """Whether other results come back for the same arguments."""
    again = [outcome(function, copy.deepcopy(call.arguments)).result for call in calls]
    return not all(agree(got, call.got, 0, 0) for got, call in zip(again, calls, strict=True))


def mismatch_report(wrong: list[Call], tried: int, names: list[str], function: Callable, sentences: list[str]) -> str:
    """Expected and got, at the simplest input that fails, and the name of the mistake."""
    simplest = min(wrong, key=lambda call: simplicity(call.arguments))
    expected, got = shown(simplest.wanted), shown(simplest.got)
    if expected == got:
        expected, got = shown(simplest.wanted, digits=12), shown(simplest.got, digits=12)
    given = ", ".join(f"{name} = {shown(value)}" for name, value in zip(names, simplest.arguments, strict=True))
    printed = simplest.printed.strip()
    lines = [f"not right yet, at {len(wrong)} of {tried} inputs." if names else "not right yet.",
             given and f"  given     {given}",
             f"  expected  {expected}",
             f"  got       {got}",
             printed and f"  printed   {printed}"]
    raised = [call.got for call in sorted(wrong, key=lambda call: call is not simplest) if isinstance(call.got, Raised)]
    if raised:
        where = "" if raised[0] is simplest.got else "At another input: "
        sentences = [*sentences, where + stopped(raised[0], function)]
    return "\n".join([line for line in lines if line] + [f"  {sentence}" for sentence in sentences])
