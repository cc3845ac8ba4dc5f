"""Exercises of notebook 07 that end in a number or a word for the whole model: best of k with ties, and the verdict."""

from collections.abc import Callable, Sequence

import numpy as np

from rmlib.course.exercises.engine import Exercise

# 7.5: best of k, where rewards may be equal


def best_of_k(scores: np.ndarray) -> float:
    best = scores == scores.max(axis=1, keepdims=True)
    return float((best[:, 0] / best.sum(axis=1)).mean())


def _scores(rng: np.random.Generator) -> tuple[np.ndarray]:
    """(P, K) with many ties, for the first place and below it; the right one, in column 0, often among the best."""
    scores = rng.integers(-3, 3, size=(rng.integers(3, 9), rng.integers(3, 7))) / 2
    first = rng.permutation(len(scores)) < len(scores) * 0.7
    scores[first, 0] = scores[first].max(axis=1)
    return (scores,)


def _first(scores: np.ndarray) -> np.ndarray:
    return scores[:, 0] == scores.max(axis=1)


def _sharing(scores: np.ndarray) -> np.ndarray:
    return (scores == scores.max(axis=1, keepdims=True)).sum(axis=1)


BEST_OF_K = Exercise(
    "7.5",
    answer=best_of_k,
    draw=_scores,
    edges=((np.zeros((3, 4)),), (np.array([[1.0, 0.0]]),), (np.array([[0.0, 1.0, 1.0]]),),
           (np.array([[2.0, 2.0, -1.0], [0.0, 0.0, 0.0]]),),
           (np.array([[1.0, 1.01, 0.0], [1.01, 1.0, 1.0], [0.0, 0.01, 0.01]]),)),  # close, and not equal
    mistakes={
        "argmax gives the first of several best, and the right one stands first: it wins every tie":
            lambda scores: (scores.argmax(axis=1) == 0).mean(),
        "a tie for the first place is lost here; it is worth 1/k":
            lambda scores: (_first(scores) & (_sharing(scores) == 1)).mean(),
        "a tie is worth one half here, however many share the first place; it is worth 1/k":
            lambda scores: (_first(scores) * np.where(_sharing(scores) > 1, 0.5, 1.0)).mean(),
        "a tie is worth 1/K here, of all answers; k are those that share the first place":
            lambda scores: (_first(scores) * np.where(_sharing(scores) > 1, 1 / scores.shape[1], 1.0)).mean(),
        "a tie of others gets a share, too, and that is 1/K; only the right one has one, 1/k of the first place":
            lambda scores: np.where(_sharing(scores) > 1, 1 / scores.shape[1], _first(scores)).mean(),
        "it is divided by K, tie or no tie; k are those that share the first place":
            lambda scores: _first(scores).mean() / scores.shape[1],
        "it is divided by 4, tie or no tie; k are those that share the first place":
            lambda scores: _first(scores).mean() / 4,
        "this is the share of all answers that are best of their prompt; whether the right one is best is asked":
            lambda scores: (scores == scores.max(axis=1, keepdims=True)).mean(),
        "where the right one is not among the best, the prompt counts 0": lambda scores: (1 / _sharing(scores)).mean(),
        "k counts the right one, too: among two that share the first place it is 1/2":
            lambda scores: (_first(scores) / np.maximum(_sharing(scores) - 1, 1)).mean(),
        "this is the share of pairs in which the right one is ahead; it has to be ahead of all the others":
            lambda scores: ((np.sign(scores[:, :1] - scores[:, 1:]) + 1) / 2).mean(),
        "these are the pairs in which the right one is ahead, ties lost; it has to be ahead of all the others":
            lambda scores: (scores[:, :1] > scores[:, 1:]).mean(),
        "the best is looked for among the prompts: axis=1 runs over the answers": lambda scores:
            (scores == scores.max(axis=0))[:, 0].mean(),
        "this picks the lowest reward": lambda scores: best_of_k(-scores),
        "the prompts are added up; their mean is wanted": lambda scores: best_of_k(scores) * len(scores),
        "the right one stands in the first column, and here the last is taken for it": lambda scores:
            best_of_k(scores[:, ::-1]),
        "k of the prompt decides, and here the mean of all k is taken": lambda scores:
            _first(scores).mean() / _sharing(scores).mean(),
    },
)


# 7.6: the verdict

Rival = tuple[float, float, float]  # p, and the lead's interval


def _verdict(conversations: int, interval: Sequence[float], rivals: Sequence[Rival], *, few: int = 20,
             ahead: Callable[[float, float, float, int], bool] = lambda p, low, high, k: p < 0.05 and low > 0,
             behind: Callable[[float, float, float, int], bool] = lambda p, low, high, k: p < 0.05 / k and high < 0,
             every: Callable = all, one: Callable = any, coin: float = 0.5, below: float = 0.5) -> str:
    """The rule, with one thing or another wrong."""
    k = len(rivals)
    if conversations < few:
        return "not shown"
    if interval[1] < below or one(behind(*rival, k) for rival in rivals):
        return "not usable"
    return "usable" if interval[0] > coin and every(ahead(*rival, k) for rival in rivals) else "not shown"


def verdict(conversations: int, interval: Sequence[float], rivals: Sequence[Rival]) -> str:
    return _verdict(conversations, interval, rivals)


def _rival(rng: np.random.Generator, kind: str, k: int) -> Rival:
    """A rule that the model is ahead of or behind; "hardly": p lies between 0.05 / k and 0.05; or one that is open."""
    p = float(10 ** rng.uniform(-6, -3))
    near, far = sorted(rng.uniform(0.01, 0.2, size=2).round(3).tolist())
    if "hardly" in kind:
        p = round(float(rng.uniform(0.05 / k * 1.05, 0.0499)), 4)
    if kind == "p alone":
        return p, -near, far
    if kind == "interval alone":
        p = round(float(rng.uniform(0.06, 0.4)), 3)
        return (p, near, far) if rng.random() < 0.5 else (p, -far, -near)
    if kind == "open":
        return round(float(rng.uniform(0.1, 1)), 3), -near, far
    return (p, near, far) if "ahead" in kind else (p, -far, -near)


def _trial(rng: np.random.Generator) -> tuple[int, tuple[float, float], list[Rival]]:
    k = int(rng.integers(2, 6))
    kinds = ["ahead"] * k
    odd = rng.choice(["ahead", "hardly ahead", "hardly behind", "behind", "p alone", "interval alone", "open"])
    kinds[int(rng.integers(k))] = str(odd)
    if rng.random() < 0.3:
        kinds[int(rng.integers(k))] = str(rng.choice(["hardly behind", "behind", "p alone", "interval alone"]))
    conversations = int(rng.choice([rng.integers(2, 19), 19, 20, rng.integers(21, 2000)], p=[0.08, 0.06, 0.1, 0.76]))
    low, high = rng.choice([(0.55, 0.7), (0.44, 0.6), (0.3, 0.45)], p=[0.8, 0.1, 0.1]).tolist()
    return conversations, (low, high), [_rival(rng, kind, k) for kind in kinds]


_SURE, _UNSURE, _BEHIND = (1e-5, 0.1, 0.2), (0.4, -0.1, 0.2), (1e-5, -0.2, -0.1)
VERDICT = Exercise(
    "7.6",
    answer=verdict,
    draw=_trial,
    trials=40,
    edges=((20, (0.6, 0.7), [_SURE] * 4), (19, (0.6, 0.7), [_SURE] * 4), (19, (0.6, 0.7), [_SURE, _BEHIND]),
           (50, (0.5, 0.7), [_SURE] * 2), (50, (0.4, 0.5), [_SURE] * 2), (50, (0.42, 0.6), [_SURE] * 2),
           (50, (0.6, 0.7), [(1e-5, 0.0, 0.2), _SURE]),
           (50, (0.6, 0.7), [(1e-5, -0.2, 0.0), _SURE]), (50, (0.3, 0.4), [_UNSURE] * 3),
           (50, (0.6, 0.7), [_UNSURE, _SURE]), (50, (0.6, 0.7), [_BEHIND, _SURE]), (50, (0.6, 0.7), [_BEHIND] * 2),
           (50, (0.6, 0.7), [(0.02, -0.2, -0.1), _SURE, _SURE, _SURE]), (50, (0.6, 0.7), [(0.03, 0.1, 0.2), _SURE]),
           (50, (0.6, 0.7), [(0.02, -0.2, -0.1), _SURE]), (50, (0.6, 0.7), [(0.011, -0.2, -0.1), *[_SURE] * 4]),
           (50, (0.6, 0.7), [(0.3, -0.2, -0.1), _SURE]), (50, (0.6, 0.7), [(0.3, 0.1, 0.2), _SURE]),
           (50, (0.6, 0.7), [(1e-5, -0.1, 0.2), _SURE])),
    mistakes={
        "fewer than 20 conversations show nothing, and here they are not counted":
            lambda n, interval, rivals: _verdict(n, interval, rivals, few=0),
        "it asks for the accuracy's interval alone; it has to be ahead of each rule as well":
            lambda n, interval, rivals: _verdict(n, interval, rivals, every=lambda each: True, one=lambda each: False),
        "an end that lies exactly on a half or on zero shows nothing, and here it counts": lambda n, interval, rivals:
            _verdict(n, interval, rivals, ahead=lambda p, low, high, k: p < 0.05 and low >= 0,
                     behind=lambda p, low, high, k: p < 0.05 / k and high <= 0, coin=0.5 - 1e-9, below=0.5 + 1e-9),
        "20 conversations are enough": lambda n, interval, rivals: _verdict(n, interval, rivals, few=21),
        "fewer than 20 conversations show nothing, not even that a model is bad": lambda n, interval, rivals:
            "not usable" if _verdict(99, interval, rivals) == "not usable" else verdict(n, interval, rivals),
        "to be behind one of K it has K chances: there p has to be below 0.05 / K": lambda n, interval, rivals:
            _verdict(n, interval, rivals, behind=lambda p, low, high, k: p < 0.05 and high < 0),
        "the number of rules divides 0.05, and they are not always four": lambda n, interval, rivals:
            _verdict(n, interval, rivals, behind=lambda p, low, high, k: p < 0.05 / 4 and high < 0),
        "to be ahead of each rule 0.05 serves for each: here it is divided": lambda n, interval, rivals:
            _verdict(n, interval, rivals, ahead=lambda p, low, high, k: p < 0.05 / k and low > 0),
        "it has to be ahead of each rule, and here one is enough":
            lambda n, interval, rivals: _verdict(n, interval, rivals, every=any),
        "one rule that is ahead of it is enough to refuse it, and here it takes all":
            lambda n, interval, rivals: _verdict(n, interval, rivals, one=all),
        "the interval of the lead has to agree with p: for being ahead it is not asked": lambda n, interval, rivals:
            _verdict(n, interval, rivals, ahead=lambda p, low, high, k: p < 0.05 and low + high > 0),
        "p has to agree with the interval of the lead: for being ahead it is not asked": lambda n, interval, rivals:
            _verdict(n, interval, rivals, ahead=lambda p, low, high, k: low > 0),
        "p has to agree with the interval of the lead: for being behind it is not asked": lambda n, interval, rivals:
            _verdict(n, interval, rivals, behind=lambda p, low, high, k: high < 0),
        "p has to agree with the interval of the lead, and is never asked": lambda n, interval, rivals:
            _verdict(n, interval, rivals, ahead=lambda p, low, high, k: low > 0,
                     behind=lambda p, low, high, k: high < 0),
        "it also has to be better than a coin: the low end of its interval above a half":
            lambda n, interval, rivals: _verdict(n, interval, rivals, coin=0.0),
        "worse than a coin is not usable: the high end of its interval below a half":
            lambda n, interval, rivals: _verdict(n, interval, rivals, below=0.0),
        "an end that lies on a half shows nothing, and here it shows a model worse than a coin":
            lambda n, interval, rivals: _verdict(n, interval, rivals, below=np.nextafter(0.5, 1)),
        "an end that lies on a half shows nothing, and here it shows a model better than a coin":
            lambda n, interval, rivals: _verdict(n, interval, rivals, coin=np.nextafter(0.5, 0)),
        "a lead whose low end lies on zero is not shown, and here it is": lambda n, interval, rivals:
            _verdict(n, interval, rivals, ahead=lambda p, low, high, k: p < 0.05 and low >= 0),
        "a lead whose high end lies on zero does not show that a rule is ahead": lambda n, interval, rivals:
            _verdict(n, interval, rivals, behind=lambda p, low, high, k: p < 0.05 / k and high <= 0),
        "an end that lies on a half shows nothing": lambda n, interval, rivals:
            _verdict(n, interval, rivals, coin=np.nextafter(0.5, 0), below=np.nextafter(0.5, 1)),
        "an end that lies on zero shows nothing": lambda n, interval, rivals:
            _verdict(n, interval, rivals, ahead=lambda p, low, high, k: p < 0.05 and low >= 0,
                     behind=lambda p, low, high, k: p < 0.05 / k and high <= 0),
        "worse than a coin is a model whose interval ends below a half; here it is enough that it begins there":
            lambda n, interval, rivals: _verdict(n, (interval[0], interval[0]), rivals),
        "what is not shown to be usable is not therefore shown to be bad, and neither is what few conversations judge":
            lambda n, interval, rivals: "usable" if verdict(n, interval, rivals) == "usable" else "not usable",
        'the three answers are "usable", "not usable" and "not shown"': lambda n, interval, rivals:
            verdict(n, interval, rivals).replace("not shown", "not shown to be usable"),
        "what is not shown to be usable is not therefore shown to be bad": lambda n, interval, rivals:
            "not usable" if n >= 20 and verdict(n, interval, rivals) != "usable" else verdict(n, interval, rivals),
    },
)
