"""The exercises of notebook 04: a cut of two token lists here, the others in the two files that it imports."""

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.preference_data_rows import ODD_RATER, READ_VOTE
from rmlib.course.exercises.preference_data_splits import DISGUISE, HOLD_OUT


def cut_pair(prompt, chosen, rejected, room):
    keep = max(0, room - max(len(chosen), len(rejected)))
    kept = prompt[max(0, len(prompt) - keep):]
    return kept + chosen, kept + rejected


def cut_like(keep_of, cut):
    """A cut that keeps `keep_of(chosen, rejected, room)` tokens of the prompt, in a certain way."""

    def cut_both(prompt, chosen, rejected, room):
        kept = cut(prompt, max(0, keep_of(chosen, rejected, room)))
        return kept + chosen, kept + rejected

    return cut_both


def newest(prompt, keep):
    return prompt[max(0, len(prompt) - keep):]


def beside_the_longer(chosen, rejected, room):
    return room - max(len(chosen), len(rejected))


def each_its_own(prompt, chosen, rejected, room):
    return tuple(newest(prompt, room - len(part)) + part for part in (chosen, rejected))


def all_or_nothing(prompt, chosen, rejected, room):
    kept = prompt if len(prompt) <= beside_the_longer(chosen, rejected, room) else []
    return kept + chosen, kept + rejected


def draw_tokens(rng):
    room, exact = int(rng.integers(6, 12)), rng.random() < 0.4
    longer = room if exact else int(rng.integers(2, room))
    sizes = int(rng.integers(2, 20)), longer, int(rng.integers(1, longer + 1))
    prompt, one, other = (rng.integers(100, 999, size=size).tolist() for size in sizes)
    return (prompt, one, other, room) if rng.random() < 0.5 else (prompt, other, one, room)


CUT_PAIR = Exercise(
    "4.3",
    answer=cut_pair,
    draw=draw_tokens,
    edges=(([1, 2, 3], [4, 5, 6], [7], 3), ([1, 2, 3], [4], [5], 6), ([1, 2, 3, 4], [5, 6], [7], 4),
           ([1, 2], [3], [4], 8), ([1, 2, 3, 4], [5], [6, 7, 8], 5), ([1, 2, 3, 4], [6, 7, 8], [5], 5)),
    mistakes={
        "the bug is still there: prompt[-0:] is the whole prompt":
            cut_like(beside_the_longer, lambda prompt, keep: prompt[-keep:]),
        "where there is room for more than the prompt, len(prompt) - keep is negative, and counts from the end":
            cut_like(beside_the_longer, lambda prompt, keep: prompt[len(prompt) - keep :]),
        "each response has a cut of its own; the prompt's part has to be the same in both": each_its_own,
        "the newest tokens are cut; the oldest should be":
            cut_like(beside_the_longer, lambda prompt, keep: prompt[:keep]),
        "the shorter response decides how much is cut; the longer one has to fit":
            cut_like(lambda chosen, rejected, room: room - min(len(chosen), len(rejected)), newest),
        "it cuts on the right, and with it the responses":
            lambda prompt, chosen, rejected, room: ((prompt + chosen)[:room], (prompt + rejected)[:room]),
        "the prompt is dropped altogether": lambda prompt, chosen, rejected, room: (chosen, rejected),
        "a token of the prompt is kept where there is room for none":
            cut_like(lambda chosen, rejected, room: max(1, beside_the_longer(chosen, rejected, room)), newest),
        "one token too few of the prompt is kept":
            cut_like(lambda chosen, rejected, room: beside_the_longer(chosen, rejected, room) - 1, newest),
        "one token too many of the prompt is kept":
            cut_like(lambda chosen, rejected, room: beside_the_longer(chosen, rejected, room) + 1, newest),
        "the chosen response decides how much is cut; the longer one of the two has to":
            cut_like(lambda chosen, rejected, room: room - len(chosen), newest),
        "the rejected response decides how much is cut; the longer one of the two has to":
            cut_like(lambda chosen, rejected, room: room - len(rejected), newest),
        "there is room for both responses at once; each stands alone after the prompt":
            cut_like(lambda chosen, rejected, room: room - len(chosen) - len(rejected), newest),
        "a prompt that does not fit is dropped whole; its newest tokens may stay": all_or_nothing,
        "nothing is cut": lambda prompt, chosen, rejected, room: (prompt + chosen, prompt + rejected),
    },
)


EXERCISES = [READ_VOTE, ODD_RATER, CUT_PAIR, HOLD_OUT, DISGUISE]
