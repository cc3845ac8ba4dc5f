"""The null baselines: rules without a language model, which a reward model has to beat before its accuracy says much.

Each answers as a reward model does, in margins: how much better `chosen` is thought to be than `rejected`. Those that
were fitted are kept beside the model, in a file of their own.
"""

import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rmlib.evaluation import extra_characters
from rmlib.files import atomic_file
from rmlib.losses import bradley_terry_loss
from rmlib.model.saving import MANIFEST, WEIGHTS
from rmlib.pairs import PreferencePair, conversation_keys

WORD = re.compile(r"\w+(?:'\w+)*")
BUCKETS = 2**18
# Chosen on the gold world's validation questions (2,000 pairs to fit, 2,000 to judge, by likelihood), and nowhere else.
L2 = 30.0
TOLERANCE = 1e-7
BAGS = {"bag of words": True, "bag of words, no prompt": False}  # whether each sees the prompt
KEPT_IN = "rivals.safetensors"
MOST_FEATURES = 10_000_000  # to fit to: 17,000 pairs of HH-RLHF, in 40 s on one core and 1.2 GB of memory
AT_A_TIME = 1000  # pairs whose features are in memory when margins are computed


@dataclass(frozen=True, eq=False)
class BagOfWords:
    """A linear reward model of the words of a response, or of those and all pairs (word of the prompt, word of it).

    weights: float64 (BUCKETS,), found by hash. gradient_norm: of the objective there, its largest entry.
    """

    weights: np.ndarray
    with_prompt: bool
    gradient_norm: float

    def margins(self, pairs: Sequence[PreferencePair]) -> np.ndarray:
        """Reward of chosen minus reward of rejected, float64 (N,)."""
        found: list[np.ndarray] = [np.zeros(0)]
        for at in range(0, len(pairs), AT_A_TIME):
            some = pairs[at : at + AT_A_TIME]
            rows, buckets, values = _differences(some, self.with_prompt)
            found.append(np.bincount(rows, weights=values * self.weights[buckets], minlength=len(some)))
        return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class Rivals:
    """The bags of words, by name, that were fitted to so many of the pairs which a model was trained on.

    conversations: int64 (C,), hashes of the keys of all conversations that the model has seen.
    """

    bags: dict[str, BagOfWords]
    pairs: int
    conversations: np.ndarray

    def seen(self, pairs: Sequence[PreferencePair]) -> int:
        """How many of the pairs are of conversations that the model has seen."""
        return int(np.isin(_hashes(pairs), self.conversations).sum())

    def margins(self, pairs: Sequence[PreferencePair]) -> dict[str, np.ndarray]:
        """Each bag's margins, float64 (N,), by its name."""
        return {name: bag.margins(pairs) for name, bag in self.bags.items()}

    def save(self, directory: Path) -> None:
        """Write the weights that are not zero beside the saved model of the directory, whose hash goes with them."""
        parts = {"pairs": np.array([self.pairs]), "conversations": self.conversations}
        for name, bag in self.bags.items():
            used = np.flatnonzero(bag.weights)
            parts |= {f"{name}: buckets": used.astype(np.int32), f"{name}: weights": bag.weights[used],
                      f"{name}: gradient norm": np.array([bag.gradient_norm])}
        with atomic_file(directory / KEPT_IN) as temporary:
            temporary.write_bytes(save(parts, {WEIGHTS: hash_of_weights(directory)}))


def read_rivals(directory: Path) -> Rivals | None:
    """What `Rivals.save` wrote beside a saved model; None where it did not, or did so beside other weights.

    Raises ValueError for a file that can't be read as that.
    """
    path = directory / KEPT_IN
    if not path.exists():
        return None
    try:
        with safe_open(path, "numpy") as file:
            if file.metadata() != {WEIGHTS: hash_of_weights(directory)}:
                return None
            parts = {name: file.get_tensor(name) for name in file.keys()}
        bags = {}
        for name, with_prompt in BAGS.items():
            weights = np.zeros(BUCKETS)
            weights[parts[f"{name}: buckets"]] = parts[f"{name}: weights"]
            bags[name] = BagOfWords(weights, with_prompt, float(parts[f"{name}: gradient norm"][0]))
        return Rivals(bags, int(parts["pairs"][0]), parts["conversations"])
    except (SafetensorError, LookupError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: does not hold the bags of words of a model: {error!r}; without the file the model "
                         "is evaluated without them") from error


def hash_of_weights(directory: Path) -> str:
    """sha256 of a saved model's weights, from its manifest."""
    return json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["sha256"][WEIGHTS]


def _hashes(pairs: Sequence[PreferencePair]) -> np.ndarray:
    digests = [hashlib.sha256(key.encode(errors="surrogatepass")).digest() for key in conversation_keys(pairs)]
    return np.array([int.from_bytes(digest[:8], signed=True) for digest in digests], dtype=np.int64)


def fit_rivals(train: Sequence[PreferencePair], seen: Sequence[PreferencePair] = ()) -> Rivals:
    """Both bags of words, fitted to the pairs; of more than MOST_FEATURES to as many pairs, drawn from all, as fit.

    seen: further pairs that the model has seen, such as those by which its weights were chosen.
    Raises ValueError where there are no pairs.
    """
    order = np.random.default_rng(0).permutation(len(train))
    sizes = np.array([_most_features(train[i]) for i in order])
    fitting = max(1, int(np.searchsorted(sizes.cumsum(), MOST_FEATURES, side="right")))
    some = [train[i] for i in sorted(order[:fitting])]
    return Rivals({name: fit_bag_of_words(some, with_prompt) for name, with_prompt in BAGS.items()}, len(some),
                  np.unique(_hashes([*train, *seen])))


def _most_features(pair: PreferencePair) -> int:
    return len({*_words(pair.chosen), *_words(pair.rejected)}) * (1 + len(set(_words(_question(pair)))))


def fit_bag_of_words(pairs: Sequence[PreferencePair], with_prompt: bool, l2: float = L2) -> BagOfWords:
    """The weights w that minimise Σ −log σ(margin) + l2/2 |w|²: the most probable ones if a priori w ~ N(0, 1/l2).

    The prompt's own words would cancel in the margin, being the same on both sides; joined to words of the response
    they don't. The objective is strictly convex, so there is one minimum, and L-BFGS from zero finds it: no seed.
    The largest entry of the mean objective's gradient is below TOLERANCE there.

    Raises ValueError where there are no pairs, or unless l2 > 0: without it separable pairs would need endless weights.
    """
    if not pairs or not 0 < l2 < float("inf"):
        raise ValueError(f"need pairs to fit and 0 < l2 < infinity, got {len(pairs)} pairs and l2 = {l2}")
    rows, buckets, values = map(torch.from_numpy, _differences(pairs, with_prompt))
    used, places = buckets.unique(return_inverse=True)
    weights = torch.zeros(len(used), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=1000, tolerance_grad=TOLERANCE, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        margins = torch.zeros(len(pairs), dtype=torch.float64).index_add(0, rows, values * weights[places])
        loss = bradley_terry_loss(margins, torch.zeros_like(margins)) + l2 / 2 * weights.square().sum() / len(pairs)
        loss.backward()
        return loss

    if len(used):  # else both responses of every pair hold the same words
        optimizer.step(objective)
    objective()
    found = np.zeros(BUCKETS)
    found[used.numpy()] = weights.detach().numpy()
    return BagOfWords(found, with_prompt, max(weights.grad.abs().tolist(), default=0.0))  # type: ignore[union-attr]


def null_baselines(train: Sequence[PreferencePair], held_out: Sequence[PreferencePair]) -> dict[str, np.ndarray]:
    """Margins float64 (N,) on the N held-out pairs, by name; only `train` is fitted to. Zero is a tie, half right."""
    longer = extra_characters(held_out)
    return {"longer": longer, "shorter": -longer, **fit_rivals(train).margins(held_out)}


def _differences(pairs: Sequence[PreferencePair], with_prompt: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of chosen minus those of rejected, as (row, bucket, value) of what is not zero.

    A word counts as often as it is said. With the prompt, it is joined to nothing and to each different word of the
    prompt's last human turn, k + 1 features that share its length: so l2 means the same with and without.
    Source: feature hashing, Weinberger et al. (2009), ICML, arXiv:0902.2206; without their random signs.
    """
    rows, buckets, values = [], [], []
    for row, pair in enumerate(pairs):
        said = Counter(_words(pair.chosen))
        said.subtract(_words(pair.rejected))
        asked = set(_words(_question(pair))) if with_prompt else set()
        starts = [0, *sorted(zlib.crc32(f"{word} ".encode()) for word in asked)]
        for word, count in said.items():
            if count:
                # A CRC may be continued: this is the hash of "asked said". Python's own differs between processes.
                buckets += [zlib.crc32(word.encode(), start) % BUCKETS for start in starts]
                values += [count / len(starts) ** 0.5] * len(starts)
                rows += [row] * len(starts)
    return np.array(rows, dtype=np.int64), np.array(buckets, dtype=np.int64), np.array(values, dtype=np.float64)


def _question(pair: PreferencePair) -> str:
    return next((text for role, text in reversed(pair.turns) if role == "user"), pair.prompt)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())
