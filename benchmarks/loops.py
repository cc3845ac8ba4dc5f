"""The training loops that throughput.py and gpu.py time: each is prepared from the same start, then runs once over its
pairs. TRL and datasets are imported where a loop of TRL's is prepared, so that the others run without them.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import transformers
from accelerate.state import AcceleratorState
from accelerate.utils import parse_flag_from_env
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from rmlib.encoding import EncodedPair, encode
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair
from rmlib.training import Trainer, TrainingConfig

BATCH, RATE, WINDOW = 16, 5e-5, 512
CONFIG = TrainingConfig(batch_size=BATCH, learning_rate=RATE, warmup=0.0)


@dataclass
class Start:
    """What every loop starts from: a backbone directory, one model to copy, the pairs and the order they come in."""

    directory: str
    model: RewardModel
    pairs: list[PreferencePair]  # as given to rmlib, which shuffles them
    ordered: list[PreferencePair]  # as rmlib will take them, for the other loops
    encoded: list[EncodedPair]  # of `ordered`

    @property
    def lengths(self) -> list[int]:
        """Tokens of every sequence, without padding."""
        return [len(row) for pair in self.encoded for row in (pair.chosen, pair.rejected)]


def make_start(directory: str, pairs: list[PreferencePair], limit: int) -> Start:
    torch.manual_seed(0)
    return start_of(RewardModel(directory, "cls"), pairs, limit, directory)


def start_of(model: RewardModel, pairs: list[PreferencePair], limit: int, directory: str = "") -> Start:
    """At most `limit` of those pairs that fit the window whole, in the order that rmlib will take them."""
    window = min(WINDOW, model.encoding.max_length)
    model.encoding = replace(model.encoding, max_length=window, segment=0)  # TRL passes no token types on
    fitting = encode(model.tokenizer, pairs, model.encoding, overlong="drop")[:limit]
    pairs = [pairs[pair.index] for pair in fitting]
    order = [index for _, batch in Trainer(copy.deepcopy(model), pairs, CONFIG).batches() for index in batch]
    ordered = [pairs[index] for index in order]
    return Start(directory, model, pairs, ordered, encode(model.tokenizer, ordered, model.encoding))


def timed(run: Callable[[], None], model: nn.Module, now: Callable[[], float]) -> tuple[float, int]:
    """Seconds that a prepared loop takes from its first forward on, and the real tokens that `model` got from it."""
    began, counted = [], []

    def count(module: nn.Module, inputs: tuple, named: dict) -> None:
        if not began:
            began.append(now())
        mask = named["attention_mask"] if "attention_mask" in named else inputs[1]
        counted.append(mask.sum())  # stays on the device: reading it would hold up a GPU

    hook = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        run()
    finally:
        hook.remove()
    return now() - began[0], sum(map(int, counted))


def prepare_reference(start: Start, model: RewardModel) -> Callable[[], None]:
    # More steps, each noisier: by the square root rule for Adam a quarter of the rate goes about as far.
    optimizer, schedule = adam(model, RATE / BATCH**0.5, len(start.ordered))

    def score(prompt: str, response: str) -> Tensor:
        return model(**model.tokenizer(
            prompt, response, truncation=True, padding=True, max_length=model.encoding.max_length,
            return_tensors="pt", return_token_type_ids=False,
        ))

    def run():
        for pair in start.ordered:
            take_step(optimizer, schedule, score(pair.prompt, pair.chosen), score(pair.prompt, pair.rejected))

    return run


def prepare_two_forward(start: Start, model: RewardModel) -> Callable[[], None]:
    optimizer, schedule = adam(model, RATE, -(-len(start.encoded) // BATCH))

    def score(rows: list[np.ndarray]) -> Tensor:
        padded = model.tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        return model(padded["input_ids"], padded["attention_mask"])

    def run():
        for i in range(0, len(start.encoded), BATCH):
            batch = start.encoded[i : i + BATCH]
            chosen, rejected = score([pair.chosen for pair in batch]), score([pair.rejected for pair in batch])
            take_step(optimizer, schedule, chosen, rejected)

    return run


def adam(model: nn.Module, rate: float, steps: int):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    return optimizer, transformers.get_linear_schedule_with_warmup(optimizer, 0, steps)


def take_step(optimizer, schedule, chosen: Tensor, rejected: Tensor) -> None:
    loss = bradley_terry_loss(chosen, rejected)
    loss.backward()
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()


class Scorer(PreTrainedModel):
    """A RewardModel in the clothes that RewardTrainer wants: the same network, so that only the trainers differ."""

    _supports_sdpa = True

    def __init__(self, model: RewardModel):
        config = copy.deepcopy(model.backbone.config)
        config.num_labels = 1
        super().__init__(config)
        self.rewards = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.rewards(input_ids, attention_mask).unsqueeze(-1))


def prepare_trl(start: Start, model: RewardModel) -> Callable[[], None]:
    return reward_trainer(
        start, Scorer(model), per_device_train_batch_size=BATCH, learning_rate=RATE, weight_decay=CONFIG.weight_decay,
        bf16=False, gradient_checkpointing=False, train_sampling_strategy="sequential",
    )


def prepare_trl_defaults(start: Start, model: nn.Module) -> Callable[[], None]:
    return reward_trainer(start, model)


def reward_trainer(start: Start, model: PreTrainedModel, evaluate: bool = False, **settings) -> Callable[[], None]:
    """TRL's RewardTrainer on a GPU where there is one; what comes back trains the model, or only scores the pairs."""
    import datasets
    import trl

    datasets.disable_progress_bars()
    use_cpu = not torch.cuda.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    AcceleratorState._reset_state(reset_partial_state=True)  # or an earlier row's precision would stay
    arguments = trl.RewardConfig(
        tempfile.mkdtemp(), num_train_epochs=1, use_cpu=use_cpu, max_length=start.model.encoding.max_length,
        logging_strategy="no", save_strategy="no", report_to="none", disable_tqdm=True,
        dataloader_pin_memory=not use_cpu, **settings,
    )
    rows = datasets.Dataset.from_list([
        {"chosen_ids": pair.chosen.tolist(), "rejected_ids": pair.rejected.tolist()} for pair in start.encoded
    ])
    trainer = trl.RewardTrainer(
        model, arguments, train_dataset=rows, eval_dataset=rows if evaluate else None,
        processing_class=start.model.tokenizer,
    )
    trainer.remove_callback(transformers.PrinterCallback)  # stdout is for the table
    return trainer.evaluate if evaluate else trainer.train


def prepare_rmlib(precision: str) -> Callable[[Start, RewardModel], Callable[[], None]]:
    def prepare(start: Start, model: RewardModel) -> Callable[[], None]:
        AcceleratorState._reset_state(reset_partial_state=True)
        trainer = Trainer(model, start.pairs, replace(CONFIG, precision=precision))
        return lambda: trainer.run(progress=False)

    return prepare


LOOPS = {
    "reference": prepare_reference, "two_forward": prepare_two_forward, "trl": prepare_trl,
    "trl_defaults": prepare_trl_defaults, "rmlib_fp32": prepare_rmlib("fp32"), "rmlib_bf16": prepare_rmlib("bf16"),
}
