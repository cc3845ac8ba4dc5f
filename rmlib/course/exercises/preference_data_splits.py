"""The exercises of notebook 04 about what a test has seen: a split by conversation, and copies that no count shows."""

from itertools import combinations

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.values import as_array, shown
from rmlib.course.world import Annotator, World
from rmlib.pairs import PreferencePair
from rmlib.practice.preflight import preflight
from rmlib.practice.rivals import WORD, fit_bag_of_words

# 4.4: which rows are held out


def judge_split(function, rng):
    """A split that keeps equal keys together, holds out the share that is asked for, and depends on rng alone."""
    for share in (0.1, 0.6, *rng.uniform(0.1, 0.6, size=4)):
        names = [f"conversation {number}" for number in range(int(rng.integers(40, 60)))]
        keys = rng.permutation(np.repeat(names, rng.integers(1, 4, size=len(names))))
        seeds = [int(seed) for seed in rng.integers(2**31, size=6)]
        held = [function(keys.copy(), share, np.random.default_rng(seed)) for seed in (*seeds, seeds[0])]
        for one in held:
            if complaint := wrong_with(keys, share, one):
                return complaint + number_taken(function, keys, share, held)
        if all(np.array_equal(held[0], one) for one in held):
            return "Six different rng hold out the same rows: which conversations it takes has to be drawn from rng."
        if not np.array_equal(held[0], held[-1]):
            return "The same rng holds out other rows the second time: nothing but rng may decide."
    eight = np.repeat([f"conversation {number}" for number in range(8)], 2)
    for seed in rng.integers(2**31, size=48):  # a coin for each key misses the share of so few too often
        held = [function(eight.copy(), 0.5, np.random.default_rng(other)) for other in (seed, seed + 1, seed + 2)]
        if complaint := wrong_with(eight, 0.5, held[0]):
            return complaint + number_taken(function, eight, 0.5, held)
    few = np.array(["one", "one", "two"])
    held = ((share, function(few.copy(), share, np.random.default_rng(0))) for share in (0.1, 0.9))
    return next(filter(None, (wrong_with(few, share, one, tolerance=1.0) for share, one in held)), None)


def number_taken(function, keys, share, held):
    """What every rng tells of a wrong number of rows: the others are held out, or a wrong number of conversations."""
    held = [as_array(one) for one in held]
    if any(one is None or one.shape != keys.shape or one.dtype != bool or set(keys[one]) & set(keys[~one])
           for one in held):
        return ""
    if abs(0.5 - share) > 0.15 and all(abs(1 - one.mean() - share) < 0.15 for one in held):
        return " These are the rows that stay?"
    counts, there = [len(set(keys[one])) for one in held], len(set(keys))
    less = as_array(function(keys.copy(), 0.3, np.random.default_rng(0)))
    asked = round(share * len(keys))  # a reader may leave one conversation
    if set(counts) in ({min(asked, there)}, {min(asked, there - 1)}) and len(set(keys[less])) == round(0.3 * len(keys)):
        return f" It takes the share of the rows, {asked}, for a number of conversations."
    if set(counts) == {len(set(keys[less]))} == {1}:
        return " It takes one conversation, whatever the share."
    if len(set(counts)) > 1 and by_rows(function, keys, share):
        return (" Where each conversation has one row the share is right: are rows drawn, and then all rows of their "
                "conversations held out?")
    if len(set(counts)) > 1:
        return (f" From one rng to another it takes {min(counts)} to {max(counts)} of the {there} conversations: is "
                "there a coin for each?")
    return ""


def by_rows(function, keys, share):
    """Whether it takes too many on average, but not where each conversation has a single row."""
    many, single = (np.mean([function(each.copy(), share, np.random.default_rng(seed)) for seed in range(40)])
                    for each in (keys, np.unique(keys)))
    return many > share + 0.05 and abs(single - share) < 0.15


def wrong_with(keys, share, held, tolerance=0.15):
    """What is wrong with the rows that are held out, or None; five standard errors of a share met by keys are 0.15."""
    held = as_array(held)
    if held is None or held.shape != keys.shape or held.dtype != bool:
        return f"For {len(keys)} rows {len(keys)} truth values are wanted, True for a row that is held out."
    both = sorted(map(str, set(keys[held]) & set(keys[~held])))
    if both:
        return f"{both[0]!r} is on both sides: {(keys[held] == both[0]).sum()} of its rows are held out, others not."
    if held.all() or not held.any():
        return f"Of {len(keys)} rows {held.sum()} are held out: both sides have to have rows."
    if abs(held.mean() - share) > tolerance:
        return f"A share of {held.mean():.2f} is held out, where about {share:.2f} was asked for."
    return None


HOLD_OUT = Exercise("4.4", judge=judge_split)

# 4.5: a leak that no count shows

SEEDS, LEARNED, IN_COMMON = (1, 2, 3), 0.65, 0.8


def copies(seed):
    """Comparisons of the gold world's answers to 30 prompts, and a quarter of them that is held out at random."""
    world, rng = World(), np.random.default_rng(seed)
    prompts = rng.choice(world.prompts(), 30, replace=False).tolist()
    pairs = world.relabel([PreferencePair(prompt, one, other) for prompt in prompts
                           for one, other in combinations(world.responses(prompt, 8, rng), 2)], Annotator(), seed)
    order = rng.permutation(len(pairs))
    return [pairs[i] for i in order[len(order) // 4 :]], [pairs[i] for i in order[: len(order) // 4]]


def words_of(text):
    return set(WORD.findall(text.lower()))


def judge_disguise(function, rng):
    """Fits a bag of words to disguised copies and judges it on the originals, after the checks that a file gets."""
    found = []
    for seed in SEEDS:
        train, held_out = copies(seed)
        disguised = []
        for pair in train:
            texts = function(pair.prompt, pair.chosen, pair.rejected)
            if not (isinstance(texts, tuple | list) and [type(text) for text in texts] == [str] * 3):
                return f"Three texts are wanted, prompt, chosen and rejected, not {shown(texts)}."
            for name, text in zip(("prompt", "chosen", "rejected"), texts, strict=True):
                before, after = words_of(getattr(pair, name)), words_of(text)
                if len(before & after) < IN_COMMON * len(before | after):
                    return (f"A person would not take the {name} for the same: of its words and the original's "
                            f"{len(before & after)} of {len(before | after)} are common.\n  given  "
                            f"{shown(getattr(pair, name))}\n  got    {shown(text)}")
            disguised.append(PreferencePair(*texts))
        report = preflight(disguised, lambda texts: [text.split() for text in texts], 1000, held_out)
        seen = {"prompt is there": report.leaked_prompts, "conversation is there": report.leaked_conversations,
                "two responses are there": report.leaked_responses}
        if any(seen.values()):
            return "The preflight report sees it: " + "; ".join(
                f"held-out pairs whose {what}: {count} of {len(held_out)}" for what, count in seen.items() if count)
        margins = fit_bag_of_words(disguised, with_prompt=False, l2=3.0).margins(held_out)
        found.append(((np.sign(margins) + 1) / 2).mean())
    return None if np.mean(found) >= LEARNED else (
        f"No count of the report shows a leak, and none is left: fitted to the copies, a bag of words is right about "
        f"{np.mean(found):.0%} of the originals, where {LEARNED:.0%} are wanted.")


DISGUISE = Exercise("4.5", judge=judge_disguise)
