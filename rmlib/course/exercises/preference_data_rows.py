"""The exercises of notebook 04 about what people said: votes with ties, and several raters."""

from collections.abc import Callable, Mapping

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.values import Raised, outcome, shown

# 4.1: votes, some of which nobody won

TIES = ("tie", "tie (bothbad)")
UNKNOWN = ("model_c", "", "neither of them", "tie (both good)")
TEXTS = ("Paris.", "It is London.", "I don't know.", "Good day!", "It is model_a.", "A tie")


def read_vote(row, ties=TIES, winners=("model_a", "model_b"), strict=True, filled=str.strip, equal=True, of_tie=None,
              error=ValueError):
    one, other, winner = row["response_a"], row["response_b"], row["winner"]
    if winner in ties:
        return of_tie(one, other) if of_tie else None
    if strict and winner not in winners or not (filled(one) and filled(other)) or equal and one == other:
        raise error(row)
    return (one, other) if winner == winners[0] else (other, one)


def none_for(fault):
    """What leaves a row out where it should be told that it is broken."""

    def read(row):
        found = outcome(read_vote, (row,)).result
        if not isinstance(found, Raised):
            return found
        texts = [row["response_a"], row["response_b"]]
        kind = "equal" if texts[0] == texts[1] else "empty" if not all(map(str.strip, texts)) else "word"
        if kind in fault:
            return None
        raise found.error

    return read


READ_VOTE_MISTAKES = {
    "A tie still goes to model_b: whatever is not model_a is taken for its win.":
        lambda row: read_vote(row, ties=(), strict=False),
    "A tie goes to model_a; nobody won, and None is wanted.":
        lambda row: read_vote(row, of_tie=lambda one, other: (one, other)),
    "A tie goes to model_b; nobody won, and None is wanted.":
        lambda row: read_vote(row, of_tie=lambda one, other: (other, one)),
    "A tie is no error: somebody compared, and nobody won. None is wanted.": lambda row: read_vote(row, ties=()),
    '"tie (bothbad)" is a tie, too.': lambda row: read_vote(row, ties=("tie",)),
    '"tie (bothbad)" is a tie, too, and here it goes to model_b.':
        lambda row: read_vote(row, ties=("tie",), strict=False),
    '"tie" is a tie, too.': lambda row: read_vote(row, ties=("tie (bothbad)",)),
    "An unknown word in `winner` is taken for a win: that has to be a ValueError.":
        lambda row: read_vote(row, strict=False),
    "An unknown word in `winner` is left out like a tie: that has to be a ValueError, or a misspelt file shrinks in "
    "silence.": none_for({"word"}),
    "A broken row is left out like a tie: that has to be a ValueError.": none_for({"word", "equal", "empty"}),
    "An unknown word that begins like a tie is taken for one: that has to be a ValueError.":
        lambda row: None if row["winner"].startswith("tie") else read_vote(row),
    "Unknown words are left out like a tie, and equal or empty texts pass: such rows have to be a ValueError.":
        lambda row: read_vote(row, ties=(*TIES, *UNKNOWN), filled=lambda text: True, equal=False),
    "An error is raised where a row is broken, and another one than ValueError.":
        lambda row: read_vote(row, error=Exception),
    "Only the text that won is looked at: an empty one that lost has to be a ValueError, too.":
        lambda row: read_vote(dict(row, **{f"response_{'a' if row['winner'][-2:] == '_b' else 'b'}": "x"}))
        and read_vote(row, filled=lambda text: True),
    "The texts come back without the white space at their ends: leave them as they were written.":
        lambda row: (found := read_vote(row)) and (found[0].strip(), found[1].strip()),
    "Equal texts are left out like a tie: they have to be a ValueError.": none_for({"equal"}),
    **{f"Nothing is checked: equal texts, empty ones, and an unknown word{what} have to be a ValueError.":
       lambda row, more=more: read_vote(row, ties=(*TIES, *more), strict=False, filled=lambda text: True, equal=False)
       for what, more in ((" in `winner`", ()), (", such as one with a tie in it,", UNKNOWN[-1:]))},
    "Equal texts have to be a ValueError: no loss can tell same from same.": lambda row: read_vote(row, equal=False),
    "An empty text has to be a ValueError.": lambda row: read_vote(row, filled=lambda text: True),
    "A text of white space is empty, too.": lambda row: read_vote(row, filled=len),
    "Equal texts and empty ones have to be a ValueError.":
        lambda row: read_vote(row, equal=False, filled=lambda text: True),
    "The rejected response comes first; (chosen, rejected) is wanted.":
        lambda row: (found := read_vote(row)) and found[::-1],
}


def draw_votes(rng):
    """Rows of all kinds: won by either, ties, words that are unknown, equal and empty texts, white space at an end."""
    rows = []
    for winner in ("model_a", "model_b", *TIES, *UNKNOWN):
        for _ in range(2):
            one, other = rng.choice(TEXTS, 2, replace=False).tolist()
            rows.append({"response_a": one, "response_b": other, "winner": winner})
    for one, other in (("Paris.", "Paris."), ("", "Paris."), ("Paris.", " "), ("It is London.", "It is London."),
                       ("Paris.\n", " It is London.")):
        rows += [{"response_a": one, "response_b": other, "winner": winner} for winner in ("model_a", "model_b")]
    return [rows[i] for i in rng.permutation(len(rows))]


def as_vote(value):
    return tuple(value) if isinstance(value, list) else value


def judge_votes(function, rng):
    rows = draw_votes(rng)
    got = [as_vote(outcome(function, (dict(row),)).result) for row in rows]
    if all(isinstance(one, Raised) for one in got):
        raise got[0].error
    return told(function, rows, got, read_vote, READ_VOTE_MISTAKES, "rows are read in another way")


def told(function, cases: list, got: list, answer: Callable, mistakes: Mapping[str, Callable], what: str) -> str | None:
    """None where all that a function gave is right; else how many are not, the shortest of them, and the mistake."""
    wanted = [outcome(answer, (case,)).result for case in cases]
    wrong = [i for i, (one, other) in enumerate(zip(got, wanted, strict=True)) if not same(one, other)]
    if not wrong:
        return None
    named = [name for name, mistake in mistakes.items()
             if all(map(same, got, [outcome(mistake, (case,)).result for case in cases]))]
    at = min(wrong, key=lambda i: len(shown(cases[i])))
    return "\n".join([f"{len(wrong)} of {len(cases)} {what}.", f"  given     {shown(cases[at])}",
                      f"  expected  {shown(wanted[at])}", f"  got       {shown(got[at])}", *(f"  {n}" for n in named)])


def same(got: object, wanted: object) -> bool:
    """Whether both are the same value of the same kind, errors of one class; a numpy integer is as good as an int."""
    got = got.item() if isinstance(got, np.generic) or isinstance(got, np.ndarray) and got.ndim == 0 else got
    return type(got) is type(wanted) and got == wanted


READ_VOTE = Exercise("4.1", judge=judge_votes)

# 4.2: who of several raters chooses unlike the others


def shares_alike(labels, ties_count=False):
    """How often each two raters chose alike, where both chose, (R, R); nan on the diagonal. labels: (R, N)."""
    both = (labels[:, None] != 0) & (labels[None] != 0)
    alike = (labels[:, None] == labels[None]) & both
    share = alike.sum(axis=2) / (labels.shape[1] if ties_count else both.sum(axis=2))
    np.fill_diagonal(share, np.nan)
    return share


def odd_rater(labels, limit=0.6, ties_count=False, first=0, sign=1.0):
    means = sign * np.nanmean(shares_alike(labels, ties_count), axis=1)
    who = int(means.argmin())
    return who + first if means[who] < limit else None


def unlike_the_first(labels):
    shares = np.nan_to_num(shares_alike(labels)[0], nan=1.0)
    return int(shares.argmin()) if shares.min() < 0.6 else None


def with_oneself(labels):
    shares = np.nan_to_num(shares_alike(labels), nan=1.0).mean(axis=1)
    return int(shares.argmin()) if shares.min() < 0.6 else None


def leaning(labels):
    """Who takes one side most often, if that is more than chance."""
    lean = np.abs(np.sign(labels).sum(axis=1)) / (labels != 0).sum(axis=1)
    return int(lean.argmax()) if lean.max() > 0.3 else None


def far_from_the_mean(labels):
    """Who agrees less than two standard deviations of all raters below their mean."""
    means = np.nanmean(shares_alike(labels), axis=1)
    who = int(means.argmin())
    return who if means[who] < means.mean() - 2 * means.std() else None


def with_the_majority(labels):
    """Who agrees least with the majority of all, oneself among them, where one chose."""
    alike = np.array([(row == np.sign(labels.sum(axis=0)))[row != 0].mean() for row in labels])
    return int(alike.argmin()) if alike.min() < 0.6 else None


def counted_with_oneself(labels):
    means = np.nansum(shares_alike(labels), axis=1) / len(labels)
    return int(means.argmin()) if means.min() < 0.6 else None


ODD_RATER_MISTAKES = {
    "Somebody is named at every table, also where all choose alike, who agree on three of four pairs: either no bound "
    "is there, or it is too high.":
        lambda labels: odd_rater(labels, limit=2),
    "A tie counts as disagreement, so that a careful rater who says it often is named.":
        lambda labels: odd_rater(labels, ties_count=True),
    "This is who agrees most with the others.": lambda labels: odd_rater(labels, limit=2, sign=-1),
    "The first rater has the number 0.": lambda labels: odd_rater(labels, first=1),
    "All are compared with rater 0, who may be the odd one.": unlike_the_first,
    "Everybody agrees with oneself: that pair of raters has to stay out of the mean.": with_oneself,
    "Oneself is taken out of the sum, but not of the number of raters by which it is divided.": counted_with_oneself,
    "The majority holds the rater's own vote, and among three a coin decides it wherever the two others differ: leave "
    "it out.": with_the_majority,
    "Two standard deviations below the mean of all: where raters are few nobody can be so far, for the odd one moves "
    "both.": far_from_the_mean,
    "Only who takes one side nearly always is found; who clicks at random, or exchanges the buttons, is not.": leaning,
    "Only who exchanges the buttons is found: a coin agrees with everybody in one half.":
        lambda labels: odd_rater(labels, limit=0.4),
    "The bound is too low: a coin's agreement with others is a half only on average, so every second coin is missed.":
        lambda labels: odd_rater(labels, limit=0.5),
    "Nobody is ever named.": lambda labels: None,
}
PAIRS = 2000
ODD = ("clicks at random", "exchanges the buttons", "takes the first nearly always")


def draw_labels(rng, kind, who, raters, ties=0.5):
    """Labels (R, N) of raters who choose alike, one of whom says tie so often; number `who` is odd, where kind is."""
    first = 1 / (1 + np.exp(-rng.normal(scale=3.0, size=(1, PAIRS))))  # P(the first is chosen): they agree on 3 of 4
    labels = np.where(rng.random((raters, PAIRS)) < first, 1, -1)
    if kind:
        labels[who] = {ODD[0]: rng.choice([-1, 1], size=PAIRS), ODD[1]: -labels[who],
                       ODD[2]: np.where(rng.random(PAIRS) < 0.95, 1, -1)}[kind]
    labels[(who + 1) % raters] *= rng.random(PAIRS) > ties
    low = (0.505, 0.485, 0)[who]  # a coin that agrees in more than a half by luck, one in less, and any
    if kind in (ODD[0], ODD[2]) and low and not low < np.nanmean(shares_alike(labels)[who]) < low + 0.01:
        return draw_labels(rng, kind, who, raters, ties)
    return labels


def judge_raters(function, rng):
    kinds = [(None, who) for who in range(3)] + [(kind, who) for kind in ODD for who in range(3)]
    raters = 6, 3, int(rng.integers(3, 7))  # whether one's agreement with oneself does harm depends on their number
    tables = [draw_labels(rng, *kinds[i], raters[kinds[i][1]]) for i in rng.permutation(len(kinds))]
    tables += [draw_labels(rng, ODD[0], who, 3, ties=0.02) for who in (0, 1, 2, 0, 1)]  # a coin breaks nearly all ties
    got = [outcome(function, (table.copy(),)).result for table in tables]
    if isinstance(got[0], Raised):
        raise got[0].error
    if len({repr(one) for one in got}) == 1 and got[0] is not None and not isinstance(got[0], int | np.integer):
        return f"Wanted is the number of a rater, or None where nobody stands out, not {shown(got[0])}."
    return told(function, tables, got, odd_rater, ODD_RATER_MISTAKES, "tables are judged in another way")


ODD_RATER = Exercise("4.2", judge=judge_raters, silent=True)
