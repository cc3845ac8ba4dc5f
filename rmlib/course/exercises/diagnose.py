"""Which mistake was it? A mistake is named only where it explains what came back at every input that was tried.

First come the mistakes that the exercise itself knows, then the ones that are made everywhere: a sign, a factor, a sum
for a mean. Where none fits all inputs, the ordinary ones are looked at without the edges.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from rmlib.course.exercises import explanations
from rmlib.course.exercises.explanations import ENOUGH, SINGLE, Explanation
from rmlib.course.exercises.observed import nearly, numerics, structure, together
from rmlib.course.exercises.values import (
    Mismatch,
    Raised,
    Rubric,
    Trial,
    agree,
    as_array,
    is_made_of,
    outcome,
    pairs,
)

MOST = 2  # explanations to tell, where several fit
NOT_WHERE_IT_STOPS = "That is so wherever it does not stop."
NOT_AT_AN_EDGE = "It does not explain what came back at an edge."
CLEARLY = 100  # a mistake that is made everywhere is told where results are off by so many tolerances

Claim = tuple[str, Callable[[Trial], object]]  # a sentence, and what would have come back if it were true


def diagnose(question: Rubric, trials: list[Trial]) -> list[str]:
    """The sentences that say what is wrong with these trials, at least one of which is not right."""
    ordinary = [trial for trial in trials if not trial.edge]
    found = fitting(known(question), question, trials)
    if all(map(question.right, ordinary)):
        return found or ["It is right at the ordinary inputs that were drawn, and wrong at an edge.", *(
            structure(question, trials) + general(question, trials) or numerics(question, trials)
            or explanations.lost(*together(trials)))]
    if not all(isinstance(one.wanted, str) or is_made_of("biu", one.wanted) for one in ordinary):  # these fit by luck
        found = found or fitting(known(question), question, ordinary, [NOT_AT_AN_EDGE])
    answered = [trial for trial in trials if not isinstance(trial.got, Raised)]
    if not found and len(trials) / 2 < len(answered) < len(trials):
        if all(map(question.right, answered)):
            return ["Wherever it does not stop it is right."]
        found = fitting(known(question), question, answered, [NOT_WHERE_IT_STOPS])
    parts = in_parts(question, ordinary)
    if found or not all(parts):
        return found or sum(parts, [])
    found = general(question, trials) or general(question, ordinary, [NOT_AT_AN_EDGE])
    found = structure(question, trials) + found
    return found or numerics(question, ordinary) or sum(parts, []) or nearly(trials)


def fitting(claims: Iterable[Claim], question: Rubric, trials: list[Trial], proviso: Iterable[str] = (),
            clearly: float = 1) -> list[str]:
    """The sentences of those claims, MOST at most, that hold to the exercise's precision, or else to float32's.

    proviso: what is to be said after them. clearly: how many tolerances results have to be off by.
    """
    claims = list(claims)
    largest = np.max(np.abs(together(trials)[0]), initial=0) or 1
    loose = max(question.rtol, SINGLE), max(question.atol, SINGLE * min(largest, 1)) if question.atol else 0.0
    for tolerance in ((question.rtol, question.atol), loose):
        found = [sentence for sentence, mistaken in claims if holds(mistaken, trials, *tolerance, clearly)]
        if found:
            others = [f"Or: {other[0].lower()}{other[1:]}" for other in found[1:MOST]]
            return [*found[:1], *others, *proviso]
    return []


def holds(mistaken: Callable[[Trial], object], trials: list[Trial], rtol: float, atol: float, clearly: float) -> bool:
    """Whether `mistaken` gives what came back in every trial, and this was wrong in at least one."""
    for trial in trials:
        result = outcome(mistaken, (trial,)).result
        if result is None or not agree(trial.got, result, rtol, atol):
            return False
    return not all(agree(trial.got, trial.wanted, clearly * rtol, clearly * atol) for trial in trials)


def known(question: Rubric) -> Iterator[Claim]:
    """The mistakes that the exercise names."""
    for name, mistake in question.mistakes.items():
        yield (f"The mistake: {name.rstrip('.')}.",
               lambda trial, mistake=mistake: mistake(*copy.deepcopy(trial.arguments)))


def general(question: Rubric, trials: list[Trial], proviso: Iterable[str] = ()) -> list[str]:
    """The mistakes that are made everywhere, as far as they hold for all of these trials, and then the proviso."""
    if not trials or any(isinstance(trial.got, Raised) or trial.got is None for trial in trials):
        return []
    simple, vague, constants = (
        [(sentence, on_arrays(explanation)) for sentence, explanation in table.items()]
        for table in (explanations.SIMPLE, explanations.VAGUE, explanations.measured(*together(trials)))
    )
    exact = chain(simple, arguments(question), sizes(question, trials), constants)
    found = fitting(whole(trials), question, trials, proviso)
    numbers = all(is_made_of("iufc", trial.wanted) for trial in trials)
    if found or not numbers or amount_wrong(question, trials) < ENOUGH:
        return found  # of a yes or no, of words, or of one number or two, too much would hold by chance
    found = fitting(exact, question, trials, proviso, CLEARLY)
    return found or fitting(vague, question, trials, proviso, CLEARLY)


def amount_wrong(question: Rubric, trials: list[Trial]) -> int:
    """How many numbers are wrong; a result that can't be compared number by number counts as ENOUGH."""
    count = 0
    for trial in trials:
        try:
            count += sum(int(np.sum(~np.isclose(got, wanted, question.rtol, question.atol, equal_nan=True)))
                         for got, wanted in pairs(trial.got, trial.wanted))
        except Mismatch:
            count += ENOUGH
    return count


def on_arrays(explanation: Explanation) -> Callable[[Trial], object]:
    """An explanation, which looks at two arrays, as a function of a trial; several results are looked at one by one."""

    def explained(got: object, wanted: object) -> object:
        if isinstance(wanted, tuple):
            return tuple(explained(*pair) for pair in zip(got, wanted, strict=True))
        got, wanted = as_array(got), as_array(wanted)
        return None if got is None or wanted is None else explanation(got, wanted)

    return lambda trial: explained(trial.got, trial.wanted)


def whole(trials: list[Trial]) -> Iterator[Claim]:
    """One result for all arguments; yes for no; several results in the wrong order."""
    first = trials[0]
    if not is_made_of("b", first.wanted):
        yield "It is zero everywhere.", on_arrays(lambda got, wanted: None if np.any(got) else np.zeros_like(wanted))
    if not all(agree(trial.wanted, first.wanted, SINGLE, 0) for trial in trials):
        yield ("The same came back whatever the arguments were.",
               lambda trial: first.got if agree(trial.got, first.got, 0, 0) else None)
    if is_made_of("b", first.wanted):
        yield "True and False are exchanged.", lambda trial: ~as_array(trial.wanted)
    if isinstance(first.wanted, tuple):
        yield "The results are right, their order is turned round.", lambda trial: trial.wanted[::-1]


def arguments(question: Rubric) -> Iterator[Claim]:
    """An argument given back, mixed into the answer, changed on the way, or exchanged with another."""

    def answer_to(changed: Callable[[tuple], dict[int, object]], at: int | None = None) -> Callable[[Trial], object]:
        def mistaken(trial: Trial) -> object:
            given = copy.deepcopy(trial.arguments)
            other = changed(given)
            if any(argument is None for argument in other.values()):
                return None  # what is said of it makes no sense of this one
            changed_given = tuple((dict(enumerate(given)) | other).values())
            result = question.answer(*copy.deepcopy(changed_given))
            fits = agree(trial.got, result, max(question.rtol, SINGLE), max(question.atol, SINGLE))
            return result if fits and not contradicted(question, trial, changed_given, at) else None
        return mistaken

    for i, name in enumerate(question.names):
        yield f"`{name}` comes back as it was given.", lambda trial, i=i: trial.arguments[i]
        for sentence, change in explanations.ARGUMENTS.items():
            yield (f"It is the right answer {sentence.format(name)}",
                   answer_to(lambda given, i=i, change=change: {i: change(given[i])},
                             i if "is it used?" in sentence else None))
        for sentence, mixed in explanations.TERMS.items():
            yield (f"It is the right answer {sentence.format(name)}", lambda trial, i=i, mixed=mixed:
                   mixed(as_array(trial.wanted), as_array(trial.arguments[i])))
    for (i, one), (j, other) in combinations(enumerate(question.names), 2):
        yield (f"It is the right answer with `{one}` and `{other}` exchanged.",
               answer_to(lambda given, i=i, j=j: {i: given[j], j: given[i]}))


def contradicted(question: Rubric, trial: Trial, changed: tuple, at: int | None) -> bool:
    """Whether the reader's function denies what is said: that argument `at` is not used, or that some are turned round.

    Where an argument is not used it returns the same for any other; where they are turned round again, what is right.
    """
    if question.function is None:
        return False

    def differs(arguments: tuple) -> bool:
        got = outcome(question.function, copy.deepcopy(arguments)).result
        got = got[question.part] if question.part is not None and isinstance(got, tuple | list) else got
        wanted = trial.wanted if at is None else trial.got
        return not agree(got, wanted, max(question.rtol, SINGLE), max(question.atol, SINGLE))

    if at is None:
        return differs(changed)
    given = trial.arguments[at]
    others = changed[at], 0 * given - given, 10 * given
    return any(differs((*changed[:at], other, *changed[at + 1:])) for other in others)


def sizes(question: Rubric, trials: list[Trial]) -> Iterator[Claim]:
    """A factor that is the length of an argument's axis, or made from it."""

    def multiplied(i: int, axis: int, factor: Callable[[int], float]) -> Callable[[Trial], object]:
        return lambda trial: as_array(trial.wanted) * factor(as_array(trial.arguments[i]).shape[axis])

    seen = []
    for i, name in enumerate(question.names):
        shapes = [np.shape(as_array(trial.arguments[i])) for trial in trials]
        for axis in range(min(map(len, shapes))):
            lengths = [shape[axis] for shape in shapes]
            if lengths not in seen:
                seen.append(lengths)
                for sentence, factor in explanations.SIZES.items():
                    yield f"With n = {name}.shape[{axis}] it is {sentence}", multiplied(i, axis, factor)


def in_parts(question: Rubric, trials: list[Trial]) -> list[list[str]]:
    """The same diagnosis for each of several results, [] for a right one; empty where there is only one result."""
    count = {len(trial.wanted) if isinstance(trial.wanted, tuple) else 0 for trial in trials}
    if len(count) != 1 or not all(isinstance(trial.got, tuple | list) and len(trial.got) in count for trial in trials):
        return []
    told = []
    for k in range(*count):
        part = replace(question, answer=lambda *given, k=k: question.answer(*given)[k], mistakes={}, part=k)
        results = [replace(trial, got=trial.got[k], wanted=trial.wanted[k]) for trial in trials]
        wrong = not all(map(part.right, results))
        told.append([f"Result {k + 1} of {max(count)} is wrong.", *diagnose(part, results)] if wrong else [])
    return told
