"""Judging a run while it goes, on pairs that it does not train on; and keeping the weights that were best on them."""

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rmlib.encoding import encode, tell_cuts
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel
from rmlib.model.scoring import score_encoded_distributed
from rmlib.pairs import PreferencePair

_log = logging.getLogger("rmlib")


class Validation:
    """A run's negative log-likelihoods on validation pairs, and the weights of the lowest.

    history: one record an evaluation (step, nll). patience: as in `TrainingConfig`.
    """

    def __init__(self, model: RewardModel, pairs: Sequence[PreferencePair], patience: int | None,
                 token_budget: int = 8192):
        self.model, self.patience, self.token_budget = model, patience, token_budget
        self.encoded = encode(model.tokenizer, pairs, model.encoding)
        tell_cuts(self.encoded, len(pairs))
        self.history: list[dict] = []
        self.best: dict[str, Tensor] = {}

    def evaluate(self, step: int) -> None:
        """Score all pairs after a step, over all processes; the weights are kept where none were better.

        Raises ValueError where the likelihood is no finite number.
        """
        chosen, rejected = torch.from_numpy(
            score_encoded_distributed(self.model, self.encoded, self.token_budget)).double()  # (V,) each
        nll = bradley_terry_loss(chosen, rejected).item()
        if not math.isfinite(nll):
            raise ValueError(f"the validation loss after step {step} is {nll}: the training diverged; lower the "
                             "learning rate")
        is_best = nll < min((record["nll"] for record in self.history), default=math.inf)
        self.history.append({"step": step, "nll": nll})
        if is_best:
            self.best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.model.state_dict().items()}
        _log.info("validation after step %d: negative log-likelihood %.4f%s", step, nll,
                  ", the best so far" if is_best else "")

    @property
    def is_over(self) -> bool:
        """Whether the last `patience` evaluations were no better than one before them."""
        losses = [record["nll"] for record in self.history]
        since_best = len(losses) - 1 - losses.index(min(losses)) if losses else 0
        return self.patience is not None and since_best >= self.patience

    def restore_best(self) -> None:
        """Put the best weights back into the model, where there are any."""
        if self.best:
            self.model.load_state_dict(self.best)
