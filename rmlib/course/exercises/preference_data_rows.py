"""The exercises of notebook 04 that a judge looks at: a transcript, where every character counts, and a split."""

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.values import Raised, as_array, outcome, shown

MARKER = "\n\nAssistant:"
SAID = ("Hi!", "What is the capital of Japan?", "Tokyo.", "Thank you.", "Is it far?", "That depends on where you are.")
ALWAYS = ("\n\nHuman: Hi!\n\nAssistant: Hello!\n\nHuman: Sing.\n\nAssistant: La, la. ",
          "\n\nHuman: Who?\n\nAssistant: Assistant: that is me.", "No one has spoken.",
          "\n\nAssistant: Hello.", "\n\nHuman: Hi!\n\nAssistant: ",
          "\n\nHuman: Who?\n\nAssistant:Ann", "\n\nHuman: Who?\n\nAssistant:\n Ann")


def draw_transcript(rng):
    turns = rng.choice(SAID, size=2 * rng.integers(1, 4)).tolist()
    text = "".join(f"\n\n{who}: {said}" for who, said in zip(("Human", "Assistant") * len(turns), turns, strict=False))
    return text + rng.choice(["", " ", "\n"])


def cut_at(transcript, cut=str.rpartition, prompt=1, response=0):
    """(prompt, response), cut by one of str's partitions; prompt, response: how many markers each of them keeps."""
    before, marker, after = cut(transcript, MARKER)
    if not marker:
        raise ValueError("no turn of the assistant")
    return before + prompt * marker, response * marker + after.strip()


def refusing(empty):
    """What takes one empty part of the cut for a missing marker."""

    def cut(transcript):
        parts = cut_at(transcript)
        if [parts[0].removesuffix(MARKER), parts[1]][empty]:
            return parts
        raise ValueError

    return cut


def stripping(response):
    """The response, taken from the text behind the marker by `response`."""
    return lambda transcript: (cut_at(transcript)[0], response(transcript[len(cut_at(transcript)[0]) :]))


def without_a_guard(transcript):
    before, marker, response = transcript.rpartition(MARKER)
    return before + marker, response.strip()


def at_the_word(transcript):
    before, word, response = transcript.rpartition("Assistant:")
    if not word:
        raise ValueError
    return before + word, response.strip()


def stripped_prompt(transcript):
    prompt, response = cut_at(transcript)
    return prompt.strip(), response


MISTAKES = {
    "Cut at the first turn of the assistant; the response follows the last.":
        lambda transcript: cut_at(transcript, str.partition),
    "The marker is missing at the end of the prompt.": lambda transcript: cut_at(transcript, prompt=0),
    "The marker belongs to the prompt, not to the response.":
        lambda transcript: cut_at(transcript, prompt=0, response=1),
    "The marker stands in both; it belongs to the prompt.": lambda transcript: cut_at(transcript, response=1),
    "A text without the marker has to be a ValueError.": without_a_guard,
    "The response has white space around it.": stripping(str),
    "The response has white space at its end.": stripping(str.lstrip),
    "The response has white space before it.": stripping(str.rstrip),
    "White space is more than one space: take off all of it, at both ends.":
        stripping(lambda text: text.removeprefix(" ")),
    "strip(chars) takes off characters, whatever their order, not a word: the response has lost letters.":
        stripping(lambda text: text.lstrip(MARKER).strip()),
    "strip(chars) takes off characters, not a word: the response has lost letters.":
        stripping(lambda text: text.strip(MARKER + " ")),
    "The marker is all of '\\n\\nAssistant:'; the word may stand within a response.": at_the_word,
    "The prompt has lost the markers within it.": lambda transcript:
        (cut_at(transcript)[0].replace(MARKER, "") + MARKER, cut_at(transcript)[1]),
    "The prompt comes first, then the response.": lambda transcript: cut_at(transcript)[::-1],
    "Nothing may stand before the marker: such a text has one, and is no error.": refusing(0),
    "A response may be empty: such a text has the marker, and is no error.": refusing(1),
    "The prompt has lost white space; it is all that stands before the response.": stripped_prompt,
}


def judge_transcript(function, rng):
    """Prompt and response, character by character."""
    texts = [*ALWAYS, *(draw_transcript(rng) for _ in range(12))]
    got = [outcome(function, (text,))[0] for text in texts]
    got = [tuple(one) if isinstance(one, list) else one for one in got]
    if isinstance(got[0], Raised):
        raise got[0].error
    wanted = [outcome(cut_at, (text,))[0] for text in texts]
    wrong = [text for text, one, other in zip(texts, got, wanted, strict=True) if one != other]
    if not wrong:
        return None
    named = [name for name, mistake in MISTAKES.items() if got == [outcome(mistake, (text,))[0] for text in texts]]
    if [MARKER in text for text in wrong] == [False]:
        named = ["A text without the marker has to be a ValueError."]
    at = texts.index(min(wrong, key=len))
    return "\n".join([f"{len(wrong)} of {len(texts)} texts are cut in another way.", f"  given     {shown(texts[at])}",
                      f"  expected  {shown(wanted[at])}", f"  got       {shown(got[at])}", *(f"  {n}" for n in named)])


SPLIT_TRANSCRIPT = Exercise("4.1", judge=judge_transcript)


def judge_split(function, rng):
    """A split that keeps equal keys together, holds out the share that is asked for, and depends on rng alone."""
    for share in (0.1, 0.6, *rng.uniform(0.1, 0.6, size=4)):
        names = [f"conversation {number}" for number in range(int(rng.integers(40, 60)))]
        keys = rng.permutation(np.repeat(names, rng.integers(1, 4, size=len(names))))
        seeds = [int(seed) for seed in rng.integers(2**31, size=6)]
        held = [function(keys.copy(), share, np.random.default_rng(seed)) for seed in (*seeds, seeds[0])]
        for one in held:
            if complaint := wrong_with(keys, share, one):
                return complaint
        if all(np.array_equal(held[0], one) for one in held):
            return "Six different rng hold out the same rows: which conversations it takes has to be drawn from rng."
        if not np.array_equal(held[0], held[-1]):
            return "The same rng holds out other rows the second time: nothing but rng may decide."
    few = np.array(["one", "one", "two"])
    held = ((share, function(few.copy(), share, np.random.default_rng(0))) for share in (0.1, 0.9))
    return next(filter(None, (wrong_with(few, share, one, tolerance=1.0) for share, one in held)), None)


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
        other = " These are the rows that stay?" if abs(1 - held.mean() - share) < tolerance else ""
        return f"A share of {held.mean():.2f} is held out, where about {share:.2f} was asked for.{other}"
    return None


HOLD_OUT = Exercise("4.7", judge=judge_split)
