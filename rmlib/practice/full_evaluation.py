"""All that `evaluate` finds, as one object: --json prints it, and the report puts it into words."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from rmlib.encoding import EncodedPair, encode
from rmlib.evaluation import confidences, pair_accuracies, perfect_model_errors, summarise
from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair, conversation_keys
from rmlib.practice.bias import extra_words, length_bias, longer_expected, slices
from rmlib.practice.conservative_interval import conservative_interval
from rmlib.practice.regression import gold_regression
from rmlib.practice.rivals import Rivals
from rmlib.practice.usable import compare, ends

WINDOW = "Room in the model’s window"
MANY_TURNS = 4
LONGER = {1: (0, "chosen is longer"), -1: (1, "rejected is longer"), 0: (2, "equally long")}
Part = tuple[int, str]  # of some pairs: its place in its group, and its name


def full_evaluation(
    model: RewardModel, pairs: Sequence[PreferencePair], margins: np.ndarray, gold: np.ndarray | None = None,
    groups: Mapping[str, list[Part]] | None = None, rivals: Rivals | None = None, by: str = "subset",
) -> dict:
    """The fields of `summarise`, and all that is told of N pairs beside them, for json; margins, gold margins: (N,).

    gold: what a known reward makes the margins, where there is one. groups: further ways to part the pairs, each with
    the part of every pair. rivals: as in `compare`. by: the key that told the subsets of the pairs.
    interval_low and interval_high are the accuracy's, by `conservative_interval` over conversations, and so are all
    intervals in the parts of the object. Where a part can't be computed, its "reason" says why. Raises ValueError as
    `summarise`.
    """
    conversations = conversation_keys(pairs)
    right, confidence = pair_accuracies(margins), confidences(margins)
    told = asdict(summarise(margins, pairs)) | compare(margins, pairs, rivals)
    told["confidence"] = {
        "mean": float(confidence.mean()), "perfect_95": float(np.quantile(perfect_model_errors(margins), 0.95)),
        **ends("excess", conservative_interval(confidence - right, conversations, least=-1)),
    }
    told["length"] = _length(margins, extra_words(pairs), conversations, gold)
    found = {name: sorted(slices(right, parts, conversations), key=lambda row: row.name[0])
             for name, parts in (_parts(model, pairs) | dict(groups or {}) | _subsets(pairs, by)).items()}
    told["slices"] = {group: [row._asdict() | {"name": row.name[1]} for row in rows]
                      for group, rows in found.items() if len(rows) > 1 or group == by}
    shares = 0.05, 0.25, 0.5, 0.75, 0.95
    told["margins"] = {"quantiles": {f"{share:.0%}": float(np.quantile(margins, share)) for share in shares},
                       "surely_wrong": int((margins < -math.log(4)).sum())}  # σ(log 4) is 0.8
    if gold is not None:
        told["gold"] = {"agreement": float(pair_accuracies(gold).mean())} | _or_reason(gold_regression, margins, gold)
    return told


def _length(margins: np.ndarray, words: np.ndarray, conversations: Sequence[Hashable], gold: np.ndarray | None) -> dict:
    found = _or_reason(length_bias, margins, words, gold)
    return found if "reason" in found else found | longer_expected(margins, words, conversations)._asdict()


def _or_reason(compute: Callable, *arguments: np.ndarray | None) -> dict:
    try:
        return asdict(compute(*arguments))
    except ValueError as error:
        return {"reason": f"{str(error)[0].upper()}{str(error)[1:]}."}


def _parts(model: RewardModel, pairs: Sequence[PreferencePair]) -> dict[str, list[Part]]:
    """By group: of each pair the part that it belongs to."""
    words = extra_words(pairs)
    return {
        "The longer response, in words": [LONGER[sign] for sign in np.sign(words).tolist()],
        "Difference in length": _in_three(np.abs(words)),
        "Human turns in the prompt": list(map(_turns, pairs)),
        WINDOW: list(map(_cut, encode(model.tokenizer, pairs, model.encoding))),
    }


def _subsets(pairs: Sequence[PreferencePair], by: str) -> dict[str, list[Part]]:
    """By their subset, the largest part first, and last the pairs without one; nothing where no pair has one."""
    sizes = Counter(pair.subset for pair in pairs if pair.subset is not None)
    places = {subset: place for place, (subset, _) in enumerate(sizes.most_common())}
    return {by: [(places.get(pair.subset, len(places)), pair.subset or f"without {by}")  # type: ignore[arg-type]
                 for pair in pairs]} if sizes else {}


def _in_three(differences: np.ndarray) -> list[Part]:
    """Three parts, as equal in size as whole numbers of words allow."""
    low, high = np.quantile(differences, [1 / 3, 2 / 3], method="inverted_cdf").astype(int).tolist()
    middle = f"{high} words" if high == low + 1 else f"{low + 1} to {high} words"
    names = f"by {low} words or less", f"by {middle}", f"by more than {high} words"
    places = [(difference > low) + (difference > high) for difference in differences.tolist()]
    return [(place, names[place]) for place in places]


def _turns(pair: PreferencePair) -> Part:
    turns = max(1, sum(role == "user" for role, _ in pair.turns))
    name = "1 turn" if turns == 1 else f"{turns} turns" if turns < MANY_TURNS else f"{MANY_TURNS} turns or more"
    return min(turns, MANY_TURNS), name


def _cut(pair: EncodedPair) -> Part:
    if pair.response_cut:
        return 2, "a response is cut"
    return (1, "the prompt’s oldest tokens are cut") if pair.prompt_cut else (0, "everything fits")
