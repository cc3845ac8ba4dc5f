"""What the trials themselves show of a wrong answer: another kind, no finite number, or how close it is."""

import numpy as np

from rmlib.course.exercises import explanations
from rmlib.course.exercises.values import Mismatch, Raised, Rubric, Trial, as_array, pairs, simplicity

UNKNOWN = "None of the mistakes known here explains it."


def structure(question: Rubric, trials: list[Trial]) -> list[str]:
    """What is wrong before any number is looked at: nothing returned, another kind, another shape."""
    wrong = sorted((trial for trial in trials if not question.right(trial)), key=lambda t: simplicity(t.arguments))
    for trial in wrong:
        try:
            pairs(trial.got, trial.wanted)
        except Mismatch as mismatch:
            if not isinstance(trial.got, Raised):
                return [str(mismatch) if trial is wrong[0] else f"At another input: {mismatch}"]
    return []


def numerics(question: Rubric, trials: list[Trial]) -> list[str]:
    """What came back that is no finite number, where one is wanted, and of what numpy warned on the way."""
    for trial in trials:
        got, wanted = as_array(trial.got), as_array(trial.wanted)
        if got is None or wanted is None or got.shape != wanted.shape or question.right(trial):
            continue
        warned = f" On the way numpy warned: {'; '.join(trial.warned)}." if trial.warned else ""
        if np.any(np.isnan(got) & np.isfinite(wanted)):
            return [f"nan came back, as from inf - inf, 0 / 0 or the root of a negative number.{warned}"]
        if np.any(np.isinf(got) & np.isfinite(wanted)):
            return [f"An infinity came back, as from an exp that overflows or the logarithm of 0.{warned}"]
    return []


def nearly(trials: list[Trial]) -> list[str]:
    """What is left to say: whether what came back is at least close."""
    answered = [trial for trial in trials if not isinstance(trial.got, Raised)]
    if not answered:
        return []
    got, wanted = together(answered)
    close = explanations.precision(got, wanted, change(answered)) if got.size and len(answered) == len(trials) else []
    return close or [UNKNOWN]


def change(trials: list[Trial]) -> float:
    """How far what is wanted lies, at most, from the nearest that was given: all of it, or what is added to that."""
    steps = [0.0]
    for trial in trials:
        given = [as_array(argument) for argument in trial.arguments]
        for _, wanted in pairs(trial.got, trial.wanted):
            near = [one.astype(float) for one in given if one is not None and one.shape == wanted.shape]
            distances = np.abs([wanted.astype(float), *(wanted - one for one in near)]).min(axis=0)
            steps.append(float(np.max(distances, initial=0, where=np.isfinite(distances))))
    return max(steps)


def together(trials: list[Trial]) -> tuple[np.ndarray, np.ndarray]:
    """All finite numbers that came back, and what is wanted in their places; none where kinds or shapes differ."""
    try:
        parts = [part for trial in trials for part in pairs(trial.got, trial.wanted)]
        got, wanted = (np.concatenate([np.ravel(part[k]) for part in parts]).astype(float) for k in (0, 1))
    except (Mismatch, TypeError, ValueError):
        return np.empty(0), np.empty(0)
    finite = np.isfinite(got) & np.isfinite(wanted)
    return got[finite], wanted[finite]
