"""Which mistake was it? A mistake is named only where it explains what came back at every input that was tried.

First come the mistakes that the exercise itself knows, then the ones that are made everywhere: a sign, a factor, a sum
for a mean. Where none fits all inputs, the ordinary ones are looked at without the edges.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rmlib.course.exercises.explanations import SIMPLE, SINGLE, SIZES, Explanation, measured, precision
from rmlib.course.exercises.values import Mismatch, Raised, agree, as_array, outcome, pairs

MOST = 2  # explanations to tell, where several fit


@dataclass
class Trial:
    """One call of the reader's function, and what is wanted of it."""

    arguments: tuple
    got: object
    wanted: object = None
    edge: bool = False


Claim = tuple[str, Callable[[Trial], object]]  # a sentence, and what would have come back if it were true


@dataclass(frozen=True)
class Question:
    """What a diagnosis knows: the right function, named mistakes, the arguments' names, the tolerance."""

    answer: Callable
    mistakes: dict[str, Callable]
    names: list[str]
    rtol: float
    atol: float

    def right(self, trial: Trial) -> bool:
        return agree(trial.got, trial.wanted, self.rtol, self.atol)


def diagnose(question: Question, trials: list[Trial]) -> list[str]:
    """The sentences that say what is wrong with these trials, at least one of which is not right."""
    ordinary = [trial for trial in trials if not trial.edge]
    found = fitting(known(question), question, trials)
    if all(map(question.right, ordinary)):
        return ["It is right at ordinary inputs and wrong at an edge.", *(found or numerics(question, trials))]
    found = found or fitting(known(question), question, ordinary)
    found = found or structure(trials) + (general(question, trials) or general(question, ordinary))
    return found or numerics(question, trials) or in_parts(question, ordinary) or nearly(ordinary)


def fitting(claims: list[Claim], question: Question, trials: list[Trial]) -> list[str]:
    """The sentences of those claims, MOST at most, that hold to the exercise's precision, or else to float32's."""
    for rtol in (question.rtol, max(question.rtol, SINGLE)):
        found = [sentence for sentence, mistaken in claims if holds(mistaken, trials, rtol, question.atol)]
        if found:
            return found[:MOST]
    return []


def holds(mistaken: Callable[[Trial], object], trials: list[Trial], rtol: float, atol: float) -> bool:
    """Whether `mistaken` gives what came back in every trial, and this was wrong in at least one."""
    for trial in trials:
        result, _ = outcome(mistaken, (trial,))
        if result is None or not agree(trial.got, result, rtol, atol):
            return False
    return not all(agree(trial.got, trial.wanted, rtol, atol) for trial in trials)


def known(question: Question) -> list[Claim]:
    """The mistakes that the exercise names."""
    return [(f"The mistake: {name.rstrip('.')}.", lambda trial, mistaken=mistaken: mistaken(*copy.deepcopy(trial.arguments)))
            for name, mistaken in question.mistakes.items()]


def general(question: Question, trials: list[Trial]) -> list[str]:
    """The mistakes that are made everywhere, as far as they hold for all of these trials."""
    if not trials or any(isinstance(trial.got, Raised) or trial.got is None for trial in trials):
        return []
    claims = [*unmoved(trials), *((sentence, on_arrays(explanation)) for sentence, explanation in SIMPLE.items()),
              *other_arguments(question), *sizes(question, trials), *constants(trials)]
    return fitting(claims, question, trials)


def on_arrays(explanation: Explanation) -> Callable[[Trial], object]:
    """An explanation, which looks at two arrays, as a function of a trial."""

    def mistaken(trial: Trial) -> object:
        got, wanted = as_array(trial.got), as_array(trial.wanted)
        return None if got is None or wanted is None else explanation(got, wanted)

    return mistaken


def unmoved(trials: list[Trial]) -> Iterator[Claim]:
    """One result for all arguments."""
    first = trials[0]
    if not all(agree(trial.wanted, first.wanted, SINGLE, 0) for trial in trials):
        yield "The same comes back whatever the arguments are.", lambda trial: first.got


def other_arguments(question: Question) -> Iterator[Claim]:
    """An argument given back, one with its sign turned round, two exchanged."""

    def answer_to(changed: Callable[[tuple], dict[int, object]]) -> Callable[[Trial], object]:
        def mistaken(trial: Trial) -> object:
            given = dict(enumerate(copy.deepcopy(trial.arguments)))
            return question.answer(*(given | changed(given)).values())
        return mistaken

    for i, name in enumerate(question.names):
        yield f"`{name}` comes back as it was given.", lambda trial, i=i: trial.arguments[i]
        yield (f"It is the right answer with the sign of `{name}` turned round.",
               answer_to(lambda given, i=i: {i: -given[i]}))
    for (i, one), (j, other) in combinations(enumerate(question.names), 2):
        yield (f"It is the right answer with `{one}` and `{other}` exchanged.",
               answer_to(lambda given, i=i, j=j: {i: given[j], j: given[i]}))


def sizes(question: Question, trials: list[Trial]) -> Iterator[Claim]:
    """A factor that is the length of an argument's axis, or made from it."""
    seen = []
    for i, name in enumerate(question.names):
        shapes = [np.shape(as_array(trial.arguments[i])) for trial in trials]
        for axis in range(min(map(len, shapes))):
            lengths = [shape[axis] for shape in shapes]
            if lengths not in seen:
                seen.append(lengths)
                for sentence, factor in SIZES.items():
                    yield f"With n = {name}.shape[{axis}] it is {sentence}", multiplied(i, axis, factor)


def multiplied(argument: int, axis: int, factor: Callable[[int], float]) -> Callable[[Trial], object]:
    """The right answer times `factor` of the length of an argument's axis."""
    return lambda trial: as_array(trial.wanted) * factor(as_array(trial.arguments[argument]).shape[axis])


def constants(trials: list[Trial]) -> Iterator[Claim]:
    """A factor, an offset, a bound, a precision, read off all results together."""
    for sentence, explanation in measured(*together(trials)).items():
        yield sentence, on_arrays(explanation)


def nearly(trials: list[Trial]) -> list[str]:
    """Whether what came back is at least close."""
    got, wanted = together(trials)
    return precision(got, wanted) if got.size else []


def together(trials: list[Trial]) -> tuple[np.ndarray, np.ndarray]:
    """All finite numbers that came back, and what is wanted in their places; none where kinds or shapes differ."""
    try:
        parts = [part for trial in trials for part in pairs(trial.got, trial.wanted)]
        got, wanted = (np.concatenate([np.ravel(part[k]) for part in parts]).astype(float) for k in (0, 1))
    except (Mismatch, TypeError, ValueError):
        return np.empty(0), np.empty(0)
    finite = np.isfinite(got) & np.isfinite(wanted)
    return got[finite], wanted[finite]


def structure(trials: list[Trial]) -> list[str]:
    """What is wrong before any number is looked at: nothing returned, another kind, another shape."""
    for trial in trials:
        try:
            pairs(trial.got, trial.wanted)
        except Mismatch as mismatch:
            return [] if isinstance(trial.got, Raised) else [str(mismatch)]
    return []


def numerics(question: Question, trials: list[Trial]) -> list[str]:
    """What came back that is no finite number, where one is wanted."""
    for trial in trials:
        got, wanted = as_array(trial.got), as_array(trial.wanted)
        if got is None or wanted is None or got.shape != wanted.shape or question.right(trial):
            continue
        if np.any(np.isnan(got) & np.isfinite(wanted)):
            return ["nan came back: inf - inf, 0 * inf or 0 / 0 on the way, as where exp overflows or underflows."]
        if np.any(np.isinf(got) & np.isfinite(wanted)):
            return ["An infinity came back: exp of a large number overflows, and the logarithm of 0 is -inf."]
    return []


def in_parts(question: Question, trials: list[Trial]) -> list[str]:
    """The same diagnosis for the first wrong one of several results."""
    count = {len(trial.wanted) if isinstance(trial.wanted, tuple) else 0 for trial in trials}
    if len(count) != 1 or not all(isinstance(trial.got, tuple | list) for trial in trials):
        return []
    for k in range(*count):
        part = replace(question, answer=lambda *given, k=k: question.answer(*given)[k], mistakes={})
        results = [replace(trial, got=trial.got[k], wanted=trial.wanted[k]) for trial in trials]
        if not all(map(part.right, results)):
            return [f"Result {k + 1} of {max(count)} is wrong.", *diagnose(part, results)]
    return []
